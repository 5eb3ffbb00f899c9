// @ts-check
// What dreaming is: one round thinks once about every memory (a note or a conversation), and each
// step asks a chat model for one thought about one memory and for the memories that belong with it.
//
// Nothing is lost or doubled, whenever a step is cut off: what is still to do is computed from what
// is kept (there is no list of jobs), a thought's id follows from its round and its memory, and a
// step writes once, at its end, and only if the id is not there yet.
//
// Knows no page, database, engine or lease: they come in as functions. Used by dreamer.js; runs in
// Node for its tests.

/** @typedef {{id: string, kind: "note"|"conversation", text: string, at: number}} Recollection */
/**
 * @typedef {object} Thought
 * @property {string} id
 * @property {string[]} about The memory it is about.
 * @property {string} text
 * @property {string[]} links Memories that belong with it.
 * @property {number} round
 * @property {number} at
 */
/**
 * @typedef {object} DreamStore
 * @property {() => Promise<Recollection[]>} memories
 * @property {() => Promise<Thought[]>} thoughts
 * @property {(thought: Thought) => Promise<boolean>} keep In one transaction: writes it unless its
 *     id is there; says whether it wrote.
 */
/**
 * @typedef {object} Dream What a round needs.
 * @property {DreamStore} store
 * @property {number} round
 * @property {(messages: {role: string, content: string}[]) => Promise<string>} ask
 * @property {() => Promise<boolean>} giveWay Called between steps: the GPU may change hands here,
 *     and then it says so.
 * @property {() => boolean} stopped Whether to end after the step that runs.
 * @property {(step: {memory: Recollection, counts: Counts}) => void} [onStep] A step begins.
 * @property {(thought: Thought, counts: Counts) => void} [onThought] A thought was kept.
 */
/** @typedef {{memories: number, thoughts: number, links: number, done: number}} Counts */

/** How many other memories a model is shown beside the one it thinks about. */
export const CANDIDATES_MAX = 8;
const LINKS_MAX = 3;
const MEMORY_CHARS_MAX = 2000;
const CANDIDATE_CHARS_MAX = 160;
const THOUGHT_CHARS_MAX = 4000;

const TASK =
	"You think about somebody's notes. Write one short thought about the memory you are "
	+ "given: what it means, what follows from it or what is missing. Then, on a line of its own, "
	+ "write LINKS: and the numbers of the other memories that belong with it, or none.";

/** @param {number} round @param {string} memoryId */
export function thoughtId(round, memoryId) {
	return `${round}:${memoryId}`;
}

/**
 * The next memory that this round has not thought about, oldest first.
 * @param {Recollection[]} memories
 * @param {Set<string>} kept ids of the thoughts that are kept
 * @param {number} round
 * @returns {Recollection | undefined}
 */
export function nextMemory(memories, kept, round) {
	return [...memories].sort(byAge).find((memory) => !kept.has(thoughtId(round, memory.id)));
}

/** @param {Recollection} a @param {Recollection} b */
function byAge(a, b) {
	return a.at - b.at || (a.id < b.id ? -1 : 1);
}

/**
 * @param {Recollection[]} memories
 * @param {Thought[]} thoughts
 * @param {number} round
 * @returns {Counts}
 */
export function count(memories, thoughts, round) {
	const kept = new Set(thoughts.map((thought) => thought.id));
	return {
		memories: memories.length,
		thoughts: thoughts.length,
		links: thoughts.reduce((sum, thought) => sum + thought.links.length, 0),
		done: memories.filter((memory) => kept.has(thoughtId(round, memory.id))).length,
	};
}

/** The words that say what a text is about. @param {string} text */
function words(text) {
	return new Set(text.toLowerCase().match(/[\p{L}\p{N}]{4,}/gu) ?? []);
}

/** @param {Set<string>} a @param {Set<string>} b */
function shared(a, b) {
	let sum = 0;
	for (const word of a) if (b.has(word)) sum++;
	return sum;
}

/**
 * The memories that a model is offered as links: those that share most words with this one, then
 * the oldest. The same input gives the same order.
 * @param {Recollection} memory
 * @param {Recollection[]} memories
 */
export function candidates(memory, memories) {
	const own = words(memory.text);
	return memories
		.filter((other) => other.id !== memory.id)
		.map((other) => ({ other, score: shared(own, words(other.text)) }))
		.sort((a, b) => b.score - a.score || byAge(a.other, b.other))
		.slice(0, CANDIDATES_MAX)
		.map(({ other }) => other);
}

/**
 * The memory comes last, nearest to the answer: small models dwell on what they read last.
 * @param {Recollection} memory
 * @param {Recollection[]} others
 */
export function question(memory, others) {
	const list = others.map((other, n) => `${n + 1}. ${clip(other.text, CANDIDATE_CHARS_MAX)}`);
	const content =
		`Other memories:\n${list.join("\n") || "none"}\n\n`
		+ `The memory:\n${clip(memory.text, MEMORY_CHARS_MAX)}`;
	return [
		{ role: "system", content: TASK },
		{ role: "user", content },
	];
}

/** @param {string} text @param {number} most */
function clip(text, most) {
	return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/**
 * Takes a model's answer apart. A small model that names no links gets those whose words it used,
 * or that the memory itself shares.
 * @param {string} answer
 * @param {Recollection} memory
 * @param {Recollection[]} others as they were numbered in the question
 * @returns {{text: string, links: string[]}}
 */
export function readAnswer(answer, memory, others) {
	const match = /^[\s*_#]*links?[\s*_]*:(.*)$/im.exec(answer);
	const text = (match ? answer.slice(0, match.index) : answer).trim();
	const links = match ? named(match[1], others) : related(`${memory.text} ${text}`, others);
	return { text: clip(text, THOUGHT_CHARS_MAX), links: links.slice(0, LINKS_MAX) };
}

/** @param {string} line @param {Recollection[]} others */
function named(line, others) {
	const numbers = new Set((line.match(/\d+/g) ?? []).map(Number));
	return others.filter((_, n) => numbers.has(n + 1)).map((other) => other.id);
}

/** @param {string} text @param {Recollection[]} others */
function related(text, others) {
	const own = words(text);
	return others.filter((other) => shared(own, words(other.text)) > 0).map((other) => other.id);
}

/**
 * Dreams until the round is done or it is told to stop. Throws what `ask` and the store throw: then
 * nothing of the step is kept, and the next call does it again.
 * @param {Dream} dream
 * @returns {Promise<"done"|"stopped">}
 */
export async function dreamRound(dream) {
	const { store, round } = dream;
	let granted = true; // just now: there is no need to ask whether somebody waits
	for (;;) {
		if (dream.stopped()) return "stopped";
		// Read anew for each step: notes come and other tabs write while this one dreams.
		const memories = await store.memories();
		const thoughts = await store.thoughts();
		const kept = new Set(thoughts.map((thought) => thought.id));
		const memory = nextMemory(memories, kept, round);
		if (!memory) return "done";
		if (!granted && (await dream.giveWay())) {
			granted = true;
			continue;
		}
		granted = false;
		dream.onStep?.({ memory, counts: count(memories, thoughts, round) });
		const thought = await think(dream, memory, memories);
		if (await store.keep(thought)) {
			dream.onThought?.(thought, count(memories, [...thoughts, thought], round));
		}
	}
}

/** @param {Dream} dream @param {Recollection} memory @param {Recollection[]} memories */
async function think(dream, memory, memories) {
	const others = candidates(memory, memories);
	const answer = await dream.ask(question(memory, others));
	const { text, links } = readAnswer(answer, memory, others);
	return {
		id: thoughtId(dream.round, memory.id),
		about: [memory.id],
		text: text || "(The model had nothing to say.)",
		links,
		round: dream.round,
		at: Date.now(),
	};
}
