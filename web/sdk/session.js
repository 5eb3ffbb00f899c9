// @ts-check
// session: one session over a WebSocket, and which claims the broker knows.
import { closeError, postJson } from "./errors.js";

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
	/** @type {Start|undefined} */ #start;
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
	/** A try to connect failed since the session was open: not this thread alone was away. */
	#failed = false;
	/** Of the broker, between heartbeats. */
	#pingMs = 5_000;
	/** When this session last showed by a request that it lives. */
	#shown = 0;
	/** @param {SecurityPolicyViolationEvent} event */
	#violated = (event) => this.#forbidden(event);

	/** @param {Post} post @param {boolean} [apart] on a thread of its own, which is never busy */
	constructor(post, apart = false) {
		this.post = post;
		this.apart = apart;
		globalThis.addEventListener?.("securitypolicyviolation", this.#violated);
	}

	/** @param {Exclude<Command, { op: "watch" }>} command */
	do(command) {
		this.#judge();
		/** @type {Record<string, (command: Command) => void>} */ (/** @type {unknown} */ (this))[
			command.op
		](command);
	}

	/** Answers once it is known whether what is held is still ours. */
	sure() {
		this.#asked = this.#open && this.#doubt;
		if (!this.#asked) this.post({ event: "sure" });
	}

	/** @param {Start} start */
	start(start) {
		if (this.#stopped) return;
		this.#start = start;
		this.#sessionId = start.resume;
		for (const ref of start.adopt) this.#orphans.set(ref, null);
		this.#arm();
		this.#connect();
	}

	/** @param {Extract<Command, { op: "acquire" }>} command */
	acquire({ ref, message, until }) {
		/** @type {SessionClaim} */
		const claim = {
			ref,
			message,
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

	/** Where nothing else keeps this thread, and no page is hidden that a browser may stop, the
	 * request itself says that it is answered: no offer has to ask for that.
	 * @param {SessionClaim} claim */
	#ask(claim) {
		const { ref, message, until } = claim;
		claim.seen = true;
		claim.requeue = false;
		this.ask({
			message: {
				type: "acquire",
				ref,
				...message,
				accept: this.apart && !this.#left && this.#about.visible !== false,
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
			this.ask({ message: { type: "release", lease: claim.lease, requeue } });
		else if (this.#open && claim.seen) this.ask({ message: { type: "cancel", ref } });
		else if (!this.#sessionId) this.#end(claim);
	}

	/** @param {Ask} command */
	ask({ ref, message }) {
		const lease = this.#claims.get(ref ?? 0)?.lease;
		if (this.#open && (lease || !ref)) {
			this.#spoke = now();
			this.#socket?.send(JSON.stringify({ lease, ...message }));
		}
	}

	/** @param {{ fields: AboutFields }} command */
	about({ fields }) {
		Object.assign(this.#about, fields);
		this.ask({ message: { type: "about", ...fields } });
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
		for (const message of this.#orphans.values()) this.#giveBack(message);
		this.#orphans.clear();
	}

	/** A page that goes into the browser's cache hangs up: nobody is to wait for its answer.
	 * @param {{ keep: number[], cached: boolean }} command */
	leave({ keep, cached }) {
		this.#left = true;
		for (const claim of this.#claims.values())
			if (!keep.includes(claim.ref)) this.#giveBack(claim);
		if (!keep.length) this.ask({ message: { type: "bye" } });
		if (cached) this.#hangUp();
	}

	/** Out of the cache: the session goes on, or its places are asked for anew.
	 * @param {{ anew?: boolean }} [command] the session is another page's by now */
	back({ anew = false } = {}) {
		this.#left = false;
		if (anew) this.#sessionId = null;
		if (!this.#start || this.#stopped) return;
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
		this.ask({ message: { type: "bye" } });
		this.#stopped = true;
		globalThis.removeEventListener?.("securitypolicyviolation", this.#violated);
		this.#hangUp();
		this.post({ event: "stopped", code });
	}

	/** The page's policy, which lasts as long as the page. Chromium tells it by this alone.
	 * @param {SecurityPolicyViolationEvent} event */
	#forbidden({ blockedURI, disposition }) {
		if (
			this.#open
			|| !this.#socket
			|| !this.#start
			|| disposition === "report"
			|| !blockedURI.replace("ws", "http").startsWith(new URL(this.#start.url).origin)
		)
			return;
		this.#hangUp();
		this.post({ event: "down", blocked: true, silent: true });
	}

	#connect() {
		clearTimeout(this.#retry);
		if (!this.#start) return;
		const { url, hello, timeoutMs } = this.#start;
		let socket;
		try {
			socket = this.#socket = new WebSocket(url.replace("http", "ws"));
		} catch {
			// forbidden here
			this.post({ event: "down", blocked: true, silent: true });
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
		this.#failed = !was;
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
		this.post({
			event: "down",
			code,
			late,
			silent,
			limit: this.#limit,
		});
		if (this.#asked) this.sure();
		if (!silent) this.#arm();
		if (!this.#left) this.#retry = +setTimeout(() => this.#connect(), this.#pauseMs());
	}

	#pauseMs() {
		const { minMs, maxMs } = /** @type {Start} */ (this.#start).backoff;
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
			else this.#question();
		}
		if (at >= this.#limit) this.#holds().forEach((claim) => this.#lose(claim));
		return at >= this.#contact + this.#ttlMs;
	}

	#question() {
		this.#doubt = true;
		this.ask({ message: { type: "events", limit: 0 } }); // `ok`
	}

	/** The socket says nothing though the broker should. In Firefox that of a worker waits for its
	 * page's thread, and a request does not: so the broker hears of us, and what the socket has not
	 * delivered yet is asked for before anything held counts as still ours. */
	async #show() {
		const socket = this.#socket;
		const at = (this.#shown = now());
		if (!this.#doubt) this.#question();
		const answer = await postJson(`${this.#start?.url}/alive`, {
			session: this.#sessionId,
		}).catch(() => null);
		if (this.#socket !== socket || !this.#open) return;
		if (answer?.ok) {
			this.#contact = Math.max(this.#contact, at);
			this.#spoke = Math.max(this.#spoke, at);
		} else if (answer?.status === 409) {
			socket?.close();
			this.#closed(/** @type {WebSocket} */ (socket), 1006, true);
			return;
		}
		this.#arm();
	}

	/** When to, if the socket stays silent: early enough for another try. */
	get #showAt() {
		return Math.max(this.#contact, this.#shown) + Math.min(1.5 * this.#pingMs, this.#ttlMs / 3);
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
		if (this.#open && this.#claims.size) ends.push(this.#showAt);
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
		if (silent) {
			if (this.#failed) this.post({ event: "down", silent, limit: this.#limit });
			return;
		}
		if (socket && this.#claims.size && now() >= this.#showAt) this.#show();
		this.#arm();
	}

	/** @param {FromBroker.Message} message */
	#hear(message) {
		const { ref = 0, lease } = /** @type {{ ref?: number, lease?: number }} */ (message);
		const claim =
			this.#claims.get(ref)
			?? [...this.#claims.values()].find((known) => lease && known.lease === lease);
		if (message.type === "heartbeat") this.#heartbeat();
		else if (message.type === "welcome") this.#welcome(message);
		else if (message.type === "ok" && this.#listing) this.#settle();
		else if (message.type === "ok") this.#known();
		else if (message.type === "claim") this.#listed(message);
		else if (message.type === "denied") {
			if (!this.#open && message.code === "stale") this.stop({ code: 4401 });
			else if (claim) this.#denied(claim, message);
		} else if (claim) this.#tell(claim, /** @type {Told} */ (message));
		else if (message.type === "offered" || message.type === "granted")
			this.#listed({ ...message, state: message.type });
		else if (message.type === "status" || message.type === "reload")
			this.post({ event: "message", message });
	}

	#heartbeat() {
		this.ask({ message: { type: "alive" } });
		this.post({ event: "contact", limit: this.#limit });
		this.#stalled = this.#pingAt > 0;
		if (this.#stalled) this.about({ fields: { stalled_ms: Math.round(now() - this.#pingAt) } });
		else {
			this.#pingAt = now();
			this.post({ event: "ping" });
		}
	}

	/** @param {FromBroker.Welcome} m */
	#welcome({ session, session_ttl_s, ping_s = 5, linger_s = 2, resumed, rights, dev }) {
		this.#open = this.#listing = true;
		this.#openedAt = now();
		this.#sessionId = session;
		this.#ttlMs = session_ttl_s * 1000;
		this.#pingMs = ping_s * 1000;
		this.#lingerMs = linger_s * 1000;
		this.#spanMs = this.#lingerMs / 2;
		this.#quick = 0;
		this.#known();
		this.#arm();
		for (const claim of this.#claims.values()) claim.seen = false;
		this.post({
			event: "open",
			limit: this.#limit,
			session,
			rights: rights ?? null,
			dev: dev ?? false,
		});
		this.about({ fields: this.#about });
		if (resumed)
			this.ask({ message: { type: "subscribe" } }); // `ok` ends the list
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

	/** @param {Listed} message */
	#listed(message) {
		const { ref = 0, fence = 0 } = message;
		const claim = this.#claims.get(ref);
		const holds = message.state !== "queued" && message.state !== "offered";
		if (!claim && this.#orphans.has(ref) && !holds) this.#orphans.set(ref, message);
		else if (!claim) this.#giveBack(message);
		else {
			claim.seen = true;
			claim.lease = message.lease;
			if (claim.state === "dropped" || (holds && claim.requeue)) this.release(claim);
			else if (claim.state === "held" && (!holds || fence !== claim.fence)) this.#lose(claim);
			else if (claim.state === "asked" && message.state !== "queued")
				this.#tell(claim, { ...message, fence, type: holds ? "granted" : "offered" });
			else if (message.state === "held" || message.state === "loading")
				this.#tell(claim, { ...message, type: "keep" });
		}
	}

	/** @param {{ lease?: number }|null} message */
	#giveBack(message) {
		if (message?.lease) this.ask({ message: { type: "release", lease: message.lease } });
	}

	/** @param {SessionClaim} claim @param {FromBroker.Denied} message */
	#denied(claim, message) {
		const asked = claim.state === "asked";
		if (message.code === "draining")
			claim.seen = false; // asked again
		else if (message.code === "stale" && !asked) this.#end(claim);
		else if (message.code !== "stale" && asked && !claim.requeue) this.#end(claim, message);
	}

	/** @param {SessionClaim} claim @param {Told} message */
	#tell(claim, message) {
		const { lease } = message;
		claim.lease = lease;
		if (message.type === "released" && claim.requeue && !message.reason) return;
		if (message.type === "timeout" || message.type === "released") this.#end(claim, message);
		else if (claim.state === "dropped") this.#giveBack(message);
		else if (claim.state !== "lost") this.#follow(claim, message);
	}

	/** What the broker says of a claim that is not given up. One that is lost is given back once the
	 * page has stopped. @param {SessionClaim} claim
	 * @param {Exclude<Told, FromBroker.Timeout|FromBroker.Released>} message */
	#follow(claim, message) {
		// A fence that does not fit: somebody may hold a newer one.
		if (
			message.type === "granted"
			&& (claim.state === "held"
				? message.fence !== claim.fence
				: message.fence <= claim.fence)
		)
			this.#lose(claim);
		else if (message.type === "offered") {
			if (!this.#left) this.ask({ message: { type: "accept", lease: message.lease } });
		} else if (
			["queued", "granted", "yield", "keep", "notice", "revoked"].includes(message.type)
		) {
			if (message.type === "queued") claim.requeue = false;
			if (message.type === "granted") {
				claim.state = "held";
				claim.fence = message.fence;
				this.#arm();
			}
			this.post({ event: "message", message: { ...message, ref: claim.ref } });
		}
	}

	/** Not ours any more. The broker hears `release` when the page has stopped.
	 * @param {SessionClaim} claim */
	#lose(claim) {
		claim.state = "lost";
		this.post({ event: "message", message: { type: "lost", ref: claim.ref } });
	}

	/** @param {SessionClaim} claim
	 * @param {FromBroker.Released|FromBroker.Timeout|FromBroker.Denied|Over} [message] */
	#end(claim, message = { type: claim.state === "held" ? "lost" : "released" }) {
		this.#claims.delete(claim.ref);
		this.post({ event: "message", message: { ...message, ref: claim.ref } });
	}
}
