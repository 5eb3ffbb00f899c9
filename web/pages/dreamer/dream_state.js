// @ts-check
// What a dreamer remembers of itself over reloads: whether it was awake, when it wakes by itself,
// and in which round it is. One record in a small database of its own; the thoughts are
// elsewhere. Where the browser keeps nothing, it lasts as long as the page. Used by dreamer.js.
import { openDB } from "/vendor/idb.js";

/** @typedef {{awake: boolean, auto: import("./dream_view.js").Auto, round: number}} State */

const DATABASE = "baton-dreamer";
const STORE = "state";
const KEY = "dreamer";

/** @type {State} */
const START = { awake: false, auto: "hand", round: 1 };

export class DreamState {
	/** @param {import("idb").IDBPDatabase | null} database @param {State} state */
	constructor(database, state) {
		this.database = database;
		this.state = state;
	}

	static async open() {
		try {
			const database = await openDB(DATABASE, 1, {
				upgrade: (fresh) => void fresh.createObjectStore(STORE),
			});
			const kept = await database.get(STORE, KEY);
			return new DreamState(database, { ...START, ...kept });
		} catch {
			return new DreamState(null, { ...START });
		}
	}

	/** @param {Partial<State>} change */
	async set(change) {
		Object.assign(this.state, change);
		try {
			await this.database?.put(STORE, { ...this.state }, KEY);
		} catch {
			this.database = null; // full or gone: the page goes on without
		}
	}
}
