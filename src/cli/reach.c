/* reach: puts into words what base/where finds. */
#include "cli/reach.h"

#include <stdio.h>

#include "base/where.h"

/* Names the brokers that listen elsewhere, if any. */
static void add_others(const struct where *where, char *text, size_t size)
{
	struct where others;
	size_t used = 0;
	unsigned count = where_elsewhere(where, &others);

	for (unsigned i = 0; i < count && used < size; i++) {
		int64_t pid = where_listener(others.paths[i]);
		if (pid <= 0)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s --socket %s (process %lld)",
					 used ? " or"
					      : ", or use one of yours that listens elsewhere:",
					 others.paths[i], (long long)pid);
	}
}

void reach_words(char *ret_text, size_t size)
{
	struct where where;
	char tried[WHERE_PLACES_MAX * (WHERE_PATH_BYTES + 4)];

	if (where_look(&where) < 0) {
		snprintf(ret_text, size, "no broker answers; start one with: baton serve");
		return;
	}

	where_tried(&where, tried, sizeof(tried));
	int used = snprintf(ret_text, size, "no broker answers on %s; start one with: baton serve",
			    tried);
	if (used > 0 && (size_t)used < size)
		add_others(&where, ret_text + used, size - (size_t)used);
}
