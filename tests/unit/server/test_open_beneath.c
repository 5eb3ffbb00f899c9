/* Goal: whatever a path says and whatever lies in the folder, only regular files of that folder are
 * opened (C29). Method: a folder with one good file, and everything beside it that must not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "server/pages/open_beneath.h"

static char outside[64], root[80];

static const char *in_root(const char *name)
{
	static char path[160];
	snprintf(path, sizeof path, "%s/%s", root, name);
	return path;
}

static void write_file(const char *path)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs("12345", file);
	fclose(file);
}

/* outside/secret, and outside/root with a/good, links out and in, a FIFO, a hidden file. */
static int set_up(void **state)
{
	char secret[80];
	(void)state;
	snprintf(outside, sizeof outside, "/tmp/baton-beneath-XXXXXX");
	assert_non_null(mkdtemp(outside));
	snprintf(secret, sizeof secret, "%s/secret", outside);
	snprintf(root, sizeof root, "%s/root", outside);
	write_file(secret);
	assert_int_equal(mkdir(root, 0700), 0);
	assert_int_equal(mkdir(in_root("a"), 0700), 0);
	write_file(in_root("a/good"));
	write_file(in_root(".hidden"));
	assert_int_equal(symlink("../secret", in_root("link")), 0);
	assert_int_equal(symlink("..", in_root("up")), 0);
	assert_int_equal(symlink("a/good", in_root("inner")), 0);
	assert_int_equal(mkfifo(in_root("fifo"), 0600), 0);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"a/good", "a",     ".hidden", "link",
					    "up",     "inner", "fifo",    "../secret"};
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		(void)remove(in_root(names[i]));
	rmdir(root);
	return rmdir(outside);
}

static void test_good(void **state)
{
	(void)state;
	struct stat st;
	char text[8] = "";
	int fd = -1;
	assert_int_equal(open_beneath(root, "a/good", &fd, &st), 0);
	assert_int_equal(st.st_size, 5);
	assert_int_equal(read(fd, text, 5), 5);
	assert_string_equal(text, "12345");
	close(fd);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const paths[] = {
		"",
		"a",
		"a/",
		"a//good",
		"/a/good",
		"a/good/",
		"a/good/x",
		"..",
		"../secret",
		"a/../a/good",
		"./a/good",
		"a/./good",
		"link",
		"up/secret",
		"up/root/a/good",
		"inner",
		"fifo",
		".hidden",
		"a/missing",
		"missing/good",
		"%2e%2e/secret",
		"..%2fsecret",
		"a/good%00",
		"/etc/passwd",
		"a\\good",
	};
	struct stat st;
	int fd = -1;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		if (open_beneath(root, paths[i], &fd, &st) != -ERR_NOT_FOUND)
			fail_msg("%s", paths[i]);
		assert_int_equal(fd, -1);
	}
	char name[400];
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = 0;
	assert_int_equal(open_beneath(root, name, &fd, &st), -ERR_NOT_FOUND);
	assert_int_equal(open_beneath(in_root("missing"), "a", &fd, &st), -ERR_NOT_FOUND);
	assert_int_equal(open_beneath(in_root("a/good"), "a", &fd, &st), -ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
