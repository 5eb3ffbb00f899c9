/* export: writes the state in sections: the core, the remembered places, the sessions and the
 * claims by rising id; a mark before them, a checksum behind. Changes nothing. For upgrades in
 * place, tests and the exhaustive search. */
#include "core/export.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/contracts.h"
#include "base/fields.h"
#include "base/memory.h"
#include "core/lost_waiters.h"
#include "core/principal.h"
#include "core/state_rows.h"

/* All live claims, by id. */
struct roll {
	const struct core *core;
	struct claim **v;
	uint32_t count;
};

static int by_id(const void *a, const void *b)
{
	uint64_t left = (*(struct claim *const *)a)->rec.id;
	uint64_t right = (*(struct claim *const *)b)->rec.id;

	return left < right ? -1 : left > right;
}

static struct roll roll_call(const struct core *core)
{
	struct roll roll = {.core = core};
	struct rank_node *node;

	roll.v = check_memory(
		calloc(rank_tree_count(&core->places) + rank_tree_count(&core->holders) + 1,
		       sizeof(struct claim *)));

	for (node = rank_tree_first(&core->holders); node; node = rank_tree_next(node))
		roll.v[roll.count++] = claim_of_place(node);
	for (node = rank_tree_first(&core->places); node; node = rank_tree_next(node))
		roll.v[roll.count++] = claim_of_place(node);

	qsort(roll.v, roll.count, sizeof(struct claim *), by_id);
	POST(roll.count == core->claims_by_id.count);
	return roll;
}

static uint64_t rank_of_claim(const struct roll *roll, uint64_t id)
{
	struct claim key = {.rec = {.id = id}}, *at = &key;
	struct claim **found = bsearch(&at, roll->v, roll->count, sizeof(at), by_id);

	return found ? (uint64_t)(found - roll->v) + 1 : 0;
}

static uint64_t rank_of_session(const struct core *core, uint64_t id)
{
	struct rank_node *node = rank_tree_from(&core->sessions, 0, id);

	return node && node->id == id ? rank_tree_rank(node) + 1 : 0;
}

/* Numbers that do not depend on history. */
static uint64_t rename_id(const void *arg, unsigned sense, uint64_t value)
{
	const struct roll *roll = arg;

	switch ((enum record_sense)sense) {
	case SENSE_CLAIM:
		return rank_of_claim(roll, value);
	case SENSE_SESSION:
		return rank_of_session(roll->core, value);
	case SENSE_CONN:
		return value != 0;
	case SENSE_GPU:
		return value <= roll->core->config.gpu_count;
	case SENSE_NOISE:
		return 0;
	case SENSE_NONE:
		break;
	}
	return value;
}

static void put_section(struct buf *out, enum section section, const struct fields_how *how,
			const struct field_table *table, const void *object)
{
	const struct field part = {(uint8_t)section, FIELD_PARTS, 0, 1, 0, 0, 0, table, 0};
	const struct field_table one = {&part, 1};
	char *tail;
	uint8_t *end;

	if (buf_reserve(out, fields_bytes_max(&one), &tail) < 0)
		abort();

	end = fields_write(&one, object, how, (uint8_t *)tail);
	POST(end > (uint8_t *)tail);
	buf_extend(out, (size_t)(end - (uint8_t *)tail));
}

/* Lost places that can still be reclaimed, each in its slot of the ring. */
static void put_places(const struct core *core, const struct fields_how *how, struct buf *out)
{
	struct kept_place kept;

	if (mono_due(core->lost_until, core->now))
		return;

	for (kept.slot = 0; kept.slot < LOST_WAITERS_MAX; kept.slot++) {
		kept.place = core->lost[kept.slot];
		if (lost_waiter_alive(core, &kept.place))
			put_section(out, SECTION_PLACE, how, &kept_place_fields, &kept);
	}
}

static void put_detail(const struct claim *claim, const struct fields_how *how, struct buf *out)
{
	struct kept_detail kept = {.claim = claim->rec.id};
	size_t length = strlen(claim->detail);

	PRE(length < sizeof(kept.detail.text));
	memcpy(kept.detail.text, claim->detail, length);
	put_section(out, SECTION_DETAIL, how, &kept_detail_fields, &kept);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct principal *const *)a)->name, (*(struct principal *const *)b)->name);
}

/* Idle ones in the order in which they will be freed, then the others by name; in a canonical
 * export all by name. */
static void put_principals(const struct core *core, const struct fields_how *how, struct buf *out)
{
	size_t count = 0, idle;
	struct principal **v = check_memory(
		calloc(core->principals_by_name.count + 1, sizeof(struct principal *)));

	list_each (it, next, &core->idle_principals)
		v[count++] = container_of(it, struct principal, in_core);
	idle = how->map ? 0 : count;
	list_each (it, next, &core->principals)
		v[count++] = container_of(it, struct principal, in_core);
	INVARIANT(count == core->principals_by_name.count);

	qsort(v + idle, count - idle, sizeof(struct principal *), by_name);
	for (size_t i = 0; i < count; i++)
		if (i < idle || principal_remembered(v[i]))
			put_section(out, SECTION_PRINCIPAL, how, &principal_fields, v[i]);

	free(v);
}

static void put_all(const struct roll *roll, const struct fields_how *how, struct buf *out)
{
	const struct core *core = roll->core;
	size_t first = out->length;
	uint64_t sum;

	if (buf_append(out, export_mark, sizeof(export_mark)) < 0)
		abort();

	put_section(out, SECTION_CORE, how, &core_fields, core);
	put_places(core, how, out);
	put_principals(core, how, out);

	for (struct rank_node *node = rank_tree_first(&core->sessions); node;
	     node = rank_tree_next(node))
		put_section(out, SECTION_SESSION, how, &session_fields, session_of_id(node));
	for (uint32_t i = 0; i < roll->count; i++)
		put_section(out, SECTION_CLAIM, how, &claim_fields, roll->v[i]);

	if (how->map) /* to compare: nobody reads it back, and what follows decides nothing */
		return;

	for (uint32_t i = 0; i < roll->count; i++)
		if (roll->v[i]->detail)
			put_detail(roll->v[i], how, out);

	sum = hash_bytes(0, buf_data(out) + first, out->length - first);
	if (buf_append(out, &sum, sizeof(sum)) < 0)
		abort();
}

static void export_state(const struct core *core, struct mono_ms base, bool canonical,
			 struct buf *out)
{
	struct roll roll = roll_call(core);
	struct fields_how how = {.base = base.v};

	PRE(core->started);
	PRE(list_empty(&core->dirty_claims));
	PRE(core->out.count == 0);

	if (canonical) {
		how.map = rename_id;
		how.arg = &roll;
	}

	put_all(&roll, &how, out);
	free(roll.v);
}

void core_export(const struct core *core, struct buf *out)
{
	export_state(core, (struct mono_ms){0}, false, out);
}

void core_export_relative(const struct core *core, struct mono_ms now, struct buf *out)
{
	PRE(now.v >= core->now.v);
	export_state(core, now, false, out);
}

void core_export_canonical(const struct core *core, struct mono_ms now, struct buf *out)
{
	PRE(now.v >= core->now.v);
	export_state(core, now, true, out);
}
