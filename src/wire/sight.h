/* sight: what whoever looks is told of what is others'. One rule for all that shows it: status,
 * history, events, sessions, the log, models and requests. Who came by a key is told that others'
 * claims and requests are there, and how their programs call themselves, which waits are explained
 * by; on whose behalf they are, for which model, and what servers said of it, is told to the others
 * alone. What a site may see at all is less, and its session's (server/monitor). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct sight {
	const char *principal; /* who looks, as access_principal names it; borrowed */
	bool narrow;
};

/* NULL: an operator, who is told all, as who looks by the install token is. */
struct sight sight_of(const char *principal);
/* Whether it is told whose this is, and for what; `owner` is that one's principal. NULL for `sight`
 * is the operator. */
bool sight_tells(const struct sight *sight, const char *owner);
/* Whether it is told this field of a line of the log, which does not say whose it is. */
bool sight_tells_field(const struct sight *sight, const char *name, size_t length);

/* How a program is called that does not say it: by its principal, which must be none that others
 * are not told. */
const char *sight_public_name(const char *principal);
