// @ts-check
// From sound to text with one model: divides the sound, takes turns on the GPU, goes on where it
// was when a lease is lost, and renews the model's worker before its leaks add up. Knows engines
// and leases only through the host it is given, and no page. Used by mic.js; also runs in Node.
import { SAMPLE_RATE_HZ, splitChunks } from "./audio.js";

/**
 * Whisper on WebGPU keeps some hundred megabytes of each chunk until its worker ends, so the worker
 * is ended after so many.
 */
export const CHUNKS_PER_WORKER = 4;

/** A lease that is lost this often in a row, without a chunk done between, is not bad luck. */
const LOSSES_MAX = 3;

/**
 * How long a part may take before the GPU is given away: a part cannot be cut off and gone on
 * with.
 */
const PART_MS_MAX = 10000;

/**
 * @typedef {object} TranscribeOptions
 * @property {AbortSignal} [signal]
 * @property {(text: string, fraction: number) => void} [onText] What is known so far.
 * @property {(queued: unknown) => void} [onQueue]
 * @property {(progress: {text: string, fraction?: number, file?: string}) => void} [onProgress]
 *     While its files come, and while it loads.
 * @property {() => void} [onBegin] The GPU is ours and the model is there.
 */

export class Transcriber {
	#chunks = 0;

	/** @param {import("../../inference/model_host.js").ModelHost} host */
	constructor(host) {
		this.host = host;
	}

	/** How many chunks the present worker has heard. */
	get chunks() {
		return this.#chunks;
	}

	/**
	 * @param {Float32Array} samples 16 kHz, one channel
	 * @param {TranscribeOptions} [o]
	 * @returns {Promise<string>}
	 */
	async transcribe(samples, o = {}) {
		const parts = splitChunks(samples);
		/** @type {string[]} */
		const texts = [];
		let losses = 0;
		while (texts.length < parts.length) {
			const before = texts.length;
			try {
				await this.#turn(parts, texts, o);
			} catch (error) {
				losses = texts.length > before ? 1 : losses + 1;
				if (o.signal?.aborted || !wasTaken(error) || losses >= LOSSES_MAX) throw error;
			}
			await this.#renew();
		}
		return join(texts);
	}

	/** One turn on the GPU: as many parts as this worker may still hear.
	 * @param {Float32Array[]} parts @param {string[]} texts @param {TranscribeOptions} o */
	async #turn(parts, texts, o) {
		const { signal, onQueue, onProgress } = o;
		/** @type {import("../../inference/model_host.js").TurnOptions} */
		const options = {
			key: "transcribe",
			class: "voice",
			signal,
			onQueue,
			onProgress,
			graceMs: PART_MS_MAX,
		};
		await this.host.turn(options, async (engine, lease) => {
			o.onBegin?.();
			while (texts.length < parts.length && this.#chunks < CHUNKS_PER_WORKER) {
				await lease.yieldIfNeeded();
				this.#chunks++;
				// A copy: a view would send the whole recording to the worker.
				const part = parts[texts.length].slice();
				const { text } = await engine.transcribe(part, { signal });
				texts.push(text.trim());
				o.onText?.(join(texts), texts.length / parts.length);
				const { vramBytes } = await engine.memory();
				lease.report({ vramBytes, progress: texts.length / parts.length });
			}
		});
	}

	async #renew() {
		if (this.#chunks < CHUNKS_PER_WORKER && this.host.state !== "empty") return;
		this.#chunks = 0;
		if (this.host.state !== "empty") await this.host.recycle();
	}
}

/** @param {string[]} texts */
function join(texts) {
	return texts.filter((text) => text !== "").join(" ");
}

/**
 * The GPU was taken away under the work: somebody else's doing, so the work is worth another turn.
 * @param {unknown} error
 */
export function wasTaken(error) {
	const code = /** @type {{code?: string}} */ (error ?? {}).code ?? "";
	return ["REVOKED", "EXPIRED", "LOST", "DEVICE_LOST", "ABORTED"].includes(code);
}

/** @param {Float32Array} samples */
export function seconds(samples) {
	return samples.length / SAMPLE_RATE_HZ;
}
