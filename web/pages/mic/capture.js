// @ts-check
// The recording side of Root Mic: from a press to samples, with the level and the silence warning
// between; the microphone is given back after each recording, however it ends. Files and test tones
// come in here, too. Draws nothing and transcribes nothing. Used by mic.js.
import { decode, testTones, trimSilence } from "./audio.js";
import { LevelMeter } from "./level_meter.js";
import { RECORDING_S_MAX, Recording } from "./recorder.js";

const NOTHING_HEARD =
	"Nothing was heard, so there is nothing to transcribe. Is the microphone "
	+ "muted, or is it another one than you speak into? Test tones need no microphone.";

/** @typedef {"idle"|"asking"|"recording"|"decoding"|"opening"|"listening"|"hearing"} Phase */

export class Capture {
	/** @type {Phase} */
	phase = "idle";
	/** @type {import("./level_meter.js").Heard | null} */
	heard = null;
	problem = "";
	/** @type {Recording | null} */
	#recording = null;
	/** @type {LevelMeter | null} */
	#meter = null;
	/** @type {import("./listener.js").Listener | null} */
	#listener = null;
	/** @type {AbortController | null} Ends the question for the microphone. */
	#asking = null;
	#onChange;
	#onSound;

	/**
	 * @param {() => void} onChange
	 * @param {(samples: Float32Array, source: string) => void} onSound
	 */
	constructor(onChange, onSound) {
		this.#onChange = onChange;
		this.#onSound = onSound;
	}

	get active() {
		return this.phase === "asking" || this.phase === "recording";
	}

	async start() {
		if (this.phase !== "idle") return;
		const { signal } = (this.#asking = new AbortController());
		this.#set("asking");
		try {
			const recording = await Recording.start(signal);
			this.#recording = recording;
			this.#meter = new LevelMeter(recording.stream, (heard) => this.#hear(heard));
			recording.lost.then(() => this.stop());
			this.#set("recording");
		} catch (error) {
			// One that was dropped is over, and another may be asked for by now.
			if (!signal.aborted) this.#set("idle", message(error));
		}
	}

	/** Whether it listens for speech by itself, or is about to. */
	get handsFree() {
		return ["opening", "listening", "hearing"].includes(this.phase);
	}

	/** Listens until stopListening(), and hands each stretch of speech on. */
	async listen() {
		if (this.phase !== "idle") return;
		this.#asking = new AbortController();
		const { signal } = this.#asking;
		this.#set("opening");
		try {
			const { Listener } = await import("./listener.js");
			const listener = await Listener.start(signal, {
				onBegin: () => this.#set("hearing"),
				onEnd: (samples) => {
					this.#set("listening");
					if (samples) this.#onSound(samples, "microphone");
				},
				onLost: (error) => this.stopListening(error.message),
			});
			this.#listener = listener;
			this.#meter = new LevelMeter(/** @type {MediaStream} */ (listener.stream), (heard) => {
				this.heard = heard;
				this.#onChange();
			});
			this.#set("listening");
		} catch (error) {
			if (!signal.aborted) this.stopListening(message(error));
		}
	}

	/** Gives the microphone back. Also called on pagehide. */
	stopListening(problem = "") {
		if (!this.handsFree) return;
		this.#asking?.abort(new DOMException("Nobody listens any more.", "AbortError"));
		this.#listener?.stop();
		this.#listener = null;
		this.#meter?.stop();
		this.#meter = null;
		this.#set("idle", problem);
	}

	/** @param {import("./level_meter.js").Heard} heard */
	#hear(heard) {
		this.heard = heard;
		this.#onChange();
		if (heard.seconds >= RECORDING_S_MAX) this.stop();
	}

	/** Ends the recording and hands its sound on. */
	async stop() {
		if (this.phase === "asking") {
			this.cancel();
			return;
		}
		const recording = this.#take();
		if (recording) await this.#read(() => recording.stop(), "microphone");
	}

	/** Drops the recording. Also called on pagehide. */
	cancel() {
		this.#asking?.abort(new DOMException("The recording was dropped.", "AbortError"));
		this.#take()?.cancel();
		if (this.active) this.#set("idle");
	}

	/** The recording passes to the caller, so that it is ended once. */
	#take() {
		const recording = this.#recording;
		this.#recording = null;
		this.#meter?.stop();
		this.#meter = null;
		return recording;
	}

	/** @param {File} file */
	async open(file) {
		if (this.phase === "idle") await this.#read(async () => file, file.name);
	}

	playTones() {
		if (this.phase === "idle") this.#hand(testTones(), "test tones");
	}

	/** @param {() => Promise<Blob>} source @param {string} name */
	async #read(source, name) {
		this.#set("decoding");
		let samples;
		try {
			samples = trimSilence(await decode(await source()));
		} catch (error) {
			this.#set(
				"idle",
				name === "microphone"
					? message(error)
					: `This file cannot be read as sound: ${message(error)}`,
			);
			return;
		}
		this.#hand(samples, name);
	}

	/** @param {Float32Array} samples @param {string} source */
	#hand(samples, source) {
		this.#set("idle", samples.length === 0 ? NOTHING_HEARD : "");
		if (samples.length > 0) this.#onSound(samples, source);
	}

	/** @param {Phase} phase */
	#set(phase, problem = "") {
		this.phase = phase;
		this.problem = problem;
		this.heard = null;
		this.#onChange();
	}
}

/** @param {unknown} error */
function message(error) {
	return error instanceof Error ? error.message : String(error);
}
