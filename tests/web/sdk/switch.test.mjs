// @ts-check
// A person who clicks back and forth between two models of which only one fits: each click leaves
// the run before it. Nothing overlaps, nothing is left behind, and the last one wins.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until, within } from "../lib/until.mjs";
import { bench } from "./in_node.mjs";

const GIB = 2 ** 30;
/** @type {Awaited<ReturnType<typeof bench>>} */
let it;
before(async () => {
	it = await bench({ gpu: "one:24576", timing: { grace_s: 0.1 } });
});
after(() => it.end());

/** What computes now, loads included. */
let computing = 0;
let overlaps = 0;
/** Engines that were made and not ended yet. @type {Set<string>} */
const alive = new Set();

/** @template T @param {() => Promise<T>} fn */
async function alone(fn) {
	overlaps += Number(computing++ > 0);
	try {
		return await fn();
	} finally {
		computing--;
	}
}

const ms = (/** @type {number} */ count) => new Promise((done) => setTimeout(done, count));

/** Of 14 GiB; loads to its end, whoever has left. @param {any} broker @param {string} name */
function model(broker, name) {
	let made = 0;
	return broker.model({
		name,
		vramBytes: 14 * GIB,
		load: () =>
			alone(async () => {
				await ms(12);
				const engine = `${name} ${++made}`;
				alive.add(engine);
				return engine;
			}),
		unload: (/** @type {string} */ engine) => void alive.delete(engine),
	});
}

/** Each `pauses` ms another click. @param {any} broker @param {number[]} pauses */
async function clickThrough(broker, pauses) {
	const models = [model(broker, "A"), model(broker, "B")];
	/** @type {Promise<any>[]} */
	const runs = [];
	/** @type {AbortController | undefined} */
	let before;
	for (const [at, pause] of pauses.entries()) {
		before?.abort();
		const click = (before = new AbortController());
		const { signal } = click;
		runs.push(
			models[at % 2].run({ class: "chat", key: "answer", signal }, (/** @type {any} */ e) =>
				alone(async () => {
					await ms(4);
					signal.throwIfAborted();
					return e;
				}),
			),
		);
		runs.at(-1)?.catch(() => {});
		await ms(pause);
	}
	const ends = await within(Promise.allSettled(runs), 20_000);
	return { models, ends };
}

/** @type {[string, (at: number) => number][]} */
const rhythms = [
	["at once", () => 0],
	["while they wait and load", (at) => (at * 7) % 23],
	["while they compute", (at) => 20 + ((at * 13) % 40)],
];
for (const [what, pause] of rhythms)
	test(`A, B, A, B, changed ${what}: the last one answers, and nothing is left`, async () => {
		const broker = it.broker(`clicks ${what}`);
		const pauses = Array.from({ length: 24 }, (_, at) => pause(at));
		const { models, ends } = await clickThrough(broker, pauses);
		const last = ends.at(-1);
		assert.match(last?.status === "fulfilled" ? last.value : `${last?.reason}`, /^B \d+$/);
		for (const end of ends.slice(0, -1))
			if (end.status === "rejected") assert.equal(end.reason.name, "AbortError");
		assert.deepEqual([overlaps, computing], [0, 0]);

		const status = async () => {
			const { leases, waiting } = await it.daemon.status();
			return [
				waiting.length,
				leases.filter((/** @type {any} */ { slots }) => slots).length,
			].join();
		};
		await until(async () => (await status()) === "0,0", { what: "nobody waits or computes" });
		const voice = await within(it.broker("voice").request({ class: "voice" }));
		await voice.release();
		assert.ok([...alive].length <= 1, [...alive].join());
		await Promise.all(models.map((each) => each.unload()));
		assert.deepEqual([...alive], []);
		await until(async () => (await it.daemon.status()).leases.length === 0, {
			what: "all memory is given back",
		});
		await broker.close();
	});
