/* quarantine: never overwrites what an operator may want to inspect later, so a name is used only
 * if no file of the set has it. The database goes first: if the process dies in between, the next
 * start finds a log without a database and moves that too. Call with the lock held and the database
 * closed. */
#include "store/quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/mono.h"

const char journal_name[] = "journal.db";

enum { ATTEMPTS = 1000 };

static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", "-turns"};

static bool file_exists(int dir_fd, const char *name)
{
	struct stat st;
	return !fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) || errno != ENOENT;
}

/* No file of the set is there yet. */
static bool name_is_free(int dir_fd, const char *base)
{
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		char name[256];
		snprintf(name, sizeof(name), "%s%s", base, suffixes[i]);
		if (file_exists(dir_fd, name))
			return false;
	}
	return true;
}

static int rename_set(int dir_fd, const char *base)
{
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		char from[256], to[256];
		snprintf(from, sizeof(from), "%s%s", journal_name, suffixes[i]);
		snprintf(to, sizeof(to), "%s%s", base, suffixes[i]);
		/* Only this daemon, which holds the lock, makes such names; checked just before. */
		if (renameat(dir_fd, from, dir_fd, to) < 0 && errno != ENOENT)
			return -ERR_IO;
	}

	return 0;
}

int quarantine_journal(const char *dir, int dir_fd, struct wall_ms now, char *ret_path,
		       size_t path_size, char *detail, size_t detail_size)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		char base[128];
		int length =
			snprintf(base, sizeof(base), "%s.quarantine-%" PRId64, journal_name, now.v);
		if (attempt)
			snprintf(base + length, sizeof(base) - (size_t)length, ".%d", attempt);
		if (!name_is_free(dir_fd, base))
			continue;
		if (rename_set(dir_fd, base) < 0)
			break;
		snprintf(ret_path, path_size, "%s/%s", dir, base);
		return 0;
	}

	snprintf(detail, detail_size, "cannot move %s/%s aside: %s", dir, journal_name,
		 strerror(errno));
	return -ERR_IO;
}
