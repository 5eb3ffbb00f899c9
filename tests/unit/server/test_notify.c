/* Goal: what a supervisor reads of the daemon. Method: datagram sockets of the test's own, in the
 * file system and in the abstract namespace, and a pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/notify.h"

static char dir[64], said[1024];

static int bind_at(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(name);
	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length +
					  (name[0] == '/'))),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *read_one(int fd)
{
	ssize_t got = recv(fd, said, sizeof said - 1, 0);
	said[got > 0 ? got : 0] = 0;
	return said;
}

/* Each state is a datagram of its own. */
static void test_states(void **state)
{
	(void)state;
	char path[96];
	snprintf(path, sizeof path, "%s/notify", dir);
	int fd = bind_at(path);
	notify_send(NOTIFY_READY, "listens");
	assert_string_equal(read_one(fd), "READY=1\nSTATUS=listens\n");
	notify_send(NOTIFY_RELOADING, NULL);
	assert_ptr_equal(strstr(read_one(fd), "RELOADING=1\nMONOTONIC_USEC="), said);
	assert_true(strtoll(said + strlen("RELOADING=1\nMONOTONIC_USEC="), NULL, 10) > 0);
	notify_send(NOTIFY_STOPPING, NULL);
	assert_string_equal(read_one(fd), "STOPPING=1\n");
	close(fd);
	unlink(path);
	notify_send(NOTIFY_READY, NULL); /* nobody there: no error */
}

/* "@name" is the abstract namespace, to the last byte of the name. */
static void test_abstract(void **state)
{
	(void)state;
	char name[64];
	snprintf(name, sizeof name, "@baton-test-%ld", (long)getpid());
	int fd = bind_at(name);
	notify_send(NOTIFY_READY, NULL);
	assert_string_equal(read_one(fd), "READY=1\n");
	close(fd);
}

/* What is no address is left alone. */
static void test_no_address(void **state)
{
	(void)state;
	char longest[300];
	memset(longest, 'x', sizeof longest);
	longest[0] = '/';
	longest[sizeof longest - 1] = 0;
	const char *names[] = {"", "/", "@", "relative", "vsock:1:2", longest};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		notify_send(NOTIFY_READY, NULL);
	}
	unsetenv("NOTIFY_SOCKET");
	notify_send(NOTIFY_READY, NULL);
}

/* One line, then the end of the file, so that `read` and `cat` are both right. */
static void test_descriptor(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	notify_descriptor(fds[1], "listens on x");
	assert_int_equal(read(fds[0], said, sizeof said), strlen("listens on x\n"));
	assert_int_equal(read(fds[0], said, sizeof said), 0);
	close(fds[0]);
	notify_descriptor(-1, "not given");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_abstract),
		cmocka_unit_test(test_no_address),
		cmocka_unit_test(test_descriptor),
	};
	snprintf(dir, sizeof dir, "/tmp/baton-notify-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	int failed = cmocka_run_group_tests_name("notify", tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
