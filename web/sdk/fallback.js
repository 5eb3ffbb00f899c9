// fallback: why the broker cannot be reached, and what stands in for it when really nothing listens.
// "Unreachable" is not "refused": only a probe that finds nothing lets a page go on. Used by broker.js.
// @ts-check
import { BrokerError } from "./errors.js";

/** @typedef {import("./claim.js").Claim} Claim */

const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/;

/** Whether the browser lets this page reach its own machine; null: it does not ask (or know). */
export async function loopbackPermission() {
	if (typeof location === "undefined" || LOOPBACK.test(location.hostname))
		return null;
	try {
		const name = /** @type {any} */ ("loopback-network");
		return (await navigator.permissions.query({ name })).state;
	} catch {
		return null;
	}
}

/**
 * @param {string} text
 * @param {boolean|null} listening false: nothing does; null: cannot be told
 */
const unreachable = (text, listening) => new BrokerError("UNREACHABLE", text, { listening });

/**
 * Why a WebSocket did not open. Only `detail.listening === false` is a broker that is down.
 * @param {string} base
 * @param {{code: number, late: boolean}} down
 * @param {number} timeoutMs
 * @returns {Promise<BrokerError>}
 */
export async function diagnose(base, down, timeoutMs) {
	if (down.code === 4429 || down.code === 4503)
		return unreachable("The broker is full or stopping; it is tried again.", true);
	const permission = await loopbackPermission();
	if (permission === "denied" || permission === "prompt")
		return new BrokerError("DENIED", permission === "denied"
			? "The browser was told not to let this site reach this machine: allow it in the site's "
				+ "settings (local network or apps on this device), then reload."
			: "The browser asks whether this site may reach apps on this device: allow it and try again.",
		{ permission });
	const mute = () => unreachable(`Something at ${base} does not answer; restart it.`, true);
	if (down.late)
		return mute();
	let blocked = false;
	const onBlocked = (/** @type {Event} */ event) => {
		const { blockedURI } = /** @type {SecurityPolicyViolationEvent} */ (event);
		blocked ||= /^wss?:|^http/.test(blockedURI) && blockedURI.replace(/^ws/, "http").startsWith(base);
	};
	globalThis.document?.addEventListener("securitypolicyviolation", onBlocked);
	const probe = (/** @type {RequestMode} */ mode) => fetch(`${base}/health`, { mode,
		cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(timeoutMs) });
	try {
		await probe("cors");
		return unreachable("The broker answers but opened no session; try again.", true);
	} catch (error) {
		if (/** @type {any} */ (error)?.name === "TimeoutError")
			return mute();
	}
	try {
		await probe("no-cors"); // an answer that this page may not read is an answer
		return new BrokerError("DENIED", "The broker does not serve this origin: list it under `origins` "
			+ "in its configuration.");
	} catch (error) {
		if (/** @type {any} */ (error)?.name === "TimeoutError")
			return mute();
	} finally {
		globalThis.document?.removeEventListener("securitypolicyviolation", onBlocked);
	}
	if (blocked)
		return new BrokerError("DENIED", `The page's own policy forbids it: add connect-src ${base} and `
			+ "the same as ws: to its Content-Security-Policy.");
	const sure = !globalThis.crossOriginIsolated || location.origin === base;
	return unreachable(`No broker answers at ${base}; start it with: baton serve`, sure ? false : null);
}

/**
 * Grants without a broker: at once ("unmanaged", or what takes no turn), or in turns among the tabs
 * of this origin ("origin-lock").
 * @param {Claim} claim
 * @param {"origin-lock"|"unmanaged"} how
 * @param {BrokerError} error the reason, for where Web Locks are missing
 */
export function grantLocally(claim, how, error) {
	const local = claim.local = new AbortController();
	if (how === "unmanaged" || claim.o.slots === 0) {
		claim.granted(null);
		return;
	}
	const locks = globalThis.navigator?.locks;
	if (!locks) {
		claim.fail(error, false);
		return;
	}
	/** @type {LockOptions} */
	const options = claim.o.ifAvailable ? { ifAvailable: true } : { signal: local.signal };
	locks.request("baton-origin-lock", options, (lock) => {
		if (local.signal.aborted)
			return;
		if (!lock) {
			claim.none();
			return;
		}
		return new Promise((resolve) => {
			claim.unlock = () => resolve(null);
			claim.granted(null);
		});
	}).catch(() => {}); // aborted: the broker is back, or the page left the queue
}
