// @ts-check
// What tabs do with their turns: model loads that never overlap, voice that overtakes background
// work at its next step, and the hand-off between two tabs, measured.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/cdp.mjs";
import { startDaemon } from "../lib/daemon.mjs";
import { bestOf, openBench, signIn, untilWaiting } from "../lib/tabs.mjs";
import { until } from "../lib/until.mjs";

const VOICE_MS = 250;
/** @type {import("../lib/daemon.mjs").Daemon} */
let daemon;
/** @type {import("../lib/cdp.mjs").Chromium} */
let browser;
/** @type {import("../lib/tabs.mjs").Bench} */
let one;
/** @type {import("../lib/tabs.mjs").Bench} */
let two;

before(async () => {
	// Two compute slots: two turns may run at once, a load shares with nobody.
	daemon = await startDaemon({ gpu: "rtx:24576:2" });
	browser = await launch();
	await signIn(browser, daemon);
	one = await openBench(browser, daemon, "one");
	two = await openBench(browser, daemon, "two");
});
after(async () => {
	await browser?.close();
	await daemon?.stop();
});

/** Runs in the page: loads, one after the other, each 20 ms or longer. @param {number} count */
async function loadModels(count) {
	const { bench } = /** @type {any} */ (globalThis);
	const spans = [];
	for (let i = 0; i < count; i++) {
		await bench.broker.load(`model${i}`, async (/** @type {any} */ lease) => {
			const span = { kind: "load", from: bench.now(), to: 0, alone: false };
			// The browser's own lock, only to see whether another load runs in any tab.
			await navigator.locks.request("a load", { ifAvailable: true }, async (lock) => {
				span.alone = lock !== null;
				await fetch("/health").then((answer) => answer.text());
				while (bench.now() - span.from < 20);
			});
			span.to = bench.now();
			spans.push(span);
			lease.signal.throwIfAborted();
		});
	}
	return spans;
}

/** Runs in the page: ordinary turns beside them. @param {number} count */
async function compute(count) {
	const { bench } = /** @type {any} */ (globalThis);
	const spans = [];
	for (let i = 0; i < count; i++) {
		await bench.broker.run({ class: "chat" }, async () => {
			const span = { kind: "turn", from: bench.now(), to: 0, alone: true };
			await fetch("/health").then((answer) => answer.text());
			span.to = bench.now();
			spans.push(span);
		});
	}
	return spans;
}

test("two tabs load models: no load overlaps another or anybody's turn", async (t) => {
	const spans = (
		await Promise.all([
			one.run(loadModels, 10),
			two.run(loadModels, 10),
			one.run(compute, 10),
			two.run(compute, 10),
		])
	).flat();
	assert.equal(spans.length, 40);
	assert.ok(
		spans.every((span) => span.alone),
		"no load met another",
	);
	// Clocks of two tabs may differ by a fraction of a millisecond.
	const met = spans.filter(
		(a) =>
			a.kind === "load"
			&& spans.some((b) => b !== a && b.from < a.to - 1 && a.from < b.to - 1),
	);
	assert.deepEqual(met, []);
	const tabs = spans.sort((a, b) => a.from - b.from);
	t.diagnostic(`20 loads and 20 turns in ${Math.round(tabs.at(-1).to - tabs[0].from)} ms`);
});

/**
 * Runs in the page: background work in steps, which gives way between them.
 * @param {number} count
 */
async function dream(count) {
	const { bench } = /** @type {any} */ (globalThis);
	const worker = new Worker(
		URL.createObjectURL(
			new Blob(["onmessage = (e) => setTimeout(() => postMessage(0), e.data)"]),
		),
	);
	bench.steps = [];
	bench.dream = bench.broker.run(
		{ class: "background", slots: 2 },
		async (/** @type {any} */ lease) => {
			for (let i = 0; i < count; i++) {
				const gaveWay = await lease.yieldIfNeeded();
				const from = bench.now();
				worker.postMessage(50);
				await new Promise((done) => {
					worker.onmessage = done;
				});
				bench.steps.push({
					i,
					from,
					to: bench.now(),
					gaveWay,
					fence: Number(lease.fence),
					over: lease.signal.aborted,
				});
			}
			return "dreamt";
		},
	);
}

/** How long voice waits for a step of the background work, which then finishes. */
async function overtake() {
	await one.run(dream, 60);
	await until(() => one.run("() => bench.steps.length >= 3"), { what: "the dream has begun" });
	const asked = await two.run(`() => {
		bench.ask("voice", { class: "voice", slots: 2 });
		return bench.now();
	}`);
	const granted = await two.granted("voice");
	const before = await one.run("() => bench.steps.length");
	assert.ok(before < 60, "the dream is not over");
	await untilWaiting(daemon, ["one"]);
	const { at: left } = await two.release("voice");
	assert.equal(await one.run("() => bench.dream"), "dreamt");

	/** @type {any[]} */
	const steps = await one.run("() => bench.steps");
	assert.deepEqual(
		steps.map((step) => step.i),
		[...Array(60).keys()],
		"each step once, in order",
	);
	assert.deepEqual(
		steps.filter((step) => step.to > granted.at + 1 && step.from < left - 1),
		[],
		"no step while voice held",
	);
	assert.equal(steps.filter((step) => step.gaveWay).length, 1, "it gave way once");
	assert.ok(
		steps[59].fence > granted.fence && granted.fence > steps[0].fence,
		"the same lease held again, by a new fence",
	);
	assert.ok(
		steps.every((step) => !step.over),
		"and was never over",
	);
	return granted.at - asked;
}

test("voice overtakes background work at its next step, and the work finishes later", async (t) => {
	const ms = await bestOf(VOICE_MS, overtake);
	t.diagnostic(`voice waited ${ms.toFixed(1)} ms for a step of 50 ms`);
	assert.ok(ms <= VOICE_MS, `voice waited ${ms} ms`);
});

/**
 * Runs in the page: takes turns with the other tab until it had so many. It lets go only when the
 * other one has said that it waits, so that each release is a hand-off.
 * @param {number} count
 */
async function takeTurns(count) {
	const { bench } = /** @type {any} */ (globalThis);
	const channel = new BroadcastChannel("turns");
	let otherWaits = false;
	let wake = () => {};
	channel.onmessage = ({ data }) => {
		otherWaits = data;
		wake();
	};
	const onQueue = () => channel.postMessage(true);
	const turns = [];
	for (let i = 0; i < count; i++) {
		const lease = await bench.broker.request({ slots: 2, onQueue });
		const turn = { fence: Number(lease.fence), granted: bench.now(), released: 0 };
		channel.postMessage(false);
		while (i < count - 1 && !otherWaits)
			await new Promise((done) => {
				wake = () => done(undefined);
			});
		otherWaits = false;
		turn.released = bench.now();
		turns.push(turn);
		await lease.release();
	}
	channel.postMessage(true);
	return turns;
}

/** @param {number[]} sorted @param {number} part */
const at = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];

/**
 * One round of hand-offs. A tab's clock may differ from the other's by a constant, which lengthens
 * one direction and shortens the other: half of the difference of the two medians is taken out.
 */
async function handOffs() {
	const [a, b] = await Promise.all([one.run(takeTurns, 110), two.run(takeTurns, 110)]);
	const turns = [
		...a.map((/** @type {any} */ turn) => ({ ...turn, tab: 0 })),
		...b.map((/** @type {any} */ turn) => ({ ...turn, tab: 1 })),
	].sort((x, y) => x.fence - y.fence);
	/** @type {number[][]} by the direction */
	const took = [[], []];
	for (const [i, turn] of turns.slice(1).entries())
		if (turn.tab !== turns[i].tab) took[turn.tab].push(turn.granted - turns[i].released);
	const medians = took.map((ms) =>
		at(
			ms.sort((x, y) => x - y),
			0.5,
		),
	);
	const skew = (medians[0] - medians[1]) / 2;
	const all = [...took[0].map((ms) => ms - skew), ...took[1].map((ms) => ms + skew)].sort(
		(x, y) => x - y,
	);
	return { count: all.length, skew, p50: at(all, 0.5), p99: at(all, 0.99) };
}

test("hand-off between two tabs: p50 under 5 ms over more than 200", async (t) => {
	let best;
	// Others may keep the machine busy for some seconds.
	for (let round = 0; round < 8 && !(best && best.p50 < 5); round++) {
		const { count, skew, p50, p99 } = await handOffs();
		t.diagnostic(
			`${count} hand-offs: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms `
				+ `(clocks ${skew.toFixed(2)} ms apart)`,
		);
		assert.ok(count >= 200, `${count} hand-offs`);
		best = !best || p50 < best.p50 ? { p50 } : best;
	}
	assert.ok(best && best.p50 < 5, `${best?.p50} ms`);
});
