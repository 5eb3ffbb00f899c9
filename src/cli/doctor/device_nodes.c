/* device_nodes: see device_nodes.h. Opens none of them: that may wake a card. */
#include "cli/doctor/device_nodes.h"
#include "cli/doctor/check.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>

struct place {
	const char *folder, *pattern;
};

static const struct place card_places[] = {{"/dev", "nvidia[0-9]*"}, {"/dev", "nvidiactl"},
					   {"/dev", "nvidia-uvm"},   {"/dev/dri", "renderD*"},
					   {"/dev", "kfd"},          {"/dev", "dxg"}};
static const struct place instance_place = {"/dev/nvidia-caps", "nvidia-cap[0-9]*"};
enum { PLACE_COUNT = sizeof(card_places) / sizeof(*card_places) };

static void each_of(const struct doctor *doctor, const struct place *place, device_nodes_fn *fn,
		    void *ctx)
{
	char folder[CHECK_PATH_BYTES], path[CHECK_PATH_BYTES], full[CHECK_PATH_BYTES];
	const struct dirent *entry;
	check_path(doctor, place->folder, folder, sizeof(folder));

	DIR *dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		if (fnmatch(place->pattern, entry->d_name, 0) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%.64s", place->folder, entry->d_name);
		check_path(doctor, path, full, sizeof(full));
		fn(ctx, path, full);
	}
	if (dir)
		closedir(dir);
}

void device_nodes_each(const struct doctor *doctor, device_nodes_fn *fn, void *ctx)
{
	for (size_t i = 0; i < PLACE_COUNT; i++)
		each_of(doctor, &card_places[i], fn, ctx);
}

void device_nodes_each_instance(const struct doctor *doctor, device_nodes_fn *fn, void *ctx)
{
	each_of(doctor, &instance_place, fn, ctx);
}

static bool is_at(const struct place *place, const char *path)
{
	char pattern[80];
	snprintf(pattern, sizeof(pattern), "%s/%s", place->folder, place->pattern);
	return fnmatch(pattern, path, FNM_PATHNAME) == 0;
}

bool device_nodes_is(const char *path)
{
	for (size_t i = 0; i < PLACE_COUNT; i++)
		if (is_at(&card_places[i], path))
			return true;
	return is_at(&instance_place, path);
}
