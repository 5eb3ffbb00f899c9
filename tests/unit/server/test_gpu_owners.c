/* Goal: a driver's pid is the process that it was when it was first looked at, and works for the
 * session that its tree or its cgroup says; a later process of that number is another. Method: real
 * processes, and sessions that the test answers for the core. */
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

#include "core/view.h"
#include "process/proc.h"
#include "process/proc_parse.h"
#include "process/process_tree.h"
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
static struct mono_ms now;
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
	now.v = 5000;
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

static const struct gpu_owner *owner_of(pid_t pid)
{
	gpu_owners_begin(&owners, NULL, now);
	return gpu_owners_of(&owners, pid, now);
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
	gpu_owners_begin(&owners, NULL, now);
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

static bool proc_is_gone(pid_t pid)
{
	struct proc_stat stat;
	return !proc_stat(pid, &stat) || proc_is_dead(&stat);
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
	assert_int_equal(owner_of(parent)->pidfd, -1); /* dead */
	kill(child, SIGKILL);
	while (!proc_is_gone(child))
		usleep(1000);
	assert_int_equal(session_of(child), 1); /* what it left is still of it */
	assert_int_equal(owner_of(child)->pidfd, -1);
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
	static const int64_t pids[] = {0, -1};

	(void)state;
	gpu_owners_begin(&owners, NULL, now);
	for (size_t i = 0; i < 2; i++)
		assert_null(gpu_owners_of(&owners, pids[i], now));
	/* Unnamed for some rounds, it is forgotten, and its descriptor closed. */
	assert_non_null(gpu_owners_of(&owners, child, now));
	for (int i = 0; i < 5; i++)
		gpu_owners_begin(&owners, NULL, now);
	assert_int_equal(owners.by_pid.count, 0);
}

/* ---- what is odd about them ---- */

static void pass(int64_t ms)
{
	now.v += ms;
}

/* Killed and not waited for; then waited for, while the driver still lists it. */
static void test_dead(void **state)
{
	(void)state;
	assert_int_equal(owner_of(parent)->condition, GPU_CONDITION_NONE);
	kill(parent, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)parent, NULL, WEXITED | WNOWAIT), 0);
	assert_int_equal(owner_of(parent)->condition, GPU_CONDITION_NONE); /* not yet */
	pass(CONDITION_DEAD_MS);
	assert_int_equal(owner_of(parent)->condition, GPU_CONDITION_ZOMBIE);
	assert_string_not_equal(owner_of(parent)->command, "");

	assert_int_equal(waitpid(parent, NULL, 0), parent);
	assert_int_equal(owner_of(parent)->condition, GPU_CONDITION_DEAD);
	assert_string_not_equal(owner_of(parent)->command, "");
}

static void test_never_seen_alive(void **state)
{
	(void)state;
	const struct gpu_owner *owner = owner_of(INT32_MAX);
	assert_string_equal(owner->command, "");
	assert_int_equal(owner->condition, GPU_CONDITION_NONE);
	pass(CONDITION_DEAD_MS);
	assert_int_equal(owner_of(INT32_MAX)->condition, GPU_CONDITION_DEAD);
}

/* A dead one whose number a living process has is looked at anew. */
static void test_number_again(void **state)
{
	(void)state;
	struct gpu_owner *owner = (struct gpu_owner *)owner_of(child);
	close(owner->pidfd);
	owner->pidfd = -1;
	snprintf(owner->command, sizeof(owner->command), "former");
	assert_string_not_equal(owner_of(child)->command, "former");
	assert_true(owner_of(child)->pidfd >= 0);
}

/* The parent of a vfork waits in the kernel (D) until its child ends. */
static void test_stuck(void **state)
{
	(void)state;
	pid_t waiter = fork();
	if (waiter == 0) {
		if (vfork() == 0) {
			pause();
			_exit(0);
		}
		for (;;)
			pause();
	}
	while (proc_status(waiter).state != 'D')
		usleep(1000);

	assert_int_equal(owner_of(waiter)->condition, GPU_CONDITION_NONE);
	pass(CONDITION_LOOK_MS);
	assert_int_equal(owner_of(waiter)->condition, GPU_CONDITION_NONE); /* seen once */
	pass(CONDITION_LOOK_MS - 1);
	assert_int_equal(owner_of(waiter)->condition, GPU_CONDITION_NONE);
	pass(1);
	assert_int_equal(owner_of(waiter)->condition, GPU_CONDITION_STUCK);
	assert_int_equal(owner_of(child)->condition, GPU_CONDITION_NONE);
	pass(CONDITION_LOOK_MS);
	assert_int_equal(owner_of(child)->condition, GPU_CONDITION_NONE); /* it waits, but not so */

	struct process_tree tree;
	process_tree_read(&tree, waiter, 0);
	process_tree_signal(&tree, SIGKILL); /* its child, so the wait is over */
	process_tree_finish(&tree);
	while (proc_status(waiter).state == 'D')
		usleep(1000);
	pass(CONDITION_LOOK_MS);
	assert_int_equal(owner_of(waiter)->condition, GPU_CONDITION_NONE);
	kill(waiter, SIGKILL);
}

/* By its name, or by a device whose other end it is. */
static void test_serves(void **state)
{
	(void)state;
	assert_true(gpu_condition_serves(child, "vramfs"));
	assert_false(gpu_condition_serves(child, "python3"));
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		skip();
	assert_int_equal(owner_of(getpid())->condition, GPU_CONDITION_SWAP);
	close(fd);
}

static void test_container(void **state)
{
	static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char id[65], folder[256], path[300];
	FILE *file = NULL;

	(void)state;
	snprintf(id, sizeof(id), "3f2a9c1b77d0e15c%048x", (unsigned)getpid());
	for (size_t i = 0; i < 2 && !file; i++) {
		snprintf(folder, sizeof(folder), "%s/docker-%s.scope", roots[i], id);
		snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
		if (mkdir(folder, 0755) == 0)
			file = fopen(path, "r+"); /* the kernel's: of a tmpfs it is not made */
		if (!file)
			rmdir(folder);
	}
	if (!file)
		skip(); /* no cgroup v2 may be made here */
	fprintf(file, "%ld", (long)child);
	assert_int_equal(fclose(file), 0);

	assert_string_equal(owner_of(child)->container.runtime, "docker");
	assert_string_equal(owner_of(child)->container.id, id);
	assert_string_equal(owner_of(parent)->container.id, "");
	kill(child, SIGKILL);
	while (rmdir(folder) < 0)
		usleep(1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tree),  TEST(test_other_start),      TEST(test_orphan),
		TEST(test_named), TEST(test_cgroup),           TEST(test_nobody),
		TEST(test_dead),  TEST(test_never_seen_alive), TEST(test_number_again),
		TEST(test_stuck), TEST(test_serves),           TEST(test_container),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
