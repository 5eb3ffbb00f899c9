// @ts-check
// Models that stay in VRAM, and their loads: eviction between Brokers, loads that never overlap.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until, within } from "../lib/until.mjs";
import { bench, coded } from "./in_node.mjs";

/** @type {Awaited<ReturnType<typeof bench>>} */
let it;
before(async () => {
	it = await bench({ gpu: "two:8192:2" });
});
after(() => it.end());

const GIB = 2 ** 30;

test("an idle model makes room for another: evict, then its VRAM is free", async () => {
	const [a, b] = [it.broker("a"), it.broker("b")];
	/** @type {string[]} */
	const order = [];
	const first = await a.reside({
		model: "old",
		vramBytes: 6 * GIB,
		evict: async () => {
			order.push("evict");
		},
	});
	assert.equal(first.vramBytes, 6 * GIB);
	const second = await within(b.reside({ model: "new", vramBytes: 5 * GIB, evict: () => {} }));
	order.push("granted");
	assert.deepEqual(order, ["evict", "granted"]);
	assert.ok(first.signal.aborted);
	await second.release();
	await until(async () => (await a.status()).leases.length === 0);
});

test("a revoked model is evicted too; one that the page gives up is not", async () => {
	const broker = it.broker("c");
	let evicted = 0;
	const o = {
		model: "m",
		vramBytes: GIB,
		evict: () => {
			evicted++;
		},
	};
	const kept = await broker.reside(o);
	await kept.release();
	assert.equal(evicted, 0);
	const taken = await broker.reside(o);
	await it.daemon.http("POST", `/v1/gpu/leases/${taken.id}/revoke`, {});
	await until(() => evicted === 1);
	assert.ok(coded("REVOKED")(taken.signal.reason));
});

test("loads never overlap, nor with a turn, though the GPU has two slots", async () => {
	const [a, b, c] = [it.broker("a"), it.broker("b"), it.broker("c")];
	const [one, two] = await Promise.all([a.request(), b.request()]);
	let inside = 0,
		most = 0;
	const load = (/** @type {typeof a} */ broker) =>
		broker.load("model", async () => {
			most = Math.max(most, ++inside);
			await broker.status();
			await broker.status();
			inside--;
		});
	const all = Promise.all([load(a), load(b), load(c)]);
	await it.waiting(3);
	assert.equal(most, 0);
	await Promise.all([one.release(), two.release()]);
	await within(all);
	assert.equal(most, 1);
});
