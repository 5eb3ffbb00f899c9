// @ts-check
// Processes that stand still (SIGSTOP), as when a laptop's browser is suspended while its broker
// is not: nothing in them runs, no event says so, and all that was due falls due at once when they
// go on. Longer than the broker waits, the lease is LOST and nothing counts as done.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { killGroup, signalTo } from "../lib/children.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { connect } from "../lib/session.mjs";
import { holding, openBench, signIn, untilWaiting, waiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

/** @typedef {import("../lib/tabs.mjs").Bench} Bench */
/** @typedef {(signal: "SIGSTOP" | "SIGCONT") => Promise<void>} Send */

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/daemon.mjs").Daemon} */
let patient;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;

before(async () => {
	const timing = { heartbeat_s: 0.5, grace_s: 0.5, lock_delay_s: 0.5, settle_s: 0.5 };
	[daemon, patient] = await Promise.all([
		startDaemon({ config: { timing: { ...timing, session_ttl_s: 2, tab_linger_s: 1 } } }),
		startDaemon({ config: { timing: { ...timing, session_ttl_s: 60, tab_linger_s: 1 } } }),
	]);
	browser = await launch();
	await signIn(browser, daemon);
	await signIn(browser, patient);
});
after(async () => {
	killGroup(browser.process, "SIGCONT");
	await browser.close();
	await Promise.all([daemon, patient].map((each) => each?.stop()));
});

/** @type {Send} */
const all = async (signal) => killGroup(browser.process, signal);

/**
 * Those that run pages; the browser's own process and its sockets go on. One that ends by itself
 * meanwhile, a spare one or that of a tab that was closed, is not there to be signalled.
 */
async function renderers() {
	const { processInfo } = await browser.send("SystemInfo.getProcessInfo");
	const ids = processInfo
		.filter((/** @type {any} */ { type }) => type === "renderer")
		.map((/** @type {any} */ { id }) => id);
	assert.ok(ids.length > 0);
	/** @type {Send} */
	return async (signal) => ids.forEach((/** @type {number} */ id) => signalTo(id, signal));
}

/** Runs in the page: work that would be over while it stands still, and its next step. */
function work() {
	const { bench } = /** @type {any} */ (globalThis);
	bench.step = null;
	bench.work = bench.broker
		.run({}, async (/** @type {any} */ lease) => {
			bench.lease = lease;
			await new Promise((resolve) => setTimeout(resolve, 1000));
			const step = await lease.yieldIfNeeded().catch((/** @type {any} */ error) => error);
			bench.step = [step?.code ?? step, lease.signal.aborted];
			return "done";
		})
		.catch((/** @type {any} */ error) => error.code);
}

/** @param {Bench} bench */
async function begin(bench) {
	await bench.run(work);
	await until(() => bench.run("() => Boolean(bench.lease)"), { what: "it computes" });
	return bench.run("() => Number(bench.lease.fence)");
}

/** Somebody outside that browser, who waits. */
async function outsider() {
	const session = await connect(daemon, "outsider");
	session.send({ type: "acquire", ref: 1 });
	await until(async () => (await waiting(daemon)).at(-1) === "outsider", { what: "it waits" });
	return {
		async turn() {
			const { lease } = await session.hear("offered");
			await session.ask({ type: "accept", lease }, "granted");
			return { lease, give: () => session.send({ type: "release", lease }) };
		},
		close: () => session.close(),
	};
}

/** @type {[string, () => Promise<Send>, "worker" | "reply"][]} */
const stops = [
	["the whole browser", async () => all, "worker"],
	["each renderer", renderers, "worker"],
	["each renderer, its session on the page's thread,", renderers, "reply"],
];
for (const [what, find, heartbeat] of stops)
	test(`${what} is suspended: the lease is LOST, and each asks again`, async (t) => {
		const holder = await openBench(browser, daemon, "holder", { broker: { heartbeat } });
		const waiter = await openBench(browser, daemon, "waiter", { broker: { heartbeat } });
		const fence = await begin(holder);
		await waiter.ask("turn");
		await untilWaiting(daemon, ["waiter"]);
		const other = await outsider();
		const send = await find();
		await send("SIGSTOP");
		t.after(() => send("SIGCONT"));
		const { give } = await other.turn();
		assert.deepEqual(await holding(daemon), ["outsider"]);
		await send("SIGCONT");

		assert.equal(await holder.run("() => bench.work"), "LOST");
		assert.deepEqual(await holder.run("() => bench.step"), ["LOST", true]);
		await holder.ask("again");
		await untilWaiting(daemon, ["waiter", "holder"]);
		give();
		await waiter.granted("turn");
		await waiter.release("turn");
		assert.ok((await holder.granted("again")).fence > fence);
		assert.deepEqual(await waiter.run("() => bench.errors"), {});
		other.close();
		await Promise.all([holder, waiter].map(({ tab }) => tab.close()));
	});

for (const [what, find, heartbeat] of stops)
	test(`${what} stands still for less than the broker waits: the work is done`, async () => {
		const holder = await openBench(browser, patient, "holder", { broker: { heartbeat } });
		await begin(holder);
		const row = async () => (await patient.status()).leases[0];
		const { held_s: before } = await row();
		const send = await find();
		await send("SIGSTOP");
		try {
			await until(async () => (await row()).held_s >= before + 2, {
				what: "it stood still for 2 s",
			});
		} finally {
			await send("SIGCONT");
		}
		assert.equal(await holder.run("() => bench.work"), "done");
		assert.deepEqual(await holder.run("() => bench.step"), [false, false]);
		await holder.tab.close();
	});
