/* Goal: a request is said to be unread only where its server cannot have read it, nor will. Method:
 * the two ends of a real connection that was used before, ended in each way there is. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/upstream_impl.h"

enum { WAIT_MS = 10000 };

struct line {
	int client, server;
	struct upstream_mark mark;
};

static void move_bytes(int from, int to)
{
	char bytes[64] = {0};

	assert_int_equal(send(from, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
	assert_int_equal(recv(to, bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
}

static struct line line_open(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct line line = {.client = socket(AF_INET, SOCK_STREAM, 0)};

	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(line.client, (struct sockaddr *)&address, size), 0);
	line.server = accept(listener, NULL, NULL);
	assert_true(line.server >= 0);
	(void)close(listener);

	for (int i = 0; i < 3; i++) {
		move_bytes(line.client, line.server);
		move_bytes(line.server, line.client);
	}
	line.mark = upstream_socket_mark(line.client);
	assert_true(line.mark.known);
	return line;
}

static void say_request(const struct line *line)
{
	assert_int_equal(send(line->client, "request", 7, MSG_NOSIGNAL), 7);
}

static void read_request(const struct line *line)
{
	char bytes[7];

	assert_int_equal(recv(line->server, bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
}

static void wait_for_request(const struct line *line)
{
	struct pollfd poll_it = {.fd = line->server, .events = POLLIN};

	assert_int_equal(poll(&poll_it, 1, WAIT_MS), 1);
}

static void leave(struct line *line, bool reset)
{
	struct linger linger = {.l_onoff = reset, .l_linger = 0};

	assert_int_equal(setsockopt(line->server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)),
			 0);
	(void)close(line->server);
}

/* Whatever comes of it, as a client does that waits for an answer. */
static void wait_for_end(const struct line *line)
{
	char byte;

	(void)recv(line->client, &byte, 1, 0);
}

static void check_end(struct line *line, bool cannot)
{
	wait_for_end(line);
	assert_int_equal(upstream_socket_cannot_be_read(line->client, &line->mark), cannot);
	(void)close(line->client);
}

/* It closed before the request came. */
static void test_closed_before(void **state)
{
	(void)state;
	struct line line = line_open();

	leave(&line, false);
	wait_for_end(&line);
	say_request(&line);
	check_end(&line, true);
}

static void test_nothing_went_out(void **state)
{
	(void)state;
	struct line line = line_open();
	leave(&line, true);
	check_end(&line, true);

	line = line_open();
	leave(&line, false);
	check_end(&line, true);
}

static void test_read_and_closed(void **state)
{
	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		struct line line = line_open();
		say_request(&line);
		read_request(&line);
		leave(&line, reset);
		check_end(&line, false);
	}
}

/* It has not read it, but looks as if it had. */
static void test_unread_and_closed(void **state)
{
	(void)state;
	struct line line = line_open();

	say_request(&line);
	wait_for_request(&line);
	leave(&line, false);
	check_end(&line, false);
}

static void test_no_tcp(void **state)
{
	int fds[2];
	(void)state;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	struct upstream_mark mark = upstream_socket_mark(fds[0]);
	assert_false(mark.known);
	assert_false(upstream_socket_cannot_be_read(fds[0], &mark));
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_closed_before),   cmocka_unit_test(test_nothing_went_out),
		cmocka_unit_test(test_read_and_closed), cmocka_unit_test(test_unread_and_closed),
		cmocka_unit_test(test_no_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
