/* regular_file: see regular_file.h. Reads and writes nothing. */
#include "base/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { NOT_REGULAR = EMEDIUMTYPE }; /* no file system says this of an open */

int regular_file_open_at(int dir_fd, const char *path, int flags, mode_t mode)
{
	struct stat st;
	cleanup_close int fd =
		openat(dir_fd, path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);

	/* For writing, a FIFO without a reader, and a socket. */
	if (fd < 0 && errno == ENXIO)
		errno = NOT_REGULAR;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : NOT_REGULAR;
		return -1;
	}

	/* Whoever inherits it may look. */
	int status = fcntl(fd, F_GETFL);
	if (status < 0 || fcntl(fd, F_SETFL, status & ~O_NONBLOCK) < 0)
		return -1;
	return take_fd(&fd);
}

int regular_file_open(const char *path, int flags, mode_t mode)
{
	return regular_file_open_at(AT_FDCWD, path, flags, mode);
}

FILE *regular_file_stream(const char *path)
{
	int fd = regular_file_open(path, O_RDONLY, 0);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

	if (fd >= 0 && !file)
		(void)close(fd);
	return file;
}

const char *regular_file_error(int error)
{
	return error == NOT_REGULAR ? "not a regular file" : strerror(error);
}
