// broker.model() against the real daemon: memory, load and turns in their order, and again by
// itself after whatever was taken. Its files are tested in model_files.test.mjs.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { until, within } from "../lib/until.mjs";
import { bench, coded } from "./in_node.mjs";

const MIB = 2 ** 20;

let it;
before(async () => {
	it = await bench();
});
after(() => it?.end());

/** What happened to the engines. @type {string[]} */
let log;
let made;
beforeEach(() => {
	log = [];
	made = 0;
});

/** A model that writes down what becomes of it. */
const model = (broker, o = {}) =>
	broker.model({
		name: "one",
		vramBytes: 100 * MIB,
		load: async () => {
			log.push(`load ${++made}`);
			return { number: made };
		},
		unload: (engine) => void log.push(`unload ${engine.number}`),
		...o,
	});

const leases = async () => (await it.daemon.status()).leases;
const untilFree = () =>
	until(async () => (await leases()).every(({ slots }) => slots === 0), {
		what: "nobody computes",
	});

/** Somebody who needs all of the memory. */
async function evict() {
	const other = it.broker("other");
	const home = await other.reside({ model: "big", vramBytes: 24_000 * MIB, evict: () => {} });
	await home.release();
	await other.close();
}

async function revoke(name) {
	const lease = (await leases()).find((row) => row.id === name && row.slots > 0);
	await it.daemon.http("POST", `/v1/gpu/leases/${lease.lease}/revoke`, { reason: "test" });
}

test("loads once, computes in turns, and gives all back", async () => {
	const one = model(it.broker("a"));
	const states = [];
	one.addEventListener("state", () => states.push(one.state));
	assert.equal(await one.run({ class: "chat" }, ({ number }) => number), 1);
	assert.deepEqual(states, ["waiting", "loading", "waiting", "busy", "ready"]);
	assert.equal(await one.run({}, ({ number }) => number), 1);
	assert.deepEqual(
		(await leases()).map(({ slots, vram_mb }) => [slots, vram_mb]),
		[[0, 100]],
	);
	await one.unload();
	assert.deepEqual(log, ["load 1", "unload 1"]);
	assert.deepEqual([one.state, one.engine], ["empty", null]);
	assert.deepEqual(await leases(), []);
});

test("evicted while idle: unloaded, and loaded again by the next run", async () => {
	const one = model(it.broker("b"));
	await one.run({}, () => {});
	await evict();
	assert.deepEqual(log, ["load 1", "unload 1"]);
	assert.equal(one.state, "empty");
	assert.equal(await one.run({}, ({ number }) => number), 2);
	await one.unload();
});

test("revoked: the run rejects, the engine ends, the next run loads again", async () => {
	const one = model(it.broker("c"));
	// The engine is asked and never answers, as one whose Worker was terminated.
	const hangs = one.run({}, () => new Promise(() => {}));
	await until(() => one.state === "busy", { what: "it computes" });
	await revoke("c");
	await assert.rejects(within(hangs, { what: "the run ends" }), coded("REVOKED"));
	assert.deepEqual(log, ["load 1", "unload 1"]);
	await untilFree();
	await within(evict(), { what: "the memory is free of what hung" });
	assert.equal(await one.run({}, ({ number }) => number), 2);
	await one.unload();
});

test("a load that is taken is repeated by itself; one that is always taken is not", async () => {
	let hang = 1;
	const one = model(it.broker("d"), {
		load: async ({ signal }) => {
			const number = ++made;
			log.push(`load ${number}`);
			if (hang-- > 0) await new Promise((done) => signal.addEventListener("abort", done));
			return { number };
		},
	});
	const run = one.run({}, ({ number }) => number);
	await until(() => one.state === "loading", { what: "it loads" });
	await revoke("d");
	assert.equal(await within(run, { what: "the run" }), 2);
	assert.ok(log.includes("unload 1"), "what came too late is ended");
	await one.unload();
	[hang, made] = [9, 0];
	const lost = one.run({}, () => {});
	for (let i = 1; i <= 3; i++) {
		await until(() => made === i && one.state === "loading", { what: `load ${i}` });
		await revoke("d");
	}
	await assert.rejects(within(lost, { what: "the run gives up" }), coded("REVOKED"));
	assert.equal(made, 3);
	assert.deepEqual(await leases(), []);
});

/** Answers no more once its engine was ended, as one in a Worker. */
const unanswered = (/** @type {any} */ _engine, /** @type {any} */ { signal }) =>
	new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

test("unloaded or dropped under a run: that rejects, and the next one loads again", async () => {
	const one = model(it.broker("i"));
	for (const end of ["unload", "drop"]) {
		const run = one.run({}, unanswered);
		await until(() => one.state === "busy", { what: "it computes" });
		await one[end]();
		await assert.rejects(
			within(run, { what: "the run ends" }),
			coded(end === "unload" ? "CLOSED" : "DEVICE_LOST"),
		);
		await untilFree();
	}
	assert.deepEqual(log, ["load 1", "unload 1", "load 2", "unload 2"]);
	assert.equal(await within(one.run({}, ({ number }) => number)), 3);
	await one.unload();
});

test("memory that is revoked under a run ends the run, which is told so", async () => {
	const one = model(it.broker("j"));
	const run = one.run({}, unanswered);
	await until(() => one.state === "busy", { what: "it computes" });
	const home = (await leases()).find(({ slots }) => slots === 0);
	await it.daemon.http("POST", `/v1/gpu/leases/${home.lease}/revoke`, { reason: "test" });
	await assert.rejects(within(run, { what: "the run ends" }), coded("DEVICE_LOST"));
	await until(async () => (await leases()).length === 0, { what: "all is given back" });
	assert.equal(await one.run({}, ({ number }) => number), 2);
	await one.unload();
});

test("a load under which the memory goes is no model that computes without any", async () => {
	let finish;
	const one = model(it.broker("k"), {
		load: () =>
			new Promise((resolve) => {
				finish = () => resolve({ number: ++made });
			}),
	});
	const loading = async () => {
		finish = null;
		await until(() => finish, { what: "it loads" });
	};
	const stopped = one.run({}, () => assert.fail("it was unloaded"));
	await loading();
	await one.unload();
	finish();
	await assert.rejects(within(stopped), coded("CLOSED"));
	assert.deepEqual([one.engine, await leases()], [null, []]);

	const run = one.run({}, async ({ number }) => [number, await leases()]);
	await loading();
	const home = (await leases()).find(({ slots }) => slots === 0);
	await it.daemon.http("POST", `/v1/gpu/leases/${home.lease}/revoke`, { reason: "test" });
	await until(async () => (await leases()).length === 1, { what: "the memory is gone" });
	const first = finish;
	const again = loading();
	first();
	await again;
	finish();
	const [number, held] = await within(run);
	assert.equal(number, 3);
	assert.equal(held.length, 2, "its memory and its turn");
	await one.unload();
});

test("an unload that throws gives the memory back", async () => {
	const one = model(it.broker("l"), {
		unload: () => {
			throw new Error("no such worker");
		},
	});
	await one.run({}, () => {});
	await assert.rejects(one.unload(), /no such worker/);
	assert.deepEqual(await leases(), []);
});

test("a load that fails says why, and gives the memory back", async () => {
	const one = model(it.broker("e"), {
		load: () => {
			throw new Error("no such layer");
		},
	});
	await assert.rejects(
		one.run({}, () => {}),
		/no such layer/,
	);
	assert.deepEqual(await leases(), []);
	assert.equal(one.state, "empty");
});

test("a file that is not there is an error of the load, in words", async () => {
	const one = model(it.broker("match"), { load: ({ match }) => match("/weights.bin") });
	await assert.rejects(
		one.run({}, () => {}),
		(error) => error.code === "STORAGE" && /weights\.bin was not fetched/.test(error.message),
	);
});

test("an engine that ended by itself is made anew", async () => {
	const one = model(it.broker("f"), { alive: ({ number }) => number !== 1 });
	assert.equal(await one.run({}, ({ number }) => number).catch((error) => error), 2);
	await one.drop();
	assert.equal(await one.run({}, ({ number }) => number), 3);
	await one.unload();
});

test("options of the model are those of its request for memory, too", async () => {
	const other = it.broker("other");
	const home = await other.reside({
		model: "big",
		vramBytes: 24_000 * MIB,
		evict: () => {},
		minResidenceMs: 60_000,
	});
	const keys = [];
	const one = model(it.broker("h"), { key: "job", onQueue: ({ key }) => keys.push(key) });
	const run = one.run({}, ({ number }) => number);
	await until(() => keys.length, { what: "it waits for memory" });
	assert.equal(keys[0], "job");
	await home.release();
	assert.equal(await run, 1);
	await one.unload();
});

test("runs follow each other; one that is stopped leaves", async () => {
	const one = model(it.broker("g"));
	let finish;
	const first = one.run(
		{},
		() =>
			new Promise((done) => {
				finish = done;
			}),
	);
	await until(() => finish, { what: "the first runs" });
	const stop = new AbortController();
	const second = one.run({ signal: stop.signal }, () => {});
	const third = one.run({}, ({ number }) => number);
	stop.abort();
	await assert.rejects(second, { name: "AbortError" });
	finish("done");
	assert.equal(await first, "done");
	assert.equal(await third, 1);
	await one.unload();
});

test("on the processor nobody is asked", async () => {
	const broker = { reside: assert.fail, load: assert.fail, run: assert.fail };
	const { Model } = await import("../../../web/sdk/model.js");
	const one = new Model(broker, { name: "one", vramBytes: 0, cpu: true, load: () => "engine" });
	assert.equal(
		await one.run({}, async (engine, lease) => {
			assert.equal(await lease.yieldIfNeeded(), false);
			return engine;
		}),
		"engine",
	);
});

test("what an earlier lease ended is not guarded by another", async () => {
	const broker = it.broker("h");
	const worker = {
		ended: 0,
		terminate() {
			this.ended++;
		},
	};
	const lease = await broker.request({});
	lease.guard(worker);
	await revoke("h");
	await until(() => worker.ended === 1, { what: "it is ended" });
	const next = await broker.request({});
	assert.throws(
		() => next.guard(worker),
		(error) => error.code === "CLOSED" && /make a new one/.test(error.message),
	);
	assert.equal(worker.ended, 1);
	await next.release();
});
