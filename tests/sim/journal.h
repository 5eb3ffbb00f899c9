/* journal: the store in memory. Keeps the newest row per id, as bytes of the real codec until they
 * are committed; a crash drops what is not. */
#pragma once
#include "core/record.h"

struct journal_claim {
	bool known, live;
	uint64_t held_fence; /* of the newest row in which it was held: nobody is told earlier */
	struct claim_record rec;
};

struct journal_session {
	bool known, live;
	struct session_record rec;
};

struct journal {
	struct journal_claim *claims; /* by id */
	struct journal_session *sessions;
	size_t claims_size, sessions_size;
	uint32_t live_count[CLAIM_STATE_COUNT];
	uint64_t claim_id_max, session_id_max, fence_max, epoch;
	uint64_t boots; /* of the machine, at the last commit */
	bool paused;
	int64_t in_doubt_ms, in_doubt_until_t; /* 0: who holds is known */
	struct record paused_rec;
	uint8_t *pending; /* encoded records, each after its 2 bytes of length */
	size_t pending_bytes, pending_capacity;
	uint64_t appended, audits;
};

/* Returns the record's encoding and its length, borrowed until the next append. */
const uint8_t *journal_append(struct journal *journal, const struct record *record,
			      size_t *ret_length);
void journal_commit(struct journal *journal);
void journal_drop_pending(struct journal *journal);
/* NULL: never committed. */
const struct journal_claim *journal_claim(const struct journal *journal, uint64_t id);
void journal_copy(struct journal *to, const struct journal *from);
void journal_finish(struct journal *journal);
