// @ts-check
// Pages of another site (listed under `origins`) while the broker is down: each fallback does
// exactly what it says, and the page returns to the broker when it is back. While the broker runs,
// a fallback never grants anything.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { Bench, untilWaiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;

before(async () => {
	site = await startForeignSite();
	// Long: how soon it is back depends on the machine, and tabs stop at half of it.
	daemon = await startDaemon({ config: { origins: [site.base], timing: { tab_linger_s: 15 } } });
	browser = await launch();
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
	await site?.stop();
});

/** @param {string} name @param {"error" | "origin-lock" | "unmanaged"} [fallback] */
async function openForeign(name, fallback) {
	const tab = await browser.page(site.base);
	return new Bench(tab).install({
		ready: false,
		broker: { name, fallback, url: daemon.base, token: daemon.token, backoff: { maxMs: 1000 } },
	});
}

/** @param {Bench} bench */
function isOpen(bench) {
	return until(() => bench.run("() => bench.broker.state === 'open'"), {
		what: "the page has its session with the broker",
		ms: 15000,
	});
}

/**
 * The broker down, two tabs with that fallback.
 * @param {"error" | "origin-lock" | "unmanaged"} how
 */
async function twoWithout(how) {
	// Else a lease of the test before is in the journal, and is kept for a tab that is gone.
	await until(async () => (await daemon.status()).sessions === 0, { what: "no session is left" });
	await daemon.kill();
	return Promise.all([openForeign("one", how), openForeign("two", how)]);
}

test("the broker is up: a page of a listed origin gets a managed lease, whatever its fallback", async () => {
	const [one, two] = await Promise.all([
		openForeign("one", "unmanaged"),
		openForeign("two", "origin-lock"),
	]);
	await one.ask("turn");
	assert.equal((await one.granted("turn")).managed, true);
	await two.ask("turn");
	await untilWaiting(daemon, ["two"]);
	await one.release("turn");
	assert.equal((await two.granted("turn")).managed, true);
	await Promise.all([one, two].map((bench) => bench.tab.close()));
});

test('"error": a request rejects with UNREACHABLE and says how to start the broker', async () => {
	const [one, two] = await twoWithout("error");
	await one.ask("turn");
	const refused = await one.refused("turn");
	assert.equal(refused.code, "UNREACHABLE");
	assert.match(refused.message, /baton serve/);
	assert.equal(
		await one.run("() => bench.broker.ready().catch((error) => error.code)"),
		"UNREACHABLE",
	);
	await daemon.restart();
	await isOpen(one);
	await one.ask("again");
	assert.equal((await one.granted("again")).managed, true);
	await Promise.all([one, two].map((bench) => bench.tab.close()));
});

test('"origin-lock": tabs of one origin take turns, and return to the broker', async () => {
	const [one, two] = await twoWithout("origin-lock");
	await one.ask("turn");
	const first = await one.granted("turn");
	assert.equal(first.managed, false);
	await two.ask("turn");
	// The browser itself says that the second waits for the first.
	await until(
		() =>
			two.run(`async () => {
		const all = Object.values(await navigator.locks.query());
		const [first, second] = all.map((locks) => locks.filter(({ name }) => name === "baton"));
		return first.length === 1 && second.length === 1;
	}`),
		{ what: "the second waits" },
	);
	assert.equal(await two.run("() => bench.at.turn ?? null"), null);
	const { at } = await one.release("turn");
	const second = await two.granted("turn");
	assert.equal(second.managed, false);
	assert.ok(second.at >= at - 1, "one after the other");

	// The broker is back: who waits, waits there; who holds without it is asked to give way.
	await one.ask("third");
	await daemon.restart();
	await isOpen(one);
	const third = await one.granted("third");
	assert.equal(third.managed, true);
	await until(() => two.run("() => bench.leases.turn.yieldSignal.aborted"), {
		what: "the holder without a broker is asked to give way",
		ms: 15000,
	});
	await two.release("turn");
	await one.release("third");
	await two.ask("fourth");
	assert.equal((await two.granted("fourth")).managed, true);
	await Promise.all([one, two].map((bench) => bench.tab.close()));
});

test('"unmanaged": both get it at once and are told that nobody manages it', async () => {
	const [one, two] = await twoWithout("unmanaged");
	for (const bench of [one, two]) {
		await bench.ask("turn");
		assert.equal((await bench.granted("turn")).managed, false);
	}
	await daemon.restart();
	await Promise.all([one, two].map(isOpen));
	assert.deepEqual(await one.run("() => bench.over"), {}, "it was not taken away meanwhile");
	await one.release("turn");
	await one.ask("again");
	assert.equal((await one.granted("again")).managed, true);
	await Promise.all([one, two].map((bench) => bench.tab.close()));
});

test("a short absence of the broker gives nobody the GPU, and who held goes on", async () => {
	const [holder, waiter] = await Promise.all([
		openForeign("holder", "origin-lock"),
		openForeign("waiter", "origin-lock"),
	]);
	await holder.ask("turn");
	const held = await holder.granted("turn");
	await waiter.ask("turn");
	await untilWaiting(daemon, ["waiter"]);
	await daemon.kill();
	await until(() => waiter.run("() => bench.broker.state !== 'open'"), { what: "it is gone" });
	await daemon.restart();
	await Promise.all([holder, waiter].map(isOpen));
	assert.equal(
		await waiter.run("() => bench.at.turn ?? null"),
		null,
		"a short absence gives nobody the GPU",
	);
	await until(async () => (await daemon.status()).leases[0]?.attached, {
		what: "the holder is back",
	});
	assert.equal((await daemon.status()).leases[0].fence, held.fence);
	await holder.release("turn");
	assert.equal((await waiter.granted("turn")).managed, true);
	await Promise.all([holder, waiter].map((bench) => bench.tab.close()));
});
