/* Goal: the kernel's own answers about real processes are read right, and a process that is not
 * there is unknown. Method: this process and children that wait, die or change their name. */
#include <grp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "process/proc.h"
#include "process/proc_parse.h"

enum { GROUPS = 2000 }; /* 12 KiB of digits */

/* A child that has set its name and waits to be killed. */
static pid_t start_child(const char *name)
{
	int fds[2];
	char done;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NAME, name);
		(void)!write(fds[1], "x", 1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	assert_int_equal(read(fds[0], &done, 1), 1);
	close(fds[0]);
	close(fds[1]);
	return pid;
}

/* The kernel writes the name into stat as it is: it must not pass for what follows it. */
static void test_names(void **state)
{
	static const char *const names[] = {"plain", "a) R 1 2 3", "((", "a\nb", ") ) ) ) )"};
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct proc_stat stat;
		char name[32];
		pid_t child = start_child(names[i]);
		assert_true(proc_stat(child, &stat));
		assert_int_equal(stat.parent, getpid());
		assert_int_equal(stat.threads, 1);
		assert_true(stat.start >= proc_start(PROC_SELF) && proc_start(PROC_SELF) > 0);
		assert_int_equal(proc_start(child), stat.start);
		proc_name(child, name, sizeof(name));
		assert_int_equal(strncmp(name, names[i], strcspn(names[i], "\n")), 0);
		assert_null(strchr(name, '\n'));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
}

/* One that has ended has no parent any more, whether it was waited for or not. */
static void test_dead(void **state)
{
	struct proc_stat stat;
	siginfo_t info;
	char name[32] = "before";
	(void)state;
	pid_t child = start_child("short");
	assert_int_equal(proc_parent(child), getpid());
	kill(child, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_true(proc_stat(child, &stat));
	assert_true(proc_is_dead(&stat));
	assert_int_equal(proc_parent(child), 0);

	waitpid(child, NULL, 0);
	assert_false(proc_stat(child, &stat));
	assert_int_equal(proc_start(child), 0);
	assert_int_equal(proc_parent(child), 0);
	assert_int_equal(proc_status(child).uid, -1);
	assert_false(proc_status(child).is_nested);
	proc_name(child, name, sizeof(name));
	assert_string_equal(name, "");
}

/* A first thread that has ended looks like a zombie while others go on. */
static void test_is_dead(void **state)
{
	(void)state;
	assert_true(proc_is_dead(&(struct proc_stat){.state = 'Z', .threads = 1}));
	assert_true(proc_is_dead(&(struct proc_stat){.state = 'Z', .threads = 0}));
	assert_true(proc_is_dead(&(struct proc_stat){.state = 'X', .threads = 1}));
	assert_false(proc_is_dead(&(struct proc_stat){.state = 'Z', .threads = 2}));
	assert_false(proc_is_dead(&(struct proc_stat){.state = 'T', .threads = 1}));
}

static void test_status(void **state)
{
	(void)state;
	assert_int_equal(proc_status(PROC_SELF).uid, getuid());
	assert_int_equal(proc_status(getpid()).uid, getuid());
}

/* NSpid comes behind the groups: however many there are, it is read. */
static void test_many_groups(void **state)
{
	static gid_t groups[GROUPS];
	int fds[2];
	pid_t nested = 0;
	(void)state;
	for (gid_t i = 0; i < GROUPS; i++)
		groups[i] = 100000 + i;
	assert_int_equal(pipe(fds), 0);

	pid_t child = fork();
	if (child == 0) {
		if (setgroups(GROUPS, groups) == 0 && unshare(CLONE_NEWPID) == 0)
			nested = fork();
		if (getpid() != 1)
			(void)!write(fds[1], &nested, sizeof(nested));
		for (;;)
			pause();
	}

	assert_int_equal(read(fds[0], &nested, sizeof(nested)), sizeof(nested));
	struct proc_status of_child = proc_status(child), of_nested = proc_status(nested);
	if (nested)
		kill(nested, SIGKILL);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(fds[0]);
	close(fds[1]);

	if (!nested) {
		print_message("no PID namespace may be made here\n");
		skip();
	}
	assert_false(of_child.is_nested);
	assert_true(of_nested.is_nested);
	assert_int_equal(of_nested.uid, getuid());
}

/* As much as fits, always ended. */
static void test_read(void **state)
{
	char bytes[4] = "abc";
	(void)state;
	assert_int_equal(proc_read(getpid(), "stat", bytes, sizeof(bytes)), 3);
	assert_int_equal(bytes[3], '\0');
	assert_int_equal(proc_read(getpid(), "no such file", bytes, sizeof(bytes)), 0);
	assert_string_equal(bytes, "");
}

static void test_list(void **state)
{
	bool found = false;
	pid_t pid;
	DIR *proc = opendir("/proc");
	(void)state;
	while ((pid = proc_next(proc)) > 0)
		found |= pid == getpid();
	assert_true(found);
	closedir(proc);
	assert_int_equal(proc_next(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),       cmocka_unit_test(test_dead),
		cmocka_unit_test(test_is_dead),     cmocka_unit_test(test_status),
		cmocka_unit_test(test_many_groups), cmocka_unit_test(test_read),
		cmocka_unit_test(test_list),
	};
	return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
