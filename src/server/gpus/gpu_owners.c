/* gpu_owners: a table by pid, kept from round to round so that a process costs its reads of /proc
 * once. */
#include "server/gpus/gpu_owners.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "core/view.h"
#include "process/pidfd.h"
#include "process/proc.h"
#include "process/proc_parse.h"

enum {
	ROUNDS_KEPT = 3, /* unnamed for longer, it is forgotten */
	CGROUP_TEXT_BYTES = 4096,
};

void gpu_owners_init(struct gpu_owners *owners)
{
	*owners = (struct gpu_owners){0};
	hash_init(&owners->by_pid);
}

static struct gpu_owner *owner_of_node(struct hash_node *node)
{
	return container_of(node, struct gpu_owner, by_pid);
}

static void forget_owner(struct gpu_owners *owners, struct gpu_owner *owner)
{
	hash_remove(&owners->by_pid, &owner->by_pid);
	if (owner->pidfd >= 0)
		(void)close(owner->pidfd);
	free(owner);
}

void gpu_owners_finish(struct gpu_owners *owners)
{
	for (size_t i = 0; i < owners->by_pid.size; i++)
		while (owners->by_pid.v[i])
			forget_owner(owners, owner_of_node(owners->by_pid.v[i]));
	hash_finish(&owners->by_pid);
	free(owners->sessions);
	owners->sessions = NULL;
}

static void note_death(struct gpu_owner *owner, struct mono_ms now)
{
	if (owner->pidfd >= 0)
		(void)close(owner->pidfd);
	owner->pidfd = -1;
	owner->died = now;
}

/* One poll for all pidfds. */
static void note_deaths(struct gpu_owners *owners, struct mono_ms now)
{
	size_t count = owners->by_pid.count, filled = 0;
	struct pollfd *fds = calloc(count + 1, sizeof(*fds));
	struct gpu_owner **of = calloc(count + 1, sizeof(struct gpu_owner *));

	if (!fds || !of)
		abort();
	for (size_t i = 0; i < owners->by_pid.size; i++)
		for (struct hash_node *n = owners->by_pid.v[i]; n; n = n->next) {
			of[filled] = owner_of_node(n);
			of[filled]->rounds++;
			fds[filled] = (struct pollfd){.fd = of[filled]->pidfd, .events = POLLIN};
			filled++;
		}

	(void)poll(fds, filled, 0);
	for (size_t i = 0; i < filled; i++)
		if (of[i]->rounds > ROUNDS_KEPT)
			forget_owner(owners, of[i]);
		else if (fds[i].revents)
			note_death(of[i], now);
	free(fds);
	free(of);
}

/* Where cgroup2 is mounted: a session names a whole path, the kernel one within the mount. */
static const char *within_mount(const char *path)
{
	static const char *const mounts[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++)
		if (strncmp(path, mounts[i], strlen(mounts[i])) == 0)
			return path + strlen(mounts[i]);
	return "";
}

/* `cgroup` is borrowed from the core until its next step. */
static void add_session(struct gpu_owners *owners, const struct named_process *process,
			const char *cgroup, uint64_t session)
{
	if (process->pid <= 0 && !cgroup)
		return;
	if (owners->session_count == owners->session_capacity) {
		owners->session_capacity =
			owners->session_capacity ? 2 * owners->session_capacity : 64;
		owners->sessions = reallocarray(owners->sessions, owners->session_capacity,
						sizeof(*owners->sessions));
		if (!owners->sessions)
			abort();
	}
	owners->sessions[owners->session_count++] =
		(struct owner_session){.pid = process->pid,
				       .start = process->pid_start,
				       .cgroup = cgroup ? within_mount(cgroup) : NULL,
				       .cgroup_path = cgroup,
				       .session = session};
}

static int compare_pids(const void *a, const void *b)
{
	const struct owner_session *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	/* Of two sessions of one process the newer one comes first. */
	return x->session > y->session ? -1 : x->session < y->session;
}

void gpu_owners_begin(struct gpu_owners *owners, const struct core *core, struct mono_ms now)
{
	const struct session_record *session;
	struct mono_ms seen;
	uint64_t id = 0, conn;

	note_deaths(owners, now);
	owners->new_count = owners->look_count = 0;
	owners->session_count = 0;

	while (core_session_after(core, id, &session, &conn, &seen)) {
		id = session->id;
		if (session->binding != BIND_NATIVE)
			continue;
		const struct named_process own = {session->pid, session->pid_start};
		const char *cgroup = session->named.cgroup;
		add_session(owners, &own, within_mount(cgroup)[0] ? cgroup : NULL, id);
		for (uint32_t i = 0; i < session->named.count; i++)
			add_session(owners, &session->named.v[i], NULL, id);
	}
	if (owners->session_count > 0)
		qsort(owners->sessions, owners->session_count, sizeof(*owners->sessions),
		      compare_pids);
}

static uint64_t session_of_process(const struct gpu_owners *owners,
				   const struct named_process *process)
{
	size_t low = 0, high = owners->session_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (owners->sessions[middle].pid < process->pid)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < owners->session_count && owners->sessions[low].pid == process->pid; low++)
		if (owners->sessions[low].start == process->pid_start)
			return owners->sessions[low].session;
	return 0;
}

/* At or below the cgroup that a session named. */
static uint64_t session_of_cgroup(const struct gpu_owners *owners, const char *cgroup)
{
	for (size_t i = 0; i < owners->session_count && cgroup[0]; i++) {
		const char *named = owners->sessions[i].cgroup;
		size_t length = named ? strlen(named) : 0;
		if (length > 1 && strncmp(cgroup, named, length) == 0 &&
		    (cgroup[length] == '\0' || cgroup[length] == '/'))
			return owners->sessions[i].session;
	}
	return 0;
}

static uint64_t find_session(const struct gpu_owners *owners, const struct gpu_owner *owner)
{
	uint64_t session = 0;

	for (unsigned i = 0; i < owner->ancestor_count && !session; i++)
		session = session_of_process(owners, &owner->ancestors[i]);
	if (session || owner->session)
		return session;
	return session_of_cgroup(owners, owner->cgroup);
}

/* Itself and its ancestors, which are read once: who is orphaned later still works for the same. */
static void read_ancestors(struct gpu_owner *owner)
{
	int64_t pid = owner->pid;
	struct proc_stat stat;

	while (pid > 1 && owner->ancestor_count < OWNER_ANCESTORS_MAX && proc_stat(pid, &stat)) {
		owner->ancestors[owner->ancestor_count++] =
			(struct named_process){.pid = pid, .pid_start = stat.start};
		pid = stat.parent;
	}
}

static void read_container(struct gpu_owner *owner)
{
	char text[CGROUP_TEXT_BYTES];

	(void)proc_read(owner->pid, "cgroup", text, sizeof(text));
	if (container_parse(text, &owner->container))
		owner->container_pid = proc_status(owner->pid).inner_pid;
}

static void read_owner(struct gpu_owner *owner)
{
	read_ancestors(owner);
	read_container(owner);
	if (!proc_cgroup(owner->pid, owner->cgroup, sizeof(owner->cgroup)))
		owner->cgroup[0] = '\0';
}

static struct gpu_owner *look_at(struct gpu_owners *owners, int64_t pid, struct mono_ms now)
{
	int pidfd, error;

	if (owners->new_count == OWNERS_NEW_MAX)
		return NULL; /* the rest in the next round: the loop must not stand still */
	owners->new_count++;
	enum liveness liveness = pidfd_open_checked(pid, 0, &pidfd, &error);
	if (liveness == LIVENESS_UNKNOWN)
		return NULL;

	struct gpu_owner *owner = calloc(1, sizeof(*owner));
	if (!owner)
		abort();
	owner->pid = pid;
	owner->pidfd = pidfd;
	owner->since = owner->looked = now;
	owner->wait.waits = -1;

	proc_name(pid, owner->command, sizeof(owner->command));
	if (liveness == LIVENESS_WATCHED)
		read_owner(owner);
	hash_add(&owners->by_pid, &owner->by_pid, hash_u64((uint64_t)pid));

	/* What was read was read of this process only if it still lives. */
	if (liveness == LIVENESS_GONE || pidfd_is_gone(pidfd))
		note_death(owner, now);
	return owner;
}

static struct gpu_owner *find_owner(const struct gpu_owners *owners, int64_t pid)
{
	for (struct hash_node *n = hash_first(&owners->by_pid, hash_u64((uint64_t)pid)); n;
	     n = hash_next(n))
		if (owner_of_node(n)->pid == pid)
			return owner_of_node(n);
	return NULL;
}

/* Another process may have got the pid of one that died. */
static bool is_still_dead(const struct gpu_owner *owner)
{
	int pidfd, error;
	enum liveness liveness = pidfd_open_checked(owner->pid, 0, &pidfd, &error);
	bool dead =
		liveness == LIVENESS_GONE || (liveness == LIVENESS_WATCHED && pidfd_is_gone(pidfd));

	if (pidfd >= 0)
		(void)close(pidfd);
	return dead;
}

static void judge_condition(struct gpu_owners *owners, struct gpu_owner *owner, struct mono_ms now)
{
	if (owner->pidfd < 0) {
		if (mono_due(mono_after(owner->died, CONDITION_DEAD_MS), now))
			owner->condition = gpu_condition_zombie(owner->pid) ? GPU_CONDITION_ZOMBIE
									    : GPU_CONDITION_DEAD;
		return;
	}

	bool first = !owner->is_looked_at;
	if (owner->condition == GPU_CONDITION_SWAP || owners->look_count == OWNERS_LOOKS_MAX ||
	    (!first && !mono_due(mono_after(owner->looked, CONDITION_LOOK_MS), now)))
		return;
	owners->look_count++;
	owner->is_looked_at = true;
	if (first) {
		if (gpu_condition_serves(owner->pid, owner->command))
			owner->condition = GPU_CONDITION_SWAP;
		return;
	}
	owner->looked = now;
	owner->condition = gpu_condition_stuck(&owner->wait, owner->pid, now) ? GPU_CONDITION_STUCK
									      : GPU_CONDITION_NONE;
}

const struct gpu_owner *gpu_owners_of(struct gpu_owners *owners, int64_t pid, struct mono_ms now)
{
	if (pid <= 0)
		return NULL;

	struct gpu_owner *owner = find_owner(owners, pid);
	if (owner && owner->pidfd < 0 && !is_still_dead(owner)) {
		forget_owner(owners, owner);
		owner = NULL;
	}
	if (!owner)
		owner = look_at(owners, pid, now);
	if (!owner)
		return NULL;

	owner->rounds = 0;
	judge_condition(owners, owner, now);
	uint64_t session = find_session(owners, owner);
	if (session)
		owner->session = session;
	return owner;
}
