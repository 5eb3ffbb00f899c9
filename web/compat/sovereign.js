// @ts-check
// sovereign: the predecessor's browser kernel, with its names and result shapes, on top of the SDK.
// An old page only swaps this file, or makes its own one `export * from` this address. Nothing is
// granted that the broker did not grant, but where no broker listens: then the tabs of one origin
// take turns among themselves. New pages use /sdk/index.js.
import { Broker, detect } from "../sdk/index.js";
import { keptToken } from "../sdk/page_lifecycle.js";

export { SovereignLogger } from "./logger.js";

/**
 * @typedef {{success: true, token: string}|{success: false, error: string}} LockResult
 * @typedef {import("../sdk/index.js").Lease} Lease
 * @typedef {{load: boolean, lease: Lease, users: number, free(): unknown}} Turn what this tab
 *   has; it is given back when nobody in the tab uses it any more
 * @typedef {{claim: Promise<Lease>, leave: AbortController}} Parked
 */
/**
 * @template T
 * @typedef {(lease: Lease) => Promise<T>|T} Task
 */

/** A claim that timed out keeps its place for as long as a page needs to ask again. */
const PLACE_MS = 30_000;
/** Old pages do not hear the wish to give way: they get the longest grace to finish. */
const MANNERS = { preemptible: false, graceMs: 20_000 };

const own = import.meta.url.startsWith("http") ? new URL(import.meta.url).origin : null;

/** @param {unknown} error */
const text = (error) => (error instanceof Error ? error.message : String(error));

/** Turns on the GPU. Each agent is a session of its own, so that status shows the old names. */
export class GPUController {
	/** Where the broker is; `baton serve --compat bridge` also answers at http://localhost:8080. */
	static BRIDGE_URL = own ?? "http://127.0.0.1:8470";
	/** @type {string|null} the install token; the broker's own pages need none */
	static TOKEN = null;
	/** @type {"error"|"origin-lock"|"unmanaged"} when nothing listens at BRIDGE_URL */
	static FALLBACK = "origin-lock";

	/** @type {Map<string, Broker>} */ static #brokers = new Map();
	/** @type {Map<string, {agentId: string, turn: Turn}>} by token, oldest first */
	static #holds = new Map();
	/** @type {Map<string, Parked>} */ static #parked = new Map();
	/** @type {string[]} */ static #loading = [];
	/** @type {string[]} */ static #waitingLoads = [];

	/** @param {string} agentId */
	static #broker(agentId) {
		const key = JSON.stringify([agentId, this.BRIDGE_URL, this.TOKEN]);
		let broker = this.#brokers.get(key);
		if (!broker || broker.state === "closed") {
			broker = new Broker({
				url: this.BRIDGE_URL,
				token: this.TOKEN ?? undefined,
				name: agentId,
				fallback: this.FALLBACK,
			});
			this.#brokers.set(key, broker);
		}
		return broker;
	}

	/**
	 * @param {string} agentId shown to people; the broker's class rules look at it
	 * @param {number} [timeoutMs]
	 * @returns {Promise<LockResult>}
	 */
	static async acquireLock(agentId, timeoutMs = 120_000) {
		const load = this.#turn((turn) => turn.load);
		if (load)
			// called inside a load of this tab: waiting for it would never end
			return this.#hold(agentId, load);
		const parked = this.#parked.get(agentId) ?? this.#ask(agentId);
		this.#parked.delete(agentId);
		/** @type {ReturnType<typeof setTimeout> | undefined} */
		let timer;
		const late = new Promise((_, reject) => {
			timer = setTimeout(() => reject(new Error("GPU Queue Timeout")), timeoutMs);
		});
		try {
			const lease = /** @type {import("/sdk/index.js").Lease} */ (
				await Promise.race([parked.claim, late])
			);
			return this.#hold(agentId, {
				load: false,
				lease,
				users: 0,
				free: () => lease.release(),
			});
		} catch (error) {
			this.#park(agentId, parked);
			return { success: false, error: text(error) };
		} finally {
			clearTimeout(timer);
		}
	}

	/** @param {string} agentId @returns {Parked} */
	static #ask(agentId) {
		const leave = new AbortController();
		const claim = this.#broker(agentId).request({
			...MANNERS,
			key: agentId,
			signal: leave.signal,
			class: agentId.startsWith("Root-Dreamer") ? "background" : undefined,
		});
		return { claim, leave };
	}

	/**
	 * Keeps the place of who timed out, in case it asks again.
	 * @param {string} agentId
	 * @param {Parked} parked
	 */
	static #park(agentId, parked) {
		const mine = () => this.#parked.get(agentId) === parked;
		const timer = setTimeout(() => {
			if (mine()) parked.leave.abort();
		}, PLACE_MS);
		const done = () => {
			clearTimeout(timer);
			if (mine()) this.#parked.delete(agentId);
		};
		if (!this.#parked.has(agentId)) this.#parked.set(agentId, parked);
		parked.claim.then((lease) => {
			if (mine()) lease.release(); // its turn came while nobody asked
			done();
		}, done);
	}

	/** @param {(turn: Turn) => boolean} fits */
	static #turn(fits) {
		return [...this.#holds.values()].map((hold) => hold.turn).find(fits);
	}

	/**
	 * @param {string} agentId
	 * @param {Turn} turn
	 * @returns {{success: true, token: string}}
	 */
	static #hold(agentId, turn) {
		const token = crypto.randomUUID();
		turn.users++;
		this.#holds.set(token, { agentId, turn });
		turn.lease.signal.addEventListener("abort", () => this.#holds.delete(token));
		return { success: true, token };
	}

	/**
	 * @param {string} agentId
	 * @param {string} [token] of acquireLock; without: the oldest lock of that agent in this tab
	 */
	static async releaseLock(agentId, token) {
		const oldest = [...this.#holds].find(([, hold]) => hold.agentId === agentId)?.[0];
		const mine = token ?? oldest ?? "";
		const turn = this.#holds.get(mine)?.turn;
		this.#holds.delete(mine);
		if (turn && --turn.users === 0) await turn.free();
	}

	/**
	 * Runs the task under a hold; rejects when the turn was taken away under it, at the latest a
	 * second after that. A task that listens to its lease's `signal` can stop in time.
	 * @template T
	 * @param {string} agentId
	 * @param {LockResult} got
	 * @param {Task<T>} task
	 * @returns {Promise<T>}
	 */
	static async #under(agentId, got, task) {
		if (!got.success) throw new Error(`Failed to acquire GPU lock: ${got.error}`);
		const lease = this.#holds.get(got.token)?.turn.lease;
		try {
			if (!lease) throw new Error("The GPU lock was lost before the task began; ask again.");
			return await lease.during(task);
		} finally {
			await this.releaseLock(agentId, got.token);
		}
	}

	/**
	 * @template T
	 * @param {string} agentId
	 * @param {Task<T>} task
	 * @param {number} [timeoutMs]
	 * @returns {Promise<T>} rejects when there was no turn, or it was taken under the task
	 */
	static async withLock(agentId, task, timeoutMs = 120_000) {
		return this.#under(agentId, await this.acquireLock(agentId, timeoutMs), task);
	}

	/**
	 * One model load at a time, in all tabs of all origins.
	 * @template T
	 * @param {string} agentId
	 * @param {Task<T>} task
	 * @param {number} [timeoutMs]
	 * @returns {Promise<T>}
	 */
	static async withModelLoadLock(agentId, task, timeoutMs = 300_000) {
		const act = async (/** @type {Lease} */ lease) => {
			this.#loading.push(agentId);
			try {
				return await task(lease);
			} finally {
				this.#loading.splice(this.#loading.indexOf(agentId), 1);
			}
		};
		const turn = this.#turn((it) => !it.load); // called inside a lock of this tab
		const got = turn ? this.#hold(agentId, turn) : await this.#acquireLoad(agentId, timeoutMs);
		return this.#under(agentId, got, act);
	}

	/**
	 * @param {string} agentId
	 * @param {number} waitMs
	 * @returns {Promise<LockResult>}
	 */
	static #acquireLoad(agentId, waitMs) {
		this.#waitingLoads.push(agentId);
		return new Promise((resolve) => {
			let waits = true;
			const settle = (/** @type {() => LockResult} */ result) => {
				if (waits) this.#waitingLoads.splice(this.#waitingLoads.indexOf(agentId), 1);
				waits = false;
				resolve(result());
			};
			this.#broker(agentId)
				.load(
					agentId,
					(lease) =>
						new Promise((free) =>
							settle(() =>
								this.#hold(agentId, {
									load: true,
									lease,
									users: 0,
									free: () => free(null),
								}),
							),
						),
					{ ...MANNERS, waitMs },
				)
				.catch((error) => settle(() => ({ success: false, error: text(error) })));
		});
	}

	/** Loads of this tab. */
	static getModelLoadStatus() {
		const waiting = this.#waitingLoads;
		return {
			queueSize: waiting.length,
			activeLoaders: [...this.#loading],
			hasPendingLoad: waiting.length > 0 || this.#loading.length > 0,
			modelLoadQueueInfo: waiting.length ? `waiting: ${waiting.join()}` : "no load waits",
		};
	}

	/**
	 * @returns {Promise<{locked: boolean, owner: string|null, queue_depth: number,
	 *   queued: string[]}|{error: string}>}
	 */
	static async checkStatus() {
		try {
			const token = this.TOKEN ?? keptToken(new URL(this.BRIDGE_URL).origin);
			const headers = token ? { Authorization: `Bearer ${token}` } : undefined;
			const answer = await fetch(`${this.BRIDGE_URL}/v1/gpu/status`, {
				headers,
				signal: AbortSignal.timeout(4_000),
			});
			const status = await answer.json();
			return answer.ok ? status : { error: status.msg ?? `HTTP ${answer.status}` };
		} catch (error) {
			return { error: text(error) };
		}
	}

	/** Ends the sessions of this tab; what it holds is given back. */
	static async close() {
		const brokers = [...this.#brokers.values()];
		this.#brokers.clear();
		await Promise.all(brokers.map((broker) => broker.close()));
	}
}

/**
 * State that tells who listens which key changed.
 * @template {object} S
 * @param {S} initial
 */
export function createStore(initial) {
	/** @type {Set<(key: keyof S, value: S[keyof S]) => void>} */
	const listeners = new Set();
	const state = new Proxy(
		{ ...initial },
		{
			set(target, key, value) {
				const changed = !Object.is(Reflect.get(target, key), value);
				const done = Reflect.set(target, key, value);
				if (changed)
					[...listeners].forEach((listener) =>
						listener(/** @type {keyof S} */ (key), value),
					);
				return done;
			},
		},
	);
	/** @param {(key: keyof S, value: S[keyof S]) => void} listener */
	const unsubscribe = (listener) => {
		listeners.delete(listener);
	};
	/** @param {(key: keyof S, value: S[keyof S]) => void} listener */
	const subscribe = (listener) => {
		listeners.add(listener);
		return () => unsubscribe(listener);
	};
	return { state, subscribe, unsubscribe };
}

const MIB = 2 ** 20;
/** Largest buffer of each hardware profile, in bytes. */
const PROFILES = { lite: 256 * MIB, mid: 1024 * MIB, high: 2048 * MIB, ultra: 4096 * MIB };

/**
 * An adapter and what to ask of it; `isConstrained`: it offers less than the profile wants.
 * @param {"lite"|"mid"|"high"|"ultra"} [profile]
 */
export async function getWebGPUConfig(profile = "mid") {
	const bytes = PROFILES[profile] ?? PROFILES.mid;
	const { adapter, descriptor, clamped } = await detect({
		features: ["shader-f16"],
		limits: { maxBufferSize: bytes, maxStorageBufferBindingSize: bytes },
	});
	return {
		adapter,
		deviceConfig: descriptor,
		maxBufferSize: Number(descriptor.requiredLimits?.maxBufferSize),
		isConstrained: clamped.length > 0,
	};
}

/** Code is reloaded by the broker's --dev; no lease is touched by these two. */
const reload = {
	triggerGPUHotReload: async () => ({ success: true, released: 0 }),
	setGPUHotReloadEnabled: (/** @type {boolean} */ enabled) => Boolean(enabled),
};
if (typeof window !== "undefined") Object.assign(window, reload);
