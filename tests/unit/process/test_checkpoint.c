/* Goal: several processes leave the GPU in one order and come back in the other; whichever call
 * fails, all of them are as before, or it is said that they are not. Method: a driver that is an
 * array of states, whose calls are written down and fail as the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "process/checkpoint.h"

enum { COUNT = 3, CODE = 7 };

static const struct process list[COUNT] = {{.pid = 1}, {.pid = 2}, {.pid = 3}};

struct driver {
	enum checkpoint_state states[COUNT];
	char calls[128];
	int fails_at; /* the number of the call; 0: none */
	bool does_it; /* .. although it fails */
	bool breaks;  /* .. and the process is given up */
	int ends_at;  /* the process of that call ends in it */
	int count;
	int stops_at;  /* after so many calls; 0: never */
	bool fails_on; /* all later ones as well */
};

static int call(void *ctx, enum checkpoint_step step, const struct process *process)
{
	static const char letters[] = {'l', 'o', 'i', 'u'};
	static const enum checkpoint_state from[] = {CHECKPOINT_RUNNING, CHECKPOINT_LOCKED,
						     CHECKPOINT_OUT, CHECKPOINT_LOCKED};
	static const enum checkpoint_state to[] = {CHECKPOINT_LOCKED, CHECKPOINT_OUT,
						   CHECKPOINT_LOCKED, CHECKPOINT_RUNNING};
	struct driver *driver = ctx;
	enum checkpoint_state *state = &driver->states[process->pid - 1];
	size_t length = strlen(driver->calls);

	(void)snprintf(driver->calls + length, sizeof(driver->calls) - length, "%c%d",
		       letters[step], process->pid);
	driver->count++;
	if (*state == CHECKPOINT_NONE)
		return CODE;
	assert_int_equal(*state, from[step]);

	bool fails = driver->count == driver->fails_at ||
		     (driver->fails_on && driver->fails_at && driver->count > driver->fails_at);
	if (driver->count == driver->ends_at)
		*state = CHECKPOINT_NONE;
	else if (fails && driver->breaks)
		*state = CHECKPOINT_FAILED;
	else if (!fails || driver->does_it)
		*state = to[step];
	return fails || driver->count == driver->ends_at ? CODE : 0;
}

static enum checkpoint_state state_of(void *ctx, const struct process *process)
{
	return ((struct driver *)ctx)->states[process->pid - 1];
}

static bool must_stop(void *ctx)
{
	const struct driver *driver = ctx;
	return driver->stops_at && driver->count >= driver->stops_at;
}

static struct checkpoint_result leave(struct driver *driver, size_t from)
{
	const struct checkpoint_calls calls = {call, state_of, must_stop, driver};
	return checkpoint_move_out(&calls, list, COUNT, from);
}

static struct checkpoint_result come_back(struct driver *driver)
{
	const struct checkpoint_calls calls = {call, state_of, must_stop, driver};
	return checkpoint_move_in(&calls, list, COUNT);
}

static void assert_all(const struct driver *driver, enum checkpoint_state state)
{
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(driver->states[i], state);
}

static void test_there_and_back(void **state)
{
	(void)state;
	struct driver driver = {0};
	assert_int_equal(leave(&driver, 0).outcome, CHECKPOINT_DONE);
	assert_all(&driver, CHECKPOINT_OUT);
	assert_int_equal(come_back(&driver).outcome, CHECKPOINT_DONE);
	assert_all(&driver, CHECKPOINT_RUNNING);
	assert_string_equal(driver.calls, "l1l2l3o1o2o3i3i2i1u3u2u1");
}

/* Whichever of the six calls fails, and whether or not it did its part: all run again. */
static void test_undone(void **state)
{
	(void)state;
	for (int at = 1; at <= 2 * COUNT; at++) {
		for (int does_it = 0; does_it < 2; does_it++) {
			struct driver driver = {.fails_at = at, .does_it = does_it};
			struct checkpoint_result result = leave(&driver, 0);
			assert_int_equal(result.outcome, CHECKPOINT_UNDONE);
			assert_int_equal(result.code, CODE);
			assert_int_equal(result.pid, (at - 1) % COUNT + 1);
			assert_int_equal(result.step,
					 at > COUNT ? CHECKPOINT_MOVE_OUT : CHECKPOINT_LOCK);
			assert_all(&driver, CHECKPOINT_RUNNING);
		}
	}
}

static void test_order_of_undoing(void **state)
{
	(void)state;
	struct driver driver = {.fails_at = 6};
	(void)leave(&driver, 0);
	assert_string_equal(driver.calls, "l1l2l3o1o2o3i2i1u3u2u1");
}

/* Stopped between any two calls, or after the last: as before, and nobody's failure. */
static void test_stopped(void **state)
{
	(void)state;
	for (int after = 1; after <= 2 * COUNT; after++) {
		struct driver driver = {.stops_at = after};
		struct checkpoint_result result = leave(&driver, 0);
		assert_int_equal(result.outcome, CHECKPOINT_UNDONE);
		assert_int_equal(result.pid, 0);
		assert_all(&driver, CHECKPOINT_RUNNING);
	}
}

/* Given up by the driver, or not to be undone: said, with the first failure. */
static void test_lost(void **state)
{
	(void)state;
	struct driver broken = {.fails_at = 5, .breaks = true};
	struct checkpoint_result result = leave(&broken, 0);
	assert_int_equal(result.outcome, CHECKPOINT_LOST);
	assert_int_equal(result.pid, 2);
	assert_int_equal(result.step, CHECKPOINT_MOVE_OUT);

	struct driver deaf = {.fails_at = 6, .fails_on = true};
	result = leave(&deaf, 0);
	assert_int_equal(result.outcome, CHECKPOINT_LOST);
	assert_int_equal(result.pid, 3);
}

/* Nobody computes before all are back; a second try goes on where the first one failed. */
static void test_comes_back_later(void **state)
{
	(void)state;
	struct driver driver = {.states = {CHECKPOINT_OUT, CHECKPOINT_OUT, CHECKPOINT_OUT},
				.fails_at = 2};
	struct checkpoint_result result = come_back(&driver);
	assert_int_equal(result.outcome, CHECKPOINT_LOST);
	assert_int_equal(result.step, CHECKPOINT_MOVE_IN);
	assert_int_equal(result.pid, 2);
	assert_null(strchr(driver.calls, 'u'));
	assert_int_equal(come_back(&driver).outcome, CHECKPOINT_DONE);
	assert_all(&driver, CHECKPOINT_RUNNING);
}

/* What ends in the middle of it is nobody's failure. */
static void test_ended_meanwhile(void **state)
{
	(void)state;
	for (int at = 1; at <= 2 * COUNT; at++) {
		struct driver driver = {.ends_at = at};
		assert_int_equal(leave(&driver, 0).outcome, CHECKPOINT_DONE);
		driver.ends_at = 0;
		assert_int_equal(come_back(&driver).outcome, CHECKPOINT_DONE);
	}
}

/* Those that left before stay away, unless a later one fails. */
static void test_later_ones(void **state)
{
	(void)state;
	struct driver driver = {.states = {CHECKPOINT_OUT}};
	assert_int_equal(leave(&driver, 1).outcome, CHECKPOINT_DONE);
	assert_string_equal(driver.calls, "l2l3o2o3");
	assert_all(&driver, CHECKPOINT_OUT);

	struct driver failing = {.states = {CHECKPOINT_OUT}, .fails_at = 4};
	assert_int_equal(leave(&failing, 1).outcome, CHECKPOINT_UNDONE);
	assert_all(&failing, CHECKPOINT_RUNNING);
}

static void test_nothing_to_move(void **state)
{
	(void)state;
	struct driver driver = {0};
	const struct checkpoint_calls calls = {call, state_of, must_stop, &driver};
	assert_int_equal(checkpoint_move_out(&calls, list, 0, 0).outcome, CHECKPOINT_DONE);
	assert_int_equal(checkpoint_move_in(&calls, list, 0).outcome, CHECKPOINT_DONE);
	assert_string_equal(driver.calls, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_undone),
		cmocka_unit_test(test_order_of_undoing),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_comes_back_later),
		cmocka_unit_test(test_ended_meanwhile),
		cmocka_unit_test(test_later_ones),
		cmocka_unit_test(test_nothing_to_move),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
