// @ts-check
// The part of an IndexedDB database (as the library idb shows it) that storage.js uses, in plain
// memory: for browsers that give no storage. A transaction here writes at once; nothing of it can
// fail. Used by storage.js only.

/** @typedef {{id: string, [field: string]: unknown}} Row */

const STORES = ["conversations", "messages", "notes", "thoughts"];

class FallbackStore {
	/** @type {Map<string, Row>} */
	#rows = new Map();

	/** @param {string} id */
	async get(id) {
		return structuredClone(this.#rows.get(id));
	}

	async getAll() {
		return structuredClone([...this.#rows.values()]);
	}

	/** @param {Row} row */
	async put(row) {
		this.#rows.set(row.id, structuredClone(row));
	}

	/** @param {string} id */
	async delete(id) {
		this.#rows.delete(id);
	}

	async clear() {
		this.#rows.clear();
	}

	/** @param {string} field */
	index(field) {
		return {
			getAllKeys: async (/** @type {string} */ value) =>
				[...this.#rows.values()].filter((row) => row[field] === value).map(({ id }) => id),
		};
	}
}

export class FallbackDatabase {
	#stores = new Map(STORES.map((name) => [name, new FallbackStore()]));

	/** What another database holds, as far as it can be read.
	 * @param {{getAll(name: string): Promise<Row[]>}} database */
	static async copyOf(database) {
		const copy = new FallbackDatabase();
		for (const name of STORES) {
			try {
				for (const row of await database.getAll(name)) await copy.#store(name).put(row);
			} catch {
				// What cannot be read is not lost by this: it stays where it is.
			}
		}
		return copy;
	}

	/** @param {string} name */
	#store(name) {
		return /** @type {FallbackStore} */ (this.#stores.get(name));
	}

	/** @param {string} name */
	async getAll(name) {
		return this.#store(name).getAll();
	}

	/** @param {string} name @param {string} field @param {string} value */
	async getAllFromIndex(name, field, value) {
		return (await this.getAll(name)).filter((row) => row[field] === value);
	}

	transaction() {
		return {
			done: Promise.resolve(),
			objectStore: (/** @type {string} */ name) => this.#store(name),
		};
	}

	close() {}
}
