/* worker_encode: each message is one JSON object. */
#include "wire/worker_encode.h"

#include "json/json_writer.h"
#include "wire/worker_decode.h"

static void open_object(struct text *out, const char *type)
{
	text_char(out, '{');
	text_json_str(out, "type", type);
}

void worker_encode_welcome(struct text *out, uint64_t worker)
{
	open_object(out, "welcome");
	text_json_u64(out, "version", WORKER_VERSION);
	text_json_u64(out, "worker", worker);
	text_json_u64(out, "window_bytes", WORKER_WINDOW_BYTES);
	text_json_seconds(out, "ping_s", WORKER_PING_MS);
	text_char(out, '}');
}

void worker_encode_request(struct text *out, const struct worker_request *request)
{
	open_object(out, "request");
	text_json_u64(out, "request", request->request);
	text_json_str(out, "path", request->path);
	text_json_str(out, "model", request->model);
	text_json_str(out, "class", lease_class_name(request->cls));
	text_json_str(out, "client", request->client);
	text_json_bool(out, "stream", request->streams);
	text_json_str(out, "content_type", request->content_type);
	text_char(out, '}');
}

void worker_encode_body_end(struct text *out, uint64_t request)
{
	open_object(out, "body_end");
	text_json_u64(out, "request", request);
	text_char(out, '}');
}

void worker_encode_more(struct text *out, uint64_t request, uint64_t bytes)
{
	open_object(out, "more");
	text_json_u64(out, "request", request);
	text_json_u64(out, "bytes", bytes);
	text_char(out, '}');
}

void worker_encode_cancel(struct text *out, uint64_t request)
{
	open_object(out, "cancel");
	text_json_u64(out, "request", request);
	text_char(out, '}');
}

void worker_encode_ping(struct text *out)
{
	open_object(out, "ping");
	text_char(out, '}');
}
