/* processes: the pidfd of each native session's process: its exit is seen in the moment it happens,
 * whatever its socket does, and a signal can never hit a process that got the same pid later. */
#pragma once
#include "base/hash.h"
#include "base/log.h"
#include "core/record.h"
#include "server/batch.h"

struct loop;

struct processes {
	struct loop *loop;   /* borrowed */
	struct batch *batch; /* borrowed; EVENT_PEER_EXIT goes there */
	struct log *log;     /* borrowed */
	struct hash by_session;
};

void processes_init(struct processes *processes, struct loop *loop, struct batch *batch,
		    struct log *log);
void processes_finish(struct processes *processes);
/* A session began, moved to another process, or came back from the journal: its pid counts only if
 * it is still the process that the record names. */
void processes_watch(struct processes *processes, const struct session_record *session);
void processes_forget(struct processes *processes, uint64_t session);
bool processes_gone(const struct processes *processes, uint64_t session); /* known to have exited */
void processes_signal(struct processes *processes, uint64_t session, int signo);
