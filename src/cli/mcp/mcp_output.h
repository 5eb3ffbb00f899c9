/* mcp_output: what goes to the client: a line of JSON-RPC each, on standard output. Each takes over
 * the JSON it is given; ids and tokens are borrowed. */
#pragma once
#include <jansson.h>

/* Words that were cut or come from elsewhere: what is no UTF-8 becomes '?'. */
json_t *mcp_text(const char *words);

void mcp_answer(json_t *id, json_t *result);
/* `id` may be NULL. */
void mcp_refuse(json_t *id, int code, const char *words);
void mcp_notify(const char *method, json_t *params);

/* The result of a tool: words for the model, and the same for programs (NULL: words alone). */
void mcp_tool_answer(json_t *id, const char *words, json_t *structured);
/* It failed, in words that say what to do next. */
__attribute__((format(printf, 2, 3))) void mcp_tool_fail(json_t *id, const char *format, ...);
