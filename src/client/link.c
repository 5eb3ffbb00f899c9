/* link: a stream that never blocks and its two buffers, cut into lines. It neither waits nor
 * retries: the session decides. Memory is bounded by LIMIT_FRAME_BYTES in and
 * LIMIT_SEND_BUFFER_BYTES out. */
#include "client/link.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "client/world.h"

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
		client_world()->close(client_world()->ctx, link->fd);
	link->fd = -1;
	link->in_start = link->in_end = 0;
	link->out_start = link->out_end = 0;
}

int link_open(struct link *link, const char *path)
{
	assert(link->fd < 0);
	if (!link->in && !(link->in = malloc(IN_BYTES)))
		return -ERR_NO_MEMORY;
	link->in_size = IN_BYTES;

	const struct client_world *world = client_world();
	int fd = world->connect(world->ctx, path);
	if (fd < 0)
		return fd;
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
	const struct client_world *world = client_world();
	while (link->out_start < link->out_end) {
		ssize_t sent = world->send(world->ctx, link->fd, link->out + link->out_start,
					   link->out_end - link->out_start);
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
	const struct client_world *world = client_world();
	for (;;) {
		ssize_t got = world->receive(world->ctx, link->fd, link->in + link->in_end,
					     link->in_size - link->in_end);
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
