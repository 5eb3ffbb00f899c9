/* switch_log: which models were brought into memory last: for whom, how long each waited and
 * loaded, and what had to leave for it. Values only, in the order in which they were asked for; a
 * number is used once, and one whose switch is over or forgotten changes nothing. */
#pragma once
#include "base/limits.h"
#include "base/mono.h"
#include "core/types.h"
#include "gateway/json_scan.h"

enum { SWITCH_COUNT = 32, SWITCH_LEFT_COUNT = 8 };

enum switch_stage {
	SWITCH_NONE,    /* an empty place */
	SWITCH_WAITING, /* for memory */
	SWITCH_LOADING,
	SWITCH_READY,
	SWITCH_FAILED,
	SWITCH_BROKEN_OFF, /* others needed the room, or nobody may ask for it any more */
};

struct switch_model {
	char name[JSON_SCAN_MODEL_BYTES],
		server[LIMIT_ID_BYTES + 1]; /* cut where they are longer */
};

/* One that had to leave. */
struct switch_left {
	struct switch_model model;
	struct mono_ms since; /* it was asked to */
	int64_t took_ms;      /* until its memory was free; -1: it leaves */
};

/* Whose request it is; borrowed for the call. */
struct switch_cause {
	const char *client, *principal;
	enum lease_class cls;
};

struct switch_entry {
	uint64_t number, claim; /* claim 0: not known yet */
	enum switch_stage stage;
	struct switch_model model;
	char client[LIMIT_ID_BYTES + 1], principal[LIMIT_PRINCIPAL_BYTES + 1];
	enum lease_class cls;
	uint32_t gpus; /* 0 while it waits */
	struct wall_ms at;
	struct mono_ms since, granted;
	int64_t waited_ms, load_ms; /* -1: that is not over, or never was */
	struct switch_left left[SWITCH_LEFT_COUNT];
	unsigned left_count;
};

struct switch_log { /* zeroed: empty */
	struct switch_entry entries[SWITCH_COUNT];
	uint64_t count; /* numbers given */
};

/* A model's memory is asked for. The switch's number; the oldest switch goes where all places are
 * taken. */
uint64_t switch_log_begin(struct switch_log *log, const char *model, const char *server,
			  const struct switch_cause *cause, struct mono_ms now, struct wall_ms at);
/* Asked for anew, for somebody of a higher class; the claim is another. */
void switch_log_blame(struct switch_log *log, uint64_t number, const struct switch_cause *cause);
void switch_log_claim(struct switch_log *log, uint64_t number, uint64_t claim);
/* A model is asked to leave for that claim; it stays after all; its memory is free. */
void switch_log_leaves(struct switch_log *log, uint64_t claim, const char *model,
		       const char *server, struct mono_ms now);
void switch_log_stays(struct switch_log *log, const char *model, const char *server);
void switch_log_gone(struct switch_log *log, const char *model, const char *server,
		     struct mono_ms now);
void switch_log_load(struct switch_log *log, uint64_t number, uint32_t gpus, struct mono_ms now);
/* `stage`: how it ended. A wait that ends without a load was no switch, and is forgotten. */
void switch_log_end(struct switch_log *log, uint64_t number, enum switch_stage stage,
		    struct mono_ms now);
/* By its number; or the one that was asked for before `entry`, the newest for NULL. NULL: none. */
const struct switch_entry *switch_log_find(const struct switch_log *log, uint64_t number);
const struct switch_entry *switch_log_before(const struct switch_log *log,
					     const struct switch_entry *entry);
const char *switch_stage_name(enum switch_stage stage);
