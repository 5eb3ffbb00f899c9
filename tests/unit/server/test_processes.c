/* Goal: the exit of a session's process becomes an event at once, a pid that belongs to another
 * process by now counts as gone, and a signal hits the right one. Method: real children, the real
 * loop; waiting has a deadline. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/loop.h"
#include "server/processes.h"

enum { DEADLINE_MS = 10000 };

struct fixture {
	struct loop *loop;
	struct batch batch;
	struct processes processes;
	pid_t child;
};

void parsed_finish(struct parsed *parsed)
{
	(void)parsed;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_non_null(f);
	assert_int_equal(loop_create(&f->loop), 0);
	batch_init(&f->batch);
	processes_init(&f->processes, f->loop, &f->batch, NULL);
	f->child = fork();
	if (f->child == 0) {
		for (;;)
			pause();
	}
	assert_true(f->child > 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	kill(f->child, SIGKILL);
	waitpid(f->child, NULL, 0);
	processes_finish(&f->processes);
	batch_finish(&f->batch);
	loop_destroy(f->loop);
	free(f);
	return 0;
}

/* Field 22 of the child's stat, read as simply as its plain name allows. */
static uint64_t start_of(pid_t pid)
{
	char path[64];
	unsigned long long start = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	int got = fscanf(file,
			 "%*d %*s %*c %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d "
			 "%*d %*d %*d %llu",
			 &start);
	fclose(file);
	assert_int_equal(got, 1);
	return start;
}

static void watch(struct fixture *f, uint64_t session, uint64_t pid_start)
{
	const struct session_record record = {
		.id = session, .binding = BIND_NATIVE, .pid = f->child, .pid_start = pid_start};
	processes_watch(&f->processes, &record);
}

/* The session whose process is said to be gone, waiting for it; 0: none in time. */
static uint64_t gone(struct fixture *f)
{
	struct mono_ms end = mono_after(loop_now(), DEADLINE_MS);
	while (f->batch.count == 0 && mono_before(loop_now(), end)) {
		loop_wake_at(f->loop, end);
		loop_turn(f->loop);
	}
	struct ticket *ticket = batch_shift(&f->batch);
	if (!ticket)
		return 0;
	assert_int_equal(ticket->in.event.type, EVENT_PEER_EXIT);
	uint64_t session = ticket->in.event.peer.session;
	batch_drop(&f->batch, ticket);
	return session;
}

/* A kill is seen, once, and by who asks (S1). */
static void test_exit(void **state)
{
	struct fixture *f = *state;
	watch(f, 7, start_of(f->child));
	assert_false(processes_gone(&f->processes, 7));
	kill(f->child, SIGKILL);
	assert_int_equal(gone(f), 7);
	assert_true(processes_gone(&f->processes, 7));
	loop_drain(f->loop);
	assert_int_equal(f->batch.count, 0);
}

/* A pid whose process began at another time is another process (E9): gone at once, and never
 * signalled. */
static void test_reused_pid(void **state)
{
	struct fixture *f = *state;
	watch(f, 8, start_of(f->child) + 1);
	assert_int_equal(gone(f), 8);
	processes_signal(&f->processes, 8, SIGKILL);
	assert_int_equal(waitpid(f->child, NULL, WNOHANG), 0);
}

/* A process that was gone before it could be watched counts as gone, too. */
static void test_gone_before(void **state)
{
	struct fixture *f = *state;
	uint64_t start = start_of(f->child);
	kill(f->child, SIGKILL);
	waitpid(f->child, NULL, 0);
	watch(f, 9, start);
	assert_int_equal(gone(f), 9);
}

/* The signal of a forced revoke arrives. */
static void test_signal(void **state)
{
	struct fixture *f = *state;
	int status;
	watch(f, 10, start_of(f->child));
	processes_signal(&f->processes, 10, SIGTERM);
	assert_int_equal(waitpid(f->child, &status, 0), f->child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	processes_signal(&f->processes, 10, SIGKILL); /* no harm */
	processes_signal(&f->processes, 99, SIGKILL); /* not known */
}

/* Watching again is no second watch; a forgotten session says nothing; tabs have no process. */
static void test_forget(void **state)
{
	struct fixture *f = *state;
	const struct session_record tab = {.id = 12, .binding = BIND_TAB, .pid = f->child};
	watch(f, 11, start_of(f->child));
	watch(f, 11, start_of(f->child));
	processes_watch(&f->processes, &tab);
	assert_int_equal(f->processes.by_session.count, 1);
	processes_forget(&f->processes, 11);
	processes_forget(&f->processes, 11);
	kill(f->child, SIGKILL);
	assert_int_equal(waitpid(f->child, NULL, 0), f->child);
	loop_drain(f->loop);
	assert_int_equal(f->batch.count, 0);
	assert_false(processes_gone(&f->processes, 11));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_exit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reused_pid, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gone_before, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_signal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forget, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
