// @ts-check
// Watches how loud a recording is: calls back with the level some times a second, and says when
// nothing was heard for a while. Draws nothing. Used by mic.js.
import { QUIET_LEVEL } from "./audio.js";

/** After this long without a sound a person wants to know. */
export const SILENCE_MS_MAX = 1500;

const UPDATES_PER_S = 15;
const UPDATES_PER_S_REDUCED = 3; // for those who asked for less motion

/** @typedef {{level: number, silent: boolean, seconds: number}} Heard level: 0 to 1 as shown */

export class LevelMeter {
	#context = new AudioContext();
	#analyser = this.#context.createAnalyser();
	#samples = new Float32Array(this.#analyser.fftSize);
	#startedMs = performance.now();
	#heardMs = this.#startedMs;
	/** @type {number} */
	#timer;

	/**
	 * @param {MediaStream} stream
	 * @param {(heard: Heard) => void} onLevel
	 */
	constructor(stream, onLevel) {
		this.#context.createMediaStreamSource(stream).connect(this.#analyser);
		const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
		const rate = reduced ? UPDATES_PER_S_REDUCED : UPDATES_PER_S;
		// A timer, not an animation frame: silence is noticed in a hidden page, too.
		this.#timer = setInterval(() => onLevel(this.#measure()), 1000 / rate);
	}

	/** @returns {Heard} */
	#measure() {
		this.#analyser.getFloatTimeDomainData(this.#samples);
		const peak = this.#samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
		const nowMs = performance.now();
		// A context that may not run yet hears nothing: that says nothing of the microphone.
		const deaf = this.#context.state !== "running";
		if (deaf) this.#context.resume().catch(() => {});
		if (deaf || peak >= QUIET_LEVEL) this.#heardMs = nowMs;
		return {
			level: scale(peak),
			silent: nowMs - this.#heardMs >= SILENCE_MS_MAX,
			seconds: (nowMs - this.#startedMs) / 1000,
		};
	}

	stop() {
		clearInterval(this.#timer);
		this.#context.close().catch(() => {}); // a page that is left has closed it already
	}
}

/**
 * From a peak to the length of a bar: ears hear ratios, so the bar is even in decibels from -54
 * to 0.
 * @param {number} peak
 */
export function scale(peak) {
	if (peak <= 0) return 0;
	return Math.min(1, Math.max(0, 1 + (20 * Math.log10(peak)) / 54));
}
