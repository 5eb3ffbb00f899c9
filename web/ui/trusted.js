// @ts-check
// The one place where a text becomes markup or a worker's address: pages are served with
// `require-trusted-types-for 'script'`, so everywhere else a browser that knows Trusted Types
// refuses it. For template.js and markdown.js; every page loads it before it makes a worker.

/** Folders whose files may run as a worker. */
const WORKERS = ["/sdk/", "/inference/"];

/** @param {string} text */
function workerUrl(text) {
	const url = new URL(text, location.href);
	if (
		url.origin === location.origin
		&& (url.protocol === "blob:" || WORKERS.some((folder) => url.pathname.startsWith(folder)))
	)
		return text;
	throw new TypeError(`No worker may be made of ${url.href}.`);
}

/**
 * @typedef {import("/vendor/purify.js").Config["TRUSTED_TYPES_POLICY"]} Policy
 * @typedef {{createHTML?(text: string): string, createScriptURL(text: string): string}} Rules
 * @typedef {{createPolicy(name: string, rules: Rules): NonNullable<Policy>}} PolicyFactory
 */
const { trustedTypes } = /** @type {{trustedTypes?: PolicyFactory}} */ (globalThis);

/** Workers are made by the SDK and by libraries, which know no policy of ours. */
trustedTypes?.createPolicy("default", { createScriptURL: workerUrl });

const policy = trustedTypes?.createPolicy("baton", {
	createHTML: (/** @type {string} */ text) => text,
	createScriptURL: workerUrl,
});

/** What stands in the source of a page. @param {TemplateStringsArray} strings
 * @param {(strings: TemplateStringsArray) => string} join @returns {string} */
export function templateMarkup(strings, join) {
	if (!Object.isFrozen(strings) || !Object.isFrozen(strings.raw))
		throw new TypeError("Only a template of the source becomes markup.");
	const text = join(strings);
	return /** @type {string} */ (policy?.createHTML(text) ?? text);
}

/** For DOMPurify, which reads what it cleans through it. */
export const purifierPolicy = policy;
