/* device_nodes: see device_nodes.h. Opens none of them: that may wake a card. */
#include "cli/doctor/device_nodes.h"
#include "cli/doctor/check.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>

static const struct {
	const char *folder, *pattern;
} places[] = {{"/dev", "nvidia[0-9]*"}, {"/dev", "nvidiactl"}, {"/dev", "nvidia-uvm"},
	      {"/dev/dri", "renderD*"}, {"/dev", "kfd"},       {"/dev", "dxg"}};
enum { PLACE_COUNT = sizeof(places) / sizeof(*places) };

void device_nodes_each(const struct doctor *doctor, device_nodes_fn *fn, void *ctx)
{
	for (size_t i = 0; i < PLACE_COUNT; i++) {
		char folder[CHECK_PATH_BYTES], path[CHECK_PATH_BYTES], full[CHECK_PATH_BYTES];
		const struct dirent *entry;
		check_path(doctor, places[i].folder, folder, sizeof(folder));
		DIR *dir = opendir(folder);
		while (dir && (entry = readdir(dir))) {
			if (fnmatch(places[i].pattern, entry->d_name, 0) != 0)
				continue;
			snprintf(path, sizeof(path), "%s/%.64s", places[i].folder, entry->d_name);
			check_path(doctor, path, full, sizeof(full));
			fn(ctx, path, full);
		}
		if (dir)
			closedir(dir);
	}
}

bool device_nodes_is(const char *path)
{
	char pattern[80];
	for (size_t i = 0; i < PLACE_COUNT; i++) {
		snprintf(pattern, sizeof(pattern), "%s/%s", places[i].folder, places[i].pattern);
		if (fnmatch(pattern, path, FNM_PATHNAME) == 0)
			return true;
	}
	return false;
}
