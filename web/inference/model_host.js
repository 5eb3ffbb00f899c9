// @ts-check
// A model of the catalog as a page uses it: "I want a turn". The SDK's model does what must be done
// before (files, memory, loading) and again after a loss; this says which files, which engine, and
// in which words. Knows no library (engine.js does) and shows nothing. Used by Root Console, Root
// Mic and Root Dreamer.
import { createEngine, EngineError } from "./engine.js";
import { fileProblem } from "./errors.js";

/**
 * @typedef {import("./engine.js").Engine} Engine
 * @typedef {import("/sdk/types.js").ModelProgress} Progress
 * @typedef {import("/sdk/lease.js").Lease} Lease
 * @typedef {import("/sdk/broker.js").Broker} Broker
 * @typedef {import("/sdk/types.js").ModelState} HostState
 * @typedef {"voice"|"chat"|"normal"|"background"} ClassName
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
 * @property {ClassName} [class]
 * @property {AbortSignal} [signal] leaves the queue; during the turn `fn` must heed it
 * @property {number} [graceMs] how long `fn` may take to end once asked to give way
 * @property {(queued: import("/sdk/types.js").QueueInfo) => void} [onQueue]
 * @property {(progress: Progress) => void} [onProgress]
 */

const MIB = 1024 * 1024;
const TAKEN =
	"The GPU was needed elsewhere and the model was unloaded. The next try loads it again.";

/** Fires "state" when `state` changed. */
export class ModelHost extends EventTarget {
	#model;

	/** @param {HostOptions} options */
	constructor({ broker, spec, profile = "lite", class: urgency = "normal", device = "webgpu" }) {
		super();
		this.spec = spec;
		this.profile = profile;
		this.device = device;
		this.#model = broker.model({
			name: spec.name,
			vramBytes: spec.vram_mb * MIB,
			class: urgency,
			cpu: device === "wasm",
			fetch:
				spec.url === undefined && spec.engine !== "webllm"
					? undefined
					: async ({ get }) =>
							(await import("./model_files.js")).filesOf(spec, this, get),
			load: (o) => this.#load(o),
			unload: (engine, reason) => endEngine(engine, reason),
			alive: (engine) => engine.alive,
			damaged: (error) => /** @type {{code?: string}} */ (error).code === "MODEL_CORRUPT",
		});
		this.#model.addEventListener("state", () => this.dispatchEvent(new Event("state")));
	}

	/** @returns {HostState} */
	get state() {
		return this.#model.state;
	}

	/**
	 * Runs `fn` with the model loaded and the GPU granted. Rejects with the lease's BrokerError if
	 * the GPU was taken away meanwhile; the next turn loads the model again.
	 * @template T
	 * @param {TurnOptions} o
	 * @param {(engine: Engine, lease: Lease) => Promise<T>} fn
	 * @returns {Promise<T>}
	 */
	turn(o, fn) {
		return this.#inOurWords(this.#model.run(o, fn), o.signal);
	}

	/** Brings its files into this browser, now.
	 * @param {TurnOptions} [o] @returns {Promise<void>} */
	fetch(o = {}) {
		return this.#inOurWords(this.#model.fetch(o), o.signal);
	}

	/** Deletes what this browser keeps of the model and fetches it again.
	 * @param {TurnOptions} [o] @returns {Promise<void>} */
	fetchAgain(o = {}) {
		return this.#inOurWords(this.#model.fetchAgain(o), o.signal);
	}

	/** Ends the Worker and begins a new one with the next turn; the memory stays ours. */
	async recycle() {
		await this.#model.drop(new EngineError("ABORTED", "Stopped: the model is loaded again."));
	}

	/** Lets go of the model and of its memory. */
	unload() {
		return this.#model.unload();
	}

	/** @returns {Promise<{vramBytes: number, jsBytes: number}>} */
	async memory() {
		return this.#model.engine?.memory() ?? { vramBytes: 0, jsBytes: 0 };
	}

	/** @param {Parameters<import("/sdk/types.js").ModelOptions<Engine>["load"]>[0]} o */
	async #load({ signal, lease, onProgress }) {
		const engine = createEngine(this.spec, this);
		engine.addEventListener("lost", () => void this.#model.drop());
		lease.guard(engine);
		try {
			await engine.load({ signal, onProgress });
			return engine;
		} catch (error) {
			engine.terminate();
			throw error;
		}
	}

	/** @template T @param {Promise<T>} turn @param {AbortSignal} [signal] @returns {Promise<T>} */
	async #inOurWords(turn, signal) {
		try {
			return await turn;
		} catch (error) {
			if (!signal?.aborted || error instanceof EngineError) {
				throw fileProblem(this.spec.name, error) ?? error;
			}
			throw new EngineError("ABORTED", "Stopped.");
		}
	}
}

/** @param {Engine} engine @param {unknown} reason */
function endEngine(engine, reason) {
	if (reason === null) return engine.unload();
	const error = reason instanceof EngineError ? reason : new EngineError("DEVICE_LOST", TAKEN);
	return engine.terminate(error);
}
