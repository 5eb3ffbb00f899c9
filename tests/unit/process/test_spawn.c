/* Goal: a command starts as it was asked for, and one that cannot be executed says why and leaves
 * nothing behind. Method: the shell as the command; what it finds is its exit status. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "process/spawn.h"

enum { DEADLINE_MS = 10000 };

/* The wait status of a script; its pidfd tells the end. */
static int run_script(const char *script, struct spawn spawn)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
	int pidfd, status;
	pid_t pid;
	spawn.argv = argv;
	assert_int_equal(spawn_command(&spawn, &pid, &pidfd), 0);
	struct pollfd exit = {.fd = pidfd, .events = POLLIN};
	assert_int_equal(poll(&exit, 1, DEADLINE_MS), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(pidfd);
	return status;
}

static struct spawn plain(void)
{
	static sigset_t mask;
	sigemptyset(&mask);
	return (struct spawn){.mask = &mask, .cgroup_fd = -1};
}

static void test_exit_status(void **state)
{
	(void)state;
	assert_int_equal(WEXITSTATUS(run_script("exit 7", plain())), 7);
	assert_int_equal(WTERMSIG(run_script("kill -TERM $$", plain())), SIGTERM);
}

static void test_group(void **state)
{
	struct spawn own = plain();
	(void)state;
	own.own_group = true;
	static const char leads[] = "read -r a b c d group rest < /proc/$$/stat; test $group = $$";
	assert_int_equal(WEXITSTATUS(run_script(leads, own)), 0);
	assert_int_equal(WEXITSTATUS(run_script(leads, plain())), 1);
}

static void test_signals(void **state)
{
	struct spawn ignores = plain(), blocks = plain();
	sigset_t mask;
	(void)state;
	ignores.ignores_sigpipe = true;
	assert_int_equal(WEXITSTATUS(run_script("kill -PIPE $$; exit 3", ignores)), 3);
	assert_int_equal(WTERMSIG(run_script("kill -PIPE $$; exit 3", plain())), SIGPIPE);

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	blocks.mask = &mask;
	assert_int_equal(WEXITSTATUS(run_script("kill -USR1 $$; exit 3", blocks)), 3);
	assert_int_equal(WTERMSIG(run_script("kill -USR1 $$; exit 3", plain())), SIGUSR1);
}

/* Where it cannot begin in the cgroup it writes itself into that before it does anything else. */
static void test_cgroup_entry(void **state)
{
	char folder[] = "/tmp/baton-spawn-XXXXXX", path[64], byte = 'x';
	struct spawn spawn = plain();
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	int entry_fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	spawn.cgroup_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(entry_fd >= 0 && spawn.cgroup_fd >= 0);

	assert_int_equal(WEXITSTATUS(run_script("exit 0", spawn)), 0);
	assert_int_equal(pread(entry_fd, &byte, 1, 0), 1);
	assert_int_equal(byte, '0');
	close(entry_fd);
	close(spawn.cgroup_fd);
	unlink(path);
	rmdir(folder);
}

static void refuse(const char *name, int error)
{
	char *argv[] = {(char *)name, NULL};
	struct spawn spawn = plain();
	int pidfd = 0;
	pid_t pid = 1;
	spawn.argv = argv;
	assert_int_equal(spawn_command(&spawn, &pid, &pidfd), error);
	assert_int_equal(pid, 0);
	assert_int_equal(pidfd, -1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_refused(void **state)
{
	char path[] = "/tmp/baton-spawn-XXXXXX";
	(void)state;
	close(mkstemp(path));
	refuse("no-such-command-here", ENOENT);
	refuse("/no/such/command", ENOENT);
	refuse(path, EACCES);
	refuse("/tmp", EACCES);
	unlink(path);
}

static void test_lookup(void **state)
{
	char folder[] = "/tmp/baton-spawn-XXXXXX", file[64], paths[80];
	(void)state;
	assert_int_equal(spawn_lookup("sh"), 0);
	assert_int_equal(spawn_lookup("/bin/sh"), 0);
	assert_int_equal(spawn_lookup("no-such-command-here"), ENOENT);
	assert_int_equal(spawn_lookup(""), ENOENT);
	assert_int_equal(spawn_lookup("/tmp"), EACCES);

	/* Found, and not to be executed. */
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/tool", folder);
	snprintf(paths, sizeof(paths), "/no/such:%s", folder);
	close(open(file, O_CREAT | O_WRONLY, 0644));
	assert_int_equal(setenv("PATH", paths, 1), 0);
	assert_int_equal(spawn_lookup("tool"), EACCES);
	assert_int_equal(chmod(file, 0755), 0);
	assert_int_equal(spawn_lookup("tool"), 0);
	unlink(file);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_status), cmocka_unit_test(test_group),
		cmocka_unit_test(test_signals),     cmocka_unit_test(test_cgroup_entry),
		cmocka_unit_test(test_refused),     cmocka_unit_test(test_lookup),
	};
	return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
