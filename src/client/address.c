/* address: where the broker's socket lies when nobody says. Touches the file system only to see
 * which folder may be trusted. Called by baton_connect and, through baton_socket_path, by the
 * command line. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "baton/baton.h"

static bool is_own_private_folder(const struct stat *st)
{
	return S_ISDIR(st->st_mode) && st->st_uid == geteuid() && (st->st_mode & 022) == 0;
}

static int write_path(char *ret_path, size_t size, const char *folder, const char *rest)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int length = snprintf(path, sizeof(path), "%s%s", folder, rest);
	if (length <= 0 || (size_t)length >= sizeof(path) || (size_t)length >= size)
		return BATON_E_PATH;
	memcpy(ret_path, path, (size_t)length + 1);
	return 0;
}

int baton_socket_path(char *ret_path, size_t size)
{
	const char *given = secure_getenv("BATON_SOCKET");
	if (given && *given)
		return write_path(ret_path, size, given, "");
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	if (runtime && *runtime == '/')
		return write_path(ret_path, size, runtime, "/baton/baton.sock");

	char folder[64];
	struct stat st;
	unsigned long uid = geteuid();
	snprintf(folder, sizeof(folder), "/run/user/%lu", uid);
	if (lstat(folder, &st) == 0 && is_own_private_folder(&st))
		return write_path(ret_path, size, folder, "/baton/baton.sock");
	/* Anybody may have made this one before us, and would then play the broker. */
	snprintf(folder, sizeof(folder), "/tmp/baton-%lu", uid);
	if (lstat(folder, &st) == 0 && !is_own_private_folder(&st))
		return BATON_E_FORBIDDEN;
	return write_path(ret_path, size, folder, "/baton.sock");
}
