/* link: a non-blocking Unix stream and its two buffers, cut into lines. It neither waits nor
 * retries: the session decides. Memory is bounded by LIMIT_FRAME_BYTES in and
 * LIMIT_SEND_BUFFER_BYTES out. */
#include "client/link.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/limits.h"

enum { IN_BYTES = LIMIT_FRAME_BYTES + 2, OUT_BYTES_MIN = 4096 };

void link_init(struct link *link)
{
	*link = (struct link){.fd = -1};
}

void link_finish(struct link *link)
{
	link_close(link);
	free(link->in);
	free(link->out);
	link_init(link);
}

void link_close(struct link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	link->in_start = link->in_end = 0;
	link->out_start = link->out_end = 0;
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

int link_open(struct link *link, const char *path)
{
	assert(link->fd < 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);
	if (length == 0 || length >= sizeof(address.sun_path))
		return -ERR_UNREACHABLE;
	memcpy(address.sun_path, path, length + 1);
	if (!link->in && !(link->in = malloc(IN_BYTES)))
		return -ERR_NO_MEMORY;
	link->in_size = IN_BYTES;

	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -ERR_IO;
	/* A Unix connect is done at once or fails: there is no EINPROGRESS to wait for. */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int err = error_of_connect(errno);
		close(fd);
		return err;
	}
	link->fd = fd;
	return 0;
}

int link_queue(struct link *link, const char *line, size_t length)
{
	size_t unsent = link->out_end - link->out_start;
	size_t needed = unsent + length + 1;
	if (needed > LIMIT_SEND_BUFFER_BYTES)
		return -ERR_TOO_LARGE;
	if (link->out_start > 0) {
		memmove(link->out, link->out + link->out_start, unsent);
		link->out_start = 0;
		link->out_end = unsent;
	}
	if (needed > link->out_size) {
		size_t size = link->out_size ? link->out_size : OUT_BYTES_MIN;
		while (size < needed)
			size *= 2;
		char *grown = realloc(link->out, size);
		if (!grown)
			return -ERR_NO_MEMORY;
		link->out = grown;
		link->out_size = size;
	}
	memcpy(link->out + link->out_end, line, length);
	link->out[link->out_end + length] = '\n';
	link->out_end += length + 1;
	return 0;
}

int link_flush(struct link *link)
{
	while (link->out_start < link->out_end) {
		ssize_t sent = send(link->fd, link->out + link->out_start,
				    link->out_end - link->out_start, MSG_NOSIGNAL);
		if (sent >= 0) {
			link->out_start += (size_t)sent;
			continue;
		}
		if (errno == EINTR)
			continue;
		return errno == EAGAIN ? 0 : -ERR_UNREACHABLE;
	}
	return 0;
}

bool link_wants_write(const struct link *link)
{
	return link->out_start < link->out_end;
}

int link_read(struct link *link)
{
	size_t unread = link->in_end - link->in_start;
	if (link->in_start > 0) {
		memmove(link->in, link->in + link->in_start, unread);
		link->in_start = 0;
		link->in_end = unread;
	}
	if (link->in_end == link->in_size)
		return 1; /* full: link_line finds a line or refuses its length */
	for (;;) {
		ssize_t got =
			recv(link->fd, link->in + link->in_end, link->in_size - link->in_end, 0);
		if (got > 0) {
			link->in_end += (size_t)got;
			return 1;
		}
		if (got < 0 && errno == EINTR)
			continue;
		return got < 0 && errno == EAGAIN ? 0 : -ERR_UNREACHABLE;
	}
}

int link_line(struct link *link, const char **ret_line, size_t *ret_length)
{
	char *start = link->in + link->in_start;
	size_t unread = link->in_end - link->in_start;
	char *end = memchr(start, '\n', unread);
	if (!end)
		return unread > LIMIT_FRAME_BYTES ? -ERR_TOO_LARGE : 0;
	size_t length = (size_t)(end - start);
	*end = '\0';
	link->in_start += length + 1;
	if (length > 0 && start[length - 1] == '\r')
		start[--length] = '\0';
	*ret_line = start;
	*ret_length = length;
	return 1;
}
