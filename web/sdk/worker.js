// @ts-check
// worker: a Session where a hidden or blocked page still answers.
import { Session, now } from "./session.js";

/** @import { WorkerCommand } from "./types.js" */

const session = new Session((event) => {
	postMessage({ ...event, at: now() });
	if (event.event === "stopped") close();
}, true);
/** @type {string|null} */ let lock = null;
let unlock = () => {};

/** Held while something is at stake: the page gets it when this thread was ended.
 * @param {string|null} name */
function hold(name) {
	unlock();
	lock = name;
	if (name)
		navigator.locks?.request(name, () => {
			if (lock !== name) return null;
			postMessage({ locked: name });
			return new Promise((resolve) => (unlock = () => resolve(0)));
		});
}

onmessage = (/** @type {MessageEvent<WorkerCommand>} */ { data }) =>
	data.op === "hold" ? hold(data.lock) : session.do(data);
postMessage({});
