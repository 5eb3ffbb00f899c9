/* driver_libbaton: libbaton as a client of the conformance suite. Its clock and its socket are
 * those of the runner (virtual.py says how), handed in by src/client/world.h; what runs is the
 * library that programs get, under a small program that uses "the GPU" when it may. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mono.h"
#include "baton/baton.h"
#include "client/world.h"

enum { STREAM_FIRST = 1000, NOT_USING = -1 };

enum after_stop { THEN_RELEASE, THEN_REQUEUE, THEN_CONFIRM, THEN_EXIT };

struct program {
	const char *on_yield, *class_name;
	int64_t timeout_ms, stop_ms, hold_ms, need_ms;
	bool no_wait;
};

struct driver {
	struct mono_ms now, armed;
	int stream; /* the newest one */
	bool peer_closed, over;
	char listening; /* 'y', 'n', 's': takes connections but does not answer */
	struct buf in;
	json_t *out;   /* of this round */
	json_t *tells; /* not yet obeyed */
	struct program program;
	struct baton *baton;
	struct baton_claim *claim;
	bool using;
	struct mono_ms stop_at, release_at, wait_end;
	enum after_stop then;
};

static struct driver driver = {
	.stop_at = {INT64_MAX}, .release_at = {INT64_MAX}, .wait_end = {INT64_MAX}};

static void report(json_t *event)
{
	json_array_append_new(driver.out, event);
}

static void report_plain(const char *what)
{
	report(json_pack("{s:s}", "ev", what));
}

/* ---- the runner ---- */

static void read_program(const json_t *given)
{
	struct program *program = &driver.program;
	const json_t *timeout = json_object_get(given, "timeout_ms");
	const json_t *need = json_object_get(given, "need_ms");
	const char *on_yield = json_string_value(json_object_get(given, "on_yield"));
	program->on_yield = strdup(on_yield ? on_yield : "ignore");
	program->timeout_ms = timeout && !json_is_null(timeout) ? json_integer_value(timeout)
								: BATON_TIMEOUT_NEVER;
	program->stop_ms = json_integer_value(json_object_get(given, "stop_ms"));
	program->hold_ms = json_integer_value(json_object_get(given, "hold_ms"));
	program->no_wait = json_is_true(json_object_get(given, "no_wait"));
	program->need_ms = need ? json_integer_value(need) : 0;
}

static void obey(json_t *order)
{
	const char *op = json_string_value(json_object_get(order, "op"));
	const json_t *conn = json_object_get(order, "conn");
	bool current = conn && json_integer_value(conn) == driver.stream;
	const char *text = json_string_value(json_object_get(order, "text"));
	if (strcmp(op, "start") == 0) {
		read_program(json_object_get(order, "program"));
	} else if (strcmp(op, "message") == 0 && current) {
		buf_append(&driver.in, text, strlen(text));
		buf_append(&driver.in, "\n", 1);
	} else if (strcmp(op, "closed") == 0 && current) {
		driver.peer_closed = true;
	} else if (strcmp(op, "tell") == 0) {
		json_array_append(driver.tells, json_object_get(order, "what"));
	}
}

static struct mono_ms next_wake(void)
{
	struct mono_ms program = mono_min(driver.stop_at, driver.release_at);
	return mono_min(program, mono_min(driver.armed, driver.wait_end));
}

/* Gives the round's answer and takes the next round. */
static void exchange(bool answer)
{
	if (answer) {
		struct mono_ms next = next_wake();
		json_t *wake = next.v == INT64_MAX ? json_null() : json_integer(next.v);
		json_t *line = json_pack("{s:o, s:o}", "out", driver.out, "next", wake);
		json_dumpf(line, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
		json_decref(line);
		driver.out = json_array();
	}
	json_t *round = json_loadf(stdin, JSON_DISABLE_EOF_CHECK, NULL);
	if (!round)
		exit(0);
	driver.now.v = json_integer_value(json_object_get(round, "now"));
	driver.listening = *json_string_value(json_object_get(round, "listening"));
	size_t i;
	json_t *order;
	json_array_foreach (json_object_get(round, "do"), i, order)
		obey(order);
	json_decref(round);
}

/* ---- the world of libbaton ---- */

static struct mono_ms world_now(void *ctx)
{
	(void)ctx;
	return driver.now;
}

static int world_random(void *ctx, void *bytes, size_t size)
{
	static unsigned char last;
	(void)ctx;
	for (size_t i = 0; i < size; i++)
		((unsigned char *)bytes)[i] = ++last;
	return 0;
}

static int world_connect(void *ctx, const char *path)
{
	(void)ctx, (void)path;
	if (driver.listening == 'n')
		return -ERR_UNREACHABLE;
	driver.stream = driver.stream ? driver.stream + 1 : STREAM_FIRST;
	driver.peer_closed = false;
	buf_clear(&driver.in, 0);
	report(json_pack("{s:s, s:i}", "ev", "connect", "conn", driver.stream));
	return driver.stream;
}

static ssize_t world_send(void *ctx, int stream, const void *bytes, size_t length)
{
	(void)ctx;
	if (driver.peer_closed) {
		errno = EPIPE;
		return -1;
	}
	const char *at = bytes, *end = at + length, *line_end;
	for (; at < end && (line_end = memchr(at, '\n', (size_t)(end - at))); at = line_end + 1)
		report(json_pack("{s:s, s:i, s:s%}", "ev", "sent", "conn", stream, "text", at,
				 (size_t)(line_end - at)));
	return (ssize_t)length;
}

static ssize_t world_receive(void *ctx, int stream, void *bytes, size_t size)
{
	(void)ctx, (void)stream;
	size_t length = driver.in.length < size ? driver.in.length : size;
	if (length == 0 && driver.peer_closed)
		return 0;
	if (length == 0) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(bytes, buf_data(&driver.in), length);
	buf_consume(&driver.in, length);
	return (ssize_t)length;
}

static void world_close(void *ctx, int stream)
{
	(void)ctx;
	if (!driver.peer_closed)
		report(json_pack("{s:s, s:i}", "ev", "closed", "conn", stream));
	driver.peer_closed = true;
}

static int world_watch(void *ctx, int epoll_fd, int stream, bool fresh, bool for_write)
{
	(void)ctx, (void)epoll_fd, (void)stream, (void)fresh, (void)for_write;
	return 0;
}

static void world_arm(void *ctx, int timer_fd, struct mono_ms next)
{
	(void)ctx, (void)timer_fd;
	driver.armed = next;
}

/* baton_connect waits for its welcome. */
static int world_wait(void *ctx, int fd, int timeout_ms)
{
	(void)ctx, (void)fd;
	driver.wait_end = timeout_ms < 0 ? MONO_NEVER : mono_after(driver.now, timeout_ms);
	exchange(true);
	driver.wait_end = MONO_NEVER;
	return 1;
}

static const struct client_world world = {
	.now = world_now,
	.random = world_random,
	.connect = world_connect,
	.send = world_send,
	.receive = world_receive,
	.close = world_close,
	.watch = world_watch,
	.arm = world_arm,
	.wait = world_wait,
};

/* ---- the program ---- */

static void leave(void)
{
	if (driver.baton)
		baton_close(driver.baton);
	driver.baton = NULL;
	driver.claim = NULL;
	driver.armed = MONO_NEVER;
	driver.over = true;
	report_plain("exited");
}

static void has_stopped(void)
{
	driver.stop_at = MONO_NEVER;
	if (driver.using)
		report_plain("stopped");
	driver.using = false;
	if (driver.then == THEN_EXIT)
		leave();
	else if (driver.then == THEN_CONFIRM)
		(void)baton_lease_stopped(driver.claim);
	else
		(void)baton_release(driver.claim, driver.then == THEN_REQUEUE);
}

static void stop_work(enum after_stop then)
{
	driver.then = then;
	driver.release_at = MONO_NEVER;
	if (driver.stop_at.v == INT64_MAX)
		driver.stop_at = mono_after(driver.now, driver.using ? driver.program.stop_ms : 0);
	if (mono_due(driver.stop_at, driver.now) && then != THEN_EXIT)
		has_stopped();
}

static void on_granted(struct baton_claim *claim, const struct baton_lease *lease, void *ctx)
{
	(void)claim, (void)lease, (void)ctx;
	driver.using = true;
	report_plain("using");
	if (driver.program.hold_ms > 0)
		driver.release_at = mono_after(driver.now, driver.program.hold_ms);
}

static void on_yield(struct baton_claim *claim, const struct baton_yield *yield, void *ctx)
{
	(void)yield, (void)ctx;
	if (driver.program.need_ms > 0)
		baton_yielding(claim, driver.program.need_ms);
	if (strcmp(driver.program.on_yield, "release") == 0)
		stop_work(THEN_RELEASE);
	else if (strcmp(driver.program.on_yield, "requeue") == 0)
		stop_work(THEN_REQUEUE);
}

static void on_revoked(struct baton_claim *claim, const char *reason, void *ctx)
{
	(void)claim, (void)reason, (void)ctx;
	stop_work(driver.then == THEN_EXIT && driver.stop_at.v != INT64_MAX ? THEN_EXIT
									    : THEN_CONFIRM);
}

static void on_ended(struct baton_claim *claim, int code, const char *reason, void *ctx)
{
	(void)claim, (void)reason, (void)ctx;
	report(json_pack("{s:s, s:s}", "ev", "ended", "code", baton_error_name(code)));
}

static void ask(void)
{
	struct baton_claim_handlers handlers;
	struct baton_request request;
	baton_claim_handlers_init(&handlers);
	handlers.granted = on_granted;
	handlers.yield = on_yield;
	handlers.revoked = on_revoked;
	handlers.ended = on_ended;
	handlers.stops_later = driver.program.stop_ms > 0;
	baton_request_init(&request);
	request.timeout_ms = driver.program.timeout_ms;
	request.no_wait = driver.program.no_wait;
	request.handlers = &handlers;
	if (baton_acquire(driver.baton, &request, &driver.claim) < 0)
		report_plain("ended");
}

static void obey_tells(void)
{
	while (json_array_size(driver.tells) > 0 && driver.baton) {
		const char *what = json_string_value(json_array_get(driver.tells, 0));
		if (strcmp(what, "cancel") == 0)
			baton_cancel(driver.claim);
		else if (strcmp(what, "release") == 0)
			stop_work(THEN_RELEASE);
		else if (strcmp(what, "exit") == 0)
			stop_work(THEN_EXIT);
		json_array_remove(driver.tells, 0);
	}
}

static void run_round(void)
{
	obey_tells();
	if (mono_due(driver.release_at, driver.now))
		stop_work(THEN_RELEASE);
	while (driver.baton && baton_dispatch(driver.baton, 0) > 0)
		;
	if (mono_due(driver.stop_at, driver.now))
		has_stopped();
	while (driver.baton && baton_dispatch(driver.baton, 0) > 0)
		;
}

int main(void)
{
	struct baton_options options;
	driver.out = json_array();
	driver.tells = json_array();
	client_world_set(&world);
	baton_options_init(&options);
	options.name = "conformance";
	options.socket_path = "/nowhere";
	exchange(false);
	if (baton_connect(&options, &driver.baton) == 0)
		ask();
	else
		leave();
	for (;;) {
		if (driver.baton)
			run_round();
		exchange(true);
	}
}
