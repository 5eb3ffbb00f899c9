// @ts-check
// WebLLM behind the calls of an engine. Gets the library as an argument, so that its order of
// calls is tested against a stub: real models of its kind are too large for tests. Used by
// webllm_worker.js.
import { EngineError } from "./errors.js";
import { isThere } from "./fetch_watch.js";

/**
 * What is used of the library.
 * @typedef {{MLCEngine: new (options: object) => WebllmEngine}} Library
 * @typedef {object} WebllmEngine
 * @property {(id: string) => Promise<void>} reload
 * @property {() => Promise<void>} unload
 * @property {() => void} interruptGenerate
 * @property {{completions: {create(request: object): Promise<AsyncIterable<Chunk>>}}} chat
 * @typedef {{completion_tokens: number, extra?: {decode_tokens_per_s: number}}} Usage
 * @typedef {{choices: {delta?: {content?: string | null}}[], usage?: Usage}} Chunk
 */

/** How a model is asked to go on with an answer that was cut off. */
const GO_ON = "Continue exactly where you stopped, without repeating anything.";

/**
 * What WebLLM needs to know of a model: absolute addresses, whatever the models file says.
 * @param {import("./catalog.js").ModelSpec} spec
 * @param {{contextTokens: number}} limits
 * @param {string} base the page's address
 */
export function modelRecord(spec, limits, base) {
	const below = (/** @type {string} */ path) => new URL(`/models/${path}`, base).href;
	const lib = String(spec.model_lib);
	return {
		model: spec.url ?? below(String(spec.path)),
		model_id: spec.id,
		model_lib: /^https?:/.test(lib) ? lib : below(lib),
		overrides: { context_window_size: limits.contextTokens },
	};
}

/** The folder in which the library looks for a model's files. @param {string} model */
export function filesOf(model) {
	const folder = model.endsWith("/") ? model : `${model}/`;
	return /\/resolve\/[^/]+\/$/.test(folder) ? folder : `${folder}resolve/main/`;
}

/** WebLLM ends a question with the user's words, so going on is asked for in words.
 * @param {import("./worker_side.js").Message[]} messages */
export function askable(messages) {
	return messages.at(-1)?.role === "assistant"
		? [...messages, { role: "user", content: GO_ON }]
		: messages;
}

/** The library names no missing file, so the first ones it will ask for are looked up here.
 * @param {ReturnType<typeof modelRecord>} record @param {string} name */
async function checkFiles(record, name) {
	const folder = filesOf(record.model);
	const files = [`${folder}mlc-chat-config.json`, `${folder}tensor-cache.json`, record.model_lib];
	for (const file of files) {
		if (new URL(file).origin !== location.origin || (await isThere(file))) continue;
		throw new EngineError(
			"MODEL_MISSING",
			`A file of the model "${name}" is missing: `
				+ `${new URL(file).pathname}. Check the model's folder, or choose another model.`,
		);
	}
}

/**
 * @param {Library} library the module of WebLLM
 * @param {import("./worker_side.js").Start} start
 * @param {string} base
 * @returns {import("./worker_side.js").Adapter}
 */
export function webllmAdapter(library, { spec, limits }, base) {
	const record = modelRecord(spec, limits, base);
	/** @type {WebllmEngine} */
	let engine;
	/** The answer that is being written, for unload to wait for. @type {Promise<unknown>} */
	let writing = Promise.resolve();

	/** @param {import("./worker_side.js").CallContext} context */
	async function load({ signal, emit }) {
		await checkFiles(record, spec.name);
		engine = new library.MLCEngine({
			appConfig: { model_list: [record] },
			logLevel: "ERROR",
			initProgressCallback: (/** @type {{text: string, progress: number}} */ { progress }) =>
				emit({ text: "Loading the model", loaded: 0, total: 0, fraction: progress }),
		});
		// An unload ends a running reload, which then resolves as if all were well.
		signal.addEventListener("abort", () => void engine.unload(), { once: true });
		await engine.reload(spec.id);
		signal.throwIfAborted();
	}

	/** @type {import("./worker_side.js").Adapter["chat"]} */
	async function write({ signal, emit }, messages, maxTokens) {
		const begun = messages.at(-1)?.role === "assistant" ? String(messages.at(-1)?.content) : "";
		const onAbort = () => engine.interruptGenerate();
		signal.addEventListener("abort", onAbort, { once: true });
		let text = begun;
		/** @type {Usage | undefined} */
		let usage;
		try {
			const stream = await engine.chat.completions.create({
				messages: askable(messages),
				max_tokens: Math.min(maxTokens, limits.newTokens),
				stream: true,
				stream_options: { include_usage: true },
			});
			// To the end, also when stopped: the library lets go of the model when the stream is
			// over.
			for await (const chunk of stream) {
				usage = chunk.usage ?? usage;
				const more = chunk.choices[0]?.delta?.content ?? "";
				if (more !== "" && !signal.aborted) emit((text += more));
			}
		} finally {
			signal.removeEventListener("abort", onAbort);
		}
		signal.throwIfAborted();
		return {
			text,
			tokens: usage?.completion_tokens ?? 0,
			tokensPerSecond: usage?.extra?.decode_tokens_per_s ?? 0,
		};
	}

	return {
		load,
		chat(context, messages, maxTokens) {
			const answer = write(context, messages, maxTokens);
			writing = answer.catch(() => {});
			return answer;
		},
		async transcribe() {
			throw new EngineError("ENGINE", "WebLLM does not transcribe. Choose a Whisper model.");
		},
		async unload() {
			// Interrupt, wait for the stream's end, then unload: the other way round the unload
			// waits for a lock that the stream holds.
			engine?.interruptGenerate();
			await writing;
			await engine?.unload();
		},
	};
}
