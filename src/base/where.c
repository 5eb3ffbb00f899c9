/* where: see where.h. Used by libbaton, the command line and the broker's startup. */
#include "base/where.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/regular_file.h"

enum { CHANGED_LATELY_S = 2 };

const char where_note_name[] = "listens";

/* ---- places ---- */

static bool add_place(struct where *where, const char *folder, const char *rest)
{
	char path[WHERE_PATH_BYTES];

	int length = snprintf(path, sizeof(path), "%s%s", folder, rest);
	if (length <= 0 || (size_t)length >= sizeof(path))
		return false;

	for (unsigned i = 0; i < where->count; i++)
		if (strcmp(where->paths[i], path) == 0)
			return true;

	if (where->count < WHERE_PLACES_MAX)
		memcpy(where->paths[where->count++], path, sizeof(path));
	return true;
}

static bool is_own_private_folder(const struct stat *st)
{
	return S_ISDIR(st->st_mode) && st->st_uid == geteuid() && (st->st_mode & 022) == 0;
}

/* Where a broker runs whose state folder is the default one, wherever that broker listens. */
static void add_noted(struct where *where)
{
	const char *state = secure_getenv("XDG_STATE_HOME"), *home = secure_getenv("HOME");
	struct where_note note;
	char dir[4096];
	int length = 0;

	if (state && *state == '/')
		length = snprintf(dir, sizeof(dir), "%s/baton", state);
	else if (home && *home == '/')
		length = snprintf(dir, sizeof(dir), "%s/.local/state/baton", home);

	if (length > 0 && (size_t)length < sizeof(dir) && where_note_read(dir, &note))
		(void)add_place(where, note.socket, "");
}

int where_look(struct where *ret_where)
{
	struct where where = {0};
	struct stat st;
	char folder[64];
	unsigned long uid = geteuid();
	bool strange = false;
	const char *given = secure_getenv("BATON_SOCKET");
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");

	if (given && *given) {
		where.given = true;
		if (!add_place(&where, given, ""))
			return -ERR_BAD_FIELD;
		*ret_where = where;
		return 0;
	}

	if (runtime && *runtime == '/' && !add_place(&where, runtime, "/baton/baton.sock"))
		return -ERR_BAD_FIELD;
	snprintf(folder, sizeof(folder), "/run/user/%lu", uid);
	if (lstat(folder, &st) == 0 && is_own_private_folder(&st))
		(void)add_place(&where, folder, "/baton/baton.sock");

	/* Anybody may have created this one first, to impersonate the broker. */
	snprintf(folder, sizeof(folder), "/tmp/baton-%lu", uid);
	strange = lstat(folder, &st) == 0 && !is_own_private_folder(&st);
	if (!strange)
		(void)add_place(&where, folder, "/baton.sock");

	add_noted(&where);

	if (where.count == 0)
		return -ERR_FORBIDDEN;
	*ret_where = where;
	return 0;
}

void where_tried(const struct where *where, char *ret_text, size_t size)
{
	size_t used = 0;

	ret_text[0] = '\0';

	for (unsigned i = 0; i < where->count && used < size; i++) {
		const char *before = i == 0 ? "" : i + 1 == where->count ? " or " : ", ";
		used += (size_t)snprintf(ret_text + used, size - used, "%s%s", before,
					 where->paths[i]);
	}
}

bool where_http(const char *path, char *ret_path, size_t size)
{
	static const char end[] = ".sock";
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t length = strlen(name);

	if (length >= sizeof(end) - 1 && strcmp(name + length - (sizeof(end) - 1), end) == 0)
		length -= sizeof(end) - 1;

	bool usual = length == 5 && strncmp(name, "baton", 5) == 0;
	int written = usual ? snprintf(ret_path, size, "%.*shttp.sock", (int)(name - path), path)
			    : snprintf(ret_path, size, "%.*s.http.sock",
				       (int)(name - path + (ptrdiff_t)length), path);
	return written > 0 && (size_t)written < size;
}

/* ---- who answers ---- */

/* A connection, or -1. */
static int try_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);

	if (length >= sizeof(address.sun_path))
		return -1;

	memcpy(address.sun_path, path, length + 1);

	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		return -1;
	return take_fd(&fd);
}

int64_t where_listener(const char *path)
{
	struct ucred cred = {0};
	socklen_t length = sizeof(cred);

	cleanup_close int fd = try_connect(path);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &length) != 0)
		return 0;
	return cred.pid;
}

static bool is_socket(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

const char *where_pick(const struct where *where)
{
	unsigned there = 0, first = 0;

	for (unsigned i = where->count; i-- > 0;) {
		if (is_socket(where->paths[i])) {
			there++;
			first = i;
		}
	}

	/* One alone needs no asking. */
	for (unsigned i = first; there > 1 && i < where->count; i++) {
		cleanup_close int fd =
			is_socket(where->paths[i]) ? try_connect(where->paths[i]) : -1;
		if (fd >= 0)
			return where->paths[i];
	}

	return where->paths[first];
}

static bool changed_lately(const char *path)
{
	char folder[WHERE_PATH_BYTES];
	struct stat st;
	struct timespec now;

	snprintf(folder, sizeof(folder), "%s", path);

	char *slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return false;

	*slash = '\0';
	if (stat(folder, &st) != 0 || !is_own_private_folder(&st))
		return false;

	clock_gettime(CLOCK_REALTIME, &now);
	return st.st_mtim.tv_sec + CHANGED_LATELY_S >= now.tv_sec &&
	       st.st_mtim.tv_sec <= now.tv_sec;
}

bool where_may_return(const struct where *where)
{
	for (unsigned i = 0; i < where->count; i++)
		if (is_socket(where->paths[i]) || changed_lately(where->paths[i]))
			return true;
	return false;
}

/* ---- elsewhere ---- */

static bool is_named(const struct where *where, const char *path)
{
	for (unsigned i = 0; i < where->count; i++)
		if (strcmp(where->paths[i], path) == 0)
			return true;
	return false;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length > end_length && strcmp(text + length - end_length, end) == 0;
}

/* A line of /proc/net/unix: a listening stream socket by the name that a broker gives it. */
static const char *listening_path(char *line)
{
	unsigned long flags;
	unsigned type;
	int at = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%*x: %*x %*x %lx %x %*x %*u %n", &flags, &type, &at) != 2 || at == 0)
		return NULL;

	bool listens = flags & 0x10000 && type == SOCK_STREAM; /* __SO_ACCEPTCON */
	const char *path = line + at;
	return listens && path[0] == '/' && ends_with(path, "/baton.sock") ? path : NULL;
}

static bool is_ours(const char *path)
{
	struct stat st;

	return strlen(path) < WHERE_PATH_BYTES && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       st.st_uid == geteuid();
}

/* Sockets in a default place come before those placed by hand. */
static void add_other(struct where *others, const char *path)
{
	bool usual = ends_with(path, "/baton/baton.sock");
	unsigned at = usual ? 0 : others->count;

	if (is_named(others, path) || at == WHERE_PLACES_MAX)
		return;

	others->count += others->count < WHERE_PLACES_MAX;
	for (unsigned i = others->count - 1; i > at; i--)
		memcpy(others->paths[i], others->paths[i - 1], sizeof(others->paths[i]));
	memcpy(others->paths[at], path, strlen(path) + 1); /* it fits: is_ours */
}

unsigned where_elsewhere(const struct where *where, struct where *ret_others)
{
	char line[512];
	FILE *list = fopen("/proc/net/unix", "re");

	*ret_others = (struct where){0};

	while (list && fgets(line, sizeof(line), list)) {
		const char *path = listening_path(line);
		if (path && !is_named(where, path) && is_ours(path))
			add_other(ret_others, path);
	}

	if (list)
		(void)fclose(list);
	return ret_others->count;
}

/* ---- the note in the state folder ---- */

int where_note_write(const struct where_note *note, char ret_text[WHERE_NOTE_BYTES])
{
	int length = snprintf(ret_text, WHERE_NOTE_BYTES, "pid %lld\nsocket %s\nhttp %s\n",
			      (long long)note->pid, note->socket, note->http);

	return length < WHERE_NOTE_BYTES ? length : 0;
}

bool where_note_read(const char *state_dir, struct where_note *ret_note)
{
	struct where_note note = {0};
	struct stat st;
	char path[4096 + 16], text[WHERE_NOTE_BYTES];
	long long pid = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", state_dir, where_note_name) >=
	    sizeof(path))
		return false;

	cleanup_close int fd = regular_file_open(path, O_RDONLY | O_NOFOLLOW, 0);
	if (fd < 0 || fstat(fd, &st) != 0 || st.st_uid != geteuid() || st.st_mode & 022)
		return false;

	ssize_t length = read(fd, text, sizeof(text) - 1);
	text[length > 0 ? length : 0] = '\0';

	if (sscanf(text, "pid %lld\nsocket %107[^\n]\nhttp %255[^\n]", &pid, note.socket,
		   note.http) < 2 ||
	    note.socket[0] != '/')
		return false;

	note.pid = pid;
	*ret_note = note;
	return true;
}
