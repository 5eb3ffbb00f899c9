/* mcp_message: one line of JSON-RPC 2.0, as the Model Context Protocol has it: an object, no batch,
 * an id that is a text or a whole number. Reads only; mcp_output writes. */
#pragma once
#include <jansson.h>
#include <stddef.h>

enum mcp_error {
	MCP_BAD_JSON = -32700,
	MCP_BAD_REQUEST = -32600,
	MCP_NO_METHOD = -32601,
	MCP_BAD_PARAMS = -32602,
};

enum mcp_kind {
	MCP_REQUEST,      /* wants an answer */
	MCP_NOTIFICATION, /* wants none */
	MCP_ANSWER,       /* to a question of ours; there are none */
};

/* Everything is borrowed from `root`. */
struct mcp_message {
	json_t *root;
	enum mcp_kind kind;
	json_t *id;           /* NULL: none that an answer could carry */
	const char *method;   /* NULL of an MCP_ANSWER */
	const json_t *params; /* an object, or NULL */
};

/* 0, or an enum mcp_error with its words; then ret_message still has the id to answer with, if
 * there was one. Call mcp_message_finish after either. */
int mcp_message_read(const char *line, size_t length, struct mcp_message *ret_message,
		     const char **ret_problem);
void mcp_message_finish(struct mcp_message *message);
