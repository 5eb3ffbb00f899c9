// How a model's host takes memory and turns, in Node: the broker and the Worker are stand-ins
// that the test moves step by step, so that every moment of a loss can be met. That it works with
// the real ones is proven by the pages' tests.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { ModelHost } from "../../../web/inference/model_host.js";
import { Model } from "../../../web/sdk/model.js";
import { until, within } from "../lib/until.mjs";

const spec = { id: "one", name: "One", engine: "transformers", vram_mb: 100 };

/** Every Worker that was started; each answers what `answer` says, or nothing. */
let workers;
class StubWorker {
	constructor() {
		this.ended = false;
		this.answer = answer;
		workers.push(this);
	}
	postMessage({ type, id, name }) {
		if (type !== "call") return;
		const reply = this.answer(name);
		if (reply) queueMicrotask(() => this.onmessage({ data: { id, ...reply } }));
	}
	terminate() {
		this.ended = true;
	}
}
let answer;

/** A lease that the test can take away or ask back. */
function stubLease() {
	const [over, please] = [new AbortController(), new AbortController()];
	const guards = [];
	return {
		signal: over.signal,
		yieldSignal: please.signal,
		guard: (x) => {
			guards.push(x);
			return x;
		},
		report() {},
		/** Resolved by the test: the turn comes back. */
		back: null,
		yieldIfNeeded() {
			return new Promise((done) => {
				this.back = () => done(true);
			});
		},
		ask: () => please.abort(),
		take() {
			over.abort();
			for (const guard of guards) guard.terminate();
		},
	};
}

/** A broker that writes down what is held, and grants at once. */
function stubBroker() {
	const broker = {
		held: [],
		log: [],
		leases: [],
		residences: [],
		async reside(o) {
			assert.deepEqual(broker.held, [], "no turn is held while memory is asked for");
			broker.log.push("memory");
			const over = new AbortController();
			const residence = {
				signal: over.signal,
				evict: async () => {
					await o.evict();
					over.abort();
				},
				release: async () => {
					broker.log.push("memory back");
					over.abort();
				},
			};
			broker.residences.push(residence);
			return residence;
		},
		async hold(what, fn) {
			const lease = stubLease();
			broker.leases.push(lease);
			broker.held.push(what);
			broker.log.push(what);
			try {
				return await fn(lease);
			} finally {
				broker.held.splice(broker.held.indexOf(what), 1);
			}
		},
		model: (o) => new Model(broker, o),
		run: (_, fn) => broker.hold("turn", fn),
		load: (_, fn) => broker.hold("load", fn),
	};
	return broker;
}

before(() => {
	globalThis.Worker = StubWorker;
});
after(() => {
	delete globalThis.Worker;
});
beforeEach(() => {
	workers = [];
	answer = (name) => ({ type: "done", value: name === "chat" ? { text: "said" } : {} });
});

const chat = async (engine) => (await engine.chat([{ role: "user", content: "q" }])).text;

/** A host whose turn is held open by the test. */
function opened() {
	const broker = stubBroker();
	const host = new ModelHost({ broker, spec, class: "chat" });
	let finish;
	const gate = new Promise((done) => {
		finish = done;
	});
	const seen = {};
	const turn = host.turn({}, async (engine, lease) => {
		Object.assign(seen, { engine, lease });
		await gate;
		return chat(engine);
	});
	turn.catch(() => {});
	return { broker, host, turn, finish, seen };
}

test("memory first, then a load that nobody shares, then the turn; later only turns", async () => {
	const broker = stubBroker();
	const host = new ModelHost({ broker, spec, class: "chat" });
	const states = [];
	host.addEventListener("state", () => states.push(host.state));
	assert.equal(await host.turn({}, chat), "said");
	assert.deepEqual(broker.log, ["memory", "load", "turn"]);
	assert.deepEqual(states, ["waiting", "loading", "waiting", "busy", "ready"]);
	assert.equal(await host.turn({}, chat), "said");
	assert.deepEqual(broker.log, ["memory", "load", "turn", "turn"]);
	assert.equal(workers.length, 1);
	await host.unload();
	assert.equal(host.state, "empty");
	assert.ok(workers[0].ended && broker.log.includes("memory back"));
});

test("a model that is idle makes room at once, and the next turn begins with memory", async () => {
	const broker = stubBroker();
	const host = new ModelHost({ broker, spec });
	await host.turn({}, chat);
	await broker.residences[0].evict();
	assert.equal(host.state, "empty");
	assert.ok(workers[0].ended);
	assert.equal(await host.turn({}, chat), "said");
	assert.deepEqual(broker.log, ["memory", "load", "turn", "memory", "load", "turn"]);
});

test("a model that computes makes room when its turn is over", async () => {
	const { broker, turn, finish, seen } = opened();
	await until(() => seen.engine, { what: "the turn begins" });
	const evicted = broker.residences[0].evict();
	assert.equal(workers[0].ended, false);
	finish();
	assert.equal(await turn, "said");
	await evicted;
	assert.equal(workers[0].ended, true);
});

test("while a turn gives way its model makes room at once, and the turn says so", async () => {
	const { broker, host, turn, finish, seen } = opened();
	await until(() => seen.engine, { what: "the turn begins" });
	seen.lease.ask();
	const givingWay = seen.lease.yieldIfNeeded();
	await broker.residences[0].evict();
	assert.equal(workers[0].ended, true);
	seen.lease.back();
	await assert.rejects(givingWay, { code: "DEVICE_LOST" });
	finish();
	await assert.rejects(turn, { code: "DEVICE_LOST" });
	assert.equal(await host.turn({}, chat), "said", "the next turn loads the model again");
	assert.equal(workers.length, 2);
});

test("a turn that gives way and comes back goes on with the same model", async () => {
	const { turn, finish, seen } = opened();
	await until(() => seen.engine, { what: "the turn begins" });
	seen.lease.ask();
	const givingWay = seen.lease.yieldIfNeeded();
	seen.lease.back();
	assert.equal(await givingWay, true);
	finish();
	assert.equal(await turn, "said");
	assert.equal(workers.length, 1);
});

test("a lease that is taken ends the Worker; the memory stays, the next turn loads", async () => {
	const { broker, host, turn, seen, finish } = opened();
	await until(() => seen.engine, { what: "the turn begins" });
	seen.lease.take();
	assert.equal(workers[0].ended, true);
	finish();
	await assert.rejects(turn, { code: "DEVICE_LOST" });
	await host.turn({}, chat);
	assert.deepEqual(broker.log, ["memory", "load", "turn", "load", "turn"]);
});

test("work that never ends does not keep the memory once its lease is taken", async () => {
	const { broker, seen } = opened();
	await until(() => seen.engine, { what: "the turn begins" });
	seen.lease.take();
	await within(broker.residences[0].evict(), { ms: 2000, what: "the memory is given" });
	assert.ok(workers[0].ended);
});

test("a lease that is taken after the turn is nothing to the model", async () => {
	const { host, turn, seen, finish } = opened();
	await until(() => seen.engine, { what: "the turn begins" });
	finish();
	await turn;
	seen.lease.take();
	assert.equal(workers[0].ended, false);
	assert.equal(host.state, "ready");
});

test("a GPU that the browser lost: the turn fails, the next one has a new Worker", async () => {
	const { host, turn, seen, finish } = opened();
	await until(() => seen.engine, { what: "the turn begins" });
	workers[0].onmessage({ data: { type: "lost", message: "unknown: gone" } });
	finish();
	await assert.rejects(turn, { code: "DEVICE_LOST" });
	assert.equal(host.state, "empty");
	assert.equal(await host.turn({}, chat), "said");
});

test("a load that fails gives the memory back and says why", async () => {
	answer = (name) =>
		name === "load"
			? { type: "failed", code: "MODEL_MISSING", message: "gone" }
			: { type: "done" };
	const broker = stubBroker();
	const host = new ModelHost({ broker, spec });
	await assert.rejects(host.turn({}, chat), { code: "MODEL_MISSING", message: "gone" });
	assert.deepEqual(broker.log, ["memory", "load", "memory back"]);
	assert.equal(host.state, "empty");
	assert.ok(workers[0].ended);
});

test("a turn that is stopped while it waits leaves; late memory goes back", async () => {
	const broker = stubBroker();
	let grant;
	const real = broker.reside;
	broker.reside = async (o) => {
		await new Promise((done) => {
			grant = done;
		});
		return real(o);
	};
	const host = new ModelHost({ broker, spec });
	const stop = new AbortController();
	const turn = host.turn({ signal: stop.signal }, chat);
	await until(() => grant, { what: "the memory is asked for" });
	stop.abort();
	await assert.rejects(turn, { code: "ABORTED" });
	grant();
	await until(() => broker.log.includes("memory back"), { what: "the memory goes back" });
	assert.equal(workers.length, 0);
});

test("turns follow each other; one that is stopped does not let the next in early", async () => {
	const { host, turn, finish } = opened();
	const stop = new AbortController();
	const second = host.turn({ signal: stop.signal }, chat);
	let third = "";
	const last = host.turn({}, chat).then((text) => {
		third = text;
	});
	stop.abort();
	await assert.rejects(second, { code: "ABORTED" });
	assert.equal(third, "");
	finish();
	assert.equal(await turn, "said");
	await last;
	assert.equal(third, "said");
	assert.equal(workers.length, 1);
});

test("on the CPU nobody is asked", async () => {
	const broker = stubBroker();
	const host = new ModelHost({ broker, spec, device: "wasm" });
	assert.equal(await host.turn({}, chat), "said");
	assert.deepEqual(broker.log, []);
});

test("a Worker that is ended from outside fails what it did, and is not asked again", async () => {
	answer = (name) => (name === "chat" ? null : { type: "done" });
	const broker = stubBroker();
	const host = new ModelHost({ broker, spec });
	await assert.rejects(
		host.turn({}, async (engine) => {
			const asked = engine.chat([]);
			engine.worker.terminate();
			assert.equal(engine.alive, false);
			await assert.rejects(engine.chat([]), { code: "ABORTED" });
			return asked;
		}),
		{ code: "ABORTED" },
	);
});
