// port: runs a Link in a dedicated Worker, or on this thread where none can start.
// @ts-check
import { Link } from "./link.js";

/** @import { Send } from "./types.js" */

/** @type {(on: Send, here: boolean) => Send} */
export function openPort(on, here) {
	/** @type {any[]} */
	const early = [];
	/** @type {Send|undefined} */
	let send;
	const ready = (/** @type {Send} */ to) => early.splice(0).forEach(send = to);
	const onThisThread = () => {
		const link = new Link(on);
		ready((command) => link.do(command));
	};
	try {
		if (here)
			throw here;
		const { href, origin } = new URL("./worker.js", import.meta.url);
		const worker = new Worker(origin === location.origin ? href : URL.createObjectURL(
			new Blob([`import "${href}"`], { type: "text/javascript" })), { type: "module" });
		const fail = () => {
			if (!send) {
				worker.terminate();
				onThisThread();
			}
		};
		worker.onerror = fail;
		worker.onmessage = ({ data }) => data.ev ? on(data)
			: ready((command) => worker.postMessage(command));
		setTimeout(fail, 4_000);
	} catch {
		onThisThread();
	}
	return (command) => send ? send(command) : early.push(command);
}
