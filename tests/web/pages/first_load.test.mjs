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
import { until, untilText } from "../lib/until.mjs";

const LOADS = 2;
/** Of the page whose times are looked at. */
const TIMED_LOADS = 5;
/** @typedef {{bytes: number, requests: number}} Budget */
/** @type {Record<string, Budget>} */
const BUDGETS = {
	"/": { bytes: 43_000, requests: 5 },
	"/console": { bytes: 124_000, requests: 9 },
	"/mic": { bytes: 76_000, requests: 7 },
	"/dreamer": { bytes: 72_000, requests: 7 },
	"/models": { bytes: 24_000, requests: 4 },
	"/logs": { bytes: 18_000, requests: 3 },
};
/** Of the dashboard, which is then told of eight of those who wait, and of the names of all. */
const BUSY_BUDGET = { bytes: 50_000, requests: 5 };

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
 * In the page: notes when it is usable, and what slow things it has made until then. Usable is the
 * dashboard when it says what the broker told it, and an operator's act can be clicked; any other
 * page when it is connected. Noted is the beginning of the frame that paints it.
 */
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
		if (
			connection?.textContent === "Connected"
			&& (!board || board.querySelector(".now .acts button:enabled"))
		)
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
	/** What a page asks each second is no part of its load but for the first time. @param {string} url */
	const isAsked = (url) => [...asked.values()].includes(url);
	let bytes = 0;
	/** @type {string[]} each is a document of its own to a browser */
	const drawn = [];
	cdp.on("Network.requestWillBeSent", ({ requestId, request }) => {
		if (request.url.startsWith("data:image/svg")) drawn.push(request.url);
		const again = request.url.endsWith("/v1/gpu/models") && isAsked(request.url);
		if (request.url.startsWith("http") && !again) asked.set(requestId, request.url);
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
	const { slow, first } = await page.evaluate(() => ({
		/** What was asked for until then. */
		first: performance
			.getEntriesByType("resource")
			.filter(({ startTime }) => startTime < /** @type {any} */ (globalThis).usableAt)
			.map(({ name }) => name),
		slow: /** @type {string[]} */ (/** @type {any} */ (globalThis).slowFirst),
	}));
	if (path === "/") await page.locator("#events-title").waitFor();
	await page.waitForLoadState("networkidle");
	const paintedAt = await page.evaluate(
		() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
	);
	/** Modules that were asked for by a module that had come, not by the page itself, and when. */
	const late = await page.evaluate(() => {
		const preloaded = new Set(
			[...document.querySelectorAll("link[rel=modulepreload], script[src]")].map(
				(element) => /** @type {any} */ (element).href ?? /** @type {any} */ (element).src,
			),
		);
		return /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType("resource"))
			.filter(({ initiatorType, name }) => initiatorType === "script" && /\.m?js$/.test(name))
			.filter(({ name }) => !preloaded.has(name))
			.map(({ name }) => name);
	});
	assert.deepEqual(page.problems, []);
	await page.close();
	return {
		bytes,
		requests: asked.size,
		paintedMs: Number(paintedAt),
		usableMs: Number(ms),
		cpuMs: 1000 * (metrics.find(({ name }) => name === "TaskDuration")?.value ?? NaN),
		first,
		late,
		drawn,
		slow,
		urls: [...asked.values()],
	};
}

/** @param {import("node:test").TestContext} t @param {string} path @param {Budget} [budget] */
async function measure(t, path, budget = BUDGETS[path]) {
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
	for (const one of loads) {
		assert.ok(one.bytes > 10_000, `${path}: only ${one.bytes} bytes were seen`);
		assert.ok(
			one.bytes <= budget.bytes,
			`${path}: ${one.bytes} bytes, ${budget.bytes} allowed`,
		);
		assert.ok(
			one.requests <= budget.requests,
			`${path}: ${one.requests} requests, ${budget.requests} allowed`,
		);
		const late = path === "/" ? [`${daemon.base}/pages/dashboard/joined.js`] : [];
		assert.deepEqual(one.late, late, `${path}: fetched only when another module had come`);
		if (path !== "/") continue;
		assert.deepEqual(
			one.first.map((url) => url.replace(daemon.base, "")),
			["/v1/gpu/status?limit=8"],
			"all that is asked for until the dashboard is usable",
		);
		assert.ok(!one.urls.some((url) => url.includes("/vendor/")), "a library");
		assert.deepEqual(one.slow, [], "what takes long to make, and is not needed to be usable");
		const icons = one.drawn.filter((url) => !url.includes("0 0 32 32")); // but the tab's
		assert.deepEqual(icons, [], "images that are documents");
	}
}

for (const path of Object.keys(BUDGETS)) {
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
	await measure(t, "/", BUSY_BUDGET);
});

/** Holds what the page asks for there, until the function that comes back is called.
 * @param {import("playwright-core").Page} page @param {RegExp} url */
async function hold(page, url) {
	/** @type {(value?: unknown) => void} */
	let release = () => {};
	const held = new Promise((resolve) => (release = resolve));
	await page.route(url, async (route) => {
		await held;
		await route.continue();
	});
	return release;
}

test("the dashboard says that it asks while the broker has not answered", async () => {
	const page = await browser.page();
	const release = await hold(page, /gpu.status/);
	await page.goto(daemon.base);
	await page.getByText("Asking…").waitFor();
	await untilText(page.locator("#frame-connection"), "Connecting");
	release();
	await page.locator("#board .now").waitFor();
	await page.getByText("Asking…").waitFor({ state: "hidden" });
	assert.deepEqual(page.problems, []);
	await page.close();
});

test("the dashboard obeys an operator before its session is open and its lower cards came", async () => {
	const page = await browser.page();
	const release = await hold(page, /joined\.js$/);
	/** @type {(string|Buffer)[]} */
	const said = [];
	/** @type {(value?: unknown) => void} */
	let open = () => {};
	const opened = new Promise((resolve) => (open = resolve));
	await page.routeWebSocket(/session/, async (socket) => {
		socket.onMessage((text) => void said.push(text));
		await opened;
		const broker = socket.connectToServer();
		socket.onMessage((text) => broker.send(text));
		for (const text of said) broker.send(text);
	});
	await page.goto(daemon.base);
	await page.getByText("Operate…").click();
	await page.getByRole("button", { name: "Pause grants…" }).click();
	await page.getByLabel("Reason").fill("a first test");
	await page.getByRole("dialog").getByRole("button", { name: "Pause grants" }).click();
	await page.getByRole("dialog").waitFor({ state: "hidden" });
	assert.equal(await page.locator("#timeline-title, #events-title").count(), 0);
	open();
	await until(async () => (await daemon.status()).paused, { what: "grants are paused" });
	const types = said.map((text) => JSON.parse(`${text}`).type);
	assert.ok(!types.includes("subscribe"), `${types} and no welcome`);
	release();
	await page.locator("#events-title").waitFor();
	await page.getByText("grants are paused", { exact: true }).waitFor();
	assert.deepEqual(page.problems, []);
	await page.close();
	await daemon.http("POST", "/v1/gpu/resume", { reason: "a first test" });
	await until(async () => !(await daemon.status()).paused, { what: "grants go on" });
});

test("the dashboard goes on by its session when its first question fails", async () => {
	const page = await browser.page();
	await page.route(/gpu.status/, (route) => route.fulfill({ status: 503, body: "{}" }));
	await page.goto(daemon.base);
	await page.locator("#board .now").waitFor();
	await page.locator("#events-title").waitFor();
	await page.close();
});

test("a broker that answers nothing: the dashboard says that it reconnects, and still asks", async () => {
	const page = await browser.page();
	await page.route(/gpu.status/, (route) => route.abort());
	await page.routeWebSocket(/session/, (socket) => socket.close());
	await page.goto(daemon.base);
	const notice = page.locator("#board .notice", { hasText: "Reconnecting." });
	await untilText(notice, /does not answer now\. This page/); // nothing is old yet
	assert.equal(await page.getByText("Asking…").isVisible(), true);
	assert.equal(await page.locator("#board .card").count(), 0);
	await page.close();
});
