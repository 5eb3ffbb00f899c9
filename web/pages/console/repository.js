// @ts-check
// What a repository of models holds, looked up by its name: which engine runs it, in which
// variants, which files each needs and how large they are, by the hub's own list with its hashes.
// Fetches no model and shows nothing. Used by model_guide.js; also runs in Node.

/**
 * @typedef {{path: string, bytes: number, sha256?: string}} RepositoryFile
 * @typedef {{dtype: string, files: RepositoryFile[], bytes: number}} Variant
 * @typedef {import("../../inference/catalog.js").ModelSpec} ModelSpec
 *
 * @typedef {object} Found
 * @property {string} url the repository's address
 * @property {string} name
 * @property {ModelSpec["engine"]} engine
 * @property {ModelSpec["task"]} task
 * @property {Variant[]} variants the smallest first
 * @property {string} [model_lib]
 * @property {number} [vram_mb] where the engine's own list knows it
 */

const HUB = "https://huggingface.co";
const MIB = 1024 * 1024;
const LIST_FILES_MAX = 5000;
const ANSWER_BYTES_MAX = 8 * MIB;
const ANSWER_MS = 20_000;

/** Which files a dtype means, after the names that transformers.js gives them. */
const SUFFIXES = {
	fp32: "",
	fp16: "_fp16",
	q8: "_quantized",
	int8: "_int8",
	uint8: "_uint8",
	q4: "_q4",
	q4f16: "_q4f16",
	bnb4: "_bnb4",
};
const SMALL_FILES = [
	"config.json",
	"generation_config.json",
	"tokenizer.json",
	"tokenizer_config.json",
	"preprocessor_config.json",
];

export class RepositoryError extends Error {
	/** @param {string} message for people @param {string} [origin] one that could not be asked */
	constructor(message, origin) {
		super(message);
		this.name = "RepositoryError";
		this.origin = origin;
	}
}

/** "owner/name", or its whole address on some hub. @param {string} text */
export function addressOf(text) {
	const parts = /^(https:\/\/[\w.:-]+)?\/?([\w.-]+\/[\w.-]+)\/?$/.exec(text.trim());
	const [, origin = HUB, path] = parts ?? [];
	if (!path) {
		throw new RepositoryError(
			"Write it as owner/name, as it stands on the hub, or as its address.",
		);
	}
	return { origin, path };
}

/** An answer's text, which may have no end. @param {Response} answer @param {string} origin */
async function textOf(answer, origin) {
	const reader = answer.body?.getReader();
	const decoder = new TextDecoder();
	let text = "";
	for (let bytes = 0; reader;) {
		const { done, value } = await reader.read();
		if (done) break;
		bytes += value.length;
		if (bytes > ANSWER_BYTES_MAX) {
			reader.cancel().catch(() => undefined);
			throw new RepositoryError(
				`${origin} answers with more than ${ANSWER_BYTES_MAX / MIB} MiB: that is no list.`,
			);
		}
		text += decoder.decode(value, { stream: true });
	}
	return text + decoder.decode();
}

/**
 * What a hub answers, whole and in time, or why not.
 * @param {string} url @param {string} origin @param {{get: typeof fetch, waitMs: number}} how
 * @returns {Promise<unknown>}
 */
async function json(url, origin, { get, waitMs }) {
	const signal = AbortSignal.timeout(waitMs);
	/** @param {string} words @param {string} [asked] */
	const failed = (words, asked) =>
		signal.aborted
			? new RepositoryError(
					`${origin} did not answer within ${waitMs / 1000} s. Try again later.`,
				)
			: new RepositoryError(`${origin} ${words}`, asked);
	const answer = await get(url, { signal }).catch(() => {
		throw failed("could not be asked: it is not reached, or this page may not ask it.", origin);
	});
	if (answer.status === 401 || answer.status === 404) {
		throw new RepositoryError("There is no such repository, or it is not open to everybody.");
	}
	if (!answer.ok) throw failed(`answered ${answer.status}. Try again later.`);
	const text = await textOf(answer, origin).catch((error) => {
		throw error instanceof RepositoryError
			? error
			: failed("broke its answer off. Try again later.");
	});
	try {
		return JSON.parse(text);
	} catch {
		throw failed("did not answer with a list. The network may ask you to sign in.");
	}
}

/**
 * @param {string} text the repository's name
 * @param {{get?: typeof fetch, waitMs?: number, webllmModels?: () => Promise<WebllmRecord[]>}} [o]
 * @returns {Promise<Found>}
 */
export async function lookUp(text, o = {}) {
	const { get = fetch, waitMs = ANSWER_MS, webllmModels = knownToWebllm } = o;
	const { origin, path } = addressOf(text);
	const ask = (/** @type {string} */ url) => json(url, origin, { get, waitMs });
	const list = await ask(`${origin}/api/models/${path}/tree/main?recursive=true`);
	if (!Array.isArray(list)) throw new RepositoryError(`${origin} gave no list of files.`);
	const files = /** @type {HubFile[]} */ (list)
		.slice(0, LIST_FILES_MAX)
		.filter((file) => file?.type === "file")
		.map(fileOf)
		.filter(({ bytes }) => Number.isSafeInteger(bytes) && bytes >= 0);
	const url = `${origin}/${path}`;
	const name = path.split("/")[1];
	if (files.some((file) => file.path === "mlc-chat-config.json")) {
		return webllmModel(url, name, files, await webllmModels());
	}
	const variants = variantsOf(files);
	if (variants.length === 0) {
		throw new RepositoryError(
			"It holds neither ONNX files for transformers.js "
				+ "(onnx/model….onnx) nor an MLC model for WebLLM. Look for one made for them, such as "
				+ "those of onnx-community.",
		);
	}
	const config = await ask(`${url}/resolve/main/config.json`);
	const task = taskOf(/** @type {ModelConfig} */ (config ?? {}));
	return { url, name, engine: "transformers", task, variants };
}

/** @typedef {{type: string, path: string, size: number, lfs?: {oid: string, size: number}}} HubFile */
/** @typedef {{architectures?: string[], model_type?: string}} ModelConfig */
/** @typedef {{model_id: string, model_lib: string, vram_required_MB: number}} WebllmRecord */

/** Large ones are named by their SHA-256. @param {HubFile} file of the hub's list */
function fileOf({ path, size, lfs }) {
	const sha256 = /^[0-9a-f]{64}$/.test(lfs?.oid ?? "") ? lfs?.oid : undefined;
	return { path: String(path), bytes: Number(lfs?.size ?? size ?? NaN), sha256 };
}

/** @param {ModelConfig} config @returns {ModelSpec["task"]} */
function taskOf({ architectures = [], model_type: type = "" }) {
	if (type === "whisper") return "transcribe";
	const architecture = String([architectures].flat()[0] ?? type);
	if (/CausalLM|LMHead/.test(architecture)) return "chat";
	throw new RepositoryError(
		`It is a model of another kind (${architecture}): the pages chat and transcribe only.`,
	);
}

/** @param {RepositoryFile[]} files @returns {Variant[]} */
function variantsOf(files) {
	const hears = files.some(({ path }) => /^onnx\/decoder_model_merged/.test(path));
	const parts = hears ? ["encoder_model", "decoder_model_merged"] : ["model"];
	const small = files.filter(({ path }) => SMALL_FILES.includes(path));
	return Object.entries(SUFFIXES)
		.flatMap(([dtype, suffix]) => {
			const names = parts.map((part) => `onnx/${part}${suffix}.onnx`);
			if (!names.every((name) => files.some(({ path }) => path === name))) return [];
			const large = files.filter(({ path }) =>
				names.some((name) => path === name || path.startsWith(`${name}_data`)),
			);
			return [sized(dtype, [...small, ...large])];
		})
		.sort((one, two) => one.bytes - two.bytes);
}

/** @param {string} dtype @param {RepositoryFile[]} files @returns {Variant} */
const sized = (dtype, files) => ({
	dtype,
	files,
	bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
});

/** @param {string} url @param {string} name @param {RepositoryFile[]} files
 * @param {WebllmRecord[]} known
 * @returns {Found} */
function webllmModel(url, name, files, known) {
	const record = known.find(({ model_id: id }) => id === name);
	if (!record) {
		throw new RepositoryError(
			"WebLLM has no library for this model. Choose one that its list names.",
		);
	}
	const needed = files.filter(
		({ path }) =>
			/^params_shard_\d+\.bin$/.test(path)
			|| /^(mlc-chat-config|tensor-cache|tokenizer)\.json$/.test(path),
	);
	return {
		url,
		name,
		engine: "webllm",
		task: "chat",
		variants: [sized("", needed)],
		model_lib: record.model_lib,
		vram_mb: Math.ceil(record.vram_required_MB),
	};
}

/** The library's own list: it is large, and asked only for a model of its kind. */
async function knownToWebllm() {
	const address = "/vendor/web-llm.js"; // a name that the type checker does not follow
	return (await import(address)).prebuiltAppConfig.model_list;
}

/** The entry of a models file. What it takes of the GPU is an estimate where nobody says it.
 * @param {Found} found @param {Variant} variant @returns {ModelSpec} */
export function entryOf(found, { dtype, files, bytes }) {
	const vram = found.vram_mb ?? Math.ceil((1.25 * bytes) / MIB) + 64;
	const shared = {
		name: dtype ? `${found.name} (${dtype})` : found.name,
		engine: found.engine,
		task: found.task,
		profile: vram <= 2048 ? "lite" : vram <= 6144 ? "mid" : "high",
		vram_mb: vram,
		url: found.url,
	};
	return /** @type {ModelSpec} */ (
		found.engine === "webllm"
			? { id: found.name, ...shared, model_lib: found.model_lib }
			: { id: `${found.name}-${dtype}`, ...shared, dtype, files }
	);
}
