/* sight: see sight.h. */
#include "wire/sight.h"

#include <string.h>

static bool is_key(const char *principal)
{
	return !strncmp(principal, "key:", 4);
}

struct sight sight_of(const char *principal)
{
	return (struct sight){principal, principal && is_key(principal)};
}

bool sight_tells(const struct sight *sight, const char *owner)
{
	return !sight || !sight->narrow || !strcmp(sight->principal, owner);
}

/* `line` is what a model server printed, `name` a key's; errors and reasons may name both. */
bool sight_tells_field(const struct sight *sight, const char *name, size_t length)
{
	static const char *const kept[] = {"model", "principal", "name", "who",
					   "line",  "error",     "why",  NULL};

	for (const char *const *at = kept; sight && sight->narrow && *at; at++)
		if (strlen(*at) == length && !strncmp(*at, name, length))
			return false;
	return true;
}

const char *sight_public_name(const char *principal)
{
	return is_key(principal) ? "unnamed" : principal;
}
