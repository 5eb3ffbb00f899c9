// @ts-check
// serve_messages: Anthropic's messages as a chat of OpenAI's kind, and its answer back. What a chat
// cannot say is refused, not left out.
/** @import { ChatBody, ChatChunk, Completion, Spoken } from "./types.js" */

/** @type {Record<string, string>} */
const STOPS = { stop: "end_turn", length: "max_tokens", tool_calls: "tool_use" };

/** @param {Spoken} content @param {(words: string) => Error} bad */
function textOf(content, bad) {
	if (typeof content === "string") return content;
	return (content ?? [])
		.map((/** @type {Spoken} */ block) => {
			if (block.type !== "text") throw bad(`a block \`${block.type}\` cannot be served here`);
			return block.text;
		})
		.join("");
}

/** A picture stays one, as chats of OpenAI's kind have it.
 * @param {Spoken} block @param {(words: string) => Error} bad */
function partOf(block, bad) {
	if (block.type === "text") return { type: "text", text: block.text };
	if (block.type !== "image") throw bad(`a block \`${block.type}\` cannot be served here`);
	const { type, url, media_type: media, data } = block.source ?? {};
	return {
		type: "image_url",
		image_url: { url: type === "url" ? url : `data:${media};base64,${data}` },
	};
}

/** One message may become several: results of tools are messages of their own.
 * @param {Spoken} message @param {(words: string) => Error} bad
 * @returns {Spoken[]} */
function messageAsChat({ role, content }, bad) {
	if (typeof content === "string") return [{ role, content }];
	if (!Array.isArray(content)) throw bad("field `messages`: a content is a text or a list");
	if (role === "assistant") {
		const calls = content
			.filter((block) => block.type === "tool_use")
			.map(({ id, name, input }) => ({
				id,
				type: "function",
				function: { name, arguments: JSON.stringify(input ?? {}) },
			}));
		const said = textOf(
			content.filter(({ type }) => !["tool_use", "thinking"].includes(type)),
			bad,
		);
		return [{ role, content: said || null, ...(calls.length ? { tool_calls: calls } : {}) }];
	}
	const results = content
		.filter((block) => block.type === "tool_result")
		.map((block) => ({
			role: "tool",
			tool_call_id: block.tool_use_id,
			content: textOf(block.content, bad),
		}));
	const parts = content
		.filter((block) => block.type !== "tool_result")
		.map((block) => partOf(block, bad));
	const plain = parts.every(({ type }) => type === "text");
	const said = plain ? parts.map(({ text }) => text).join("") : parts;
	return parts.length ? [...results, { role, content: said }] : results;
}

/** @param {Spoken} choice */
function toolChoice(choice) {
	if (choice?.type === "tool") return { type: "function", function: { name: choice.name } };
	return choice?.type === "any" ? "required" : choice?.type;
}

/** @param {Spoken} asked @param {(words: string) => Error} bad
 * @returns {ChatBody} */
export function messagesAsChat(asked, bad) {
	const { model, messages, system, max_tokens: most, stream, temperature, top_p: top } = asked;
	if (!Array.isArray(messages)) throw bad("field `messages`: expected a list");
	const { stop_sequences: stop, tools, tool_choice: choice } = asked;
	/** @type {Spoken} */
	const body = {
		model,
		messages: [
			...(system ? [{ role: "system", content: textOf(system, bad) }] : []),
			...messages.flatMap((message) => messageAsChat(message, bad)),
		],
		max_tokens: most,
		stream: Boolean(stream),
		stream_options: stream ? { include_usage: true } : undefined,
		temperature,
		top_p: top,
		stop,
		tools: tools?.map((/** @type {Spoken} */ tool) => ({
			type: "function",
			function: {
				name: tool.name,
				description: tool.description,
				parameters: tool.input_schema,
			},
		})),
		tool_choice: toolChoice(choice),
	};
	return JSON.parse(JSON.stringify(body)); // no undefined
}

/** @param {Spoken} usage */
const usageOf = (usage) => ({
	input_tokens: usage?.prompt_tokens ?? 0,
	output_tokens: usage?.completion_tokens ?? 0,
});

/** @param {string} text */
function inputOf(text) {
	try {
		return JSON.parse(text || "{}");
	} catch {
		return {};
	}
}

/** @param {Completion} whole @param {string} model */
function wholeMessage({ id, choices: [choice], usage }, model) {
	const { content, tool_calls: calls = [] } = choice?.message ?? {};
	return {
		id: `msg_${id}`,
		type: "message",
		role: "assistant",
		model,
		content: [
			...(content ? [{ type: "text", text: content }] : []),
			...calls.map((/** @type {Spoken} */ call) => ({
				type: "tool_use",
				id: call.id,
				name: call.function.name,
				input: inputOf(call.function.arguments),
			})),
		],
		stop_reason: STOPS[choice?.finish_reason ?? "stop"] ?? "end_turn",
		stop_sequence: null,
		usage: usageOf(usage),
	};
}

/** Events of a stream, one open block at a time. @param {AsyncIterable<ChatChunk>} parts
 * @param {string} model @returns {AsyncGenerator<{ type: string, [field: string]: unknown }>} */
async function* events(parts, model) {
	let index = -1;
	/** @type {string|number|null} the text, or which call */
	let open = null;
	let finish = "stop";
	let usage;
	let begun = false;
	for await (const chunk of parts) {
		usage = chunk.usage ?? usage;
		if (!begun) {
			begun = true;
			const message = wholeMessage({ id: chunk.id, choices: [] }, model);
			yield { type: "message_start", message: { ...message, stop_reason: null } };
		}
		const [choice] = chunk.choices;
		finish = choice?.finish_reason ?? finish;
		const { content: text, tool_calls: calls = [] } = choice?.delta ?? {};
		const wanted = [
			...(text
				? [
						{
							at: "text",
							block: { type: "text", text: "" },
							delta: { type: "text_delta", text },
						},
					]
				: []),
			...calls.map((/** @type {Spoken} */ call) => ({
				at: call.index ?? 0,
				block: { type: "tool_use", id: call.id, name: call.function?.name, input: {} },
				delta: call.function?.arguments
					? { type: "input_json_delta", partial_json: call.function.arguments }
					: null,
			})),
		];
		for (const { at, block, delta } of wanted) {
			if (at !== open) {
				if (open !== null) yield { type: "content_block_stop", index };
				open = at;
				yield { type: "content_block_start", index: ++index, content_block: block };
			}
			if (delta) yield { type: "content_block_delta", index, delta };
		}
	}
	if (open !== null) yield { type: "content_block_stop", index };
	yield {
		type: "message_delta",
		delta: { stop_reason: STOPS[finish] ?? "end_turn", stop_sequence: null },
		usage: usageOf(usage),
	};
	yield { type: "message_stop" };
}

/** The answer's pieces and their type; `whole` where no stream was asked for.
 * @param {AsyncIterable<ChatChunk>} parts @param {Completion|undefined} whole
 * @param {string} model @returns {AsyncGenerator<{ type: string, text: string }>} */
export async function* messagesAnswer(parts, whole, model) {
	if (whole) {
		yield { type: "application/json", text: JSON.stringify(wholeMessage(whole, model)) };
		return;
	}
	for await (const event of events(parts, model))
		yield {
			type: "text/event-stream",
			text: `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
		};
}
