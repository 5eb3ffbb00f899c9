// @ts-check
// Remembers what a model library fetched last, inside an engine's Worker: the libraries' errors
// often do not say which file it was. Also notices what the page's policy refused. Changes no
// request. Used by the engines' workers only.

/** @typedef {{file?: string, status?: number, weights?: string, blocked?: string}} LastFetch */

const WEIGHTS = /\.(onnx|onnx_data|bin|wasm)$/;

/** @returns {() => LastFetch} what was fetched last */
export function watchFetches() {
	/** @type {LastFetch} */
	let last = {};
	const plainFetch = globalThis.fetch.bind(globalThis);
	globalThis.fetch = async (input, init) => {
		const address = input instanceof Request ? input.url : String(input);
		const { origin, pathname } = new URL(address, location.href);
		const file = origin === location.origin ? pathname : origin + pathname;
		const response = await plainFetch(input, init).catch(policySpeaksFirst);
		// The libraries' own files are not the model's.
		if (last.blocked === undefined && !file.startsWith("/vendor/")) {
			const weights = WEIGHTS.test(file) ? file : last.weights;
			last = { file, weights, ...(response.ok ? {} : { status: response.status }) };
		}
		return response;
	};
	addEventListener("securitypolicyviolation", (event) => {
		last = { ...last, blocked: event.blockedURI };
	});
	return () => last;
}

/** The event that tells what the policy refused comes after the failure of the fetch: it is waited
 * for, so that whoever handles the failure knows.
 * @param {unknown} error @returns {Promise<never>} */
async function policySpeaksFirst(error) {
	await new Promise((done) => setTimeout(done));
	throw error;
}

/**
 * Whether a file is there, asked before a library that would not name it fails. Only the answer's
 * head is waited for.
 * @param {string} address
 * @returns {Promise<boolean>}
 */
export async function isThere(address) {
	const enough = new AbortController();
	const { status } = await fetch(address, { signal: enough.signal });
	enough.abort();
	return status !== 404 && status !== 410;
}
