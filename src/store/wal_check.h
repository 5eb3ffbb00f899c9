/* wal_check: tells a write-ahead log that was cut short from one that was damaged. */
#pragma once
#include <stdbool.h>

/* False if a part in the middle is damaged, so that SQLite would silently take an older state for
 * the newest. A missing log, an empty one and one with a torn end are whole. */
bool wal_is_whole(const char *path);
/* Of a copy that was taken while the log was written: cuts what came behind the moment at which its
 * end was read. False: it cannot. */
bool wal_cut(const char *path);
