// @ts-check
// The pages before their libraries are there, as after a first `make run`: dashboard and logs work,
// the others say what is missing and how far it is, and go on by themselves.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { batonPath } from "../lib/packages.mjs";
import { connect } from "../lib/session.mjs";
import { until } from "../lib/until.mjs";

const web = mkdtempSync(join(tmpdir(), "baton-no-libraries-"));
/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/browser.mjs").PageBrowser} */
let browser;

before(async () => {
	daemon = await startDaemon({ args: ["--web", web] });
	browser = await openBrowser();
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	rmSync(web, { recursive: true, force: true });
});

/** @param {object} state */
function tell(state) {
	mkdirSync(join(web, "vendor"), { recursive: true });
	writeFileSync(
		join(web, "vendor/state.new"),
		JSON.stringify({ at: Date.now() / 1000, ...state }),
	);
	renameSync(join(web, "vendor/state.new"), join(web, "vendor/state.json"));
}

/** What goes wrong but for libraries that are not there. @param {{problems: string[]}} page */
const problems = (page) => page.problems.filter((text) => !text.includes("/vendor/"));

/** @param {import("../lib/browser.mjs").TestPage} page @param {RegExp} text */
const shows = (page, text) =>
	until(async () => text.test(await page.innerText("#main")), { what: `the page shows ${text}` });

test("the dashboard shows holders and queue and acts; only its chart waits", async () => {
	const [holder, waiter] = [await connect(daemon, "holder"), await connect(daemon, "waiter")];
	const { lease } = await holder.ask({ type: "acquire", ref: 1, vram_mb: 4096 }, "offered");
	await holder.ask({ type: "accept", lease }, "granted");
	await waiter.ask({ type: "acquire", ref: 1 }, "queued");
	const page = await browser.signedInPage(daemon);
	await shows(page, /holder[^]*waiter/);
	await page.locator("#vram-card").scrollIntoViewIfNeeded();
	await shows(page, /The chart needs libraries[^]*make pages/);
	await page.locator(".queue .more summary").click();
	await page.getByRole("button", { name: "Remove…" }).click();
	assert.equal(await page.locator("dialog[open]").count(), 1);
	assert.deepEqual(problems(page), []);
	await page.close();
	await Promise.all([holder, waiter].map((session) => session.close()));
});

test("the log viewer needs none", async () => {
	const page = await browser.signedInPage(daemon, "/logs");
	await shows(page, /started/);
	assert.deepEqual(page.problems, []);
	await page.close();
});

for (const name of ["console", "mic", "dreamer"])
	test(`${name} says what to run`, async () => {
		const page = await browser.signedInPage(daemon, `/${name}`);
		await shows(page, /This page needs libraries that are not here yet[^]*make pages/);
		const current = page.locator("nav a[aria-current=page]");
		assert.equal(await current.getAttribute("href"), `/${name}`);
		assert.equal(await page.locator("progress").isVisible(), false);
		assert.deepEqual(problems(page), []);
		await page.close();
	});

test("a page that waits shows each step, what failed, and goes on by itself", async () => {
	const page = await browser.signedInPage(daemon, "/console");
	const holder = await connect(daemon, "holder");
	holder.send({ type: "acquire", ref: 1, slots: 0, vram_mb: 4096 });
	const { lease } = await holder.hear("offered");
	await holder.ask({ type: "accept", lease }, "granted");
	const chart = await browser.signedInPage(daemon);
	await chart.locator("#vram-card").scrollIntoViewIfNeeded();
	await shows(page, /make pages/);
	tell({ ready: false, step: 4, of: 10, text: "onnxruntime-web" });
	await shows(page, /Step 4 of 10: onnxruntime-web/);
	assert.equal(await page.locator("progress").getAttribute("value"), "3.5");
	assert.equal(await page.getByText("make pages").isVisible(), false);
	tell({ ready: false, step: 4, of: 10, text: "onnxruntime-web", at: Date.now() / 1000 - 100 });
	await shows(page, /Nothing has moved for 10\d s[^]*make pages/);
	tell({ ready: false, step: 1, of: 10, text: "fetching them by npm", failed: true });
	await shows(page, /That did not work: fetching them by npm[^]*make pages/);

	const built = join(dirname(batonPath), "web");
	cpSync(join(built, "models"), join(web, "models"), { recursive: true });
	cpSync(join(built, "vendor"), join(web, "vendor.new"), { recursive: true });
	rmSync(join(web, "vendor"), { recursive: true });
	renameSync(join(web, "vendor.new"), join(web, "vendor"));
	await page.locator("#question").waitFor({ timeout: 20_000 });
	await shows(page, /Tiny|Demo model/i);
	await chart.locator("#vram-charts canvas").waitFor({ timeout: 20_000 });
	assert.deepEqual([...problems(page), ...problems(chart)], []);
});
