/* process_tracker: what uses the GPU for each native session: the process at its connection, and
 * what it names beside that. Their end is seen in the moment it happens, whatever sockets do, and a
 * signal can never hit a process that got the same pid later. What cannot be watched is reported as
 * unknown, and tried again. */
#pragma once
#include "base/hash.h"
#include "base/mono.h"

struct event_queue;
struct log;
struct loop;
struct loop_watch;
struct session_record;

struct process_tracker {
	struct loop *loop;         /* borrowed */
	struct event_queue *queue; /* borrowed; EVENT_PEER_EXIT and EVENT_PEER_REACH go there */
	struct log *log;           /* borrowed */
	struct hash by_session;
	int inotify; /* of cgroups; -1: none yet, or none to be had */
	struct loop_watch *inotify_watch;
	bool changed;            /* something has ended, and process_tracker_step is to tell */
	struct mono_ms retry_at; /* when to try again; MONO_NEVER: all is watched */
};

void process_tracker_init(struct process_tracker *tracker, struct loop *loop,
			  struct event_queue *queue, struct log *log);
void process_tracker_finish(struct process_tracker *tracker);
/* A session began, moved to another process, named others, or came back from the journal: a pid
 * counts only if it is still the process that the record names. */
void process_tracker_watch(struct process_tracker *tracker, const struct session_record *session);
/* The session's connection is this process's. Takes the pidfd (-1: none). */
void process_tracker_take(struct process_tracker *tracker, uint64_t session, int pidfd);
void process_tracker_forget(struct process_tracker *tracker, uint64_t session);
/* Whether all of them are, and that was told. */
bool process_tracker_gone(const struct process_tracker *tracker, uint64_t session);
/* SIGTERM for the process at its connection; SIGKILL for all but the keeper. */
void process_tracker_signal(struct process_tracker *tracker, uint64_t session, int signo);
/* After each turn: tells what has ended, and tries again what could not be watched. Returns when to
 * call again. */
struct mono_ms process_tracker_step(struct process_tracker *tracker, struct mono_ms now);
