/* The loop: when it wakes, what runs when, and that what was unregistered never runs. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mono.h"
#include "net/loop.h"

struct seen {
	struct loop *loop;
	struct loop_watch *watch, *other;
	int calls, signo, depth, pipe[2];
	char order[16];
};

static struct seen *open_seen(void)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	assert_non_null(seen);
	assert_int_equal(loop_create(&seen->loop), 0);
	assert_int_equal(pipe(seen->pipe), 0);
	return seen;
}

static void close_seen(struct seen *seen)
{
	loop_destroy(seen->loop);
	(void)close(seen->pipe[0]);
	(void)close(seen->pipe[1]);
	free(seen);
}

/* A turn ends at the time it is told and not long after; taken back, the time does not wake. */
static void test_wake(void **state)
{
	(void)state;
	struct seen *seen = open_seen();
	struct mono_ms start = loop_now();
	loop_wake_at(seen->loop, mono_after(start, 20));
	loop_wake_at(seen->loop, MONO_NEVER);
	loop_wake_at(seen->loop, mono_after(start, 40));
	loop_turn(seen->loop);
	assert_in_range(mono_since(loop_now(), start), 35, 2000);
	loop_wake_at(seen->loop, start); /* long due */
	loop_turn(seen->loop);
	close_seen(seen);
}

static void mark(struct seen *seen, char c)
{
	assert_true(strlen(seen->order) < sizeof(seen->order) - 1);
	seen->order[strlen(seen->order)] = c;
}

static void second(void *ctx)
{
	mark(ctx, '2');
}

static void first(void *ctx)
{
	struct seen *seen = ctx;
	mark(seen, '1');
	loop_defer(seen->loop, second, seen);
}

static void read_one(void *ctx, int fd)
{
	struct seen *seen = ctx;
	char byte;
	assert_int_equal(read(fd, &byte, 1), 1);
	seen->calls++;
	mark(seen, 'r');
	loop_defer(seen->loop, first, seen);
}

/* What a callback defers runs behind the turn's callbacks; what a deferred call defers runs in the
 * next turn, which does not wait. */
static void test_deferred(void **state)
{
	(void)state;
	struct seen *seen = open_seen();
	assert_int_equal(loop_watch(seen->loop, seen->pipe[0], read_one, seen, &seen->watch), 0);
	assert_int_equal(write(seen->pipe[1], "a", 1), 1);
	loop_turn(seen->loop);
	assert_string_equal(seen->order, "r1");
	loop_turn(seen->loop); /* nothing is readable: it would wait for ever */
	assert_string_equal(seen->order, "r12");
	loop_defer(seen->loop, second, seen); /* between two turns */
	assert_int_equal(write(seen->pipe[1], "a", 1), 1);
	loop_turn(seen->loop);
	assert_string_equal(seen->order, "r122r1");
	loop_unwatch(seen->watch);
	close_seen(seen);
}

static void read_all(void *ctx, int fd)
{
	struct seen *seen = ctx;
	char byte;
	assert_int_equal(read(fd, &byte, 1), 1);
	seen->calls++;
}

/* Draining reads what lies there, all of it, and does not wait for more. */
static void test_drain(void **state)
{
	(void)state;
	struct seen *seen = open_seen();
	assert_int_equal(loop_watch(seen->loop, seen->pipe[0], read_all, seen, &seen->watch), 0);
	loop_drain(seen->loop);
	assert_int_equal(seen->calls, 0);
	assert_int_equal(write(seen->pipe[1], "abcdefgh", 8), 8);
	loop_drain(seen->loop);
	assert_int_equal(seen->calls, 8);
	loop_unwatch(seen->watch);
	close_seen(seen);
}

static void on_signal(void *ctx, int signo)
{
	struct seen *seen = ctx;
	seen->signo = signo;
	seen->calls++;
}

/* A signal becomes a call from the loop. */
static void test_signal(void **state)
{
	(void)state;
	struct seen *seen = open_seen();
	assert_int_equal(loop_on_signal(seen->loop, SIGUSR1, on_signal, seen), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(seen->calls, 0); /* not from the handler */
	loop_turn(seen->loop);
	assert_int_equal(seen->calls, 1);
	assert_int_equal(seen->signo, SIGUSR1);
	close_seen(seen);
}

static void unwatch_other(void *ctx, int fd)
{
	struct seen *seen = ctx;
	(void)fd;
	seen->calls++;
	loop_unwatch(seen->other);
	loop_unwatch(seen->watch);
	seen->other = seen->watch = NULL;
}

/* Unwatching inside a callback also takes back what is already due in the same turn. */
static void test_unwatch_inside(void **state)
{
	(void)state;
	struct seen *seen = open_seen();
	int twin = dup(seen->pipe[0]);
	assert_true(twin >= 0);
	assert_int_equal(loop_watch(seen->loop, seen->pipe[0], unwatch_other, seen, &seen->watch),
			 0);
	assert_int_equal(loop_watch(seen->loop, twin, unwatch_other, seen, &seen->other), 0);
	assert_int_equal(write(seen->pipe[1], "a", 1), 1);
	loop_turn(seen->loop);
	loop_drain(seen->loop);
	assert_int_equal(seen->calls, 1);
	(void)close(twin);
	close_seen(seen);
}

/* Destroying runs what is still deferred: frees are not lost. */
static void test_destroy_runs_deferred(void **state)
{
	(void)state;
	struct seen *seen = open_seen();
	loop_defer(seen->loop, first, seen);
	struct loop *loop = seen->loop;
	loop_destroy(loop);
	assert_string_equal(seen->order, "12");
	(void)close(seen->pipe[0]);
	(void)close(seen->pipe[1]);
	free(seen);
}

/* The clocks are what they say: monotonic never falls, wall time is after 2020. */
static void test_clocks(void **state)
{
	(void)state;
	struct mono_ms before = loop_now();
	assert_true(mono_due(before, loop_now()));
	assert_true(loop_wall_now().v > 1577836800000);
	assert_true(loop_suspended_ms() >= -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wake),           cmocka_unit_test(test_deferred),
		cmocka_unit_test(test_drain),          cmocka_unit_test(test_signal),
		cmocka_unit_test(test_unwatch_inside), cmocka_unit_test(test_destroy_runs_deferred),
		cmocka_unit_test(test_clocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
