// @ts-check
// Who asks from a worker of its own has said that it answers: what is free at once is granted
// without an offer. A page's thread that runs the session itself, and a page that is hidden, are
// offered their turn, as is everybody who has to wait.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { WebSocket } from "../lib/packages.mjs";
import { until, within } from "../lib/until.mjs";
import { bench, coded } from "./in_node.mjs";
import { provideWorker, workers } from "./worker_in_node.mjs";

/** @type {Awaited<ReturnType<typeof bench>>} */
let it;
/** @type {() => void} */
let takeAway;
/** What went over each connection, in this order. @type {string[][]} */
let wires = [];
/** Called when a request goes out. */
let onRequest = () => {};

before(async () => {
	it = await bench({ timing: { tab_linger_s: 4 } }); // a thread that stands still for half asks
});
after(() => it.end());
beforeEach(() => {
	wires = [];
	onRequest = () => {};
	takeAway = provideWorker();
	/** @type {any} */ (globalThis).WebSocket = class extends WebSocket {
		/** @type {string[]} */
		wire = [];

		/** @param {string} url */
		constructor(url) {
			super(url);
			wires.push(this.wire);
			this.on("message", (/** @type {Buffer} */ data) =>
				this.wire.push(`< ${JSON.parse(`${data}`).type}`),
			);
		}

		/** @param {string} text */
		send(text) {
			this.wire.push(`> ${JSON.parse(text).type}`);
			super.send(text);
			if (this.wire.at(-1) === "> acquire") onRequest();
		}
	};
});
afterEach(() => {
	takeAway();
	/** @type {any} */ (globalThis).WebSocket = WebSocket;
});

/** What a connection carried from the request on. @param {number} [at] */
const turn = (at = -1) => {
	const wire = wires.at(at) ?? [];
	return wire.slice(wire.indexOf("> acquire")).filter((line) => !/alive|heartbeat/.test(line));
};

const AT_ONCE = ["> acquire", "< granted", "> release", "< released"];
const OFFERED = [
	"> acquire",
	"< queued",
	"< offered",
	"> accept",
	"< granted",
	"> release",
	"< released",
];

test("a run on a free GPU is four messages, and seven where the page's thread has the session", async () => {
	for (const [heartbeat, messages] of /** @type {const} */ ([
		["worker", AT_ONCE],
		["reply", OFFERED],
	])) {
		const broker = it.broker(heartbeat, { heartbeat });
		await within(broker.run({}, (lease) => assert.ok(lease.fence > 0n)));
		assert.equal(broker.heartbeat, heartbeat);
		assert.deepEqual(turn(), messages, heartbeat);
	}
});

test("a hidden page is offered its turn; one that is seen again is not", async () => {
	const broker = it.broker("hidden");
	await broker.ready();
	for (const visible of [false, true]) {
		broker.about({ visible });
		await within(broker.run({}, () => {}));
		assert.deepEqual(turn(), visible ? AT_ONCE : OFFERED);
		wires.at(-1)?.splice(0);
	}
});

test("who has to wait is offered the turn later", async () => {
	const lease = await it.broker("holder").request();
	const waits = it.broker("waiter").request();
	await it.waiting(1);
	await lease.release();
	await (await within(waits)).release();
	assert.deepEqual(
		turn().filter((line) => line !== "< queued"),
		OFFERED.filter((line) => line !== "< queued"),
	);
});

test("null at once where it is busy, a lease at once where it is free", async () => {
	const lease = await it.broker("holder").request();
	const asker = it.broker("asker");
	assert.equal(await within(asker.request({ ifAvailable: true })), null);
	await lease.release();
	const free = await within(asker.request({ ifAvailable: true }));
	assert.ok(free);
	await free.release();
});

test("a request that is given up while its grant is on the way holds nothing", async () => {
	const broker = it.broker("hasty");
	await broker.ready();
	const stop = new AbortController();
	onRequest = () => stop.abort(new Error("not any more"));
	await assert.rejects(within(broker.request({ signal: stop.signal })), /not any more/);
	await until(() => wires.at(-1)?.includes("< released"), { what: "it is given back" });
	assert.deepEqual(turn().slice(0, 3), ["> acquire", "> cancel", "< granted"]);
	await (await within(it.broker("next").request())).release();
	await until(async () => (await it.daemon.status()).held === 0);
});

test("what was granted and lost while the page's thread stood still is never computed on", async () => {
	const broker = it.broker("busy");
	await broker.ready();
	let computed = 0;
	const [worker] = workers();
	onRequest = () => (worker.busy = true);
	const run = broker.run({}, () => void computed++);
	run.catch(() => {});
	const [{ lease }] = await until(async () => {
		const { leases } = await it.daemon.status();
		return leases.length > 0 && leases;
	});
	await it.daemon.http("POST", `/v1/gpu/leases/${lease}/revoke`, { reason: "test" });
	await until(() => wires.at(-1)?.includes("< revoked"), { what: "its worker hears that" });
	const since = performance.now();
	await until(() => performance.now() - since > 250, { what: "that was a while ago" });
	await worker.hearAll();
	await assert.rejects(within(run), coded("REVOKED"));
	assert.equal(computed, 0);
});
