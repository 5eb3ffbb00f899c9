/* drm_clients: see drm_clients.h. A descriptor is a DRM device's by its device number, whatever its
 * path. */
#include "gpu/drm_clients.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "gpu/files.h"

enum { DRM_MAJOR = 226, FDINFO_BYTES = 4096 };

struct drm_place {
	int64_t pid;
	int fd;
};

static void *grow_list(void *list, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return list;
	*capacity = *capacity ? 2 * *capacity : 64;
	list = reallocarray(list, *capacity, size);
	if (!list)
		abort();
	return list;
}

/* Once per device and client; processes come by rising pid. */
static void add_client(struct drm_clients *clients, int64_t pid, const struct drm_fdinfo *info)
{
	for (size_t i = 0; i < clients->count; i++) {
		struct drm_client *known = &clients->v[i];
		if (known->info.client == info->client &&
		    strcmp(known->info.pdev, info->pdev) == 0) {
			known->pid = pid < known->pid ? pid : known->pid;
			return;
		}
	}
	clients->v = grow_list(clients->v, clients->count, &clients->capacity, sizeof(*clients->v));
	clients->v[clients->count++] = (struct drm_client){.pid = pid, .info = *info};
}

/* False: it is gone, or no DRM device any more. */
static bool read_place(struct drm_clients *clients, const char *procfs,
		       const struct drm_place *place)
{
	char text[FDINFO_BYTES];
	struct drm_fdinfo info;
	int length = gpu_file_read(text, sizeof(text), "%s/%lld/fdinfo/%d", procfs,
				   (long long)place->pid, place->fd);

	if (length <= 0 || !drm_parse_fdinfo(text, (size_t)length, &info))
		return false;
	add_client(clients, place->pid, &info);
	return true;
}

static bool is_drm(int fd_dir, const char *name)
{
	struct stat st;

	return fstatat(fd_dir, name, &st, 0) == 0 && S_ISCHR(st.st_mode) &&
	       major(st.st_rdev) == DRM_MAJOR;
}

/* A tree that a test wrote has no descriptors, only what is to be read of them. */
static DIR *open_descriptors(const char *procfs, int64_t pid, bool *ret_real)
{
	char path[GPU_PATH_BYTES];

	(void)snprintf(path, sizeof(path), "%.400s/%lld/fd", procfs, (long long)pid);
	DIR *folder = opendir(path);
	*ret_real = folder || errno != ENOENT;
	if (*ret_real)
		return folder;

	(void)snprintf(path, sizeof(path), "%.400s/%lld/fdinfo", procfs, (long long)pid);
	return opendir(path);
}

static void look_into(struct drm_clients *clients, const char *procfs, int64_t pid)
{
	struct dirent *entry;
	bool real;
	DIR *folder = open_descriptors(procfs, pid, &real);

	clients->partial |= !folder && (errno == EACCES || errno == EPERM);
	while (folder && (entry = readdir(folder))) {
		struct drm_place place = {.pid = pid, .fd = atoi(entry->d_name)};
		if (entry->d_name[0] == '.' || (real && !is_drm(dirfd(folder), entry->d_name)) ||
		    !read_place(clients, procfs, &place))
			continue;
		clients->places = grow_list(clients->places, clients->place_count,
					    &clients->place_capacity, sizeof(*clients->places));
		clients->places[clients->place_count++] = place;
	}
	if (folder)
		(void)closedir(folder);
}

void drm_clients_read(struct drm_clients *clients, const char *procfs, bool whole)
{
	struct dirent *entry;
	size_t kept = 0;

	clients->count = 0;
	if (!whole) {
		for (size_t i = 0; i < clients->place_count; i++)
			if (read_place(clients, procfs, &clients->places[i]))
				clients->places[kept++] = clients->places[i];
		clients->place_count = kept;
		return;
	}

	clients->place_count = 0;
	clients->partial = false;
	DIR *processes = opendir(procfs);
	while (processes && (entry = readdir(processes))) {
		int64_t pid = strtoll(entry->d_name, NULL, 10);
		if (pid > 0)
			look_into(clients, procfs, pid);
	}
	if (processes)
		(void)closedir(processes);
}

void drm_clients_finish(struct drm_clients *clients)
{
	free(clients->v);
	free(clients->places);
	*clients = (struct drm_clients){0};
}
