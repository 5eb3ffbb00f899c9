/* mime_types: one const table. Looks at names only, never at contents: nothing is sniffed. */
#include "server/pages/mime_types.h"

#include <string.h>

static const struct {
	const char *end, *type;
} types[] = {
	{".html", "text/html; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".mjs", "text/javascript; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".json", "application/json"},
	{".svg", "image/svg+xml"},
	{".png", "image/png"},
	{".wasm", "application/wasm"},
	{".tgz", "application/gzip"},
	{".txt", "text/plain; charset=utf-8"},
	{".jinja", "text/plain; charset=utf-8"},
};

static const char unknown[] = "application/octet-stream";

const char *mime_type(const char *path)
{
	const char *name = strrchr(path, '/');
	const char *end = strrchr(name ? name : path, '.');
	for (size_t i = 0; end && i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(end, types[i].end) == 0)
			return types[i].type;
	return unknown;
}

const char *mime_type_of_data(const char *path)
{
	static const char *const active[] = {"text/html", "text/javascript", "image/svg"};
	const char *type = mime_type(path);
	for (size_t i = 0; i < sizeof(active) / sizeof(*active); i++)
		if (strncmp(type, active[i], strlen(active[i])) == 0)
			return unknown;
	return type;
}

bool mime_type_is_known(const char *path)
{
	return mime_type(path) != unknown;
}
