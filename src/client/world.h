/* world: all that libbaton takes from outside: the clock, chance, the socket, and waiting. Programs
 * always get the real one. Tests hand in another, in which a session of hours takes milliseconds
 * and a broker says exactly what they want; so no other file of this folder asks the system for
 * these. Private: nothing of it is in baton.h. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "base/mono.h"

struct client_world {
	struct mono_ms (*now)(void *ctx);
	/* Fills `size` bytes; 0, or a negative enum err. */
	int (*random)(void *ctx, void *bytes, size_t size);
	/* A connected stream that never blocks, as a number of the world's own, or a negative enum
	 * err: -ERR_UNREACHABLE nothing listens, -ERR_FORBIDDEN no permission,
	 * -ERR_TOO_MANY_CONNECTIONS the backlog is full, -ERR_IO. */
	int (*connect)(void *ctx, const char *path);
	/* As send(2) and recv(2), errno included. */
	ssize_t (*send)(void *ctx, int stream, const void *bytes, size_t length);
	ssize_t (*receive)(void *ctx, int stream, void *bytes, size_t size);
	void (*close)(void *ctx, int stream);
	/* A stream is new in (`fresh`) or changed in an epoll set; 0 or -ERR_IO. A closed one
	 * leaves it by itself. */
	int (*watch)(void *ctx, int epoll_fd, int stream, bool fresh, bool for_write);
	/* The session wants to be stepped at `next`; MONO_NEVER: only when something arrives. */
	void (*arm)(void *ctx, int timer_fd, struct mono_ms next);
	/* Waits until `fd` may be readable, at most timeout_ms (-1: for ever). As poll(2). */
	int (*wait)(void *ctx, int fd, int timeout_ms);
	void *ctx;
};

/* The one in force. Changed only while no session exists; NULL: the real one. */
void client_world_set(const struct client_world *world);
const struct client_world *client_world(void);
