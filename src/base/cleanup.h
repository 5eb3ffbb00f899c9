/* cleanup: local resources that free themselves on every way out of a function, after systemd and
 * crun. Ownership moves out by assigning and setting the local to NULL (or -1): take_fd, or
 * `*ret = p; p = NULL`. */
#pragma once
#include <stdlib.h>
#include <unistd.h>

#define cleanup_free  __attribute__((cleanup(cleanup_free_pointer)))
#define cleanup_close __attribute__((cleanup(cleanup_close_fd)))

static inline void cleanup_free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

/* Does not preserve errno: meant for the way out. */
static inline void cleanup_close_fd(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* The descriptor, now the caller's. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
