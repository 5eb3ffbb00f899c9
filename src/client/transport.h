/* transport: lines over one non-blocking Unix stream socket. Knows bytes and lines, not their
 * meaning.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct transport {
	int fd; /* -1: closed */
	char *in;
	size_t in_start, in_end, in_size; /* unread bytes are in[in_start..in_end) */
	char *out;
	size_t out_start, out_end, out_size;
};

void transport_init(struct transport *transport);
void transport_finish(struct transport *transport);

/* 0, or a negative enum err: -ERR_UNREACHABLE nothing listens, -ERR_FORBIDDEN no permission,
 * -ERR_TOO_MANY_CONNECTIONS the backlog is full, -ERR_IO. */
int transport_open(struct transport *transport, const char *path);
/* Drops whatever is unsent or unread. */
void transport_close(struct transport *transport);

/* Queues a line (without its newline) for sending. -ERR_TOO_LARGE: the peer does not read.
 */
int transport_queue(struct transport *transport, const char *line, size_t length);
/* Sends as much as the socket accepts. 0 or -ERR_UNREACHABLE (the peer is gone). */
int transport_flush(struct transport *transport);
bool transport_wants_write(const struct transport *transport);

/* Reads what has arrived, at most one buffer. 1: something came, 0: nothing yet, -ERR_UNREACHABLE:
 * the peer is gone (lines already read can still be taken). */
int transport_read(struct transport *transport);
/* Takes the next complete line, NUL-terminated, borrowed until the next transport_read. 1, 0: none
 * yet, -ERR_TOO_LARGE: longer than LIMIT_FRAME_BYTES. */
int transport_line(struct transport *transport, const char **ret_line, size_t *ret_length);
