/* Goal: on a connection that is used again, an answer that was sent before the request had arrived
 * is nobody's: the request goes by another one where it cannot have been read, and fails where it
 * may have been. Method: a server by hand that speaks at the last moment, after the client has
 * looked. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "upstream_scene.h"

static const char late[] = "HTTP/1.1 408 Late\r\nContent-Length: 4\r\n\r\nlate";

/* Whose server speaks then, and whether it has closed by then. */
static struct visit *speaker;
static bool speaker_closes;

ssize_t __real_recv(int fd, void *bytes, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags);

ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags)
{
	ssize_t rc = __real_recv(fd, bytes, size, flags);

	if (!speaker || !(flags & MSG_PEEK))
		return rc;
	assert_int_equal(send(speaker->fd, late, sizeof(late) - 1, MSG_NOSIGNAL), sizeof(late) - 1);
	if (speaker_closes)
		assert_int_equal(shutdown(speaker->fd, SHUT_WR), 0);
	speaker = NULL;
	return rc;
}

/* The second request goes out on the connection of the first. */
static struct visit *ask_twice(struct scene *scene, const struct upstream_request *request,
			       bool closes, struct asked *second)
{
	struct asked first = scene_get(scene);
	int off = 0;

	scene_start(&first, request);
	struct visit *visit = origin_accept(&scene->origin);
	visit_wait_text(visit, "\r\n\r\n");
	visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	scene_check_end(&first, 0, UPSTREAM_BODY);
	visit_forget(visit);

	/* What it reads is acknowledged later, as by one that is about to answer. */
	assert_int_equal(setsockopt(visit->fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off)), 0);
	speaker = visit;
	speaker_closes = closes;
	scene_start(second, request);
	return visit;
}

static void test_late_answers(void **state)
{
	static const struct {
		const char *method, *body;
		bool closes, again;
	} rows[] = {{"POST", "body", true, true},   {"POST", "", true, true},
		    {"POST", "body", false, false}, {"GET", "", true, true},
		    {"GET", "", false, true},       {"DELETE", "", false, true}};
	(void)state;
	struct scene *scene = scene_open();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct upstream_request request = scene_plain(scene, rows[i].method);
		struct asked second = scene_get(scene);
		request.body = rows[i].body;
		request.body_length = strlen(rows[i].body);
		struct visit *visit = ask_twice(scene, &request, rows[i].closes, &second);
		if (!rows[i].again) {
			scene_check_end(&second, ERR_UPSTREAM_BROKEN, UPSTREAM_HEAD);
			assert_string_equal(second.what,
					    "an answer came before the request was there");
			visit_leave(visit, true);
			continue;
		}
		struct visit *next = origin_accept(&scene->origin);
		visit_wait_text(next, rows[i].body[0] ? rows[i].body : "\r\n\r\n");
		visit_say(next, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
		scene_check_end(&second, 0, UPSTREAM_BODY);
		assert_int_equal(second.status, 200);
		assert_string_equal(second.body, "good");
		visit_leave(visit, true);
		visit_leave(next, true);
	}
	scene_close(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_late_answers)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
