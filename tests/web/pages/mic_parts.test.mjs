// Proves the parts of Root Mic that need no browser: what is cut off sound and where it is divided,
// that a lost lease costs no part twice and loses none, that the model's worker is renewed in time,
// and what is asked of a chat model. Engines and leases are stand-ins here.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
	CHUNK_S_MAX,
	SAMPLE_RATE_HZ,
	level,
	mix,
	splitChunks,
	testTones,
	trimSilence,
} from "../../../web/pages/mic/audio.js";
import { scale } from "../../../web/pages/mic/level_meter.js";
import { refine } from "../../../web/pages/mic/refine.js";
import { FRAME_SAMPLES, Speech } from "../../../web/pages/mic/speech.js";
import { CHUNKS_PER_WORKER, Transcriber } from "../../../web/pages/mic/transcriber.js";

/** Silence but for the given stretches, in seconds. */
function sound(seconds, loud) {
	const samples = new Float32Array(seconds * SAMPLE_RATE_HZ);
	for (const [from, to] of loud) {
		for (let i = from * SAMPLE_RATE_HZ; i < to * SAMPLE_RATE_HZ; i++) {
			samples[i] = 0.3 * Math.sin(i / 5);
		}
	}
	return samples;
}

test("silence is cut off at both ends, and silence alone is nothing", () => {
	assert.equal(trimSilence(sound(3, [])).length, 0);
	assert.equal(trimSilence(new Float32Array(0)).length, 0);
	const rest = trimSilence(sound(6, [[2, 4]]));
	assert.ok(Math.abs(rest.length / SAMPLE_RATE_HZ - 2.1) < 0.05, `${rest.length}`);
	const all = sound(2, [[0, 2]]);
	assert.equal(trimSilence(all).length, all.length);
});

test("long sound is divided in a pause, and every sample is in one part", () => {
	const samples = sound(70, [
		[0, 26.5],
		[27, 51],
		[52, 70],
	]);
	const parts = splitChunks(samples);
	assert.equal(
		parts.reduce((sum, part) => sum + part.length, 0),
		samples.length,
	);
	for (const part of parts) assert.ok(part.length <= CHUNK_S_MAX * SAMPLE_RATE_HZ);
	const cut = parts[0].length;
	assert.ok(cut > 26.5 * SAMPLE_RATE_HZ && cut < 27 * SAMPLE_RATE_HZ, `cut at ${cut}`);
	assert.equal(splitChunks(new Float32Array(0)).length, 0);
	assert.equal(splitChunks(samples.subarray(0, 100)).length, 1);
});

test("channels are mixed, levels are levels", () => {
	const channels = [new Float32Array([1, 0]), new Float32Array([0, 0.5])];
	const mixed = mix({ numberOfChannels: 2, length: 2, getChannelData: (n) => channels[n] });
	assert.deepEqual([...mixed], [0.5, 0.25]);
	const tones = testTones();
	assert.equal(tones.length, 4 * SAMPLE_RATE_HZ);
	assert.ok(Math.abs(level(tones) - 0.5 / Math.SQRT2) < 0.01);
	assert.equal(scale(0), 0);
	assert.equal(scale(1), 1);
	assert.ok(scale(0.1) > 0.5 && scale(0.1) < 0.7);
});

/**
 * A host whose engine writes down the number of each part; `fails` names calls that lose the
 * lease.
 */
function fakeHost({ fails = [], code = "REVOKED" } = {}) {
	const seen = { calls: 0, turns: 0, recycled: [], reports: 0, heard: [], yields: 0 };
	const lease = {
		report: () => seen.reports++,
		yieldIfNeeded: async () => {
			seen.yields++;
			return false;
		},
	};
	const host = {
		state: "ready",
		spec: { demo: true },
		seen,
		async turn(options, fn) {
			seen.turns++;
			host.state = "ready";
			assert.equal(options.class, "voice");
			return fn(
				{
					memory: async () => ({ vramBytes: 5 }),
					async transcribe(samples) {
						seen.calls++;
						if (fails.includes(seen.calls)) {
							host.state = "empty"; // the worker went with the lease
							throw Object.assign(new Error("taken"), { code });
						}
						const number = Math.round(samples[0] * 1000);
						seen.heard.push(number);
						return { text: ` w${number} ` };
					},
				},
				lease,
			);
		},
		async recycle() {
			seen.recycled.push(seen.calls);
		},
	};
	return host;
}

/** As many parts as wanted; each is as loud as its number. */
function parts(n) {
	const most = CHUNK_S_MAX * SAMPLE_RATE_HZ;
	const samples = new Float32Array(n * most);
	// It gets louder, so the cut is at the first spot that is tried: five seconds before the end.
	const length = most - 5 * SAMPLE_RATE_HZ + SAMPLE_RATE_HZ / 10;
	for (let i = 0; i < n; i++) samples.fill((i + 1) / 1000, i * length);
	return samples.subarray(0, (n - 1) * length + most);
}

test("a lost lease costs no part twice and loses none", async () => {
	const host = fakeHost({ fails: [2, 3] });
	const text = await new Transcriber(host).transcribe(parts(3));
	assert.equal(text, "w1 w2 w3");
	assert.deepEqual(host.seen.heard, [1, 2, 3]);
	assert.equal(host.seen.turns, 3);
});

test("a lease that is lost again and again is an error, another error is one at once", async () => {
	const lossy = fakeHost({ fails: [1, 2, 3, 4, 5] });
	await assert.rejects(new Transcriber(lossy).transcribe(parts(1)), { code: "REVOKED" });
	assert.equal(lossy.seen.turns, 3);
	const broken = fakeHost({ fails: [1], code: "MODEL_CORRUPT" });
	await assert.rejects(new Transcriber(broken).transcribe(parts(1)), { code: "MODEL_CORRUPT" });
	assert.equal(broken.seen.turns, 1);
});

test("the worker is renewed in time, within one recording and over several", async () => {
	const host = fakeHost();
	const transcriber = new Transcriber(host);
	const n = CHUNKS_PER_WORKER + 1;
	const text = await transcriber.transcribe(parts(n));
	assert.equal(text.split(" ").length, n);
	assert.deepEqual(host.seen.recycled, [CHUNKS_PER_WORKER]);
	assert.equal(transcriber.chunks, 1);
	for (let i = 1; i < CHUNKS_PER_WORKER; i++) await transcriber.transcribe(parts(1));
	assert.deepEqual(host.seen.recycled, [CHUNKS_PER_WORKER, 2 * CHUNKS_PER_WORKER]);
	assert.equal(host.seen.reports, 2 * CHUNKS_PER_WORKER);
});

test("refining asks for the text alone, and takes quotes off", async () => {
	let asked;
	const turns = {
		turn: async (options, fn) =>
			fn({
				async chat(messages, options) {
					asked = { messages, options };
					return { text: ' "Hello, world." ' };
				},
			}),
	};
	assert.equal(await refine(turns, "hello world uhm"), "Hello, world.");
	assert.equal(asked.messages.at(-1).content, "hello world uhm");
	assert.ok(asked.options.maxTokens >= 64);
});

/** What comes of frames that are so likely to be speech: [how likely, how many] each. */
function heard(stretches) {
	const log = [];
	const speech = new Speech(
		() => log.push("begins"),
		(samples) => log.push(samples && samples.length / FRAME_SAMPLES),
	);
	for (const [likely, frames] of stretches) {
		for (let i = 0; i < frames; i++) speech.hear(new Float32Array(FRAME_SAMPLES), likely);
	}
	return { log, speech };
}

test("speech begins when it is likely, bridges a pause, and ends after a longer one", () => {
	const { log, speech } = heard([
		[0.1, 50],
		[0.9, 20],
		[0.1, 15],
		[0.4, 5],
		[0.9, 20],
		[0.1, 30],
	]);
	// Half a second of what was before, and the pause that ended it.
	assert.deepEqual(log, ["begins", 16 + 20 + 15 + 5 + 20 + 25]);
	assert.equal(speech.speaking, false);
	speech.end();
	assert.equal(log.length, 2, "what ended once does not end again");
});

test("a cough is no speech, and who never pauses is handed on after a minute", () => {
	assert.deepEqual(
		heard([
			[0.9, 3],
			[0.1, 60],
		]).log,
		["begins", null],
	);
	assert.deepEqual(heard([[0.9, 2000]]).log.slice(0, 3), ["begins", 1875, "begins"]);
});
