// @ts-check
// worker: a Session where a hidden or blocked page still answers.
import { Session } from "./session.js";

/** @import { Command } from "./types.js" */

const session = new Session((event) => {
	postMessage(event);
	if (event.event === "stopped") close();
});
onmessage = (/** @type {MessageEvent<Command>} */ { data }) => session.do(data);
postMessage({});
