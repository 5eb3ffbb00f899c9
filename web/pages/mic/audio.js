// @ts-check
// Sound as the transcription wants it: one channel of 16 kHz floats. Decodes what was recorded,
// cuts the silence at both ends, divides long sound at quiet spots, and makes the test tones.
// Records nothing and shows nothing. All but decode() also runs in Node. Used by mic.js and its
// tests.

export const SAMPLE_RATE_HZ = 16000;

/** Whisper hears 30 s at once; a second of room keeps a cut at a quiet spot below that. */
export const CHUNK_S_MAX = 29;

/** Below this level (of 1) it is quiet: about -44 dB, above the noise of an open microphone. */
export const QUIET_LEVEL = 0.006;

const WINDOW = SAMPLE_RATE_HZ / 50; // levels are judged over 20 ms
const MARGIN = SAMPLE_RATE_HZ / 20; // what is kept of the silence before the first sound: 50 ms

/** What the tones of the demo model mean, in the order in which they are played. */
export const TEST_TONES = [
	{ word: "green", hz: 1000 },
	{ word: "lease", hz: 4000 },
	{ word: "red", hz: 500 },
	{ word: "blue", hz: 2000 },
];

/**
 * Decodes what a MediaRecorder or a file holds.
 * @param {Blob} blob
 * @returns {Promise<Float32Array>}
 */
export async function decode(blob) {
	const bytes = await blob.arrayBuffer();
	// An offline context needs no user gesture, and decodeAudioData resamples to its rate.
	const context = new OfflineAudioContext(1, 1, SAMPLE_RATE_HZ);
	return mix(await context.decodeAudioData(bytes));
}

/**
 * All channels in one.
 * @param {{numberOfChannels: number, length: number, getChannelData(n: number): Float32Array}}
 * sound
 */
export function mix(sound) {
	const mono = new Float32Array(sound.length);
	for (let channel = 0; channel < sound.numberOfChannels; channel++) {
		const from = sound.getChannelData(channel);
		for (let i = 0; i < mono.length; i++) mono[i] += from[i] / sound.numberOfChannels;
	}
	return mono;
}

/**
 * The loudness of a stretch, as the root of the mean square.
 * @param {Float32Array} samples
 */
export function level(samples, from = 0, to = samples.length) {
	let sum = 0;
	for (let i = from; i < to; i++) sum += samples[i] * samples[i];
	return to > from ? Math.sqrt(sum / (to - from)) : 0;
}

/**
 * The same sound without the silence before and after it; empty when nothing can be heard. Models
 * make words up when they are given silence.
 * @param {Float32Array} samples
 */
export function trimSilence(samples) {
	const windows = Math.ceil(samples.length / WINDOW);
	/** @param {number} n */
	const loud = (n) =>
		level(samples, n * WINDOW, Math.min((n + 1) * WINDOW, samples.length)) >= QUIET_LEVEL;
	let first = 0;
	while (first < windows && !loud(first)) first++;
	if (first === windows) return samples.subarray(0, 0);
	let last = windows - 1;
	while (!loud(last)) last--;
	return samples.subarray(
		Math.max(0, first * WINDOW - MARGIN),
		Math.min(samples.length, (last + 1) * WINDOW + MARGIN),
	);
}

/**
 * Divides sound into parts that the model hears whole. Each cut is at the quietest spot of the last
 * five seconds that still fit, so that it falls between words.
 * @param {Float32Array} samples
 * @returns {Float32Array[]}
 */
export function splitChunks(samples) {
	const most = CHUNK_S_MAX * SAMPLE_RATE_HZ;
	const parts = [];
	let from = 0;
	while (samples.length - from > most) {
		const cut = quietest(samples, from + most - 5 * SAMPLE_RATE_HZ, from + most);
		parts.push(samples.subarray(from, cut));
		from = cut;
	}
	if (samples.length > from) parts.push(samples.subarray(from));
	return parts;
}

/** @param {Float32Array} samples @param {number} from @param {number} to */
function quietest(samples, from, to) {
	const length = SAMPLE_RATE_HZ / 5; // a pause between words
	let best = to;
	let bestLevel = Infinity;
	for (let at = from; at + length <= to; at += WINDOW) {
		const here = level(samples, at, at + length);
		if (here < bestLevel) {
			bestLevel = here;
			best = at + length / 2;
		}
	}
	return best;
}

/**
 * The four tones of the demo model, a second each.
 * @param {number} [rate]
 */
export function testTones(rate = SAMPLE_RATE_HZ) {
	const samples = new Float32Array(TEST_TONES.length * rate);
	for (const [n, { hz }] of TEST_TONES.entries()) {
		for (let i = 0; i < rate; i++) {
			samples[n * rate + i] = 0.5 * Math.sin((2 * Math.PI * hz * i) / rate);
		}
	}
	return samples;
}
