// errors: the one error class, and words for what the broker refuses.
// @ts-check
/** @import { ErrorCode } from "./types.js" */

const FINAL = "DENIED UNAUTHORIZED PROTOCOL CLOSED NO_WEBGPU LIMITS NEVER_FITS";

/** `code` is for programs; `message` tells people what to do next. */
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
		this.retryable = !FINAL.split(" ").includes(code);
	}
}

/** @type {Record<string, ErrorCode>} */
const DENIED = { queue_full: "QUEUE_FULL", never_fits: "NEVER_FITS", no_such_gpu: "NEVER_FITS",
	unauthorized: "UNAUTHORIZED", forbidden: "DENIED", paused: "WAIT_TIMEOUT", revoked: "REVOKED",
	stale: "LOST", journal_unavailable: "UNREACHABLE", no_memory: "UNREACHABLE" };

/** @param {any} m the broker's last word about a claim */
export function endError(m) {
	const { type, reason, detail } = m;
	/** @type {[ErrorCode, string]} */
	const [code, text] = type === "denied" ? [DENIED[m.code] ?? "PROTOCOL", m.message]
		: type === "timeout" ? ["WAIT_TIMEOUT", "No GPU was free in time; ask again."]
			: type === "lost" || reason === "disconnected" ? ["LOST", "The broker lost this claim; ask again."]
				: reason === "expired" ? ["EXPIRED", "The page was silent for too long; ask again."]
					: [type === "revoked" || reason === "revoked" ? "REVOKED" : "RELEASED",
						`The broker took it (${reason}); ask again.`];
	return new BrokerError(code, detail ? `${text} (${detail})` : text, m);
}

/** @type {Record<number, [ErrorCode, string]>} */
const CLOSED = {
	4401: ["UNAUTHORIZED", "The broker refused the token: open the link of `baton open`, or pass its token."],
	4403: ["DENIED", "The broker does not serve this origin: list it under `origins` in its configuration."],
	4409: ["PROTOCOL", "The broker speaks another version: use the SDK that it serves."],
};

/** Null: try again. @param {number} code of a closed WebSocket */
export const closeError = (code) => CLOSED[code] ? new BrokerError(...CLOSED[code]) : null;

/** A name as the broker takes it. @type {(text: unknown, bytes: number) => string} */
export function plain(text, bytes) {
	const out = [...`${text}`.slice(0, bytes).replace(/[\p{C}\p{DI}\p{Zl}\p{Zp}]/gu, " ").trim()];
	while (new TextEncoder().encode(out.join("")).length > bytes)
		out.pop();
	return out.join("");
}
