// @ts-check
// One session for pages that only look: it holds no lease and waits for none, answers heartbeats,
// and comes back by itself with growing pauses. Questions go one at a time, so an answer is always
// the one to the question before it. For dashboard and log viewer; pages that compute use the SDK.
import { pageKey } from "./page_key.js";

const BACKOFF_MIN_MS = 250;
const BACKOFF_MAX_MS = 5000;
const ANSWER_MS = 10_000;

/**
 * @typedef {"connecting"|"open"|"reconnecting"|"signed-out"|"closed"} MonitorState
 * @typedef {import("/sdk/protocol.js").ToBroker.Message} Asked
 * @typedef {import("/sdk/protocol.js").FromBroker.Message} Message
 * @typedef {{message: Asked, type: string, resolve(answer: Message): void,
 *   reject(error: Error): void}} Question
 */

/** What the broker refused, or that it did not answer; `code` is of the protocol's table. */
export class MonitorError extends Error {
	/** @param {string} code @param {string} message */
	constructor(code, message) {
		super(message);
		this.name = "MonitorError";
		this.code = code;
	}
}

export class MonitorSession extends EventTarget {
	/** @param {{id: string, url?: string, after?: Promise<unknown>}} options `after`: what comes
	 *   before it connects; until then it is `connecting`, too */
	constructor({ id, url, after }) {
		super();
		this.id = id;
		this.url =
			url
			?? `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`
				+ "/v1/gpu/session";
		/** @type {MonitorState} */
		this.state = "connecting";
		/** @type {import("/sdk/protocol.js").FromBroker.Welcome|null} */
		this.welcome = null;
		/** @type {WebSocket|null} */
		this.socket = null;
		/** @type {Question[]} */
		this.questions = [];
		this.tries = 0;
		this.timer = 0;
		this.answerTimer = 0;
		this.hurry = () => {
			if (this.timer && !document.hidden) this.connect();
			this.tellAbout();
		};
		document.addEventListener("visibilitychange", this.hurry);
		addEventListener("online", this.hurry);
		addEventListener("pagehide", () => this.leave());
		addEventListener("pageshow", ({ persisted }) => {
			if (persisted && this.state !== "closed") this.connect();
		});
		if (after) after.then(() => this.begin());
		else this.connect();
	}

	/** Unless it was closed, or connected by something else, meanwhile. */
	begin() {
		if (this.state === "connecting" && !this.socket) this.connect();
	}

	/** Whether this session may do an operator's acts. */
	get admin() {
		return this.welcome?.rights === "admin";
	}

	connect() {
		clearTimeout(this.timer);
		this.timer = 0;
		const socket = new WebSocket(this.url);
		this.socket = socket;
		const token = pageKey(); // read while the other side answers: the first time it takes long
		socket.onopen = () => {
			socket.send(JSON.stringify({ type: "hello", version: 1, id: this.id, token }));
			this.askOldest();
		};
		socket.onmessage = (event) => this.read(event.data);
		socket.onclose = (event) => this.lost(event.code, event.reason);
	}

	/** @param {string} text */
	read(text) {
		/** @type {Message} */
		const message = JSON.parse(text);
		switch (message.type) {
			case "heartbeat":
				this.send({ type: "alive" });
				return;
			case "welcome":
				this.welcome = message;
				this.tries = 0;
				this.tellAbout();
				this.become("open");
				return;
			default:
				this.settle(message);
				this.dispatchEvent(new CustomEvent("message", { detail: message }));
		}
	}

	/** What other people's dashboards say of this page. */
	tellAbout() {
		const page = location.pathname;
		this.send({ type: "about", page, origin: location.origin, visible: !document.hidden });
	}

	/** The oldest question has its answer, or a refusal. @param {Message} message */
	settle(message) {
		const question = this.questions[0];
		if (!question) return;
		if (message.type === question.type) {
			this.next();
			question.resolve(message);
		} else if (message.type === "denied") {
			this.next();
			const said = [message.message, message.detail].filter(Boolean).join(" ");
			question.reject(new MonitorError(message.code, said));
		}
	}

	next() {
		clearTimeout(this.answerTimer);
		this.questions.shift();
		this.askOldest();
	}

	askOldest() {
		const question = this.questions[0];
		if (!question) return;
		this.send(question.message);
		clearTimeout(this.answerTimer);
		this.answerTimer = setTimeout(() => this.socket?.close(4000, "no answer"), ANSWER_MS);
	}

	/** @param {number} code @param {string} reason */
	lost(code, reason) {
		clearTimeout(this.answerTimer);
		this.socket = null;
		const questions = this.questions;
		this.questions = [];
		if (this.state === "closed") return;
		this.welcome = null;
		const signedOut = code === 4401 || code === 4403;
		const pause = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** this.tries);
		this.tries++;
		this.timer = setTimeout(
			() => this.connect(),
			signedOut ? BACKOFF_MAX_MS : pause * (0.5 + Math.random() / 2),
		);
		this.become(signedOut ? "signed-out" : "reconnecting", { code, reason });
		for (const { reject } of questions) {
			reject(new MonitorError("unreachable", "The connection to the broker was lost."));
		}
	}

	/** @param {MonitorState} state @param {object} [detail] */
	become(state, detail = {}) {
		const before = this.state;
		this.state = state;
		if (before === state && state !== "open") return;
		this.dispatchEvent(new CustomEvent("state", { detail: { state, ...detail } }));
	}

	/** Says something that wants no answer. @param {Asked} message */
	send(message) {
		if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
	}

	/**
	 * Asks, and waits for an answer of that type. Rejects with a MonitorError. What is asked before
	 * the first welcome goes along with the hello, and may be answered before it.
	 * @template {Message["type"]} T
	 * @param {Asked} message
	 * @param {T} type
	 * @returns {Promise<Extract<Message, {type: T}>>}
	 */
	ask(message, type) {
		if (this.state !== "open" && this.state !== "connecting") {
			return Promise.reject(
				new MonitorError("unreachable", "The broker does not answer now."),
			);
		}
		return new Promise((resolve, reject) => {
			this.questions.push({
				message,
				type,
				reject,
				resolve: /** @type {(answer: Message) => void} */ (resolve),
			});
			if (this.questions.length === 1) this.askOldest();
		});
	}

	/** The page goes, for good or into the browser's memory: it is not cut off, it says so. */
	leave() {
		clearTimeout(this.timer);
		clearTimeout(this.answerTimer);
		if (!this.socket) return;
		const { socket } = this;
		this.send({ type: "bye" });
		socket.onclose = null;
		socket.close(1000);
		this.lost(1000, "the page was left");
		clearTimeout(this.timer);
	}

	close() {
		this.become("closed");
		clearTimeout(this.timer);
		document.removeEventListener("visibilitychange", this.hurry);
		removeEventListener("online", this.hurry);
		this.send({ type: "bye" });
		this.socket?.close(1000);
	}
}
