// @ts-check
// Healthy tabs that look dead, with the broker's own times: hidden for 70 s, which slows page
// timers to one a minute, and a main thread that is blocked for 15 s. Both keep what they hold and
// their place. Mostly waiting, so the runner begins with it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { connect } from "../lib/session.mjs";
import { openBench, signIn } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

const HIDDEN_S = 70;
const BLOCKED_MS = 15000;
/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;

before(async () => {
	// A GPU for each test, and no limit on a hold while another waits: it is about silence
	// only.
	daemon = await startDaemon({
		gpu: null,
		args: ["--fake-gpu", "one:24576", "--fake-gpu", "two:24576"],
		config: { classes: { normal: { hold_max_s: 600 } } },
	});
	browser = await launch();
	await signIn(browser, daemon);
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
});

/** @param {string} id */
async function lease(id) {
	return (await daemon.status()).leases.find((/** @type {any} */ row) => row.id === id);
}

/** Runs in the page: counts what a page's own timer does. */
function countTicks() {
	const { bench } = /** @type {any} */ (globalThis);
	bench.ticks = [];
	setInterval(() => bench.ticks.push(bench.now()), 1000);
}

test("silent tabs keep what is theirs", { concurrency: true }, async (t) => {
	const names = ["hidden holder", "hidden waiter", "blocked"];
	const [holder, waiter, blocked] = await Promise.all(
		names.map((name) => openBench(browser, daemon, name)),
	);
	const front = await browser.page("about:blank");
	await front.activate();
	for (const bench of [holder, waiter]) {
		await until(() => bench.run("() => document.visibilityState === 'hidden'"), {
			what: "the tab is hidden",
		});
		await bench.run(countTicks);
	}
	await holder.ask("turn", { gpu: "one" });
	const held = await holder.granted("turn");
	await waiter.ask("turn", { gpu: "one" });
	await until(async () => (await daemon.status()).queue_depth === 1, { what: "one waits" });

	await Promise.all([
		t.test(
			"a main thread blocked for 15 s keeps its lease, and people see that it is blocked",
			() => blockedKeeps(blocked),
		),
		t.test("hidden for 70 s, a holder keeps its lease and a waiter its place", () =>
			hiddenKeep(holder, waiter, held),
		),
	]);
});

/**
 * @param {import("../lib/tabs.mjs").Bench} holder @param {import("../lib/tabs.mjs").Bench} waiter
 * @param {{fence: number}} held
 */
async function hiddenKeep(holder, waiter, held) {
	await until(async () => (await lease("hidden holder")).held_s >= HIDDEN_S, {
		what: `it holds for ${HIDDEN_S} s`,
		ms: (HIDDEN_S + 20) * 1000,
		every: 500,
	});
	const row = await lease("hidden holder");
	assert.equal(row.fence, held.fence, "the same hold");
	assert.equal(row.attached, true);
	assert.equal(row.state, "held");
	const { waiting } = await daemon.status();
	assert.equal(waiting[0].id, "hidden waiter");
	assert.ok(waiting[0].waited_s >= HIDDEN_S - 10, `${waiting[0].waited_s}`);
	const ticks = await holder.run("() => bench.ticks.length");
	assert.ok(ticks < HIDDEN_S, `the page's own timer was throttled: ${ticks} ticks`);
	assert.deepEqual(await holder.run("() => bench.over"), {});
	for (const bench of [holder, waiter])
		assert.equal(await bench.run("() => bench.states.every((s) => s.state === 'open')"), true);

	const { at } = await holder.release("turn");
	const granted = await waiter.granted("turn");
	assert.ok(granted.at - at < 1000, `the hidden waiter took it after ${granted.at - at} ms`);
}

/** @param {import("../lib/tabs.mjs").Bench} bench */
async function blockedKeeps(bench) {
	const session = await connect(daemon);
	await bench.ask("turn", { gpu: "two" });
	const held = await bench.granted("turn");
	await bench.run(
		`(ms) => {
		setTimeout(() => {
			bench.blocked = bench.now();
			while (bench.now() - bench.blocked < ms);
			bench.unblocked = bench.now();
		});
	}`,
		BLOCKED_MS,
	);
	const client = async () =>
		(await session.ask({ type: "clients" }, "clients")).clients.find(
			(/** @type {any} */ row) => row.id === "blocked",
		);
	const stalled = await until(async () => (await client()).stalled_ms > 4000 && client(), {
		what: "the broker is told of the stall",
		ms: 20000,
		every: 100,
	});
	assert.equal(stalled.binding, "tab");
	assert.ok(stalled.seen_s < 7, `its worker answers: last heard ${stalled.seen_s} s ago`);

	const { blocked, unblocked } = await bench.run("() => bench");
	assert.ok(unblocked - blocked >= BLOCKED_MS);
	const row = await lease("blocked");
	assert.equal(row.fence, held.fence, "the same hold");
	assert.ok(row.held_s >= BLOCKED_MS / 1000);
	assert.deepEqual(await bench.run("() => bench.over"), {});
	await until(async () => (await client()).stalled_ms === 0, {
		what: "the stall is over for the broker, too",
		ms: 20000,
		every: 100,
	});
	session.close();
	await bench.release("turn");
}
