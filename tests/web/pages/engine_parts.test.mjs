// The engines' parts that need no browser: the models file is checked entry by entry, errors say
// what to do, limits are clamped, and WebLLM is driven in the right order (against a stub: real
// models of its kind are too large).
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { mergeCatalog, problemOf } from "../../../web/inference/catalog.js";
import { EngineError, explain } from "../../../web/inference/errors.js";
import { clampLimits } from "../../../web/inference/gpu_watch.js";
import { suitableProfile, suits } from "../../../web/inference/profiles.js";
import { configure, fit } from "../../../web/inference/transformers_adapter.js";
import {
	askable,
	filesOf,
	modelRecord,
	webllmAdapter,
} from "../../../web/inference/webllm_adapter.js";

const BASE = "http://127.0.0.1:8470/console";
const good = {
	id: "one",
	name: "One",
	engine: "transformers",
	task: "chat",
	profile: "lite",
	vram_mb: 100,
	path: "one",
};
const webllm = {
	id: "mlc-1",
	name: "MLC",
	engine: "webllm",
	task: "chat",
	profile: "mid",
	vram_mb: 1000,
	path: "mlc/one",
	model_lib: "libs/one.wasm",
};
const limits = { contextTokens: 2048, newTokens: 256, bufferBytes: 2 ** 28 };

const { fetch } = globalThis;
afterEach(() => {
	globalThis.fetch = fetch;
	delete globalThis.location;
});

test("a models file: good entries are taken, each bad one is named and left out", () => {
	assert.equal(problemOf(good), null);
	assert.equal(problemOf(webllm), null);
	const bad = [
		null,
		[],
		"text",
		{},
		{ ...good, id: "a b" },
		{ ...good, name: "" },
		{ ...good, engine: "onnx" },
		{ ...good, task: "paint" },
		{ ...webllm, task: "transcribe" },
		{ ...good, profile: "ultra" },
		{ ...good, vram_mb: -1 },
		{ ...good, vram_mb: "100" },
		{ ...good, path: "../../etc" },
		{ ...good, path: "/one" },
		{ ...good, path: "a/../b" },
		{ ...good, path: "a//b" },
		{ ...good, path: undefined },
		{ ...good, url: "https://x.org" },
		{ ...good, path: undefined, url: "javascript:alert(1)" },
		{ ...good, dtype: "Q 4" },
		{ ...webllm, model_lib: undefined },
		{ ...webllm, dtype: "q4" },
		{ ...good, surprise: 1 },
	];
	for (const entry of bad) assert.notEqual(problemOf(entry), null, JSON.stringify(entry));
	const own = [...bad.map((entry) => entry && { ...entry }), { ...good, id: "mine" }];
	const catalog = mergeCatalog([good], own);
	assert.deepEqual(
		catalog.map(({ id }) => id),
		["one", "mine"],
	);
	assert.equal(catalog.problems.length, bad.length);
	assert.match(catalog.problems[4], /^models\.json, entry 5: id: /);
});

test("a models file may replace a built-in model, but not name one twice", () => {
	const mine = { ...good, name: "Mine" };
	assert.deepEqual(
		mergeCatalog([good], [mine]).map(({ name }) => name),
		["Mine"],
	);
	const twice = mergeCatalog([], [mine, { ...mine, name: "Again" }]);
	assert.deepEqual(
		twice.map(({ name }) => name),
		["Mine"],
	);
	assert.match(twice.problems[0], /twice/);
	assert.equal(mergeCatalog([good], { models: [] }).problems.length, 1);
	assert.equal(mergeCatalog([good], undefined).problems.length, 0);
});

test("the libraries' errors become codes, and messages that say what to do", () => {
	const cases = [
		["DEVICE_LOST", "A valid external Instance reference no longer exists."],
		["DEVICE_LOST", "DeviceLostError: The WebGPU device was lost while loading the model."],
		["OUT_OF_MEMORY", "std::bad_alloc"],
		["OUT_OF_MEMORY", "RangeError: Array buffer allocation failed"],
		["NO_WEBGPU", "no available backend found. ERR: [webgpu] Failed to get GPU adapter."],
		["NO_WEBGPU", "This model requires WebGPU extension shader-f16: FeatureSupportError"],
		["MODEL_MISSING", 'file was not found locally at "/models/one/onnx/model.onnx".'],
		["MODEL_CORRUPT", "Can't create a session. ERROR_CODE: 7, protobuf parsing failed."],
		["MODEL_CORRUPT", "SyntaxError: Unexpected token '<' is not valid JSON"],
		["ABORTED", "AbortError: signal is aborted without reason"],
		["ENGINE", "something else"],
	];
	for (const [code, text] of cases) {
		const error = explain(new Error(text), { model: "One" });
		assert.equal(error.code, code, text);
		assert.ok(error.message.length > 5 && error instanceof EngineError);
	}
	const missing = explain(new Error(cases[6][1]), { model: "One" });
	assert.match(missing.message, /"One" is missing: \/models\/one\/onnx\/model\.onnx/);
	const corrupt = explain(new Error("protobuf"), {
		model: "One",
		file: "/models/one/config.json",
		weights: "/models/one/x.onnx",
	});
	assert.match(corrupt.message, /\/models\/one\/x\.onnx/);
	const failed = explain(new TypeError("Failed to fetch"), {
		model: "One",
		file: "/models/one/a.bin",
		status: 404,
	});
	assert.equal(failed.code, "MODEL_MISSING");
	const blocked = explain(new TypeError("Failed to fetch"), {
		model: "One",
		blocked: "https://models.example.org",
	});
	assert.match(blocked.message, /models\.example\.org.*model_origins/);
	assert.equal(explain(missing, { model: "Two" }), missing, "an EngineError stays what it is");
});

test("limits are clamped to the adapter's and to the profile's buffer size", () => {
	const offered = {
		maxBufferSize: 2 ** 30 + 3,
		maxStorageBufferBindingSize: 2 ** 27 + 2,
		maxComputeWorkgroupStorageSize: 16384,
		minStorageBufferOffsetAlignment: 256,
	};
	const wanted = {
		maxBufferSize: 2 ** 31,
		maxStorageBufferBindingSize: 2 ** 31,
		maxComputeWorkgroupStorageSize: 32768,
		minStorageBufferOffsetAlignment: 32,
		unknown: 1,
	};
	assert.deepEqual(clampLimits(wanted, offered, 2 ** 28), {
		maxBufferSize: 2 ** 28,
		maxStorageBufferBindingSize: 2 ** 27,
		maxComputeWorkgroupStorageSize: 16384,
		minStorageBufferOffsetAlignment: 256,
	});
	assert.equal(clampLimits({ maxBufferSize: 2 ** 31 }, offered, 2 ** 40).maxBufferSize, 2 ** 30);
});

test("the profile follows what a GPU tells", () => {
	assert.equal(suitableProfile({ software: true, maxBufferSize: 2 ** 32 }), "lite");
	assert.equal(suitableProfile({ maxBufferSize: 2 ** 28 }), "lite");
	assert.equal(suitableProfile({ maxBufferSize: 2 ** 30 }), "mid");
	assert.equal(suitableProfile({ maxBufferSize: 2 ** 31 }), "high");
	assert.equal(suitableProfile({ mobile: true, maxBufferSize: 2 ** 31 }), "lite");
	assert.ok(suits("lite", "mid") && !suits("high", "mid"));
});

test("transformers.js asks nobody but the daemon, unless the model has an address", () => {
	const env = () => ({ backends: { onnx: { wasm: {} } } });
	const local = env();
	assert.equal(configure(local, good), "one");
	assert.equal(local.allowRemoteModels, false);
	assert.equal(local.useWasmCache, false);
	assert.equal(local.useBrowserCache, false);
	assert.match(local.backends.onnx.wasm.wasmPaths.wasm, /^\/vendor\//);
	assert.equal(local.backends.onnx.wasm.numThreads, 1, "no threads where they cannot be shared");
	const far = env();
	configure(far, { ...good, path: undefined, url: "https://x.org/a/b" });
	assert.deepEqual(
		[far.remoteHost, far.remotePathTemplate, far.allowLocalModels],
		["https://x.org/a/b/", "resolve/{revision}/", false],
	);
	configure(far, { ...good, path: undefined, url: "https://x.org/a/resolve/main/" });
	assert.equal(far.remotePathTemplate, "");
});

test("a conversation that is too long loses its oldest turns, never the system's words", () => {
	const tokenizer = Object.assign(
		(text) => ({ text, input_ids: { dims: [1, text.split(" ").length] } }),
		{
			chat_template: "x",
			apply_chat_template: (all) => all.map(({ content }) => content).join(" "),
		},
	);
	const messages = [
		{ role: "system", content: "s s" },
		{ role: "user", content: "a a a a" },
		{ role: "assistant", content: "b b b" },
		{ role: "user", content: "c c" },
	];
	assert.equal(fit(tokenizer, messages, 100).inputs.text, "s s a a a a b b b c c");
	assert.equal(fit(tokenizer, messages, 8).inputs.text, "s s b b b c c");
	assert.equal(fit(tokenizer, messages, 1).inputs.text, "s s c c", "the question itself stays");
});

test("WebLLM gets absolute addresses and looks below resolve/main", () => {
	const record = modelRecord(webllm, limits, BASE);
	assert.equal(record.model, "http://127.0.0.1:8470/models/mlc/one");
	assert.equal(record.model_lib, "http://127.0.0.1:8470/models/libs/one.wasm");
	assert.equal(record.overrides.context_window_size, 2048);
	assert.equal(filesOf(record.model), "http://127.0.0.1:8470/models/mlc/one/resolve/main/");
	assert.equal(filesOf("https://x.org/m/resolve/v2/"), "https://x.org/m/resolve/v2/");
	const far = {
		...webllm,
		path: undefined,
		url: "https://x.org/m",
		model_lib: "https://x.org/l",
	};
	assert.equal(modelRecord(far, limits, BASE).model, "https://x.org/m");
	assert.equal(modelRecord(far, limits, BASE).model_lib, "https://x.org/l");
	const cut = [
		{ role: "user", content: "q" },
		{ role: "assistant", content: "half" },
	];
	assert.deepEqual(
		askable(cut).map(({ role }) => role),
		["user", "assistant", "user"],
	);
});

/** A stand-in for WebLLM that writes down what is called, and streams words until interrupted. */
function stubLibrary(calls, words = ["one ", "two ", "three "]) {
	class MLCEngine {
		constructor(config) {
			this.config = config;
			this.interrupted = false;
			this.chat = {
				completions: {
					create: async (request) => {
						calls.push(["create", request]);
						return this.stream();
					},
				},
			};
		}
		async reload(id) {
			calls.push(["reload", id]);
			this.config.initProgressCallback({ text: "Fetching", progress: 0.5 });
		}
		interruptGenerate() {
			calls.push(["interrupt"]);
			this.interrupted = true;
		}
		async unload() {
			calls.push(["unload"]);
		}
		async *stream() {
			for (const word of words) {
				if (this.interrupted) break;
				yield { choices: [{ delta: { content: word } }] };
				await new Promise(setImmediate);
			}
			calls.push(["stream over"]);
			yield {
				choices: [],
				usage: {
					completion_tokens: 3,
					extra: { decode_tokens_per_s: 7 },
				},
			};
		}
	}
	return { MLCEngine };
}

/** A call's context, and what it emits. */
function context() {
	const controller = new AbortController();
	const emitted = [];
	return { controller, emitted, signal: controller.signal, emit: (value) => emitted.push(value) };
}

function serving(files) {
	globalThis.location = new URL(BASE);
	globalThis.fetch = async (address) => ({
		status: files.some((file) => address.endsWith(file)) ? 200 : 404,
	});
}
const allFiles = ["mlc-chat-config.json", "tensor-cache.json", "one.wasm"];
const names = (calls) => calls.map(([name]) => name);

test("WebLLM loads, tells how far it is, and streams an answer with its usage", async () => {
	serving(allFiles);
	const calls = [];
	const adapter = webllmAdapter(stubLibrary(calls), { spec: webllm, limits }, BASE);
	const loading = context();
	await adapter.load(loading);
	assert.equal(loading.emitted[0].fraction, 0.5);
	const chatting = context();
	const answer = await adapter.chat(chatting, [{ role: "user", content: "q" }], 1000);
	assert.deepEqual(answer, { text: "one two three ", tokens: 3, tokensPerSecond: 7 });
	assert.deepEqual(chatting.emitted, ["one ", "one two ", "one two three "]);
	const [, request] = calls.find(([name]) => name === "create");
	assert.equal(request.max_tokens, 256, "the profile's limit holds");
	assert.equal(request.model, undefined, "the loaded model answers");
	assert.equal(request.stream_options.include_usage, true);
});

test("WebLLM: a stop interrupts and lets the stream end; an unload comes after that", async () => {
	serving(allFiles);
	const calls = [];
	const adapter = webllmAdapter(
		stubLibrary(calls, Array(1000).fill("w ")),
		{ spec: webllm, limits },
		BASE,
	);
	await adapter.load(context());
	const stopped = context();
	const emit = stopped.emit;
	stopped.emit = (value) => {
		emit(value);
		stopped.controller.abort();
	};
	await assert.rejects(adapter.chat(stopped, [], 10), { name: "AbortError" });
	assert.equal(stopped.emitted.length, 1, "nothing is said after a stop");
	assert.deepEqual(names(calls), ["reload", "create", "interrupt", "stream over"]);

	calls.length = 0;
	const again = webllmAdapter(
		stubLibrary(calls, Array(1000).fill("w ")),
		{ spec: webllm, limits },
		BASE,
	);
	await again.load(context());
	const writing = again.chat(context(), [], 10);
	await new Promise(setImmediate);
	await again.unload();
	await writing;
	assert.deepEqual(names(calls), ["reload", "create", "interrupt", "stream over", "unload"]);
});

test("WebLLM: a load that is stopped unloads, and does not pass for loaded", async () => {
	serving(allFiles);
	const calls = [];
	const library = stubLibrary(calls);
	const loading = context();
	loading.emit = () => loading.controller.abort();
	const adapter = webllmAdapter(library, { spec: webllm, limits }, BASE);
	await assert.rejects(adapter.load(loading), { name: "AbortError" });
	assert.deepEqual(names(calls), ["reload", "unload"]);
});

test("WebLLM: a missing file is named before the library is asked", async () => {
	for (const missing of allFiles) {
		serving(allFiles.filter((file) => file !== missing));
		const calls = [];
		const adapter = webllmAdapter(stubLibrary(calls), { spec: webllm, limits }, BASE);
		await assert.rejects(adapter.load(context()), (error) => {
			assert.equal(error.code, "MODEL_MISSING");
			assert.ok(error.message.includes(missing), error.message);
			return true;
		});
		assert.deepEqual(calls, []);
	}
});
