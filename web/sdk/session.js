// session: one session over a WebSocket, and which claims the broker knows.
// @ts-check
import { closeError } from "./errors.js";

/** @import { FromBroker } from "./protocol.js" */
/** @import { AboutFields, Ask, Backoff, Command, SessionClaim } from "./types.js" */
/** @import { Listed, Over, Post, Release, Start, Told } from "./types.js" */

/** Monotonic ms, the same in all threads. */
export const now = () => performance.timeOrigin + performance.now();

/** @type {Backoff} */
export const backoffMs = (tries, minMs, maxMs, random = Math.random) =>
	random() * Math.min(maxMs, minMs * 2 ** tries);

/** While a turn or a place is at stake: at once, then soon and often. */
export const quickMs = (/** @type {number} */ tries) =>
	tries && Math.min(50 * 2 ** (tries - 1), 200);

export class Session {
	/** @type {WebSocket|null} */ #socket = null;
	/** @type {Map<number, SessionClaim>} */ #claims = new Map();
	/** @type {Map<number, Listed|null>} */ #orphans = new Map();
	/** @type {Start|undefined} */ #o;
	/** @type {string|null} */ #sessionId = null;
	/** @type {AboutFields} */ #about = {};
	#retry = 0;
	#deadline = 0;
	#open = false;
	#listing = false;
	#left = false;
	#stopped = false;
	#tries = 0;
	#quick = 0;
	#openedAt = 0;
	#contact = now();
	/** When the broker last heard from here, at the earliest. */
	#spoke = now();
	#ttlMs = 20_000;
	/** How long the broker keeps what a broken connection held. */
	#lingerMs = 2_000;
	/** When the session was last known to be open. */
	#sure = now();
	/** How long after that what is held is still ours: half of what the broker keeps it. */
	#spanMs = 1_000;
	/** This thread woke and cannot know what it missed: a break would be told in a moment. */
	#doubt = false;
	#asked = false;
	#pingAt = 0;
	#stalled = false;
	/** @param {SecurityPolicyViolationEvent} event */
	#violated = (event) => this.#forbidden(event);

	/** @param {Post} post */
	constructor(post) {
		this.post = post;
		globalThis.addEventListener?.("securitypolicyviolation", this.#violated);
	}

	/** @param {Command} command */
	do(command) {
		this.#judge();
		switch (command.op) {
			case "start":
				return this.start(command);
			case "acquire":
				return this.acquire(command);
			case "release":
				return this.release(command);
			case "ask":
				return this.ask(command);
			case "about":
				return this.about(command);
			case "leave":
				return this.leave(command);
			case "stop":
				return this.stop(command);
			default:
				return this[command.op]();
		}
	}

	/** Answers once it is known whether what is held is still ours. */
	sure() {
		this.#asked = this.#open && this.#doubt;
		if (!this.#asked) this.post({ ev: "sure" });
	}

	/** @param {Start} c */
	start(c) {
		if (this.#stopped) return;
		this.#o = c;
		this.#sessionId = c.resume;
		for (const ref of c.adopt) this.#orphans.set(ref, null);
		this.#arm();
		this.#connect();
	}

	/** @param {Extract<Command, { op: "acquire" }>} command */
	acquire({ ref, msg, until }) {
		/** @type {SessionClaim} */
		const claim = {
			ref,
			msg,
			until,
			lease: 0,
			fence: 0,
			seen: false,
			state: "asked",
			requeue: false,
		};
		const orphan = this.#orphans.get(ref);
		this.#orphans.delete(ref);
		this.#claims.set(ref, claim);
		if (orphan) this.#listed(orphan);
		else if (this.#open && !this.#listing) this.#ask(claim);
	}

	/** @param {SessionClaim} claim */
	#ask(claim) {
		const { ref, msg, until } = claim;
		claim.seen = true;
		claim.requeue = false;
		this.ask({
			msg: {
				type: "acquire",
				ref,
				...msg,
				timeout_s: until === null ? null : Math.max(1, until - now()) / 1000,
			},
		});
	}

	/** @param {Release} command */
	release({ ref, requeue = false, until = null }) {
		const claim = this.#claims.get(ref);
		if (!claim) return;
		claim.state = requeue ? "asked" : "dropped";
		claim.requeue = requeue;
		claim.until = until;
		if (this.#open && claim.lease)
			this.ask({ msg: { type: "release", lease: claim.lease, requeue } });
		else if (this.#open && claim.seen) this.ask({ msg: { type: "cancel", ref } });
		else if (!this.#sessionId) this.#end(claim);
	}

	/** @param {Ask} command */
	ask({ ref, msg }) {
		const lease = this.#claims.get(ref ?? 0)?.lease;
		if (this.#open && (lease || !ref)) {
			this.#spoke = now();
			this.#socket?.send(JSON.stringify({ lease, ...msg }));
		}
	}

	/** @param {{ fields: AboutFields }} command */
	about({ fields }) {
		fields = JSON.parse(JSON.stringify(fields)); // no undefined
		Object.assign(this.#about, fields);
		this.ask({ msg: { type: "about", ...fields } });
	}

	pong() {
		this.#pingAt = 0;
		if (this.#stalled) this.about({ fields: { stalled_ms: 0 } });
		this.#stalled = false;
	}

	kick() {
		if (!this.#socket) this.#connect();
	}

	disown() {
		for (const m of this.#orphans.values()) this.#giveBack(m);
		this.#orphans.clear();
	}

	/** A page that goes into the browser's cache hangs up: nobody is to wait for its answer.
	 * @param {{ keep: number[], cached: boolean }} command */
	leave({ keep, cached }) {
		this.#left = true;
		for (const claim of this.#claims.values())
			if (!keep.includes(claim.ref)) this.#giveBack(claim);
		if (!keep.length) this.ask({ msg: { type: "bye" } });
		if (cached) this.#hangUp();
	}

	/** Out of the cache: the session goes on, or its places are asked for anew. */
	back() {
		this.#left = false;
		if (!this.#o || this.#stopped) return;
		this.#hangUp();
		this.#tries = this.#quick = 0;
		this.#contact = now();
		this.#arm();
		this.#connect();
	}

	#hangUp() {
		const socket = this.#socket;
		clearTimeout(this.#retry);
		clearTimeout(this.#deadline);
		this.#open = this.#listing = false;
		this.#socket = null;
		socket?.close();
	}

	/** @param {{ code?: number }} command */
	stop({ code }) {
		this.ask({ msg: { type: "bye" } });
		this.#stopped = true;
		globalThis.removeEventListener?.("securitypolicyviolation", this.#violated);
		this.#hangUp();
		this.post({ ev: "stopped", code });
	}

	/** The page's policy, which lasts as long as the page. Chromium tells it by this alone.
	 * @param {SecurityPolicyViolationEvent} event */
	#forbidden({ blockedURI, disposition }) {
		if (
			this.#open
			|| !this.#socket
			|| !this.#o
			|| disposition === "report"
			|| !blockedURI.startsWith(new URL(this.#o.url).origin)
		)
			return;
		this.#hangUp();
		this.post({ ev: "down", blocked: true, silent: true });
	}

	#connect() {
		clearTimeout(this.#retry);
		if (!this.#o) return;
		const { url, hello, timeoutMs } = this.#o;
		let socket;
		try {
			socket = this.#socket = new WebSocket(url);
		} catch {
			// forbidden here
			this.post({ ev: "down", blocked: true, silent: true });
			return;
		}
		const resume = this.#sessionId ?? undefined;
		const timer = setTimeout(
			() => {
				socket.close();
				this.#closed(socket, 1006, true);
			},
			Math.min(timeoutMs, this.#quick ? this.#spanMs / 2 : Infinity),
		);
		socket.onopen = () =>
			socket.send(JSON.stringify({ type: "hello", version: 1, ...hello, resume }));
		socket.onmessage = ({ data }) => {
			clearTimeout(timer);
			if (this.#socket !== socket) return;
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

	/** @type {(socket: WebSocket, code: number, late: boolean) => void} */
	#closed(socket, code, late) {
		if (this.#socket !== socket || this.#stopped) return;
		this.#judge(); // first, to know since when
		const was = this.#open;
		this.#socket = null;
		this.#open = this.#listing = false;
		if (closeError(code)) {
			this.stop({ code });
			return;
		}
		if (was) {
			if (now() - this.#openedAt >= 5_000) this.#tries = 0;
			// A broker that stops grants nothing, and keeps leases for a TTL when it is back.
			this.#spanMs = (code === 4503 ? this.#ttlMs : this.#lingerMs) / 2;
		}
		if (code === 1000) {
			// resumed elsewhere: nothing here is ours any more
			this.#sessionId = null;
			this.#spanMs = 0;
		}
		const silent = this.#judge();
		this.post({ ev: was && !silent ? "drop" : "down", code, late, silent, limit: this.#limit });
		if (this.#asked) this.sure();
		if (!silent) this.#arm();
		if (!this.#left) this.#retry = +setTimeout(() => this.#connect(), this.#pauseMs());
	}

	#pauseMs() {
		const { minMs, maxMs } = /** @type {Start} */ (this.#o).backoff;
		const soon = quickMs(this.#quick);
		if (!this.#sessionId || !this.#claims.size || now() + soon >= this.#limit) {
			this.#quick = 0;
			return backoffMs(this.#tries++, minMs, maxMs);
		}
		this.#quick++;
		return soon;
	}

	/** When somebody else may hold what is held here. */
	get #limit() {
		const silent = Math.min(this.#contact, this.#spoke) + this.#ttlMs;
		return this.#open ? silent : Math.min(silent, this.#sure + this.#spanMs);
	}

	#holds() {
		return [...this.#claims.values()].filter((claim) => claim.state === "held");
	}

	/** Comes before everything else, also on waking: ends what is not ours any more. A thread that
	 * stood still may have missed that the connection broke, so it asks for an answer first. True
	 * if the broker was silent for a TTL. */
	#judge() {
		const at = now();
		if (this.#open && !this.#doubt) {
			if (at - this.#sure < this.#spanMs || !this.#holds().length) this.#sure = at;
			else {
				this.#doubt = true;
				this.ask({ msg: { type: "events", limit: 0 } }); // `ok`
			}
		}
		if (at >= this.#limit) this.#holds().forEach((claim) => this.#lose(claim));
		return at >= this.#contact + this.#ttlMs;
	}

	#known() {
		this.#doubt = false;
		this.#sure = now();
		if (this.#asked) this.sure();
	}

	#arm() {
		clearTimeout(this.#deadline);
		const ends = [this.#contact + this.#ttlMs];
		if (this.#holds().length)
			ends.push(this.#limit, ...(this.#open ? [now() + this.#spanMs / 4] : []));
		this.#deadline = +setTimeout(() => this.#due(), Math.min(...ends) - now() + 5);
	}

	#due() {
		const gone = now() >= this.#limit;
		const silent = this.#judge();
		const socket = this.#open && this.#socket;
		if (socket && gone) {
			socket.close();
			this.#closed(socket, 1006, true);
			return;
		}
		if (silent) this.post({ ev: "down", silent, limit: this.#limit });
		else this.#arm();
	}

	/** @param {FromBroker.Message} m */
	#hear(m) {
		const { ref = 0, lease } = /** @type {{ ref?: number, lease?: number }} */ (m);
		const claim =
			this.#claims.get(ref)
			?? [...this.#claims.values()].find((c) => lease && c.lease === lease);
		if (m.type === "heartbeat") this.#heartbeat();
		else if (m.type === "welcome") this.#welcome(m);
		else if (m.type === "ok") this.#listing ? this.#settle() : this.#known();
		else if (m.type === "claim") this.#listed(m);
		else if (m.type === "denied") {
			if (!this.#open && m.code === "stale") this.stop({ code: 4401 });
			else if (claim) this.#denied(claim, m);
		} else if (claim) this.#tell(claim, /** @type {Told} */ (m));
		else if (m.type === "offered" || m.type === "granted")
			this.#listed({ ...m, state: m.type });
		else if (m.type === "status" || m.type === "reload") this.post({ ev: "msg", m });
	}

	#heartbeat() {
		this.ask({ msg: { type: "alive" } });
		this.post({ ev: "contact", limit: this.#limit });
		this.#stalled = this.#pingAt > 0;
		if (this.#stalled) this.about({ fields: { stalled_ms: Math.round(now() - this.#pingAt) } });
		else {
			this.#pingAt = now();
			this.post({ ev: "ping" });
		}
	}

	/** @param {FromBroker.Welcome} m */
	#welcome({ session, session_ttl_s, linger_s = 2, resumed, rights, dev }) {
		this.#open = this.#listing = true;
		this.#openedAt = now();
		this.#sessionId = session;
		this.#ttlMs = session_ttl_s * 1000;
		this.#lingerMs = linger_s * 1000;
		this.#spanMs = this.#lingerMs / 2;
		this.#quick = 0;
		this.#known();
		this.#arm();
		for (const claim of this.#claims.values()) claim.seen = false;
		this.post({
			ev: "open",
			limit: this.#limit,
			session,
			rights: rights ?? null,
			dev: dev ?? false,
		});
		this.about({ fields: this.#about });
		if (resumed)
			this.ask({ msg: { type: "subscribe" } }); // `ok` ends the list
		else this.#settle();
	}

	#settle() {
		const listing = this.#listing;
		this.#listing = false;
		for (const claim of listing ? [...this.#claims.values()] : [])
			if (claim.seen) continue;
			else if (claim.state === "asked") this.#ask(claim);
			else this.#end(claim);
	}

	/** @param {Listed} m */
	#listed(m) {
		const { ref = 0, fence = 0 } = m;
		const claim = this.#claims.get(ref);
		const holds = m.state !== "queued" && m.state !== "offered";
		if (!claim && this.#orphans.has(ref) && !holds) this.#orphans.set(ref, m);
		else if (!claim) this.#giveBack(m);
		else {
			claim.seen = true;
			claim.lease = m.lease;
			if (claim.state === "dropped" || (holds && claim.requeue)) this.release(claim);
			else if (claim.state === "held" && (!holds || fence !== claim.fence)) this.#lose(claim);
			else if (claim.state === "asked" && m.state !== "queued")
				this.#tell(claim, { ...m, fence, type: holds ? "granted" : "offered" });
			else if (m.state === "held" || m.state === "loading")
				this.#tell(claim, { ...m, type: "keep" });
		}
	}

	/** @param {{ lease?: number }|null} m */
	#giveBack(m) {
		if (m?.lease) this.ask({ msg: { type: "release", lease: m.lease } });
	}

	/** @param {SessionClaim} claim @param {FromBroker.Denied} m */
	#denied(claim, m) {
		const asked = claim.state === "asked";
		if (m.code === "draining")
			claim.seen = false; // asked again
		else if (m.code === "stale" && !asked) this.#end(claim);
		else if (m.code !== "stale" && asked && !claim.requeue) this.#end(claim, m);
	}

	/** @param {SessionClaim} claim @param {Told} m */
	#tell(claim, m) {
		const { lease } = m;
		claim.lease = lease;
		if (m.type === "released" && claim.requeue && !m.reason) return;
		if (m.type === "timeout" || m.type === "released") this.#end(claim, m);
		else if (claim.state === "dropped") this.#giveBack(m);
		else if (claim.state === "lost")
			return; // given back once the page has stopped
		else if (
			m.type === "granted"
			&& (claim.state === "held" ? m.fence !== claim.fence : m.fence <= claim.fence)
		)
			this.#lose(claim); // somebody may hold a newer one
		else if (m.type === "offered") {
			if (!this.#left) this.ask({ msg: { type: "accept", lease } });
		} else if (["queued", "granted", "yield", "keep", "revoked"].includes(m.type)) {
			if (m.type === "queued") claim.requeue = false;
			if (m.type === "granted") {
				claim.state = "held";
				claim.fence = m.fence;
				this.#arm();
			}
			this.post({ ev: "msg", m: { ...m, ref: claim.ref } });
		}
	}

	/** Not ours any more. The broker hears `release` when the page has stopped.
	 * @param {SessionClaim} claim */
	#lose(claim) {
		claim.state = "lost";
		this.post({ ev: "msg", m: { type: "lost", ref: claim.ref } });
	}

	/** @param {SessionClaim} claim
	 * @param {FromBroker.Released|FromBroker.Timeout|FromBroker.Denied|Over} [m] */
	#end(claim, m = { type: claim.state === "held" ? "lost" : "released" }) {
		this.#claims.delete(claim.ref);
		this.post({ ev: "msg", m: { ...m, ref: claim.ref } });
	}
}
