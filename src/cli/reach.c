/* reach: see reach.h. Called by api.c and by the commands that speak through libbaton. */
#include "cli/reach.h"

#include <stdio.h>

#include "base/where.h"

void reach_words(char *ret_text, size_t size)
{
	struct where where;
	char tried[WHERE_PLACES_MAX * (WHERE_PATH_BYTES + 4)], other[WHERE_PATH_BYTES];
	int64_t pid = 0;
	if (where_look(&where) < 0) {
		snprintf(ret_text, size, "no broker answers");
		return;
	}
	where_tried(&where, tried, sizeof(tried));
	int used = snprintf(ret_text, size, "no broker answers on %s", tried);
	if (used < 0 || (size_t)used >= size)
		return;
	if (where_elsewhere(&where, other, &pid) && pid > 0)
		snprintf(ret_text + used, size - (size_t)used,
			 "; one of yours (process %lld) listens on %s: use --socket %s",
			 (long long)pid, other, other);
	else
		snprintf(ret_text + used, size - (size_t)used,
			 "; start one with: baton up, or baton serve");
}
