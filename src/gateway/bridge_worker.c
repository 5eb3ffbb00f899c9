/* bridge_worker: workers that speak as the predecessor's tabs did: whole requests out; chunks,
 * results and errors back. They know no flow control and no cancel: what nobody wants any more is
 * computed to its end, and keeps its place until then, or for as long as nothing is heard of it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "gateway/api.h"
#include "gateway/bridge_answer.h"
#include "gateway/bridge_worker.h"
#include "gateway/catalog.h"
#include "gateway/model.h"
#include "gateway/worker.h"
#include "gateway/worker_impl.h"
#include "json/json_reader.h"
#include "net/loop.h"
#include "net/upstream.h"
#include "wire/bridge_decode.h"
#include "wire/worker_decode.h"
#include "wire/worker_encode.h"

enum { BODY_BYTES_MAX = 512 * 1024 };

struct bridge_work {
	struct text body; /* until it is sent */
	bool streams;
	char model[WORKER_MODEL_BYTES + 1]; /* as its client knows it */
	struct bridge_answer answer;        /* of one that does not stream */
	int err;                            /* it could not be asked */
	char why[PARSED_DETAIL_BYTES];
};

struct bridge_socket {
	const char *type, *model, *path;
};

static const struct bridge_socket *socket_of(bool embeds)
{
	static const struct bridge_socket chat = {"chat", "webgpu-chat", "/v1/chat/completions"};
	static const struct bridge_socket embed = {"embedding", "webgpu-embedding",
						   "/v1/embeddings"};

	return embeds ? &embed : &chat;
}

static void wipe_text(struct text *text)
{
	if (text->bytes)
		explicit_bzero(text->bytes, text->length);
	text_finish(text);
}

int worker_open_bridge(struct workers *workers, uint64_t conn, const char *principal, bool embeds,
		       const char *model, uint32_t gpus)
{
	const struct bridge_socket *socket = socket_of(embeds);
	const char *name = model ? model : socket->model;
	struct worker *worker = worker_create(workers, conn, principal, socket->model);
	const struct api_route *route = api_route_of(socket->path);
	const struct catalog_offer offer = {
		.name = name, .routes = api_route_bit(route), .loaded = true};

	if (!worker)
		return -ERR_TOO_MANY_CONNECTIONS;
	worker->bridge = socket;
	worker->ping_at = MONO_NEVER; /* it would not answer */
	worker->bridge_model = model ? strdup(model) : NULL;
	if (model && !worker->bridge_model)
		abort();

	worker->server->takes_turns = true;
	worker->server->concurrency = 1;
	catalog_offer(worker->server, &offer);
	catalog_model(worker->server, name)->gpus = gpus;
	log_event(workers->log, LOG_INFO, "worker", log_str("worker", worker->server->name),
		  log_str("socket", embeds ? "/ws/embed" : "/ws/chat"));
	workers->on_change(workers->ctx);
	return 0;
}

struct bridge_work *bridge_work_create(const struct worker_request *request)
{
	struct bridge_work *bridge = calloc(1, sizeof(*bridge));

	if (!bridge)
		abort();
	bridge->streams = request->streams;
	snprintf(bridge->model, sizeof(bridge->model), "%s", request->model);
	return bridge;
}

void bridge_work_destroy(struct bridge_work *bridge)
{
	if (!bridge)
		return;
	wipe_text(&bridge->body);
	bridge_answer_finish(&bridge->answer);
	free(bridge);
}

/* At the next tick: whoever asked is in the middle of asking. */
static void fail_soon(struct work *work, int err, const char *why)
{
	work->bridge->err = err;
	snprintf(work->bridge->why, sizeof(work->bridge->why), "%s", why);
	work->due = loop_now();
}

void bridge_take_body(struct work *work, const char *bytes, size_t length)
{
	struct bridge_work *bridge = work->bridge;

	if (bridge->err)
		return;
	if (bridge->body.length + length > BODY_BYTES_MAX)
		fail_soon(work, ERR_TOO_LARGE, "such a tab is asked at most 512 KiB");
	else
		text_add(&bridge->body, bytes, length);
}

/* The request stands inside a message of Baton's: it must be whole JSON. */
void bridge_send_request(struct worker *worker, struct work *work)
{
	struct bridge_work *bridge = work->bridge;
	const struct json_span body = {bridge->body.bytes, bridge->body.length};
	struct parsed parsed = {0};
	cleanup_text struct text message = {0};

	if (bridge->err)
		return;
	int err = json_parse(body.from ? body.from : "", body.length, BODY_BYTES_MAX, &parsed);
	if (err < 0) {
		fail_soon(work, -err, parsed.detail);
	} else {
		bridge_encode_request(&message, work->number, worker->bridge->type, body,
				      worker->bridge_model);
		worker_send_text(worker, &message);
		explicit_bzero(message.bytes, message.length);
	}
	parsed_finish(&parsed);
	wipe_text(&bridge->body);
}

void bridge_send_cancel(struct worker *worker, const struct work *work)
{
	cleanup_text struct text cancel = {0};

	bridge_encode_cancel(&cancel, work->number);
	worker_send_text(worker, &cancel);
}

void bridge_work_due(struct worker *worker, struct work *work)
{
	const struct bridge_work *bridge = work->bridge;
	char why[PARSED_DETAIL_BYTES];

	snprintf(why, sizeof(why), "%s", bridge->why);
	worker_end_work(
		worker, work,
		&(struct upstream_end){.err = bridge->err, .phase = UPSTREAM_HEAD, .what = why});
}

static void end_with(struct worker *worker, struct work *work, int err, const char *what)
{
	worker_end_work(worker, work,
			&(struct upstream_end){.err = err,
					       .phase = work->begun ? UPSTREAM_BODY : UPSTREAM_HEAD,
					       .what = what});
}

/* What it goes on to say of this is not passed on, and its place is not free before it is done. */
static void give_up(struct worker *worker, struct work *work, const char *what)
{
	const struct upstream_handlers *handlers = work->handlers;
	void *ctx = work->ctx;

	work->handlers = NULL;
	work->due = mono_after(loop_now(), worker->workers->stop_ms_max);
	handlers->on_end(
		ctx, work->number,
		&(struct upstream_end){.err = ERR_UPSTREAM_BROKEN,
				       .phase = work->begun ? UPSTREAM_BODY : UPSTREAM_HEAD,
				       .what = what});
}

/* A part stands on one line of an event. Outside of its strings a newline is space. */
static void add_line(struct text *out, struct json_span part)
{
	size_t from = out->length;

	text_add(out, part.from, part.length);
	for (char *at = out->bytes + from; at < out->bytes + out->length; at++)
		if (*at == '\n' || *at == '\r')
			*at = ' ';
}

static void pass_text(struct work *work, const struct text *text)
{
	if (work->paused)
		work->ahead += text->length;
	work->handlers->on_body(work->ctx, work->number, text->bytes, text->length);
}

static void pass_chunk(struct worker *worker, struct work *work, struct json_span part)
{
	cleanup_text struct text event = {0};

	text_str(&event, "data: ");
	add_line(&event, part);
	text_str(&event, "\n\n");
	if (work->paused && work->ahead + event.length > BRIDGE_ANSWER_BYTES_MAX) {
		give_up(worker, work, "its client does not read");
		return;
	}
	if (!work->begun)
		worker_begin_answer(work, 200, "text/event-stream");
	if (work->handlers)
		pass_text(work, &event);
}

/* The answer in one piece. Takes the work. */
static void pass_whole(struct worker *worker, struct work *work, const struct text *body)
{
	if (work->begun) {
		end_with(worker, work, ERR_UPSTREAM_BROKEN, "a whole answer after half a one");
		return;
	}
	worker_begin_answer(work, 200, "application/json");
	if (work->handlers)
		pass_text(work, body);
	end_with(worker, work, 0, "");
}

static void take_part(struct worker *worker, struct work *work,
		      const struct bridge_message *message)
{
	const struct json *choice = json_at(json_get(message->value, "choices"), 0);
	bool whole = message->said == BRIDGE_RESULT || json_get(choice, "message");
	cleanup_text struct text body = {0};

	if (whole) {
		text_add(&body, message->part.from, message->part.length);
		pass_whole(worker, work, &body);
	} else if (work->bridge->streams) {
		pass_chunk(worker, work, message->part);
	} else if (!bridge_answer_take(&work->bridge->answer, message->value, message->part)) {
		give_up(worker, work, "its answer has no end");
	}
}

/* All of it was said. Takes the work. */
static void take_done(struct worker *worker, struct work *work)
{
	cleanup_text struct text text = {0};

	if (work->bridge->streams && work->begun) {
		text_str(&text, "data: [DONE]\n\n");
		pass_text(work, &text);
		end_with(worker, work, 0, "");
	} else if (work->bridge->answer.any) {
		bridge_answer_write(&work->bridge->answer, work->bridge->model, &text);
		pass_whole(worker, work, &text);
	} else {
		end_with(worker, work, ERR_UPSTREAM_BROKEN, "it was done without an answer");
	}
}

static void take_message(struct worker *worker, struct work *work,
			 const struct bridge_message *message)
{
	bool last = message->said == BRIDGE_DONE || message->said == BRIDGE_ERROR ||
		    message->said == BRIDGE_RESULT;

	if (!work->handlers && last) {
		worker_end_work(worker, work, NULL);
	} else if (!work->handlers) {
		work->due = mono_after(loop_now(), worker->workers->stop_ms_max);
	} else if (message->said == BRIDGE_ERROR) {
		char words[WORKER_MESSAGE_BYTES + 1];
		snprintf(words, sizeof(words), "%s", message->words);
		end_with(worker, work, ERR_UPSTREAM_BROKEN, words);
	} else if (message->said == BRIDGE_DONE) {
		take_done(worker, work);
	} else {
		take_part(worker, work, message);
	}
}

void bridge_hear(struct worker *worker, const char *text, size_t length)
{
	struct bridge_message message;
	int err = bridge_decode(text, length, &message);
	struct work *work = err < 0 ? NULL : worker_work_of(worker, message.request);

	if (err < 0)
		worker_turn_away(worker, message.parsed.detail);
	else if (work && message.said != BRIDGE_NOTHING)
		take_message(worker, work, &message);
	bridge_message_finish(&message);
}
