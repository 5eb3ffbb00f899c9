/* Goal: the rings keep the newest, say what they no longer have, and ids rise over restarts.
 * Method: more than they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/loop.h"
#include "server/observe.h"

struct wall_ms loop_wall_now(void)
{
	return (struct wall_ms){5};
}

static unsigned heard;

static void on_line(void *ctx, const struct observed_line *line)
{
	struct observers *o = ctx;
	heard++;
	assert_non_null(line->text);
	log_write(&o->log, LOG_WARN, "a line about a line", NULL, 0); /* must not come back here */
}

/* Ids begin above all of the epoch before; what fell out is not given. */
static void test_changes(void **state)
{
	(void)state;
	struct observers o;
	struct effect trace = {.type = EFFECT_TRACE};
	observe_init(&o, LOG_ERROR, 7);
	uint64_t first = o.change_next;
	assert_true(first > 6 * OBSERVE_EPOCH + 1000 && first < 8 * OBSERVE_EPOCH);
	assert_null(observe_change_at(&o, first));
	for (uint64_t i = 0; i < LIMIT_EVENT_RING + 10; i++) {
		trace.trace.claim = i;
		observe_change(&o, &trace, (struct wall_ms){(int64_t)i});
	}
	assert_int_equal(observe_change_oldest(&o), first + 10);
	assert_null(observe_change_at(&o, first + 9));
	assert_int_equal(observe_change_at(&o, first + 10)->effect.trace.claim, 10);
	assert_int_equal(observe_change_at(&o, o.change_next - 1)->effect.trace.claim,
			 LIMIT_EVENT_RING + 9);
	assert_null(observe_change_at(&o, o.change_next));
	observe_finish(&o);
}

/* Lines go to the ring and to who listens, without running in a circle; clearing hides them. */
static void test_lines(void **state)
{
	(void)state;
	struct observers o;
	observe_init(&o, LOG_INFO, 1);
	o.log.fd = -1;
	observe_on_line(&o, on_line, &o);
	log_write(&o.log, LOG_WARN, "first", NULL, 0);
	assert_int_equal(heard, 1);
	assert_string_equal(observe_line_at(&o, 1)->text, "first");
	assert_int_equal(o.line_next, 3);
	log_write(&o.log, LOG_DEBUG, "not written", NULL, 0);
	assert_int_equal(o.line_next, 3);
	observe_on_line(&o, NULL, NULL);
	for (int i = 0; i < LIMIT_LOG_LINES; i++)
		log_write(&o.log, LOG_INFO, "more", NULL, 0);
	assert_null(observe_line_at(&o, 2));
	assert_non_null(observe_line_at(&o, 3));
	observe_clear_lines(&o);
	assert_null(observe_line_at(&o, o.line_next - 1));
	log_write(&o.log, LOG_INFO, "after", NULL, 0);
	assert_string_equal(observe_line_at(&o, o.line_next - 1)->text, "after");
	observe_finish(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
