// @ts-check
// fallback: why there is no session, and what stands in. "Unreachable" is not "refused".
import { BrokerError, ORIGIN, onRefused, postJson } from "./errors.js";

/** @import { Claim } from "./claim.js" */
/** @import { Down } from "./types.js" */

export async function loopbackPermission() {
	const host = globalThis.location?.hostname ?? "localhost";
	if (/(^|\.)localhost$|^127\.|^\[::1]$/.test(host)) return null;
	try {
		const name = /** @type {PermissionName} */ (/** @type {string} */ ("loopback-network"));
		return (await navigator.permissions.query({ name })).state;
	} catch {
		return null;
	}
}

/** What keeps the browser from asking its user, in words for who made the page. */
function noPrompt() {
	const name = "loopback-network";
	const policy = /** @type {{ featurePolicy?: { features(): string[],
		allowsFeature(name: string): boolean } }|undefined} */ (globalThis.document)?.featurePolicy;
	return (
		policy?.features().includes(name)
		&& !policy.allowsFeature(name)
		&& `Give this page's iframe allow="${name}".`
	);
}

/** An extension may be let read every answer, and says who asks only where it writes.
 * @param {string} base */
async function isRefusedExtension(base) {
	if (globalThis.location?.origin.startsWith("http") ?? true) return false;
	const answer = await postJson(`${base}/v1/gpu/session/alive`, {}).catch(() => null);
	return answer?.status === 403;
}

/** Null: it answers, and may have come up after it was tried, so the next try tells.
 * @type {(base: string, down?: Partial<Down>, timeoutMs?: number) => Promise<BrokerError|null>} */
export async function diagnose(base, { code = 0, late, blocked, again } = {}, timeoutMs = 4_000) {
	const denied = (/** @type {string} */ text) => new BrokerError("DENIED", text);
	const unreachable = (/** @type {string} */ text, listening = true) =>
		new BrokerError("UNREACHABLE", text, { listening });
	const policy = denied(`The page's Content-Security-Policy must allow ${base}, also as ws:.`);
	if (blocked) return policy;
	if (code > 4000) return unreachable("The broker is full or stopping; try again.");
	const stop = new AbortController();
	onRefused(base, () => (blocked = true), stop);
	const probe = (/** @type {RequestMode} */ mode) =>
		fetch(`${base}/health`, {
			mode,
			cache: "no-store",
			signal: AbortSignal.timeout(timeoutMs),
		}).catch((error) => void (late ||= error.name === "TimeoutError"));
	// Unreadable is an answer, too.
	const heard = (await probe("cors")) ?? (late ? null : await probe("no-cors"));
	// What is forbidden is told late.
	if (!heard) await new Promise((resolve) => setTimeout(resolve, 100));
	stop.abort();
	if (blocked) return policy;
	const mute = unreachable(`What listens at ${base} opens no session; try again, or restart it.`);
	if (heard) {
		if (!again) return null;
		const read = await probe("cors");
		return late || (read && !(await isRefusedExtension(base))) ? mute : denied(ORIGIN);
	}
	const permission = await loopbackPermission();
	if (permission && permission !== "granted")
		return denied(
			noPrompt()
				|| "Let this site reach apps on this device, when asked "
					+ `or in its settings (loopback-network: ${permission}).`,
		);
	if (late) return mute;
	return unreachable(
		`No broker answers at ${base}; start it with: baton serve (or an extension blocks it)`,
		Boolean(globalThis.crossOriginIsolated) && location.origin !== base,
	); // proves nothing
}

/** @type {(claim: Claim, how: "origin-lock"|"unmanaged", error: BrokerError) => void} */
export function grantLocally(claim, how, error) {
	const { signal } = (claim.local = new AbortController());
	const lock = async () =>
		navigator.locks.request(
			"baton",
			claim.options.ifAvailable ? { ifAvailable: true } : { signal },
			(held) => {
				if (signal.aborted) return undefined;
				if (!held) return claim.none();
				claim.granted(null);
				return new Promise((resolve) => signal.addEventListener("abort", resolve));
			},
		);
	if (how === "unmanaged" || claim.options.slots === 0) claim.granted(null);
	else lock().catch(() => void (signal.aborted || claim.fail(error))); // there are none, as in a sandboxed frame
}
