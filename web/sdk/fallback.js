// fallback: why the broker cannot be reached, and what stands in for it. "Unreachable" is not
// "refused": only a probe that finds nothing listening lets a page go on.
// @ts-check
import { BrokerError } from "./errors.js";

/** @import { Claim } from "./claim.js" */

/** Whether this page may reach its own machine; null: the browser does not ask. */
export async function loopbackPermission() {
	const host = globalThis.location?.hostname ?? "localhost";
	if (/^(.*\.)?localhost$|^127\.|^\[::1]$/.test(host))
		return null;
	try {
		const name = /** @type {any} */ ("loopback-network");
		return (await navigator.permissions.query({ name })).state;
	} catch {
		return null;
	}
}

/** @type {(base: string, down: any, timeoutMs: number) => Promise<BrokerError>} */
export async function diagnose(base, { code, late, blocked }, timeoutMs) {
	const denied = (/** @type {string} */ text) => new BrokerError("DENIED", text);
	const unreachable = (/** @type {string} */ text, listening = true) =>
		new BrokerError("UNREACHABLE", text, { listening });
	const permission = await loopbackPermission();
	if (permission === "denied")
		return denied("The browser keeps this site from apps on this device: allow it in the site's settings.");
	if (permission === "prompt")
		return denied("The browser asks whether this site may reach apps on this device: allow it, try again.");
	if (code > 4000)
		return unreachable("The broker is full or stopping; try again.");
	const onBlocked = (/** @type {any} */ event) =>
		blocked ||= event.blockedURI.replace("ws", "http").startsWith(base);
	globalThis.document?.addEventListener("securitypolicyviolation", onBlocked);
	const probe = (/** @type {RequestMode} */ mode) => fetch(`${base}/health`, { mode, cache: "no-store",
		signal: AbortSignal.timeout(timeoutMs) }).catch((error) => late ||= error.name === "TimeoutError");
	const read = await probe("cors");
	const heard = read || await probe("no-cors"); // an answer that may not be read is an answer
	globalThis.document?.removeEventListener("securitypolicyviolation", onBlocked);
	if (blocked)
		return denied(`The page's Content-Security-Policy must allow connect-src ${base}, also as ws:.`);
	if (late || read)
		return unreachable(`What listens at ${base} opens no session; try again, or restart it.`);
	if (heard)
		return denied("The broker does not serve this origin: list it under `origins` in its configuration.");
	return unreachable(`No broker answers at ${base}; start it with: baton serve`,
		Boolean(globalThis.crossOriginIsolated) && location.origin !== base); // there no-cors proves nothing
}

/**
 * Grants without a broker: in turns among the tabs of this origin, or at once.
 * @type {(claim: Claim, how: "origin-lock"|"unmanaged", error: BrokerError) => void}
 */
export function grantLocally(claim, how, error) {
	const { signal } = claim.local = new AbortController();
	const locks = globalThis.navigator?.locks;
	if (how === "unmanaged" || claim.o.slots === 0)
		claim.granted(null);
	else if (!locks)
		claim.fail(error);
	else
		locks.request("baton", claim.o.ifAvailable ? { ifAvailable: true } : { signal }, (lock) => {
			if (!lock)
				return claim.none();
			return signal.aborted || new Promise((resolve) => {
				claim.unlock = () => resolve(0);
				claim.granted(null);
			});
		}).catch(() => {}); // aborted
}
