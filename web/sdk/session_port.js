// @ts-check
// session_port: runs a Session in a dedicated Worker, or on this thread where none can start.
import { warnOnce } from "./errors.js";
import { HOME, WORKER } from "./home.js";
import { Session } from "./session.js";

/** @import { Command, FromWorker, PortUser, ScriptPolicy, Send } from "./types.js" */

const START_MS = 4_000;
/** @type {ScriptPolicy|undefined} */
let policy;

/** The file where it is the page's own; else a script that carries or fetches it.
 * @returns {string} */
function workerUrl() {
	const file = HOME && new URL("worker.js", HOME);
	if (!file && !WORKER)
		throw new Error("The bundler left it: bundle the package that `npm pack` makes.");
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

/** While something is at stake the worker holds a lock, and this thread waits for it: it has it
 * when the worker was ended. @param {Worker} worker @param {() => void} onGone */
function watchWorker(worker, onGone) {
	const name = `baton-worker ${Math.random()}`;
	let turns = 0;
	/** @type {AbortController|null} */ let wait = null;
	return {
		/** @param {boolean} busy */
		set(busy) {
			if (busy === Boolean(wait)) return;
			wait?.abort();
			wait = busy ? new AbortController() : null;
			worker.postMessage({ op: "hold", lock: busy ? `${name} ${++turns}` : null });
		},
		/** @param {string} lock */
		locked(lock) {
			if (wait && lock === `${name} ${turns}`)
				navigator.locks
					.request(lock, { signal: wait.signal }, () => onGone())
					.catch(() => {});
		},
	};
}

/** @type {(user: PortUser) => Send} */
export function openPort({ on, here, onHere, onGone }) {
	/** @type {Command[]} */
	const early = [];
	/** @type {Send|undefined} */
	let send;
	const ready = (/** @type {Send} */ to) => early.splice(0).forEach((send = to));
	const onThisThread = () => {
		const session = new Session(on);
		onHere();
		ready((command) => void (command.op === "watch" || session.do(command)));
	};
	const fail = (/** @type {{ message?: string }|undefined} */ why) => {
		if (send) return;
		warnOnce(
			"Baton: no worker starts, so this thread runs the session, and loses its turn "
				+ "where it stands still. Allow worker-src blob:, or serve worker.js beside "
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
		const watch = watchWorker(worker, onGone);
		worker.onmessage = (/** @type {MessageEvent<FromWorker>} */ { data }) => {
			if ("event" in data) on(data);
			else if ("locked" in data) watch.locked(data.locked);
			else
				ready((command) =>
					command.op === "watch" ? watch.set(command.busy) : worker.postMessage(command),
				);
		};
		// In two steps: after a stand-still of this thread it may have spoken by now.
		setTimeout(() => setTimeout(stop, START_MS / 4), START_MS);
	} catch (error) {
		fail(/** @type {Error} */ (error));
	}
	return (command) => (send ? send(command) : early.push(command));
}
