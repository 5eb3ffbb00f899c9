// @ts-check
// errors: the one error class, words for what the broker refuses, and what all the others share.
/** @import { Ending, ErrorCode } from "./types.js" */

const FINAL = "DENIED UNAUTHORIZED PROTOCOL CLOSED NO_WEBGPU LIMITS NEVER_FITS";

/** `message` says what to do next. */
export class BrokerError extends Error {
	/** @param {ErrorCode} code @param {string} message
	 * @param {any} [detail] any: what it is depends on the code */
	constructor(code, message, detail) {
		super(message);
		this.name = "BrokerError";
		this.code = code;
		this.detail = detail;
		this.retryable = !FINAL.includes(code);
	}
}

/** @type {Record<string, ErrorCode>} */
const DENIED = {
	queue_full: "QUEUE_FULL",
	quota: "QUEUE_FULL",
	class_not_allowed: "DENIED",
	not_found: "DENIED", // what pair() hears from an operator who refuses
	never_fits: "NEVER_FITS",
	no_such_gpu: "NEVER_FITS",
};

/** @param {Ending} message */
export function endError(message) {
	const { type, reason, detail } = message;
	/** @type {ErrorCode} */
	let code = type === "revoked" || reason === "revoked" ? "REVOKED" : "RELEASED";
	let text = `The broker took it (${reason}); ask again.`;
	if (type === "denied") {
		code = DENIED[message.code ?? ""] ?? (message.retry_after_s ? "UNREACHABLE" : "PROTOCOL");
		text = message.message ?? "";
	} else if (type === "timeout") {
		code = "WAIT_TIMEOUT";
		text = "No GPU was free in time; ask again.";
	} else if (type === "lost" || reason === "disconnected") {
		code = "LOST";
		text = "The broker lost it; ask again.";
	} else if (reason === "expired") code = "EXPIRED";
	return new BrokerError(code, detail ? `${text} (${detail})` : text, message);
}

export const ORIGIN =
	`List ${globalThis.location?.origin ?? "this origin"} under \`origins\` in `
	+ "the broker's configuration, or ask to queue by pair().";

/** @type {Record<number, [ErrorCode, string]>} */
const CLOSED = {
	4401: ["UNAUTHORIZED", "Open the link of `baton open`, or pass the right token."],
	4403: ["DENIED", ORIGIN],
	4409: ["PROTOCOL", "Use the SDK that this broker serves."],
};

/** Undefined: try again. @param {number} [code] of a closed WebSocket */
export const closeError = (code = 0) => CLOSED[code] && new BrokerError(...CLOSED[code]);

/** What this thread's clock began with. A page tells its worker by the worker's name, for the wall
 * clock may have been set since the page began. */
const { document: aPage, name: began } = /** @type {{ document?: object, name?: string }} */ (
	globalThis
);
const clockBegan = aPage ? 0 : Number(began) || 0;

/** Monotonic ms; a worker's are its page's, or a moment behind. */
export const now = () => clockBegan + performance.now();

/** A name as the broker takes it. @type {(text: unknown, bytes: number) => string} */
export function plain(text, bytes) {
	const clean = `${text}`
		.slice(0, bytes)
		.replace(/[\p{C}\p{DI}\p{Zl}\p{Zp}]/gu, " ")
		.trim();
	const { read } = new TextEncoder().encodeInto(clean, new Uint8Array(bytes));
	return clean.slice(0, read);
}

/** @type {(url: string, body: object, o?: RequestInit, headers?: object|string) => Promise<Response>} */
export const postJson = (url, body, options, headers) =>
	fetch(url, {
		method: "POST",
		headers: { "Content-Type": "application/json", .../** @type {object} */ (headers) },
		body: JSON.stringify(body),
		...options,
	});

/** Hears what the page's policy refuses at an origin, until `stop` aborts.
 * @type {(origin: string, refused: () => void, stop: AbortController) => void} */
export const onRefused = (origin, refused, stop) =>
	globalThis.addEventListener?.(
		"securitypolicyviolation",
		({ blockedURI, disposition }) => {
			if (disposition !== "report" && blockedURI.replace("ws", "http").startsWith(origin))
				refused();
		},
		stop,
	);

const warned = new Set();

/** @param {string} text */
export function warnOnce(text) {
	if (!warned.has(text)) console.warn(text);
	warned.add(text);
}

/** What a page's own function threw where nobody waits for its answer. @param {unknown} error */
export const report = (error) => (globalThis.reportError ?? console.error)(error);
