/* attach_check: see attach_check.h. An attached program is known by a lock on its environment's
 * file in /proc, which only its user can take and which ends with whoever holds it. Decides nothing
 * about leases. */
#include "cli/run/attach_check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/regular_file.h"
#include "cli/cli.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "process/proc.h"
#include "process/process_tree.h"

enum { ENVIRON_BYTES = 256 * 1024, ANCESTORS_MAX = 64, PATH_BYTES = 64, WHY_BYTES = 320 };

/* What is asked of each process around the program. */
struct looking {
	pid_t broker;   /* 0: unknown */
	struct stat us; /* our executable */
	json_t *status; /* NULL: the broker does not answer */
	char *block;    /* ENVIRON_BYTES */
};

static void path_of(char ret_path[PATH_BYTES], int64_t pid, const char *file)
{
	(void)snprintf(ret_path, PATH_BYTES, "/proc/%lld/%s", (long long)pid, file);
}

/* Broker, wrapper, keeper, or another `baton attach`, also of another state folder. */
static bool is_baton(const struct looking *looking, int64_t pid)
{
	char path[PATH_BYTES];
	struct stat st;

	path_of(path, pid, "exe");
	return pid == looking->broker || (stat(path, &st) == 0 && st.st_dev == looking->us.st_dev &&
					  st.st_ino == looking->us.st_ino);
}

/* The value in its environment as it was started; NULL: none. */
static const char *find_variable(const struct looking *looking, int64_t pid, const char *name)
{
	size_t length = proc_read(pid, "environ", looking->block, ENVIRON_BYTES);
	size_t name_length = strlen(name);

	for (const char *at = looking->block; at < looking->block + length; at += strlen(at) + 1)
		if (strncmp(at, name, name_length) == 0 && at[name_length] == '=')
			return at + name_length + 1;
	return NULL;
}

/* Who has the lock of that process; 0: nobody. */
static int64_t find_attacher(int64_t pid)
{
	char path[PATH_BYTES], line[256];
	struct stat st;
	long long attacher = 0;
	FILE *locks = fopen("/proc/locks", "re");

	path_of(path, pid, "environ");
	bool known = stat(path, &st) == 0;
	while (known && attacher == 0 && locks && fgets(line, sizeof(line), locks)) {
		unsigned long long inode;
		unsigned int major, minor;
		long long owner;

		if (sscanf(line, "%*d: FLOCK %*s WRITE %lld %x:%x:%llu", &owner, &major, &minor,
			   &inode) == 4 &&
		    makedev(major, minor) == st.st_dev && inode == st.st_ino)
			attacher = owner;
	}

	if (locks)
		(void)fclose(locks);
	return attacher;
}

/* The claim of the session of that process; NULL: none. */
static const json_t *find_claim(const struct looking *looking, int64_t pid, const char *list)
{
	const json_t *row;
	size_t at;

	json_array_foreach (json_object_get(looking->status, list), at, row) {
		if (field_u64(row, "pid") == (uint64_t)pid)
			return row;
	}
	return NULL;
}

/* "is under lease 7 (train)", as far as the broker tells. `client`: whose session has the lease. */
static void name_lease(const struct looking *looking, int64_t client, char *ret_words, size_t size)
{
	const json_t *held = find_claim(looking, client, "leases");
	const json_t *row = held ? held : find_claim(looking, client, "waiting");

	if (row)
		snprintf(ret_words, size, "%s lease %" PRIu64 " (%.100s)",
			 held ? "is under" : "waits for", field_u64(row, "lease"),
			 field_text(row, "id", ""));
	else
		snprintf(ret_words, size, "is attached");
}

/* Why that one cannot be taken; false: it can. */
static bool find_obstacle(const struct looking *looking, int64_t pid, char ret_why[WHY_BYTES])
{
	char words[160];
	int64_t attacher = find_attacher(pid);

	if (is_baton(looking, pid)) {
		snprintf(ret_why, WHY_BYTES, "is Baton's own");
		return true;
	}
	if (attacher && attacher != getpid()) {
		name_lease(looking, attacher, words, sizeof(words));
		snprintf(ret_why, WHY_BYTES, "%s already, by `baton attach` in process %lld", words,
			 (long long)attacher);
		return true;
	}
	if (find_variable(looking, pid, "BATON_RUN")) {
		const char *lease = find_variable(looking, pid, "BATON_LEASE");
		snprintf(ret_why, WHY_BYTES, "was started under %s%.30s",
			 lease ? "lease " : "a lease", lease ? lease : "");
		return true;
	}
	return false;
}

static int refuse_target(const struct command *command, const struct attach_target *target,
			 int64_t pid, const char *relation, const char *why)
{
	char name[32];

	if (pid == target->pid)
		return cli_fail(command, EX_USAGE, "process %ld (%s) %s", (long)pid, target->name,
				why);
	proc_name(pid, name, sizeof(name));
	return cli_fail(command, EX_USAGE, "process %ld (%s) %s process %ld (%s), which %s",
			(long)target->pid, target->name, relation, (long)pid, name, why);
}

static int check_ancestors(const struct command *command, const struct looking *looking,
			   const struct attach_target *target)
{
	char why[WHY_BYTES];
	int64_t at = target->pid;

	for (int i = 0; i < ANCESTORS_MAX && at > 1; i++, at = proc_parent(at))
		if (find_obstacle(looking, at, why))
			return refuse_target(command, target, at, "was started by", why);
	return 0;
}

static int check_descendants(const struct command *command, const struct looking *looking,
			     const struct attach_target *target)
{
	struct process_tree tree;
	char why[WHY_BYTES];
	int rc = 0;

	process_tree_read(&tree, (pid_t)target->pid, 0);
	for (size_t i = 0; i < tree.count && rc == 0; i++)
		if (find_obstacle(looking, tree.v[i].pid, why))
			rc = refuse_target(command, target, tree.v[i].pid, "has started", why);
	process_tree_finish(&tree);
	return rc;
}

static void begin_looking(struct looking *looking)
{
	char error[HTTP_CLIENT_ERROR_BYTES];
	int pidfd;

	*looking = (struct looking){.block = malloc(ENVIRON_BYTES)};
	if (!looking->block)
		abort();
	(void)stat("/proc/self/exe", &looking->us);

	/* Without a broker the connection will say what is wrong. */
	if (http_client_broker(&looking->broker, &pidfd, error, sizeof(error)) == 0)
		(void)close(pidfd);
	else
		looking->broker = 0;
	if (http_client_try("GET", "/v1/gpu/status", NULL, &looking->status, error, sizeof(error)) <
	    0)
		looking->status = NULL;
}

/* The lock first: of two that come at once, at least one sees the other's. */
static void take_lock(struct attach_target *target)
{
	char path[PATH_BYTES];

	path_of(path, target->pid, "environ");
	target->lock_fd = regular_file_open(path, O_RDONLY, 0);
	if (target->lock_fd >= 0)
		(void)flock(target->lock_fd, LOCK_EX | LOCK_NB);
}

/* It would wait for itself. */
static int check_own_claim(const struct command *command, const struct looking *looking,
			   const struct attach_target *target)
{
	char words[160], why[WHY_BYTES];

	if (!find_claim(looking, target->pid, "leases") &&
	    !find_claim(looking, target->pid, "waiting"))
		return 0;
	name_lease(looking, target->pid, words, sizeof(words));
	snprintf(why, sizeof(why), "%s by its own doing", words);
	return refuse_target(command, target, target->pid, "", why);
}

int attach_check(const struct command *command, struct attach_target *target)
{
	struct looking looking;

	take_lock(target);
	begin_looking(&looking);
	int rc = check_ancestors(command, &looking, target);
	if (rc == 0)
		rc = check_own_claim(command, &looking, target);
	if (rc == 0)
		rc = check_descendants(command, &looking, target);

	json_decref(looking.status);
	free(looking.block);
	return rc;
}
