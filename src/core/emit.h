/* emit: the messages and traces of a step. They wait in core.out until the step's records are
 * appended, so that nothing is answered before it is in the journal (I8). */
#pragma once
#include "core/party.h"
#include "core/send.h"
#include "core/trace.h"

struct claim;
struct core;
struct session;

/* A message for the caller to fill in; dropped if the party is gone. */
struct send_effect *emit(struct core *core, struct party to, enum send_kind msg);
/* The same, about a claim: ref, lease, state, end, and once granted its fence and GPUs. */
struct send_effect *emit_at(struct core *core, struct party to, const struct claim *claim,
			    enum send_kind msg);
/* The same, sent after this step's grants, so that the next holder hears first. */
void emit_last(struct core *core, struct party to, const struct claim *claim, enum send_kind msg);
struct send_effect *emit_claim(struct core *core, const struct claim *claim, enum send_kind msg);
/* SEND_GRANTED or SEND_OFFERED as the claim's state says, or SEND_QUEUED. */
void emit_standing(struct core *core, const struct claim *claim);
void emit_denied(struct core *core, struct party to, uint64_t ref, uint64_t lease, int err,
		 const char *detail);
/* How long it has waited, or did wait for its newest grant where it is `granted`. */
int64_t emit_waited_ms(const struct core *core, const struct claim *claim, bool granted);
/* Traces: from and to are the same state unless claim.c fills them in. */
struct trace_effect *trace_claim(struct core *core, const struct claim *claim,
				 enum trace_what what);
struct trace_effect *trace_session(struct core *core, const struct session *session,
				   enum trace_what what);
struct trace_effect *trace_event(struct core *core, enum trace_what what, const char *detail);

/* dst is always terminated; what does not fit is cut off. A NULL src reads as empty. */
void text_copy(char *dst, size_t size, const char *src);
