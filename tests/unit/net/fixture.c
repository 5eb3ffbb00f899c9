/* fixture: see fixture.h. */
#include "fixture.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "net/http_receive.h"
#include "net/http_reply.h"
#include "net/listen.h"
#include "net/session.h"
#include "net/ws.h"

enum { FIXTURE_WAIT_MS = 10000, FIXTURE_TURN_MS = 2 };

static void keep(char *to, size_t size, const char *from, size_t length)
{
	(void)snprintf(to, size, "%.*s", (int)length, from);
}

static void on_request(void *ctx, const struct http_request *request)
{
	struct fixture *fixture = ctx;
	fixture->requests++;
	fixture->conn = request->conn;
	fixture->reserved = request->reserved;
	fixture->peer = request->peer;
	fixture->body_length = request->body_length;
	fixture->body_bytes = request->body_bytes;
	if (request->streamed && fixture->pause_at_once)
		http_pause_body(fixture->net, request->conn, true);
	keep(fixture->path, sizeof(fixture->path), request->path, strlen(request->path));
	keep(fixture->body, sizeof(fixture->body), request->body, request->body_length);
	keep(fixture->order + strlen(fixture->order),
	     sizeof(fixture->order) - strlen(fixture->order), request->path, strlen(request->path));
	if (strlen(request->body) != request->body_length &&
	    !memchr(request->body, 0, request->body_length))
		fail_msg("the body is not NUL-terminated");
	if (fixture->mode == FIXTURE_REPLY ||
	    (fixture->mode == FIXTURE_ACCEPT && !request->websocket))
		http_reply(fixture->net, request->conn, 200, NULL, 0, request->path,
			   strlen(request->path));
	else if (fixture->mode == FIXTURE_STREAM || fixture->mode == FIXTURE_ECHO)
		http_stream_begin(fixture->net, request->conn, 200, NULL, 0);
	else if (fixture->mode == FIXTURE_ACCEPT)
		assert_int_equal(http_accept_websocket(fixture->net, request->conn), 0);
}

static void on_head(void *ctx, const struct http_request *request, struct http_body_rule *rule)
{
	struct fixture *fixture = ctx;
	fixture->heads++;
	assert_int_equal(request->conn, 0);
	assert_int_equal(rule->bytes_max, LIMIT_BODY_BYTES);
	assert_false(rule->streamed);
	if (fixture->rule.bytes_max)
		*rule = fixture->rule;
}

uint32_t fixture_sum(uint32_t sum, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		sum = sum * 31 + (unsigned char)bytes[i];
	return sum;
}

static void on_body(void *ctx, uint64_t conn, const char *bytes, size_t length)
{
	struct fixture *fixture = ctx;
	assert_true(length > 0);
	assert_int_equal(conn, fixture->conn);
	fixture->pieces++;
	if (fixture->pause_at_piece)
		http_pause_body(fixture->net, conn, true);
	fixture->streamed_bytes += length;
	fixture->streamed_sum = fixture_sum(fixture->streamed_sum, bytes, length);
	if (fixture->mode == FIXTURE_ECHO && !http_stream_write(fixture->net, conn, bytes, length))
		http_pause_body(fixture->net, conn, true);
}

static void on_body_end(void *ctx, uint64_t conn)
{
	struct fixture *fixture = ctx;
	assert_int_equal(conn, fixture->conn);
	fixture->bodies++;
	if (fixture->mode == FIXTURE_ECHO)
		http_stream_end(fixture->net, conn);
}

static void on_writable(void *ctx, uint64_t conn)
{
	struct fixture *fixture = ctx;
	fixture->writable++;
	if (fixture->mode == FIXTURE_ECHO)
		http_pause_body(fixture->net, conn, false);
}

static void on_gone(void *ctx, uint64_t conn)
{
	struct fixture *fixture = ctx;
	fixture->gone++;
	fixture->conn_gone = conn;
}

static void on_delivered(void *ctx, uint64_t conn)
{
	struct fixture *fixture = ctx;
	fixture->delivered++;
	fixture->conn_delivered = conn;
}

static void on_session(void *ctx, uint64_t conn, const struct net_peer *peer)
{
	struct fixture *fixture = ctx;
	fixture->sessions++;
	fixture->conn = conn;
	fixture->peer = *peer;
	fixture->had_pidfd = peer->pidfd >= 0;
	if (fixture->had_pidfd)
		close(peer->pidfd);
}

static void on_message(void *ctx, uint64_t conn, const char *text, size_t length)
{
	struct fixture *fixture = ctx;
	assert_int_equal(strlen(text), length);
	fixture->messages++;
	fixture->text_length = length;
	keep(fixture->text, sizeof(fixture->text), text, length);
	if (fixture->echo)
		net_session_send(fixture->net, conn, text, length);
}

static void on_closed(void *ctx, uint64_t conn, bool clean)
{
	struct fixture *fixture = ctx;
	assert_int_not_equal(conn, 0);
	assert_int_not_equal(conn, fixture->conn_closed); /* exactly once */
	fixture->closed++;
	fixture->conn_closed = conn;
	fixture->clean = clean;
}

static void on_protocol_error(void *ctx, uint64_t conn, int err, const char *what)
{
	struct fixture *fixture = ctx;
	(void)conn;
	fixture->errors++;
	fixture->error = err;
	keep(fixture->what, sizeof(fixture->what), what, strlen(what));
}

static int count_descriptors(void)
{
	int count = 0;
	DIR *folder = opendir("/proc/self/fd");
	assert_non_null(folder);
	while (readdir(folder))
		count++;
	(void)closedir(folder);
	return count;
}

static const struct net_options short_times = {
	.connections_max = 1024,
	.connections_reserved_max = 64,
	.header_time_ms = 5000,
	.body_time_ms = 5000,
	.write_time_ms = 5000,
};

struct fixture *fixture_open(const struct net_options *options)
{
	static const struct net_handlers handlers = {
		on_request,        on_gone, on_delivered, on_session,  on_message, on_closed,
		on_protocol_error, on_head, on_body,      on_body_end, on_writable};
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char detail[128] = "";
	assert_non_null(fixture);
	fixture->descriptors = count_descriptors();
	(void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/baton-net-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	(void)snprintf(fixture->line_path, sizeof(fixture->line_path), "%s/line", fixture->folder);
	(void)snprintf(fixture->http_path, sizeof(fixture->http_path), "%s/http", fixture->folder);
	assert_int_equal(loop_create(&fixture->loop), 0);
	assert_int_equal(net_create(fixture->loop, options ? options : &short_times, &handlers,
				    fixture, &fixture->net),
			 0);
	assert_int_equal(
		net_listen_tcp(fixture->net, "127.0.0.1:0", &fixture->port, detail, sizeof(detail)),
		0);
	assert_int_equal(
		net_listen_unix(fixture->net, fixture->line_path, false, detail, sizeof(detail)),
		0);
	assert_int_equal(
		net_listen_unix(fixture->net, fixture->http_path, true, detail, sizeof(detail)), 0);
	return fixture;
}

void fixture_close(struct fixture *fixture)
{
	int before = fixture->descriptors;
	net_destroy(fixture->net);
	loop_destroy(fixture->loop);
	assert_int_equal(rmdir(fixture->folder), 0); /* the socket files are gone */
	free(fixture);
	assert_int_equal(count_descriptors(), before);
}

void fixture_turn(struct fixture *fixture)
{
	loop_wake_at(fixture->loop, mono_after(loop_now(), FIXTURE_TURN_MS));
	loop_turn(fixture->loop);
}

void fixture_wait(struct fixture *fixture, const unsigned *counter, unsigned at_least)
{
	struct mono_ms deadline = mono_after(loop_now(), FIXTURE_WAIT_MS);
	while (*counter < at_least) {
		fixture_turn(fixture);
		if (mono_due(deadline, loop_now()))
			fail_msg("waited for %u and got %u", at_least, *counter);
	}
}

static struct client *connect_client(int family, const void *name, socklen_t length)
{
	struct client *client = malloc(sizeof(*client));
	assert_non_null(client);
	client->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	client->length = 0;
	client->ended = client->mute = false;
	assert_true(client->fd >= 0);
	if (connect(client->fd, name, length) != 0)
		fail_msg("connect: %s", strerror(errno));
	assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
	return client;
}

struct client *client_open(struct fixture *fixture)
{
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_port = htons(fixture->port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return connect_client(AF_INET, &name, sizeof(name));
}

struct client *client_open_unix(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	return connect_client(AF_UNIX, &name, sizeof(name));
}

size_t client_send_some(struct client *client, const char *bytes, size_t length)
{
	ssize_t n = send(client->fd, bytes, length, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		client->ended = true;
	return n < 0 ? 0 : (size_t)n;
}

bool client_send_all(struct fixture *fixture, struct client *client, const char *bytes,
		     size_t length)
{
	struct mono_ms deadline = mono_after(loop_now(), FIXTURE_WAIT_MS);
	while (length > 0 && !client->ended) {
		size_t n = client_send_some(client, bytes, length);
		bytes += n;
		length -= n;
		client_pump(fixture, client);
		if (mono_due(deadline, loop_now()))
			fail_msg("%zu bytes are not taken", length);
	}
	return length == 0;
}

/* What the socket does not take at once is given up: tests that send much pump in between. */
void client_send(struct client *client, const char *bytes, size_t length)
{
	ssize_t n = send(client->fd, bytes, length, MSG_NOSIGNAL);
	if (n != (ssize_t)length && errno != EPIPE && errno != ECONNRESET)
		fail_msg("sent %zd of %zu: %s", n, length, strerror(errno));
}

void client_send_text(struct client *client, const char *text)
{
	client_send(client, text, strlen(text));
}

void client_close(struct client *client)
{
	if (!client)
		return;
	(void)close(client->fd);
	free(client);
}

void client_leave(struct client *client, bool reset)
{
	struct linger linger = {.l_onoff = reset, .l_linger = 0};
	assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	client_close(client);
}

void client_pump(struct fixture *fixture, struct client *client)
{
	fixture_turn(fixture);
	while (!client->mute && !client->ended) {
		size_t room = sizeof(client->in) - 1 - client->length;
		assert_true(room > 0);
		ssize_t n = recv(client->fd, client->in + client->length, room, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0)
			client->ended = true;
		else
			client->length += (size_t)n;
	}
	client->in[client->length] = '\0';
}

static void check_deadline(struct mono_ms deadline, const struct client *client, const char *what)
{
	if (mono_due(deadline, loop_now()))
		fail_msg("waited for %s, have %zu bytes: %.200s", what, client->length, client->in);
}

void client_wait_bytes(struct fixture *fixture, struct client *client, size_t length)
{
	struct mono_ms deadline = mono_after(loop_now(), FIXTURE_WAIT_MS);
	for (client_pump(fixture, client); client->length < length; client_pump(fixture, client))
		check_deadline(deadline, client, "bytes");
}

void client_wait_text(struct fixture *fixture, struct client *client, const char *text)
{
	struct mono_ms deadline = mono_after(loop_now(), FIXTURE_WAIT_MS);
	for (client_pump(fixture, client); !memmem(client->in, client->length, text, strlen(text));
	     client_pump(fixture, client))
		check_deadline(deadline, client, text);
}

void client_wait_end(struct fixture *fixture, struct client *client)
{
	struct mono_ms deadline = mono_after(loop_now(), FIXTURE_WAIT_MS);
	for (client_pump(fixture, client); !client->ended; client_pump(fixture, client))
		check_deadline(deadline, client, "the end");
}

int client_status(const struct client *client)
{
	return client->length > 12 && memcmp(client->in, "HTTP/1.", 7) == 0 ? atoi(client->in + 9)
									    : 0;
}
