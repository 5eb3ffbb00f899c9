/* residence: the memory of models: asked for, loaded, given back when others need it. One claim
 * without a turn stands for each model that is in memory; it can be evicted where its server can
 * unload. A model whose load fails is not tried again at once: after 15 s, doubling to 5 minutes.
 */
#pragma once
#include "base/list.h"
#include "base/mono.h"

struct catalog;
struct lease_kept;
struct lease_port;
struct log;
struct model;
struct model_server;
struct process_port;
struct send_effect;
struct switch_cause;
struct switch_log;

struct residences {
	struct catalog *catalog;
	const struct lease_port *port;
	const struct process_port *processes; /* who starts commands */
	uint64_t process_next;
	struct log *log;
	struct switch_log *switches; /* borrowed: what was brought in, and for whom */
	uint64_t party_next;         /* even numbers; relays have odd ones */
	int64_t finish_ms;           /* how long what runs may go on when it is asked to leave */
	int64_t load_ms_max;         /* for one load */
	int64_t unload_ms_max; /* until a model's memory counts as free, whatever its server says */
	struct mono_ms started; /* the gateway */
	struct list kept;       /* of the last broker's, those whose names are not known yet */
	/* It is ready, or will not be: see model_failed; or what runs there must stop. */
	void (*on_change)(void *ctx, struct model *model);
	bool (*is_wanted)(void *ctx, const struct model *model); /* requests wait for it, or run */
	void *ctx;
};

/* A request waits for the model. 0, or what hinders: -ERR_MODEL_FAILED until model->retry_at. */
int residence_want(struct residences *residences, struct model *model,
		   const struct switch_cause *cause, struct mono_ms now);
/* A model was in memory when the last broker ended: its claim is asked for again, and its server
 * whether it still has it; one with a name longer than its label once its server has listed it.
 * False: it was another server's, behind the same name. */
bool residence_resume(struct residences *residences, struct model_server *server,
		      const struct lease_kept *kept, struct mono_ms now);
/* The server has said what its models are. */
void residence_listed(const struct model_server *server, struct mono_ms now);
void residences_finish(struct residences *residences);
/* Nobody waits any more. What is loading goes on. */
void residence_unwanted(struct residences *residences, struct model *model);
/* It is offered no more, or must be elsewhere: what runs is finished, then it is unloaded. The
 * start of a command is broken off; another load may end after its unload, and is waited for. */
void residence_retire(struct residences *residences, struct model *model, struct mono_ms now);
/* Nobody listens there any more, or it broke off: what is said to be in its memory is looked at
 * again, at once. */
void residence_server_gone(const struct model_server *server, struct mono_ms now);
/* Who waited for it has heard that it is ready, and waits for turns. Only then whoever grants
 * leases hears it: a model that nobody uses makes room for a higher class at once. */
void residence_told(struct residences *residences, struct model *model);
/* A request goes to its server, which loads it by that where it cannot be told to; it answers. */
void residence_asked(struct model *model, struct mono_ms now);
void residence_answered(struct model *model);
/* One that ran is done. */
void residence_worked(struct residences *residences, struct model *model, struct mono_ms now);
/* True: the party is a model's. */
bool residence_news(struct residences *residences, uint64_t party, const struct send_effect *send,
		    struct mono_ms now);
/* A server's command and all that it started are gone. */
void residence_process_ended(struct residences *residences, uint64_t process, int status,
			     struct mono_ms now);
void residence_tick(struct residences *residences, struct mono_ms now);
struct mono_ms residence_next(const struct residences *residences); /* when it wants a tick */
