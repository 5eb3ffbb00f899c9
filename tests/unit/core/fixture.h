/* fixture: a core under test: a clock that moves only on request, a journal in memory, and short
 * calls for what clients do. Each step is followed by core_check. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/config.h"
#include "core/core.h"
#include "core/effect.h"
#include "core/event.h"
#include "core/record.h"
#include "core/view.h"

enum { RIG_ROWS = 512 };

#define GIB ((uint64_t)1 << 30)

struct fixture {
	struct core *core;
	struct core_config
		config;    /* change it before fixture_start, or call fixture_configure after */
	struct effects fx; /* of the last act: one event, or all ticks of a fixture_pass */
	struct mono_ms now;
	const char *principal; /* of sessions opened and plain requests made from now on; NULL:
				  derived, "uid:0" and "token" */
	uint64_t conn_next, ref_next, random_next;
	/* the journal */
	struct claim_record claims[RIG_ROWS];
	struct claim_detail details[RIG_ROWS];
	struct session_record sessions[RIG_ROWS];
	uint32_t claim_count, session_count;
	int64_t in_doubt_ms; /* of the next start */
	uint64_t fence_max, claim_id_max, session_id_max, epoch;
	bool paused, unchecked; /* unchecked: no core_check and no journal, for tests of scale */
};

/* One GPU of one turn and unknown VRAM; headroom 0; no limit of its own for a principal. */
void fixture_init(struct fixture *fixture);
void fixture_gpus(struct fixture *fixture, uint32_t count, uint32_t slots,
		  uint64_t vram_bytes); /* 0: unknown */
void fixture_start(struct fixture *fixture);
void fixture_finish(struct fixture *fixture);
void fixture_configure(struct fixture *fixture);
/* The broker dies and starts again. */
void fixture_restart(struct fixture *fixture, bool same_boot);

void fixture_step(struct fixture *fixture, struct event event); /* sets now and random */
/* Time passes; ticks come when the core wants them, and at the end. */
void fixture_pass(struct fixture *fixture, int64_t ms);

uint64_t fixture_session(struct fixture *fixture, enum binding binding,
			 const char *name); /* its conn */
uint64_t fixture_resume(struct fixture *fixture, enum binding binding, uint64_t session);
uint64_t fixture_session_id(const struct fixture *fixture, uint64_t conn);
void fixture_close(struct fixture *fixture, uint64_t conn);
/* A request for one compute turn; change it and pass it to fixture_ask. conn 0: a new exchange. */
struct event fixture_want(enum binding binding, enum lease_class cls, const char *name);
/* A native program's, for so much of one GPU. */
struct event fixture_need(enum lease_class cls, uint32_t slots, uint64_t vram_bytes);
/* The claim's id, or 0 if it was denied. The event gets its conn and ref. */
uint64_t fixture_ask(struct fixture *fixture, uint64_t conn, struct event event);
/* In a session: asks and accepts; the lease must be held afterwards. */
uint64_t fixture_take(struct fixture *fixture, uint64_t conn, struct event event);
uint64_t fixture_hold(struct fixture *fixture, uint64_t conn, enum lease_class cls);
uint64_t fixture_wait(struct fixture *fixture, uint64_t conn, enum lease_class cls); /* must wait */
void fixture_accept(struct fixture *fixture, uint64_t conn, uint64_t lease);
void fixture_release(struct fixture *fixture, uint64_t conn, uint64_t lease, bool requeue);
void fixture_unlock(struct fixture *fixture, const struct token *token); /* on a new exchange */
void fixture_admin(struct fixture *fixture, enum admin_act act, uint64_t lease);
void fixture_sample(struct fixture *fixture, uint32_t gpu, uint64_t used, uint64_t session,
		    uint64_t observed);
void fixture_alive(struct fixture *fixture, uint64_t conn);

/* The last effect of a message about a claim (0: any) in the last act, or NULL. */
const struct effect *fixture_sent(const struct fixture *fixture, enum send_kind msg,
				  uint64_t lease);
int fixture_error(const struct fixture *fixture); /* of the last SEND_DENIED; 0: none */
uint32_t fixture_count(const struct fixture *fixture, enum send_kind msg);
const struct effect *fixture_signal(const struct fixture *fixture, int signo);
/* CLAIM_ENDED when it is gone. */
enum claim_state fixture_state(const struct fixture *fixture, uint64_t claim);
enum end_reason fixture_end(const struct fixture *fixture,
			    uint64_t claim); /* by the journal's last row */
const struct claim_record *fixture_row(const struct fixture *fixture, uint64_t claim);
enum why_code fixture_why(const struct fixture *fixture, uint64_t claim);

/* For cmocka: state is a started fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
