/* bridge_answer: one answer of the predecessor's chunks, for a client that reads no stream: the
 * first choice's text and tool calls, why it ended, and what it used. */
#pragma once
#include <stdbool.h>

#include "base/text.h"
#include "json/json_span.h"

struct json;

enum { BRIDGE_ANSWER_BYTES_MAX = 1024 * 1024 };

/* All zero to begin. */
struct bridge_answer {
	struct text content;
	struct text tool_calls, usage; /* the last, as they came */
	char id[64], finish[32];
	int64_t created;
	bool any;
};

void bridge_answer_finish(struct bridge_answer *answer);
/* False: it is longer than an answer may be. */
bool bridge_answer_take(struct bridge_answer *answer, const struct json *chunk,
			struct json_span part);
/* Adds the whole answer, by that model. */
void bridge_answer_write(const struct bridge_answer *answer, const char *model, struct text *out);
