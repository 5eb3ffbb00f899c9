// @ts-check
// fallback: why there is no session, and what stands in. "Unreachable" is not "refused".
import { BrokerError, ORIGIN, onRefused, postJson } from "./errors.js";

/** @import { Claim } from "./claim.js" */
/** @import { Down } from "./types.js" */

export async function loopbackPermission() {
	const host = globalThis.location?.hostname ?? "localhost";
	if (/^(.*\.)?localhost$|^127\.|^\[::1]$/.test(host)) return null;
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
		&& `Give this page's iframe the attribute allow="${name}".`
	);
}

/** An extension may be let read every answer, and says who asks only where it writes.
 * @param {string} base */
async function isRefusedExtension(base) {
	if (/^(https?:)?$/.test(globalThis.location?.protocol ?? "")) return false;
	const answer = await postJson(`${base}/v1/gpu/session/alive`, {}).catch(() => null);
	return answer?.status === 403;
}

/** @type {(base: string, down?: Partial<Down>, timeoutMs?: number) => Promise<BrokerError>} */
export async function diagnose(base, { code = 0, late, blocked } = {}, timeoutMs = 4_000) {
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
	let read = await probe("cors");
	const heard = read ?? (late ? null : await probe("no-cors")); // unreadable is an answer, too
	if (heard)
		read ??= await probe("cors"); // it may have come up in between
	else await new Promise((resolve) => setTimeout(resolve, 100)); // what is forbidden is told late
	stop.abort();
	if (blocked) return policy;
	const permission = heard ? null : await loopbackPermission();
	if (permission && permission !== "granted")
		return denied(
			noPrompt()
				|| "Allow this site to reach apps on this device, when asked "
					+ `or in the site's settings (loopback-network: ${permission}).`,
		);
	if (read && (await isRefusedExtension(base))) return denied(ORIGIN);
	if (late || read)
		return unreachable(`What listens at ${base} opens no session; try again, or restart it.`);
	if (heard) return denied(ORIGIN);
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
