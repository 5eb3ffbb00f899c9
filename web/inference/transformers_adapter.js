// @ts-check
// transformers.js behind the calls of an engine: configures the library for a daemon that serves
// everything itself, loads one pipeline, streams answers word by word. Gets the library as an
// argument, so that it runs in tests too. Used by transformers_worker.js.
import { EngineError } from "./errors.js";
import { isThere } from "./fetch_watch.js";

/**
 * What is used of the library.
 * @typedef {object} Library
 * @property {{logLevel: number, allowLocalModels: boolean, allowRemoteModels: boolean,
 *     localModelPath: string, useBrowserCache: boolean, useWasmCache: boolean, remoteHost: string,
 *     remotePathTemplate: string,
 *     backends: {onnx: {wasm: {wasmPaths: object, numThreads: number}}}}} env
 * @property {new () => object} BaseStreamer
 * @property {new () => {interrupt(): void}} InterruptableStoppingCriteria
 * @property {{get_pipeline_files(task: string, name: string, options: object): Promise<string[]>}
 *     } ModelRegistry
 * @property {(task: string, name: string, options: object) => Promise<Pipeline>} pipeline
 *
 * @typedef {((samples: Float32Array, options: object) => Promise<{text: string}>) & {
 *     tokenizer: Tokenizer, model: {generate(options: object): Promise<unknown>},
 *     dispose(): Promise<unknown>}} Pipeline
 * @typedef {((text: string, options: object) => {input_ids: {dims: number[],
 *     data: ArrayLike<bigint>}}) & {chat_template?: unknown,
 *     apply_chat_template(messages: object[], options: object): string,
 *     decode(ids: number[], options: object): string}} Tokenizer
 * @typedef {{status: string, loaded?: number, total?: number}} LoadStatus
 */

const VENDOR = "/vendor/ort-wasm-simd-threaded.asyncify";
const LOG_LEVEL_ERROR = 40;
/** Stands for the model where its whole address is the host's. */
const REMOTE_NAME = "model";

/** The library answers everything from here: no request but for the model's files leaves the page.
 * @param {Library["env"]} env the library's settings
 * @param {import("./catalog.js").ModelSpec} spec
 * @returns {string} the name under which the library finds the model */
export function configure(env, spec) {
	env.logLevel = LOG_LEVEL_ERROR;
	env.allowLocalModels = spec.url === undefined;
	env.allowRemoteModels = spec.url !== undefined;
	env.localModelPath = "/models/";
	// The daemon's files change with it; the browser's HTTP cache knows when. Others' are kept.
	env.useBrowserCache = spec.url !== undefined;
	// Otherwise the library makes a blob: module of onnxruntime, which the page's policy refuses.
	env.useWasmCache = false;
	env.backends.onnx.wasm.wasmPaths = { mjs: `${VENDOR}.mjs`, wasm: `${VENDOR}.wasm` };
	env.backends.onnx.wasm.numThreads = globalThis.crossOriginIsolated ? 0 : 1;
	if (spec.url === undefined) return String(spec.path);
	env.remoteHost = spec.url.endsWith("/") ? spec.url : `${spec.url}/`;
	env.remotePathTemplate = /\/resolve\/[^/]+\/?$/.test(spec.url) ? "" : "resolve/{revision}/";
	return REMOTE_NAME;
}

/** The progress that all files make together. @param {LoadStatus} status */
function progressOf(status) {
	if (status.status !== "progress_total") return null;
	const { loaded = 0, total = 0 } = status;
	return { text: "Loading the model", loaded, total, fraction: total > 0 ? loaded / total : 0 };
}

/**
 * The question as the model reads it. A conversation that ends with the assistant's words is gone
 * on with: they stand at its end, and the model continues them.
 * @param {Tokenizer} tokenizer
 * @param {import("./worker_side.js").Message[]} messages
 * @returns {{prompt: string, begun: string}}
 */
export function promptOf(tokenizer, messages) {
	const last = messages[messages.length - 1];
	const begun = last?.role === "assistant" ? last.content : "";
	const asked = begun === "" ? messages : messages.slice(0, -1);
	const prompt = tokenizer.chat_template
		? tokenizer.apply_chat_template(asked, { tokenize: false, add_generation_prompt: true })
		: `${asked.map(({ role, content }) => `${role}: ${content}`).join("\n")}\nassistant: `;
	return { prompt: prompt + begun, begun };
}

/**
 * Leaves out the oldest turns of a conversation until it fits.
 * @param {Tokenizer} tokenizer
 * @param {import("./worker_side.js").Message[]} messages
 * @param {number} tokensMax
 */
export function fit(tokenizer, messages, tokensMax) {
	const kept = [...messages];
	for (;;) {
		const { prompt, begun } = promptOf(tokenizer, kept);
		const inputs = tokenizer(prompt, { add_special_tokens: false });
		const length = inputs.input_ids.dims.at(-1) ?? 0;
		const oldest = kept.findIndex(({ role }) => role !== "system");
		if (length <= tokensMax || kept.length - oldest <= (begun === "" ? 1 : 2)) {
			return { inputs, begun };
		}
		kept.splice(oldest, 1);
	}
}

/**
 * Turns tokens into text as they come. The text begins with the words that are gone on with: some
 * tokenizers only put blanks between words that they decode together.
 * @param {Library} library @param {Tokenizer} tokenizer @param {string} begun
 * @param {(full: string) => void} onText
 */
function textStreamer(library, tokenizer, begun, onText) {
	const ids =
		begun === ""
			? []
			: Array.from(tokenizer(begun, { add_special_tokens: false }).input_ids.data, Number);
	const decode = () => tokenizer.decode(ids, { skip_special_tokens: true });
	const start = begun === "" ? "" : decode();
	const state = { tokens: 0, firstAt: 0, text: begun };
	let isPrompt = true;
	const streamer = new (class extends library.BaseStreamer {
		/** @param {bigint[][]} value */
		put(value) {
			if (isPrompt) {
				isPrompt = false;
				return;
			}
			ids.push(...value[0].map(Number));
			state.tokens++;
			state.firstAt ||= performance.now();
			const full = decode();
			// A character may need several tokens; until the last one it shows as a question
			// mark.
			if (full.endsWith("\uFFFD")) return;
			state.text = full.startsWith(start) ? begun + full.slice(start.length) : full;
			onText(state.text);
		}

		end() {}
	})();
	return { streamer, state };
}

/**
 * @param {Library} library the module of transformers.js
 * @param {import("./worker_side.js").Start} start
 * @returns {import("./worker_side.js").Adapter}
 */
export function transformersAdapter(library, { spec, limits, device }) {
	const name = configure(library.env, spec);
	/** Before `load` there is none, and nothing is asked of it. @type {Pipeline} */
	let pipe;

	const task = spec.task === "chat" ? "text-generation" : "automatic-speech-recognition";
	const dtype = spec.dtype ?? "q4";

	/** The library does not name the tokenizer that it loads with a model that hears. */
	async function files() {
		const named = await library.ModelRegistry.get_pipeline_files(task, name, { device, dtype });
		return [...new Set([...named, "tokenizer.json", "tokenizer_config.json"])];
	}

	/** @param {import("./worker_side.js").CallContext} context */
	async function load({ signal, emit }) {
		if (spec.path !== undefined && !(await isThere(`/models/${spec.path}/config.json`))) {
			throw new EngineError(
				"MODEL_MISSING",
				`A file of the model "${spec.name}" is missing: `
					+ `/models/${spec.path}/config.json. Check the model's folder, or choose another.`,
			);
		}
		pipe = await library.pipeline(task, name, {
			device,
			dtype,
			progress_callback: (/** @type {LoadStatus} */ status) => {
				const progress = progressOf(status);
				if (progress) emit(progress);
			},
		});
		signal.throwIfAborted();
	}

	/** @type {import("./worker_side.js").Adapter["chat"]} */
	async function chat({ signal, emit }, messages, maxTokens) {
		const { tokenizer, model } = pipe;
		const newTokens = Math.min(maxTokens, limits.newTokens);
		const { inputs, begun } = fit(tokenizer, messages, limits.contextTokens - newTokens);
		const stop = new library.InterruptableStoppingCriteria();
		const onAbort = () => stop.interrupt();
		signal.addEventListener("abort", onAbort, { once: true });
		const { streamer, state } = textStreamer(library, tokenizer, begun, emit);
		try {
			await model.generate({
				...inputs,
				max_new_tokens: newTokens,
				streamer,
				stopping_criteria: stop,
			});
		} finally {
			signal.removeEventListener("abort", onAbort);
		}
		signal.throwIfAborted();
		const seconds = (performance.now() - state.firstAt) / 1000;
		const tokensPerSecond = state.tokens > 1 ? (state.tokens - 1) / seconds : 0;
		return { text: state.text, tokens: state.tokens, tokensPerSecond };
	}

	return {
		files,
		load,
		chat,
		async transcribe({ signal }, samples) {
			const { text } = await pipe(samples, { chunk_length_s: 30 });
			signal.throwIfAborted();
			return { text: text.trim() };
		},
		async unload() {
			await pipe?.dispose();
		},
	};
}
