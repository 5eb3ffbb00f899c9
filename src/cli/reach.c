/* reach: see reach.h. Called by api.c and by the commands that speak through libbaton. */
#include "cli/reach.h"

#include <stdio.h>

#include "base/where.h"

/* Who listens elsewhere; false: nobody. */
static bool add_others(const struct where *where, char *text, size_t size)
{
	struct where others;
	size_t used = 0;
	unsigned more = 0;
	unsigned count = where_elsewhere(where, &others);
	for (unsigned i = 0; i < count; i++) {
		const char *path = others.paths[i];
		int64_t pid = where_listener(path);
		if (pid <= 0 || used >= size)
			continue;
		used += (size_t)snprintf(text + used, size - used,
					 more++ ? ", or (process %lld) --socket %s"
						: "; one of yours (process %lld) listens "
						  "elsewhere: use --socket %s",
					 (long long)pid, path);
	}
	return more > 0;
}

void reach_words(char *ret_text, size_t size)
{
	struct where where;
	char tried[WHERE_PLACES_MAX * (WHERE_PATH_BYTES + 4)];
	if (where_look(&where) < 0) {
		snprintf(ret_text, size, "no broker answers");
		return;
	}
	where_tried(&where, tried, sizeof(tried));
	int used = snprintf(ret_text, size, "no broker answers on %s", tried);
	if (used < 0 || (size_t)used >= size)
		return;
	if (!add_others(&where, ret_text + used, size - (size_t)used))
		snprintf(ret_text + used, size - (size_t)used, "; start one with: baton serve");
}
