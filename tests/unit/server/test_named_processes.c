/* Goal: a client can name its own processes and its own cgroup, and nothing else. Method: real
 * children, and a real cgroup where one may be made; peers of other users are made up. */
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

#include "base/err.h"
#include "core/record.h"
#include "net/net.h"
#include "process/proc.h"
#include "server/session/named_processes.h"

enum { OTHER_UID = 4711 };

static pid_t child;
static struct net_peer peer;
static char detail[128];

static int start_child(void **state)
{
	(void)state;
	child = fork();
	while (child == 0)
		pause();
	peer = (struct net_peer){.is_unix = true, .pid = child, .uid = getuid()};
	detail[0] = '\0';
	return child > 0 ? 0 : -1;
}

static int end_child(void **state)
{
	(void)state;
	kill(child, SIGKILL);
	return waitpid(child, NULL, 0) == child ? 0 : -1;
}

static void refuse(struct named_processes *named, const char *field)
{
	assert_int_equal(named_processes_check(&peer, named, detail, sizeof detail),
			 -ERR_BAD_FIELD);
	assert_non_null(strstr(detail, field));
}

/* What is gone is left out; when the others began is filled in. */
static void test_own(void **state)
{
	struct named_processes named = {.count = 2, .v = {{INT32_MAX, 0}, {child, 0}}};
	(void)state;
	assert_int_equal(named_processes_check(&peer, &named, detail, sizeof detail), 0);
	assert_int_equal(named.count, 1);
	assert_int_equal(named.v[0].pid, child);
	assert_int_equal(named.v[0].pid_start, proc_start(child));
	assert_int_equal(named.v[1].pid, 0);
}

static void test_of_others(void **state)
{
	struct named_processes named = {.count = 1, .v = {{child, 0}}};
	(void)state;
	peer.uid = OTHER_UID;
	refuse(&named, "field `pids`");
}

/* Not even root may have the broker killed with its session. */
static void test_broker(void **state)
{
	struct named_processes named = {.count = 1, .v = {{getpid(), 0}}};
	(void)state;
	refuse(&named, "field `pids`");
	peer.uid = 0;
	refuse(&named, "field `pids`");
}

/* A peer that the kernel gives no pid for is in another PID namespace. */
static void test_namespace(void **state)
{
	struct named_processes named = {.count = 1, .v = {{child, 0}}};
	(void)state;
	peer.pid = 0;
	refuse(&named, "PID namespace");
}

static void test_no_cgroup(void **state)
{
	static const char *const folders[] = {"/tmp", "/proc/self", "/sys/fs/cgroup/../cgroup",
					      "/sys/fs/cgroup/no such folder", "/sys/fs/cgroup"};
	(void)state;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		struct named_processes named = {0};
		snprintf(named.cgroup, sizeof named.cgroup, "%s", folders[i]);
		refuse(&named, "field `cgroup`");
	}
}

static void enter(const char *folder, pid_t pid)
{
	char procs[LIMIT_CGROUP_BYTES + 32];
	snprintf(procs, sizeof procs, "%s/cgroup.procs", folder);
	FILE *file = fopen(procs, "r+");
	assert_non_null(file);
	fprintf(file, "%d\n", pid);
	assert_int_equal(fclose(file), 0);
}

static void make_cgroup(struct named_processes *named)
{
	static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char procs[LIMIT_CGROUP_BYTES + 32];
	for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
		snprintf(named->cgroup, sizeof named->cgroup, "%s/baton-named-%d", roots[i],
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

/* It must belong to the peer's user, or the peer must live in it: be known to, not perhaps. */
static void test_cgroup(void **state)
{
	struct named_processes named = {0};
	char above[LIMIT_CGROUP_BYTES + 8];
	(void)state;
	make_cgroup(&named);
	snprintf(above, sizeof above, "%s/..", named.cgroup);
	assert_int_equal(named_processes_check(&peer, &named, detail, sizeof detail), 0);
	peer.uid = OTHER_UID;
	refuse(&named, "another user");
	peer.pid = INT32_MAX;
	refuse(&named, "another user");
	peer.pid = 0;
	refuse(&named, "another user");
	peer.pid = child;
	enter(named.cgroup, child);
	assert_int_equal(named_processes_check(&peer, &named, detail, sizeof detail), 0);

	enter(named.cgroup, getpid());
	refuse(&named, "the broker itself");
	enter(above, getpid());
	enter(above, child);
	assert_int_equal(rmdir(named.cgroup), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_own, start_child, end_child),
		cmocka_unit_test_setup_teardown(test_of_others, start_child, end_child),
		cmocka_unit_test_setup_teardown(test_broker, start_child, end_child),
		cmocka_unit_test_setup_teardown(test_namespace, start_child, end_child),
		cmocka_unit_test_setup_teardown(test_no_cgroup, start_child, end_child),
		cmocka_unit_test_setup_teardown(test_cgroup, start_child, end_child),
	};
	return cmocka_run_group_tests_name("named_processes", tests, NULL, NULL);
}
