// Proves that a chat model is in memory once: Root Mic refines and Root Dreamer thinks with a model
// that a Console's tab or a model server has, say so, and load their own only when nobody answers
// before the first word; a voice waits for a word of a thought that is made elsewhere; a dream that
// began alone moves, and comes back. Real browser, real daemon, demo models, a model server by hand.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { until, untilText } from "../lib/until.mjs";
import { Session } from "./sessions.mjs";

const LOADED_MS = 60000; // models are loaded and compute on SwiftShader, on a busy machine
const NOTES = ["The broker shares one GPU.", "The queue is fair.", "A lease ends.", "Tabs die."];
const WORDS = ["Tidied ", "by a ", "server."];

/** A model server that answers as `mode` says. */
const server = {
	mode: "gone",
	/** @type {any[]} what it was asked, with who asked for which class */
	asked: [],
};

const http = createServer(async (request, response) => {
	let body = "";
	for await (const piece of request) body += piece;
	if (server.mode === "gone") {
		request.socket.destroy();
		return;
	}
	if (request.method === "GET") {
		response.setHeader("Content-Type", "application/json");
		response.end(
			JSON.stringify({ object: "list", data: [{ id: "tiny:1b", object: "model" }] }),
		);
		return;
	}
	server.asked.push(JSON.parse(body));
	if (server.mode === "fails") {
		response.writeHead(503, { "Content-Type": "application/json" });
		response.end('{"error":{"message":"no room","code":"upstream_broken"}}');
		return;
	}
	response.setHeader("Content-Type", "text/event-stream");
	for (const content of server.mode === "half" ? WORDS.slice(0, 1) : WORDS)
		response.write(
			`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`,
		);
	if (server.mode === "half") setTimeout(() => response.destroy(), 50);
	else
		response.end(
			'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
		);
});

let daemon;
let browser;

before(async () => {
	await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
	const url = `http://127.0.0.1:${http.address().port}`;
	daemon = await startDaemon({
		config: {
			upstreams: [
				{
					name: "ollama",
					kind: "openai",
					url,
					gpu: "none",
					models: [{ name: "tiny:1b", alias: "tiny-lm" }],
				},
			],
		},
	});
	browser = await openBrowser();
});

after(async () => {
	await browser?.close();
	await daemon?.stop();
	http.closeAllConnections();
	http.close();
});

beforeEach(async () => {
	await serves("gone");
	const page = await browser.signedInPage(daemon, "/health");
	await page.evaluate(async () => {
		const key = localStorage.getItem("baton-key") ?? "";
		localStorage.clear();
		localStorage.setItem("baton-key", key); // it stays signed in
		for (const { name } of await indexedDB.databases())
			await new Promise((done, fail) => {
				const request = indexedDB.deleteDatabase(name);
				request.onsuccess = done;
				request.onerror = fail;
			});
	});
	await page.close();
});

afterEach(async () => {
	for (const each of browser.context.pages()) await each.close();
});

/** The broker asks for lists now and then: what it knows follows. */
async function serves(mode) {
	server.mode = mode;
	server.asked = [];
	await until(
		async () => {
			await daemon.http("GET", "/v1/models");
			const { models } = await daemon.http("GET", "/v1/gpu/models");
			return models.some((row) => row.server === "ollama" && row.down === (mode === "gone"));
		},
		{ what: `the server is ${mode}`, ms: 30000 },
	);
}

async function console_() {
	const page = await browser.page();
	await page.goto(`${daemon.base}/console`);
	await page.locator("#choose option").first().waitFor({ state: "attached" });
	await page.locator("#serve").check();
	await page.locator("#served").waitFor();
	return page;
}

async function mic() {
	const page = await browser.page();
	await page.goto(`${daemon.base}/mic`);
	await page.locator("#talk:enabled").waitFor();
	await page.getByRole("button", { name: "Play test tones" }).click();
	await done(page, "transcribe");
	return page;
}

async function done(page, job = "refine") {
	const take = page.locator(`.take[data-state="done"][data-job="${job}"]`).first();
	await take.waitFor({ timeout: LOADED_MS });
	return take;
}

async function refine(page) {
	await page.getByRole("button", { name: "Refine" }).click();
	const take = await done(page);
	return take.locator(".take-refined").innerText();
}

/** Which models are in memory, by whose page. */
async function loaded() {
	const { leases } = await daemon.status();
	return leases
		.filter(({ slots }) => slots === 0)
		.map(({ id, label }) => `${id}: ${label}`)
		.sort();
}

async function dreamer() {
	const page = await browser.page();
	await page.goto(`${daemon.base}/health`);
	await page.evaluate(async (notes) => {
		const { openStorage } = await import("/storage/storage.js");
		const memory = await openStorage();
		for (const [n, text] of notes.entries())
			await memory.putNote({ id: `n${n}`, text, source: "test", at: n + 1 });
		memory.close();
	}, NOTES);
	await page.goto(`${daemon.base}/dreamer`);
	await page.locator("#count-memories").waitFor();
	return page;
}

const shown = async (page) => Number(await page.locator("#count-thoughts").textContent());

async function untilThoughts(page, n) {
	await until(async () => (await shown(page)) >= n, { ms: LOADED_MS, what: `${n} thoughts` });
}

async function assertWhole(page, more = 0) {
	await page.locator('.phase[data-phase="done"]').waitFor({ timeout: LOADED_MS });
	const ids = await page.evaluate(async () => {
		const { openStorage } = await import("/storage/storage.js");
		const memory = await openStorage();
		const thoughts = await memory.thoughts();
		memory.close();
		return thoughts.map(({ id }) => id).sort();
	});
	const first = NOTES.map((_, n) => `1:n${n}`);
	assert.deepEqual(
		ids.filter((id) => first.includes(id)),
		first,
	);
	assert.equal(ids.length, NOTES.length + more);
}

/** A page's own: not what lies around it, nor what the browser says of an answer that is an error. */
const problems = (page) =>
	page.problems.filter(
		(each) => !/\/models\/models\.json|\/favicon\.ico|\/v1\/chat\/completions/.test(each),
	);

test("Mic refines with the Console's model, and by itself when that is closed", async () => {
	const serving = await console_();
	const page = await mic();
	assert.match(await refine(page), /Refined by the Console's tab/);
	assert.deepEqual(await loaded(), ["Root-Console: Tiny LM", "Root-Mic: Tone Whisper"]);
	await serving.close();
	await until(
		async () =>
			!(await daemon.http("GET", "/v1/gpu/models")).models.some(({ server: name }) =>
				name.startsWith("tab:"),
			),
		{ what: "nobody serves" },
	);
	assert.match(await refine(page), /Refined by this tab/);
	assert.ok((await loaded()).includes("Root-Mic: Tiny LM"));
	assert.deepEqual(problems(page), []);

	// Somebody serves again: the page's own copy goes.
	await console_();
	await page.bringToFront();
	assert.match(await refine(page), /Refined by the Console's tab/);
	assert.ok(!(await loaded()).includes("Root-Mic: Tiny LM"), `${await loaded()}`);
});

test("Mic refines by a model server; one that fails leaves it to the page, or is said", async () => {
	const page = await mic();
	await serves("well");
	assert.match(await refine(page), /Refined by ollama\s[^]*Tidied by a server\./);
	const [asked] = server.asked;
	assert.deepEqual([asked.model, asked.stream], ["tiny:1b", true], "by the server's own name");
	assert.deepEqual(await loaded(), ["Root-Mic: Tone Whisper"]);

	server.mode = "half";
	await page.getByRole("button", { name: "Refine" }).click();
	const problem = page.locator(".take-problem");
	await problem.waitFor({ timeout: LOADED_MS });
	await untilText(problem, /ollama/);
	assert.match(
		await page.locator(".take-refined").innerText(),
		/Tidied by a server\./,
		"the old one stays",
	);
	assert.deepEqual(await loaded(), ["Root-Mic: Tone Whisper"], "it had begun: nothing is loaded");

	server.mode = "fails";
	await page.getByRole("button", { name: "Try again" }).click();
	await untilText((await done(page)).locator(".take-refined"), /Refined by this tab/);
});

/** @param {import("playwright-core").Page} page @param {string} text */
async function addNote(page, text) {
	await page.getByLabel("Add a note").fill(text);
	await page.getByRole("button", { name: "Add note" }).click();
}

test("Dreamer thinks with the Console's model, and a voice waits for a word", async () => {
	const serving = await console_();
	const page = await dreamer();
	const voice = await Session.open(daemon, "Node voice");
	await page.getByRole("button", { name: "Wake" }).click();
	await page.locator(".stream-text", { hasText: /\w/ }).waitFor({ timeout: LOADED_MS });
	try {
		const askedMs = performance.now();
		voice.send({ type: "acquire", ref: 1, class: "voice", timeout_s: null });
		const { lease } = await voice.heard("granted");
		console.log(`# voice granted after ${Math.round(performance.now() - askedMs)} ms`);
		const { leases } = await daemon.status();
		assert.deepEqual(
			leases.filter(({ slots }) => slots > 0).map(({ id }) => id),
			["Node voice"],
		);
		voice.send({ type: "release", lease });
		await assertWhole(page);
	} finally {
		voice.close();
	}
	assert.equal(
		(await page.locator("#source").innerText()).replace(/\s+/g, " "),
		"The words come from the Console's tab.",
	);
	assert.deepEqual(await loaded(), ["Root-Console: Tiny LM"]);
	assert.deepEqual(problems(page), []);
	assert.deepEqual(problems(serving), []);
});

test("a dream that began alone moves to whoever serves, and comes back", async () => {
	const page = await dreamer();
	await page.getByRole("button", { name: "Wake" }).click();
	await untilThoughts(page, 1);
	await untilText(page.locator("#source"), /come from\s+this tab/);
	assert.deepEqual(await loaded(), ["Root-Dreamer: Tiny LM"]);
	await serves("well");
	await addNote(page, "One more."); // it may be done with the others by now
	await page.locator("#source", { hasText: "ollama" }).waitFor({ timeout: LOADED_MS });
	assert.deepEqual(await loaded(), [], "it is in memory elsewhere");
	await untilThoughts(page, NOTES.length + 1);
	await assertWhole(page, 1);

	server.mode = "fails";
	await addNote(page, "And another.");
	await untilThoughts(page, NOTES.length + 2);
	await untilText(page.locator("#source"), /come from\s+this tab/);
	assert.deepEqual(problems(page), []);
});
