/* origin: see origin.h. */
#include "origin.h"

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

#include "base/mono.h"
#include "net/loop.h"

static void fail_late(struct mono_ms deadline, const char *what)
{
	if (mono_due(deadline, loop_now()))
		fail_msg("waited for %s", what);
}

struct origin origin_open(struct loop *loop)
{
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(name);
	struct origin origin = {
		.loop = loop, .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
	assert_true(origin.fd >= 0);
	assert_int_equal(bind(origin.fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(origin.fd, 512), 0);
	assert_int_equal(getsockname(origin.fd, (struct sockaddr *)&name, &length), 0);
	origin.port = ntohs(name.sin_port);
	return origin;
}

struct origin origin_open_unix(struct loop *loop)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct origin origin = {
		.loop = loop, .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
	assert_true(origin.fd >= 0);
	(void)snprintf(origin.path, sizeof(origin.path), "/tmp/baton-origin-%d", (int)getpid());
	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", origin.path);
	(void)unlink(origin.path);
	assert_int_equal(bind(origin.fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(origin.fd, 512), 0);
	return origin;
}

void origin_close(struct origin *origin)
{
	(void)close(origin->fd);
	if (origin->path[0])
		(void)unlink(origin->path);
}

void origin_turn(struct loop *loop)
{
	loop_wake_at(loop, mono_after(loop_now(), 2));
	loop_turn(loop);
}

void origin_fill(struct origin *origin, int *ret_fds, size_t count)
{
	struct sockaddr_in name = {.sin_family = AF_INET,
				   .sin_port = htons(origin->port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(listen(origin->fd, 0), 0);
	for (size_t i = 0; i < count; i++) {
		ret_fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_true(ret_fds[i] >= 0);
		(void)connect(ret_fds[i], (struct sockaddr *)&name, sizeof(name));
	}
}

static int try_accept(const struct origin *origin)
{
	return accept4(origin->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

bool origin_has_visitor(const struct origin *origin)
{
	int fd = try_accept(origin);
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

struct visit *origin_accept(struct origin *origin)
{
	struct mono_ms deadline = mono_after(loop_now(), ORIGIN_WAIT_MS);
	struct visit *visit = calloc(1, sizeof(*visit));
	assert_non_null(visit);
	visit->origin = origin;
	while ((visit->fd = try_accept(origin)) < 0) {
		origin_turn(origin->loop);
		fail_late(deadline, "a connection");
	}
	return visit;
}

void visit_forget(struct visit *visit)
{
	visit->length = 0;
	visit->in[0] = '\0';
}

void visit_pump(struct visit *visit)
{
	origin_turn(visit->origin->loop);
	for (;;) {
		if (visit->length == sizeof(visit->in) - 1)
			visit_forget(visit); /* long bodies are counted */
		ssize_t n = recv(visit->fd, visit->in + visit->length,
				 sizeof(visit->in) - 1 - visit->length, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			visit->ended = true;
			return;
		}
		visit->length += (size_t)n;
		visit->total += (size_t)n;
		visit->in[visit->length] = '\0';
	}
}

void visit_wait_text(struct visit *visit, const char *text)
{
	struct mono_ms deadline = mono_after(loop_now(), ORIGIN_WAIT_MS);
	while (!strstr(visit->in, text)) {
		visit_pump(visit);
		fail_late(deadline, text);
	}
}

void visit_wait_unread(struct visit *visit)
{
	struct mono_ms deadline = mono_after(loop_now(), ORIGIN_WAIT_MS);
	char byte;

	while (recv(visit->fd, &byte, 1, MSG_PEEK) <= 0) {
		origin_turn(visit->origin->loop);
		fail_late(deadline, "what is not read");
	}
}

void visit_wait_end(struct visit *visit)
{
	struct mono_ms deadline = mono_after(loop_now(), ORIGIN_WAIT_MS);
	while (!visit->ended) {
		visit_pump(visit);
		fail_late(deadline, "the client's leaving");
	}
}

size_t visit_flood(struct visit *visit, const char *bytes, size_t length, unsigned turns_max)
{
	size_t sent = 0;
	unsigned idle = 0;
	while (sent < length && idle < turns_max) {
		ssize_t n = send(visit->fd, bytes + sent, length - sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			break;
		idle = n > 0 ? 0 : idle + 1;
		sent += n > 0 ? (size_t)n : 0;
		origin_turn(visit->origin->loop);
	}
	return sent;
}

void visit_say(struct visit *visit, const char *text)
{
	assert_int_equal(visit_flood(visit, text, strlen(text), 1000), strlen(text));
}

void visit_leave(struct visit *visit, bool reset)
{
	struct linger linger = {.l_onoff = reset, .l_linger = 0};
	assert_int_equal(setsockopt(visit->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	(void)close(visit->fd);
	free(visit);
}
