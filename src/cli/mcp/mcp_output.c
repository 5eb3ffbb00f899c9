/* mcp_output: writes and flushes; a client that went away ends us by SIGPIPE, and with us our
 * leases. */
#include "cli/mcp/mcp_output.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/clean_text.h"

json_t *mcp_text(const char *words)
{
	json_t *text = json_string(words);
	if (text)
		return text;

	size_t size = strlen(words) + 1;
	cleanup_free char *clean = malloc(size);
	if (!clean)
		abort();
	return json_string(clean_text(clean, size, words, true));
}

/* A message that could not be made is a bug of ours: nothing is written that is none. */
static void write_line(json_t *message)
{
	assert(message);
	json_dumpf(message, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
	putchar('\n');
	fflush(stdout);
	json_decref(message);
}

void mcp_answer(json_t *id, json_t *result)
{
	write_line(json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result));
}

void mcp_refuse(json_t *id, int code, const char *words)
{
	json_t *error = json_pack("{s:i, s:o}", "code", code, "message", mcp_text(words));
	json_t *about = id ? json_incref(id) : json_null();
	write_line(json_pack("{s:s, s:o, s:o}", "jsonrpc", "2.0", "id", about, "error", error));
}

void mcp_notify(const char *method, json_t *params)
{
	write_line(
		json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method, "params", params));
}

static json_t *text_block(const char *words)
{
	return json_pack("{s:s, s:o}", "type", "text", "text", mcp_text(words));
}

void mcp_tool_answer(json_t *id, const char *words, json_t *structured)
{
	json_t *content = json_pack("[o]", text_block(words));
	json_t *result = json_pack("{s:o, s:b}", "content", content, "isError", false);

	if (structured) {
		char *text = json_dumps(structured, JSON_COMPACT | JSON_REAL_PRECISION(12));
		json_array_append_new(content, text_block(text ? text : "?"));
		free(text);
		json_object_set_new(result, "structuredContent", structured);
	}
	mcp_answer(id, result);
}

void mcp_tool_fail(json_t *id, const char *format, ...)
{
	char words[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	mcp_answer(id, json_pack("{s:[o], s:b}", "content", text_block(words), "isError", true));
}
