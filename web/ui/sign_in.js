// @ts-check
// What a one-time link leaves in this browser: the key of its pages, in the storage of this origin,
// which other ports of the host cannot read. The SDK shows it to the broker
// (web/sdk/page_lifecycle.js).
const { key = "", to = "/" } = /** @type {HTMLElement} */ (
	document.querySelector("script[data-key]")
).dataset;
try {
	localStorage.setItem("baton-key", key);
	location.replace(to);
} catch {
	/** @type {HTMLElement} */ (document.getElementById("said")).textContent =
		"This browser keeps "
		+ "no data for this address, so it cannot be signed in. Allow site data here, and run "
		+ "“baton open” again.";
}
