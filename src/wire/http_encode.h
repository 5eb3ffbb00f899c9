/* http_encode: HTTP answers and streams of the lock routes, from the core's effects. The
 * predecessor's keys (`status`, `msg`) stand beside {error:{code, message, retry_after_s?}}. */
#pragma once
#include "wire/route.h"

struct encode_context;
struct send_effect;
struct text;

struct http_answer {
	int status;
	const char *content_type; /* static */
	int retry_after_s;        /* 0: no Retry-After header */
};

/* {"error":{..}} of any error; `detail` (may be NULL) says which object or field. */
void http_encode_error(struct text *body, int err, const char *detail,
		       struct http_answer *ret_answer);
/* The answer that an effect gives to a request on this route. false: it is none (queued, offered:
 * the request stays parked) and nothing was written. */
bool http_encode_effect(struct text *body, enum route_id route, const struct send_effect *send,
			const struct encode_context *facts, struct http_answer *ret_answer);
/* {"status":"ok"} and the like: what needs no effect. */
void http_encode_ok(struct text *body, struct http_answer *ret_answer);

/* One Server-Sent Event of a lock stream: queued, granted, yield, revoked, released, timeout,
 * denied. false: nothing to say. *ret_last: the stream ends after it. */
bool http_encode_stream(struct text *out, const struct send_effect *send,
			const struct encode_context *facts, bool *ret_last);
/* `id:` (0: none), `event:` and `data:` of one ready-made JSON object. */
void http_encode_sse(struct text *out, uint64_t id, const char *event, const char *json);
void http_encode_sse_keepalive(struct text *out); /* a comment line */
