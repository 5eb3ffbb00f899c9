// @ts-check
// One conversation at a time: its messages, the question that is being answered, and what is kept
// of it. Asks a model through a ModelHost's turn; knows no page and no library. Used by
// console.js.
import { newId } from "../../storage/storage.js";

/**
 * @typedef {import("../../storage/storage.js").PageStorage} PageStorage
 * @typedef {import("../../storage/storage.js").Message} Message
 * @typedef {import("../../storage/storage.js").Conversation} Conversation
 * @typedef {import("../../inference/model_host.js").ModelHost} ModelHost
 *
 * @typedef {object} Turn The answer that is being made.
 * @property {"waiting"|"fetching"|"loading"|"writing"} phase
 * @property {Message} message what is written so far
 * @property {import("../../inference/engine.js").Progress | null} progress
 * @property {import("/sdk/types.js").QueueInfo | null} queued where it is in the queue
 * @property {string | null} giveWayTo who needs the GPU, once this turn was asked to give way
 */

/** The one name of this page's turns: after a reload the place in the queue is taken up by it. */
const KEY = "answer";
const PENDING = "baton.console.pending";
/** Of an answer that is made: that is all it says after a reload. */
const LEFT = "the page was left";
const TITLE_CHARS_MAX = 48;
const SAVE_MS = 1000;
/** What the page asks to let a token or two be finished. */
const GRACE_MS = 2000;

/** Codes of a lease that was taken away, and of a model that had to make room. */
const TAKEN = new Set(["REVOKED", "EXPIRED", "LOST", "DEVICE_LOST"]);
const STOPPED = new Set(["ABORTED", "AbortError"]);

/** Fires "change" after all that can be seen, "done" with the message when an answer ended. */
export class Chat extends EventTarget {
	/** @type {Conversation | null} */ conversation = null;
	/** @type {Conversation[]} */ conversations = [];
	/** @type {Message[]} */ messages = [];
	/** @type {Turn | null} */ turn = null;
	/** Why there is no answer. @type {{code: string, message: string} | null} */
	failure = null;
	/** @type {AbortController | null} */ #abort = null;
	#savedAt = 0;

	/**
	 * @param {PageStorage} storage
	 * @param {() => ModelHost} host the model that is chosen now
	 */
	constructor(storage, host) {
		super();
		this.storage = storage;
		this.host = host;
	}

	/** Opens the latest conversation, and goes on with what a reload cut off. */
	async restore() {
		this.conversations = await this.storage.conversations();
		const pending = sessionStorage.getItem(PENDING);
		const cutOff = this.conversations.find(({ id }) => id === pending);
		const latest = cutOff ?? this.conversations[0];
		if (latest) await this.open(latest.id);
		if (cutOff && this.messages.length > 0) void this.#goOnAfterReload();
	}

	async #goOnAfterReload() {
		const last = this.messages[this.messages.length - 1];
		if (last.role === "user") await this.#answer(null);
		else if (last.stopped === LEFT) await this.#answer(last);
	}

	/** @param {string} id */
	async open(id) {
		if (this.turn) await this.stop();
		this.conversation = this.conversations.find((each) => each.id === id) ?? null;
		this.messages = this.conversation ? await this.storage.messages(id) : [];
		this.failure = null;
		this.#changed();
	}

	/** An empty page; the conversation begins with its first question. */
	async begin() {
		if (this.turn) await this.stop();
		this.conversation = null;
		this.messages = [];
		this.failure = null;
		this.#changed();
	}

	/** @param {Conversation} conversation @param {string} title */
	async rename(conversation, title) {
		const renamed = { ...conversation, title };
		await this.storage.putConversation(renamed);
		if (this.conversation?.id === renamed.id) this.conversation = renamed;
		await this.#relist();
	}

	/** @param {Conversation} conversation */
	async remove(conversation) {
		if (this.conversation?.id === conversation.id) await this.begin();
		await this.storage.deleteConversation(conversation.id);
		await this.#relist();
	}

	/** @param {string} text */
	async ask(text) {
		const at = Date.now();
		if (!this.conversation) {
			const title = text.replace(/\s+/g, " ").trim();
			this.conversation = {
				id: newId(),
				title:
					title.length > TITLE_CHARS_MAX
						? `${title.slice(0, TITLE_CHARS_MAX - 1)}…`
						: title,
				model: this.host().spec.name,
				created: at,
				updated: at,
			};
			await this.storage.putConversation(this.conversation);
		}
		/** @type {Message} */
		const question = {
			id: newId(),
			conversation: this.conversation.id,
			role: "user",
			text,
			at,
		};
		this.messages.push(question);
		await this.storage.putMessage(question);
		await this.#relist();
		await this.#answer(null);
	}

	/** Answers the last question anew. */
	async retry() {
		const last = this.messages[this.messages.length - 1];
		if (last?.role === "assistant") {
			this.messages.pop();
			await this.storage.deleteMessage(last.id);
		}
		await this.#answer(null);
	}

	/** Goes on with the last answer, which was cut off. */
	async goOn() {
		const last = this.messages[this.messages.length - 1];
		if (last?.role === "assistant") await this.#answer(last);
	}

	/** Ends the answer; what is there of it stays. Resolves when the GPU is given back. */
	async stop() {
		this.#abort?.abort();
		await this.#running;
	}

	/** @type {Promise<void>} */
	#running = Promise.resolve();

	/** @param {Message | null} begun the answer that is gone on with */
	#answer(begun) {
		if (!this.turn) this.#running = this.#take(begun);
		return this.#running;
	}

	/** @param {Message | null} begun */
	async #take(begun) {
		const host = this.host();
		const conversation = /** @type {Conversation} */ (this.conversation);
		const history = this.messages.map(({ role, text }) => ({ role, content: text }));
		/** @type {Message} */
		const message = begun ?? {
			id: newId(),
			conversation: conversation.id,
			role: "assistant",
			text: "",
			at: Date.now(),
		};
		Object.assign(message, { model: host.spec.name, demo: host.spec.demo === true });
		message.stopped = LEFT;
		this.#abort = new AbortController();
		/** @type {Turn} */
		const turn = { phase: "waiting", message, progress: null, queued: null, giveWayTo: null };
		this.turn = turn;
		this.failure = null;
		sessionStorage.setItem(PENDING, conversation.id);
		this.#changed();
		try {
			await this.#ask(host, history, turn, this.#abort.signal);
			delete message.stopped;
		} catch (error) {
			this.#explain(error, turn);
		}
		try {
			// Until it is kept it may still be cut off: a reload goes on with it.
			if (message.text !== "") await this.#keep(message);
		} finally {
			sessionStorage.removeItem(PENDING);
			this.turn = null;
			this.#abort = null;
		}
		this.#changed();
		if (message.text !== "") this.dispatchEvent(new CustomEvent("done", { detail: message }));
	}

	/**
	 * @param {ModelHost} host @param {{role: string, content: string}[]} history
	 * @param {Turn} turn @param {AbortSignal} signal
	 */
	async #ask(host, history, turn, signal) {
		for (;;) {
			try {
				const answer = await host.turn(
					{
						key: KEY,
						signal,
						graceMs: GRACE_MS,
						onQueue: (queued) => this.#show(turn, { phase: "waiting", queued }),
						onProgress: (progress) =>
							this.#show(turn, {
								phase: progress.file ? "fetching" : "loading",
								progress,
							}),
					},
					(engine, lease) => this.#write(engine, lease, history, turn, signal),
				);
				turn.message.text = answer.text;
				turn.message.tokens = answer.tokens;
				turn.message.perSecond = answer.tokensPerSecond;
				return;
			} catch (error) {
				// While it gave way its model made room, too: another turn loads it again.
				const { code } = /** @type {{code?: string}} */ (error);
				const madeRoom =
					code === "DEVICE_LOST" && turn.phase === "waiting" && turn.giveWayTo !== null;
				if (!madeRoom || signal.aborted) throw error;
			}
		}
	}

	/**
	 * Writes the answer. Asked to give way it stops between two words, and goes on from there when
	 * it has the GPU again: a voice waits for a word, not for an answer.
	 * @param {import("../../inference/engine.js").Engine} engine
	 * @param {import("../../inference/model_host.js").Lease} lease
	 * @param {{role: string, content: string}[]} history
	 * @param {Turn} turn @param {AbortSignal} signal
	 */
	async #write(engine, lease, history, turn, signal) {
		const { message } = turn;
		const asked = history.at(-1)?.role === "assistant" ? history.slice(0, -1) : history;
		for (;;) {
			this.#show(turn, { phase: "writing", queued: null, giveWayTo: null });
			const cut = new AbortController();
			lease.yieldSignal.addEventListener(
				"abort",
				() => {
					if (lease.signal.aborted) return;
					this.#show(turn, { giveWayTo: whoWants(lease) });
					cut.abort();
				},
				{ once: true },
			);
			const begun = { role: "assistant", content: message.text };
			try {
				return await engine.chat(message.text === "" ? asked : [...asked, begun], {
					signal: AbortSignal.any([signal, cut.signal]),
					onText: (_, full) => this.#wrote(message, full),
				});
			} catch (error) {
				if (!cut.signal.aborted || signal.aborted || lease.signal.aborted) throw error;
			}
			this.#show(turn, { phase: "waiting" });
			await lease.yieldIfNeeded({ graceMs: GRACE_MS });
		}
	}

	/** @param {Message} message @param {string} full */
	#wrote(message, full) {
		message.text = full;
		this.#changed();
		this.#keepNowAndThen(message);
	}

	/** @param {unknown} error @param {Turn} turn */
	#explain(error, turn) {
		const {
			code = "",
			name = "",
			message = String(error),
		} = /** @type {{code?: string, name?: string, message?: string}} */ (error ?? {});
		if (STOPPED.has(code) || STOPPED.has(name)) {
			turn.message.stopped = "stopped by you";
			return;
		}
		if (TAKEN.has(code) && code !== "DEVICE_LOST" && turn.message.text !== "") {
			turn.message.stopped =
				turn.giveWayTo === null
					? "stopped: the lease was taken"
					: `stopped: the GPU was needed for ${turn.giveWayTo}`;
			return;
		}
		turn.message.stopped = "stopped by an error";
		this.failure = { code, message };
		this.dispatchEvent(new CustomEvent("failure", { detail: error }));
	}

	/** @param {Message} message */
	#keepNowAndThen(message) {
		if (performance.now() - this.#savedAt < SAVE_MS) return;
		this.#savedAt = performance.now();
		this.storage.putMessage({ ...message }).catch(() => {}); // the last one is judged
	}

	/** @param {Message} message */
	async #keep(message) {
		if (!this.messages.includes(message)) this.messages.push(message);
		await this.storage.putMessage({ ...message });
		await this.#relist();
	}

	async #relist() {
		this.conversations = await this.storage.conversations();
		this.#changed();
	}

	/** @param {Turn} turn @param {Partial<Turn>} news */
	#show(turn, news) {
		Object.assign(turn, news);
		this.#changed();
	}

	#changed() {
		this.dispatchEvent(new Event("change"));
	}
}

/** Who asked for the GPU. @param {import("../../inference/model_host.js").Lease} lease */
function whoWants(lease) {
	const name = /** @type {{detail?: {for?: unknown}}} */ (lease.yieldSignal.reason)?.detail?.for;
	return typeof name === "string" && name !== "" ? name : "another page";
}
