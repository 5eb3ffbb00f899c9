// Proves whom a SharedModel asks, and when it goes on with the page's own model: by what the broker
// says of models, and by how an answer ends. In Node, the broker's answers by hand.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { ServedError, SharedModel, sourceOf } from "../../../web/inference/shared_model.js";

const given = globalThis.fetch;
/** @type {{path: string, headers: any, body: any}[]} */
let asked = [];
/** @type {any[]} */
let rows = [];
/** @type {() => Response} */
let answer;

const row = (server, more = {}) => ({
	model: "m",
	alias: null,
	server,
	down: false,
	failure: null,
	...more,
});
const words = (...said) =>
	said.map((content) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
const DONE = "data: [DONE]\n\n";

/** A stream that comes in such pieces. */
const stream = (pieces, headers = { "x-baton-served-by": "ollama" }) =>
	new Response(new Blob(pieces).stream(), { headers });
const refused = (status, code) =>
	new Response(JSON.stringify({ error: { code, message: `it is ${code}` } }), { status });

beforeEach(() => {
	asked = [];
	rows = [row("ollama")];
	answer = () => stream([...words("a", "ü"), DONE]);
	globalThis.fetch = async (url, { headers, body, signal }) => {
		signal?.throwIfAborted();
		const path = new URL(url).pathname;
		asked.push({ path, headers, body: body && JSON.parse(body) });
		return path === "/v1/gpu/models" ? Response.json({ models: rows }) : answer();
	};
});

afterEach(() => {
	globalThis.fetch = given;
});

/** What a page asks, and what became of its own model. */
async function ask({ signal } = {}) {
	const did = [];
	const host = {
		unload: async () => did.push("unload"),
		turn: async (o, fn) => {
			did.push("own");
			return fn({ chat: async () => ({ text: "own" }) }, {});
		},
	};
	const model = new SharedModel({
		broker: { door: { base: "http://broker", name: "Root Dreamer", token: "t" } },
		spec: { id: "m", name: "M" },
		class: "background",
		own: () => host,
		made: () => host,
	});
	const texts = [];
	const outcome = await model
		.turn({ signal }, async (engine) => {
			const { text } = await engine.chat([{ role: "user", content: "hi" }], {
				signal,
				maxTokens: 5,
				onText: (delta, full) => texts.push([delta, full]),
			});
			return text;
		})
		.catch((error) => error);
	return { outcome, did, texts, by: model.by };
}

test("whoever serves is asked, in the page's class; the own copy is let go", async () => {
	const { outcome, did, texts, by } = await ask();
	assert.equal(outcome, "aü");
	assert.deepEqual(texts, [
		["a", "a"],
		["ü", "aü"],
	]);
	assert.deepEqual([did, by], [["unload"], "ollama"]);
	const { path, headers, body } = asked[1];
	assert.equal(path, "/v1/chat/completions");
	assert.deepEqual([headers["x-baton-class"], headers.Authorization], ["background", "Bearer t"]);
	assert.deepEqual(body, {
		model: "m",
		messages: [{ role: "user", content: "hi" }],
		stream: true,
		max_tokens: 5,
	});
});

test("who answers is known when it waited for long, too, however the stream is cut", async () => {
	const lines = [
		": waiting for a turn for 2 s\n",
		": baton lease=7 fence=9 wait_ms=2000 served_by=tab:Root-Console\n",
		...words("ä"),
		DONE,
	];
	const bytes = new TextEncoder().encode(lines.join(""));
	answer = () =>
		stream(
			[...bytes].map((byte) => new Uint8Array([byte])),
			{},
		);
	const { outcome, by } = await ask();
	assert.deepEqual([outcome, by], ["ä", "the Console's tab"]);
	assert.equal(sourceOf("tab:mine"), "the tab “mine”");
});

test("no answer goes round in a circle: tabs of its own kind are not asked", async () => {
	rows = [row("tab:Root-Dreamer")];
	assert.equal((await ask()).outcome, "own");
	assert.equal(asked.length, 1);
	rows = [row("tab:Root-Dreamer"), row("ollama", { model: "m:7b", alias: "m" })];
	await ask();
	assert.equal(asked.at(-1).body.model, "ollama/m:7b");
});

test("nobody who could answer: the own model, and nobody is asked", async () => {
	for (const none of [
		[],
		[row("ollama", { model: "n" })],
		[row("ollama", { down: true })],
		[row("ollama", { failure: "it did not start" })],
	]) {
		rows = none;
		asked = [];
		const { outcome, did, by } = await ask();
		assert.deepEqual([outcome, did, by, asked.length], ["own", ["own"], "this tab", 1]);
	}
});

test("before the first word the own model goes on, where nobody has the model", async () => {
	for (const broken of [
		() => refused(404, "model_not_found"),
		() => refused(502, "upstream_unreachable"),
		() => new Response("<html>", { status: 502 }),
		() => stream([]),
		() => stream(["data: {}\n\n", 'data: {"error":{"code":"upstream_broken"}}\n\n']),
		() => {
			throw new TypeError("Failed to fetch");
		},
	]) {
		answer = broken;
		const { outcome, did, by } = await ask();
		assert.deepEqual([outcome, did, by], ["own", ["unload", "own"], "this tab"]);
	}
});

test("what says that others need the GPU first loads no second copy", async () => {
	for (const [code, known] of [
		["outranked", "REVOKED"],
		["draining", "UNREACHABLE"],
		["queue_full", "QUEUE_FULL"],
		["timeout", "WAIT_TIMEOUT"],
	]) {
		answer = () => refused(503, code);
		const { outcome, did } = await ask();
		assert.ok(outcome instanceof ServedError);
		assert.deepEqual([outcome.code, did], [known, ["unload"]]);
	}
});

test("after the first word an error is one", async () => {
	for (const pieces of [
		words("half"),
		[...words("half"), 'data: {"error":{"code":"upstream_unreachable","message":"gone"}}\n\n'],
		[...words("half"), "data: {torn"],
	]) {
		answer = () => stream(pieces);
		const { outcome, did } = await ask();
		assert.ok(outcome instanceof ServedError, String(outcome));
		assert.deepEqual(did, ["unload"]);
	}
});

test("who stops it hears that, and nothing is loaded", async () => {
	const abort = new AbortController();
	answer = () => {
		abort.abort();
		throw abort.signal.reason;
	};
	const { outcome, did } = await ask({ signal: abort.signal });
	assert.deepEqual([outcome.name, did], ["AbortError", ["unload"]]);
});
