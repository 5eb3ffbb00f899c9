/* process_tracker: pidfds and cgroups by session. Decides nothing: what is seen becomes events,
 * signals come as effects. */
#include "server/process_tracker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "core/record.h"
#include "net/loop.h"
#include "process/cgroup.h"
#include "process/job_cgroup.h"
#include "process/pidfd.h"
#include "process/process_tree.h"
#include "server/event_queue.h"
#include "server/late_processes.h"

enum { RETRY_MS = 500, LATE_MAX = 256 };

struct tracked_process {
	struct tracked_session *session;
	struct loop_watch *watch;
	struct named_process name;
	enum liveness liveness;
	int pidfd, err; /* err: LIVENESS_UNKNOWN, an errno */
};

/* What was started and never named. */
struct late_process {
	struct tracked_process process;
	struct late_process *next;
};

/* All that uses the GPU for one session. */
struct tracked_session {
	struct hash_node by_session; /* tracker.by_session */
	struct process_tracker *owner;
	uint64_t session;
	struct tracked_process own, named[LIMIT_PROCESSES];
	struct named_processes names;
	struct late_process *late; /* once its own process is gone */
	int64_t uid;
	struct cgroup cgroup;
	int cgroup_watch;    /* of inotify; -1: looked at again and again */
	bool cgroup_unknown; /* it could not be opened: something may live in it */
	bool changed;        /* something of it has ended, and that is not told yet */
	bool reported_exit, reported_gone;
	enum peer_reach reported_reach;
};

void process_tracker_init(struct process_tracker *tracker, struct loop *loop,
			  struct event_queue *queue, struct log *log)
{
	*tracker = (struct process_tracker){
		.loop = loop, .queue = queue, .log = log, .inotify = -1, .retry_at = MONO_NEVER};
	hash_init(&tracker->by_session);
}

static struct tracked_session *find_session(const struct process_tracker *tracker, uint64_t session)
{
	for (struct hash_node *n = hash_first(&tracker->by_session, hash_u64(session)); n;
	     n = hash_next(n)) {
		struct tracked_session *tracked =
			container_of(n, struct tracked_session, by_session);
		if (tracked->session == session)
			return tracked;
	}
	return NULL;
}

static void schedule_retry(struct process_tracker *tracker)
{
	if (tracker->retry_at.v == INT64_MAX)
		tracker->retry_at = mono_after(loop_now(), RETRY_MS);
}

static void stop_watching(struct tracked_process *process, enum liveness liveness)
{
	loop_unwatch(process->watch);
	process->watch = NULL;
	if (process->pidfd >= 0)
		(void)close(process->pidfd);
	process->pidfd = -1;
	process->liveness = liveness;
}

static bool cgroup_may_live(const struct cgroup *cgroup)
{
	int rc = cgroup->events_fd < 0 ? 0 : cgroup_populated(cgroup);
	return rc != 0 && rc != -ENODEV;
}

/* Its end may not have been read from the loop yet. */
static bool may_live(const struct tracked_process *process)
{
	return process->liveness == LIVENESS_UNKNOWN ||
	       (process->liveness == LIVENESS_WATCHED && !pidfd_is_gone(process->pidfd));
}

static bool rest_is_gone(const struct tracked_session *tracked)
{
	for (uint32_t i = 0; i < tracked->names.count; i++)
		if (may_live(&tracked->named[i]))
			return false;
	for (const struct late_process *late = tracked->late; late; late = late->next)
		if (may_live(&late->process))
			return false;
	return !tracked->cgroup_unknown && !cgroup_may_live(&tracked->cgroup);
}

static enum peer_reach reach_of(const struct tracked_process *own)
{
	if (own->liveness == LIVENESS_UNKNOWN)
		return PEER_UNKNOWN;

	int rc = own->liveness == LIVENESS_WATCHED ? pidfd_signal(own->pidfd, 0) : 0;
	return rc == 0 || rc == -ESRCH ? PEER_REACHED : PEER_WATCHED;
}

static const char *why_unknown(const struct tracked_process *own)
{
	return own->name.pid <= 0 ? "its process is in another PID namespace" : strerror(own->err);
}

static void report_reach(struct tracked_session *tracked)
{
	enum peer_reach reach = reach_of(&tracked->own);
	if (reach == tracked->reported_reach)
		return;

	struct event *event =
		event_queue_event(tracked->owner->queue, EVENT_PEER_REACH, (struct party){0});
	event->peer.session = tracked->session;
	event->peer.reach = reach;
	event->peer.why = why_unknown(&tracked->own);
	tracked->reported_reach = reach;
}

static void start_watching(struct tracked_session *tracked, struct tracked_process *process,
			   const struct named_process *name);

static struct process_tree known_late(const struct tracked_session *tracked)
{
	struct process_tree known = {.v = calloc(LATE_MAX, sizeof(*known.v))};
	if (!known.v)
		abort();
	for (const struct late_process *late = tracked->late; late; late = late->next)
		known.v[known.count++] = (struct process){.pid = (pid_t)late->process.name.pid,
							  .start = late->process.name.pid_start};
	return known;
}

static bool is_tracked(const struct tracked_session *tracked, const struct process *process)
{
	for (uint32_t i = 0; i < tracked->names.count; i++)
		if (tracked->names.v[i].pid == process->pid)
			return true;
	for (const struct late_process *late = tracked->late; late; late = late->next)
		if (late->process.name.pid == process->pid)
			return true;
	return false;
}

/* Its client can name nothing any more: what its processes have started since is found here. */
static void watch_late(struct tracked_session *tracked)
{
	struct process_tree tree, known = known_late(tracked);
	size_t count = known.count;

	late_processes_read(&known, &tracked->names, tracked->uid, &tree);
	for (size_t i = 0; i < tree.count && count < LATE_MAX; i++) {
		const struct named_process name = {tree.v[i].pid, tree.v[i].start};
		struct late_process *late;
		if (is_tracked(tracked, &tree.v[i]))
			continue;
		late = calloc(1, sizeof(*late));
		if (!late)
			abort();
		late->next = tracked->late;
		tracked->late = late;
		start_watching(tracked, &late->process, &name);
		count++;
	}

	process_tree_finish(&tree);
	process_tree_finish(&known);
}

static void drop_late(struct tracked_session *tracked)
{
	while (tracked->late) {
		struct late_process *late = tracked->late;
		tracked->late = late->next;
		stop_watching(&late->process, LIVENESS_GONE);
		free(late);
	}
}

/* Twice at most: that its own process has ended, and that the last of the rest has. */
static void report_exit(struct tracked_session *tracked)
{
	if (!tracked->reported_exit && tracked->names.count > 0)
		watch_late(tracked);

	bool gone = rest_is_gone(tracked);
	if (tracked->reported_gone || (tracked->reported_exit && !gone))
		return;

	struct event *event =
		event_queue_event(tracked->owner->queue, EVENT_PEER_EXIT, (struct party){0});
	event->peer.session = tracked->session;
	event->peer.rest = !gone;
	tracked->reported_exit = true;
	tracked->reported_gone = gone;
	if (gone)
		job_cgroup_clear(tracked->names.cgroup); /* its keeper may be dead as well */
}

/* Tells the core what changed. */
static void report_changes(struct tracked_session *tracked)
{
	if (tracked->own.liveness == LIVENESS_GONE)
		report_exit(tracked);
	else
		report_reach(tracked);
}

/* Told once all that was read is recorded: what a client named in its last moment may be read in
 * the same iteration as its end. */
static void note_change(struct tracked_session *tracked)
{
	tracked->changed = tracked->owner->changed = true;
}

static void on_pidfd(void *ctx, int fd)
{
	struct tracked_process *process = ctx;
	(void)fd;
	stop_watching(process, LIVENESS_GONE);
	note_change(process->session);
}

/* Takes the pidfd. */
static void watch_pidfd(struct tracked_process *process, int pidfd)
{
	process->pidfd = pidfd;
	process->liveness = LIVENESS_WATCHED;
	if (!loop_watch(process->session->owner->loop, pidfd, on_pidfd, process, &process->watch))
		return;
	stop_watching(process, LIVENESS_UNKNOWN);
	process->err = ENOMEM;
	schedule_retry(process->session->owner);
}

static void open_process(struct tracked_process *process)
{
	int pidfd = -1;
	process->liveness = LIVENESS_UNKNOWN;
	if (process->name.pid <= 0)
		return; /* nothing to try again by */
	process->liveness = pidfd_open_checked(process->name.pid, process->name.pid_start, &pidfd,
					       &process->err);
	if (process->liveness == LIVENESS_WATCHED)
		watch_pidfd(process, pidfd);
	else if (process->liveness == LIVENESS_UNKNOWN)
		schedule_retry(process->session->owner);
}

static void start_watching(struct tracked_session *tracked, struct tracked_process *process,
			   const struct named_process *name)
{
	*process = (struct tracked_process){.session = tracked, .name = *name, .pidfd = -1};
	open_process(process);
}

static void on_inotify(void *ctx, int fd)
{
	struct process_tracker *tracker = ctx;
	_Alignas(struct inotify_event) char bytes[4096];
	while (read(fd, bytes, sizeof bytes) > 0)
		;

	/* Few sessions name one, and each read is cheap: who it was need not be sorted out. */
	for (size_t i = 0; i < tracker->by_session.size; i++)
		for (struct hash_node *n = tracker->by_session.v[i]; n; n = n->next) {
			struct tracked_session *tracked =
				container_of(n, struct tracked_session, by_session);
			if (tracked->cgroup.events_fd >= 0)
				note_change(tracked);
		}
}

static void open_inotify(struct process_tracker *tracker)
{
	if (tracker->inotify >= 0)
		return;
	tracker->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (tracker->inotify >= 0 && loop_watch(tracker->loop, tracker->inotify, on_inotify,
						tracker, &tracker->inotify_watch)) {
		(void)close(tracker->inotify);
		tracker->inotify = -1;
	}
}

static void open_session_cgroup(struct tracked_session *tracked)
{
	char path[64];
	struct process_tracker *tracker = tracked->owner;
	tracked->cgroup_watch = -1;
	tracked->cgroup_unknown = false;
	if (!tracked->names.cgroup[0])
		return;

	int rc = cgroup_open(tracked->names.cgroup, &tracked->cgroup);
	tracked->cgroup_unknown = rc != 0 && rc != -ENOENT && rc != -EINVAL;
	if (rc == 0) {
		open_inotify(tracker);
		(void)snprintf(path, sizeof path, "/proc/self/fd/%d", tracked->cgroup.events_fd);
		tracked->cgroup_watch =
			tracker->inotify < 0 ? -1
					     : inotify_add_watch(tracker->inotify, path, IN_MODIFY);
	}

	if (tracked->cgroup_unknown || (rc == 0 && tracked->cgroup_watch < 0))
		schedule_retry(tracker);
}

/* The kernel has one watch for a folder, however often it is asked for. */
static bool is_shared(const struct tracked_session *tracked)
{
	const struct hash *all = &tracked->owner->by_session;
	for (size_t i = 0; i < all->size; i++)
		for (struct hash_node *n = all->v[i]; n; n = n->next) {
			const struct tracked_session *other =
				container_of(n, struct tracked_session, by_session);
			if (other != tracked && other->cgroup_watch == tracked->cgroup_watch)
				return true;
		}
	return false;
}

static void close_session_cgroup(struct tracked_session *tracked)
{
	if (tracked->cgroup_watch >= 0 && !is_shared(tracked))
		(void)inotify_rm_watch(tracked->owner->inotify, tracked->cgroup_watch);
	tracked->cgroup_watch = -1;
	tracked->cgroup_unknown = false;
	cgroup_close(&tracked->cgroup);
}

static void drop_named(struct tracked_session *tracked)
{
	for (uint32_t i = 0; i < tracked->names.count; i++)
		stop_watching(&tracked->named[i], LIVENESS_GONE);
	drop_late(tracked);
	close_session_cgroup(tracked);
	tracked->names = (struct named_processes){0};
}

void process_tracker_forget(struct process_tracker *tracker, uint64_t session)
{
	struct tracked_session *tracked = find_session(tracker, session);
	if (!tracked)
		return;
	stop_watching(&tracked->own, LIVENESS_GONE);
	drop_named(tracked);
	hash_remove(&tracker->by_session, &tracked->by_session);
	free(tracked);
}

void process_tracker_finish(struct process_tracker *tracker)
{
	for (size_t i = 0; i < tracker->by_session.size; i++)
		while (tracker->by_session.v[i])
			process_tracker_forget(tracker,
					       container_of(tracker->by_session.v[i],
							    struct tracked_session, by_session)
						       ->session);
	hash_finish(&tracker->by_session);
	loop_unwatch(tracker->inotify_watch);
	tracker->inotify_watch = NULL;
	if (tracker->inotify >= 0)
		(void)close(tracker->inotify);
	tracker->inotify = -1;
}

static struct tracked_session *add_session(struct process_tracker *tracker, uint64_t session)
{
	struct tracked_session *tracked = calloc(1, sizeof *tracked);
	if (!tracked)
		abort();

	tracked->owner = tracker;
	tracked->session = session;
	tracked->own = (struct tracked_process){.session = tracked, .pidfd = -1, .name.pid = -1};
	tracked->cgroup = CGROUP_NONE;
	tracked->cgroup_watch = -1;
	hash_add(&tracker->by_session, &tracked->by_session, hash_u64(session));
	return tracked;
}

void process_tracker_watch(struct process_tracker *tracker, const struct session_record *session)
{
	if (session->binding != BIND_NATIVE)
		return;
	const struct named_process own = {session->pid, session->pid_start};
	struct tracked_session *tracked = find_session(tracker, session->id);
	if (!tracked)
		tracked = add_session(tracker, session->id);

	if (tracked->own.name.pid != own.pid || tracked->own.name.pid_start != own.pid_start) {
		stop_watching(&tracked->own, LIVENESS_GONE);
		tracked->reported_exit = tracked->reported_gone = false;
		tracked->reported_reach =
			own.pid > 0 ? PEER_REACHED : PEER_UNKNOWN; /* as the core */
		start_watching(tracked, &tracked->own, &own);
	}

	tracked->uid = session->uid;
	if (memcmp(&tracked->names, &session->named, sizeof tracked->names) != 0) {
		drop_named(tracked);
		tracked->names = session->named;
		for (uint32_t i = 0; i < tracked->names.count; i++)
			start_watching(tracked, &tracked->named[i], &tracked->names.v[i]);
		open_session_cgroup(tracked);
	}

	report_changes(tracked);
}

void process_tracker_take(struct process_tracker *tracker, uint64_t session, int pidfd)
{
	struct tracked_session *tracked = find_session(tracker, session);
	bool numbered = tracked && tracked->own.name.pid > 0;
	if (!tracked || (numbered && tracked->own.liveness != LIVENESS_UNKNOWN)) {
		if (pidfd >= 0)
			(void)close(pidfd);
		return;
	}

	stop_watching(&tracked->own, LIVENESS_UNKNOWN); /* of another connection */
	if (pidfd >= 0)
		watch_pidfd(&tracked->own, pidfd);
	else if (!numbered)
		tracked->reported_reach = PEER_REACHED; /* so that it is reported once */
	report_changes(tracked);
}

bool process_tracker_gone(const struct process_tracker *tracker, uint64_t session)
{
	const struct tracked_session *tracked = find_session(tracker, session);
	return tracked && tracked->reported_gone;
}

static void signal_one(struct tracked_process *process, int signo)
{
	struct log *log = process->session->owner->log;
	if (process->liveness == LIVENESS_UNKNOWN)
		open_process(process);
	if (process->liveness != LIVENESS_WATCHED)
		return;

	int rc = pidfd_signal(process->pidfd, signo);
	if (rc == 0)
		log_event(log, LOG_WARN, "signalled a holder that did not yield",
			  log_int("pid", process->name.pid),
			  log_str("signal", sigabbrev_np(signo)));
	else if (rc != -ESRCH)
		log_event(log, LOG_ERROR, "cannot signal a holder",
			  log_int("pid", process->name.pid), log_str("signal", sigabbrev_np(signo)),
			  log_str("error", strerror(-rc)));
}

/* The named ones with them: it is seen by these what they have started. */
static void kill_late(struct tracked_session *tracked)
{
	struct process_tree known = known_late(tracked);

	late_processes_kill(&known, &tracked->names, tracked->uid);
	process_tree_finish(&known);
}

void process_tracker_signal(struct process_tracker *tracker, uint64_t session, int signo)
{
	struct tracked_session *tracked = find_session(tracker, session);
	if (!tracked)
		return;
	if (tracked->reported_reach == PEER_REACHED)
		signal_one(&tracked->own, signo);
	if (signo != SIGKILL)
		return;

	if (tracked->own.liveness == LIVENESS_GONE && tracked->names.count > 0)
		kill_late(tracked);
	for (uint32_t i = 0; i < tracked->names.count; i++)
		if (tracked->names.v[i].pid != tracked->names.keeper)
			signal_one(&tracked->named[i], signo);

	if (tracked->cgroup_unknown)
		open_session_cgroup(tracked);
	if (tracked->cgroup.dir_fd >= 0)
		cgroup_kill(&tracked->cgroup);
}

/* True: something of it still has to be looked at. */
static bool retry_session(struct tracked_session *tracked)
{
	bool again = false;
	for (uint32_t i = 0; i <= tracked->names.count; i++) {
		struct tracked_process *process = i == 0 ? &tracked->own : &tracked->named[i - 1];
		if (process->liveness == LIVENESS_UNKNOWN)
			open_process(process);
		again |= process->liveness == LIVENESS_UNKNOWN && process->name.pid > 0;
	}

	for (struct late_process *late = tracked->late; late; late = late->next) {
		if (late->process.liveness == LIVENESS_UNKNOWN)
			open_process(&late->process);
		again |= late->process.liveness == LIVENESS_UNKNOWN;
	}

	if (tracked->cgroup_unknown)
		open_session_cgroup(tracked);
	again |= tracked->cgroup_unknown ||
		 (tracked->cgroup.events_fd >= 0 && tracked->cgroup_watch < 0);
	report_changes(tracked);
	return again;
}

static void report_noted(struct process_tracker *tracker)
{
	tracker->changed = false;
	for (size_t i = 0; i < tracker->by_session.size; i++)
		for (struct hash_node *n = tracker->by_session.v[i]; n; n = n->next) {
			struct tracked_session *tracked =
				container_of(n, struct tracked_session, by_session);
			if (tracked->changed)
				report_changes(tracked);
			tracked->changed = false;
		}
}

struct mono_ms process_tracker_step(struct process_tracker *tracker, struct mono_ms now)
{
	bool again = false;
	if (tracker->changed) {
		if (tracker->queue->count == 0)
			report_noted(tracker);
		return now;
	}
	if (!mono_due(tracker->retry_at, now))
		return tracker->retry_at;

	for (size_t i = 0; i < tracker->by_session.size; i++)
		for (struct hash_node *n = tracker->by_session.v[i]; n; n = n->next)
			again |= retry_session(container_of(n, struct tracked_session, by_session));
	tracker->retry_at = again ? mono_after(now, RETRY_MS) : MONO_NEVER;
	return tracker->retry_at;
}
