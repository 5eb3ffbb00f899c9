// worker: a Link where a hidden or blocked page still answers.
// @ts-check
import { Link } from "./link.js";

/** @import { Command } from "./types.js" */

const link = new Link((event) => {
	postMessage(event);
	if (event.ev === "stopped")
		close();
});
onmessage = (/** @type {MessageEvent<Command>} */ { data }) => link.do(data);
postMessage({});
