// @ts-check
// Sound files for the browser's fake microphone: 16-bit mono, stretches of silence, of pure tones
// and of something like speech: a buzz and a hiss through the resonances of vowels, by which a
// detector of speech knows it. Used by the tests of Root Mic and by those that let all
// pages work at once.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "../lib/children.mjs";

const RATE_HZ = 48000; // what the fake device delivers, so that nothing is resampled

/** The four tones that the demo model knows, and what it writes for them. */
export const TONES = [1000, 4000, 500, 2000].map((hz) => ({ hz, seconds: 1 }));
export const TONES_TEXT = "green lease red blue";

/** Where the first three resonances of a vowel lie, in Hz. @type {Record<string, number[]>} */
const VOWELS = {
	a: [730, 1090, 2440],
	e: [530, 1840, 2480],
	i: [270, 2290, 3010],
	o: [570, 840, 2410],
	u: [300, 870, 2240],
};
const SYLLABLES = ["a", "si", "o", "mu", "e", "sa", "i", "o", "na", "su", "e", "mi"];
const SYLLABLE_S = 0.2;

/** How long speech() is. */
export const SPEECH_S = SYLLABLES.length * SYLLABLE_S;

/** The same each time, from -1 to 1. */
function noise() {
	let seed = 1;
	return () => {
		seed = (seed * 48271) % 2147483647;
		return (2 * seed) / 2147483647 - 1;
	};
}

/** A resonator as Klatt's synthesizer has it. @param {number} hz @param {number} width */
function resonator(hz, width) {
	const r = Math.exp((-Math.PI * width) / RATE_HZ);
	const [c, d] = [2 * r * Math.cos((2 * Math.PI * hz) / RATE_HZ), -r * r];
	let [one, two] = [0, 0];
	return (/** @type {number} */ x) => {
		[one, two] = [(1 - c - d) * x + c * one + d * two, one];
		return one;
	};
}

/** Vowels and a few consonants with a voice that rises and falls. @returns {number[]} */
function speech() {
	const hiss = noise();
	/** @type {number[]} */
	const samples = [];
	let phase = 0;
	for (const syllable of SYLLABLES) {
		const filters = VOWELS[syllable.at(-1) ?? "a"].map((hz, n) => resonator(hz, 80 + 30 * n));
		const count = SYLLABLE_S * RATE_HZ;
		for (let i = 0; i < count; i++) {
			const part = i / count;
			phase += (120 + 25 * Math.sin(samples.length / 10000) - 20 * part) / RATE_HZ;
			const buzz = phase >= 1 ? 1 : 0;
			phase -= buzz;
			const loud = Math.min(1, 8 * part, 6 * (1 - part));
			const hissing = syllable.startsWith("s") && part < 0.3;
			samples.push(
				hissing
					? 0.02 * hiss()
					: loud * filters.reduce((x, filter) => filter(x), buzz + 0.005 * hiss()),
			);
		}
	}
	const peak = samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
	return samples.map((x) => Math.round((20000 * x) / peak));
}

/**
 * @param {({hz: number, seconds: number} | "speech")[]} stretches 0 Hz is silence
 * @returns {string} the path of the file, which is removed at the end
 */
export function writeWav(stretches) {
	const samples = stretches.flatMap((stretch) =>
		stretch === "speech"
			? speech()
			: Array.from({ length: stretch.seconds * RATE_HZ }, (_, i) =>
					Math.round(12000 * Math.sin((2 * Math.PI * stretch.hz * i) / RATE_HZ)),
				),
	);
	const data = Buffer.alloc(44 + 2 * samples.length);
	data.write("RIFF", 0);
	data.writeUInt32LE(36 + 2 * samples.length, 4);
	data.write("WAVEfmt ", 8);
	data.writeUInt32LE(16, 16);
	data.writeUInt16LE(1, 20); // PCM
	data.writeUInt16LE(1, 22); // one channel
	data.writeUInt32LE(RATE_HZ, 24);
	data.writeUInt32LE(2 * RATE_HZ, 28);
	data.writeUInt16LE(2, 32);
	data.writeUInt16LE(16, 34);
	data.write("data", 36);
	data.writeUInt32LE(2 * samples.length, 40);
	samples.forEach((sample, i) => data.writeInt16LE(sample, 44 + 2 * i));
	const path = join(tempFolder("baton-wav"), "microphone.wav");
	writeFileSync(path, data);
	return path;
}
