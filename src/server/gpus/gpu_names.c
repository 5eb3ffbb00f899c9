/* gpu_names: a file of lines "NAME KEY" in the state folder. It decides nothing but names, so one
 * that cannot be read or written only costs them. */
#include "server/gpus/gpu_names.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "server/access/credentials.h"

enum { FILE_BYTES = GPU_NAMES_MAX * (LIMIT_GPU_NAME_BYTES + 16) };

static const char file_format[] = "%s/gpus";

static void add_name(struct gpu_names *names, const char *name, const char *key)
{
	if (names->count == GPU_NAMES_MAX) /* devices of long ago */
		memmove(&names->v[0], &names->v[1], --names->count * sizeof(names->v[0]));

	(void)snprintf(names->v[names->count].name, sizeof(names->v[0].name), "%s", name);
	(void)snprintf(names->v[names->count].key, sizeof(names->v[0].key), "%s", key);
	names->count++;
}

static bool take_row(struct gpu_names *names, const char *row)
{
	char name[8], key[LIMIT_GPU_NAME_BYTES + 1];
	int end = 0;

	static_assert(LIMIT_GPU_NAME_BYTES == 63, "the width below");
	if (sscanf(row, "%7s %63s%n", name, key, &end) != 2 || row[end] ||
	    strncmp(name, "gpu", 3) != 0)
		return false;
	add_name(names, name, key);
	return true;
}

int gpu_names_load(struct gpu_names *names, const char *dir, char *detail, size_t detail_size)
{
	char path[4096 + 8], text[FILE_BYTES];
	unsigned number = 1, damaged = 0;

	*names = (struct gpu_names){0};
	if ((size_t)snprintf(path, sizeof(path), file_format, dir) >= sizeof(path))
		return 0;
	int rc = private_read(path, text, sizeof(text), "GPUs get new names", detail, detail_size);
	if (rc <= 0)
		return rc;

	for (char *line = text, *after; *line; line = after, number++) {
		after = line + strcspn(line, "\n");
		if (*after)
			*after++ = '\0';
		if (!take_row(names, line) && !damaged)
			damaged = number;
	}
	if (!damaged)
		return 0;
	snprintf(detail, detail_size, "%s:%u: damaged; the GPU whose name it was gets a new one",
		 path, damaged);
	return -ERR_IO;
}

void gpu_names_save(struct gpu_names *names, const char *dir)
{
	char path[4096 + 8], text[FILE_BYTES], detail[256];
	size_t length = 0;

	if (!names->dirty || (size_t)snprintf(path, sizeof(path), file_format, dir) >= sizeof(path))
		return;

	for (unsigned i = 0; i < names->count; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s %s\n",
					   names->v[i].name, names->v[i].key);
	names->dirty = private_write(path, text, length, detail, sizeof(detail)) != 0;
}

static bool is_taken(const struct gpu_names *names, const char *name)
{
	for (unsigned i = 0; i < names->count; i++)
		if (strcmp(names->v[i].name, name) == 0)
			return true;
	return false;
}

const char *gpu_names_of(struct gpu_names *names, const char *key)
{
	char name[8];
	unsigned number = 0;

	for (unsigned i = 0; i < names->count; i++)
		if (strcmp(names->v[i].key, key) == 0)
			return names->v[i].name;

	do
		(void)snprintf(name, sizeof(name), "gpu%u", number++ % 1000);
	while (is_taken(names, name));
	add_name(names, name, key);
	names->dirty = true;
	return names->v[names->count - 1].name;
}

void gpu_names_rekey(struct gpu_names *names, const char *old_key, const char *key)
{
	for (unsigned i = 0; i < names->count; i++)
		if (strcmp(names->v[i].key, old_key) == 0 && strcmp(old_key, key) != 0) {
			(void)snprintf(names->v[i].key, sizeof(names->v[i].key), "%s", key);
			names->dirty = true;
		}
}
