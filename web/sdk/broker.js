// @ts-check
// broker: a page's session. A claim's life is claim.js, the wire is session.js.
import { Claim } from "./claim.js";
import { BrokerError, closeError, now, plain, postJson } from "./errors.js";
import { diagnose, grantLocally, loopbackPermission } from "./fallback.js";
import { Model } from "./model.js";
import { openPort } from "./session_port.js";
import * as page from "./page_lifecycle.js";

/** @import { About, AboutFields, BrokerEvents, BrokerOptions, Down } from "./types.js" */
/** @import { BrokerContext, Heard, ModelOptions, Opened } from "./types.js" */
/** @import { SessionEvent, Start } from "./types.js" */
/** @import { Request, RequestOptions, Reside, Send, State, Status } from "./types.js" */
/** @import { Task, Waiter } from "./types.js" */
/** @typedef {import("./types.js").Residence} Residence */

/** @type {<T>(waiters: Waiter<T>[], value?: T) => void} */
const answer = (waiters, value) =>
	waiters.splice(0).forEach(([resolve]) => resolve(/** @type {never} */ (value)));

/** @type {<T>(waiters: Waiter<T>[], error: unknown) => void} */
const refuse = (waiters, error) => waiters.splice(0).forEach(([, reject]) => reject(error));

/** As long as the broker keeps places, unless it is told otherwise. */
const KEPT_MS = 30_000;

/** Events: "state", "queue", "yield", "kept", "ended", "reload". */
export class Broker extends EventTarget {
	/** @type {State} */ #state = "idle";
	/** @type {BrokerError|null|undefined} */ #error;
	/** @type {Map<number, Claim>} */ #claims = new Map();
	/** @type {Waiter<unknown>[]} */ #ready = [];
	/** @type {Waiter<Status>[]} */ #asking = [];
	/** By key, the requests of this page's predecessor that nobody asked for again yet.
	 * @type {Map<string, string>} */
	#places = new Map();
	/** @type {BrokerOptions} */ #options;
	/** How the session was opened last. @type {Partial<Opened>} */ #met = {};
	#base;
	#name;
	/** Where the places of this Broker are kept; another one of its name has its own. */
	#storage;
	/** Of whoever keeps places: a copy of the tab has the same places and must leave them alone. */
	#owner = page.randomId();
	/** @type {"worker"|"reply"} */ #heartbeat;
	/** @type {Send} */ #send = () => {};
	/** What the Session was started with. @type {Omit<Start, "resume">|undefined} */ #hello;
	/** @type {AboutFields} */ #about = {};
	/** @type {AbortController|undefined} */ #watch;
	#awakeLock = page.awakeLock(this.#owner);
	/** @type {BrokerContext} */ #context;
	/** Far from those of other pages: this one's session may have been theirs. */
	#ref = Math.ceil(Math.random() * 2 ** 50);
	/** When somebody else may hold what is held here, as far as was heard. */
	#limit = Infinity;
	#heardAt = 0;
	/** @type {Waiter<unknown>[]} */ #unsure = [];
	#diagnosing = false;
	#left = false;
	/** @type {Promise<void>|undefined} */ #adopting;
	/** @type {(value?: unknown) => void} */ #stopped = () => {};

	/** @param {BrokerOptions} [options] */
	constructor(options = {}) {
		super();
		this.#options = options;
		this.#heartbeat = options.heartbeat ?? "worker";
		this.#base = page.brokerOrigin(options.url);
		const { document, location } = globalThis;
		this.#name = plain(options.name || document?.title || location?.host || "page", 128);
		this.#storage = page.newName(`baton${page.framePath()} ${this.#base} ${this.#name}`);
		this.#context = {
			send: (...command) => this.#send(...command),
			emit: (type, detail) => this.#emit(type, detail),
			about: (fields) => this.about(fields),
			open: () => this.#state === "open",
			judge: () => this.#judge(),
			sure: (all) => this.#sure(all),
			forget: (claim) => {
				this.#claims.delete(claim.ref);
				this.#keep();
			},
		};
		if (!globalThis.WebSocket) {
			this.#end(new BrokerError("DENIED", "There is no WebSocket here: ask in the browser."));
			return;
		}
		this.#watch = page.watchPage({
			leave: (cached) => this.#leave(cached),
			back: () => this.#back(),
			thaw: () => void this.#thaw(),
			visible: (visible) => this.about({ visible }),
		});
		const soon = this.#base === location?.origin || page.savedPlaces(this.#storage);
		if (options.connect ? options.connect === "now" : soon) this.#begin();
	}

	get state() {
		return this.#state;
	}

	/** @returns {"admin"|"token"|"queue"|null} */
	get rights() {
		return this.#met.rights ?? null;
	}

	/** @returns {boolean} */
	get dev() {
		return this.#met.dev ?? false;
	}

	/** Where the session runs: "reply" is this thread, and a turn is lost where it stands still. */
	get heartbeat() {
		return this.#heartbeat;
	}

	/** Also in another worker, with what waits. */
	#open() {
		if (this.#state === "closed" || !this.#hello) return;
		this.#send = openPort({
			on: (event) => this.#on(event),
			here: this.#heartbeat === "reply",
			onHere: () => (this.#heartbeat = "reply"),
			onGone: () => void this.#goOn(),
		});
		this.#keep();
		this.#send("start", { ...this.#hello, resume: this.#met.session });
		for (const claim of this.#claims.values()) claim.again();
		this.#send("about", this.#about);
	}

	/** The Session's worker was ended, as by a page that ends all it can find: what is held is lost,
	 * what waits goes on in another one. */
	async #goOn() {
		this.#stopped();
		if (this.#state === "closed") return;
		this.#limit = 0;
		const ends = this.#thaw();
		answer(this.#unsure);
		if (this.#state === "open") this.#set("reconnecting");
		await Promise.all(ends);
		this.#open();
	}

	/** For serve.js. @internal */
	get door() {
		return { base: this.#base, name: this.#name, token: this.#hello?.hello.token };
	}

	/** Where the browser asks its user first, not before a page wants something. */
	#begin() {
		if (this.#adopting || this.#state === "closed") return;
		this.#set("connecting");
		this.#start().catch((error) => this.#end(new BrokerError("UNAUTHORIZED", error.message)));
	}

	/** Of a page that was left, or that died: nobody may live who keeps them, be it another copy
	 * of this tab that was here first. */
	async #adopt() {
		const hidden = page.whenShown();
		await hidden;
		if (this.#state === "closed") return;
		const kept = page.savedPlaces(this.#storage);
		if (!kept || (await page.isAwake(kept.owner, kept.left || hidden))) return;
		this.#places = kept.places;
		this.#met = { session: kept.session };
		this.#own(kept.owner);
	}

	/** @param {string} owner */
	#own(owner) {
		this.#awakeLock(false);
		this.#owner = owner;
		this.#awakeLock = page.awakeLock(owner);
		this.#keep();
		setTimeout(() => {
			this.#places.clear();
			this.#keep();
		}, KEPT_MS);
	}

	async #start() {
		const { token, backoff, connectTimeoutMs = 4_000 } = this.#options;
		await (this.#adopting = this.#adopt());
		const shown =
			(typeof token === "function" ? await token() : token) || page.keptToken(this.#base);
		this.#hello = {
			url: `${this.#base}/v1/gpu/session`,
			hello: { id: this.#name, token: shown || undefined },
			backoff: { minMs: 250, maxMs: 10_000, ...backoff },
			timeoutMs: (await loopbackPermission()) === "prompt" ? 60_000 : connectTimeoutMs,
		};
		this.about({ page: globalThis.location?.pathname, origin: globalThis.location?.origin });
		this.#open();
	}

	async ready() {
		this.#begin();
		if (this.#state === "closed") throw this.#error;
		this.#kick();
		if (this.#state !== "open") await new Promise((...waiter) => this.#ready.push(waiter));
	}

	#kick() {
		if (this.#state === "offline") {
			this.#error = undefined;
			this.#set("connecting");
			this.#send("kick");
		}
	}

	/** @type {Request} */
	async request(wanted) {
		const options = /** @type {RequestOptions} */ (wanted ?? {});
		this.#begin();
		await this.#adopting;
		options.signal?.throwIfAborted();
		if (this.#state === "closed") throw this.#error;
		const key = options.key ?? "";
		const requestId = this.#places.get(key) ?? page.randomId();
		this.#places.delete(key);
		const claim = new Claim(this.#context, this.#ref++, requestId, options);
		this.#claims.set(claim.ref, claim);
		this.#keep();
		this.#kick();
		return /** @type {any} any: null with `ifAvailable` alone, as `Request` says */ (
			claim.ask()
		);
	}

	/** Rejects with the lease's error if it was taken under `fn`.
	 * @type {<T>(o: RequestOptions, fn: Task<T>) => Promise<T>} */
	async run(options, fn) {
		const lease = await this.request(options);
		try {
			return await (lease ? lease.during(fn) : fn(lease));
		} finally {
			await lease?.release();
		}
	}

	/** A turn that nobody shares: all slots of its GPU.
	 * @type {<T>(model: string, fn: Task<T>, o?: RequestOptions) => Promise<T>} */
	load(model, fn, options) {
		return this.run({ graceMs: 20_000, ...options, model, slots: "all" }, fn);
	}

	/** @type {(o: Reside) => Promise<Residence>} */
	async reside(options) {
		const lease = await this.request({
			...options,
			slots: 0,
			evictable: true,
			ifAvailable: false,
		});
		/** @type {Promise<unknown>|undefined} */
		let gone;
		const terminate = () => (gone ??= (async () => options.evict())().catch(() => {}));
		lease.guard({ terminate });
		lease.yieldSignal.addEventListener("abort", async () => {
			if (!lease.signal.aborted) await terminate();
			await lease.release();
		});
		return /** @type {Residence} */ (/** @type {unknown} */ (lease));
	}

	/** A model that fetches, waits and loads by itself.
	 * @type {<E>(o: ModelOptions<E>) => Model<E>} */
	model(options) {
		return new Model(this, options);
	}

	/** @returns {Promise<Status>} */
	async status() {
		await this.ready();
		this.#send("ask", { type: "status" });
		return new Promise((...waiter) => this.#asking.push(waiter));
	}

	/** @param {About} fields */
	about({ visible, vramBytes, clamped, ...texts }) {
		/** @type {Record<string, unknown>} */
		const said = { visible, vram_mb: vramBytes && Math.ceil(vramBytes / 2 ** 20) };
		for (const [name, text] of Object.entries({ ...texts, clamped: clamped?.join(" ") }))
			if (text) said[name] = plain(text, 128);
		const fields = JSON.parse(JSON.stringify(said)); // no undefined
		Object.assign(this.#about, fields);
		this.#send("about", fields);
	}

	async close() {
		if (this.#state === "closed") return;
		const stopped = new Promise((resolve) => (this.#stopped = resolve));
		await this.#end(new BrokerError("CLOSED", "Closed; make a new one."));
		this.#send("watch", true); // it may have been ended while nothing was at stake
		this.#send("stop");
		if (this.#hello) await stopped;
	}

	[Symbol.asyncDispose ?? "asyncDispose"]() {
		return this.close();
	}

	/** @param {SessionEvent} event */
	#on(event) {
		const kind = event.event;
		this.#heardAt = Math.min(event.at, now());
		this.#limit = event.limit;
		if (kind === "sure") answer(this.#unsure);
		else if (kind === "ping") this.#send("pong");
		else if (kind === "open") this.#opened(event);
		else if (kind === "close") {
			// It fell silent, or this page was frozen: the next try tells.
			if (this.#state === "open") this.#set("reconnecting");
			else this.#down(event);
		} else if (kind === "stop") {
			this.#stopped();
			this.#end(closeError(event.code));
		} else this.#hear(event.message);
	}

	/** @param {Heard} message */
	#hear(message) {
		if (message.type === "status") answer(this.#asking, message);
		else if (message.type === "reload") this.#emit("reload", { path: message.path });
		else this.#claims.get(message.ref)?.hear(message);
	}

	/** @param {Opened} event */
	#opened(event) {
		this.#met = event;
		this.#error = undefined;
		this.#set("open");
		this.#keep();
		answer(this.#ready);
		for (const claim of this.#claims.values()) claim.brokerIsBack();
	}

	/** A broker that was there may be restarting, until it was silent for a TTL. @param {Down} event */
	async #down(event) {
		const restarts = this.#state === "reconnecting" || Number(event.code) > 4000;
		const wanted =
			this.#state !== "offline"
			|| this.#ready.length
			|| [...this.#claims.values()].some(
				(claim) => claim.state === "waiting" && !claim.local,
			);
		if (this.#diagnosing || !wanted || (restarts && !event.silent)) return;
		this.#diagnosing = true;
		event.again = this.#error === null;
		const met = this.#met;
		const error = await diagnose(this.#base, event, this.#options.connectTimeoutMs);
		this.#diagnosing = false;
		// What was found is out of date where a session was open meanwhile.
		if (this.#met === met && this.#state !== "closed") this.#offline(error);
	}

	/** @param {BrokerError|null} error not known yet: null */
	#offline(error) {
		this.#error = error;
		if (!error) return;
		this.#set("offline");
		const { fallback = "error" } = this.#options;
		for (const claim of [...this.#claims.values()])
			if (claim.state !== "waiting" || claim.local) continue;
			else if (error.detail?.listening !== false || fallback === "error") claim.fail(error);
			else {
				this.#context.forget(claim);
				this.#send("release", claim.ref);
				claim.ref = this.#ref++;
				this.#claims.set(claim.ref, claim);
				this.#keep();
				grantLocally(claim, fallback, error);
			}
	}

	/** Resolves once all that was guarded has ended. @param {BrokerError|undefined} error */
	async #end(error) {
		if (this.#state === "closed") return;
		this.#error = error;
		this.#watch?.abort();
		page.freeName(this.#storage);
		const ends = [...this.#claims.values()].map((claim) => claim.fail(error));
		answer(this.#unsure);
		this.#set("closed");
		await Promise.all(ends);
	}

	/** What a page that is left has given back, its worker may not live to say.
	 * @param {boolean} cached it may come back as it is: then all that waits goes on waiting */
	#leave(cached) {
		/** @type {number[]} */
		const keep = [];
		for (const claim of this.#claims.values()) {
			const { key } = claim.options;
			if (key || (cached && claim.state === "waiting")) keep.push(claim.ref);
			if (claim.state !== "held") continue;
			if (key) this.#places.set(key, claim.requestId);
			claim.fail(new BrokerError("CLOSED", "The page was left."));
			this.#unlock(claim.grant.token, Boolean(key)); // what hears of the end has ended what it does
		}
		this.#send("leave", keep);
		this.#left = true;
		this.#keep();
		if (!cached) page.freeName(this.#storage);
	}

	/** @param {string|undefined} token of a lease @param {boolean} keep its place */
	#unlock(token, keep) {
		const own = this.door.token && { Authorization: `Bearer ${this.door.token}` };
		const url = `${this.#base}/v1/gpu/unlock`;
		if (token) postJson(url, { token, keep }, { keepalive: true }, own).catch(() => {});
	}

	/** Out of the cache. Its places may be another page's by now, with all that comes of them. */
	async #back() {
		this.#left = false;
		const anew = await page.isAwake(this.#owner, false);
		if (anew) this.#places.clear();
		this.#own(anew ? page.randomId() : this.#owner);
		if (this.#adopting) this.#set("connecting");
		this.#send("back", anew);
	}

	/** For whoever is here next: also if this page dies before it can say that it was left. And no
	 * browser freezes a page that claims something, or might. */
	#keep() {
		const busy = !this.#left && this.#places.size + this.#claims.size > 0;
		this.#awakeLock(busy);
		this.#send("watch", busy);
		const places = new Map(this.#places);
		for (const { options, state, requestId } of this.#claims.values())
			if (options.key && state !== "ended") places.set(options.key, requestId);
		const { session } = this.#met;
		page.savePlaces(this.#storage, { session, left: this.#left, owner: this.#owner, places });
	}

	/** Judged before the page may touch the GPU. */
	#thaw() {
		return [...this.#claims.values()]
			.filter((claim) => claim.state === "held" && claim.managed && now() >= this.#limit)
			.map((claim) => claim.fail(new BrokerError("LOST", "The broker lost it; ask again.")));
	}

	/** Where this thread is the one that listens, a stand-still of it was silence. */
	#judge() {
		if (this.#heartbeat === "reply") this.#thaw();
	}

	/** Resolves when all that the Session said before was heard: at once, if what was heard last was
	 * just said. @param {boolean} all */
	async #sure(all) {
		this.#judge();
		if ((now() - this.#heardAt < 200 && !all) || this.#state === "closed") return;
		await new Promise((...waiter) => {
			this.#unsure.push(waiter);
			this.#send("sure");
		});
	}

	/** @param {State} state */
	#set(state) {
		const was = this.#state;
		this.#state = state;
		const error = /** @type {BrokerError|undefined} */ (this.#error); // null between tries alone
		refuse(this.#asking, error ?? new BrokerError("UNREACHABLE", "Disconnected; try again."));
		if (error) refuse(this.#ready, error);
		for (const claim of this.#claims.values()) claim.settle(null);
		if (state !== was) this.#emit("state", { state, error });
	}

	/** @type {<K extends keyof BrokerEvents>(type: K, detail: BrokerEvents[K]) => void} */
	#emit(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
}
