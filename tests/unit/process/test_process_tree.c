/* Goal: a tree holds all that stems from a process however it hid, nothing else, and a signal goes
 * to those alone. Method: real children that fork, detach and rename themselves under a subreaper.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "process/proc.h"
#include "process/process_tree.h"

enum { GENERATIONS = 3 };

static bool holds(const struct process_tree *tree, pid_t pid)
{
	for (size_t i = 0; i < tree->count; i++)
		if (tree->v[i].pid == pid)
			return true;
	return false;
}

static int lifeline[2]; /* ends with this process, and with it all that wait */

static _Noreturn void wait_for_ever(void)
{
	char byte;
	(void)!read(lifeline[0], &byte, 1);
	_exit(0);
}

/* A line of processes, each with a session and a name of its own; all of their pids, the first
 * one's first. */
static void start_line(pid_t ret_pids[GENERATIONS])
{
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	if (fork() == 0) {
		close(lifeline[1]);
		for (int i = 0; i < GENERATIONS; i++) {
			pid_t pid = getpid();
			setsid();
			prctl(PR_SET_NAME, "x) S 1 (");
			(void)!write(fds[1], &pid, sizeof(pid));
			if (i + 1 == GENERATIONS || fork() != 0)
				wait_for_ever();
		}
	}
	for (int i = 0; i < GENERATIONS; i++)
		assert_int_equal(read(fds[0], &ret_pids[i], sizeof(*ret_pids)), sizeof(*ret_pids));
	close(fds[0]);
	close(fds[1]);
}

/* Ends it by a signal of ours: whatever was sent before would have been first. */
static void end(pid_t pid)
{
	int status;
	kill(pid, SIGUSR1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGUSR1);
}

static void end_line(const pid_t pids[GENERATIONS])
{
	for (int i = 0; i < GENERATIONS; i++)
		end(pids[i]);
}

static void test_line(void **state)
{
	struct process_tree tree;
	pid_t pids[GENERATIONS];
	(void)state;
	start_line(pids);
	process_tree_read(&tree, getpid(), 0);
	assert_int_equal(tree.count, GENERATIONS);
	for (size_t i = 0; i < GENERATIONS; i++) {
		assert_int_equal(tree.v[i].pid, pids[i]);
		assert_int_equal(tree.v[i].parent, i ? pids[i - 1] : getpid());
		assert_int_equal(tree.v[i].start, proc_start(pids[i]));
	}
	process_tree_finish(&tree);

	process_tree_read(&tree, pids[1], 0);
	assert_int_equal(tree.count, 1);
	assert_int_equal(tree.v[0].pid, pids[2]);
	process_tree_finish(&tree);
	end_line(pids);
}

/* What lost its parent comes to the subreaper; the dead belong to nobody. */
static void test_orphan(void **state)
{
	struct process_tree tree;
	pid_t pids[GENERATIONS];
	siginfo_t info;
	(void)state;
	start_line(pids);
	kill(pids[0], SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pids[0], &info, WEXITED | WNOWAIT), 0);
	process_tree_read(&tree, getpid(), 0);
	assert_int_equal(tree.count, GENERATIONS - 1);
	assert_false(holds(&tree, pids[0]));
	assert_true(holds(&tree, pids[1]) && holds(&tree, pids[2]));
	process_tree_finish(&tree);
	waitpid(pids[0], NULL, 0);
	end(pids[1]);
	end(pids[2]);
}

/* Those of before, and what they have started since; not a later one of the same number. */
static void test_leave_out(void **state)
{
	struct process_tree tree, before;
	pid_t pids[GENERATIONS];
	(void)state;
	start_line(pids);
	before = (struct process_tree){
		.v = &(struct process){.pid = pids[1], .start = proc_start(pids[1])}, .count = 1};
	process_tree_read(&tree, getpid(), 0);
	process_tree_leave_out(&tree, &before);
	assert_int_equal(tree.count, 1);
	assert_true(holds(&tree, pids[0]));
	process_tree_finish(&tree);

	before.v[0].start++;
	process_tree_read(&tree, getpid(), 0);
	process_tree_leave_out(&tree, &before);
	assert_int_equal(tree.count, GENERATIONS);
	process_tree_finish(&tree);
	end_line(pids);
}

static void test_except(void **state)
{
	struct process_tree tree;
	pid_t pids[GENERATIONS];
	(void)state;
	start_line(pids);
	process_tree_read(&tree, getpid(), pids[1]);
	assert_int_equal(tree.count, 1);
	assert_true(holds(&tree, pids[0]));
	process_tree_finish(&tree);
	end_line(pids);
}

/* One that has the pid by now is left alone. */
static void test_signal(void **state)
{
	struct process_tree tree;
	pid_t pids[GENERATIONS];
	int status;
	(void)state;
	start_line(pids);
	process_tree_read(&tree, getpid(), 0);
	tree.v[1].start++;
	process_tree_signal(&tree, SIGTERM);
	process_tree_finish(&tree);

	assert_int_equal(waitpid(pids[0], &status, 0), pids[0]);
	assert_int_equal(WTERMSIG(status), SIGTERM);
	end(pids[1]); /* else the last one is not ours to wait for */
	assert_int_equal(waitpid(pids[2], &status, 0), pids[2]);
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),   cmocka_unit_test(test_orphan),
		cmocka_unit_test(test_except), cmocka_unit_test(test_leave_out),
		cmocka_unit_test(test_signal),
	};
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (pipe(lifeline) != 0)
		return 1;
	return cmocka_run_group_tests_name("process_tree", tests, NULL, NULL);
}
