/* quarantine: moves an unreadable journal aside, whole and under a name never used before. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/mono.h"

extern const char journal_name[]; /* "journal.db"; its log is "journal.db-wal" */

/* Renames the database and the logs beside it to journal.db.quarantine-<wall>[.n] in `dir`. 0 and
 * the path of the database, or -ERR_IO with `detail`. */
int quarantine_journal(const char *dir, int dir_fd, struct wall_ms now, char *ret_path,
		       size_t path_size, char *detail, size_t detail_size);
