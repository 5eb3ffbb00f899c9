/* mcp_message: what is a message and what is none. Knows no method and answers nothing. */
#include "cli/mcp/mcp_message.h"

#include <stdbool.h>
#include <string.h>

enum { DEPTH_MAX = 32 };

/* Before the parser recurses: brackets outside of texts. */
static int nesting_of(const char *line, size_t length)
{
	int depth = 0, deepest = 0;
	bool in_text = false;

	for (size_t i = 0; i < length; i++) {
		char c = line[i];
		if (in_text && c == '\\')
			i++;
		else if (c == '"')
			in_text = !in_text;
		else if (!in_text && (c == '{' || c == '['))
			deepest = ++depth > deepest ? depth : deepest;
		else if (!in_text && (c == '}' || c == ']'))
			depth--;
	}
	return deepest;
}

static int refuse_message(int code, const char *words, const char **ret_problem)
{
	*ret_problem = words;
	return code;
}

static bool is_id(const json_t *id)
{
	return json_is_string(id) || json_is_integer(id);
}

int mcp_message_read(const char *line, size_t length, struct mcp_message *ret_message,
		     const char **ret_problem)
{
	struct mcp_message *message = ret_message;
	*message = (struct mcp_message){0};

	if (nesting_of(line, length) > DEPTH_MAX)
		return refuse_message(MCP_BAD_JSON, "nested too deep", ret_problem);

	message->root = json_loadb(line, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	if (!message->root)
		return refuse_message(MCP_BAD_JSON, "not one valid JSON value", ret_problem);
	if (!json_is_object(message->root))
		return refuse_message(MCP_BAD_REQUEST,
				      "a message is one object; there are no batches", ret_problem);

	json_t *id = json_object_get(message->root, "id");
	message->id = is_id(id) ? id : NULL;
	message->method = json_string_value(json_object_get(message->root, "method"));
	message->params = json_object_get(message->root, "params");
	message->kind = id ? MCP_REQUEST : MCP_NOTIFICATION;

	const char *version = json_string_value(json_object_get(message->root, "jsonrpc"));
	if (!version || strcmp(version, "2.0") != 0)
		return refuse_message(MCP_BAD_REQUEST, "`jsonrpc` is not \"2.0\"", ret_problem);
	if (id && !message->id)
		return refuse_message(MCP_BAD_REQUEST, "`id` is no text and no whole number",
				      ret_problem);

	bool answers =
		json_object_get(message->root, "result") || json_object_get(message->root, "error");
	if (!message->method && answers && id) {
		message->kind = MCP_ANSWER;
		return 0;
	}

	if (!message->method)
		return refuse_message(MCP_BAD_REQUEST, "`method` is missing or no text",
				      ret_problem);
	if (message->params && !json_is_object(message->params))
		return refuse_message(MCP_BAD_PARAMS, "`params` is no object", ret_problem);
	return 0;
}

void mcp_message_finish(struct mcp_message *message)
{
	json_decref(message->root);
	*message = (struct mcp_message){0};
}
