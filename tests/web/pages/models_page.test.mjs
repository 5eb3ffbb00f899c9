// @ts-check
// Proves what the page of models shows: which model is in, who asks for what, what each switch cost
// and who caused it, while it happens and afterwards; also with nothing, with very much, with names
// that are long or look like markup, on narrow screens, and while the broker is away. The gateway
// and the queue are real; the model server is by hand.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { ModelServer, chat } from "../lib/model_server.mjs";
import { until, untilText } from "../lib/until.mjs";

const DESK = { width: 1280, height: 900 };
const MANY = 300;
const SHOWN = 20;
const LONG = "W".repeat(128);
const MARKUP = "<img/src=x/onerror=alert(1)>";

/** @typedef {import("../lib/browser.mjs").TestPage} Page */

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {ModelServer} */
let server;
/** @type {import("../lib/browser.mjs").PageBrowser[]} */
const browsers = [];
/** @type {AbortController[]} */
const begun = [];

before(async () => {
	server = await new ModelServer(["small", "large", LONG]).listen();
	daemon = await startDaemon({
		config: { vram_headroom_mb: 0, upstreams: [server.upstream] },
	});
});

afterEach(async () => {
	for (const one of begun.splice(0)) one.abort();
	for (const gate of [server.loads, server.unloads, server.answers]) gate.open();
	for (const browser of browsers.splice(0)) await browser.close();
	await until(async () => (await models()).requests.length === 0, { what: "nobody asks" });
});

after(async () => {
	await daemon?.stop();
	server?.close();
});

const models = () => daemon.http("GET", "/v1/gpu/models");

/** @param {string} model @param {string} client */
function begin(model, client) {
	const control = new AbortController();
	begun.push(control);
	return chat(daemon, model, client, control);
}

/** @param {import("playwright-core").BrowserContextOptions} [context] */
async function look(context = { viewport: DESK }, at = daemon) {
	const browser = await openBrowser({ context });
	browsers.push(browser);
	await (await browser.signedInPage(at, "/logs")).close(); // signing in leads past the dashboard
	const page = await browser.page();
	await page.goto(`${at.base}/models`);
	await page.locator("#cards > .card").first().waitFor();
	return page;
}

/** Names of what reaches beyond its page, or must be scrolled to the side. @param {Page} page */
const tooWide = (page) =>
	page.evaluate(() =>
		[document.documentElement, ...document.querySelectorAll("nav, main, .card, .table-box")]
			.filter((element) => element.scrollWidth > element.clientWidth + 1)
			.map((element) => `${element.tagName} ${element.className}`),
	);

test("nothing is configured: it says how to", async () => {
	const empty = await startDaemon();
	try {
		const page = await look(undefined, empty);
		await page.getByText("No model server is configured. Run “baton discover”").waitFor();
		await page.getByText("Nobody asks a model for anything now.").waitFor();
		await page.getByText("No model was brought into memory since").waitFor();
		assert.equal(await page.locator("table").count(), 0);
		assert.deepEqual(page.problems, []);
	} finally {
		await empty.stop();
	}
});

test("a switch is shown while it happens, with its cost and its cause", async () => {
	assert.equal(await chat(daemon, "small", "Zed/1.0"), 200);
	const page = await look();
	const row = (/** @type {string} */ table, /** @type {string} */ name) =>
		page.locator(`.${table} tbody tr`, { hasText: name });
	await untilText(row("models", "small"), /ready\s+rtx\s+ollama\s+13\.7 GiB/);
	await untilText(row("models", "large"), /not loaded/);

	server.unloads.close();
	server.loads.close();
	server.answers.close();
	const answer = begin("large", "Cursor/2");
	await row("switches", "large").getByText("waiting for memory").waitFor();
	await untilText(row("switches", "large"), /Cursor\/2\s+chat[^]*small leaves/);
	await untilText(
		row("requests", "Cursor/2"),
		/chat\s+large\s+waits for its model[^]*Next: ollama is asked to unload/,
	);
	server.unloads.open();
	await row("models", "large").getByText("loading").waitFor();
	await until(async () => /^large loads · Models/.test(await page.title()), {
		what: "the title",
	});
	server.loads.open();
	await row("requests", "Cursor/2").getByText("running").waitFor();
	await row("models", "large").getByText("running").waitFor();
	server.answers.open();
	assert.equal(await answer, 200);

	await page.getByText("Nobody asks a model").waitFor();
	await untilText(
		row("switches", "large"),
		/ready\s+rtx\s+Cursor\/2\s+chat\s+[\d.]+ m?i?n?s[^]*small in [\d.]+ s/,
	);
	assert.match(
		await page.locator(".summary").innerText(),
		/^2 switches in the last hour, [\d.]+ s of loading; the last for Cursor\/2, [\d.]+ s ago\.$/,
	);
	await untilText(page.locator("#announce"), "large is in memory, for Cursor/2");
	assert.deepEqual(page.problems, []);
});

test("a model that failed says why, and when it is tried again", async () => {
	server.loadStatus = 500;
	try {
		assert.equal(await chat(daemon, LONG, MARKUP), 503);
	} finally {
		server.loadStatus = 200;
	}
	const page = await look();
	const note = page.locator(".models .note", { hasText: "Failed" });
	assert.match(
		await note.innerText(),
		/Failed: the server answered its load with status 500(; tried again in [\d.]+ (s|min))?\./,
	);
	const cause = page.locator(".switches tbody tr", { hasText: "failed" }).getByText(MARKUP);
	await cause.waitFor();
	assert.equal(await page.locator("main img").count(), 0);
	assert.equal(await page.locator(".models bdi.clamp").count(), 1);
	assert.deepEqual(page.problems, []);
});

test("300 requests: the first are shown, the others by the keyboard", async () => {
	await chat(daemon, "small", "Zed/1.0");
	server.answers.close();
	for (let i = 0; i < MANY; i++) begin("small", i === 1 ? LONG : `client-${i}`);
	await until(async () => (await models()).requests.length === MANY, { what: "all are there" });
	const page = await look();
	const rows = page.locator(".requests tbody tr");
	await page.getByText(`1 running, ${MANY - 1} waiting`).waitFor();
	assert.equal(await rows.count(), SHOWN);
	const more = page.getByRole("button", { name: `Show ${MANY - SHOWN} more` });
	await more.focus();
	await page.keyboard.press("Enter");
	await until(async () => (await rows.count()) === MANY, { what: "all are shown" });
	await page.getByRole("button", { name: "Show fewer" }).waitFor();
	await rows.filter({ hasText: "waits for its turn" }).first().waitFor();
	await untilText(rows.nth(2).locator(".why"), /in about|[Bb]ehind|[Nn]ext|turn/);
	assert.deepEqual(await tooWide(page), []);
	assert.deepEqual(page.problems, []);
});

for (const width of [390, 320]) {
	test(`at ${width} pixels nothing is to be scrolled to the side`, async () => {
		await chat(daemon, "large", "Zed/1.0");
		server.answers.close();
		for (let i = 0; i < 3; i++) begin("large", i ? `client-${i}` : LONG);
		await until(async () => (await models()).requests.length === 3, { what: "all are there" });
		const page = await look({
			viewport: { width, height: 844 },
			isMobile: true,
			hasTouch: true,
		});
		await page.locator(".requests tbody tr").nth(2).waitFor();
		assert.deepEqual(await tooWide(page), []);
	});
}

test("while the broker is away it says so, and comes back by itself", async () => {
	await chat(daemon, "small", "Zed/1.0");
	const page = await look();
	await daemon.kill();
	const notice = page.locator("#cards .notice", { hasText: "Reconnecting." });
	await untilText(notice, /what you see is [\d.]+ s old/);
	assert.equal(await page.locator("#cards.stale").count(), 1);
	await daemon.start();
	await page.locator("#frame-connection.state-open").waitFor();
	await notice.waitFor({ state: "detached" });
	await page.getByText("No model was brought into memory since").waitFor();
	assert.equal(await page.locator(".error-banner").count(), 0);
});

test("it asks while it is seen, and not while it is hidden", async () => {
	const page = await look();
	let asked = 0;
	page.on("request", (request) => {
		if (request.url().endsWith("/v1/gpu/models")) asked++;
	});
	const hide = (/** @type {boolean} */ hidden) =>
		page.evaluate((value) => {
			Object.defineProperty(document, "hidden", { configurable: true, value });
			document.dispatchEvent(new Event("visibilitychange"));
		}, hidden);
	await until(() => asked > 1, { what: "it asks again" });
	await hide(true);
	const before = asked;
	const ticked = page.evaluate(
		() =>
			new Promise((resolve) => {
				let left = 3;
				const timer = setInterval(() => --left || resolve(clearInterval(timer)), 1000);
			}),
	);
	await ticked;
	assert.ok(asked <= before + 1, `${asked - before} times while it was hidden`);
	await hide(false);
	await until(() => asked > before + 1, { what: "it asks at once" });
});
