/* respond: HTTP answers with their headers. */
#pragma once
#include "wire/access.h"

struct http_answer;
struct http_request;
struct net;
struct text;

/* A request and what was judged about it; borrowed for the callback. */
struct request_context {
	struct net *net; /* where its answer goes */
	const struct http_request *request;
	struct access_verdict verdict;
};

/* `origin`: to allow in the answer, or NULL. */
void respond_text(struct net *net, uint64_t conn, const char *origin,
		  const struct http_answer *answer, const struct text *body);
/* With one more header when `name` is not NULL. */
void respond_with(struct net *net, uint64_t conn, const char *origin,
		  const struct http_answer *answer, const struct text *body, const char *name,
		  const char *value);
/* `detail` may be NULL. */
void respond_error(const struct request_context *context, int err, const char *detail);
void respond_json(const struct request_context *context, int status, const struct text *body);
/* The answer's body is not sent, by net; a route asks only where GET does more than answer. */
bool respond_is_head(const struct request_context *context);
/* Begins a stream. */
void respond_stream(struct net *net, uint64_t conn, const char *origin, const char *content_type);
