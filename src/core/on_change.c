/* on_change: what a holder does with its lease: change its need, or lend its turn to a claim that
 * it waits for. */
#include "base/contracts.h"
#include "base/err.h"
#include "core/claim.h"
#include "core/emit.h"
#include "core/event.h"
#include "core/host.h"
#include "core/ledger.h"
#include "core/observe.h"
#include "core/on.h"
#include "core/owner.h"
#include "core/queue.h"
#include "core/schedule.h"

/* Where the total is unknown a lease that states VRAM has all of it, and may restate it. */
static bool vram_may_grow(const struct core *core, const struct claim *claim, uint32_t gpu,
			  uint64_t vram)
{
	if (vram == 0 || (!ledger_total_known(core, gpu) && claim->vram_charged > 0))
		return true;
	return ledger_vram_fits(core, claim->session, gpu, vram);
}

/* By how many it would grow there. */
static uint32_t slots_more(const struct core *core, const struct claim *claim, uint32_t gpu,
			   uint32_t slots)
{
	uint32_t has = need_slots(core, &claim->rec.need, gpu);

	return slots > has ? slots - has : 0;
}

static bool wants_more_slots(const struct core *core, const struct claim *claim, uint32_t slots)
{
	mask_each (gpu, claim->rec.granted_mask)
		if (slots_more(core, claim, gpu, slots) > 0)
			return true;
	return false;
}

/* Growing in place must not overtake waiters for the same GPU; VRAM delays only those waiting for
 * VRAM. */
static int judge_growth(const struct core *core, const struct claim *claim, const struct need *need,
			const char **ret_detail)
{
	bool more_slots = wants_more_slots(core, claim, need->slots);
	uint64_t vram = need->vram_bytes > claim->rec.need.vram_bytes
				? need->vram_bytes - claim->rec.need.vram_bytes
				: 0;

	if (!more_slots && vram == 0)
		return 0;

	*ret_detail = "others wait for this GPU; try again when they were served";
	if (queue_wanted(core, !more_slots) & claim->rec.granted_mask)
		return ERR_NO_ROOM;

	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
		if (!(claim->rec.granted_mask & (1u << gpu)))
			continue;
		*ret_detail = "its GPU has not so many slots free";
		if (gpu >= core->config.gpu_count ||
		    !ledger_slots_fit(core, gpu, slots_more(core, claim, gpu, need->slots)))
			return ERR_NO_ROOM;
		*ret_detail = "its GPU has not so much VRAM free";
		if (!vram_may_grow(core, claim, gpu, vram))
			return ERR_NO_ROOM;
	}

	*ret_detail = NULL;
	return 0;
}

static int judge_change(const struct core *core, const struct claim *claim, const struct need *need)
{
	if (claim->rec.revoked)
		return ERR_REVOKED;
	if (core->unwritable)
		return ERR_JOURNAL;

	if (claim->rec.state != CLAIM_HELD || claim->host || claim_guests(claim) > 0)
		return ERR_STATE;

	if (need->slots == 0 && need->vram_bytes == 0)
		return ERR_BAD_FIELD;
	if (need->vram_bytes > VRAM_BYTES_MAX)
		return ERR_BAD_FIELD;

	return 0;
}

/* In observe mode it grows beside the others. */
static int judge_or_note(const struct core *core, struct claim *claim, const struct need *need,
			 const char **ret_detail)
{
	int err = judge_change(core, claim, need);

	if (err)
		return err;

	err = judge_growth(core, claim, need, ret_detail);
	if (!err || !core->config.observe || need->slots > OBSERVE_SLOTS_MAX)
		return err;

	claim->rec.observed = claim->rec.would_wait = true;
	return 0;
}

void on_change(struct core *core, const struct event *event)
{
	struct claim *claim = owner_claim(core, event->from.id, event->change.lease);
	struct need need = {.slots = event->change.need.slots,
			    .vram_bytes = event->change.need.vram_bytes};
	const char *detail = NULL;
	int err = claim ? judge_or_note(core, claim, &need, &detail) : ERR_STALE;

	if (err) {
		emit_denied(core, event->from, claim ? claim->rec.ref : 0, event->change.lease, err,
			    detail);
		return;
	}

	claim_change_need(core, claim, &need);
	trace_claim(core, claim, TRACE_CHANGED);
	emit_claim(core, claim, SEND_CHANGED);
}

/* It needs no more slots than it is lent, on each GPU that it would have. */
static bool lent_enough(const struct core *core, const struct claim *lender, const struct claim *to,
			uint32_t gpus)
{
	mask_each (gpu, gpus)
		if (need_slots(core, &to->rec.need, gpu) > need_slots(core, &lender->rec.need, gpu))
			return false;
	return gpus != 0;
}

static int judge_lend(const struct core *core, const struct claim *lender, const struct claim *to)
{
	if (!lender)
		return ERR_STALE;
	if (lender->rec.revoked)
		return ERR_REVOKED;
	if (!to)
		return ERR_NOT_FOUND;

	if (!core->journal_ok)
		return ERR_JOURNAL;
	if (core->draining)
		return ERR_DRAINING;
	if (schedule_in_doubt(core, core->now))
		return ERR_IN_DOUBT;
	if (core->paused || queue_withheld(core, to))
		return ERR_PAUSED;

	if (lender->rec.state != CLAIM_HELD || to->rec.state != CLAIM_QUEUED || queue_detached(to))
		return ERR_STATE;
	/* Only a claim that the lender itself waits for may bypass the queue, one at a time. */
	if (to->rec.parent != lender->rec.id || (to->host && to->host != lender) ||
	    claim_guests(lender) > 0 || lender->rec.guests > 0 || to->rec.guests > 0)
		return ERR_STATE;

	/* What is lent is a compute turn. */
	return lender->rec.need.slots == 0 || to->rec.need.slots == 0 ? ERR_STATE : 0;
}

void on_lend(struct core *core, const struct event *event)
{
	struct claim *lender = owner_claim(core, event->from.id, event->lend.lease);
	struct claim *to = claim_by_id(core, event->lend.to);
	int err = judge_lend(core, lender, to);
	uint32_t gpus = err ? 0 : host_gpus(core, lender, to);
	struct send_effect *send;

	if (!err && !lent_enough(core, lender, to, gpus))
		err = ERR_NO_ROOM;

	if (err) {
		emit_denied(core, event->from, lender ? lender->rec.ref : 0, event->lend.lease, err,
			    NULL);
		return;
	}

	queue_host(core, to, lender);
	to->rec.lender = lender->rec.id;
	send = emit_claim(core, lender, SEND_LENT);
	send->other = to->rec.id;

	trace_claim(core, lender, TRACE_LENT)->other = to->rec.id;
	schedule_grant(core, to, gpus);
	POST(to->slots_charged == 0);
}
