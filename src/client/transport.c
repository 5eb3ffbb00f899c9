/* transport: a non-blocking stream with two buffers, cut into lines. It neither waits nor retries:
 * the session decides. Memory is bounded by LIMIT_FRAME_BYTES in and LIMIT_SEND_BUFFER_BYTES out.
 */
#include "client/transport.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "client/world.h"

enum { IN_BYTES = LIMIT_FRAME_BYTES + 2, OUT_BYTES_MIN = 4096 };

void transport_init(struct transport *transport)
{
	*transport = (struct transport){.fd = -1};
}

void transport_finish(struct transport *transport)
{
	transport_close(transport);
	free(transport->in);
	free(transport->out);
	transport_init(transport);
}

void transport_close(struct transport *transport)
{
	if (transport->fd >= 0)
		client_world()->close(client_world()->ctx, transport->fd);
	transport->fd = -1;
	transport->in_start = transport->in_end = 0;
	transport->out_start = transport->out_end = 0;
}

int transport_open(struct transport *transport, const char *path)
{
	assert(transport->fd < 0);
	if (!transport->in && !(transport->in = malloc(IN_BYTES)))
		return -ERR_NO_MEMORY;
	transport->in_size = IN_BYTES;

	const struct client_world *world = client_world();
	int fd = world->connect(world->ctx, path);
	if (fd < 0)
		return fd;
	transport->fd = fd;
	return 0;
}

int transport_queue(struct transport *transport, const char *line, size_t length)
{
	size_t unsent = transport->out_end - transport->out_start;
	size_t needed = unsent + length + 1;
	if (needed > LIMIT_SEND_BUFFER_BYTES)
		return -ERR_TOO_LARGE;

	if (transport->out_start > 0) {
		memmove(transport->out, transport->out + transport->out_start, unsent);
		transport->out_start = 0;
		transport->out_end = unsent;
	}

	if (needed > transport->out_size) {
		size_t size = transport->out_size ? transport->out_size : OUT_BYTES_MIN;
		while (size < needed)
			size *= 2;
		char *grown = realloc(transport->out, size);
		if (!grown)
			return -ERR_NO_MEMORY;
		transport->out = grown;
		transport->out_size = size;
	}

	memcpy(transport->out + transport->out_end, line, length);
	transport->out[transport->out_end + length] = '\n';
	transport->out_end += length + 1;
	return 0;
}

int transport_flush(struct transport *transport)
{
	const struct client_world *world = client_world();

	while (transport->out_start < transport->out_end) {
		ssize_t sent = world->send(world->ctx, transport->fd,
					   transport->out + transport->out_start,
					   transport->out_end - transport->out_start);
		if (sent >= 0) {
			transport->out_start += (size_t)sent;
			continue;
		}

		if (errno == EINTR)
			continue;
		return errno == EAGAIN ? 0 : -ERR_UNREACHABLE;
	}
	return 0;
}

bool transport_wants_write(const struct transport *transport)
{
	return transport->out_start < transport->out_end;
}

int transport_read(struct transport *transport)
{
	size_t unread = transport->in_end - transport->in_start;
	if (transport->in_start > 0) {
		memmove(transport->in, transport->in + transport->in_start, unread);
		transport->in_start = 0;
		transport->in_end = unread;
	}

	if (transport->in_end == transport->in_size)
		return 1; /* full: transport_line finds a line or refuses its length */

	const struct client_world *world = client_world();
	for (;;) {
		ssize_t got =
			world->receive(world->ctx, transport->fd, transport->in + transport->in_end,
				       transport->in_size - transport->in_end);
		if (got > 0) {
			transport->in_end += (size_t)got;
			return 1;
		}
		if (got < 0 && errno == EINTR)
			continue;
		return got < 0 && errno == EAGAIN ? 0 : -ERR_UNREACHABLE;
	}
}

int transport_line(struct transport *transport, const char **ret_line, size_t *ret_length)
{
	char *start = transport->in + transport->in_start;
	size_t unread = transport->in_end - transport->in_start;
	char *end = memchr(start, '\n', unread);
	if (!end)
		return unread > LIMIT_FRAME_BYTES ? -ERR_TOO_LARGE : 0;

	size_t length = (size_t)(end - start);
	*end = '\0';
	transport->in_start += length + 1;

	if (length > 0 && start[length - 1] == '\r')
		start[--length] = '\0';
	*ret_line = start;
	*ret_length = length;
	return 1;
}
