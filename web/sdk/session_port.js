// @ts-check
// session_port: runs a Session in a dedicated Worker, or on this thread where none can start.
import { now, warnOnce } from "./errors.js";
import { HOME, WORKER } from "./home.js";
import { Session } from "./session.js";

/** @import { Command, FromWorker, PortUser, ScriptPolicy, Send } from "./types.js" */

/** @type {ScriptPolicy|undefined} */
let policy;

/** The file where it is the page's own; else a script that carries or fetches it.
 * @returns {string} */
function workerUrl() {
	const file = WORKER ? null : new URL("worker.js", HOME);
	const text = WORKER || `import "${file}"`;
	const url =
		file?.origin === location.origin
			? file.href
			: URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
	try {
		const { trustedTypes } = /** @type {{ trustedTypes?: { createPolicy(name: string,
			rules: ScriptPolicy): ScriptPolicy } }} */ (globalThis);
		policy ??= trustedTypes?.createPolicy("baton-sdk", { createScriptURL: (same) => same });
	} catch {} // not one of those that the page allows
	return policy?.createScriptURL(url) ?? url;
}

/** Much later, in two steps: after a stand-still of this thread what was said meanwhile comes first.
 * @param {(nothing?: undefined) => void} fn */
const inTheEnd = (fn) => setTimeout(() => setTimeout(fn, 1_000), 4_000);

/** While something is at stake the worker holds a lock, and this thread waits for it: it has it
 * when the worker was ended. @param {Worker} worker @param {() => void} onGone */
function watchWorker(worker, onGone) {
	/** @type {string|null} */ let lock = null;
	/** @type {AbortController|null} */ let wait = null;
	const locked = (/** @type {string} */ name) => {
		if (name !== lock) return;
		lock = "";
		globalThis.navigator?.locks
			?.request(name, /** @type {AbortController} */ (wait), () => {
				worker.terminate(); // if it was only late
				onGone();
			})
			.catch(() => {});
	};
	return {
		/** @param {boolean} busy */
		set(busy) {
			if (busy === Boolean(wait)) return;
			wait?.abort();
			wait = lock = null;
			if (busy) {
				const name = (lock = `baton ${Math.random()}`);
				wait = new AbortController();
				inTheEnd(() => locked(name)); // it may have ended before it could say so
			}
			worker.postMessage(["hold", lock]);
		},
		locked,
	};
}

/** @type {(user: PortUser) => Send} */
export function openPort({ on, here, onHere, onGone }) {
	/** @type {Command[]} */
	const early = [];
	/** @type {Send|undefined} */
	let send;
	const ready = (/** @type {Send} */ to) => {
		send = to;
		for (const command of early) to(...command);
	};
	const onThisThread = () => {
		const session = new Session(on);
		onHere();
		ready((...command) => session.do(command));
	};
	const fail = (/** @type {{ message?: string }|undefined} */ why) => {
		warnOnce(
			`Baton: no worker starts (${why?.message ?? "not loaded"}), so a busy thread loses its `
				+ "turn: allow worker-src blob:, serve worker.js, or bundle the package.",
		);
		onThisThread();
	};
	if (here) onThisThread();
	else
		try {
			const worker = new Worker(workerUrl(), { type: "module", name: `${now()}` });
			const stop = (/** @type {ErrorEvent|undefined} */ why) => {
				if (send) return;
				worker.terminate();
				fail(why);
			};
			worker.onerror = stop;
			const watch = watchWorker(worker, onGone);
			worker.onmessage = (/** @type {MessageEvent<FromWorker>} */ { data }) => {
				if ("event" in data) on(data);
				else if ("locked" in data) watch.locked(data.locked);
				else
					ready((...command) =>
						command[0] === "watch"
							? watch.set(command[1])
							: worker.postMessage(command),
					);
			};
			inTheEnd(stop);
		} catch (error) {
			fail(/** @type {Error} */ (error));
		}
	return (...command) => (send ? send(...command) : early.push(command));
}
