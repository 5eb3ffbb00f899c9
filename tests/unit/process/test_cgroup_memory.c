/* Goal: the tightest limit around a process counts, and what the kernel keeps of files does not
 * count against it. Method: folders that look like cgroups. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "process/cgroup_memory.h"

static char root[32];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static int set_up(void **state)
{
	char path[64];
	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/bt-cgroup-XXXXXX");
	assert_non_null(mkdtemp(root));
	(void)snprintf(path, sizeof(path), "%s/a", root);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/a/b", root);
	return mkdir(path, 0700);
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *name, const char *text)
{
	char path[96];
	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	(void)fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void test_limits(void **state)
{
	(void)state;
	assert_true(cgroup_memory_room(root, "/a/b") == UINT64_MAX);
	assert_true(cgroup_memory_room(root, "/none") == UINT64_MAX);
	assert_true(cgroup_memory_room(root, "/") == UINT64_MAX);

	write_file("a/b/memory.max", "max\n");
	write_file("a/b/memory.current", "700\n");
	assert_true(cgroup_memory_room(root, "/a/b") == UINT64_MAX);

	write_file("a/memory.max", "1000\n");
	write_file("a/memory.current", "900\n");
	assert_int_equal(cgroup_memory_room(root, "/a/b"), 100);

	write_file("a/memory.stat", "anon 500\ninactive_file 100\nactive_file 200\nfile 300\n");
	assert_int_equal(cgroup_memory_room(root, "/a/b"), 400);

	write_file("a/b/memory.max", "750\n");
	assert_int_equal(cgroup_memory_room(root, "/a/b"), 50);
	assert_int_equal(cgroup_memory_room(root, "/a"), 400);

	write_file("a/b/memory.current", "800\n");
	assert_int_equal(cgroup_memory_room(root, "/a/b"), 0);
}

static void test_of_a_process(void **state)
{
	(void)state;
	assert_true(cgroup_memory_room_of(getpid()) > 0);
	assert_true(cgroup_memory_room_of(0x7ffffff0) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_limits),
					   cmocka_unit_test(test_of_a_process)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
