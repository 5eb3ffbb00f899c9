/* asset: finds a compiled-in file by its path. Called by files.c. */
#include "server/asset.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *path, const void *asset)
{
	return strcmp(path, ((const struct asset *)asset)->path);
}

const struct asset *asset_find(const char *path)
{
	return bsearch(path, asset_table, asset_count, sizeof *asset_table, compare);
}
