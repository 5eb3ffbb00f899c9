/* pending: the records of a loop iteration until they are committed. Only the newest state of each
 * id is kept, so writes do not grow with the number of changes, and while a disk stays full memory
 * grows with live state, not with attempts. */
#pragma once
#include "core/record.h"

enum { PENDING_ENDED_MAX = 10000 }; /* ended claims and audits kept for history while not written */

/* A record, encoded once: the turns file and the tables take the same bytes. */
struct pending_entry {
	uint64_t id;     /* of the session or claim; 0: an audit */
	size_t at;       /* in bytes */
	uint32_t length; /* there */
	uint32_t slot;   /* where the index points here */
	enum record_type type;
	bool dropped; /* superseded by a newer entry or by nothing */
};

struct pending {
	struct pending_entry *v; /* in order of arrival */
	size_t count, capacity;
	uint8_t *bytes; /* of all entries, in their order; of those dropped, too */
	size_t byte_count, byte_capacity;
	size_t dropped_count, ended_count;
	size_t spare_count; /* of those ended, how many history could do without */
	uint32_t *slots;    /* open addressing by (type, id): index into v plus 1, 0 = free */
	size_t slot_count;  /* twice the capacity, a power of two */
	uint64_t fence_max; /* 0: no fence to write */
	bool paused_set;
	struct record paused; /* the newest RECORD_PAUSED */
	/* Ids above these were never written, so their end has nothing to delete. */
	uint64_t claim_id_written, session_id_written;
};

int pending_init(struct pending *p); /* 0 or -ERR_NO_MEMORY */
void pending_finish(struct pending *p);
/* 0 or -ERR_NO_MEMORY; the record is then not taken. */
int pending_add(struct pending *p, const struct record *record);
/* False: no broker can have written this after what is here; pending_add would assert. */
bool pending_takes(const struct pending *p, const struct record *record);
/* True: an entry here is newer than this table row, or ends it. */
bool pending_takes_place(const struct pending *p, const struct record *row);
/* Reserves space for all of `from`. 0 or -ERR_NO_MEMORY. */
int pending_reserve(struct pending *p, const struct pending *from);
static inline const uint8_t *pending_bytes(const struct pending *p, size_t i)
{
	return p->bytes + p->v[i].at;
}
void pending_record(const struct pending *p, size_t i, struct record *ret_record);
/* Adds all of `from` to `to`, where space is reserved, and clears `from`. */
void pending_move(struct pending *from, struct pending *to);
bool pending_is_empty(const struct pending *p);
/* After a commit: clears the entries and notes their ids as written. Keeps the memory of a usual
 * turn. */
void pending_clear(struct pending *p);
