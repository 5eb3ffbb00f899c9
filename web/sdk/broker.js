// broker: the one object a page makes: a session with the broker, its claims, and its events. The
// wire is the Link's business (link.js), a claim's life is claim.js.
// @ts-check
import { Claim } from "./claim.js";
import { BrokerError, plain } from "./errors.js";
import { diagnose, grantLocally, loopbackPermission } from "./fallback.js";
import { now } from "./link.js";
import { openPort } from "./port.js";
import { awakeLock, keepPlaces, takePlaces, watchPage } from "./tab.js";

/**
 * @typedef {import("./claim.js").RequestOptions} RequestOptions
 * @typedef {import("./lease.js").Lease} Lease
 * @typedef {Pick<Lease, "id"|"vramBytes"|"signal"|"release"> & AsyncDisposable} Residence
 * @typedef {"connecting"|"open"|"reconnecting"|"offline"|"closed"} State
 * @typedef {{locked: boolean, owner: string|null, queue_depth: number, queued: string[], gpus: any[],
 *   leases: any[], waiting: any[], [key: string]: any}} Status
 *
 * @typedef {object} BrokerOptions
 * @property {string} [url] default: where this file came from
 * @property {string|(() => string|Promise<string>)} [token] not needed on the broker's own pages
 * @property {string} [name] shown to people, default the title; class rules look at it
 * @property {"error"|"origin-lock"|"unmanaged"} [fallback] when nothing listens; default "error"
 * @property {number} [connectTimeoutMs] default 4000
 * @property {{minMs?: number, maxMs?: number}} [backoff] default 250 and 10 000
 * @property {"worker"|"reply"} [heartbeat] "reply": no Worker, answers from the main thread
 */

/** Places of before a reload that nobody asks for again are given up after this. */
const TAKE_UP_MS = 5_000;

/** @param {string} [url] */
function baseOf(url) {
	const own = import.meta.url.startsWith("http") ? import.meta.url : "http://127.0.0.1:8470";
	return new URL((url ?? own).replace(/^ws/, "http")).origin;
}

/** @type {() => string} */
const randomId = () => Array.from(crypto.getRandomValues(new Uint32Array(4)),
	(n) => n.toString(36)).join("");

/** A page's session with the broker. Events: "state", "queue", "yield", "ended", "reload". */
export class Broker extends EventTarget {
	/** @type {State} */ #state = "connecting";
	/** @type {BrokerError|null} why it is offline or closed */ #error = null;
	/** @type {Map<number, Claim>} */ #claims = new Map();
	/** @type {{resolve: (value: any) => void, reject: (error: unknown) => void}[]} */ #ready = [];
	/** @type {{resolve: (value: any) => void, reject: (error: unknown) => void}[]} */ #asking = [];
	/** @type {Map<string, {ref: number, rid: string}>} */ #places = new Map();
	#o;
	#base;
	#name;
	#port;
	#unwatch;
	#awake = awakeLock();
	/** @type {import("./claim.js").Hub} */ #hub;
	#ref = 1;
	#session = "";
	#contact = 0;
	#ttlMs = 20_000;
	#everOpen = false;
	#diagnosing = false;
	#stopped = () => {};
	/** "admin": may do operators' acts; null: not known yet. @type {"admin"|"token"|null} */
	rights = null;
	/** Whether the broker runs with --dev. */
	dev = false;

	/** @param {BrokerOptions} [o] */
	constructor(o = {}) {
		super();
		this.#o = { connectTimeoutMs: 4_000, ...o };
		this.#base = baseOf(o.url);
		this.#name = plain(o.name || globalThis.document?.title || "", 128)
			|| plain(globalThis.location?.host ?? "page", 128);
		this.#hub = {
			send: (command) => this.#port(command),
			emit: (type, detail) => this.#emit(type, detail),
			about: (fields) => this.about(fields),
			open: () => this.#state === "open",
			forget: (claim) => this.#forget(claim),
		};
		this.#port = openPort((event) => this.#on(event), o.heartbeat === "reply",
			this.#o.connectTimeoutMs);
		this.#unwatch = watchPage({ leave: () => this.#leave(), back: () => this.#back(),
			thaw: () => this.#thaw(), visible: (visible) => this.about({ visible }) });
		this.#start();
	}

	/** @returns {State} */
	get state() {
		return this.#state;
	}

	async #start() {
		const { token, backoff, connectTimeoutMs } = this.#o;
		const kept = takePlaces(this.#storage);
		this.#places = new Map(kept?.places);
		const adopt = [...this.#places.values()].map(({ ref }) => ref);
		this.#ref = Math.max(0, ...adopt) + 1;
		const asks = await loopbackPermission() === "prompt"; // then people need time to answer
		const shown = typeof token === "function" ? await token() : token;
		this.#port({ op: "start", url: `${this.#base.replace(/^http/, "ws")}/v1/gpu/session`,
			hello: { id: this.#name, ...(shown ? { token: shown } : {}) }, adopt,
			resume: kept?.session ?? null, minMs: backoff?.minMs ?? 250, maxMs: backoff?.maxMs ?? 10_000,
			timeoutMs: asks ? 60_000 : connectTimeoutMs });
		if (kept)
			setTimeout(() => this.#port({ op: "disown" }), TAKE_UP_MS);
		this.about({ page: globalThis.location?.pathname, origin: globalThis.location?.origin });
	}

	get #storage() {
		return `baton ${this.#base} ${this.#name}`;
	}

	/** Resolves when the session is open; rejects with the reason why it cannot be now. */
	ready() {
		return /** @type {Promise<void>} */ (this.#outcome(this.#ready));
	}

	/** @param {{resolve: (value: any) => void, reject: (error: unknown) => void}[]} list */
	#outcome(list) {
		return new Promise((resolve, reject) => {
			if (this.#state === "closed")
				return reject(this.#error);
			if (list === this.#ready && this.#state === "open")
				return resolve(undefined);
			list.push({ resolve, reject });
			this.#kick();
		});
	}

	/** Somebody wants the broker: do not wait for the next try. */
	#kick() {
		if (this.#state !== "offline")
			return;
		this.#set("connecting");
		this.#port({ op: "kick" });
	}

	/**
	 * Waits for a turn on the GPU. Null only with `ifAvailable`.
	 * @template {RequestOptions} O
	 * @param {O} [o]
	 * @returns {Promise<O extends {ifAvailable: true} ? Lease|null : Lease>}
	 */
	async request(o) {
		return /** @type {any} */ (await this.#request(o ?? {}));
	}

	/** @param {RequestOptions} o */
	async #request(o) {
		o.signal?.throwIfAborted();
		if (this.#state === "closed")
			throw this.#error;
		const place = this.#places.get(o.key ?? "") ?? { ref: this.#ref++, rid: randomId() };
		this.#places.delete(o.key ?? "");
		const claim = new Claim(this.#hub, place.ref, place.rid, o);
		this.#claims.set(claim.ref, claim);
		this.#awake(true);
		const turn = claim.ask();
		this.#kick();
		return turn;
	}

	/**
	 * A turn for as long as `fn` runs. Rejects with the lease's error if it was taken away meanwhile.
	 * @template T
	 * @param {RequestOptions} o
	 * @param {(lease: Lease) => Promise<T>|T} fn with `ifAvailable` it may get null
	 * @returns {Promise<T>}
	 */
	async run(o, fn) {
		const lease = /** @type {Lease} */ (await this.#request(o));
		if (!lease)
			return fn(lease);
		try {
			return await lease.during(fn);
		} finally {
			await lease.release();
		}
	}

	/**
	 * A turn that nobody shares, for loading a model: all slots of its GPU; it may take 20 s to yield.
	 * @template T
	 * @param {string} model
	 * @param {(lease: Lease) => Promise<T>|T} fn
	 * @param {RequestOptions} [o]
	 * @returns {Promise<T>}
	 */
	async load(model, fn, o = {}) {
		const gpus = this.#state === "offline" ? [] : await this.status().then((s) => s.gpus, () => []);
		const mine = gpus.filter((g) => o.gpu === undefined
			|| [g.index, String(g.index), g.name, g.uuid].includes(o.gpu));
		const slots = Math.max(1, ...mine.map((g) => g.slots));
		return this.run({ graceMs: 20_000, ...o, model, slots }, fn);
	}

	/**
	 * Keeps a model loaded between turns: VRAM without a turn. `evict` unloads it when somebody needs
	 * the room; it is not called when the page releases by itself.
	 * @param {{model: string, vramBytes: number, evict(): unknown} & RequestOptions} o
	 * @returns {Promise<Residence>}
	 */
	async reside(o) {
		const lease = await this.request({ ...o, slots: 0, evictable: true, ifAvailable: false });
		/** @type {Promise<unknown>|null} */
		let gone = null;
		const evict = () => gone ??= (async () => o.evict())();
		lease.guard({ terminate: evict });
		lease.yieldSignal.addEventListener("abort", async () => {
			if (!lease.signal.aborted)
				await evict().catch(() => {});
			await lease.release();
		});
		return /** @type {any} */ (lease);
	}

	/** What the broker's status says: who holds, who waits, why. @returns {Promise<Status>} */
	status() {
		const answer = this.#outcome(this.#asking);
		if (this.#state === "open")
			this.#port({ op: "ask", msg: { type: "status" } });
		return answer;
	}

	/**
	 * What this page says of itself for people to see.
	 * @param {{page?: string, visible?: boolean, adapter?: string, clamped?: string[],
	 *   vramBytes?: number, origin?: string, model?: string}} fields
	 */
	about({ page, visible, adapter, clamped, vramBytes, origin }) {
		const text = (/** @type {string|undefined} */ s) => (s && plain(s, 128)) || undefined;
		const fields = JSON.parse(JSON.stringify({ visible, page: text(page), adapter: text(adapter),
			clamped: clamped && (clamped.join(" ") || "none"), origin: text(origin),
			vram_mb: vramBytes && Math.ceil(vramBytes / 2 ** 20) }));
		if (Object.keys(fields).length)
			this.#port({ op: "about", fields });
	}

	/** Gives everything back and says goodbye. */
	async close() {
		if (this.#state === "closed")
			return;
		const stopped = new Promise((resolve) => this.#stopped = () => resolve(null));
		this.#end(new BrokerError("CLOSED", "This Broker was closed: make a new one."));
		this.#port({ op: "stop" });
		await stopped;
	}

	[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
		return this.close();
	}

	// -- what the Link says

	/** @param {any} e */
	#on(e) {
		if (e.ev === "msg")
			this.#hear(e.m);
		else if (e.ev === "contact")
			this.#contact = e.at;
		else if (e.ev === "ping")
			this.#port({ op: "pong" });
		else if (e.ev === "open")
			this.#opened(e);
		else if (e.ev === "drop")
			this.#dropped("reconnecting");
		else if (e.ev === "down")
			this.#down(e);
		else if (e.ev === "stopped") {
			this.#end(new BrokerError(e.error?.code ?? "CLOSED", e.error?.message ?? "Closed."));
			this.#stopped();
		}
	}

	/** @param {any} e */
	#opened(e) {
		this.#session = e.session;
		this.#contact = e.at;
		this.#ttlMs = e.ttlMs;
		this.rights = e.rights;
		this.dev = e.dev;
		this.#everOpen = true;
		this.#set("open");
		this.#ready.splice(0).forEach(({ resolve }) => resolve(undefined));
		if (this.#asking.length)
			this.#port({ op: "ask", msg: { type: "status" } });
		for (const claim of this.#claims.values())
			this.#backToBroker(claim);
	}

	/** A claim that a fallback took care of. @param {Claim} claim */
	#backToBroker(claim) {
		if (claim.state === "waiting" && claim.local) {
			claim.local.abort();
			claim.local = null;
			claim.send();
		} else if (claim.state === "held" && !claim.managed && claim.o.slots === 0) {
			claim.send(); // its VRAM belongs into the ledger
		} else if (claim.state === "held" && !claim.managed) {
			claim.asked({ reason: "the broker is back", grace_ms: 0 });
		}
	}

	/** @param {any} m */
	#hear(m) {
		if (m.type === "status")
			this.#asking.splice(0).forEach(({ resolve }) => resolve(m));
		else if (m.type === "reload")
			this.#emit("reload", { path: m.path });
		else
			this.#claims.get(m.ref)?.hear(m);
	}

	/** @param {State} state */
	#dropped(state) {
		this.#set(state);
		for (const claim of this.#claims.values())
			claim.settle();
	}

	/** A try failed. Until the TTL is over, a broker that was there may only be restarting. @param {any} e */
	async #down(e) {
		const retried = e.code === 4429 || e.code === 4503;
		if (this.#diagnosing || (!e.silent && (this.#everOpen || retried) && this.#state !== "connecting"))
			return;
		if (this.#state === "closed" || (!e.silent && retried))
			return;
		const wanted = this.#ready.length + this.#asking.length
			+ [...this.#claims.values()].filter((c) => c.state === "waiting" && !c.local).length;
		if (this.#state === "offline" && !wanted)
			return;
		this.#diagnosing = true;
		const error = await diagnose(this.#base, e, this.#o.connectTimeoutMs);
		this.#diagnosing = false;
		const state = this.state;
		if (state !== "open" && state !== "closed")
			this.#offline(error);
	}

	/** @param {BrokerError} error */
	#offline(error) {
		this.#error = error;
		this.#dropped("offline");
		for (const { reject } of [...this.#ready.splice(0), ...this.#asking.splice(0)])
			reject(error);
		const { fallback } = this.#o;
		for (const claim of this.#claims.values())
			if (claim.state !== "waiting" || claim.local)
				continue;
			else if (error.detail?.listening !== false || !fallback || fallback === "error")
				claim.fail(error);
			else {
				this.#port({ op: "release", ref: claim.ref });
				grantLocally(claim, fallback, error);
			}
	}

	/** The end of the session. @param {BrokerError} error */
	#end(error) {
		if (this.#state === "closed")
			return;
		this.#error = error;
		this.#unwatch();
		for (const claim of this.#claims.values())
			claim.fail(error);
		this.#dropped("closed");
		for (const { reject } of [...this.#ready.splice(0), ...this.#asking.splice(0)])
			reject(error);
	}

	// -- the page's life

	#leave() {
		const waiting = [...this.#claims.values()].filter((c) => c.state === "waiting" && c.o.key);
		for (const claim of this.#claims.values())
			if (claim.state === "held")
				claim.fail(new BrokerError("CLOSED", "The page was left."));
		this.#port({ op: "leave", keep: waiting.map((c) => c.ref) });
		if (waiting.length && this.#session)
			keepPlaces(this.#storage, { session: this.#session,
				places: waiting.map((c) => [c.o.key ?? "", { ref: c.ref, rid: c.rid }]) });
	}

	#back() {
		takePlaces(this.#storage);
		this.#set("connecting");
		this.#port({ op: "fresh" });
	}

	/** Was frozen: whether leases still stand is judged before the page may touch the GPU. */
	#thaw() {
		if (now() - this.#contact < this.#ttlMs)
			return;
		for (const claim of this.#claims.values())
			if (claim.state === "held" && claim.managed)
				claim.fail(new BrokerError("LOST", "The page was frozen for too long; ask again."));
	}

	/** @param {Claim} claim */
	#forget(claim) {
		this.#claims.delete(claim.ref);
		this.#awake(this.#claims.size > 0);
	}

	/** @param {State} state */
	#set(state) {
		const changed = state !== this.#state;
		this.#state = state;
		if (state === "open" || state === "connecting")
			this.#error = null;
		if (changed)
			this.#emit("state", { state, ...(this.#error ? { error: this.#error } : {}) });
	}

	/**
	 * @param {string} type
	 * @param {any} detail
	 */
	#emit(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
}
