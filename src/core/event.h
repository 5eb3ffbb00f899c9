/* event: all that can happen to the core, each with one `now`. Strings and arrays are borrowed for
 * the length of core_step. Only EVENT_TICK judges deadlines: the server sends it last in each loop
 * iteration, after everything readable was read, so pending heartbeats count (CASES.md R8). */
#pragma once
#include "base/mono.h"
#include "base/token.h"
#include "core/party.h"
#include "core/types.h"

struct core_config;
struct named_processes;
struct record;

enum event_type {
	EVENT_CONFIG,       /* config; the first event, and again on reload */
	EVENT_RESTORE,      /* record: one live row of the journal, before EVENT_START */
	EVENT_START,        /* start: replay is over, serve */
	EVENT_SESSION_OPEN, /* session: hello on a session's connection: WELCOME or DENIED */
	EVENT_CONN_CLOSED,  /* closed */
	EVENT_PEER_EXIT,    /* peer: the process at its connection is gone, or all of them */
	EVENT_ALIVE,        /* the session answered a heartbeat (any other message counts too) */
	EVENT_ACQUIRE,      /* acquire */
	EVENT_ACCEPT,       /* lease */
	EVENT_CANCEL,       /* ref: a claim of this session still waiting or offered */
	EVENT_RELEASE,      /* release */
	EVENT_RENEW,        /* renew */
	EVENT_YIELDING,     /* renew: lease or token, ttl_ms = time still needed */
	EVENT_CHANGE,       /* change */
	EVENT_LEND,         /* lend */
	EVENT_BYE,          /* the session ends all it has, then closes */
	EVENT_ADMIN,        /* admin */
	EVENT_GPU_SAMPLE,   /* sample */
	EVENT_JOURNAL,      /* journal: whether and what it can write (DESIGN S20) */
	EVENT_REWRITE,      /* the journal was lost: append all that lives, and the fence */
	EVENT_CLOCK_JUMP,   /* stalled_ms: suspend or stall seen: deadlines move by as much, silence
			       is not judged for settle_ms, sessions are pinged */
	EVENT_TICK,         /* judge deadlines, send heartbeats */
	EVENT_DRAIN,        /* the broker stops: no new grants, nobody would hear of them */
	EVENT_PROCESSES,    /* processes: what uses the GPU for this session besides its peer */
	EVENT_PEER_REACH,   /* peer: what can be done with the process changed */
	EVENT_AUTHORITY,    /* authority: whether this broker may grant to one kind of claim */
	EVENT_READY,        /* renew: lease or token: what it loads is there */
	EVENT_TYPE_COUNT
};

enum admin_act {
	ADMIN_YIELD,  /* of one lease */
	ADMIN_REVOKE, /* of one lease, at once */
	ADMIN_CANCEL, /* of one waiter: it leaves the queue */
	ADMIN_PAUSE,
	ADMIN_RESUME,
	ADMIN_RESET,             /* revoke all holders, keep the queue */
	ADMIN_FORCE_RELEASE_ALL, /* also end every waiter */
};

struct event {
	enum event_type type;
	struct mono_ms now;
	struct wall_ms wall;
	struct party from;   /* where the answer goes */
	struct token random; /* fresh random bits: ACQUIRE, RELEASE and SESSION_OPEN use them for
				tokens, the first CONFIG for the tables of names */
	union {
		const struct core_config *config;
		const struct record *record;
		uint64_t lease;     /* ACCEPT */
		int64_t stalled_ms; /* of the monotonic clock, >= 0; a suspend has none of it */
		struct {
			bool ok;         /* false: no new grants until true */
			bool unwritable; /* not even the reserve is left: nothing that must be
					    journaled is accepted */
		} journal;
		struct {
			enum binding binding;
			bool ok; /* for a binding that needs it: false until granted */
		} authority;
		struct {
			uint64_t epoch;
			uint64_t fence_max;    /* highest reserved so far; grants begin above it */
			uint64_t claim_id_max; /* highest claim and session ids ever used */
			uint64_t session_id_max;
			bool same_boot;
			int64_t in_doubt_ms; /* earlier holders are unknown: nothing is granted for
						so long; 0: all are known */
		} start;
		struct {
			enum binding binding; /* BIND_NATIVE or BIND_TAB */
			bool browser;
			const struct token *resume; /* NULL: a new session */
			bool or_new; /* an unknown `resume` opens a new session: the peer may do so
					anyway */
			const char *name;
			const char *principal; /* NULL: by the uid, else "token" */
			int64_t pid, uid;
			uint64_t pid_start;
		} session;
		struct {
			uint64_t session;
			bool rest;             /* PEER_EXIT: of what it named, something lives */
			enum peer_reach reach; /* PEER_REACH; of a new session: by its pid */
			const char *why;       /* PEER_REACH: in words; may be NULL */
		} peer;
		const struct named_processes *processes; /* checked: they are the peer's own */
		struct {
			bool peer_gone;   /* native: the process is known to be dead */
			bool undelivered; /* HTTP: the answer was not wholly handed to the kernel */
		} closed;
		struct ev_acquire {
			enum binding binding; /* BIND_HTTP and BIND_STREAM need no session */
			bool browser, preemptible, evictable;
			bool loads;   /* its hold limit begins at READY, due in load_ms_max */
			bool no_wait; /* BUSY at once instead of a place */
			bool accept;  /* what it is given at once counts as accepted */
			enum lease_class cls;
			uint64_t ref, parent, host;
			uint64_t resumes;   /* the lease whose turn it gives back, and waits for */
			uint64_t uses;      /* the resident that it needs in memory; 0: none */
			uint32_t guests;    /* places that it offers to guests */
			bool guests_open;   /* to other principals, too */
			struct need need;   /* gpu_mask 0 stands for any */
			int64_t timeout_ms; /* <0: without limit; 0: not at all */
			int64_t ttl_ms;     /* BIND_HTTP; 0: default */
			int64_t uninterruptible_ms, min_residence_ms, load_ms;
			int64_t waited_ms; /* elsewhere, for the same; by binding */
			const char *name;  /* HTTP: the `id`; NULL: the session's name */
			const char *request_id, *label; /* may be NULL */
			const char *principal; /* plain; NULL: "token". A session has its own */
			uint32_t waiting_max, held_max; /* of the principal; 0: the default */
		} acquire;
		struct {
			uint64_t ref;
			bool keep; /* its place (lost_waiters.h); it ends what is held, too */
		} cancel;
		struct {
			uint64_t lease;            /* of the session it is from; 0: by token */
			const struct token *token; /* plain HTTP, or NULL */
			const char
				*id;  /* --compat bridge: by id where just one plain lease has it */
			bool requeue; /* come back with the old key */
			bool moved;   /* .. and what ran under it is off the GPU and stands still */
			bool keep;    /* its place (lost_waiters.h) */
			const char *detail; /* not requeue: how its work ended; may be NULL */
		} release;
		struct {
			uint64_t lease;
			const struct token *token;
			int64_t ttl_ms; /* 0: as before */
		} renew;
		struct {
			uint64_t lease;
			struct need need; /* slots and vram_bytes count; the GPUs stay; what is
					     given back is out of use when it is sent */
		} change;
		struct {
			uint64_t lease; /* of the session it is from */
			uint64_t to;    /* a waiting claim */
		} lend;
		struct {
			enum admin_act act;
			uint64_t lease;
			const char *who, *reason; /* for the audit; may be NULL */
		} admin;
		struct {
			uint32_t gpu;
			bool healthy;
			struct mono_ms measured; /* when it was taken; 0: now */
			bool used_known; /* a failed or stale probe is unknown, never zero */
			uint64_t vram_bytes_used; /* by everybody */
			int64_t idle_ms; /* for how long it was seen to compute nothing; 0: it does,
					    or it is not known */
			uint32_t observed_count;
			const struct observed {
				uint64_t session;
				uint64_t vram_bytes;
				uint64_t lease; /* of which of its leases; 0: not known */
			} * observed;           /* borrowed; what is in none is unmanaged */
		} sample;
	};
};
