// @ts-check
// download: brings one file whole into Cache Storage, or not at all. What came before a break is
// kept in pieces beside it, and gone on with where the server allows. Holds no lease.
import { BrokerError, onRefused } from "./errors.js";
import { sha256 } from "./hash.js";
import { inTurn } from "./page_lifecycle.js";

/** @import { FetchContext, KnownFile } from "./types.js" */

const PARTS = "baton-parts";
const PART_BYTES = 16 * 2 ** 20;
const STALL_MS = 30_000;
/** As long as a timer can be. */
const STALL_MS_MAX = 2 ** 31 - 1;
const TRIES = 3;
/** An answer that brings less, and not the end, is a try that failed. */
const PROGRESS_BYTES = 2 ** 16;
/** How a web page begins. */
const PAGE = /^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype|html|head|body|meta|script)\b/is;
/** Says with an entry that it was checked, and against what. */
const CHECKED = "baton-checked";

/** @param {KnownFile} file @param {string} what */
const damaged = ({ url }, what) =>
	new BrokerError("DAMAGED", `${url} ${what}. It was not kept; fetch it again.`, { url });

/** What a full storage, and one that was emptied or broke, answers. @param {unknown} error
 * @param {string} url @returns {BrokerError} */
function storageFailure(error, url) {
	const { name = "", message = "" } = /** @type {Partial<Error>} */ (error ?? {});
	const full = name === "QuotaExceededError";
	return new BrokerError(
		"STORAGE",
		full
			? `This browser has no room for ${url}: free disk space, or delete other models.`
			: `This browser's storage was cleared while ${url} was fetched; try again.`
					+ (message && ` (${message})`),
		{ url, full },
	);
}

/** @param {string} name @param {string} url */
export async function openCache(name, url) {
	try {
		return await caches.open(name);
	} catch (error) {
		const { message } = /** @type {Error} */ (error);
		throw new BrokerError(
			"STORAGE",
			`This browser has no storage for ${url} (${message}): `
				+ "allow site data, and use https or 127.0.0.1.",
			{ url },
		);
	}
}

/** What has come of a file: blobs that begin where the one before ends. */
class Parts {
	/** @type {Blob[]} */ blobs = [];
	size = 0;
	/** What the server called this version of the file. */
	version = "";
	/** What the file is said to have; 0: unknown. */
	total = 0;

	/** @param {Cache} cache @param {string} url */
	constructor(cache, url) {
		this.cache = cache;
		this.url = url;
	}

	/** @param {number} at */
	#key(at) {
		const key = new URL(this.url);
		key.hash = ""; // storage knows none
		key.searchParams.set(PARTS, `${at}`);
		return key.href;
	}

	async read() {
		[this.blobs, this.size] = [[], 0];
		for (let part; (part = await this.cache.match(this.#key(this.size)));) {
			const version = part.headers.get("etag") ?? "";
			const blob = await part.blob();
			if (!blob.size || (this.size && version !== this.version)) break;
			this.version = version;
			this.blobs.push(blob);
			this.size += blob.size;
		}
		return this;
	}

	/** @param {Uint8Array[]} pieces */
	async add(pieces) {
		const blob = new Blob(/** @type {BlobPart[]} */ (pieces));
		if (!blob.size) return;
		const key = this.#key(this.size);
		await this.cache
			.put(key, new Response(blob, { headers: { etag: this.version } }))
			.catch((error) => {
				throw storageFailure(error, this.url);
			});
		this.size += blob.size;
	}

	async clear() {
		const begin = this.#key(0).slice(0, -1);
		for (const { url } of await this.cache.keys())
			if (url.startsWith(begin)) await this.cache.delete(url);
		[this.blobs, this.size, this.version] = [[], 0, ""];
	}
}

/** Why this cannot be the file, or "".
 * @type {(file: KnownFile, blob: Blob, type: string) => Promise<string>} */
async function flawOf(file, blob, type) {
	const { pathname: name } = new URL(file.url);
	const head = await blob.slice(0, 512).text();
	if (!/\.html?$/.test(name) && (/text\/html/.test(type) || PAGE.test(head)))
		return "came as a web page: the network may ask you to sign in, or the address is wrong";
	if (!blob.size) return "came empty";
	if (file.bytes !== undefined && file.bytes !== blob.size)
		return `has ${blob.size} bytes instead of ${file.bytes}`;
	if (file.sha256 && file.sha256.toLowerCase() !== (await sha256(blob)))
		return "has another SHA-256 than it should";
	if (/\.wasm$/.test(name) && !head.startsWith("\0asm")) return "is not WebAssembly";
	if (/\.json$/.test(name))
		try {
			JSON.parse(await blob.text());
		} catch {
			return "is not JSON";
		}
	return "";
}

/** Not a space at either end, which a header would lose. @param {KnownFile} file */
const marks = (file) => `${file.bytes}/${file.sha256}`;

/** What a cache holds of a file, if that is sound: others may have put it there. A damaged entry
 * is deleted. @param {KnownFile} file @returns {Promise<Response | undefined>} */
export async function cached(file) {
	const cache = await openCache(file.cache, file.url);
	const found = await cache.match(file.url);
	if (!found || found.headers.get(CHECKED) === marks(file)) return found;

	const copy = found.clone();
	const blob = await copy.blob().catch(() => new Blob());
	if (!(await flawOf(file, blob, copy.headers.get("content-type") ?? ""))) return found;
	await cache.delete(file.url);
	return undefined;
}

/** A signal that aborts with `signal`, and when nothing was heard for `ms`.
 * @param {number} ms @param {AbortSignal} [signal] */
function patience(ms, signal) {
	const stop = new AbortController();
	/** @type {ReturnType<typeof setTimeout>|undefined} */ let timer;
	const end = () => clearTimeout(timer);
	const heard = () => {
		end();
		timer = setTimeout(() => stop.abort(), Math.min(ms, STALL_MS_MAX));
	};
	signal?.throwIfAborted();
	heard();
	return { signal: AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]), heard, end };
}

/** The browser tells what a policy refused after the request failed.
 * @param {string} url @param {unknown} error */
async function unreachable(url, error) {
	let blocked = false;
	const { origin } = new URL(url);
	const stop = new AbortController();
	onRefused(origin, () => (blocked = true), stop);
	await new Promise((resolve) => setTimeout(resolve, 20));
	stop.abort();
	return new BrokerError(
		"FETCH_FAILED",
		blocked
			? `This page's Content-Security-Policy does not allow ${origin}, or where it redirects.`
			: `${url} cannot be reached, or does not allow this page `
					+ `(${/** @type {Error} */ (error).message}); try again.`,
		{ url, blocked },
	);
}

/** @param {Response} answer @param {KnownFile} file */
function refused({ status }, { url }) {
	const error = new BrokerError(
		"FETCH_FAILED",
		`${url} answered ${status}: `
			+ (status < 500 ? "look at the model's address." : "try again later."),
		{ url, status },
	);
	error.retryable = status >= 500 || status === 408 || status === 429;
	return error;
}

/** Which part of the file an answer says that it is, if it does, and may be heard.
 * @param {Response} answer */
function rangeOf({ status, headers }) {
	const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
	return status === 206 && range ? { from: +range[1], total: +range[2] || undefined } : null;
}

/** Whether an answer goes on where the parts end, in the same version of the file.
 * @param {Response} answer @param {Parts} parts @param {KnownFile} file */
function goesOn(answer, parts, file) {
	const { status, headers } = answer;
	if (status !== 206) return false;
	const range = rangeOf(answer);
	const same = file.sha256 || (parts.version && versionOf(headers) === parts.version);
	const fits = range
		? range.from === parts.size
		: +(headers.get("content-length") ?? NaN) === (file.bytes ?? NaN) - parts.size;
	const total = range?.total ?? file.bytes;
	return !!same && fits && (file.bytes === undefined || total === file.bytes);
}

/** Of a file that no part was asked of, for which it may stand. What is known of the file is judged
 * when all is there. @param {Response} answer @param {KnownFile} file */
const isOther = (answer, file) =>
	answer.status === 206
	&& (rangeOf(answer)?.from ?? (file.bytes === undefined && !file.sha256 ? NaN : 0)) !== 0;

/** A weak ETag names no bytes. @param {Headers} headers */
function versionOf(headers) {
	const tag = headers.get("etag") ?? "";
	return tag && !tag.startsWith("W/") ? tag : (headers.get("last-modified") ?? "");
}

/** Keeps what an answer brings. @param {Response} answer @param {Parts} parts
 * @param {KnownFile} file @param {FetchContext} options @param {() => void} heard */
async function keep(answer, parts, file, options, heard) {
	const left = +(answer.headers.get("content-length") ?? NaN);
	const total = file.bytes ?? rangeOf(answer)?.total ?? (left ? parts.size + left : 0);
	parts.total = total;
	/** @type {StorageEstimate} */
	const { quota, usage = 0 } = (await navigator.storage?.estimate().catch(() => ({}))) ?? {};
	if (quota !== undefined && 2 * total - parts.size > quota - usage)
		throw storageFailure({ name: "QuotaExceededError" }, file.url);
	const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
	/** @type {Uint8Array[]} */ let pieces = [];
	let kept = 0;
	try {
		for (let next; !(next = await reader.read()).done;) {
			heard();
			pieces.push(next.value);
			kept += next.value.length;
			const loaded = parts.size + kept;
			if (file.bytes !== undefined && loaded > file.bytes)
				throw damaged(file, `is larger than the ${file.bytes} bytes that it should have`);
			options.onBytes?.(loaded, total);
			if (kept < PART_BYTES) continue;
			const full = pieces;
			[pieces, kept] = [[], 0];
			await parts.add(full);
		}
	} finally {
		reader.cancel().catch(() => {});
		await parts.add(pieces);
	}
}

/** One request for what lacks: its type if the file may be whole, "" if there is more to ask for,
 * null if it broke off.
 * @param {KnownFile} file @param {Parts} parts @param {FetchContext} options */
async function request(file, parts, options) {
	const { stallMs = STALL_MS } = options;
	const watch = patience(stallMs, options.signal);
	/** @type {Response|undefined} */ let answer;
	try {
		/** @type {HeadersInit} */
		const headers = parts.size ? { Range: `bytes=${parts.size}-` } : {};
		answer = await fetch(file.url, { headers, signal: watch.signal, cache: "no-store" });
		if (parts.size && !goesOn(answer, parts, file)) {
			await parts.clear();
			if (answer.status !== 200) {
				answer.body?.cancel();
				return null;
			}
		}
		if (!answer.ok) throw refused(answer, file);
		if (!parts.size && isOther(answer, file)) throw damaged(file, "came in part");
		parts.version ||= versionOf(answer.headers);
		await keep(answer, parts, file, options, watch.heard);
		const whole = rangeOf(answer)?.total;
		if (whole !== undefined && parts.size < whole) return "";
		return answer.headers.get("content-type") || "application/octet-stream";
	} catch (error) {
		options.signal?.throwIfAborted();
		if (watch.signal.aborted)
			throw new BrokerError(
				"FETCH_FAILED",
				`Nothing came of ${file.url} for ${stallMs / 1000} s, at `
					+ `${parts.size} bytes. They are kept: try again to go on.`,
				{ url: file.url },
			);
		if (error instanceof BrokerError) throw error;
		if (answer && parts.size) return null;
		throw await unreachable(file.url, error);
	} finally {
		watch.end();
	}
}

/** @param {KnownFile} file @param {Parts} parts @param {string} type */
async function finish(file, parts, type) {
	const size = parts.size;
	await parts.read();
	if (parts.size !== size) throw storageFailure(null, file.url);

	const blob = new Blob(parts.blobs, { type });
	const flaw = await flawOf(file, blob, type);
	if (flaw) throw damaged(file, flaw);
	const cache = await openCache(file.cache, file.url);
	await cache
		.put(
			file.url,
			new Response(blob, {
				headers: {
					[CHECKED]: marks(file),
					"content-type": type,
					"content-length": `${size}`,
				},
			}),
		)
		.catch((error) => {
			throw storageFailure(error, file.url);
		});
}

/** @param {KnownFile} file @param {FetchContext} options */
async function bringNow(file, options) {
	if (await cached(file)) return;
	const parts = await new Parts(await openCache(PARTS, file.url), file.url).read();
	try {
		/** @type {string|null} */
		let type = parts.size === file.bytes ? "application/octet-stream" : null;
		for (let tries = 0; !type;) {
			const before = parts.size;
			if (tries === TRIES)
				throw new BrokerError(
					"FETCH_FAILED",
					`${file.url} breaks off, ${TRIES} times, at `
						+ `${parts.size} bytes. They are kept: try again to go on.`,
					{ url: file.url },
				);
			type = await request(file, parts, options);
			if (type === null || parts.size - before < PROGRESS_BYTES) tries++;
		}
		await finish(file, parts, type);
		await parts.clear();
	} catch (error) {
		const { code, detail } = /** @type {BrokerError} */ (error);
		// Of a file of no known length there may be no end, and no room for any other.
		const endless = code === "STORAGE" && detail.full && !parts.total;
		if (code === "DAMAGED" || endless) await parts.clear();
		throw error;
	}
}

/** Brings a file into its cache. Tabs that want the same one take turns.
 * @param {KnownFile} file @param {FetchContext} [options] */
export const bring = (file, options = {}) =>
	inTurn(`${PARTS} ${file.url}`, options.signal, () => bringNow(file, options));

/** @param {KnownFile} file */
export async function forget(file) {
	const cache = await openCache(file.cache, file.url);
	await cache.delete(file.url);
	await new Parts(await openCache(PARTS, file.url), file.url).clear();
}
