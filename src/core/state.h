/* state: what the core is made of, for the files of this folder only. Who may write what: states
 * claim.c alone, charges ledger.c, places in the queue queue.c, deadlines timer.c. */
#pragma once
#include "base/hash.h"
#include "base/heap.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/rank_tree.h"
#include "core/binding.h"
#include "core/config.h"
#include "core/effects.h"
#include "core/estimate.h"
#include "core/record.h"
#include "core/view.h"

struct principal;

enum {
	ACKS_MISSED_MAX = 3,     /* offers left unanswered in a row, then the claim ends */
	HELD_PER_OWNER_MAX = 64, /* leases of one session or one plain name */
	HELD_MAX = 4096,         /* leases in all: with the queue's cap, the bound on memory */
	LOST_WAITERS_MAX = 256,  /* lost waiters whose keys are remembered */
	FENCE_BLOCK = 1000,
	TICK_WORK_MAX = 256, /* effects of one tick; what else is due waits for the next */
};

/* More bytes than any GPU has; sums over all sessions cannot overflow. */
#define VRAM_BYTES_MAX ((uint64_t)1 << 50)
/* Longer than any wait; sums of a few cannot overflow. */
#define DURATION_MS_MAX ((int64_t)1 << 50)

/* How a lease is charged on a GPU: it computes, or only keeps memory. */
enum holder_kind { HOLDER_COMPUTES, HOLDER_KEEPS, HOLDER_KIND_COUNT };

/* Its place among the holders of one GPU. */
struct seat {
	struct rank_node by_id;
	struct claim *claim;
};

/* A lease inside which others run, or wait to run. */
struct house {
	struct list guests;
	struct group *queue; /* waiters for a place; NULL: none */
	uint64_t vram_lent;  /* of its memory, to its guests */
	uint32_t count;
};

/* Turns that need a resident in memory (resident.c). */
struct users {
	uint32_t waiting[LEASE_CLASS_COUNT], running;
	struct mono_ms last; /* when one of them last gave its turn back */
};

struct claim {
	struct claim_record rec;
	struct session *session;       /* NULL: plain HTTP or stream */
	struct principal *principal;   /* on whose behalf */
	uint64_t conn;                 /* plain: its exchange, 0: gone */
	struct group *group;           /* QUEUED: where it waits */
	struct claim *host;            /* runs inside this one, or waits to; else NULL */
	struct house *house;           /* guests of this one; NULL: none so far */
	struct users users;            /* of this one, a resident */
	struct mono_ms key;            /* tag + offset(class): the order of the queue */
	struct mono_ms promise;        /* QUEUED: the bound promised; NEVER: none */
	struct mono_ms place_deadline; /* plain and QUEUED without a connection, else NEVER */
	struct mono_ms deadline;       /* OFFERED: ack. YIELDING: grace, lock-delay or kill wait */
	struct mono_ms offered_since;  /* to others the turn of a claim that loads began then */
	struct mono_ms yield_since;    /* YIELDING: since it was asked; QUEUED: since it waits */
	uint64_t yield_for;
	uint64_t made_room_for; /* it was evicted last for this one, to which it owes its room while
				   that waits, wherever it is meanwhile */
	uint64_t made_room_fence; /* that one's then: once that was granted it has a later one */
	uint32_t made_room_on;    /* on these GPUs; 0: it has not left them yet */
	uint64_t vram_charged;    /* in the ledger, on each GPU of granted_mask */
	struct seat *seats;     /* charged: one per GPU of granted_mask, lowest first; else NULL */
	uint32_t slots_charged; /* 0, or as its need says: claim_slots has it for one GPU */
	uint32_t told_ms;       /* QUEUED: the estimate when this wait began; 0: unknown */
	uint32_t mask;          /* GPUs that could ever hold it */
	uint8_t told_depth;     /* and how many were ahead, by ESTIMATE_DEPTHS */
	enum lease_class
		turn_cls; /* with capacity: the class whose turn it uses; of a loan the lender's */
	uint32_t asked_mask; /* QUEUED: GPUs whose holders were asked for it */
	bool asked;          /* in core.asked */
	bool killed;         /* SIGKILL was sent */
	bool room_made;      /* QUEUED: somebody was evicted for it */
	uint8_t noticed;     /* what its holder was told and is still so: bits of enum notice */
	bool no_wait;        /* leaves in the step that created it, unless granted */
	bool silent;         /* nothing of it was sent or journaled yet */
	bool indexed;        /* in the tables below */
	struct hash_node by_id, by_token, by_request, by_owner, by_conn;
	struct rank_node place; /* core.places while QUEUED, core.holders while it has room */
	struct rank_node turn;  /* group.turns while QUEUED */
	struct heap_node timer; /* core.claim_timers */
	char *detail;           /* as in its record; NULL: none */
	struct list in_session; /* session.claims, until freed */
	struct list in_dirty;   /* core.dirty_claims or core.ended_claims */
	struct list in_asked;   /* core.asked: YIELDING, asked on behalf of a waiter */
	uint64_t wanted_walk;   /* the newest walk in which a head wanted its capacity */
	struct list
		in_nested; /* QUEUED, and names a parent: core.nested. With room: house.guests */
};

struct session_vram {
	uint64_t declared, observed;
	struct mono_ms dropped; /* when it last gave back some of what it declared */
};

struct session {
	struct session_record rec;
	struct principal *principal;
	uint64_t conn;                         /* 0: detached */
	struct mono_ms last_seen;              /* last message of any kind */
	struct mono_ms place_deadline;         /* detached: when its waiting claims end */
	struct mono_ms detach_deadline;        /* detached: when all it has ends; NEVER: attached */
	struct mono_ms compute_ended;          /* when it last gave a compute turn back */
	uint32_t waiting, holding;             /* its claims QUEUED; OFFERED, HELD or YIELDING */
	uint32_t computing;                    /* of those with room: with slots */
	enum peer_reach reach;                 /* native: of the process at its connection */
	bool peer_gone;                        /* native: that process is dead */
	bool ended;                            /* freed with its last claim; no resume any more */
	char unwatched[LIMIT_LABEL_BYTES + 1]; /* PEER_UNKNOWN: why */
	struct session_vram vram[LIMIT_GPUS];
	struct list claims;
	struct list in_dirty; /* core.dirty_sessions or core.ended_sessions */
	struct rank_node by_id;
	struct hash_node by_conn, by_secret;
	struct heap_node timer; /* core.session_timers */
};

/* Waiters of one class with the same need, so that a walk can skip all of them at once. */
struct group {
	struct list in_groups;
	struct rank_tree turns; /* by (key, id) */
	struct rank_node *cursor;
	struct need need; /* of each; their gpu_mask may differ, `mask` is what it amounts to */
	const struct session *session; /* of all of them; NULL: any, or no memory is asked for */
	enum lease_class cls;
	int64_t stop_ms;       /* share_stop_ms of each */
	struct mono_ms oldest; /* the earliest arrival in it, or an earlier time */
	uint32_t mask;         /* GPUs that could ever hold them */
	uint32_t possible;  /* in this walk: where they fit once everything reclaimable has left */
	struct claim *host; /* in core.hosted: they wait for a place inside it; NULL: it is over */
	bool detached, withheld;
	bool oversized; /* more than the GPUs have since a reload: waits for the next one */
};

struct gpu {
	uint32_t slots_used, slots_cap; /* cap: the configured slots, more while a reload shrank */
	uint32_t takers;        /* leases that state VRAM; matters where the total is unknown */
	uint64_t vram_sessions; /* sum over sessions of the larger of declared and observed */
	uint64_t vram_plain;    /* declared by leases without a session */
	uint64_t vram_unseen;   /* declared by sessions of tabs beyond what they were seen to use */
	struct rank_tree holders[HOLDER_KIND_COUNT]; /* of seats, by id */
	uint64_t vram_declared, vram_cap; /* sum of all charges, and what it may reach (I1) */
	uint64_t vram_used,
		vram_outside;    /* last sample: all use, and what was attributed to no session */
	uint64_t vram_seen;      /* of vram_outside: assumed to be that of tabs and plain leases */
	uint64_t outside_base;   /* growth of vram_outside beyond this is attributed to tabs */
	struct mono_ms measured; /* the last sample was taken then */
	struct mono_ms pool_since; /* when a tab or plain lease was last granted memory */
	char left_by[LIMIT_ID_BYTES +
		     1];           /* the client that ended and left some of what is unmanaged */
	uint64_t left_bytes;       /* of that: what tabs and plain leases just gave up .. */
	struct mono_ms left_until; /* .. and have until then to free */
	uint64_t turn_head, memory_head; /* the waiting claim that it is kept for; 0: open */
	int64_t lag[LEASE_CLASS_COUNT];  /* shares.c */
	struct mono_ms memory_since[LEASE_CLASS_COUNT]; /* since when the first waits for memory, or
							   the last grant */
	/* When its first waiter is due here, or an urgent voice, if nothing else happens. */
	struct mono_ms due_at[LEASE_CLASS_COUNT];
	uint32_t class_slots[LEASE_CLASS_COUNT]; /* of slots_used */
	uint64_t pinned_bytes; /* charged to claims that cannot be made to leave (placement.c) */
	uint32_t pinned_slots; /* of turns that cannot */
	uint8_t waiting;       /* bit per class: it has a waiter that a turn here could serve */
	bool head_due;         /* the turn head is there because its class is due */
	bool last_due;         /* the newest turn here was a due one: one voice goes next */
	int64_t idle_ms;       /* of the newest sample: it has computed nothing for so long */
	bool healthy, sampled, used_known;
};

struct lost_waiter {
	struct mono_ms until, arrival, tag;
	int64_t used_ms, loaded_ms;
	uint8_t acks_missed;
	enum lease_class cls;
	bool loads;
	char name[LIMIT_ID_BYTES + 1];
	char principal[LIMIT_PRINCIPAL_BYTES + 1];
	char request_id[LIMIT_REQUEST_ID_BYTES + 1];
};

struct core {
	struct core_config config;
	struct gpu gpus[LIMIT_GPUS];
	struct mono_ms now, frozen_until, next_heartbeat, last_tick;
	struct mono_ms shares_at;      /* until when lags are counted */
	struct mono_ms in_doubt_until; /* nothing is granted before */
	struct mono_ms wake;           /* when waiting alone will change a decision */
	struct wall_ms wall;
	uint64_t hash_seed; /* of the tables by names, which clients choose */
	uint64_t epoch, fence_next, fence_reserved, claim_id_next, session_id_next;
	uint32_t unsettled; /* GPUs whose pinned bytes and slots must be summed again */
	uint32_t withheld;  /* bit per binding: its claims are granted nothing for now */
	size_t work;        /* of this step: claims moved without an effect */
	bool tick_unfinished;
	struct claim *accepted; /* in this step: needs no offer; NULL: none */
	bool importing;         /* core_import is running */
	bool promise_anew;      /* all promises must be computed again */
	uint32_t unpinned;      /* GPUs where nothing granted in observe mode is left: who waits for
				   them can be promised something */
	bool configured, started, restarting, paused, draining, journal_ok, unwritable, ticking,
		queue_changed;
	struct hash claims_by_id, claims_by_token, claims_by_request, claims_by_owner,
		claims_by_conn;
	struct hash sessions_by_conn, sessions_by_secret;
	struct hash principals_by_name;
	struct list principals, idle_principals;
	struct rank_tree sessions, places, holders;
	struct list groups, nested, hosted, asked;
	uint64_t walks;                    /* runs of the scheduler so far */
	uint32_t loads[LEASE_CLASS_COUNT]; /* live claims that say `loads` */
	struct heap claim_timers, session_timers;
	struct list dirty_claims, ended_claims, dirty_sessions, ended_sessions;
	struct effects out;     /* all but APPENDs of rows, until the end of the step */
	struct effects answers; /* replies to claims that yielded: sent after grants, so the next
				   holder hears first */
	struct effects admin_records; /* acts of operators */
	struct effect *discard;       /* scratch for messages without a recipient; owned */
	struct core_stats stats;
	struct estimates estimates;
	struct lost_waiter lost[LOST_WAITERS_MAX];
	uint32_t lost_next;
	struct mono_ms lost_until; /* no place is remembered beyond this */
};

static inline uint32_t mask_first(uint32_t mask)
{
	return mask ? (uint32_t)__builtin_ctz(mask) : 0;
}

static inline uint32_t mask_count(uint32_t mask)
{
	uint32_t count = 0;

	for (; mask; mask &= mask - 1)
		count++;
	return count;
}
/* The first GPU of a mask from `from` on, LIMIT_GPUS: none. */
static inline uint32_t mask_next(uint32_t mask, uint32_t from)
{
	uint32_t rest = mask & (UINT32_MAX << from);

	return rest ? (uint32_t)__builtin_ctz(rest) : LIMIT_GPUS;
}
#define mask_each(gpu, mask)                                                                       \
	for (uint32_t gpu = mask_next(mask, 0); gpu < LIMIT_GPUS; gpu = mask_next(mask, gpu + 1))

/* The GPUs that it names, of those that there are. */
static inline uint32_t need_named(const struct core *core, const struct need *need)
{
	return need->gpu_mask & ((1u << core->config.gpu_count) - 1);
}
/* A turn of several slots or GPUs: it keeps what is free until it has the rest, but only from later
 * arrivals, so that nobody waits for a claim that came after it. */
static inline bool need_is_big(const struct core *core, const struct need *need)
{
	bool big = need->slots > 1 || need->gpu_count > 1;

	for (uint32_t gpu = 0; need->all_slots && gpu < core->config.gpu_count; gpu++)
		big |= (need->gpu_mask & (1u << gpu)) && core->config.gpus[gpu].slots > 1;
	return big;
}
/* How many slots it takes there, or would take. A GPU that a reload took away has none to count. */
static inline uint32_t need_slots(const struct core *core, const struct need *need, uint32_t gpu)
{
	bool all = need->all_slots && need->slots > 0 && gpu < core->config.gpu_count;

	return all ? core->config.gpus[gpu].slots : need->slots;
}
/* How many it is charged there: what it takes, or nothing. */
static inline uint32_t claim_slots(const struct core *core, const struct claim *claim, uint32_t gpu)
{
	return claim->slots_charged > 0 ? need_slots(core, &claim->rec.need, gpu) : 0;
}
static inline bool claim_has_room(const struct claim *claim)
{
	return claim->rec.state != CLAIM_QUEUED && claim->rec.state != CLAIM_ENDED;
}
/* For its client it is over; its capacity may still be taken. */
static inline bool claim_over(const struct claim *claim)
{
	return claim->rec.state == CLAIM_ENDED || claim->rec.state == CLAIM_DRAINING;
}
/* Its turn is not over, and others may wait for it. */
static inline bool claim_computes(const struct claim *claim)
{
	return claim->rec.need.slots > 0 && claim->rec.state != CLAIM_DRAINING;
}
/* Service in its present turn, its earlier runs counted. */
static inline int64_t claim_turn_ms(const struct core *core, const struct claim *claim)
{
	return claim->rec.used_ms + mono_since(core->now, claim->rec.turn_since);
}
/* It is leaving: nobody needs to be asked any more. */
static inline bool claim_leaves(const struct claim *claim)
{
	return claim->rec.state == CLAIM_YIELDING || claim->rec.state == CLAIM_DRAINING;
}
/* It holds, and no yield is pending. */
static inline bool claim_is_held(const struct claim *claim)
{
	return claim->rec.state == CLAIM_HELD || claim->rec.state == CLAIM_LOADING;
}
/* A model that a server has in memory for the gateway: it lives as long as that server wants. */
static inline bool claim_outlives_broker(const struct claim *claim)
{
	return binding_of(claim->rec.binding)->memory_delay && claim->rec.need.slots == 0;
}
/* Of a model whose gateway went with the old broker: YIELDING until the new one asks for it. */
static inline bool claim_awaited(const struct claim *claim)
{
	return claim->rec.state == CLAIM_YIELDING && !claim->rec.revoked &&
	       claim->rec.yield_reason == YIELD_EXPIRED;
}
/* YIELDING: for one that waits; with that one the yield is over. */
static inline bool claim_asked_for_one(const struct claim *claim)
{
	return claim->rec.yield_reason != YIELD_OPERATOR && !claim_awaited(claim);
}
static inline enum binding_proof claim_proof(const struct claim *claim)
{
	return binding_of(claim->rec.binding)->proof;
}
static inline bool session_has_process(const struct session *session)
{
	return binding_of(session->rec.binding)->proof == PROOF_EXIT;
}
static inline uint64_t claim_conn(const struct claim *claim)
{
	return claim->session ? claim->session->conn : claim->conn;
}
static inline struct party claim_party(const struct claim *claim)
{
	return party_of(binding_of(claim->rec.binding)->party, claim_conn(claim));
}
static inline struct party session_party(const struct session *session)
{
	return party_of(PARTY_SESSION, session->conn);
}
static inline uint32_t claim_guests(const struct claim *claim)
{
	return claim->house ? claim->house->count : 0;
}
static inline struct claim *claim_of_place(struct rank_node *node)
{
	return node ? container_of(node, struct claim, place) : NULL;
}
static inline struct claim *claim_of_turn(struct rank_node *node)
{
	return node ? container_of(node, struct claim, turn) : NULL;
}
static inline struct session *session_of_id(struct rank_node *node)
{
	return node ? container_of(node, struct session, by_id) : NULL;
}
