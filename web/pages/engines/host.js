// @ts-check
// Ties a model to the broker, so that a page says only "I want a turn": GPU memory first, then
// the turn to compute, and the model loaded under a lease that nobody shares. Never holds a turn
// while it waits for memory, so two pages cannot wait for each other. Knows no library (engine.js
// does) and shows nothing. Used by Root Console, Root Mic and Root Dreamer.
import { createEngine, EngineError } from "./engine.js";
import { cpuLease } from "./cpu_lease.js";

/**
 * @typedef {import("./engine.js").Engine} Engine
 * @typedef {import("./engine.js").Progress} Progress
 * @typedef {import("/sdk/lease.js").Lease} Lease
 * @typedef {import("/sdk/broker.js").Broker} Broker
 * @typedef {Awaited<ReturnType<Broker["reside"]>>} Residence
 * @typedef {"voice"|"chat"|"normal"|"background"} ClassName
 * @typedef {"empty"|"waiting"|"loading"|"ready"|"busy"} HostState
 *
 * @typedef {object} HostOptions
 * @property {Broker} broker
 * @property {import("./catalog.js").ModelSpec} spec
 * @property {import("./profiles.js").ProfileName} [profile]
 * @property {ClassName} [class]
 * @property {"webgpu"|"wasm"} [device] wasm computes on the CPU and asks nobody
 *
 * @typedef {object} TurnOptions
 * @property {string} [key] a name within the tab: a reload takes up the wait for memory by it
 * @property {string} [class] a ClassName
 * @property {AbortSignal} [signal] leaves the queue; during the turn `fn` must heed it
 * @property {number} [graceMs] how long `fn` may take to end once asked to give way
 * @property {(queued: any) => void} [onQueue]
 * @property {(progress: Progress) => void} [onProgress]
 */

const MIB = 1024 * 1024;
/** Says that the model was gone when the turn came: all begins again. */
const GONE = Symbol("gone");

/** Fires "state" when `state` changed. */
export class ModelHost extends EventTarget {
	/** @type {Engine | null} */ #engine = null;
	/** @type {Residence | null} */ #residence = null;
	/** @type {HostState} */ #state = "empty";
	/** One Worker does one thing at a time: turns of one host follow each other. */
	#turns = /** @type {Promise<unknown>} */ (Promise.resolve());
	/** Pending while the GPU computes for this host. @type {Promise<void> | null} */
	#computing = null;
	#rest = () => {};
	#loadMs = 0;

	/** @param {HostOptions} options */
	constructor(options) {
		super();
		this.broker = options.broker;
		this.spec = options.spec;
		this.profile = options.profile ?? "lite";
		this.class = options.class ?? "normal";
		this.device = options.device ?? "webgpu";
	}

	get state() {
		return this.#state;
	}

	/**
	 * Runs `fn` with the model loaded and the GPU granted. Rejects with the lease's BrokerError if
	 * the GPU was taken away meanwhile; the next turn loads the model again.
	 * @template T
	 * @param {TurnOptions} o
	 * @param {(engine: Engine, lease: Lease) => Promise<T>} fn
	 * @returns {Promise<T>}
	 */
	async turn(o, fn) {
		const before = this.#turns;
		const mine = (async () => {
			await orAborted(before.catch(() => {}), o.signal);
			return this.#perform(o, fn);
		})();
		this.#turns = mine.catch(() => before);
		return mine;
	}

	/** Ends the Worker and begins a new one with the next turn; the memory stays ours. */
	async recycle() {
		this.#drop(new EngineError("ABORTED", "Stopped: the model is loaded again."));
	}

	/** Lets go of the model and of its memory. */
	async unload() {
		const [engine, residence] = [this.#engine, this.#residence];
		this.#engine = null;
		this.#residence = null;
		this.#become("empty");
		await engine?.unload();
		await residence?.release();
	}

	/** @returns {Promise<{vramBytes: number, jsBytes: number}>} */
	async memory() {
		return this.#engine?.memory() ?? { vramBytes: 0, jsBytes: 0 };
	}

	/** @template T @param {TurnOptions} o @param {(engine: Engine, lease: Lease) => Promise<T>} fn
	 * @returns {Promise<T>} */
	async #perform(o, fn) {
		try {
			for (;;) {
				o.signal?.throwIfAborted();
				await this.#reside(o);
				if (!this.#engine?.alive && !(await this.#load(o))) continue;
				const outcome = await this.#compute(o, fn);
				if (outcome !== GONE) return outcome.value;
			}
		} finally {
			this.#become(this.#engine?.alive ? "ready" : "empty");
		}
	}

	/** Has the model's bytes in the ledger before anything else. @param {TurnOptions} o */
	async #reside(o) {
		if (this.device === "wasm") return;
		if (this.#residence && !this.#residence.signal.aborted) return;
		this.#become("waiting");
		const asked = this.broker.reside({
			model: this.spec.name,
			vramBytes: this.spec.vram_mb * MIB,
			class: this.#classOf(o),
			loadMs: this.#loadMs || undefined,
			evict: () => this.#evict(),
			// After a reload all begins with the memory, so only this place is worth taking up:
			// one that was kept for a turn would stand before it and in its way.
			key: o.key,
			signal: o.signal,
			onQueue: o.onQueue,
		});
		const residence = await orAborted(asked, o.signal, (late) => void late.release());
		this.#residence = residence;
		residence.signal.addEventListener("abort", () => {
			if (this.#residence !== residence) return;
			this.#residence = null;
			this.#drop(taken());
		});
	}

	/** Somebody needs the memory: at once if idle, else when this turn is over.
	 * While a turn gives way it does not compute, and the model goes. */
	async #evict() {
		await this.#computing;
		this.#residence = null;
		this.#drop(taken());
	}

	/** @param {TurnOptions} o @returns {Promise<boolean>} false if it must be begun again */
	async #load(o) {
		this.#become("waiting");
		const options = {
			class: this.#classOf(o),
			signal: o.signal,
			onQueue: o.onQueue,
		};
		/** @param {Lease} lease */
		const fill = async (lease) => {
			if (!this.#residence && this.device !== "wasm") return false;
			const engine = createEngine(this.spec, this);
			this.#engine = engine;
			engine.addEventListener("lost", () => this.#gone(engine));
			this.#become("loading");
			const begunAt = performance.now();
			await this.#computeUnder(lease, () => engine.load({
				signal: o.signal,
				onProgress: (progress) => {
					lease.report({ model: this.spec.name, progress: progress.fraction });
					o.onProgress?.(progress);
				},
			}));
			this.#loadMs = Math.round(performance.now() - begunAt);
			return true;
		};
		try {
			return this.device === "wasm" ? await fill(cpuLease())
				: await this.broker.load(this.spec.name, fill, options);
		} catch (error) {
			this.#drop(taken());
			const residence = this.#residence;
			this.#residence = null;
			await residence?.release();
			throw error;
		}
	}

	/** @template T @param {TurnOptions} o @param {(engine: Engine, lease: Lease) => Promise<T>} fn
	 * @returns {Promise<typeof GONE | {value: T}>} */
	async #compute(o, fn) {
		const options = {
			class: this.#classOf(o),
			signal: o.signal,
			onQueue: o.onQueue,
			model: this.spec.name,
			graceMs: o.graceMs,
		};
		/** @param {Lease} lease */
		const act = async (lease) => {
			const engine = this.#engine;
			if (!engine?.alive) return GONE;
			this.#become("busy");
			return { value: await this.#computeUnder(lease, () => fn(engine, lease)) };
		};
		this.#become("waiting");
		return this.device === "wasm" ? act(cpuLease()) : this.broker.run(options, act);
	}

	/** While `work` runs, a lease that is taken away ends the Worker, and a wish for the memory
	 * waits: unless the work gives way by itself.
	 * @template T @param {Lease} lease @param {() => Promise<T>} work @returns {Promise<T>} */
	async #computeUnder(lease, work) {
		const engine = this.#engine;
		let over = false;
		lease.guard({ terminate: () => over || this.#drop(taken()) });
		const giveWay = lease.yieldIfNeeded.bind(lease);
		lease.yieldIfNeeded = async (o) => {
			if (!lease.yieldSignal.aborted) return giveWay(o);
			this.#rest();
			this.#become("waiting");
			const changed = await giveWay(o);
			if (!engine?.alive) throw taken();
			this.#begin();
			this.#become("busy");
			return changed;
		};
		this.#begin();
		try {
			return await work();
		} finally {
			over = true;
			this.#rest();
		}
	}

	#begin() {
		this.#computing = new Promise((done) => {
			this.#rest = () => {
				this.#computing = null;
				done();
			};
		});
	}

	/** @param {EngineError} reason */
	#drop(reason) {
		const engine = this.#engine;
		this.#engine = null;
		engine?.terminate(reason);
		if (!this.#computing) this.#become("empty");
	}

	/** @param {Engine} engine */
	#gone(engine) {
		if (this.#engine === engine) this.#engine = null;
		if (!this.#computing) this.#become("empty");
	}

	/** @param {TurnOptions} o */
	#classOf(o) {
		return /** @type {ClassName} */ (o.class ?? this.class);
	}

	/** @param {HostState} state */
	#become(state) {
		if (state === this.#state) return;
		this.#state = state;
		this.dispatchEvent(new Event("state"));
	}
}

/** What a call of an engine fails with when its GPU went to somebody else. */
function taken() {
	return new EngineError("DEVICE_LOST",
		"The GPU was needed elsewhere and the model was unloaded. The next try loads it again.");
}

/**
 * The promise, or the signal's abort; what comes after that is handed to `late`.
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} [signal]
 * @param {(value: T) => void} [late]
 * @returns {Promise<T>}
 */
function orAborted(promise, signal, late) {
	if (!signal) return promise;
	return new Promise((resolve, reject) => {
		const onAbort = () => {
			reject(new EngineError("ABORTED", "Stopped."));
			if (late) promise.then(late, () => {});
		};
		if (signal.aborted) {
			onAbort();
			return;
		}
		signal.addEventListener("abort", onAbort, { once: true });
		promise.then(resolve, reject)
			.finally(() => signal.removeEventListener("abort", onAbort));
	});
}
