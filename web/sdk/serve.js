// @ts-check
// serve: a page that answers requests of inference APIs with models of its own, each under a lease
// of its own. A module beside the SDK's: pages that do not serve do not load it.
import { RequestError, answerer, pathsOf } from "./serve_routes.js";
import { BrokerError, closeError } from "./errors.js";
import { awakeLock } from "./page_lifecycle.js";
import { backoffMs } from "./session.js";

/** @import { Broker } from "./broker.js" */
/** @import { FromGateway, ToGateway } from "./protocol.js" */
/** @import { Lease } from "./lease.js" */
/** @import { ServedModel, ServeContext, ServeOptions, ServeState, Spoken } from "./types.js" */

export { RequestError };

/** Of one message: escaped, its text stays below the broker's 64 KiB. */
const PIECE_CHARS = 8_000;
/** Of an answer, not sent yet: whoever makes it waits then. */
const AHEAD_CHARS = 64_000;
/** The broker takes 2000; what is more goes on a little later, in fewer pieces. */
const MESSAGES_PER_S = 1_000;
const TOOK_BYTES = 64 * 1024;

const encoder = new TextEncoder();
const bytesOf = (/** @type {string} */ text) => encoder.encode(text).length;

/** @type {Record<string, string>} */
const ENDS = {
	WAIT_TIMEOUT: "timeout",
	CLOSED: "draining",
	REVOKED: "outranked",
	EXPIRED: "outranked",
	LOST: "outranked",
	RELEASED: "outranked",
	DEVICE_LOST: "outranked",
};

/** What a lease that ends says of a request. @param {unknown} error */
function failure(error) {
	const { code = "", message = "" } = /** @type {Partial<BrokerError>} */ (error ?? {});
	let said = `${message || error}`.replace(/[\0\ud800-\udfff]/g, " ");
	while (bytesOf(said) > 400) said = said.slice(0, -20);
	const refused = error instanceof RequestError ? "bad_field" : "upstream_broken";
	return { code: ENDS[code] ?? refused, message: said };
}

/** One request: its body as it comes, its answer as it may go. */
class Work {
	#serving;
	#stop = new AbortController();
	/** @type {Uint8Array[]} */ #body = [];
	#text = "";
	#left;
	#least;
	#begun = false;
	/** @type {(() => void)[]} */ #waiting = [];
	#flushing = false;

	/** @param {Serving} serving @param {FromGateway.Request} request @param {number} window */
	constructor(serving, request, window) {
		this.#serving = serving;
		this.request = request;
		this.#left = window;
		this.#least = window / 64; // what is left of it is not spent on crumbs
	}

	get signal() {
		return this.#stop.signal;
	}

	get begun() {
		return this.#begun;
	}

	/** @param {Uint8Array} bytes */
	take(bytes) {
		this.#body.push(bytes);
	}

	/** Whole. */
	body() {
		return new Blob(/** @type {BlobPart[]} */ (this.#body.splice(0)));
	}

	/** @param {BrokerError} reason */
	cancel(reason) {
		this.#stop.abort(reason);
		this.#drained();
	}

	/** @param {number} bytes */
	more(bytes) {
		this.#left += bytes;
		this.flush();
	}

	/** @param {string} type @param {number} [status] */
	begin(type, status = 200) {
		this.#begun = true;
		this.#say({
			type: "head",
			status,
			content_type: /** @type {ToGateway.Head["content_type"]} */ (type),
		});
	}

	/** Resolves when more may be made; rejects when nobody wants it. @param {string} text */
	async write(text) {
		this.signal.throwIfAborted();
		this.#text += text;
		if (!this.#flushing) {
			// What is made in one go is sent in one piece.
			this.#flushing = true;
			await null;
			this.#flushing = false;
			this.flush();
		}
		await this.#shrinksTo(AHEAD_CHARS);
		this.signal.throwIfAborted();
	}

	/** All that was written was sent. */
	async settle() {
		this.flush();
		await this.#shrinksTo(0);
	}

	/** @param {number} chars */
	async #shrinksTo(chars) {
		while (this.#text.length > chars && !this.signal.aborted)
			await new Promise((resolve) => this.#waiting.push(() => resolve(0)));
	}

	/** @param {{ code?: string, message?: string }} [why] */
	end(why) {
		this.#say({ type: "end", .../** @type {object} */ (why) });
	}

	flush() {
		while (this.#text && !this.signal.aborted && this.#left >= this.#least) {
			let chars = Math.min(PIECE_CHARS, this.#text.length);
			while (chars > 1 && bytesOf(this.#text.slice(0, chars)) > this.#left)
				chars = Math.floor(chars / 2);
			if (/[\ud800-\udbff]/.test(this.#text[chars - 1])) chars++;
			const text = this.#text.slice(0, chars);
			if (bytesOf(text) > this.#left || !this.#serving.mayWrite()) break;
			this.#left -= bytesOf(text);
			this.#text = this.#text.slice(chars);
			this.#say({ type: "piece", text });
		}
		if (this.#text.length <= AHEAD_CHARS / 2) this.#drained();
	}

	#drained() {
		this.#waiting.splice(0).forEach((resolve) => resolve());
	}

	/** @param {{ type: string, [field: string]: unknown }} message */
	#say({ type, ...fields }) {
		this.#serving.say({ type, request: this.request.request, ...fields });
	}
}

/** Fires "state" when `state` changed. Ends with close(), or with its page. */
export class Serving extends EventTarget {
	/** @type {ServeState} */ #state = "connecting";
	/** @type {WebSocket|null} */ #socket = null;
	/** @type {Map<number, Work>} */ #works = new Map();
	/** @type {ServedModel<Spoken>[]} */ #models = [];
	/** @type {BrokerError|undefined} */ #error;
	#watching = new AbortController();
	#page = new AbortController();
	#broker;
	#name;
	#concurrency;
	#tries = 0;
	#retry = 0;
	#window = 0;
	#took = 0;
	#tokens = MESSAGES_PER_S;
	#filledAt = performance.now();
	#later = 0;
	#awake = awakeLock(`serve ${Math.random()}`);

	/** @param {Broker} broker @param {ServeOptions} options */
	constructor(broker, { models, concurrency = 1, name }) {
		super();
		this.#broker = broker;
		this.#concurrency = concurrency;
		this.#name = name;
		this.#watch(models);
		this.#awake(true);
		// In the browser's cache it answers nobody, and its clients would wait for that.
		globalThis.addEventListener?.("pagehide", () => this.#socket?.close(), this.#page);
		void this.#connect();
	}

	get state() {
		return this.#state;
	}

	/** Why it is closed, where nobody closed it. */
	get error() {
		return this.#error;
	}

	/** Requests on their way. */
	get running() {
		return this.#works.size;
	}

	/** Other models, or other numbers, from now on; what runs goes on.
	 * @param {Partial<ServeOptions>} options */
	update({ models, concurrency }) {
		this.#concurrency = concurrency ?? this.#concurrency;
		if (models) this.#watch(models);
		this.#offer("models");
	}

	async close() {
		this.#end();
	}

	[Symbol.asyncDispose ?? "asyncDispose"]() {
		return this.close();
	}

	/** Who has models of the SDK's says by itself what is loaded.
	 * @param {ServeOptions["models"]} models */
	#watch(models) {
		this.#watching.abort();
		this.#watching = new AbortController();
		this.#models = models;
		for (const { model } of models)
			model?.addEventListener("state", () => this.#offer("models"), this.#watching);
	}

	/** @param {"hello"|"models"} type */
	#offer(type) {
		const { name, token } = this.#broker.door;
		const hello = { version: 1, id: this.#name || name, token: token || undefined };
		this.say({
			type,
			...(type === "hello" ? hello : {}),
			concurrency: this.#concurrency,
			models: this.#models.map((served) => ({
				id: served.id,
				paths: pathsOf(served),
				loaded: served.model ? Boolean(served.model.engine) : (served.loaded ?? false),
				vram_mb: served.vramBytes ? Math.ceil(served.vramBytes / 2 ** 20) : undefined,
			})),
		});
	}

	/** @param {object} message */
	say(message) {
		if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
	}

	/** Whether one more message may go now; if not, what waits is sent a little later. */
	mayWrite() {
		const at = performance.now();
		this.#tokens = Math.min(
			MESSAGES_PER_S,
			this.#tokens + ((at - this.#filledAt) * MESSAGES_PER_S) / 1000,
		);
		this.#filledAt = at;
		if (this.#tokens >= 1) {
			this.#tokens--;
			return true;
		}
		this.#later ||= +setTimeout(() => {
			this.#later = 0;
			for (const work of this.#works.values()) work.flush();
		}, 20);
		return false;
	}

	/** By what the page's session is let in with. */
	async #connect() {
		try {
			await this.#broker.ready();
		} catch (error) {
			const why = /** @type {BrokerError} */ (error);
			if (why.retryable) this.#again();
			else this.#end(why);
			return;
		}
		if (this.#state === "closed") return;
		const { base } = this.#broker.door;
		const socket = new WebSocket(base.replace("http", "ws") + "/v1/workers");
		this.#socket = socket;
		socket.binaryType = "arraybuffer";
		socket.onopen = () => this.#offer("hello");
		socket.onmessage = ({ data }) => {
			if (this.#socket !== socket) return;
			if (typeof data === "string") this.#hear(JSON.parse(data));
			else this.#take(data);
		};
		socket.onerror = () => {};
		socket.onclose = ({ code }) => this.#socket === socket && this.#lost(code);
	}

	/** @param {number} code */
	#lost(code) {
		this.#socket = null;
		this.#cancelAll(new BrokerError("UNREACHABLE", "The broker is away."));
		const error = closeError(code);
		if (error) {
			this.#end(error);
			return;
		}
		this.#set("connecting");
		this.#again();
	}

	#again() {
		if (this.#state === "closed") return;
		this.#retry = +setTimeout(() => this.#connect(), backoffMs(this.#tries++, 250, 10_000));
	}

	/** @param {BrokerError} reason */
	#cancelAll(reason) {
		for (const work of this.#works.values()) work.cancel(reason);
		this.#works.clear();
	}

	/** @param {BrokerError} [error] */
	#end(error) {
		if (this.#state === "closed") return;
		this.#error = error;
		this.#watching.abort();
		this.#page.abort();
		clearTimeout(this.#retry);
		clearTimeout(this.#later);
		this.#cancelAll(new BrokerError("CLOSED", "The page serves no more."));
		const socket = this.#socket;
		this.#socket = null;
		socket?.close(1000);
		this.#awake(false);
		this.#set("closed");
	}

	/** @param {ServeState} state */
	#set(state) {
		if (state === this.#state) return;
		this.#state = state;
		this.dispatchEvent(new Event("state"));
	}

	/** @param {FromGateway.Message | { type: "denied" }} message */
	#hear(message) {
		if (message.type === "ping") this.say({ type: "pong" });
		else if (message.type === "welcome") {
			this.#tries = 0;
			this.#window = message.window_bytes;
			this.#set("open");
		} else if (message.type === "request") {
			this.#works.set(message.request, new Work(this, message, this.#window));
			this.dispatchEvent(new Event("request"));
		} else if (message.type === "body_end") {
			const work = this.#works.get(message.request);
			if (work) void this.#perform(work);
		} else if (message.type === "more") this.#works.get(message.request)?.more(message.bytes);
		else if (message.type === "cancel") this.#cancel(message.request);
	}

	/** A form may be cancelled before all of it is here: then nothing runs that would end it.
	 * @param {number} number */
	#cancel(number) {
		const work = this.#works.get(number);
		work?.cancel(new BrokerError("CLOSED", "The client has left."));
		if (work && !this.#performing.has(work)) this.#over(work);
	}

	/** @type {Set<Work>} */ #performing = new Set();

	/** @param {ArrayBuffer} data */
	#take(data) {
		const number = Number(new DataView(data).getBigUint64(0));
		this.#works.get(number)?.take(new Uint8Array(data, 8));
		this.#took += data.byteLength - 8;
		if (this.#took >= TOOK_BYTES) {
			this.say({ type: "took", bytes: this.#took });
			this.#took = 0;
		}
	}

	/** @param {Work} work @param {{ code?: string, message?: string }} [why] */
	#over(work, why) {
		if (this.#works.delete(work.request.request)) work.end(why);
		this.dispatchEvent(new Event("request"));
	}

	/** @param {Work} work */
	async #perform(work) {
		this.#performing.add(work);
		/** @type {{ code?: string, message?: string } | undefined} */
		let why;
		try {
			await this.#answer(work);
			await work.settle();
		} catch (error) {
			why = failure(error);
		}
		this.#performing.delete(work);
		this.#over(work, why);
	}

	/** The lease covers the work, and no more: until then nothing of it has begun.
	 * @param {Work} work */
	async #answer(work) {
		const { path, model: id, class: cls, client } = work.request;
		const served = this.#models.find((one) => one.id === id);
		if (!served) throw new BrokerError("RELEASED", `This page has no model "${id}" any more.`);
		const answer = await answerer(served, path, work.request, work.body());
		/** @param {Lease|null} lease @param {unknown} engine */
		const act = async (lease, engine) => {
			/** @type {ServeContext<Spoken>} */
			const context = {
				lease,
				engine,
				model: id,
				class: cls,
				client,
				signal: lease ? AbortSignal.any([work.signal, lease.signal]) : work.signal,
			};
			await answer(context, work);
		};
		const { model, lease = {} } = served;
		if (lease === false) await act(null, undefined);
		else if (model)
			await model.run(
				{ class: cls, ...lease, signal: work.signal },
				(/** @type {unknown} */ engine, /** @type {Lease} */ held) => act(held, engine),
			);
		else
			await this.#broker.run(
				{ class: cls, model: id, ...lease, signal: work.signal },
				(held) => act(held, undefined),
			);
	}
}

/** Answers requests for these models until it is closed, or the page is. Resolves when the broker
 * let it in.
 * @param {Broker} broker @param {ServeOptions} options @returns {Promise<Serving>} */
export async function serve(broker, options) {
	await broker.ready();
	const serving = new Serving(broker, options);
	await new Promise((resolve, reject) => {
		const look = () => {
			if (serving.state === "connecting") return;
			serving.removeEventListener("state", look);
			if (serving.state === "open") resolve(0);
			else reject(serving.error ?? new BrokerError("CLOSED", "Closed; make a new one."));
		};
		serving.addEventListener("state", look);
	});
	return serving;
}
