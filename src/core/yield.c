/* yield: the first phase of YIELDING: a holder is asked, reminded, passed on, and let be. */
#include "core/yield.h"

#include "base/contracts.h"
#include "core/claim.h"
#include "core/emit.h"
#include "core/host.h"
#include "core/queue.h"
#include "core/state.h"

int64_t yield_grace_ms(const struct core *core, const struct claim *claim)
{
	int64_t grace_ms = core->config.grace_ms;

	if (claim->rec.uninterruptible_ms > grace_ms)
		grace_ms = claim->rec.uninterruptible_ms;
	return grace_ms < core->config.grace_ms_max ? grace_ms : core->config.grace_ms_max;
}

/* A plain request got its whole answer with the grant: nobody listens any more. */
struct send_effect *yield_tell(struct core *core, const struct claim *claim, enum send_kind msg)
{
	bool hears = binding_of(claim->rec.binding)->ears;

	return emit_at(core, hears ? claim_party(claim) : (struct party){0}, claim, msg);
}

static void make_room(struct core *core, struct claim *claim, uint64_t for_id)
{
	struct claim *head = claim_by_id(core, for_id);

	claim->made_room_for = head ? for_id : 0;
	claim->made_room_fence = head ? head->rec.fence : 0;
	claim->made_room_on = 0;

	if (head)
		head->room_made = true;
}

static void ask_one(struct core *core, struct claim *claim, enum yield_reason reason,
		    uint64_t for_id, int64_t grace_ms)
{
	struct send_effect *send;

	PRE(claim_is_held(claim));
	PRE(grace_ms > 0);

	claim->rec.yield_reason = reason;
	claim->rec.grace_ms = grace_ms;
	claim->yield_for = for_id;
	if (reason == YIELD_EVICTED)
		make_room(core, claim, for_id);

	claim->yield_since = core->now;
	claim->deadline = mono_after(core->now, grace_ms);
	claim_move(core, claim, CLAIM_YIELDING);

	core->stats.yields++;
	send = yield_tell(core, claim, SEND_YIELD);
	send->reason = reason;
	send->other = for_id;
	send->grace_ms = grace_ms;

	POST(!claim->rec.revoked);
}

/* No guest has a longer grace than its host (host_enter), so one grace serves all; but one that was
 * asked before a reload shortened it keeps what it was told. */
static int64_t grace_of_all(const struct core *core, const struct claim *claim)
{
	int64_t grace_ms = ms_longer(1, yield_grace_ms(core, claim));

	for (struct claim *inside = host_next_inside(claim, claim); inside;
	     inside = host_next_inside(claim, inside)) {
		int64_t left_ms = mono_since(inside->deadline, core->now);
		if (inside->rec.state == CLAIM_YIELDING && !inside->rec.revoked &&
		    left_ms > grace_ms)
			grace_ms = left_ms;
	}
	return grace_ms;
}

void yield_ask(struct core *core, struct claim *claim, enum yield_reason reason, uint64_t for_id)
{
	int64_t grace_ms = grace_of_all(core, claim);

	PRE(reason < YIELD_REASON_COUNT);

	ask_one(core, claim, reason, for_id, grace_ms);

	for (struct claim *inside = host_next_inside(claim, claim); inside;
	     inside = host_next_inside(claim, inside))
		if (claim_is_held(inside))
			ask_one(core, inside, reason, for_id, grace_ms);
}

void yield_remind(struct core *core, const struct claim *claim)
{
	enum send_kind msg = claim->rec.revoked ? SEND_REVOKED : SEND_YIELD;
	struct send_effect *send = yield_tell(core, claim, msg);

	PRE(claim->rec.state == CLAIM_YIELDING);

	send->reason = claim->rec.yield_reason;

	if (claim->rec.revoked) {
		send->end = claim->rec.end_as;
		if (claim_stoppable(claim) && !claim->killed)
			send->grace_ms = ms_longer(1, mono_since(claim->deadline, core->now));
		return;
	}

	send->other = claim->yield_for;
	send->grace_ms = ms_longer(1, mono_since(claim->deadline, core->now));
}

void yield_pass(struct core *core, struct claim *claim, uint64_t for_id)
{
	PRE(claim->rec.state == CLAIM_YIELDING);
	if (claim->yield_for == for_id)
		return;

	claim->yield_for = for_id;
	if (claim->rec.yield_reason == YIELD_EVICTED && !queue_room_owed(core, claim))
		make_room(core, claim, for_id);

	yield_remind(core, claim);
}

/* Guests that were asked with it keep their leases with it. */
void yield_withdraw(struct core *core, struct claim *claim)
{
	PRE(claim->rec.state == CLAIM_YIELDING);
	PRE(!claim->rec.revoked);

	for (struct claim *kept = claim; kept; kept = host_next_inside(claim, kept)) {
		if (kept->rec.state != CLAIM_YIELDING || kept->rec.revoked)
			continue;
		if (kept != claim && claim_awaited(kept)) /* by its own gateway */
			continue;

		kept->yield_for = 0;
		if (kept->made_room_on == 0)
			kept->made_room_for = 0; /* else of an earlier turn */
		kept->deadline = MONO_NEVER;

		claim_move(core, kept, kept->rec.loading ? CLAIM_LOADING : CLAIM_HELD);
		yield_tell(core, kept, SEND_KEEP);
	}
}

/* What a model server has in memory outlives the broker. YIELDING, so that its time is limited. */
void yield_await(struct core *core, struct claim *claim)
{
	PRE(claim->conn == 0);

	if (claim->rec.state == CLAIM_YIELDING)
		yield_withdraw(core, claim);
	ask_one(core, claim, YIELD_EXPIRED, 0, ms_longer(1, core->config.restart_linger_ms));
	POST(claim_awaited(claim));
}

void yield_awaited(struct core *core, struct claim *claim)
{
	PRE(claim->conn != 0);

	if (claim_awaited(claim))
		yield_withdraw(core, claim);
}
