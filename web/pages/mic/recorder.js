// @ts-check
// One recording from the microphone: asks for it, records with a MediaRecorder, and stops the
// tracks when the recording ends, however it ends. Decodes nothing and shows nothing. Used by
// mic.js.

/** Nobody dictates for longer in one breath, and sound is kept in memory. */
export const RECORDING_S_MAX = 600;

/** Speech for a model, not for people: what a telephone call improves would hurt it. */
const CONSTRAINTS = {
	audio: {
		channelCount: 1,
		echoCancellation: false,
		noiseSuppression: false,
		autoGainControl: false,
	},
};

/** Why there is no recording, in words for people. */
export class RecorderError extends Error {
	/**
	 * @param {"DENIED"|"NO_MICROPHONE"|"BUSY"|"INSECURE"|"FAILED"} code
	 * @param {string} message
	 */
	constructor(code, message) {
		super(message);
		this.name = "RecorderError";
		this.code = code;
	}
}

/** @param {unknown} error */
function explain(error) {
	const name = error instanceof Error ? error.name : "";
	const text = error instanceof Error ? error.message : String(error);
	switch (name) {
		case "NotAllowedError":
			return new RecorderError(
				"DENIED",
				"This page may not use the microphone. To allow it, "
					+ "open the site settings beside the address (the icon left of it), set Microphone "
					+ "to Allow, and try again. Some systems also ask in their privacy settings.",
			);
		case "NotFoundError":
		case "OverconstrainedError":
			return new RecorderError(
				"NO_MICROPHONE",
				"There is no microphone. Connect one and try again, or open a sound file.",
			);
		case "NotReadableError":
		case "AbortError":
			return new RecorderError(
				"BUSY",
				"The microphone cannot be opened: another program may "
					+ "be using it. Close that program and try again.",
			);
		default:
			return new RecorderError("FAILED", `The recording failed: ${text || name}. Try again.`);
	}
}

/**
 * The microphone's sound; whoever takes it stops its tracks.
 * @param {AbortSignal} [signal] Ends the wish, also while the browser asks the user.
 * @returns {Promise<MediaStream>}
 */
export async function openMicrophone(signal) {
	if (!navigator.mediaDevices) {
		throw new RecorderError(
			"INSECURE",
			"Browsers give the microphone only to secure "
				+ "pages. Open this page at 127.0.0.1 or localhost.",
		);
	}
	let stream;
	try {
		stream = await navigator.mediaDevices.getUserMedia(CONSTRAINTS);
		signal?.throwIfAborted();
		return stream;
	} catch (error) {
		stopTracks(stream);
		if (signal?.aborted) throw signal.reason;
		throw explain(error);
	}
}

export class Recording {
	/** @type {Blob[]} */
	#pieces = [];
	/** @type {MediaRecorder} */
	#recorder;
	/** @type {Promise<void>} */
	#stopped;

	/** @param {MediaStream} stream */
	constructor(stream) {
		this.stream = stream;
		this.#recorder = new MediaRecorder(stream);
		this.#recorder.ondataavailable = (event) => this.#pieces.push(event.data);
		this.#stopped = new Promise((resolve) => {
			this.#recorder.onstop = () => resolve();
		});
		this.#recorder.start();
	}

	/**
	 * Asks for the microphone and begins.
	 * @param {AbortSignal} [signal] Ends the wish to record, also while the browser asks the user.
	 * @returns {Promise<Recording>}
	 */
	static async start(signal) {
		const stream = await openMicrophone(signal);
		try {
			return new Recording(stream);
		} catch (error) {
			stopTracks(stream);
			throw explain(error);
		}
	}

	/** Settles when the microphone is unplugged or taken away while recording. */
	get lost() {
		return new Promise((resolve) => {
			for (const track of this.stream.getTracks()) {
				track.addEventListener("ended", resolve, { once: true });
			}
		});
	}

	/**
	 * Ends the recording, gives the microphone back and returns what was recorded.
	 * @returns {Promise<Blob>}
	 */
	async stop() {
		if (this.#recorder.state !== "inactive") this.#recorder.stop();
		stopTracks(this.stream);
		await this.#stopped;
		return new Blob(this.#pieces, { type: this.#recorder.mimeType });
	}

	/** Ends the recording and drops it. Also right on pagehide, where nothing can be awaited. */
	cancel() {
		if (this.#recorder.state !== "inactive") this.#recorder.stop();
		stopTracks(this.stream);
		this.#pieces = [];
	}
}

/**
 * The browser shows its recording mark until every track is stopped.
 * @param {MediaStream} [stream]
 */
export function stopTracks(stream) {
	for (const track of stream?.getTracks() ?? []) track.stop();
}
