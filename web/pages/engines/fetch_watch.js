// @ts-check Remembers what a model library fetched last, inside an engine's Worker: the
// libraries' errors often do not say which file it was. Also notices what the page's policy
// refused. Changes no request. Used by the engines' workers only.

/** @typedef {{file?: string, status?: number, blocked?: string}} LastFetch */

/** @returns {() => LastFetch} what was fetched last */
export function watchFetches() {
	/** @type {LastFetch} */
	let last = {};
	const plainFetch = globalThis.fetch.bind(globalThis);
	globalThis.fetch = async (input, init) => {
		const address = input instanceof Request ? input.url : String(input);
		const { origin, pathname } = new URL(address, location.href);
		const file = origin === location.origin ? pathname : origin + pathname;
		const response = await plainFetch(input, init);
		if (last.blocked === undefined) {
			last = response.ok ? { file } : { file, status: response.status };
		}
		return response;
	};
	addEventListener("securitypolicyviolation", (event) => {
		last = { ...last, blocked: event.blockedURI };
	});
	return () => last;
}

/**
 * Whether a file is there, asked before a library that would not name it fails.
 * @param {string} address
 * @returns {Promise<boolean>}
 */
export async function isThere(address) {
	const { status } = await fetch(address, { method: "HEAD" });
	return status !== 404 && status !== 410;
}
