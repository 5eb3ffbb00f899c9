// @ts-check
// The Worker's half of an engine: takes calls from engine.js by message, runs them on a library's
// adapter, and answers. Knows no library. Used by transformers_worker.js and webllm_worker.js.
//
// In:  {type: "start", spec, limits, device} once, then {type: "call", id, name, args} and
//      {type: "abort", id}
// Out: {type: "event", id, value} during a call, {type: "done", id, value},
//      {type: "failed", id, code, message}, and {type: "lost", message} when the GPU is gone
import { EngineError, explain } from "./errors.js";
import { watchFetches } from "./fetch_watch.js";
import { watchGpu } from "./gpu_watch.js";

/**
 * What one answer may take.
 * @typedef {{contextTokens: number, newTokens: number, bufferBytes: number}} Limits
 *
 * @typedef {object} Start
 * @property {import("./catalog.js").ModelSpec} spec
 * @property {Limits} limits
 * @property {"webgpu"|"wasm"} device
 *
 * @typedef {{role: string, content: string}} Message
 *
 * @typedef {object} CallContext
 * @property {AbortSignal} signal
 * @property {(value: unknown) => void} emit
 *
 * @typedef {{type: "event"|"done", id: number, value: unknown}
 *   | {type: "failed", id: number, code: import("./errors.js").EngineErrorCode, message: string}
 *   | {type: "lost", message: string}} Reply
 *
 * @typedef {object} Adapter A library behind the calls that an engine has.
 * @property {() => Promise<string[]>} [files] the names of what it will load, where it can tell
 * @property {(context: CallContext) => Promise<void>} load
 * @property {(context: CallContext, messages: Message[], maxTokens: number) =>
 *     Promise<{text: string, tokens: number, tokensPerSecond: number}>} chat
 * @property {(context: CallContext, samples: Float32Array) => Promise<{text: string}>} transcribe
 * @property {() => Promise<void>} unload
 */

/** @returns {number} the bytes of this Worker's JavaScript, 0 where the browser does not tell */
function jsBytes() {
	const { memory } = /** @type {{memory?: {usedJSHeapSize?: number}}} */ (performance);
	return memory?.usedJSHeapSize ?? 0;
}

/**
 * @param {(start: Start) => Promise<Adapter>} makeAdapter
 */
export function serveEngine(makeAdapter) {
	const lastFetch = watchFetches();
	/** @type {Map<number, AbortController>} */
	const running = new Map();
	/** @type {Promise<Adapter> | undefined} */
	let adapter;
	/** @type {import("./gpu_watch.js").GpuWatch | undefined} */
	let gpu;
	let model = "";

	/** @param {Start} start */
	const begin = (start) => {
		model = start.spec.name;
		const onLost = (/** @type {string} */ message) => postMessage({ type: "lost", message });
		gpu = watchGpu({ bufferBytes: start.limits.bufferBytes, onLost });
		adapter =
			start.device === "webgpu" && !("gpu" in navigator)
				? Promise.reject(
						new EngineError(
							"NO_WEBGPU",
							explain(new Error("GPU adapter"), { model }).message,
						),
					)
				: makeAdapter(start);
		adapter.catch(() => {}); // the first call reports it
	};

	/** @param {string} name @param {unknown[]} args @param {CallContext} context */
	const perform = async (name, args, context) => {
		if (name === "memory") return { vramBytes: gpu?.bytes() ?? 0, jsBytes: jsBytes() };
		const library = await /** @type {Promise<Adapter>} */ (adapter);
		if (name === "unload") gpu?.quiet();
		const method = /** @type {(...all: unknown[]) => Promise<unknown>} */ (
			/** @type {unknown} */ (library[/** @type {keyof Adapter} */ (name)])
		);
		return method.call(library, context, ...args);
	};

	/** @param {number} id @param {string} name @param {unknown[]} args */
	const answer = async (id, name, args) => {
		const controller = new AbortController();
		running.set(id, controller);
		/** @type {CallContext} */
		const context = {
			signal: controller.signal,
			emit: (value) => postMessage({ type: "event", id, value }),
		};
		try {
			postMessage({ type: "done", id, value: await perform(name, args, context) });
		} catch (error) {
			const stopped = controller.signal.aborted;
			const cause = stopped ? new EngineError("ABORTED", "Stopped.") : error;
			const { code, message } = explain(cause, { model, ...lastFetch() });
			postMessage({ type: "failed", id, code, message });
		} finally {
			running.delete(id);
		}
	};

	addEventListener("message", ({ data }) => {
		if (data.type === "start") begin(data);
		else if (data.type === "abort") running.get(data.id)?.abort();
		else if (data.type === "call") void answer(data.id, data.name, data.args);
	});
}
