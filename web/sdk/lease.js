// lease: what a page holds. Two signals: `signal` means over, `yieldSignal` means please. Talks to
// the broker only through its Claim (claim.js).
// @ts-check
import { BrokerError } from "./errors.js";
import { openDevice } from "./webgpu.js";

/** @typedef {import("./claim.js").Claim} Claim */
/** @typedef {{destroy(): unknown}|{terminate(): unknown}} Guarded */

/** One hold of a GPU, from the grant to its end. */
export class Lease {
	/** @type {Claim} */ #claim;
	#over = new AbortController();
	#please = new AbortController();
	/** @type {Map<any, boolean>} */ #guards = new Map();

	/**
	 * @internal
	 * @param {Claim} claim
	 */
	constructor(claim) {
		this.#claim = claim;
	}

	/** The broker's number of this lease, as in its status. */
	get id() {
		return this.#claim.id;
	}

	/** Rises with every grant, for ever: whoever stores results can refuse a lower one. */
	get fence() {
		return this.#claim.fence;
	}

	/** The name of the GPU. @returns {string|null} */
	get gpu() {
		return this.#claim.gpu;
	}

	/** False under a fallback: no broker knows of this lease. */
	get managed() {
		return this.#claim.managed;
	}

	/** VRAM that was asked for. */
	get vramBytes() {
		return this.#claim.o.vramBytes ?? 0;
	}

	/** Aborts when the lease is over, for whatever reason; `reason` is a BrokerError. */
	get signal() {
		return this.#over.signal;
	}

	/** Aborts when somebody else needs the GPU; a new one after each yieldIfNeeded() that gave way. */
	get yieldSignal() {
		return this.#please.signal;
	}

	/**
	 * Gives way if asked to, waits for the next turn, and resolves to true then; false at once if
	 * nobody asked. Call it between steps; `graceMs`: how long the step that follows takes at most.
	 * @param {{graceMs?: number}} [o]
	 * @returns {Promise<boolean>}
	 */
	async yieldIfNeeded({ graceMs } = {}) {
		this.signal.throwIfAborted();
		this.#claim.stepMs = graceMs ?? 0;
		if (!this.#please.signal.aborted)
			return false;
		await this.#claim.comeBack();
		this.#please = new AbortController();
		return true;
	}

	/**
	 * Destroys or terminates `x` when the lease is taken away. A release of your own leaves it:
	 * a loaded model outlives its turn.
	 * @template {Guarded} T
	 * @param {T} x
	 * @returns {T}
	 */
	guard(x) {
		return this.own(x, false);
	}

	/**
	 * @internal
	 * @template {Guarded} T
	 * @param {T} x
	 * @param {boolean} always also when the page itself releases
	 * @returns {T}
	 */
	own(x, always) {
		if (this.signal.aborted) {
			kill(x);
			throw this.signal.reason;
		}
		this.#guards.set(x, always);
		return x;
	}

	/**
	 * A device of a fresh adapter, limits clamped; destroyed with the lease.
	 * @param {import("./webgpu.js").DeviceOptions} [o]
	 */
	async requestDevice(o) {
		this.signal.throwIfAborted();
		return openDevice(o ?? {}, (device) => this.own(device, true),
			(fields) => this.#claim.hub.about(fields));
	}

	/**
	 * Tells people, and the broker, that work goes on. `progress` is 0 to 1.
	 * @param {{vramBytes?: number, model?: string, progress?: number}} u
	 */
	report({ vramBytes, model, progress }) {
		const at = Number.isFinite(progress) ? { progress: Math.min(1, Math.max(0, progress ?? 0)) } : {};
		this.#claim.say({ type: "renew", ...at });
		this.#claim.hub.about({ vramBytes, model });
	}

	/** Gives the GPU back; resolves when the broker knows. May be called again, and after the end. */
	release() {
		return this.#claim.release();
	}

	[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
		return this.release();
	}

	/** @internal @param {BrokerError} error */
	please(error) {
		this.#please.abort(error);
	}

	/**
	 * The order of an end: the signal, then what is guarded; the caller confirms to the broker.
	 * @internal
	 * @param {BrokerError} error
	 * @param {boolean} taken not by the page's own release
	 */
	async over(error, taken) {
		this.#over.abort(error);
		this.#please.abort(error);
		const doomed = [...this.#guards].filter(([, always]) => taken || always);
		this.#guards.clear();
		await Promise.allSettled(doomed.map(([x]) => kill(x)));
	}

	/**
	 * Runs `fn` and fails with the lease's error if it was taken away meanwhile: once `fn` has
	 * settled, or after a second.
	 * @internal
	 * @template T
	 * @param {(lease: Lease) => Promise<T>|T} fn
	 * @returns {Promise<T>}
	 */
	during(fn) {
		const work = (async () => fn(this))();
		return new Promise((resolve, reject) => {
			const lost = () => reject(this.signal.reason);
			const settle = (/** @type {() => void} */ then) =>
				this.#claim.taken ? lost() : then();
			work.then((value) => settle(() => resolve(value)), (error) => settle(() => reject(error)));
			this.signal.addEventListener("abort", () => this.#claim.taken && setTimeout(lost, 1000));
		});
	}
}

/** @param {any} x */
async function kill(x) {
	return x.destroy ? x.destroy() : x.terminate();
}
