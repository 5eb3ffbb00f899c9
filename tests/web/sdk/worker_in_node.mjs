// @ts-check
// The SDK's worker for Node, which has none of the web: the same Session behind the same messages,
// on this thread, but told that it has one of its own. Used by the tests here.
import { Session, now } from "../../../web/sdk/session.js";

/** @type {any} */
const place = globalThis;

/** A Worker that runs a Session, as worker.js does; `lag` holds back what it says to the page. */
class SessionWorker {
	/** @type {SessionWorker[]} */
	static all = [];
	/** @type {object[]} said while the page's thread does not hear */
	unheard = [];
	busy = false;
	/** @type {(event: {data: object}) => void} */
	onmessage = () => {};

	constructor() {
		SessionWorker.all.push(this);
		this.session = new Session((event) => this.say({ ...event, at: now() }), true);
		queueMicrotask(() => this.say({}));
	}

	/** @param {object} data */
	say(data) {
		if (this.busy) this.unheard.push(data);
		else queueMicrotask(() => this.onmessage({ data }));
	}

	/** The page's thread runs again, and hears all that was said meanwhile. */
	hearAll() {
		this.busy = false;
		for (const data of this.unheard.splice(0)) this.onmessage({ data });
	}

	/** @param {any} command */
	postMessage(command) {
		if (command.op !== "hold") queueMicrotask(() => this.session.do(command));
	}

	terminate() {}
}

/** Brokers made from now on have it, until the function that comes back is called. */
export function provideWorker() {
	place.location = { origin: "null" };
	place.Worker = SessionWorker;
	SessionWorker.all = [];
	return () => {
		delete place.location;
		delete place.Worker;
	};
}

/** Those that were started, in this order. */
export const workers = () => SessionWorker.all;
