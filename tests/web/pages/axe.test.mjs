// @ts-check
// Proves that axe-core finds nothing on any page in any state: signed out, with nothing and with
// much going on, with menus, details and dialogs open; in light, dark, forced colours and on a
// phone. The policy of the pages is off here, for axe is a foreign script.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { root } from "../lib/packages.mjs";
import { connect } from "../lib/session.mjs";

const { resolve } = createRequire(join(root, "web/package.json"));
const AXE = readFileSync(resolve("axe-core/axe.min.js"), "utf8");
const DESK = { width: 1280, height: 900 };
/** @type {Record<string, import("playwright-core").BrowserContextOptions>} */
const MODES = {
	light: { colorScheme: "light", viewport: DESK },
	dark: { colorScheme: "dark", viewport: DESK },
	"forced colours": { forcedColors: "active", viewport: DESK },
	phone: {
		colorScheme: "light",
		viewport: { width: 390, height: 844 },
		isMobile: true,
		hasTouch: true,
	},
};

/** @typedef {import("../lib/browser.mjs").TestPage} Page */

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/session.mjs").Session[]} */
const sessions = [];

before(async () => {
	daemon = await startDaemon();
});

after(async () => {
	for (const session of sessions) session.close();
	await daemon?.stop();
});

/** A holder, a model that is kept loaded, one that was lost, and more who wait than are shown. */
async function busy() {
	for (let i = 0; i < 25; i++) {
		const session = await connect(daemon, i === 3 ? "W".repeat(128) : `client ${i}`);
		sessions.push(session);
		session.send({
			type: "acquire",
			ref: 1,
			timeout_s: null,
			label: "model",
			vram_mb: 512,
			slots: i < 2 ? 0 : 1,
			class: i < 3 ? "chat" : "background",
		});
		if (i > 2) continue;
		const { lease } = await session.hear("offered");
		await session.ask({ type: "accept", lease }, "granted");
		if (i === 1) session.close();
	}
}

/** What axe finds. @param {Page} page @param {string} state */
async function judge(page, state) {
	if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(`${AXE};0`);
	const found = await page.evaluate(async () => {
		const { violations } = await /** @type {any} */ (globalThis).axe.run(document, {
			resultTypes: ["violations"],
		});
		return violations.map(
			(/** @type {any} */ one) =>
				`${one.id}: ${one.nodes
					.slice(0, 3)
					.map(
						(/** @type {any} */ node) =>
							`${node.target.join(" ")} (${
								node.any.concat(node.all, node.none)[0]?.message ?? ""
							})`,
					)
					.join("; ")}`,
		);
	});
	assert.deepEqual(found, [], state);
}

/** Opens all that is behind a mark, but for the lists beside it. @param {Page} page */
async function openAll(page) {
	await page.evaluate(() => {
		for (const details of document.querySelectorAll("main details"))
			/** @type {HTMLDetailsElement} */ (details).open = true;
	});
}

/** @param {Page} page */
const connected = (page) => page.locator("#frame-connection.state-open").waitFor();

/** A dialog is opened, judged, and closed.
 * @param {Page} page @param {string} button @param {string} state */
async function judgeDialog(page, button, state) {
	await page.getByRole("button", { name: button }).first().click();
	await page.locator("dialog[open]").waitFor();
	await judge(page, state);
	await page.keyboard.press("Escape");
	await page.locator("dialog[open]").waitFor({ state: "detached" });
}

/** @param {Page} page @param {string} what */
async function dashboard(page, what) {
	await page.goto(daemon.base);
	await connected(page);
	await page.locator(".clients tbody tr").first().waitFor();
	await judge(page, `dashboard, ${what}`);
	await openAll(page);
	await page.getByLabel("Connections").check();
	await judge(page, `dashboard, ${what}, everything open`);
	await judgeDialog(page, "Force release all…", `dashboard, ${what}, a dialog`);
}

/** @param {Page} page */
async function others(page) {
	for (const path of ["/console", "/mic", "/dreamer", "/logs"]) {
		await page.goto(daemon.base + path);
		await connected(page);
		await judge(page, path);
		await openAll(page);
		await judge(page, `${path}, everything open`);
		if (path !== "/console") continue;
		await judgeDialog(page, "Debug GPU", "the report");
		await judgeDialog(page, "Add models", "how models are added");
	}
}

/** A profile for each way to look.
 * @param {string} mode @param {(page: Page) => Promise<void>} act */
async function inMode(mode, act) {
	const browser = await openBrowser({
		context: { ...MODES[mode], bypassCSP: true, reducedMotion: "reduce" },
	});
	try {
		const stranger = await browser.page();
		await stranger.goto(daemon.base);
		await judge(stranger, "signed out");
		await stranger.close();
		await act(await browser.signedInPage(daemon));
	} finally {
		await browser.close();
	}
}

for (const mode of Object.keys(MODES)) {
	test(`axe finds nothing, ${mode}, with nothing running`, () =>
		inMode(mode, async (page) => {
			await dashboard(page, "nothing");
			await others(page);
		}));
}

test("many come", busy);

for (const mode of Object.keys(MODES)) {
	test(`axe finds nothing, ${mode}, with much running`, () =>
		inMode(mode, (page) => dashboard(page, "much")));
}
