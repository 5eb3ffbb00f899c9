// @ts-check
// The list of models a page offers: the built-in demo models, the user's own out of a models file,
// and those that were added in this browser; checked entry by entry. A bad entry is reported and
// left out; it breaks nothing.
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
 * @property {{path: string, bytes: number, sha256?: string}[]} [files] what lies there, if known
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
	return (
		typeof path === "string"
		&& path.length <= TEXT_CHARS_MAX
		&& !path.includes("..")
		&& /^[\w@+-][\w.@+-]*(\/[\w@+-][\w.@+-]*)*$/.test(path)
	);
}

/** @param {unknown} url */
function isAddress(url) {
	return typeof url === "string" && /^https?:\/\//.test(url) && URL.canParse(url);
}

/** @param {unknown} text */
const isText = (text) =>
	typeof text === "string" && text.trim() !== "" && text.length <= TEXT_CHARS_MAX;

/** @param {unknown} files */
const areFiles = (files) =>
	Array.isArray(files)
	&& files.length > 0
	&& files.length < 1000
	&& files.every(
		(file) =>
			isPath(file?.path)
			&& Number.isSafeInteger(file.bytes)
			&& (file.sha256 === undefined || /^[0-9a-f]{64}$/.test(file.sha256)),
	);

/** What each field must be, in words for the one who wrote the file.
 * @type {[string, (value: unknown, entry: Record<string, unknown>) => boolean, string][]} */
const rules = [
	[
		"id",
		(id) => typeof id === "string" && /^[\w.@+-]{1,128}$/.test(id),
		"letters, digits and . _ @ + - only",
	],
	["name", isText, "a short text"],
	[
		"engine",
		(engine) => engine === "transformers" || engine === "webllm",
		'"transformers" or "webllm"',
	],
	[
		"task",
		(task, { engine }) => task === "chat" || (task === "transcribe" && engine !== "webllm"),
		'"chat", or "transcribe" with the engine "transformers"',
	],
	[
		"profile",
		(name) => ["lite", "mid", "high"].includes(String(name)),
		'"lite", "mid" or "high"',
	],
	[
		"vram_mb",
		(mb) => Number.isFinite(mb) && Number(mb) > 0 && Number(mb) <= VRAM_MB_MAX,
		"a number of megabytes above 0",
	],
	[
		"path",
		(path, { url }) => (path === undefined ? isAddress(url) : isPath(path)),
		"a folder below the models folder, unless there is a url",
	],
	[
		"url",
		(url, { path }) => url === undefined || (path === undefined && isAddress(url)),
		"an http(s) address, and no path beside it",
	],
	[
		"model_lib",
		(lib, { engine }) =>
			engine !== "webllm" ? lib === undefined : isPath(lib) || isAddress(lib),
		"a .wasm path or address, with the engine webllm only",
	],
	[
		"dtype",
		(dtype, { engine }) =>
			dtype === undefined
			|| (engine === "transformers" && /^[a-z0-9]{1,16}$/.test(String(dtype))),
		"a word such as fp32, q8 or q4f16, with the engine transformers only",
	],
	[
		"files",
		(files, { engine, url }) =>
			files === undefined
			|| (engine === "transformers" && url !== undefined && areFiles(files)),
		"a list of {path, bytes, sha256?}, with the engine transformers and a url only",
	],
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

const ADDED = "baton.models";

/** What was added in this browser. @returns {ModelSpec[]} */
function addedModels() {
	try {
		const list = JSON.parse(globalThis.localStorage?.getItem(ADDED) ?? "[]");
		return list.filter((/** @type {unknown} */ entry) => problemOf(entry) === null);
	} catch {
		return []; // somebody else's words, or no storage
	}
}

/** Adds a model to this browser's list. @param {ModelSpec} spec */
export function addModel(spec) {
	const problem = problemOf(spec);
	if (problem) throw new Error(`This model cannot be added: ${problem}.`);
	const others = addedModels().filter(({ id }) => id !== spec.id);
	localStorage.setItem(ADDED, JSON.stringify([...others, spec]));
}

/**
 * Puts the lists together. A user's model with the id of a built-in one replaces it, and one of the
 * models file one that was added in this browser.
 * @param {unknown} builtIn
 * @param {unknown} own the user's list, undefined if there is none
 * @param {ModelSpec[]} [added]
 * @returns {Catalog}
 */
export function mergeCatalog(builtIn, own, added = []) {
	/** @type {Map<string, ModelSpec>} */
	const models = new Map();
	/** @type {string[]} */
	const problems = [];
	if (own !== undefined && !Array.isArray(own)) problems.push("models.json: it is not a list");
	const entries = [
		.../** @type {ModelSpec[]} */ (builtIn)
			.concat(added)
			.map((entry) => ({ entry, mine: false, at: 0 })),
		...(Array.isArray(own) ? own : []).map((entry, at) => ({ entry, mine: true, at })),
	];
	const seen = new Set();
	for (const { entry, mine, at } of entries) {
		const problem =
			problemOf(entry)
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
	const builtIn = await (await fetch("/inference/models.json")).json();
	const answer = await fetch("/models/models.json");
	const added = addedModels();
	if (answer.status === 404) return mergeCatalog(builtIn, undefined, added);
	/** @type {unknown} */
	let own;
	try {
		own = await answer.json();
	} catch {
		const catalog = mergeCatalog(builtIn, undefined, added);
		catalog.problems.push("models.json: it is not JSON");
		return catalog;
	}
	return mergeCatalog(builtIn, own, added);
}
