// port: gives the Broker a Link, in a dedicated Worker where one can start, else on this thread
// (then it answers from onmessage; page timers are throttled). Used by broker.js.
// @ts-check
import { Link } from "./link.js";

/** @param {string} url of a script of another origin */
function imported(url) {
	const source = `import ${JSON.stringify(url)};`;
	return URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
}

/**
 * @param {(event: any) => void} on
 * @param {boolean} here never start a Worker
 * @param {number} timeoutMs for the Worker to come up
 * @returns {(command: any) => void}
 */
export function openPort(on, here, timeoutMs) {
	/** @type {any[]} */
	const early = [];
	/** @type {((command: any) => void)|null} */
	let send = null;
	/** @param {(command: any) => void} to */
	const ready = (to) => {
		if (send)
			return;
		send = to;
		early.splice(0).forEach(to);
	};
	const onThisThread = () => {
		const link = new Link(on);
		ready((command) => link.do(command));
	};
	if (here || typeof Worker === "undefined") {
		onThisThread();
	} else try {
		const worker = import.meta.url.startsWith(location.origin + "/")
			? new Worker(new URL("./worker.js", import.meta.url), { type: "module" })
			: new Worker(imported(new URL("./worker.js", import.meta.url).href), { type: "module" });
		const fail = () => {
			if (send)
				return;
			worker.terminate();
			onThisThread();
		};
		worker.onerror = fail;
		worker.onmessage = ({ data }) => data.ev === "up"
			? ready((command) => worker.postMessage(command)) : on(data);
		setTimeout(fail, timeoutMs);
	} catch {
		onThisThread();
	}
	return (command) => send ? send(command) : early.push(command);
}
