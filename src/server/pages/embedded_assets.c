/* embedded_assets: finds a compiled-in file by its path. */
#include "server/pages/embedded_assets.h"

#include <stdlib.h>
#include <string.h>

static int compare_path(const void *path, const void *asset)
{
	return strcmp(path, ((const struct embedded_asset *)asset)->path);
}

const struct embedded_asset *embedded_asset_find(const char *path)
{
	return bsearch(path, embedded_assets, embedded_asset_count, sizeof(*embedded_assets),
		       compare_path);
}
