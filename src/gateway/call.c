/* call: collects what upstream.h hands over in pieces. */
#include "gateway/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/http.h"
#include "net/upstream.h"

enum { CONNECT_TIME_MS = 5000 };

struct call {
	struct upstream *upstream;
	uint64_t request;
	call_done *done;
	void *ctx;
	int status;
	struct buf body;
};

static void free_call(struct call *call)
{
	buf_finish(&call->body);
	free(call);
}

static void on_head(void *ctx, uint64_t request, int status, struct http_field_iterator fields)
{
	struct call *call = ctx;
	(void)request, (void)fields;
	call->status = status;
}

static void end_call(struct call *call, const struct upstream_end *end)
{
	const struct call_answer answer = {.err = end->err,
					   .status = call->status,
					   .body = call->body.length ? buf_data(&call->body) : "",
					   .length = call->body.length,
					   .what = end->what,
					   .nobody = end->nobody};

	call->done(call->ctx, &answer);
	free_call(call);
}

/* The rest would be read for nothing. */
static void break_off(struct call *call, int err)
{
	const struct upstream_end end = {.err = err, .what = err_text(err)};

	upstream_cancel(call->upstream, call->request);
	end_call(call, &end);
}

static void on_body(void *ctx, uint64_t request, const char *bytes, size_t length)
{
	struct call *call = ctx;
	(void)request;

	if (call->body.length + length > CALL_ANSWER_BYTES)
		break_off(call, ERR_TOO_LARGE);
	else if (buf_append(&call->body, bytes, length) != 0)
		break_off(call, ERR_NO_MEMORY);
}

static void on_end(void *ctx, uint64_t request, const struct upstream_end *end)
{
	(void)request;
	end_call(ctx, end);
}

int call_start(struct upstream *upstream, const struct call_question *question, call_done *done,
	       void *ctx, struct call **ret_call)
{
	static const struct upstream_handlers handlers = {on_head, on_body, NULL, on_end};
	struct call *call = calloc(1, sizeof(*call));
	char bearer[600];
	struct http_header fields[2] = {{"Content-Type", "application/json"},
					{"Authorization", bearer}};
	struct upstream_request request = {.method = question->method,
					   .url = question->url,
					   .fields = fields,
					   .field_count = question->key ? 2 : 1,
					   .body = question->body,
					   .connect_time_ms = CONNECT_TIME_MS,
					   .first_byte_time_ms = question->time_ms,
					   .idle_time_ms = question->time_ms,
					   .total_time_ms = question->time_ms};
	int rc;

	if (!call)
		return -ERR_NO_MEMORY;

	*call = (struct call){.upstream = upstream, .done = done, .ctx = ctx};
	if (question->key)
		snprintf(bearer, sizeof(bearer), "Bearer %s", question->key);
	request.body_length = question->body ? strlen(question->body) : 0;

	rc = upstream_start(upstream, &request, &handlers, call, &call->request);
	if (rc != 0) {
		free(call);
		return rc;
	}
	*ret_call = call;
	return 0;
}

void call_cancel(struct call *call)
{
	if (!call)
		return;
	upstream_cancel(call->upstream, call->request);
	free_call(call);
}
