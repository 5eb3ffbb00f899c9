// OpenAI's Responses around a text that a model says: what was asked as messages, the answer as one message of it.
let count = 0;

const textOf = (content) =>
	typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join("");

/** The conversation as chat has it: instructions first, then each item that has a text. */
export const messagesOf = ({ instructions, input }) => {
	const items = typeof input === "string" ? [{ role: "user", content: input }] : input;
	const system = instructions ? [{ role: "system", content: instructions }] : [];
	const said = items
		.filter((item) => item.content)
		.map((item) => ({ role: item.role ?? "assistant", content: textOf(item.content) }));

	return [...system, ...said];
};

const partOf = (text) => ({ type: "output_text", text, annotations: [], logprobs: [] });

const itemOf = (id, status, content) => ({
	id: `msg_${id}`,
	type: "message",
	role: "assistant",
	status,
	content,
});

const echoOf = (body) => ({
	previous_response_id: body.previous_response_id ?? null,
	instructions: body.instructions ?? null,
	tools: body.tools ?? [],
	tool_choice: body.tool_choice ?? "auto",
	truncation: body.truncation ?? "disabled",
	parallel_tool_calls: body.parallel_tool_calls ?? true,
	text: body.text ?? { format: { type: "text" } },
	top_p: 1,
	presence_penalty: 0,
	frequency_penalty: 0,
	top_logprobs: 0,
	temperature: 0,
	reasoning: null,
	max_output_tokens: body.max_output_tokens ?? null,
	max_tool_calls: null,
	store: false,
	background: false,
	service_tier: "default",
	metadata: body.metadata ?? {},
	safety_identifier: null,
	prompt_cache_key: null,
});

const usageOf = ({ asked, said }) => ({
	input_tokens: asked,
	output_tokens: said,
	total_tokens: asked + said,
	input_tokens_details: { cached_tokens: 0 },
	output_tokens_details: { reasoning_tokens: 0 },
});

/** One answer, as the object says it and as its events do. */
export const responseOf = (body) => {
	const id = `${process.pid}_${++count}`;
	const createdAt = Math.floor(Date.now() / 1000);
	const place = { item_id: `msg_${id}`, output_index: 0, content_index: 0 };
	let sequence = 0;

	const resource = (status, output, counted) => ({
		id: `resp_${id}`,
		object: "response",
		created_at: createdAt,
		completed_at: status === "completed" ? Math.floor(Date.now() / 1000) : null,
		status,
		incomplete_details: null,
		model: body.model,
		...echoOf(body),
		output,
		error: null,
		usage: counted ? usageOf(counted) : null,
	});

	const event = (type, value) => {
		const data = JSON.stringify({ type, sequence_number: sequence++, ...value });
		return `event: ${type}\ndata: ${data}\n\n`;
	};

	const done = (text) => itemOf(id, "completed", [partOf(text)]);
	const whole = (text, counted) => resource("completed", [done(text)], counted);

	return {
		whole,

		begin: () =>
			event("response.created", { response: resource("in_progress", []) })
			+ event("response.in_progress", { response: resource("in_progress", []) })
			+ event("response.output_item.added", {
				output_index: 0,
				item: itemOf(id, "in_progress", []),
			})
			+ event("response.content_part.added", { ...place, part: partOf("") }),

		word: (delta) => event("response.output_text.delta", { ...place, delta, logprobs: [] }),

		end: (text, counted) =>
			event("response.output_text.done", { ...place, text, logprobs: [] })
			+ event("response.content_part.done", { ...place, part: partOf(text) })
			+ event("response.output_item.done", { output_index: 0, item: done(text) })
			+ event("response.completed", { response: whole(text, counted) }),
	};
};
