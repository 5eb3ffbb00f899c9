/* The HTTP client against a server that answers well, stalls, floods, lies, breaks off and resets:
 * each request ends once, in words and with its phase, in its time; memory stays bounded; what was
 * cancelled is heard of no more. */
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/limits.h"
#include "net/loop.h"
#include "net/upstream.h"
#include "origin.h"

enum { LONG_BYTES = 8 * 1024 * 1024, BOUND_BYTES = 512 * 1024, MANY = 100 };

struct scene {
	struct loop *loop;
	struct upstream *upstream;
	struct origin origin;
	char url[64];
	int descriptors;
};

/* What one request was told. */
struct asked {
	struct scene *scene;
	uint64_t id;
	unsigned heads, bodies, ends, writable;
	int status, err;
	enum upstream_phase phase;
	char what[160], fields[256], body[64];
	size_t bytes;
	bool pause_in_head, cancel_in_head, cancel_in_body, pause_in_body, again_in_end;
	struct asked *again;
};

static int count_descriptors(void)
{
	int count = 0;
	DIR *folder = opendir("/proc/self/fd");
	assert_non_null(folder);
	while (readdir(folder))
		count++;
	(void)closedir(folder);
	return count;
}

static struct scene *scene_open(void)
{
	struct scene *scene = calloc(1, sizeof *scene);
	assert_non_null(scene);
	scene->descriptors = count_descriptors();
	assert_int_equal(loop_create(&scene->loop), 0);
	assert_int_equal(upstream_create(scene->loop, 256, &scene->upstream), 0);
	scene->origin = origin_open(scene->loop);
	(void)snprintf(scene->url, sizeof scene->url, "http://127.0.0.1:%u/v1/x?y=z",
		       scene->origin.port);
	return scene;
}

static void scene_close(struct scene *scene)
{
	assert_int_equal(upstream_count(scene->upstream), 0);
	upstream_destroy(scene->upstream);
	loop_destroy(scene->loop);
	origin_close(&scene->origin);
	assert_int_equal(count_descriptors(), scene->descriptors);
	free(scene);
}

static void start(struct asked *asked, const struct upstream_request *request);

static void on_head(void *ctx, uint64_t id, int status, struct http_field_iterator fields)
{
	struct asked *asked = ctx;
	struct http_field field;
	assert_int_equal(id, asked->id);
	assert_int_equal(asked->ends, 0);
	asked->heads++;
	asked->status = status;
	asked->fields[0] = '\0';
	while (http_field_next(&fields, &field))
		(void)snprintf(asked->fields + strlen(asked->fields),
			       sizeof asked->fields - strlen(asked->fields), "%.*s=%.*s|",
			       (int)field.name_length, field.name, (int)field.value_length,
			       field.value);
	if (asked->pause_in_head)
		upstream_pause(asked->scene->upstream, id, true);
	if (asked->cancel_in_head)
		upstream_cancel(asked->scene->upstream, id);
}

static void on_body(void *ctx, uint64_t id, const char *bytes, size_t length)
{
	struct asked *asked = ctx;
	assert_int_equal(asked->heads, 1);
	assert_int_equal(asked->ends, 0);
	assert_true(length > 0);
	size_t at = asked->bytes < sizeof asked->body - 1 ? asked->bytes : sizeof asked->body - 1;
	size_t n = length < sizeof asked->body - 1 - at ? length : sizeof asked->body - 1 - at;
	memcpy(asked->body + at, bytes, n);
	asked->bytes += length;
	asked->bodies++;
	if (asked->pause_in_body)
		upstream_pause(asked->scene->upstream, id, true);
	if (asked->cancel_in_body)
		upstream_cancel(asked->scene->upstream, id);
}

static void on_writable(void *ctx, uint64_t id)
{
	struct asked *asked = ctx;
	assert_int_equal(id, asked->id);
	asked->writable++;
}

static void on_end(void *ctx, uint64_t id, const struct upstream_end *end)
{
	struct asked *asked = ctx;
	assert_int_equal(id, asked->id);
	asked->ends++;
	asked->err = end->err;
	asked->phase = end->phase;
	(void)snprintf(asked->what, sizeof asked->what, "%s", end->what);
	if (asked->again_in_end)
		start(asked->again,
		      &(struct upstream_request){.method = "GET", .url = asked->scene->url});
}

static const struct upstream_handlers handlers = {on_head, on_body, on_writable, on_end};

static void start(struct asked *asked, const struct upstream_request *request)
{
	assert_int_equal(
		upstream_start(asked->scene->upstream, request, &handlers, asked, &asked->id), 0);
	assert_int_equal(asked->heads + asked->bodies + asked->ends, 0); /* none within */
}

static struct asked get(struct scene *scene)
{
	return (struct asked){.scene = scene};
}

/* Limits far away: what ends does so by what the server does. */
static struct upstream_request plain(const struct scene *scene, const char *method)
{
	return (struct upstream_request){.method = method,
					 .url = scene->url,
					 .connect_time_ms = 9000,
					 .first_byte_time_ms = 9000,
					 .idle_time_ms = 9000};
}

static void wait_for(struct scene *scene, const unsigned *counter, unsigned at_least)
{
	struct mono_ms deadline = mono_after(loop_now(), ORIGIN_WAIT_MS);
	while (*counter < at_least) {
		origin_turn(scene->loop);
		if (mono_due(deadline, loop_now()))
			fail_msg("waited for %u and got %u", at_least, *counter);
	}
}

static void check_end(struct asked *asked, int err, enum upstream_phase phase)
{
	wait_for(asked->scene, &asked->ends, 1);
	if (asked->err != err || asked->phase != phase)
		fail_msg("ended with %s in phase %d: %s", err_name(asked->err), asked->phase,
			 asked->what);
	assert_true((err == 0) == (asked->what[0] == '\0'));
}

static char *make_bytes(size_t length)
{
	char *bytes = malloc(length);
	assert_non_null(bytes);
	memset(bytes, 'x', length);
	return bytes;
}

/* A process that is begun meanwhile inherits none of them. */
static void check_sockets(void)
{
	int sockets = 0;
	for (int fd = 3; fd < 1024; fd++) {
		int family = 0, flags = fcntl(fd, F_GETFD);
		socklen_t length = sizeof family;
		if (flags < 0 || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0 ||
		    family != AF_INET)
			continue;
		assert_true(flags & FD_CLOEXEC);
		sockets++;
	}
	assert_int_equal(sockets, 3); /* listening, and both ends */
}

/* The request is what was asked for and nothing else; the answer is told in order; the connection
 * is used again. */
static void test_plain(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct asked first = get(scene), second = get(scene);
	struct upstream_request request = plain(scene, "POST");
	const struct http_header fields[] = {
		{"Content-Type", "application/json"}, {"X-Empty", ""}, {"X-A", "b"}};
	request.fields = fields;
	request.field_count = 3;
	request.body = "{\"a\":1}";
	request.body_length = 7;
	start(&first, &request);
	struct visit *visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "{\"a\":1}");
	check_sockets();
	char expected[256];
	(void)snprintf(expected, sizeof expected,
		       "POST /v1/x?y=z HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
		       "Content-Type: application/json\r\nX-Empty:\r\nX-A: b\r\n"
		       "Content-Length: 7\r\n\r\n{\"a\":1}",
		       scene->origin.port);
	assert_string_equal(visit->in, expected);
	visit_say(visit, "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n"
			 "HTTP/1.1 201 Created\r\nX-B:  c \r\nContent-Length: 5\r\n\r\nhello");
	check_end(&first, 0, UPSTREAM_BODY);
	assert_int_equal(first.status, 201);
	assert_int_equal(first.heads, 1);
	assert_string_equal(first.fields, "X-B=c|Content-Length=5|");
	assert_string_equal(first.body, "hello");

	visit_forget(visit);
	request = plain(scene, "HEAD");
	start(&second, &request);
	visit_wait_text(visit, "HEAD /v1/x?y=z HTTP/1.1\r\n");
	visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	check_end(&second, 0, UPSTREAM_BODY);
	assert_int_equal(second.bodies, 0);
	assert_false(origin_has_visitor(&scene->origin));
	visit_leave(visit, false);
	scene_close(scene);
}

/* Redirects, cookies, proxies of the environment and encodings mean nothing here. */
static void test_manners(void **state)
{
	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	struct scene *scene = scene_open();
	struct upstream_request request = plain(scene, "GET");
	char named[64];
	(void)snprintf(named, sizeof named, "http://localhost:%u/", scene->origin.port);
	for (int i = 0; i < 2; i++) {
		struct asked asked = get(scene);
		request.url = i ? named : scene->url;
		start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		assert_null(strcasestr(visit->in, "cookie"));
		assert_null(strcasestr(visit->in, "accept"));
		visit_say(visit, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n"
				 "Set-Cookie: a=b\r\nContent-Encoding: gzip\r\n"
				 "Connection: close\r\nContent-Length: 3\r\n\r\nabc");
		check_end(&asked, 0, UPSTREAM_BODY);
		assert_int_equal(asked.status, 302);
		assert_string_equal(asked.body, "abc");
		visit_leave(visit, false);
	}
	assert_false(origin_has_visitor(&scene->origin));
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	scene_close(scene);
}

/* What cannot be asked is refused at once and leaves nothing behind. */
static void test_bad_requests(void **state)
{
	static const struct {
		const char *method, *url, *name, *value;
	} rows[] = {
		{"G T", NULL, NULL, NULL},
		{"", NULL, NULL, NULL},
		{"CONNECT", NULL, NULL, NULL},
		{"GET", "ftp://127.0.0.1/", NULL, NULL},
		{"GET", "file:///etc/passwd", NULL, NULL},
		{"GET", "127.0.0.1/x", NULL, NULL},
		{"GET", "http://user:secret@127.0.0.1/", NULL, NULL},
		{"GET", "http://127.0.0.1/a b", NULL, NULL},
		{"GET", "http://127.0.0.1/a\r\nX: y", NULL, NULL},
		{"GET", "http://127.0.0.1/a#b", NULL, NULL},
		{"GET", "", NULL, NULL},
		{"GET", NULL, "X-A", "b\r\nX-Evil: c"},
		{"GET", NULL, "X A", "b"},
		{"GET", NULL, "", "b"},
		{"GET", NULL, "Content-Length", "3"},
		{"GET", NULL, "transfer-encoding", "chunked"},
		{"GET", NULL, "Host", "evil"},
		{"GET", NULL, "Connection", "close"},
	};
	(void)state;
	struct scene *scene = scene_open();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t id = 7;
		const struct http_header field = {rows[i].name, rows[i].value};
		struct upstream_request request = plain(scene, rows[i].method);
		request.url = rows[i].url ? rows[i].url : scene->url;
		request.fields = &field;
		request.field_count = rows[i].name ? 1 : 0;
		int rc = upstream_start(scene->upstream, &request, &handlers, NULL, &id);
		if (rc != -ERR_BAD_FIELD)
			fail_msg("%s %s %s: %d", rows[i].method, request.url,
				 rows[i].name ? rows[i].name : "", rc);
		assert_int_equal(id, 7);
	}
	scene_close(scene);
}

/* Answers that break off, lie or are none: one end, with the phase in which it came. */
static void test_bad_answers(void **state)
{
	static const struct {
		const char *answer;
		enum upstream_phase phase;
	} rows[] = {
		{"", UPSTREAM_HEAD},
		{"SSH-2.0-OpenSSH_9.2\r\n\r\n", UPSTREAM_HEAD},
		{"HTTP/1.1 200 OK\r\nContent-Le", UPSTREAM_HEAD},
		{"HTTP/1.1 101 Switching Protocols\r\n\r\n", UPSTREAM_HEAD},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		 UPSTREAM_HEAD},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		 UPSTREAM_HEAD},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "3\r\nabc\r\n0\r\n\r\n",
		 UPSTREAM_HEAD},
		{"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", UPSTREAM_HEAD},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello", UPSTREAM_HEAD},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", UPSTREAM_HEAD},
		{"HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\nContent-Length: 0\r\n\r\n", UPSTREAM_HEAD},
		{"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n", UPSTREAM_HEAD},
		{"HTTP/1.1 200 OK\nContent-Length: 0\n\n", UPSTREAM_HEAD},
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", UPSTREAM_BODY},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		 UPSTREAM_BODY},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", UPSTREAM_BODY},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", UPSTREAM_BODY},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n0\r\n\r\n",
		 UPSTREAM_BODY},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "FFFFFFFFFFFFFFFFFF\r\nhello",
		 UPSTREAM_BODY},
	};
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = plain(scene, "GET");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct asked asked = get(scene);
		start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		visit_say(visit, rows[i].answer);
		visit_leave(visit, false);
		wait_for(scene, &asked.ends, 1);
		if (asked.err != ERR_UPSTREAM_BROKEN || asked.phase != rows[i].phase)
			fail_msg("%s: %s in %d: %s", rows[i].answer, err_name(asked.err),
				 asked.phase, asked.what);
		assert_int_equal(asked.heads, rows[i].phase == UPSTREAM_BODY);
		assert_int_equal(asked.ends, 1);
	}
	scene_close(scene);
}

/* More than was announced is not body; a body without a length lasts to the close; so does a
 * chunked one with trailers, which are dropped. */
static void test_ends_of_bodies(void **state)
{
	static const struct {
		const char *answer, *body;
	} rows[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more", "hello"},
		{"HTTP/1.0 200 OK\r\n\r\nuntil the close", "until the close"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "5;x=y\r\nhello\r\n0\r\nX-T: u\r\n\r\n",
		 "hello"},
		{"HTTP/1.1 204 No Content\r\n\r\n", ""},
	};
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = plain(scene, "GET");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct asked asked = get(scene);
		start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		visit_say(visit, rows[i].answer);
		visit_leave(visit, false);
		check_end(&asked, 0, UPSTREAM_BODY);
		assert_string_equal(asked.body, rows[i].body);
	}
	scene_close(scene);
}

/* Nobody listens; the Unix socket is not there. */
static void test_unreachable(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = plain(scene, "GET");
	for (int i = 0; i < 2; i++) {
		struct asked asked = get(scene);
		struct origin closed = origin_open(scene->loop);
		char url[64];
		(void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", closed.port);
		origin_close(&closed);
		request.url = url;
		request.unix_path = i ? "/tmp/baton-no-such-socket" : NULL;
		start(&asked, &request);
		check_end(&asked, ERR_UPSTREAM_UNREACHABLE, UPSTREAM_CONNECT);
	}
	scene_close(scene);
}

/* A reset, in each phase. */
static void test_resets(void **state)
{
	static const struct {
		const char *said;
		enum upstream_phase phase;
	} rows[] = {
		{"", UPSTREAM_HEAD},
		{"HTTP/1.1 200 OK\r\nConte", UPSTREAM_HEAD},
		{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", UPSTREAM_BODY},
		{"HTTP/1.0 200 OK\r\n\r\nuntil the", UPSTREAM_BODY},
	};
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = plain(scene, "GET");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct asked asked = get(scene);
		start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		visit_say(visit, rows[i].said);
		if (rows[i].phase == UPSTREAM_BODY)
			wait_for(scene, &asked.bodies, 1);
		visit_leave(visit, true);
		check_end(&asked, ERR_UPSTREAM_BROKEN, rows[i].phase);
	}
	scene_close(scene);
}

/* Each phase has its limit, and what is not asked of the server is not timed. */
static void test_stalls(void **state)
{
	static const struct {
		const char *said;
		enum upstream_phase phase;
		int first_byte_time_ms, idle_time_ms;
	} rows[] = {
		{"", UPSTREAM_HEAD, 80, 9000},
		{"HTTP/1.1 200 OK\r\nConte", UPSTREAM_HEAD, 80, 9000},
		{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", UPSTREAM_BODY, 9000, 80},
		{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", UPSTREAM_BODY, 9000, 80},
	};
	(void)state;
	struct scene *scene = scene_open();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct asked asked = get(scene);
		struct upstream_request request = plain(scene, "GET");
		request.first_byte_time_ms = rows[i].first_byte_time_ms;
		request.idle_time_ms = rows[i].idle_time_ms;
		struct mono_ms begun = loop_now();
		start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		visit_say(visit, rows[i].said);
		check_end(&asked, ERR_UPSTREAM_SLOW, rows[i].phase);
		assert_true(mono_since(loop_now(), begun) >= 80);
		visit_wait_end(visit); /* the connection is closed, not kept */
		visit_leave(visit, false);
	}
	scene_close(scene);
}

/* A server that takes no connection, because its queue is full. */
static void test_connect_stalls(void **state)
{
	enum { FILLERS = 4 };
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = plain(scene, "GET");
	struct asked asked = get(scene);
	int fillers[FILLERS];
	origin_fill(&scene->origin, fillers, FILLERS);
	request.connect_time_ms = 80;
	start(&asked, &request);
	check_end(&asked, ERR_UPSTREAM_UNREACHABLE, UPSTREAM_CONNECT);
	assert_non_null(strstr(asked.what, "in time"));
	for (size_t i = 0; i < FILLERS; i++)
		(void)close(fillers[i]);
	scene_close(scene);
}

/* Slow is not stalled: a byte now and then goes on for longer than the limit. */
static void test_slow_is_fine(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct asked asked = get(scene);
	struct upstream_request request = plain(scene, "GET");
	request.idle_time_ms = 200;
	start(&asked, &request);
	struct visit *visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "\r\n\r\n");
	visit_say(visit, "HTTP/1.0 200 OK\r\n\r\n");
	struct mono_ms begun = loop_now();
	for (unsigned i = 1; mono_since(loop_now(), begun) < 500; i++) {
		visit_say(visit, "x");
		wait_for(scene, &asked.bodies, i);
		struct mono_ms next = mono_after(loop_now(), 40);
		while (!mono_due(next, loop_now()))
			origin_turn(scene->loop);
	}
	assert_int_equal(asked.ends, 0);
	visit_leave(visit, false);
	check_end(&asked, 0, UPSTREAM_BODY);
	scene_close(scene);
}

/* A flood waits with its server while the reader pauses, however long; then all of it comes. */
static void test_flood(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	char *bytes = make_bytes(LONG_BYTES);
	for (int way = 0; way < 2; way++) {
		struct asked asked = get(scene);
		struct upstream_request request = plain(scene, "GET");
		request.idle_time_ms = 150;
		asked.pause_in_head = way == 0;
		asked.pause_in_body = way == 1;
		start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		size_t before = mallinfo2().uordblks;
		visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
		size_t sent = visit_flood(visit, bytes, LONG_BYTES, 200);
		assert_true(sent < LONG_BYTES);
		assert_true(mallinfo2().uordblks < before + BOUND_BYTES);
		assert_true(asked.bytes <= 64 * 1024);
		assert_int_equal(asked.ends, 0); /* 400 ms and more: not timed */

		asked.pause_in_body = false;
		upstream_pause(scene->upstream, asked.id, false);
		sent += visit_flood(visit, bytes + sent, LONG_BYTES - sent, 5000);
		assert_int_equal(sent, LONG_BYTES);
		check_end(&asked, 0, UPSTREAM_BODY);
		assert_int_equal(asked.bytes, LONG_BYTES);
		visit_leave(visit, false);
		origin_turn(scene->loop);
	}
	free(bytes);
	scene_close(scene);
}

/* A head without an end has one. */
static void test_endless_head(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = plain(scene, "GET");
	for (int way = 0; way < 2; way++) {
		struct asked asked = get(scene);
		start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		visit_say(visit, "HTTP/1.1 200 OK\r\n");
		size_t before = mallinfo2().uordblks;
		for (int i = 0; i < 20000 && asked.ends == 0; i++)
			(void)visit_flood(
				visit, way ? "X: 0123456789012345678\r\n" : "01234567890123456789",
				way ? 24 : 20, 1);
		check_end(&asked, ERR_UPSTREAM_BROKEN, UPSTREAM_HEAD);
		assert_true(mallinfo2().uordblks < before + 2 * BOUND_BYTES);
		visit_leave(visit, false);
	}
	scene_close(scene);
}

/* Cancelled before it began, while it waits, within its head and its body: nothing is heard of it
 * any more, whatever is answered, and the server sees the connection end. */
static void test_cancel(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = plain(scene, "GET");
	struct asked early = get(scene);
	start(&early, &request);
	upstream_cancel(scene->upstream, early.id);
	upstream_cancel(scene->upstream, early.id);
	for (int i = 0; i < 5; i++)
		origin_turn(scene->loop);
	assert_int_equal(early.heads + early.ends, 0);
	assert_false(origin_has_visitor(&scene->origin));

	for (int way = 0; way < 3; way++) {
		struct asked asked = get(scene);
		asked.cancel_in_head = way == 1;
		asked.cancel_in_body = way == 2;
		start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		if (way == 0) {
			upstream_cancel(scene->upstream, asked.id);
			upstream_pause(scene->upstream, asked.id, true);
		}
		(void)visit_flood(visit, "HTTP/1.0 200 OK\r\n\r\nhello", 24, 1);
		visit_wait_end(visit);
		(void)visit_flood(visit, "more", 4, 1);
		origin_turn(scene->loop);
		assert_int_equal(asked.heads, way > 0);
		assert_int_equal(asked.bodies, way == 2);
		assert_int_equal(asked.ends, 0);
		assert_int_equal(upstream_count(scene->upstream), 0);
		visit_leave(visit, false);
	}
	scene_close(scene);
}

/* A request may be begun within the end of another, and all may be left behind at once. */
static void test_again_and_destroy(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = plain(scene, "GET");
	struct asked again = get(scene), asked = get(scene);
	asked.again_in_end = true;
	asked.again = &again;
	start(&asked, &request);
	struct visit *visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "\r\n\r\n");
	visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	check_end(&asked, 0, UPSTREAM_BODY);
	visit_forget(visit);
	visit_wait_text(visit, "\r\n\r\n");
	assert_int_equal(upstream_count(scene->upstream), 1);
	upstream_destroy(scene->upstream);
	visit_wait_end(visit);
	assert_int_equal(again.ends, 0);
	assert_int_equal(upstream_create(scene->loop, 1, &scene->upstream), 0);
	visit_leave(visit, false);
	scene_close(scene);
}

/* A connection that its server closed meanwhile is no failure: a fresh one is taken, and the whole
 * body is sent again. */
static void test_stale_connection(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = plain(scene, "POST");
	request.body = "body";
	request.body_length = 4;
	struct asked first = get(scene), second = get(scene);
	start(&first, &request);
	struct visit *visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "body");
	visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	check_end(&first, 0, UPSTREAM_BODY);
	start(&second, &request);
	visit_leave(visit, false);
	visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "body");
	visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	check_end(&second, 0, UPSTREAM_BODY);
	assert_string_equal(second.body, "ok");
	visit_leave(visit, false);
	scene_close(scene);
}

/* A streamed body: in chunks or of a known length; the writer is told to wait and to go on; what is
 * kept is bounded. */
static void test_streamed_body(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	char *block = make_bytes(32 * 1024);
	for (int chunked = 0; chunked < 2; chunked++) {
		struct asked asked = get(scene);
		struct upstream_request request = plain(scene, "POST");
		request.streamed = true;
		request.body_bytes = chunked ? -1 : LONG_BYTES;
		start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		assert_non_null(strstr(visit->in, chunked ? "Transfer-Encoding: chunked\r\n"
							  : "Content-Length: 8388608\r\n"));
		size_t head = visit->total, written = 0, before = mallinfo2().uordblks;
		/* The server reads nothing: writing ends by itself. */
		for (int still = 0; still < 50 && written < LONG_BYTES; still++) {
			unsigned told = asked.writable;
			while (written < LONG_BYTES &&
			       upstream_write(scene->upstream, asked.id, block, 32 * 1024)) {
				written += 32 * 1024;
				still = 0;
			}
			written +=
				written < LONG_BYTES ? 32 * 1024 : 0; /* that one was taken, too */
			for (int i = 0; i < 50 && asked.writable == told; i++)
				origin_turn(scene->loop);
			if (asked.writable == told)
				break;
		}
		assert_true(written < LONG_BYTES);
		assert_true(mallinfo2().uordblks < before + BOUND_BYTES);
		while (written < LONG_BYTES) {
			unsigned told = asked.writable;
			while (asked.writable == told)
				visit_pump(visit);
			while (written < LONG_BYTES) {
				bool more =
					upstream_write(scene->upstream, asked.id, block, 32 * 1024);
				written += 32 * 1024;
				if (!more)
					break;
			}
		}
		upstream_write_end(scene->upstream, asked.id);
		assert_false(upstream_write(scene->upstream, asked.id, "x", 1));
		struct mono_ms deadline = mono_after(loop_now(), ORIGIN_WAIT_MS);
		while (visit->total < head + LONG_BYTES ||
		       (chunked && !strstr(visit->in, "\r\n0\r\n\r\n"))) {
			visit_pump(visit);
			assert_false(mono_due(deadline, loop_now()));
		}
		visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
		check_end(&asked, 0, UPSTREAM_BODY);
		visit_leave(visit, false);
		origin_turn(scene->loop);
	}
	free(block);
	scene_close(scene);
}

/* A writer that is slow is not timed, a server that takes nothing is; a body of another length than
 * announced ends the request, and so does one that is written against all telling. */
static void test_streamed_faults(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	char *block = make_bytes(256 * 1024);
	for (int way = 0; way < 4; way++) {
		struct asked asked = get(scene);
		struct upstream_request request = plain(scene, "PUT");
		request.streamed = true;
		request.body_bytes = way < 2 ? 10 : -1;
		request.idle_time_ms = 100;
		start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		struct mono_ms until = mono_after(loop_now(), 300);
		while (!mono_due(until, loop_now()))
			origin_turn(scene->loop);
		assert_int_equal(asked.ends, 0);
		if (way == 0) {
			upstream_write(scene->upstream, asked.id, block, 11);
			check_end(&asked, ERR_BAD_REQUEST, UPSTREAM_SEND);
		} else if (way == 1) {
			upstream_write(scene->upstream, asked.id, block, 9);
			upstream_write_end(scene->upstream, asked.id);
			check_end(&asked, ERR_BAD_REQUEST, UPSTREAM_SEND);
		} else if (way == 2) {
			for (int i = 0; i < 40; i++) /* no turn in between */
				upstream_write(scene->upstream, asked.id, block, 256 * 1024);
			check_end(&asked, ERR_UPSTREAM_SLOW, UPSTREAM_SEND);
		} else {
			for (int i = 0; i < 100 && asked.ends == 0; i++) {
				unsigned told = asked.writable;
				if (upstream_write(scene->upstream, asked.id, block, 65 * 1024))
					continue;
				while (asked.writable == told && asked.ends == 0)
					origin_turn(scene->loop);
			}
			check_end(&asked, ERR_UPSTREAM_SLOW, UPSTREAM_SEND);
		}
		visit_leave(visit, false);
	}
	free(block);
	scene_close(scene);
}

/* Many at once, answered in another order, some reset, some cancelled: each hears its own. */
static void test_many(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct asked *asked = calloc(MANY, sizeof *asked);
	struct visit **visits = calloc(MANY, sizeof *visits);
	struct upstream_request request = plain(scene, "GET");
	assert_non_null(asked);
	assert_non_null(visits);
	for (size_t i = 0; i < MANY; i++) {
		char url[64];
		asked[i] = get(scene);
		(void)snprintf(url, sizeof url, "http://127.0.0.1:%u/%zu", scene->origin.port, i);
		request.url = url;
		start(&asked[i], &request);
	}
	for (size_t i = 0; i < MANY; i++) {
		visits[i] = origin_accept(&scene->origin);
		visit_wait_text(visits[i], "\r\n\r\n");
	}
	for (size_t i = MANY; i-- > 0;) {
		size_t n = strtoul(visits[i]->in + strlen("GET /"), NULL, 10);
		char answer[128];
		(void)snprintf(
			answer, sizeof answer,
			"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n%03zu",
			n);
		if (n % 5 == 1)
			upstream_cancel(scene->upstream, asked[n].id);
		else if (n % 5 != 2)
			(void)visit_flood(visits[i], answer, strlen(answer), 1);
		visit_leave(visits[i], n % 5 == 2);
	}
	for (size_t n = 0; n < MANY; n++) {
		char body[8];
		(void)snprintf(body, sizeof body, "%03zu", n);
		if (n % 5 == 1) {
			assert_int_equal(asked[n].heads + asked[n].ends, 0);
		} else if (n % 5 == 2) {
			check_end(&asked[n], ERR_UPSTREAM_BROKEN, UPSTREAM_HEAD);
		} else {
			check_end(&asked[n], 0, UPSTREAM_BODY);
			assert_string_equal(asked[n].body, body);
		}
		assert_true(asked[n].ends <= 1);
	}
	free(visits);
	free(asked);
	scene_close(scene);
}

/* The bound on how many run at once. */
static void test_too_many(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct upstream *small = NULL;
	struct upstream_request request = plain(scene, "GET");
	uint64_t id = 0, other = 0;
	assert_int_equal(upstream_create(scene->loop, 0, &small), -ERR_BAD_FIELD);
	assert_int_equal(upstream_create(scene->loop, 1, &small), 0);
	struct asked asked = get(scene);
	assert_int_equal(upstream_start(small, &request, &handlers, &asked, &id), 0);
	assert_int_equal(upstream_start(small, &request, &handlers, &asked, &other),
			 -ERR_TOO_MANY_CONNECTIONS);
	upstream_cancel(small, id);
	origin_turn(scene->loop);
	assert_int_equal(upstream_start(small, &request, &handlers, &asked, &other), 0);
	assert_int_not_equal(other, id);
	upstream_cancel(small, id); /* a used number does nothing */
	assert_int_equal(upstream_count(small), 1);
	upstream_destroy(small);
	scene_close(scene);
}

/* An upstream on a Unix socket. */
static void test_unix(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct origin local = origin_open_unix(scene->loop);
	struct asked asked = get(scene);
	struct upstream_request request = plain(scene, "GET");
	request.url = "http://model.local/health";
	request.unix_path = local.path;
	start(&asked, &request);
	struct visit *visit = origin_accept(&local);
	visit_wait_text(visit, "\r\n\r\n");
	assert_non_null(strstr(visit->in, "GET /health HTTP/1.1\r\nHost: model.local\r\n"));
	visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	check_end(&asked, 0, UPSTREAM_BODY);
	visit_leave(visit, false);
	origin_close(&local);
	scene_close(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_manners),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_bad_answers),
		cmocka_unit_test(test_ends_of_bodies),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_stalls),
		cmocka_unit_test(test_connect_stalls),
		cmocka_unit_test(test_slow_is_fine),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_endless_head),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_again_and_destroy),
		cmocka_unit_test(test_stale_connection),
		cmocka_unit_test(test_streamed_body),
		cmocka_unit_test(test_streamed_faults),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_unix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
