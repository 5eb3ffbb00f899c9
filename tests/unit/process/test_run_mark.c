/* Goal: of several marks the innermost is a process's own, each is found, and what is no mark is
 * none. Method: real processes with environments of their own. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "process/run_mark.h"

#define OUTER "0123456789abcdef0123456789abcdef"
#define INNER "fedcba9876543210fedcba9876543210"

/* Returns once it has its environment. */
static pid_t start(char *entry)
{
	char *environment[] = {(char *)"A=BATON_RUN=x", entry, (char *)"Z=1", NULL};
	char *words[] = {(char *)"sleep", (char *)"60", NULL};
	int fds[2];
	char done;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		if (fcntl(fds[1], F_SETFD, FD_CLOEXEC) == 0)
			execve("/bin/sleep", words, environment);
		_exit(1);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &done, 1), 0);
	close(fds[0]);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void innermost(void **state)
{
	char mark[LIMIT_MARK_BYTES + 1];
	(void)state;
	pid_t pid = start((char *)"BATON_RUN=" OUTER "," INNER);
	assert_true(run_mark_read(pid, mark));
	assert_string_equal(mark, INNER);
	assert_true(run_mark_has(pid, OUTER) && run_mark_has(pid, INNER));
	assert_false(run_mark_has(pid, "0000"));
	stop(pid);
	assert_false(run_mark_read(pid, mark) || run_mark_has(pid, INNER));
}

static pid_t start_bare(uint64_t limit)
{
	pid_t pid = fork();
	if (pid == 0) {
		run_mark_leave(limit);
		execl("/usr/bin/env", "env", "-i", "/bin/sleep", "60", NULL);
		_exit(1);
	}
	return pid;
}

/* What clears its environment keeps the limit, until it is dead, or drops it on purpose. One around
 * it stays. */
static void as_a_limit(void **state)
{
	uint64_t limit = run_mark_limit(INNER);
	(void)state;
	assert_true(limit > UINT64_C(1) << 62 && limit != run_mark_limit(OUTER));
	assert_true(run_mark_limit("") == 0 && run_mark_limit("no mark") == 0);
	pid_t pid = start_bare(limit);
	while (!run_mark_has(pid, INNER))
		sched_yield();
	assert_false(run_mark_has(pid, OUTER));
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	assert_false(run_mark_has(pid, INNER));
	assert_int_equal(waitpid(pid, NULL, 0), pid);

	pid = fork();
	if (pid == 0) {
		run_mark_leave(limit);
		run_mark_leave(run_mark_limit(OUTER));
		bool kept = run_mark_has(getpid(), INNER) && !run_mark_has(getpid(), OUTER);
		run_mark_drop();
		_exit(kept && !run_mark_has(getpid(), INNER) ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void no_marks(void **state)
{
	static const char *const entries[] = {"BATON_RUN=", "BATON_RUN=abc", "BATON_RUNS=" INNER,
					      "BATON_RUN=" INNER "0", "BATON_RUN=" INNER ",x"};
	(void)state;
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		char mark[LIMIT_MARK_BYTES + 1];
		pid_t pid = start((char *)entries[i]);
		assert_false(run_mark_read(pid, mark));
		stop(pid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(innermost),
		cmocka_unit_test(as_a_limit),
		cmocka_unit_test(no_marks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
