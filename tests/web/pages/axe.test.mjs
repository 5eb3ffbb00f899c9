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
import { ModelServer, chat } from "../lib/model_server.mjs";
import { connect } from "../lib/session.mjs";
import { until } from "../lib/until.mjs";

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

/** What axe finds, and names that no reader may say, which it finds incomplete.
 * @param {Page} page @param {string} state */
async function judge(page, state) {
	if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(`${AXE};0`);
	const found = await page.evaluate(async () => {
		const { violations, incomplete } = await /** @type {any} */ (globalThis).axe.run(document, {
			resultTypes: ["violations", "incomplete"],
		});
		const unsaid = incomplete.filter(
			(/** @type {any} */ one) => one.id === "aria-prohibited-attr",
		);
		return [...violations, ...unsaid].map(
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
	for (const path of ["/console", "/mic", "/dreamer", "/models", "/logs"]) {
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

/** The page of models, where one works, others wait, one has failed and one comes in.
 * @param {Page} page */
async function models(page) {
	await page.locator(".requests tbody tr").nth(19).waitFor();
	await judge(page, "models, much");
	await page.getByRole("button", { name: /^Show \d+ more/ }).click();
	await page.getByRole("button", { name: "Show fewer" }).waitFor();
	await judge(page, "models, everything shown");
}

/** A broker with models, in each way to look. @param {string[]} modes */
async function withModels(modes) {
	const server = await new ModelServer(["small", "large", "W".repeat(128)]).listen();
	const gateway = await startDaemon({
		config: { vram_headroom_mb: 0, upstreams: [server.upstream] },
	});
	try {
		server.loadStatus = 500;
		await chat(gateway, "W".repeat(128), "one that fails");
		server.loadStatus = 200;
		await chat(gateway, "small", "the first");
		server.answers.close();
		for (let i = 0; i < 24; i++) chat(gateway, "small", `client-${i}`);
		chat(gateway, "large", "W".repeat(128));
		await until(
			async () => (await gateway.http("GET", "/v1/gpu/models")).requests.length === 25,
			{ what: "all ask" },
		);
		for (const mode of modes)
			await inMode(mode, async (page) => models(page), { at: gateway, path: "/models" });
	} finally {
		server.close();
		await gateway.stop();
	}
}

/** A profile for each way to look.
 * @param {string} mode @param {(page: Page) => Promise<void>} act
 * @param {{at?: import("../lib/daemon.mjs").Daemon, path?: string}} [where] */
async function inMode(mode, act, { at = daemon, path = "/" } = {}) {
	const browser = await openBrowser({
		context: { ...MODES[mode], bypassCSP: true, reducedMotion: "reduce" },
	});
	try {
		const stranger = await browser.page();
		await stranger.goto(daemon.base);
		await judge(stranger, "signed out");
		await stranger.close();
		await act(await browser.signedInPage(at, path));
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

test("axe finds nothing where models are switched", () => withModels(Object.keys(MODES)));
