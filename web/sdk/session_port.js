// @ts-check
// session_port: runs a Session in a dedicated Worker, or on this thread where none can start.
import { warnOnce } from "./errors.js";
import { HOME, WORKER } from "./home.js";
import { Session } from "./session.js";

/** @import { Command, SessionEvent, Post, ScriptPolicy, Send } from "./types.js" */

const START_MS = 4_000;
/** @type {ScriptPolicy|undefined} */
let policy;

/** The file where it is the page's own; else a script that carries or fetches it.
 * @returns {string} */
function workerUrl() {
	const file = HOME && new URL("worker.js", HOME);
	if (!file && !WORKER)
		throw new Error("The bundler left it behind: bundle the package that `npm pack` makes.");
	const text = WORKER || `import "${file}"`;
	const url =
		file && file.origin === location.origin
			? file.href
			: URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
	try {
		const { trustedTypes } = /** @type {{ trustedTypes?: { createPolicy(name: string,
			rules: ScriptPolicy): ScriptPolicy } }} */ (globalThis);
		policy ??= trustedTypes?.createPolicy("baton-sdk", { createScriptURL: (same) => same });
	} catch {} // not one of those that the page allows
	return policy?.createScriptURL(url) ?? url;
}

/** @type {(on: Post, here: boolean, onHere: () => void) => Send} */
export function openPort(on, here, onHere) {
	/** @type {Command[]} */
	const early = [];
	/** @type {Send|undefined} */
	let send;
	const ready = (/** @type {Send} */ to) => early.splice(0).forEach((send = to));
	const onThisThread = () => {
		const session = new Session(on);
		onHere();
		ready((command) => session.do(command));
	};
	const fail = (/** @type {{ message?: string }|undefined} */ why) => {
		if (send) return;
		warnOnce(
			"Baton: no worker starts here, so the session runs on this thread, and a turn is "
				+ "lost where it stands still. Allow worker-src blob:, or serve worker.js beside "
				+ `index.js. (${why?.message ?? "It does not load."})`,
		);
		onThisThread();
	};
	if (here) {
		onThisThread();
		return (command) => send?.(command);
	}
	try {
		const worker = new Worker(workerUrl(), { type: "module" });
		const stop = (/** @type {ErrorEvent|undefined} */ why) => {
			if (!send) worker.terminate();
			fail(why);
		};
		worker.onerror = stop;
		worker.onmessage = (/** @type {MessageEvent<SessionEvent|{}>} */ { data }) =>
			"event" in data ? on(data) : ready((command) => worker.postMessage(command));
		// In two steps: after a stand-still of this thread it may have spoken by now.
		setTimeout(() => setTimeout(stop, START_MS / 4), START_MS);
	} catch (error) {
		fail(/** @type {Error} */ (error));
	}
	return (command) => (send ? send(command) : early.push(command));
}
