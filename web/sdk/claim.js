// @ts-check
// claim: one request of a page, from asking to its end.
import { BrokerError, endError, plain, warnOnce } from "./errors.js";
import { Lease } from "./lease.js";
import { now } from "./session.js";

/** @import { FromBroker } from "./protocol.js" */
/** @import { BrokerContext, ClaimHeard, KeepMessage, OfLease } from "./types.js" */
/** @import { QueueInfo, RequestOptions } from "./types.js" */

const whole = (value = 0) => Math.ceil(value);

/** @param {RequestOptions} options */
const acquireFields = (options) => ({
	class: options.class,
	priority: options.priority,
	slots: options.slots,
	gpu: options.gpu,
	vram_mb: whole((options.vramBytes ?? 0) / 2 ** 20),
	label: plain(options.model ?? "", 64) || undefined,
	wait: !options.ifAvailable,
	preemptible: options.preemptible,
	evictable: options.evictable,
	loads: options.loads,
	uninterruptible_ms: whole(options.graceMs),
	load_ms: whole(options.loadMs),
	min_residence_ms: whole(options.minResidenceMs),
	host: Number(options.host) || undefined,
	guests: options.guests,
	guests_open: options.guestsOpen,
});

export class Claim {
	id = "";
	fence = 0n;
	/** @type {string|null} */ gpu = null;
	managed = true;
	/** What names the lease to whoever has no session. */
	token = "";
	taken = false;
	stepMs = 0;
	isReady = false;
	/** @type {"waiting"|"held"|"ended"} */ state = "waiting";
	/** Of a fallback. @type {AbortController|null} */ local = null;
	unlock = () => {};
	/** @type {(value: null) => void} */ settle = () => {};
	/** @type {Lease|undefined} */ #lease;
	/** @type {number|null} */ #until = null;
	#timer = 0;
	/** @type {Promise<Lease|null>|undefined} */ #turn;
	/** @type {(lease: Lease|null) => void} */ #resolve = () => {};
	/** @type {(error: unknown) => void} */ #reject = () => {};
	#leave = () => this.fail(this.options.signal?.reason);

	/** @param {BrokerContext} context @param {number} ref @param {string} requestId
	 * @param {RequestOptions} options */
	constructor(context, ref, requestId, options) {
		this.context = context;
		this.ref = ref;
		this.requestId = requestId;
		this.options = options;
		options.signal?.addEventListener("abort", this.#leave);
	}

	ask() {
		const turn = this.#wait();
		this.#send();
		return turn;
	}

	#send() {
		this.context.send({
			op: "acquire",
			ref: this.ref,
			until: this.#until,
			message: { ...acquireFields(this.options), request_id: this.requestId },
		});
	}

	/** What it waits for, to a Session that has not heard of it. */
	again() {
		if (this.state === "waiting" && !this.local) this.#send();
	}

	/** @returns {Promise<Lease|null>} */
	#wait() {
		const { waitMs = Infinity } = this.options;
		if (waitMs < 2 ** 31) {
			this.#until = now() + waitMs;
			this.#timer = +setTimeout(() => this.fail(endError({ type: "timeout" })), waitMs + 500);
		}
		return (this.#turn = new Promise((resolve, reject) => {
			this.#resolve = resolve;
			this.#reject = reject;
		}));
	}

	comeBack() {
		if (this.state === "waiting") return this.#turn;
		this.state = "waiting";
		if (this.managed) {
			const turn = this.#wait();
			this.context.send({ op: "release", ref: this.ref, requeue: true, until: this.#until });
			return turn;
		}
		this.unlock();
		this.local = null;
		return this.ask();
	}

	brokerIsBack() {
		if (this.state === "waiting" && this.local) {
			this.local.abort();
			this.local = null;
			this.#send();
		} else if (this.state === "held" && !this.managed) {
			if (this.options.slots === 0)
				this.#send(); // for the ledger
			else this.asked({ reason: "the broker is back", grace_ms: 0 });
		}
	}

	/** @param {ClaimHeard} message */
	hear(message) {
		if (this.state === "ended") this.settle(null);
		else if (message.type === "queued") this.#queued(message);
		else if (message.type === "granted") this.granted(message);
		else if (message.type === "yield") this.asked(message);
		else if (message.type === "keep") this.#keep(message);
		else if (message.type === "notice") {
			const { code, text } = message;
			if (this.#lease) this.context.emit("notice", { lease: this.#lease, code, text });
		} else if (
			message.type === "denied"
			&& ["busy", "paused", "in_doubt"].includes(message.code)
		)
			this.none();
		else this.fail(endError(message));
	}

	/** @param {FromBroker.Queued} m */
	#queued({
		lease,
		position = 0,
		ahead = [],
		eta_s = null,
		eta_p90_s = null,
		estimate = "",
		sentence = "",
		bound_s = null,
		guaranteed_by,
		why,
	}) {
		if (this.state !== "waiting") return;
		this.id = `${lease}`;
		if (why?.code === "self")
			warnOnce(
				`Baton: this page waits for itself: lease ${why.holder} has to be `
					+ "released first. Pass a `signal` with what may become unwanted.",
			);
		/** @type {QueueInfo} */
		const info = {
			key: this.options.key ?? null,
			lease: this.id,
			position,
			ahead,
			etaS: eta_s,
			etaP90S: eta_p90_s,
			estimate,
			sentence,
			boundS: bound_s,
			guaranteedBy: guaranteed_by ?? null,
			why: why ?? null,
		};
		this.options.onQueue?.(info);
		this.context.emit("queue", info);
	}

	/** @param {FromBroker.Granted|null} message null: by a fallback */
	granted(message) {
		this.state = "held";
		this.isReady = false;
		this.managed = Boolean(message);
		this.id = message ? `${message.lease}` : `local-${this.ref}`;
		this.fence = BigInt(message?.fence ?? 0);
		this.gpu = message?.gpu ?? null;
		this.token = message?.token ?? "";
		clearTimeout(this.#timer);
		this.options.signal?.removeEventListener("abort", this.#leave);
		this.#resolve((this.#lease ??= new Lease(this)));
	}

	/** @param {{ reason: string, for?: string|null, grace_ms: number }} message */
	asked(message) {
		const lease = this.#lease;
		if (this.state !== "held" || !lease) return;
		if (this.stepMs) this.say({ type: "yielding", need_ms: whole(this.stepMs) });
		lease.please(
			new BrokerError(
				"REVOKED",
				`Give way (${message.reason}): yieldIfNeeded() or release.`,
				message,
			),
		);
		this.context.emit("yield", {
			lease,
			reason: message.reason,
			graceMs: message.grace_ms,
			for: message.for ?? null,
		});
	}

	/** @param {KeepMessage} m */
	#keep({ state }) {
		if (state === "loading" && this.isReady) this.say({ type: "ready" }); // it was lost with the connection
		if (this.state === "held" && this.#lease?.kept())
			this.context.emit("kept", { lease: this.#lease });
	}

	none() {
		this.#quiet();
		this.context.forget(this);
		this.#resolve(null);
	}

	#quiet() {
		this.state = "ended";
		clearTimeout(this.#timer);
		this.options.signal?.removeEventListener("abort", this.#leave);
		this.local?.abort();
		this.unlock();
	}

	/** @param {unknown} error */
	fail(error) {
		return this.#over(error, true);
	}

	release() {
		return this.#over(new BrokerError("RELEASED", "Released."), false);
	}

	/** Resolves once what it guards has ended, and the broker was told.
	 * @type {(error: unknown, taken: boolean) => Promise<void>} */
	async #over(error, taken) {
		if (this.state === "ended") return;
		this.taken = taken;
		this.#quiet();
		this.#reject(error);
		const done = this.#lease?.over(error, taken);
		if (this.#lease)
			this.context.emit("ended", {
				lease: this.#lease,
				error: /** @type {BrokerError} */ (error),
			});
		await done;
		this.context.send({ op: "release", ref: this.ref });
		if (!taken && this.managed && this.context.open())
			await new Promise((resolve) => (this.settle = resolve));
		this.context.forget(this);
	}

	/** @param {OfLease} message */
	say(message) {
		if (this.managed) this.context.send({ op: "ask", ref: this.ref, message });
	}
}
