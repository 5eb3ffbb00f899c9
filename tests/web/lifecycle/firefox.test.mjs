// @ts-check
// The same promises in Firefox, which keeps no page with a connection in its back/forward cache,
// ends workers before they hear what their page said last, and lets a worker's messages wait for
// its page's thread.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launchFirefox } from "../lib/bidi.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { Bench, bestOf, clock, holding, untilWaiting, waiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

const LINGER_S = 1;
const TTL_S = 2;
/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/bidi.mjs").Firefox} */
let browser;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;
/** @type {Bench<import("../lib/bidi.mjs").FirefoxTab>} */
let holder;
/** @type {Bench<import("../lib/bidi.mjs").FirefoxTab>} */
let next;

before(async () => {
	site = await startForeignSite();
	[daemon, browser] = await Promise.all([
		startDaemon({
			config: {
				origins: [site.base],
				timing: {
					heartbeat_s: 0.5,
					session_ttl_s: TTL_S,
					tab_linger_s: LINGER_S,
					grace_s: 0.5,
					lock_delay_s: 0.5,
					settle_s: 0.5,
				},
			},
		}),
		launchFirefox(),
	]);
	holder = await open("holder");
	next = await open("next");
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	await site?.stop();
});

const broker = (/** @type {string} */ name) => ({
	broker: { name, url: daemon.base, token: daemon.token },
});

const open = async (/** @type {string} */ name) =>
	new Bench(await browser.page(`${site.base}/`)).install(broker(name));

/** @param {Bench<any>} bench who asks @param {string} turn @param {object} [request] */
async function askAndWait(bench, turn, request = {}) {
	const before = (await waiting(daemon)).length;
	await bench.ask(turn, request);
	await until(async () => (await waiting(daemon)).length > before, { what: "it waits" });
}

/** Runs in the page: turns, and when each was. @param {number} count */
async function takeTurns(count) {
	const { bench } = /** @type {any} */ (globalThis);
	const spans = [];
	for (let i = 0; i < count; i++)
		await bench.broker.run({}, async (/** @type {any} */ lease) => {
			const from = bench.now();
			await fetch("/").then((answer) => answer.text());
			spans.push({ fence: Number(lease.fence), from, to: bench.now() });
		});
	return spans;
}

test("the session runs in its worker, and two tabs are never in at the same time", async () => {
	const spans = (
		await Promise.all(
			[holder, next].map(async (bench) => {
				assert.equal(await bench.run("() => bench.broker.heartbeat"), "worker");
				return bench.run(takeTurns, 20);
			}),
		)
	)
		.flat()
		.sort((a, b) => a.fence - b.fence);
	assert.equal(spans.length, 40);
	// Firefox rounds the clock to a millisecond.
	assert.deepEqual(
		spans.filter((span, at) => at && span.from < spans[at - 1].to - 2),
		[],
	);
});

/** @type {[string, (tab: import("../lib/bidi.mjs").FirefoxTab) => Promise<void>][]} */
const absences = [
	["is reloaded", (tab) => tab.reload()],
	[
		"is left and comes back",
		async (tab) => {
			await tab.goto(`${site.base}/elsewhere`);
			await until(
				async () =>
					(await daemon.status()).waiting[0].attached === false
					|| (await waiting(daemon)).length === 1,
				{ what: "its connection is gone" },
			);
			await tab.back();
		},
	],
];
for (const [what, leave] of absences)
	test(`a waiting tab that ${what} has its place by its key`, async () => {
		const tab = await browser.page(`${site.base}/`);
		const absent = await new Bench(tab).install(broker("absent"));
		await holder.ask(what);
		await holder.granted(what);
		await askAndWait(absent, "turn", { key: "job" });
		await askAndWait(next, what);
		await leave(tab);
		await until(() => tab.run("() => location.pathname === '/' && !globalThis.bench"), {
			what: "the page is loaded anew",
		});
		await absent.install(broker("absent"));
		await absent.ask("again", { key: "job" });
		await untilWaiting(daemon, ["absent", "next"]);
		await holder.release(what);
		await absent.granted("again");
		await absent.release("again");
		await next.granted(what);
		await next.release(what);
		await tab.close();
	});

// Mostly the page's last request arrives, and the next is in at once; on a busy machine Firefox may
// drop it, also where it only goes elsewhere, and then the linger is the promise.
const limit = LINGER_S * 1000 + 500;
/** @type {[string, (tab: import("../lib/bidi.mjs").FirefoxTab) => Promise<void>][]} */
const ends = [
	["is reloaded", (tab) => tab.reload()],
	["goes to another page", (tab) => tab.goto("about:blank")],
	["is closed", (tab) => tab.close()],
];
for (const [what, end] of ends)
	test(`a holder that ${what}: the next is granted within ${limit} ms`, async (t) => {
		let round = 0;
		const ms = await bestOf(limit, async () => {
			const turn = `${what} ${round++}`;
			const tab = await browser.page(`${site.base}/`);
			const leaving = await new Bench(tab).install(broker("leaving"));
			await leaving.ask("turn");
			await leaving.granted("turn");
			await askAndWait(next, turn);
			const at = clock();
			await end(tab);
			const granted = await next.granted(turn);
			assert.deepEqual(await holding(daemon), ["next"]);
			await next.release(turn);
			await tab.close().catch(() => undefined);
			return granted.at - at;
		});
		t.diagnostic(`granted after ${ms.toFixed(0)} ms`);
		assert.ok(ms <= limit, `${ms} ms`);
	});

/** Runs in the page: its thread stands still under a lease, once it is told to. @param {number} ms */
async function standStill(ms) {
	const { bench } = /** @type {any} */ (globalThis);
	let end = 0;
	const result = await bench.broker
		.run({}, async () => {
			await new Promise((resolve) => {
				bench.still = resolve;
			});
			bench.still = null;
			const from = bench.now();
			while ((end = bench.now()) - from < ms);
			return "done";
		})
		.catch((/** @type {any} */ error) => error.code);
	return { result, end };
}

/** A thread that stands still under a lease by now; what became of it.
 * @param {number} ms */
async function holdStill(ms) {
	const told = holder.run(standStill, ms);
	await until(() => holder.run("() => Boolean(bench.still && setTimeout(bench.still))"), {
		what: "it holds",
	});
	return { told };
}

// The worker's WebSocket carries nothing then, in either direction; its requests do.
test("a thread that stands still keeps its lease", async (t) => {
	for (const ms of [TTL_S * 400, TTL_S * 2600]) {
		const { told } = await holdStill(ms);
		await next.ask(`still ${ms}`);
		const granted = await next.granted(`still ${ms}`);
		const { result, end } = await told;
		t.diagnostic(`${ms} ms: ${result}, the next ${Math.round(granted.at - end)} ms after it`);
		assert.equal(result, "done");
		assert.ok(granted.at >= end - 2, `${end - granted.at} ms beside it`);
		await next.release(`still ${ms}`);
	}
});

test("who stands still and was taken the lease meanwhile is told so, and not that it is done", async () => {
	const { told } = await holdStill(TTL_S * 1500);
	const [{ lease }] = (await daemon.status()).leases;
	await daemon.http("POST", `/v1/gpu/leases/${lease}/revoke`, { reason: "test" });
	await next.ask("after it");
	await next.granted("after it");
	assert.equal((await told).result, "REVOKED");
	await next.release("after it");
});

test("a tab that waits and stands still keeps its place", async () => {
	await next.ask("first");
	await next.granted("first");
	await askAndWait(holder, "second");
	const still = holder.run((/** @type {number} */ ms) => {
		const from = performance.now();
		while (performance.now() - from < ms);
	}, TTL_S * 2000);
	await still;
	assert.deepEqual(await waiting(daemon), ["holder"]);
	await next.release("first");
	await holder.granted("second");
	await holder.release("second");
});

/** Runs in the page: asks to be let in, and takes a turn. @param {string} url */
async function pairAndCompute(url) {
	const { Broker, pair } = await import(/** @type {any} */ ("/sdk/index.js"));
	let asked = false;
	const token = await pair({
		url,
		onAsked: () => {
			asked = true;
		},
	});
	const broker = new Broker({ url, name: "site" });
	Object.assign(globalThis, { site: broker });
	const gpu = await broker.run({ class: "chat" }, (/** @type {any} */ lease) => lease.gpu);
	return { asked, length: token.length, gpu, rights: broker.rights };
}

/**
 * Clicks once it is there.
 * @param {import("../lib/bidi.mjs").FirefoxTab} tab @param {string} selector
 */
const click = (tab, selector) =>
	until(
		() =>
			tab.run((/** @type {string} */ button) => {
				const found = /** @type {HTMLElement|null} */ (document.querySelector(button));
				found?.click();
				return found !== null;
			}, selector),
		{ what: `${selector} can be clicked`, ms: 15000 },
	);

test("a site asks, is allowed on the dashboard, has its turn, and is revoked", async () => {
	const stranger = await startForeignSite();
	try {
		const tab = await browser.page(`${stranger.base}/`);
		const refused = await tab.run(async (/** @type {string} */ url) => {
			const { Broker } = await import(/** @type {any} */ ("/sdk/index.js"));
			const broker = new Broker({ url, name: "site" });
			return broker
				.request()
				.catch((/** @type {any} */ { code, message }) => ({ code, message }));
		}, daemon.base);
		assert.equal(refused.code, "DENIED");
		assert.match(refused.message, /pair\(\)/);

		const turn = tab.run(pairAndCompute, daemon.base);
		const dashboard = await browser.page(await daemon.link());
		await click(dashboard, ".site-asks button");
		const asks = await dashboard.run("() => document.querySelector('.site-asks').innerText");
		assert.ok(asks.startsWith(`${stranger.base} asks to queue`), asks);
		await click(dashboard, "dialog[open] button[type=submit]");
		const paired = { length: 64, gpu: "rtx", rights: "queue" };
		assert.deepEqual(await turn, { asked: true, ...paired });

		await tab.reload();
		assert.deepEqual(await tab.run(pairAndCompute, daemon.base), { asked: false, ...paired });

		const held = tab.run(async () => {
			const { site } = /** @type {any} */ (globalThis);
			const lease = await site.request();
			Object.assign(globalThis, { lease });
			await new Promise((resolve) => lease.signal.addEventListener("abort", resolve));
			return site.state;
		});
		await until(() => tab.run("() => 'lease' in globalThis"), {
			what: "the site knows that it holds",
		});
		await click(dashboard, "#sites li button");
		await click(dashboard, "dialog[open] button[type=submit]");
		assert.equal(await held, "closed");
		await until(async () => !(await daemon.status()).locked, { what: "the GPU is free" });
		await Promise.all([tab.close(), dashboard.close()]);
	} finally {
		await stranger.stop();
	}
});
