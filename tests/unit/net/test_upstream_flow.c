/* The HTTP client under load: a flood, a head without an end, bodies written in pieces, many
 * requests at once: whoever is slow is waited for, and memory stays bounded. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "upstream_scene.h"

enum { LONG_BYTES = 8 * 1024 * 1024, BOUND_BYTES = 512 * 1024, MANY = 100 };

/* A flood waits with its server while the reader pauses, however long; then all of it comes. */
static void test_flood(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	char *bytes = scene_bytes(LONG_BYTES);
	for (int way = 0; way < 2; way++) {
		struct asked asked = scene_get(scene);
		struct upstream_request request = scene_plain(scene, "GET");
		request.idle_time_ms = 150;
		asked.pause_in_head = way == 0;
		asked.pause_in_body = way == 1;
		scene_start(&asked, &request);
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
		scene_check_end(&asked, 0, UPSTREAM_BODY);
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
	struct upstream_request request = scene_plain(scene, "GET");
	for (int way = 0; way < 2; way++) {
		struct asked asked = scene_get(scene);
		scene_start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		visit_say(visit, "HTTP/1.1 200 OK\r\n");
		size_t before = mallinfo2().uordblks;
		for (int i = 0; i < 20000 && asked.ends == 0; i++)
			(void)visit_flood(
				visit, way ? "X: 0123456789012345678\r\n" : "01234567890123456789",
				way ? 24 : 20, 1);
		scene_check_end(&asked, ERR_UPSTREAM_BROKEN, UPSTREAM_HEAD);
		assert_true(mallinfo2().uordblks < before + 2 * BOUND_BYTES);
		visit_leave(visit, false);
	}
	scene_close(scene);
}

/* A streamed body: in chunks or of a known length; the writer is told to wait and to go on; what is
 * kept is bounded. */
static void test_streamed_body(void **state)
{
	(void)state;
	struct scene *scene = scene_open();
	char *block = scene_bytes(32 * 1024);
	for (int chunked = 0; chunked < 2; chunked++) {
		struct asked asked = scene_get(scene);
		struct upstream_request request = scene_plain(scene, "POST");
		request.streamed = true;
		request.body_bytes = chunked ? -1 : LONG_BYTES;
		scene_start(&asked, &request);
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
		scene_check_end(&asked, 0, UPSTREAM_BODY);
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
	char *block = scene_bytes(256 * 1024);
	for (int way = 0; way < 4; way++) {
		struct asked asked = scene_get(scene);
		struct upstream_request request = scene_plain(scene, "PUT");
		request.streamed = true;
		request.body_bytes = way < 2 ? 10 : -1;
		request.idle_time_ms = 100;
		scene_start(&asked, &request);
		struct visit *visit = origin_accept(&scene->origin);
		visit_wait_text(visit, "\r\n\r\n");
		struct mono_ms until = mono_after(loop_now(), 300);
		while (!mono_due(until, loop_now()))
			origin_turn(scene->loop);
		assert_int_equal(asked.ends, 0);
		if (way == 0) {
			upstream_write(scene->upstream, asked.id, block, 11);
			scene_check_end(&asked, ERR_BAD_REQUEST, UPSTREAM_SEND);
		} else if (way == 1) {
			upstream_write(scene->upstream, asked.id, block, 9);
			upstream_write_end(scene->upstream, asked.id);
			scene_check_end(&asked, ERR_BAD_REQUEST, UPSTREAM_SEND);
		} else if (way == 2) {
			for (int i = 0; i < 40; i++) /* no turn in between */
				upstream_write(scene->upstream, asked.id, block, 256 * 1024);
			scene_check_end(&asked, ERR_UPSTREAM_SLOW, UPSTREAM_SEND);
		} else {
			for (int i = 0; i < 100 && asked.ends == 0; i++) {
				unsigned told = asked.writable;
				if (upstream_write(scene->upstream, asked.id, block, 65 * 1024))
					continue;
				while (asked.writable == told && asked.ends == 0)
					origin_turn(scene->loop);
			}
			scene_check_end(&asked, ERR_UPSTREAM_SLOW, UPSTREAM_SEND);
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
	struct asked *asked = calloc(MANY, sizeof(*asked));
	struct visit **visits = calloc(MANY, sizeof(*visits));
	struct upstream_request request = scene_plain(scene, "GET");
	assert_non_null(asked);
	assert_non_null(visits);
	for (size_t i = 0; i < MANY; i++) {
		char url[64];
		asked[i] = scene_get(scene);
		(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/%zu", scene->origin.port, i);
		request.url = url;
		scene_start(&asked[i], &request);
	}
	for (size_t i = 0; i < MANY; i++) {
		visits[i] = origin_accept(&scene->origin);
		visit_wait_text(visits[i], "\r\n\r\n");
	}
	for (size_t i = MANY; i-- > 0;) {
		size_t n = strtoul(visits[i]->in + strlen("GET /"), NULL, 10);
		char answer[128];
		(void)snprintf(
			answer, sizeof(answer),
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
		(void)snprintf(body, sizeof(body), "%03zu", n);
		if (n % 5 == 1) {
			assert_int_equal(asked[n].heads + asked[n].ends, 0);
		} else if (n % 5 == 2) {
			scene_check_end(&asked[n], ERR_UPSTREAM_BROKEN, UPSTREAM_HEAD);
		} else {
			scene_check_end(&asked[n], 0, UPSTREAM_BODY);
			assert_string_equal(asked[n].body, body);
		}
		assert_true(asked[n].ends <= 1);
	}
	free(visits);
	free(asked);
	scene_close(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flood),         cmocka_unit_test(test_endless_head),
		cmocka_unit_test(test_streamed_body), cmocka_unit_test(test_streamed_faults),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
