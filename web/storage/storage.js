// @ts-check
// What a person keeps in this browser: conversations with their messages, notes, and the thoughts
// about them, in IndexedDB. Nothing of it is sent anywhere. Where the browser gives no storage, or
// it is full or held by an older tab, the store goes on in memory and says why (`problem`). Used
// by Root Console, Root Mic and Root Dreamer; renders nothing.
import { openDB } from "/vendor/idb.js";
import { FallbackDatabase } from "./storage_fallback.js";

/**
 * @typedef {{id: string, title: string, model: string, created: number,
 *     updated: number}} Conversation
 * @typedef {object} Message
 * @property {string} id
 * @property {string} conversation
 * @property {"user"|"assistant"} role
 * @property {string} text
 * @property {number} at
 * @property {string} [stopped] why an answer ended before its end
 * @property {string} [model] who answered
 * @property {boolean} [demo]
 * @property {number} [tokens] how many an answer took
 * @property {number} [perSecond] and how fast they came
 * @typedef {{id: string, text: string, source: string, at: number}} Note
 * @typedef {{id: string, about: string[], text: string, links: string[], round: number,
 *     at: number}} Thought
 * @typedef {"conversations"|"messages"|"notes"|"thoughts"} StoreName
 */

/**
 * What is used of IndexedDB, as the library idb shows it; storage_fallback.js has the same.
 * @typedef {import("./storage_fallback.js").Row} Row
 * @typedef {object} Store
 * @property {(id: string) => Promise<Row | undefined>} get
 * @property {(row: Row) => Promise<unknown>} put
 * @property {(id: string) => Promise<unknown>} delete
 * @property {() => Promise<unknown>} clear
 * @property {(field: string) => {getAllKeys(value: string): Promise<string[]>}} index
 * @typedef {object} Database
 * @property {(name: StoreName) => Promise<Row[]>} getAll
 * @property {(name: StoreName, field: string, value: string) => Promise<Row[]>} getAllFromIndex
 * @property {(names: StoreName[], mode: "readwrite", options: object) => {done: Promise<unknown>,
 *     objectStore(name: StoreName): Store}} transaction
 * @property {() => void} close
 * @property {(() => void) | null} [onversionchange]
 */

const NAME = "baton";
const VERSION = 1;
const OPEN_MS_MAX = 4000;

/** A text for people, and whether the store goes on without the disk. */
export class StorageError extends Error {
	/** @param {"FULL"|"BLOCKED"|"CLEARED"|"UNAVAILABLE"} code @param {string} message */
	constructor(code, message) {
		super(message);
		this.name = "StorageError";
		this.code = code;
	}
}

const problems = {
	FULL:
		"This browser's storage is full, so what you write now is kept only until this page is "
		+ "closed. Delete old conversations, or free space on the disk.",
	BLOCKED:
		"Another tab with an older version of this page holds the stored conversations. Close "
		+ "it and load this page again; until then nothing is kept.",
	CLEARED:
		"This browser's storage was cleared while this page was open. What you write now is kept "
		+ "only until it is closed; load it again to keep things anew.",
	UNAVAILABLE:
		"This browser gives the page no storage (a private window does that), so "
		+ "conversations and notes are kept only until this page is closed.",
};

/** @param {unknown} error */
function explain(error) {
	const { name = "" } = /** @type {{name?: string}} */ (error ?? {});
	const code =
		name === "QuotaExceededError"
			? "FULL"
			: name === "InvalidStateError"
				? "CLEARED" // the database was closed, and not by this page
				: "UNAVAILABLE";
	return new StorageError(code, problems[code]);
}

/** A key nobody else has. */
export function newId() {
	return crypto.randomUUID();
}

/** Fires "problem" when the store had to leave the disk, and "change" after each write. */
export class PageStorage extends EventTarget {
	/** @type {Database} */
	#db;
	/** @type {StorageError | null} */
	#problem;

	/** @param {Database} db @param {StorageError | null} problem */
	constructor(db, problem) {
		super();
		this.#db = db;
		this.#problem = problem;
		// Somebody opens a newer version: let go, or that tab waits for ever.
		if (!problem)
			db.onversionchange = () =>
				this.#leaveDisk(
					new StorageError(
						"BLOCKED",
						"This page was updated in another tab. Load it again to see what is kept.",
					),
				);
	}

	/** Why nothing is kept on disk, or null. */
	get problem() {
		return this.#problem;
	}

	/** @returns {Promise<Conversation[]>} the latest first */
	async conversations() {
		const all = /** @type {Conversation[]} */ (
			await this.#read((db) => db.getAll("conversations"))
		);
		return all.sort((a, b) => b.updated - a.updated);
	}

	/** @param {Conversation} conversation */
	async putConversation(conversation) {
		await this.#write(["conversations"], (stores) => stores[0].put(conversation));
	}

	/** With all its messages, or not at all. @param {string} id */
	async deleteConversation(id) {
		await this.#write(["conversations", "messages"], async ([conversations, messages]) => {
			await conversations.delete(id);
			for (const key of await messages.index("conversation").getAllKeys(id)) {
				await messages.delete(key);
			}
		});
	}

	/** @param {string} conversation @returns {Promise<Message[]>} the oldest first */
	async messages(conversation) {
		const all = await this.#read((db) =>
			db.getAllFromIndex("messages", "conversation", conversation),
		);
		return /** @type {Message[]} */ (all).sort(byAge);
	}

	/** A message and its conversation's time, together. @param {Message} message */
	async putMessage(message) {
		await this.#write(["messages", "conversations"], async ([messages, conversations]) => {
			await messages.put(message);
			const conversation = await conversations.get(message.conversation);
			if (!conversation) return;
			await conversations.put({ ...conversation, updated: message.at });
		});
	}

	/** @param {string} id */
	async deleteMessage(id) {
		await this.#write(["messages"], (stores) => stores[0].delete(id));
	}

	/** @returns {Promise<Note[]>} the oldest first */
	async notes() {
		return /** @type {Note[]} */ (await this.#read((db) => db.getAll("notes"))).sort(byAge);
	}

	/** @param {Note} note */
	async putNote(note) {
		await this.#write(["notes"], (stores) => stores[0].put(note));
	}

	/** @param {string} id */
	async deleteNote(id) {
		await this.#write(["notes"], (stores) => stores[0].delete(id));
	}

	/** @returns {Promise<Thought[]>} the oldest first */
	async thoughts() {
		return /** @type {Thought[]} */ (await this.#read((db) => db.getAll("thoughts"))).sort(
			byAge,
		);
	}

	/**
	 * Keeps a thought once: its id follows from what it is about, so a repeated step adds nothing.
	 * @param {Thought} thought
	 * @returns {Promise<boolean>} whether it was written
	 */
	async addThought(thought) {
		return this.#write(["thoughts"], async ([thoughts]) => {
			if (await thoughts.get(thought.id)) return false;
			await thoughts.put(thought);
			return true;
		});
	}

	async clearThoughts() {
		await this.#write(["thoughts"], (stores) => stores[0].clear());
	}

	close() {
		this.#db.close();
	}

	/** @param {(db: Database) => Promise<Row[]>} read */
	async #read(read) {
		try {
			return await read(this.#db);
		} catch (error) {
			if (this.#problem) throw error;
			await this.#leaveDisk(explain(error));
			return read(this.#db);
		}
	}

	/**
	 * One transaction over the stores: all of `change` or nothing.
	 * @template T
	 * @param {StoreName[]} names
	 * @param {(stores: Store[]) => Promise<T>} change
	 * @returns {Promise<T>}
	 */
	async #write(names, change) {
		try {
			return await this.#transact(names, change);
		} catch (error) {
			if (this.#problem) throw error;
			await this.#leaveDisk(explain(error));
			return this.#transact(names, change);
		}
	}

	/** @template T @param {StoreName[]} names @param {(stores: Store[]) => Promise<T>} change
	 * @returns {Promise<T>} */
	async #transact(names, change) {
		const transaction = this.#db.transaction(names, "readwrite", { durability: "strict" });
		const done = transaction.done;
		done.catch(() => {}); // the change fails first, with the cause
		const value = await change(names.map((name) => transaction.objectStore(name)));
		await done;
		this.dispatchEvent(new Event("change"));
		return value;
	}

	/** Goes on in memory, with what can still be read. @param {StorageError} problem */
	async #leaveDisk(problem) {
		const old = this.#db;
		this.#problem = problem;
		this.#db = await FallbackDatabase.copyOf(old);
		old.close();
		this.dispatchEvent(new Event("problem"));
	}
}

/** @param {{at: number, id: string}} a @param {{at: number, id: string}} b */
function byAge(a, b) {
	return a.at - b.at || (a.id < b.id ? -1 : 1);
}

/** @param {import("/vendor/idb.js").IDBPDatabase} db */
function upgrade(db) {
	db.createObjectStore("conversations", { keyPath: "id" });
	const messages = db.createObjectStore("messages", { keyPath: "id" });
	messages.createIndex("conversation", "conversation");
	db.createObjectStore("notes", { keyPath: "id" });
	db.createObjectStore("thoughts", { keyPath: "id" });
}

/** Opens what is kept; never fails: `problem` says if nothing is kept from now on.
 * @returns {Promise<PageStorage>} */
export async function openStorage() {
	let isBlocked = false;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	let patience;
	const late = new Promise((_, reject) => {
		patience = setTimeout(
			() =>
				reject(
					isBlocked
						? new StorageError("BLOCKED", problems.BLOCKED)
						: new StorageError("UNAVAILABLE", problems.UNAVAILABLE),
				),
			OPEN_MS_MAX,
		);
	});
	// A browser that gives no storage may throw where it should reject.
	const opening = (async () =>
		openDB(NAME, VERSION, {
			upgrade,
			blocked: () => {
				isBlocked = true;
			},
		}))();
	try {
		const opened = /** @type {unknown} */ (await Promise.race([opening, late]));
		return new PageStorage(/** @type {Database} */ (opened), null);
	} catch (error) {
		opening.then(
			(db) => db.close(),
			() => {},
		);
		const problem = error instanceof StorageError ? error : explain(error);
		return new PageStorage(new FallbackDatabase(), problem);
	} finally {
		clearTimeout(patience);
	}
}
