/* mcp_tools: the tools that agents call. Each answers by itself, lease_acquire when it is decided.
 */
#pragma once
#include "cli/mcp/mcp_leases.h"

struct mcp_call {
	json_t *id;
	const json_t *arguments; /* an object, or NULL */
	json_t *progress;        /* its progress token, or NULL */
};

/* Of tools/list; the caller calls json_decref. */
json_t *mcp_tools_list(void);
/* False: there is no tool of that name. */
bool mcp_tools_call(struct mcp_leases *leases, const char *name, const struct mcp_call *call);
