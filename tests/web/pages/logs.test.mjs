// @ts-check
// Proves that the log viewer shows the broker's log and the pages' logs live, as text, once each;
// that it filters, pauses, copies, clears, follows until the reader scrolls up, stays bounded, and
// comes back.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { connect } from "../lib/session.mjs";
import { until } from "../lib/until.mjs";

const LINES_MAX = 5000;

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/browser.mjs").PageBrowser} */
let browser;
/** @type {import("../lib/browser.mjs").TestPage} */
let page;
/** @type {import("../lib/browser.mjs").TestPage} another page of Baton's, which logs */
let other;

before(async () => {
	daemon = await startDaemon();
	browser = await openBrowser({
		context: {
			viewport: { width: 1280, height: 800 },
			permissions: ["clipboard-read", "clipboard-write"],
		},
	});
	page = await browser.signedInPage(daemon, "/logs");
	other = await browser.page();
	await other.goto(`${daemon.base}/health`);
	await page.bringToFront();
	await until(async () => (await count()) > 0, { what: "the broker's past lines" });
});

after(async () => {
	await browser?.close();
	await daemon?.stop();
});

beforeEach(async () => {
	await page.getByLabel("Text").fill("");
	await page.getByLabel("Level").selectOption("0");
	await page.getByLabel("Source").selectOption("");
});

const count = () => page.locator(".line").count();
const lines = () => page.locator(".line").allInnerTexts();

/** @param {RegExp} pattern */
async function shows(pattern) {
	await until(async () => (await lines()).some((text) => pattern.test(text)), {
		what: `a line ${pattern}`,
	});
}

/** Posts as a page does. @param {object[]} messages @param {string} [channel] */
async function post(messages, channel = "sovereign-logs") {
	await other.evaluate(([name, all]) => {
		const posts = new BroadcastChannel(/** @type {string} */ (name));
		for (const message of /** @type {object[]} */ (all)) posts.postMessage(message);
		posts.close();
	}, /** @type {const} */ ([channel, messages]));
}

/** @param {string} message @param {string} [type] @param {string} [source] */
const entry = (message, type = "info", source = "Root Mic") => ({
	source,
	type,
	message,
	time: new Date().toISOString(),
});

test("shows the broker's log as it grows", async () => {
	await shows(/info[^]*broker[^]*attached[^]*Log viewer/);
	const session = await connect(daemon, "noisy client");
	await shows(/broker[^]*attached[^]*noisy client/);
	session.close();
	await shows(/broker[^]*detached[^]*noisy client/);
	assert.deepEqual(page.problems, []);
});

test("shows what pages log on both channels, as text, with level and source", async () => {
	const hostile = "<img src=x onerror=globalThis.hit=1><script>globalThis.hit=1</script>";
	await post([entry("microphone opened"), entry("it is silent", "warn")]);
	await post([entry(hostile, "error")]);
	await post([entry("old channel", "success", "Root Console")], "coda_logs");
	await shows(/info\s*Root Mic\s*microphone opened/);
	await shows(/warn\s*Root Mic\s*it is silent/);
	await shows(/success\s*Root Console\s*old channel/);
	await until(async () => (await page.locator(".line-text").allTextContents()).includes(hostile));
	assert.equal(await page.evaluate(() => "hit" in globalThis), false);
	assert.equal(await page.locator(".line img, .line script").count(), 0);
});

test("shows what the pages' own logger says once, though it says it on both channels", async () => {
	await page.getByLabel("Source").selectOption("");
	await other.goto(`${daemon.base}/health`);
	await other.evaluate(async (url) => {
		const { SovereignLogger } = await import(url);
		const logger = new SovereignLogger("Real logger");
		for (const text of ["first", "same", "same", "last"]) logger.info(text);
		logger.close();
	}, `${daemon.base}/modules/sovereign.js`);
	await shows(/Real logger\s*last/);
	const said = (await lines()).filter((text) => text.includes("Real logger"));
	assert.deepEqual(
		said.map((text) => text.trim().split(/\s+/).at(-1)),
		["first", "same", "same", "last"],
	);
});

test("takes odd messages without breaking", async () => {
	await post([
		{ nothing: true },
		{ message: { deep: [1, 2] }, level: "WARNING", source: 7 },
		/** @type {any} */ ("just a text"),
	]);
	await shows(/warn\s*7\s*\{"deep":\[1,2\]\}/);
	await shows(/info\s*a page\s*just a text/);
	assert.deepEqual(page.problems, []);
});

test("filters by text, level and source", async () => {
	await post([entry("needle here"), entry("hay", "error")]);
	await post([entry("needle too", "error", "Dreamer")]);
	await shows(/needle too/);
	await page.getByLabel("Text").fill("NEEDLE");
	await until(async () => (await count()) === 2);
	await page.getByLabel("Level").selectOption("3");
	await until(async () => (await count()) === 1);
	assert.match((await lines())[0], /error\s*Dreamer\s*needle too/);
	await page.getByLabel("Level").selectOption("0");
	await page.getByLabel("Source").selectOption("Root Mic");
	await until(async () => (await lines()).every((text) => /needle here/.test(text)));
	await post([entry("needle arrives"), entry("needle elsewhere", "info", "Elsewhere")]);
	await shows(/needle arrives/);
	assert.equal(await count(), 2);
});

test("holds still while paused, and catches up", async () => {
	await page.getByLabel("Text").fill("parcel");
	await page.getByRole("button", { name: "Pause" }).click();
	await post([entry("parcel one"), entry("parcel two")]);
	await until(async () => /2 new/.test(await page.locator("#count").innerText()));
	assert.equal(await count(), 0);
	await page.getByRole("button", { name: "Go on" }).click();
	await until(async () => (await count()) === 2);
});

test("copies the lines that are shown", async () => {
	await post([entry("to be copied", "warn"), entry("not this one")]);
	await page.getByLabel("Text").fill("to be copied");
	await until(async () => (await count()) === 1);
	const told = page.getByRole("button", { name: "Copied" }).waitFor(); // which it says for 2 s
	await page.getByRole("button", { name: "Copy" }).click();
	await told;
	const text = await page.evaluate(() => navigator.clipboard.readText());
	assert.match(text, /^\d{4}-\d\d-\d\dT[\d:.]+Z WARN Root Mic: to be copied\n$/);
});

test("follows the newest line until the reader scrolls up, and stays bounded", async () => {
	const box = page.locator("#lines");
	const atEnd = () => box.evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight < 24);
	await post(Array.from({ length: LINES_MAX + 500 }, (_, i) => entry(`line ${i}`)));
	await shows(new RegExp(`line ${LINES_MAX + 499}$`));
	assert.equal(await count(), LINES_MAX);
	assert.equal(await atEnd(), true);
	await box.evaluate((e) => e.scrollTo(0, 1000));
	const newest = page.getByRole("button", { name: "Newest lines" });
	await newest.waitFor();
	await post([entry("while reading")]);
	await shows(/while reading/);
	assert.equal(await atEnd(), false);
	await newest.click();
	await until(atEnd);
	await post([entry("followed again")]);
	await shows(/followed again/);
	await until(atEnd);
});

test("clears the view only", async () => {
	await page.getByRole("button", { name: "Clear" }).click();
	await until(async () => (await page.locator("#count").innerText()) === "0 lines");
	await post([entry("after the clearing")]);
	await until(async () => (await count()) === 1);
	assert.ok((await daemon.http("GET", "/logs")).logs.length > 0);
});

test("what happens while the past is asked for is told once, in its place", async () => {
	const looking = await browser.page();
	let release = () => {};
	const held = new Promise((resolve) => (release = () => resolve(0)));
	let [asked, told] = [false, false];
	await looking.routeWebSocket(/session/, (socket) => {
		const broker = socket.connectToServer();
		socket.onMessage(async (text) => {
			asked ||= JSON.parse(`${text}`).type === "logs";
			if (asked) await held;
			broker.send(text);
		});
		broker.onMessage((text) => {
			told ||= /attached[^]*meanwhile/.test(`${text}`);
			socket.send(text);
		});
	});
	await looking.goto(`${daemon.base}/logs`);
	await until(() => asked, { what: "it asks for the past" });
	const session = await connect(daemon, "meanwhile");
	await until(() => told, { what: "it is told what happens" });
	release();
	const all = await until(async () => {
		const shown = await looking.locator(".line").allInnerTexts();
		return shown.length > 1 && shown;
	});
	const at = all.flatMap((text, i) => (/attached[^]*meanwhile/.test(text) ? [i] : []));
	assert.equal(at.length, 1, all.join("\n"));
	const older = all.findIndex((text) => /attached[^]*Log viewer/.test(text));
	assert.ok(older >= 0 && older < at[0], all.join("\n"));
	session.close();
	await looking.close();
	await page.bringToFront();
});

test("comes back after a restart and tells nothing twice", async () => {
	await daemon.kill();
	const connection = page.locator("#frame-connection");
	await until(async () => /Reconnecting/.test(await connection.innerText()));
	await daemon.restart();
	await until(async () => /Connected/.test(await connection.innerText()));
	const session = await connect(daemon, "after the restart");
	await shows(/attached[^]*after the restart/);
	session.close();
	const broker = (await lines()).filter((text) => /attached[^]*after the restart/.test(text));
	assert.equal(broker.length, 1);
});
