/* The HTTP client against a server that answers well, stalls, lies, breaks off and resets: each
 * request ends once, in words and with its phase, in its time; what was cancelled is heard of no
 * more. */
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/http.h"
#include "upstream_scene.h"

/* A process that is begun meanwhile inherits none of them. */
static void check_sockets(void)
{
	int sockets = 0;
	for (int fd = 3; fd < 1024; fd++) {
		int family = 0, flags = fcntl(fd, F_GETFD);
		socklen_t length = sizeof(family);
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
	struct asked first = scene_get(scene), second = scene_get(scene);
	struct upstream_request request = scene_plain(scene, "POST");
	const struct http_header fields[] = {
		{"Content-Type", "application/json"}, {"X-Empty", ""}, {"X-A", "b"}};
	request.fields = fields;
	request.field_count = 3;
	request.body = "{\"a\":1}";
	request.body_length = 7;
	scene_start(&first, &request);
	struct visit *visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "{\"a\":1}");
	check_sockets();
	char expected[256];
	(void)snprintf(expected, sizeof(expected),
		       "POST /v1/x?y=z HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
		       "Content-Type: application/json\r\nX-Empty:\r\nX-A: b\r\n"
		       "Content-Length: 7\r\n\r\n{\"a\":1}",
		       scene->origin.port);
	assert_string_equal(visit->in, expected);
	visit_say(visit, "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n"
			 "HTTP/1.1 201 Created\r\nX-B:  c \r\nContent-Length: 5\r\n\r\nhello");
	scene_check_end(&first, 0, UPSTREAM_BODY);
	assert_int_equal(first.status, 201);
	assert_int_equal(first.heads, 1);
	assert_string_equal(first.fields, "X-B=c|Content-Length=5|");
	assert_string_equal(first.body, "hello");

	visit_forget(visit);
	request = scene_plain(scene, "HEAD");
	scene_start(&second, &request);
	visit_wait_text(visit, "HEAD /v1/x?y=z HTTP/1.1\r\n");
	visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	scene_check_end(&second, 0, UPSTREAM_BODY);
	assert_int_equal(second.bodies, 0);
	assert_false(origin_has_visitor(&scene->origin));
	visit_leave(visit, false);
	scene_close(scene);
}

static unsigned segments_in(const struct visit *visit)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	assert_int_equal(getsockopt(visit->fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	return info.tcpi_data_segs_in;
}

/* Head and body in one segment, so that its server wakes up once; nothing is said of a type. */
static void test_small_bodies(void **state)
{
	static const struct {
		const char *method, *body, *length;
	} rows[] = {{"POST", "[1,2]", "5"}, {"PUT", "x", "1"}, {"PATCH", "", "0"}};
	struct scene *scene = scene_open();
	struct visit *visit = NULL;
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct upstream_request request = scene_plain(scene, rows[i].method);
		struct asked asked = scene_get(scene);
		char expected[256];
		request.body = rows[i].body;
		request.body_length = strlen(rows[i].body);
		scene_start(&asked, &request);
		if (!visit)
			visit = origin_accept(&scene->origin);

		(void)snprintf(expected, sizeof(expected),
			       "%s /v1/x?y=z HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
			       "Content-Length: %s\r\n\r\n%s",
			       rows[i].method, scene->origin.port, rows[i].length, rows[i].body);
		while (visit->length < strlen(expected))
			visit_pump(visit);
		assert_string_equal(visit->in, expected);
		assert_int_equal(segments_in(visit), i + 1);

		visit_forget(visit);
		visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		scene_check_end(&asked, 0, UPSTREAM_BODY);
	}
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
	struct upstream_request request = scene_plain(scene, "GET");
	char named[64];
	(void)snprintf(named, sizeof(named), "http://localhost:%u/", scene->origin.port);
	for (int i = 0; i < 2; i++) {
		struct asked asked = scene_get(scene);
		request.url = i ? named : scene->url;
		scene_start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		assert_null(strcasestr(visit->in, "cookie"));
		assert_null(strcasestr(visit->in, "accept"));
		visit_say(visit, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n"
				 "Set-Cookie: a=b\r\nContent-Encoding: gzip\r\n"
				 "Connection: close\r\nContent-Length: 3\r\n\r\nabc");
		scene_check_end(&asked, 0, UPSTREAM_BODY);
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
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t id = 7;
		const struct http_header field = {rows[i].name, rows[i].value};
		struct upstream_request request = scene_plain(scene, rows[i].method);
		request.url = rows[i].url ? rows[i].url : scene->url;
		request.fields = &field;
		request.field_count = rows[i].name ? 1 : 0;
		int rc = upstream_start(scene->upstream, &request, &scene_handlers, NULL, &id);
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
	struct upstream_request request = scene_plain(scene, "GET");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct asked asked = scene_get(scene);
		scene_start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		visit_say(visit, rows[i].answer);
		visit_leave(visit, false);
		scene_wait(scene, &asked.ends, 1);
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
	struct upstream_request request = scene_plain(scene, "GET");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct asked asked = scene_get(scene);
		scene_start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		visit_say(visit, rows[i].answer);
		visit_leave(visit, false);
		scene_check_end(&asked, 0, UPSTREAM_BODY);
		assert_string_equal(asked.body, rows[i].body);
	}
	scene_close(scene);
}

/* Nobody listens; the Unix socket is not there. */
static void test_unreachable(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = scene_plain(scene, "GET");
	for (int i = 0; i < 2; i++) {
		struct asked asked = scene_get(scene);
		struct origin closed = origin_open(scene->loop);
		char url[64];
		(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", closed.port);
		origin_close(&closed);
		request.url = url;
		request.unix_path = i ? "/tmp/baton-no-such-socket" : NULL;
		scene_start(&asked, &request);
		scene_check_end(&asked, ERR_UPSTREAM_UNREACHABLE, UPSTREAM_CONNECT);
		assert_true(asked.nobody);
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
	struct upstream_request request = scene_plain(scene, "GET");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct asked asked = scene_get(scene);
		scene_start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		visit_say(visit, rows[i].said);
		if (rows[i].phase == UPSTREAM_BODY)
			scene_wait(scene, &asked.bodies, 1);
		visit_leave(visit, true);
		scene_check_end(&asked, ERR_UPSTREAM_BROKEN, rows[i].phase);
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
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct asked asked = scene_get(scene);
		struct upstream_request request = scene_plain(scene, "GET");
		request.first_byte_time_ms = rows[i].first_byte_time_ms;
		request.idle_time_ms = rows[i].idle_time_ms;
		struct mono_ms begun = loop_now();
		scene_start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		visit_say(visit, rows[i].said);
		scene_check_end(&asked, ERR_UPSTREAM_SLOW, rows[i].phase);
		assert_true(mono_since(loop_now(), begun) >= 80);
		visit_wait_end(visit); /* the connection is closed, not kept */
		visit_leave(visit, false);
	}
	scene_close(scene);
}

/* A server that takes no connection, because its queue is full: somebody is there. */
static void test_connect_stalls(void **state)
{
	enum { FILLERS = 4 };
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = scene_plain(scene, "GET");
	struct asked asked = scene_get(scene);
	int fillers[FILLERS];
	origin_fill(&scene->origin, fillers, FILLERS);
	request.connect_time_ms = 80;
	scene_start(&asked, &request);
	scene_check_end(&asked, ERR_UPSTREAM_UNREACHABLE, UPSTREAM_CONNECT);
	assert_non_null(strstr(asked.what, "in time"));
	assert_false(asked.nobody);
	for (size_t i = 0; i < FILLERS; i++)
		(void)close(fillers[i]);
	scene_close(scene);
}

/* Slow is not stalled: a byte now and then goes on for longer than the limit. */
static void test_slow_is_fine(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct asked asked = scene_get(scene);
	struct upstream_request request = scene_plain(scene, "GET");
	request.idle_time_ms = 800; /* a busy machine may keep us from talking for a while */
	scene_start(&asked, &request);
	struct visit *visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "\r\n\r\n");
	visit_say(visit, "HTTP/1.0 200 OK\r\n\r\n");
	struct mono_ms begun = loop_now();
	for (unsigned i = 1; mono_since(loop_now(), begun) < 1200; i++) {
		visit_say(visit, "x");
		scene_wait(scene, &asked.bodies, i);
		struct mono_ms next = mono_after(loop_now(), 40);
		while (!mono_due(next, loop_now()))
			origin_turn(scene->loop);
	}
	assert_int_equal(asked.ends, 0);
	visit_leave(visit, false);
	scene_check_end(&asked, 0, UPSTREAM_BODY);
	scene_close(scene);
}

/* Where all of it has a limit a server that drips is late, too. */
static void test_total(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct asked asked = scene_get(scene);
	struct upstream_request request = scene_plain(scene, "GET");
	request.total_time_ms = 200;
	struct mono_ms begun = loop_now();
	scene_start(&asked, &request);
	struct visit *visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "\r\n\r\n");
	visit_say(visit, "HTTP/1.0 200 OK\r\n\r\n");
	while (asked.ends == 0 && mono_since(loop_now(), begun) < 5000) {
		visit_say(visit, "x");
		struct mono_ms next = mono_after(loop_now(), 20);
		while (asked.ends == 0 && !mono_due(next, loop_now()))
			origin_turn(scene->loop);
	}
	scene_check_end(&asked, ERR_UPSTREAM_SLOW, UPSTREAM_BODY);
	assert_true(mono_since(loop_now(), begun) >= 200);
	assert_non_null(strstr(asked.what, "complete"));
	visit_leave(visit, false);

	asked = scene_get(scene); /* one that is in time is not touched */
	request.total_time_ms = 9000;
	scene_start(&asked, &request);
	visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "\r\n\r\n");
	visit_say(visit, "HTTP/1.0 200 OK\r\n\r\nhello");
	visit_leave(visit, false);
	scene_check_end(&asked, 0, UPSTREAM_BODY);
	scene_close(scene);
}

/* Cancelled before it began, while it waits, within its head and its body: nothing is heard of it
 * any more, whatever is answered, and the server sees the connection end. */
static void test_cancel(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = scene_plain(scene, "GET");
	struct asked early = scene_get(scene);
	scene_start(&early, &request);
	upstream_cancel(scene->upstream, early.id);
	upstream_cancel(scene->upstream, early.id);
	for (int i = 0; i < 5; i++)
		origin_turn(scene->loop);
	assert_int_equal(early.heads + early.ends, 0);
	assert_false(origin_has_visitor(&scene->origin));

	for (int way = 0; way < 3; way++) {
		struct asked asked = scene_get(scene);
		asked.cancel_in_head = way == 1;
		asked.cancel_in_body = way == 2;
		scene_start(&asked, &request);
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
	struct upstream_request request = scene_plain(scene, "GET");
	struct asked again = scene_get(scene), asked = scene_get(scene);
	asked.again_in_end = true;
	asked.again = &again;
	scene_start(&asked, &request);
	struct visit *visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "\r\n\r\n");
	visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	scene_check_end(&asked, 0, UPSTREAM_BODY);
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
	struct upstream_request request = scene_plain(scene, "POST");
	request.body = "body";
	request.body_length = 4;
	struct asked first = scene_get(scene), second = scene_get(scene);
	scene_start(&first, &request);
	struct visit *visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "body");
	visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	scene_check_end(&first, 0, UPSTREAM_BODY);
	scene_start(&second, &request);
	visit_leave(visit, false);
	visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "body");
	visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	scene_check_end(&second, 0, UPSTREAM_BODY);
	assert_string_equal(second.body, "ok");
	visit_leave(visit, false);
	scene_close(scene);
}

/* On a connection that has answered once, with `request` asked again; its visit. */
static struct visit *ask_twice(struct scene *scene, const struct upstream_request *request,
			       const char *behind, struct asked *second)
{
	struct asked first = scene_get(scene);
	scene_start(&first, request);
	struct visit *visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "\r\n\r\n");
	visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	scene_check_end(&first, 0, UPSTREAM_BODY);
	visit_forget(visit);
	visit_say(visit, behind);
	scene_start(second, request);
	return visit;
}

/* What comes after an answer is nobody's: the next request goes by another connection, whole. */
static void test_bytes_after_an_answer(void **state)
{
	static const char *const behind[] = {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
					     "x", "\r\n", "HTTP/1.1 100 Continue\r\n\r\n"};
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = scene_plain(scene, "POST");
	request.body = "body";
	for (size_t i = 0; i < 2 * sizeof(behind) / sizeof(*behind); i++) {
		struct asked second = scene_get(scene);
		request.body_length = i % 2 ? 4 : 0;
		struct visit *visit = ask_twice(scene, &request, behind[i / 2], &second);
		struct visit *next = origin_accept(&scene->origin);
		visit_wait_text(next, request.body_length ? "\r\n\r\nbody" : "\r\n\r\n");
		visit_wait_end(visit);
		assert_int_equal(visit->length, 0);
		visit_say(next, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
		scene_check_end(&second, 0, UPSTREAM_BODY);
		assert_string_equal(second.body, "good");
		visit_leave(visit, false);
		visit_leave(next, true);
	}
	scene_close(scene);
}

/* It may connect before it is told not to, and says nothing. */
static void check_silence(struct scene *scene)
{
	int fd = accept4(scene->origin.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	char byte;

	if (fd < 0)
		return;
	assert_true(recv(fd, &byte, 1, 0) <= 0);
	(void)close(fd);
}

/* How the server of a connection that was used before ends it. */
enum ending {
	CLOSED_UNREAD,
	CLOSED_READ,
	RESET_READ,
	CLOSED_AFTER_INTERIM,
	RESET_AFTER_INTERIM,
	CLOSED_IN_LINE,
	RESET_IN_LINE,
	ENDING_COUNT
};

static void end_visit(struct visit *visit, enum ending ending, const char *text)
{
	if (ending == CLOSED_UNREAD)
		visit_wait_unread(visit);
	else
		visit_wait_text(visit, text);
	if (ending == CLOSED_AFTER_INTERIM || ending == RESET_AFTER_INTERIM)
		visit_say(visit, "HTTP/1.1 100 Continue\r\n\r\n");
	if (ending == CLOSED_IN_LINE || ending == RESET_IN_LINE)
		visit_say(visit, "HTTP/1.1 2");
	visit_leave(visit, ending == RESET_READ || ending == RESET_AFTER_INTERIM ||
				   ending == RESET_IN_LINE);
}

/* A server that has read a request may have begun: it does not get it twice. Of a reset nobody can
 * say whether it had, so that then only what may be done twice is sent again. */
static void test_sent_again(void **state)
{
	static const struct {
		const char *method, *body;
		bool again[ENDING_COUNT];
	} rows[] = {
		{"POST", "body", {false}},
		{"POST", "", {false}},
		{"PATCH", "body", {false}},
		{"GET", "", {[CLOSED_UNREAD] = true, [RESET_READ] = true, [RESET_IN_LINE] = true}},
		{"DELETE",
		 "",
		 {[CLOSED_UNREAD] = true, [RESET_READ] = true, [RESET_IN_LINE] = true}}};
	(void)state;
	struct scene *scene = scene_open();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows) * ENDING_COUNT; i++) {
		enum ending ending = (enum ending)(i % ENDING_COUNT);
		const char *body = rows[i / ENDING_COUNT].body;
		const char *text = body[0] ? body : "\r\n\r\n";
		struct upstream_request request = scene_plain(scene, rows[i / ENDING_COUNT].method);
		struct asked second = scene_get(scene);
		request.body = body;
		request.body_length = strlen(body);
		end_visit(ask_twice(scene, &request, "", &second), ending, text);
		if (!rows[i / ENDING_COUNT].again[ending]) {
			scene_check_end(&second, ERR_UPSTREAM_BROKEN, UPSTREAM_HEAD);
			check_silence(scene);
			continue;
		}
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, text);
		visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
		scene_check_end(&second, 0, UPSTREAM_BODY);
		visit_leave(visit, true);
	}
	scene_close(scene);
}

/* Neither is an answer, however long they go on. */
static void test_endless_heads(void **state)
{
	static const char *const begins[] = {"", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
						 "\r\n1\r\nx\r\n0\r\n"};
	static const char *const lines[] = {"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n",
					    "X: y\r\n"};
	(void)state;
	struct scene *scene = scene_open();
	struct upstream_request request = scene_plain(scene, "GET");
	char *flood = malloc(256 * 1024);
	assert_non_null(flood);
	for (size_t i = 0; i < 2; i++) {
		struct asked asked = scene_get(scene);
		size_t length = 0, line = strlen(lines[i]);
		for (; length + line < 256 * 1024; length += line)
			memcpy(flood + length, lines[i], line);
		scene_start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		visit_say(visit, begins[i]);
		(void)visit_flood(visit, flood, length, 100);
		scene_check_end(&asked, ERR_UPSTREAM_BROKEN,
				i == 0 ? UPSTREAM_HEAD : UPSTREAM_BODY);
		visit_leave(visit, false);
	}
	free(flood);
	scene_close(scene);
}

/* The bound on how many run at once. */
static void test_too_many(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct upstream *small = NULL;
	struct upstream_request request = scene_plain(scene, "GET");
	uint64_t id = 0, other = 0;
	assert_int_equal(upstream_create(scene->loop, 0, &small), -ERR_BAD_FIELD);
	assert_int_equal(upstream_create(scene->loop, 1, &small), 0);
	struct asked asked = scene_get(scene);
	assert_int_equal(upstream_start(small, &request, &scene_handlers, &asked, &id), 0);
	assert_int_equal(upstream_start(small, &request, &scene_handlers, &asked, &other),
			 -ERR_TOO_MANY_CONNECTIONS);
	upstream_cancel(small, id);
	origin_turn(scene->loop);
	assert_int_equal(upstream_start(small, &request, &scene_handlers, &asked, &other), 0);
	assert_int_not_equal(other, id);
	upstream_cancel(small, id); /* a used number does nothing */
	assert_int_equal(upstream_count(small), 1);
	upstream_destroy(small);
	scene_close(scene);
}

/* The Host that the server is to read, which is not where it is. */
static void test_host(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct asked asked = scene_get(scene);
	struct upstream_request request = scene_plain(scene, "GET");
	uint64_t id = 7;

	request.host = "a\r\nX-Evil: b";
	assert_int_equal(upstream_start(scene->upstream, &request, &scene_handlers, NULL, &id),
			 -ERR_BAD_FIELD);
	request.host = "127.0.0.1:8189";
	scene_start(&asked, &request);
	struct visit *visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "\r\n\r\n");
	assert_non_null(strstr(visit->in, "\r\nHost: 127.0.0.1:8189\r\n"));
	assert_null(strstr(strstr(visit->in, "Host:") + 5, "Host:"));
	visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	scene_check_end(&asked, 0, UPSTREAM_BODY);
	visit_leave(visit, false);
	scene_close(scene);
}

/* An upstream on a Unix socket. */
static void test_unix(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	struct origin local = origin_open_unix(scene->loop);
	struct asked asked = scene_get(scene);
	struct upstream_request request = scene_plain(scene, "GET");
	request.url = "http://model.local/health";
	request.unix_path = local.path;
	scene_start(&asked, &request);
	struct visit *visit = origin_accept(&local);
	visit_wait_text(visit, "\r\n\r\n");
	assert_non_null(strstr(visit->in, "GET /health HTTP/1.1\r\nHost: model.local\r\n"));
	visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	scene_check_end(&asked, 0, UPSTREAM_BODY);
	visit_leave(visit, false);
	origin_close(&local);
	scene_close(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_small_bodies),
		cmocka_unit_test(test_manners),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_bad_answers),
		cmocka_unit_test(test_ends_of_bodies),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_stalls),
		cmocka_unit_test(test_connect_stalls),
		cmocka_unit_test(test_slow_is_fine),
		cmocka_unit_test(test_total),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_again_and_destroy),
		cmocka_unit_test(test_stale_connection),
		cmocka_unit_test(test_bytes_after_an_answer),
		cmocka_unit_test(test_sent_again),
		cmocka_unit_test(test_endless_heads),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_unix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
