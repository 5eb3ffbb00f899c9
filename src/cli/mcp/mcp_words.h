/* mcp_words: what a model reads when it is granted or denied a lease. */
#pragma once
#include <jansson.h>

struct baton_lease;

void mcp_words_granted(json_t *call, const struct baton_lease *lease);
/* A code of libbaton, with the broker's own words or "". */
void mcp_words_denied(json_t *call, int code, const char *detail);
/* Says what the client is told of all tools. */
extern const char mcp_words_instructions[];
