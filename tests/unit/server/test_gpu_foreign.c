/* Goal: in observe mode who computes without asking is recorded once, from when it is seen until it
 * is missed for some readings, and nobody else is. Method: figures as readings make them, and the
 * events that are queued. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/event_queue.h"
#include "server/gpus/gpu_foreign.h"
#include "server/queued_event.h"
#include "wire/gpu_encode.h"

static struct gpu_foreign foreign;
static struct event_queue queue;
static struct gpu_process_row rows[2];
static struct gpu_figures figures;

static int set_up(void **state)
{
	(void)state;
	foreign = (struct gpu_foreign){0};
	event_queue_init(&queue);
	rows[0] = (struct gpu_process_row){
		.pid = 4711, .command = "python3", .use = "compute", .since = {5}};
	rows[1] = rows[0];
	rows[1].pid = 4712;
	figures = (struct gpu_figures){
		.processes_known = true, .process_count = 1, .processes = rows};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	event_queue_finish(&queue);
	return 0;
}

/* What the next event is, and of whom; EVENT_TYPE_COUNT: there is none. */
static enum event_type next_event(struct party *ret_from)
{
	struct queued_event *queued = event_queue_shift(&queue);
	if (!queued)
		return EVENT_TYPE_COUNT;
	enum event_type type = queued->in.event.type;
	*ret_from = queued->in.event.from;
	event_queue_drop(&queue, queued);
	return type;
}

static void expect_nothing(void)
{
	struct party from = {0};
	assert_int_equal(next_event(&from), EVENT_TYPE_COUNT);
}

static void test_comes_and_goes(void **state)
{
	struct party came, left = {0};

	(void)state;
	gpu_foreign_take(&foreign, &queue, 3, &figures);
	struct queued_event *queued = event_queue_shift(&queue);
	assert_non_null(queued);
	const struct ev_acquire *acquire = &queued->in.event.acquire;
	assert_int_equal(queued->in.event.type, EVENT_ACQUIRE);
	assert_string_equal(acquire->name, "python3");
	assert_string_equal(acquire->label, "unmanaged, process 4711");
	assert_int_equal(acquire->need.gpu_mask, 1u << 3);
	assert_int_equal(acquire->need.slots, 1);
	came = queued->in.event.from;
	event_queue_drop(&queue, queued);

	gpu_foreign_take(&foreign, &queue, 3, &figures);
	figures.process_count = 0;
	for (int i = 1; i < FOREIGN_MISSES; i++)
		gpu_foreign_take(&foreign, &queue, 3, &figures);
	gpu_foreign_take(&foreign, &queue, 2, &figures); /* another GPU */
	expect_nothing();
	gpu_foreign_take(&foreign, &queue, 3, &figures);
	assert_int_equal(next_event(&left), EVENT_CONN_CLOSED);
	assert_true(left.id == came.id && left.kind == came.kind);
	expect_nothing();
}

/* Who draws, asked, is not known or is dead is no arrival; nor is anybody in a list that is none.
 */
static void test_not_counted(void **state)
{
	(void)state;
	rows[0].use = "graphics";
	gpu_foreign_take(&foreign, &queue, 0, &figures);
	rows[0].use = "drm";
	gpu_foreign_take(&foreign, &queue, 0, &figures);
	rows[0].use = "compute";
	rows[0].session = 7;
	gpu_foreign_take(&foreign, &queue, 0, &figures);
	rows[0].session = 0;
	rows[0].condition = "dead";
	gpu_foreign_take(&foreign, &queue, 0, &figures);
	rows[0].condition = NULL;
	rows[0].command[0] = '\0';
	gpu_foreign_take(&foreign, &queue, 0, &figures);
	rows[0].command[0] = 'p';
	figures.processes_known = false;
	gpu_foreign_take(&foreign, &queue, 0, &figures);
	expect_nothing();
}

/* Another process of the same number is another arrival; the same one on two GPUs is two. */
static void test_told_apart(void **state)
{
	struct party first = {0}, second = {0}, third = {0};

	(void)state;
	gpu_foreign_take(&foreign, &queue, 0, &figures);
	gpu_foreign_take(&foreign, &queue, 1, &figures);
	rows[0].since.v = 900;
	gpu_foreign_take(&foreign, &queue, 0, &figures);
	assert_int_equal(next_event(&first), EVENT_ACQUIRE);
	assert_int_equal(next_event(&second), EVENT_ACQUIRE);
	assert_int_equal(next_event(&third), EVENT_ACQUIRE);
	assert_true(first.id != second.id && second.id != third.id && first.id != third.id);
}

static void test_end(void **state)
{
	struct party from = {0};

	(void)state;
	figures.process_count = 2;
	gpu_foreign_take(&foreign, &queue, 0, &figures);
	gpu_foreign_end(&foreign, &queue);
	for (int i = 0; i < 2; i++)
		assert_int_equal(next_event(&from), EVENT_ACQUIRE);
	for (int i = 0; i < 2; i++)
		assert_int_equal(next_event(&from), EVENT_CONN_CLOSED);
	gpu_foreign_end(&foreign, &queue);
	expect_nothing();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_comes_and_goes), TEST(test_not_counted),
					   TEST(test_told_apart), TEST(test_end)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
