// @ts-check
// What a page asks for and gets: turns, queue places, giving way, revocation, waits that end.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Claim } from "../../../web/sdk/claim.js";
import { until, within } from "../lib/until.mjs";
import { bench, coded, next } from "./in_node.mjs";

/** @type {Awaited<ReturnType<typeof bench>>} */
let it;
before(async () => {
	it = await bench({ timing: { grace_s: 5 } }); // of a holder that is asked while this thread is kept
});
after(() => it.end());

test("one holds, the other learns its place and why, and is granted at the release", async () => {
	const [a, b] = [it.broker("first"), it.broker("second")];
	const lease = await a.request();
	assert.ok(lease.managed && lease.gpu === "rtx" && lease.fence > 0n);
	/** @type {any[]} */
	const heard = [];
	const told = next(b, "queue");
	const waits = b.request({ key: "k", onQueue: (q) => heard.push(q) });
	const q = await within(told);
	assert.deepEqual([q.key, q.position, q.why.code], ["k", 0, "holder"]);
	assert.match(q.why.text, /first holds rtx/);
	assert.ok(q.boundS > 0);
	assert.equal((await b.status()).owner, "first");
	await lease.release();
	await lease.release();
	assert.equal(lease.signal.reason.code, "RELEASED");
	const second = await within(waits);
	assert.ok(second.fence > lease.fence);
	assert.equal(heard.length >= 1, true);
	await second.release();
});

test("a holder that is asked gives way, waits, and holds again as the same object", async () => {
	const [dream, mic] = [it.broker("Dreamer"), it.broker("Root-Mic")];
	const lease = await dream.request({ class: "background" });
	assert.equal(await lease.yieldIfNeeded(), false);
	const { fence, yieldSignal } = lease;
	const asked = next(dream, "yield");
	const turn = mic.request();
	const wish = await within(asked);
	assert.deepEqual([wish.lease, wish.for, wish.reason], [lease, "Root-Mic", "preempted"]);
	assert.ok(yieldSignal.aborted && !lease.signal.aborted);
	const back = lease.yieldIfNeeded();
	const voice = await within(turn);
	await voice.release();
	assert.equal(await within(back), true);
	assert.ok(lease.fence > fence && !lease.yieldSignal.aborted && !lease.signal.aborted);
	await lease.release();
});

test("two that ask at once whether to give way wait for the same turn", async () => {
	const lease = await it.broker("twice").request({ class: "background" });
	const wanted = next(lease.yieldSignal, "abort");
	const voice = it.broker("voice").request({ class: "voice" });
	await within(wanted);
	const both = Promise.all([lease.yieldIfNeeded(), lease.yieldIfNeeded()]);
	await (await within(voice)).release();
	assert.deepEqual(await within(both), [true, true]);
	assert.equal(lease.signal.aborted, false);
	assert.equal(lease.yieldSignal.aborted, false);
	await lease.release();
});

test("asked to give way before the page hears that it has its turn again: it is told so", async () => {
	let heard = Promise.resolve();
	const context = /** @type {any} */ ({
		send() {},
		emit() {},
		judge() {},
		sure: () => heard, // a page that was busy asks what else was said
	});
	const claim = new Claim(context, 1, "1234567", {});
	const turn = claim.ask();
	const grant = (/** @type {number} */ fence) =>
		claim.hear(/** @type {any} */ ({ type: "granted", lease: 1, fence }));
	const ask = () =>
		claim.hear(/** @type {any} */ ({ type: "yield", reason: "preempted", grace_ms: 500 }));
	grant(1);
	const lease = await turn;
	assert.ok(lease);
	ask();
	const back = lease.yieldIfNeeded();
	await until(() => claim.state === "waiting", { every: 1 });
	let tell = () => {};
	heard = new Promise((resolve) => (tell = resolve));
	grant(2);
	ask();
	tell();
	assert.equal(await within(back), true);
	assert.equal(lease.yieldSignal.aborted, true);
});

test("a release whose lease is forgotten meanwhile by the broker resolves", async (t) => {
	const { WebSocket } = await import("../lib/packages.mjs");
	const server = new WebSocket.Server({ port: 0, host: "127.0.0.1" });
	await new Promise((resolve) => server.on("listening", resolve));
	let sessions = 0;
	server.on("connection", (/** @type {any} */ socket) => {
		const say = (/** @type {object} */ message) => socket.send(JSON.stringify(message));
		const session = `${++sessions}-${"a".repeat(32)}`;
		socket.on("message", (/** @type {any} */ data) => {
			const { type, ref } = JSON.parse(data);
			if (type === "hello") say({ type: "welcome", session, session_ttl_s: 20 });
			else if (type === "acquire") say({ type: "granted", ref, lease: 1, fence: 1 });
		});
	});
	const broker = it.broker("slow to end", { url: `http://127.0.0.1:${server.address().port}` });
	t.after(async () => {
		await broker.close();
		for (const socket of server.clients) socket.terminate();
		server.close();
	});
	const lease = await broker.request();
	let end = () => {};
	lease.guard({ terminate: () => new Promise((resolve) => (end = () => resolve(0))) }, true);
	const released = lease.release();
	for (const socket of server.clients) socket.terminate();
	await until(() => sessions === 2 && broker.state === "open", { every: 2 });
	end();
	await within(released, { ms: 5000, what: "the release" });
});

test("revocation aborts the signal, then ends what is guarded, then run rejects", async () => {
	const broker = it.broker("revoked");
	/** @type {string[]} */
	const order = [];
	const done = broker.run({}, async (lease) => {
		lease.signal.addEventListener("abort", () => order.push("signal"));
		lease.guard({ terminate: () => order.push("worker") });
		lease.guard({ destroy: () => order.push("device") });
		await it.daemon.http("POST", `/v1/gpu/leases/${lease.id}/revoke`, { reason: "service" });
		await until(() => order.length === 3);
		assert.throws(() => lease.guard({ terminate: () => order.push("late") }), coded("REVOKED"));
	});
	const error = await within(done).catch((/** @type {any} */ e) => e);
	assert.equal(error.code, "REVOKED");
	assert.match(error.message, /operator/);
	assert.deepEqual(order, ["signal", "worker", "device", "late"]);
	await until(async () => (await it.daemon.status()).leases.length === 0, { what: "confirmed" });
});

test("close() tells the broker when what was guarded has ended, not before", async () => {
	const [broker, other] = [it.broker("closes"), it.broker("waits")];
	const lease = await broker.request();
	let [stopping, stopped] = [false, () => {}];
	lease.guard({
		terminate: () => {
			stopping = true;
			return new Promise((resolve) => (stopped = () => resolve(0)));
		},
	});
	const turn = other.request();
	await it.waiting(1);
	const closed = broker.close();
	await until(() => stopping);
	await other.status();
	const held = (await it.daemon.status()).leases.map((/** @type {any} */ row) => row.id);
	assert.deepEqual(held, ["closes"], "it holds until then");
	stopped();
	await closed;
	await (await within(turn)).release();
});

test("guard() refuses what it could not end, and says what it could not", async () => {
	const broker = it.broker("guards");
	const lease = await broker.request();
	const worker = { terminate: () => assert.fail("not ours") };
	for (const thing of [Promise.resolve(worker), { dispose: () => {} }, null, undefined, "x"])
		assert.throws(
			() => lease.guard(/** @type {any} */ (thing)),
			/destroy\(\) or terminate\(\)/,
		);
	/** @type {any} */
	const place = globalThis;
	const { reportError } = place;
	/** @type {unknown[]} */
	const said = [];
	place.reportError = (/** @type {any} */ error) => said.push(error.message);
	lease.guard({ terminate: () => Promise.reject(new Error("it goes on")) });
	await broker.close();
	place.reportError = reportError;
	assert.deepEqual(said, ["it goes on"]);
});

test("what there is to know of a lease is told of the lease", async () => {
	const { WebSocket } = globalThis;
	/** @type {any} */
	let socket;
	globalThis.WebSocket = class extends WebSocket {
		/** @param {string} url */
		constructor(url) {
			super(url);
			socket = this;
		}
	};
	const broker = it.broker("told");
	const lease = await within(broker.request());
	globalThis.WebSocket = WebSocket;
	const told = next(broker, "notice");
	const notice = { type: "notice", lease: Number(lease.id), code: "idle", text: "Nothing." };
	socket.onmessage({ data: JSON.stringify({ ...notice, lease: 999 }) });
	socket.onmessage({ data: JSON.stringify(notice) });
	assert.deepEqual(await within(told), { lease, code: "idle", text: "Nothing." });
	await lease.release();
});

test("run rejects a second after the lease was taken from a task that never ends", async () => {
	const broker = it.broker("stuck");
	const done = broker.run({}, async (lease) => {
		await it.daemon.http("POST", `/v1/gpu/leases/${lease.id}/revoke`, {});
		return new Promise(() => {});
	});
	await assert.rejects(within(done, { ms: 5000 }), coded("REVOKED"));
});

test("reports and steps that take their time keep the lease", async () => {
	const [dream, mic] = [it.broker("Dreamer"), it.broker("Root-Mic")];
	const lease = await dream.request({ class: "background", graceMs: 20_000 });
	lease.report({ progress: 0.5, vramBytes: 2 ** 20, model: "m" });
	lease.report({ progress: NaN });
	await lease.yieldIfNeeded({ graceMs: 20_000 });
	const asked = next(dream, "yield");
	const turn = mic.request();
	await within(asked);
	await dream.status(); // the answers to all of these came before this one
	assert.equal(lease.signal.aborted, false);
	const { leases } = await it.daemon.status();
	assert.ok(leases[0].yield.left_s > 10, "the step was given its time");
	await lease.release();
	await (await within(turn)).release();
});

test("a release of its own leaves what is guarded alone", async () => {
	let ended = 0;
	const lease = await it.broker("tidy").request();
	lease.guard({ terminate: () => ended++ });
	await lease.release();
	assert.equal(ended, 0);
});

test("a wait ends by its time, by its signal, or never begins", async () => {
	const [holder, other] = [it.broker("holder"), it.broker("other")];
	const lease = await holder.request();
	await assert.rejects(other.request({ waitMs: 50 }), coded("WAIT_TIMEOUT"));
	const leave = new AbortController();
	const waits = other.request({ signal: leave.signal });
	await it.waiting(1);
	leave.abort();
	await assert.rejects(waits, { name: "AbortError" });
	await it.waiting(0);
	assert.equal(await other.request({ ifAvailable: true }), null);
	await assert.rejects(other.request({ signal: AbortSignal.abort() }), { name: "AbortError" });
	await lease.release();
	const free = await other.request({ ifAvailable: true });
	assert.ok(free);
	await free.release();
});

test("what can never fit, and what is one too many, is said at once", async () => {
	const broker = it.broker("greedy");
	await assert.rejects(broker.request({ vramBytes: 2 ** 43 }), coded("NEVER_FITS"));
	const lease = await broker.request();
	const many = Array.from({ length: 17 }, () => broker.request());
	await assert.rejects(within(Promise.race(many)), coded("QUEUE_FULL"));
	await broker.close();
	const left = await Promise.allSettled(many);
	const codes = left.map((r) => r.status === "rejected" && r.reason.code);
	assert.equal(codes.filter((code) => code === "CLOSED").length, 16);
	assert.equal(lease.signal.reason.code, "CLOSED");
	await assert.rejects(broker.request(), coded("CLOSED"));
	await it.waiting(0);
});

test("a task's own error comes through, and the lease is given back", async () => {
	const broker = it.broker("faulty");
	await assert.rejects(
		broker.run({}, () => {
			throw new RangeError("mine");
		}),
		RangeError,
	);
	assert.equal((await broker.status()).locked, false);
	assert.equal(await broker.run({}, () => 7), 7);
});

test("hostile names and labels reach people as plain text of the right length", async () => {
	const names = [
		"<script>alert(1)</script>",
		"a\u202eb\u200b\u0000c\n2026 RELEASED",
		"é".repeat(300),
		"\ud800x",
		"👩‍👩‍👧".repeat(40),
	];
	for (const name of names) {
		const broker = it.broker(name);
		const lease = await within(broker.request({ model: name }), { what: JSON.stringify(name) });
		const { owner } = await broker.status();
		assert.ok(owner && Buffer.byteLength(owner) <= 128);
		assert.doesNotMatch(owner, /[\p{Cc}\p{Cf}\p{Cs}]/u);
		await lease.release();
	}
});
