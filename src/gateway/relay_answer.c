/* relay_answer: what the client hears: the server's answer as it comes, signs of life before it, an
 * error in the shape that it reads; and how a request ends. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "gateway/adapter.h"
#include "gateway/answer_fields.h"
#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/relay.h"
#include "gateway/relay_impl.h"
#include "gateway/wait_words.h"
#include "net/http.h"
#include "net/http_reply.h"
#include "net/loop.h"

static void add_baton(struct answer_fields *headers, const struct relay *relay)
{
	if (relay->lease) {
		answer_fields_number(headers, "x-baton-lease", (int64_t)relay->lease);
		answer_fields_number(headers, "x-baton-fence", (int64_t)relay->fence);
	}
	if (relay->granted.v != MONO_NEVER.v)
		answer_fields_number(headers, "x-baton-wait-ms",
				     mono_since(relay->granted, relay->since));
	if (relay->model)
		answer_fields_text(headers, "x-baton-served-by", relay->model->server->name);
}

/* The stream has begun with 200; what does not go on with it is an error now. */
static void refuse_late(struct gateway *gateway, struct relay *relay, int status)
{
	char words[160];

	if (status == 200)
		snprintf(words, sizeof(words),
			 "The model server `%.40s` was asked for a stream and sends none.",
			 relay->model->server->name);
	else
		snprintf(words, sizeof(words), "The model server `%.40s` answered with status %d.",
			 relay->model->server->name, status);
	relay_fail(gateway, relay, ERR_UPSTREAM_BROKEN, words, 0);
}

static bool value_begins(const struct http_field *field, const char *word)
{
	return field->value_length >= strlen(word) &&
	       !strncasecmp(field->value, word, strlen(word));
}

/* What can be read of an answer: in plain text, of a type that is known. */
struct answer_form {
	bool events, json;
	int64_t length; /* -1: not said */
};

static struct answer_form form_of(struct http_field_iterator fields)
{
	struct answer_form form = {.length = -1};
	bool coded = false;
	struct http_field field;
	uint64_t length;

	while (http_field_next(&fields, &field)) {
		if (http_field_is(&field, "content-type")) {
			form.events = value_begins(&field, "text/event-stream") ||
				      value_begins(&field, "application/x-ndjson");
			form.json = value_begins(&field, "application/json");
		} else if (http_field_is(&field, "content-encoding"))
			coded = !value_begins(&field, "identity");
		else if (http_field_is(&field, "content-length") &&
			 http_read_length(field.value, field.value_length, &length))
			form.length = (int64_t)length;
	}

	if (coded)
		form.events = form.json = false;
	return form;
}

/* What add_baton says, of an answer whose headers went before its turn came. */
static void write_baton(struct gateway *gateway, const struct relay *relay)
{
	cleanup_text struct text line = {0};

	text_str(&line, ": baton");
	if (relay->lease)
		text_format(&line, " lease=%" PRIu64 " fence=%" PRIu64, relay->lease, relay->fence);
	text_format(&line, " wait_ms=%" PRId64 " served_by=%s\n",
		    mono_since(relay->granted, relay->since), relay->model->server->name);
	http_stream_write(gateway->net, relay->conn, line.bytes, line.length);
}

void relay_begin_answer(struct gateway *gateway, struct relay *relay, int status,
			struct http_field_iterator fields)
{
	struct answer_fields headers; /* large, and only as far as it is filled */
	const struct answer_form form = form_of(fields);
	bool events = relay->streams && form.events;

	if (relay->begun) {
		if (status != 200 || !events)
			refuse_late(gateway, relay, status);
		else
			write_baton(gateway, relay);
		return;
	}
	if (!events) {
		relay->streams = false;
		relay->alive_at = MONO_NEVER;
	}
	relay->packs = status == 200 && form.json && relay_wants_base64(relay);

	answer_fields_begin(&headers, fields);
	add_baton(&headers, relay);
	answer_fields_origin(&headers, relay->origin);
	relay->begun = true;
	if (form.length >= 0 && !events && !relay->packs)
		http_stream_begin_sized(gateway->net, relay->conn, status, headers.v, headers.count,
					(uint64_t)form.length);
	else
		http_stream_begin(gateway->net, relay->conn, status, headers.v, headers.count);
}

/* Lines that clients pass over: a comment with one newline, since an empty line would be an event
 * without data to some (openai-python before 2.37); a ping where events are counted. */
static void write_sign(struct gateway *gateway, struct relay *relay, struct mono_ms now)
{
	cleanup_text struct text sign = {0};

	text_str(&sign, ": ");
	wait_words_sign(gateway->port, relay, now, &sign);
	text_char(&sign, '\n');
	if (relay->route->wire == API_ANTHROPIC)
		text_str(&sign, "event: ping\ndata: {\"type\":\"ping\"}\n\n");
	http_stream_write(gateway->net, relay->conn, sign.bytes, sign.length);
}

void relay_keep_alive(struct gateway *gateway, struct relay *relay, struct mono_ms now)
{
	struct answer_fields headers = {.count = 0};

	relay->alive_at = mono_after(now, gateway->options.quiet_ms);
	if (relay->route->wire == API_OLLAMA || relay->torn || relay->watch.after_cr)
		return;

	if (!relay->begun) {
		answer_fields_text(&headers, "Content-Type", "text/event-stream");
		answer_fields_text(&headers, "Cache-Control", "no-store");
		answer_fields_origin(&headers, relay->origin);
		relay->begun = true;
		http_stream_begin(gateway->net, relay->conn, 200, headers.v, headers.count);
	}
	write_sign(gateway, relay, now);
}

static void answer_error(struct gateway *gateway, struct relay *relay,
			 const struct api_error *error)
{
	cleanup_text struct text body = {0};
	struct answer_fields headers = {.count = 0};
	enum api_wire wire = relay->route->wire;
	int retry_s = api_error_retry_s(error);

	api_error_body(&body, wire, error);
	answer_fields_text(&headers, "Content-Type", api_error_content_type(wire));
	if (retry_s > 0)
		answer_fields_number(&headers, "Retry-After", retry_s);
	else
		answer_fields_text(&headers, "x-should-retry", "false");
	answer_fields_origin(&headers, relay->origin);
	http_reply(gateway->net, relay->conn, api_error_status(error), headers.v, headers.count,
		   body.bytes, body.length);
}

static void end_stream_with(struct gateway *gateway, struct relay *relay,
			    const struct api_error *error)
{
	cleanup_text struct text event = {0};
	struct api_stream_position position = relay->watch.position;
	int64_t age_ms = mono_since(loop_now(), relay->since);

	position.model = relay->model_name;
	position.created_s = (loop_wall_now().v - age_ms) / 1000;
	if (relay->torn)
		text_str(&event, relay->route->wire == API_OLLAMA ? "\n" : "\n\n");
	api_error_event(&event, relay->route->wire, error, &position);
	http_stream_write(gateway->net, relay->conn, event.bytes, event.length);
	http_stream_end(gateway->net, relay->conn);
}

void relay_fail(struct gateway *gateway, struct relay *relay, int err, const char *message,
		int64_t retry_ms)
{
	const struct api_error error = {.err = err, .message = message, .retry_ms = retry_ms};

	if (!relay->begun)
		answer_error(gateway, relay, &error);
	else if (relay->streams)
		end_stream_with(gateway, relay, &error);
	else
		http_stream_abort(gateway->net, relay->conn);
	relay->cut = err == ERR_OUTRANKED || err == ERR_DRAINING || err == ERR_UNAUTHORIZED;
	relay_abandon(gateway, relay, err_name(err));
}

static void log_outcome(const struct gateway *gateway, const struct relay *relay,
			const char *outcome)
{
	struct mono_ms now = loop_now();
	bool granted = relay->granted.v != MONO_NEVER.v;
	bool answered = relay->first_byte.v != MONO_NEVER.v;

	log_event(gateway->log, LOG_INFO, "request", log_str("path", relay->route->path),
		  log_str("client", relay_public_name(relay)),
		  log_str("class", lease_class_name(relay->cls)),
		  log_str("model", relay->model ? relay->model->name : ""),
		  log_str("outcome", outcome), log_int("status", relay->status),
		  log_int("waited_ms", mono_since(granted ? relay->granted : now, relay->since)),
		  log_int("first_byte_ms",
			  answered ? mono_since(relay->first_byte, relay->granted) : -1),
		  log_int("total_ms", mono_since(now, relay->since)),
		  log_str("principal", relay->principal));
}

void relay_note_too_long(struct relay *relay)
{
	const struct model_server *server = relay->model->server;
	const struct gateway *gateway = server->catalog->ctx;

	if (!relay->too_long)
		log_event(gateway->log, LOG_WARN, "what a server says of its work is too long",
			  log_str("server", server->name), log_str("model", relay->model->name),
			  log_int("bytes_max", CALL_ANSWER_BYTES));
	relay->too_long = true;
}

static void forget_client(struct gateway *gateway, struct relay *relay)
{
	if (relay->conn == 0)
		return;
	hash_remove(&gateway->by_conn, &relay->by_conn);
	relay->conn = 0;
}

static void free_relay(struct gateway *gateway, struct relay *relay)
{
	list_remove(&relay->link);
	relay_forget_body(gateway, relay);
	buf_finish(&relay->held);
	call_cancel(relay->busy_call);
	free(relay->principal);
	free(relay->name);
	free(relay->origin);
	free(relay->models);
	free(relay->query);
	free(relay->fields);
	free(relay);
}

void relay_end(struct gateway *gateway, struct relay *relay, const char *outcome)
{
	struct model *model = relay->model;
	bool ran = relay->stage == RELAY_FORWARDED || relay->stage == RELAY_SETTLING;

	if (relay->stage != RELAY_SETTLING || relay->stopping)
		log_outcome(gateway, relay, outcome);
	forget_client(gateway, relay);
	relay_give_back(gateway, relay);
	free_relay(gateway, relay);
	if (model && model->server->removed)
		gateway_look_later(gateway);

	if (!ran)
		return;
	model->running--;
	relay_look_soon(gateway, model, loop_now());
	residence_worked(&gateway->residences, model, loop_now());
}

void relay_leave(struct gateway *gateway, struct relay *relay, const char *outcome)
{
	bool stops = relay->stage == RELAY_FORWARDED && relay->pending && relay->cut;

	if (!stops && !relay_must_settle(relay)) {
		relay_end(gateway, relay, outcome);
		return;
	}

	log_outcome(gateway, relay, outcome);
	forget_client(gateway, relay);
	relay_settle(relay, gateway->options.settle_ms_max);
	if (stops)
		relay_stop_settling(gateway, relay);
}

void relay_abandon(struct gateway *gateway, struct relay *relay, const char *outcome)
{
	relay->pending = relay_goes_on_alone(relay);
	if (relay->request) {
		relay_cancel(gateway, relay);
	} else if (relay->stage == RELAY_FORWARDED && !relay->hung_up && !relay->pending) {
		relay_end(gateway, relay, outcome); /* the server was done, or is gone */
		return;
	}

	relay_leave_queue(gateway, relay);
	relay_leave(gateway, relay, outcome);
}
