// @ts-check
// Development reload: swaps stylesheets in place; for anything else the page gives its own leases
// back and loads anew, and the SDK takes up its place in the queue. Nobody else's lease is touched.
// Loaded only where the broker runs with --dev.

const RELEASE_MS = 2000;

/** @type {WeakSet<EventTarget>} */
const followed = new WeakSet();

/** @param {string} path */
function swapStylesheets(path) {
	for (const link of document.querySelectorAll("link[rel=stylesheet]")) {
		const old = /** @type {HTMLLinkElement} */ (link);
		const url = new URL(old.href);
		if (url.pathname !== path) continue;
		url.searchParams.set("v", String(Date.now()));
		const fresh = /** @type {HTMLLinkElement} */ (old.cloneNode());
		fresh.href = url.href;
		fresh.addEventListener("load", () => old.remove());
		fresh.addEventListener("error", () => fresh.remove());
		old.after(fresh);
	}
}

/**
 * @param {EventTarget & {close?: () => unknown}} source a Broker, or a Watch
 */
async function loadAnew(source) {
	const prepared = dispatchEvent(new CustomEvent("baton-reload", { cancelable: true }));
	if (!prepared || globalThis.GPU_HOT_RELOAD_ENABLED === false) return;
	const release = Promise.resolve(source.close?.()).catch(() => {});
	const late = new Promise((resolve) => setTimeout(resolve, RELEASE_MS));
	await Promise.race([release, late]);
	location.reload();
}

/**
 * @param {EventTarget & {close?: () => unknown}} source
 */
export function followReloads(source) {
	if (followed.has(source)) return;
	followed.add(source);
	/** @param {unknown} path */
	const follow = (path) => {
		if (typeof path !== "string") return;
		if (path.endsWith(".css")) swapStylesheets(path);
		else loadAnew(source);
	};
	source.addEventListener("reload", (event) => {
		follow(/** @type {CustomEvent} */ (event).detail?.path);
	});
	source.addEventListener("message", (event) => {
		const message = /** @type {CustomEvent} */ (event).detail;
		if (message?.type === "reload") follow(message.path);
	});
}
