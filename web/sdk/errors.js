// errors: the one error class, the words for what the broker refuses, and text as the broker takes
// it. Decides nothing; used by every file here.
// @ts-check

/**
 * @typedef {"UNREACHABLE"|"DENIED"|"UNAUTHORIZED"|"PROTOCOL"|"QUEUE_FULL"|"WAIT_TIMEOUT"|"REVOKED"
 *   |"EXPIRED"|"LOST"|"RELEASED"|"CLOSED"|"NO_WEBGPU"|"NO_ADAPTER"|"LIMITS"|"DEVICE_LOST"
 *   |"NEVER_FITS"} ErrorCode
 */

const FINAL = "DENIED UNAUTHORIZED PROTOCOL CLOSED NO_WEBGPU LIMITS NEVER_FITS".split(" ");

/** Whatever goes wrong: `code` is for programs, `message` says to people what to do next. */
export class BrokerError extends Error {
	/**
	 * @param {ErrorCode} code
	 * @param {string} message
	 * @param {any} [detail]
	 */
	constructor(code, message, detail) {
		super(message);
		this.name = "BrokerError";
		this.code = code;
		this.detail = detail;
		/** Whether the same call may succeed later without anybody changing anything. */
		this.retryable = !FINAL.includes(code);
	}
}

/** @type {Record<string, ErrorCode>} */
const DENIED = {
	queue_full: "QUEUE_FULL", too_many_waiting: "QUEUE_FULL", rate_limited: "QUEUE_FULL",
	never_fits: "NEVER_FITS", no_such_gpu: "NEVER_FITS",
	unauthorized: "UNAUTHORIZED", forbidden: "DENIED", bad_origin: "DENIED", bad_host: "DENIED",
	busy: "WAIT_TIMEOUT", paused: "WAIT_TIMEOUT", timeout: "WAIT_TIMEOUT",
	revoked: "REVOKED", released: "RELEASED", stale: "LOST",
	draining: "UNREACHABLE", journal_unavailable: "UNREACHABLE", no_memory: "UNREACHABLE",
};

/** @param {{code: string, message?: string, detail?: string}} m a `denied` message */
export function deniedError(m) {
	const text = m.message ?? "The broker refused.";
	return new BrokerError(DENIED[m.code] ?? "PROTOCOL",
		m.detail ? `${text} (${m.detail})` : text, m);
}

/** What ended a claim: @param {{type: string, reason?: string, detail?: string}} m */
export function endError(m) {
	const why = m.detail ? `: ${m.detail}` : "";
	if (m.type === "timeout")
		return new BrokerError("WAIT_TIMEOUT", "The wait was over before a GPU was free; ask again.", m);
	if (m.type === "lost")
		return new BrokerError("LOST", "The broker no longer keeps this lease; ask again.", m);
	if (m.reason === "expired")
		return new BrokerError("EXPIRED", "The page was silent for too long; ask again.", m);
	if (m.reason === "disconnected")
		return new BrokerError("LOST", "The connection was gone for too long; ask again.", m);
	if (m.type === "revoked" || m.reason === "revoked")
		return new BrokerError("REVOKED", `The lease was taken away (${m.reason})${why}; ask again.`, m);
	return new BrokerError("RELEASED", `The claim was ended (${m.reason})${why}; ask again.`, m);
}

/** @param {number} code of a closed WebSocket; null: worth another try */
export function closeError(code) {
	if (code === 4401)
		return new BrokerError("UNAUTHORIZED",
			"The broker did not accept the token: open the link that `baton open` prints, "
			+ "or pass the text of its token file.");
	if (code === 4403)
		return new BrokerError("DENIED",
			"The broker does not serve this origin: list it under `origins` in its configuration.");
	if (code === 4409)
		return new BrokerError("PROTOCOL",
			"This SDK and the broker speak different versions: take the SDK that the broker serves.");
	return null;
}

/**
 * A name as the broker takes it: printable, without bidi or zero-width marks, at most so many bytes.
 * @param {unknown} text
 * @param {number} bytes
 */
export function plain(text, bytes) {
	const out = [...String(text).slice(0, bytes).replace(/[\p{C}\p{DI}\p{Zl}\p{Zp}]/gu, " ").trim()];
	while (new TextEncoder().encode(out.join("")).length > bytes)
		out.pop();
	return out.join("");
}
