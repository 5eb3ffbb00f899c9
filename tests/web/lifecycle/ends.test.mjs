// @ts-check
// How a tab's hold ends: by its own word within 150 ms, and by its death within 2.2 s (the time in
// which a closed WebSocket may resume). A tab that reloads keeps its place.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { Bench, bestOf, clock, openBench, signIn, untilWaiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {Bench} the one who waits, in all tests */
let next;
let turns = 0;

before(async () => {
	daemon = await startDaemon();
	browser = await launch();
	await signIn(browser, daemon);
	next = await openBench(browser, daemon, "next");
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
});

/**
 * A tab holds, another waits, the first ends in this way: milliseconds until the other is granted.
 * @param {(holder: Bench) => Promise<number | void>} end may say when exactly it began
 */
async function handOver(end) {
	const holder = await openBench(browser, daemon, "holder");
	await holder.ask("turn");
	await holder.granted("turn");
	const turn = `turn${turns++}`;
	await next.ask(turn);
	await untilWaiting(daemon, ["next"]);
	const began = clock();
	const at = (await end(holder)) ?? began;
	const granted = await next.granted(turn);
	assert.equal((await daemon.status()).held, 1, "nobody else holds");
	await next.release(turn);
	await holder.tab.close().catch(() => undefined);
	return granted.at - at;
}

/** @type {[string, number, (holder: Bench) => Promise<number | void>][]} */
const ends = [
	["releases its lease", 150, async (holder) => (await holder.release("turn")).at],
	[
		"closes its Broker",
		150,
		(holder) =>
			holder.run(`async () => {
		const at = bench.now();
		await bench.broker.close();
		return at;
	}`),
	],
	["is closed", 2200, (holder) => holder.tab.close()],
	["crashes", 2200, (holder) => holder.tab.crash()],
	["is reloaded", 2200, (holder) => holder.tab.reload()],
	["goes to another page", 2200, (holder) => holder.tab.goto("about:blank")],
];
for (const [what, limit, end] of ends) {
	test(`a holder ${what}: the next is granted within ${limit} ms`, async (t) => {
		const ms = await bestOf(limit, () => handOver(end));
		t.diagnostic(`granted after ${ms.toFixed(1)} ms`);
		assert.ok(ms <= limit, `${ms} ms`);
	});
}

/** Notes the workers that the page starts, as one does that means to end them all. */
function noteWorkers() {
	/** @type {any} */
	const place = globalThis;
	place.workers = [];
	place.Worker = class extends Worker {
		/** @param {string} url @param {WorkerOptions} [options] */
		constructor(url, options) {
			super(url, options);
			place.workers.push(this);
		}
	};
}

test("a page that ends the session's worker has lost its turn, and waits on in its place", async () => {
	const killer = new Bench(await browser.page(`${daemon.base}/health`));
	await killer.run(noteWorkers);
	await killer.install({ broker: { name: "killer" } });
	const run = killer.run(`() => bench.broker.run({}, (lease) => new Promise((resolve) => {
		bench.finish = () => lease.yieldIfNeeded().then(resolve, (error) => resolve(error.code));
		lease.signal.addEventListener("abort", bench.finish);
	})).catch((error) => error.code)`);
	await until(() => killer.run("() => Boolean(bench.finish)"), { what: "it computes" });
	await next.ask("killed");
	await untilWaiting(daemon, ["next"]);
	await killer.ask("place");
	await untilWaiting(daemon, ["next", "killer"]);
	const kill = () => killer.run("() => workers.splice(0).forEach((one) => one.terminate())");
	await kill();
	assert.equal(await run, "LOST");
	await next.granted("killed");
	await kill();
	await untilWaiting(daemon, ["killer"]);
	await next.release("killed");
	await killer.granted("place");
	await killer.release("place");
	await killer.tab.close();
});

test("a page that ends an idle Broker's worker: who asks then has a turn, and close() ends", async () => {
	const killer = new Bench(await browser.page(`${daemon.base}/health`));
	await killer.run(noteWorkers);
	await killer.install({ broker: { name: "killer" } });
	const kill = () => killer.run("() => workers.splice(0).forEach((one) => one.terminate())");
	// Ended before it hears of the request: it never says that it can be waited for.
	await kill();
	await killer.ask("turn");
	await killer.granted("turn");
	await killer.release("turn");
	await kill();
	await killer.run("() => bench.broker.close()");
	assert.equal(await killer.run("() => bench.broker.state"), "closed");
	await killer.tab.close();
});

test("a waiting tab that reloads and asks with the same key has its old place", async () => {
	const [holder, first, second] = await Promise.all(
		["holder", "first", "second"].map((name) => openBench(browser, daemon, name)),
	);
	await holder.ask("turn");
	await holder.granted("turn");
	await first.ask("turn", { key: "job" });
	await untilWaiting(daemon, ["first"]);
	await second.ask("turn");
	await untilWaiting(daemon, ["first", "second"]);

	await first.tab.reload();
	await first.install({ broker: { name: "first" } });
	await first.ask("again", { key: "job" });
	await untilWaiting(daemon, ["first", "second"]);
	await holder.release("turn");
	const again = await first.granted("again");
	await first.release("again");
	assert.ok(again.fence < (await second.granted("turn")).fence, "its turn came first");
	await Promise.all([holder, first, second].map((bench) => bench.tab.close()));
});

test("a waiting tab that dies leaves the queue, and nobody waits for it", async (t) => {
	const ms = await bestOf(2200, async () => {
		const [holder, first, second] = await Promise.all(
			["holder", "first", "second"].map((name) => openBench(browser, daemon, name)),
		);
		await holder.ask("turn");
		await holder.granted("turn");
		await first.ask("turn");
		await untilWaiting(daemon, ["first"]);
		await second.ask("turn");
		await untilWaiting(daemon, ["first", "second"]);
		await first.tab.crash();
		const { at } = await holder.release("turn");
		const granted = await second.granted("turn");
		await untilWaiting(daemon, []);
		await second.release("turn");
		await Promise.all([holder, first, second].map((bench) => bench.tab.close()));
		return granted.at - at;
	});
	t.diagnostic(`granted after ${ms.toFixed(1)} ms`);
	assert.ok(ms <= 2200, `${ms} ms`);
});
