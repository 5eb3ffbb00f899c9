/* Goal: a path that leads to no file is an error at once, whichever way it is opened, and what is
 * opened behaves like any file. Method: a folder of the test's own; nobody is at the other end of
 * its FIFO. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/regular_file.h"

static const int ways[] = {O_RDONLY,
			   O_WRONLY,
			   O_RDWR,
			   O_WRONLY | O_CREAT,
			   O_RDWR | O_CREAT,
			   O_WRONLY | O_CREAT | O_APPEND,
			   O_WRONLY | O_CREAT | O_TRUNC};

static char dir[64], path[96];

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/baton-files-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	alarm(10); /* a failure here is a wait for ever */
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	alarm(0);
	if (unlink(path) < 0)
		(void)rmdir(path);
	return rmdir(dir);
}

static void expect_refused(const char *words)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		errno = 0;
		assert_int_equal(regular_file_open(path, ways[i], 0600), -1);
		assert_string_equal(regular_file_error(errno), words);
	}
	errno = 0;
	assert_null(regular_file_stream(path));
	assert_string_equal(regular_file_error(errno), words);
}

static void test_fifo(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_refused("not a regular file");
}

/* Somebody at the other end makes no file of it. */
static void test_fifo_in_use(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	int other = open(path, O_RDWR | O_CLOEXEC);
	assert_true(other >= 0);
	expect_refused("not a regular file");
	close(other);
}

static void test_socket(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	expect_refused("not a regular file");
	close(fd);
}

static void test_device(void **state)
{
	(void)state;
	assert_int_equal(symlink("/dev/zero", path), 0);
	expect_refused("not a regular file");
}

static void test_folder(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	expect_refused(strerror(EISDIR));
}

static void test_missing(void **state)
{
	(void)state;
	assert_int_equal(regular_file_open(path, O_RDONLY, 0), -1);
	assert_int_equal(errno, ENOENT);
}

/* Private as asked for, closed on exec, and a writer that inherits it finds nothing unusual. */
static void test_file(void **state)
{
	struct stat st;
	char text[8] = "";

	(void)state;
	int fd = regular_file_open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(write(fd, "words", 5), 5);
	close(fd);

	FILE *file = regular_file_stream(path);
	assert_non_null(file);
	assert_int_equal(fread(text, 1, sizeof(text), file), 5);
	assert_string_equal(text, "words");
	(void)fclose(file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fifo),   TEST(test_fifo_in_use), TEST(test_socket), TEST(test_device),
		TEST(test_folder), TEST(test_missing),     TEST(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
