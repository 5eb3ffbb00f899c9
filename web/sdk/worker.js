// @ts-check
// worker: a Session where a hidden or blocked page still answers.
import { Session } from "./session.js";

/** @import { Command, Hold } from "./types.js" */

const session = new Session((event) => {
	postMessage(event);
	if (event.event === "stop") close();
}, true);
/** @type {(nothing: null) => void} */ let unlock = () => {};

/** Held while something is at stake: the page gets it when this thread was ended.
 * @param {string|null} name */
function hold(name) {
	unlock(null);
	const over = new Promise((resolve) => (unlock = resolve));
	if (name)
		navigator.locks
			?.request(name, () => {
				postMessage({ locked: name });
				return over;
			})
			.catch(() => {}); // as in a sandboxed frame
}

onmessage = (/** @type {MessageEvent<Command|Hold>} */ { data }) =>
	data[0] === "hold" ? hold(data[1]) : session.do(data);
postMessage({});
