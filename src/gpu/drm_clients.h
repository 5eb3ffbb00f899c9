/* drm_clients: which processes use DRM devices, and how much of their memory. A look at every
 * descriptor of every process is dear, so it is done seldom; between two, only the descriptors that
 * were found are read again. */
#pragma once
#include "gpu/drm_fdinfo.h"

struct drm_client {
	int64_t pid; /* the lowest that has it */
	struct drm_fdinfo info;
};

struct drm_place; /* a descriptor that was found */

struct drm_clients {
	struct drm_client *v;
	size_t count, capacity;
	bool partial; /* some processes may not be looked into */
	struct drm_place *places;
	size_t place_count, place_capacity;
};

/* Reads all clients; `whole` looks for new descriptors. */
void drm_clients_read(struct drm_clients *clients, const char *procfs, bool whole);
void drm_clients_finish(struct drm_clients *clients);
