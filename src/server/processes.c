/* processes: pidfds by session. Decides nothing: exits become events, signals come as effects.
 * Called for each journal record of a session and by whoever delivers effects. */
#include "server/processes.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/list.h"
#include "net/loop.h"

struct process {
	struct hash_node by_session; /* processes.by_session */
	struct processes *owner;
	struct loop_watch *watch;
	uint64_t session, pid_start;
	int64_t pid;
	int pidfd; /* -1: exited */
};

void processes_init(struct processes *processes, struct loop *loop, struct batch *batch,
		    struct log *log)
{
	*processes = (struct processes){.loop = loop, .batch = batch, .log = log};
	hash_init(&processes->by_session);
}

static struct process *process_of(const struct processes *processes, uint64_t session)
{
	for (struct hash_node *n = hash_first(&processes->by_session, hash_u64(session)); n;
	     n = hash_next(n)) {
		struct process *process = container_of(n, struct process, by_session);
		if (process->session == session)
			return process;
	}
	return NULL;
}

static void let_go(struct process *process)
{
	loop_unwatch(process->watch);
	process->watch = NULL;
	if (process->pidfd >= 0)
		(void)close(process->pidfd);
	process->pidfd = -1;
}

void processes_forget(struct processes *processes, uint64_t session)
{
	struct process *process = process_of(processes, session);
	if (!process)
		return;
	let_go(process);
	hash_remove(&processes->by_session, &process->by_session);
	free(process);
}

void processes_finish(struct processes *processes)
{
	for (size_t i = 0; i < processes->by_session.size; i++)
		while (processes->by_session.v[i])
			processes_forget(processes, container_of(processes->by_session.v[i],
								 struct process, by_session)
							    ->session);
	hash_finish(&processes->by_session);
}

static void exited(struct process *process)
{
	let_go(process);
	batch_event(process->owner->batch, EVENT_PEER_EXIT, 0)->peer.session = process->session;
}

static void on_pidfd(void *ctx, int fd)
{
	(void)fd;
	exited(ctx);
}

/* Field 22 of /proc/PID/stat, counted from the last parenthesis, for a name may hold anything. */
static uint64_t start_of(int64_t pid)
{
	char path[64], line[1024];
	snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
	FILE *file = fopen(path, "re");
	size_t got = file ? fread(line, 1, sizeof line - 1, file) : 0;
	if (file)
		(void)fclose(file);
	line[got] = 0;
	char *at = strrchr(line, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

static void open_pidfd(struct processes *processes, struct process *process)
{
	process->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)process->pid, 0);
	if (process->pidfd < 0 && errno != ESRCH) {
		log_event(processes->log, LOG_WARN,
			  "cannot watch a client's process; its connection has to do",
			  log_int("pid", process->pid), log_str("error", strerror(errno)));
		return;
	}
	/* The pidfd first, then the check: from here on the pid cannot be reused unseen. */
	if (process->pidfd < 0 ||
	    (process->pid_start && start_of(process->pid) != process->pid_start)) {
		exited(process);
		return;
	}
	if (loop_watch(processes->loop, process->pidfd, on_pidfd, process, &process->watch))
		log_event(processes->log, LOG_WARN,
			  "cannot watch a client's process; its connection has to do",
			  log_int("pid", process->pid));
}

void processes_watch(struct processes *processes, const struct session_record *session)
{
	if (session->binding != BIND_NATIVE || session->pid <= 0)
		return;
	struct process *process = process_of(processes, session->id);
	if (process && process->pid == session->pid && process->pid_start == session->pid_start)
		return;
	processes_forget(processes, session->id);
	process = calloc(1, sizeof *process);
	if (!process)
		abort();
	*process = (struct process){.owner = processes,
				    .session = session->id,
				    .pid = session->pid,
				    .pid_start = session->pid_start,
				    .pidfd = -1};
	hash_add(&processes->by_session, &process->by_session, hash_u64(session->id));
	open_pidfd(processes, process);
}

bool processes_gone(const struct processes *processes, uint64_t session)
{
	const struct process *process = process_of(processes, session);
	if (!process)
		return false;
	struct pollfd fd = {.fd = process->pidfd, .events = POLLIN};
	return process->pidfd < 0 || poll(&fd, 1, 0) > 0;
}

void processes_signal(struct processes *processes, uint64_t session, int signo)
{
	struct process *process = process_of(processes, session);
	if (!process || process->pidfd < 0)
		return;
	int rc = (int)syscall(SYS_pidfd_send_signal, process->pidfd, signo, NULL, 0);
	if (rc == 0)
		log_event(processes->log, LOG_WARN, "signalled a holder that did not yield",
			  log_int("pid", process->pid), log_str("signal", sigabbrev_np(signo)));
	else if (errno != ESRCH)
		log_event(processes->log, LOG_ERROR, "cannot signal a holder",
			  log_int("pid", process->pid), log_str("signal", sigabbrev_np(signo)),
			  log_str("error", strerror(errno)));
}
