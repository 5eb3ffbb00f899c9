// @ts-check
// A connection that breaks under a lease: the page stops at half of the time for which the broker
// keeps what it held, so that no two ever compute at once; what comes back in time loses nothing.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { WebSocket } from "../lib/packages.mjs";
import { until, within } from "../lib/until.mjs";
import { bench, coded, next, sdk } from "./in_node.mjs";

/** What welcome tells: long enough to tell the half from the whole on a busy machine. */
const LINGER_S = 4;
/** The half, and what a timer may be late. */
const HALF = (LINGER_S * 1000) / 2;
const HALF_MS_MOST = HALF + 600;

/** @type {Awaited<ReturnType<typeof bench>>} */
let it;
/** Where connections go instead. @type {string|null} */
let detour = null;
/** @type {any[]} */
let sockets = [];

before(async () => {
	it = await bench({ timing: { tab_linger_s: LINGER_S } });
});
after(() => it.end());
beforeEach(() => {
	detour = null;
	sockets = [];
	/** @type {any} */ (globalThis).WebSocket = class extends WebSocket {
		/** @param {string} url */
		constructor(url) {
			super(detour ?? url);
			sockets.push(this);
		}
	};
});
afterEach(() => {
	/** @type {any} */ (globalThis).WebSocket = WebSocket;
});

const NOWHERE = "ws://127.0.0.1:1/";

/** A lease, what it guards, and when it was over. @param {string} name @param {object} [o] */
async function hold(name, o = {}) {
	const broker = it.broker(name);
	const lease = await within(broker.request(o));
	/** @type {{at: number, ended: string[], socket: any}} */
	const seen = { at: 0, ended: [], socket: sockets.at(-1) };
	lease.guard({ terminate: () => seen.ended.push("worker") });
	lease.guard({ destroy: () => seen.ended.push("device") }, true);
	lease.signal.addEventListener("abort", () => {
		seen.at = performance.now();
	});
	return { broker, lease, seen };
}

/** Begins now. How late a timer of this thread is then tells how long the machine kept it.
 * @param {number} ms */
function timed(ms) {
	const since = performance.now();
	const late = new Promise((resolve) =>
		setTimeout(() => resolve(performance.now() - since - ms), ms),
	);
	return {
		/** @param {number} at @param {number} most */
		async judge(at, most) {
			const after = at - since;
			assert.ok(after > 0.9 * ms && after < most + (await late), `over after ${after} ms`);
		},
	};
}

/** @param {{lease: any, seen: any}} held @param {ReturnType<typeof timed>} since */
async function stoppedAtHalf({ lease, seen }, since) {
	await until(() => seen.at > 0, { what: "the lease is over", every: 5 });
	await since.judge(seen.at, HALF_MS_MOST);
	assert.equal(lease.signal.reason.code, "LOST");
	await until(() => seen.ended.length === 2);
	assert.deepEqual(seen.ended, ["worker", "device"]);
	await assert.rejects(lease.yieldIfNeeded(), coded("LOST"));
}

test("nothing listens any more: the page has stopped before the next one is let in", async () => {
	const held = await hold("cut");
	const other = it.broker("next");
	let granted = 0;
	const turn = other.request().then((lease) => {
		granted = performance.now();
		return lease;
	});
	await it.waiting(1);
	const cut = timed(HALF);
	detour = NOWHERE;
	held.seen.socket.terminate();
	await stoppedAtHalf(held, cut);
	const second = await within(turn);
	assert.ok(granted > held.seen.at, "never two at once");
	detour = null;
	const again = held.broker.request();
	await second.release();
	await (await within(again)).release();
});

test("too many connections (4429) at each try is a broken connection, too", async () => {
	const server = createServer();
	const full = new WebSocket.Server({ server });
	let tries = 0;
	full.on("connection", (/** @type {any} */ socket) => {
		tries++;
		socket.close(4429, "full");
	});
	await new Promise((done) => server.listen(0, "127.0.0.1", () => done(0)));
	const { port } = /** @type {any} */ (server.address());
	const held = await hold("crowded");
	const cut = timed(HALF);
	detour = `ws://127.0.0.1:${port}/`;
	held.seen.socket.terminate();
	await stoppedAtHalf(held, cut);
	assert.ok(tries >= 4, `tried ${tries} times within two seconds`);
	detour = null;
	await until(() => held.broker.state === "open");
	full.close();
	server.close();
});

test("what accepts and says nothing costs a try its time, not the lease", async () => {
	const server = createServer();
	server.on("upgrade", (request, socket) => {
		socket.on("error", () => {});
	});
	await new Promise((done) => server.listen(0, "127.0.0.1", () => done(0)));
	const { port } = /** @type {any} */ (server.address());
	const { lease, seen } = await hold("muted");
	detour = `ws://127.0.0.1:${port}/`;
	seen.socket.terminate();
	await until(() => sockets.length > 1 && sockets.at(-1) !== seen.socket);
	detour = null;
	await until(() => it.daemon.log().includes("muted") && sockets.at(-1).readyState === 1);
	assert.equal(await lease.yieldIfNeeded(), false);
	await lease.release();
	server.closeAllConnections();
	server.close();
});

test("a break that ends in time loses neither lease nor place", async () => {
	const { broker, lease, seen } = await hold("back");
	const [b, c] = [it.broker("w1"), it.broker("w2")];
	/** @type {string[]} */
	const order = [];
	const turns = [];
	for (const waiter of [b, c]) {
		turns.push(
			waiter.request().then((mine) => {
				order.push(waiter === b ? "w1" : "w2");
				return mine.release();
			}),
		);
		await it.waiting(turns.length);
	}
	detour = NOWHERE;
	const gone = next(broker, "state");
	sockets.slice(-3).forEach((socket) => socket.terminate());
	assert.equal((await within(gone)).state, "reconnecting");
	await until(() => sockets.length > 8, { what: "each has tried" });
	detour = null;
	await Promise.all([broker, b, c].map((one) => until(() => one.state === "open")));
	assert.equal(await lease.yieldIfNeeded(), false);
	assert.equal(seen.at, 0);
	await lease.release();
	await within(Promise.all(turns));
	assert.deepEqual(order, ["w1", "w2"]);
});

test("a broker that was killed and stays away ends the lease; a new one is had later", async () => {
	const held = await hold("orphan");
	const killed = timed(HALF);
	await it.daemon.kill();
	await stoppedAtHalf(held, killed);
	await it.daemon.start();
	const lease = await within(held.broker.request());
	assert.ok(lease.fence > held.lease.fence);
	await lease.release();
});

test("a broker that stops says so: nothing is granted meanwhile, the lease lasts", async () => {
	const { broker, lease, seen } = await hold("patient");
	const stopped = performance.now();
	const gone = next(broker, "state");
	it.daemon.process?.kill("SIGTERM");
	await within(gone);
	await until(() => performance.now() - stopped > HALF_MS_MOST, { what: "the half is over" });
	assert.equal(seen.at, 0);
	await it.daemon.restart();
	await until(() => broker.state === "open");
	assert.equal((await broker.status()).leases[0].lease, Number(lease.id));
	assert.equal(await lease.yieldIfNeeded(), false);
	await lease.release();
});

/** A broker that does what the test says, without a network. */
function scripted() {
	/** @type {any} */
	const it = { sockets: [], said: [] };
	/** @type {any} */ (globalThis).WebSocket = class {
		constructor() {
			it.sockets.push(this);
			queueMicrotask(() => this.onopen());
		}

		/** @param {string} text */
		send(text) {
			const m = JSON.parse(text);
			it.said.push(m);
			if (m.type === "acquire") it.ref = m.ref;
			if (m.type === "hello")
				this.hear({ type: "welcome", session: "1-x", session_ttl_s: 20, ...it.welcome });
			else if (m.type === "acquire" && !it.mute)
				this.hear({ type: "granted", ref: m.ref, lease: 7, fence: 1, gpu: "a" });
			else if (m.type === "release") this.hear({ type: "released", lease: m.lease });
		}

		close() {}

		/** @param {object} m */
		hear(m) {
			queueMicrotask(() => this.onmessage({ data: JSON.stringify(m) }));
		}
	};
	return it;
}

/** This thread stands still, as one that the browser froze. @param {number} ms */
const standStill = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/** @param {object} welcome */
async function scriptedLease(welcome) {
	const script = scripted();
	script.welcome = welcome;
	const broker = new sdk.Broker({ url: "http://127.0.0.1:1", name: "frozen" });
	const lease = await within(broker.request());
	return { script, broker, lease };
}

test("linger_s of welcome is what counts, and 2 s where it is missing", async () => {
	for (const [welcome, half] of /** @type {[object, number][]} */ ([
		[{ linger_s: 0.4 }, 200],
		[{}, 1000],
	])) {
		const { script, broker, lease } = await scriptedLease(welcome);
		let over = 0;
		lease.signal.addEventListener("abort", () => (over = performance.now()));
		const cut = timed(half);
		/** @type {any} */ (globalThis).WebSocket = class {
			close() {}
		};
		script.sockets[0].onclose({ code: 1006 });
		await until(() => over, { every: 5 });
		await cut.judge(over, half + 500);
		await broker.close();
	}
});

test("a thread that stood still asks before it goes on, and hears of a break first", async () => {
	const { script, broker, lease } = await scriptedLease({ linger_s: 0.4 });
	standStill(300);
	const step = lease.yieldIfNeeded();
	let settled = false;
	step.catch(() => {}).finally(() => {
		settled = true;
	});
	await until(() => script.said.at(-1).type === "events", { what: "it asks for an answer" });
	assert.equal(settled, false);
	script.sockets[0].onclose({ code: 1006 });
	await assert.rejects(within(step), coded("LOST"));
	await broker.close();
});

test("a thread that stood still and missed nothing goes on", async () => {
	const { script, broker, lease } = await scriptedLease({ linger_s: 0.4 });
	standStill(300);
	const step = lease.yieldIfNeeded();
	await until(() => script.said.at(-1).type === "events");
	script.sockets[0].hear({ type: "heartbeat" }); // may have come before it stood still
	script.sockets[0].hear({ type: "ok" });
	assert.equal(await within(step), false);
	assert.equal(lease.signal.aborted, false);
	await broker.close();
});

test("an answer that does not come after a stand-still is waited for until the TTL", async () => {
	const began = performance.now();
	const { broker, lease } = await scriptedLease({ linger_s: 0.4, session_ttl_s: 1 });
	standStill(300);
	await assert.rejects(within(lease.yieldIfNeeded()), coded("LOST"));
	assert.ok(performance.now() - began > 990, "the connection was open");
	await broker.close();
});

/** A request whose grant comes while this thread stands still. */
async function grantedMeanwhile() {
	const script = scripted();
	script.welcome = { linger_s: 0.4 };
	script.mute = true;
	const broker = new sdk.Broker({ url: "http://127.0.0.1:1", name: "frozen" });
	const seen = { settled: false };
	const asked = broker.request().finally(() => {
		seen.settled = true;
	});
	asked.catch(() => {});
	await until(() => script.said.some((/** @type {any} */ { type }) => type === "acquire"));
	standStill(300);
	const [socket] = script.sockets;
	socket.hear({ type: "granted", ref: script.ref, lease: 7, fence: 1 });
	await until(() => script.said.at(-1).type === "events", { what: "it asks for an answer" });
	assert.equal(seen.settled, false);
	return { broker, asked, socket, script };
}

test("a grant that waited for a thread that stood still is taken once the broker was asked", async () => {
	const { broker, asked, socket } = await grantedMeanwhile();
	socket.hear({ type: "ok" });
	const lease = await within(asked);
	assert.equal(lease.id, "7");
	assert.equal(await lease.yieldIfNeeded(), false);
	await broker.close();
});

test("one that was over by then is none", async () => {
	const { broker, asked, socket, script } = await grantedMeanwhile();
	socket.hear({ type: "released", ref: script.ref, lease: 7, reason: "expired" });
	socket.hear({ type: "ok" });
	await assert.rejects(within(asked), coded("EXPIRED"));
	await broker.close();
});

test("one whose connection is gone is asked for anew", async () => {
	const { broker, asked, socket, script } = await grantedMeanwhile();
	script.mute = false;
	socket.onclose({ code: 1006 });
	await within(asked);
	const requests = script.said.filter((/** @type {any} */ { type }) => type === "acquire");
	assert.deepEqual(
		requests.map((/** @type {any} */ { request_id }) => request_id),
		[requests[0].request_id, requests[0].request_id],
	);
	await broker.close();
});

test("a thread that stood still for the TTL: `signal` says so at once, run() is LOST", async () => {
	const script = scripted();
	script.welcome = { session_ttl_s: 1, linger_s: 10 };
	const broker = new sdk.Broker({ url: "http://127.0.0.1:1", name: "busy" });
	/** @type {any} */
	let seen;
	const run = broker.run({}, async (lease) => {
		const { signal } = lease;
		assert.equal(signal.aborted, false);
		standStill(1100);
		seen = { aborted: signal.aborted, reason: signal.reason };
		return "done";
	});
	await assert.rejects(within(run), coded("LOST"));
	assert.equal(seen.aborted, true);
	assert.equal(seen.reason.code, "LOST");
	await broker.close();
});

test('run() hears what happened while its task\'s thread stood still, before it says "done"', async () => {
	const script = scripted();
	script.welcome = { session_ttl_s: 20, linger_s: 0.4 };
	const broker = new sdk.Broker({ url: "http://127.0.0.1:1", name: "busy" });
	const run = broker.run({}, async () => {
		standStill(300);
		// What waits to be read on the socket is read after the task.
		setTimeout(() =>
			script.sockets[0].onmessage({
				data: JSON.stringify({
					type: "revoked",
					ref: script.ref,
					lease: 7,
					reason: "preempted",
				}),
			}),
		);
		setTimeout(() => script.sockets[0].onmessage({ data: '{"type":"ok"}' }), 1);
		await null;
		return "done";
	});
	await assert.rejects(within(run), coded("REVOKED"));
	await broker.close();
});

test("a word of the broker's is no proof that it heard one: the TTL counts from ours", async () => {
	const { script, broker, lease } = await scriptedLease({ session_ttl_s: 0.6, linger_s: 10 });
	standStill(400);
	script.sockets[0].onmessage({
		data: JSON.stringify({ type: "yield", ref: script.ref, lease: 7 }),
	});
	standStill(400);
	assert.equal(lease.signal.aborted, true);
	await broker.close();
});

test("a broker that falls silent is not there: who asks then hears so", async () => {
	const { script, broker } = await scriptedLease({ session_ttl_s: 0.4, linger_s: 10 });
	script.sockets[0].send = () => {};
	/** @type {any} */ (globalThis).WebSocket = class {
		constructor() {
			setTimeout(() => this.onclose({ code: 1006 }), 10);
		}

		close() {}
	};
	await assert.rejects(within(broker.request()), coded("UNREACHABLE"));
	assert.equal(broker.state, "offline");
	await broker.close();
});

test("what a session said long ago is no word of now, though it was heard just now", async () => {
	/** @type {any} */
	const place = globalThis;
	/** @type {any} */
	let worker;
	place.location = { origin: "null" };
	place.Worker = class {
		said = [];
		ref = 0;
		constructor() {
			worker = this;
			queueMicrotask(() => this.onmessage({ data: {} }));
		}

		/** @param {any} command */
		postMessage(command) {
			this.said.push(command[0]);
			if (command[0] === "acquire") this.ref = command[1];
		}
	};
	const now = () => performance.now();
	const say = (/** @type {object} */ event, at = now()) =>
		worker.onmessage({ data: { ...event, at, limit: Infinity } });
	const broker = new sdk.Broker({ url: "http://127.0.0.1:1", name: "busy" });
	const turn = broker.request();
	await until(() => worker.said.includes("acquire"));
	const message = { type: "granted", ref: worker.ref, lease: 7, fence: 1 };
	const at = now();
	performance.now = () => at; // whatever the machine keeps this thread for
	let lease;
	try {
		say({ event: "message", message });
		lease = await within(turn);
		assert.equal(await within(lease.yieldIfNeeded()), false, "just heard");
		assert.ok(!worker.said.includes("sure"));
	} finally {
		Reflect.deleteProperty(performance, "now");
	}

	say({ event: "ping" }, now() - 1000);
	const step = lease.yieldIfNeeded();
	await until(() => worker.said.includes("sure"), { what: "it asks" });
	say({ event: "message", message: { type: "lost", ref: worker.ref } });
	say({ event: "sure" });
	await assert.rejects(within(step), coded("LOST"));
	say({ event: "stop" });
	delete place.location;
	delete place.Worker;
});

test("a session that was taken up elsewhere leaves nothing here", async () => {
	const { script, broker, lease } = await scriptedLease({});
	script.sockets[0].onclose({ code: 1000 });
	assert.equal(lease.signal.reason.code, "LOST");
	await broker.close();
});
