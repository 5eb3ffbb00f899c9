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
#include "bed.h"
#include "process/pidfd.h"

static struct client *open_session(struct bed *bed)
{
	unsigned sessions = bed->sessions;
	struct client *client = client_open_unix(bed->line_path);
	bed_wait(bed, &bed->sessions, sessions + 1);
	return client;
}

/* The session knows process, start time and user of its peer. */
static void test_peer(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	struct client *client = open_session(bed);
	assert_true(bed->peer.is_unix);
	assert_int_equal(bed->peer.pid, getpid());
	assert_int_equal(bed->peer.uid, getuid());
	assert_true(bed->peer.pid_start > 0);
	int pair[2], pidfd; /* where the kernel has it, it is given */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pidfd = pidfd_of_peer(pair[0]);
	assert_int_equal(bed->had_pidfd, pidfd >= 0);
	if (pidfd >= 0)
		close(pidfd);
	close(pair[0]);
	close(pair[1]);
	client_close(client);
	bed_wait(bed, &bed->closed, 1);
	bed_close(bed);
}

/* Lines are messages, cut anywhere; empty lines are none. */
static void test_messages(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	struct client *client = open_session(bed);
	bed->echo = true;
	client_send_text(client, "one\n\ntwo\nthr");
	bed_wait(bed, &bed->messages, 2);
	client_send_text(client, "ee\n");
	client_wait_text(bed, client, "one\ntwo\nthree\n");
	assert_int_equal(bed->messages, 3);
	client_close(client);
	bed_wait(bed, &bed->closed, 1);
	assert_false(bed->clean);
	bed_close(bed);
}

/* A message of LIMIT_FRAME_BYTES is taken; one byte more, with an end or without, is not. */
static void test_longest(void **state)
{
	(void)state;
	static char text[LIMIT_FRAME_BYTES + 2];
	for (size_t length = LIMIT_FRAME_BYTES; length <= LIMIT_FRAME_BYTES + 1; length++) {
		struct bed *bed = bed_open(NULL);
		struct client *client = open_session(bed);
		memset(text, 'x', length);
		text[length] = '\n';
		client_send(client, text, 30000);
		client_pump(bed, client);
		client_send(client, text + 30000, length - 30000);
		client_pump(bed, client);
		if (length == LIMIT_FRAME_BYTES) {
			client_send(client, "\n", 1);
			bed_wait(bed, &bed->messages, 1);
			assert_int_equal(bed->text_length, LIMIT_FRAME_BYTES);
		} else {
			client_wait_end(bed, client);
			assert_non_null(strstr(client->in, "\"code\":1009"));
			assert_int_equal(bed->closed, 1);
		}
		client_close(client);
		bed_close(bed);
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
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bed *bed = bed_open(NULL);
		struct client *client = open_session(bed);
		client_send(client, rows[i].bytes, rows[i].length);
		client_wait_end(bed, client);
		assert_non_null(strstr(client->in, rows[i].code));
		assert_int_equal(bed->closed, 1);
		assert_int_equal(bed->errors, 1);
		client_close(client);
		bed_close(bed);
	}
}

/* A flood is taken some lines at a time, whole and in order, also when its sender has left. */
static void test_flood_in_portions(void **state)
{
	(void)state;
	enum { COUNT = 4000 };
	struct bed *bed = bed_open(NULL);
	struct client *client = open_session(bed);
	static char lines[COUNT * 10];
	for (int i = 0; i < COUNT; i++)
		snprintf(lines + (size_t)i * 8, 9, "%07d\n", i);
	client_send(client, lines, COUNT * 8);
	client_close(client);
	for (unsigned before = 0; bed->messages < COUNT; before = bed->messages) {
		bed_turn(bed);
		assert_true(bed->messages - before <= 3 * 128); /* two flushes and a read */
		assert_int_equal(bed->closed, 0);
		if (bed->messages > 0)
			assert_int_equal(atoi(bed->text), bed->messages - 1);
	}
	bed_wait(bed, &bed->closed, 1);
	bed_close(bed);
}

/* The rate of pages does not hold for local programs: a burst is taken whole and in order. */
static void test_burst(void **state)
{
	(void)state;
	enum { COUNT = 10 * LIMIT_MESSAGES_PER_S };
	static char lines[COUNT * 2];
	struct bed *bed = bed_open(NULL);
	struct client *client = open_session(bed);
	memset(lines, '\n', sizeof lines);
	for (int i = 0; i < COUNT; i++)
		lines[2 * i] = (char)('a' + i % 26);
	bed->echo = true;
	client_send(client, lines, sizeof lines);
	client_wait_bytes(bed, client, sizeof lines);
	assert_memory_equal(client->in, lines, sizeof lines);
	assert_int_equal(bed->errors, 0);
	client_close(client);
	bed_close(bed);
}

/* The server's close is one last line of valid JSON whatever the reason holds. */
static void test_server_closes(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	struct client *client = open_session(bed);
	session_send(bed->net, bed->conn, "last", 4);
	session_close(bed->net, bed->conn, 4503, "a\"b\\c\nd");
	session_send(bed->net, bed->conn, "late", 4);
	client_wait_end(bed, client);
	assert_string_equal(client->in,
			    "last\n{\"type\":\"close\",\"code\":4503,\"reason\":\"a?b?c?d\"}\n");
	assert_int_equal(bed->closed, 1);
	client_close(client);
	bed_close(bed);
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
	struct bed *bed = bed_open(&options);
	struct client *client = open_session(bed);
	static char text[60000];
	memset(text, 't', sizeof text);
	client->mute = true;
	for (int i = 0; i < 100 && bed->errors == 0; i++)
		session_send(bed->net, bed->conn, text, sizeof text);
	assert_int_equal(bed->error, ERR_SLOW);
	bed_wait(bed, &bed->closed, 1);
	struct mono_ms deadline = mono_after(loop_now(), 5000);
	while (net_connection_count(bed->net) && !mono_due(deadline, loop_now()))
		bed_turn(bed);
	assert_int_equal(net_connection_count(bed->net), 0);
	client_close(client);
	bed_close(bed);
}

/* A handler may close the session inside the call that tells of a message. */
static void close_in_callback(void *ctx, uint64_t conn, const char *text, size_t length)
{
	struct bed *bed = ctx;
	(void)text, (void)length;
	bed->messages++;
	session_close(bed->net, conn, 1000, "enough");
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
	((struct bed *)ctx)->closed++;
}

static void test_close_inside_message(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	const struct net_options options = {16, 2, 1000, 1000, 1000, 0, 0, 0};
	const struct net_handlers handlers = {.on_gone = ignore_conn,
					      .on_delivered = ignore_conn,
					      .on_session = ignore_session,
					      .on_message = close_in_callback,
					      .on_closed = count_closed};
	struct net *net;
	char path[128];
	(void)snprintf(path, sizeof path, "%s/own", bed->folder);
	assert_int_equal(net_create(bed->loop, &options, &handlers, bed, &net), 0);
	assert_int_equal(net_listen_unix(net, path, false, NULL, 0), 0);
	struct net *first = bed->net;
	bed->net = net;
	struct client *client = client_open_unix(path);
	client_send_text(client, "a\nb\nc\n");
	client_wait_end(bed, client);
	assert_int_equal(bed->messages, 1);
	bed_wait(bed, &bed->closed, 1);
	client_close(client);
	net_destroy(net);
	bed->net = first;
	bed_close(bed);
}

/* The file is 0600; a stale one is replaced; one that answers, or another kind of file, is not. */
static void test_socket_file(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	struct stat status;
	char detail[160] = "", path[96];
	assert_int_equal(stat(bed->line_path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(net_listen_unix(bed->net, bed->line_path, false, detail, sizeof detail),
			 -ERR_ALREADY_RUNNING);
	assert_non_null(strstr(detail, bed->line_path));
	(void)snprintf(path, sizeof path, "%s/stale", bed->folder);
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	(void)snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(close(fd), 0); /* a daemon that died leaves this */
	assert_int_equal(net_listen_unix(bed->net, path, false, detail, sizeof detail), 0);
	assert_int_equal(net_listen_unix(bed->net, bed->folder, false, detail, sizeof detail),
			 -ERR_IO);
	char longest[200];
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(net_listen_unix(bed->net, longest, false, detail, sizeof detail),
			 -ERR_BAD_FIELD);
	bed_close(bed);
}

/* Addresses that are none, and one that is taken, are refused in words. */
static void test_addresses(void **state)
{
	(void)state;
	static const char *const bad[] = {"",         "8470",       "127.0.0.1", "localhost:1",
					  "::1:8470", "127.0.0.1:", "[::1:8470", "127.0.0.1:99999"};
	struct bed *bed = bed_open(NULL);
	char detail[160], taken[32];
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		detail[0] = '\0';
		if (net_listen_tcp(bed->net, bad[i], NULL, detail, sizeof detail) == 0)
			fail_msg("%s was taken", bad[i]);
		assert_string_not_equal(detail, "");
	}
	(void)snprintf(taken, sizeof taken, "127.0.0.1:%u", bed->port);
	assert_int_equal(net_listen_tcp(bed->net, taken, NULL, detail, sizeof detail),
			 -ERR_ALREADY_RUNNING);
	bed_close(bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peer),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_flood_in_portions),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_server_closes),
		cmocka_unit_test(test_never_reads),
		cmocka_unit_test(test_close_inside_message),
		cmocka_unit_test(test_socket_file),
		cmocka_unit_test(test_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
