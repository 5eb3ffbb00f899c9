/* worker: see worker.h. Each request has its place in one list until the worker says that it does
 * nothing for it any more, also when nobody waits for it. */
#include "gateway/worker.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "gateway/api.h"
#include "gateway/bridge_worker.h"
#include "gateway/catalog.h"
#include "gateway/model.h"
#include "gateway/worker_impl.h"
#include "http/field.h"
#include "json/json_reader.h"
#include "net/loop.h"
#include "net/session.h"
#include "net/upstream.h"
#include "wire/worker_decode.h"
#include "wire/worker_encode.h"

enum {
	WORKERS_MAX = 64,
	UNANSWERED_PINGS_MAX = 4,
	MESSAGES_PER_S = 2000,
	BODY_AHEAD_BYTES = 512 * 1024, /* of all its requests' bodies, not yet read */
	MORE_BYTES = WORKER_WINDOW_BYTES / 4,
};

void workers_init(struct workers *workers)
{
	list_init(&workers->all);
	workers->next_worker = workers->next_request = 1;
}

struct work *worker_work_of(const struct worker *worker, uint64_t number)
{
	list_each (it, next, &worker->works) {
		struct work *work = container_of(it, struct work, in_worker);
		if (work->number == number)
			return work;
	}
	return NULL;
}

static struct worker *worker_of(const struct workers *workers, uint64_t conn)
{
	list_each (it, next, &workers->all) {
		struct worker *worker = container_of(it, struct worker, in_workers);
		if (worker->conn == conn)
			return worker;
	}
	return NULL;
}

void worker_send_text(const struct worker *worker, const struct text *text)
{
	net_session_send(worker->workers->net, worker->conn, text->bytes, text->length);
}

void worker_free_work(struct worker *worker, struct work *work)
{
	list_remove(&work->in_worker);
	worker->server->running--;
	bridge_work_destroy(work->bridge);
	free(work);
}

static void free_worker(struct worker *worker)
{
	list_each (it, next, &worker->works)
		worker_free_work(worker, container_of(it, struct work, in_worker));
	catalog_remove(worker->server);
	list_remove(&worker->in_workers);
	worker->workers->count--;
	free(worker->bridge_model);
	free(worker);
}

void workers_finish(struct workers *workers)
{
	list_each (it, next, &workers->all)
		free_worker(container_of(it, struct worker, in_workers));
}

/* Its requests hear that it is gone; they may be asked of others meanwhile, not of this one. */
static void end_worker(struct worker *worker, const char *what)
{
	const struct upstream_end gone = {
		.err = ERR_UPSTREAM_UNREACHABLE, .phase = UPSTREAM_HEAD, .what = what};
	struct workers *workers = worker->workers;

	worker->server->concurrency = 0;
	while (!list_empty(&worker->works)) {
		struct work *work = container_of(worker->works.next, struct work, in_worker);
		const struct upstream_handlers *handlers = work->handlers;
		void *ctx = work->ctx;
		uint64_t number = work->number;

		worker_free_work(worker, work);
		if (handlers)
			handlers->on_end(ctx, number, &gone);
	}
	log_event(workers->log, LOG_INFO, "worker gone", log_str("worker", worker->server->name),
		  log_str("why", what));
	workers->on_leave(workers->ctx, worker->server);
	free_worker(worker);
	workers->on_change(workers->ctx);
}

void worker_turn_away(struct worker *worker, const char *what)
{
	log_event(worker->workers->log, LOG_WARN, "client bug: worker",
		  log_str("worker", worker->server->name), log_str("what", what));
	net_session_close(worker->workers->net, worker->conn, 1008, what);
	end_worker(worker, what);
}

static uint32_t routes_of(const struct json *paths)
{
	uint32_t routes = 0;

	for (size_t i = 0; i < json_count(paths); i++) {
		const char *path = json_text(json_at(paths, i));
		const struct api_route *route = path ? api_route_of(path) : NULL;
		routes |= route ? api_route_bit(route) : 0;
	}
	return routes;
}

static void take_offer(struct worker *worker, const struct worker_message *message)
{
	worker->server->concurrency = message->concurrency;
	catalog_offer_none(worker->server);
	for (unsigned i = 0; i < message->model_count; i++) {
		const struct worker_model *model = &message->models[i];
		const struct catalog_offer offer = {.name = model->name,
						    .routes = routes_of(model->paths),
						    .loaded = model->loaded,
						    .vram_bytes = model->vram_mb << 20};
		if (offer.routes)
			catalog_offer(worker->server, &offer);
	}
	worker->workers->on_change(worker->workers->ctx);
}

/* "tab:" keeps it apart from the configuration's names; it stands in a header. */
static void name_server(const char *id, char *ret_name, size_t size)
{
	size_t used = (size_t)snprintf(ret_name, size, "tab:");

	for (; *id && used < size - 1; id++)
		ret_name[used++] = isalnum((unsigned char)*id) || strchr("-._", *id) ? *id : '-';
	ret_name[used] = '\0';
}

struct worker *worker_create(struct workers *workers, uint64_t conn, const char *principal,
			     const char *id)
{
	char name[LIMIT_ID_BYTES + 8];
	struct worker *worker;

	if (workers->count == WORKERS_MAX)
		return NULL;
	worker = calloc(1, sizeof(*worker));
	if (!worker)
		abort();

	*worker = (struct worker){.workers = workers,
				  .conn = conn,
				  .ping_at = mono_after(loop_now(), WORKER_PING_MS)};
	list_init(&worker->works);
	list_init(&worker->in_workers);
	list_append(&workers->all, &worker->in_workers);
	workers->count++;
	name_server(id, name, sizeof(name));
	worker->server = catalog_add_worker(workers->catalog, worker, name, principal);
	net_session_rate(workers->net, conn, MESSAGES_PER_S);
	return worker;
}

int worker_open(struct workers *workers, uint64_t conn, const char *principal,
		const struct worker_message *hello)
{
	struct worker *worker = worker_create(workers, conn, principal, hello->name);
	cleanup_text struct text welcome = {0};

	if (!worker)
		return -ERR_TOO_MANY_CONNECTIONS;
	worker_encode_welcome(&welcome, workers->next_worker++);
	worker_send_text(worker, &welcome);
	log_event(workers->log, LOG_INFO, "worker", log_str("worker", worker->server->name),
		  log_int("models", hello->model_count),
		  log_int("concurrency", hello->concurrency));
	take_offer(worker, hello);
	return 0;
}

void worker_begin_answer(struct work *work, int status, const char *content_type)
{
	char line[64];
	int length = snprintf(line, sizeof(line), "Content-Type: %s\r\n", content_type);

	work->begun = true;
	if (work->handlers)
		work->handlers->on_head(work->ctx, work->number, status,
					(struct http_field_iterator){line, line + length});
}

static void take_head(struct worker *worker, const struct worker_message *message)
{
	struct work *work = worker_work_of(worker, message->request);

	if (!work || work->begun) {
		worker_turn_away(worker, "an answer that was not asked for");
		return;
	}
	worker_begin_answer(work, message->status, message->content_type);
}

static void give_back(const struct worker *worker, struct work *work)
{
	cleanup_text struct text more = {0};

	if (work->paused || work->taken < MORE_BYTES)
		return;
	worker_encode_more(&more, work->number, work->taken);
	work->ahead -= work->taken;
	work->taken = 0;
	worker_send_text(worker, &more);
}

static void take_piece(struct worker *worker, const struct worker_message *message)
{
	struct work *work = worker_work_of(worker, message->request);
	uint64_t number = message->request;

	if (!work || !work->begun) {
		worker_turn_away(worker, "an answer that was not asked for");
		return;
	}
	work->ahead += message->text_length;
	if (work->ahead > WORKER_WINDOW_BYTES) {
		worker_turn_away(worker, "more of an answer than its window takes");
		return;
	}
	work->taken += message->text_length;
	if (work->handlers && message->text_length > 0)
		work->handlers->on_body(work->ctx, number, message->text, message->text_length);

	work = worker_work_of(worker, number); /* it may be cancelled now */
	if (work)
		give_back(worker, work);
}

/* Which errors a worker can give a client: none that would be Baton's own word. */
static int client_err(int err)
{
	switch (err) {
	case ERR_BAD_REQUEST:
	case ERR_BAD_JSON:
	case ERR_BAD_FIELD:
	case ERR_TOO_LARGE:
	case ERR_MODEL_FAILED:
	case ERR_TIMEOUT:
	case ERR_OUTRANKED:
		return err;
	case ERR_DRAINING:
		return ERR_UPSTREAM_UNREACHABLE;
	default:
		return ERR_UPSTREAM_BROKEN;
	}
}

void worker_end_work(struct worker *worker, struct work *work, const struct upstream_end *end)
{
	struct workers *workers = worker->workers;
	const struct upstream_handlers *handlers = work->handlers;
	void *ctx = work->ctx;
	uint64_t number = work->number;

	worker_free_work(worker, work);
	workers->on_change(workers->ctx);
	if (handlers)
		handlers->on_end(ctx, number, end);
}

static void take_end(struct worker *worker, const struct worker_message *message)
{
	struct work *work = worker_work_of(worker, message->request);
	struct upstream_end end = {.phase = UPSTREAM_BODY, .what = ""};

	if (!work) {
		worker_turn_away(worker, "an answer that was not asked for");
		return;
	}
	if (message->err || !work->begun) {
		end.err = message->err ? client_err(message->err) : ERR_UPSTREAM_BROKEN;
		end.phase = work->begun ? UPSTREAM_BODY : UPSTREAM_HEAD;
		end.what = message->words ? message->words : err_text(end.err);
	}
	worker_end_work(worker, work, &end);
}

static void take_took(struct worker *worker, const struct worker_message *message)
{
	if (message->bytes > worker->body_ahead) {
		worker_turn_away(worker, "it took more than it was sent");
		return;
	}
	worker->body_ahead -= message->bytes;
	list_each (it, next, &worker->works) {
		struct work *work = container_of(it, struct work, in_worker);
		if (!work->full || !work->handlers || worker->body_ahead >= BODY_AHEAD_BYTES)
			continue;
		work->full = false;
		work->handlers->on_writable(work->ctx, work->number);
	}
}

static void take_message(struct worker *worker, const struct worker_message *message)
{
	switch (message->said) {
	case WORKER_HELLO:
		worker_turn_away(worker, "hello comes once");
		break;
	case WORKER_MODELS:
		take_offer(worker, message);
		break;
	case WORKER_HEAD:
		take_head(worker, message);
		break;
	case WORKER_PIECE:
		take_piece(worker, message);
		break;
	case WORKER_TOOK:
		take_took(worker, message);
		break;
	case WORKER_END:
		take_end(worker, message);
		break;
	case WORKER_PONG:
		break;
	}
}

void worker_say(struct workers *workers, uint64_t conn, const char *text, size_t length)
{
	struct worker *worker = worker_of(workers, conn);
	struct worker_message message;

	if (!worker)
		return;
	worker->pings = 0;
	if (worker->bridge) {
		bridge_hear(worker, text, length);
		return;
	}
	if (worker_decode(text, length, &message) == 0)
		take_message(worker, &message);
	else
		worker_turn_away(worker, message.parsed.detail);
	worker_message_finish(&message);
}

void worker_gone(struct workers *workers, uint64_t conn)
{
	struct worker *worker = worker_of(workers, conn);

	if (worker)
		end_worker(worker, "its connection closed");
}

uint64_t worker_start(struct worker *worker, struct worker_request *request,
		      const struct upstream_handlers *handlers, void *ctx)
{
	cleanup_text struct text asked = {0};
	struct work *work = calloc(1, sizeof(*work));

	if (!work)
		abort();
	*work = (struct work){.number = worker->workers->next_request++,
			      .handlers = handlers,
			      .ctx = ctx,
			      .due = MONO_NEVER};
	list_init(&work->in_worker);
	list_append(&worker->works, &work->in_worker);
	worker->server->running++;

	request->request = work->number;
	if (worker->bridge) {
		work->bridge = bridge_work_create(request);
		return work->number; /* with its body, once that is whole */
	}
	worker_encode_request(&asked, request);
	worker_send_text(worker, &asked);
	return work->number;
}

size_t worker_room(struct worker *worker, uint64_t request)
{
	struct work *work = worker_work_of(worker, request);

	if (!work)
		return 0;
	if (worker->bridge)
		return BODY_AHEAD_BYTES;
	work->full = worker->body_ahead >= BODY_AHEAD_BYTES;
	return work->full ? 0 : BODY_AHEAD_BYTES - worker->body_ahead;
}

bool worker_write(struct worker *worker, uint64_t request, const char *bytes, size_t length)
{
	struct work *work = worker_work_of(worker, request);

	if (!work)
		return false;
	if (worker->bridge) {
		bridge_take_body(work, bytes, length);
		return true;
	}
	net_session_send_bytes(worker->workers->net, worker->conn, request, bytes, length);
	worker->body_ahead += length;
	work->full = worker->body_ahead >= BODY_AHEAD_BYTES;
	return !work->full;
}

void worker_write_end(struct worker *worker, uint64_t request)
{
	cleanup_text struct text end = {0};
	struct work *work = worker_work_of(worker, request);

	if (worker->bridge && work) {
		bridge_send_request(worker, work);
		return;
	}
	worker_encode_body_end(&end, request);
	worker_send_text(worker, &end);
}

void worker_pause(struct worker *worker, uint64_t request, bool paused)
{
	struct work *work = worker_work_of(worker, request);

	if (!work)
		return;
	work->paused = paused;
	if (worker->bridge)
		work->ahead = 0; /* it cannot be told to wait */
	else
		give_back(worker, work);
}

void worker_cancel(struct worker *worker, uint64_t request)
{
	cleanup_text struct text cancel = {0};
	struct work *work = worker_work_of(worker, request);

	if (!work || !work->handlers)
		return;
	work->handlers = NULL;
	work->paused = false; /* what comes now is thrown away */
	work->due = mono_after(loop_now(), worker->workers->stop_ms_max);
	if (worker->bridge) {
		bridge_send_cancel(worker, work);
		return;
	}
	worker_encode_cancel(&cancel, request);
	worker_send_text(worker, &cancel);
}

/* False: it is gone, or one of its requests is. */
static bool look_after(struct worker *worker, struct mono_ms now)
{
	cleanup_text struct text ping = {0};

	list_each (it, next, &worker->works) {
		struct work *work = container_of(it, struct work, in_worker);
		if (!mono_due(work->due, now))
			continue;
		if (worker->bridge) {
			bridge_work_due(worker, work);
			return false;
		}
		worker_turn_away(worker, "it did not stop what was cancelled");
		return false;
	}
	if (!mono_due(worker->ping_at, now))
		return true;
	if (worker->pings == UNANSWERED_PINGS_MAX) {
		worker_turn_away(worker, "it does not answer");
		return false;
	}
	worker->pings++;
	worker->ping_at = mono_after(now, WORKER_PING_MS);
	worker_encode_ping(&ping);
	worker_send_text(worker, &ping);
	return true;
}

void workers_tick(struct workers *workers, struct mono_ms now)
{
	list_each (it, next, &workers->all)
		if (!look_after(container_of(it, struct worker, in_workers), now))
			break; /* the next may be gone with it; the next tick is at once */
}

struct mono_ms workers_next(const struct workers *workers)
{
	struct mono_ms next = MONO_NEVER;

	list_each (it, following, &workers->all) {
		const struct worker *worker = container_of(it, struct worker, in_workers);
		next = mono_min(next, worker->ping_at);
		list_each (at, after, &worker->works)
			next = mono_min(next, container_of(at, struct work, in_worker)->due);
	}
	return next;
}
