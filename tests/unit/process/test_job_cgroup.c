/* Goal: a job's cgroup is made where that is permitted, found again, and gone at the end with all
 * that was made below it. Method: real ones; where none may be made, that there is none. */
#include <fcntl.h>
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

#include "process/cgroup_divide.h"
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

/* A kernel may count one that was waited for a moment longer, until it is off its CPU. */
static void wait_empty(struct job_cgroup *job)
{
	for (int ms = 0; job_cgroup_populated(job) && ms < 10000; ms++)
		usleep(1000);
	assert_false(job_cgroup_populated(job));
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
	wait_empty(&job);

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

/* A name in the folder where jobs' cgroups are made. */
static const char *beside(const struct job_cgroup *job, const char *name, long number)
{
	static char path[512];
	const char *slash = strrchr(job->path, '/');
	(void)snprintf(path, sizeof(path), "%.*s/%s-%ld", (int)(slash - job->path), job->path, name,
		       number);
	return path;
}

static pid_t dead_process(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

/* What a process with our number has left, frozen: our job would never begin. */
static void test_left_by_our_number(void **state)
{
	struct job_cgroup job, again;
	(void)state;
	make_or_skip(&job);
	assert_int_equal(cgroup_freeze(&job.fds, true), 0);
	job_cgroup_make(&again, "baton-unit");
	assert_true(again.fds.dir_fd >= 0);
	pid_t child = start_within(&again);
	assert_int_equal(cgroup_frozen(&again.fds), 0);

	/* Where something lives, it is somebody else's. */
	cgroup_close(&job.fds);
	job_cgroup_make(&job, "baton-unit");
	assert_string_equal(job.path, "");
	assert_true(job_cgroup_populated(&again));
	cgroup_kill(&again.fds);
	assert_int_equal(waitpid(child, NULL, 0), child);
	wait_empty(&again);
	job_cgroup_remove(&again);
}

/* What dead ones left is removed by the next; not what the living have, nor what has processes. */
static void test_left_by_the_dead(void **state)
{
	static const char *const names[] = {"baton-run", "baton-wrapper"};
	struct job_cgroup job, used = JOB_CGROUP_NONE;
	char left[3][512], ours[512];
	(void)state;
	make_or_skip(&job);
	for (int i = 0; i < 2; i++) {
		snprintf(left[i], sizeof(left[i]), "%s", beside(&job, names[i], dead_process()));
		assert_int_equal(mkdir(left[i], 0755), 0);
	}
	snprintf(ours, sizeof(ours), "%s", beside(&job, "baton-run", getpid()));
	assert_int_equal(mkdir(ours, 0755), 0);
	snprintf(used.path, sizeof(used.path), "%.250s", beside(&job, "baton-run", dead_process()));
	assert_int_equal(mkdir(used.path, 0755), 0);
	job_cgroup_reopen(&used);
	pid_t child = start_within(&used);
	pid_t uncollected = fork();
	if (uncollected == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)uncollected, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	snprintf(left[2], sizeof(left[2]), "%s", beside(&job, "baton-run", uncollected));
	assert_int_equal(mkdir(left[2], 0755), 0);

	job_cgroup_remove(&job);
	job_cgroup_make(&job, "baton-unit");
	for (int i = 0; i < 3; i++)
		assert_int_equal(access(left[i], F_OK), -1);
	assert_int_equal(waitpid(uncollected, NULL, 0), uncollected);
	assert_true(access(ours, F_OK) == 0 && access(used.path, F_OK) == 0);

	job_cgroup_clear(used.path);
	job_cgroup_clear(ours);
	job_cgroup_clear(job.path);
	assert_true(access(ours, F_OK) == 0 && access(job.path, F_OK) == 0);
	assert_true(job_cgroup_populated(&used));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	wait_empty(&used);
	job_cgroup_clear(used.path);
	assert_int_equal(access(used.path, F_OK), -1);
	assert_int_equal(rmdir(ours), 0);
	cgroup_close(&used.fds);
	job_cgroup_remove(&job);
}

/* ---- the real kernel ---- */

static void read_in(const char *folder, const char *name, char ret_text[256])
{
	char path[700];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? 0 : read(fd, ret_text, 255);
	ret_text[length > 0 ? length : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

static bool is_in(pid_t pid, const char *folder)
{
	struct cgroup cgroup;
	bool in = cgroup_open(folder, &cgroup) == 0 && cgroup_holds(&cgroup, pid) == 1;
	cgroup_close(&cgroup);
	return in;
}

/* Of a process that is alone in `around`: it divides that, twice, for what a third one begins. */
static _Noreturn void divide(const char *around, const char *controller, int ready_fd)
{
	struct cgroup_divide divided = {0};
	char folder[600], text[256], why[512];
	int turns = 0;
	snprintf(folder, sizeof(folder), "%s/job", around);
	for (; turns < 2; turns++) {
		if (!cgroup_divide_begin(&divided, folder, controller, why, sizeof(why)))
			break;
		read_in(folder, "cgroup.controllers", text);
		if (!strstr(text, controller) || !is_in(getpid(), divided.leaf))
			break;
		if (turns == 0)
			cgroup_divide_end(&divided); /* whole again, and we are back in it */
	}

	/* As the keeper: forked when it was divided, it undoes that when the wrapper is dead. */
	int pipe_fds[2];
	if (turns < 2 || pipe(pipe_fds) < 0)
		_exit(1);
	if (fork() > 0) {
		(void)!write(ready_fd, "x", 1);
		for (;;)
			pause();
	}
	close(pipe_fds[1]);
	(void)!read(pipe_fds[0], text, 1);
	cgroup_divide_end(&divided);
	(void)!write(ready_fd, "y", 1);
	_exit(0);
}

/* The cgroup around a job holds only the wrapper, which is killed: it is whole again. */
static void test_divided(void **state)
{
	struct job_cgroup job, around;
	char controller[256], text[256], folder[600], ready;
	(void)state;
	make_or_skip(&job);
	around = job;
	read_in(around.path, "cgroup.controllers", controller);
	controller[strcspn(controller, " \n")] = '\0';
	if (!controller[0]) {
		job_cgroup_remove(&job);
		print_message("no controller is passed on to here\n");
		skip();
	}
	snprintf(folder, sizeof(folder), "%s/job", around.path);
	assert_int_equal(mkdir(folder, 0755), 0);

	int fds[2], entry_fd = job_cgroup_open_entry(&around);
	assert_int_equal(pipe(fds), 0);
	pid_t wrapper = fork();
	if (wrapper == 0) {
		if (write(entry_fd, "0", 1) == 1)
			divide(around.path, controller, fds[1]);
		_exit(1);
	}
	close(fds[1]);
	close(entry_fd);
	assert_int_equal(read(fds[0], &ready, 1), 1);
	read_in(around.path, "cgroup.subtree_control", text);
	assert_non_null(strstr(text, controller));
	kill(wrapper, SIGKILL);
	assert_int_equal(read(fds[0], &ready, 1), 1);
	read_in(around.path, "cgroup.subtree_control", text);
	assert_null(strstr(text, controller));
	snprintf(folder, sizeof(folder), "%s/baton-wrapper-%ld", around.path, (long)wrapper);
	assert_int_equal(access(folder, F_OK), -1);
	assert_int_equal(waitpid(wrapper, NULL, 0), wrapper);
	cgroup_kill(&job.fds);
	wait_empty(&job);
	close(fds[0]);
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
		cmocka_unit_test(test_left_by_our_number),
		cmocka_unit_test(test_left_by_the_dead),
		cmocka_unit_test(test_divided),
		cmocka_unit_test(test_none),
	};
	return cmocka_run_group_tests_name("job_cgroup", tests, NULL, NULL);
}
