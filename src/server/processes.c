/* processes: pidfds and cgroups by session. Decides nothing: what is seen becomes events, signals
 * come as effects. Called for each journal record of a session and by whoever delivers effects. */
#include "server/processes.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/list.h"
#include "net/loop.h"
#include "net/net.h"
#include "process/cgroup.h"
#include "process/pidfd.h"
#include "process/proc.h"

enum { LOOK_AGAIN_MS = 500 };

struct watched {
	struct family *family;
	struct loop_watch *watch;
	struct named_process name;
	enum liveness liveness;
	int pidfd, err; /* err: LIVENESS_UNKNOWN, an errno */
};

/* All that uses the GPU for one session. */
struct family {
	struct hash_node by_session; /* processes.by_session */
	struct processes *owner;
	uint64_t session;
	struct watched own, named[LIMIT_PROCESSES];
	struct named_processes said;
	struct cgroup cgroup;
	int cgroup_watch;    /* of inotify; -1: looked at by the clock */
	bool cgroup_unknown; /* it could not be opened: something may live in it */
	bool told_exit, told_gone;
	enum peer_reach told_reach;
};

void processes_init(struct processes *processes, struct loop *loop, struct event_queue *queue,
		    struct log *log)
{
	*processes = (struct processes){
		.loop = loop, .queue = queue, .log = log, .inotify = -1, .look_at = MONO_NEVER};
	hash_init(&processes->by_session);
}

static struct family *family_of(const struct processes *processes, uint64_t session)
{
	for (struct hash_node *n = hash_first(&processes->by_session, hash_u64(session)); n;
	     n = hash_next(n)) {
		struct family *family = container_of(n, struct family, by_session);
		if (family->session == session)
			return family;
	}
	return NULL;
}

static void look_again(struct processes *processes)
{
	if (processes->look_at.v == INT64_MAX)
		processes->look_at = mono_after(loop_now(), LOOK_AGAIN_MS);
}

static void let_go(struct watched *watched, enum liveness liveness)
{
	loop_unwatch(watched->watch);
	watched->watch = NULL;
	if (watched->pidfd >= 0)
		(void)close(watched->pidfd);
	watched->pidfd = -1;
	watched->liveness = liveness;
}

static bool cgroup_may_live(const struct cgroup *cgroup)
{
	int rc = cgroup->events_fd < 0 ? 0 : cgroup_populated(cgroup);
	return rc != 0 && rc != -ENODEV;
}

static bool rest_is_gone(const struct family *family)
{
	for (uint32_t i = 0; i < family->said.count; i++)
		if (family->named[i].liveness == LIVENESS_UNKNOWN ||
		    (family->named[i].liveness == LIVENESS_WATCHED &&
		     !pidfd_is_gone(family->named[i].pidfd)))
			return false;
	return !family->cgroup_unknown && !cgroup_may_live(&family->cgroup);
}

static enum peer_reach reach_of(const struct watched *own)
{
	int rc = own->liveness == LIVENESS_WATCHED ? pidfd_signal(own->pidfd, 0) : 0;
	if (own->liveness == LIVENESS_UNKNOWN)
		return PEER_UNKNOWN;
	return rc == 0 || rc == -ESRCH ? PEER_REACHED : PEER_WATCHED;
}

static const char *why_unknown(const struct watched *own)
{
	return own->name.pid <= 0 ? "its process is in another PID namespace" : strerror(own->err);
}

/* Tells the core what changed. */
static void settle(struct family *family)
{
	struct event_queue *queue = family->owner->queue;
	bool exited = family->own.liveness == LIVENESS_GONE, gone = exited && rest_is_gone(family);
	enum peer_reach reach = reach_of(&family->own);
	if (!exited && reach != family->told_reach) {
		struct event *event = event_queue_event(queue, EVENT_PEER_REACH, (struct party){0});
		event->peer.session = family->session;
		event->peer.reach = reach;
		event->peer.why = why_unknown(&family->own);
		family->told_reach = reach;
	}
	if (family->told_gone || !exited || (family->told_exit && !gone))
		return;
	struct event *event = event_queue_event(queue, EVENT_PEER_EXIT, (struct party){0});
	event->peer.session = family->session;
	event->peer.rest = !gone;
	family->told_exit = true;
	family->told_gone = gone;
}

static void on_pidfd(void *ctx, int fd)
{
	struct watched *watched = ctx;
	(void)fd;
	let_go(watched, LIVENESS_GONE);
	settle(watched->family);
}

/* Takes the pidfd. */
static void begin(struct watched *watched, int pidfd)
{
	watched->pidfd = pidfd;
	watched->liveness = LIVENESS_WATCHED;
	if (!loop_watch(watched->family->owner->loop, pidfd, on_pidfd, watched, &watched->watch))
		return;
	let_go(watched, LIVENESS_UNKNOWN);
	watched->err = ENOMEM;
	look_again(watched->family->owner);
}

static void open_watched(struct watched *watched)
{
	int pidfd = -1;
	watched->liveness = LIVENESS_UNKNOWN;
	if (watched->name.pid <= 0)
		return; /* nothing to try again by */
	watched->liveness = pidfd_open_checked(watched->name.pid, watched->name.pid_start, &pidfd,
					       &watched->err);
	if (watched->liveness == LIVENESS_WATCHED)
		begin(watched, pidfd);
	else if (watched->liveness == LIVENESS_UNKNOWN)
		look_again(watched->family->owner);
}

static void watch_name(struct family *family, struct watched *watched,
		       const struct named_process *name)
{
	*watched = (struct watched){.family = family, .name = *name, .pidfd = -1};
	open_watched(watched);
}

static void on_inotify(void *ctx, int fd)
{
	struct processes *processes = ctx;
	_Alignas(struct inotify_event) char bytes[4096];
	while (read(fd, bytes, sizeof bytes) > 0)
		;
	/* Few sessions name one, and each read is cheap: who it was need not be sorted out. */
	for (size_t i = 0; i < processes->by_session.size; i++)
		for (struct hash_node *n = processes->by_session.v[i]; n; n = n->next) {
			struct family *family = container_of(n, struct family, by_session);
			if (family->cgroup.events_fd >= 0)
				settle(family);
		}
}

static void open_inotify(struct processes *processes)
{
	if (processes->inotify >= 0)
		return;
	processes->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (processes->inotify >= 0 && loop_watch(processes->loop, processes->inotify, on_inotify,
						  processes, &processes->inotify_watch)) {
		(void)close(processes->inotify);
		processes->inotify = -1;
	}
}

static void open_cgroup(struct family *family)
{
	char path[64];
	struct processes *processes = family->owner;
	family->cgroup_watch = -1;
	family->cgroup_unknown = false;
	if (!family->said.cgroup[0])
		return;
	int rc = cgroup_open(family->said.cgroup, &family->cgroup);
	family->cgroup_unknown = rc != 0 && rc != -ENOENT && rc != -EINVAL;
	if (rc == 0) {
		open_inotify(processes);
		(void)snprintf(path, sizeof path, "/proc/self/fd/%d", family->cgroup.events_fd);
		family->cgroup_watch =
			processes->inotify < 0
				? -1
				: inotify_add_watch(processes->inotify, path, IN_MODIFY);
	}
	if (family->cgroup_unknown || (rc == 0 && family->cgroup_watch < 0))
		look_again(processes);
}

/* The kernel has one watch for a folder, however often it is asked for. */
static bool is_shared(const struct family *family)
{
	const struct hash *all = &family->owner->by_session;
	for (size_t i = 0; i < all->size; i++)
		for (struct hash_node *n = all->v[i]; n; n = n->next) {
			const struct family *other = container_of(n, struct family, by_session);
			if (other != family && other->cgroup_watch == family->cgroup_watch)
				return true;
		}
	return false;
}

static void close_cgroup(struct family *family)
{
	if (family->cgroup_watch >= 0 && !is_shared(family))
		(void)inotify_rm_watch(family->owner->inotify, family->cgroup_watch);
	family->cgroup_watch = -1;
	family->cgroup_unknown = false;
	cgroup_close(&family->cgroup);
}

static void drop_named(struct family *family)
{
	for (uint32_t i = 0; i < family->said.count; i++)
		let_go(&family->named[i], LIVENESS_GONE);
	close_cgroup(family);
	family->said = (struct named_processes){0};
}

void processes_forget(struct processes *processes, uint64_t session)
{
	struct family *family = family_of(processes, session);
	if (!family)
		return;
	let_go(&family->own, LIVENESS_GONE);
	drop_named(family);
	hash_remove(&processes->by_session, &family->by_session);
	free(family);
}

void processes_finish(struct processes *processes)
{
	for (size_t i = 0; i < processes->by_session.size; i++)
		while (processes->by_session.v[i])
			processes_forget(processes, container_of(processes->by_session.v[i],
								 struct family, by_session)
							    ->session);
	hash_finish(&processes->by_session);
	loop_unwatch(processes->inotify_watch);
	processes->inotify_watch = NULL;
	if (processes->inotify >= 0)
		(void)close(processes->inotify);
	processes->inotify = -1;
}

static struct family *family_new(struct processes *processes, uint64_t session)
{
	struct family *family = calloc(1, sizeof *family);
	if (!family)
		abort();
	family->owner = processes;
	family->session = session;
	family->own = (struct watched){.family = family, .pidfd = -1, .name.pid = -1};
	family->cgroup = CGROUP_NONE;
	family->cgroup_watch = -1;
	hash_add(&processes->by_session, &family->by_session, hash_u64(session));
	return family;
}

void processes_watch(struct processes *processes, const struct session_record *session)
{
	if (session->binding != BIND_NATIVE)
		return;
	const struct named_process own = {session->pid, session->pid_start};
	struct family *family = family_of(processes, session->id);
	if (!family)
		family = family_new(processes, session->id);
	if (family->own.name.pid != own.pid || family->own.name.pid_start != own.pid_start) {
		let_go(&family->own, LIVENESS_GONE);
		family->told_exit = family->told_gone = false;
		family->told_reach = own.pid > 0 ? PEER_REACHED : PEER_UNKNOWN; /* as the core */
		watch_name(family, &family->own, &own);
	}
	if (memcmp(&family->said, &session->named, sizeof family->said) != 0) {
		drop_named(family);
		family->said = session->named;
		for (uint32_t i = 0; i < family->said.count; i++)
			watch_name(family, &family->named[i], &family->said.v[i]);
		open_cgroup(family);
	}
	settle(family);
}

void processes_take(struct processes *processes, uint64_t session, int pidfd)
{
	struct family *family = family_of(processes, session);
	bool numbered = family && family->own.name.pid > 0;
	if (!family || (numbered && family->own.liveness != LIVENESS_UNKNOWN)) {
		if (pidfd >= 0)
			(void)close(pidfd);
		return;
	}
	let_go(&family->own, LIVENESS_UNKNOWN); /* of another connection */
	if (pidfd >= 0)
		begin(&family->own, pidfd);
	else if (!numbered)
		family->told_reach = PEER_REACHED; /* so that it is said once */
	settle(family);
}

bool processes_gone(const struct processes *processes, uint64_t session)
{
	const struct family *family = family_of(processes, session);
	if (!family || family->own.liveness == LIVENESS_UNKNOWN)
		return false;
	return (family->own.liveness == LIVENESS_GONE || pidfd_is_gone(family->own.pidfd)) &&
	       rest_is_gone(family);
}

static void signal_one(struct watched *watched, int signo)
{
	struct log *log = watched->family->owner->log;
	if (watched->liveness == LIVENESS_UNKNOWN)
		open_watched(watched);
	if (watched->liveness != LIVENESS_WATCHED)
		return;
	int rc = pidfd_signal(watched->pidfd, signo);
	if (rc == 0)
		log_event(log, LOG_WARN, "signalled a holder that did not yield",
			  log_int("pid", watched->name.pid),
			  log_str("signal", sigabbrev_np(signo)));
	else if (rc != -ESRCH)
		log_event(log, LOG_ERROR, "cannot signal a holder",
			  log_int("pid", watched->name.pid), log_str("signal", sigabbrev_np(signo)),
			  log_str("error", strerror(-rc)));
}

void processes_signal(struct processes *processes, uint64_t session, int signo)
{
	struct family *family = family_of(processes, session);
	if (!family)
		return;
	if (family->told_reach == PEER_REACHED)
		signal_one(&family->own, signo);
	if (signo != SIGKILL)
		return;
	for (uint32_t i = 0; i < family->said.count; i++)
		if (family->said.v[i].pid != family->said.keeper)
			signal_one(&family->named[i], signo);
	if (family->cgroup_unknown)
		open_cgroup(family);
	if (family->cgroup.dir_fd >= 0)
		cgroup_kill(&family->cgroup);
}

/* True: something of it still has to be looked at. */
static bool look_at(struct family *family)
{
	bool again = false;
	for (uint32_t i = 0; i <= family->said.count; i++) {
		struct watched *watched = i == 0 ? &family->own : &family->named[i - 1];
		if (watched->liveness == LIVENESS_UNKNOWN)
			open_watched(watched);
		again |= watched->liveness == LIVENESS_UNKNOWN && watched->name.pid > 0;
	}
	if (family->cgroup_unknown)
		open_cgroup(family);
	again |= family->cgroup_unknown ||
		 (family->cgroup.events_fd >= 0 && family->cgroup_watch < 0);
	settle(family);
	return again;
}

struct mono_ms processes_step(struct processes *processes, struct mono_ms now)
{
	bool again = false;
	if (!mono_due(processes->look_at, now))
		return processes->look_at;
	for (size_t i = 0; i < processes->by_session.size; i++)
		for (struct hash_node *n = processes->by_session.v[i]; n; n = n->next)
			again |= look_at(container_of(n, struct family, by_session));
	processes->look_at = again ? mono_after(now, LOOK_AGAIN_MS) : MONO_NEVER;
	return processes->look_at;
}

static int judge_cgroup(const struct net_peer *peer, const char *path, char *detail, size_t size)
{
	struct cgroup cgroup;
	const char *wrong = NULL;
	int rc = cgroup_open(path, &cgroup);
	if (rc != 0)
		wrong = rc == -EINVAL ? "not a folder of cgroup2" : strerror(-rc);
	else if (cgroup_holds(&cgroup, PROC_SELF) != 0)
		wrong = "the broker itself lives in it";
	else if (cgroup_owner(&cgroup) != peer->uid &&
		 (peer->pid <= 0 || cgroup_holds(&cgroup, peer->pid) != 1))
		wrong = "it belongs to another user";
	cgroup_close(&cgroup);
	if (!wrong)
		return 0;
	(void)snprintf(detail, size, "field `cgroup`: %s", wrong);
	return -ERR_BAD_FIELD;
}

int processes_judge(const struct net_peer *peer, struct named_processes *named, char *detail,
		    size_t detail_size)
{
	uint32_t kept = 0;
	if (named->count > 0 && (peer->pid <= 0 || proc_status(peer->pid).is_nested)) {
		(void)snprintf(
			detail, detail_size,
			"field `pids`: the numbers of another PID namespace mean nothing here");
		return -ERR_BAD_FIELD;
	}
	for (uint32_t i = 0; i < named->count; i++) {
		struct named_process name = {named->v[i].pid, proc_start(named->v[i].pid)};
		int64_t uid = proc_status(name.pid).uid;
		if ((uid >= 0 && uid != peer->uid && peer->uid != 0) || name.pid == getpid()) {
			(void)snprintf(detail, detail_size,
				       "field `pids`: %lld is not a process of this user",
				       (long long)name.pid);
			return -ERR_BAD_FIELD;
		}
		if (uid >= 0 && name.pid_start)
			named->v[kept++] = name;
	}
	memset(&named->v[kept], 0, sizeof named->v - kept * sizeof *named->v);
	named->count = kept;
	return named->cgroup[0] ? judge_cgroup(peer, named->cgroup, detail, detail_size) : 0;
}
