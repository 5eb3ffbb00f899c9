/* open_beneath: walks a path name by name, each without following links, so that whatever a request
 * says or somebody puts into the folder, nothing outside it is opened (CASES.md C29). Called by
 * static_files.c.
 */
#include "server/pages/open_beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"

/* The name at the front of `path`; false: it may not be opened. */
static bool take_name(const char **path, char ret_name[NAME_MAX + 1])
{
	size_t length = strcspn(*path, "/");
	if (length == 0 || length > NAME_MAX || **path == '.')
		return false;
	memcpy(ret_name, *path, length);
	ret_name[length] = '\0';
	*path += length;
	return true;
}

int open_beneath(const char *root, const char *path, int *ret_fd, struct stat *ret_stat)
{
	char name[NAME_MAX + 1];
	struct stat st;
	cleanup_close int at = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	while (at >= 0) {
		if (!take_name(&path, name))
			return -ERR_NOT_FOUND;
		bool last = *path == '\0';
		/* Without waiting: a FIFO has nobody at its other end. */
		int flags = last ? O_RDONLY | O_NONBLOCK | O_NOCTTY : O_PATH | O_DIRECTORY;
		int next = openat(at, name, flags | O_NOFOLLOW | O_CLOEXEC);
		(void)close(at);
		at = next;
		if (last)
			break;
		path++;
	}

	if (at < 0 || fstat(at, &st) != 0 || !S_ISREG(st.st_mode))
		return -ERR_NOT_FOUND;
	*ret_stat = st;
	*ret_fd = take_fd(&at);
	return 0;
}
