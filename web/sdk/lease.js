// @ts-check
// lease: what a page holds. `signal` means over, `yieldSignal` means please.
import { BrokerError, report } from "./errors.js";
import { detect } from "./webgpu.js";

/** @import { Claim } from "./claim.js" */
/** @import { DeviceOptions, Guarded, Task } from "./types.js" */

/** What was ended with a lease. */
const dead = new WeakSet();

/** By what it can be ended. @param {any} guarded any: it is what is found out */
const endOf = (guarded) =>
	["destroy", "terminate"].find((name) => typeof guarded?.[name] === "function");

/** @param {any} guarded any: it has what was found */
const kill = async (guarded) => {
	dead.add(guarded);
	return guarded[endOf(guarded) ?? ""]();
};

/** Whoever looks at `signal` after a stand-still of the thread sees what became of the lease.
 * @type {(signal: AbortSignal, judge: () => void) => void} */
function judged(signal, judge) {
	for (const name of /** @type {const} */ (["aborted", "reason"]))
		Object.defineProperty(signal, name, {
			get() {
				judge();
				return Reflect.get(AbortSignal.prototype, name, signal);
			},
		});
	signal.throwIfAborted = () => {
		if (signal.aborted) throw signal.reason;
	};
}

export class Lease {
	/** @type {Claim} */ #claim;
	#over = new AbortController();
	#please = new AbortController();
	/** @type {Map<Guarded, boolean>} */ #guards = new Map();

	/** @param {Claim} claim */
	constructor(claim) {
		this.#claim = claim;
		judged(this.#over.signal, () => claim.context.judge());
	}

	get id() {
		return this.#claim.id;
	}

	get fence() {
		return BigInt(this.#claim.grant.fence ?? 0);
	}

	get gpu() {
		return this.#claim.grant.gpu ?? null;
	}

	get managed() {
		return this.#claim.managed;
	}

	get vramBytes() {
		return this.#claim.options.vramBytes ?? 0;
	}

	get signal() {
		return this.#over.signal;
	}

	get yieldSignal() {
		return this.#please.signal;
	}

	/** Also for a thread that stood still, and has not heard yet what happened meanwhile. */
	async stillMine() {
		await this.#heard();
		this.signal.throwIfAborted();
		return this;
	}

	/** @param {boolean} [all] also what was said a moment ago */
	async #heard(all = false) {
		if (this.managed && !this.signal.aborted) await this.#claim.context.sure(all);
	}

	/** Gives way if asked, and resolves to true with the next turn.
	 * @param {{graceMs?: number}} [o] what the next step takes */
	async yieldIfNeeded({ graceMs = 0 } = {}) {
		await this.stillMine();
		this.#claim.stepMs = graceMs;
		if (!this.yieldSignal.aborted) return false;
		await this.#claim.comeBack();
		return true;
	}

	/** Ends what it is given when the lease is taken; `always`: also at a release of your own.
	 * @type {<T extends Guarded>(x: T, always?: boolean) => T} */
	guard(guarded, always = false) {
		if (!endOf(guarded))
			throw new TypeError("guard() takes what has destroy() or terminate(), no promise.");
		if (this.signal.aborted) {
			kill(guarded);
			throw this.signal.reason;
		}
		if (dead.has(guarded))
			throw new BrokerError("CLOSED", "An earlier lease ended this; make a new one.");
		this.#guards.set(guarded, always);
		return guarded;
	}

	/** @param {DeviceOptions} [options] */
	async requestDevice(options) {
		await this.stillMine();
		const { adapter, info, descriptor, clamped, software } = await detect(options);
		const device = this.guard(
			await adapter.requestDevice(descriptor).catch((error) => {
				throw new BrokerError("LIMITS", `The GPU gave no device: ${error.message}`, error);
			}),
			true,
		);
		const lost = await Promise.race([device.lost, null]);
		if (lost)
			throw new BrokerError(
				"DEVICE_LOST",
				`Lost the GPU (${lost.message}); try again.`,
				lost,
			);
		this.#claim.context.about({
			clamped,
			adapter: info.vendor + " " + info.architecture + (software ? " (software)" : ""),
		});
		return device;
	}

	/** @param {{vramBytes?: number, model?: string, progress?: number}} u */
	report({ progress = 0, ...fields }) {
		this.#claim.say({ type: "renew", progress: Math.min(1, Math.max(0, +progress || 0)) });
		this.#claim.context.about(fields);
	}

	/** What a request with `loads` brings in is there: the turn begins now. */
	ready() {
		this.#claim.isReady = true;
		this.#claim.say({ type: "ready" });
	}

	release() {
		return this.#claim.release();
	}

	[Symbol.asyncDispose ?? "asyncDispose"]() {
		return this.release();
	}

	/** @param {BrokerError} error */
	please(error) {
		this.#please.abort(error);
	}

	/** Nobody needs it any more. True if it had been asked for. */
	kept() {
		const asked = this.yieldSignal.aborted;
		if (asked) this.#please = new AbortController();
		return asked;
	}

	/** @type {(error: unknown, taken: boolean) => Promise<void>} */
	async over(error, taken) {
		this.#over.abort(error);
		this.#please.abort(error);
		const doomed = [...this.#guards].filter(([, always]) => taken || always);
		this.#guards.clear();
		await Promise.all(doomed.map(([guarded]) => kill(guarded).catch(report)));
	}

	/** @type {<T>(fn: Task<T>) => Promise<T>} */
	async during(task) {
		/** @type {Promise<never>} */
		const late = new Promise((resolve) =>
			this.signal.addEventListener(
				"abort",
				() => this.#claim.taken && setTimeout(resolve, 1000),
			),
		);
		try {
			return await Promise.race([task(this), late]);
		} finally {
			await this.#heard(true);
			if (this.#claim.taken) this.signal.throwIfAborted();
		}
	}
}
