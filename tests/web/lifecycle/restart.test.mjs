// @ts-check
// The broker dies (SIGKILL) with a holder and waiters and is started again: no lease is lost, no
// place is lost, the order is kept, and the holder's work is not disturbed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { holding, openBench, signIn, untilWaiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;

before(async () => {
	// Long: how soon it is back depends on the machine, and tabs stop at half of it.
	daemon = await startDaemon({ config: { timing: { tab_linger_s: 20 } } });
	browser = await launch();
	await signIn(browser, daemon);
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
});

test("killed and started again, the broker has lost no lease and no place", async (t) => {
	const names = ["holder", "a", "b", "c"];
	const benches = await Promise.all(names.map((name) => openBench(browser, daemon, name)));
	const [holder, ...waiters] = benches;
	await holder.ask("turn");
	const held = await holder.granted("turn");
	for (const [i, bench] of waiters.entries()) {
		await bench.ask("turn");
		await untilWaiting(daemon, names.slice(1, i + 2));
	}
	const epoch = (await daemon.status()).epoch;

	for (let round = 1; round <= 2; round++) {
		await daemon.kill();
		for (const bench of benches)
			await until(() => bench.run("() => bench.broker.state !== 'open'"), {
				what: "every tab sees that it is gone",
			});
		assert.equal(await holder.run("() => bench.leases.turn.signal.aborted"), false);
		const began = performance.now();
		await daemon.restart();
		await until(
			async () => {
				const { leases, waiting } = await daemon.status();
				return leases.length === 1 && [...leases, ...waiting].every((row) => row.attached);
			},
			{ what: "all are back", ms: 20000 },
		);
		t.diagnostic(`all four tabs were back after ${Math.round(performance.now() - began)} ms`);
		const status = await daemon.status();
		assert.equal(status.epoch, epoch + round);
		assert.equal(status.leases[0].fence, held.fence, "the same hold");
		assert.deepEqual(status.queued, ["a", "b", "c"]);
	}
	assert.equal(await holder.run("() => bench.leases.turn.signal.aborted"), false);
	assert.deepEqual(await holder.run("() => bench.over"), {});

	let last = held.fence;
	for (const [from, to] of [
		[holder, waiters[0]],
		[waiters[0], waiters[1]],
		[waiters[1], waiters[2]],
	]) {
		await from.release("turn");
		const { fence, managed } = await to.granted("turn");
		assert.ok(fence > last, "in the old order, with rising fences");
		assert.equal(managed, true);
		last = fence;
	}
	await waiters[2].release("turn");
	assert.equal((await daemon.status()).locked, false);
	await Promise.all(benches.map((bench) => bench.tab.close()));
});

test("a release while the broker is away is made good when it is back", async () => {
	const [holder, next] = [
		await openBench(browser, daemon, "holder"),
		await openBench(browser, daemon, "next"),
	];
	await holder.ask("turn");
	await holder.granted("turn");
	await next.ask("turn");
	await untilWaiting(daemon, ["next"]);
	await daemon.kill();
	await until(() => holder.run("() => bench.broker.state !== 'open'"), { what: "it is gone" });
	await holder.release("turn");
	await daemon.restart();
	await next.granted("turn");
	assert.deepEqual(await holding(daemon), ["next"]);
	await Promise.all([holder, next].map((bench) => bench.tab.close()));
});

/** Runs in the page: its thread stands still for so long, from when this was answered, and then goes
 * on at once. */
function stepsAfterStandingStill(/** @type {number} */ ms) {
	const { bench } = /** @type {any} */ (globalThis);
	const lease = bench.leases.turn;
	const step = async () => {
		for (const until = performance.now() + ms; performance.now() < until;);
		const told = lease.signal.aborted;
		const error = await lease.yieldIfNeeded().catch((/** @type {any} */ e) => e);
		return { told, code: error?.code ?? error };
	};
	bench.step = new Promise((resolve) => setTimeout(() => resolve(step())));
}

test("the broker dies while a page's thread stands still: its next step is not taken", async () => {
	const short = await startDaemon({ config: { timing: { tab_linger_s: 1 } } });
	try {
		await signIn(browser, short);
		const holder = await openBench(browser, short, "holder");
		await holder.ask("turn");
		await holder.granted("turn");
		await holder.run(stepsAfterStandingStill, 3000);
		await short.kill();
		assert.deepEqual(await holder.run("() => bench.step"), { told: false, code: "LOST" });
		await holder.tab.close();
	} finally {
		await short.stop();
	}
});
