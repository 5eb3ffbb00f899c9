// @ts-check
// The storage of all pages as the dreamer sees it: each note and each conversation is one memory to
// think about. Used by dreamer.js.
import { newId } from "../../storage/storage.js";

/** Of a long conversation the end says what it came to. */
const CONVERSATION_CHARS_MAX = 4000;

/** @typedef {import("./dream_round.js").Recollection} Recollection */
/** @typedef {import("./dream_round.js").Thought} Thought */

/** A DreamStore; see dream_round.js. */
export class DreamStorage {
	/** @param {import("../../storage/storage.js").PageStorage} storage */
	constructor(storage) {
		this.storage = storage;
	}

	/** @returns {Promise<Recollection[]>} */
	async memories() {
		const notes = await this.storage.notes();
		const conversations = await this.storage.conversations();
		const told = await Promise.all(conversations.map((each) => this.#conversation(each)));
		return [
			...notes.map(({ id, text, at }) => ({
				id,
				kind: /** @type {const} */ ("note"),
				text,
				at,
			})),
			...told.filter((each) => each !== null),
		];
	}

	/**
	 * @param {import("../../storage/storage.js").Conversation} conversation
	 * @returns {Promise<Recollection | null>} null while nothing was said
	 */
	async #conversation({ id, title, created }) {
		const messages = await this.storage.messages(id);
		if (messages.length === 0) return null;
		const said = messages.map(({ role, text }) => `${role}: ${text}`).join("\n");
		return {
			id,
			kind: "conversation",
			at: created,
			text: `${title}\n${said.slice(-CONVERSATION_CHARS_MAX)}`,
		};
	}

	/** @returns {Promise<Thought[]>} */
	thoughts() {
		return this.storage.thoughts();
	}

	/** @param {Thought} thought */
	keep(thought) {
		return this.storage.addThought(thought);
	}

	/** Removes all thoughts; what they are about stays. */
	forget() {
		return this.storage.clearThoughts();
	}

	/** @param {string} text */
	addNote(text) {
		return this.storage.putNote({ id: newId(), text, source: "dreamer", at: Date.now() });
	}
}
