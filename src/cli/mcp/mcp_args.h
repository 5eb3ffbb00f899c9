/* mcp_args: the arguments of a tool, judged one by one. The first that is wrong is kept in words;
 * what is absent or null leaves the default. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { MCP_PROBLEM_BYTES = 200 };

struct mcp_args {
	const json_t *object; /* NULL: none were given */
	char problem[MCP_PROBLEM_BYTES];
};

/* `known`: their names, NULL-terminated. */
void mcp_args_begin(struct mcp_args *args, const json_t *object, const char *const *known);
void mcp_args_text(struct mcp_args *args, const char *name, const char **ret);
/* One of `choices`, NULL-terminated. */
void mcp_args_choice(struct mcp_args *args, const char *name, const char *const *choices,
		     const char **ret);
void mcp_args_size(struct mcp_args *args, const char *name, uint64_t *ret_bytes); /* "8G" */
void mcp_args_seconds(struct mcp_args *args, const char *name, int64_t *ret_ms);
void mcp_args_number(struct mcp_args *args, const char *name, uint64_t min, uint64_t max,
		     uint64_t *ret);
/* Whether all were right, the required one of this name among them (NULL: none is). */
bool mcp_args_end(struct mcp_args *args, const char *required);
