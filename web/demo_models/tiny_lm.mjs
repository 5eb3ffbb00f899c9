// Makes tiny-lm, a language model so small that its mind can be read. It has read the texts of
// tiny_lm_corpus.mjs and remembers, of every word, which three words came before it. It speaks
// the interface of a GPT-2 export, so that unmodified transformers.js runs it on WebGPU or WASM
// like any other model. Used by build.mjs. It is a demonstration: it understands nothing, and the
// pages say so.
//
// Asked for the next word, it compares the last three words with every place that it remembers.
// What followed there gets points, far more for three equal words than for two or one. Among
// equals the topic decides: the latest word of the conversation that calls one up. That is where
// answers begin.
//
// transformers.js passes only the newest word after the first step, so the graph keeps the words'
// numbers where a real model keeps its keys (the "KV cache").
import { FLOAT32, INT64, model, node, tensor, valueInfo } from "./onnx.mjs";
import { wordTokenizer } from "./tokenizer.mjs";
import { topics } from "./tiny_lm_corpus.mjs";

const SPECIAL = ["<unk>", "<s>", "</s>"];
const ROLES = ["system", "user", "assistant"];
const CONTEXT_WORDS = 4096;

// The last word equal counts 4, the one before it 2, the third 1; a place's points by that sum. A
// place where the last word differs gets none. Points for a longer match outweigh all shorter
// ones together.
const MATCH = [4, 2, 1];
const POINTS = [0, 0, 0, 0, 300, 300, 6000, 50000];
// A topic's own words get less than any match. The first word most of them: it begins the answer
// where nothing was recognized. A task's first word gets more than any topic's.
const TOPIC_ABOUT = 8;
const TOPIC_FIRST = 9;
const TASK_FIRST = 280;

const capital = (word) => word[0].toUpperCase() + word.slice(1);

/** Every text the model learns: a row per answer, and per subject for those that name one. */
export function sentences() {
	const subjects = [...new Set(topics.map((topic) => topic.about).filter(Boolean))];
	return topics
		.flatMap(({ answer }) =>
			answer.includes("{about}")
				? subjects.map((subject) => answer.replace("{about}", subject))
				: [answer],
		)
		.map((text) => ["assistant", ...text.split(" "), "</s>"]);
}

function vocabulary(texts) {
	const keys = topics.flatMap((topic) => topic.keys.flatMap((key) => [key, capital(key)]));
	const tasks = topics.flatMap((topic) => topic.task ?? []);
	return [...new Set([...SPECIAL, ...ROLES, ...texts.flat(), ...keys, ...tasks])];
}

/** The places of the texts: the three words before each, the last one first, and what followed.
 * The same words with the same follower are one place, however often they were read. */
function places(texts, id) {
	const all = texts.flatMap((text) =>
		text.slice(1).map((word, at) => ({
			before: MATCH.map((_, back) => id.get(text[at - back]) ?? -1),
			next: id.get(word),
		})),
	);
	return [...new Map(all.map((place) => [`${place.before} ${place.next}`, place])).values()];
}

/** A topic's row: which words call it up, and which it prefers. A task is a row of its own. */
const rows = topics.flatMap((topic) => {
	const keys = topic.keys.flatMap((key) => [key, capital(key)]);
	const first = topic.answer.split(" ")[0];
	const row = { keys, prefers: { [first]: TOPIC_FIRST } };
	if (topic.about) row.prefers[topic.about] = TOPIC_ABOUT;
	return topic.task ? [row, { keys: [topic.task], prefers: { [first]: TASK_FIRST } }] : [row];
});

function learnTopics(size, id) {
	const calls = new Float32Array(size * rows.length); // word -> the rows that it calls up
	const steers = new Float32Array(rows.length * size); // row -> the words that it prefers
	rows.forEach(({ keys, prefers }, row) => {
		for (const key of keys) calls[id.get(key) * rows.length + row] = 1;
		for (const [word, points] of Object.entries(prefers)) {
			steers[row * size + id.get(word)] = points;
		}
	});
	return { calls, steers };
}

/** What is remembered, as the graph's constants. */
function learn(words, texts) {
	const size = words.length;
	const id = new Map(words.map((word, index) => [word, index]));
	const seen = places(texts, id);
	const follows = new Float32Array(seen.length * size); // place -> the word that followed
	seen.forEach(({ next }, place) => {
		follows[place * size + next] = 1;
	});
	return { seen, follows, ...learnTopics(size, id) };
}

/** How much a place matches the context, 0 to 7: the equal words' MATCH numbers, added up. */
function matching() {
	const steps = MATCH.flatMap((_, back) => [
		node("Sub", ["length", `back_${back}`], [`index_${back}`]),
		node("Max", [`index_${back}`, "zero"], [`index_checked_${back}`]),
		node("Gather", ["context", `index_checked_${back}`], [`word_${back}`], { axis: 1 }),
		node("Equal", [`word_${back}`, `seen_${back}`], [`equal_${back}`]),
		node("Cast", [`equal_${back}`], [`equal_int_${back}`], { to: INT64 }),
		node("Mul", [`equal_int_${back}`, `match_${back}`], [`part_${back}`]),
	]);
	return [
		...steps,
		node("Add", ["part_0", "part_1"], ["part_01"]),
		node("Add", ["part_01", "part_2"], ["match"]),
	];
}

/** The whole thought, as ONNX operators. b: batch, s: new words, p: words before, t: p + s. */
function thinking() {
	return [
		// The new words' numbers go to the end of the cache, as floats: [b, 1, t, 1].
		node("Cast", ["input_ids"], ["ids_float"], { to: FLOAT32 }),
		node("Unsqueeze", ["ids_float", "axes_1_3"], ["ids_as_cache"]),
		node("Concat", ["past_key_values.0.key", "ids_as_cache"], ["present.0.key"], { axis: 2 }),
		node("Concat", ["past_key_values.0.value", "ids_as_cache"], ["present.0.value"], {
			axis: 2,
		}),
		// The whole context [b, t], and its length t.
		node("Squeeze", ["present.0.key", "axes_1_3"], ["context_float"]),
		node("Cast", ["context_float"], ["context"], { to: INT64 }),
		node("Shape", ["context"], ["context_shape"]),
		node("Gather", ["context_shape", "one"], ["length"]),
		// Points for what followed at the places that match: [b, 1, places] x [places, words].
		...matching(),
		node("Gather", ["points", "match"], ["worth"]),
		node("Unsqueeze", ["worth", "axis_1"], ["worth_row"]),
		node("MatMul", ["worth_row", "follows"], ["score_places"]),
		// Each topic's latest place in the context, 0 to 1, spread over the words it prefers.
		node("Gather", ["calls", "context"], ["called"]),
		node("Add", ["length", "one"], ["end"]),
		node("Reshape", ["end", "no_dims"], ["end_scalar"]),
		node("Range", ["one_scalar", "end_scalar", "one_scalar"], ["order_int"]),
		node("Cast", ["order_int"], ["order"], { to: FLOAT32 }),
		node("Unsqueeze", ["order", "axis_1"], ["order_column"]),
		node("Cast", ["length"], ["length_float"], { to: FLOAT32 }),
		node("Div", ["order_column", "length_float"], ["recency"]),
		node("Mul", ["called", "recency"], ["called_when"]),
		node("ReduceMax", ["called_when"], ["topic"], { axes: [1], keepdims: 1 }),
		node("MatMul", ["topic", "steers"], ["score_topic"]),
		node("Add", ["score_places", "score_topic"], ["logits"]),
	];
}

function graph(size, { seen, follows, calls, steers }) {
	return model({
		nodes: thinking(),
		constants: [
			tensor("follows", FLOAT32, [seen.length, size], follows),
			tensor("calls", FLOAT32, [size, rows.length], calls),
			tensor("steers", FLOAT32, [rows.length, size], steers),
			tensor("points", FLOAT32, [POINTS.length], POINTS),
			...MATCH.flatMap((worth, back) => [
				tensor(
					`seen_${back}`,
					INT64,
					[seen.length],
					seen.map(({ before }) => before[back]),
				),
				tensor(`match_${back}`, INT64, [1], [worth]),
				tensor(`back_${back}`, INT64, [1], [back + 1]),
			]),
			tensor("axes_1_3", INT64, [2], [1, 3]),
			tensor("axis_1", INT64, [1], [1]),
			tensor("zero", INT64, [1], [0]),
			tensor("one", INT64, [1], [1]),
			tensor("one_scalar", INT64, [], [1]),
			tensor("no_dims", INT64, [0], []),
		],
		inputs: [
			valueInfo("input_ids", INT64, ["b", "s"]),
			valueInfo("attention_mask", INT64, ["b", "t"]),
			valueInfo("past_key_values.0.key", FLOAT32, ["b", 1, "p", 1]),
			valueInfo("past_key_values.0.value", FLOAT32, ["b", 1, "p", 1]),
		],
		outputs: [
			valueInfo("logits", FLOAT32, ["b", 1, size]),
			valueInfo("present.0.key", FLOAT32, ["b", 1, "t", 1]),
			valueInfo("present.0.value", FLOAT32, ["b", 1, "t", 1]),
		],
	});
}

/** The next word's number, found as the graph finds it but in plain JavaScript: for tests. */
function nextWord(context, { words, tables }) {
	const size = words.length;
	const scores = new Float32Array(size);
	for (const { before, next } of tables.seen) {
		const match = MATCH.reduce(
			(sum, worth, back) => sum + (context.at(-1 - back) === before[back] ? worth : 0),
			0,
		);
		scores[next] += POINTS[match];
	}
	rows.forEach((_, row) => {
		const latest = context.findLastIndex((word) => tables.calls[word * rows.length + row]);
		const recency = (latest + 1) / context.length;
		for (let word = 0; word < size; word++) {
			scores[word] += recency * tables.steers[row * size + word];
		}
	});
	return scores.indexOf(Math.max(...scores));
}

/** What the model says to a prompt, whose words and marks are apart by blanks: for tests. */
export function speak(prompt, trained, limit = 60) {
	const { words } = trained;
	const context = prompt.split(" ").map((word) => Math.max(words.indexOf(word), 0));
	const said = [];
	while (said.length < limit) {
		const next = nextWord(context, trained);
		if (words[next] === "</s>") break;
		said.push(words[next]);
		context.push(next);
	}
	return said.join(" ");
}

/** The tables and the vocabulary. */
export function train() {
	const texts = sentences();
	const words = vocabulary(texts);
	return { words, tables: learn(words, texts) };
}

/** The model's files: path -> bytes or an object to be written as JSON. */
export function tinyLm() {
	const { words, tables } = train();
	const marks = { bos_token_id: 1, eos_token_id: 2 };
	return {
		"config.json": {
			model_type: "gpt2",
			architectures: ["GPT2LMHeadModel"],
			vocab_size: words.length,
			n_layer: 1,
			n_head: 1,
			n_embd: 1,
			n_ctx: CONTEXT_WORDS,
			n_positions: CONTEXT_WORDS,
			...marks,
		},
		"generation_config.json": marks,
		"tokenizer.json": wordTokenizer(words, SPECIAL, "Whitespace"),
		"tokenizer_config.json": {
			tokenizer_class: "PreTrainedTokenizerFast",
			bos_token: "<s>",
			eos_token: "</s>",
			unk_token: "<unk>",
			chat_template:
				"{% for m in messages %}"
				+ "{{ m['role'] + ' ' + m['content'] + ' ' }}{% endfor %}"
				+ "{% if add_generation_prompt %}{{ 'assistant ' }}{% endif %}",
		},
		"onnx/model.onnx": graph(words.length, tables),
	};
}
