/* pending: coalesces the records of a turn. A put replaces the previous put; an end replaces the
 * put, and deletes nothing that was never on disk. Knows no SQLite. */
#include "store/pending.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/codec.h"

enum {
	FIRST_CAPACITY = 64,
	FIRST_BYTES = 16 * 1024,
	KEPT_BYTES = 2 * 1024 * 1024,
	KEPT_CAPACITY = 4096, /* freed down to this when empty again */
};

static bool is_claim_type(enum record_type type)
{
	return type == RECORD_CLAIM_PUT || type == RECORD_CLAIM_END;
}

static uint64_t id_of(const struct record *r)
{
	return r->type == RECORD_AUDIT ? 0 : is_claim_type(r->type) ? r->claim.id : r->session.id;
}

static bool goes_to_history(enum record_type type)
{
	return type == RECORD_CLAIM_END || type == RECORD_AUDIT;
}

/* History only: no table has a row to delete. */
static bool is_spare(const struct pending *p, enum record_type type, uint64_t id)
{
	return type == RECORD_AUDIT || (type == RECORD_CLAIM_END && id > p->claim_id_written);
}

/* The slot of that id, or the free one where it belongs. An act of an operator has none. */
static uint32_t find_slot(const struct pending *p, enum record_type type, uint64_t id)
{
	bool claim = is_claim_type(type);
	uint64_t hash = (id * 2 + claim) * UINT64_C(0x9e3779b97f4a7c15);

	size_t slot = (hash >> 32) & (p->slot_count - 1);
	while (p->slots[slot]) {
		const struct pending_entry *other = &p->v[p->slots[slot] - 1];
		if (other->id == id && is_claim_type(other->type) == claim)
			break;
		slot = (slot + 1) & (p->slot_count - 1);
	}

	return (uint32_t)slot;
}

static void index_entry(struct pending *p, size_t i, uint32_t slot)
{
	p->v[i].slot = slot;
	if (p->v[i].type != RECORD_AUDIT)
		p->slots[slot] = (uint32_t)i + 1;
}

/* Closes the gaps of dropped entries; order is kept. */
static void close_gaps(struct pending *p)
{
	size_t kept = 0, kept_bytes = 0;

	memset(p->slots, 0, p->slot_count * sizeof(*p->slots));
	for (size_t i = 0; i < p->count; i++) {
		if (p->v[i].dropped)
			continue;
		p->v[kept] = p->v[i];
		memmove(p->bytes + kept_bytes, p->bytes + p->v[kept].at, p->v[kept].length);
		p->v[kept].at = kept_bytes;
		kept_bytes += p->v[kept].length;
		index_entry(p, kept, find_slot(p, p->v[kept].type, p->v[kept].id));
		kept++;
	}

	p->count = kept;
	p->byte_count = kept_bytes;
	p->dropped_count = 0;
}

static int set_capacity(struct pending *p, size_t capacity)
{
	size_t slot_count = capacity * 2;
	uint32_t *slots = calloc(slot_count, sizeof(*slots));

	struct pending_entry *v = slots ? realloc(p->v, capacity * sizeof(*v)) : NULL;
	if (!v) {
		free(slots);
		return -ERR_NO_MEMORY;
	}

	free(p->slots);
	p->v = v;
	p->slots = slots;
	p->capacity = capacity;
	p->slot_count = slot_count;
	close_gaps(p);
	return 0;
}

int pending_init(struct pending *p)
{
	memset(p, 0, sizeof(*p));
	p->bytes = malloc(FIRST_BYTES);
	if (!p->bytes)
		return -ERR_NO_MEMORY;

	p->byte_capacity = FIRST_BYTES;
	int rc = set_capacity(p, FIRST_CAPACITY);
	if (rc < 0)
		pending_finish(p);
	return rc;
}

void pending_finish(struct pending *p)
{
	free(p->v);
	free(p->slots);
	free(p->bytes);
	memset(p, 0, sizeof(*p));
}

static void drop_entry(struct pending *p, size_t i)
{
	assert(!p->v[i].dropped);
	p->ended_count -= goes_to_history(p->v[i].type);
	p->spare_count -= is_spare(p, p->v[i].type, p->v[i].id);
	p->v[i].dropped = true;
	p->dropped_count++;
}

static int make_room(struct pending *p, size_t count, size_t bytes)
{
	if (p->byte_capacity - p->byte_count < bytes) {
		size_t capacity = p->byte_capacity;
		while (capacity - p->byte_count < bytes)
			capacity *= 2;
		uint8_t *grown = realloc(p->bytes, capacity);
		if (!grown)
			return -ERR_NO_MEMORY;
		p->bytes = grown;
		p->byte_capacity = capacity;
	}

	if (p->capacity - p->count >= count)
		return 0;

	if (p->dropped_count >= p->capacity / 2) {
		close_gaps(p);
		return make_room(p, count, bytes);
	}

	size_t capacity = p->capacity;
	while (capacity - p->count < count)
		capacity *= 2;
	return set_capacity(p, capacity);
}

/* On a disk that stays full, old history gives way to new. An end that must still delete its row is
 * kept and not counted: there are no more of those than rows, and rescanning them at each add would
 * make a mass departure quadratic. */
static void trim_history(struct pending *p)
{
	size_t enough = PENDING_ENDED_MAX - PENDING_ENDED_MAX / 10; /* not at every add */
	for (size_t i = 0; i < p->count && p->spare_count > enough; i++)
		if (!p->v[i].dropped && is_spare(p, p->v[i].type, p->v[i].id))
			drop_entry(p, i);
}

/* Drops the entry that a new record supersedes. True: the new record must be kept itself, by the
 * same slot. */
static bool replace_older(struct pending *p, enum record_type type, uint64_t id, uint32_t *ret_slot)
{
	*ret_slot = 0;
	if (type == RECORD_AUDIT)
		return true;

	*ret_slot = find_slot(p, type, id);
	uint32_t at = p->slots[*ret_slot];
	if (at && !p->v[at - 1].dropped) {
		/* Ids are never used twice, so nothing comes after an end. */
		assert(p->v[at - 1].type == RECORD_CLAIM_PUT ||
		       p->v[at - 1].type == RECORD_SESSION_PUT);
		drop_entry(p, at - 1);
	}

	return type != RECORD_SESSION_END || id <= p->session_id_written;
}

/* Adds an entry for bytes already written at the end. */
static void add_entry(struct pending *p, enum record_type type, uint64_t id, uint32_t slot,
		      size_t length)
{
	p->v[p->count] = (struct pending_entry){
		.id = id, .at = p->byte_count, .length = (uint32_t)length, .type = type};
	p->byte_count += length;
	index_entry(p, p->count++, slot);
	p->ended_count += goes_to_history(type);
	p->spare_count += is_spare(p, type, id);
	if (p->spare_count > PENDING_ENDED_MAX)
		trim_history(p);
}

int pending_add(struct pending *p, const struct record *record)
{
	uint64_t id = id_of(record);
	uint32_t slot;

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

	if (make_room(p, 1, CODEC_BYTES_MAX) < 0)
		return -ERR_NO_MEMORY;

	if (replace_older(p, record->type, id, &slot))
		add_entry(p, record->type, id, slot,
			  codec_encode(record, p->bytes + p->byte_count));
	return 0;
}

bool pending_takes(const struct pending *p, const struct record *record)
{
	if (record->type == RECORD_FENCE)
		return record->fence_max > p->fence_max;
	if (record->type == RECORD_AUDIT || record->type == RECORD_PAUSED)
		return true;
	uint32_t at = p->slots[find_slot(p, record->type, id_of(record))];
	if (!at || p->v[at - 1].dropped)
		return true;
	return p->v[at - 1].type == RECORD_CLAIM_PUT || p->v[at - 1].type == RECORD_SESSION_PUT;
}

bool pending_takes_place(const struct pending *p, const struct record *row)
{
	uint32_t at = p->slots[find_slot(p, row->type, id_of(row))];
	return at && !p->v[at - 1].dropped;
}

int pending_reserve(struct pending *p, const struct pending *from)
{
	return make_room(p, from->count, from->byte_count);
}

void pending_record(const struct pending *p, size_t i, struct record *ret_record)
{
	int rc = codec_decode(pending_bytes(p, i), p->v[i].length, ret_record);
	assert(rc == 0); /* it was written here */
	(void)rc;
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
		const struct pending_entry *entry = &from->v[i];
		uint32_t slot;
		if (entry->dropped || !replace_older(to, entry->type, entry->id, &slot))
			continue;
		memcpy(to->bytes + to->byte_count, pending_bytes(from, i), entry->length);
		add_entry(to, entry->type, entry->id, slot, entry->length);
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
		const struct pending_entry *e = &p->v[i];
		uint64_t *written = e->type == RECORD_CLAIM_PUT     ? &p->claim_id_written
				    : e->type == RECORD_SESSION_PUT ? &p->session_id_written
								    : NULL;
		if (written && !e->dropped && *written < e->id)
			*written = e->id;
		if (few && e->type != RECORD_AUDIT)
			p->slots[p->v[i].slot] = 0;
	}

	if (!few)
		memset(p->slots, 0, p->slot_count * sizeof(*p->slots));
	p->count = p->dropped_count = p->ended_count = p->spare_count = 0;
	p->byte_count = 0;
	p->fence_max = 0;
	p->paused_set = false;
	if (p->capacity > KEPT_CAPACITY)
		(void)set_capacity(p, KEPT_CAPACITY); /* best effort: it may stay large */
	uint8_t *less = p->byte_capacity > KEPT_BYTES ? malloc(FIRST_BYTES) : NULL;
	if (less) {
		free(p->bytes);
		p->bytes = less;
		p->byte_capacity = FIRST_BYTES;
	}
}
