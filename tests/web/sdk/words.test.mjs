// @ts-check
// What is said where no session can be: on a server that renders pages, in an extension; and what a
// page is told that waits for itself. No broker is needed but for the last.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { root } from "../lib/packages.mjs";
import { until, within } from "../lib/until.mjs";
import { bench } from "./in_node.mjs";

/** @type {Awaited<ReturnType<typeof bench>>} */
let it;
before(async () => {
	it = await bench();
});
after(() => it.end());

/** A process of its own, which ends by itself or fails. @param {string} script */
const node = (script) =>
	execFileSync(
		process.execPath,
		[
			"--input-type=module",
			"--eval",
			`const { Broker } = await import(${JSON.stringify(`file://${root}/web/sdk/index.js`)});
	globalThis.CustomEvent ??= class extends Event {};\n${script}`,
		],
		{ encoding: "utf8", timeout: 20_000 },
	);

test("a server that renders a page is told why it gets nothing, and its process ends", () => {
	const told = node(`delete globalThis.WebSocket;
		const broker = new Broker({ name: "server", fallback: "unmanaged" });
		const asks = [broker.ready(), broker.request(), broker.status(), broker.run({}, () => 0)];
		for (const ask of asks)
			console.log(await ask.catch((error) => error.code + " " + error.message));
		console.log(broker.state);`)
		.trim()
		.split("\n");
	assert.equal(told.length, 5);
	for (const line of told.slice(0, 4)) assert.match(line, /^DENIED There is no WebSocket here/);
	assert.equal(told[4], "closed");
});

test("outside of a page a Broker that nobody asks connects to nothing and keeps no process", () => {
	const told = node(`let made = 0;
		globalThis.WebSocket = class { constructor() { made++; } };
		const broker = new Broker({ name: "idle", heartbeat: "reply" });
		broker.about({ page: "x" });
		process.on("exit", () => console.log(made, broker.state));`);
	assert.equal(told.trim(), "0 idle");
});

/** The second try after which something answers. */
const AGAIN = { code: 1006, again: true };

test("a page of an extension is told to list itself, whatever the permission says", async () => {
	const { diagnose } = await import("../../../web/sdk/fallback.js");
	const { fetch } = globalThis;
	const globals = {
		location: new URL("chrome-extension://abcdef/page.html"),
		navigator: { permissions: { query: async () => ({ state: "prompt" }) } },
	};
	for (const [name, value] of Object.entries(globals))
		Object.defineProperty(globalThis, name, { value, configurable: true });
	const answers = async (/** @type {any} */ url, /** @type {any} */ { mode }) => {
		if (mode === "cors") throw new TypeError("no header");
		return { type: "opaque" };
	};
	try {
		globalThis.fetch = /** @type {any} */ (answers);
		const refused = await diagnose("http://127.0.0.1:1", AGAIN, 1000);
		assert.equal(refused.code, "DENIED");
		assert.match(refused.message, /^List .* under `origins`/);
		globalThis.fetch = async () => {
			throw new TypeError("nobody");
		};
		const prompt = await diagnose("http://127.0.0.1:1", { code: 1006 }, 1000);
		assert.match(prompt.message, /loopback-network: prompt/);
		// With host permissions it may read all answers.
		for (const [status, code] of Object.entries({ 403: "DENIED", 400: "UNREACHABLE" })) {
			globalThis.fetch = /** @type {any} */ (
				async (/** @type {any} */ _, /** @type {any} */ { method }) =>
					method === "POST" ? { status: Number(status) } : { type: "basic" }
			);
			const told = await diagnose("http://127.0.0.1:1", AGAIN, 1000);
			assert.equal(told.code, code, status);
		}
	} finally {
		Object.keys(globals).forEach((name) => Reflect.deleteProperty(globalThis, name));
		globalThis.fetch = fetch;
	}
});

test("nothing that answers may be a broker that an extension hides", async () => {
	const broker = it.broker("hidden", { url: "http://127.0.0.1:1" });
	const error = await within(broker.request()).catch((e) => e);
	assert.equal(error.code, "UNREACHABLE");
	assert.match(error.message, /baton serve.*extension/);
	await broker.close();
});

test("a page that waits for itself is told so, and warned once", async () => {
	const { warn } = console;
	/** @type {string[]} */
	const warnings = [];
	console.warn = (text) => warnings.push(text);
	try {
		const broker = it.broker("mounted twice");
		const lease = await broker.request();
		/** @type {any[]} */
		const places = [];
		const orphan = new AbortController();
		const onQueue = (/** @type {any} */ place) => places.push(place);
		const waits = broker.request({ onQueue, signal: orphan.signal });
		const second = broker.request({ onQueue });
		await until(() => places.some((place) => place.why?.code === "self"));
		const { why } = places.find((place) => place.why?.code === "self");
		assert.equal(why.holder, Number(lease.id));
		assert.match(why.text, /waits for itself/);
		orphan.abort();
		await assert.rejects(within(waits), { name: "AbortError" });
		await lease.release();
		await (await within(second)).release();
		const own = warnings.filter((text) => text.includes("waits for itself"));
		assert.equal(own.length, 1, own.join());
		assert.match(own[0], /signal/);
	} finally {
		console.warn = warn;
	}
});
