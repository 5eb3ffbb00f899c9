/* Goal: a job's cgroup is made where that is permitted, found again, and gone at the end with all
 * that was made below it. Method: real ones; where none may be made, that there is none. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "process/job_cgroup.h"

static void make_or_skip(struct job_cgroup *job)
{
	job_cgroup_make(job, "baton-unit");
	if (*job->path)
		return;
	assert_int_equal(job->fds.dir_fd, -1);
	assert_int_equal(job_cgroup_open_entry(job), -1);
	print_message("no cgroup may be made here\n");
	skip();
}

/* A child that is in it before it does anything else. */
static pid_t start_within(const struct job_cgroup *job)
{
	int entry_fd = job_cgroup_open_entry(job);
	assert_true(entry_fd >= 0);
	int ready[2];
	char done;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)!write(entry_fd, "0", 1);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &done, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(entry_fd);
	return pid;
}

static void test_life(void **state)
{
	struct job_cgroup job;
	char below[400];
	(void)state;
	make_or_skip(&job);
	assert_non_null(strstr(job.path, "/baton-unit-"));
	assert_false(job_cgroup_populated(&job));
	pid_t child = start_within(&job);
	assert_true(job_cgroup_populated(&job));

	/* As in a new process that has closed everything. */
	cgroup_close(&job.fds);
	job_cgroup_reopen(&job);
	assert_true(job_cgroup_populated(&job));
	cgroup_kill(&job.fds);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_false(job_cgroup_populated(&job));

	snprintf(below, sizeof(below), "%s/below", job.path);
	assert_int_equal(mkdir(below, 0755), 0);
	*strrchr(below, '/') = '\0';
	job_cgroup_remove(&job);
	assert_int_equal(access(below, F_OK), -1);
	assert_string_equal(job.path, "");
	job_cgroup_remove(&job);
}

/* Somebody takes it away: known as soon as one asks, and then another is made. */
static void test_removed(void **state)
{
	struct job_cgroup job;
	(void)state;
	make_or_skip(&job);
	assert_int_equal(rmdir(job.path), 0);
	assert_false(job_cgroup_populated(&job));
	assert_int_equal(job.fds.events_fd, -1);
	assert_false(job_cgroup_populated(&job));
	job_cgroup_make(&job, "baton-unit");
	assert_true(job.fds.events_fd >= 0);
	job_cgroup_remove(&job);
}

static void test_none(void **state)
{
	struct job_cgroup job = JOB_CGROUP_NONE;
	char name[300];
	(void)state;
	job_cgroup_reopen(&job);
	assert_int_equal(job.fds.dir_fd, -1);
	assert_false(job_cgroup_populated(&job));
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	job_cgroup_make(&job, name); /* too long a path */
	assert_string_equal(job.path, "");
	assert_int_equal(job.fds.dir_fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_none),
	};
	return cmocka_run_group_tests_name("job_cgroup", tests, NULL, NULL);
}
