/* world: one state of a scene: the real core, its journal, and clients that know nothing but what
 * they were told. It lies in the arena whole. What may happen next is a list of choices; each takes
 * the world to another state, and always to the same one. */
#pragma once
#include "core/config.h"
#include "core/core.h"
#include "core/effect.h"
#include "core/event.h"
#include "core/record.h"
#include "core/send.h"
#include "core/view.h"
#include "scene.h"

enum { ROWS_MAX = 16, INBOX_MAX = 8, CHOICES_MAX = 64 };

enum stage { STAGE_IDLE, STAGE_WAITING, STAGE_OFFERED, STAGE_HELD, STAGE_COUNT };

/* What a client hears. */
struct note {
	enum send_kind msg;
	uint64_t lease, fence;
	uint32_t gpus;
	enum claim_state state;
	enum end_reason end;
	int err;
	bool flag;
	struct token token;
};

struct client {
	enum stage stage;
	bool using;     /* the GPU, in truth */
	bool asked;     /* to give way */
	bool stretched; /* it said once that this takes longer */
	bool stopping;  /* it was told that its lease is over */
	bool done;      /* it gave its lease back, and does not know whether that was heard */
	bool lagging;   /* what it is told comes late */
	bool listed;    /* its lease, by the broker that it came back to */
	uint8_t asks;
	uint64_t conn;     /* of its session; 0: broken, or HTTP */
	uint64_t exchange; /* HTTP: where it waits for the answer */
	uint64_t session;
	uint64_t ref, parent;
	uint64_t lease; /* 0: none, or it does not know it yet */
	uint64_t over;  /* the lease that it was told is over */
	uint64_t fence, fence_sent;
	struct token secret, token;
	uint32_t gpus, slots, vram_gib;
	struct mono_ms stop_at;    /* without a word from the broker */
	struct mono_ms stop_since; /* it was told to */
	struct mono_ms began;      /* to use it */
	struct mono_ms lag_since;
	struct mono_ms promise;       /* waits no longer than this; NEVER: nothing was promised */
	struct mono_ms waits_since;   /* of the promise */
	bool counted;                 /* this wait has its promise */
	struct note inbox[INBOX_MAX]; /* while it lags */
	uint8_t inbox_count;
};

struct world {
	const struct scene *scene;
	struct core *core;
	struct effects fx;
	struct mono_ms now;
	struct client clients[CAST_MAX];
	uint64_t conn_next, random_next, epoch;
	uint64_t claim_id_max, session_id_max, fence_max, fence_told;
	uint32_t cap[LIMIT_GPUS]; /* turns that may be in use at once, by what is configured */
	uint8_t crashes, lost, asked, reloads;
	uint8_t asking;       /* whose claim a new one is */
	bool reloaded, armed; /* armed: the broker dies after it commits the next turn */
	struct claim_record claims[ROWS_MAX];
	struct session_record sessions[ROWS_MAX];
	uint32_t claim_rows, session_rows;
	struct event pending[CAST_MAX * 4]; /* what follows from what was told, in the next turn */
	uint32_t pending_count;
	struct mono_ms wake;
};

enum act {
	ACT_PASS, /* one tick of time */
	ACT_WAKE, /* time until the core wants to look again */
	ACT_CRASH,
	ACT_ARM,
	ACT_RELOAD,
	ACT_OF_CLIENT, /* from here on each names a client */
	ACT_ASK = ACT_OF_CLIENT,
	ACT_ACCEPT,
	ACT_CANCEL,
	ACT_RELEASE,
	ACT_REQUEUE,
	ACT_STRETCH,
	ACT_CLOSE,
	ACT_OPEN, /* resumes its session, or begins a new one */
	ACT_DIE,
	ACT_LEND,
	ACT_CHANGE,
	ACT_LAG,
	ACT_HEAR,
	ACT_FORGET, /* its release is lost with its connection */
	ACT_STOPPED,
	ACT_BE_ASKED,
	ACT_COUNT
};

struct choice {
	enum act act;
	uint8_t client;
};

static inline uint8_t choice_pack(struct choice choice)
{
	return (uint8_t)(choice.act * 4 + choice.client);
}
static inline struct choice choice_unpack(uint8_t packed)
{
	return (struct choice){packed / 4, packed % 4};
}

struct world *world_create(const struct scene *scene); /* in the arena, which is open */
uint32_t world_choices(const struct world *w, struct choice *ret_choices);
void world_apply(struct world *w, struct choice choice);
const char *act_name(enum act act);

/* Of one client, for the going on as well. */
bool choice_open(const struct world *w, struct choice choice);

static inline const struct cast *cast_of(const struct world *w, const struct client *client)
{
	return &w->scene->cast[client - w->clients];
}
static inline bool is_http(const struct world *w, const struct client *client)
{
	return cast_of(w, client)->binding == BIND_HTTP;
}

/* broker.c: the turns of the daemon. */
void broker_start(struct world *w);
void broker_turn(struct world *w, struct event event); /* steps it, ticks, commits, tells */
void broker_crash(struct world *w);
void broker_pass(struct world *w, struct mono_ms until);
void broker_follow(struct world *w, struct event event); /* in a turn after this one */

/* hear.c: what clients do about what they are told. */
void client_told(struct world *w, struct client *client, const struct effect *fx);
void client_hears(struct world *w, struct client *client); /* all that came late */
void client_over(struct client *client);
void client_rests(struct client *client);
void client_lose_conn(struct world *w, struct client *client);
void client_dies(struct world *w, struct client *client);
void client_stopped(struct world *w, struct client *client);

/* judge.c: the first thing that is wrong, in words, or NULL. */
void judge_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *judge_found(void);
void judge_forget(void);
void judge_world(struct world *w);
extern bool judge_bounds;          /* false: what was promised is not judged */
extern double judge_worst_of_told; /* of all waits that ended: wait over told */

/* canon.c: equal for states from which the same can happen. */
struct hash128;
struct hash128 canon_hash(const struct world *w);

/* trace.c: a path in words, where one is asked for. */
extern bool trace_on;
const char *message_word(enum send_kind msg);
void trace_say(const struct world *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
