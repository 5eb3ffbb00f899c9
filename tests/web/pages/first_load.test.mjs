// @ts-check
// Proves what a first load of each page costs, with nothing running and with everything running:
// bytes over the wire and requests, both hard limits, and that no module waits for another one to
// be fetched. Times are printed and judge nothing: they are the machine's.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { connect } from "../lib/session.mjs";
import { until } from "../lib/until.mjs";

const LOADS = 2;
/** @type {Record<string, {bytes: number, requests: number}>} */
const LIMITS = {
	"/": { bytes: 60_000, requests: 16 },
	"/console": { bytes: 160_000, requests: 52 },
	"/mic": { bytes: 130_000, requests: 54 },
	"/dreamer": { bytes: 120_000, requests: 50 },
	"/logs": { bytes: 25_000, requests: 10 },
};

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/browser.mjs").PageBrowser} */
let browser;
/** @type {import("../lib/session.mjs").Session[]} */
const sessions = [];

before(async () => {
	daemon = await startDaemon();
	browser = await openBrowser({ context: { viewport: { width: 1280, height: 720 } } });
	const page = await browser.signedInPage(daemon, "/logs");
	await page.close();
});

after(async () => {
	await browser?.close();
	for (const session of sessions) session.close();
	await daemon?.stop();
});

/**
 * Loads a page without the browser's cache, until nothing more is fetched.
 * @param {string} path
 */
async function load(path) {
	const page = await browser.page();
	const cdp = await browser.context.newCDPSession(page);
	await cdp.send("Network.enable");
	await cdp.send("Network.setCacheDisabled", { cacheDisabled: true });
	/** @type {Map<string, string>} */
	const asked = new Map();
	let bytes = 0;
	cdp.on("Network.requestWillBeSent", ({ requestId, request }) => {
		if (request.url.startsWith("http")) asked.set(requestId, request.url);
	});
	cdp.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
		if (asked.has(requestId)) bytes += encodedDataLength;
	});
	await page.addInitScript(() => {
		const look = () => {
			const connection = document.querySelector("#frame-connection");
			if (connection?.textContent === "Connected")
				Object.assign(globalThis, { usableAt: performance.now() });
			else requestAnimationFrame(look);
		};
		look();
	});
	await page.goto(daemon.base + path);
	const ms = await until(() => page.evaluate(() => /** @type {any} */ (globalThis).usableAt), {
		what: `${path} is connected`,
	});
	await page.waitForLoadState("networkidle");
	/** Modules that were asked for by a module that had come, not by the page itself. */
	const late = await page.evaluate(() => {
		const preloaded = new Set(
			[...document.querySelectorAll("link[rel=modulepreload], script[src]")].map(
				(element) => /** @type {any} */ (element).href ?? /** @type {any} */ (element).src,
			),
		);
		return /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType("resource"))
			.filter(({ initiatorType, name }) => initiatorType === "script" && /\.m?js$/.test(name))
			.map(({ name }) => name)
			.filter((name) => !preloaded.has(name));
	});
	assert.deepEqual(page.problems, []);
	await page.close();
	return {
		bytes,
		requests: asked.size,
		ms: Math.round(Number(ms)),
		late,
		urls: [...asked.values()],
	};
}

/** @param {import("node:test").TestContext} t @param {string} path */
async function measure(t, path) {
	const loads = [];
	for (let i = 0; i < LOADS; i++) loads.push(await load(path));
	const { bytes, requests } = loads[0];
	t.diagnostic(
		`${path}: ${bytes} bytes in ${requests} requests; connected after ${loads
			.map(({ ms }) => ms)
			.sort((a, b) => a - b)
			.join(", ")} ms`,
	);
	if (process.env.BATON_WEB_ARGS) return; // sources straight from the tree are not compressed
	const limit = LIMITS[path];
	for (const one of loads) {
		assert.ok(one.bytes > 10_000, `${path}: only ${one.bytes} bytes were seen`);
		assert.ok(one.bytes <= limit.bytes, `${path}: ${one.bytes} bytes, ${limit.bytes} allowed`);
		assert.ok(
			one.requests <= limit.requests,
			`${path}: ${one.requests} requests, ${limit.requests} allowed`,
		);
		assert.deepEqual(one.late, [], `${path}: fetched only when another module had come`);
		if (path === "/") assert.ok(!one.urls.some((url) => url.includes("/vendor/")), "a library");
	}
}

for (const path of Object.keys(LIMITS)) {
	test(`${path} loads within its budget while nothing runs`, (t) => measure(t, path));
}

test("the dashboard loads within its budget while everything runs", async (t) => {
	for (let i = 0; i < 60; i++) {
		const session = await connect(daemon, `client ${i}`);
		sessions.push(session);
		session.send({
			type: "acquire",
			ref: 1,
			timeout_s: null,
			vram_mb: 4096,
			label: "a model",
			class: ["chat", "normal", "background"][i % 3],
		});
		const offered = i === 0 ? await session.hear("offered") : null;
		if (offered) session.send({ type: "accept", lease: offered.lease });
	}
	await until(async () => (await daemon.status()).queue_depth >= 50, { what: "many wait" });
	await measure(t, "/");
});
