/* Goal: a limit is one line for each region of the GPU, lifted as it was set; where there can be
 * none the reason is said; and a cgroup that holds only us is divided, and whole again at the end.
 * Method: a tree that looks like cgroup2's, written from the kernel's documentation; no kernel with
 * the controller was at hand. */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "process/cgroup_divide.h"
#include "process/cgroup_limit.h"

static char tree[64];

static void put(const char *name, const char *text)
{
	char path[256];
	(void)snprintf(path, sizeof(path), "%s/%s", tree, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static const char *get(const char *name)
{
	static char text[512];
	char path[256];
	(void)snprintf(path, sizeof(path), "%s/%s", tree, name);
	FILE *file = fopen(path, "r");
	size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	text[length] = '\0';
	if (file)
		(void)fclose(file);
	return text;
}

static void make_folder(const char *name)
{
	char path[256];
	(void)snprintf(path, sizeof(path), "%s/%s", tree, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static int make_tree(void **state)
{
	(void)state;
	(void)snprintf(tree, sizeof(tree), "/tmp/baton-limit-XXXXXX");
	assert_non_null(mkdtemp(tree));
	put("cgroup.controllers", "cpu memory dmem\n");
	put("dmem.capacity", "drm/0000:03:00.0/vram0 8589934592\n");
	make_folder("a");
	put("a/cgroup.controllers", "cpu dmem\n");
	put("a/cgroup.subtree_control", "");
	put("a/cgroup.procs", "");
	make_folder("a/job");
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static int remove_tree(void **state)
{
	(void)state;
	return nftw(tree, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *job(void)
{
	static char path[128];
	(void)snprintf(path, sizeof(path), "%s/a/job", tree);
	return path;
}

static void set_and_lifted(void **state)
{
	char why[512];
	(void)state;
	put("a/job/dmem.max", "drm/0000:03:00.0/stolen max\ndrm/0000:03:00.0/vram0 max\n");
	put("a/job/dmem.min", "");
	assert_true(cgroup_limit_set(job(), "0000:03:00.0", 1 << 20, why, sizeof(why)));
	assert_string_equal(get("a/job/dmem.max"), "drm/0000:03:00.0/vram0 1048576\n");
	assert_string_equal(get("a/job/dmem.min"), "drm/0000:03:00.0/vram0 1048576\n");
	cgroup_limit_lift(job(), "0000:03:00.0");
	assert_string_equal(get("a/job/dmem.max"), "drm/0000:03:00.0/vram0 max\n");
	assert_string_equal(get("a/job/dmem.min"), "drm/0000:03:00.0/vram0 0\n");
}

/* One region takes it, the next does not: then neither has it. The second line is longer than what
 * a file may have here. */
static void not_by_halves(void **state)
{
	static const char first[] = "drm/0000:03:00.0/vram0 1099511627776\n";
	struct rlimit before, small = {.rlim_cur = sizeof(first) - 1, .rlim_max = RLIM_INFINITY};
	char why[512] = "";
	(void)state;
	put("a/job/dmem.max", "drm/0000:03:00.0/vram0 max\ndrm/0000:03:00.0/vram10 max\n");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	bool set = cgroup_limit_set(job(), "0000:03:00.0", UINT64_C(1) << 40, why, sizeof(why));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_false(set);
	assert_non_null(strstr(why, "dmem.max: "));
	assert_non_null(strstr(get("a/job/dmem.max"), " max")); /* what was written last */
}

/* NVIDIA's documentation wants dmem.min to be left to its own tools. */
static void nvidia(void **state)
{
	char why[512];
	(void)state;
	put("a/job/dmem.max", "nvidia/0000:0A:00.0/vidmem max\n");
	put("a/job/dmem.min", "untouched");
	assert_true(cgroup_limit_set(job(), "0000:0a:00.0", 4096, why, sizeof(why)));
	assert_string_equal(get("a/job/dmem.max"), "nvidia/0000:0A:00.0/vidmem 4096\n");
	assert_string_equal(get("a/job/dmem.min"), "untouched");
}

static void another_card(void **state)
{
	char why[512];
	(void)state;
	put("a/job/dmem.max", "drm/0000:03:00.0/vram0 max\ndrm/0000:03:00.01/vram0 max\n");
	assert_false(cgroup_limit_set(job(), "0000:04:00.0", 4096, why, sizeof(why)));
	assert_non_null(strstr(why, "the kernel counts no memory of 0000:04:00.0"));
	assert_false(cgroup_limit_set(job(), "", 4096, why, sizeof(why)));
	assert_false(cgroup_limit_set("", "0000:03:00.0", 4096, why, sizeof(why)));
	assert_non_null(strstr(get("a/job/dmem.max"), "vram0 max\n"));
}

static bool begin(struct cgroup_divide *divide, const char *controller, char *why)
{
	why[0] = '\0';
	return cgroup_divide_begin(divide, job(), controller, why, 512);
}

static void no_controller(void **state)
{
	struct cgroup_divide divide = {0};
	char why[512];
	(void)state;
	put("a/cgroup.controllers", "cpu dmemory\n");
	assert_false(begin(&divide, "dmem", why));
	assert_non_null(strstr(why, "the dmem controller is not enabled for "));
	put("cgroup.controllers", "cpu\n");
	assert_false(begin(&divide, "dmem", why));
	assert_non_null(strstr(why, "the kernel has no dmem controller"));
	assert_string_equal(get("a/cgroup.subtree_control"), "");
}

/* Where this process need not move, the controllers stay: others may rely on them by then. */
static void passed_on(void **state)
{
	struct cgroup_divide divide = {0};
	char why[512], path[CGROUP_PATH_BYTES];
	(void)state;
	assert_true(begin(&divide, "dmem", why));
	assert_string_equal(get("a/cgroup.subtree_control"), "+dmem");
	cgroup_divide_end(&divide);
	assert_string_equal(get("a/cgroup.subtree_control"), "+dmem");

	assert_false(cgroup_divide_counts(job(), "dmem.max"));
	put("a/job/dmem.max", "");
	assert_true(cgroup_divide_counts(job(), "dmem.max"));
	assert_true(cgroup_divide_place("/sys/fs/cgroup/a/job", tree, path));
	assert_string_equal(path, job());
	assert_true(cgroup_divide_place("/sys/fs/cgroup/a/job", NULL, path));
	assert_string_equal(path, "/sys/fs/cgroup/a/job");
}

#define with_tree(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_tree(set_and_lifted), with_tree(not_by_halves), with_tree(nvidia),
		with_tree(another_card),   with_tree(no_controller), with_tree(passed_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
