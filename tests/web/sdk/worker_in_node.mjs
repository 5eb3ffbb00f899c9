// @ts-check
// The SDK's worker for Node, which has none of the web: the same Session behind the same messages,
// on this thread, but told that it has one of its own. Used by the tests here.
import { Session } from "../../../web/sdk/session.js";

/** @type {any} */
const place = globalThis;

/** A Worker that runs a Session, as worker.js does. */
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
		this.session = new Session((event) => this.say(event), true);
		queueMicrotask(() => this.say({}));
	}

	/** @param {object} data */
	say(data) {
		if (this.busy) this.unheard.push(data);
		else queueMicrotask(() => this.onmessage({ data }));
	}

	/** The page's thread runs again, and hears all that was said meanwhile, one after the other. */
	async hearAll() {
		for (let data; (data = this.unheard.shift());) {
			this.onmessage({ data });
			await new Promise((resolve) => setImmediate(resolve));
		}
		this.busy = false;
	}

	/** @param {any} command */
	postMessage(command) {
		if (command[0] !== "hold") queueMicrotask(() => this.session.do(command));
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
