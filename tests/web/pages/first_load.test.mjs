// @ts-check
// Proves what a first load of each page costs, with nothing running and with everything running:
// bytes over the wire and requests, both hard limits, and that no module waits for another one to
// be fetched. Times are printed, medians of some loads, and judge nothing: they are the machine's.
// What once took most of them is looked for by name.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { connect } from "../lib/session.mjs";
import { until, within } from "../lib/until.mjs";

const LOADS = 2;
/** Of the page whose times are looked at. */
const TIMED_LOADS = 5;
/** @type {Record<string, {bytes: number, requests: number}>} */
const LIMITS = {
	"/": { bytes: 45_000, requests: 6 },
	"/console": { bytes: 130_000, requests: 12 },
	"/mic": { bytes: 80_000, requests: 10 },
	"/dreamer": { bytes: 75_000, requests: 10 },
	"/models": { bytes: 30_000, requests: 8 }, // it asks each second: a slow first load counts some of them
	"/logs": { bytes: 22_000, requests: 5 },
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

/** In the page: notes when it is usable, and what slow things it has made until then. */
function watchStart() {
	/** @type {string[]} */
	const slow = [];
	for (const name of /** @type {("DateTimeFormat"|"Collator")[]} */ ([
		"DateTimeFormat",
		"Collator",
	]))
		Intl[name] = /** @type {any} */ (
			new Proxy(Intl[name], {
				construct(made, given) {
					slow.push(name);
					return Reflect.construct(made, given);
				},
			})
		);
	const look = () => {
		const connection = document.querySelector("#frame-connection");
		const board = document.querySelector("#board");
		if (connection?.textContent === "Connected" && (!board || board.querySelector(".now")))
			Object.assign(globalThis, { usableAt: performance.now(), slowFirst: [...slow] });
		else requestAnimationFrame(look);
	};
	look();
}

/**
 * Loads a page without the browser's cache, until nothing more is fetched.
 * @param {string} path
 */
async function load(path) {
	const page = await browser.page();
	const cdp = await browser.context.newCDPSession(page);
	await cdp.send("Network.enable");
	await cdp.send("Performance.enable", { timeDomain: "threadTicks" });
	await cdp.send("Network.setCacheDisabled", { cacheDisabled: true });
	/** @type {Map<string, string>} */
	const asked = new Map();
	let bytes = 0;
	/** @type {string[]} each is a document of its own to a browser */
	const drawn = [];
	cdp.on("Network.requestWillBeSent", ({ requestId, request }) => {
		if (request.url.startsWith("data:image/svg")) drawn.push(request.url);
		if (request.url.startsWith("http")) asked.set(requestId, request.url);
	});
	cdp.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
		if (asked.has(requestId)) bytes += encodedDataLength;
	});
	await page.addInitScript(watchStart);
	await page.goto(daemon.base + path);
	const ms = await until(() => page.evaluate(() => /** @type {any} */ (globalThis).usableAt), {
		what: `${path} is connected`,
	});
	const { metrics } = await cdp.send("Performance.getMetrics");
	const { slow, paintedAt } = await page.evaluate(() => ({
		slow: /** @type {string[]} */ (/** @type {any} */ (globalThis).slowFirst),
		paintedAt: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
	}));
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
		paintedMs: Number(paintedAt),
		usableMs: Number(ms),
		cpuMs: 1000 * (metrics.find(({ name }) => name === "TaskDuration")?.value ?? NaN),
		late,
		drawn,
		slow,
		urls: [...asked.values()],
	};
}

/** @param {import("node:test").TestContext} t @param {string} path */
async function measure(t, path) {
	const loads = [];
	for (let i = 0; i < (path === "/" ? TIMED_LOADS : LOADS); i++) loads.push(await load(path));
	const { bytes, requests } = loads[0];
	const median = (/** @type {"paintedMs"|"usableMs"|"cpuMs"} */ part) =>
		Math.round(loads.map((one) => one[part]).sort((a, b) => a - b)[loads.length >> 1]);
	t.diagnostic(
		`${path}: ${bytes} bytes in ${requests} requests; painted after ${median("paintedMs")} ms, `
			+ `usable after ${median("usableMs")} ms; ${median("cpuMs")} ms of its thread`,
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
		if (path !== "/") continue;
		assert.ok(!one.urls.some((url) => url.includes("/vendor/")), "a library");
		assert.deepEqual(one.slow, [], "what takes long to make, and is not needed to be usable");
		const icons = new Set(one.drawn.filter((url) => url.includes("252")));
		assert.ok(icons.size <= 1, "icons are one image");
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

test("the dashboard says that it asks before any of its modules came", async () => {
	const page = await browser.page();
	await page.route("**/*.js", (route) => route.abort());
	await page.goto(daemon.base);
	await page.getByText("Asking…").waitFor();
	await page.unroute("**/*.js");
	await page.reload();
	await page.locator("#board .now").waitFor();
	await page.getByText("Asking…").waitFor({ state: "hidden" });
	await page.close();
});

test("the dashboard has asked before the rest of it came", async () => {
	const page = await browser.page();
	/** @type {(value?: unknown) => void} */
	let come = () => {};
	const held = new Promise((resolve) => (come = resolve));
	await page.route(/(joined|dashboard)\.js$/, async (route) => {
		await held;
		await route.continue();
	});
	await page.addInitScript(() => {
		new MutationObserver(() => {
			const times = document.querySelector("#board .holder > p");
			/** @type {any} */ (globalThis).firstSaid ??= times?.textContent;
		}).observe(document, { childList: true, subtree: true });
	});
	/** @type {string[]} */
	const said = [];
	/** @type {Promise<any>} */
	const answered = new Promise((resolve) =>
		page.on("websocket", (socket) => {
			socket.on("framesent", ({ payload }) => said.push(JSON.parse(`${payload}`).type));
			socket.on("framereceived", ({ payload }) => {
				const message = JSON.parse(`${payload}`);
				if (message.type === "status") resolve(message);
			});
		}),
	);
	const loaded = page.goto(daemon.base);
	const { leases } = await within(answered, { what: "the first status" });
	const heldS = leases[0].held_s;
	assert.deepEqual(said.slice(0, 2), ["hello", "status"]); // without a pause for the welcome
	assert.equal(await page.locator("#frame-connection").count(), 0);
	await until(async () => (await daemon.status()).leases[0].held_s > heldS + 1, {
		what: "what was answered is a second old",
	});
	come();
	await loaded;
	// What is drawn first is as old as it is: its age counts from when it came.
	const first = await until(
		() => page.evaluate(() => /** @type {any} */ (globalThis).firstSaid),
		{
			what: "the holder is drawn",
		},
	);
	const [, min, s] = / for (?:(\d+) min )?([\d.]+) s/.exec(String(first)) ?? [];
	assert.ok(Number(min ?? 0) * 60 + Number(s) >= heldS + 0.5, `${first} for ${heldS}`);
	assert.deepEqual(page.problems, []);
	await page.close();
});

test("a broker that answers nothing: the dashboard says that it reconnects, and still asks", async () => {
	const page = await browser.page();
	await page.routeWebSocket(/session/, (socket) => socket.close());
	await page.goto(daemon.base);
	const notice = page.locator("#board .notice", { hasText: "Reconnecting." });
	assert.match(await notice.innerText(), /does not answer now\. This page/); // nothing is old yet
	assert.equal(await page.getByText("Asking…").isVisible(), true);
	assert.equal(await page.locator("#board .card").count(), 0);
	await page.close();
});
