/* owner: which claim a client may act on. */
#pragma once
#include <stdint.h>

struct claim;
struct core;
struct token;

/* The live claim `lease` of the session on conn, or NULL: somebody else's lease looks like none. */
struct claim *owner_claim(const struct core *core, uint64_t conn, uint64_t lease);
/* The plain lease that this token names; NULL while it waits, for then no token was given out. */
struct claim *owner_plain(const struct core *core, const struct token *token);
/* The lease that an unlock releases: a plain one, or a page's, which may be closed before its
 * session can say so. A process's lease is free only when the process is gone. */
struct claim *owner_unlocked(const struct core *core, const struct token *token);
