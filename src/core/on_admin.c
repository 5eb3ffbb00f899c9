/* on_admin: what an operator may do: to one lease, to all, or to granting itself. Every act is
 * recorded with who did it and why. The edge has checked permission. */
#include "base/contracts.h"
#include "base/err.h"
#include "core/claim.h"
#include "core/effect.h"
#include "core/emit.h"
#include "core/event.h"
#include "core/on.h"
#include "core/revoke.h"
#include "core/state.h"
#include "core/yield.h"

static const char *const admin_words[] = {
	[ADMIN_YIELD] = "yield",
	[ADMIN_REVOKE] = "revoke",
	[ADMIN_CANCEL] = "cancel",
	[ADMIN_PAUSE] = "pause",
	[ADMIN_RESUME] = "resume",
	[ADMIN_RESET] = "reset",
	[ADMIN_FORCE_RELEASE_ALL] = "force-release-all",
};

static void write_down(struct core *core, const struct event *event, enum record_type type)
{
	struct record *record = &effects_add(&core->admin_records, EFFECT_APPEND)->record;

	record->type = type;
	record->admin.paused = core->paused;
	record->admin.wall = core->wall;
	record->admin.lease = event->admin.lease;

	text_copy(record->admin.who, sizeof(record->admin.who), event->admin.who);
	text_copy(record->admin.act, sizeof(record->admin.act), admin_words[event->admin.act]);
	text_copy(record->admin.reason, sizeof(record->admin.reason), event->admin.reason);
}

static void report_done(struct core *core, const struct event *event, uint64_t touched)
{
	write_down(core, event, RECORD_AUDIT);
	emit(core, event->from, SEND_OK)->lease = touched;
}

static void one_lease(struct core *core, const struct event *event)
{
	struct claim *claim = claim_by_id(core, event->admin.lease);
	bool ask = event->admin.act == ADMIN_YIELD;

	if (!claim) {
		emit_denied(core, event->from, 0, event->admin.lease, ERR_NOT_FOUND, NULL);
		return;
	}

	if (claim->rec.state == CLAIM_QUEUED && !ask) {
		claim_end(core, claim, END_FORCE_RELEASED);
		emit_claim(core, claim, SEND_RELEASED);
	} else if (claim_has_room(claim) && !ask && !claim->rec.revoked) {
		revoke_begin(core, claim, YIELD_OPERATOR, END_REVOKED);
	} else if (claim_is_held(claim)) {
		yield_ask(core, claim, YIELD_OPERATOR, 0);
	} else {
		emit_denied(core, event->from, 0, event->admin.lease, ERR_STATE, NULL);
		return;
	}

	report_done(core, event, 1);
}

/* Removes a waiter, or a claim with an unanswered offer. Not a holder: by the time the command
 * arrives, the waiter of a moment ago may be computing. */
static void cancel_waiter(struct core *core, const struct event *event)
{
	struct claim *claim = claim_by_id(core, event->admin.lease);

	if (!claim) {
		emit_denied(core, event->from, 0, event->admin.lease, ERR_NOT_FOUND, NULL);
	} else if (claim->rec.state != CLAIM_QUEUED && claim->rec.state != CLAIM_OFFERED) {
		emit_denied(core, event->from, 0, event->admin.lease, ERR_STATE,
			    "It waits no more, it holds; release it instead.");
	} else {
		claim_end(core, claim, END_FORCE_RELEASED);
		emit_claim(core, claim, SEND_RELEASED);
		report_done(core, event, 1);
	}
}

static void set_paused(struct core *core, const struct event *event, bool paused)
{
	if (core->unwritable) {
		emit_denied(core, event->from, 0, 0, ERR_JOURNAL, NULL);
		return;
	}

	/* A resume while not paused: the operator vouches that no earlier holder still runs. */
	if (!paused && !core->paused)
		core->in_doubt_until = core->now;
	core->promise_anew |= core->paused && !paused;
	core->paused = paused;

	estimate_disturbed(core);
	core->queue_changed = true;

	write_down(core, event, RECORD_PAUSED);
	trace_event(core, paused ? TRACE_PAUSED : TRACE_RESUMED, event->admin.reason);
	report_done(core, event, 0);
}

static uint64_t end_waiters(struct core *core)
{
	struct rank_node *node;
	uint64_t touched = 0;

	while ((node = rank_tree_first(&core->places))) {
		struct claim *claim = claim_of_place(node);
		claim_end(core, claim, END_FORCE_RELEASED);
		emit_claim(core, claim, SEND_RELEASED);
		touched++;
	}

	POST(rank_tree_count(&core->places) == 0);
	return touched;
}

/* An offer is not a hold: reset leaves it, force-release-all ends it. Nothing is granted again
 * before its holder is known to have stopped (P1, P2). */
static uint64_t revoke_holders(struct core *core, bool offers, enum end_reason end)
{
	struct rank_node *node = rank_tree_first(&core->holders);
	uint64_t touched = 0;

	while (node) {
		struct claim *claim = claim_of_place(node);
		uint64_t id = claim->rec.id;
		if (!claim->rec.revoked && (offers || claim->rec.state != CLAIM_OFFERED)) {
			revoke_begin(core, claim, YIELD_OPERATOR, end);
			touched++;
		}
		node = rank_tree_from(&core->holders, 0, id + 1);
	}
	return touched;
}

/* Passes the operator's reason to the clients affected and to the event stream. */
static void give_reason(struct core *core, size_t first, const char *reason)
{
	for (size_t i = first; i < core->out.count; i++) {
		struct effect *effect = &core->out.v[i];
		bool hit = effect->type == EFFECT_SEND &&
			   (effect->send.msg == SEND_YIELD || effect->send.msg == SEND_REVOKED ||
			    effect->send.msg == SEND_RELEASED);
		if (hit)
			text_copy(effect->send.detail, sizeof(effect->send.detail), reason);
		else if (effect->type == EFFECT_TRACE && effect->trace.claim != 0)
			text_copy(effect->trace.detail, sizeof(effect->trace.detail), reason);
	}
}

void on_admin(struct core *core, const struct event *event)
{
	size_t first = core->out.count;
	uint64_t touched;

	switch (event->admin.act) {
	case ADMIN_YIELD:
	case ADMIN_REVOKE:
		one_lease(core, event);
		break;
	case ADMIN_CANCEL:
		cancel_waiter(core, event);
		break;
	case ADMIN_PAUSE:
	case ADMIN_RESUME:
		set_paused(core, event, event->admin.act == ADMIN_PAUSE);
		break;
	case ADMIN_RESET:
		touched = revoke_holders(core, false, END_REVOKED);
		trace_event(core, TRACE_RESET, event->admin.reason);
		report_done(core, event, touched);
		break;
	case ADMIN_FORCE_RELEASE_ALL:
		touched = end_waiters(core);
		touched += revoke_holders(core, true, END_FORCE_RELEASED);
		trace_event(core, TRACE_FORCE_RELEASE_ALL, event->admin.reason);
		report_done(core, event, touched);
		break;
	default:
		emit_denied(core, event->from, 0, 0, ERR_BAD_REQUEST, "act");
		break;
	}

	give_reason(core, first, event->admin.reason);
}
