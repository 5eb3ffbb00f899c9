// @ts-check
// claim: one request of a page, from asking to its end.
import { BrokerError, endError, now, plain, warnOnce } from "./errors.js";
import { Lease } from "./lease.js";

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
	/** As the broker said it. @type {Partial<FromBroker.Granted>} */
	grant = {};
	managed = true;
	taken = false;
	stepMs = 0;
	isReady = false;
	/** @type {"waiting"|"held"|"ended"} */ state = "waiting";
	/** Of a fallback. @type {AbortController|null} */ local = null;
	/** @type {(value: null) => void} */ settle = () => {};
	/** @type {Lease|undefined} */ #lease;
	/** @type {number|null} */ #until = null;
	#timer = 0;
	/** @type {Promise<Lease|null>|undefined} */ #turn;
	/** @type {(lease: Promise<Lease>|null) => void} */ #resolve = () => {};
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
		this.#wait();
		this.#send();
		return this.#turn;
	}

	#send() {
		const message = { ...acquireFields(this.options), request_id: this.requestId };
		this.context.send("acquire", this.ref, message, this.#until);
	}

	/** What it waits for, to a Session that has not heard of it. */
	again() {
		if (this.state === "waiting" && !this.local) this.#send();
	}

	#wait() {
		const { waitMs = Infinity } = this.options;
		if (waitMs < 2 ** 31) {
			this.#until = now() + waitMs;
			this.#timer = +setTimeout(() => this.fail(endError({ type: "timeout" })), waitMs + 500);
		}
		this.#turn = new Promise((resolve, reject) => {
			this.#resolve = resolve;
			this.#reject = reject;
		});
	}

	comeBack() {
		if (this.state === "waiting") return this.#turn;
		this.state = "waiting";
		if (!this.managed) {
			this.#leaveFallback();
			return this.ask();
		}
		this.#wait();
		this.context.send("release", this.ref, true, this.#until);
		return this.#turn;
	}

	brokerIsBack() {
		if (this.state === "waiting" && this.local) {
			this.#leaveFallback();
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
		else if (message.type === "notice") this.#notice(message);
		else if (message.type === "denied" && ["busy", "paused", "in_doubt"].includes(message.code))
			this.none();
		else this.fail(endError(message));
	}

	/** @param {FromBroker.Notice} message */
	#notice({ code, text }) {
		const lease = this.#lease;
		if (lease) this.context.emit("notice", { lease, code, text });
	}

	/** @param {FromBroker.Queued} message */
	#queued(message) {
		if (this.state !== "waiting") return;
		const { position = 0, ahead = [], estimate = "", sentence = "", why = null } = message;
		this.id = `${message.lease}`;
		if (why?.code === "self")
			warnOnce(
				`Baton: this page waits for itself until it releases lease ${why.holder}: `
					+ "pass a `signal`.",
			);
		/** @type {QueueInfo} */
		const info = {
			key: this.options.key ?? null,
			lease: this.id,
			position,
			ahead,
			etaS: message.eta_s ?? null,
			etaP90S: message.eta_p90_s ?? null,
			estimate,
			sentence,
			boundS: message.bound_s ?? null,
			guaranteedBy: message.guaranteed_by ?? null,
			why,
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
		this.grant = message ?? {};
		this.#stopWaiting();
		this.#lease ??= new Lease(this);
		this.#lease.kept(); // at once: it may be asked to give way before its page hears of the turn
		this.#resolve(this.#lease.stillMine());
	}

	/** @param {{ reason: string, for?: string|null, grace_ms: number }} message */
	asked(message) {
		const lease = this.#lease;
		const { reason, grace_ms: graceMs, for: other = null } = message;
		if (this.state !== "held" || !lease) return;
		if (this.stepMs) this.say({ type: "yielding", need_ms: whole(this.stepMs) });
		lease.please(
			new BrokerError(
				"REVOKED",
				`Give way (${reason}): yieldIfNeeded() or release.`,
				message,
			),
		);
		this.context.emit("yield", { lease, reason, graceMs, for: other });
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

	#stopWaiting() {
		clearTimeout(this.#timer);
		this.options.signal?.removeEventListener("abort", this.#leave);
	}

	#quiet() {
		this.state = "ended";
		this.#stopWaiting();
		this.#leaveFallback();
	}

	#leaveFallback() {
		this.local?.abort();
		this.local = null;
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
		const settled = new Promise((resolve) => (this.settle = resolve));
		this.context.send("release", this.ref);
		if (!taken && this.managed && this.context.open()) await settled;
		this.context.forget(this);
	}

	/** @param {OfLease} message */
	say(message) {
		if (this.managed) this.context.send("ask", message, this.ref);
	}
}
