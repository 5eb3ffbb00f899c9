// @ts-check
// A model that a page can ask, whichever library runs it: load, chat, transcribe. Each engine is a
// Worker of its own, so that it can be ended at any moment; an ended one is never used again.
// Takes no lease: model_host.js does that. Used by model_host.js and, through it, by the pages.
import { EngineError, explain } from "./errors.js";
import { profiles } from "./profiles.js";

export { EngineError };

/**
 * @typedef {import("./catalog.js").ModelSpec} ModelSpec
 * @typedef {{text: string, loaded: number, total: number, fraction: number}} Progress
 * @typedef {{role: string, content: string}} Message
 * @typedef {{text: string, tokens: number, tokensPerSecond: number}} Answer
 *
 * @typedef {object} EngineOptions
 * @property {import("./profiles.js").ProfileName} [profile]
 * @property {"webgpu"|"wasm"} [device] wasm computes on the CPU (transformers.js only)
 */

/** An engine that was asked to stop and does not is ended: a step of a large model, or a library
 * that hangs. */
const STOP_MS_MAX = 5000;
const STUBBORN = "Stopped. The model did not stop by itself, so it is loaded again.";

/** @param {ModelSpec} spec @param {EngineOptions} [options] */
export function createEngine(spec, options = {}) {
	return new Engine(spec, options);
}

/** Fires "lost" when the browser lost the GPU; the engine is ended then. */
export class Engine extends EventTarget {
	#calls = /** @type {Map<number, Call>} */ (new Map());
	#last = 0;
	/** @type {EngineError | null} */
	#ended = null;
	#endWorker;

	/** @param {ModelSpec} spec @param {EngineOptions} options */
	constructor(spec, { profile = "lite", device = "webgpu" } = {}) {
		super();
		this.spec = spec;
		this.limits = profiles[profile];
		const file = spec.engine === "webllm" ? "webllm_worker.js" : "transformers_worker.js";
		const worker = new Worker(new URL(file, import.meta.url), {
			type: "module",
			name: spec.id,
		});
		this.worker = worker;
		// Whoever guards the Worker ends it by its own method; the engine must know.
		this.#endWorker = worker.terminate.bind(worker);
		worker.terminate = () => this.terminate();
		worker.onmessage = ({ data }) => this.#take(data);
		worker.onerror = () =>
			this.#end(
				new EngineError(
					"ENGINE",
					"The model's worker could not start. Load the page again.",
				),
			);
		const { contextTokens, newTokens, bufferBytes } = this.limits;
		const limits = { contextTokens, newTokens, bufferBytes };
		worker.postMessage({ type: "start", spec, limits, device });
	}

	/** Whether it can still be asked. */
	get alive() {
		return this.#ended === null;
	}

	/** @param {{signal?: AbortSignal, onProgress?: (progress: Progress) => void}} [o] */
	async load({ signal, onProgress } = {}) {
		await this.#call("load", [], signal, onProgress);
	}

	/** The names of the files that it will load. @returns {Promise<string[]>} */
	files() {
		return this.#call("files", []);
	}

	/**
	 * Messages that end with the assistant's words are gone on with: the answer begins with them.
	 * @param {Message[]} messages
	 * @param {{signal?: AbortSignal, onText?: (delta: string, full: string) => void,
	 *     maxTokens?: number}} [o]
	 * @returns {Promise<Answer>}
	 */
	chat(messages, { signal, onText, maxTokens = this.limits.newTokens } = {}) {
		const last = messages.at(-1);
		let before = last?.role === "assistant" ? last.content : "";
		const onEvent = (/** @type {string} */ full) => {
			onText?.(full.startsWith(before) ? full.slice(before.length) : full, full);
			before = full;
		};
		return this.#call("chat", [messages, maxTokens], signal, onEvent);
	}

	/**
	 * @param {Float32Array} samples 16 kHz, one channel
	 * @param {{signal?: AbortSignal}} [o]
	 * @returns {Promise<{text: string}>}
	 */
	transcribe(samples, { signal } = {}) {
		return this.#call("transcribe", [samples], signal);
	}

	/** @returns {Promise<{vramBytes: number, jsBytes: number}>} */
	async memory() {
		if (this.#ended) return { vramBytes: 0, jsBytes: 0 };
		return this.#call("memory", []);
	}

	/** Lets go of the model in good order, then ends the Worker. */
	async unload() {
		if (this.#ended) return;
		try {
			await this.#call("unload", [], AbortSignal.timeout(STOP_MS_MAX));
		} catch {
			// Ending the Worker frees the same memory.
		} finally {
			this.terminate();
		}
	}

	/** Ends the Worker at once; what it was doing fails with `reason`.
	 * @param {EngineError} [reason] */
	terminate(reason = new EngineError("ABORTED", "Stopped: the model was unloaded.")) {
		this.#end(reason);
	}

	/** @param {EngineError} reason */
	#end(reason) {
		if (this.#ended) return;
		this.#ended = reason;
		this.#endWorker();
		for (const call of this.#calls.values()) call.fail(reason);
		this.#calls.clear();
	}

	/**
	 * @template T, E
	 * @param {string} name @param {unknown[]} args
	 * @param {AbortSignal} [signal] @param {(value: E) => void} [onEvent]
	 * @returns {Promise<T>}
	 */
	#call(name, args, signal, onEvent) {
		if (this.#ended) return Promise.reject(this.#ended);
		if (signal?.aborted) return Promise.reject(new EngineError("ABORTED", "Stopped."));
		const id = ++this.#last;
		return new Promise((done, fail) => {
			/** @type {ReturnType<typeof setTimeout> | undefined} */
			let patience;
			const onAbort = () => {
				this.worker.postMessage({ type: "abort", id });
				patience = setTimeout(
					() => this.#end(new EngineError("ABORTED", STUBBORN)),
					STOP_MS_MAX,
				);
			};
			const settle = () => {
				clearTimeout(patience);
				signal?.removeEventListener("abort", onAbort);
				this.#calls.delete(id);
			};
			signal?.addEventListener("abort", onAbort, { once: true });
			this.#calls.set(id, {
				onEvent: (value) => onEvent?.(/** @type {E} */ (value)),
				done: (value) => {
					settle();
					done(/** @type {T} */ (value));
				},
				fail: (error) => {
					settle();
					fail(error);
				},
			});
			this.worker.postMessage({ type: "call", id, name, args });
		});
	}

	/** @param {import("./worker_side.js").Reply} data */
	#take(data) {
		if (data.type === "lost") {
			this.#end(explain(new Error("device lost"), { model: this.spec.name }));
			this.dispatchEvent(new Event("lost"));
			return;
		}
		const call = this.#calls.get(data.id);
		if (data.type === "event") call?.onEvent(data.value);
		else if (data.type === "done") call?.done(data.value);
		else if (data.type === "failed") call?.fail(new EngineError(data.code, data.message));
	}
}

/**
 * @typedef {object} Call
 * @property {(value: unknown) => void} onEvent
 * @property {(value: unknown) => void} done
 * @property {(error: EngineError) => void} fail
 */
