/* worker_encode: what workers hear, see protocol/gateway. */
#pragma once
#include "core/types.h"

struct text;

enum { WORKER_WINDOW_BYTES = 256 * 1024, WORKER_PING_MS = 5000 };

struct worker_request {
	uint64_t request;
	const char *path, *model, *client, *content_type;
	enum lease_class cls;
	bool streams;
};

void worker_encode_welcome(struct text *out, uint64_t worker);
void worker_encode_request(struct text *out, const struct worker_request *request);
void worker_encode_body_end(struct text *out, uint64_t request);
void worker_encode_more(struct text *out, uint64_t request, uint64_t bytes);
void worker_encode_cancel(struct text *out, uint64_t request);
void worker_encode_ping(struct text *out);
