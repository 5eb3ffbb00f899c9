// Proves that the three pages take turns: Console answers, Mic listens to a fake microphone,
// Dreamer dreams, all at once in one browser, and all finish; never do two of them compute at a
// time. Once on a GPU where all models fit, and once on one where they must make room for each
// other, which is where pages that hold one thing and wait for another would stand still for
// ever. How long it takes is the machine's; that nothing moves is what fails.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { openBrowser } from "../lib/browser.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { until } from "../lib/until.mjs";
import { watchHolders } from "./sessions.mjs";
import { TONES, TONES_TEXT, writeWav } from "./wav.mjs";

const STILL_MS = 60_000; // the longest that a model computes, or loads, on a busy machine
const TIMES_MAX = 4; // so long, until it is enough
const NOTES = ["The queue is fair", "A lease ends", "Tabs close", "The GPU is busy"];
const SILENCE_S = 1;

let browser;
let daemon;
let watch;

before(async () => {
	const file = writeWav([{ hz: 0, seconds: SILENCE_S }, ...TONES, { hz: 0, seconds: 3 }]);
	browser = await openBrowser({
		args: ["--use-fake-device-for-media-stream", `--use-file-for-fake-audio-capture=${file}`],
		context: { permissions: ["microphone"] },
	});
});

after(async () => {
	await browser?.close();
});

afterEach(async () => {
	for (const page of browser.context.pages()) await page.close();
	await daemon?.stop();
});

async function dreams() {
	const page = await browser.signedInPage(daemon, "/health");
	await page.evaluate(async (notes) => {
		const { openStorage } = await import("/storage/storage.js");
		const memory = await openStorage();
		for (const [n, text] of notes.entries()) {
			await memory.putNote({ id: `n${n}`, text, source: "test", at: n + 1 });
		}
		memory.close();
	}, NOTES);
	await page.goto(`${daemon.base}/dreamer`);
	await page.getByRole("button", { name: "Wake" }).click();
	return page;
}

async function asks() {
	const page = await browser.signedInPage(daemon, "/console");
	await page.locator("#choose option").first().waitFor({ state: "attached" });
	await page.locator("#question").fill("What is a lease?");
	await page.locator("#question").press("Enter");
	return page;
}

async function talks() {
	const page = await browser.signedInPage(daemon, "/mic");
	await page.locator("#talk:enabled").waitFor();
	await page.locator("#talk").click();
	await until(
		async () =>
			Number.parseFloat(await page.locator("#recording .mono").textContent({ timeout: 1000 }))
			>= SILENCE_S + 4.4,
		{ ms: 30000, what: "the tones are recorded" },
	);
	await page.locator("#talk").click();
	return page;
}

/** As until, as long as leases come and go. */
async function whileItMoves(fn, what) {
	for (let times = 1; ; times++) {
		const before = watch.samples.length;
		try {
			return await until(fn, { ms: STILL_MS, what });
		} catch (error) {
			if (watch.samples.length === before || times === TIMES_MAX) throw error;
		}
	}
}

async function thinksAll(page) {
	await whileItMoves(
		async () => /^(\d+) of \1$/.test(await page.locator("#count-round").textContent()),
		"the dream is finished",
	);
	const ids = await page.evaluate(async () => {
		const { openStorage } = await import("/storage/storage.js");
		return (await (await openStorage()).thoughts()).map((thought) => thought.id).sort();
	});
	assert.deepEqual(
		ids.filter((id) => /^1:n/.test(id)),
		NOTES.map((_, n) => `1:n${n}`),
	);
}

/** An answer that a voice cut off, even before its first word, says so, and goes on when the user
 * wants it to. A click by pointer would wait for frames, which the GPU that is emulated paints late. */
async function answered(page) {
	const goOn = page.getByRole("button", { name: /^(Continue|Try again)$/ });
	await whileItMoves(async () => {
		if (await goOn.count()) await goOn.dispatchEvent("click", {}, { timeout: 1000 });
		const whole = page.locator(".answer:not(.writing):not(:has(.stopped))");
		return (await whole.count()) === 1 && (await whole.innerText()).length > 10;
	}, "the answer is whole");
}

async function written(page) {
	const done = page.locator('.take[data-state="done"]').first();
	await whileItMoves(() => done.isVisible(), "the words are written");
	assert.equal(await page.locator(".take-text").first().innerText(), TONES_TEXT);
}

/** All three at once, each to its end; who computed meanwhile. */
async function together() {
	watch = await watchHolders(daemon);
	try {
		const dreamer = await dreams();
		const [asking, talking] = await Promise.all([asks(), talks()]);
		await Promise.all([thinksAll(dreamer), answered(asking), written(talking)]);
	} finally {
		await watch.close();
	}
	for (const sample of watch.samples) {
		assert.ok(sample.length <= 1, `computing at once: ${sample.join(", ")}`);
	}
	const seen = [...new Set(watch.samples.flat())].sort();
	assert.deepEqual(seen, ["Root-Console", "Root-Dreamer", "Root-Mic"]);
}

test("Console, Mic and Dreamer do their work at once and take turns", async () => {
	daemon = await startDaemon();
	await together();
});

test("on a GPU that is too small for all models they make room, and all finish", async () => {
	// The headroom is 512 MiB; of the rest, Whisper and one language model fit.
	daemon = await startDaemon({ gpu: "small:570" });
	await together();
});
