// Proves that Root Mic does its job in a real browser with a fake microphone: what is said becomes
// text, silence is noticed while it lasts, the microphone is given back, and whatever is missing
// (sound, permission, a microphone, room, the broker) is said with a way on.
import assert from "node:assert/strict";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { liveTracks, watchStreams } from "../lib/microphone.mjs";
import { until, untilText } from "../lib/until.mjs";
import { TONES, TONES_TEXT, writeWav } from "./wav.mjs";

const SILENCE_S = 5; // before the tones: for the warning and, on a busy machine, what follows it
const READY_MS = 30000; // a model is loaded and computes on SwiftShader, on a busy machine

let daemon;
let browser;
let page;

before(async () => {
	const file = writeWav([{ hz: 0, seconds: SILENCE_S }, ...TONES, { hz: 0, seconds: 3 }]);
	daemon = await startDaemon();
	browser = await openBrowser({
		args: ["--use-fake-device-for-media-stream", `--use-file-for-fake-audio-capture=${file}`],
		context: { permissions: ["microphone", "clipboard-read", "clipboard-write"] },
	});
});

after(async () => {
	await browser?.close();
	await daemon?.stop();
});

beforeEach(async () => {
	page = await browser.signedInPage(daemon, "/health");
	await watchStreams(page);
});

afterEach(async () => {
	await page.close();
});

async function open() {
	await page.goto(`${daemon.base}/mic`);
	await page.locator("#talk:enabled").waitFor();
}

const status = () => page.locator(".talk-status").textContent();
const recorded = async () =>
	Number.parseFloat(await page.locator("#recording .mono").textContent());
const connected = async () =>
	/Connected/.test(await page.locator("#frame-connection").textContent());

async function recordUntil(seconds) {
	await until(async () => (await recorded()) >= seconds, {
		what: `${seconds} s are recorded`,
		ms: 20000,
	});
}

/** The newest take once its job is done. */
async function finished(job = "transcribe") {
	const take = page.locator(`.take[data-state="done"][data-job="${job}"]`).first();
	await take.waitFor({ timeout: READY_MS });
	return take;
}

async function textOf(take) {
	return take.locator(".take-text").first().innerText();
}

/** What the page threw; that the document before it has no icon is no problem. */
function problems() {
	return page.problems.filter((problem) => !/\/favicon\.ico/.test(problem));
}

test("hold Space, speak, let go: the text is there, the microphone given back", async () => {
	await open();
	await page.keyboard.down("Space");
	await page.locator(".level").waitFor();
	assert.equal(await liveTracks(page), 1);
	await recordUntil(SILENCE_S + 1);
	assert.equal(await page.locator(".warning").count(), 0, "a warning while tones are heard");
	await recordUntil(SILENCE_S + 4.4);
	const startedMs = performance.now();
	await page.keyboard.up("Space");
	await until(async () => (await liveTracks(page)) === 0, { what: "the tracks are stopped" });
	const take = await finished();
	const tookMs = performance.now() - startedMs;
	assert.equal(await textOf(take), TONES_TEXT);
	assert.ok(await take.getByText("Demo model").isVisible());
	assert.match(await page.locator("#chunks").textContent(), /^1 of/);
	assert.notEqual(await page.locator("#vram").textContent(), "none");
	console.log(`# from the end of the recording to its text: ${Math.round(tookMs)} ms`);
	assert.deepEqual(problems(), []);
});

test("silence is noticed while recording, and nothing is made of it", async () => {
	await open();
	await page.locator("#talk").click(); // a tap: records until the next
	await page.locator(".warning").waitFor({ timeout: 5000 });
	assert.equal(await status(), "Recording");
	assert.match(await page.locator(".warning").textContent(), /Nothing is heard/);
	await page.locator("#talk").click();
	await page.getByText("Nothing was heard").waitFor();
	assert.equal(await page.locator(".take").count(), 0);
	assert.equal(await liveTracks(page), 0);
	assert.deepEqual(problems(), []);
});

test("Escape drops the recording, and so does leaving the page", async () => {
	await open();
	await page.locator("#talk").click();
	await page.locator(".level").waitFor();
	await page.keyboard.press("Escape");
	await until(async () => (await status()) === "Ready", { what: "the recording is dropped" });
	assert.equal(await liveTracks(page), 0);
	await page.locator("#talk").click();
	await page.locator(".level").waitFor();
	await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide")));
	assert.equal(await liveTracks(page), 0);
	assert.equal(await page.locator(".take").count(), 0);
	assert.deepEqual(problems(), []);
});

test("one that was dropped while the microphone was asked for does not end the next", async () => {
	await page.addInitScript(() => {
		const real = navigator.mediaDevices.getUserMedia;
		window.allow = [];
		navigator.mediaDevices.getUserMedia = async (constraints) => {
			await new Promise((done) => window.allow.push(done));
			return real(constraints);
		};
	});
	const asked = (n) =>
		until(() => page.evaluate((wanted) => window.allow.length === wanted, n), {
			what: "the microphone is asked for",
		});
	await open();
	await page.locator("#talk").click();
	await asked(1);
	await page.keyboard.press("Escape");
	await until(async () => (await status()) === "Ready", { what: "the wish is dropped" });
	await page.locator("#talk").click();
	await asked(2);
	await page.evaluate(() => window.allow[0]());
	await until(
		async () =>
			(await page.evaluate(() => window.streams.length)) === 1
			&& (await liveTracks(page)) === 0,
		{ what: "what came too late is given back" },
	);
	assert.notEqual(await status(), "Ready");
	await page.evaluate(() => window.allow[1]());
	await page.locator(".level").waitFor();
	await page.keyboard.press("Escape");
	await until(async () => (await status()) === "Ready", { what: "it is dropped" });
	assert.deepEqual(problems(), []);
});

test("test tones need no microphone; copy, refine and save do what they say", async () => {
	await open();
	await page.getByRole("button", { name: "Play test tones" }).click();
	const take = await finished();
	assert.equal(await textOf(take), TONES_TEXT);
	await take.getByRole("button", { name: "Copy" }).click();
	await until(
		async () => (await page.evaluate(() => navigator.clipboard.readText())) === TONES_TEXT,
		{ what: "the text is copied" },
	);
	await take.getByRole("button", { name: "Refine" }).click();
	const refined = await finished("refine");
	const text = await refined.locator(".take-refined .take-text").innerText();
	assert.ok(text.length > 10, text);
	assert.ok(await refined.locator(".take-refined .badge.demo").isVisible());
	await refined.getByRole("button", { name: "Save as a note" }).click();
	await page.getByRole("button", { name: "Saved as a note" }).waitFor();
	const notes = await page.evaluate(async () => {
		const { openStorage } = await import("/storage/storage.js");
		return (await openStorage()).notes();
	});
	assert.equal(notes.length, 1);
	assert.equal(notes[0].source, "mic");
	assert.equal(notes[0].text, text);
	assert.equal(await page.evaluate(() => window.streams.length), 0);
	assert.deepEqual(problems(), []);
});

test("while a voice turn is taken by another, the page waits and says who holds", async () => {
	await open();
	const holder = await daemon.http("POST", "/v1/gpu/lock", { id: "other <b>", class: "voice" });
	assert.equal(holder.status, "acquired");
	await page.getByRole("button", { name: "Play test tones" }).click();
	await page.locator("#queue").getByText("other <b>").first().waitFor();
	assert.equal(await page.locator('.take[data-state="waiting"]').count(), 1);
	await daemon.http("POST", "/v1/gpu/unlock", { token: holder.token });
	assert.equal(await textOf(await finished()), TONES_TEXT);
	assert.deepEqual(problems(), []);
});

test("a refused microphone is explained, with a way on", async () => {
	await page.addInitScript(() => {
		navigator.mediaDevices.getUserMedia = async () => {
			throw new DOMException("Permission denied", "NotAllowedError");
		};
	});
	await open();
	await page.locator("#talk").click();
	await page.getByText("set Microphone to Allow").waitFor();
	assert.equal(await status(), "Ready");
	assert.ok(await page.getByRole("button", { name: "Play test tones" }).isEnabled());
});

test("a missing microphone and one in use are told apart", async () => {
	await page.addInitScript(() => {
		const names = ["NotFoundError", "NotReadableError"];
		navigator.mediaDevices.getUserMedia = async () => {
			throw new DOMException("", names.shift());
		};
	});
	await open();
	await page.locator("#talk").click();
	await page.getByText("There is no microphone").waitFor();
	await page.locator("#talk").click();
	await page.getByText("another program").waitFor();
});

test("a file that is no sound is said so; a sound file is transcribed", async () => {
	await open();
	const input = page.locator('input[type="file"]');
	await input.setInputFiles({ name: "no.wav", mimeType: "audio/wav", buffer: Buffer.from("no") });
	await page.getByText("cannot be read as sound").waitFor();
	await input.setInputFiles(writeWav(TONES));
	assert.equal(await textOf(await finished()), TONES_TEXT);
	assert.equal(await page.getByText("cannot be read as sound").count(), 0);
});

test("a missing model is said, the sound is kept, and a retry goes on", async () => {
	await page.route("**/models/tone-whisper/**", (route) => route.fulfill({ status: 404 }));
	await open();
	await page.getByRole("button", { name: "Play test tones" }).click();
	const failed = page.locator('.take[data-state="failed"]');
	await failed.waitFor({ timeout: READY_MS });
	assert.match(await failed.locator(".take-problem").textContent(), /missing/);
	await page.unroute("**/models/tone-whisper/**");
	await failed.getByRole("button", { name: "Try again" }).click();
	assert.equal(await textOf(await finished()), TONES_TEXT);
});

test("the broker may be away and come back: what was said is not lost", async () => {
	await open();
	await until(connected, { what: "the page is connected" });
	await daemon.kill();
	await until(async () => !(await connected()), { what: "the page notices" });
	await page.getByRole("button", { name: "Play test tones" }).click();
	await page.locator(".take").waitFor();
	await daemon.start();
	await until(
		async () => {
			const again = page.getByRole("button", { name: "Try again" });
			if (await again.count())
				await again.first().dispatchEvent("click", {}, { timeout: 1000 });
			return page.locator('.take[data-state="done"]').count();
		},
		{ ms: READY_MS, what: "the text comes after the restart" },
	);
	assert.equal(await textOf(await finished()), TONES_TEXT);
});

test("a note that finds no room is kept while the page lives, and that is said", async () => {
	await open();
	await page.getByRole("button", { name: "Play test tones" }).click();
	const take = await finished();
	await page.evaluate(() => {
		IDBObjectStore.prototype.put = IDBObjectStore.prototype.add = () => {
			throw new DOMException("full", "QuotaExceededError");
		};
	});
	await take.getByRole("button", { name: "Save as a note" }).click();
	const banner = page.locator("#frame-alerts .error-banner");
	await banner.waitFor();
	await untilText(banner, /storage is full/);
	await take.getByRole("button", { name: "Saved as a note" }).waitFor();
	assert.equal(await textOf(take), TONES_TEXT);
});
