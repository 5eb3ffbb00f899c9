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
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/loop.h"
#include "process/proc.h"
#include "process/proc_parse.h"
#include "server/event_queue.h"
#include "server/process_tracker.h"
#include "server/queued_event.h"

enum { DEADLINE_MS = 10000 };

struct fixture {
	struct loop *loop;
	struct event_queue queue;
	struct process_tracker tracker;
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
	event_queue_init(&f->queue);
	process_tracker_init(&f->tracker, f->loop, &f->queue, NULL);
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
	process_tracker_finish(&f->tracker);
	event_queue_finish(&f->queue);
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

/* The next event, waiting for it; the queued is the caller's. NULL: none in time. */
static struct queued_event *next_event(struct fixture *f)
{
	struct mono_ms end = mono_after(loop_now(), DEADLINE_MS);
	while (f->queue.count == 0 && mono_before(loop_now(), end)) {
		loop_wake_at(f->loop, mono_min(end, process_tracker_step(&f->tracker, loop_now())));
		if (f->queue.count == 0)
			loop_turn(f->loop);
	}
	return event_queue_shift(&f->queue);
}

static void expect_exit(struct fixture *f, uint64_t session, bool rest)
{
	struct queued_event *queued = next_event(f);
	assert_non_null(queued);
	assert_int_equal(queued->in.event.type, EVENT_PEER_EXIT);
	assert_int_equal(queued->in.event.peer.session, session);
	assert_int_equal(queued->in.event.peer.rest, rest);
	event_queue_drop(&f->queue, queued);
}

static void expect_reach(struct fixture *f, uint64_t session, enum peer_reach reach)
{
	struct queued_event *queued = next_event(f);
	assert_non_null(queued);
	assert_int_equal(queued->in.event.type, EVENT_PEER_REACH);
	assert_int_equal(queued->in.event.peer.session, session);
	assert_int_equal(queued->in.event.peer.reach, reach);
	event_queue_drop(&f->queue, queued);
}

static pid_t sleeper(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Ends it by a signal of ours: whatever was sent before would have been first. */
static bool is_spared(pid_t pid)
{
	int status;
	kill(pid, SIGUSR1);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGUSR1;
}

static void watch(struct fixture *f, uint64_t session, uint64_t pid_start)
{
	const struct session_record record = {
		.id = session, .binding = BIND_NATIVE, .pid = f->child, .pid_start = pid_start};
	process_tracker_watch(&f->tracker, &record);
}

/* The session whose process is said to be gone, waiting for it; 0: none in time. */
static uint64_t gone(struct fixture *f)
{
	struct queued_event *queued = next_event(f);
	if (!queued)
		return 0;
	assert_int_equal(queued->in.event.type, EVENT_PEER_EXIT);
	assert_false(queued->in.event.peer.rest);
	uint64_t session = queued->in.event.peer.session;
	event_queue_drop(&f->queue, queued);
	return session;
}

/* A kill is seen, once, and by who asks (S1). */
static void test_exit(void **state)
{
	struct fixture *f = *state;
	watch(f, 7, start_of(f->child));
	assert_false(process_tracker_gone(&f->tracker, 7));
	kill(f->child, SIGKILL);
	assert_int_equal(gone(f), 7);
	assert_true(process_tracker_gone(&f->tracker, 7));
	loop_drain(f->loop);
	assert_int_equal(f->queue.count, 0);
}

/* A pid whose process began at another time is another process (E9): gone at once, and never
 * signalled. */
static void test_reused_pid(void **state)
{
	struct fixture *f = *state;
	watch(f, 8, start_of(f->child) + 1);
	assert_int_equal(gone(f), 8);
	process_tracker_signal(&f->tracker, 8, SIGKILL);
	assert_true(is_spared(f->child));
	f->child = sleeper();
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
	process_tracker_signal(&f->tracker, 10, SIGTERM);
	assert_int_equal(waitpid(f->child, &status, 0), f->child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	process_tracker_signal(&f->tracker, 10, SIGKILL); /* no harm */
	process_tracker_signal(&f->tracker, 99, SIGKILL); /* not known */
}

/* Watching again is no second watch; a forgotten session says nothing; tabs have no process. */
static void test_forget(void **state)
{
	struct fixture *f = *state;
	const struct session_record tab = {.id = 12, .binding = BIND_TAB, .pid = f->child};
	watch(f, 11, start_of(f->child));
	watch(f, 11, start_of(f->child));
	process_tracker_watch(&f->tracker, &tab);
	assert_int_equal(f->tracker.by_session.count, 1);
	process_tracker_forget(&f->tracker, 11);
	process_tracker_forget(&f->tracker, 11);
	kill(f->child, SIGKILL);
	assert_int_equal(waitpid(f->child, NULL, 0), f->child);
	loop_drain(f->loop);
	assert_int_equal(f->queue.count, 0);
	assert_false(process_tracker_gone(&f->tracker, 11));
}

static struct session_record record_of(struct fixture *f, uint64_t session)
{
	return (struct session_record){.id = session,
				       .binding = BIND_NATIVE,
				       .pid = f->child,
				       .pid_start = start_of(f->child),
				       .uid = getuid()};
}

/* The room is free when the last of what a session named is gone, in whatever order they go;
 * SIGKILL is for all but the keeper. */
static void test_named(void **state)
{
	struct fixture *f = *state;
	struct session_record record = record_of(f, 20);
	pid_t job = sleeper(), keeper = sleeper();
	int status;
	record.named.count = 2;
	record.named.v[0] = (struct named_process){job, start_of(job)};
	record.named.v[1] = (struct named_process){keeper, start_of(keeper)};
	record.named.keeper = keeper;
	process_tracker_watch(&f->tracker, &record);
	end(f->child);
	expect_exit(f, 20, true);
	assert_false(process_tracker_gone(&f->tracker, 20));
	process_tracker_signal(&f->tracker, 20, SIGTERM); /* for who is gone already */
	process_tracker_signal(&f->tracker, 20, SIGKILL);
	assert_int_equal(waitpid(job, &status, 0), job);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	loop_drain(f->loop);
	assert_int_equal(f->queue.count, 0);
	assert_true(is_spared(keeper));
	expect_exit(f, 20, false);
	assert_true(process_tracker_gone(&f->tracker, 20));
	f->child = sleeper();
}

/* Forks a child when it is told to, and one from that: their numbers go into the pipe. */
static pid_t forker(int numbers[2], int go[2])
{
	pid_t pid = fork();
	char byte;
	if (pid != 0)
		return pid;

	(void)!read(go[0], &byte, 1);
	for (int i = 0; i < 2 && fork() == 0; i++) {
		pid_t own = getpid();
		(void)!write(numbers[1], &own, sizeof own);
	}
	for (;;)
		pause();
}

static bool is_dead(pid_t pid)
{
	struct proc_stat stat;
	return !proc_stat(pid, &stat) || proc_is_dead(&stat);
}

/* What a named process started after its client had last named any is waited for, and killed: also
 * when it was started after the end of the client was seen. */
static void test_late(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		struct session_record record = record_of(f, 24);
		int numbers[2], go[2];
		pid_t late[2];
		assert_int_equal(pipe(numbers), 0);
		assert_int_equal(pipe(go), 0);
		pid_t job = forker(numbers, go), keeper = sleeper();
		record.named.count = 2;
		record.named.v[0] = (struct named_process){job, start_of(job)};
		record.named.v[1] = (struct named_process){keeper, start_of(keeper)};
		record.named.keeper = keeper;
		process_tracker_watch(&f->tracker, &record);
		if (i == 1) {
			end(f->child);
			expect_exit(f, 24, true);
		}
		assert_int_equal(write(go[1], "", 1), 1);
		for (int n = 0; n < 2; n++)
			assert_int_equal(read(numbers[0], &late[n], sizeof late[n]),
					 sizeof late[n]);
		if (i == 0) {
			end(f->child);
			expect_exit(f, 24, true);
		}

		process_tracker_signal(&f->tracker, 24, SIGKILL);
		assert_int_equal(waitpid(job, NULL, 0), job);
		for (int64_t until = loop_now().v + DEADLINE_MS;
		     !is_dead(late[0]) || !is_dead(late[1]);)
			assert_true(loop_now().v < until);
		assert_true(is_spared(keeper));
		expect_exit(f, 24, false);
		assert_true(process_tracker_gone(&f->tracker, 24));
		process_tracker_forget(&f->tracker, 24);
		for (int n = 0; n < 2; n++) {
			close(numbers[n]);
			close(go[n]);
		}
		f->child = sleeper();
	}
}

/* A late one that nobody killed keeps the room, though all that was named is gone. */
static void test_late_keeps_the_room(void **state)
{
	struct fixture *f = *state;
	struct session_record record = record_of(f, 25);
	int numbers[2], go[2];
	pid_t late[2];
	assert_int_equal(pipe(numbers), 0);
	assert_int_equal(pipe(go), 0);
	pid_t job = forker(numbers, go);
	record.named.count = 1;
	record.named.v[0] = (struct named_process){job, start_of(job)};
	process_tracker_watch(&f->tracker, &record);
	assert_int_equal(write(go[1], "", 1), 1);
	for (int n = 0; n < 2; n++)
		assert_int_equal(read(numbers[0], &late[n], sizeof late[n]), sizeof late[n]);
	end(f->child);
	expect_exit(f, 25, true);
	end(job);
	loop_drain(f->loop);
	assert_int_equal(f->queue.count, 0);
	assert_false(process_tracker_gone(&f->tracker, 25));
	process_tracker_signal(&f->tracker, 25, SIGKILL);
	expect_exit(f, 25, false);
	for (int n = 0; n < 2; n++) {
		close(numbers[n]);
		close(go[n]);
	}
	f->child = sleeper();
}

/* What is named no more counts no more. */
static void test_named_no_more(void **state)
{
	struct fixture *f = *state;
	struct session_record record = record_of(f, 21);
	pid_t job = sleeper();
	record.named.count = 1;
	record.named.v[0] = (struct named_process){job, start_of(job)};
	process_tracker_watch(&f->tracker, &record);
	record.named = (struct named_processes){0};
	process_tracker_watch(&f->tracker, &record);
	end(f->child);
	assert_int_equal(gone(f), 21);
	assert_int_equal(waitpid(job, NULL, WNOHANG), 0);
	end(job);
	f->child = sleeper();
}

/* Without a free descriptor nobody knows whether it lives: it counts as alive, and is watched as
 * soon as one is free (C42). */
static void test_no_descriptor(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit, none;
	struct session_record record = record_of(f, 22);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	process_tracker_watch(&f->tracker, &record);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_false(process_tracker_gone(&f->tracker, 22));
	expect_reach(f, 22, PEER_UNKNOWN);
	expect_reach(f, 22, PEER_REACHED);
	end(f->child);
	assert_int_equal(gone(f), 22);
	f->child = sleeper();
}

/* A peer without a number is watched by the descriptor of its connection, which is closed when
 * another takes its place; without one it is unknown, and that is said. */
static void test_without_a_number(void **state)
{
	struct fixture *f = *state;
	const struct session_record record = {.id = 23, .binding = BIND_NATIVE};
	int pidfd = pidfd_open(f->child, 0);
	assert_true(pidfd >= 0);
	process_tracker_watch(&f->tracker, &record);
	assert_int_equal(f->queue.count, 0);
	process_tracker_take(&f->tracker, 23, -1);
	expect_reach(f, 23, PEER_UNKNOWN);
	process_tracker_take(&f->tracker, 23, pidfd);
	expect_reach(f, 23, PEER_REACHED);
	process_tracker_signal(&f->tracker, 23, SIGKILL);
	assert_int_equal(gone(f), 23);
	process_tracker_take(&f->tracker, 99, pidfd_open(getpid(), 0)); /* not known: closed */
}

/* Needs a cgroup2 that may be written: where none may be made, nothing is shown. */
static void make_cgroup(struct named_processes *named)
{
	static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char procs[LIMIT_CGROUP_BYTES + 32];
	for (size_t i = 0; i < 2; i++) {
		snprintf(named->cgroup, sizeof named->cgroup, "%s/baton-test-%d", roots[i],
			 getpid());
		snprintf(procs, sizeof procs, "%s/cgroup.procs", named->cgroup);
		if (mkdir(named->cgroup, 0755) != 0)
			continue;
		if (access(procs, W_OK) == 0)
			return;
		rmdir(named->cgroup);
	}
	print_message("no cgroup may be made here\n");
	skip();
}

static void enter_cgroup(const struct named_processes *named, const char *beside, pid_t pid)
{
	char procs[LIMIT_CGROUP_BYTES + 32];
	snprintf(procs, sizeof procs, "%s%s/cgroup.procs", named->cgroup, beside);
	FILE *file = fopen(procs, "r+");
	assert_non_null(file);
	fprintf(file, "%d\n", pid);
	assert_int_equal(fclose(file), 0);
}

/* A folder of cgroup2: what lives in it is seen to go, and killed at once. */
static void test_cgroup(void **state)
{
	struct fixture *f = *state;
	struct session_record record = record_of(f, 24);
	struct named_processes *named = &record.named;
	make_cgroup(named);
	pid_t job = sleeper();
	enter_cgroup(named, "", job);
	process_tracker_watch(&f->tracker, &record);
	end(f->child);
	expect_exit(f, 24, true);
	process_tracker_signal(&f->tracker, 24, SIGKILL);
	assert_int_equal(waitpid(job, NULL, 0), job);
	expect_exit(f, 24, false);
	assert_int_equal(rmdir(named->cgroup), 0);
	f->child = sleeper();
}

/* Two sessions name one folder: that one of them goes does not make the other blind. */
static void test_cgroup_of_two(void **state)
{
	struct fixture *f = *state;
	struct session_record first = record_of(f, 25), second = record_of(f, 26);
	make_cgroup(&first.named);
	second.named = first.named;
	pid_t job = sleeper();
	enter_cgroup(&first.named, "", job);
	process_tracker_watch(&f->tracker, &first);
	process_tracker_watch(&f->tracker, &second);
	process_tracker_forget(&f->tracker, 25);
	end(f->child);
	expect_exit(f, 26, true);
	end(job);
	expect_exit(f, 26, false);
	assert_int_equal(rmdir(first.named.cgroup), 0);
	f->child = sleeper();
}

/* A broker that what lives there started anew kills the others and not itself. */
static void test_cgroup_of_ours(void **state)
{
	struct fixture *f = *state;
	struct session_record record = record_of(f, 27);
	make_cgroup(&record.named);
	pid_t job = sleeper();
	enter_cgroup(&record.named, "", job);
	enter_cgroup(&record.named, "", getpid());
	process_tracker_watch(&f->tracker, &record);
	process_tracker_signal(&f->tracker, 27, SIGKILL);
	assert_int_equal(waitpid(job, NULL, 0), job);
	enter_cgroup(&record.named, "/..", getpid());
	assert_int_equal(rmdir(record.named.cgroup), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_exit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reused_pid, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gone_before, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_signal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forget, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late_keeps_the_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_named_no_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_descriptor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_a_number, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cgroup, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cgroup_of_two, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cgroup_of_ours, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
