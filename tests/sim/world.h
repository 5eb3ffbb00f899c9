/* world: everything of one seed's run. No globals: the run is this struct. */
#pragma once
#include "broker.h"
#include "check.h"
#include "client.h"
#include "event_queue.h"
#include "job.h"
#include "journal.h"
#include "judge.h"
#include "leftover.h"
#include "net.h"
#include "rng.h"
#include "scenario.h"
#include "trace.h"

enum { SAMPLE_EVERY_MS = 5000, HEALED_HOLD_MS_MAX = 20000 };

/* What a run counted. Plain numbers: workers add theirs in shared memory. */
struct tally {
	uint64_t grants, claims, steps, turns, restarts, sim_ms, timeouts, ended;
	uint64_t faults[FAULT_COUNT], tricks[TRICK_COUNT];
	uint64_t leftovers[3]; /* freed late, back again, never freed */
	uint64_t loads, readies, load_maxes, guests, host_overs, parks, resumes;
	uint64_t used_gone; /* evicted while somebody waited to use it */
	int64_t kept_ms;    /* the longest wait for users of what is in the way */
	/* Waits that ended in an offer, and the worst of waited / told. */
	uint64_t waits[LEASE_CLASS_COUNT], worst_permille[LEASE_CLASS_COUNT];
	/* The most that was told first, and how often there was nothing to tell, by reason. */
	uint64_t told_most_ms[LEASE_CLASS_COUNT], told_none[BOUND_NONE_COUNT];
	/* Of 25 and 60 minutes of backlog: how many, and the least of got / guaranteed. */
	uint64_t share_windows[2][LEASE_CLASS_COUNT], share_least[2][LEASE_CLASS_COUNT];
	uint64_t hash;
};

enum { SHARE_MINUTES = 64 };

/* Of one class on one GPU (judge_share.c). */
struct share {
	bool waits;      /* since the last turn somebody of it waits for this GPU */
	int64_t uses;    /* .. and it uses so many turns of it */
	int64_t since_t; /* that long it has had waiters */
	const struct claim_record *first; /* of those who wait now */
	int64_t whole_t;                  /* the last time that this one could not be cut short */
	int64_t got_ms[SHARE_MINUTES];
};

struct shares {
	struct share v[LEASE_CLASS_COUNT][LIMIT_GPUS];
	int64_t turned_t;
	uint64_t taints;
};

struct world_session {
	int client; /* -1: none */
	uint32_t life;
};

struct world {
	uint64_t seed;
	struct scenario scenario;
	struct rng rng, token_rng, lost_rng, unkind_rng, inside_rng, observe_rng, park_rng,
		memory_rng;
	struct trace trace;
	struct event_queue event_queue;
	struct net net;
	struct jobs jobs;
	struct broker broker;
	struct journal journal, synced; /* synced: what a power cut leaves */
	struct client clients[SCENARIO_CLIENTS_MAX];
	struct check check;
	struct shares shares;
	struct tally tally;
	struct world_session *sessions; /* by session id */
	size_t sessions_size;
	int64_t t, end_t;
	int64_t boot_t, boot_mono_ms; /* monotonic = t - boot_t + boot_mono_ms */
	int64_t wall_offset_ms;
	bool healed;     /* the liveness phase */
	uint32_t judges; /* mask of enum judge */
	bool fds_exhausted;
	struct core_config config_next; /* what EVENT_CONFIG points to */
	uint64_t boots;
	uint32_t unhealthy_mask, unknown_mask;
	uint32_t
		unnamed_mask; /* used by somebody whom a probe cannot name, and never empty since */
	uint32_t leftover_mask; /* the last measurement saw somebody who has no lease */
	uint64_t unmanaged_bytes[LIMIT_GPUS];
	struct observed observed[LIMIT_GPUS][SCENARIO_CLIENTS_MAX];
	uint64_t taints;      /* times the clock of the bounds was stopped */
	int64_t tainted_t;    /* .. and the last of them */
	unsigned taints_open; /* conditions that stop it now */
	bool well;            /* no condition, and the core knows it: the judges may judge */
	struct leftover leftovers[LEFTOVERS_MAX];
	size_t leftover_count;
	int64_t leftover_t; /* one was gone */
	int64_t pid_next;
	int64_t stalled_ms;   /* for which the daemon stood still, as far as it notices */
	unsigned stalls_left; /* of a series */
};

struct world_options {
	int64_t minutes;
	enum trace_mode mode;
	uint32_t judges;
	enum trick trick;    /* TRICK_NONE: as the seed says */
	unsigned twin_every; /* steps from one export and import to the next; 0: none */
};

/* Runs one seed in `w`, which may be anything before; a failure ends the process, by sim_fail or an
 * assert, with the last lines in w->trace. */
void world_run(struct world *w, uint64_t seed, const struct world_options *options);

uint32_t world_permille(const struct world *w, enum fault fault); /* 0 once healed */
void world_count(struct world *w, enum fault fault);
void world_session_set(struct world *w, uint64_t session, int client, uint32_t life);
/* The client whose living process has the session, or NULL. */
struct client *world_session_client(struct world *w, uint64_t session);

/* Prints why, then aborts. */
_Noreturn void sim_fail(struct world *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
