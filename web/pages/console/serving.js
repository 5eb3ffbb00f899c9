// @ts-check
// Answers programs with the Console's model while its switch is on: each request is a turn of the
// model like the page's own. Loaded when the switch is first set.
import { RequestError, Serving } from "/sdk/serve.js";

/** @typedef {import("../../inference/model_host.js").ModelHost} ModelHost */
/** @typedef {import("../../inference/engine.js").Engine} Engine */
/** @typedef {import("/sdk/lease.js").Lease} Lease */
/** @typedef {import("/sdk/types.js").ChatBody} ChatBody */
/** @typedef {import("/sdk/types.js").ServeContext} ServeContext */

/** What the page asks to let a token or two be finished. */
const GRACE_MS = 2000;

/** Texts alone: the engines here see no pictures. @param {ChatBody["messages"]} messages */
function textsOf(messages) {
	return messages.map(({ role, content }) => {
		const parts = typeof content === "string" ? [{ type: "text", text: content }] : content;
		if (!Array.isArray(parts) || parts.some(({ type }) => type !== "text"))
			throw new RequestError("field `messages`: this model takes texts alone");
		return { role, content: parts.map(({ text }) => text).join("") };
	});
}

/**
 * Writes one answer. Asked to give way it stops between two words and goes on from there, as the
 * page's own answers do: a voice waits for a word.
 * @param {{engine: Engine, lease: Lease, messages: {role: string, content: string}[],
 *     signal: AbortSignal, onText: (delta: string) => void, most: number}} o
 */
async function write({ engine, lease, messages, signal, onText, most }) {
	let text = "";
	let tokens = 0;
	const onWord = (/** @type {string} */ delta, /** @type {string} */ full) => {
		text = full;
		tokens++;
		onText(delta);
	};
	for (;;) {
		const begun = text === "" ? [] : [{ role: "assistant", content: text }];
		const cut = AbortSignal.any([signal, lease.yieldSignal]);
		const before = tokens;
		try {
			const part = await engine.chat([...messages, ...begun], {
				signal: cut,
				onText: onWord,
				maxTokens: most - before,
			});
			return { tokens: before + part.tokens };
		} catch (error) {
			if (!lease.yieldSignal.aborted || signal.aborted || lease.signal.aborted) throw error;
		}
		if (tokens >= most) return { tokens };
		await lease.yieldIfNeeded({ graceMs: GRACE_MS });
	}
}

/** The model's words as they come, and how many there were.
 * @param {ModelHost} host @param {ChatBody} body @param {ServeContext} context */
async function* answer(host, body, { signal, class: urgency }) {
	const messages = textsOf(body.messages);
	/** @type {string[]} */
	const pieces = [];
	let wake = () => {};
	let over = false;
	let most = 0;
	const onText = (/** @type {string} */ delta) => {
		pieces.push(delta);
		wake();
	};
	const turn = host.turn({ class: urgency, signal, graceMs: GRACE_MS }, (engine, lease) => {
		const asked = body.max_completion_tokens ?? body.max_tokens ?? Infinity;
		most = Math.min(asked, engine.limits.newTokens);
		return write({ engine, lease, messages, signal, onText, most });
	});
	const end = () => {
		over = true;
		wake();
	};
	turn.then(end, end);
	while (!over || pieces.length) {
		if (pieces.length) yield pieces.splice(0).join("");
		else await new Promise((resolve) => (wake = () => resolve(0)));
	}
	const { tokens } = await turn;
	const finish = tokens < most ? "stop" : "length";
	yield { choices: [{ index: 0, delta: {}, finish_reason: finish }] };
	const usage = { prompt_tokens: 0, completion_tokens: tokens, total_tokens: tokens };
	yield { choices: [], usage };
}

/** @param {ModelHost} host */
const offered = (host) => ({
	id: host.spec.id,
	loaded: host.state === "ready" || host.state === "busy",
	vramBytes: host.spec.vram_mb * 2 ** 20,
	lease: /** @type {const} */ (false), // a turn of the host is one
	chat: (/** @type {ChatBody} */ body, /** @type {ServeContext} */ context) =>
		answer(host, body, context),
});

/** Until it is closed, with the model that the page has chosen. Fires "change" when its state, or
 * the number of requests on their way, changed. */
export class HostServing extends EventTarget {
	#serving;

	/** @param {import("/sdk/broker.js").Broker} broker @param {ModelHost} host */
	constructor(broker, host) {
		super();
		this.#serving = new Serving(broker, { models: [offered(host)] });
		for (const type of ["state", "request"])
			this.#serving.addEventListener(type, () => this.dispatchEvent(new Event("change")));
	}

	get state() {
		return this.#serving.state;
	}

	get running() {
		return this.#serving.running;
	}

	get error() {
		return this.#serving.error;
	}

	/** It has another model now, or the same in another state. @param {ModelHost} host */
	update(host) {
		this.#serving.update({ models: [offered(host)] });
	}

	close() {
		return this.#serving.close();
	}
}
