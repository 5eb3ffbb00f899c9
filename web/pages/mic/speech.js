// @ts-check
// Where speech begins and ends, from how likely each piece of sound is speech: keeps a little of
// what was before, bridges pauses between words, drops a cough. Hears nothing by itself. Used by
// listener.js; also runs in Node.
import { SAMPLE_RATE_HZ } from "./audio.js";

/** What Silero VAD judges at once: 32 ms. */
export const FRAME_SAMPLES = 512;

/** More likely than this, it begins; less likely than that, it may be over. */
const SPEECH_MIN = 0.5;
const SILENCE_MAX = 0.35;

const FRAMES_PER_S = SAMPLE_RATE_HZ / FRAME_SAMPLES;
const BEFORE_FRAMES = Math.round(0.5 * FRAMES_PER_S);
const PAUSE_FRAMES_MAX = Math.round(0.8 * FRAMES_PER_S);
const SPEECH_FRAMES_MIN = Math.round(0.2 * FRAMES_PER_S);
const FRAMES_MAX = 60 * FRAMES_PER_S;

export class Speech {
	/** @type {Float32Array[]} */
	#frames = [];
	#speaking = false;
	#spoken = 0;
	#pause = 0;
	#onBegin;
	#onEnd;

	/**
	 * @param {() => void} onBegin
	 * @param {(samples: Float32Array | null) => void} onEnd null: too short for words
	 */
	constructor(onBegin, onEnd) {
		this.#onBegin = onBegin;
		this.#onEnd = onEnd;
	}

	get speaking() {
		return this.#speaking;
	}

	/** @param {Float32Array} frame @param {number} likely 0 to 1 */
	hear(frame, likely) {
		this.#frames.push(frame);
		if (!this.#speaking) {
			if (likely >= SPEECH_MIN) this.#begin();
			else if (this.#frames.length > BEFORE_FRAMES) this.#frames.shift();
			return;
		}
		if (likely >= SPEECH_MIN) this.#spoken++;
		this.#pause = likely < SILENCE_MAX ? this.#pause + 1 : 0;
		if (this.#pause >= PAUSE_FRAMES_MAX || this.#frames.length >= FRAMES_MAX) this.end();
	}

	#begin() {
		this.#speaking = true;
		this.#spoken = 1;
		this.#pause = 0;
		this.#onBegin();
	}

	/** What was spoken until now is whole. */
	end() {
		if (!this.#speaking) return;
		const frames = this.#frames;
		this.#frames = [];
		this.#speaking = false;
		this.#onEnd(this.#spoken >= SPEECH_FRAMES_MIN ? join(frames) : null);
	}
}

/** @param {Float32Array[]} frames */
function join(frames) {
	const all = new Float32Array(frames.length * FRAME_SAMPLES);
	frames.forEach((frame, n) => all.set(frame, n * FRAME_SAMPLES));
	return all;
}
