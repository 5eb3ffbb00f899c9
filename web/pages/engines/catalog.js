// @ts-check
// The list of models a page offers: the built-in demo models and the user's own, out of a models
// file that is checked entry by entry. A bad entry is reported and left out; it breaks nothing.
// Loads no model. Used by the pages; the checks also run in Node.

/**
 * @typedef {object} ModelSpec
 * @property {string} id
 * @property {string} name
 * @property {"transformers"|"webllm"} engine
 * @property {"chat"|"transcribe"} task
 * @property {import("./profiles.js").ProfileName} profile the smallest profile it suits
 * @property {number} vram_mb what it takes of the GPU's memory
 * @property {string} [dtype] which of a transformers.js model's files: fp32, fp16, q8, q4, q4f16...
 * @property {string} [path] its folder below /models
 * @property {string} [url] or its address elsewhere
 * @property {string} [model_lib] WebLLM: the compiled library, a path below /models or an address
 * @property {boolean} [demo]
 * @property {string} [note]
 *
 * @typedef {ModelSpec[] & {problems: string[]}} Catalog The models, and what is wrong with others.
 */

const VRAM_MB_MAX = 1024 * 1024;
const TEXT_CHARS_MAX = 200;

/** A path below /models: plain names, apart by slashes, that lead nowhere else.
 * @param {unknown} path */
function isPath(path) {
	return typeof path === "string" && path.length <= TEXT_CHARS_MAX && !path.includes("..")
		&& /^[\w@+-][\w.@+-]*(\/[\w@+-][\w.@+-]*)*$/.test(path);
}

/** @param {unknown} url */
function isAddress(url) {
	return typeof url === "string" && /^https?:\/\//.test(url) && URL.canParse(url);
}

/** @param {unknown} text */
const isText = (text) =>
	typeof text === "string" && text.trim() !== "" && text.length <= TEXT_CHARS_MAX;

/** What each field must be, in words for the one who wrote the file.
 * @type {[string, (value: unknown, entry: Record<string, unknown>) => boolean, string][]} */
const rules = [
	["id", (id) => typeof id === "string" && /^[\w.@+-]{1,128}$/.test(id),
		"letters, digits and . _ @ + - only"],
	["name", isText, "a short text"],
	["engine", (engine) => engine === "transformers" || engine === "webllm",
		'"transformers" or "webllm"'],
	["task", (task, { engine }) =>
		task === "chat" || (task === "transcribe" && engine !== "webllm"),
		'"chat", or "transcribe" with the engine "transformers"'],
	["profile", (name) => ["lite", "mid", "high"].includes(String(name)),
		'"lite", "mid" or "high"'],
	["vram_mb", (mb) => Number.isFinite(mb) && Number(mb) > 0 && Number(mb) <= VRAM_MB_MAX,
		"a number of megabytes above 0"],
	["path", (path, { url }) => (path === undefined ? isAddress(url) : isPath(path)),
		"a folder below the models folder, unless there is a url"],
	["url", (url, { path }) => url === undefined || (path === undefined && isAddress(url)),
		"an http(s) address, and no path beside it"],
	["model_lib", (lib, { engine }) => (engine !== "webllm" ? lib === undefined
		: isPath(lib) || isAddress(lib)), "a .wasm path or address, with the engine webllm only"],
	["dtype", (dtype, { engine }) => dtype === undefined
		|| (engine === "transformers" && /^[a-z0-9]{1,16}$/.test(String(dtype))),
	"a word such as fp32, q8 or q4f16, with the engine transformers only"],
	["note", (note) => note === undefined || isText(note), "a short text"],
];

const FIELDS = new Set([...rules.map(([field]) => field), "demo"]);

/**
 * @param {unknown} entry
 * @returns {string | null} what is wrong with it
 */
export function problemOf(entry) {
	if (typeof entry !== "object" || entry === null || Array.isArray(entry)) {
		return "each model is an object";
	}
	const fields = /** @type {Record<string, unknown>} */ (entry);
	for (const [field, isRight, words] of rules) {
		if (!isRight(fields[field], fields)) return `${field}: ${words}`;
	}
	const unknown = Object.keys(fields).find((field) => !FIELDS.has(field));
	return unknown === undefined ? null : `${unknown}: there is no such field`;
}

/**
 * Puts the lists together. A user's model with the id of a built-in one replaces it.
 * @param {unknown} builtIn
 * @param {unknown} own the user's list, undefined if there is none
 * @returns {Catalog}
 */
export function mergeCatalog(builtIn, own) {
	/** @type {Map<string, ModelSpec>} */
	const models = new Map();
	/** @type {string[]} */
	const problems = [];
	if (own !== undefined && !Array.isArray(own)) problems.push("models.json: it is not a list");
	const entries = [
		.../** @type {ModelSpec[]} */ (builtIn).map((entry) => ({ entry, mine: false, at: 0 })),
		...(Array.isArray(own) ? own : []).map((entry, at) => ({ entry, mine: true, at })),
	];
	const seen = new Set();
	for (const { entry, mine, at } of entries) {
		const problem = problemOf(entry)
			?? (mine && seen.has(entry.id) ? `id: ${entry.id} is there twice` : null);
		if (problem) {
			problems.push(`models.json, entry ${at + 1}: ${problem}`);
			continue;
		}
		if (mine) seen.add(entry.id);
		models.set(entry.id, entry);
	}
	return Object.assign([...models.values()], { problems });
}

/** Reads both lists from the daemon. @returns {Promise<Catalog>} */
export async function loadCatalog() {
	const builtIn = await (await fetch("/pages/engines/models.json")).json();
	const answer = await fetch("/models/models.json");
	if (answer.status === 404) return mergeCatalog(builtIn, undefined);
	/** @type {unknown} */
	let own;
	try {
		own = await answer.json();
	} catch {
		const catalog = mergeCatalog(builtIn, undefined);
		catalog.problems.push("models.json: it is not JSON");
		return catalog;
	}
	return mergeCatalog(builtIn, own);
}
