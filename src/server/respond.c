/* respond: puts an answer of wire together with the headers that every answer carries. Called by
 * the routes and by whoever delivers effects. */
#include "server/respond.h"
#include "base/text.h"
#include "net/http.h"
#include "net/http_reply.h"
#include "wire/http_encode.h"

#include <stdio.h>
#include <string.h>

enum { HEADERS_MAX = ACCESS_HEADERS_MAX + 6 };

static size_t add_common_headers(struct http_header headers[HEADERS_MAX], const char *origin,
				 const char *content_type)
{
	struct access_header cors[ACCESS_HEADERS_MAX];
	const struct access_verdict verdict = {.allow_origin = origin, .browser = origin != NULL};
	size_t count = 0, cors_count = origin ? access_headers(&verdict, cors) : 0;
	if (content_type)
		headers[count++] = (struct http_header){"Content-Type", content_type};
	headers[count++] = (struct http_header){"Cache-Control", "no-store"};
	headers[count++] = (struct http_header){"X-Content-Type-Options", "nosniff"};
	for (size_t i = 0; i < cors_count; i++)
		headers[count++] = (struct http_header){cors[i].name, cors[i].value};
	return count;
}

void respond_with(struct net *net, uint64_t conn, const char *origin,
		  const struct http_answer *answer, const struct text *body, const char *name,
		  const char *value)
{
	struct http_header headers[HEADERS_MAX];
	char seconds[16];
	size_t count = add_common_headers(headers, origin, answer->content_type);
	if (answer->retry_after_s > 0) {
		snprintf(seconds, sizeof(seconds), "%d", answer->retry_after_s);
		headers[count++] = (struct http_header){"Retry-After", seconds};
	}
	if (name)
		headers[count++] = (struct http_header){name, value};
	http_reply(net, conn, answer->status, headers, count, body->length ? body->bytes : "",
		   body->length);
}

void respond_text(struct net *net, uint64_t conn, const char *origin,
		  const struct http_answer *answer, const struct text *body)
{
	respond_with(net, conn, origin, answer, body, NULL, NULL);
}

void respond_error(const struct request_context *context, int err, const char *detail)
{
	struct http_answer answer;
	struct text body;
	const char *name = NULL, *value = NULL;

	text_init(&body);
	http_encode_error(&body, err, detail && detail[0] ? detail : NULL, &answer);
	if (answer.status == 405 && context->verdict.match.route) {
		name = "Allow";
		value = context->verdict.match.route->method;
		if (strcmp(value, "GET") == 0)
			value = "GET, HEAD";
	} else if (answer.status == 401) {
		name = "WWW-Authenticate";
		value = "Bearer";
	}

	respond_with(context->net, context->request->conn, context->verdict.allow_origin, &answer,
		     &body, name, value);
	text_finish(&body);
}

void respond_json(const struct request_context *context, int status, const struct text *body)
{
	const struct http_answer answer = {.status = status, .content_type = "application/json"};
	respond_text(context->net, context->request->conn, context->verdict.allow_origin, &answer,
		     body);
}

bool respond_is_head(const struct request_context *context)
{
	return strcmp(context->request->method, "HEAD") == 0;
}

void respond_stream(struct net *net, uint64_t conn, const char *origin, const char *content_type)
{
	struct http_header headers[HEADERS_MAX];
	size_t count = add_common_headers(headers, origin, content_type);
	if (strcmp(content_type, "text/event-stream") == 0)
		headers[count++] = (struct http_header){"X-Accel-Buffering", "no"};
	http_stream_begin(net, conn, 200, headers, count);
}
