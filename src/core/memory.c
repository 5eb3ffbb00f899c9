/* memory: a ring of lost places. It grants nothing: a place that comes back queues by its old key
 * like any other. Called where waiters are lost, and by EVENT_ACQUIRE. */
#include "core/memory.h"

#include <string.h>

#include "core/emit.h"

static bool remembered(const struct claim_record *rec)
{
	return rec->request_id[0] && binding_of(rec->binding)->remembered;
}

void memory_keep(struct core *core, const struct claim *claim)
{
	struct place_memory *place = &core->memory[core->memory_next];

	PRE(claim->rec.state == CLAIM_QUEUED);
	if (!remembered(&claim->rec))
		return;
	place->until = mono_after(core->now, core->config.place_memory_ms);
	place->arrival = claim->rec.arrival;
	place->tag = claim->rec.tag;
	place->cls = claim->rec.cls;
	place->loads = claim->rec.loads;
	text_copy(place->name, sizeof(place->name), claim->rec.name);
	text_copy(place->principal, sizeof(place->principal), claim->rec.principal);
	text_copy(place->request_id, sizeof(place->request_id), claim->rec.request_id);
	core->memory_next = (core->memory_next + 1) % PLACE_MEMORY_COUNT;
	core->memory_until = mono_max(core->memory_until, place->until);
}

bool memory_alive(const struct core *core, const struct place_memory *place)
{
	return place->request_id[0] && !mono_due(place->until, core->now);
}

/* One that would load, and did not, has told nobody behind it of the longer turn. */
void memory_take(struct core *core, struct claim_record *rec)
{
	if (!remembered(rec) || mono_due(core->memory_until, core->now))
		return;
	for (uint32_t i = 0; i < PLACE_MEMORY_COUNT; i++) {
		struct place_memory *place = &core->memory[i];
		if (!memory_alive(core, place) || place->cls != rec->cls ||
		    (rec->loads && !place->loads) || strcmp(place->name, rec->name) != 0 ||
		    strcmp(place->principal, rec->principal) != 0 ||
		    strcmp(place->request_id, rec->request_id) != 0)
			continue;
		INVARIANT(!mono_before(rec->arrival, place->arrival));
		rec->arrival = place->arrival;
		rec->tag = place->tag;
		place->request_id[0] = '\0';
		return;
	}
}

uint32_t memory_count(const struct core *core, enum lease_class cls, uint32_t *ret_loads)
{
	uint32_t count = 0;

	*ret_loads = 0;
	if (mono_due(core->memory_until, core->now))
		return 0;
	for (uint32_t i = 0; i < PLACE_MEMORY_COUNT; i++) {
		const struct place_memory *place = &core->memory[i];
		if (place->cls != cls || !memory_alive(core, place))
			continue;
		count++;
		*ret_loads += place->loads;
	}
	return count;
}

void memory_shift(struct core *core, int64_t ms)
{
	for (uint32_t i = 0; i < PLACE_MEMORY_COUNT; i++)
		core->memory[i].until = mono_after(core->memory[i].until, ms);
	core->memory_until = mono_after(core->memory_until, ms);
}
