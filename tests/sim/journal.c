/* journal: rows by id, through codec_encode and codec_decode in both directions, so a field that
 * the codec forgets is a field that the simulated restart forgets. It judges only the codec. Called
 * by the broker (broker.c), read by the checks. */
#include "journal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/codec.h"

const uint8_t *journal_append(struct journal *journal, const struct record *record,
			      size_t *ret_length)
{
	size_t need = journal->pending_bytes + 2 + CODEC_BYTES_MAX;
	if (need > journal->pending_capacity) {
		journal->pending_capacity = need * 2;
		journal->pending = realloc(journal->pending, journal->pending_capacity);
		assert(journal->pending);
	}
	uint8_t *at = journal->pending + journal->pending_bytes;
	size_t length = codec_encode(record, at + 2);
	assert(length > 0 && length <= CODEC_BYTES_MAX);
	at[0] = (uint8_t)(length & 0xff);
	at[1] = (uint8_t)(length >> 8);
	journal->pending_bytes += 2 + length;
	journal->appended++;
	*ret_length = length;
	return at + 2;
}

static void apply_claim(struct journal *journal, const struct record *record)
{
	const struct claim_record *rec = &record->claim;
	if (rec->id >= journal->claims_size) {
		size_t size = (size_t)(rec->id + 64) * 2;
		journal->claims = realloc(journal->claims, size * sizeof *journal->claims);
		assert(journal->claims);
		memset(journal->claims + journal->claims_size, 0,
		       (size - journal->claims_size) * sizeof *journal->claims);
		journal->claims_size = size;
	}
	struct journal_claim *row = &journal->claims[rec->id];
	assert(row->live || !row->known); /* an ended claim never comes back */
	if (row->live)
		journal->live_count[row->rec.state]--;
	row->known = true;
	row->live = record->type == RECORD_CLAIM_PUT;
	if (row->live)
		journal->live_count[rec->state]++;
	row->rec = *rec;
	if (row->live && (rec->state == CLAIM_HELD || rec->state == CLAIM_LOADING ||
			  rec->state == CLAIM_YIELDING))
		row->held_fence = rec->fence;
	if (rec->id > journal->claim_id_max)
		journal->claim_id_max = rec->id;
}

static void apply_session(struct journal *journal, const struct record *record)
{
	const struct session_record *rec = &record->session;
	if (rec->id >= journal->sessions_size) {
		size_t size = (size_t)(rec->id + 64) * 2;
		journal->sessions = realloc(journal->sessions, size * sizeof *journal->sessions);
		assert(journal->sessions);
		memset(journal->sessions + journal->sessions_size, 0,
		       (size - journal->sessions_size) * sizeof *journal->sessions);
		journal->sessions_size = size;
	}
	struct journal_session *row = &journal->sessions[rec->id];
	if (record->type == RECORD_SESSION_END) {
		row->live = false;
		return;
	}
	assert(row->live || !row->known);
	*row = (struct journal_session){.known = true, .live = true, .rec = *rec};
	if (rec->id > journal->session_id_max)
		journal->session_id_max = rec->id;
}

static void apply(struct journal *journal, const struct record *record)
{
	switch (record->type) {
	case RECORD_CLAIM_PUT:
	case RECORD_CLAIM_END:
		apply_claim(journal, record);
		return;
	case RECORD_SESSION_PUT:
	case RECORD_SESSION_END:
		apply_session(journal, record);
		return;
	case RECORD_FENCE:
		assert(record->fence_max > journal->fence_max);
		journal->fence_max = record->fence_max;
		return;
	case RECORD_PAUSED:
		journal->paused = record->admin.paused;
		journal->paused_rec = *record;
		return;
	case RECORD_AUDIT:
		journal->audits++;
		return;
	}
	abort();
}

void journal_commit(struct journal *journal)
{
	uint8_t again[CODEC_BYTES_MAX];
	struct record record;
	for (size_t at = 0; at < journal->pending_bytes;) {
		const uint8_t *bytes = journal->pending + at + 2;
		size_t length = journal->pending[at] | (size_t)journal->pending[at + 1] << 8;
		int err = codec_decode(bytes, length, &record);
		assert(err == 0);
		size_t again_length = codec_encode(&record, again);
		assert(again_length == length);
		assert(memcmp(again, bytes, length) == 0);
		apply(journal, &record);
		at += 2 + length;
	}
	journal->pending_bytes = 0;
}

void journal_drop_pending(struct journal *journal)
{
	journal->pending_bytes = 0;
}

const struct journal_claim *journal_claim(const struct journal *journal, uint64_t id)
{
	return id < journal->claims_size && journal->claims[id].known ? &journal->claims[id] : NULL;
}

static void *copy_of(const void *from, size_t size)
{
	if (size == 0)
		return NULL;
	void *to = malloc(size);
	assert(to);
	return memcpy(to, from, size);
}

void journal_copy(struct journal *to, const struct journal *from)
{
	journal_finish(to);
	*to = *from;
	to->claims = copy_of(from->claims, from->claims_size * sizeof *from->claims);
	to->sessions = copy_of(from->sessions, from->sessions_size * sizeof *from->sessions);
	to->pending = NULL;
	to->pending_bytes = to->pending_capacity = 0;
}

void journal_finish(struct journal *journal)
{
	free(journal->claims);
	free(journal->sessions);
	free(journal->pending);
	memset(journal, 0, sizeof *journal);
}
