// @ts-check
// page_lifecycle: a page's life, and the Web Lock that keeps it from being frozen.
/** @import { SavedPlaces, Page } from "./types.js" */

/** @type {(page: Page) => () => void} */
export function watchPage(page) {
	const { document } = globalThis;
	const stop = new AbortController();
	if (document) {
		const on = (
			/** @type {EventTarget} */ target,
			/** @type {string} */ type,
			/** @type {(event: PageTransitionEvent) => void} */ listener,
		) => target.addEventListener(type, /** @type {EventListener} */ (listener), stop);
		on(globalThis, "pagehide", (event) => page.leave(Boolean(event.persisted)));
		on(globalThis, "pageshow", (event) => event.persisted && page.back());
		on(document, "resume", page.thaw);
		on(document, "visibilitychange", () => page.visible(!document.hidden));
		page.visible(!document.hidden);
	}
	return () => stop.abort();
}

/** Whoever reads them owns them. @type {(name: string) => SavedPlaces|null} */
export function takeSavedPlaces(name) {
	try {
		const text = sessionStorage.getItem(name);
		sessionStorage.removeItem(name);
		return JSON.parse(text ?? "null");
	} catch {
		return null;
	}
}

/** @param {string} name */
export function hasSavedPlaces(name) {
	try {
		return sessionStorage.getItem(name) !== null;
	} catch {
		return false;
	}
}

/** @type {(name: string, kept: SavedPlaces|null) => void} */
export function savePlaces(name, kept) {
	try {
		if (kept) sessionStorage.setItem(name, JSON.stringify(kept));
		else sessionStorage.removeItem(name);
	} catch {}
}

/** What `baton open` left for the broker's own pages (web/ui/sign_in.js).
 * @type {(base: string) => string|undefined} */
export function pageKey(base) {
	try {
		return (base === location.origin && localStorage.getItem("baton-key")) || undefined;
	} catch {
		return undefined;
	}
}

/** @type {Set<string>} */
const names = new Set();

/** The first of its kind that is free in this page. @type {(name: string) => string} */
export function newName(name) {
	let free = name;
	for (let number = 2; names.has(free); number++) free = `${name} ${number}`;
	names.add(free);
	return free;
}

/** @type {(name: string) => void} */
export const freeName = (name) => void names.delete(name);

const lockName = (/** @type {string} */ owner) => `baton-awake ${owner}`;

/** What a page that was left may need to be gone. */
const LEFT_MS = 500;

/** Whether a page lives that claims something by that name: of one that says that it was left this
 * is awaited. What cannot be known counts as what it says.
 * @type {(owner: string, left: boolean) => Promise<boolean>} */
export async function isAwake(owner, left) {
	const { locks } = globalThis.navigator ?? {};
	if (!locks) return !left;
	const how = left ? { signal: AbortSignal.timeout(LEFT_MS) } : { ifAvailable: true };
	try {
		return await locks.request(lockName(owner), how, (lock) => !lock);
	} catch {
		return true;
	}
}

/** @type {(owner: string) => (busy: boolean) => void} */
export function awakeLock(owner) {
	/** @type {AbortController|null} */
	let held = null;
	return (busy) => {
		if (!busy) {
			held?.abort();
			held = null;
		} else if (!held) {
			const { signal } = (held = new AbortController());
			const hold = () =>
				signal.aborted
				|| new Promise((resolve) => signal.addEventListener("abort", resolve));
			globalThis.navigator?.locks
				?.request(lockName(owner), { mode: "shared" }, hold)
				.catch(() => {});
		}
	};
}
