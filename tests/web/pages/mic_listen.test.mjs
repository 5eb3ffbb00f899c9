// Speaking without a button, with the real Silero VAD in a real browser: a voice that was made for
// this comes out of the fake microphone, after a tone that is none. No lease is asked for to hear
// it, and the microphone is given back.
import assert from "node:assert/strict";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { liveTracks, watchStreams } from "../lib/microphone.mjs";
import { until } from "../lib/until.mjs";
import { SPEECH_S, writeWav } from "./wav.mjs";

const READY_MS = 60_000; // 11 MB of WebAssembly, and a model on SwiftShader, on a busy machine

let daemon;
let browser;
let page;

before(async () => {
	const file = writeWav([
		{ hz: 0, seconds: 1 },
		{ hz: 1000, seconds: 2 },
		{ hz: 0, seconds: 2 },
		"speech",
		{ hz: 0, seconds: 4 },
	]);
	daemon = await startDaemon();
	browser = await openBrowser({
		args: ["--use-fake-device-for-media-stream", `--use-file-for-fake-audio-capture=${file}`],
		context: { permissions: ["microphone"] },
	});
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
});
beforeEach(async () => {
	page = await browser.signedInPage(daemon, "/health");
	await watchStreams(page);
	await page.goto(`${daemon.base}/mic`);
	await page.locator("#listen:enabled").waitFor();
});
afterEach(() => page.close());

const status = () => page.locator(".talk-status").textContent();

test("it hears where speech begins and ends, and no tone, without button and lease", async () => {
	const asked = [];
	page.on("request", (request) => asked.push(request.url()));
	await page.locator("#listen").click();
	await until(async () => (await status()) === "Listening: speak", {
		what: "it listens",
		ms: READY_MS,
	});
	assert.equal(await liveTracks(page), 1);
	assert.ok(await page.locator("#talk").isDisabled());
	await until(async () => (await status()) === "Hearing you", { what: "it hears", ms: READY_MS });
	assert.deepEqual((await daemon.status()).leases, [], "hearing takes no lease");
	await page.locator(".take").first().waitFor({ timeout: READY_MS });
	await page.locator("#listen").click();
	assert.equal(await status(), "Ready");
	assert.equal(await liveTracks(page), 0);
	// Only the speech is there: with half a second before it and the pause after it.
	assert.equal(await page.locator(".take").count(), 1);
	const words = await page.locator(".take .muted").first().textContent();
	const seconds = Number.parseFloat(/([\d.]+) s/.exec(words)[1]);
	console.log(`# ${SPEECH_S.toFixed(1)} s of speech were heard as ${seconds} s`);
	assert.ok(seconds > SPEECH_S && seconds < SPEECH_S + 2, words);
	await page.locator('.take[data-state="done"]').waitFor({ timeout: READY_MS });
	assert.ok(asked.some((url) => url.endsWith("/vendor/silero_vad.onnx")));
	assert.ok(
		asked.every((url) => url.startsWith(daemon.base) || url.startsWith("blob:")),
		`${asked}`,
	);
	assert.deepEqual(
		page.problems.filter((problem) => !/favicon/.test(problem)),
		[],
	);
});

test("leaving gives the microphone back; a detector that cannot load is said", async () => {
	await page.locator("#listen").click();
	await until(async () => (await status()) === "Listening: speak", {
		what: "it listens",
		ms: READY_MS,
	});
	await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide")));
	assert.equal(await liveTracks(page), 0);
	await page.route("**/vendor/silero_vad.onnx", (route) => route.fulfill({ status: 404 }));
	await page.locator("#listen").click();
	await page.getByText("The speech detector failed").waitFor({ timeout: READY_MS });
	assert.equal(await status(), "Ready");
});
