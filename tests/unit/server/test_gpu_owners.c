/* Goal: a driver's pid is the process that it was when it was first looked at, and works for the
 * session that its tree or its cgroup says; a later process of that number is another. Method: real
 * processes, and sessions that the test answers for the core. */
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

#include "process/proc.h"
#include "server/gpus/gpu_owners.h"

static struct session_record sessions[2];
static uint64_t session_count;

bool core_session_after(const struct core *core, uint64_t session_id,
			const struct session_record **ret_session, uint64_t *ret_conn,
			struct mono_ms *ret_last_seen)
{
	(void)core;
	if (session_id >= session_count)
		return false;
	*ret_session = &sessions[session_id];
	*ret_conn = 1;
	*ret_last_seen = (struct mono_ms){0};
	return true;
}

static struct gpu_owners owners;
static const struct mono_ms now = {5000};
static pid_t parent, child;

/* A process and its child; both wait to be killed. */
static int set_up(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	parent = fork();
	if (parent == 0) {
		pid_t own = fork();
		if (own > 0)
			(void)!write(fds[1], &own, sizeof(own));
		for (;;)
			pause();
	}
	assert_int_equal(read(fds[0], &child, sizeof(child)), sizeof(child));
	close(fds[0]), close(fds[1]);
	session_count = 0;
	memset(sessions, 0, sizeof(sessions));
	gpu_owners_init(&owners);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	gpu_owners_finish(&owners);
	kill(child, SIGKILL);
	kill(parent, SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}

static void open_session(pid_t pid)
{
	sessions[session_count] = (struct session_record){.id = session_count + 1,
							  .binding = BIND_NATIVE,
							  .pid = pid,
							  .pid_start = proc_start(pid)};
	session_count++;
}

static uint64_t session_of(pid_t pid)
{
	gpu_owners_begin(&owners, NULL);
	const struct gpu_owner *owner = gpu_owners_of(&owners, pid, now);

	assert_non_null(owner);
	return owner->session;
}

static void test_tree(void **state)
{
	(void)state;
	assert_int_equal(session_of(child), 0);
	open_session(parent);
	assert_int_equal(session_of(child), 1);
	open_session(child); /* the nearest counts */
	assert_int_equal(session_of(child), 2);
	assert_int_equal(session_of(getpid()), 0);
}

/* Whose start differs is another process. */
static void test_other_start(void **state)
{
	(void)state;
	open_session(parent);
	sessions[0].pid_start++;
	assert_int_equal(session_of(child), 0);
}

/* The orphan still works for the same session. */
static void test_orphan(void **state)
{
	(void)state;
	open_session(parent);
	assert_int_equal(session_of(child), 1);
	kill(parent, SIGKILL);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	assert_int_equal(session_of(child), 1);
	gpu_owners_begin(&owners, NULL);
	assert_null(gpu_owners_of(&owners, parent, now)); /* dead */
}

static void test_named(void **state)
{
	(void)state;
	open_session(getpid());
	sessions[0].pid = 0;
	sessions[0].named.count = 1;
	sessions[0].named.v[0] = (struct named_process){parent, proc_start(parent)};
	assert_int_equal(session_of(child), 1);
}

static void test_cgroup(void **state)
{
	char path[LIMIT_CGROUP_BYTES + 1];

	(void)state;
	if (!proc_cgroup(child, path, sizeof(path)) || strcmp(path, "/") == 0)
		skip();
	open_session(1);
	sessions[0].pid = 0;
	snprintf(sessions[0].named.cgroup, sizeof(sessions[0].named.cgroup), "/sys/fs/cgroup%.200s",
		 path);
	assert_int_equal(session_of(child), 1);
}

static void test_nobody(void **state)
{
	static const int64_t pids[] = {0, -1, INT32_MAX};

	(void)state;
	gpu_owners_begin(&owners, NULL);
	for (size_t i = 0; i < 3; i++)
		assert_null(gpu_owners_of(&owners, pids[i], now));
	/* Unnamed for some rounds, it is forgotten, and its descriptor closed. */
	assert_non_null(gpu_owners_of(&owners, child, now));
	for (int i = 0; i < 5; i++)
		gpu_owners_begin(&owners, NULL);
	assert_int_equal(owners.by_pid.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tree),  TEST(test_other_start), TEST(test_orphan),
		TEST(test_named), TEST(test_cgroup),      TEST(test_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
