// Proves that what a page serves arrives at the clients that people have: the SDK's serve() in Node
// answers npm's openai and Anthropic clients through the real daemon, each request under a lease of
// the page's own; that whoever leaves, is outranked or does not read is heard by the handler; and
// that nothing half or doubled looks like a whole answer.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";
import { until } from "../lib/until.mjs";
import { bench } from "./in_node.mjs";

const clients = createRequire(new URL("../../gateway/package.json", import.meta.url));
const { default: OpenAI, toFile } = clients("openai");
const { default: Anthropic } = clients("@anthropic-ai/sdk");
const { RequestError, serve } = await import("../../../web/sdk/serve.js");

const ask = { model: "m", messages: [{ role: "user", content: "hi" }] };
let world;
let openai;
let anthropic;
let serving;
let broker;

before(async () => {
	world = await bench();
	const { base, token } = world.daemon;
	openai = new OpenAI({ baseURL: `${base}/v1`, apiKey: token, maxRetries: 0 });
	anthropic = new Anthropic({ baseURL: base, apiKey: token, maxRetries: 0 });
	broker = world.broker("tab");
});
after(() => world.end());
afterEach(() => serving?.close());

/** @param {object} handlers @param {object} [o] */
async function serves(handlers, o = {}) {
	serving = await serve(broker, { models: [{ id: "m", loaded: true, ...handlers }], ...o });
}

const post = (path, body, o = {}) =>
	fetch(world.daemon.base + path, {
		method: "POST",
		headers: {
			Authorization: `Bearer ${world.daemon.token}`,
			"Content-Type": "application/json",
		},
		body: typeof body === "string" ? body : JSON.stringify(body),
		...o,
	});

/** All texts of a stream. */
async function read(stream) {
	let text = "";
	for await (const part of stream) text += part.choices[0]?.delta.content ?? "";
	return text;
}

const claims = async () => {
	const { leases, waiting } = await world.daemon.status();
	return leases.length + waiting.length;
};

test("a chat, streamed and whole, under a lease of the client's class", async () => {
	const seen = [];
	await serves({
		async *chat(body, context) {
			seen.push([body.messages[0].content, context.class, context.lease.fence > 0n]);
			yield "hel";
			yield { choices: [{ index: 0, delta: { content: "lo" }, finish_reason: null }] };
		},
	});
	assert.equal(
		await read(await openai.chat.completions.create({ ...ask, stream: true })),
		"hello",
	);
	const whole = await openai.chat.completions.create(ask, {
		headers: { "x-baton-class": "voice" },
	});
	assert.equal(whole.choices[0].message.content, "hello");
	assert.equal(whole.choices[0].finish_reason, "stop");
	assert.deepEqual(seen, [
		["hi", "chat", true],
		["hi", "voice", true],
	]);
	assert.equal(await claims(), 0);
});

test("a whole answer is one, whatever was asked, and tools are collected", async () => {
	const call = (index, name, args) => ({
		choices: [
			{
				index: 0,
				delta: {
					tool_calls: [
						{ index, id: name && `id-${name}`, function: { name, arguments: args } },
					],
				},
				finish_reason: null,
			},
		],
	});
	const whole = {
		choices: [
			{ index: 0, message: { role: "assistant", content: "all" }, finish_reason: "length" },
		],
	};
	await serves({
		chat: (body) =>
			body.tools
				? [
						call(0, "one", '{"a"'),
						call(0, undefined, ":1}"),
						call(1, "two", "{}"),
						{ choices: [{ index: 0, delta: {}, finish_reason: "tool_calls" }] },
					]
				: whole,
	});
	const parts = [];
	for await (const part of await openai.chat.completions.create({ ...ask, stream: true }))
		parts.push(part.choices[0]);
	assert.deepEqual(
		parts.map((part) => [part.delta.content, part.finish_reason]),
		[["all", "length"]],
	);
	const tools = [{ type: "function", function: { name: "one", parameters: {} } }];
	const { message, finish_reason: finish } = (
		await openai.chat.completions.create({ ...ask, tools })
	).choices[0];
	assert.equal(finish, "tool_calls");
	assert.deepEqual(
		message.tool_calls.map((one) => [one.id, one.function.name, one.function.arguments]),
		[
			["id-one", "one", '{"a":1}'],
			["id-two", "two", "{}"],
		],
	);
});

test("usage comes last, alone, and only where it was asked for", async () => {
	const usage = { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 };
	await serves({ chat: () => ["x", { choices: [], usage }] });
	const read = async (options) => {
		const parts = [];
		const stream = await openai.chat.completions.create({
			...ask,
			stream: true,
			stream_options: options,
		});
		for await (const part of stream) parts.push(part);
		return parts;
	};
	for (const options of [undefined, { include_usage: false }]) {
		const parts = await read(options);
		assert.ok(parts.every((part) => part.choices.length && !part.usage));
	}
	const parts = await read({ include_usage: true });
	assert.deepEqual(
		parts.map((part) => part.choices.length),
		[1, 1, 0],
	);
	assert.deepEqual(parts.at(-1).usage, usage);
	assert.deepEqual((await openai.chat.completions.create(ask)).usage, usage);
});

test("a surrogate pair split over two pieces arrives whole", async () => {
	await serves({ chat: () => ["a\ud83d", "\ude42", "b\ud83d", "c"] });
	const stream = await openai.chat.completions.create({ ...ask, stream: true });
	const parts = [];
	for await (const part of stream) parts.push(part.choices[0].delta.content ?? "");
	assert.equal(parts[1], "🙂");
	assert.ok(parts.join("").startsWith("a🙂b"));
	assert.equal(
		(await openai.chat.completions.create(ask)).choices[0].message.content.slice(0, 4),
		"a🙂b",
	);
});

test("embeddings are the right numbers, in base64 and as numbers", async () => {
	await serves({
		embeddings: ({ input }) => input.map((text) => Float32Array.of(text.length, 0.1, -1e-8)),
	});
	for (const encoding of [undefined, "float", "base64"]) {
		const { data } = await openai.embeddings.create({
			model: "m",
			input: ["a", "four"],
			encoding_format: encoding,
		});
		const numbers = data.map(({ embedding }) =>
			typeof embedding === "string"
				? [...new Float32Array(Uint8Array.from(Buffer.from(embedding, "base64")).buffer)]
				: embedding,
		);
		assert.deepEqual(
			numbers.map((vector) => [...Float32Array.from(vector)]),
			[[...Float32Array.of(1, 0.1, -1e-8)], [...Float32Array.of(4, 0.1, -1e-8)]],
		);
	}
	const large = Array.from({ length: 256 }, (_, i) => `${i}`);
	await serving.close();
	await serves({
		embeddings: ({ input }) =>
			input.map((text) => new Float32Array(1024).fill(Number(text) / 7)),
	});
	const { data } = await openai.embeddings.create({ model: "m", input: large });
	assert.equal(data.length, 256);
	assert.ok(
		data.every(({ embedding }, i) => Math.fround(i / 7) === Math.fround(embedding[1023])),
	);
});

test("transcription gets the file as it was sent, of any size", async () => {
	await serves({
		transcribe: async ({ file, language }) =>
			`${file.name} ${file.size} ${new Uint8Array(await file.arrayBuffer()).at(-1)} ${language}`,
	});
	const bytes = new Uint8Array(3 << 20).fill(7);
	const file = await toFile(bytes, "a.wav");
	const options = { model: "m", file, language: "de" };
	const { text } = await openai.audio.transcriptions.create(options);
	assert.equal(text, `a.wav ${3 << 20} 7 de`);
	const plain = await openai.audio.transcriptions.create({ ...options, response_format: "text" });
	assert.equal(plain, text);
	await assert.rejects(
		openai.audio.transcriptions.create({ ...options, response_format: "srt" }),
		(error) => error.status === 400 && /response_format/.test(error.message),
	);
});

test("text completions", async () => {
	await serves({
		async *completions({ prompt }) {
			yield prompt;
			yield "!";
		},
	});
	const whole = await openai.completions.create({ model: "m", prompt: "hi" });
	assert.equal(whole.choices[0].text, "hi!");
	let text = "";
	const stream = await openai.completions.create({ model: "m", prompt: "hi", stream: true });
	for await (const part of stream) text += part.choices[0].text;
	assert.equal(text, "hi!");
});

/** A chat that looks something up, where it has tools. */
function looksUp(body) {
	const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };
	if (!body.tools) return ["hel", "lo", { choices: [], usage }];
	const call = (fields, finish) => ({
		choices: [
			{ index: 0, delta: { tool_calls: [{ index: 0, ...fields }] }, finish_reason: finish },
		],
	});
	return [
		"let me",
		call({ id: "t1", function: { name: "look", arguments: '{"a":' } }, null),
		call({ function: { arguments: "1}" } }, "tool_calls"),
	];
}

const MESSAGES = [
	{ role: "user", content: "one" },
	{
		role: "assistant",
		content: [
			{ type: "text", text: "two" },
			{ type: "tool_use", id: "t0", name: "look", input: { x: 1 } },
		],
	},
	{
		role: "user",
		content: [
			{ type: "tool_result", tool_use_id: "t0", content: "seen" },
			{ type: "text", text: "go on" },
		],
	},
];

test("Anthropic's messages are a chat, and its answer theirs", async () => {
	let heard;
	await serves({ chat: (body) => looksUp((heard = body)) });
	const common = { model: "m", max_tokens: 50, system: [{ type: "text", text: "be brief" }] };
	const whole = await anthropic.messages.create({ ...common, messages: MESSAGES });
	assert.deepEqual(whole.content, [{ type: "text", text: "hello" }]);
	assert.equal(whole.stop_reason, "end_turn");
	assert.equal(whole.usage.output_tokens, 2);
	assert.deepEqual(
		heard.messages.map(({ role, content, tool_call_id: id }) => [role, content, id]),
		[
			["system", "be brief", undefined],
			["user", "one", undefined],
			["assistant", "two", undefined],
			["tool", "seen", "t0"],
			["user", "go on", undefined],
		],
	);
	assert.deepEqual(heard.messages[2].tool_calls[0].function, {
		name: "look",
		arguments: '{"x":1}',
	});
	assert.equal(heard.max_tokens, 50);

	const tools = [{ name: "look", input_schema: { type: "object" } }];
	const streamed = await anthropic.messages
		.stream({ ...common, messages: MESSAGES, tools })
		.finalMessage();
	assert.deepEqual(streamed.content, [
		{ type: "text", text: "let me" },
		{ type: "tool_use", id: "t1", name: "look", input: { a: 1 } },
	]);
	assert.equal(streamed.stop_reason, "tool_use");
	await assert.rejects(
		anthropic.messages.create({
			...common,
			messages: [{ role: "user", content: [{ type: "document", source: {} }] }],
		}),
		(error) => error.status === 400 && /document/.test(error.message),
	);
});

test("each error is one that its client throws", async () => {
	let begun = false;
	await serves({
		async *chat({ messages: [{ content }] }) {
			if (content === "refuse") throw new RequestError("field `seed`: not here");
			if (content === "late") yield "half";
			throw new Error(`the ${content} engine broke`);
		},
	});
	const of = (content, stream) =>
		openai.chat.completions
			.create({ ...ask, messages: [{ role: "user", content }], stream })
			.then(async (answer) => {
				begun = true;
				return stream ? read(answer) : answer;
			});
	for (const stream of [false, true]) {
		await assert.rejects(
			of("refuse", stream),
			(error) => error.status === 400 && /seed/.test(error.message),
		);
		await assert.rejects(
			of("new", stream),
			(error) => error.status === 502 && /new engine/.test(error.message),
		);
	}
	begun = false;
	await assert.rejects(of("late", true), (error) => error.code === "upstream_broken");
	assert.ok(begun);
	await assert.rejects(of("late", false), (error) => error.status === 502);
	const answer = await post("/v1/chat/completions", '{"model":"m","messages":[},}');
	assert.equal(answer.status, 400);
	assert.equal(await claims(), 0);
});

test("it waits for the GPU like anybody, and leaves the queue with its client", async () => {
	let ran = 0;
	await serves({
		async *chat(_, { signal }) {
			ran++;
			yield "x";
			await new Promise((_, reject) =>
				signal.addEventListener("abort", () => reject(signal.reason)),
			);
		},
	});
	const other = world.broker("other");
	const held = await other.request({ class: "voice", preemptible: false });
	const stop = new AbortController();
	const asked = openai.chat.completions.create({ ...ask, stream: true }, { signal: stop.signal });
	await world.waiting(1);
	stop.abort();
	await assert.rejects(asked);
	await world.waiting(0);
	assert.equal(ran, 0);
	await held.release();
	await until(() => serving.running === 0, { what: "its place is free" });

	const begun = new AbortController();
	const stream = await openai.chat.completions.create(
		{ ...ask, stream: true },
		{ signal: begun.signal },
	);
	for await (const part of stream) {
		assert.equal(part.choices[0].delta.content, "x");
		break;
	}
	await until(async () => (await claims()) === 0, { what: "its lease has ended" });
	assert.equal(ran, 1);
});

test("outranked before it began it asks again, and after that its client hears it", async () => {
	let turns = 0;
	await serves({
		async *chat({ messages: [{ content }] }, { signal }) {
			turns++;
			if (content === "early" && turns > 1) {
				yield "at last";
				return;
			}
			if (content === "late") yield "half";
			await new Promise((_, reject) =>
				signal.addEventListener("abort", () => reject(signal.reason)),
			);
		},
	});
	const begin = async (content, first) => {
		turns = 0;
		const answer = openai.chat.completions
			.create({ ...ask, messages: [{ role: "user", content }], stream: true })
			.then(read);
		answer.catch(() => {});
		await until(() => turns === 1, { what: "it runs" });
		if (first) await until(async () => (await claims()) === 1, { what: "it holds" });
		const { leases } = await world.daemon.status();
		await world.daemon.cli("release", `${leases[0].lease}`);
		return answer;
	};
	assert.equal(await begin("early"), "at last");
	await assert.rejects(begin("late", true), (error) => error.code === "outranked");
});

test("a handler waits for a client that does not read", async () => {
	let made = 0;
	let over = false;
	await serves({
		async *chat(_, { signal }) {
			try {
				while (!signal.aborted) {
					yield "x".repeat(4_000);
					made += 4_000;
				}
			} finally {
				over = true;
			}
		},
	});
	const stop = new AbortController();
	const answer = await post(
		"/v1/chat/completions",
		{ ...ask, stream: true },
		{ signal: stop.signal },
	);
	assert.equal(answer.status, 200);
	let before = -1;
	await until(
		async () => {
			const still = made === before;
			before = made;
			await new Promise((resolve) => setTimeout(resolve, 300));
			return still && made > 0;
		},
		{ what: "it stands still" },
	);
	assert.ok(made < 64 << 20, `${made}`);
	stop.abort();
	await until(() => over && serving.running === 0, { what: "it ended" });
});

test("several at once, several models, and what is offered may change", async () => {
	const gates = [];
	const model = (id) => ({
		id,
		lease: false,
		chat: async (_, { model: name }) => {
			await new Promise((resolve) => gates.push(resolve));
			return name;
		},
	});
	serving = await serve(broker, {
		models: [model("a"), model("b")],
		concurrency: 2,
		name: "Two",
	});
	const one = openai.chat.completions.create({ ...ask, model: "a" });
	const two = openai.chat.completions.create({ ...ask, model: "b" });
	await until(() => gates.length === 2, { what: "both run" });
	const three = openai.chat.completions.create({ ...ask, model: "a" });
	await until(
		async () => {
			const answer = await fetch(`${world.daemon.base}/v1/gpu/models`, {
				headers: { Authorization: `Bearer ${world.daemon.token}` },
			});
			const { requests } = await answer.json();
			return requests.some(({ state }) => state === "waits for a tab");
		},
		{ what: "the third waits" },
	);
	gates.splice(0).forEach((open) => open());
	assert.equal((await one).choices[0].message.content, "a");
	assert.equal((await two).choices[0].message.content, "b");
	await until(() => gates.length === 1, { what: "the third runs" });
	serving.update({ models: [model("c")] });
	gates[0]();
	assert.equal((await three).choices[0].message.content, "a");
	const listed = async () => (await openai.models.list()).data.map(({ id }) => id);
	await until(async () => (await listed()).join() === "c", { what: "c alone is offered" });
	await serving.close();
	await until(async () => (await listed()).length === 0, { what: "nothing is offered" });
});

test("comes back when the broker does", async () => {
	await serves({ lease: false, chat: () => "again" });
	await world.daemon.restart();
	await until(() => serving.state === "open", { what: "it serves again" });
	const { choices } = await openai.chat.completions.create(ask);
	assert.equal(choices[0].message.content, "again");
});

test("whoever may not serve hears why", async () => {
	await assert.rejects(
		serve(world.broker("stranger", { token: "wrong" }), { models: [] }),
		(error) => error.code === "UNAUTHORIZED",
	);
});
