// lease: what a page holds. `signal` means over, `yieldSignal` means please.
// @ts-check
import { openDevice } from "./webgpu.js";

/** @import { Claim } from "./claim.js" */
/** @import { DeviceOptions, Guarded } from "./types.js" */

/** @param {any} x */
const kill = async (x) => x.destroy ? x.destroy() : x.terminate();

export class Lease {
	/** @type {Claim} */ #claim;
	#over = new AbortController();
	#please = new AbortController();
	/** @type {Map<any, boolean>} */ #guards = new Map();

	/** @internal @param {Claim} claim */
	constructor(claim) {
		this.#claim = claim;
	}

	get id() {
		return this.#claim.id;
	}

	/** Rises with every grant, for ever. */
	get fence() {
		return this.#claim.fence;
	}

	get gpu() {
		return this.#claim.gpu;
	}

	/** False: a fallback's. */
	get managed() {
		return this.#claim.managed;
	}

	get vramBytes() {
		return this.#claim.o.vramBytes ?? 0;
	}

	get signal() {
		return this.#over.signal;
	}

	/** A new one after each turn. */
	get yieldSignal() {
		return this.#please.signal;
	}

	/**
	 * Gives way if asked, and resolves to true with the next turn; else to false.
	 * @param {{graceMs?: number}} [o] what the next step takes at most
	 */
	async yieldIfNeeded({ graceMs = 0 } = {}) {
		this.signal.throwIfAborted();
		this.#claim.stepMs = graceMs;
		if (!this.yieldSignal.aborted)
			return false;
		await this.#claim.comeBack();
		this.#please = new AbortController();
		return true;
	}

	/**
	 * Ends `x` when the lease is taken; a release of your own leaves it.
	 * @template {Guarded} T
	 * @param {T} x
	 */
	guard(x) {
		return this.own(x, false);
	}

	/**
	 * @internal
	 * @template {Guarded} T
	 * @param {T} x
	 * @param {boolean} always
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

	/** Clamped; destroyed with the lease. @param {DeviceOptions} [o] */
	async requestDevice(o = {}) {
		this.signal.throwIfAborted();
		return openDevice(o, (device) => this.own(device, true), this.#claim.hub.about);
	}

	/** @param {{vramBytes?: number, model?: string, progress?: number}} u `progress`: 0 to 1 */
	report({ progress = 0, ...u }) {
		this.#claim.say({ type: "renew", progress: Math.min(1, Math.max(0, +progress || 0)) });
		this.#claim.hub.about(u);
	}

	/** May be called again, and after the end. */
	release() {
		return this.#claim.release();
	}

	[Symbol.asyncDispose ?? Symbol.for("asyncDispose")]() {
		return this.release();
	}

	/** @internal @param {any} error */
	please(error) {
		this.#please.abort(error);
	}

	/** @internal @type {(error: any, taken: boolean) => Promise<void>} */
	async over(error, taken) {
		this.#over.abort(error);
		this.#please.abort(error);
		const doomed = [...this.#guards].filter(([, always]) => taken || always);
		this.#guards.clear();
		await Promise.allSettled(doomed.map(([x]) => kill(x)));
	}

	/**
	 * @internal
	 * @template T
	 * @param {(lease: Lease) => Promise<T>|T} fn
	 * @returns {Promise<T>}
	 */
	during(fn) {
		return new Promise((resolve, reject) => {
			const settle = (/** @type {() => void} */ then) =>
				this.#claim.taken ? reject(this.signal.reason) : then();
			this.signal.addEventListener("abort", () => setTimeout(settle, 1000, () => {}));
			(async () => fn(this))().then((value) => settle(() => resolve(value)),
				(error) => settle(() => reject(error)));
		});
	}
}
