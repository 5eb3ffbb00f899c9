/* world: the real one: the system's clock, random bytes, Unix sockets, epoll, timerfd and poll.
 * Decides nothing. */
#include "client/world.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mono.h"

static struct mono_ms real_now(void *ctx)
{
	struct timespec ts;
	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct mono_ms){ts.tv_sec * 1000 + ts.tv_nsec / 1000000};
}

static int real_random(void *ctx, void *bytes, size_t size)
{
	(void)ctx;
	return getrandom(bytes, size, 0) == (ssize_t)size ? 0 : -ERR_IO;
}

static int error_of_connect(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return -ERR_FORBIDDEN;
	case EAGAIN:
		return -ERR_TOO_MANY_CONNECTIONS;
	case ENOENT:
	case ENOTDIR:
	case ECONNREFUSED:
		return -ERR_UNREACHABLE;
	default:
		return -ERR_IO;
	}
}

static int real_connect(void *ctx, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);
	(void)ctx;

	if (length == 0 || length >= sizeof(address.sun_path))
		return -ERR_UNREACHABLE;

	memcpy(address.sun_path, path, length + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -ERR_IO;

	/* A Unix connect completes at once or fails: there is no EINPROGRESS. */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int err = error_of_connect(errno);
		close(fd);
		return err;
	}
	return fd;
}

static ssize_t real_send(void *ctx, int stream, const void *bytes, size_t length)
{
	(void)ctx;
	return send(stream, bytes, length, MSG_NOSIGNAL);
}

static ssize_t real_receive(void *ctx, int stream, void *bytes, size_t size)
{
	(void)ctx;
	return recv(stream, bytes, size, 0);
}

static void real_close(void *ctx, int stream)
{
	(void)ctx;
	close(stream);
}

static int real_watch(void *ctx, int epoll_fd, int stream, bool fresh, bool for_write)
{
	struct epoll_event event = {.events = EPOLLIN | (for_write ? EPOLLOUT : 0u)};
	(void)ctx;
	int act = fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	return epoll_ctl(epoll_fd, act, stream, &event) < 0 ? -ERR_IO : 0;
}

static void real_arm(void *ctx, int timer_fd, struct mono_ms next)
{
	struct itimerspec when = {0};
	(void)ctx;

	if (next.v != INT64_MAX) {
		/* One ms late rather than early: an early wake-up would find nothing due and spin.
		 */
		int64_t at_ms = next.v < 0 ? 1 : next.v + 1;
		when.it_value.tv_sec = at_ms / 1000;
		when.it_value.tv_nsec = at_ms % 1000 * 1000000;
	}
	timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static int real_wait(void *ctx, int fd, int timeout_ms)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};
	(void)ctx;
	return poll(&one, 1, timeout_ms);
}

static const struct client_world real = {
	.now = real_now,
	.random = real_random,
	.connect = real_connect,
	.send = real_send,
	.receive = real_receive,
	.close = real_close,
	.watch = real_watch,
	.arm = real_arm,
	.wait = real_wait,
};

static const struct client_world *in_force = &real;

void client_world_set(const struct client_world *world)
{
	in_force = world ? world : &real;
}

const struct client_world *client_world(void)
{
	return in_force;
}
