/* lost_waiters: a ring of lost places. It grants nothing: a reclaimed place queues by its old key
 * like any other. */
#include "core/lost_waiters.h"

#include <string.h>

#include "base/contracts.h"
#include "core/claim.h"
#include "core/emit.h"
#include "core/state.h"

static bool is_remembered(const struct claim_record *rec)
{
	return rec->request_id[0] && binding_of(rec->binding)->remembered;
}

/* Who has a turn for as long as an offer may be left unanswered has missed it, whatever it did with
 * it: it could have had as much by saying nothing. */
static bool has_missed(const struct core *core, const struct claim *claim)
{
	return claim_has_room(claim) && claim->rec.state != CLAIM_YIELDING &&
	       mono_since(core->now, claim->offered_since) < core->config.ack_ms;
}

static bool may_come_back(const struct core *core, const struct claim *claim)
{
	if (claim->rec.state == CLAIM_QUEUED)
		return true;
	return has_missed(core, claim) && claim->rec.acks_missed + 1 < ACKS_MISSED_MAX;
}

/* Its turn so far: nobody has more of it by leaving. */
static void note_use(const struct core *core, const struct claim *claim, struct lost_waiter *waiter)
{
	const struct claim_record *rec = &claim->rec;
	bool runs = claim_has_room(claim);

	PRE(!runs || rec->fence != 0);

	waiter->used_ms = runs && rec->need.slots > 0 ? claim_turn_ms(core, claim) : rec->used_ms;

	waiter->loaded_ms = rec->loaded_ms;
	if (runs && rec->loading)
		waiter->loaded_ms += mono_since(core->now, rec->held_since);

	waiter->acks_missed = (uint8_t)(rec->acks_missed + runs);
}

void lost_waiter_keep(struct core *core, const struct claim *claim)
{
	struct lost_waiter *waiter = &core->lost[core->lost_next];

	PRE(!claim_over(claim));

	if (!is_remembered(&claim->rec) || !may_come_back(core, claim))
		return;

	note_use(core, claim, waiter);
	waiter->until = mono_after(core->now, core->config.place_memory_ms);
	waiter->arrival = claim->rec.arrival;
	waiter->tag = mono_max(claim->rec.tag, claim->rec.arrival);
	waiter->cls = claim->rec.cls;
	waiter->loads = claim->rec.loads;

	text_copy(waiter->name, sizeof(waiter->name), claim->rec.name);
	text_copy(waiter->principal, sizeof(waiter->principal), claim->rec.principal);
	text_copy(waiter->request_id, sizeof(waiter->request_id), claim->rec.request_id);

	core->lost_next = (core->lost_next + 1) % LOST_WAITERS_MAX;
	core->lost_until = mono_max(core->lost_until, waiter->until);
}

bool lost_waiter_alive(const struct core *core, const struct lost_waiter *waiter)
{
	return waiter->request_id[0] && !mono_due(waiter->until, core->now);
}

/* A claim that now loads and did not before is new: those behind it were promised a shorter
 * turn. */
void lost_waiter_take(struct core *core, struct claim_record *rec)
{
	if (!is_remembered(rec) || mono_due(core->lost_until, core->now))
		return;

	for (uint32_t i = 0; i < LOST_WAITERS_MAX; i++) {
		struct lost_waiter *waiter = &core->lost[i];
		if (!lost_waiter_alive(core, waiter) || waiter->cls != rec->cls ||
		    (rec->loads && !waiter->loads) || strcmp(waiter->name, rec->name) != 0 ||
		    strcmp(waiter->principal, rec->principal) != 0 ||
		    strcmp(waiter->request_id, rec->request_id) != 0)
			continue;

		INVARIANT(!mono_before(rec->arrival, waiter->arrival));
		rec->arrival = waiter->arrival;
		rec->tag = waiter->tag;
		rec->used_ms = waiter->used_ms;
		rec->loaded_ms = waiter->loaded_ms;
		rec->acks_missed = waiter->acks_missed;
		waiter->request_id[0] = '\0';
		return;
	}
}

uint32_t lost_waiters_count(const struct core *core, enum lease_class cls, uint32_t *ret_loads)
{
	uint32_t count = 0;

	*ret_loads = 0;
	if (mono_due(core->lost_until, core->now))
		return 0;

	for (uint32_t i = 0; i < LOST_WAITERS_MAX; i++) {
		const struct lost_waiter *waiter = &core->lost[i];
		if (waiter->cls != cls || !lost_waiter_alive(core, waiter))
			continue;
		count++;
		*ret_loads += waiter->loads;
	}
	return count;
}

void lost_waiters_shift(struct core *core, int64_t ms)
{
	for (uint32_t i = 0; i < LOST_WAITERS_MAX; i++)
		core->lost[i].until = mono_after(core->lost[i].until, ms);
	core->lost_until = mono_after(core->lost_until, ms);
}
