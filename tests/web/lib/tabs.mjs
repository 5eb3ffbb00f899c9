// @ts-check
// Tabs that hold and wait through the real SDK, for the tests of tab lifecycles: an empty document
// of the daemon's origin (/health) into which the SDK is imported, and a small bench in its window
// that notes when each request was granted and how each lease ended. Times are wall milliseconds
// with fractions, so that those of two tabs and of the test itself can be compared.
import { connect } from "./session.mjs";
import { until } from "./until.mjs";

/** Now, on the scale of the tabs' times. */
export const clock = () => performance.timeOrigin + performance.now();

/**
 * Runs in the page.
 * @param {string} module @param {any} options of the Broker
 */
async function install(module, options) {
	const sdk = await import(module);
	const now = () => performance.timeOrigin + performance.now();
	const broker = new sdk.Broker(options);
	/** @type {any} */
	const bench = {
		sdk,
		broker,
		now,
		states: [],
		leases: {},
		asked: {},
		queue: {},
		at: {},
		over: {},
		errors: {},
	};
	broker.addEventListener("state", (/** @type {any} */ event) =>
		bench.states.push({ at: now(), ...event.detail, error: event.detail.error?.code }),
	);
	bench.ask = (/** @type {string} */ name, /** @type {any} */ request = {}) => {
		bench.queue[name] = [];
		const onQueue = (/** @type {any} */ place) =>
			bench.queue[name].push({ at: now(), ...place });
		const granted = (/** @type {any} */ lease) => {
			bench.at[name] = now();
			bench.leases[name] = lease;
			lease?.signal.addEventListener("abort", () => {
				bench.over[name] = { at: now(), code: lease.signal.reason?.code };
			});
			return lease;
		};
		bench.asked[name] = broker.request({ ...request, onQueue }).then(granted);
		bench.asked[name].catch((/** @type {any} */ error) => {
			bench.errors[name] = { at: now(), code: error?.code, message: error?.message };
		});
	};
	bench.release = async (/** @type {string} */ name) => {
		const at = now();
		await bench.leases[name].release();
		return { at, done: now() };
	};
	/** @type {any} */ (globalThis).bench = bench;
}

/**
 * One tab with a Broker.
 * @template {import("./cdp.mjs").Tab | import("./bidi.mjs").FirefoxTab} [T=import("./cdp.mjs").Tab]
 */
export class Bench {
	/** @param {T} tab */
	constructor(tab) {
		this.tab = tab;
	}

	/**
	 * Puts the SDK into the page. `ready: false` does not wait for the session.
	 * @param {{broker?: object, module?: string, ready?: boolean}} [options]
	 */
	async install({ broker = {}, module = "/sdk/index.js", ready = true } = {}) {
		await this.tab.run(install, module, broker);
		if (ready) await this.run("() => bench.broker.ready()");
		return this;
	}

	/** @param {Function | string} fn @param {...any} args */
	run(fn, ...args) {
		return this.tab.run(fn, ...args);
	}

	/** Asks for a lease and does not wait for it. @param {string} name @param {object} [request] */
	async ask(name, request = {}) {
		await this.run("(name, request) => bench.ask(name, request)", name, request);
	}

	/**
	 * Waits until that request is granted: when it was, and what came.
	 * @param {string} name
	 * @returns {Promise<{at: number, id: string, fence: number, managed: boolean, gpu: string}>}
	 */
	granted(name) {
		return this.run(
			`async (name) => {
			const { id, fence, managed, gpu } = await bench.asked[name];
			return { at: bench.at[name], id, fence: Number(fence), managed, gpu };
		}`,
			name,
		);
	}

	/** Waits until that request is refused. @param {string} name @returns {Promise<any>} */
	refused(name) {
		return this.run(
			`async (name) => {
			if (await bench.asked[name].catch(() => null))
				throw new Error("it was granted");
			return bench.errors[name];
		}`,
			name,
		);
	}

	/**
	 * Waits until that lease is over: when and why.
	 * @param {string} name @returns {Promise<any>}
	 */
	over(name) {
		return until(() => this.run("(name) => bench.over[name]", name), {
			what: `the lease "${name}" is over`,
			ms: 15000,
		});
	}

	/** Releases; when it was called and when it was done. @param {string} name */
	release(name) {
		return this.run("(name) => bench.release(name)", name);
	}
}

/**
 * Signs the browser's profile in.
 * @param {import("./cdp.mjs").Chromium} browser @param {import("./daemon.mjs").Daemon} daemon
 */
export async function signIn(browser, daemon) {
	const tab = await browser.page(await daemon.link());
	await until(async () => await tab.run("() => !location.search").catch(() => false), {
		what: "the link has led on",
	});
	await tab.close();
}

/**
 * A new tab with a Broker of that name, in a profile that is signed in.
 * @param {import("./cdp.mjs").Chromium} browser @param {import("./daemon.mjs").Daemon} daemon
 * @param {string} name
 * @param {{broker?: object, module?: string, ready?: boolean}} [options]
 */
export async function openBench(browser, daemon, name, { broker = {}, ...rest } = {}) {
	const tab = await browser.page(`${daemon.base}/health`);
	return new Bench(tab).install({ broker: { name, ...broker }, ...rest });
}

/**
 * Names of those who wait, in the order in which they will be served.
 * @param {import("./daemon.mjs").Daemon} daemon
 */
export async function waiting(daemon) {
	return (await daemon.status()).waiting.map((/** @type {any} */ row) => row.id);
}

/**
 * Names of those who hold.
 * @param {import("./daemon.mjs").Daemon} daemon
 */
export async function holding(daemon) {
	return (await daemon.status()).leases.map((/** @type {any} */ row) => row.id);
}

/**
 * Waits until exactly these wait, in this order.
 * @param {import("./daemon.mjs").Daemon} daemon @param {string[]} names
 */
export function untilWaiting(daemon, names) {
	return until(async () => JSON.stringify(await waiting(daemon)) === JSON.stringify(names), {
		what: `${names} wait in this order`,
		ms: 15000,
	});
}

/**
 * The best of at most three rounds, the first that is under the limit at once: a loaded machine may
 * spoil one, a broken broker spoils them all.
 * @param {number} limit @param {() => Promise<number>} round
 */
export async function bestOf(limit, round) {
	let best = Infinity;
	for (let i = 0; i < 3 && best > limit; i++) best = Math.min(best, await round());
	return best;
}

/**
 * How long a voice waits for its turn, in ms, while nobody computes.
 * @param {import("./daemon.mjs").Daemon} daemon @param {number} limit
 */
export const voiceWait = (daemon, limit) =>
	bestOf(limit, async () => {
		const voice = await connect(daemon, "voice");
		const askedAt = clock();
		voice.send({ type: "acquire", ref: 1, class: "voice", timeout_s: null });
		voice.send({ type: "accept", lease: (await voice.hear("offered")).lease });
		await voice.hear("granted");
		const ms = clock() - askedAt;
		voice.close();
		await until(async () => (await daemon.status()).leases.length === 0, {
			what: "the voice is over",
		});
		return ms;
	});
