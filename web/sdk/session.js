// @ts-check
// session: one session over a WebSocket, and which claims the broker knows.
import { closeError, now, onRefused, postJson } from "./errors.js";

/** @import { FromBroker } from "./protocol.js" */
/** @import { AboutFields, Backoff, Commands, Doers } from "./types.js" */
/** @import { Ended, Happening } from "./types.js" */
/** @import { Listed, Over, Post, Said, SessionClaim, Start, Told } from "./types.js" */

/** What a page is told of its claim as the broker says it. */
const TOLD = ["queued", "granted", "yield", "keep", "notice", "revoked"];

/** @param {{ type: string }} message @returns {message is Told} */
const isTold = (message) => TOLD.includes(message.type);

/** @type {Backoff} */
export const backoffMs = (tries, minMs, maxMs, random = Math.random) =>
	random() * Math.min(maxMs, minMs * 2 ** tries);

/** While a turn or a place is at stake: at once, then soon and often. */
export const quickMs = (/** @type {number} */ tries) =>
	tries && Math.min(50 * 2 ** (tries - 1), 200);

export class Session {
	/** @type {WebSocket|null} */ #socket = null;
	/** @type {Map<number, SessionClaim>} */ #claims = new Map();
	/** @type {Start|undefined} */ #start;
	/** @type {string|undefined} */ #sessionId;
	/** @type {AboutFields} */ #about = {};
	#retry = 0;
	#deadline = 0;
	#open = false;
	#listing = false;
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
	/** A try to connect failed since the session was open: not this thread alone was away. */
	#failed = false;
	/** Of the broker, between heartbeats. */
	#pingMs = 5_000;
	/** When this session last showed by a request that it lives. */
	#shown = 0;
	/** Grants of which is not known whether they are over by now.
	 * @type {FromBroker.Granted[]} */
	#unsure = [];
	#ended = new AbortController();
	#apart;

	/** @param {Post} post @param {boolean} [apart] on a thread of its own, which is never busy */
	constructor(post, apart = false) {
		/** @type {(event: Happening) => void} */
		this.post = (event) => post({ ...event, at: now(), limit: this.#limit });
		this.#apart = apart;
	}

	/** @template {keyof Commands} K @param {[op: K, ...how: Commands[K]]} command */
	do([op, ...how]) {
		this.#judge();
		/** @type {Doers} */ (this)[op](...how);
	}

	/** Answers once it is known whether what is held is still ours. */
	sure() {
		this.#asked = this.#open && this.#doubt;
		if (!this.#asked) this.post({ event: "sure" });
	}

	/** @param {Start} start */
	start(start) {
		this.#start = start;
		this.#sessionId = start.resume;
		// The page's policy lasts as long as the page. Chromium tells it by this alone.
		onRefused(
			new URL(start.url).origin,
			() => this.#socket && !this.#open && this.#blocked(),
			this.#ended,
		);
		this.#arm();
		this.#connect();
	}

	/** @type {Doers["acquire"]} */
	acquire(ref, message, until) {
		/** @type {SessionClaim} */
		const claim = {
			ref,
			message,
			until,
			lease: 0,
			fence: 0,
			spokeAt: 0,
			state: "asked",
		};
		this.#claims.set(ref, claim);
		if (this.#open && !this.#listing) this.#ask(claim);
	}

	/** Where nothing else keeps this thread, and no page is hidden that a browser may stop, the
	 * request itself says that it is answered: no offer has to ask for that.
	 * @param {SessionClaim} claim */
	#ask(claim) {
		const { ref, message, until } = claim;
		claim.lease = 0;
		claim.seen = true;
		claim.requeue = false;
		claim.spokeAt = now();
		this.#say({
			type: "acquire",
			ref,
			...message,
			accept: this.#apart && this.#about.visible !== false,
			timeout_s: until === null ? null : Math.max(1, until - now()) / 1000,
		});
	}

	/** @type {Doers["release"]} */
	release(ref, requeue = false, until = null) {
		const claim = this.#claims.get(ref);
		if (!claim) {
			// Over before the page said so: it may wait to hear that.
			this.#end(/** @type {SessionClaim} */ ({ ref }));
			return;
		}
		claim.state = requeue ? "asked" : "dropped";
		claim.requeue = requeue;
		claim.until = until;
		if (this.#open && claim.lease) this.#say({ type: "release", lease: claim.lease, requeue });
		else if (this.#open && claim.seen) this.#say({ type: "cancel", ref });
		else if (!this.#sessionId) this.#end(claim);
	}

	/** @type {Doers["ask"]} */
	ask(message, ref = 0) {
		const lease = this.#claims.get(ref)?.lease;
		if (lease || !ref) this.#say({ lease, ...message });
	}

	/** @param {Said} message */
	#say(message) {
		if (!this.#open) return;
		this.#spoke = now();
		this.#socket?.send(JSON.stringify(message));
	}

	/** @param {AboutFields} fields */
	about(fields) {
		Object.assign(this.#about, fields);
		this.#say({ type: "about", ...fields });
	}

	pong() {
		this.#pingAt = 0;
		if (this.#about.stalled_ms) this.about({ stalled_ms: 0 });
	}

	/** For the page alone, see session_port.js. */
	watch() {}

	kick() {
		if (!this.#socket) this.#connect();
	}

	/** For good, or into the browser's cache: nobody is to wait for its answer.
	 * @type {Doers["leave"]} */
	leave(keep) {
		for (const ref of keep) this.#shelve(ref);
		this.#bye();
	}

	/** Out of the cache: the session goes on, or its places are asked for anew.
	 * @param {boolean} anew the session is another page's by now */
	back(anew) {
		if (anew) this.#sessionId = undefined;
		if (!this.#start) return;
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

	/** @param {number} [code] */
	stop(code) {
		this.#bye();
		this.#start = undefined;
		this.#ended.abort();
		this.post({ event: "stop", code });
	}

	#bye() {
		this.#say({ type: "bye" });
		this.#hangUp();
	}

	#blocked() {
		this.#hangUp();
		this.post({ event: "close", blocked: true, silent: true });
	}

	#connect() {
		clearTimeout(this.#retry);
		if (!this.#start) return;
		const { url, hello, timeoutMs } = this.#start;
		let socket;
		try {
			socket = this.#socket = new WebSocket(url.replace("http", "ws"));
		} catch {
			this.#blocked();
			return;
		}
		const timer = setTimeout(
			() => this.#closed(socket, 1006, true),
			Math.min(timeoutMs, this.#quick ? this.#spanMs / 2 : Infinity),
		);
		socket.onopen = () =>
			socket.send(
				JSON.stringify({ type: "hello", version: 1, ...hello, resume: this.#sessionId }),
			);
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
			this.#closed(socket, code);
		};
		socket.onerror = () => {};
	}

	/** @type {(socket: WebSocket|null, code: number, late?: boolean) => void} */
	#closed(socket, code, late) {
		if (this.#socket !== socket) return;
		this.#judge(); // first, to know since when
		const was = this.#open;
		this.#hangUp();
		if (closeError(code)) {
			this.stop(code);
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
			this.#sessionId = undefined;
			this.#spanMs = 0;
		}
		const silent = this.#judge();
		this.post({ event: "close", code, late, silent });
		if (this.#asked) this.sure();
		if (!silent) this.#arm();
		this.#retry = +setTimeout(() => this.#connect(), this.#pauseMs());
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
		if (at >= this.#limit)
			for (const claim of this.#claims.values()) {
				claim.spokeAt = 0;
				if (claim.state === "held") this.#lose(claim);
			}
		return at >= this.#contact + this.#ttlMs;
	}

	#question() {
		this.#doubt = true;
		this.#say({ type: "events", limit: 0 }); // `ok`
	}

	/** The socket says nothing though the broker should. In Firefox that of a worker waits for its
	 * page's thread, and a request does not: so the broker hears of us, and what the socket has not
	 * delivered yet is asked for before anything held counts as still ours. */
	async #show(socket = this.#socket) {
		const at = (this.#shown = now());
		if (!this.#doubt) this.#question();
		const answer = await postJson(`${this.#start?.url}/alive`, {
			session: this.#sessionId,
		}).catch(() => null);
		if (this.#socket !== socket) return;
		if (answer?.status === 409) {
			this.#closed(socket, 1006, true);
			return;
		}
		if (answer?.ok) {
			this.#contact = Math.max(this.#contact, at);
			this.#spoke = Math.max(this.#spoke, at);
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
		for (const message of this.#unsure.splice(0)) this.#hear(message);
	}

	#arm() {
		clearTimeout(this.#deadline);
		let end = this.#contact + this.#ttlMs;
		if (this.#holds().length)
			end = Math.min(this.#limit, this.#open ? now() + this.#spanMs / 4 : Infinity);
		if (this.#open && this.#claims.size) end = Math.min(end, this.#showAt);
		this.#deadline = +setTimeout(() => this.#due(), end - now() + 5);
	}

	#due() {
		const gone = now() >= this.#limit;
		const silent = this.#judge();
		if (this.#open && gone) this.#closed(this.#socket, 1006, true);
		else if (!silent) {
			if (this.#open && this.#claims.size && now() >= this.#showAt) this.#show();
			this.#arm();
		} else if (this.#failed) this.post({ event: "close", silent });
	}

	/** @param {FromBroker.Message & { ref?: number, lease?: number }} message */
	#hear(message) {
		const { ref = 0, lease } = message;
		const claim =
			this.#claims.get(ref)
			?? [...this.#claims.values()].find((known) => lease && known.lease === lease);
		if (message.type === "welcome") this.#welcome(message);
		else if (message.type === "heartbeat") this.#heartbeat();
		else if (message.type === "ok")
			if (this.#listing) this.#settle();
			else this.#known();
		else if (message.type === "claim") this.#listed(message);
		else if (message.type === "status" || message.type === "reload")
			this.post({ event: "message", message });
		else if (message.type === "denied") {
			if (!this.#open && message.code === "stale") this.stop(4401);
			else if (claim) this.#denied(claim, message);
		} else if (message.type === "granted" && claim && this.#isLate(claim))
			this.#unsure.push(message);
		else if (claim) this.#tell(claim, message);
		else if (message.type === "offered" || message.type === "granted")
			this.#listed({ ...message, state: message.type });
	}

	/** Whether this thread stood still since it asked or accepted. What was granted meanwhile may be
	 * over, and what ended it lies before the answer to a question. @param {SessionClaim} claim */
	#isLate(claim) {
		if (!this.#doubt && now() - claim.spokeAt >= this.#spanMs) this.#question();
		if (this.#doubt) claim.spokeAt = Infinity;
		return this.#doubt;
	}

	#heartbeat() {
		this.#say({ type: "alive" });
		if (this.#pingAt) this.about({ stalled_ms: Math.round(now() - this.#pingAt) });
		this.#pingAt ||= now();
		this.post({ event: "ping" });
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
		this.#unsure = [];
		this.#known();
		this.#arm();
		for (const claim of this.#claims.values()) claim.seen = false;
		this.post({ event: "open", session, rights, dev });
		this.about(this.#about);
		if (resumed)
			this.#say({ type: "subscribe" }); // `ok` ends the list
		else this.#settle();
	}

	#settle() {
		this.#listing = false;
		for (const claim of this.#claims.values()) if (!claim.seen) this.#askAnew(claim);
	}

	/** What the broker has forgotten while this thread stood still, or over a restart. It knows the
	 * place of a request for some time. @param {SessionClaim} claim */
	#askAnew(claim) {
		if (claim.state === "asked") this.#ask(claim);
		else this.#end(claim);
	}

	/** @param {Listed} message */
	#listed(message) {
		const { ref = 0, fence = 0 } = message;
		const claim = this.#claims.get(ref);
		const holds = message.state !== "queued" && message.state !== "offered";
		if (!claim) this.#shelve(ref);
		else {
			claim.seen = true;
			claim.lease = message.lease;
			if (claim.state === "dropped" || (holds && claim.requeue))
				this.release(ref, claim.requeue, claim.until);
			else if (claim.state === "held" && (!holds || fence !== claim.fence)) this.#lose(claim);
			else if (claim.state === "asked" && message.state !== "queued")
				this.#tell(claim, { ...message, fence, type: holds ? "granted" : "offered" });
			else if (message.state === "held" || message.state === "loading")
				this.#tell(claim, { ...message, type: "keep" });
		}
	}

	/** Of a page that is gone, or goes: it has its place once it asks again, and what it had of its
	 * turn is over. @param {number} ref */
	#shelve(ref) {
		this.#say({ type: "cancel", ref, keep: true });
	}

	/** @param {SessionClaim} claim @param {FromBroker.Denied} message */
	#denied(claim, message) {
		const asked = claim.state === "asked";
		if (message.code === "draining")
			claim.seen = false; // asked again
		else if (message.code !== "stale") {
			if (asked && !claim.requeue) this.#end(claim, message);
		} else if (!asked) this.#end(claim);
	}

	/** @param {SessionClaim} claim @param {FromBroker.Message & { lease?: number }} message */
	#tell(claim, message) {
		claim.lease = message.lease || claim.lease;
		if (message.type === "released" && claim.requeue && !message.reason) return;
		if (message.type === "released" && !claim.spokeAt && message.reason === "disconnected")
			this.#askAnew(claim);
		else if (message.type === "released" || message.type === "timeout")
			this.#end(claim, message);
		else if (claim.state === "dropped") this.#say({ type: "release", lease: claim.lease });
		else if (claim.state !== "lost") this.#follow(claim, message);
	}

	/** What the broker says of a claim that is not given up. One that is lost is given back once the
	 * page has stopped. @param {SessionClaim} claim @param {FromBroker.Message & { lease?: number }} message */
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
			claim.spokeAt = now();
			this.#say({ type: "accept", lease: message.lease });
		} else if (isTold(message)) {
			if (message.type === "queued") claim.requeue = false;
			if (message.type === "granted") {
				claim.state = "held";
				claim.fence = message.fence;
				this.#arm();
			}
			this.#toPage(claim, message);
		}
	}

	/** Not ours any more. The broker hears `release` when the page has stopped.
	 * @param {SessionClaim} claim */
	#lose(claim) {
		claim.state = "lost";
		this.#toPage(claim, { type: "lost" });
	}

	/** @param {SessionClaim} claim @param {Ended} [message] */
	#end(claim, message = { type: claim.state === "held" ? "lost" : "released" }) {
		this.#claims.delete(claim.ref);
		this.#toPage(claim, message);
	}

	/** @param {SessionClaim} claim @param {Told|Ended} message */
	#toPage({ ref }, message) {
		this.post({ event: "message", message: { ...message, ref } });
	}
}
