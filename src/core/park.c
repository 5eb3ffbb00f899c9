/* park: see park.h. It decides neither when the turn comes back (the scheduler) nor who has to
 * leave (preempt.c). */
#include "core/park.h"

#include "base/contracts.h"
#include "base/err.h"
#include "core/claim.h"
#include "core/emit.h"
#include "core/event.h"
#include "core/owner.h"
#include "core/preempt.h"
#include "core/queue.h"
#include "core/resident.h"
#include "core/yield.h"

static bool has_turn_claim(const struct claim *lease)
{
	list_each (it, next, &lease->session->claims) {
		const struct claim *claim = container_of(it, struct claim, in_session);
		if (!claim_over(claim) && claim->rec.resumes == lease->rec.id)
			return true;
	}
	return false;
}

/* A lease in its own right that computes, or a parked one that nobody waits for any more. */
static int judge_lease(const struct claim *lease)
{
	if (!lease)
		return ERR_STALE;
	if (lease->rec.revoked)
		return ERR_REVOKED;
	if (lease->host || lease->rec.guests > 0 || claim_guests(lease) > 0)
		return ERR_STATE;

	if (!claim_is_held(lease) && lease->rec.state != CLAIM_YIELDING)
		return ERR_STATE;
	if (lease->rec.need.slots == 0 && !claim_parked(lease))
		return ERR_STATE;
	return has_turn_claim(lease) ? ERR_STATE : 0;
}

int park_judge(const struct core *core, const struct event *event, struct claim_record *rec,
	       const char **ret_detail)
{
	const struct claim *lease = owner_claim(core, event->from.id, event->acquire.resumes);
	int err = judge_lease(lease);

	*ret_detail = "resumes";
	if (err)
		return err;
	if (event->acquire.no_wait || rec->host || rec->guests > 0)
		return ERR_BAD_FIELD;

	rec->resumes = lease->rec.id;
	rec->cls = lease->rec.cls;
	rec->loads = false;
	/* It is the lease's turn: others are promised when that ends. */
	rec->preemptible = lease->rec.preemptible;
	rec->uninterruptible_ms = lease->rec.uninterruptible_ms;
	rec->need = (struct need){
		.all_slots = lease->rec.need.all_slots,
		.slots = claim_parked(lease) ? lease->rec.parked_slots : lease->rec.need.slots,
		.gpu_count = mask_count(lease->rec.granted_mask),
		.gpu_mask = lease->rec.granted_mask,
	};
	if (rec->need.all_slots)
		rec->need.slots = 1;
	return 0;
}

/* As release {requeue} does it (on_lease.c): the old place where the turn was cut short, and behind
 * whom it gave way to where it was over. */
static void take_place(const struct core *core, const struct claim *lease, bool cut_short,
		       struct claim_record *rec)
{
	if (!cut_short) {
		rec->tag = queue_behind(core, rec->cls, lease->yield_for);
		return;
	}
	rec->arrival = lease->rec.arrival;
	rec->arrival_wall = lease->rec.arrival_wall;
	rec->tag = lease->rec.tag;
	rec->used_ms = claim_turn_ms(core, lease);
}

void park_begin(struct core *core, struct claim_record *rec)
{
	struct claim *lease = claim_by_id(core, rec->resumes);
	struct mono_ms keeps_until = core->now;
	struct need need;
	uint32_t slots;
	bool cut_short;

	PRE(lease != NULL);
	if (claim_parked(lease))
		return;

	PRE(lease->rec.need.slots > 0);
	cut_short =
		lease->rec.state == CLAIM_YIELDING && lease->rec.yield_reason == YIELD_PREEMPTED;
	if (lease->rec.loading)
		claim_loaded(core, lease);
	if (lease->rec.state == CLAIM_LOADING)
		claim_move(core, lease, CLAIM_HELD);

	if (cut_short)
		keeps_until = preempt_hold_until(core, lease, 0);
	take_place(core, lease, cut_short, rec);
	estimate_hold_ended(core, lease);

	need = lease->rec.need;
	slots = need.slots;
	need.slots = 0;
	claim_change_need(core, lease, &need);
	lease->rec.parked_slots = slots;
	lease->rec.parked_until = keeps_until;
	if (lease->rec.state == CLAIM_YIELDING)
		yield_withdraw(core, lease);
	trace_claim(core, lease, TRACE_CHANGED);
	POST(claim_parked(lease));
}

static bool may_resume(const struct claim *lease, const struct claim *turn)
{
	return lease && lease->session == turn->session && lease->rec.state == CLAIM_HELD &&
	       claim_parked(lease) && lease->rec.granted_mask == turn->rec.granted_mask;
}

void park_end(struct core *core, struct claim *turn)
{
	struct claim *lease = claim_by_id(core, turn->rec.resumes);
	struct claim_record began = turn->rec;
	struct need need = began.need;

	PRE(turn->rec.state == CLAIM_HELD);
	if (!may_resume(lease, turn))
		return;

	/* It goes on in the lease: no turn has ended, so none is counted. */
	turn->rec.turn_since = MONO_PAST;
	claim_end(core, turn, END_RELEASED);
	emit_claim(core, turn, SEND_RELEASED);

	need.vram_bytes = lease->rec.need.vram_bytes;
	claim_change_need(core, lease, &need);
	lease->rec.observed |= began.observed;
	lease->rec.would_wait |= began.would_wait;
	lease->rec.turn_since = began.turn_since;
	lease->rec.used_ms = began.used_ms;
	lease->rec.due_turn = began.due_turn;
	lease->rec.due_since = began.due_since;
	lease->rec.arrival = began.arrival;
	lease->rec.tag = began.tag;
	lease->offered_since = turn->offered_since;

	trace_claim(core, lease, TRACE_CHANGED);
	POST(!claim_parked(lease));
}

struct mono_ms park_keeps_until(const struct claim *claim, const struct claim *head)
{
	PRE(claim != head);
	if (!claim_parked(claim) || claim->rec.evictable || head->rec.cls < claim->rec.cls)
		return MONO_PAST;
	return claim->rec.parked_until;
}

uint32_t park_wanted_on(const struct core *core, const struct claim *turn)
{
	const struct claim *lease = claim_by_id(core, turn->rec.resumes);
	uint32_t wanted = 0;

	if (!lease || !claim_parked(lease) || lease->vram_charged == 0)
		return 0;

	INVARIANT(lease->rec.resumes == 0);
	mask_each (gpu, lease->rec.granted_mask) {
		const struct claim *head = claim_by_id(core, core->gpus[gpu].memory_head);
		if (head && mono_due(park_keeps_until(lease, head), core->now) &&
		    resident_goes_at(core, head, lease).v != MONO_NEVER.v)
			wanted |= 1u << gpu;
	}

	POST((wanted & ~lease->rec.granted_mask) == 0);
	return wanted;
}
