// The README's examples, word for word, in a real browser: on a site of one's own and on a page of
// the broker, each through a damaged download, an interrupt, an eviction, a revoke and a broken
// connection. transformers.js runs a real model, the demo one in the place of the named one. No
// real model of WebLLM is small enough: its library is the real one on both sides of the Worker,
// and only the engine within is a stand-in.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { batonPath, packageFile } from "../lib/packages.mjs";
import { asModule, readmeExamples, resolved, vendored } from "../lib/readme.mjs";
import { connect } from "../lib/session.mjs";
import { until, within } from "../lib/until.mjs";

const MS = 60_000; // SwiftShader on a busy machine
const HTML = "<!DOCTYPE html><title>Sign in to the Wi-Fi</title>";
const HUB = ["https://huggingface.co", "https://raw.githubusercontent.com"];
/** Where they lie: a folder whose files the broker's pages may make a worker of. */
const FOLDER = "/inference/examples";
const WORDS = "the broker grants one lease at a time";

const examples = readmeExamples();
const tiny = (/** @type {string} */ name) =>
	readFileSync(join(dirname(batonPath), "web/models/tiny-lm", name));

/** What a page of one's own would have beside the examples. */
const COMPUTE = `
let stop = false;
const step = () => new Promise((done) => setTimeout(done, 60));
onmessage = async ({ data }) => {
	if (data.stop) { stop = true; return; }
	if (data.weights) { postMessage({ value: (await data.weights.text()).length }); return; }
	stop = false;
	let n = 0;
	for (; n < data.job && !stop; n++) await step();
	postMessage({ value: n });
};`;
/** Each token takes its time, so that something can come in between. */
const SLOW = `
const { mapAsync } = GPUBuffer.prototype;
GPUBuffer.prototype.mapAsync = async function (...a) {
	await new Promise((done) => setTimeout(done, 40));
	return mapAsync.apply(this, a);
};
export {};`;
const WEBLLM = `
import { WebWorkerMLCEngineHandler as Real } from "/vendor/web-llm.js";
class Engine {
	setInitProgressCallback() {}
	async reload() {}
	async unload() {}
	async chatCompletion() {
		this.stop = false;
		const said = [];
		for (const word of ${JSON.stringify(WORDS.split(" "))}) {
			if (this.stop) break;
			await new Promise((done) => setTimeout(done, 100));
			said.push(word);
		}
		return { choices: [{ message: { role: "assistant", content: said.join(" ") } }] };
	}
	interruptGenerate() { this.stop = true; }
}
export class WebWorkerMLCEngineHandler extends Real {
	constructor() { super(); this.engine = new Engine(); }
}`;
const REACT = `
import { createElement, createRoot, StrictMode, useState } from "/react.js";
import { useTurn } from "./use_turn.js";
import { model } from "./job.js";
export { model };
let again;
export const turn = {};
function App() {
	const [n, setN] = useState(0);
	again = () => setN((old) => old + 1);
	Object.assign(turn, { value: undefined, error: undefined }, useTurn(model, work, [n]));
	return createElement("p", null, turn.value?.done ?? turn.state);
}
const mount = () => createRoot(document.body.appendChild(document.createElement("div")))
	.render(createElement(StrictMode, null, createElement(App)));
${settling()}`;
const VUE = `
import { createApp, h, ref } from "/vue.js";
import { useTurn } from "./use_turn_vue.js";
import { model } from "./job.js";
export { model };
const n = ref(0);
const again = () => n.value++;
let turn;
const App = { setup: () => {
	turn = useTurn(model, work, n);
	return () => h("p", turn.value?.done ?? turn.state);
} };
const mount = () => createApp(App).mount(document.body.appendChild(document.createElement("div")));
${settling()}`;

/** The work that both frameworks ask for, and how a test asks anew and hears of its end. */
function settling() {
	return `
function work(worker, lease, signal) {
	return new Promise((resolve, reject) => {
		worker.onmessage = ({ data }) => resolve({ done: data.value });
		for (const each of [signal, lease.signal])
			each.addEventListener("abort", () => reject(each.reason));
		lease.yieldSignal.addEventListener("abort", () => worker.postMessage({ stop: true }));
		worker.postMessage({ job: 20 });
	});
}
const pause = () => new Promise((done) => setTimeout(done, 20));
const outcome = () => turn?.error ?? turn?.value;
let mounted = false;
export async function ask() {
	const before = outcome();
	if (!mounted) mount();
	else again();
	mounted = true;
	while (outcome() === undefined || outcome() === before) await pause();
	if (turn.error) throw turn.error;
	return turn.value.done;
}`;
}

/** How each is asked, what a whole answer is, and which file comes damaged once. */
const CASES = {
	"Plain WebGPU": {
		file: "steps.js",
		poison: /weights\.bin$/,
		whole: "20 steps",
		ask: `async ({ compute }) => {
			let done = 0;
			const step = async ({ device, weights }) => {
				const encoder = device.createCommandEncoder();
				encoder.clearBuffer(weights, 0, 4);
				device.queue.submit([encoder.finish()]);
				await device.queue.onSubmittedWorkDone();
				await new Promise((next) => setTimeout(next, 50));
				done++;
			};
			await compute(Array(20).fill(step));
			return done + " steps";
		}`,
	},
	"transformers.js": {
		file: "generator.js",
		poison: /tokenizer\.json$/,
		whole: /speaking right now\.$/,
		ask: `({ answer }) => answer("How does the queue work")`,
	},
	WebLLM: {
		file: "chat.js",
		poison: /params_shard_1\.bin$/,
		whole: WORDS,
		ask: `({ reply }) => reply([{ role: "user", content: "Hello" }])`,
	},
	"A worker": {
		file: "job.js",
		poison: /weights\.bin$/,
		whole: 20,
		ask: "({ compute }) => compute(20)",
	},
	React: { file: "react_page.js", poison: /weights\.bin$/, whole: 20, ask: "({ ask }) => ask()" },
	Vue: { file: "vue_page.js", poison: /weights\.bin$/, whole: 20, ask: "({ ask }) => ask()" },
};

let site;
let daemon;
let browser;
/** The next file of that name comes as a sign-in page. @type {RegExp | null} */
let poison = null;

/** @param {string} path @returns {string | Buffer | null} a file of the page's own */
function fileOf(path) {
	const name = path.split("/").at(-1) ?? "";
	if (name in examples) {
		const first = name === "generator_worker.js" ? 'import "./slow.js";\n' : "";
		const others = { "@mlc-ai/web-llm": "./stand_in.js" };
		return first + resolved(examples[name], name === "chat_worker.js" ? others : {});
	}
	const own = {
		"compute.js": COMPUTE,
		"slow.js": SLOW,
		"stand_in.js": WEBLLM,
		"react_page.js": REACT,
		"vue_page.js": VUE,
		"weights.bin": "the weights of a model, 32 bytes",
	};
	const asked = Object.values(CASES).find(({ file }) => `ask_${file}` === name);
	if (asked) return `export default ${asked.ask};`;
	if (name in own) return own[/** @type {keyof typeof own} */ (name)];
	if (name === "vue.js")
		return readFileSync(
			join(dirname(packageFile("vue/package.json")), "dist/vue.runtime.esm-browser.js"),
		);
	if (name === "react.js")
		return asModule(
			{
				react: "react/cjs/react.development.js",
				scheduler: "scheduler/cjs/scheduler.development.js",
				"react-dom": "react-dom/cjs/react-dom.development.js",
				client: "react-dom/cjs/react-dom-client.development.js",
			},
			["createElement", "createRoot", "StrictMode", "useEffect", "useState"],
		);
	return null;
}

/** A model hub with the demo model under every name, and a WebLLM model of nothing.
 * @param {string} path @returns {string | Buffer | null} */
function hubFile(path) {
	const name = path.split("/main/").at(-1) ?? "";
	if (/\.wasm$/.test(name)) return "\0asm";
	if (name === "mlc-chat-config.json") return "{}";
	if (name === "tensor-cache.json")
		return JSON.stringify({
			records: [0, 1].map((n) => ({ dataPath: `params_shard_${n}.bin`, nbytes: 1000 })),
		});
	if (/params_shard/.test(name)) return Buffer.alloc(1000, 7);
	try {
		return tiny(name.replace(/model_\w+\.onnx$/, "model.onnx"));
	} catch {
		return null;
	}
}

/** @param {import("playwright-core").Route} route @param {string | Buffer | null} body */
function fulfill(route, body) {
	const path = new URL(route.request().url()).pathname;
	const poisoned = poison?.test(path);
	if (poisoned) poison = null;
	const contentType = poisoned
		? "text/html"
		: /\.js$/.test(path)
			? "text/javascript"
			: /\.json$/.test(path)
				? "application/json"
				: "application/octet-stream";
	return route.fulfill({
		status: body === null ? 404 : 200,
		contentType,
		headers: {
			"Access-Control-Allow-Origin": "*",
			"Cross-Origin-Embedder-Policy": "require-corp",
		},
		body: poisoned ? HTML : (body ?? ""),
	});
}

before(async () => {
	const vendor = Object.fromEntries(
		[
			"transformers.js",
			"web-llm.js",
			"ort-wasm-simd-threaded.asyncify.mjs",
			"ort-wasm-simd-threaded.asyncify.wasm",
		].map((name) => [`/vendor/${name}`, vendored(name)]),
	);
	site = await startForeignSite(vendor);
	daemon = await startDaemon({
		config: {
			origins: [site.base],
			model_origins: HUB,
			timing: { min_run_s: 0, tab_linger_s: 0.3, lock_delay_s: 0.3, settle_s: 0.5 },
		},
	});
	browser = await openBrowser();
	const own = ["*.js", "weights.bin", `${FOLDER.slice(1)}/*`].flatMap((name) =>
		[site.base, daemon.base].map((base) => `${base}/${name}`),
	);
	for (const url of own)
		await browser.context.route(url, (route) =>
			fulfill(route, fileOf(new URL(route.request().url()).pathname)),
		);
	for (const url of HUB)
		await browser.context.route(`${url}/**`, (route) =>
			fulfill(route, hubFile(new URL(route.request().url()).pathname)),
		);
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	await site?.stop();
});

/** The example in a page, and what the test does to it. */
async function open(name, base) {
	const { file } = CASES[name];
	const page = await browser.page();
	await page.goto(base === daemon.base ? await daemon.link() : base);
	if (base === daemon.base) await page.goto(`${base}/logs`);
	await page.evaluate(
		async ([module, asking, options]) => {
			for (const key of await caches.keys()) await caches.delete(key);
			window.batonOptions = options;
			// The broker's pages load this first; without it they make no worker.
			if (!options.url) await import("/ui/trusted.js");
			const example = await import(module);
			const { default: say } = await import(asking);
			window.model = example.model;
			window.ask = async () =>
				say(example).then(
					(value) => ({ value }),
					({ code, message }) => ({ code, message }),
				);
		},
		[
			`${FOLDER}/${file}`,
			`${FOLDER}/ask_${file}`,
			{
				name,
				backoff: { minMs: 20, maxMs: 100 },
				...(base === daemon.base ? {} : { url: daemon.base, token: daemon.token }),
			},
		],
	);
	return page;
}

/** Asks, and when it computes does `what` to it; what came of the answer. */
async function during(page, what) {
	const asked = page.evaluate(() => window.ask());
	await until(() => page.evaluate(() => window.model.state === "busy"), {
		ms: MS,
		what: "it computes",
		every: 20,
	}); // which is soon over
	await what();
	return within(asked, { ms: MS, what: "the answer" });
}

const whole = (name, { value, message }) => {
	const wanted = CASES[name].whole;
	if (wanted instanceof RegExp) assert.match(String(value ?? message), wanted);
	else assert.equal(value ?? message, wanted);
};
const answered = async (name, page) =>
	whole(
		name,
		await within(
			page.evaluate(() => window.ask()),
			{ ms: MS, what: "an answer" },
		),
	);

async function poisoned(name, page) {
	poison = CASES[name].poison;
	const { code, message } = await within(
		page.evaluate(() => window.ask()),
		{ ms: MS },
	);
	assert.equal(code, "DAMAGED", message);
	assert.match(message, /web page/);
	await answered(name, page);
}

async function interrupted(name, page) {
	const voice = await connect(daemon, "voice");
	const result = await during(page, async () => {
		voice.send({ type: "acquire", ref: 1, class: "voice", timeout_s: null });
		voice.send({ type: "accept", lease: (await voice.hear("offered")).lease });
		const { lease } = await voice.hear("granted");
		voice.send({ type: "release", lease });
	});
	voice.close();
	assert.equal(result.code, undefined, result.message);
	if (name !== "Plain WebGPU") assert.throws(() => whole(name, result), "only a part");
	await answered(name, page);
}

async function evicted(name, page) {
	const big = await connect(daemon, "big");
	big.send({
		type: "acquire",
		ref: 1,
		slots: 0,
		evictable: true,
		vram_mb: 24_000,
		timeout_s: null,
	});
	big.send({ type: "accept", lease: (await big.hear("offered")).lease });
	await big.hear("granted");
	big.close();
	assert.equal(await page.evaluate(() => window.model.engine), null);
	await answered(name, page);
}

async function revoked(name, page) {
	const { code, message } = await during(page, async () => {
		const { leases } = await daemon.status();
		const { lease } = leases.find(({ slots }) => slots > 0);
		await daemon.http("POST", `/v1/gpu/leases/${lease}/revoke`, { reason: "test" });
	});
	assert.equal(code, "REVOKED", message);
	await answered(name, page);
}

async function cut(name, page) {
	const { code, message } = await during(page, () => daemon.kill());
	assert.equal(code, "LOST", message);
	await daemon.start();
	await answered(name, page);
}

for (const name of Object.keys(CASES)) {
	test(`${name}, on a site of one's own`, async () => {
		const page = await open(name, site.base);
		await poisoned(name, page);
		await interrupted(name, page);
		await evicted(name, page);
		await revoked(name, page);
		await cut(name, page);
		await page.close();
	});

	test(`${name}, on a page of the broker`, async () => {
		const page = await open(name, daemon.base);
		await poisoned(name, page);
		await revoked(name, page);
		await page.close();
	});
}

test("every example is run, and none is left in the old form", () => {
	const text = readFileSync(new URL("../../../web/sdk/README.md", import.meta.url), "utf8");
	const section = text.slice(text.indexOf("## Examples"), text.indexOf("## Broker\n"));
	assert.equal(section.match(/^```\w+$/gm)?.length, Object.keys(examples).length);
	const used = [
		"steps.js",
		"generator.js",
		"generator_worker.js",
		"ask.js",
		"chat.js",
		"chat_worker.js",
		"job.js",
		"use_turn.js",
		"use_turn_vue.js",
		"lease.jsx", // follow_docs.test.mjs: it wants a compiler
	];
	assert.deepEqual(Object.keys(examples), used);
});
