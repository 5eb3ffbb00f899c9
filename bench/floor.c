/* floor: the least that a lock server on HTTP/1.1 can do: epoll and a ring of waiters; no parsing
 * beyond the end of a request, no journal, no check of who asks, no timeout, no notice of a dead
 * client. It is the practical limit that a real broker is measured against. Prints its port. usage:
 * floor */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 65536 };

struct connection {
	int fd;
	size_t in_count;
	char in[4096];
};

struct lock {
	int holder; /* descriptor or -1 */
	unsigned head, tail;
	int waiting[CONNECTIONS_MAX];
};

static void answer(int fd, const char *body)
{
	char out[256];
	int length = snprintf(out, sizeof(out),
			      "HTTP/1.1 200 OK\r\nContent-Type: "
			      "application/json\r\nContent-Length: %zu\r\n\r\n%s",
			      strlen(body), body);
	if (write(fd, out, (size_t)length) != length)
		_exit(1);
}

static void grant(struct lock *lock, int fd)
{
	lock->holder = fd;
	answer(fd, "{\"status\":\"acquired\",\"token\":\"0\"}");
}

static bool request_is_whole(const struct connection *connection)
{
	const char *head_end = strstr(connection->in, "\r\n\r\n");
	if (head_end == NULL)
		return false;
	const char *length = strcasestr(connection->in, "content-length:");
	size_t body_length = length != NULL ? strtoul(length + 15, NULL, 10) : 0;
	return connection->in_count >= (size_t)(head_end - connection->in) + 4 + body_length;
}

static void readable(struct lock *lock, struct connection *connection)
{
	ssize_t count = read(connection->fd, connection->in + connection->in_count,
			     sizeof(connection->in) - 1 - connection->in_count);
	if (count <= 0) {
		close(connection->fd);
		free(connection);
		return;
	}
	connection->in_count += (size_t)count;
	connection->in[connection->in_count] = '\0';
	if (!request_is_whole(connection))
		return;
	connection->in_count = 0;
	if (strstr(connection->in, "unlock") != NULL) {
		answer(connection->fd, "{\"status\":\"released\"}");
		lock->holder = -1;
		if (lock->head != lock->tail)
			grant(lock, lock->waiting[lock->head++ % CONNECTIONS_MAX]);
	} else if (lock->holder < 0) {
		grant(lock, connection->fd);
	} else {
		lock->waiting[lock->tail++ % CONNECTIONS_MAX] = connection->fd;
	}
}

static void welcome(int epoll, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), one = 1;
	struct connection *connection = fd >= 0 ? calloc(1, sizeof(*connection)) : NULL;
	if (connection == NULL)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	connection->fd = fd;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int main(void)
{
	static struct lock lock = {.holder = -1};
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    epoll = epoll_create1(EPOLL_CLOEXEC);
	if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 4096) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
		perror("floor");
		return 1;
	}
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int ready = epoll_wait(epoll, events, 256, -1);
		for (int i = 0; i < ready; i++) {
			if (events[i].data.ptr == NULL)
				welcome(epoll, listener);
			else
				readable(&lock, events[i].data.ptr);
		}
	}
}
