// @ts-check
// The SDK in Node, against the real daemon: the WebSocket is that of the `ws` package, and the
// session runs on the main thread, since Node has no Worker of the web. Used by the tests here.
import { webcrypto } from "node:crypto";
import { startDaemon } from "../lib/daemon.mjs";
import { WebSocket } from "../lib/packages.mjs";
import { until } from "../lib/until.mjs";

/** @type {any} */ (globalThis).WebSocket = WebSocket;
// What Node 18 lacks of what every browser has.
/** @type {any} */ (globalThis).crypto ??= webcrypto;
/** @type {any} */ (globalThis).CustomEvent ??= class extends Event {
	/** @param {string} type @param {{detail?: unknown}} [init] */
	constructor(type, init) {
		super(type);
		this.detail = init?.detail;
	}
};
const sdk = await import("../../../web/sdk/index.js");

/** Short enough to wait for. */
const TIMING = { grace_s: 0.3, min_run_s: 0, tab_linger_s: 0.3, lock_delay_s: 0.3, settle_s: 1 };

/**
 * A daemon and Brokers that end with the test file.
 * @param {{timing?: object, config?: Record<string, any>, gpu?: string, args?: string[]}} [o]
 */
export async function bench({ timing = {}, config = {}, gpu, args = [] } = {}) {
	const daemon = await startDaemon({
		config: { timing: { ...TIMING, ...timing }, ...config },
		args,
		...(gpu ? { gpu } : {}),
	});
	/** @type {import("../../../web/sdk/index.js").Broker[]} */
	const brokers = [];
	return {
		daemon,
		/** @param {string} name @param {object} [o] */
		broker(name, o = {}) {
			const broker = new sdk.Broker({
				url: daemon.base,
				token: daemon.token,
				name,
				backoff: { minMs: 20, maxMs: 100 },
				...o,
			});
			brokers.push(broker);
			return broker;
		},
		/** Waits until so many claims wait. @param {number} n */
		waiting: (n) =>
			until(async () => (await daemon.status()).waiting.length === n, {
				what: `${n} claims wait`,
			}),
		async end() {
			await Promise.all(brokers.map((broker) => broker.close()));
			await daemon.stop();
		},
	};
}

/** The next event's detail. @type {(target: EventTarget, type: string) => Promise<any>} */
export const next = (target, type) =>
	new Promise((resolve) =>
		target.addEventListener(type, (event) => resolve(/** @type {any} */ (event).detail), {
			once: true,
		}),
	);

/** @param {string} code */
export const coded = (code) => (/** @type {any} */ error) => error.code === code;

export { sdk };
