/* relay_stream: the server's answer on its way to the client. Of a stream only whole events go on,
 * so that an error, or a sign of life, never stands inside one that the client cannot read then. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "gateway/adapter_read.h"
#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/relay.h"
#include "gateway/relay_impl.h"
#include "net/http_reply.h"
#include "net/loop.h"

enum { HELD_BYTES_MAX = 64 * 1024 };

static void write_on(struct gateway *gateway, struct relay *relay, const char *bytes, size_t length)
{
	if (length == 0)
		return;
	if (relay->streams)
		relay->alive_at = mono_after(loop_now(), gateway->options.quiet_ms);
	if (!http_stream_write(gateway->net, relay->conn, bytes, length))
		relay_pause(gateway, relay, true);
}

bool relay_wants_base64(const struct relay *relay)
{
	return relay->scan.base64 && !strcmp(relay->route->path, "/v1/embeddings");
}

/* A list of something else ends the relay. */
static void pass_packed(struct gateway *gateway, struct relay *relay, const char *bytes,
			size_t length)
{
	cleanup_text struct text packed = {0};

	if (float_pack_take(&relay->pack, bytes, length, &packed))
		write_on(gateway, relay, packed.bytes, packed.length);
	else
		relay_fail(gateway, relay, ERR_UPSTREAM_BROKEN, err_text(ERR_UPSTREAM_BROKEN), 0);
}

static void let_go(struct gateway *gateway, struct relay *relay)
{
	write_on(gateway, relay, buf_data(&relay->held), relay->held.length);
	buf_clear(&relay->held, HELD_BYTES_MAX);
}

/* The beginning of an event: its end is to come. */
static void hold_back(struct gateway *gateway, struct relay *relay, const char *bytes,
		      size_t length)
{
	bool fits = !relay->torn && relay->held.length + length <= HELD_BYTES_MAX &&
		    buf_append(&relay->held, bytes, length) == 0;

	if (fits || length == 0)
		return;
	relay->torn = true;
	let_go(gateway, relay);
	write_on(gateway, relay, bytes, length);
}

static void write_down(struct gateway *gateway, struct relay *relay, const char *id)
{
	const struct model_server *server = relay->model->server;

	relay->noted = true;
	response_index_note(
		&gateway->stored_requests.index,
		&(struct response_note){id, relay->principal, server->name, server->url});
}

static bool is_text(const struct event_member *member, const char *path)
{
	return member->type == EVENT_TEXT && !strcmp(member->path, path);
}

/* Of an answer in one piece. */
static void note_member(void *ctx, const struct event_member *member)
{
	struct relay *relay = ctx;
	char *id = relay->watch.position.response_id;

	if (!relay->noted && is_text(member, "id") &&
	    response_id_ok(member->value, member->length)) {
		memcpy(id, member->value, member->length + 1);
		write_down(relay->model->server->catalog->ctx, relay, id);
	}
	if (is_text(member, "status"))
		relay->pending = adapter_status_pending(member->value);
}

/* Whose a response is that may be asked for later. A tab keeps none. */
static void look_for_id(struct gateway *gateway, struct relay *relay, const char *bytes,
			size_t length)
{
	const char *id = relay->watch.position.response_id;

	if (relay->route->wire != API_RESPONSES || relay->status != 200 ||
	    relay->model->server->worker)
		return;
	if (!relay->streams)
		event_scan_take(&relay->id_scan, bytes, length, note_member, relay);
	else if (!relay->noted && response_id_ok(id, strlen(id)))
		write_down(gateway, relay, id);
}

bool relay_goes_on_alone(const struct relay *relay)
{
	const struct stream_watch *watch = &relay->watch;

	if (!relay->noted)
		return false;
	return relay->streams ? watch->background && !watch->complete && !watch->failed
			      : relay->pending;
}

void relay_pass_on(struct gateway *gateway, struct relay *relay, const char *bytes, size_t length)
{
	size_t whole;

	if (relay->packs) {
		pass_packed(gateway, relay, bytes, length);
		return;
	}
	if (!relay->streams) {
		look_for_id(gateway, relay, bytes, length);
		write_on(gateway, relay, bytes, length);
		return;
	}

	whole = stream_watch_take(&relay->watch, bytes, length);
	look_for_id(gateway, relay, bytes, length); /* before its client has it */
	if (whole > 0) {
		let_go(gateway, relay);
		write_on(gateway, relay, bytes, whole);
		relay->torn = false;
	}
	hold_back(gateway, relay, bytes + whole, length - whole);
}

/* Clients take a stream that just ends for a whole text (openai and langchain of npm do). */
static void refuse_half(struct gateway *gateway, struct relay *relay)
{
	char words[160];

	snprintf(words, sizeof(words),
		 "The model server `%.40s` ended its stream before the answer was complete.",
		 relay->model->server->name);
	relay_fail(gateway, relay, ERR_UPSTREAM_BROKEN, words, 0);
}

void relay_answer_ended(struct gateway *gateway, struct relay *relay)
{
	bool good = relay->status < 400;
	const char *outcome = good && !relay->watch.failed ? "ok" : "refused";

	if (relay->streams && good && !stream_watch_end(&relay->watch)) {
		refuse_half(gateway, relay);
		return;
	}

	if (relay->packs && !float_pack_end(&relay->pack)) {
		relay_fail(gateway, relay, ERR_UPSTREAM_BROKEN, err_text(ERR_UPSTREAM_BROKEN), 0);
		return;
	}

	let_go(gateway, relay);
	http_stream_end(gateway->net, relay->conn);
	relay->pending = relay_goes_on_alone(relay);
	if (relay->pending)
		relay_leave(gateway, relay, outcome);
	else
		relay_end(gateway, relay, outcome);
}
