// The npm clients, told by lines of JSON on standard input what to ask, saying by lines what came of it:
//   {"do": "ask", "id": 1, "client": "openai", "call": "chat", "stream": true, "base": "http://..", ..}
//   {"do": "abort", "id": 1}
//   {"id": 1, "piece": "hel"}, then {"id": 1, "result": "hello"} or {"id": 1, "error": {..}}
// drive.py is the same for Python's; real_clients.py speaks to both.
import readline from "node:readline";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import Anthropic from "@anthropic-ai/sdk";
import { embedMany, generateText, streamText } from "ai";
import { Ollama } from "ollama";
import OpenAI, { toFile } from "openai";

const messages = [{ role: "user", content: "hi" }];

/** Joins the pieces of a stream, telling each as it comes. */
async function collect(stream, textOf, say) {
	let all = "";
	for await (const part of stream) {
		const text = textOf(part);
		if (text) say(text);
		all += text ?? "";
	}
	return all;
}

function openai(ask) {
	const client = new OpenAI({
		baseURL: `${ask.base}/v1`,
		apiKey: ask.key,
		maxRetries: ask.retries,
	});
	const { model, stream, signal, say } = ask;
	return {
		async chat() {
			const answer = await client.chat.completions.create(
				{ model, messages, stream },
				{ signal },
			);
			if (!stream) return answer.choices[0].message.content;
			return collect(answer, (part) => part.choices[0]?.delta.content, say);
		},
		async completions() {
			const answer = await client.completions.create(
				{ model, prompt: "hi", stream },
				{ signal },
			);
			return stream
				? collect(answer, (part) => part.choices[0]?.text, say)
				: answer.choices[0].text;
		},
		async responses() {
			const answer = await client.responses.create(
				{ model, input: "hi", stream },
				{ signal },
			);
			return stream ? collect(answer, failing, say) : answer.output_text;
		},
		/** A response, asked for again, gone on from and deleted; then it is an error. */
		async stored() {
			const all = client.responses;
			const { id } = await all.create({ model, input: "hi" });
			const texts = [(await all.retrieve(id)).output_text];
			for await (const item of all.inputItems.list(id)) texts.push(item.type);
			texts.push((await all.create({ model, input: "hi", previous_response_id: id })).id);
			texts.push((await all.cancel(id)).status);
			texts.push(
				(await all.compact({ model, input: "hi", previous_response_id: id })).object,
			);
			await all.delete(id);
			say(JSON.stringify(texts));
			return all.retrieve(id);
		},
		async embeddings() {
			return (await client.embeddings.create({ model, input: ask.input })).data.map(
				(row) => row.embedding,
			);
		},
		async transcription() {
			const file = await toFile(Buffer.alloc(100000, "RIFF"), "a.wav", { type: "audio/wav" });
			return (await client.audio.transcriptions.create({ model, file })).text;
		},
		async models() {
			return (await client.models.list()).data.map((row) => row.id);
		},
	};
}

/** As openai-node's documents tell their readers to handle the events. */
function failing(event) {
	if (event.type === "response.failed") {
		const { message, code } = event.response.error;
		throw Object.assign(new Error(message), { code, name: "response.failed" });
	}
	return event.type === "response.output_text.delta" ? event.delta : "";
}

function anthropic(ask) {
	const client = new Anthropic({ baseURL: ask.base, apiKey: ask.key, maxRetries: ask.retries });
	const { model, stream, signal, say } = ask;
	const body = { model, messages, max_tokens: 10 };
	return {
		async messages() {
			const answer = await client.messages.create({ ...body, stream }, { signal });
			if (!stream) return answer.content[0].text;
			return collect(
				answer,
				(event) => (event.type === "content_block_delta" ? event.delta.text : ""),
				say,
			);
		},
		/** The helper that puts the message together. */
		async final() {
			const answer = client.messages.stream(body, { signal });
			answer.on("text", say);
			return (await answer.finalMessage()).content[0].text;
		},
	};
}

function ai(ask) {
	const provider = createOpenAICompatible({
		name: "baton",
		baseURL: `${ask.base}/v1`,
		apiKey: ask.key,
	});
	const rest = { maxRetries: ask.retries, abortSignal: ask.signal };
	return {
		async chat() {
			const words = { model: provider(ask.model), prompt: "hi", ...rest };
			if (!ask.stream) return (await generateText(words)).text;
			let failure;
			const answer = streamText({ ...words, onError: ({ error }) => (failure = error) });
			const text = await collect(answer.textStream, (part) => part, ask.say);
			if (failure) throw failure;
			if (ask.signal.aborted) throw ask.signal.reason;
			return text;
		},
		async embeddings() {
			return (
				await embedMany({
					model: provider.embeddingModel(ask.model),
					values: ask.input,
					...rest,
				})
			).embeddings;
		},
	};
}

function ollama(ask) {
	const { model, stream, signal, say } = ask;
	// Its own abort() knows only of answers that have begun, so a program that may leave sooner brings the signal.
	const withSignal = (url, options) => fetch(url, { ...options, signal });
	const headers = { authorization: `Bearer ${ask.key}` };
	const client = new Ollama({ host: ask.base, headers, fetch: withSignal });
	return {
		async chat() {
			const answer = await client.chat({ model, messages, stream });
			return stream
				? collect(answer, (part) => part.message.content, say)
				: answer.message.content;
		},
		async embeddings() {
			return (await client.embed({ model, input: ask.input })).embeddings;
		},
		async models() {
			return (await client.list()).models.map((row) => row.name);
		},
	};
}

/** What a program can learn of a failure. */
function told(error) {
	const inner = error.lastError ?? error; // ai's, after its tries
	return {
		type: inner.constructor === Error ? inner.name : inner.constructor.name,
		status: inner.status ?? inner.statusCode ?? inner.status_code ?? null,
		code: inner.code ?? inner.error?.error?.code ?? inner.data?.error?.code ?? null,
		message: String(inner.message),
		retryAfter:
			inner.headers?.get?.("retry-after") ?? inner.responseHeaders?.["retry-after"] ?? null,
		shouldRetry:
			inner.headers?.get?.("x-should-retry")
			?? inner.responseHeaders?.["x-should-retry"]
			?? null,
	};
}

const kinds = { openai, anthropic, ai, ollama };
const running = new Map();

function write(row) {
	process.stdout.write(`${JSON.stringify(row)}\n`);
}

async function perform(ask) {
	const abort = new AbortController();
	running.set(ask.id, abort);
	try {
		const calls = kinds[ask.client]({
			...ask,
			signal: abort.signal,
			say: (piece) => write({ id: ask.id, piece }),
		});
		write({ id: ask.id, result: await calls[ask.call]() });
	} catch (error) {
		write({ id: ask.id, error: told(error) });
	}
}

write({ ready: true });
readline.createInterface({ input: process.stdin }).on("line", (line) => {
	const order = JSON.parse(line);
	if (order.do === "abort") running.get(order.id).abort();
	else void perform(order);
});
