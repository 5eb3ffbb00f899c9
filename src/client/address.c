/* address: where the broker's socket is when no path is given. */
#include <string.h>

#include "base/err.h"
#include "base/where.h"
#include "baton/baton.h"

int baton_socket_path(char *ret_path, size_t size)
{
	struct where where;
	int rc = where_look(&where);
	if (rc < 0)
		return rc == -ERR_FORBIDDEN ? BATON_E_FORBIDDEN : BATON_E_PATH;

	const char *path = where_pick(&where);
	size_t length = strlen(path);
	if (length >= size)
		return BATON_E_PATH;
	memcpy(ret_path, path, length + 1);
	return 0;
}
