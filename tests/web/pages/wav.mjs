// @ts-check
// Sound files for the browser's fake microphone: 16-bit mono, stretches of silence and pure tones.
// Used by the tests of Root Mic and by those that let all pages work at once.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempFolder } from "../lib/children.mjs";

const RATE_HZ = 48000; // what the fake device delivers, so that nothing is resampled

/** The four tones that the demo model knows, and what it writes for them. */
export const TONES = [1000, 4000, 500, 2000].map((hz) => ({ hz, seconds: 1 }));
export const TONES_TEXT = "green lease red blue";

/**
 * @param {{hz: number, seconds: number}[]} stretches 0 Hz is silence
 * @returns {string} the path of the file, which is removed at the end
 */
export function writeWav(stretches) {
	const samples = stretches.flatMap(({ hz, seconds }) =>
		Array.from({ length: seconds * RATE_HZ },
			(_, i) => Math.round(12000 * Math.sin((2 * Math.PI * hz * i) / RATE_HZ))));
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
