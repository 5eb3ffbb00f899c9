// @ts-check
// model: one model of a page: its files fetched outside any lease, then its memory, then a turn to
// load it, then the turns in which it computes. Loads again by itself whatever was taken.
import { BrokerError, report } from "./errors.js";
import { filesModule } from "./later.js";
import { whenShown } from "./page_lifecycle.js";

/** @import { Broker } from "./broker.js" */
/** @import { Lease } from "./lease.js" */
/** @import { ModelFile, ModelOptions, ModelState, ModelTask } from "./types.js" */
/** @import { Residence, RunOptions } from "./types.js" */

/** Says that the model was gone when the turn came: all begins again. */
const GONE = Symbol("gone");
/** Loads that are lost in a row, without one that ends, are no bad luck. */
const LOSSES_MAX = 3;
const TAKEN = ["REVOKED", "EXPIRED", "LOST", "RELEASED"];
const FLAWED = /\bJSON\b|SyntaxError|protobuf|CompileError|magic word|IntegrityError/i;

/** `detail` tells that it was made here: what an engine throws may have the same code. */
const taken = () =>
	new BrokerError(
		"DEVICE_LOST",
		"The GPU was needed elsewhere; run again to load the model.",
		GONE,
	);

const unloaded = () => new BrokerError("CLOSED", "The page unloaded the model; run again.");

/** What a damaged file makes of a load, as far as its words tell. @param {unknown} error */
function looksDamaged(error) {
	const { code } = /** @type {Partial<BrokerError>} */ (error ?? {});
	return code === "DAMAGED" || FLAWED.test(`${error}`);
}

/** Stands for a lease where a model computes on the processor: nobody is asked, nothing taken.
 * @returns {Lease} */
function noLease() {
	const { signal } = new AbortController();
	/** @type {unknown} */
	const stand = {
		id: "",
		fence: 0n,
		gpu: null,
		managed: false,
		vramBytes: 0,
		signal,
		yieldSignal: signal,
		yieldIfNeeded: async () => false,
		guard: (/** @type {unknown} */ guarded) => guarded,
		report() {},
		release: async () => {},
	};
	return /** @type {Lease} */ (stand);
}

/** Fires "state" when `state` changed.
 * @template E */
export class Model extends EventTarget {
	/** @type {ModelOptions<E>} */ #options;
	#broker;
	/** Its code comes with the first model that has files.
	 * @type {import("./files.js").Files | null} */
	#files = null;
	/** @type {{engine: E} | null} */ #loaded = null;
	/** @type {Residence | null} */ #home = null;
	/** @type {ModelState} */ #state = "empty";
	/** Turns of one model follow each other. @type {Promise<unknown>} */
	#turns = Promise.resolve();
	/** Pending while it computes. @type {Promise<unknown> | null} */
	#computing = null;
	/** Ends what computes or loads, once its engine was ended under it.
	 * @type {(reason: unknown) => void} */
	#cut = () => {};
	#loadMs = 0;
	#losses = 0;
	#fetchedAgain = false;

	/** @param {Pick<Broker, "reside"|"load"|"run">} broker @param {ModelOptions<E>} options */
	constructor(broker, options) {
		super();
		this.#broker = broker;
		this.#options = options;
	}

	get name() {
		return this.#options.name;
	}

	get state() {
		return this.#state;
	}

	/** What `load` gave, while it is loaded and lives. */
	get engine() {
		const { alive = () => true } = this.#options;
		return this.#loaded && alive(this.#loaded.engine) ? this.#loaded.engine : null;
	}

	/** Runs `fn` with the model loaded and the GPU granted. Rejects with the lease's error if it
	 * was taken under `fn`; the next run loads the model again.
	 * @type {<T>(o: RunOptions, fn: ModelTask<E, T>) => Promise<T>} */
	run(options, fn) {
		return this.#inTurn(options, () => this.#perform(options, fn));
	}

	/** Brings the files here, outside any lease; `run` does it by itself.
	 * @param {RunOptions} [options] @returns {Promise<void>} */
	async fetch(options = {}) {
		await this.#inTurn(options, () => this.#bring(options));
	}

	/** Deletes the files and fetches them again.
	 * @param {RunOptions} [options] @returns {Promise<void>} */
	async fetchAgain(options = {}) {
		await this.unload();
		await this.#inTurn(options, async () => {
			await this.unload();
			await this.forget();
			await this.#bring(options);
		});
	}

	/** Deletes the files of which this page knows. */
	async forget() {
		await this.#list({});
		await this.#files?.forget();
	}

	/** Ends what is loaded, and the run that uses it; its memory stays, and the next run loads it
	 * again. @param {unknown} [reason] handed to `unload`; null: nobody took it */
	async drop(reason = taken()) {
		const loaded = this.#loaded;
		const cut = this.#cut;
		this.#loaded = null;
		if (!this.#computing) this.#become("empty");
		try {
			if (loaded) await this.#options.unload?.(loaded.engine, reason);
		} finally {
			cut(reason ?? unloaded());
		}
	}

	/** Lets go of the model and of its memory. */
	async unload() {
		const home = this.#home;
		this.#home = null;
		try {
			await this.drop(null);
		} finally {
			await home?.release();
		}
	}

	[Symbol.asyncDispose ?? "asyncDispose"]() {
		return this.unload();
	}

	/** @type {<T>(o: RunOptions, fn: () => Promise<T>) => Promise<T>} */
	#inTurn(options, fn) {
		const before = this.#turns;
		const mine = orAborted(
			before.catch(() => {}),
			options.signal,
		).then(() => fn().finally(() => this.#become(this.engine ? "ready" : "empty")));
		this.#turns = mine.catch(() => before);
		return mine;
	}

	/** @type {<T>(o: RunOptions, fn: ModelTask<E, T>) => Promise<T>} */
	async #perform(options, fn) {
		this.#losses = 0;
		this.#fetchedAgain = false;
		for (;;) {
			options.signal?.throwIfAborted();
			if (!this.engine) await this.#bring(options);
			await this.#reside(options);
			if (!this.engine && !(await this.#load(options))) continue;
			const outcome = await this.#compute(options, fn);
			if (outcome !== GONE) return outcome.value;
		}
	}

	/** @param {RunOptions} options */
	async #bring(options) {
		await this.#list(options);
		if (!this.#files || (await this.#files.complete())) return;
		this.#become("fetching");
		const { stallMs, onProgress } = this.#options;
		await this.#files.fetch({ stallMs, onProgress, ...options });
	}

	/** @param {RunOptions} o */
	async #list({ signal }) {
		const { fetch, stallMs } = this.#options;
		if (!fetch) return;

		await whenShown();
		const { Files } = await filesModule();
		const files = (this.#files ??= new Files());
		const get = async (/** @type {string|ModelFile} */ file) => {
			const one = new Files();
			one.add([file]);
			if (!(await one.complete())) this.#become("fetching");
			await one.fetch({ signal, stallMs });
			files.add([file]);
			return /** @type {Response} */ (await one.match(one.list[0].url));
		};
		files.add((await (typeof fetch === "function" ? fetch({ signal, get }) : fetch)) ?? []);
	}

	/** Memory first, and no turn held while it is waited for. @param {RunOptions} options */
	async #reside(options) {
		if (this.#options.cpu || (this.#home && !this.#home.signal.aborted)) return;
		this.#become("waiting");
		const asked = this.#broker.reside({
			loadMs: this.#loadMs || undefined,
			...this.#requestOf(options),
			vramBytes: this.#options.vramBytes,
			evict: () => this.#evict(),
		});
		const home = await orAborted(asked, options.signal, (late) => void late.release());
		this.#home = home;
		home.signal.addEventListener("abort", () => {
			if (this.#home === home) {
				this.#home = null;
				this.drop().catch(report);
			}
		});
	}

	/** Somebody needs the memory: at once if idle, else when this turn is over.
	 * While a turn gives way it does not compute, and the model goes. */
	async #evict() {
		await this.#computing;
		this.#home = null;
		await this.drop();
	}

	/** False if all must begin again. @param {RunOptions} options */
	async #load(options) {
		this.#become("waiting");
		/** @param {Lease} lease */
		const fill = async (lease) => {
			if (!this.#home && !this.#options.cpu) return false;
			this.#become("loading");
			const begunAt = performance.now();
			await this.#computeUnder(lease, (stop) => this.#make(lease, options, stop));
			this.#loadMs = Math.round(performance.now() - begunAt);
			this.#losses = 0;
			return true;
		};
		try {
			return await (this.#options.cpu
				? fill(noLease())
				: this.#broker.load(this.name, fill, this.#turnOf(options)));
		} catch (error) {
			return this.#afterLoad(error, options);
		}
	}

	/** @param {Lease} lease @param {RunOptions} options @param {AbortController} stop */
	async #make(lease, options, stop) {
		const ends = [stop.signal, lease.signal, ...(options.signal ? [options.signal] : [])];
		const signal = AbortSignal.any(ends);
		const engine = await this.#options.load({
			signal,
			lease,
			match: (url) => this.#match(url),
			onProgress: (progress) => {
				lease.report({ model: this.name, progress: progress.fraction });
				(options.onProgress ?? this.#options.onProgress)?.(progress);
			},
		});
		if (signal.aborted) {
			await this.#options.unload?.(engine, signal.reason);
			throw signal.reason;
		}
		this.#loaded = { engine };
	}

	/** @param {string} url */
	async #match(url) {
		const file = await this.#files?.match(url);
		if (file) return file;
		throw new BrokerError("STORAGE", `${url} was not fetched, or was cleared since.`);
	}

	/** A load that failed: again if it was taken, again with fresh files if those are to blame.
	 * @param {unknown} error @param {RunOptions} options */
	async #afterLoad(error, options) {
		const { code = "", message, detail } = /** @type {Partial<BrokerError>} */ (error ?? {});
		const isTaken = TAKEN.includes(code) || detail === GONE;
		await this.drop().catch(report);
		if (!options.signal?.aborted && isTaken && ++this.#losses < LOSSES_MAX) return false;

		const home = this.#home;
		this.#home = null;
		await home?.release();
		const isOver = options.signal?.aborted || isTaken || code === "CLOSED";
		if (isOver || !this.#files?.list.length) throw error;
		const cleared = !(await this.#files.complete());
		const { damaged = looksDamaged } = this.#options;
		if (!cleared && !damaged(error)) throw error;
		await this.#files.forget();
		if (!this.#fetchedAgain) {
			this.#fetchedAgain = true;
			return false;
		}
		throw cleared
			? new BrokerError(
					"STORAGE",
					`This browser's storage was cleared while "${this.name}" was loaded, `
						+ "twice; allow site data and try again.",
					error,
				)
			: new BrokerError(
					"DAMAGED",
					`"${this.name}" cannot be read, though it was fetched `
						+ `again: what lies at its address is damaged (${message}).`,
					error,
				);
	}

	/** @type {<T>(o: RunOptions, fn: ModelTask<E, T>) => Promise<typeof GONE | {value: T}>} */
	async #compute(options, fn) {
		/** @param {Lease} lease */
		const act = async (lease) => {
			const { engine } = this;
			if (!engine) return GONE;
			this.#become("busy");
			const value = await this.#computeUnder(lease, async ({ signal }) =>
				// An engine that was ended may never answer.
				orAborted(Promise.resolve(fn(engine, lease)), signal),
			);
			return { value };
		};
		this.#become("waiting");
		const { graceMs, waitMs } = { ...this.#options, ...options };
		return this.#options.cpu
			? act(noLease())
			: this.#broker.run(
					{
						...this.#turnOf(options),
						graceMs,
						waitMs,
					},
					act,
				);
	}

	/** While `work` runs, a lease that is taken ends the engine, and a wish for the memory waits:
	 * unless the work gives way by itself, or is cut off. The signal of what `work` is given
	 * aborts when the engine was ended though the lease lasts.
	 * @type {<T>(lease: Lease, work: (stop: AbortController) => Promise<T>) => Promise<T>} */
	async #computeUnder(lease, work) {
		const stop = new AbortController();
		const cut = (/** @type {unknown} */ reason) => lease.signal.aborted || stop.abort(reason);
		let rest = this.#begin(cut);
		let over = false;
		const giveWay = lease.yieldIfNeeded.bind(lease);
		lease.guard({ terminate: () => over || this.drop(lease.signal.reason) });
		lease.signal.addEventListener("abort", () => rest());
		lease.yieldIfNeeded = async (options) => {
			if (!lease.yieldSignal.aborted) return giveWay(options);
			rest();
			this.#become("waiting");
			const changed = await giveWay(options);
			if (!this.engine) throw taken();
			rest = this.#begin(cut);
			this.#become("busy");
			return changed;
		};
		try {
			return await work(stop);
		} finally {
			over = true;
			rest();
		}
	}

	/** Gives what ends it. @param {(reason: unknown) => void} cut */
	#begin(cut) {
		/** @type {(value?: unknown) => void} */ let done = () => {};
		const computing = new Promise((resolve) => (done = resolve));
		this.#computing = computing;
		this.#cut = cut;
		return () => {
			if (this.#computing === computing) {
				this.#computing = null;
				this.#cut = () => {};
			}
			done();
		};
	}

	/** To load, or to compute: a page that waited to compute has its place again to load.
	 * @param {RunOptions} options */
	#turnOf(options) {
		const request = this.#requestOf(options);
		if (request.key) request.key += " turn";
		return request;
	}

	/** What each request is asked with. @param {RunOptions} options */
	#requestOf(options) {
		const { vramBytes, ...own } = this.#options;
		const { graceMs, waitMs, ...request } = { ...own, ...options, model: this.name };
		return request;
	}

	/** @param {ModelState} state */
	#become(state) {
		if (state === this.#state) return;
		this.#state = state;
		this.dispatchEvent(new Event("state"));
	}
}

/** The promise, or the signal's abort; what comes after that is handed to `late`.
 * @template T @param {Promise<T>} promise @param {AbortSignal} [signal]
 * @param {(value: T) => void} [late] @returns {Promise<T>} */
function orAborted(promise, signal, late) {
	if (!signal) return promise;
	return new Promise((resolve, reject) => {
		const onAbort = () => {
			reject(signal.reason);
			if (late) promise.then(late, () => {});
		};
		if (signal.aborted) onAbort();
		signal.addEventListener("abort", onAbort);
		promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
	});
}
