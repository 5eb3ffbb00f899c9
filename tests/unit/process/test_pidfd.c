/* Goal: a pidfd is of the process that was meant or is none, and a signal through it hits that one
 * alone. Method: real children; start times that are not theirs stand for pids that were reused. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "process/pidfd.h"
#include "process/proc.h"

static int start_child(void **state)
{
	static pid_t child;
	child = fork();
	if (child == 0) {
		for (;;)
			pause();
	}
	*state = &child;
	return child > 0 ? 0 : -1;
}

static int end_child(void **state)
{
	pid_t child = *(pid_t *)*state;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}

static void test_the_one_meant(void **state)
{
	pid_t child = *(pid_t *)*state;
	int fd, err, status;
	assert_int_equal(pidfd_open_checked(child, proc_start(child), &fd, &err), LIVENESS_WATCHED);
	assert_false(pidfd_is_gone(fd));
	assert_int_equal(pidfd_signal(fd, 0), 0);
	assert_int_equal(pidfd_signal(fd, SIGTERM), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WTERMSIG(status), SIGTERM);
	assert_true(pidfd_is_gone(fd));
	assert_int_equal(pidfd_signal(fd, SIGTERM), -ESRCH);
	close(fd);
}

/* Another process has the pid by now. */
static void test_reused(void **state)
{
	pid_t child = *(pid_t *)*state;
	int fd = 0, err;
	assert_int_equal(pidfd_open_checked(child, proc_start(child) + 1, &fd, &err),
			 LIVENESS_GONE);
	assert_int_equal(fd, -1);
	assert_int_equal(pidfd_open_checked(INT32_MAX, 1, &fd, &err), LIVENESS_GONE);
	assert_int_equal(fd, -1);
}

/* Whichever has the pid now, where no start time is known. */
static void test_any(void **state)
{
	pid_t child = *(pid_t *)*state;
	int fd, err;
	assert_int_equal(pidfd_open_checked(child, 0, &fd, &err), LIVENESS_WATCHED);
	close(fd);
}

/* Without a free descriptor nobody knows whether it lives; a pid that nobody has is gone still. */
static void test_no_descriptor(void **state)
{
	pid_t child = *(pid_t *)*state;
	struct rlimit limit, none;
	int fd = 0, err = 0, fd_gone = 0, err_gone = 0;
	uint64_t start = proc_start(child);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	enum liveness lives = pidfd_open_checked(child, start, &fd, &err);
	enum liveness gone = pidfd_open_checked(INT32_MAX, 1, &fd_gone, &err_gone);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);

	assert_int_equal(lives, LIVENESS_UNKNOWN);
	assert_int_equal(err, EMFILE);
	assert_int_equal(fd, -1);
	assert_int_equal(gone, LIVENESS_GONE);
	assert_int_equal(fd_gone, -1);
}

/* The kernel gives none before Linux 6.5. */
static void test_peer(void **state)
{
	int pair[2];
	(void)state;
	assert_int_equal(pidfd_of_peer(STDIN_FILENO), -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	int fd = pidfd_of_peer(pair[0]);
	if (fd >= 0) {
		assert_false(pidfd_is_gone(fd));
		close(fd);
	}
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_one_meant, start_child, end_child),
		cmocka_unit_test_setup_teardown(test_reused, start_child, end_child),
		cmocka_unit_test_setup_teardown(test_any, start_child, end_child),
		cmocka_unit_test_setup_teardown(test_no_descriptor, start_child, end_child),
		cmocka_unit_test(test_peer),
	};
	return cmocka_run_group_tests_name("pidfd", tests, NULL, NULL);
}
