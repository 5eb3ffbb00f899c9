/* pending: coalesces the records of a turn. A put replaces the put before it; an end replaces the
 * put, and what was never on disk is not deleted from it. Knows no SQLite. Called by store.c. */
#include "store/pending.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum {
	FIRST_CAPACITY = 64,
	KEPT_CAPACITY = 4096, /* more is given back when it is empty again */
};

static bool is_claim(const struct record *r)
{
	return r->type == RECORD_CLAIM_PUT || r->type == RECORD_CLAIM_END;
}

static bool is_session(const struct record *r)
{
	return r->type == RECORD_SESSION_PUT || r->type == RECORD_SESSION_END;
}

static uint64_t id_of(const struct record *r)
{
	return is_claim(r) ? r->claim.id : r->session.id;
}

static bool goes_to_history(const struct record *r)
{
	return r->type == RECORD_CLAIM_END || r->type == RECORD_AUDIT;
}

/* History alone: nothing of it is in a table that it must be deleted from. */
static bool is_spare(const struct pending *p, const struct record *r)
{
	return goes_to_history(r) &&
	       !(r->type == RECORD_CLAIM_END && r->claim.id <= p->claim_id_written);
}

/* The slot of that id, or the free one where it belongs. */
static uint32_t find_slot(const struct pending *p, const struct record *r)
{
	uint64_t id = id_of(r);
	uint64_t hash = (id * 2 + is_claim(r)) * UINT64_C(0x9e3779b97f4a7c15);
	size_t slot = (hash >> 32) & (p->slot_count - 1);
	while (p->slots[slot]) {
		const struct record *other = &p->v[p->slots[slot] - 1].record;
		if (is_claim(other) == is_claim(r) && id_of(other) == id)
			break;
		slot = (slot + 1) & (p->slot_count - 1);
	}
	return (uint32_t)slot;
}

static void index_entry(struct pending *p, size_t i)
{
	if (!is_claim(&p->v[i].record) && !is_session(&p->v[i].record))
		return;
	p->v[i].slot = find_slot(p, &p->v[i].record);
	p->slots[p->v[i].slot] = (uint32_t)i + 1;
}

/* Closes the gaps of dropped entries; order is kept. */
static void compact(struct pending *p)
{
	size_t kept = 0;
	memset(p->slots, 0, p->slot_count * sizeof *p->slots);
	for (size_t i = 0; i < p->count; i++) {
		if (p->v[i].dropped)
			continue;
		if (kept != i)
			p->v[kept] = p->v[i];
		index_entry(p, kept++);
	}
	p->count = kept;
	p->dropped_count = 0;
}

static int set_capacity(struct pending *p, size_t capacity)
{
	size_t slot_count = capacity * 2;
	uint32_t *slots = calloc(slot_count, sizeof *slots);
	struct pending_entry *v = slots ? realloc(p->v, capacity * sizeof *v) : NULL;
	if (!v) {
		free(slots);
		return -ERR_NO_MEMORY;
	}
	free(p->slots);
	p->v = v;
	p->slots = slots;
	p->capacity = capacity;
	p->slot_count = slot_count;
	compact(p);
	return 0;
}

int pending_init(struct pending *p)
{
	memset(p, 0, sizeof *p);
	return set_capacity(p, FIRST_CAPACITY);
}

void pending_finish(struct pending *p)
{
	free(p->v);
	free(p->slots);
	memset(p, 0, sizeof *p);
}

static void drop(struct pending *p, size_t i)
{
	assert(!p->v[i].dropped);
	if (goes_to_history(&p->v[i].record))
		p->ended_count--;
	if (is_spare(p, &p->v[i].record))
		p->spare_count--;
	p->v[i].dropped = true;
	p->dropped_count++;
}

static int make_room(struct pending *p)
{
	if (p->count < p->capacity)
		return 0;
	if (p->dropped_count >= p->capacity / 2) {
		compact(p);
		return 0;
	}
	return set_capacity(p, p->capacity * 2);
}

/* On a disk that stays full, old history gives way to new. An end that must still delete its row
 * is kept, and not counted: there are no more of those than rows, and looking at them again with
 * each add would make a crowd that leaves cost its square. */
static void trim_history(struct pending *p)
{
	size_t enough = PENDING_ENDED_MAX - PENDING_ENDED_MAX / 10; /* not at every add */
	for (size_t i = 0; i < p->count && p->spare_count > enough; i++)
		if (!p->v[i].dropped && is_spare(p, &p->v[i].record))
			drop(p, i);
}

int pending_add(struct pending *p, const struct record *record)
{
	if (record->type == RECORD_FENCE) {
		assert(record->fence_max > p->fence_max);
		p->fence_max = record->fence_max;
		return 0;
	}
	if (record->type == RECORD_PAUSED) {
		p->paused = *record;
		p->paused_set = true;
		return 0;
	}
	if (make_room(p) < 0)
		return -ERR_NO_MEMORY;
	if (record->type != RECORD_AUDIT) {
		uint32_t at = p->slots[find_slot(p, record)];
		if (at && !p->v[at - 1].dropped) {
			struct record *old = &p->v[at - 1].record;
			/* Ids are never used twice, so nothing comes after an end. */
			assert(old->type == RECORD_CLAIM_PUT || old->type == RECORD_SESSION_PUT);
			if (record->type == old->type) {
				*old = *record;
				return 0;
			}
			drop(p, at - 1);
		}
	}
	if (record->type == RECORD_SESSION_END && record->session.id > p->session_id_written)
		return 0;
	p->v[p->count] = (struct pending_entry){.record = *record};
	index_entry(p, p->count++);
	p->ended_count += goes_to_history(record);
	p->spare_count += is_spare(p, record);
	if (p->spare_count > PENDING_ENDED_MAX)
		trim_history(p);
	return 0;
}

bool pending_takes(const struct pending *p, const struct record *record)
{
	if (record->type == RECORD_FENCE)
		return record->fence_max > p->fence_max;
	if (!is_claim(record) && !is_session(record))
		return true;
	uint32_t at = p->slots[find_slot(p, record)];
	if (!at || p->v[at - 1].dropped)
		return true;
	enum record_type type = p->v[at - 1].record.type;
	return type == RECORD_CLAIM_PUT || type == RECORD_SESSION_PUT;
}

bool pending_takes_place(const struct pending *p, const struct record *row)
{
	uint32_t at = p->slots[find_slot(p, row)];
	return at && !p->v[at - 1].dropped;
}

int pending_reserve(struct pending *p, size_t count)
{
	while (p->capacity - p->count < count) {
		int rc = set_capacity(p, p->capacity * 2);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void pending_move(struct pending *from, struct pending *to)
{
	if (from->fence_max) {
		struct record fence = {.type = RECORD_FENCE, .fence_max = from->fence_max};
		pending_add(to, &fence);
	}
	if (from->paused_set)
		pending_add(to, &from->paused);
	for (size_t i = 0; i < from->count; i++) {
		if (from->v[i].dropped)
			continue;
		int rc = pending_add(to, &from->v[i].record);
		assert(rc == 0); /* the room was reserved */
	}
	pending_clear(from);
}

bool pending_is_empty(const struct pending *p)
{
	return p->count == p->dropped_count && !p->fence_max && !p->paused_set;
}

void pending_clear(struct pending *p)
{
	bool few = p->count < p->slot_count / 16;
	for (size_t i = 0; i < p->count; i++) {
		const struct record *r = &p->v[i].record;
		uint64_t *written = r->type == RECORD_CLAIM_PUT     ? &p->claim_id_written
				    : r->type == RECORD_SESSION_PUT ? &p->session_id_written
								    : NULL;
		if (written && !p->v[i].dropped && *written < id_of(r))
			*written = id_of(r);
		if (few && r->type != RECORD_AUDIT)
			p->slots[p->v[i].slot] = 0;
	}
	if (!few)
		memset(p->slots, 0, p->slot_count * sizeof *p->slots);
	p->count = p->dropped_count = p->ended_count = p->spare_count = 0;
	p->fence_max = 0;
	p->paused_set = false;
	if (p->capacity > KEPT_CAPACITY)
		(void)set_capacity(p, KEPT_CAPACITY); /* what stays too large does no harm */
}
