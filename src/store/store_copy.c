/* store_copy: a state folder as it is now, for reading, while its broker goes on. The files are
 * read and never opened by SQLite, whose locks are the broker's. Three files make up the journal:
 * the database, its log and the latest turns. Each of them only grows, but at two moments: the
 * turns are folded into the log, and the log into the database. So they are copied in that order,
 * turns first: what was folded meanwhile is in the copy twice, which its reader knows by the round,
 * never lost. If one of them began anew while it was read, which its head tells, all is copied
 * again; and of the copies of turns and log counts what is whole, for their end was written while
 * it was read. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/regular_file.h"
#include "store/batches.h"
#include "store/store.h"
#include "store/wal_check.h"

enum { TRIES_MAX = 50, PAUSE_MS = 20, HEAD_BYTES = 32, PATH_BYTES = 4096 };

static const char database_name[] = "journal.db", log_name[] = "journal.db-wal";

static int open_in(const char *dir, const char *name, int flags)
{
	char path[PATH_BYTES + 32];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return regular_file_open(path, flags | O_NOFOLLOW, 0600);
}

static bool write_whole(int fd, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t done = write(fd, bytes, length);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		bytes += done;
		length -= (size_t)done;
	}
	return true;
}

/* False with errno. A file that is not there is copied as an empty one, if it may be. */
static bool copy_file(const char *dir, const char *to, const char *name, bool needed)
{
	uint8_t bytes[64 * 1024];
	cleanup_close int in = open_in(dir, name, O_RDONLY);
	cleanup_close int out = -1;
	ssize_t got;

	if (in < 0 && (needed || errno != ENOENT))
		return false;
	out = open_in(to, name, O_WRONLY | O_CREAT | O_TRUNC);
	if (out < 0 || in < 0)
		return out >= 0;

	while ((got = read(in, bytes, sizeof(bytes))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || !write_whole(out, bytes, (size_t)got))
			return false;
	}
	return true;
}

/* The log has another salt, the first of the turns another round, after each new beginning. */
static void read_head(const char *dir, const char *name, uint8_t *ret_head)
{
	cleanup_close int fd = open_in(dir, name, O_RDONLY);

	memset(ret_head, 0, HEAD_BYTES);
	if (fd >= 0 && read(fd, ret_head, HEAD_BYTES) != HEAD_BYTES)
		memset(ret_head, 0, HEAD_BYTES);
}

static bool head_is(const char *dir, const char *name, const uint8_t *head)
{
	uint8_t now[HEAD_BYTES];

	read_head(dir, name, now);
	return memcmp(now, head, HEAD_BYTES) == 0;
}

static struct timespec changed_at(const char *dir, const char *name)
{
	struct stat st = {0};
	cleanup_close int fd = open_in(dir, name, O_RDONLY);

	if (fd >= 0)
		(void)fstat(fd, &st);
	return st.st_mtim;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* A log that was emptied on a full disk looks as before it was filled: then only the file that it
 * was emptied into tells. `began`: the clock of such times as the copy began. */
static bool was_emptied(const char *dir, const uint8_t *log_head, struct timespec before,
			struct timespec began)
{
	static const uint8_t none[HEAD_BYTES];

	return memcmp(log_head, none, HEAD_BYTES) == 0 &&
	       (same_time(before, began) || !same_time(before, changed_at(dir, database_name)));
}

static bool cut_turns(const char *to)
{
	cleanup_close int dir_fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return dir_fd >= 0 && batches_cut(dir_fd) == 0;
}

/* False with errno and the file. */
static bool copy_once(const char *dir, const char *to, bool *ret_again, const char **ret_name)
{
	uint8_t log_head[HEAD_BYTES], turns_head[HEAD_BYTES];
	char log[PATH_BYTES + 32];
	struct timespec began;

	clock_gettime(CLOCK_REALTIME_COARSE, &began);
	struct timespec changed = changed_at(dir, database_name);
	read_head(dir, log_name, log_head);
	read_head(dir, turns_name, turns_head);
	*ret_name = turns_name;
	if (!copy_file(dir, to, turns_name, false))
		return false;
	*ret_again = !head_is(dir, turns_name, turns_head);
	if (*ret_again)
		return true;
	if (!cut_turns(to))
		return false;

	*ret_name = database_name;
	if (!copy_file(dir, to, database_name, true))
		return false;
	*ret_name = log_name;
	if (!copy_file(dir, to, log_name, false))
		return false;
	if ((size_t)snprintf(log, sizeof(log), "%s/%s", to, log_name) >= sizeof(log) ||
	    !wal_cut(log))
		return false;
	*ret_again =
		!head_is(dir, log_name, log_head) || was_emptied(dir, log_head, changed, began);
	return true;
}

int store_copy(const char *dir, const char *to, char *detail, size_t detail_size)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
	const char *name;
	bool again = true;

	for (int i = 0; i < TRIES_MAX && again; i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		if (copy_once(dir, to, &again, &name))
			continue;
		snprintf(detail, detail_size, "%s/%s: %s", dir, name, regular_file_error(errno));
		return -ERR_IO;
	}

	if (!again)
		return 0;
	snprintf(detail, detail_size, "%s changes too fast to be copied; try again", dir);
	return -ERR_IO;
}
