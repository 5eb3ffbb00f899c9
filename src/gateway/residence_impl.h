/* residence_impl: private to residence*.c: the steps that one part leaves to another. */
#pragma once
#include "gateway/call.h"
#include "gateway/model.h"

struct adapter_call;
struct adapter_model;
struct call_answer;
struct residences;

enum {
	RESIDENCE_CALL_MS = 10 * 1000, /* for an answer that takes no loading */
	RESIDENCE_RETRY_MS_MAX = 5 * 60 * 1000,
};

/* What a server says that it has in memory. */
struct loaded_search {
	const struct model *model;
	uint64_t bytes;
	bool found, other; /* that model; one that nobody here has the place for */
	bool placed;       /* one that has the server's one place itself */
};

/* residence.c */
struct residences *residences_of(const struct model *model);
void residence_enter(struct model *model, enum residence residence, struct mono_ms now);
void residence_forget_claim(struct model *model);
void residence_changed(struct residences *residences, struct model *model);
/* A load failed: the next is tried later. */
void residence_failed(struct residences *residences, struct model *model, struct mono_ms now,
		      const char *what);
/* To its server, about it. As call_start. */
int residence_call(struct model *model, const struct adapter_call *what, int64_t time_ms,
		   call_done *done);
/* An adapter's read_loaded calls it; `ctx` is a loaded_search. */
void residence_look_for(void *ctx, const struct adapter_model *found);
/* False: the answer to `loaded` does not say what it has. */
bool residence_read_loaded(const struct call_answer *answer, struct loaded_search *search);
/* When an idle model is looked at again. */
struct mono_ms residence_look_again_at(const struct model *model, struct mono_ms now);

/* residence_load.c: granted; `ask_ready` again while its command starts. */
void residence_load(struct residences *residences, struct model *model, struct mono_ms now);
void residence_ask_ready(struct residences *residences, struct model *model, struct mono_ms now);
void residence_become_ready(struct residences *residences, struct model *model, struct mono_ms now);
void residence_load_failed(struct residences *residences, struct model *model, struct mono_ms now,
			   const char *what);

/* residence_single.c: the next step of a load at a server with one model at a time. Whether another
 * model of that name has its place. */
void residence_load_single(struct residences *residences, struct model *model, struct mono_ms now);
bool residence_is_placed(const struct model *model, const char *name);

/* residence_unload.c: at once; once what runs is finished, or had `time_ms` or finish_ms for it;
 * the same, for the switch that has this claim; again, while it is not proven. */
void residence_unload(struct residences *residences, struct model *model, struct mono_ms now);
void residence_leave(struct residences *residences, struct model *model, int64_t time_ms,
		     struct mono_ms now);
void residence_leave_for(struct residences *residences, struct model *model, uint64_t claim,
			 int64_t time_ms, struct mono_ms now);
void residence_ask_unload(struct residences *residences, struct model *model, struct mono_ms now);
/* Its memory is free, as far as can be known: what its claim kept goes to others. */
void residence_give_back(struct residences *residences, struct model *model, struct mono_ms now);
