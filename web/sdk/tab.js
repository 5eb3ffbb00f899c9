// tab: what a page's life means for its session: left, kept in the back/forward cache, frozen,
// hidden; the places that outlive a reload; the Web Lock that keeps browsers from freezing it.
// Used by broker.js; does nothing outside a page.
// @ts-check

/**
 * @param {{leave(): void, back(): void, thaw(): void, visible(yes: boolean): void}} page
 * @returns {() => void} stops listening
 */
export function watchPage(page) {
	if (typeof document === "undefined")
		return () => {};
	const stop = new AbortController();
	const { signal } = stop;
	addEventListener("pagehide", () => page.leave(), { signal });
	addEventListener("pageshow", (event) => event.persisted && page.back(), { signal });
	document.addEventListener("resume", () => page.thaw(), { signal });
	document.addEventListener("visibilitychange", () => page.visible(!document.hidden), { signal });
	page.visible(!document.hidden);
	return () => stop.abort();
}

/** @typedef {{session: string, places: [string, {ref: number, rid: string}][]}} Kept */

/**
 * Takes the places that this tab had before a reload: whoever reads them owns them.
 * @param {string} name
 * @returns {Kept|null}
 */
export function takePlaces(name) {
	try {
		const text = sessionStorage.getItem(name);
		sessionStorage.removeItem(name);
		return text ? JSON.parse(text) : null;
	} catch {
		return null;
	}
}

/**
 * @param {string} name
 * @param {Kept} kept
 */
export function keepPlaces(name, kept) {
	try {
		sessionStorage.setItem(name, JSON.stringify(kept));
	} catch {
		// storage is full or forbidden: the place is lost, as before
	}
}

/** @returns {(busy: boolean) => void} holds a shared Web Lock while busy */
export function awakeLock() {
	/** @type {AbortController|null} */
	let held = null;
	return (busy) => {
		if (busy === (held !== null))
			return;
		if (held) {
			held.abort();
			held = null;
			return;
		}
		const { signal } = held = new AbortController();
		globalThis.navigator?.locks?.request("baton-awake", { mode: "shared" },
			() => signal.aborted || new Promise((resolve) =>
				signal.addEventListener("abort", resolve))).catch(() => {});
	};
}
