// A model server on real llama.cpp (npm's @fugood/llama.node, on the processor): chat, text and Responses of OpenAI's
// API, one answer at a time, /slots as llama-server has it. 503 until its model is loaded.
// Usage: node llama_server.mjs PORT NAME FILE [CONTEXT]
import { createServer } from "node:http";
import { loadModel } from "@fugood/llama.node";
import { messagesOf, responseOf } from "./responses.mjs";

const [port, name, file, length = "2048"] = process.argv.slice(2);
let context = null;
let turn = Promise.resolve(); // of the answer before
let working = false;
let counted = { asked: 0, said: 0 }; // tokens of the last answer

const readBody = async (request) => {
	let text = "";
	for await (const piece of request) text += piece;
	return JSON.parse(text);
};

const answerJson = (response, status, value) => {
	response.writeHead(status, { "Content-Type": "application/json" });
	response.end(JSON.stringify(value));
};

const choiceOf = (isChat, text, end) =>
	isChat
		? { index: 0, delta: text ? { content: text } : {}, finish_reason: end }
		: { index: 0, text, finish_reason: end };

/** The whole text; `onWord` as it comes. Words may be told after the end of the whole: the rest is said then. */
const generate = async (body, response, onWord) => {
	const options = body.messages ? { messages: body.messages } : { prompt: String(body.prompt) };
	let said = "";
	const stop = () => context.stopCompletion();
	const say = (word) => {
		said += word;
		onWord(word);
	};

	response.on("close", stop);
	working = true;
	try {
		const settings = {
			...options,
			n_predict: body.max_tokens ?? 64,
			temperature: 0,
			penalty_repeat: 1,
		};
		const whole = await context.completion(settings, (token) => working && say(token.token));
		working = false;
		counted = {
			asked: whole.tokens_evaluated - whole.tokens_predicted,
			said: whole.tokens_predicted,
		};
		if (whole.text.startsWith(said) && whole.text !== said) say(whole.text.slice(said.length));
	} finally {
		working = false;
		response.off("close", stop);
	}
	return said;
};

const stream = async (body, response) => {
	const isChat = Boolean(body.messages);
	const send = (value) =>
		response.write(`data: ${JSON.stringify({ model: name, ...value })}\n\n`);

	response.writeHead(200, { "Content-Type": "text/event-stream" });
	await generate(body, response, (word) => send({ choices: [choiceOf(isChat, word, null)] }));
	send({ choices: [choiceOf(isChat, "", "stop")] });
	response.end("data: [DONE]\n\n");
};

const answer = async (body, response) => {
	const text = await generate(body, response, () => {});
	const choice = body.messages
		? { index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }
		: { index: 0, text, finish_reason: "stop" };

	answerJson(response, 200, { model: name, choices: [choice] });
};

const respond = async (body, response) => {
	const { begin, word, end, whole } = responseOf(body);
	const asked = { messages: messagesOf(body), max_tokens: body.max_output_tokens };

	if (body.stream) {
		response.writeHead(200, { "Content-Type": "text/event-stream" });
		response.write(begin());
	}
	const text = await generate(asked, response, (delta) => {
		if (body.stream) response.write(word(delta));
	});
	if (body.stream) response.end(end(text, counted));
	else answerJson(response, 200, whole(text, counted));
};

/** One after the other: `work` with the body when those before it have ended. */
const inTurn = (work) => async (request, response) => {
	const body = await readBody(request);
	const mine = turn.then(() => (response.destroyed ? null : work(body, response)));

	turn = mine.catch(() => {});
	await mine;
};

const infer = inTurn((body, response) => (body.stream ? stream : answer)(body, response));

const routes = {
	"GET /health": (_, response) => answerJson(response, 200, { status: "ok" }),
	"GET /v1/models": (_, response) =>
		answerJson(response, 200, { object: "list", data: [{ id: name, object: "model" }] }),
	"GET /slots": (_, response) => answerJson(response, 200, [{ id: 0, is_processing: working }]),
	"POST /v1/chat/completions": infer,
	"POST /v1/completions": infer,
	"POST /v1/responses": inTurn(respond),
};

const server = createServer(async (request, response) => {
	const route = routes[`${request.method} ${request.url}`];
	if (!context) {
		answerJson(response, 503, {
			error: { code: 503, message: "Loading model", type: "unavailable_error" },
		});
		return;
	}
	try {
		await (
			route
			?? ((_, missing) => answerJson(missing, 404, { error: { message: "no such route" } }))
		)(request, response);
	} catch (error) {
		console.error(error);
		response.destroy();
	}
});

server.listen(Number(port), "127.0.0.1");
context = await loadModel({ model: file, n_ctx: Number(length), n_gpu_layers: 0, n_threads: 1 });
console.log(`${name} is loaded`);
