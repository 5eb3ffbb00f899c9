/* processes: what uses the GPU for each native session: the process at its connection, and what it
 * names beside that. Their end is seen in the moment it happens, whatever sockets do, and a signal
 * can never hit a process that got the same number later. What cannot be watched is said to be
 * unknown, and tried again. */
#pragma once
#include "base/hash.h"
#include "base/log.h"
#include "core/record.h"
#include "server/event_queue.h"

struct loop;
struct loop_watch;
struct net_peer;

struct processes {
	struct loop *loop;         /* borrowed */
	struct event_queue *queue; /* borrowed; EVENT_PEER_EXIT and EVENT_PEER_REACH go there */
	struct log *log;           /* borrowed */
	struct hash by_session;
	int inotify; /* of cgroups; -1: none yet, or none to be had */
	struct loop_watch *inotify_watch;
	struct mono_ms look_at; /* when to try again; MONO_NEVER: all is watched */
};

void processes_init(struct processes *processes, struct loop *loop, struct event_queue *queue,
		    struct log *log);
void processes_finish(struct processes *processes);
/* A session began, moved to another process, named others, or came back from the journal: a pid
 * counts only if it is still the process that the record names. */
void processes_watch(struct processes *processes, const struct session_record *session);
/* The session's connection is this process's. Takes the pidfd (-1: none). */
void processes_take(struct processes *processes, uint64_t session, int pidfd);
void processes_forget(struct processes *processes, uint64_t session);
bool processes_gone(const struct processes *processes, uint64_t session); /* all, as is known */
/* SIGTERM for the process at its connection; SIGKILL for all but the keeper. */
void processes_signal(struct processes *processes, uint64_t session, int signo);
/* Tries again what could not be watched; returns when to call again. */
struct mono_ms processes_step(struct processes *processes, struct mono_ms now);
/* Whether this peer may name these. What is gone is taken out, `pid_start` filled in. 0, or
 * -ERR_BAD_FIELD with words for the client. */
int processes_judge(const struct net_peer *peer, struct named_processes *named, char *detail,
		    size_t detail_size);
