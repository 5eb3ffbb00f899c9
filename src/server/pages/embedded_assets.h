/* embedded_assets: the files of pages that are part of the executable. The table is written by
 * tools/gen/embed.py when Baton is built. */
#pragma once
#include <stddef.h>

struct embedded_asset {
	const char *path; /* as in a URL: "/ui/frame.css" */
	const char *etag; /* quoted; of the content */
	const unsigned char *bytes, *gzip;
	size_t length, gzip_length;
};

/* Sorted by path. */
extern const struct embedded_asset embedded_assets[];
extern const size_t embedded_asset_count;

/* Of the scripts and styles that pages have in themselves, as a content policy names them:
 * " 'sha256-..'" for each, or "". */
extern const char embedded_script_hashes[], embedded_style_hashes[];

const struct embedded_asset *embedded_asset_find(const char *path); /* NULL: there is none */
