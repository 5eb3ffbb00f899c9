// @ts-check
// worker: a Session where a hidden or blocked page still answers.
import { Session } from "./session.js";

/** @import { Command, Hold } from "./types.js" */

const session = new Session((event) => {
	postMessage(event);
	if (event.event === "stop") close();
}, true);
/** @type {string|null} */ let lock = null;
/** @type {(value?: unknown) => void} */ let unlock = () => {};

/** Held while something is at stake: the page gets it when this thread was ended.
 * @param {string|null} name */
function hold(name) {
	unlock();
	lock = name;
	if (name)
		navigator.locks
			?.request(name, () => {
				if (lock !== name) return null;
				postMessage({ locked: name });
				return new Promise((resolve) => (unlock = resolve));
			})
			.catch(() => {}); // as in a sandboxed frame
}

onmessage = (/** @type {MessageEvent<Command|Hold>} */ { data }) =>
	data[0] === "hold" ? hold(data[1]) : session.do(data);
postMessage({});
