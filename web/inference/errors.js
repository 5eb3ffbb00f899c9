// @ts-check
// What can go wrong with a model, in one class: a code for programs and a message that tells
// people what happened and what to do. Turns the libraries' errors, which are told apart by their
// texts only, into it. Runs in pages, in the engines' Workers and in Node. Never quotes a prompt.

/**
 * @typedef {"MODEL_MISSING"|"MODEL_CORRUPT"|"NO_WEBGPU"|"OUT_OF_MEMORY"|"DEVICE_LOST"|"ABORTED"
 *     |"ENGINE"} EngineErrorCode
 */

export class EngineError extends Error {
	/**
	 * @param {EngineErrorCode} code
	 * @param {string} message for people
	 */
	constructor(code, message) {
		super(message);
		this.name = "EngineError";
		this.code = code;
	}
}

const DETAIL_CHARS_MAX = 160;

/**
 * What is known when something fails.
 * @typedef {object} Circumstances
 * @property {string} model the model's name
 * @property {string} [file] the model file that was asked for last
 * @property {string} [weights] the last one that holds the model's numbers or code
 * @property {number} [status] the status of the answer, if it was not a success
 * @property {string} [blocked] an address that the page's policy refused
 */

/** The marks by which the libraries' errors are known, in the order in which they are tried.
 * @type {[EngineErrorCode, RegExp][]} */
const MARKS = [
	["ABORTED", /AbortError|\baborted by\b/i],
	[
		"DEVICE_LOST",
		new RegExp(
			"device (was|is|has been)? ?(lost|destroyed)|DeviceLost"
				+ "|external Instance reference|mapAsync.*(destroyed|unmapped)",
			"i",
		),
	],
	[
		"OUT_OF_MEMORY",
		new RegExp(
			"out of memory|bad_alloc|OutOfMemory|allocation failed"
				+ "|exceeds the max buffer size|maxBufferSize|maxStorageBufferBindingSize",
			"i",
		),
	],
	[
		"NO_WEBGPU",
		new RegExp(
			"WebGPU(NotAvailable|NotFound| is not (available|supported))"
				+ "|no available backend|GPU adapter|compatible GPU|FeatureSupport|ShaderF16",
			"i",
		),
	],
	[
		"MODEL_MISSING",
		new RegExp(
			"not found locally|Could not locate file|\\b404\\b|ModelNotFound"
				+ "|MissingModelWasm|Cannot find (model|tokenizer)|ArtifactNotFound",
			"i",
		),
	],
	[
		"MODEL_CORRUPT",
		new RegExp(
			"protobuf|failed to load model|create a session|Load model"
				+ "|INVALID_(GRAPH|PROTOBUF|ARGUMENT)|JSON|IntegrityError|CompileError|magic word"
				+ "|Unsupported (model|tokenizer)|not a valid model|Unknown (tokenizer|model)",
			"i",
		),
	],
];

/**
 * @param {unknown} error what a library threw
 * @param {Circumstances} known
 * @returns {EngineError}
 */
export function explain(error, known) {
	if (error instanceof EngineError) return error;
	const { name = "", message = String(error) } = /** @type {Partial<Error>} */ (error ?? {});
	const text = `${name}: ${message}`;
	if (known.blocked) {
		return new EngineError("MODEL_MISSING", blockedText(known.model, known.blocked));
	}
	const [code] = MARKS.find(([, mark]) => mark.test(text)) ?? ["ENGINE"];
	// A fetch that fails says nothing of its own; the last answer does.
	if (code === "ENGINE" && known.status && known.status >= 400) {
		return new EngineError("MODEL_MISSING", messages.MODEL_MISSING(known, text));
	}
	return new EngineError(code, messages[code](known, text));
}

/** What kept a model's file away, as the SDK tells it, in the words of the pages.
 * @param {string} model @param {unknown} error @returns {EngineError | null} */
export function fileProblem(model, error) {
	const { detail } =
		/** @type {{detail?: {blocked?: boolean, status?: number, url?: string}}} */
		(error ?? {});
	const { origin, pathname } = new URL(detail?.url ?? "file:///", "file:///");
	if (detail?.blocked) return new EngineError("MODEL_MISSING", blockedText(model, origin));
	if (detail?.status !== 404 && detail?.status !== 410) return null;
	const file = origin === globalThis.location?.origin ? pathname : origin + pathname;
	return new EngineError("MODEL_MISSING", messages.MODEL_MISSING({ model, file }, ""));
}

/** @param {string} model @param {string} address */
function blockedText(model, address) {
	return (
		`The model "${model}" lies at ${address}, which this page may not ask, or which sends on `
		+ "to a host that it may not ask. Add both to model_origins in the daemon's configuration, "
		+ "or put the files in a local folder."
	);
}

/** The file that an error's text names, or that was asked for last.
 * @param {Circumstances} known @param {string} text */
function fileOf({ file }, text) {
	return /"([^"\s]+\.\w+)"/.exec(text)?.[1] ?? file ?? "one of its files";
}

/** The small files are read at the same time, so which of them is wrong cannot be said.
 * @param {Circumstances} known @param {string} text */
function damagedFile({ weights, file }, text) {
	return /JSON/.test(text) ? "its .json files" : (weights ?? file ?? "its files");
}

/** @type {Record<EngineErrorCode, (known: Circumstances, text: string) => string>} */
const messages = {
	MODEL_MISSING: (known, text) =>
		`A file of the model "${known.model}" is missing: ${fileOf(known, text)}. `
		+ "Check the model's folder, or choose another model.",
	MODEL_CORRUPT: (known, text) =>
		`The model "${known.model}" cannot be read; look at ${damagedFile(known, text)}. `
		+ "What is there is damaged or not what its name says. Fetch it again, or choose another "
		+ "model.",
	NO_WEBGPU: (known, text) =>
		/f16|FeatureSupport/i.test(text)
			? `The model "${known.model}" needs 16-bit numbers, which this GPU does not offer. `
				+ "Choose a model without it: its name has f32 instead of f16."
			: "This browser offers no WebGPU, so no model can run on the GPU here. Use a current "
				+ "Chrome, Edge or Safari, turn on hardware acceleration, and open this page at "
				+ "127.0.0.1.",
	OUT_OF_MEMORY: (known) =>
		`The GPU has not enough memory for "${known.model}". Choose a smaller model or a lower `
		+ "hardware profile, or close other programs that use the GPU.",
	DEVICE_LOST: () =>
		"The browser lost the GPU: it was reset, or its driver restarted. The model is loaded "
		+ "again with the next try.",
	ABORTED: () => "Stopped.",
	ENGINE: (known, text) =>
		`The model "${known.model}" failed: `
		+ text.replace(/\s+/g, " ").slice(0, DETAIL_CHARS_MAX),
};
