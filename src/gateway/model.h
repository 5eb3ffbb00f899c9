/* model: model servers, the models that each has, and where each model stands. Values only; what
 * happens to them is in catalog.h and residence.h. */
#pragma once
#include "base/list.h"
#include "base/mono.h"
#include "base/token.h"
#include "core/types.h"
#include "wire/turn_rule.h"

struct adapter;
struct call;
struct worker;

struct gateway_rule {
	char match[TURN_RULE_BYTES + 1];
	enum lease_class cls; /* LEASE_CLASS_COUNT: it passes */
};

/* Where a model's memory stands. */
enum residence {
	RESIDENCE_NONE,    /* not loaded, as far as Baton is concerned */
	RESIDENCE_QUEUED,  /* its memory is waited for */
	RESIDENCE_LOADING, /* granted; the server loads it */
	RESIDENCE_READY,
	RESIDENCE_LEAVING, /* asked to make room: what runs is finished, nothing begins */
	RESIDENCE_UNLOADING,
};

struct catalog;

struct model_server {
	struct catalog *catalog;
	struct list in_catalog;
	struct list models;     /* struct model */
	char *name, *url, *key; /* key NULL: none is shown */
	const struct adapter *adapter;
	struct worker *worker;         /* it is a tab, which has no url; or NULL */
	char *principal;               /* a tab's: only its requests; NULL: everybody's */
	unsigned running, concurrency; /* a tab's: requests that it has, and may have */
	bool takes_turns;    /* a tab that asks for none itself: Baton does, for each request */
	unsigned parallel;   /* requests that it works on at once; 0, 1: one */
	bool on_gpu;         /* false: it takes no lease, it is not on this machine's GPUs */
	uint32_t gpu_mask;   /* 0: any */
	uint64_t vram_bytes; /* of a model that says nothing; 0: not said */
	bool asked, up;      /* its list was asked for; it answered last time */
	struct mono_ms asked_at;
	struct call *list_call;
	bool configured; /* it stands in the configuration */
	bool removed;    /* it did: what runs there is finished, and nothing new begins */
	bool moved;      /* to other GPUs: who waits for it asks anew */
	/* Its command, if Baton starts it; else 0 and NULL. Words, as in gateway_server_config. */
	char *cmd, *env, *ready;
	unsigned cmd_count, env_count;
	int64_t idle_ms;
	int64_t silence_ms; /* of a request on its way, at most */
	uint64_t process;   /* 0: it does not run */
	/* Of its pages: what takes a turn, before what the adapter says; for how long at most a
	 * request waits for one, 0: as other requests. */
	struct gateway_rule *rules;
	unsigned rule_count;
	int64_t wait_ms;
};

struct model {
	struct list in_server;
	struct list waiting; /* relays that wait for it, oldest first */
	struct model_server *server;
	char *name, *alias;      /* as the server says it; as clients may say it, or NULL */
	bool configured, listed; /* it stands in the configuration; in the server's list */
	uint32_t routes;         /* a tab's: bits of those that it answers; 0: any */
	uint64_t vram_bytes;     /* configured, or as a tab says; 0: not */
	uint64_t file_bytes;     /* as listed; 0: not said */
	uint64_t seen_bytes;     /* as the server said when it was loaded; 0: never */
	enum residence residence;
	enum lease_class cls;  /* of the claim for its memory */
	uint64_t party, lease; /* of that; 0: none */
	uint64_t switching;    /* its number in the switch log, until it is ready; or 0 */
	struct token token;
	uint32_t gpus;             /* where it is */
	struct mono_ms since, due; /* of the state; when something is done about it, or never */
	int64_t load_ms;           /* what loading took last; 0: not known */
	unsigned running;          /* relays that it works for */
	bool changed;              /* who waits for it was not told yet */
	bool ready_untold;         /* it is ready, and whoever grants leases was not told yet */
	bool leaves;               /* it is unloaded once nothing runs there */
	bool resumed; /* it was in memory when the last broker ended, and its claim is asked for */
	bool load_pending;       /* its server was told to load it, and has not answered */
	bool refusal_noted;      /* the log says that its server does not unload it */
	bool answered;           /* it has, since it was loaded */
	struct mono_ms asked_at; /* by a request that loads it */
	bool awaits_place;       /* its load does, of a server with one model at a time */
	bool worked;             /* since it was loaded */
	struct call *call;       /* to its server, about it */
	struct call *stop_call;  /* the same, to stop what it does */
	unsigned failures;       /* to load it, in a row */
	unsigned crashes;        /* of its command, soon after it was started, in a row */
	struct mono_ms retry_at; /* not tried before */
	char failure[160];       /* the last, in words */
	int failure_err;         /* what who asks is told of it: a code of base/err.h */
};

/* Whether it can be asked for: a server's list may have had it, and have it no more. */
bool model_is_offered(const struct model *model);
/* A tab is there for the key that it came with, and for NULL. */
bool server_is_for(const struct model_server *server, const char *principal);
/* Offered, and by a server that is for this one. */
bool model_is_for(const struct model *model, const char *principal);
/* One of the globs, with commas between, is for its name or its alias. NULL: all are. */
bool model_is_among(const struct model *model, const char *globs);
bool server_has_room(const struct model_server *server); /* a tab may be full */
/* Its models take turns in its memory; a command has its one model for good. */
bool server_has_one_place(const struct model_server *server);
/* What its memory is reckoned to be; 0: not known. */
uint64_t model_vram_bytes(const struct model *model);
/* Until a failed one is tried again; 0: clients need not come again. */
int64_t model_retry_ms(const struct model *model, struct mono_ms now);
/* By which it waits in the queue for its memory; 0: it does not. */
uint64_t model_waiting_claim(const struct model *model);
const char *residence_name(enum residence residence);
