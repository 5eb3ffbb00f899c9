/* relay_forward: the request to its server. The body goes as the very bytes that came, but for the
 * model's name where the client said an alias; it stays in memory until it is sent and the answer
 * begins, so that a request that had to give way can be sent again. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "gateway/adapter.h"
#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/relay.h"
#include "gateway/relay_impl.h"
#include "json/json_writer.h"
#include "net/http.h"
#include "net/http_receive.h"
#include "net/loop.h"
#include "net/upstream.h"
#include "wire/worker_encode.h"

enum {
	CONNECT_MS = 5000,
	PIECE_BYTES = 32 * 1024,
	WHOLE_BYTES = 256 * 1024, /* a body up to this is given to libcurl at once */
	WORKER_TRIES_MAX = 3,
	WORKER_IDLE_MS = 60 * 1000, /* without a byte, once it began to answer */
};

static struct worker *worker_of(const struct relay *relay)
{
	return relay->model->server->worker;
}

void relay_cancel(struct gateway *gateway, struct relay *relay)
{
	if (worker_of(relay))
		worker_cancel(worker_of(relay), relay->request);
	else
		upstream_cancel(gateway->upstream, relay->request);
	relay->request = 0;
}

/* Whether a tab is silent for too long counts while it may speak. */
void relay_pause(struct gateway *gateway, struct relay *relay, bool paused)
{
	if (!worker_of(relay)) {
		upstream_pause(gateway->upstream, relay->request, paused);
		return;
	}
	worker_pause(worker_of(relay), relay->request, paused);
	relay->due = paused ? MONO_NEVER : mono_after(loop_now(), WORKER_IDLE_MS);
}

static bool write_body(struct gateway *gateway, struct relay *relay, const char *bytes,
		       size_t length)
{
	if (worker_of(relay))
		return worker_write(worker_of(relay), relay->request, bytes, length);
	return upstream_write(gateway->upstream, relay->request, bytes, length);
}

static void end_body(struct gateway *gateway, struct relay *relay)
{
	if (worker_of(relay))
		worker_write_end(worker_of(relay), relay->request);
	else
		upstream_write_end(gateway->upstream, relay->request);
}

static bool is_renamed(const struct relay *relay)
{
	return relay->route->body == API_BODY_JSON &&
	       strcmp(relay->body_model, relay->model->name) != 0;
}

static void move_behind(uint64_t edge, uint64_t by, uint64_t *from, uint64_t *to)
{
	if (*from < edge)
		return;
	*from += by;
	*to += by;
}

/* Puts a text in the place of [*from, *to) of the body; what the scan knows of the body moves with
 * it, for the next server may have another name for the model. */
static void replace_text(struct gateway *gateway, struct relay *relay, uint64_t *from, uint64_t *to,
			 const char *value)
{
	struct json_scan *scan = &relay->scan;
	cleanup_text struct text body = {0};
	const char *bytes = buf_data(&relay->body);
	uint64_t edge = *to;

	text_add(&body, bytes, *from);
	text_json_string(&body, value);
	*to = body.length;
	text_add(&body, bytes + edge, relay->body.length - edge);

	uint64_t by = *to - edge; /* wraps where it became shorter */
	move_behind(edge, by, &scan->model_from, &scan->model_to);
	move_behind(edge, by, &scan->format_from, &scan->format_to);

	gateway->body_bytes += body.length;
	gateway->body_bytes -= relay->body.length;
	buf_clear(&relay->body, 0);
	if (buf_append(&relay->body, body.bytes, body.length) != 0)
		relay->body.length = 0;
	explicit_bzero(body.bytes, body.length);
}

/* The body with the server's own name of the model. */
static void rename_model(struct gateway *gateway, struct relay *relay)
{
	struct json_scan *scan = &relay->scan;

	replace_text(gateway, relay, &scan->model_from, &scan->model_to, relay->model->name);
	snprintf(relay->body_model, sizeof(relay->body_model), "%s", relay->model->name);
}

static int start_request(struct gateway *gateway, struct relay *relay);

static void ask_again(struct gateway *gateway, struct relay *relay)
{
	relay->model->running--;
	relay->body_sent = 0;
	relay->granted = MONO_NEVER;
	relay_give_back(gateway, relay);
	relay_resolve(gateway, relay, loop_now());
}

/* Embeddings in base64 were refused: numbers are asked for, and packed on their way. */
static bool asks_for_floats(struct gateway *gateway, struct relay *relay, int status)
{
	if ((status != 400 && status != 422) || relay->asked_floats || !relay_wants_base64(relay))
		return false;

	relay->asked_floats = true;
	replace_text(gateway, relay, &relay->scan.format_from, &relay->scan.format_to, "float");
	bool tab = worker_of(relay) != NULL;
	relay_cancel(gateway, relay);
	if (tab) { /* it works on this one until it says that it does not */
		ask_again(gateway, relay);
		return true;
	}

	relay->body_sent = 0;
	if (start_request(gateway, relay) != 0)
		relay_fail(gateway, relay, ERR_UPSTREAM_BROKEN, err_text(ERR_UPSTREAM_BROKEN), 0);
	else
		relay_push_body(gateway, relay);
	return true;
}

/* Of the body, as the client said it. */
static const char *relay_content_type(const struct relay *relay)
{
	const char *at = relay->fields, *end = at + relay->fields_size;

	while (at < end) {
		const char *value = at + strlen(at) + 1;
		if (!strcasecmp(at, "content-type"))
			return value;
		at = value + strlen(value) + 1;
	}
	return "application/json";
}

size_t relay_gather_fields(const char *kept, size_t kept_size, const char *bearer,
			   struct http_header *ret_fields)
{
	size_t count = 0;
	const char *at = kept, *end = at + kept_size;

	while (at < end && count < RELAY_FIELD_COUNT - 2) {
		const char *value = at + strlen(at) + 1;
		ret_fields[count++] = (struct http_header){at, value};
		at = value + strlen(value) + 1;
	}
	ret_fields[count++] = (struct http_header){"Accept-Encoding", "identity"};
	if (bearer[0])
		ret_fields[count++] = (struct http_header){"Authorization", bearer};
	return count;
}

void relay_forget_body(struct gateway *gateway, struct relay *relay)
{
	if (relay->body.bytes)
		explicit_bzero(relay->body.bytes, relay->body.capacity);
	gateway->body_bytes -= relay->body.length;
	buf_finish(&relay->body);
}

static void on_head(void *ctx, uint64_t request, int status, struct http_field_iterator fields)
{
	struct relay *relay = ctx;
	struct gateway *gateway = relay->model->server->catalog->ctx;
	(void)request;

	if (asks_for_floats(gateway, relay, status))
		return;

	relay->status = status;
	relay->answered = true;
	relay->first_byte = loop_now();
	residence_answered(relay->model);
	if (worker_of(relay))
		relay->due = mono_after(relay->first_byte, WORKER_IDLE_MS);
	if (relay->body_complete && relay->body_sent == relay->body.length)
		relay_forget_body(gateway, relay);
	relay_begin_answer(gateway, relay, status, fields);
}

static void on_body(void *ctx, uint64_t request, const char *bytes, size_t length)
{
	struct relay *relay = ctx;
	struct gateway *gateway = relay->model->server->catalog->ctx;

	(void)request;

	if (worker_of(relay))
		relay->due = mono_after(loop_now(), WORKER_IDLE_MS);
	relay_pass_on(gateway, relay, bytes, length);
}

static void on_writable(void *ctx, uint64_t request)
{
	struct relay *relay = ctx;
	struct gateway *gateway = relay->model->server->catalog->ctx;
	(void)request;

	relay->server_full = false;
	relay_push_body(gateway, relay);
}

/* A tab was closed, or lost its turn, before it began to answer. */
static bool may_ask_another(const struct relay *relay, const struct upstream_end *end)
{
	return worker_of(relay) && !relay->answered && !relay->body_passed &&
	       relay->tries + 1 < WORKER_TRIES_MAX &&
	       (end->err == ERR_UPSTREAM_UNREACHABLE || end->err == ERR_OUTRANKED);
}

static void on_end(void *ctx, uint64_t request, const struct upstream_end *end)
{
	struct relay *relay = ctx;
	struct model_server *server = relay->model->server;
	struct gateway *gateway = server->catalog->ctx;
	cleanup_text struct text words = {0};
	(void)request;

	relay->request = 0;
	relay->hung_up = end->err == ERR_UPSTREAM_SLOW && !server->worker;
	if (end->err == 0) {
		relay_answer_ended(gateway, relay);
		return;
	}

	if (may_ask_another(relay, end)) {
		relay->tries++;
		ask_again(gateway, relay);
		return;
	}

	text_format(&words, "The model server `%s`: %s (%s).", server->name, err_text(end->err),
		    end->what);
	relay_fail(gateway, relay, end->err, words.bytes, 0);
	if (server->worker)
		return;
	server->up &= end->err != ERR_UPSTREAM_UNREACHABLE;
	if (end->err == ERR_UPSTREAM_UNREACHABLE || end->err == ERR_UPSTREAM_BROKEN)
		residence_server_gone(server, loop_now());
}

static size_t smaller_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* What a tab has not read yet is counted over all its requests. */
static size_t room_for_body(const struct relay *relay)
{
	return worker_of(relay) ? worker_room(worker_of(relay), relay->request) : PIECE_BYTES;
}

void relay_push_body(struct gateway *gateway, struct relay *relay)
{
	while (relay->body_sent < relay->body.length && !relay->server_full) {
		size_t left = relay->body.length - relay->body_sent;
		size_t piece = smaller_of(smaller_of(left, PIECE_BYTES), room_for_body(relay));
		const char *bytes = buf_data(&relay->body) + relay->body_sent;

		relay->body_sent += piece;
		relay->server_full = !piece || !write_body(gateway, relay, bytes, piece);
	}
	if (relay->server_full)
		return; /* on_writable goes on */

	if (relay->body_complete) {
		end_body(gateway, relay);
		if (relay->answered)
			relay_forget_body(gateway, relay);
		return;
	}

	/* A form's pieces are not kept: it is as large as it likes. */
	relay->body_passed = true;
	gateway->body_bytes -= relay->body.length;
	buf_clear(&relay->body, PIECE_BYTES);
	relay->body_sent = 0;
	if (relay->body_paused) {
		relay->body_paused = false;
		http_pause_body(gateway->net, relay->conn, false);
	}
}

static const struct upstream_handlers handlers = {on_head, on_body, on_writable, on_end};

static void ask_worker(struct relay *relay)
{
	struct worker_request request = {
		.path = relay->route->path,
		.model = relay->model->name,
		.client = relay_public_name(relay),
		.content_type = relay_content_type(relay),
		.cls = relay->cls,
		.streams = relay->streams,
	};

	relay->request = worker_start(worker_of(relay), &request, &handlers, relay);
}

/* What is all here may take a connection that was used before: should that turn out dead, it can be
 * sent again. A body that comes in pieces cannot, and has a connection of its own. */
static void add_body(struct relay *relay, struct upstream_request *request)
{
	request->streamed = !relay->body_complete || relay->body.length > WHOLE_BYTES;
	request->body_bytes =
		relay->body_complete ? (int64_t)relay->body.length : relay->body_bytes;
	if (request->streamed)
		return;

	request->body = buf_data(&relay->body);
	request->body_length = relay->body_sent = relay->body.length;
}

/* Where its server has the route. */
static const char *path_of(const struct relay *relay)
{
	const char *transcribes = relay->model->server->adapter->transcribes;

	return transcribes && !strcmp(relay->route->path, "/v1/audio/transcriptions")
		       ? transcribes
		       : relay->route->path;
}

static int start_request(struct gateway *gateway, struct relay *relay)
{
	const struct model_server *server = relay->model->server;
	struct http_header fields[RELAY_FIELD_COUNT];
	cleanup_text struct text url = {0}, bearer = {0};
	struct upstream_request request = {
		.method = "POST",
		.owner = relay->principal,
		.fields = fields,
		.connect_time_ms = CONNECT_MS,
		.first_byte_time_ms = (int)server->silence_ms,
		.idle_time_ms = (int)server->silence_ms,
	};
	int rc;

	if (server->worker) {
		ask_worker(relay);
		return 0;
	}

	text_format(&url, "%s%s%s%s", server->url, path_of(relay), relay->query[0] ? "?" : "",
		    relay->query);
	text_str(&bearer, "");
	if (server->key)
		text_format(&bearer, "Bearer %s", server->key);

	add_body(relay, &request);
	request.url = url.bytes;
	request.field_count =
		relay_gather_fields(relay->fields, relay->fields_size, bearer.bytes, fields);
	rc = upstream_start(gateway->upstream, &request, &handlers, relay, &relay->request);
	explicit_bzero(bearer.bytes, bearer.length);
	return rc;
}

void relay_forward(struct gateway *gateway, struct relay *relay, struct mono_ms now)
{
	int rc;

	if (is_renamed(relay))
		rename_model(gateway, relay);

	relay->stage = RELAY_FORWARDED;
	relay->granted = now;
	if (!worker_of(relay)) /* a tab has as long as the queue, to begin */
		relay->due = MONO_NEVER;
	relay->server_full = false;
	residence_asked(relay->model, now);
	relay->model->running++;
	relay->model->worked = true;

	rc = start_request(gateway, relay);
	if (rc != 0) {
		relay_fail(gateway, relay, -rc, err_text(rc), 0);
		return;
	}
	relay_push_body(gateway, relay);
}
