/* record: what must outlive the daemon. The core emits records as EFFECT_APPEND; the store keeps
 * the newest PUT per id, commits before anything is sent, and gives the live ones back by
 * EVENT_RESTORE. Times are of the boot that wrote them; the store knows the boot id. Strings are
 * NUL-terminated UTF-8. */
#pragma once
#include "base/limits.h"
#include "base/mono.h"
#include "base/token.h"
#include "core/types.h"

struct field_table;

/* The processes that use the GPU for a native session, besides its peer. */
struct named_processes {
	uint32_t count;
	struct named_process {
		int64_t pid;
		uint64_t pid_start;
	} v[LIMIT_PROCESSES];
	int64_t keeper; /* of v: waited for like the others, never killed; 0: none */
	char cgroup[LIMIT_CGROUP_BYTES + 1]; /* a folder of cgroup2; "": none */
	char mark[LIMIT_MARK_BYTES + 1];     /* in the environment of all of it; "": none */
};

struct session_record {
	uint64_t id;
	struct token secret;  /* what `resume` must show */
	enum binding binding; /* BIND_NATIVE or BIND_TAB */
	int64_t pid;          /* BIND_NATIVE, else 0 */
	uint64_t pid_start;   /* /proc/PID/stat field 22, guards against pid reuse */
	int64_t uid;          /* -1: unknown */
	char name[LIMIT_ID_BYTES + 1];
	struct named_processes named; /* BIND_NATIVE */
	char principal[LIMIT_PRINCIPAL_BYTES + 1];
	int64_t ttl_ms; /* how long it may be silent, as announced in WELCOME */
};

struct claim_record {
	uint64_t id;      /* also the lease's number on the wire; rises strictly */
	uint64_t session; /* 0 for BIND_STREAM and BIND_HTTP */
	uint64_t ref;     /* the client's number for its claim, echoed */
	uint64_t fence;   /* of the newest grant; 0 before the first */
	uint64_t parent;  /* the lease whose holder waits for this claim; 0: none */
	uint64_t lender;  /* HELD inside that lease's room, which was lent to it; 0: none */
	uint64_t host;    /* the lease inside which it runs, or waits for a place; 0: none */
	uint64_t resumes; /* the parked lease whose turn it waits for; 0: none */
	uint64_t uses;    /* the resident that it needs in memory to compute; 0: none, or unknown */
	struct token token;
	enum claim_state state;
	enum end_reason end;
	enum lease_class cls;
	enum binding binding;
	bool browser;     /* has an Origin: unclean loss is followed by the lock-delay */
	bool preemptible; /* may be asked to yield before hold_ms_max */
	bool evictable;
	uint8_t guests;   /* how many may run inside it */
	bool guests_open; /* from anybody, not only its principal */
	bool loads;       /* reports when its model is loaded; only then its turn begins */
	bool loading;     /* .. and has not reported so since its newest grant */
	bool observed;    /* granted in observe mode: nobody but an operator makes it leave */
	bool would_wait;  /* .. and the rules would have let it wait then */
	bool revoked; /* YIELDING: the grace is over, the token refused, the capacity not yet free
		       */
	struct need need;
	uint32_t granted_mask; /* GPUs held or offered */
	uint32_t parked_slots; /* HELD: of the turn that it gave back, keeping memory; 0: none */
	bool moved;            /* waits: what ran under it was moved off the GPU and stands still */
	enum yield_reason yield_reason;
	enum end_reason end_as; /* revoked: how it will end; NONE: was not */
	uint8_t acks_missed;    /* offers left unanswered in a row */
	bool due_turn;          /* its turn was due to its class: protected for a quantum */
	int64_t ttl_ms;         /* BIND_HTTP */
	int64_t uninterruptible_ms;
	int64_t grace_ms; /* YIELDING: what it was told it has, its host's where it runs inside */
	int64_t min_residence_ms;
	int64_t load_ms;    /* what reloading costs, for eviction */
	int64_t used_ms;    /* service in earlier runs of this claim */
	int64_t loaded_ms;  /* `loads`: time of loading, in all runs that make up one turn */
	int64_t timeout_ms; /* how long it waits each time it queues; <0: without limit */
	struct mono_ms arrival;
	struct mono_ms tag;           /* the order inside its class; key = tag + offset(class) */
	struct mono_ms wait_deadline; /* MONO_NEVER: without limit */
	struct mono_ms ttl_deadline;  /* BIND_HTTP while held */
	struct mono_ms held_since;
	struct mono_ms turn_since;   /* when its present compute turn began */
	struct mono_ms parked_until; /* until when the memory is kept from its own class */
	struct mono_ms due_since;    /* when that was granted, or became a due one */
	struct wall_ms arrival_wall, held_wall, ended_wall;
	/* For who replays the past: before it came back as a new arrival it was this; 0: it never
	 * did. */
	struct wall_ms first_wall;
	int64_t turns_ms; /* .. and had so much of a GPU, after first_wall and before arrival */
	char name[LIMIT_ID_BYTES + 1];
	char request_id[LIMIT_REQUEST_ID_BYTES + 1];
	char label[LIMIT_LABEL_BYTES + 1];
	char principal[LIMIT_PRINCIPAL_BYTES + 1]; /* "": a session's, of an old journal */
	struct mono_ms written; /* when this row was, for what its times mean in another boot */
};

/* Of a claim that has ended, or drains: how its work ended, as its client says. Apart, because
 * those that wait would each have room for it. */
struct claim_detail {
	char text[LIMIT_REASON_BYTES + 1];
};

enum record_type {
	RECORD_SESSION_PUT, /* session */
	RECORD_SESSION_END, /* session.id */
	RECORD_CLAIM_PUT,   /* claim */
	RECORD_CLAIM_END,   /* claim, whole: becomes history */
	RECORD_FENCE,       /* fence_max: fences up to it may be used; the store syncs it to disk */
	RECORD_PAUSED,      /* paused, reason */
	RECORD_AUDIT,       /* an operator's act: who, act, reason; kept in history */
};

struct record {
	enum record_type type;
	union {
		struct session_record session;
		struct {
			struct claim_record claim;
			struct claim_detail detail;
		};
		uint64_t fence_max;
		struct {
			bool paused;
			struct wall_ms wall;
			uint64_t lease;
			char who[LIMIT_ID_BYTES + 1];
			char act[32];
			char reason[LIMIT_REASON_BYTES + 1];
		} admin; /* RECORD_PAUSED and RECORD_AUDIT */
	};
};

/* What a number in a record refers to, so that an export can renumber it (core/export.h). */
enum record_sense {
	SENSE_NONE,
	SENSE_CLAIM,
	SENSE_SESSION,
	SENSE_CONN,
	SENSE_GPU,   /* an array of what there is for each GPU */
	SENSE_NOISE, /* decides nothing: text for people, wall times, secrets, counts */
};

/* The fields of a record, for the journal and the core's export. A new field is a new row. */
extern const struct field_table session_record_fields, claim_record_fields;
extern const struct field_table claim_detail_fields; /* behind a claim's */
/* Same bytes as fields_write by claim_record_fields, with times from `base`, but unrolled: every
 * step of a lease is journaled. */
uint8_t *claim_record_write(const struct claim_record *record, int64_t base, uint8_t *at);
