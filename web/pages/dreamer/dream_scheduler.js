// @ts-check
// Keeps a dreamer going: wakes and sleeps, lets one tab dream at a time, takes turns on the GPU,
// gives way between steps, and goes on after whatever can be gone on after. What a step is,
// dream_round.js says. Knows the page only through events. Used by dreamer.js.
import { dreamRound, nextMemory } from "./dream_round.js";

/** As a SharedModel names this page. */
const OWN = "this tab";

/** One tab dreams at a time; the others wait for this Web Lock. */
const LOCK = "baton-dreamer";

const REST_MS_MIN = 1000;
const REST_MS_MAX = 30000;

/** Of errors that may pass by themselves, this many in a row without a thought are enough. */
const FAILURES_MAX = 5;

/** After these a round goes on by itself: the GPU or the broker was taken away for a while. */
const PASSING = new Set([
	"REVOKED",
	"EXPIRED",
	"LOST",
	"RELEASED",
	"DEVICE_LOST",
	"UNREACHABLE",
	"QUEUE_FULL",
	"WAIT_TIMEOUT",
	"ABORTED",
]);

/** After these nothing gets better by trying again. */
const LASTING = new Set([
	"NO_WEBGPU",
	"NO_ADAPTER",
	"MODEL_MISSING",
	"MODEL_CORRUPT",
	"NEVER_FITS",
	"UNAUTHORIZED",
	"DENIED",
	"LIMITS",
	"STORAGE_FULL",
]);

const TOKENS_MAX = 160;

/** How long a step is expected to take until one was seen, and the most that the broker grants. */
const STEP_MS_START = 4000;
const STEP_MS_MAX = 20000;

/**
 * @typedef {"asleep"|"elsewhere"|"waiting"|"fetching"|"loading"|"dreaming"|"giving-way"
 *     |"resting"|"done"}
 * Phase
 *
 * @typedef {object} DreamingOptions
 * @property {() => Promise<import("../../inference/shared_model.js").SharedModel>} model
 * @property {import("./dream_round.js").DreamStore} store
 * @property {() => number} round
 * @property {() => Promise<void>} begins it is this page's turn to dream: others may have dreamt before
 */

/** Events: "change"; "thought" {thought}; "problem" {error, fatal}. */
export class DreamScheduler extends EventTarget {
	/** @type {Phase} */
	phase = "asleep";
	/** What there is to say beside the phase: who is given way to, how far the model is. */
	detail = "";
	/** Who makes the words, once there were any. */
	by = "";
	/** @type {import("./dream_round.js").Counts | null} */
	counts = null;
	/** @type {{memory: import("./dream_round.js").Recollection, text: string} | null} */
	stream = null;
	/** @type {Promise<void> | null} */
	#running = null;
	#stopping = false;
	#abort = new AbortController();
	/** @type {import("/sdk/index.js").Lease | null} */
	#lease = null;
	#failures = 0;
	#stepMs = STEP_MS_START;
	/** @type {(() => void) | null} Ends a rest or the wait for new memories. */
	#rouse = null;
	#o;

	/** @param {DreamingOptions} options */
	constructor(options) {
		super();
		this.#o = options;
	}

	get awake() {
		return this.#running !== null && !this.#stopping;
	}

	get stopping() {
		return this.#stopping;
	}

	/** Begins, or goes on where it stopped. */
	async wake() {
		if (this.awake) return;
		await this.#running;
		this.#stopping = false;
		this.#failures = 0;
		this.#abort = new AbortController();
		this.#running = this.#run().finally(() => {
			this.#running = null;
			this.#stopping = false;
			this.stream = null;
			this.#set("asleep");
		});
	}

	/** Ends after the step that runs; whatever only waits ends at once. */
	async sleep() {
		if (!this.#running) return;
		this.#stopping = true;
		if (this.phase !== "dreaming") this.#end();
		this.#set(this.phase, this.detail);
		await this.#running;
	}

	/** Ends at once; the step that runs is not kept. */
	async stop() {
		if (!this.#running) return;
		this.#stopping = true;
		this.#end();
		await this.#running;
	}

	/** Something new may be there to dream about. */
	rouse() {
		this.#rouse?.();
	}

	#end() {
		this.#abort.abort(new DOMException("The dreamer sleeps.", "AbortError"));
		this.#lease?.release().catch(() => {}); // it waits for its turn again: no more
		this.rouse();
	}

	async #run() {
		const { signal } = this.#abort;
		this.#set("elsewhere");
		try {
			await navigator.locks.request(LOCK, { signal }, () => this.#dream());
		} catch (error) {
			if (!signal.aborted) throw error;
		}
	}

	/** With the lock: round after round until it sleeps. */
	async #dream() {
		await this.#o.begins();
		while (!this.#stopping) {
			try {
				if ((await this.#turn()) === "done" && !this.#stopping) {
					this.#set("done");
					await this.#pause(null);
				}
			} catch (error) {
				if (this.#abort.signal.aborted) return;
				if (!(await this.#goOn(error))) return;
			}
		}
	}

	/** @param {unknown} error @returns {Promise<boolean>} */
	async #goOn(error) {
		const code = codeOf(error);
		this.#failures++;
		const fatal = LASTING.has(code) || (!PASSING.has(code) && this.#failures >= FAILURES_MAX);
		this.dispatchEvent(new CustomEvent("problem", { detail: { error, fatal } }));
		if (fatal) return false;
		this.stream = null;
		this.#set("resting", error instanceof Error ? error.message : String(error));
		await this.#pause(Math.min(REST_MS_MAX, REST_MS_MIN * 2 ** (this.#failures - 1)));
		return true;
	}

	/** Waits until it is roused or the time is over. @param {number | null} ms */
	async #pause(ms) {
		await /** @type {Promise<void>} */ (
			new Promise((resolve) => {
				this.#rouse = resolve;
				if (ms !== null) setTimeout(resolve, ms);
			})
		);
		this.#rouse = null;
	}

	async #turn() {
		if (!(await this.#anything())) return "done";
		this.#set("waiting");
		const model = await this.#o.model();
		return model.turn(
			{
				key: "dream",
				class: "background",
				signal: this.#abort.signal,
				graceMs: STEP_MS_MAX,
				onQueue: () => {
					// Who gave way is in the queue, too, and says so better.
					if (this.phase !== "giving-way") this.#set("waiting");
				},
				onProgress: ({ text, file }) => this.#set(file ? "fetching" : "loading", text),
			},
			(engine, lease) => this.#round(engine, lease, model),
		);
	}

	/** A lease is taken for work only. */
	async #anything() {
		const { store, round } = this.#o;
		const kept = new Set((await store.thoughts()).map((thought) => thought.id));
		return nextMemory(await store.memories(), kept, round()) !== undefined;
	}

	/**
	 * @param {import("../../inference/engine.js").Engine} engine
	 * @param {import("/sdk/index.js").Lease} lease
	 * @param {import("../../inference/shared_model.js").SharedModel} model
	 */
	async #round(engine, lease, model) {
		let moves = false;
		this.#lease = lease;
		this.#set("dreaming");
		try {
			await this.#giveWay(lease); // also says how long the first step takes
			return await dreamRound({
				store: this.#o.store,
				round: this.#o.round(),
				stopped: () => this.#stopping || moves,
				giveWay: async () => {
					const changed = await this.#giveWay(lease);
					// Somebody serves the model now: it need not be in memory twice.
					moves = model.by === OWN && (await model.isServed());
					return changed || moves;
				},
				ask: (messages) => this.#ask(engine, lease, messages, model),
				onStep: ({ memory, counts }) => {
					this.counts = counts;
					this.stream = { memory, text: "" };
					this.#set("dreaming");
				},
				onThought: (thought, counts) => {
					this.#failures = 0;
					this.counts = counts;
					lease.report({
						model: model.spec.name,
						progress: counts.done / counts.memories,
					});
					this.dispatchEvent(new CustomEvent("thought", { detail: thought }));
				},
			});
		} finally {
			this.#lease = null;
			this.stream = null;
		}
	}

	/** @param {import("/sdk/index.js").Lease} lease */
	async #giveWay(lease) {
		if (lease.yieldSignal.aborted) this.#set("giving-way", this.detail);
		const changed = await lease.yieldIfNeeded({ graceMs: this.#stepMs });
		this.#set("dreaming");
		return changed;
	}

	/**
	 * @param {import("../../inference/engine.js").Engine} engine
	 * @param {import("/sdk/index.js").Lease} lease
	 * @param {{role: string, content: string}[]} messages
	 * @param {{by: string}} model
	 */
	async #ask(engine, lease, messages, model) {
		const startedMs = performance.now();
		const { text } = await engine.chat(messages, {
			signal: AbortSignal.any([lease.signal, this.#abort.signal]),
			maxTokens: TOKENS_MAX,
			onText: (_, full) => {
				if (this.stream) this.stream.text = full;
				this.by = model.by;
				// Asked of somebody else, it waits for each thought.
				if (this.phase === "waiting") this.#set("dreaming");
				else this.dispatchEvent(new Event("change"));
			},
		});
		const tookMs = performance.now() - startedMs;
		this.#stepMs = Math.min(STEP_MS_MAX, Math.max(this.#stepMs, 1.5 * tookMs));
		return text;
	}

	/** The broker asked for the GPU: who wants it is shown until it is ours again.
	 * @param {string} name */
	asked(name) {
		if (this.phase === "dreaming") this.#set("dreaming", name);
	}

	/** @param {Phase} phase */
	#set(phase, detail = "") {
		this.phase = phase;
		this.detail = detail;
		this.dispatchEvent(new Event("change"));
	}
}

/** @param {unknown} error */
function codeOf(error) {
	const { code, name } = /** @type {{code?: unknown, name?: string}} */ (error ?? {});
	if (name === "QuotaExceededError") return "STORAGE_FULL";
	return typeof code === "string" ? code : "";
}
