/* taken: see taken.h. Reads the note in the state folder and the kernel's tables; whatever of it is
 * not to be had is left out. */
#include "server/taken.h"

#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/where.h"
#include "process/proc.h"

enum { TCP_LISTENS = 10, PATH_BYTES = 64 + 256 };

struct owner {
	unsigned long inode; /* of the listening socket; 0: none found */
	unsigned long uid;
	long pid; /* 0: not to be seen by us */
	char name[64];
};

/* A line of /proc/net/tcp or tcp6. */
static bool listens_on(const char *line, unsigned port, struct owner *owner)
{
	unsigned local, state;
	unsigned long uid, inode;
	if (sscanf(line,
		   " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %lu %*u %lu",
		   &local, &state, &uid, &inode) != 4 ||
	    local != port || state != TCP_LISTENS)
		return false;
	owner->inode = inode;
	owner->uid = uid;
	return true;
}

static void find_socket(unsigned port, struct owner *owner)
{
	static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
	char line[512];
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables) && !owner->inode; i++) {
		FILE *table = fopen(tables[i], "re");
		while (table && !owner->inode && fgets(line, sizeof(line), table))
			(void)listens_on(line, port, owner);
		if (table)
			(void)fclose(table);
	}
}

static bool has_socket(pid_t pid, const char *wanted)
{
	char path[PATH_BYTES], target[64];
	bool found = false;
	snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
	DIR *fds = opendir(path);
	for (struct dirent *entry; fds && !found && (entry = readdir(fds));) {
		snprintf(path, sizeof(path), "/proc/%ld/fd/%s", (long)pid, entry->d_name);
		ssize_t length = readlink(path, target, sizeof(target) - 1);
		target[length > 0 ? length : 0] = 0;
		found = strcmp(target, wanted) == 0;
	}
	if (fds)
		(void)closedir(fds);
	return found;
}

static void find_process(struct owner *owner)
{
	char wanted[64];
	DIR *proc = opendir("/proc");
	snprintf(wanted, sizeof(wanted), "socket:[%lu]", owner->inode);
	for (pid_t pid; !owner->pid && (pid = proc_next(proc)) > 0;)
		if (has_socket(pid, wanted))
			owner->pid = pid;
	if (proc)
		(void)closedir(proc);
	if (owner->pid)
		proc_name(owner->pid, owner->name, sizeof(owner->name));
}

__attribute__((format(printf, 3, 4))) static void add(char *detail, size_t size, const char *format,
						      ...)
{
	size_t used = strlen(detail);
	va_list args;
	va_start(args, format);
	if (used < size)
		vsnprintf(detail + used, size - used, format, args);
	va_end(args);
}

static bool is_alive(int64_t pid)
{
	return pid > 0 && kill((pid_t)pid, 0) == 0;
}

void taken_address(const char *address, const char *state_dir, char *detail, size_t size)
{
	const char *colon = strrchr(address, ':');
	unsigned port = colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
	struct owner owner = {0};
	struct where_note note;

	find_socket(port, &owner);
	if (owner.inode)
		find_process(&owner);
	if (where_note_read(state_dir, &note) && is_alive(note.pid) && note.pid == owner.pid)
		snprintf(detail, size,
			 "%.127s is taken by a broker of yours (process %ld), which listens on %s "
			 "and %s; use that one, or give this one its own --listen, --socket and "
			 "--state",
			 address, owner.pid, note.http, note.socket);
	else if (owner.pid)
		snprintf(detail, size,
			 "%.127s is taken by %s (process %ld); name another with --listen", address,
			 owner.name[0] ? owner.name : "a program", owner.pid);
	else if (owner.inode)
		snprintf(detail, size,
			 "%.127s is taken by a program of user %lu; name another with --listen",
			 address, owner.uid);
	else
		snprintf(detail, size, "%.127s is taken; name another with --listen", address);
}

void taken_state(const char *state_dir, char *detail, size_t size)
{
	struct where_note note;
	if (where_note_read(state_dir, &note) && is_alive(note.pid))
		add(detail, size, ", which listens on %s and %s", note.http, note.socket);
	add(detail, size,
	    "; use that one, or give this one its own --state, --socket and --listen");
}

void taken_socket(const char *path, char *detail, size_t size)
{
	int64_t listener = where_listener(path);
	if (listener > 0)
		add(detail, size, ": process %lld; name another place with --socket",
		    (long long)listener);
}
