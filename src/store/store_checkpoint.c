/* store_checkpoint: moves the latest turns into the tables of live sessions, live claims and
 * history, in one transaction; a claim that started and ended in between only touches history. Also
 * reads the turns back when the journal is opened. */
#include <string.h>

#include "base/err.h"
#include "store/codec.h"
#include "store/store_private.h"

enum {
	ID_BLOCK = 1000,
	/* Few enough that a checkpoint takes about a millisecond, many enough that its cost is
	   shared. */
	FOLD_RECORDS = 512,
	FOLD_RECORDS_DEGRADED = 32,
	FOLD_BYTES = 1024 * 1024, /* of turns whose records are all superseded */
};

/* State of the store that changes once the checkpoint is committed. */
struct folding {
	uint64_t claim_id_reserved, session_id_reserved;
	uint64_t history_oldest, history_newest;
	bool without_history;
	struct {
		unsigned count;
		size_t length;
		uint8_t bytes[HISTORY_ROW_RECORDS * CODEC_BYTES_MAX];
	} ends; /* that are no row yet */
};

/* Reserves the next block of ids when the last one is used up. A SQLite result code. */
static int reserve_ids(struct store *store, const char *key, uint64_t used, uint64_t *reserved)
{
	if (used <= *reserved)
		return SQLITE_OK;
	*reserved = used + ID_BLOCK;
	return database_meta_set(&store->db, key, *reserved);
}

/* The ends gathered until now, as one row of history. A SQLite result code. */
static int write_ends(struct store *store, struct folding *folding)
{
	if (folding->ends.count == 0)
		return SQLITE_OK;
	int rc = history_add(store, folding->history_newest + 1, folding->ends.bytes,
			     folding->ends.length);
	folding->history_newest += folding->ends.count;
	folding->ends.count = 0;
	folding->ends.length = 0;
	return rc;
}

static int add_end(struct store *store, const struct pending *p, size_t i, struct folding *folding)
{
	if (folding->without_history)
		return SQLITE_OK;
	memcpy(folding->ends.bytes + folding->ends.length, pending_bytes(p, i), p->v[i].length);
	folding->ends.length += p->v[i].length;
	folding->ends.count++;
	return folding->ends.count == HISTORY_ROW_RECORDS ? write_ends(store, folding) : SQLITE_OK;
}

static int write_entry(struct store *store, const struct pending *p, size_t i,
		       struct folding *folding)
{
	struct database *db = &store->db;
	const struct pending_entry *entry = &p->v[i];
	int rc = SQLITE_OK;

	switch (entry->type) {
	case RECORD_SESSION_PUT:
		return database_put(db, STMT_SESSION_PUT, entry->id, pending_bytes(p, i),
				    entry->length);
	case RECORD_SESSION_END:
		return database_run_number(db, STMT_SESSION_END, entry->id);
	case RECORD_CLAIM_PUT:
		return database_put(db, STMT_CLAIM_PUT, entry->id, pending_bytes(p, i),
				    entry->length);
	case RECORD_CLAIM_END:
		/* Most short claims never reached a table, so there is nothing to delete. */
		if (entry->id <= store->unfolded.claim_id_written)
			rc = database_run_number(db, STMT_CLAIM_END, entry->id);
		return rc ? rc : add_end(store, p, i, folding);
	case RECORD_AUDIT:
		return add_end(store, p, i, folding);
	case RECORD_PAUSED:
	case RECORD_FENCE:
		break; /* no entries */
	}
	return SQLITE_MISUSE;
}

static int write_pause(struct store *store, const struct record *paused)
{
	uint8_t bytes[CODEC_BYTES_MAX];
	size_t length = codec_encode(paused, bytes);
	return database_meta_set_bytes(&store->db, "paused", bytes, length);
}

/* Everything of `p`, inside the open transaction. A SQLite result code. */
static int write_pending(struct store *store, const struct pending *p, struct folding *folding)
{
	int rc = SQLITE_OK;

	if (p->fence_max)
		rc = database_meta_set(&store->db, "fence_max", p->fence_max);
	if (!rc && p->paused_set)
		rc = write_pause(store, &p->paused);
	for (size_t i = 0; i < p->count && !rc; i++)
		if (!p->v[i].dropped)
			rc = write_entry(store, p, i, folding);
	if (rc)
		return rc;

	return write_ends(store, folding);
}

/* Everything unfolded, inside the open transaction. A SQLite result code. */
static int write_all(struct store *store, struct folding *folding)
{
	const struct pending *p = &store->unfolded;

	int rc = reserve_ids(store, "claim_id_reserved", store->claim_id_max,
			     &folding->claim_id_reserved);
	if (!rc)
		rc = reserve_ids(store, "session_id_reserved", store->session_id_max,
				 &folding->session_id_reserved);
	if (!rc)
		rc = write_pending(store, p, folding);
	if (!rc)
		rc = history_prune(store, folding->history_newest, &folding->history_oldest);
	return rc;
}

static int give_up(struct database *db, int code)
{
	/* Some errors have rolled back already; then this one has nothing to do. */
	if (!sqlite3_get_autocommit(db->sqlite))
		database_run(db, STMT_ROLLBACK);
	int judged = database_classify(code);
	return judged == DATABASE_CORRUPT ? -ERR_IO : judged;
}

static void take_over(struct store *store, const struct folding *folding)
{
	store->claim_id_reserved = folding->claim_id_reserved;
	store->session_id_reserved = folding->session_id_reserved;
	store->history_oldest = folding->history_oldest;
	store->history_newest = folding->history_newest;
	store->boot_begins = false;
	pending_clear(&store->unfolded);
	batches_begin(&store->turns, store->turns.round + 1);
}

int checkpoint_next_round(struct store *store, uint64_t round)
{
	int rc = database_run(&store->db, STMT_TURNS_CLEAR);
	if (rc)
		return rc;
	return database_meta_set(&store->db, "turns_round", round);
}

static void begin_folding(const struct store *store, bool without_history,
			  struct folding *ret_folding)
{
	ret_folding->claim_id_reserved = store->claim_id_reserved;
	ret_folding->session_id_reserved = store->session_id_reserved;
	ret_folding->history_oldest = store->history_oldest;
	ret_folding->history_newest = store->history_newest;
	ret_folding->without_history = without_history;
	ret_folding->ends.count = 0;
	ret_folding->ends.length = 0;
}

/* From here on the live rows are of this boot, whatever the turns file holds. */
static int note_boot(struct store *store)
{
	if (!store->boot_begins)
		return SQLITE_OK;
	return database_meta_set(&store->db, "boot_begins", 0);
}

static int try_fold(struct store *store, bool without_history)
{
	struct database *db = &store->db;
	struct folding folding;

	begin_folding(store, without_history, &folding);
	int rc = database_run(db, STMT_BEGIN);
	if (!rc)
		rc = write_all(store, &folding);
	if (!rc)
		rc = checkpoint_next_round(store, store->turns.round + 1);
	if (!rc)
		rc = note_boot(store);
	if (!rc)
		rc = database_run(db, STMT_COMMIT);
	if (rc)
		return give_up(db, rc);

	take_over(store, &folding);
	return 0;
}

/* Whatever the tables held has ended, or is part of this turn. */
static int clear_tables(struct database *db)
{
	int rc = database_run(db, STMT_SESSIONS_CLEAR);
	if (rc)
		return rc;
	return database_run(db, STMT_CLAIMS_CLEAR);
}

static int write_marks_of(struct store *store)
{
	struct database *db = &store->db;

	int rc = database_meta_set(db, "epoch", store->marks.epoch);
	if (rc)
		return rc;

	rc = database_meta_set(db, "fence_max", store->marks.fence_max);
	if (rc)
		return rc;

	rc = database_meta_set_bytes(db, "boot_id", store->boot_id, strlen(store->boot_id));
	if (rc)
		return rc;

	rc = database_meta_set(db, "boot_begins", 0);
	if (rc)
		return rc;
	rc = store_write_keys(store);
	if (rc)
		return rc;
	return database_meta_set_bytes(db, "gpus", store->gpus, sizeof(store->gpus));
}

static int write_paused(struct store *store)
{
	struct record record = {.type = RECORD_PAUSED, .admin.paused = store->paused};
	memcpy(record.admin.reason, store->paused_reason, sizeof(record.admin.reason));
	return store->paused ? write_pause(store, &record) : SQLITE_OK;
}

int checkpoint_rewrite(struct store *store)
{
	struct database *db = &store->db;
	struct folding folding;

	begin_folding(store, false, &folding);
	folding.claim_id_reserved = store->claim_id_max;
	folding.session_id_reserved = store->session_id_max;
	int rc = database_run(db, STMT_BEGIN);
	if (!rc)
		rc = clear_tables(db);
	if (!rc)
		rc = checkpoint_next_round(store, store->turns.round + 1);
	if (!rc)
		rc = write_marks_of(store);
	if (!rc)
		rc = database_meta_set(db, "claim_id_reserved", store->claim_id_max);
	if (!rc)
		rc = database_meta_set(db, "session_id_reserved", store->session_id_max);
	if (!rc)
		rc = write_paused(store);

	/* The pending records are all live state, and the history not written yet. */
	if (!rc)
		rc = write_pending(store, &store->pending, &folding);
	if (!rc)
		rc = database_run(db, STMT_COMMIT);
	if (rc)
		return give_up(db, rc);

	take_over(store, &folding);
	pending_clear(&store->pending);
	store->unfolded.claim_id_written = store->claim_id_max;
	store->unfolded.session_id_written = store->session_id_max;
	return 0;
}

/* How many rows a checkpoint would write. */
static size_t records_of(const struct store *store)
{
	return store->unfolded.count - store->unfolded.dropped_count;
}

int checkpoint(struct store *store, bool history_may_go)
{
	if (pending_is_empty(&store->unfolded) && store->turns.count == 0)
		return 0;
	if (store->away)
		return -ERR_IO;

	int rc = try_fold(store, false);
	if (rc < 0 && history_may_go && store->unfolded.ended_count)
		rc = try_fold(store, true);

	/* After a failure, do not retry at every turn: a disk may stay full for a long time. */
	size_t step = store->degraded ? FOLD_RECORDS_DEGRADED : FOLD_RECORDS;
	store->fold_at = rc < 0 ? records_of(store) + step : 0;
	store->fold_at_bytes = rc < 0 ? store->turns.length + FOLD_BYTES : 0;
	return rc;
}

bool checkpoint_is_due(const struct store *store)
{
	size_t step = store->degraded ? FOLD_RECORDS_DEGRADED : FOLD_RECORDS;
	uint64_t bytes = store->fold_at_bytes ? store->fold_at_bytes : FOLD_BYTES;
	return records_of(store) >= (store->fold_at > step ? store->fold_at : step) ||
	       store->turns.length >= bytes;
}

/* False if no broker can have written the record: numbers only rise, and nothing follows an end. */
static bool take_back(void *ctx, const struct record *record)
{
	struct store *store = ctx;

	if (!pending_takes(&store->unfolded, record))
		return false;

	store->turns_rc = pending_add(&store->unfolded, record);
	if (store->turns_rc < 0)
		return false;

	if (record->type == RECORD_PAUSED)
		store->paused = record->admin.paused;
	if (record->type == RECORD_FENCE && record->fence_max > store->marks.fence_max)
		store->marks.fence_max = record->fence_max;
	store_note_ttl(store, record);
	if (record->type == RECORD_CLAIM_PUT || record->type == RECORD_CLAIM_END)
		store->claim_id_max = record->claim.id > store->claim_id_max ? record->claim.id
									     : store->claim_id_max;
	if (record->type == RECORD_SESSION_PUT || record->type == RECORD_SESSION_END)
		store->session_id_max = record->session.id > store->session_id_max
						? record->session.id
						: store->session_id_max;

	return true;
}

int checkpoint_load(struct store *store, struct batches_found *ret_found)
{
	uint64_t round = 0;

	*ret_found = (struct batches_found){0};
	store->unfolded.claim_id_written = store->claim_id_max;
	store->unfolded.session_id_written = store->session_id_max;
	int rc = database_each_turn(&store->db, take_back, store);
	if (!rc)
		rc = database_meta_get(&store->db, "turns_round", &round);
	if (!rc && store->turns.fd >= 0)
		rc = batches_load(&store->turns, round, take_back, store, ret_found);
	store->turns.round = round;
	if (rc == 0 && ret_found->wrong)
		rc = DATABASE_CORRUPT;
	return store->turns_rc < 0 ? store->turns_rc : rc;
}
