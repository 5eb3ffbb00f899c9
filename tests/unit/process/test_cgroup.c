/* Goal: who is in a cgroup is told right or not at all, and a kill ends all of them but us. Method:
 * real cgroups with real children where they may be made, else those tests are skipped. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "process/cgroup.h"
#include "process/proc.h"

enum { CHILDREN = 3 };

struct fixture {
	char path[256], below[300];
	struct cgroup cgroup;
	pid_t children[CHILDREN]; /* one in the cgroup, one below it, one beside it */
};

static void enter(const char *path, pid_t pid)
{
	char procs[400];
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	FILE *file = fopen(procs, "r+");
	assert_non_null(file);
	fprintf(file, "%d\n", pid);
	assert_int_equal(fclose(file), 0);
}

static bool make_folders(struct fixture *f)
{
	static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		snprintf(f->path, sizeof(f->path), "%s/baton-unit-%d", roots[i], getpid());
		snprintf(f->below, sizeof(f->below), "%s/below", f->path);
		if (mkdir(f->path, 0755) != 0)
			continue;
		if (cgroup_open(f->path, &f->cgroup) == 0 && mkdir(f->below, 0755) == 0)
			return true;
		rmdir(f->path);
	}
	return false;
}

static int set_up(void **state)
{
	static struct fixture f;
	f = (struct fixture){.cgroup = CGROUP_NONE};
	*state = &f;
	if (!make_folders(&f)) {
		f.path[0] = '\0';
		return 0;
	}

	for (size_t i = 0; i < CHILDREN; i++) {
		f.children[i] = fork();
		if (f.children[i] == 0)
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (f.children[i] == 0)
			pause();
	}
	enter(f.path, f.children[0]);
	enter(f.below, f.children[1]);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < CHILDREN && *f->path; i++) {
		if (waitpid(f->children[i], NULL, WNOHANG) != 0)
			continue; /* the test has waited for it */
		kill(f->children[i], SIGKILL);
		waitpid(f->children[i], NULL, 0);
	}
	cgroup_close(&f->cgroup);
	rmdir(f->below);
	rmdir(f->path);
	return 0;
}

static struct fixture *fixture_of(void **state)
{
	struct fixture *f = *state;
	if (!*f->path) {
		print_message("no cgroup may be made here\n");
		skip();
	}
	return f;
}

static bool is_killed(pid_t pid)
{
	int status;
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGKILL;
}

/* Ends it by a signal of ours: a kill that was sent before would have been first. */
static bool is_spared(pid_t pid)
{
	int status;
	kill(pid, SIGUSR1);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGUSR1;
}

/* A kernel may count one that was waited for a moment longer, until it is off its CPU. */
static void wait_empty(const struct cgroup *cgroup)
{
	for (int ms = 0; cgroup_populated(cgroup) == 1 && ms < 10000; ms++)
		usleep(1000);
	assert_int_equal(cgroup_populated(cgroup), 0);
}

static void test_holds(void **state)
{
	struct fixture *f = fixture_of(state);
	assert_int_equal(cgroup_holds(&f->cgroup, f->children[0]), 1);
	assert_int_equal(cgroup_holds(&f->cgroup, f->children[1]), 1);
	assert_int_equal(cgroup_holds(&f->cgroup, f->children[2]), 0);
	assert_int_equal(cgroup_holds(&f->cgroup, PROC_SELF), 0);
	assert_int_equal(cgroup_holds(&f->cgroup, 1), 0);
}

/* Neither yes nor no, so that nobody takes it for either. */
static void test_holds_unknown(void **state)
{
	struct fixture *f = fixture_of(state);
	assert_true(cgroup_holds(&f->cgroup, INT32_MAX) < 0);
	assert_true(cgroup_holds(&CGROUP_NONE, PROC_SELF) < 0);
}

static void test_kill(void **state)
{
	struct fixture *f = fixture_of(state);
	assert_int_equal(cgroup_populated(&f->cgroup), 1);
	cgroup_kill(&f->cgroup);
	assert_true(is_killed(f->children[0]));
	assert_true(is_killed(f->children[1]));
	assert_true(is_spared(f->children[2]));
	wait_empty(&f->cgroup);
	cgroup_kill(&CGROUP_NONE);
}

/* Then one by one: the kernel would make no exception. */
static void test_kill_where_we_are(void **state)
{
	struct fixture *f = fixture_of(state);
	char above[300];
	enter(f->path, getpid());
	assert_int_equal(cgroup_holds(&f->cgroup, PROC_SELF), 1);
	cgroup_kill(&f->cgroup);
	snprintf(above, sizeof(above), "%s/..", f->path);
	enter(above, getpid());
	assert_true(is_killed(f->children[0]));
	assert_true(is_killed(f->children[1]));
	assert_true(is_spared(f->children[2]));
}

/* One that somebody took away is known to be empty. */
static void test_removed(void **state)
{
	struct fixture *f = fixture_of(state);
	cgroup_kill(&f->cgroup);
	assert_true(is_killed(f->children[0]));
	assert_true(is_killed(f->children[1]));
	wait_empty(&f->cgroup);
	assert_int_equal(rmdir(f->below), 0);
	assert_int_equal(rmdir(f->path), 0);
	assert_int_equal(cgroup_populated(&f->cgroup), -ENODEV);
	cgroup_kill(&f->cgroup);
}

static void test_owner(void **state)
{
	struct fixture *f = fixture_of(state);
	assert_int_equal(cgroup_owner(&f->cgroup), getuid());
	assert_int_equal(cgroup_owner(&CGROUP_NONE), -1);
}

static void test_not_one(void **state)
{
	struct cgroup cgroup;
	(void)state;
	assert_int_equal(cgroup_open("/tmp", &cgroup), -EINVAL);
	assert_int_equal(cgroup_open("tmp", &cgroup), -EINVAL);
	assert_int_equal(cgroup_open("", &cgroup), -EINVAL);
	assert_int_equal(cgroup_open("/proc/self", &cgroup), -EINVAL);
	assert_int_equal(cgroup_open("/dev/null", &cgroup), -EINVAL);
	assert_int_equal(cgroup_open("/sys/fs/cgroup/../cgroup", &cgroup), -EINVAL);
	assert_int_equal(cgroup_open("/no such folder", &cgroup), -ENOENT);
	assert_int_equal(cgroup.dir_fd, -1);
	assert_int_equal(cgroup.events_fd, -1);
	cgroup_close(&cgroup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_holds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_holds_unknown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kill, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kill_where_we_are, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_owner, set_up, tear_down),
		cmocka_unit_test(test_not_one),
	};
	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
