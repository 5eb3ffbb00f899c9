// The engines in a real browser, without a page of ours around them: the demo models compute on
// WebGPU, broken and missing models say which file it is, the libraries ask nobody but the
// daemon, a model's hostile text does nothing, and what is kept survives whatever the browser
// does to it.
import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { root } from "../lib/packages.mjs";

const LM = {
	id: "lm",
	name: "Model",
	engine: "transformers",
	task: "chat",
	profile: "lite",
	vram_mb: 16,
	dtype: "fp32",
	path: "tiny-lm",
};
const ANSWER =
	"Waiting is fair here, your place only moves forward, and the page shows how long "
	+ "at most.";

let folder;
let daemon;
let browser;
let page;
let requests;

/** A folder of models: a good one, one without its ONNX file, one whose file is rubbish. */
async function writeModels() {
	folder = await mkdtemp(join(tmpdir(), "baton-own-models-"));
	const built = join(folder, "built");
	execFileSync(process.execPath, [join(root, "web/demo_models/build.mjs"), built], {
		stdio: "pipe",
	});
	const own = join(folder, "own");
	for (const name of ["mine", "missing", "corrupt", "no-json"]) {
		await cp(join(built, "tiny-lm"), join(own, name), { recursive: true });
	}
	await rm(join(own, "missing/onnx/model.onnx"));
	await writeFile(join(own, "corrupt/onnx/model.onnx"), "this is no model");
	await writeFile(join(own, "no-json/config.json"), "<html>");
	await mkdir(join(own, "mlc/resolve/main"), { recursive: true });
	await writeFile(join(own, "mlc/resolve/main/mlc-chat-config.json"), "{}");
	await writeFile(
		join(own, "models.json"),
		JSON.stringify([
			{ ...LM, id: "mine", name: "Mine", path: "mine" },
			{ ...LM, id: "bad", path: "../../etc" },
		]),
	);
	return own;
}

before(async () => {
	daemon = await startDaemon({ args: ["--models", await writeModels()] });
	browser = await openBrowser();
	browser.context.on("request", (request) => requests?.push(request.url()));
});

after(async () => {
	await browser?.close();
	await daemon?.stop();
	await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
	requests = [];
	page = await browser.signedInPage(daemon, "/health");
	await page.evaluate(() => {
		/** Runs `use` with a loaded engine, and ends it. */
		globalThis.withEngine = async (spec, use) => {
			const { createEngine } = await import("/inference/engine.js");
			const engine = createEngine(spec);
			try {
				await engine.load();
				return await use(engine);
			} catch ({ code, message }) {
				return { code, message };
			} finally {
				engine.terminate();
			}
		};
	});
});

afterEach(async () => {
	await page.close();
	for (const url of requests) {
		assert.ok(/^(data|blob|about):/.test(url) || url.startsWith(daemon.base), url);
	}
});

test("the demo language model computes on WebGPU, streams, goes on when cut", async () => {
	const said = await page.evaluate(
		async (spec) =>
			withEngine(spec, async (engine) => {
				const texts = [];
				const ask = [{ role: "user", content: "How does the queue work" }];
				const onText = (delta, full) => texts.push([delta, full]);
				const answer = await engine.chat(ask, { onText });
				const begun = [...ask, { role: "assistant", content: "Waiting is fair" }];
				const deltas = [];
				const rest = await engine.chat(begun, { onText: (delta) => deltas.push(delta) });
				return { answer, texts, rest, deltas, memory: await engine.memory() };
			}),
		LM,
	);
	assert.equal(said.answer.text, ANSWER);
	assert.ok(said.answer.tokens > 15 && said.answer.tokensPerSecond > 0);
	assert.ok(said.texts.length > 10, "it comes in pieces");
	assert.equal(said.texts.map(([delta]) => delta).join(""), ANSWER);
	assert.equal(said.rest.text, ANSWER);
	assert.equal(said.deltas.join(""), ANSWER.slice("Waiting is fair".length));
	assert.ok(said.memory.vramBytes > 100_000, "the GPU's buffers were counted");
});

test("a stop ends an answer between two words, and the model answers again", async () => {
	const { stopped, lengths, again } = await page.evaluate(
		async (spec) =>
			withEngine(spec, async (engine) => {
				const stop = new AbortController();
				const lengths = [];
				const stopped = await engine
					.chat([{ role: "user", content: "the queue" }], {
						signal: stop.signal,
						onText: (_, full) => {
							lengths.push(full.length);
							if (lengths.length === 3) stop.abort();
						},
					})
					.catch(({ code }) => code);
				const again = await engine.chat([{ role: "user", content: "the queue" }]);
				return { stopped, lengths, again };
			}),
		LM,
	);
	assert.equal(stopped, "ABORTED");
	assert.ok(lengths.at(-1) < ANSWER.length);
	assert.equal(again.text, ANSWER);
});

test("the demo Whisper hears four tones, and nothing in silence", async () => {
	const texts = await page.evaluate(async () =>
		withEngine(
			{
				id: "tw",
				name: "Tones",
				engine: "transformers",
				task: "transcribe",
				profile: "lite",
				vram_mb: 32,
				dtype: "fp32",
				path: "tone-whisper",
			},
			async (engine) => {
				const sound = Float32Array.from({ length: 64000 }, (_, i) =>
					Math.sin(
						(2 * Math.PI * [1000, 4000, 500, 2000][Math.floor(i / 16000)] * i) / 16000,
					),
				);
				const tones = await engine.transcribe(sound);
				return [tones.text, (await engine.transcribe(new Float32Array(16000))).text];
			},
		),
	);
	assert.deepEqual(texts, ["green lease red blue", ""]);
});

test("missing and damaged files are named, and models of one's own are used", async () => {
	const outcome = (path) =>
		page.evaluate(
			(spec) =>
				withEngine(
					spec,
					async (engine) =>
						(await engine.chat([{ role: "user", content: "queue" }])).text,
				),
			{ ...LM, path },
		);
	assert.equal(await outcome("mine"), ANSWER);
	const nothing = await outcome("nothing");
	assert.equal(nothing.code, "MODEL_MISSING");
	assert.match(nothing.message, /\/models\/nothing\/config\.json/);
	const missing = await outcome("missing");
	assert.equal(missing.code, "MODEL_MISSING");
	assert.match(missing.message, /\/models\/missing\/onnx\/model\.onnx/);
	const corrupt = await outcome("corrupt");
	assert.equal(corrupt.code, "MODEL_CORRUPT");
	assert.match(corrupt.message, /\/models\/corrupt\/onnx\/model\.onnx/);
	assert.equal((await outcome("no-json")).code, "MODEL_CORRUPT");
});

test("an address that is not allowed is named, with the setting that would allow it", async () => {
	// A page with the policy that our pages have; it is the policy that refuses.
	await page.goto(`${daemon.base}/logs`);
	const { code, message } = await page.evaluate(
		async (spec) => {
			await import("/ui/trusted.js"); // as all pages that make workers do
			const { createEngine } = await import("/inference/engine.js");
			const engine = createEngine(spec);
			return engine
				.load()
				.catch((error) => ({ code: error.code, message: error.message }))
				.finally(() => engine.terminate());
		},
		{ ...LM, path: undefined, url: "https://models.example.org/one" },
	);
	assert.equal(code, "MODEL_MISSING");
	assert.match(message, /models\.example\.org.*model_origins/);
	requests = requests.filter((url) => !url.startsWith("https://models.example.org/"));
});

test("a Worker that is ended fails its calls at once, and others compute on", async () => {
	const result = await page.evaluate(async (spec) => {
		const { createEngine } = await import("/inference/engine.js");
		const [one, two] = [createEngine(spec), createEngine(spec)];
		await Promise.all([one.load(), two.load()]);
		const cut = one.chat([{ role: "user", content: "queue" }]).catch(({ code }) => code);
		one.worker.terminate();
		const text = (await two.chat([{ role: "user", content: "queue" }])).text;
		const later = await one.chat([]).catch(({ code }) => code);
		two.terminate();
		return { cut: await cut, text, later };
	}, LM);
	assert.deepEqual(result, { cut: "ABORTED", text: ANSWER, later: "ABORTED" });
});

test("the real WebLLM loads without asking anybody, and names a missing file", async () => {
	const { code, message } = await page.evaluate(async () =>
		withEngine(
			{
				id: "mlc",
				name: "MLC",
				engine: "webllm",
				task: "chat",
				profile: "lite",
				vram_mb: 1,
				path: "mlc",
				model_lib: "libs/none.wasm",
			},
			async () => ({ code: "LOADED" }),
		),
	);
	assert.equal(code, "MODEL_MISSING");
	assert.match(message, /\/models\/mlc\/resolve\/main\/tensor-cache\.json/);
	assert.ok(requests.some((url) => url.endsWith("/vendor/web-llm.js")));
});

test("the list of models has the user's, the built-in ones, and what is wrong", async () => {
	const { names, problems } = await page.evaluate(async () => {
		const catalog = await (await import("/inference/catalog.js")).loadCatalog();
		return { names: catalog.map(({ name }) => name), problems: catalog.problems };
	});
	assert.deepEqual(names, ["Tiny LM", "Tone Whisper", "Mine"]);
	assert.equal(problems.length, 1);
	assert.match(problems[0], /entry 2: path/);
});

test("what a model writes does nothing: no scripts, pictures, styles, forms", async () => {
	await page.goto(`${daemon.base}/logs`); // a page with our policy
	const hostile = [
		"<script>window.hit = 1</script>",
		"<img src=x onerror='window.hit = 2'>",
		"[click](javascript:window.hit=3)",
		"[data](data:text/html,<script>1</script>)",
		"![picture](https://models.example.org/spy.png)",
		"<iframe src='/console'></iframe>",
		"<style>body{display:none}</style>",
		"<a href='https://x.org' onclick='hit=4'>x</a>",
		"<form action='https://x.org'><input name=a></form>",
		"<svg onload='window.hit=5'></svg>",
		"<div style='position:fixed'>over all</div>",
		"\u202Etxet desrever\u2066",
		"[good](https://example.org/page)",
		"**bold** `code`",
		"<base href='https://x.org/'>",
		"<math><mtext><img src=x onerror=window.hit=6>",
		"<p id=frame class=card>named</p>",
	].join("\n\n");
	const seen = await page.evaluate(async (text) => {
		const { renderMarkdown } = await import("/ui/markdown.js");
		const box = document.createElement("div");
		box.append(renderMarkdown(text));
		document.body.append(box);
		await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
		return {
			hit: window.hit,
			tags: [...new Set([...box.querySelectorAll("*")].map(({ localName }) => localName))],
			attributes: [
				...new Set(
					[...box.querySelectorAll("*")].flatMap((element) =>
						element.getAttributeNames(),
					),
				),
			].sort(),
			links: [...box.querySelectorAll("a")].map((link) => [
				link.textContent,
				link.getAttribute("href"),
				link.rel,
				link.target,
			]),
			text: box.textContent,
		};
	}, hostile);
	assert.equal(seen.hit, undefined);
	const plain = ["p", "a", "strong", "code", "br"];
	assert.deepEqual(
		seen.tags.filter((tag) => !plain.includes(tag)),
		[],
	);
	assert.deepEqual(seen.attributes, ["href", "rel", "target"]);
	const links = seen.links.filter(([, href]) => href);
	assert.deepEqual(links, [
		["good", "https://example.org/page", "noopener noreferrer", "_blank"],
	]);
	assert.match(seen.text, /<script>window\.hit = 1<\/script>/, "it is shown as it was written");
	assert.doesNotMatch(seen.text, /[\u202A-\u202E\u2066-\u2069]/);
});

/** Fails the n-th write with an error of that name, as a browser would. */
const failWrites = (name) => {
	const { put } = IDBObjectStore.prototype;
	IDBObjectStore.prototype.put = function () {
		IDBObjectStore.prototype.put = put;
		throw new DOMException("injected", name);
	};
};

test("memory: kept for the next page, a thought once, a deletion whole", async () => {
	const write = async () => {
		const { openStorage } = await import("/storage/storage.js");
		const memory = await openStorage();
		const base = { title: "t", model: "m", created: 1, updated: 1 };
		await memory.putConversation({ id: "c", ...base });
		await memory.putConversation({ id: "d", ...base });
		const say = (id, conversation, at) =>
			memory.putMessage({ id, conversation, role: "user", text: id, at });
		await Promise.all([say("2", "c", 20), say("1", "c", 10), say("3", "d", 30)]);
		const thought = { id: "1:c", about: ["c"], text: "x", links: [], round: 1, at: 1 };
		return [await memory.addThought(thought), await memory.addThought(thought), memory.problem];
	};
	assert.deepEqual(await page.evaluate(write), [true, false, null]);
	await page.reload();
	const read = await page.evaluate(async () => {
		const { openStorage } = await import("/storage/storage.js");
		const memory = await openStorage();
		const found = {
			conversations: (await memory.conversations()).map(({ id, updated }) => [id, updated]),
			messages: (await memory.messages("c")).map(({ id }) => id),
			thoughts: (await memory.thoughts()).length,
		};
		await memory.deleteConversation("c");
		return {
			...found,
			left: [
				(await memory.messages("c")).length,
				(await memory.messages("d")).length,
				(await memory.conversations()).length,
			],
		};
	});
	assert.deepEqual(
		read.conversations.map(([id]) => id),
		["d", "c"],
	);
	assert.deepEqual(read.messages, ["1", "2"]);
	assert.equal(read.thoughts, 1);
	assert.deepEqual(read.left, [0, 1, 1]);
});

test("memory: a full storage is told, and all goes on in memory with what was there", async () => {
	await page.evaluate(`globalThis.failWrites = ${failWrites}`);
	const { code, texts, conversations, afterwards } = await page.evaluate(async () => {
		const { openStorage } = await import("/storage/storage.js");
		const memory = await openStorage();
		await memory.putNote({ id: "n1", text: "kept", source: "test", at: 1 });
		let code = "";
		memory.addEventListener("problem", () => {
			code = memory.problem.code;
		});
		failWrites("QuotaExceededError");
		await memory.putNote({ id: "n2", text: "too much", source: "test", at: 2 });
		const texts = (await memory.notes()).map(({ text }) => text);
		await memory.putConversation({ id: "e", title: "", model: "", created: 1, updated: 1 });
		const conversations = (await memory.conversations()).map(({ id }) => id);
		const disk = await openStorage();
		return { code, texts, conversations, afterwards: (await disk.notes()).length };
	});
	assert.equal(code, "FULL");
	assert.deepEqual(texts, ["kept", "too much"]);
	assert.ok(conversations.includes("e"));
	assert.equal(afterwards, 1, "the disk has what it had");
});

test("memory: without storage, or held by an older tab, it says so and works on", async () => {
	const none = await page.evaluate(async () => {
		const { open } = IDBFactory.prototype;
		IDBFactory.prototype.open = () => {
			throw new DOMException("no", "SecurityError");
		};
		const { openStorage } = await import("/storage/storage.js");
		const memory = await openStorage();
		IDBFactory.prototype.open = open;
		await memory.putNote({ id: "n", text: "x", source: "test", at: 1 });
		return [memory.problem.code, (await memory.notes()).length];
	});
	assert.deepEqual(none, ["UNAVAILABLE", 1]);
	const blocked = await page.evaluate(async () => {
		await new Promise((done) => {
			indexedDB.deleteDatabase("baton").onsuccess = done;
		});
		// An older version that does not let go, as a tab of an older page would.
		const old = await new Promise((done) => {
			const request = indexedDB.open("baton", 0.5 * 2);
			request.onsuccess = () => done(request.result);
		});
		const { open } = IDBFactory.prototype;
		IDBFactory.prototype.open = function (name) {
			return open.call(this, name, 2);
		};
		const { openStorage } = await import("/storage/storage.js");
		const memory = await openStorage();
		IDBFactory.prototype.open = open;
		old.close();
		return memory.problem.code;
	});
	assert.equal(blocked, "BLOCKED");
});

test("memory: a newer version in another tab is let through", async () => {
	const code = await page.evaluate(async () => {
		await new Promise((done) => {
			indexedDB.deleteDatabase("baton").onsuccess = done;
		});
		const { openStorage } = await import("/storage/storage.js");
		const memory = await openStorage();
		const told = new Promise((done) => memory.addEventListener("problem", done));
		const newer = await new Promise((done) => {
			const request = indexedDB.open("baton", 2);
			request.onsuccess = () => done(request.result);
		});
		await told;
		newer.close();
		await new Promise((done) => {
			indexedDB.deleteDatabase("baton").onsuccess = done;
		});
		return memory.problem.code;
	});
	assert.equal(code, "BLOCKED");
});
