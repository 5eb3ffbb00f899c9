// @ts-check
// The takes of this visit: what was recorded, what became of it, and the work on it, one job after
// the other. Keeps the sound of a take until its text is there, so that nothing that goes wrong on
// the way loses what was said. Draws nothing. Used by mic.js.
import { refine } from "./refine.js";
import { seconds } from "./transcriber.js";

/**
 * @typedef {object} Take
 * @property {string} id
 * @property {number} at
 * @property {string} source "microphone", "test tones" or a file's name
 * @property {number} seconds
 * @property {Float32Array | null} samples
 * @property {"waiting"|"fetching"|"loading"|"working"|"done"|"failed"} state
 * @property {"transcribe"|"refine"} job What `state` speaks of.
 * @property {string} note What there is to say of the state: a place in the queue, a problem.
 * @property {number | null} fraction How much is done, if that is known.
 * @property {string} text
 * @property {string | null} refined
 * @property {boolean} demo Whether a demo model made the text.
 * @property {boolean} refinedDemo
 * @property {string} refinedBy Who tidied it: "the Console's tab", a server's name, "this tab".
 * @property {string} saved The text as it was saved as a note.
 * @property {number | null} tookMs From the end of the recording to the text.
 * @property {AbortController} abort
 */

/**
 * @typedef {object} TakesOptions
 * @property {() => import("./transcriber.js").Transcriber} transcriber
 * @property {() => Promise<import("../../inference/shared_model.js").SharedModel>} refiner
 * @property {() => void} onChange
 * @property {(error: unknown, take: Take) => void} onError
 * @property {(take: Take) => void} onDone
 */

/** Whether something is being done with it. @param {Take} take */
export const isBusy = ({ state }) => state !== "done" && state !== "failed";

export class Takes {
	/** @type {Take[]} Newest first. */
	list = [];
	/** @type {Promise<void>} */
	#work = Promise.resolve();
	/** @type {TakesOptions} */
	#o;

	/** @param {TakesOptions} options */
	constructor(options) {
		this.#o = options;
	}

	/** @param {Float32Array} samples @param {string} source */
	add(samples, source) {
		/** @type {Take} */
		const take = {
			id: crypto.randomUUID(),
			at: Date.now(),
			source,
			seconds: seconds(samples),
			samples,
			state: "waiting",
			job: "transcribe",
			note: "",
			fraction: null,
			text: "",
			refined: null,
			demo: false,
			refinedDemo: false,
			refinedBy: "",
			saved: "",
			tookMs: null,
			abort: new AbortController(),
		};
		this.list.unshift(take);
		this.transcribe(take);
		return take;
	}

	/** @param {Take} take */
	transcribe(take) {
		this.#enqueue(take, "transcribe", async (watch) => {
			const samples = take.samples;
			if (!samples) return;
			const startedMs = performance.now();
			const transcriber = this.#o.transcriber();
			take.demo = transcriber.host.spec.demo === true;
			take.text = await transcriber.transcribe(samples, {
				...watch,
				onText: (text, fraction) => this.#set(take, { text, fraction }),
			});
			take.samples = null;
			take.tookMs = performance.now() - startedMs;
		});
	}

	/** @param {Take} take */
	refine(take) {
		this.#enqueue(take, "refine", async (watch) => {
			const model = await this.#o.refiner();
			const { refined, refinedBy } = take;
			take.refinedDemo = model.spec.demo === true;
			try {
				take.refined = await refine(model, take.text, {
					...watch,
					onText: (_, full) =>
						this.#set(take, { state: "working", refined: full, refinedBy: model.by }),
				});
				take.refinedBy = model.by;
			} catch (error) {
				Object.assign(take, { refined, refinedBy }); // half a tidied text is no text
				throw error;
			}
		});
	}

	/** Drops a take and whatever is being done with it. @param {Take} take */
	drop(take) {
		take.abort.abort();
		this.list = this.list.filter((other) => other !== take);
		this.#o.onChange();
	}

	/** Ends what is being done with a take; its sound stays. @param {Take} take */
	stop(take) {
		take.abort.abort();
	}

	/**
	 * @param {Take} take @param {Take["job"]} job
	 * @param {(watch: import("./transcriber.js").TranscribeOptions) => Promise<void>} work
	 */
	#enqueue(take, job, work) {
		take.abort = new AbortController();
		const { signal } = take.abort;
		this.#set(take, { job, state: "waiting", note: "", fraction: null });
		this.#work = this.#work.then(async () => {
			if (!this.list.includes(take)) return;
			try {
				signal.throwIfAborted();
				await work(this.#watch(take, signal));
				this.#set(take, { state: "done", note: "", fraction: null });
				this.#o.onDone(take);
			} catch (error) {
				this.#fail(take, signal, error);
			}
		});
	}

	/** @param {Take} take @param {AbortSignal} signal */
	#watch(take, signal) {
		return {
			signal,
			onQueue: () => this.#set(take, { state: "waiting", fraction: null }),
			/** @param {{text: string, fraction?: number, file?: string}} progress */
			onProgress: ({ text, fraction, file }) =>
				this.#set(take, {
					state: file ? "fetching" : "loading",
					note: text,
					fraction: fraction ?? null,
				}),
			onBegin: () => this.#set(take, { state: "working", note: "", fraction: null }),
		};
	}

	/** @param {Take} take @param {AbortSignal} signal @param {unknown} error */
	#fail(take, signal, error) {
		const text = error instanceof Error ? error.message : String(error);
		const note = signal.aborted ? "Stopped." : text;
		this.#set(take, { state: "failed", note, fraction: null });
		if (!signal.aborted) this.#o.onError(error, take);
	}

	/** @param {Take} take @param {Partial<Take>} change */
	#set(take, change) {
		Object.assign(take, change);
		this.#o.onChange();
	}
}
