// @ts-check
// Which files a model of the catalog has, by the names under which its library looks for them in
// this browser's storage: so that they are there before a turn is asked for. Not for a folder of
// the daemon's with transformers.js, which reads it again each time. Used by model_host.js.
import { createEngine } from "./engine.js";
import { filesOf as folderOf, modelRecord } from "./webllm_adapter.js";

/**
 * @typedef {import("/sdk/types.js").ModelFile} ModelFile
 * @typedef {(file: ModelFile) => Promise<Response>} Get
 * @typedef {import("./catalog.js").ModelSpec} ModelSpec
 */

/** @param {ModelSpec} spec @param {import("./engine.js").EngineOptions} options @param {Get} get
 * @returns {Promise<ModelFile[]>} */
export async function filesOf(spec, options, get) {
	return spec.engine === "webllm"
		? webllmFiles(spec, get)
		: transformersFiles(spec, options, get);
}

/** Where transformers.js looks for the files of a model at an address. @param {string} url */
export function addressOf(url) {
	const folder = url.endsWith("/") ? url : `${url}/`;
	return /\/resolve\/[^/]+\/$/.test(folder) ? folder : `${folder}resolve/main/`;
}

/** The library knows which; what it reads for that comes through our checks first.
 * @param {ModelSpec} spec @param {import("./engine.js").EngineOptions} options @param {Get} get */
async function transformersFiles(spec, options, get) {
	const folder = addressOf(String(spec.url));
	const file = (/** @type {string} */ name) => ({
		url: folder + name,
		cache: "transformers-cache",
		optional: !/^(config|tokenizer)\.json$|^onnx\//.test(name),
	});
	if (spec.files) {
		return spec.files.map(({ path, ...known }) => ({
			...file(path),
			...known,
			optional: false,
		}));
	}
	const first = ["config.json", "tokenizer_config.json"];
	if (spec.task === "transcribe") first.push("preprocessor_config.json");
	for (const name of first) await get(file(name));
	const engine = createEngine(spec, options);
	try {
		return (await engine.files()).map(file);
	} finally {
		engine.terminate();
	}
}

/** @param {ModelSpec} spec @param {Get} get */
async function webllmFiles(spec, get) {
	const record = modelRecord(spec, { contextTokens: 0 }, location.href);
	const folder = folderOf(record.model);
	const config = { url: `${folder}mlc-chat-config.json`, cache: "webllm/config" };
	const index = { url: `${folder}tensor-cache.json`, cache: "webllm/model" };
	const { tokenizer_files: names = [] } = await (await get(config)).json();
	const { records = [] } = await (await get(index)).json();
	const tokenizer = names.includes("tokenizer.json") ? "tokenizer.json" : "tokenizer.model";
	return [
		config,
		index,
		{ url: folder + tokenizer, cache: "webllm/model" },
		{ url: record.model_lib, cache: "webllm/wasm" },
		...records.map(
			(/** @type {{dataPath: string, nbytes?: number}} */ { dataPath, nbytes }) => ({
				url: folder + dataPath,
				bytes: nbytes,
				cache: "webllm/model",
			}),
		),
	];
}
