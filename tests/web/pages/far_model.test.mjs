// A model at an address, in Root Console with the real library: its files come before any turn is
// asked for, a sign-in page in place of one of them stays nowhere, a later visit asks the address
// for nothing, and "Fetch again" fetches again.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { batonPath } from "../lib/packages.mjs";
import { voiceWait } from "../lib/tabs.mjs";
import { until, untilText } from "../lib/until.mjs";

const FAR = "https://models.example.org";
const BUILT = join(dirname(batonPath), "web/models/tiny-lm");
const VOICE_MS_MAX = 100;
const ANSWER_MS = 90_000; // SwiftShader on a busy machine

let folder;
let daemon;
let browser;
let page;
/** Files that were asked for. @type {string[]} */
let asked;
/** Answers a file in place of the address, if it returns true. */
let instead;

before(async () => {
	folder = await mkdtemp(join(tmpdir(), "baton-far-"));
	await writeFile(
		join(folder, "models.json"),
		JSON.stringify([
			{
				id: "far",
				name: "Far model",
				engine: "transformers",
				task: "chat",
				profile: "lite",
				vram_mb: 50,
				dtype: "fp32",
				url: `${FAR}/m`,
			},
		]),
	);
	daemon = await startDaemon({ args: ["--models", folder], config: { model_origins: [FAR] } });
});
after(async () => {
	await daemon?.stop();
	await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
	[asked, instead] = [[], () => false];
	browser = await openBrowser();
	await browser.context.route(`${FAR}/**`, async (route) => {
		const file = new URL(route.request().url()).pathname.replace("/m/resolve/main/", "");
		const headers = { "Access-Control-Allow-Origin": "*" };
		asked.push(file);
		if (await instead(file, route, headers)) return;
		const path = join(BUILT, file);
		if (existsSync(path)) await route.fulfill({ headers, body: readFileSync(path) });
		else await route.fulfill({ headers, status: 404 });
	});
	page = await browser.signedInPage(daemon, "/console");
	await page.locator("#choose").selectOption("far");
});
afterEach(() => browser.close());

async function ask() {
	await page
		.locator("#choose option:checked", { hasText: "Far model" })
		.waitFor({ state: "attached" });
	await page.locator("#question").fill("How does the queue work?");
	await page.locator("#question").press("Enter");
}
const answers = () => page.locator(".message.answer:not(.writing)");

test("it downloads without a lease, a voice goes first; later nothing is asked for", async () => {
	let release;
	instead = async (file) => {
		if (/\.onnx$/.test(file))
			await new Promise((done) => {
				release = done;
			});
		return false;
	};
	await ask();
	await page.locator(".turn-state", { hasText: "fetching" }).waitFor();
	await until(() => release, { what: "the weights are asked for" });
	const { leases, waiting } = await daemon.status();
	assert.deepEqual([leases, waiting], [[], []]);
	const waited = await voiceWait(daemon, VOICE_MS_MAX);
	console.log(`# a voice behind Root Console's download: ${waited.toFixed(1)} ms`);
	assert.ok(waited < VOICE_MS_MAX, `${waited} ms`);
	release();
	await answers().first().waitFor({ timeout: ANSWER_MS });
	const weights = asked.filter((file) => /\.onnx$/.test(file));
	assert.equal(weights.length, 1, `${asked}`);
	assert.equal(new Set(asked).size, asked.length, `each file once: ${asked}`);
	[asked, instead] = [[], () => false];
	await page.reload();
	await ask();
	await answers().nth(1).waitFor({ timeout: ANSWER_MS });
	assert.deepEqual(
		asked.filter((file) => !/generation_config/.test(file)),
		[],
	);
	assert.deepEqual(
		page.problems.filter((problem) => !/404/.test(problem)),
		[],
	);
});

test("a sign-in page in place of a file is said, stays nowhere; the next try works", async () => {
	instead = async (file, route, headers) => {
		if (file !== "tokenizer.json") return false;
		await route.fulfill({
			headers: { ...headers, "Content-Type": "text/html" },
			body: "<!DOCTYPE html><title>Sign in to the Wi-Fi</title>",
		});
		return true;
	};
	await ask();
	const banner = page.locator("#turn .error-banner");
	await banner.waitFor({ timeout: ANSWER_MS });
	await untilText(banner, /tokenizer\.json came as a web page.*sign in/s);
	assert.deepEqual((await daemon.status()).leases, [], "no turn was asked for");
	instead = () => false;
	await banner.getByRole("button", { name: "Try again" }).click();
	await answers().first().waitFor({ timeout: ANSWER_MS });
});

test("damaged weights are fetched again by themselves; a button does it at any time", async () => {
	let rotten = 1;
	instead = async (file, route, headers) => {
		if (!/\.onnx$/.test(file) || rotten-- <= 0) return false;
		await route.fulfill({ headers, body: "this is no model" });
		return true;
	};
	await ask();
	await answers().first().waitFor({ timeout: ANSWER_MS });
	assert.equal(asked.filter((file) => /\.onnx$/.test(file)).length, 2);
	asked = [];
	await page.getByRole("button", { name: "Fetch again" }).click();
	await until(() => asked.some((file) => /\.onnx$/.test(file)), { what: "it is fetched again" });
	await page.getByText("The model was fetched again.").waitFor({ state: "attached" });
	await ask();
	await answers().nth(1).waitFor({ timeout: ANSWER_MS });
});
