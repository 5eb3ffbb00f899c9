/* state_dir: creates the state folder, checks that others cannot write there, and locks it. The
 * lock is an flock on a file that is never removed: it ends with the process, however that ends,
 * and the file names the holder. */
#include "store/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/regular_file.h"

static const char lock_name[] = "lock";

static const char *const file_names[] = {
	"lock",
	"fence",
	"reserve",
	"journal.db",
	"journal.db-wal",
	"journal.db-shm",
	"journal.db-journal",
	"journal.db-turns",
};

static bool is_unwritable(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EROFS || error == EACCES ||
	       error == EPERM || error == EFBIG;
}

static int make_folder(const char *dir)
{
	char path[PATH_MAX];

	size_t length = strlen(dir);
	if (length >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}

	memcpy(path, dir, length + 1);
	for (char *slash = path + 1; *slash; slash++) {
		if (*slash != '/')
			continue;
		*slash = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return -1;
		*slash = '/';
	}

	return mkdir(path, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

/* Whoever may write in the folder could swap the journal or the token. Our own folder is closed to
 * others; one that is shared by design (sticky, like /tmp) or belongs to somebody else is left as
 * it is and refused. */
static bool folder_is_safe(int dir_fd)
{
	struct stat st;
	if (fstat(dir_fd, &st) < 0)
		return false;
	if (!(st.st_mode & (S_IWGRP | S_IWOTH)))
		return true;
	errno = EPERM;
	return st.st_uid == geteuid() && !(st.st_mode & S_ISVTX) &&
	       !fchmod(dir_fd, st.st_mode & 0700);
}

/* SQLite opens some of them by itself, and what is no file would count as a full disk elsewhere. */
static int check_files(int dir_fd, const char *dir, char *detail, size_t size)
{
	struct stat st;

	for (size_t i = 0; i < sizeof(file_names) / sizeof(*file_names); i++) {
		if (fstatat(dir_fd, file_names[i], &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    S_ISREG(st.st_mode))
			continue;
		snprintf(detail, size, "%s/%s is not a regular file; move it away", dir,
			 file_names[i]);
		return -ERR_IO;
	}
	return 0;
}

/* Who holds the lock, for the message; 0: unknown. */
static long holder_of(int lock_fd)
{
	char text[32] = "";
	return pread(lock_fd, text, sizeof(text) - 1, 0) > 0 ? strtol(text, NULL, 10) : 0;
}

static int refuse_lock(const char *dir, int lock_fd, char *detail, size_t size)
{
	if (errno != EWOULDBLOCK) {
		snprintf(detail, size, "cannot lock %s/%s: %s", dir, lock_name, strerror(errno));
		return -ERR_IO;
	}
	snprintf(detail, size, "%s is in use by process %ld", dir,
		 lock_fd >= 0 ? holder_of(lock_fd) : 0L);
	return -ERR_ALREADY_RUNNING;
}

/* Locks the folder itself too, since a read-only folder may have no lock file. Some file systems
 * only lock files. */
static int take_lock(int dir_fd, const char *dir, int *ret_lock_fd, char *detail, size_t size)
{
	int fd = regular_file_open_at(dir_fd, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	int saved = errno, rc = 0;

	bool unwritable = is_unwritable(saved);
	if (fd < 0 && unwritable)
		fd = regular_file_open_at(dir_fd, lock_name, O_RDONLY | O_NOFOLLOW, 0);
	if (fd < 0 && !unwritable) {
		snprintf(detail, size, "cannot write in %s: %s", dir, strerror(saved));
		return -ERR_IO;
	}

	if (flock(dir_fd, LOCK_EX | LOCK_NB) < 0 && (fd < 0 || errno == EWOULDBLOCK))
		rc = refuse_lock(dir, fd, detail, size);
	if (!rc && fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		rc = refuse_lock(dir, fd, detail, size);
	if (rc < 0) {
		if (fd >= 0)
			close(fd);
		return rc;
	}

	char text[32];
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	/* Only for that message, so a full disk does not matter here. */
	if (fd >= 0 && ftruncate(fd, 0) == 0)
		(void)!pwrite(fd, text, (size_t)length, 0);
	*ret_lock_fd = fd;
	return 0;
}

int state_dir_open(const char *dir, int *ret_dir_fd, int *ret_lock_fd, char *detail,
		   size_t detail_size)
{
	int fd = make_folder(dir) < 0 ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		bool full = errno == ENOSPC || errno == EDQUOT;
		snprintf(detail, detail_size, "cannot open the folder %s: %s", dir,
			 strerror(errno));
		return full ? FOLDER_FULL : -ERR_IO;
	}

	int rc = -ERR_IO;
	if (folder_is_safe(fd))
		rc = check_files(fd, dir, detail, detail_size);
	else
		snprintf(detail, detail_size,
			 "others may write in the folder %s; name a private one, or chmod go-w it",
			 dir);
	if (rc == 0)
		rc = take_lock(fd, dir, ret_lock_fd, detail, detail_size);

	if (rc < 0) {
		close(fd);
		return rc;
	}

	*ret_dir_fd = fd;
	return 0;
}

void state_dir_close(int dir_fd, int lock_fd)
{
	if (dir_fd >= 0)
		close(dir_fd);
	if (lock_fd >= 0)
		close(lock_fd);
}

int state_dir_private_file(int dir_fd, const char *dir, const char *name, char *detail,
			   size_t detail_size)
{
	int made = 1;

	int fd = regular_file_open_at(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EEXIST) {
		made = 0;
		fd = regular_file_open_at(dir_fd, name, O_RDWR | O_NOFOLLOW, 0);
	}

	struct stat st;
	bool ok = fd >= 0 && !fstat(fd, &st) &&
		  (!(st.st_mode & 0077) || !fchmod(fd, st.st_mode & 0700));
	int rc = ok ? made : is_unwritable(errno) ? -ERR_IO : -ERR_CONFIG;
	if (!ok)
		snprintf(detail, detail_size, "cannot write %s/%s: %s", dir, name,
			 regular_file_error(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}
