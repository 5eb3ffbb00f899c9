/* world: everything that libbaton takes from the system: the clock, random bytes, the socket, and
 * waiting. Programs always get the real one. Tests install another, in which a session of hours
 * takes milliseconds and the broker says exactly what they want; so no other file of this folder
 * uses the system directly. Private: none of it is in baton.h. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "base/mono.h"

struct client_world {
	struct mono_ms (*now)(void *ctx);
	/* Fills `size` bytes; 0, or a negative enum err. */
	int (*random)(void *ctx, void *bytes, size_t size);
	/* A connected non-blocking stream, as a number private to the world, or a negative enum
	 * err: -ERR_UNREACHABLE nothing listens, -ERR_FORBIDDEN no permission,
	 * -ERR_TOO_MANY_CONNECTIONS the backlog is full, -ERR_IO. */
	int (*connect)(void *ctx, const char *path);
	/* As send(2) and recv(2), errno included. */
	ssize_t (*send)(void *ctx, int stream, const void *bytes, size_t length);
	ssize_t (*receive)(void *ctx, int stream, void *bytes, size_t size);
	void (*close)(void *ctx, int stream);
	/* Adds a stream to an epoll set (`fresh`) or changes its events; 0 or -ERR_IO. Closing it
	 * removes it. */
	int (*watch)(void *ctx, int epoll_fd, int stream, bool fresh, bool for_write);
	/* Arms the timer for the session's next step; MONO_NEVER: only when something arrives. */
	void (*arm)(void *ctx, int timer_fd, struct mono_ms next);
	/* Waits until `fd` may be readable, at most timeout_ms (-1: no limit). As poll(2). */
	int (*wait)(void *ctx, int fd, int timeout_ms);
	void *ctx;
};

/* Sets the current world, only while no session exists; NULL: the real one. */
void client_world_set(const struct client_world *world);
const struct client_world *client_world(void);
