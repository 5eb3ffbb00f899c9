// @ts-check
// A chat model that is in memory once: whoever serves it on this machine is asked through the
// broker, a tab or a model server; this page's own copy is loaded only while nobody does. Stands
// where a ModelHost stands. Used by Root Mic and Root Dreamer, which load it when they first ask.

/**
 * @typedef {import("./model_host.js").ModelHost} ModelHost
 * @typedef {import("./model_host.js").TurnOptions} TurnOptions
 * @typedef {import("./engine.js").Engine} Engine
 * @typedef {import("./engine.js").Message} Message
 * @typedef {import("./engine.js").Answer} Answer
 * @typedef {Parameters<Engine["chat"]>[1]} ChatOptions
 * @typedef {import("/sdk/lease.js").Lease} Lease
 *
 * @typedef {object} SharedOptions
 * @property {import("/sdk/broker.js").Broker} broker
 * @property {import("./catalog.js").ModelSpec} spec
 * @property {import("./model_host.js").ClassName} class
 * @property {() => ModelHost} own this page's, made when it is needed
 * @property {() => ModelHost | null} made the same, if it was
 *
 * @typedef {{model: string, alias: string | null, server: string, down: boolean,
 *     failure: string | null}} Row of what the broker says of models
 */

const LOOK_MS_MAX = 3000;

/** The broker found nobody who answers: the own model is worth a try. What else it refuses with
 * says that somebody has the model, and that the GPU is needed for others first. */
const NOBODY = new Set([
	"",
	"model_not_found",
	"model_failed",
	"upstream_unreachable",
	"upstream_broken",
	"upstream_slow",
	"class_not_allowed",
]);

/** What the pages know of errors, by the broker's codes. @type {Record<string, string>} */
const CODES = {
	outranked: "REVOKED",
	draining: "UNREACHABLE",
	upstream_unreachable: "UNREACHABLE",
	timeout: "WAIT_TIMEOUT",
	quota: "QUEUE_FULL",
	queue_full: "QUEUE_FULL",
	unauthorized: "UNAUTHORIZED",
};

/** The pages that people know by another name than the broker's. @type {Record<string, string>} */
const PAGES = { "Root-Console": "the Console's tab", "Root-Dreamer": "the Dreamer's tab" };

/** Whoever serves takes the turn, and gives way. */
const NO_LEASE = /** @type {Lease} */ (
	/** @type {unknown} */ ({
		signal: new AbortController().signal,
		yieldSignal: new AbortController().signal,
		yieldIfNeeded: async () => false,
		report: () => undefined,
		release: async () => undefined,
	})
);

export class ServedError extends Error {
	/** @param {string} code the broker's @param {string} message @param {boolean} begun */
	constructor(code, message, begun) {
		super(message);
		this.name = "ServedError";
		this.code = CODES[code] ?? "ENGINE";
		this.nobody = !begun && NOBODY.has(code);
	}
}

/** Who answers, for people. @param {string} server as the broker names it */
export function sourceOf(server) {
	if (!server.startsWith("tab:")) return server;
	const name = server.slice(4);
	return PAGES[name] ?? `the tab “${name}”`;
}

/** The lines of a stream, as they come. @param {ReadableStream<Uint8Array>} body */
async function* linesOf(body) {
	const reader = body.getReader();
	const decoder = new TextDecoder();
	let rest = "";
	for (;;) {
		const { done, value } = await reader.read();
		if (done) break;
		const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
		rest = lines.pop() ?? "";
		yield* lines;
	}
	yield rest;
}

export class SharedModel {
	#o;

	/** Who made the last words, for people. */
	by = "";

	/** @param {SharedOptions} options */
	constructor(options) {
		this.#o = options;
	}

	get spec() {
		return this.#o.spec;
	}

	/**
	 * As a ModelHost's. `fn` is called again, with the own model, if nobody answered it.
	 * @template T
	 * @param {TurnOptions} o
	 * @param {(engine: Engine, lease: Lease) => Promise<T>} fn
	 * @returns {Promise<T>}
	 */
	async turn(o, fn) {
		const model = await this.#served();
		if (model) {
			await this.#o.made()?.unload();
			try {
				return await fn(this.#engine(model, o), NO_LEASE);
			} catch (error) {
				if (!(error instanceof ServedError && error.nobody)) throw error;
			}
		}
		this.by = "this tab";
		return this.#o.own().turn(o, fn);
	}

	/** Whether the next turn would be somebody else's. */
	async isServed() {
		return (await this.#served()) !== null;
	}

	/** What to ask for, or null: nobody has it. Tabs of this page's own kind do not count: an answer
	 * of their model is asked of themselves. */
	async #served() {
		const { id } = this.#o.spec;
		const { name } = this.#o.broker.door;
		const kin = `tab:${name.replace(/[^A-Za-z0-9._-]/g, "-")}`;
		const rows = (await this.#models()).filter(
			({ model, alias, down, failure }) =>
				(model === id || alias === id) && !down && !failure,
		);
		const other = rows.find(({ server }) => server !== kin);
		if (!other) return null;
		return rows.some(({ server }) => server === kin) ? `${other.server}/${other.model}` : id;
	}

	/** @returns {Promise<Row[]>} */
	async #models() {
		try {
			const answer = await this.#ask("/v1/gpu/models", {
				signal: AbortSignal.timeout(LOOK_MS_MAX),
			});
			return answer.ok ? (await answer.json()).models : [];
		} catch {
			return []; // the own model's turn says what is wrong
		}
	}

	/** @param {string} path @param {RequestInit} init */
	#ask(path, init) {
		const { base, token } = this.#o.broker.door;
		return fetch(base + path, {
			...init,
			headers: {
				"Content-Type": "application/json",
				"x-baton-class": this.#o.class,
				Authorization: `Bearer ${token}`,
			},
		});
	}

	/** @param {string} model @param {TurnOptions} o */
	#engine(model, o) {
		const chat = (/** @type {Message[]} */ messages, /** @type {ChatOptions} */ options = {}) =>
			this.#chat(model, o, messages, options);
		return /** @type {Engine} */ (/** @type {unknown} */ ({ chat }));
	}

	/**
	 * @param {string} model @param {TurnOptions} o @param {Message[]} messages
	 * @param {NonNullable<ChatOptions>} options @returns {Promise<Answer>}
	 */
	async #chat(model, o, messages, { signal, onText, maxTokens }) {
		o.onQueue?.(/** @type {import("/sdk/types.js").QueueInfo} */ ({}));
		let text = "";
		let tokens = 0;
		try {
			const answer = await this.#begin(model, messages, signal, maxTokens);
			for await (const line of linesOf(
				/** @type {ReadableStream<Uint8Array>} */ (answer.body),
			)) {
				this.#hearWho(line);
				if (!line.startsWith("data: ")) continue;
				if (line === "data: [DONE]") return { text, tokens, tokensPerSecond: 0 };
				const { choices, error } = JSON.parse(line.slice(6));
				if (error) throw new ServedError(error.code, error.message, text !== "");
				const delta = choices?.[0]?.delta?.content ?? "";
				if (delta === "") continue;
				text += delta;
				tokens++;
				onText?.(delta, text);
			}
		} catch (error) {
			if (error instanceof ServedError || signal?.aborted) throw error;
			const { message } = /** @type {Error} */ (error);
			throw new ServedError("", message, text !== "");
		}
		throw new ServedError("", "The answer broke off.", text !== "");
	}

	/**
	 * @param {string} model @param {Message[]} messages
	 * @param {AbortSignal} [signal] @param {number} [maxTokens]
	 */
	async #begin(model, messages, signal, maxTokens) {
		const answer = await this.#ask("/v1/chat/completions", {
			method: "POST",
			signal,
			body: JSON.stringify({ model, messages, stream: true, max_tokens: maxTokens }),
		});
		if (!answer.ok || !answer.body) {
			const { error = {} } = await answer.json().catch(() => ({}));
			const words = error.message ?? `The broker answered ${answer.status}.`;
			throw new ServedError(error.code ?? "", words, false);
		}
		this.#heard(answer.headers.get("x-baton-served-by"));
		return answer;
	}

	/** A stream that waited for long says so later. @param {string} line */
	#hearWho(line) {
		const said = /^: baton .*\bserved_by=(\S+)/.exec(line);
		if (said) this.#heard(said[1]);
	}

	/** @param {string | null} server */
	#heard(server) {
		if (server) this.by = sourceOf(server);
	}
}
