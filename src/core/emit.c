/* emit: builds SEND and TRACE effects. Decides nothing and changes no claim. */
#include "core/emit.h"
#include "base/contracts.h"
#include "base/err.h"
#include "core/effect.h"
#include "core/state.h"

#include <string.h>

void text_copy(char *dst, size_t size, const char *src)
{
	size_t length = src ? strnlen(src, size - 1) : 0;

	PRE(size > 0);
	if (length > 0)
		memcpy(dst, src, length);
	dst[length] = '\0';
	POST(length < size);
}

struct send_effect *emit(struct core *core, struct party to, enum send_kind msg)
{
	struct effect *effect = core->discard;

	PRE(msg < SEND_COUNT);

	if (to.kind != PARTY_NONE)
		effect = effects_add(&core->out, EFFECT_SEND);
	else
		effect_clear(effect, EFFECT_SEND);

	effect->to = to;
	effect->send.msg = msg;
	return &effect->send;
}

struct send_effect *emit_at(struct core *core, struct party to, const struct claim *claim,
			    enum send_kind msg)
{
	struct send_effect *send = emit(core, to, msg);

	PRE(claim->rec.id != 0);

	send->ref = claim->rec.ref;
	send->lease = claim->rec.id;
	send->state = claim->rec.state;
	send->end = claim->rec.end;

	if (claim_has_room(claim) && !claim_over(claim)) {
		INVARIANT(claim->rec.fence != 0);
		INVARIANT(claim->rec.granted_mask != 0);
		send->fence = claim->rec.fence;
		send->gpus = claim->rec.granted_mask;
		send->observed = claim->rec.observed;
		send->would_wait = claim->rec.would_wait;
	}
	return send;
}

void emit_last(struct core *core, struct party to, const struct claim *claim, enum send_kind msg)
{
	size_t count = core->out.count;

	emit_at(core, to, claim, msg);
	if (core->out.count == count)
		return; /* no recipient */

	effects_append(&core->answers, &core->out.v[count]);
	core->out.count = count;
}

struct send_effect *emit_claim(struct core *core, const struct claim *claim, enum send_kind msg)
{
	return emit_at(core, claim_party(claim), claim, msg);
}

static int64_t expires_ms(const struct core *core, const struct claim *claim)
{
	if (claim_proof(claim) == PROOF_TIME)
		return mono_since(claim->rec.ttl_deadline, core->now);
	return claim->session ? core->config.session_ttl_ms : 0;
}

void emit_standing(struct core *core, const struct claim *claim)
{
	struct send_effect *send;

	PRE(claim->rec.state != CLAIM_ENDED);

	if (claim->rec.state == CLAIM_QUEUED) {
		if (binding_of(claim->rec.binding)->ears)
			emit_claim(core, claim, SEND_QUEUED);
	} else if (claim->rec.state == CLAIM_OFFERED) {
		emit_claim(core, claim, SEND_OFFERED);
	} else {
		send = emit_claim(core, claim, SEND_GRANTED);
		send->token = claim->rec.token;
		send->expires_ms = expires_ms(core, claim);
	}
}

void emit_denied(struct core *core, struct party to, uint64_t ref, uint64_t lease, int err,
		 const char *detail)
{
	struct send_effect *send = emit(core, to, SEND_DENIED);

	PRE(err > ERR_NONE);
	PRE(err < ERR_COUNT);

	send->ref = ref;
	send->lease = lease;
	send->err = err;
	text_copy(send->detail, sizeof(send->detail), detail);

	if (err == ERR_STALE || err == ERR_REVOKED)
		core->stats.stale++;
}

struct trace_effect *trace_event(struct core *core, enum trace_what what, const char *detail)
{
	struct trace_effect *trace = &effects_add(&core->out, EFFECT_TRACE)->trace;

	trace->what = what;
	if (detail)
		text_copy(trace->detail, sizeof(trace->detail), detail);
	return trace;
}

struct trace_effect *trace_session(struct core *core, const struct session *session,
				   enum trace_what what)
{
	struct trace_effect *trace = trace_event(core, what, NULL);

	PRE(session->rec.id != 0);

	trace->session = session->rec.id;
	text_copy(trace->name, sizeof(trace->name), session->rec.name);
	text_copy(trace->principal, sizeof(trace->principal), session->rec.principal);
	return trace;
}

int64_t emit_waited_ms(const struct core *core, const struct claim *claim, bool granted)
{
	struct mono_ms until = granted ? claim->rec.held_since : core->now;
	int64_t waited_ms = mono_since(until, claim->rec.arrival) - claim->rec.used_ms;

	return waited_ms > 0 ? waited_ms : 0;
}

static_assert(sizeof(((struct trace_effect *)0)->name) ==
			      sizeof(((struct claim_record *)0)->name) &&
		      sizeof(((struct trace_effect *)0)->principal) ==
			      sizeof(((struct claim_record *)0)->principal),
	      "copied whole");

struct trace_effect *trace_claim(struct core *core, const struct claim *claim, enum trace_what what)
{
	struct trace_effect *trace;

	PRE(claim->rec.id != 0);

	if (claim->silent) {
		effect_clear(core->discard, EFFECT_TRACE);
		return &core->discard->trace;
	}

	trace = trace_event(core, what, NULL);
	trace->claim = claim->rec.id;
	trace->session = claim->rec.session;
	trace->from = trace->to = claim->rec.state;
	trace->end = claim->rec.end;
	trace->reason = claim->rec.yield_reason;
	trace->cls = claim->rec.cls;

	trace->fence = claim->rec.fence;
	trace->other = claim->yield_for;
	trace->age_ms = mono_since(core->now, claim->rec.arrival);

	bool granted = claim_has_room(claim) && claim->rec.state != CLAIM_OFFERED;
	trace->waited_ms = emit_waited_ms(core, claim, granted);
	if (granted)
		trace->held_ms = mono_since(core->now, claim->rec.held_since);
	if (claim_has_room(claim))
		trace->gpus = claim->rec.granted_mask;

	memcpy(trace->name, claim->rec.name, sizeof(trace->name));
	if (claim->rec.state == CLAIM_QUEUED)
		memcpy(trace->principal, claim->rec.principal, sizeof(trace->principal));
	return trace;
}
