// @ts-check
// What becomes of a session: restarts of the daemon, refusals by token and origin, resumed places.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until, within } from "../lib/until.mjs";
import { bench, coded, next, sdk } from "./in_node.mjs";

/** @type {Awaited<ReturnType<typeof bench>>} */
let it;
before(async () => {
	it = await bench({ timing: { tab_linger_s: 10 } });
});
after(() => it.end());

test("a killed and restarted daemon loses neither the lease nor the places", async () => {
	const [a, b, c] = [it.broker("holder"), it.broker("w1"), it.broker("w2")];
	const lease = await a.request();
	/** @type {string[]} */
	const order = [];
	const turn = async (/** @type {typeof a} */ broker) => {
		const mine = await broker.request();
		order.push(broker === b ? "w1" : "w2");
		await mine.release();
	};
	const first = turn(b);
	await it.waiting(1);
	const second = turn(c);
	await it.waiting(2);
	const gone = next(a, "state");
	await it.daemon.kill();
	assert.equal((await within(gone)).state, "reconnecting");
	await it.daemon.restart();
	await Promise.all([a, b, c].map((broker) => until(() => broker.state === "open")));
	assert.ok(!lease.signal.aborted);
	assert.equal((await a.status()).owner, "holder");
	assert.deepEqual(order, []);
	await lease.release();
	await within(Promise.all([first, second]));
	assert.deepEqual(order, ["w1", "w2"]);
});

test("a waiter is told its place again after a restart, and each change of it", async () => {
	const lease = await it.broker("first").request();
	const second = it.broker("second");
	second.request().catch(() => {});
	await it.waiting(1);
	/** @type {number[]} */
	let places = [];
	const third = it.broker("third").request({
		onQueue: (/** @type {any} */ place) => {
			places.push(place.position);
		},
	});
	third.catch(() => {});
	await it.waiting(2);
	await it.daemon.kill();
	places = [];
	await it.daemon.start();
	await until(() => places.at(-1) === 1, { what: "it is told its old place" });
	await second.close();
	await until(() => places.at(-1) === 0, { what: "it is told that it is next" });
	await lease.release();
	await (await within(third)).release();
});

test("an offer accepted too late leaves the place, and the next offer is taken", async () => {
	const { send } = WebSocket.prototype;
	/** @type {(() => void)[]} */
	const late = [];
	WebSocket.prototype.send = function (/** @type {string} */ text) {
		if (late.length === 0 && text.includes('"type":"accept"'))
			late.push(() => send.call(this, text));
		else send.call(this, text);
	};
	try {
		const turn = it.broker("slow").request();
		await until(() => late.length === 1, { what: "it is offered the GPU" });
		const back = / queued .*client="slow"[^]* queued .*client="slow"/;
		await until(() => back.test(it.daemon.log()), { what: "the offer goes back" });
		late[0]();
		await (await within(turn)).release();
	} finally {
		WebSocket.prototype.send = send;
	}
});

test("a release while the daemon is down is kept and told when it is back", async () => {
	const broker = it.broker("late");
	const lease = await broker.request();
	const gone = next(broker, "state");
	await it.daemon.kill();
	await within(gone);
	await within(lease.release());
	await it.daemon.restart();
	await until(() => broker.state === "open");
	await until(async () => (await broker.status()).leases.length === 0);
});

test("a daemon that forgot the session: the lease is LOST, the waiter asks anew", async () => {
	// What may have been granted is unknown: nothing is, before a TTL has passed.
	const other = await bench({
		timing: { session_ttl_s: 2, heartbeat_s: 0.5, restart_linger_s: 1 },
	});
	const [a, b] = [other.broker("a"), other.broker("b")];
	const lease = await a.request();
	const waits = b.request();
	await other.waiting(1);
	await other.daemon.kill();
	const { rmSync } = await import("node:fs");
	const { token } = other.daemon;
	for (const name of [
		"journal",
		"journal-wal",
		"journal-shm",
		"journal.db",
		"journal.db-wal",
		"journal.db-shm",
		"baton.db",
		"baton.db-wal",
		"baton.db-shm",
	])
		rmSync(`${other.daemon.state}/${name}`, { force: true });
	await other.daemon.restart();
	assert.equal(other.daemon.token, token);
	await until(() => lease.signal.aborted, { what: "the lease is lost" });
	assert.equal(lease.signal.reason.code, "LOST");
	const turn = await within(waits);
	assert.ok(turn.managed);
	await other.end();
});

test("a wrong token is final, and nothing is granted for it", async () => {
	const broker = it.broker("wrong", { token: "0".repeat(64), fallback: "unmanaged" });
	await assert.rejects(within(broker.request()), coded("UNAUTHORIZED"));
	assert.equal(broker.state, "closed");
	await assert.rejects(broker.ready(), coded("UNAUTHORIZED"));
	assert.equal((await it.daemon.status()).sessions >= 0, true);
});

test("token may be a function; rights are told", async () => {
	const broker = it.broker("fn", { token: async () => it.daemon.adminToken });
	await within(broker.ready());
	assert.equal(broker.rights, "admin");
	const plain = it.broker("plain");
	await within(plain.ready());
	assert.equal(plain.rights, "token");
});

test("a page that is reloaded has its places by their keys; nobody waits for what it has not asked for", async () => {
	const lease = await it.broker("holder").request();
	const next = it.broker("behind");
	const storage = new Map();
	const page = fakePage(storage);
	const before = it.broker("tab");
	for (const key of ["mine", "other"]) before.request({ key }).catch(() => {});
	await it.waiting(2);
	const behind = next.request();
	await it.waiting(3);
	const first = (await it.daemon.status()).waiting.map((/** @type {any} */ row) => row.id);
	const order = (/** @type {string[]} */ ...names) =>
		until(
			async () => {
				const { waiting } = await it.daemon.status();
				return waiting.map((/** @type {any} */ row) => row.id).join() === names.join();
			},
			{ what: `${names} wait` },
		);

	page.dispatchEvent(new Event("pagehide"));
	assert.equal(storage.size, 1);
	await order("behind");
	const reloaded = it.broker("tab");
	await within(reloaded.ready());
	assert.equal(storage.size, 1, "they are kept until they are asked for");
	const mine = reloaded.request({ key: "mine" });
	await order("tab", "behind");
	const late = reloaded.request({ key: "other", slots: "all" });
	await order(...first);

	await lease.release();
	const turns = [mine, late, behind];
	await Promise.all(turns.map(async (turn) => (await within(turn)).release()));
	assert.equal(storage.size, 0);
	page.end();
});

test("a page that is left gives back what it holds, and knows that it is over", async () => {
	const page = fakePage(new Map());
	const broker = it.broker("left");
	const lease = await broker.request();
	/** @type {string[]} */
	const order = [];
	lease.guard({ destroy: () => order.push("destroyed") });
	lease.signal.addEventListener("abort", () => order.push("told"));
	const { fetch } = globalThis;
	globalThis.fetch = (url, ...rest) => {
		if (`${url}`.endsWith("/unlock")) order.push("given back");
		return fetch(url, ...rest);
	};
	page.dispatchEvent(new Event("pagehide"));
	globalThis.fetch = fetch;
	assert.equal(lease.signal.reason.code, "CLOSED");
	assert.deepEqual(order, ["told", "destroyed", "given back"], "nobody is let in before it ends");
	await until(async () => (await it.daemon.status()).leases.length === 0);
	page.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
	const again = await within(broker.request());
	await again.release();
	page.end();
});

/** A window and document as far as the SDK listens to them. @param {Map<string, string>} storage */
function fakePage(storage) {
	const page = new EventTarget();
	const globals = {
		document: Object.assign(new EventTarget(), { title: "", hidden: false }),
		addEventListener: page.addEventListener.bind(page),
		location: new URL("http://127.0.0.1/"),
		sessionStorage: {
			getItem: (/** @type {string} */ k) => storage.get(k) ?? null,
			setItem: (/** @type {string} */ k, /** @type {string} */ v) => storage.set(k, v),
			removeItem: (/** @type {string} */ k) => storage.delete(k),
		},
	};
	Object.assign(globalThis, globals);
	return Object.assign(page, {
		end: () => Object.keys(globals).forEach((k) => delete (/** @type {any} */ (globalThis)[k])),
	});
}

test("all errors are of one class, with a code and a way on", async () => {
	const broker = it.broker("closed");
	await broker.close();
	const error = await broker.request().catch((/** @type {any} */ e) => e);
	assert.ok(error instanceof sdk.BrokerError && !error.retryable);
	assert.match(error.message, /make a new one/);
});
