/* owner: which claim a client may speak of. */
#pragma once
#include "core/state.h"

/* The live claim `lease` of the session on conn, or NULL: another's lease looks like none. */
struct claim *owner_claim(const struct core *core, uint64_t conn, uint64_t lease);
/* The plain lease that this token names; NULL while it waits, for then no token was given out. */
struct claim *owner_plain(const struct core *core, const struct token *token);
/* The lease that an unlock gives back: a plain one, or that of a page, which may be left before its
 * session can say so. One of a process is free when that is gone, whatever anybody says. */
struct claim *owner_unlocked(const struct core *core, const struct token *token);
