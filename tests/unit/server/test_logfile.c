/* Goal: the log of a broker in the background has a bound, and what is no such file is left alone.
 * Method: standard error is a file of the test's own for as long as one case lasts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/logfile.h"

struct scene {
	char folder[32], path[64], old[72];
	int kept;
};

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	snprintf(scene->folder, sizeof(scene->folder), "/tmp/baton-log-XXXXXX");
	assert_non_null(mkdtemp(scene->folder));
	snprintf(scene->path, sizeof(scene->path), "%s/serve.log", scene->folder);
	snprintf(scene->old, sizeof(scene->old), "%s.1", scene->path);
	scene->kept = dup(STDERR_FILENO);
	int fd = open(scene->path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	assert_true(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	close(fd);
	setenv("BATON_LOG_FILE", scene->path, 1);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	dup2(scene->kept, STDERR_FILENO);
	close(scene->kept);
	unlink(scene->path);
	unlink(scene->old);
	rmdir(scene->folder);
	unsetenv("BATON_LOG_FILE");
	free(scene);
	return 0;
}

static long size_of(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

static void test_turns_over(void **state)
{
	struct scene *scene = *state;
	struct logfile logfile;
	logfile_begin(&logfile, (struct mono_ms){0});
	logfile.bytes_max = 10;
	assert_int_equal(write(STDERR_FILENO, "0123456789", 10), 10);
	logfile_step(&logfile, (struct mono_ms){0});
	assert_int_equal(size_of(scene->path), 10); /* within the bound */
	assert_int_equal(write(STDERR_FILENO, "x", 1), 1);
	logfile_step(&logfile, (struct mono_ms){1});
	assert_int_equal(size_of(scene->path), 11); /* not looked at yet */
	logfile_step(&logfile, (struct mono_ms){LOGFILE_LOOK_MS});
	assert_int_equal(size_of(scene->old), 11);
	assert_int_equal(size_of(scene->path), 0);
	assert_int_equal(write(STDERR_FILENO, "new", 3), 3);
	assert_int_equal(size_of(scene->path), 3);
	assert_int_equal(write(STDERR_FILENO, "0123456789", 10), 10);
	logfile_step(&logfile, (struct mono_ms){2 * LOGFILE_LOOK_MS});
	assert_int_equal(size_of(scene->old), 13); /* over the older one */
}

/* Its name is gone, as after somebody removed it or after a new one could not be made: else what is
 * written would grow for ever where nobody sees it. */
static void test_name_gone(void **state)
{
	struct scene *scene = *state;
	struct logfile logfile;
	logfile_begin(&logfile, (struct mono_ms){0});
	logfile.bytes_max = 3;
	assert_int_equal(unlink(scene->path), 0);
	assert_int_equal(write(STDERR_FILENO, "lost", 4), 4);
	logfile_step(&logfile, (struct mono_ms){0});
	assert_int_equal(size_of(scene->path), 0);
	assert_int_equal(size_of(scene->old), -1);
	assert_int_equal(write(STDERR_FILENO, "new", 3), 3);
	assert_int_equal(size_of(scene->path), 3);
}

static void test_left_alone(void **state)
{
	struct scene *scene = *state;
	struct logfile logfile;
	static const char *const others[] = {"/dev/null", "serve.log", "/tmp/no/such/file", ""};
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		setenv("BATON_LOG_FILE", others[i], 1);
		logfile_begin(&logfile, (struct mono_ms){0});
		assert_null(logfile.path);
		logfile.bytes_max = -1;
		logfile_step(&logfile, (struct mono_ms){0});
	}
	assert_int_equal(size_of(scene->path), 0);
	assert_int_equal(size_of(scene->old), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_turns_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_name_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_alone, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
