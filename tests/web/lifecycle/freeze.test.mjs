// @ts-check
// Tabs that do not answer, with short times by the configuration: a frozen holder loses its lease
// by the TTL and does not touch the GPU when it wakes; one that ignores a revoke is overdue, its
// token is refused, and the next is granted after the lock-delay.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { holding, openBench, signIn, untilWaiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

const LOCK_DELAY_S = 2;
/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;

before(async () => {
	daemon = await startDaemon({
		config: {
			timing: {
				heartbeat_s: 0.5,
				session_ttl_s: 2,
				grace_s: 0.5,
				tab_linger_s: 3,
				lock_delay_s: LOCK_DELAY_S,
				settle_s: 0.5,
			},
		},
	});
	browser = await launch();
	await signIn(browser, daemon);
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
});

/** Runs in the page: computes on its lease's device as often as it can, and notes when. */
async function computeForEver() {
	const { bench } = /** @type {any} */ (globalThis);
	const lease = bench.leases.turn;
	const device = await lease.requestDevice();
	const buffer = device.createBuffer({ size: 16, usage: 8 });
	bench.touched = [];
	bench.frozen = [];
	document.addEventListener("freeze", () => bench.frozen.push(bench.now()));
	document.addEventListener("resume", () => {
		bench.resumed = bench.now();
	});
	device.lost.then((/** @type {any} */ info) => {
		bench.lost = info.reason;
	});
	// Timers of hidden tabs are throttled; messages are not.
	const { port1, port2 } = new MessageChannel();
	port1.onmessage = () => {
		if (lease.signal.aborted) return;
		device.queue.writeBuffer(buffer, 0, new Uint32Array(4));
		bench.touched.push(bench.now());
		port2.postMessage(0);
	};
	port2.postMessage(0);
}

test("a frozen holder loses its lease, and wakes without touching the GPU", async (t) => {
	const holder = await openBench(browser, daemon, "holder");
	await holder.ask("turn");
	const held = await holder.granted("turn");
	await holder.run(computeForEver);
	await until(() => holder.run("() => bench.touched.length > 0"), { what: "it computes" });

	const next = await openBench(browser, daemon, "next");
	await next.ask("turn");
	await untilWaiting(daemon, ["next"]);
	await holder.tab.freeze();
	const granted = await next.granted("turn");
	assert.ok(granted.fence > held.fence);
	assert.deepEqual(await holding(daemon), ["next"]);

	await holder.tab.resume();
	const over = await holder.over("turn");
	assert.match(over.code, /^(LOST|EXPIRED|REVOKED)$/);
	await until(() => holder.run("() => bench.lost === 'destroyed'"), {
		what: "its device is destroyed",
	});
	const [touched, frozen, resumed] = await holder.run(
		"() => [bench.touched.at(-1), bench.frozen[0], bench.resumed]",
	);
	assert.ok(frozen > 0 && resumed > granted.at, "it was frozen until the other held");
	assert.ok(
		touched < granted.at,
		`its last use of the GPU was ${touched - granted.at} ms after the other's grant`,
	);
	t.diagnostic(`the next was granted ${Math.round(granted.at - frozen)} ms after the freeze`);

	// It is a client like any other again.
	await holder.ask("again");
	await next.release("turn");
	assert.ok((await holder.granted("again")).fence > granted.fence);
	await Promise.all([holder, next].map((bench) => bench.tab.close()));
});

// Longer, it could not know whether the connection broke when it woke or long before.
test("a holder that is frozen for less than half the linger has kept its lease", async (t) => {
	const patient = await startDaemon({
		config: { timing: { heartbeat_s: 0.5, session_ttl_s: 60, tab_linger_s: 40 } },
	});
	t.after(() => patient.stop());
	await signIn(browser, patient);
	const holder = await openBench(browser, patient, "holder");
	await holder.ask("turn");
	const held = await holder.granted("turn");
	const row = async () => (await patient.status()).leases[0];
	await holder.tab.freeze();
	const { held_s: before } = await row();
	await until(async () => (await row()).held_s >= before + 0.7, {
		what: "it was frozen for 0.7 s",
	});
	await holder.tab.resume();
	// Chromium drops a frozen page's WebSockets when it wakes: the session is resumed on another.
	await until(() => holder.run("() => bench.states.at(-1)?.state === 'open'"), {
		what: "it has its session",
	});
	await until(async () => (await row())?.attached, { what: "it is back" });
	assert.equal((await row()).fence, held.fence);
	assert.deepEqual(await holder.run("() => bench.over"), {});
	await holder.release("turn");
	await holder.tab.close();
});

test("a frozen waiter does not hold up the queue, and may come back", async () => {
	const [holder, frozen, next] = [
		await openBench(browser, daemon, "holder"),
		await openBench(browser, daemon, "frozen"),
		await openBench(browser, daemon, "next"),
	];
	await holder.ask("turn");
	await holder.granted("turn");
	await frozen.ask("turn");
	await untilWaiting(daemon, ["frozen"]);
	await next.ask("turn");
	await untilWaiting(daemon, ["frozen", "next"]);
	await frozen.tab.freeze();
	await holder.release("turn");
	await next.granted("turn");
	await frozen.tab.resume();
	await next.release("turn");
	await frozen.granted("turn");
	await Promise.all([holder, frozen, next].map((bench) => bench.tab.close()));
});

test("a waiter that was frozen for longer than the TTL has its place again", async () => {
	const [holder, frozen, next] = [
		await openBench(browser, daemon, "holder"),
		await openBench(browser, daemon, "frozen"),
		await openBench(browser, daemon, "next"),
	];
	await holder.ask("turn");
	await holder.granted("turn");
	await frozen.ask("turn");
	await untilWaiting(daemon, ["frozen"]);
	await next.ask("turn");
	await frozen.tab.freeze();
	await untilWaiting(daemon, ["next"]);
	await frozen.tab.resume();
	await untilWaiting(daemon, ["frozen", "next"]);
	await holder.release("turn");
	await frozen.granted("turn");
	assert.deepEqual(await frozen.run("() => [bench.errors, bench.over]"), [{}, {}]);
	await Promise.all([holder, frozen, next].map((bench) => bench.tab.close()));
});

/** Runs in the page: a client of its own, without the SDK, that never gives back what it holds. */
async function stubbornClient() {
	const socket = new WebSocket(`ws://${location.host}/v1/gpu/session`);
	/** @type {any} */
	const seen = { heard: [], token: null };
	/** @type {any} */ (globalThis).stubborn = seen;
	const say = (/** @type {object} */ message) => socket.send(JSON.stringify(message));
	socket.onopen = () => {
		say({
			type: "hello",
			version: 1,
			id: "stubborn",
			token: localStorage.getItem("baton-key"),
		});
		say({ type: "acquire", ref: 1, class: "normal" });
	};
	socket.onmessage = ({ data }) => {
		const message = JSON.parse(data);
		seen.heard.push(message);
		if (message.type === "heartbeat") say({ type: "alive" });
		else if (message.type === "offered") say({ type: "accept", lease: message.lease });
		else if (message.type === "granted") seen.token = message.token;
		else if (message.type === "revoked") say({ type: "renew", lease: message.lease });
	};
}

test("a page that ignores a revoke is overdue, refused, and waited for by the lock-delay only", async (t) => {
	const tab = await browser.page(`${daemon.base}/health`);
	await tab.run(stubbornClient);
	const token = await until(() => tab.run("() => stubborn.token"), { what: "it holds" });
	const next = await openBench(browser, daemon, "next");
	await next.ask("turn");
	await untilWaiting(daemon, ["next"]);

	const [{ lease }] = (await daemon.status()).leases;
	const revoked = await next.run("() => bench.now()");
	await daemon.http("POST", `/v1/gpu/leases/${lease}/revoke`, { reason: "test" });
	const status = await daemon.status();
	assert.equal(status.leases[0].id, "stubborn");
	assert.equal(status.leases[0].yield.revoked, true, "it is shown as overdue");
	assert.equal(status.waiting[0].why.code, "lock-delay");
	assert.match(status.waiting[0].why.text, /stubborn/);
	const heard = () => tab.run("() => stubborn.heard");
	const denied = await until(
		async () => (await heard()).find((/** @type {any} */ m) => m.type === "denied"),
		{ what: "it is denied" },
	);
	assert.equal(denied.code, "revoked", "it may not go on with this lease");
	for (const path of ["/v1/gpu/renew", "/v1/gpu/unlock"])
		assert.equal((await daemon.http("POST", path, { token })).error?.code, "stale");

	const after = (await next.granted("turn")).at - revoked;
	t.diagnostic(`the next was granted ${Math.round(after)} ms after the revoke`);
	assert.ok(after >= LOCK_DELAY_S * 1000 - 50, `${after} ms: it had its time to stop`);
	assert.ok(after <= LOCK_DELAY_S * 1000 + 1500, `${after} ms`);
	const told = (await heard()).find((/** @type {any} */ m) => m.type === "revoked");
	assert.equal(told.reason, "operator");
	assert.equal((await daemon.status()).held, 1, "the stubborn one holds no longer");
	await Promise.all([tab, next.tab].map((one) => one.close()));
});

test("a page that hears a revoke stops, confirms, and the next is granted at once", async (t) => {
	const holder = await openBench(browser, daemon, "holder");
	await holder.ask("turn");
	await holder.granted("turn");
	await holder.run(computeForEver);
	const next = await openBench(browser, daemon, "next");
	await next.ask("turn");
	await untilWaiting(daemon, ["next"]);
	const [{ lease }] = (await daemon.status()).leases;
	await daemon.http("POST", `/v1/gpu/leases/${lease}/revoke`, { reason: "maintenance" });
	const granted = await next.granted("turn");
	const over = await holder.over("turn");
	assert.equal(over.code, "REVOKED");
	assert.ok(over.at <= granted.at + 5, "it had stopped before the other was granted");
	t.diagnostic(`the next was granted ${(granted.at - over.at).toFixed(1)} ms after the stop`);
	assert.ok(granted.at - over.at < LOCK_DELAY_S * 1000, "nobody waited for the lock-delay");
	await Promise.all([holder, next].map((bench) => bench.tab.close()));
});
