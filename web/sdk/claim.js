// claim: one request of a page, from asking to its end, on the page's side: its promise, its Lease,
// the fallback when nothing listens. The Link knows the same claim by `ref`. Used by broker.js.
// @ts-check
import { BrokerError, deniedError, endError, plain } from "./errors.js";
import { Lease } from "./lease.js";
import { now } from "./link.js";

/**
 * @typedef {{key: string|null, lease: string|null, position: number, ahead: string[],
 *   etaS: number|null, boundS: number|null, why: {code: string, text: string}|null}} QueueInfo
 * @typedef {object} RequestOptions
 * @property {"voice"|"chat"|"normal"|"background"} [class] how urgent; else the broker's rules say
 * @property {number} [priority] the predecessor's number instead of a class
 * @property {number} [vramBytes] needed on the GPU
 * @property {number} [slots] compute turns, default 1; 0: only kept loaded (see reside)
 * @property {string|number} [gpu] name, uuid or index
 * @property {string} [model] shown to people
 * @property {number} [waitMs] longest time in the queue, default Infinity
 * @property {number} [graceMs] needed to give way, at most 20 000
 * @property {boolean} [ifAvailable] null at once instead of waiting
 * @property {AbortSignal} [signal] leaves the queue; has no effect once granted
 * @property {string} [key] a name within this tab: asked again after a reload, the place is kept
 * @property {boolean} [preemptible] false: not asked to give way before the class's hold limit
 * @property {boolean} [evictable] may be asked to unload for VRAM (see reside)
 * @property {number} [loadMs] what loading again costs
 * @property {number} [minResidenceMs] not evicted before
 * @property {(q: QueueInfo) => void} [onQueue]
 *
 * @typedef {object} Hub what a claim needs of its Broker
 * @property {(command: any) => void} send to the Link
 * @property {(type: string, detail: any) => void} emit
 * @property {(fields: any) => void} about
 * @property {(claim: Claim) => void} forget
 * @property {() => boolean} open
 */

/** @param {RequestOptions} o @returns {any} an acquire message, without ref and timeout */
function message(o) {
	return JSON.parse(JSON.stringify({
		class: o.class, priority: o.priority, slots: o.slots, gpu: o.gpu,
		vram_mb: o.vramBytes && Math.ceil(o.vramBytes / 2 ** 20),
		label: (o.model && plain(o.model, 64)) || undefined,
		wait: o.ifAvailable ? false : undefined, preemptible: o.preemptible, evictable: o.evictable,
		uninterruptible_ms: o.graceMs && Math.round(o.graceMs),
		load_ms: o.loadMs && Math.round(o.loadMs),
		min_residence_ms: o.minResidenceMs && Math.round(o.minResidenceMs),
	}));
}

export class Claim {
	id = "";
	fence = 0n;
	/** @type {string|null} */ gpu = null;
	managed = true;
	/** Ended otherwise than by the page's own release. */
	taken = false;
	stepMs = 0;
	/** @type {number|null} when the wait is over */ until = null;
	/** @type {"waiting"|"held"|"ended"} */ state = "waiting";
	/** @type {Lease|null} */ lease = null;
	/** @type {AbortController|null} of a fallback's wait */ local = null;
	/** @type {(() => void)|null} of a fallback's hold */ unlock = null;
	/** @type {any} */ #timer;
	/** @type {(value: any) => void} */ #resolve = () => {};
	/** @type {(error: unknown) => void} */ #reject = () => {};
	/** @type {(value: null) => void} */ #freed = () => {};
	#left = () => this.fail(this.o.signal?.reason);

	/**
	 * @param {Hub} hub
	 * @param {number} ref
	 * @param {string} rid
	 * @param {RequestOptions} o
	 */
	constructor(hub, ref, rid, o) {
		this.hub = hub;
		this.ref = ref;
		this.rid = rid;
		this.o = o;
		o.signal?.addEventListener("abort", this.#left);
	}

	/** Asks the broker, and waits. @returns {Promise<Lease|null>} */
	ask() {
		const waitMs = this.o.waitMs ?? Infinity;
		if (waitMs < 2 ** 31) {
			this.until = now() + waitMs;
			this.#timer = setTimeout(() => this.fail(endError({ type: "timeout" })), waitMs + 500);
		}
		this.send();
		return this.#wait();
	}

	/** Asks the broker, for the first time or when it is back. */
	send() {
		this.hub.send({ op: "acquire", ref: this.ref, until: this.until,
			msg: { ...message(this.o), request_id: this.rid } });
	}

	/** @returns {Promise<Lease|null>} */
	#wait() {
		return new Promise((resolve, reject) => {
			this.#resolve = resolve;
			this.#reject = reject;
		});
	}

	/** Gives way and asks to come back; resolves with the next grant. */
	comeBack() {
		this.state = "waiting";
		if (this.managed) {
			this.hub.send({ op: "release", ref: this.ref, requeue: true });
			return this.#wait();
		}
		this.unlock?.();
		this.local = this.unlock = null;
		return this.ask();
	}

	/** @param {any} m a message of the broker about this claim */
	hear(m) {
		if (m.type === "queued" && this.state === "waiting")
			this.#queued(m);
		else if (m.type === "granted")
			this.granted(m);
		else if (m.type === "yield")
			this.asked(m);
		else if (m.type === "denied" && m.code === "busy" && this.o.ifAvailable)
			this.#none();
		else if (m.type === "denied")
			this.fail(deniedError(m));
		else if (m.type === "released" && this.state === "ended")
			this.settle();
		else if (m.type === "released" || m.type === "revoked" || m.type === "timeout" || m.type === "lost")
			this.fail(endError(m), m.type === "revoked");
	}

	/** @param {any} m */
	#queued(m) {
		this.id = String(m.lease);
		/** @type {QueueInfo} */
		const q = { key: this.o.key ?? null, lease: this.id, position: m.position ?? 0,
			ahead: m.ahead ?? [], etaS: m.eta_s ?? null, boundS: m.bound_s ?? null, why: m.why ?? null };
		this.o.onQueue?.(q);
		this.hub.emit("queue", q);
	}

	/** @param {{lease?: number, fence?: number, gpu?: string}|null} m null: by a fallback */
	granted(m) {
		if (this.state === "ended")
			return;
		const again = this.state === "held";
		this.state = "held";
		this.managed = m !== null;
		this.id = m ? String(m.lease) : `local-${this.ref}`;
		this.fence = m ? BigInt(m.fence ?? 0) : 0n;
		this.gpu = m?.gpu ?? null;
		clearTimeout(this.#timer);
		this.o.signal?.removeEventListener("abort", this.#left);
		this.lease ??= new Lease(this);
		if (!again)
			this.#resolve(this.lease);
	}

	/** Somebody needs the GPU. @param {any} m */
	asked(m) {
		if (this.state !== "held" || !this.lease)
			return;
		if (this.stepMs)
			this.say({ type: "yielding", need_ms: Math.round(this.stepMs) });
		this.lease.please(new BrokerError("REVOKED",
			`Asked to give way (${m.reason}): release, or call yieldIfNeeded().`, m));
		this.hub.emit("yield",
			{ lease: this.lease, reason: m.reason, graceMs: m.grace_ms, for: m.for ?? null });
	}

	#none() {
		this.#forget();
		this.#resolve(null);
	}

	/** A fallback found the GPU taken. */
	none() {
		this.#none();
	}

	#forget() {
		this.#quiet();
		this.hub.forget(this);
	}

	#quiet() {
		this.state = "ended";
		clearTimeout(this.#timer);
		this.o.signal?.removeEventListener("abort", this.#left);
		this.local?.abort();
		this.unlock?.();
	}

	/**
	 * The end that the page did not choose.
	 * @param {any} error
	 * @param {boolean} [confirm] the broker waits for a word that the GPU is no longer used
	 */
	async fail(error, confirm = true) {
		if (this.state === "ended")
			return;
		this.taken = true;
		this.#forget();
		this.#reject(error);
		if (this.lease) {
			const done = this.lease.over(error, true);
			this.hub.emit("ended", { lease: this.lease, error });
			await done;
		}
		if (confirm)
			this.hub.send({ op: "release", ref: this.ref });
	}

	/** The page's own release; resolves when the broker knows, or cannot be told now. */
	async release() {
		if (this.state === "ended")
			return;
		const error = new BrokerError("RELEASED", "The page released this lease.");
		this.#quiet();
		this.#reject(error);
		await this.lease?.over(error, false);
		this.hub.emit("ended", { lease: this.lease, error });
		this.hub.send({ op: "release", ref: this.ref });
		if (this.managed && this.hub.open())
			await new Promise((resolve) => this.#freed = resolve);
		this.hub.forget(this);
	}

	/** The broker knows of the release, or is gone. */
	settle() {
		this.#freed(null);
	}

	/** @param {any} msg */
	say(msg) {
		if (this.managed)
			this.hub.send({ op: "say", ref: this.ref, msg });
	}
}
