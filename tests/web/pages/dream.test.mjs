// Proves that dreaming loses and doubles nothing: whatever call of a round fails, before or after
// it took effect, the rounds that follow end with the same thoughts as a round that nothing
// disturbed. Also what the pure parts of dream_round.js make of odd answers. No browser, no daemon.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
	candidates,
	count,
	dreamRound,
	nextMemory,
	question,
	readAnswer,
	thoughtId,
} from "../../../web/pages/dreamer/dream_round.js";

const memories = ["The queue is fair", "A fair lease ends", "Tabs close", "The GPU is busy"].map(
	(text, n) => ({ id: `m${n}`, kind: "note", text, at: n }),
);

/** A store in memory, as strict as the real one: a second write of one id changes nothing. */
function memoryStore(kept = new Map()) {
	return {
		kept,
		writes: 0,
		async memories() {
			return memories;
		},
		async thoughts() {
			return [...kept.values()];
		},
		async keep(thought) {
			if (kept.has(thought.id)) return false;
			this.writes++;
			kept.set(thought.id, thought);
			return true;
		},
	};
}

/** A model whose answer depends on the question alone. */
async function answer(messages) {
	return `Thought about ${messages[1].content.split("\n")[1]}\nLINKS: 1`;
}

function dreamOver(store, more = {}) {
	return {
		store,
		round: 1,
		ask: answer,
		giveWay: async () => false,
		stopped: () => false,
		...more,
	};
}

/** What must be the same, without the time of writing. */
function fingerprint(kept) {
	return [...kept.values()].map(({ at, ...rest }) => rest).sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function undisturbed() {
	const store = memoryStore();
	assert.equal(await dreamRound(dreamOver(store)), "done");
	return fingerprint(store.kept);
}

/** Wraps every function that a round calls, so that the nth call fails. */
function crashing(dream, nth, when) {
	const state = { calls: 0, crashed: false };
	const wrap =
		(fn) =>
		async (...args) => {
			const crash = ++state.calls === nth;
			if (crash) state.crashed = true;
			if (crash && when === "before") throw new Error("crash");
			const result = await fn(...args);
			if (crash) throw new Error("crash");
			return result;
		};
	const { store } = dream;
	return [
		state,
		{
			...dream,
			ask: wrap(dream.ask),
			giveWay: wrap(dream.giveWay),
			store: {
				memories: wrap(() => store.memories()),
				thoughts: wrap(() => store.thoughts()),
				keep: wrap((thought) => store.keep(thought)),
			},
		},
	];
}

for (const when of ["before", "after"]) {
	test(`a crash ${when} any call of a round changes nothing in the end`, async () => {
		const expected = await undisturbed();
		let points = 0;
		for (let nth = 1; ; nth++) {
			const store = memoryStore();
			const [state, dream] = crashing(dreamOver(store), nth, when);
			await dreamRound(dream).catch((error) => assert.equal(error.message, "crash"));
			if (!state.crashed) break;
			points++;
			assert.equal(await dreamRound(dreamOver(store)), "done");
			assert.deepEqual(fingerprint(store.kept), expected, `after call ${nth}`);
			assert.equal(store.writes, memories.length, `writes after call ${nth}`);
		}
		assert.ok(points > memories.length * 4, `only ${points} points were tried`);
	});
}

test("two dreamers at once think each thought once", async () => {
	const store = memoryStore();
	await Promise.all([dreamRound(dreamOver(store)), dreamRound(dreamOver(store))]);
	assert.deepEqual(fingerprint(store.kept), await undisturbed());
	assert.equal(store.writes, memories.length);
});

test("sleep ends after the running step, and the next round goes on behind it", async () => {
	const store = memoryStore();
	let asleep = false;
	const ask = (messages) => {
		asleep = true;
		return answer(messages);
	};
	assert.equal(await dreamRound(dreamOver(store, { ask, stopped: () => asleep })), "stopped");
	assert.deepEqual([...store.kept.keys()], [thoughtId(1, "m0")]);
	assert.equal(await dreamRound(dreamOver(store)), "done");
	assert.deepEqual(fingerprint(store.kept), await undisturbed());
});

test("it gives way between steps only, and never when nothing is left to do", async () => {
	const calls = [];
	const store = memoryStore();
	await dreamRound(
		dreamOver(store, {
			ask: async (messages) => {
				calls.push("ask");
				return answer(messages);
			},
			giveWay: async () => {
				calls.push("way");
				return calls.length === 2; // the GPU changes hands the first time
			},
		}),
	);
	assert.deepEqual(calls, ["ask", "way", "ask", "way", "ask", "way", "ask"]);
});

test("a new round thinks again, a new note is thought about in the same round", async () => {
	const store = memoryStore();
	await dreamRound(dreamOver(store));
	await dreamRound(dreamOver(store, { round: 2 }));
	assert.equal(store.kept.size, 2 * memories.length);
	const kept = new Set(store.kept.keys());
	const note = { id: "new", kind: "note", text: "late", at: 99 };
	assert.equal(nextMemory(memories, kept, 2), undefined);
	assert.equal(nextMemory([...memories, note], kept, 2), note);
});

test("counts count what is kept", async () => {
	const store = memoryStore();
	assert.deepEqual(count(memories, [], 1), { memories: 4, thoughts: 0, links: 0, done: 0 });
	await dreamRound(dreamOver(store));
	assert.deepEqual(count(memories, await store.thoughts(), 1), {
		memories: 4,
		thoughts: 4,
		links: 4,
		done: 4,
	});
	assert.equal(count(memories, await store.thoughts(), 2).done, 0);
});

test("an answer is read whatever a model makes of the format", () => {
	const others = candidates(memories[0], memories);
	assert.deepEqual(
		others.map((memory) => memory.id),
		["m1", "m2", "m3"],
	);
	const read = (text) => readAnswer(text, memories[0], others);
	assert.deepEqual(read("Fine.\nLINKS: 1, 3"), { text: "Fine.", links: ["m1", "m3"] });
	assert.deepEqual(read("Fine.\n**Links:** none"), { text: "Fine.", links: [] });
	assert.deepEqual(read("Fine.\nLINKS: 99, -1, 1e9"), { text: "Fine.", links: ["m1"] });
	assert.deepEqual(read("LINKS: 2"), { text: "", links: ["m2"] });
	assert.deepEqual(read("About a lease."), { text: "About a lease.", links: ["m1"] });
	assert.deepEqual(read(""), { text: "", links: ["m1"] });
	assert.equal(read("x".repeat(1e5)).text.length, 4000);
	const big = question({ ...memories[0], text: "y".repeat(1e6) }, others);
	assert.ok(big[1].content.length < 3000);
});
