// link: one session with the broker over a WebSocket: hello and resume, heartbeats, offers,
// reconnects, and which claims the broker knows. Runs in worker.js, or on the main thread; it does
// not know what a claim is for. Commands come in by do(), events go out by `post`.
// @ts-check
import { closeError } from "./errors.js";

/** Monotonic milliseconds that two threads of a page can compare. */
export const now = () => performance.timeOrigin + performance.now();

/**
 * Full jitter: anything between nothing and a limit that doubles with each try.
 * @param {number} tries
 * @param {number} minMs
 * @param {number} maxMs
 */
export const backoffMs = (tries, minMs, maxMs, random = Math.random) =>
	random() * Math.min(maxMs, minMs * 2 ** tries);

/**
 * A claim as asked. state: "asked" until it is held; "dropped": given up here, not yet there.
 * @typedef {{ref: number, msg: object, until: number|null, lease: number|null, seen: boolean,
 *   state: "asked"|"held"|"dropped", requeue: boolean}} Known
 */

export class Link {
	/** @type {WebSocket|null} */ #socket = null;
	/** @type {Map<number, Known>} */ #claims = new Map();
	/** Places of before a reload, until somebody takes them up. @type {Map<number, any>} */
	#orphans = new Map();
	/** @type {any} */ #o = {};
	/** @type {string|null} */ #session = null;
	/** @type {any} */ #about = {};
	/** @type {any} */ #retry;
	/** @type {any} */ #deadline;
	#open = false;
	#barrier = false;
	#left = false;
	#stopped = false;
	#tries = 0;
	#openedAt = 0;
	#contact = 0;
	#ttlMs = 20_000;
	#pingAt = 0;
	#stalled = false;

	/** @param {(event: any) => void} post */
	constructor(post) {
		this.post = post;
	}

	/** @param {any} c a command of broker.js or claim.js */
	do(c) {
		const claim = this.#claims.get(c.ref);
		if (c.op === "start") {
			this.#o = c;
			this.#session = c.resume;
			for (const ref of c.adopt)
				this.#orphans.set(ref, null);
			this.#contact = now();
			this.#arm();
			this.#connect();
		} else if (c.op === "acquire") {
			this.#acquire(c);
		} else if (c.op === "release" && claim) {
			this.#release(claim, c.requeue);
		} else if (c.op === "say") {
			if (claim?.lease && this.#open)
				this.#say({ ...c.msg, lease: claim.lease });
		} else if (c.op === "ask") {
			this.#say(c.msg);
		} else if (c.op === "about") {
			Object.assign(this.#about, c.fields);
			this.#say({ type: "about", ...c.fields });
		} else if (c.op === "pong") {
			this.#pong();
		} else if (c.op === "kick" && !this.#socket) {
			this.#connect();
		} else if (c.op === "disown") {
			for (const m of this.#orphans.values())
				this.#disown(m);
			this.#orphans.clear();
		} else if (c.op === "leave") {
			this.#leave(c.keep);
		} else if (c.op === "fresh") {
			this.#fresh();
		} else if (c.op === "stop") {
			this.#stop(null);
		}
	}

	/** @param {any} c */
	#acquire(c) {
		/** @type {Known} */
		const claim = { ref: c.ref, msg: c.msg, until: c.until, lease: null, seen: false,
			state: "asked", requeue: false };
		const orphan = this.#orphans.get(c.ref);
		this.#orphans.delete(c.ref);
		this.#claims.set(c.ref, claim);
		if (orphan)
			this.#claim(orphan);
		else if (this.#open)
			this.#ask(claim);
	}

	/** @param {Known} claim */
	#ask(claim) {
		claim.seen = true;
		claim.requeue = false;
		const left = claim.until === null ? null : Math.max(1, claim.until - now()) / 1000;
		this.#say({ type: "acquire", ref: claim.ref, ...claim.msg, timeout_s: left });
	}

	/**
	 * @param {Known} claim
	 * @param {boolean} [requeue]
	 */
	#release(claim, requeue) {
		claim.state = requeue ? "asked" : "dropped";
		claim.requeue = Boolean(requeue);
		if (this.#open && claim.lease)
			this.#say({ type: "release", lease: claim.lease, requeue: claim.requeue });
		else if (this.#open && claim.seen)
			this.#say({ type: "cancel", ref: claim.ref });
		else if (!this.#session)
			this.#end(claim, { type: "released", ref: claim.ref, reason: "released" });
	}

	/** @param {any} m */
	#say(m) {
		if (this.#open)
			this.#socket?.send(JSON.stringify(m));
	}

	// -- the connection

	#connect() {
		clearTimeout(this.#retry);
		let socket;
		try {
			socket = new WebSocket(this.#o.url);
		} catch {
			this.post({ ev: "down" });
			return;
		}
		let late = false;
		this.#socket = socket;
		const timer = setTimeout(() => {
			late = true;
			socket.close();
			this.#closed(socket, 1006, true);
		}, this.#o.timeoutMs);
		socket.onopen = () => socket.send(JSON.stringify({ type: "hello", version: 1,
			...this.#o.hello, ...(this.#session ? { resume: this.#session } : {}) }));
		socket.onmessage = ({ data }) => {
			if (late || this.#socket !== socket)
				return;
			clearTimeout(timer);
			this.#judge();
			this.#contact = now();
			this.#arm();
			this.#hear(JSON.parse(data));
		};
		socket.onclose = ({ code }) => {
			clearTimeout(timer);
			this.#closed(socket, code, false);
		};
		socket.onerror = () => {};
	}

	/**
	 * @param {WebSocket} socket
	 * @param {number} code
	 * @param {boolean} late
	 */
	#closed(socket, code, late) {
		if (this.#socket !== socket)
			return;
		const was = this.#open;
		this.#socket = null;
		this.#open = this.#barrier = false;
		const error = closeError(code);
		if (this.#stopped || error) {
			this.#stop(error && { code: error.code, message: error.message });
			return;
		}
		if (was && now() - this.#openedAt >= 5_000)
			this.#tries = 0;
		if (code === 1000) // resumed by somebody else, or said goodbye
			this.#session = null;
		this.#judge();
		this.post({ ev: was && !this.#silent() ? "drop" : "down", code, late, silent: this.#silent() });
		if (this.#left)
			return;
		this.#retry = setTimeout(() => this.#connect(),
			backoffMs(this.#tries++, this.#o.minMs, this.#o.maxMs));
	}

	/** A new session: the page came back from the back/forward cache. */
	#fresh() {
		this.#left = false;
		this.#session = null;
		this.#tries = 0;
		const socket = this.#socket;
		this.#socket = null;
		this.#open = this.#barrier = false;
		socket?.close();
		this.#connect();
	}

	/** The page is left: what it holds is given back, what it waits for is kept if it has a key.
	 * @param {number[]} keep */
	#leave(keep) {
		this.#left = true;
		if (!keep.length)
			this.#say({ type: "bye" });
		else for (const claim of this.#claims.values())
			if (!keep.includes(claim.ref) && claim.lease)
				this.#say({ type: "release", lease: claim.lease });
	}

	/** @param {any} error */
	#stop(error) {
		clearTimeout(this.#retry);
		clearTimeout(this.#deadline);
		this.#stopped = true;
		this.#say({ type: "bye" });
		this.#open = false;
		this.#socket?.close();
		this.post({ ev: "stopped", error });
	}

	/** Leases last for a TTL after the last word of the broker: past it another may hold the GPU. */
	#judge() {
		for (const claim of this.#silent() ? [...this.#claims.values()] : [])
			if (claim.state === "held")
				this.#end(claim, { type: "lost", ref: claim.ref });
	}

	#silent() {
		return now() - this.#contact >= this.#ttlMs;
	}

	#arm() {
		clearTimeout(this.#deadline);
		this.#deadline = setTimeout(() => {
			this.#judge();
			const socket = this.#open ? this.#socket : null;
			socket?.close();
			if (socket)
				this.#closed(socket, 1006, true);
			else
				this.post({ ev: "down", code: 1006, late: false, silent: true });
		}, this.#ttlMs + 10);
	}

	// -- what the broker says

	/** @param {any} m */
	#hear(m) {
		const claim = this.#claims.get(m.ref)
			?? [...this.#claims.values()].find((c) => m.lease && c.lease === m.lease);
		if (m.type === "heartbeat")
			this.#heartbeat();
		else if (m.type === "welcome")
			this.#welcome(m);
		else if (m.type === "ok")
			this.#settle();
		else if (m.type === "claim")
			this.#claim(m);
		else if (m.type === "denied" && claim)
			this.#denied(claim, m);
		else if (claim)
			this.#about_claim(claim, m);
		else if (m.lease && (m.type === "offered" || m.type === "granted" || m.type === "queued"))
			this.#disown(m);
		else if (m.type === "status" || m.type === "reload")
			this.post({ ev: "msg", m });
	}

	#heartbeat() {
		this.#say({ type: "alive" });
		this.post({ ev: "contact", at: this.#contact });
		if (this.#pingAt) {
			this.#stalled = true;
			this.#say({ type: "about", stalled_ms: Math.round(now() - this.#pingAt) });
		} else {
			this.#pingAt = now();
			this.post({ ev: "ping" });
		}
	}

	#pong() {
		this.#pingAt = 0;
		if (this.#stalled)
			this.#say({ type: "about", stalled_ms: 0 });
		this.#stalled = false;
	}

	/** @param {any} m */
	#welcome(m) {
		this.#open = true;
		this.#openedAt = now();
		this.#session = m.session;
		this.#ttlMs = m.session_ttl_s * 1000;
		this.#arm();
		this.post({ ev: "open", at: this.#contact, session: m.session, ttlMs: this.#ttlMs,
			rights: m.rights ?? null, dev: m.dev === true });
		if (Object.keys(this.#about).length)
			this.#say({ type: "about", ...this.#about });
		for (const claim of this.#claims.values())
			claim.seen = false;
		this.#barrier = true;
		if (m.resumed)
			this.#say({ type: "subscribe", events: false, logs: false }); // its `ok` ends the list
		else
			this.#settle();
	}

	/** After the list of living claims: what is not in it is over there, or never got there. */
	#settle() {
		if (!this.#barrier)
			return;
		this.#barrier = false;
		for (const claim of [...this.#claims.values()])
			if (claim.seen)
				continue;
			else if (claim.state === "asked")
				this.#ask(claim);
			else
				this.#end(claim, claim.state === "held" ? { type: "lost", ref: claim.ref }
					: { type: "released", ref: claim.ref, reason: "released" });
	}

	/** One living claim after a resume. @param {any} m */
	#claim(m) {
		const claim = this.#claims.get(m.ref);
		const holds = m.state === "held" || m.state === "yielding";
		if (!claim) {
			if (this.#orphans.has(m.ref) && !holds)
				this.#orphans.set(m.ref, m);
			else
				this.#disown(m);
			return;
		}
		claim.seen = true;
		claim.lease = m.lease;
		if (claim.state === "dropped" || (holds && claim.requeue))
			this.#release(claim, claim.requeue);
		else if (holds && claim.state === "asked")
			this.#about_claim(claim, { ...m, type: "granted" });
		else if (m.state === "offered")
			this.#about_claim(claim, { ...m, type: "offered" });
		else if (!holds && claim.state === "held")
			this.#end(claim, { type: "lost", ref: claim.ref });
	}

	/** @param {any} m */
	#disown(m) {
		if (m?.lease)
			this.#say({ type: "release", lease: m.lease });
	}

	/**
	 * @param {Known} claim
	 * @param {any} m
	 */
	#denied(claim, m) {
		if (claim.state === "dropped") {
			if (m.code === "stale")
				this.#end(claim, { type: "released", ref: claim.ref, reason: "released" });
		} else if (claim.state === "held") {
			if (m.code === "stale")
				this.#end(claim, { type: "lost", ref: claim.ref });
		} else if (m.code === "draining") {
			claim.seen = false; // asked again when the broker is back
		} else if (!claim.requeue) {
			this.#end(claim, { ...m, ref: claim.ref });
		}
	}

	/**
	 * @param {Known} claim
	 * @param {any} m
	 */
	#about_claim(claim, m) {
		claim.lease = m.lease;
		m = { ...m, ref: claim.ref };
		if (m.type === "released" && claim.requeue && !m.reason)
			return; // given back, to come back
		if (m.type === "timeout" || m.type === "released") {
			this.#end(claim, m);
			return;
		}
		if (claim.state === "dropped") {
			if (m.type !== "yield" && m.type !== "revoked")
				this.#say({ type: "release", lease: m.lease });
			return;
		}
		if (m.type === "queued")
			claim.requeue = false;
		if (m.type === "offered") {
			if (!this.#left)
				this.#say({ type: "accept", lease: m.lease });
			return;
		}
		if (m.type === "granted")
			claim.state = "held";
		this.post({ ev: "msg", m });
	}

	/**
	 * @param {Known} claim
	 * @param {any} m
	 */
	#end(claim, m) {
		this.#claims.delete(claim.ref);
		this.post({ ev: "msg", m });
	}
}
