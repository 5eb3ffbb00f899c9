/* rig: a core on the bench: a clock that stands still until told, a journal in memory, and short
 * words for what clients do. Each step is followed by core_check. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"
#include "core/view.h"

enum { RIG_ROWS = 512 };

#define GIB ((uint64_t)1 << 30)

struct rig {
	struct core *core;
	struct core_config config; /* change it before rig_start, or call rig_configure after */
	struct effects fx;         /* of the last act: one event, or all ticks of a rig_pass */
	struct mono_ms now;
	const char *principal; /* of sessions opened and plain requests made from now on; NULL:
				  derived, "uid:0" and "token" */
	uint64_t conn_next, ref_next, random_next;
	/* the journal */
	struct claim_record claims[RIG_ROWS];
	struct session_record sessions[RIG_ROWS];
	uint32_t claim_count, session_count;
	int64_t in_doubt_ms; /* of the next start */
	uint64_t fence_max, claim_id_max, session_id_max, epoch;
	bool paused, unchecked; /* unchecked: no core_check and no journal, for tests of scale */
};

/* One GPU of one turn and unknown VRAM; headroom 0; no limit of its own for a principal. */
void rig_init(struct rig *rig);
void rig_gpus(struct rig *rig, uint32_t count, uint32_t slots,
	      uint64_t vram_bytes); /* 0: unknown */
void rig_start(struct rig *rig);
void rig_finish(struct rig *rig);
void rig_configure(struct rig *rig);
/* The broker dies and starts again. */
void rig_restart(struct rig *rig, bool same_boot);

void rig_step(struct rig *rig, struct event event); /* sets now and random */
/* Time passes; ticks come when the core wants them, and at the end. */
void rig_pass(struct rig *rig, int64_t ms);

uint64_t rig_session(struct rig *rig, enum binding binding, const char *name); /* its conn */
uint64_t rig_resume(struct rig *rig, enum binding binding, uint64_t session);
uint64_t rig_session_id(const struct rig *rig, uint64_t conn);
void rig_close(struct rig *rig, uint64_t conn);
/* A request for one compute turn; change it and pass it to rig_ask. conn 0: a new exchange. */
struct event rig_want(enum binding binding, enum lease_class cls, const char *name);
/* A native program's, for so much of one GPU. */
struct event rig_need(enum lease_class cls, uint32_t slots, uint64_t vram_bytes);
/* The claim's id, or 0 if it was denied. The event gets its conn and ref. */
uint64_t rig_ask(struct rig *rig, uint64_t conn, struct event event);
/* In a session: asks and accepts; the lease must be held afterwards. */
uint64_t rig_take(struct rig *rig, uint64_t conn, struct event event);
uint64_t rig_hold(struct rig *rig, uint64_t conn, enum lease_class cls);
uint64_t rig_wait(struct rig *rig, uint64_t conn, enum lease_class cls); /* must wait */
void rig_accept(struct rig *rig, uint64_t conn, uint64_t lease);
void rig_release(struct rig *rig, uint64_t conn, uint64_t lease, bool requeue);
void rig_unlock(struct rig *rig, const struct token *token); /* on a new exchange */
void rig_admin(struct rig *rig, enum admin_act act, uint64_t lease);
void rig_sample(struct rig *rig, uint32_t gpu, uint64_t used, uint64_t session, uint64_t observed);
void rig_alive(struct rig *rig, uint64_t conn);

/* The last effect of a message about a claim (0: any) in the last act, or NULL. */
const struct effect *rig_sent(const struct rig *rig, enum send_kind msg, uint64_t lease);
int rig_error(const struct rig *rig); /* of the last SEND_DENIED; 0: none */
uint32_t rig_count(const struct rig *rig, enum send_kind msg);
const struct effect *rig_signal(const struct rig *rig, int signo);
/* CLAIM_ENDED when it is gone. */
enum claim_state rig_state(const struct rig *rig, uint64_t claim);
enum end_reason rig_end(const struct rig *rig, uint64_t claim); /* by the journal's last row */
const struct claim_record *rig_row(const struct rig *rig, uint64_t claim);
enum why_code rig_why(const struct rig *rig, uint64_t claim);

/* For cmocka: state is a started rig. */
int rig_setup(void **state);
int rig_teardown(void **state);
