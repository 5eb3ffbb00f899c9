// @ts-check
// pair: a site of its own asks the operator of the broker to let it queue.
import { BrokerError, postJson } from "./errors.js";
import { HOME } from "./home.js";
import { ifAllowed } from "./page_lifecycle.js";

/** @import { Http } from "./protocol.js" */
/** @import { PairOptions } from "./types.js" */

const SOURCE = HOME.startsWith("http") ? HOME : "http://127.0.0.1:8470";

/** The broker's origin. @param {string} [url] default: where the SDK came from */
export const brokerOrigin = (url) => new URL((url ?? SOURCE).replace(/^ws/, "http")).origin;

const storageKey = (/** @type {string} */ base) => `baton-site ${base}`;

/** What an earlier pair() left in this site's storage.
 * @type {(base: string) => string|null|undefined} */
export const siteToken = (base) => ifAllowed(() => localStorage.getItem(storageKey(base)));

/** @type {(url: string, body: object, signal?: AbortSignal) => Promise<Http.Paired>} */
async function post(url, body, signal) {
	const answer = await postJson(url, body, { signal }).catch((error) => {
		signal?.throwIfAborted();
		throw new BrokerError("UNREACHABLE", "No broker answers; start it with: baton serve", {
			cause: error,
		});
	});
	const said = await answer.json().catch(() => ({}));
	if (answer.ok) return said;
	const { message = `The broker answered ${answer.status}.`, detail } = said.error ?? {};
	throw new BrokerError("DENIED", detail ? `${message} (${detail})` : message);
}

/** Whether a session opens with it: that is all that a site may ask.
 * @type {(base: string, token: string) => Promise<boolean>} */
const isAllowed = (base, token) =>
	new Promise((resolve) => {
		const socket = new WebSocket(base.replace("http", "ws") + "/v1/gpu/session");
		const say = (/** @type {object} */ message) => socket.send(JSON.stringify(message));
		socket.onopen = () => say({ type: "hello", version: 1, id: location.host, token });
		socket.onmessage = ({ data }) => {
			resolve(JSON.parse(data).type === "welcome");
			say({ type: "bye" });
			socket.close();
		};
		socket.onclose = () => resolve(false);
	});

/** For each page of the site in turn: a second ask would end the first.
 * @type {(base: string, signal: AbortSignal|undefined, ask: () => Promise<string>)
 *     => Promise<string>} */
async function inTurn(base, signal, ask) {
	const { locks } = globalThis.navigator ?? {};
	signal?.throwIfAborted();
	return locks ? locks.request(`baton-pair ${base}`, { signal }, ask) : ask();
}

/** Resolves with the token once the operator allowed it (`baton sites`, or the dashboard), at once
 * if that was before; Brokers made afterwards show it by themselves. To be called on a gesture:
 * the browser may ask, too.
 * @type {(o?: PairOptions) => Promise<string>} */
export async function pair(options = {}) {
	const base = brokerOrigin(options.url);
	return inTurn(base, options.signal, () => askAt(base, options));
}

/** @type {(base: string, o: PairOptions) => Promise<string>} */
async function askAt(base, { signal, onAsked }) {
	const kept = siteToken(base);
	if (kept && (await isAllowed(base, kept))) return kept;
	let said = await post(`${base}/v1/pair`, {}, signal);
	const { ask, origin } = said;
	onAsked?.({ origin });
	while (said.status !== "allowed") {
		await new Promise((resolve) => setTimeout(resolve, 1_000));
		signal?.throwIfAborted();
		said = await post(`${base}/v1/pair`, { ask }, signal);
	}
	const { token = "" } = said;
	ifAllowed(() => localStorage.setItem(storageKey(base), token)); // the page may keep it itself
	return token;
}
