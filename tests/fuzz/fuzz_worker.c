/* Goal: whatever a worker says, in whatever order, the gateway keeps to its bounds: an answer is
 * passed on to whoever asked for it and to nobody else, no more of it than the window lets, and
 * each request ends once. Method: libFuzzer, or the corpus as a plain test. A first line `bridge`
 * makes it one that speaks as the predecessor's tabs did. Each line of the input is a message; what
 * the worker has room for is asked, and a line that begins with a byte of `acts` does what a client
 * does. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "gateway/bridge_answer.h"
#include "gateway/bridge_worker.h"
#include "gateway/call.h"
#include "gateway/catalog.h"
#include "gateway/model.h"
#include "gateway/residence.h"
#include "gateway/worker.h"
#include "http/field.h"
#include "net/loop.h"
#include "net/session.h"
#include "net/upstream.h"
#include "wire/worker_decode.h"
#include "wire/worker_encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONN = 5, ASKED_MAX = 64 };

/* A request that the world behind the gateway made. */
static struct asked {
	uint64_t number;
	bool open, begun, paused;
	size_t bytes; /* of its answer, while it is paused */
} asked[ASKED_MAX];
static unsigned asked_count;
static struct worker *worker;
static bool closed, bridge;
static struct mono_ms now = {1000};

/* ---- what the worker's file borrows ---- */

struct mono_ms loop_now(void)
{
	return now;
}

void net_session_send(struct net *net, uint64_t conn, const char *text, size_t length)
{
	(void)net, (void)length;
	assert(conn == CONN && text[0] == '{');
}

void net_session_send_bytes(struct net *net, uint64_t conn, uint64_t number, const char *bytes,
			    size_t length)
{
	(void)net, (void)conn, (void)number, (void)bytes, (void)length;
}

void net_session_rate(struct net *net, uint64_t conn, unsigned messages_per_s)
{
	(void)net, (void)conn, (void)messages_per_s;
}

void net_session_close(struct net *net, uint64_t conn, int code, const char *reason)
{
	(void)net;
	assert(conn == CONN && code == 1008 && reason[0] && !closed);
	closed = true;
}

void residence_server_gone(const struct model_server *server, struct mono_ms at)
{
	(void)server, (void)at;
}

void residence_listed(const struct model_server *server, struct mono_ms at)
{
	(void)server, (void)at;
}

int call_start(struct upstream *upstream, const struct call_question *question, call_done *done,
	       void *ctx, struct call **ret_call)
{
	(void)upstream, (void)question, (void)done, (void)ctx, (void)ret_call;
	return -ERR_NO_MEMORY;
}

void call_cancel(struct call *call)
{
	assert(!call);
}

/* ---- who asks ---- */

static void on_head(void *ctx, uint64_t request, int status, struct http_field_iterator fields)
{
	struct asked *one = ctx;

	assert(one->open && !one->begun && one->number == request);
	assert(status >= 200 && status <= 599 && fields.at < fields.end);
	one->begun = true;
}

static void on_body(void *ctx, uint64_t request, const char *bytes, size_t length)
{
	struct asked *one = ctx;

	assert(one->open && one->begun && one->number == request && bytes && length > 0);
	one->bytes = one->paused ? one->bytes + length : 0;
	assert(one->bytes <= (bridge ? BRIDGE_ANSWER_BYTES_MAX : WORKER_WINDOW_BYTES));
}

static void on_writable(void *ctx, uint64_t request)
{
	const struct asked *one = ctx;

	assert(one->open && one->number == request);
}

static void on_end(void *ctx, uint64_t request, const struct upstream_end *end)
{
	struct asked *one = ctx;

	assert(one->open && one->number == request && end->what);
	assert(end->err >= 0 && end->err < ERR_COUNT && (end->err || one->begun));
	one->open = false;
}

static void on_change(void *ctx)
{
	(void)ctx;
}

static void on_leave(void *ctx, const struct model_server *server)
{
	(void)ctx;
	assert(server->running == 0);
}

static const struct upstream_handlers handlers = {on_head, on_body, on_writable, on_end};

static void ask(const struct catalog *catalog)
{
	const struct catalog_wish wish = {.name = "m", .principal = "token"};
	const struct model *model = catalog_find(catalog, &wish);
	struct worker_request request = {.path = "/",
					 .model = "m",
					 .client = "c",
					 .content_type = "application/json",
					 .streams = asked_count % 2 == 0};
	struct asked *one = &asked[asked_count];

	if (closed || asked_count == ASKED_MAX || !model || !server_has_room(model->server))
		return;
	worker = model->server->worker;
	*one = (struct asked){.open = true};
	one->number = worker_start(worker, &request, &handlers, one);
	worker_write(worker, one->number, "{}", 2);
	worker_write_end(worker, one->number);
	asked_count++;
}

/* What clients do: leave, stop reading, read again; or time passes. */
static bool act(char what, struct workers *workers)
{
	struct asked *one = asked_count ? &asked[asked_count - 1] : NULL;

	if (what == 't') {
		now.v += 30 * 1000;
		workers_tick(workers, now);
		return true;
	}
	if (!strchr("cpr", what) || !what)
		return false;
	if (!one || !one->open || closed)
		return true;
	if (what == 'c') {
		one->open = false;
		worker_cancel(worker, one->number);
	} else {
		one->paused = what == 'p';
		one->bytes = 0;
		worker_pause(worker, one->number, one->paused);
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char hello[] = "{\"type\":\"hello\",\"id\":\"t\",\"concurrency\":2,\"models\":"
				    "[{\"id\":\"m\",\"paths\":[\"/v1/chat/completions\"]}]}";
	struct log log = {0};
	struct catalog catalog;
	struct workers workers = {.log = &log,
				  .catalog = &catalog,
				  .stop_ms_max = 90000,
				  .on_change = on_change,
				  .on_leave = on_leave};
	struct worker_message message;
	const char *at = (const char *)data, *end = at + size;

	asked_count = 0;
	closed = false;
	catalog_init(&catalog, NULL, on_change, NULL);
	workers_init(&workers);
	bridge = size > 7 && !memcmp(at, "bridge\n", 7);
	if (bridge) {
		at += 7;
		worker_open_bridge(&workers, CONN, NULL, false, "m", 1);
	} else {
		int rc = worker_decode(hello, strlen(hello), &message);
		assert(rc == 0);
		rc = worker_open(&workers, CONN, NULL, &message);
		assert(rc == 0);
		worker_message_finish(&message);
	}

	while (at < end) {
		const char *line = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((line ? line : end) - at);

		ask(&catalog);
		if (length != 1 || !act(*at, &workers))
			worker_say(&workers, CONN, at, length);
		assert(workers.count == (closed ? 0 : 1));
		at += length + 1;
	}

	if (closed)
		for (unsigned i = 0; i < asked_count; i++)
			assert(!asked[i].open);
	worker_gone(&workers, CONN);
	assert(workers.count == 0);
	catalog_finish(&catalog);
	return 0;
}
