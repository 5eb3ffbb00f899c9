/* run_mark: the mark that `baton run` leaves in the environment of all that it starts (BATON_RUN):
 * random digits, behind those of a `baton run` around it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

/* The innermost of a process. False: it has none, or nobody may look. */
bool run_mark_read(int64_t pid, char ret_mark[LIMIT_MARK_BYTES + 1]);
/* Whether it is among those of a process. */
bool run_mark_has(int64_t pid, const char *mark);
