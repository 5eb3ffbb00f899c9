// @ts-check
// Speaking without holding a button: keeps the microphone open, lets Silero VAD judge what it
// hears, and hands on each stretch of speech. The microphone is given back by stop(), however it
// came to that. Draws nothing and transcribes nothing. Used by capture.js.
import { SAMPLE_RATE_HZ } from "./audio.js";
import { openMicrophone, stopTracks } from "./recorder.js";
import { Speech } from "./speech.js";

/**
 * @typedef {object} ListenerOptions
 * @property {() => void} onBegin Somebody speaks.
 * @property {(samples: Float32Array | null) => void} onEnd null: it was too short for words
 * @property {(error: Error) => void} onLost The microphone or the judge is gone.
 */

export class Listener {
	#speech;
	#worker;
	/** @type {AudioContext | null} */
	#context = null;
	/** @type {MediaStream | undefined} */
	stream;

	/** @param {ListenerOptions} o */
	constructor({ onBegin, onEnd, onLost }) {
		this.#speech = new Speech(onBegin, onEnd);
		this.#worker = new Worker(new URL("../../inference/vad_worker.js", import.meta.url), {
			type: "module",
			name: "speech",
		});
		this.onLost = onLost;
	}

	/** Begins to listen. @param {AbortSignal} signal ends it, also while the browser asks the user
	 * @param {ListenerOptions} options @returns {Promise<Listener>} */
	static async start(signal, options) {
		const listener = new Listener(options);
		try {
			await listener.#ready(signal);
			listener.stream = await openMicrophone(signal);
			await listener.#connect(listener.stream);
			signal.throwIfAborted();
			return listener;
		} catch (error) {
			listener.stop();
			throw error;
		}
	}

	/** @param {AbortSignal} signal @returns {Promise<void>} */
	#ready(signal) {
		return new Promise((resolve, reject) => {
			signal.addEventListener("abort", () => reject(signal.reason));
			this.#worker.onerror = () =>
				reject(new Error("The speech detector could not start. Load the page again."));
			this.#worker.onmessage = ({ data }) => {
				if (data.type === "ready") resolve();
				else if (data.type === "heard") this.#speech.hear(data.frame, data.likely);
				else {
					const error = new Error(`The speech detector failed: ${data.message}`);
					reject(error);
					this.onLost(error);
				}
			};
		});
	}

	/** @param {MediaStream} stream */
	async #connect(stream) {
		// The context resamples to what the model wants.
		this.#context = new AudioContext({ sampleRate: SAMPLE_RATE_HZ });
		await this.#context.audioWorklet.addModule(new URL("frames_worklet.js", import.meta.url));
		const frames = new AudioWorkletNode(this.#context, "frames", {
			numberOfInputs: 1,
			numberOfOutputs: 0,
			channelCount: 1,
			channelCountMode: "explicit",
		});
		frames.port.onmessage = ({ data }) => this.#worker.postMessage(data, [data.buffer]);
		try {
			this.#context.createMediaStreamSource(stream).connect(frames);
		} catch {
			throw new Error(
				"This browser cannot listen by itself: it does not resample a "
					+ "microphone. Hold the button instead.",
			);
		}
		for (const track of stream.getTracks()) {
			track.addEventListener("ended", () =>
				this.onLost(new Error("The microphone is gone.")),
			);
		}
	}

	/** Gives the microphone back. What is being said is not handed on. */
	stop() {
		stopTracks(this.stream);
		this.#worker.terminate();
		this.#context?.close().catch(() => {});
		this.#context = null;
	}
}
