// @ts-check
// Processes that stand still (SIGSTOP), as when a laptop's browser is suspended while its broker
// is not: nothing in them runs, no event says so, and all that was due falls due at once when they
// go on. Longer than the broker waits, the lease is LOST and nothing counts as done.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { killGroup, signalTo } from "../lib/children.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { startForeignSite } from "../lib/foreign.mjs";
import { connect } from "../lib/session.mjs";
import { Bench, holding, openBench, signIn, untilWaiting, waiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

/** @typedef {(signal: "SIGSTOP" | "SIGCONT") => Promise<void>} Send */

/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/daemon.mjs").Daemon} */
let patient;
/** Keeps no place for long. @type {import("../lib/daemon.mjs").Daemon} */
let forgetful;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {Awaited<ReturnType<typeof startForeignSite>>} */
let site;

before(async () => {
	site = await startForeignSite();
	const timing = { heartbeat_s: 0.5, grace_s: 0.5, lock_delay_s: 0.5, settle_s: 0.5 };
	const origins = [site.base];
	const start = (/** @type {object} */ own) =>
		startDaemon({ config: { origins, timing: { ...timing, tab_linger_s: 1, ...own } } });
	[daemon, patient, forgetful] = await Promise.all([
		start({ session_ttl_s: 2 }),
		start({ session_ttl_s: 60 }),
		start({ session_ttl_s: 2, place_memory_s: 1 }),
	]);
	browser = await launch();
	for (const each of [daemon, patient, forgetful]) await signIn(browser, each);
});
after(async () => {
	killGroup(browser.process, "SIGCONT");
	await browser.close();
	await Promise.all([daemon, patient, forgetful].map((each) => each?.stop()));
	await site?.stop();
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
			// The test is to have stopped it by the time that it is over, so it says when to begin.
			await new Promise((resolve) => {
				bench.compute = () => void setTimeout(resolve, 1000);
			});
			const step = await lease.yieldIfNeeded().catch((/** @type {any} */ error) => error);
			bench.step = [step?.code ?? step, lease.signal.aborted];
			return "done";
		})
		.catch((/** @type {any} */ error) => error.code);
}

/** @param {Bench} bench */
async function begin(bench) {
	await bench.run(work);
	await until(() => bench.run("() => Boolean(bench.compute)"), { what: "it computes" });
	return bench.run("() => Number(bench.lease.fence)");
}

/** Somebody outside that browser, who waits. */
async function outsider(at = daemon) {
	const session = await connect(at, "outsider");
	session.send({ type: "acquire", ref: 1 });
	await until(async () => (await waiting(at)).at(-1) === "outsider", { what: "it waits" });
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
		await holder.run("() => bench.compute()");
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
		await holder.run("() => bench.compute()");
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

/** Somebody outside that browser, who holds. @param {import("../lib/daemon.mjs").Daemon} at */
async function outside(at) {
	const session = await connect(at, "holder");
	const { lease } = await session.ask({ type: "acquire", ref: 1 }, "offered");
	await session.ask({ type: "accept", lease }, "granted");
	return { give: () => session.send({ type: "release", lease }), close: () => session.close() };
}

/** @param {() => Promise<void>} fn runs while nothing of the browser does */
async function meanwhile(fn) {
	await all("SIGSTOP");
	try {
		await fn();
	} finally {
		await all("SIGCONT");
	}
}

test("a waiter that is suspended for longer than its place is kept: behind who came since", async () => {
	const holder = await outside(forgetful);
	const waiter = await openBench(browser, forgetful, "waiter");
	await waiter.ask("turn");
	await untilWaiting(forgetful, ["waiter"]);
	const other = await outsider(forgetful);
	await meanwhile(async () => {
		await untilWaiting(forgetful, ["outsider"]);
		const gone = Date.now();
		await until(() => Date.now() - gone > 1500, { what: "its place is forgotten" });
	});
	await untilWaiting(forgetful, ["outsider", "waiter"]);
	holder.give();
	(await other.turn()).give();
	await waiter.granted("turn");
	assert.deepEqual(await waiter.run("() => [bench.errors, bench.over]"), [{}, {}]);
	await waiter.tab.close();
	holder.close();
	other.close();
});

test("a wait whose time ends while it is suspended has timed out, and is no place any more", async () => {
	const holder = await outside(daemon);
	const waiter = await openBench(browser, daemon, "waiter");
	await waiter.ask("turn", { waitMs: 2500 });
	await untilWaiting(daemon, ["waiter"]);
	await meanwhile(async () => {
		await untilWaiting(daemon, []);
		const gone = Date.now();
		await until(() => Date.now() - gone > 2000, { what: "its time is over" });
	});
	assert.equal((await waiter.refused("turn")).code, "WAIT_TIMEOUT");
	await waiter.ask("again");
	await untilWaiting(daemon, ["waiter"]);
	holder.give();
	await waiter.granted("again");
	await waiter.tab.close();
	holder.close();
});

test("what a page gives up as it wakes is not asked for again", async () => {
	const holder = await outside(daemon);
	const waiter = await openBench(browser, daemon, "waiter");
	await waiter.run(`() => {
		const leave = new AbortController();
		setTimeout(() => leave.abort(new Error("left")), 2500);
		bench.ask("turn", { signal: leave.signal });
	}`);
	await untilWaiting(daemon, ["waiter"]);
	await meanwhile(async () => {
		await untilWaiting(daemon, []);
		const gone = Date.now();
		await until(() => Date.now() - gone > 1500, { what: "its time is over" });
	});
	assert.equal((await waiter.refused("turn")).message, "left");
	const behind = await outsider();
	assert.deepEqual(await waiting(daemon), ["outsider"]);
	holder.give();
	(await behind.turn()).give();
	assert.deepEqual(await waiting(daemon), []);
	await waiter.tab.close();
	[holder, behind].forEach((session) => session.close());
});

test("the broker is killed and started while a waiter is suspended: it waits in its place", async () => {
	// It keeps what its holder had for long: none of the two is to be served before both are back.
	const first = await openBench(browser, patient, "first");
	const second = await openBench(browser, patient, "second");
	const holder = await outside(patient);
	await first.ask("turn");
	await untilWaiting(patient, ["first"]);
	await second.ask("turn");
	await untilWaiting(patient, ["first", "second"]);
	await meanwhile(async () => {
		await patient.kill();
		await patient.restart();
	});
	const rows = async () => (await patient.status()).waiting;
	await until(
		async () => {
			const all = await rows();
			return all.length === 2 && all.every((/** @type {any} */ row) => row.attached);
		},
		{ what: "both are back" },
	);
	const [{ lease }] = (await patient.status()).leases;
	await patient.http("POST", `/v1/gpu/leases/${lease}/revoke`, { reason: "its holder is gone" });
	await first.granted("turn");
	await untilWaiting(patient, ["second"]);
	await first.release("turn");
	await second.granted("turn");
	for (const bench of [first, second]) {
		assert.deepEqual(await bench.run("() => bench.errors"), {});
		await bench.tab.close();
	}
	holder.close();
});

test("a page of two brokers is suspended: each side ends, or goes on, by its own time", async () => {
	const tab = await browser.page(`${site.base}/`);
	const sides = [];
	for (const at of [daemon, patient]) {
		const bench = await new Bench(tab).install({
			broker: { name: "page", url: at.base, token: at.token },
		});
		await bench.ask("turn");
		await bench.granted("turn");
		await tab.run("(name) => { globalThis[name] = bench; }", `side${sides.length}`);
		sides.push(`side${sides.length}`);
	}
	const other = await outsider();
	await meanwhile(async () => (await other.turn()).give());
	const steps = () =>
		tab.run(`() => Promise.all([side0, side1].map((side) =>
			side.leases.turn.yieldIfNeeded().catch((error) => error.code)))`);
	assert.deepEqual(await steps(), ["LOST", false]);
	assert.deepEqual(await holding(patient), ["page"]);
	await tab.run("() => side0.ask('again')");
	await tab.run("() => side0.asked.again");
	assert.deepEqual(await tab.run("() => side1.over"), {});
	await tab.close();
	other.close();
});
