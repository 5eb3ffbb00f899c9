/* api: the inference routes that the gateway serves, by what clients speak there. A path, not a
 * schema, is the unit: bodies are opaque but for the few fields that json_scan.h reads. */
#pragma once
#include <stdbool.h>

#include "core/types.h"

/* Whose shape errors have, and what may be sent while a client waits. */
enum api_wire {
	API_OPENAI,    /* chat completions and what is like them: `data:` lines, comments */
	API_RESPONSES, /* named events with a sequence number */
	API_ANTHROPIC, /* named events, `event: ping` while it waits */
	API_OLLAMA,    /* one JSON object a line, and nothing while it waits */
};

enum api_body { API_BODY_JSON, API_BODY_FORM /* multipart/form-data */ };

struct api_route {
	const char *path;
	enum api_wire wire;
	enum api_body body;
	enum lease_class cls; /* unless the client names one */
	bool streams;         /* where the body says nothing */
	bool whole;           /* is not cut short for others: a picture in progress */
};

/* NULL: not served here. Paths are compared exactly. */
const struct api_route *api_route_of(const char *path);
const struct api_route *api_routes(unsigned *ret_count);
/* One bit for each route. */
uint32_t api_route_bit(const struct api_route *route);
