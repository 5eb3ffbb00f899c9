/* view: what status, why and metrics may read from the core. Pointers are borrowed until the next
 * step. */
#pragma once
#include "base/mono.h"
#include "core/types.h"

struct claim_record;
struct core;
struct gpu_config;
struct session_record;
struct token;

struct claim_view {
	const struct claim_record *rec;
	uint64_t conn; /* 0: detached */
	struct mono_ms key;
	struct mono_ms detach_deadline; /* MONO_NEVER: attached */
	struct mono_ms
		yield_deadline; /* YIELDING: when grace, then lock-delay or kill wait, ends */
	uint64_t yield_for;     /* claim id or 0 */
	uint32_t guests;        /* claims running inside it */
	enum yield_reason yield_reason;
	struct mono_ms load_deadline; /* LOADING: until it must be ready; else NEVER */
	struct mono_ms
		kill_at;       /* revoked and native: when it gets SIGKILL, or got it; else NEVER */
	const char *unwatched; /* native: why its process cannot be watched; else NULL */
	uint64_t vram_bytes_measured; /* native: what its session uses on the GPUs of the lease */
	bool measured;                /* .. if that is known now */
	int64_t pid;                  /* native: of the process at its connection; 0: unknown */
	uint64_t pid_start;
	uint8_t noticed; /* what its holder was told and is still so: bits of enum notice */
	bool stopped;    /* that process is, as SIGSTOP does it; for whoever looks to fill in */
	bool ripe;
};

/* false: no such live claim. */
bool core_claim(const struct core *core, uint64_t claim_id, struct mono_ms now,
		struct claim_view *ret_view);
/* Holders (OFFERED, HELD, YIELDING) by rising id, first with id 0; false: no more. */
bool core_holder_after(const struct core *core, uint64_t claim_id, struct mono_ms now,
		       struct claim_view *ret_view);
/* The waiter at a position of the queue (0 = next), O(log n). */
bool core_waiter_at(const struct core *core, uint32_t position, struct mono_ms now,
		    struct claim_view *ret_view);
/* Claims before this one by their keys; -1 unless it waits. O(log n). */
int64_t core_position(const struct core *core, uint64_t claim_id);
uint32_t core_waiting_count(const struct core *core);
/* Whether the claim of this exchange is one of them. */
bool core_conn_waits(const struct core *core, uint64_t conn);
uint32_t core_held_count(const struct core *core);
uint32_t core_session_count(const struct core *core);
bool core_observes(const struct core *core); /* nothing is enforced */

/* Why a waiter waits. The texts come from why_text; wire fills in the {fields}. */
#define WHY_TABLE(X)                                                                               \
	X(WHY_NEXT, "next", "It is next and will be offered a GPU in this moment.")                \
	X(WHY_HOLDER, "holder", "{holder} holds {gpu}{limit}{idle}.")                              \
	X(WHY_SELF, "self",                                                                        \
	  "Its own session holds {gpu}{limit}: it waits for itself, until lease {lease} ends.")    \
	X(WHY_HOLDERS, "holders", "{count} GPUs are held, by {holder}.")                           \
	X(WHY_YIELDING, "yielding",                                                                \
	  "{holder} was asked to give {gpu} back and has {left} to do so.")                        \
	X(WHY_STOPPING, "stopping",                                                                \
	  "{holder} lost {gpu} and is being stopped; it is free in {left} at most.")               \
	X(WHY_LOCK_DELAY, "lock-delay", "{holder} lost {gpu}; it is free in {left} at most.")      \
	X(WHY_DETACHED, "detached",                                                                \
	  "{holder} is disconnected from {gpu} and has {left} to come back.")                      \
	X(WHY_VRAM, "vram", "It needs {want} of VRAM on {gpu}, where {free} are free{strangers}.") \
	X(WHY_PINNED, "pinned",                                                                    \
	  "{holder} keeps {held} of VRAM on {gpu} and ends only by itself; {want} do not fit "     \
	  "beside it.")                                                                            \
	X(WHY_OBSERVED, "observed",                                                                \
	  "{holder} has {gpu} since before the rules were enforced, and ends only by itself.")     \
	X(WHY_PARKED, "parked",                                                                    \
	  "{holder} is frozen and keeps {held} of VRAM on {gpu}{limit}; {want} do not fit "        \
	  "beside it.")                                                                            \
	X(WHY_EVICTING, "evicting", "{holder} is asked to unload from {gpu} to make room.")        \
	X(WHY_BEHIND, "behind", "{ahead} before it in the queue{front}.")                          \
	X(WHY_RESERVED, "reserved", "{gpu} is kept for {holder}, which came before it.")           \
	X(WHY_UNKNOWN, "unknown", "The VRAM in use on {gpu} cannot be measured now.")              \
	X(WHY_UNHEALTHY, "unhealthy", "{gpu} does not work.")                                      \
	X(WHY_PAUSED, "paused", "An operator paused grants.")                                      \
	X(WHY_JOURNAL, "journal", "The journal cannot be written, so nothing is granted.")         \
	X(WHY_AUTHORITY, "authority", "It asks for another machine, whose broker has not agreed.") \
	X(WHY_IN_DOUBT, "in_doubt",                                                                \
	  "The record of who held the GPUs is lost; nothing is granted for another {left}.")       \
	X(WHY_OVERSIZED, "beyond",                                                                 \
	  "It needs more than the GPUs have since they were configured anew.")                     \
	X(WHY_HOST, "host", "It waits for a place inside {holder}.")                               \
	X(WHY_DRAINING, "draining",                                                                \
	  "{holder} has ended, but what it used on {gpu} is not seen to be free yet.")             \
	X(WHY_DETACHED_SELF, "disconnected",                                                       \
	  "Its own connection is gone; it has {left} to come back.")

enum why_code {
#define X(code, name, text) code,
	WHY_TABLE(X)
#undef X
		WHY_COUNT
};

enum { WHY_NAMED_MAX = 3 };

struct why {
	enum why_code code;
	enum why_code head; /* WHY_BEHIND: what the first one there waits for, of `holder` */
	uint64_t holder;    /* claim id or 0 */
	uint32_t gpu;
	int64_t left_ms;
	int64_t idle_ms; /* WHY_HOLDER: its GPUs have computed nothing for so long; 0: they do */
	uint64_t want_bytes, free_bytes, held_bytes;
	uint64_t strange_bytes;           /* WHY_VRAM: that programs without a lease use there */
	uint32_t ahead;                   /* claims served before it; who is due passes others */
	uint32_t gpu_count, holder_count; /* WHY_HOLDERS: of what it could use, and by how many */
	uint64_t holders[WHY_NAMED_MAX];  /* the first of them */
};

const char *why_name(int code);
const char *why_text(int code);
void core_why(const struct core *core, uint64_t claim_id, struct mono_ms now, struct why *ret_why);
/* Why no wait is guaranteed. */
#define BOUND_NONE_TABLE(X)                                                                        \
	X(BOUND_GIVEN, "none", "A wait is guaranteed.")                                            \
	X(BOUND_STOPPED, "stopped", "Nothing is granted now.")                                     \
	X(BOUND_DETACHED, "disconnected", "Its own connection is gone.")                           \
	X(BOUND_BLOCKED, "blocked",                                                                \
	  "It cannot be served now, and nobody can be made to give way for it.")                   \
	X(BOUND_MEMORY, "memory",                                                                  \
	  "It needs memory, which others may keep for as long as they like.")                      \
	X(BOUND_SET, "set", "It needs several GPUs at once.")                                      \
	X(BOUND_OWN, "own_claims",                                                                 \
	  "Its own earlier claims stand before it, and others may pass those that come after "     \
	  "them.")                                                                                 \
	X(BOUND_HOST, "host", "It waits for a place inside another lease.")                        \
	X(BOUND_OBSERVED, "observed",                                                              \
	  "A lease from before the rules were enforced holds what it needs, and ends by itself.")  \
	X(BOUND_LATER, "later", "What it depended on has changed; a wait is told once it is next.")

enum bound_none {
#define X(code, name, text) code,
	BOUND_NONE_TABLE(X)
#undef X
		BOUND_NONE_COUNT
};
const char *bound_none_name(int none);
const char *bound_none_text(int none);

struct bound {
	int64_t ms; /* from now; -1: none is guaranteed */
	enum bound_none none;
};
/* The longest wait from now on, whatever others do: the first promise, less the time since. It
 * holds while the broker runs and may grant, and while the GPU works. */
void core_bound(const struct core *core, uint64_t claim_id, struct mono_ms now,
		struct bound *ret_bound);
int64_t core_bound_ms(const struct core *core, uint64_t claim_id, struct mono_ms now);
/* By when a waiter is offered its turn, whatever others do; MONO_NEVER: nothing is guaranteed. */
struct mono_ms core_promise(const struct core *core, uint64_t claim_id);

struct gpu_view {
	const struct gpu_config *config;
	uint32_t slots_used;
	uint64_t vram_bytes_granted;   /* declared or observed, whichever is more, by leases */
	uint64_t vram_bytes_unmanaged; /* used by processes that the broker does not know */
	uint64_t vram_bytes_used;      /* measured */
	uint64_t vram_bytes_draining;  /* of granted: by leases that are over, but not free yet */
	const char *left_by; /* the client that left some of what is unmanaged; "": unknown */
	bool used_known, healthy;
	struct mono_ms used_until; /* it is too old to be shown then: between its steps, as while
				      nobody needs figures, the core does not notice */
};
bool core_gpu(const struct core *core, uint32_t gpu, struct gpu_view *ret_view);

/* Whether anything is granted now, and if not, why. */
#define GRANTS_TABLE(X)                                                                            \
	X(GRANTS_ALLOWED, "none", "Grants are given.")                                             \
	X(GRANTS_DRAINING, "draining", "The broker is stopping.")                                  \
	X(GRANTS_JOURNAL, "journal", "The journal cannot be written.")                             \
	X(GRANTS_IN_DOUBT, "in_doubt",                                                             \
	  "The record of who held the GPUs is lost: they may still use them.")                     \
	X(GRANTS_PAUSED, "paused", "An operator paused grants.")

enum grants {
#define X(code, name, text) code,
	GRANTS_TABLE(X)
#undef X
		GRANTS_COUNT
};
const char *grants_name(int grants);
const char *grants_text(int grants);
/* `ret_left_ms`: until that ends by itself, or -1. */
enum grants core_grants(const struct core *core, struct mono_ms now, int64_t *ret_left_ms);
/* Also true while grants are stopped for another reason. */
bool core_in_doubt(const struct core *core, struct mono_ms now);

struct core_stats {
	uint64_t epoch, fence;
	uint64_t granted[LEASE_CLASS_COUNT];
	uint64_t would_wait[LEASE_CLASS_COUNT]; /* of granted: in observe mode, beside others */
	uint64_t ended[END_REASON_COUNT], yields, revokes, acks_missed, stale;
	uint32_t waiting, held, sessions;
	bool paused, journal_ok;
	bool observe; /* nothing is enforced */
};
void core_stats(const struct core *core, struct core_stats *ret_stats);
/* Sessions by rising id; false: no more. `conn` is 0 while detached. */
bool core_session_after(const struct core *core, uint64_t session_id,
			const struct session_record **ret_session, uint64_t *ret_conn,
			struct mono_ms *ret_last_seen);
/* The session with this secret, or NULL. */
const struct session_record *core_session_of_secret(const struct core *core,
						    const struct token *secret);
