// claim: one request of a page, from asking to its end.
// @ts-check
import { BrokerError, endError, plain, warnOnce } from "./errors.js";
import { Lease } from "./lease.js";
import { now } from "./session.js";

/** @import { FromBroker } from "./protocol.js" */
/** @import { BrokerContext, ClaimHeard, KeepMessage, OfLease } from "./types.js" */
/** @import { QueueInfo, RequestOptions } from "./types.js" */

const whole = (n = 0) => Math.ceil(n);

/** @param {RequestOptions} o */
const message = (o) => ({
	class: o.class,
	priority: o.priority,
	slots: o.slots,
	gpu: o.gpu,
	vram_mb: whole((o.vramBytes ?? 0) / 2 ** 20),
	label: plain(o.model ?? "", 64) || undefined,
	wait: !o.ifAvailable,
	preemptible: o.preemptible,
	evictable: o.evictable,
	loads: o.loads,
	uninterruptible_ms: whole(o.graceMs),
	load_ms: whole(o.loadMs),
	min_residence_ms: whole(o.minResidenceMs),
	host: Number(o.host) || undefined,
	guests: o.guests,
	guests_open: o.guestsOpen,
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
	#leave = () => this.fail(this.o.signal?.reason);

	/** @param {BrokerContext} context @param {number} ref @param {string} rid
	 * @param {RequestOptions} o */
	constructor(context, ref, rid, o) {
		this.context = context;
		this.ref = ref;
		this.rid = rid;
		this.o = o;
		o.signal?.addEventListener("abort", this.#leave);
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
			msg: { ...message(this.o), request_id: this.rid },
		});
	}

	/** @returns {Promise<Lease|null>} */
	#wait() {
		const { waitMs = Infinity } = this.o;
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
			if (this.o.slots === 0)
				this.#send(); // for the ledger
			else this.asked({ reason: "the broker is back", grace_ms: 0 });
		}
	}

	/** @param {ClaimHeard} m */
	hear(m) {
		if (this.state === "ended") this.settle(null);
		else if (m.type === "queued") this.#queued(m);
		else if (m.type === "granted") this.granted(m);
		else if (m.type === "yield") this.asked(m);
		else if (m.type === "keep") this.#keep(m);
		else if (m.type === "denied" && ["busy", "paused", "in_doubt"].includes(m.code))
			this.none();
		else this.fail(endError(m));
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
				`Baton: this page waits for itself: it holds lease ${why.holder}, which has `
					+ "to be released first. Pass a `signal` to requests that may become unwanted.",
			);
		/** @type {QueueInfo} */
		const q = {
			key: this.o.key ?? null,
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
		this.o.onQueue?.(q);
		this.context.emit("queue", q);
	}

	/** @param {FromBroker.Granted|null} m null: by a fallback */
	granted(m) {
		this.state = "held";
		this.isReady = false;
		this.managed = Boolean(m);
		this.id = m ? `${m.lease}` : `local-${this.ref}`;
		this.fence = BigInt(m?.fence ?? 0);
		this.gpu = m?.gpu ?? null;
		this.token = m?.token ?? "";
		clearTimeout(this.#timer);
		this.o.signal?.removeEventListener("abort", this.#leave);
		this.#resolve((this.#lease ??= new Lease(this)));
	}

	/** @param {{ reason: string, for?: string|null, grace_ms: number }} m */
	asked(m) {
		const lease = this.#lease;
		if (this.state !== "held" || !lease) return;
		if (this.stepMs) this.say({ type: "yielding", need_ms: whole(this.stepMs) });
		lease.please(
			new BrokerError("REVOKED", `Give way (${m.reason}): yieldIfNeeded() or release.`, m),
		);
		this.context.emit("yield", {
			lease,
			reason: m.reason,
			graceMs: m.grace_ms,
			for: m.for ?? null,
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
		this.o.signal?.removeEventListener("abort", this.#leave);
		this.local?.abort();
		this.unlock();
	}

	/** @param {unknown} error */
	fail(error) {
		this.#over(error, true);
	}

	release() {
		return this.#over(new BrokerError("RELEASED", "Released."), false);
	}

	/** @type {(error: unknown, taken: boolean) => Promise<void>} */
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

	/** @param {OfLease} msg */
	say(msg) {
		if (this.managed) this.context.send({ op: "ask", ref: this.ref, msg });
	}
}
