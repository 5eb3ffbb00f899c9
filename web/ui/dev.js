// @ts-check
// Development reload: swaps stylesheets in place; for anything else the page loads anew. Leaving it
// gives its own leases back, and the SDK takes up its places in the queue; nobody else's lease is
// touched. Loaded only where the broker runs with --dev.

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

/** @param {unknown} path */
function follow(path) {
	if (typeof path !== "string") return;
	if (path.endsWith(".css")) swapStylesheets(path);
	else location.reload();
}

/**
 * @param {EventTarget} source a Broker, or a MonitorSession
 */
export function followReloads(source) {
	if (followed.has(source)) return;
	followed.add(source);
	source.addEventListener("reload", (event) => {
		follow(/** @type {CustomEvent} */ (event).detail?.path);
	});
	source.addEventListener("message", (event) => {
		const message = /** @type {CustomEvent} */ (event).detail;
		if (message?.type === "reload") follow(message.path);
	});
}
