/* job: one piece of work that a client wants a GPU for, from its first request to its end, through
 * retries and restarts. It is the simulator's own record of what was asked, what was answered, and
 * who uses the GPU; it is filled from messages only, never from the core's ledger. */
#pragma once
#include "core/effect.h"

struct world;
struct conn;

enum job_stage {
	JOB_ASKED,   /* no answer yet */
	JOB_WAITING, /* told: queued */
	JOB_OFFERED,
	JOB_HELD,
	JOB_OVER,
};
const char *job_stage_name(enum job_stage stage);

/* What its client could be told about its wait (judge_told.c). */
struct job_told {
	bool running;
	uint64_t taints;              /* of the world when the wait began */
	int64_t begin_t, since_t, ms; /* asked; told; -1: nothing */
};

/* One turn's loading (judge_load.c). */
struct job_load {
	bool on;                   /* by its newest record */
	int64_t since_t, spent_ms; /* its present run; those before */
	int64_t entered_t;         /* LOADING, also after it was asked to give way */
	uint64_t fence;            /* of its present run */
	bool parked;               /* in this record, which ends it */
	bool cut_short;            /* .. which is asked for one that goes before it */
};

/* For outside_use.c, while it counts. */
struct job_sum {
	uint64_t inside_bytes;
	bool computes; /* itself or one inside */
};

/* For judge_inside.c, at the end of a turn. */
struct job_places {
	uint32_t inside, waiting;                          /* guests by their committed rows */
	uint64_t need_bytes;                               /* .. and what they need in all */
	bool comes_free;                                   /* one of them leaves */
	int64_t due_t;                                     /* when the first of them had its turn */
	int64_t free_since_t, empty_since_t, late_since_t; /* 0: it is not so */
};

/* By its newest record, committed or not. */
struct job_now {
	enum claim_state state;
	uint32_t gpus, slots;
	struct need need;
	uint64_t fence;
	int64_t held_ms, turn_ms, used_ms; /* monotonic; monotonic; service before this turn */
	int64_t loaded_ms;                 /* what its loading took */
	uint64_t uses;                     /* a resident */
	uint32_t parked_slots;             /* it gave its turn back: of so many */
};

struct job {
	uint64_t uid; /* index + 1; also the ref that the client uses */
	int client;
	uint32_t life; /* of the client's process */
	uint64_t conn; /* HTTP and streams: the newest exchange; 0 for sessions */
	enum binding binding;
	enum lease_class cls;
	struct need need;
	bool preemptible, evictable, no_wait, browser, has_request_id, resident;
	int64_t timeout_ms, ttl_ms, uninterruptible_ms, hold_ms, min_residence_ms, load_ms;
	bool loads, guests_open;
	uint32_t guests; /* places that it offers */
	int64_t ready_t; /* when it will have loaded; INT64_MAX: never */
	uint64_t parent;
	uint64_t host;    /* where it can run, if that is lent to it */
	uint64_t resumes; /* the parked lease whose turn it asks for */
	uint64_t model;   /* the resident that it uses */

	/* The client's view. */
	enum job_stage stage;
	uint64_t lease, fence;
	struct token token;
	uint32_t gpus;
	bool asked_to_yield, requeueing, done; /* done: the client is through with it */
	uint32_t parked_slots;                 /* frozen: of the turn that it gave back */
	int64_t work_left_ms;                  /* .. and what it would have done in it */
	bool listed;
	bool stopping;             /* told to stop; the work needs a moment */
	bool ignores;              /* a fault: it goes on whatever it is told */
	bool changed;              /* it asked for a change, whose answer may be lost */
	bool retried;              /* under the same request id: limits may count from the first */
	bool left;                 /* its place was to be kept */
	uint64_t request;          /* whose place it asks for; 0: a new one */
	bool observed, would_wait; /* by the newest record */
	bool by_operator;          /* one made it leave once */
	bool live;      /* by the newest record; a crash takes back what was not committed */
	bool active;    /* in jobs.active */
	bool queued;    /* since its last request: a place is recorded */
	bool yielded;   /* gave way once */
	bool revoked;   /* by the newest record */
	bool had_room;  /* by the newest record: held, and not yet back in the queue */
	bool had_offer; /* .. : offered */
	int64_t granted_t, offered_t, revoked_t;

	/* What the broker has said, delivered or not. */
	enum job_stage said;
	enum send_kind said_last;
	int64_t asked_t;          /* the broker stepped its ACQUIRE; the place counts from here */
	int64_t asked_stalled_ms; /* world.stalled_ms then */
	int64_t lost_t;     /* the broker saw its session's connection go; INT64_MAX: attached */
	int64_t arrival_ms; /* by the newest record of its lease: the place in the order */
	enum yield_reason yield_reason;
	bool yield_asked;                                /* since its newest grant */
	int64_t yield_t, yield_grace_ms;                 /* asked to give way */
	uint64_t boots;                                  /* of the machine, when it was asked for */
	uint64_t said_fence, held_fence, recorded_fence; /* told; recorded as held; recorded */

	/* Who uses the GPU, in truth. */
	bool uses;
	uint32_t uses_mask;
	struct need uses_need;
	uint32_t measured_gpus; /* where the last measurement saw it */
	int64_t excused_t; /* from then on the broker may give the room away; INT64_MAX: not yet */
	int64_t doubted_t; /* the same, where that is the end of a doubt */
	uint64_t lender;   /* lease inside whose room it runs; 0 */
	uint64_t inside;   /* the same, or the host whose guest it is */
	bool was_lent;     /* it ran inside another once */
	bool was_parked;   /* it gave its turn back once */
	bool draining;     /* it is over, but its room is not free */
	int64_t keeps_until_ms; /* parked: till then it keeps its memory from its own class */
	bool heir;              /* goes on in the turn of its lender, which has left */

	/* For the judges. */
	struct job_told told;
	struct job_now now;
	struct job_load load;
	struct job_places places;
	struct job_sum sum;
	uint64_t over_step, told_step; /* steps in which it was taken back, and told so */
	bool lends, kept_untold;
	uint64_t yield_for;     /* lease for which it was asked to give way */
	uint64_t evicted_for;   /* .. for whose memory */
	uint64_t evicted_fence; /* .. under which grant, and that one's last */
	uint64_t evicted_head_fence;
	uint32_t evicted_gpus;             /* .. from where */
	bool back;                         /* offered room again in this step */
	bool evicted_unheard;              /* .. asked for its memory, with nobody to be told */
	int64_t evicted_t, left_since_t;   /* then; since its head has left, 0: it has not */
	int64_t idle_since_t;              /* beside room that it could use; 0: it is not */
	int64_t kept_since_t;              /* beside memory that others use; 0: it is not */
	int64_t users_ended_ms;            /* monotonic: when one that used it ended a turn */
	int64_t drains_since_t;            /* over, but its memory is kept */
	int64_t unused_since_t;            /* .. though nothing is used */
	int64_t starve_since_t;            /* waits though possible; 0: it does not */
	uint64_t starve_ahead, asked_turn; /* others there were; turn in which asked_gpus counts */
	uint32_t asked_gpus;               /* of holders that are to give way for it */
};

/* A model that a server has in memory for the gateway: it outlives the broker. */
static inline bool job_is_model(const struct job *job)
{
	return job->binding == BIND_PROXIED && job->need.slots == 0;
}
/* Its connection is its lease, unless it is a model. */
static inline bool job_is_stream(const struct job *job)
{
	return job->binding == BIND_STREAM || job->binding == BIND_PROXIED;
}

struct jobs {
	struct job *v;
	size_t count, capacity;
	uint64_t *active; /* uids that are not over */
	size_t active_count, active_capacity;
	uint64_t *by_lease; /* claim id -> uid; 0: none */
	size_t by_lease_size;
};

/* Back among the active ones: a late copy of its request was heard. */
void job_activate(struct world *w, struct job *job);
/* Valid until the next job_new. */
struct job *job_new(struct world *w, int client);
struct job *job_of(struct world *w, uint64_t uid); /* NULL for 0 and unknown ones */
struct job *job_of_lease(struct world *w, uint64_t lease);
void job_bind_lease(struct world *w, struct job *job, uint64_t lease);
/* A crash: numbers that were never committed may come again. */
void job_forget_uncommitted(struct world *w);
void job_forget_leases(struct world *w); /* a power cut: numbers may come again */
/* The client starts and stops to use the GPU. */
void job_use(struct world *w, struct job *job, uint32_t gpus);
void job_stop(struct world *w, struct job *job);
/* The client reads no more from conn: a GRANTED still on its way gives it nothing. */
void job_stop_unheard(struct world *w, const struct conn *conn);
/* It is over for the client; frees its slot of work. */
void job_over(struct world *w, struct job *job);
/* Forgets those that are over and unused. */
void jobs_sweep(struct world *w);
bool job_in_room(const struct job *job, int64_t t); /* uses, and is not excused */
void jobs_finish(struct world *w);
