/* run_refuse: why no broker could be reached, where the error code alone would mislead. Reads the
 * file system only to find the socket's owner. */
#include "cli/run/run_refuse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "baton/baton.h"
#include "cli/cli.h"

static uid_t owner_of(const char *path, bool *ret_known)
{
	struct stat st;
	char folder[128];
	snprintf(folder, sizeof(folder), "%s", path);
	*ret_known = stat(path, &st) == 0;
	for (char *slash; !*ret_known && (slash = strrchr(folder, '/')) && slash > folder;) {
		*slash = '\0';
		*ret_known = stat(folder, &st) == 0;
	}
	return *ret_known ? st.st_uid : 0;
}

int run_refuse_path(const struct command *command)
{
	const char *given = getenv("BATON_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");
	const char *path = given && *given ? given : runtime ? runtime : "";
	return cli_fail(command, EX_USAGE,
			"the socket's path is too long (at most 107 bytes): '%.40s..'; give a "
			"shorter one by --socket",
			path);
}

int run_refuse_user(const struct command *command, const char *what)
{
	char path[128];
	bool known = false;
	uid_t owner = 0;
	if (baton_socket_path(path, sizeof(path)) == 0)
		owner = owner_of(path, &known);

	if (!known || owner == geteuid())
		return cli_fail(command, EX_NOPERM, "%s was not started: %s", what,
				baton_strerror(BATON_E_FORBIDDEN));
	return cli_fail(command, EX_NOPERM,
			"%s was not started: the broker at %s belongs to user %lu, and serves "
			"that user only",
			what, path, (unsigned long)owner);
}
