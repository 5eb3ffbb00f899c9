// @ts-nocheck: the audio thread's globals are in no library that the type checker has
// The microphone's sound in frames of one size, from the audio thread: posts a Float32Array each
// time one is full. Loaded by listener.js.
const FRAME_SAMPLES = 512;

registerProcessor(
	"frames",
	class extends AudioWorkletProcessor {
		#frame = new Float32Array(FRAME_SAMPLES);
		#filled = 0;

		process([[channel]]) {
			for (const sample of channel ?? []) {
				this.#frame[this.#filled++] = sample;
				if (this.#filled < FRAME_SAMPLES) continue;
				this.port.postMessage(this.#frame, [this.#frame.buffer]);
				this.#frame = new Float32Array(FRAME_SAMPLES);
				this.#filled = 0;
			}
			return true;
		}
	},
);
