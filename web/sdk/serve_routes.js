// @ts-check
// serve_routes: what the routes of inference APIs ask and answer, for handlers that give no more
// than texts and numbers, or the API's own objects.
import { messagesAnswer, messagesAsChat } from "./serve_messages.js";

/** @import { FromGateway } from "./protocol.js" */
/** @import { ChatBody, ChatChunk, Completion, ServeContext, ServedModel } from "./types.js" */
/** @import { ServeAnswer, ServeOut, Spoken } from "./types.js" */

const CHAT = "/v1/chat/completions";
const MESSAGES = "/v1/messages";
const TEXT = "/v1/completions";
const EMBEDDINGS = "/v1/embeddings";
const TRANSCRIPTIONS = "/v1/audio/transcriptions";
const NO_USAGE = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };

/** @param {ServedModel<Spoken>} served */
export const pathsOf = ({ chat, completions, embeddings, transcribe }) => [
	...(chat ? [CHAT, MESSAGES] : []),
	...(completions ? [TEXT] : []),
	...(embeddings ? [EMBEDDINGS] : []),
	...(transcribe ? [TRANSCRIPTIONS] : []),
];

/** What a client asked cannot be done: it hears the words, with status 400. */
export class RequestError extends Error {}

const bad = (/** @type {string} */ words) => new RequestError(words);

/** @param {Blob} body @returns {Promise<Spoken>} */
async function jsonOf(body) {
	try {
		return JSON.parse(await body.text());
	} catch {
		throw bad("The body is not valid JSON.");
	}
}

/** What is to be done for a request, read before any lease is asked for.
 * @param {ServedModel<Spoken>} served
 * @param {string} path @param {FromGateway.Request} request @param {Blob} body
 * @returns {Promise<ServeAnswer>} */
export async function answerer(served, path, request, body) {
	if (path === TRANSCRIPTIONS) return answerForm(served, request, body);
	const asked = await jsonOf(body);
	if (path === CHAT) return answerChat(served, asked);
	if (path === MESSAGES) return answerMessages(served, asked);
	if (path === TEXT) return answerText(served, asked);
	return answerEmbeddings(served, asked);
}

// ---- what handlers give, as chunks ----

let made = 0;
const head = (/** @type {string} */ object, /** @type {string} */ model) => ({
	id: `${object === "text_completion" ? "cmpl" : "chatcmpl"}-tab-${Date.now()}-${++made}`,
	object,
	created: Math.floor(Date.now() / 1000),
	model,
});

/** A pair of surrogates that two texts share goes with the second. */
function joiner() {
	let held = "";
	return (/** @type {string} */ piece) => {
		const whole = held + piece;
		held = /[\ud800-\udbff]$/.test(whole) ? whole.slice(-1) : "";
		return held ? whole.slice(0, -1) : whole;
	};
}

/** @param {unknown} given @returns {AsyncIterable<Spoken>} */
async function* each(given) {
	const value = /** @type {Spoken} */ (await given);
	if (value?.[Symbol.asyncIterator] || (value?.[Symbol.iterator] && typeof value !== "string"))
		yield* value;
	else yield value;
}

/** A whole answer as the one chunk that says it all. @param {Spoken} answer */
const asChunk = (answer) => ({
	...answer,
	object: "chat.completion.chunk",
	choices: answer.choices.map((/** @type {Spoken} */ { message, ...choice }) => ({
		...choice,
		delta: message.tool_calls
			? {
					...message,
					tool_calls: message.tool_calls.map(
						(/** @type {object} */ call, /** @type {number} */ index) => ({
							index,
							...call,
						}),
					),
				}
			: message,
	})),
});

/** Chunks of a chat, of whatever the handler gives; the last says why it ended.
 * @param {unknown} given @param {string} model @returns {AsyncGenerator<ChatChunk>} */
async function* chunks(given, model) {
	const common = head("chat.completion.chunk", model);
	const join = new Map();
	let begun = false;
	const ended = new Set();
	const seen = new Set([0]);
	for await (const part of each(given)) {
		/** @type {ChatChunk} */
		let chunk = { ...common, choices: [] };
		if (typeof part === "string")
			chunk.choices = [{ index: 0, delta: { content: part }, finish_reason: null }];
		else if (part?.choices?.[0]?.message) chunk = { ...common, ...asChunk(part) };
		else chunk = { ...common, choices: [], ...part };
		for (const choice of chunk.choices) {
			const { index = 0, delta, finish_reason: finish } = choice;
			if (!join.has(index)) join.set(index, joiner());
			if (typeof delta?.content === "string") delta.content = join.get(index)(delta.content);
			seen.add(index);
			if (finish) ended.add(index);
		}
		if (!begun && chunk.choices[0]?.delta) {
			begun = true;
			chunk.choices[0].delta = { role: "assistant", ...chunk.choices[0].delta };
		}
		yield chunk;
	}
	const open = [...seen].filter((index) => !ended.has(index));
	if (open.length)
		yield {
			...common,
			choices: open.map((index) => ({ index, delta: {}, finish_reason: "stop" })),
		};
}

/** Adds what a chunk says of a choice. @param {Spoken} whole @param {Spoken} choice */
function addChoice(whole, { delta = {}, finish_reason: finish, logprobs }) {
	const { message } = whole;
	for (const key of ["content", "refusal", "reasoning_content"])
		if (typeof delta[key] === "string") message[key] = (message[key] ?? "") + delta[key];
	for (const call of delta.tool_calls ?? []) {
		message.tool_calls ??= [];
		const at = call.index ?? 0;
		const kept = (message.tool_calls[at] ??= {
			id: "",
			type: "function",
			function: { name: "", arguments: "" },
		});
		kept.id ||= call.id ?? "";
		kept.function.name += call.function?.name ?? "";
		kept.function.arguments += call.function?.arguments ?? "";
	}
	if (finish) whole.finish_reason = finish;
	if (logprobs?.content)
		whole.logprobs = { content: [...(whole.logprobs?.content ?? []), ...logprobs.content] };
}

/** The chunks as one answer. @param {AsyncIterable<ChatChunk>} parts @param {string} model
 * @returns {Promise<Completion>} */
export async function collect(parts, model) {
	/** @type {Spoken} */
	const whole = { ...head("chat.completion", model), choices: [] };
	for await (const { id, choices, usage } of parts) {
		whole.id = id ?? whole.id;
		if (usage) whole.usage = usage;
		for (const choice of choices)
			addChoice(
				(whole.choices[choice.index ?? 0] ??= {
					index: choice.index ?? 0,
					message: { role: "assistant", content: null },
					finish_reason: null,
				}),
				choice,
			);
	}
	whole.usage ??= NO_USAGE;
	return whole;
}

// ---- routes ----

/** @param {Spoken} body */
function judgeChat(body) {
	if (!Array.isArray(body?.messages)) throw bad("field `messages`: expected a list");
	if ((body.n ?? 1) !== 1) throw bad("field `n`: a tab gives one answer");
}

/** @param {ServeOut} out @param {object} event */
const sse = (out, event) => out.write(`data: ${JSON.stringify(event)}\n\n`);

/** @param {ServedModel<Spoken>} served @param {ChatBody} body @param {ServeContext<Spoken>} context
 * @returns {AsyncGenerator<ChatChunk>} */
const ask = (served, body, context) =>
	chunks(/** @type {Function} */ (served.chat)(body, context), context.model);

/** @param {ServedModel<Spoken>} served @param {ChatBody} body @returns {ServeAnswer} */
function answerChat(served, body) {
	judgeChat(body);
	const wanted = body.stream_options?.include_usage === true;
	return async (context, out) => {
		const parts = ask(served, body, context);
		if (!body.stream) {
			const whole = await collect(parts, context.model);
			out.begin("application/json");
			await out.write(JSON.stringify(whole));
			return;
		}
		let usage;
		for await (const chunk of parts) {
			usage = chunk.usage ?? usage;
			if (!chunk.choices.length) continue; // of usage alone: comes last, if it is wanted
			if (!out.begun) out.begin("text/event-stream");
			await sse(out, wanted ? { ...chunk, usage: null } : { ...chunk, usage: undefined });
		}
		if (wanted)
			await sse(out, {
				...head("chat.completion.chunk", context.model),
				choices: [],
				usage: usage ?? NO_USAGE,
			});
		await out.write("data: [DONE]\n\n");
	};
}

/** @param {ServedModel<Spoken>} served @param {Spoken} asked
 * @returns {ServeAnswer} */
function answerMessages(served, asked) {
	const body = messagesAsChat(asked, bad);
	return async (context, out) => {
		const parts = ask(served, body, context);
		const whole = asked.stream ? undefined : await collect(parts, context.model);
		for await (const { type, text: piece } of messagesAnswer(parts, whole, context.model)) {
			if (!out.begun) out.begin(type);
			await out.write(piece);
		}
	};
}

/** @param {ServedModel<Spoken>} served @param {Spoken} body
 * @returns {ServeAnswer} */
function answerText(served, body) {
	if (typeof body?.prompt !== "string") throw bad("field `prompt`: expected a text");
	return async (context, out) => {
		const given = /** @type {Function} */ (served.completions)(body, context);
		const common = head("text_completion", context.model);
		const join = joiner();
		const choice = (/** @type {string} */ piece, /** @type {string|null} */ finish) => ({
			...common,
			choices: [{ index: 0, text: piece, logprobs: null, finish_reason: finish }],
		});
		let whole = "";
		for await (const part of each(given)) {
			const piece = join(typeof part === "string" ? part : (part?.choices?.[0]?.text ?? ""));
			whole += piece;
			if (!body.stream) continue;
			if (!out.begun) out.begin("text/event-stream");
			await sse(out, choice(piece, null));
		}
		if (!out.begun) out.begin(body.stream ? "text/event-stream" : "application/json");
		if (body.stream) {
			await sse(out, choice("", "stop"));
			await out.write("data: [DONE]\n\n");
		} else await out.write(JSON.stringify(choice(whole, "stop")));
	};
}

/** Numbers go as numbers: whoever asked for base64 gets it from the gateway.
 * @param {ServedModel<Spoken>} served @param {Spoken} body
 * @returns {ServeAnswer} */
function answerEmbeddings(served, body) {
	const input = Array.isArray(body?.input) ? body.input : [body?.input];
	if (!input.every((/** @type {unknown} */ one) => typeof one === "string"))
		throw bad("field `input`: expected a text, or a list of texts");
	return async (context, out) => {
		const given = await /** @type {Function} */ (served.embeddings)(
			{ ...body, input },
			context,
		);
		const vectors = given?.data
			? given.data.map((/** @type {Spoken} */ one) => one.embedding)
			: given;
		if (!Array.isArray(vectors) || vectors.length !== input.length)
			throw new Error(`The model made ${vectors?.length} vectors of ${input.length} texts.`);
		out.begin("application/json");
		await out.write('{"object":"list","data":[');
		for (const [index, vector] of vectors.entries()) {
			const numbers = JSON.stringify(Array.from(vector));
			await out.write(
				`${index ? "," : ""}{"object":"embedding","index":${index},"embedding":${numbers}}`,
			);
		}
		const usage = given?.usage ?? { prompt_tokens: 0, total_tokens: 0 };
		await out.write(
			`],"model":${JSON.stringify(context.model)},"usage":${JSON.stringify(usage)}}`,
		);
	};
}

/** @param {ServedModel<Spoken>} served @param {FromGateway.Request} request
 * @param {Blob} body @returns {Promise<ServeAnswer>} */
async function answerForm(served, request, body) {
	/** @type {Record<string, Spoken>} */
	let fields;
	try {
		const headers = { "Content-Type": request.content_type };
		fields = Object.fromEntries(await new Response(body, { headers }).formData());
	} catch {
		throw bad("The form cannot be read.");
	}
	const { file, response_format: format = "json" } = fields;
	if (!(file instanceof Blob)) throw bad("field `file`: required");
	if (!["json", "text", "verbose_json"].includes(format))
		throw bad("field `response_format`: a tab gives json, text or verbose_json");
	return async (context, out) => {
		const given = await /** @type {Function} */ (served.transcribe)(fields, context);
		const whole = typeof given === "string" ? { text: given } : given;
		out.begin(format === "text" ? "text/plain" : "application/json");
		const { text: said } = whole;
		if (format === "text") await out.write(said.replace(/[\0\ud800-\udfff]/gu, "\ufffd"));
		else await out.write(JSON.stringify(format === "json" ? { text: said } : whole));
	};
}
