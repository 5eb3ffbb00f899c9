// @ts-check
// The dashboard's first question, in a script of its own: asked before the rest of the page is
// there, and over HTTP, which answers before a WebSocket is open. Used by dashboard.js.
import { pageKey } from "../../ui/page_key.js";

const ANSWER_MS = 2000;
const ROWS_SEEN = 8; // of those who wait a window hardly shows more at first

/** @returns {Promise<import("/sdk/protocol.js").StatusFields|null>} */
async function askFirst() {
	const key = pageKey();
	if (key === undefined) return null; // the session is told so, and says it
	try {
		const answer = await fetch(`/v1/gpu/status?limit=${ROWS_SEEN}`, {
			headers: { Authorization: `Bearer ${key}` },
			signal: AbortSignal.timeout(ANSWER_MS),
		});
		return answer.ok ? await answer.json() : null;
	} catch {
		return null;
	}
}

/** The first status; null if there was no answer, which is no error: the session asks anew. */
export const firstStatus = askFirst();
