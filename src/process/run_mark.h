/* run_mark: the mark that `baton run` leaves with all that it starts: random digits. In the
 * environment (BATON_RUN), behind those of a `baton run` around it; and, for what clears its
 * environment, as a limit that nothing counts any more (RLIMIT_LOCKS, since Linux 2.4). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

/* The innermost in the environment of a process. False: it has none, or nobody may look. */
bool run_mark_read(int64_t pid, char ret_mark[LIMIT_MARK_BYTES + 1]);
/* Whether a process that is not dead has it, in either way. */
bool run_mark_has(int64_t pid, const char *mark);
/* The mark as a limit; 0: it is no mark. */
uint64_t run_mark_limit(const char *mark);
/* Leaves it with this process and what that starts. Not where there is such a limit already: that
 * of a `baton run` around this one stays, and what is in it is found by that one. */
void run_mark_leave(uint64_t limit);
/* For what is not part of the job although it was started there: this process has the limit no
 * more.
 */
void run_mark_drop(void);
