/* Line sessions on the Unix socket: messages by line, who is there, every kind of refusal, and the
 * socket file itself (CASES.md C 36, 40). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/limits.h"
#include "fixture.h"
#include "net/listen.h"
#include "net/session.h"
#include "process/pidfd.h"

static struct client *open_session(struct fixture *fixture)
{
	unsigned sessions = fixture->sessions;
	struct client *client = client_open_unix(fixture->line_path);
	fixture_wait(fixture, &fixture->sessions, sessions + 1);
	return client;
}

/* The session knows process, start time and user of its peer. */
static void test_peer(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = open_session(fixture);
	assert_true(fixture->peer.is_unix);
	assert_int_equal(fixture->peer.pid, getpid());
	assert_int_equal(fixture->peer.uid, getuid());
	assert_true(fixture->peer.pid_start > 0);
	int pair[2], pidfd; /* where the kernel has it, it is given */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pidfd = pidfd_of_peer(pair[0]);
	assert_int_equal(fixture->had_pidfd, pidfd >= 0);
	if (pidfd >= 0)
		close(pidfd);
	close(pair[0]);
	close(pair[1]);
	client_close(client);
	fixture_wait(fixture, &fixture->closed, 1);
	fixture_close(fixture);
}

/* Lines are messages, cut anywhere; empty lines are none. */
static void test_messages(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = open_session(fixture);
	fixture->echo = true;
	client_send_text(client, "one\n\ntwo\nthr");
	fixture_wait(fixture, &fixture->messages, 2);
	client_send_text(client, "ee\n");
	client_wait_text(fixture, client, "one\ntwo\nthree\n");
	assert_int_equal(fixture->messages, 3);
	client_close(client);
	fixture_wait(fixture, &fixture->closed, 1);
	assert_false(fixture->clean);
	fixture_close(fixture);
}

/* A message of LIMIT_FRAME_BYTES is taken; one byte more, with an end or without, is not. */
static void test_longest(void **state)
{
	(void)state;
	static char text[LIMIT_FRAME_BYTES + 2];
	for (size_t length = LIMIT_FRAME_BYTES; length <= LIMIT_FRAME_BYTES + 1; length++) {
		struct fixture *fixture = fixture_open(NULL);
		struct client *client = open_session(fixture);
		memset(text, 'x', length);
		text[length] = '\n';
		client_send(client, text, 30000);
		client_pump(fixture, client);
		client_send(client, text + 30000, length - 30000);
		client_pump(fixture, client);
		if (length == LIMIT_FRAME_BYTES) {
			client_send(client, "\n", 1);
			fixture_wait(fixture, &fixture->messages, 1);
			assert_int_equal(fixture->text_length, LIMIT_FRAME_BYTES);
		} else {
			client_wait_end(fixture, client);
			assert_non_null(strstr(client->in, "\"code\":1009"));
			assert_int_equal(fixture->closed, 1);
		}
		client_close(client);
		fixture_close(fixture);
	}
}

/* Bytes that are no text end the session with their code. */
static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t length;
		const char *code;
	} rows[] = {
		{"a\0b\n", 4, "\"code\":1007"},
		{"\xff\n", 2, "\"code\":1007"},
		{"\xc3\n", 2, "\"code\":1007"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fixture *fixture = fixture_open(NULL);
		struct client *client = open_session(fixture);
		client_send(client, rows[i].bytes, rows[i].length);
		client_wait_end(fixture, client);
		assert_non_null(strstr(client->in, rows[i].code));
		assert_int_equal(fixture->closed, 1);
		assert_int_equal(fixture->errors, 1);
		client_close(client);
		fixture_close(fixture);
	}
}

/* A flood is taken some lines at a time, whole and in order, also when its sender has left. */
static void test_flood_in_portions(void **state)
{
	(void)state;
	enum { COUNT = 4000 };
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = open_session(fixture);
	static char lines[COUNT * 10];
	for (int i = 0; i < COUNT; i++)
		snprintf(lines + (size_t)i * 8, 9, "%07d\n", i);
	client_send(client, lines, COUNT * 8);
	client_close(client);
	for (unsigned before = 0; fixture->messages < COUNT; before = fixture->messages) {
		fixture_turn(fixture);
		assert_true(fixture->messages - before <= 3 * 128); /* two flushes and a read */
		assert_int_equal(fixture->closed, 0);
		if (fixture->messages > 0)
			assert_int_equal(atoi(fixture->text), fixture->messages - 1);
	}
	fixture_wait(fixture, &fixture->closed, 1);
	fixture_close(fixture);
}

/* What a client said before it left counts though it takes no answer: the kernel refuses the first
 * answer, with one error or another, while the rest is unread. */
static void test_last_words(void **state)
{
	enum { COUNT = 400 };
	static char lines[COUNT * 8 + 1];
	(void)state;
	for (int i = 0; i < COUNT; i++)
		snprintf(lines + (size_t)i * 8, 9, "%07d\n", i);
	for (int answer_unread = 0; answer_unread <= 1; answer_unread++) {
		struct fixture *fixture = fixture_open(NULL);
		struct client *client = open_session(fixture);
		fixture->echo = true;
		if (answer_unread) {
			client_send_text(client, "first\n");
			fixture_wait(fixture, &fixture->messages, 1);
			fixture->messages = 0;
		}
		client_send(client, lines, COUNT * 8);
		client_close(client);
		fixture_wait(fixture, &fixture->closed, 1);
		assert_int_equal(fixture->messages, COUNT);
		assert_string_equal(fixture->text, "0000399");
		fixture_close(fixture);
	}
}

/* One that takes nothing, but stays, goes as soon as it has nothing to say. */
static void test_hears_nothing(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = open_session(fixture);
	assert_int_equal(shutdown(client->fd, SHUT_RD), 0);
	fixture->echo = true;
	client_send_text(client, "one\ntwo\n");
	fixture_wait(fixture, &fixture->closed, 1);
	assert_int_equal(fixture->messages, 2);
	assert_int_equal(net_connection_count(fixture->net), 0);
	client_close(client);
	fixture_close(fixture);
}

/* The rate of pages does not hold for local programs: a burst is taken whole and in order. */
static void test_burst(void **state)
{
	(void)state;
	enum { COUNT = 10 * LIMIT_MESSAGES_PER_S };
	static char lines[COUNT * 2];
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = open_session(fixture);
	memset(lines, '\n', sizeof(lines));
	for (int i = 0; i < COUNT; i++)
		lines[2 * i] = (char)('a' + i % 26);
	fixture->echo = true;
	client_send(client, lines, sizeof(lines));
	client_wait_bytes(fixture, client, sizeof(lines));
	assert_memory_equal(client->in, lines, sizeof(lines));
	assert_int_equal(fixture->errors, 0);
	client_close(client);
	fixture_close(fixture);
}

/* The server's close is one last line of valid JSON whatever the reason holds. */
static void test_server_closes(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = open_session(fixture);
	net_session_send(fixture->net, fixture->conn, "last", 4);
	net_session_close(fixture->net, fixture->conn, 4503, "a\"b\\c\nd");
	net_session_send(fixture->net, fixture->conn, "late", 4);
	client_wait_end(fixture, client);
	assert_string_equal(client->in,
			    "last\n{\"type\":\"close\",\"code\":4503,\"reason\":\"a?b?c?d\"}\n");
	assert_int_equal(fixture->closed, 1);
	client_close(client);
	fixture_close(fixture);
}

/* A peer that never reads is closed at the cap, and its place is free soon after. */
static void test_never_reads(void **state)
{
	(void)state;
	struct net_options options = {.connections_max = 16,
				      .connections_reserved_max = 2,
				      .header_time_ms = 1000,
				      .body_time_ms = 1000,
				      .write_time_ms = 1000,
				      .close_time_ms = 50};
	struct fixture *fixture = fixture_open(&options);
	struct client *client = open_session(fixture);
	static char text[60000];
	memset(text, 't', sizeof(text));
	client->mute = true;
	for (int i = 0; i < 100 && fixture->errors == 0; i++)
		net_session_send(fixture->net, fixture->conn, text, sizeof(text));
	assert_int_equal(fixture->error, ERR_SLOW);
	fixture_wait(fixture, &fixture->closed, 1);
	struct mono_ms deadline = mono_after(loop_now(), 5000);
	while (net_connection_count(fixture->net) && !mono_due(deadline, loop_now()))
		fixture_turn(fixture);
	assert_int_equal(net_connection_count(fixture->net), 0);
	client_close(client);
	fixture_close(fixture);
}

/* A handler may close the session inside the call that tells of a message. */
static void close_in_callback(void *ctx, uint64_t conn, const char *text, size_t length)
{
	struct fixture *fixture = ctx;
	(void)text, (void)length;
	fixture->messages++;
	net_session_close(fixture->net, conn, 1000, "enough");
}

static void ignore_conn(void *ctx, uint64_t conn)
{
	(void)ctx, (void)conn;
}

static void ignore_session(void *ctx, uint64_t conn, const struct net_peer *peer)
{
	(void)ctx, (void)conn;
	if (peer->pidfd >= 0)
		close(peer->pidfd);
}

static void count_closed(void *ctx, uint64_t conn, bool clean)
{
	(void)conn, (void)clean;
	((struct fixture *)ctx)->closed++;
}

static void test_close_inside_message(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	const struct net_options options = {16, 2, 1000, 1000, 1000, 0, 0, 0};
	const struct net_handlers handlers = {.on_gone = ignore_conn,
					      .on_delivered = ignore_conn,
					      .on_session = ignore_session,
					      .on_message = close_in_callback,
					      .on_closed = count_closed};
	struct net *net;
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/own", fixture->folder);
	assert_int_equal(net_create(fixture->loop, &options, &handlers, fixture, &net), 0);
	assert_int_equal(net_listen_unix(net, path, false, NULL, 0), 0);
	struct net *first = fixture->net;
	fixture->net = net;
	struct client *client = client_open_unix(path);
	client_send_text(client, "a\nb\nc\n");
	client_wait_end(fixture, client);
	assert_int_equal(fixture->messages, 1);
	fixture_wait(fixture, &fixture->closed, 1);
	client_close(client);
	net_destroy(net);
	fixture->net = first;
	fixture_close(fixture);
}

/* The file is 0600; a stale one is replaced; one that answers, or another kind of file, is not. */
static void test_socket_file(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct stat status;
	char detail[160] = "", path[96];
	assert_int_equal(stat(fixture->line_path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(
		net_listen_unix(fixture->net, fixture->line_path, false, detail, sizeof(detail)),
		-ERR_ALREADY_RUNNING);
	assert_non_null(strstr(detail, fixture->line_path));
	(void)snprintf(path, sizeof(path), "%s/stale", fixture->folder);
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(close(fd), 0); /* a daemon that died leaves this */
	assert_int_equal(net_listen_unix(fixture->net, path, false, detail, sizeof(detail)), 0);
	assert_int_equal(
		net_listen_unix(fixture->net, fixture->folder, false, detail, sizeof(detail)),
		-ERR_IO);
	char longest[200];
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(net_listen_unix(fixture->net, longest, false, detail, sizeof(detail)),
			 -ERR_BAD_FIELD);
	fixture_close(fixture);
}

/* Addresses that are none, and one that is taken, are refused in words. */
static void test_addresses(void **state)
{
	(void)state;
	static const char *const bad[] = {"",         "8470",       "127.0.0.1", "localhost:1",
					  "::1:8470", "127.0.0.1:", "[::1:8470", "127.0.0.1:99999"};
	struct fixture *fixture = fixture_open(NULL);
	char detail[160], taken[32];
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		detail[0] = '\0';
		if (net_listen_tcp(fixture->net, bad[i], NULL, detail, sizeof(detail)) == 0)
			fail_msg("%s was taken", bad[i]);
		assert_string_not_equal(detail, "");
	}
	(void)snprintf(taken, sizeof(taken), "127.0.0.1:%u", fixture->port);
	assert_int_equal(net_listen_tcp(fixture->net, taken, NULL, detail, sizeof(detail)),
			 -ERR_ALREADY_RUNNING);
	fixture_close(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peer),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_flood_in_portions),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_hears_nothing),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_server_closes),
		cmocka_unit_test(test_never_reads),
		cmocka_unit_test(test_close_inside_message),
		cmocka_unit_test(test_socket_file),
		cmocka_unit_test(test_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
