// @ts-check
// pair: a site of its own asks the operator of the broker to let it queue.
import { endError, postJson } from "./errors.js";
import { Broker } from "./broker.js";
import { diagnose } from "./fallback.js";
import * as page from "./page_lifecycle.js";

/** @import { Http } from "./protocol.js" */
/** @import { PairOptions } from "./types.js" */

/** @type {(base: string, body: object, signal?: AbortSignal) => Promise<Http.Paired>} */
async function post(base, body, signal) {
	const answer = await postJson(`${base}/v1/pair`, body, { signal }).catch(async () => {
		signal?.throwIfAborted();
		throw await diagnose(base, { again: true });
	});
	const said = await answer.json().catch(() => ({}));
	if (answer.ok) return said;
	throw endError({
		type: "denied",
		message: `The broker answered ${answer.status}.`,
		...said.error,
	});
}

/** Whether a session opens with it: that is all that a site may ask.
 * @type {(url: string, token: string) => Promise<boolean>} */
async function isAllowed(url, token) {
	const broker = new Broker({ url, token, name: "pair", heartbeat: "reply" });
	try {
		await broker.ready();
		return true;
	} catch {
		return false;
	} finally {
		await broker.close();
	}
}

/** Resolves with the token once the operator allowed it (`baton sites`, or the dashboard), at once
 * if that was before; Brokers made afterwards show it by themselves. To be called on a gesture:
 * the browser may ask, too.
 * @type {(o?: PairOptions) => Promise<string>} */
export async function pair(options = {}) {
	const base = page.brokerOrigin(options.url);
	// A second ask would end the first.
	return page.inTurn(`baton-pair ${base}`, options.signal, () => askAt(base, options));
}

/** @type {(base: string, o: PairOptions) => Promise<string>} */
async function askAt(base, { signal, onAsked }) {
	const kept = page.keptToken(base);
	if (kept && (await isAllowed(base, kept))) return kept;
	let said = await post(base, {}, signal);
	const { ask, origin } = said;
	onAsked?.({ origin });
	while (said.status !== "allowed") {
		await new Promise((resolve) => setTimeout(resolve, 1_000));
		signal?.throwIfAborted();
		said = await post(base, { ask }, signal);
	}
	const { token = "" } = said;
	page.ifAllowed(() => localStorage.setItem(page.siteKey(base), token)); // the page may keep it itself
	return token;
}
