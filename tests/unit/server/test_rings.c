/* Goal: the rings keep the newest, say what they no longer have, and ids rise over restarts.
 * Method: more than they hold. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/loop.h"
#include "server/monitor/event_ring.h"
#include "server/monitor/log_ring.h"

struct wall_ms loop_wall_now(void)
{
	return (struct wall_ms){5};
}

static unsigned heard;

static void on_line(void *ctx, const struct log_ring_line *line)
{
	struct log_ring *ring = ctx;
	heard++;
	assert_non_null(line->text);
	log_write(&ring->log, LOG_WARN, "a line about a line", NULL,
		  0); /* must not come back here */
}

/* Ids begin above all of the epoch before; what fell out is not given. */
static void test_changes(void **state)
{
	(void)state;
	struct event_ring ring;
	struct trace_effect trace = {0};
	event_ring_init(&ring, 7);
	uint64_t first = ring.next;
	assert_true(first > 6 * EVENT_RING_EPOCH + 1000 && first < 8 * EVENT_RING_EPOCH);
	assert_null(event_ring_at(&ring, first));
	for (uint64_t i = 0; i < LIMIT_EVENT_RING + 10; i++) {
		trace.claim = i;
		event_ring_add(&ring, &trace, (struct wall_ms){(int64_t)i});
	}
	assert_int_equal(event_ring_oldest(&ring), first + 10);
	assert_null(event_ring_at(&ring, first + 9));
	assert_int_equal(event_ring_at(&ring, first + 10)->trace.claim, 10);
	assert_int_equal(event_ring_at(&ring, ring.next - 1)->trace.claim, LIMIT_EVENT_RING + 9);
	assert_null(event_ring_at(&ring, ring.next));
	event_ring_finish(&ring);
}

/* Lines go to the ring and to who listens, without running in a circle; clearing hides them. */
static void test_lines(void **state)
{
	(void)state;
	struct log_ring ring;
	log_ring_init(&ring, LOG_INFO);
	ring.log.fd = -1;
	log_ring_on_line(&ring, on_line, &ring);
	log_write(&ring.log, LOG_WARN, "first", NULL, 0);
	assert_int_equal(heard, 1);
	assert_string_equal(log_ring_at(&ring, 1)->text, "first");
	assert_int_equal(ring.next, 3);
	log_write(&ring.log, LOG_DEBUG, "not written", NULL, 0);
	assert_int_equal(ring.next, 3);
	log_ring_on_line(&ring, NULL, NULL);
	for (int i = 0; i < LIMIT_LOG_LINES; i++)
		log_write(&ring.log, LOG_INFO, "more", NULL, 0);
	assert_null(log_ring_at(&ring, 2));
	assert_non_null(log_ring_at(&ring, 3));
	log_ring_clear(&ring);
	assert_null(log_ring_at(&ring, ring.next - 1));
	log_write(&ring.log, LOG_INFO, "after", NULL, 0);
	assert_string_equal(log_ring_at(&ring, ring.next - 1)->text, "after");
	log_ring_finish(&ring);
}

/* The lines of a turn leave in one write, whole and in order; what a full pipe does not take is
 * counted, and the next line that gets out says how many. */
static void test_gathered(void **state)
{
	(void)state;
	struct log_ring ring;
	static char got[4 * LOG_RING_GATHER_BYTES];
	int ends[2];
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	log_ring_init(&ring, LOG_INFO);
	ring.log.fd = ends[1];
	log_write(&ring.log, LOG_INFO, "one", NULL, 0);
	log_write(&ring.log, LOG_INFO, "two", NULL, 0);
	assert_int_equal(read(ends[0], got, sizeof got), -1);
	log_flush(&ring.log);
	got[read(ends[0], got, sizeof got - 1)] = 0;
	assert_true(strstr(got, " one\n") && strstr(got, " two\n") > strstr(got, " one\n"));
	log_write(&ring.log, LOG_ERROR, "at once", NULL, 0);
	assert_true(read(ends[0], got, sizeof got) > 0);
	for (int i = 0; i < 4000; i++)
		log_write(&ring.log, LOG_INFO, "a line that is about forty bytes long..", NULL, 0);
	log_flush(&ring.log);
	uint64_t lost = ring.log.lost;
	assert_true(lost > 0 && lost < 4000);
	ssize_t n = read(ends[0], got, sizeof got);
	uint64_t lines = 0;
	for (ssize_t i = 0; i < n; i++)
		lines += got[i] == '\n';
	assert_int_equal(got[n - 1], '\n');
	assert_int_equal(lines + lost, 4000);
	log_write(&ring.log, LOG_INFO, "after", NULL, 0);
	log_flush(&ring.log);
	got[read(ends[0], got, sizeof got - 1)] = 0;
	char expected[64];
	snprintf(expected, sizeof expected, "after log_lines_lost=%llu\n",
		 (unsigned long long)lost);
	assert_non_null(strstr(got, expected));
	log_ring_finish(&ring);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_gathered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
