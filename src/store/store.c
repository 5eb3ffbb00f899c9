/* store: append, commit, close, and what happens when the disk is full. The records of one loop
 * iteration (a turn) are one frame at the end of the turns file (batches.c); now and then a
 * checkpoint moves them into the tables of live and ended claims (store_checkpoint.c). Beside this
 * file: opening (store_recovery.c), SQLite (database.c), coalescing (pending.c), history, the fence
 * file and the disk reserve. */
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/codec.h"
#include "store/disk_reserve.h"
#include "store/state_dir.h"
#include "store/store_private.h"

enum {
	/* Pages of log before SQLite checkpoints it. Long logs cost least; on a full disk a short
	 * one leaves space for what must still be written. */
	LOG_PAGES = 1000,
	LOG_PAGES_DEGRADED = 32,
	TURN_BYTES_KEPT = 4 * 1024 * 1024, /* a larger turn gives its memory back */
};

const char fence_name[] = "fence";

int store_write_marks(struct store *store, const struct fence_marks *marks)
{
	if (store->dir_fd < 0 || fence_file_write(store->dir_fd, fence_name, marks, true) < 0)
		return -ERR_IO;
	store->marks = *marks;
	/* Only for the day on which the folder is lost, so it may fail. */
	if (store->copy[0])
		(void)fence_file_write(AT_FDCWD, store->copy, marks, false);
	return 0;
}

void store_keep_copy(struct store *store, const char *path)
{
	struct fence_marks marks = store->marks;
	snprintf(store->copy, sizeof(store->copy), "%s", path);
	marks.idle = store->away; /* a broker that grants nothing yet is no reason for doubt */
	if (!store->away || store->fresh)
		(void)fence_file_write(AT_FDCWD, store->copy, &marks, false);
}

void store_end_doubt(struct store *store)
{
	store->in_doubt_ms = 0;
	if (!store->away)
		(void)database_meta_set(&store->db, "in_doubt_ms", 0);
}

int store_append(struct store *store, const struct record *record)
{
	int rc = pending_add(&store->pending, record);
	if (rc < 0)
		return rc;

	if (record->type == RECORD_CLAIM_PUT && record->claim.id > store->claim_id_max)
		store->claim_id_max = record->claim.id;
	if (record->type == RECORD_SESSION_PUT && record->session.id > store->session_id_max)
		store->session_id_max = record->session.id;
	store_note_ttl(store, record);
	if (record->type == RECORD_PAUSED) {
		store->paused = record->admin.paused;
		memcpy(store->paused_reason, record->admin.reason, sizeof(store->paused_reason));
	}

	return 0;
}

void store_note_ttl(struct store *store, const struct record *record)
{
	if (record->type == RECORD_CLAIM_PUT)
		store_promise(store, record->claim.ttl_ms); /* 0 if not limited by time */
	else if (record->type == RECORD_SESSION_PUT)
		store_promise(store, record->session.ttl_ms);
}

void store_promise(struct store *store, int64_t ttl_ms)
{
	if (ttl_ms > 0 && (uint64_t)ttl_ms > store->ttl_ms_wanted)
		store->ttl_ms_wanted = (uint64_t)ttl_ms;
}

/* Encodes all pending records, after space for the frame header. 0 or -ERR_NO_MEMORY. */
static int encode_turn(struct store *store, bool without_history, size_t *ret_length)
{
	const struct pending *p = &store->pending;
	size_t most = p->byte_count + 3 * CODEC_BYTES_MAX, length = TURNS_HEADER_BYTES;

	if (most > store->turn_capacity) {
		uint8_t *bytes = realloc(store->turn_bytes, most);
		if (!bytes)
			return -ERR_NO_MEMORY;
		store->turn_bytes = bytes;
		store->turn_capacity = most;
	}

	if (p->fence_max) {
		struct record fence = {.type = RECORD_FENCE, .fence_max = p->fence_max};
		length += codec_encode(&fence, store->turn_bytes + length);
	}

	if (p->paused_set)
		length += codec_encode(&p->paused, store->turn_bytes + length);
	for (size_t i = 0; i < p->count; i++) {
		const struct pending_entry *entry = &p->v[i];
		if (entry->dropped || (without_history && entry->type == RECORD_AUDIT))
			continue;
		memcpy(store->turn_bytes + length, pending_bytes(p, i), entry->length);
		length += entry->length;
	}

	*ret_length = length;
	return 0;
}

static int write_turn(struct store *store, bool without_history)
{
	size_t length;

	/* Before the transaction: a fence on disk that the journal does not know only leaves a gap
	 * in the numbers; the other way round one could be granted twice. */
	struct fence_marks marks = store->marks;
	if (store->pending.fence_max > marks.fence_max)
		marks.fence_max = store->pending.fence_max;
	if (store->ttl_ms_wanted > marks.ttl_ms)
		marks.ttl_ms = store->ttl_ms_wanted;
	bool news =
		marks.fence_max != store->marks.fence_max || marks.ttl_ms != store->marks.ttl_ms;
	if ((news || store->rewrite) && store_write_marks(store, &marks) < 0)
		return -ERR_IO;
	if (store->rewrite)
		return checkpoint_rewrite(store);

	int rc = pending_reserve(&store->unfolded, &store->pending);
	if (!rc)
		rc = encode_turn(store, without_history, &length);
	if (rc < 0)
		return rc;

	if (length > TURNS_HEADER_BYTES)
		rc = batches_append(&store->turns, store->turn_bytes, length);
	if (store->turn_capacity > TURN_BYTES_KEPT) {
		free(store->turn_bytes);
		store->turn_bytes = NULL;
		store->turn_capacity = 0;
	}

	if (rc < 0)
		return rc;

	pending_move(&store->pending, &store->unfolded);
	return 0;
}

void store_set_degraded(struct store *store, bool degraded)
{
	if (store->degraded != degraded && store->db.sqlite)
		sqlite3_wal_autocheckpoint(store->db.sqlite,
					   degraded ? LOG_PAGES_DEGRADED : LOG_PAGES);
	store->degraded = degraded;
}

/* After a failed write: frees space, retries, and finally writes live state without history. */
static int write_in_need(struct store *store)
{
	if (!store->degraded)
		disk_reserve_release(store->dir_fd);
	store_set_degraded(store, true);

	/* May fail too; then the log just keeps its length. */
	sqlite3_wal_checkpoint_v2(store->db.sqlite, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	checkpoint(store, true); /* as above */
	int rc = write_turn(store, false);
	if (rc < 0 && store->pending.ended_count)
		rc = write_turn(store, true);
	return rc;
}

/* The first turn after the journal was away. */
static int commit_anew(struct store *store)
{
	int rc = write_turn(store, false);
	if (rc < 0) {
		char why[128];
		snprintf(why, sizeof(why), "the journal cannot be begun anew (%s)",
			 sqlite3_errmsg(store->db.sqlite));
		store_go_away(store, why);
		return rc;
	}

	store->away = store->rewrite = false;
	store->trouble[0] = '\0';
	store_set_degraded(store, !disk_reserve_take(store->dir_fd));
	return 0;
}

int store_commit(struct store *store)
{
	bool empty = pending_is_empty(&store->pending);
	if (empty && !store->degraded)
		return 0;
	if (store->rewrite)
		return commit_anew(store);
	if (!store_look(store))
		return -ERR_IO;

	int rc = empty ? 0 : write_turn(store, false);
	if (rc < 0)
		return write_in_need(store);

	/* A failed checkpoint is retried with a later turn: the turns themselves are written. */
	if (checkpoint_is_due(store))
		checkpoint(store, store->degraded);

	/* Recovered only with the reserve back, to be prepared for the next full disk. */
	if (store->degraded && disk_reserve_take(store->dir_fd))
		store_set_degraded(store, false);
	return 0;
}

bool store_is_degraded(const struct store *store)
{
	return store->degraded;
}

struct replay {
	const struct store *store;
	void (*each)(void *ctx, const struct record *record);
	void *ctx;
};

/* A turn that no checkpoint has moved yet supersedes the row. */
static void pass_on(void *ctx, uint64_t id, const struct record *record)
{
	struct replay *replay = ctx;
	(void)id;
	if (pending_takes_place(&replay->store->unfolded, record))
		return;
	replay->each(replay->ctx, record);
}

static void replay_unfolded(struct replay *replay, enum record_type type)
{
	const struct pending *p = &replay->store->unfolded;
	for (size_t i = 0; i < p->count; i++) {
		struct record record;
		if (p->v[i].dropped || p->v[i].type != type)
			continue;
		pending_record(p, i, &record);
		replay->each(replay->ctx, &record);
	}
}

int store_replay(struct store *store, void (*each)(void *ctx, const struct record *record),
		 void *ctx)
{
	struct replay replay = {store, each, ctx};

	/* The tables hold everything live only after this; on a full disk it fails, and what waits
	 * for the next checkpoint is replayed from memory. */
	int rc = checkpoint(store, false);
	if (rc == -ERR_NO_MEMORY)
		return rc;

	if (store->db.sqlite)
		rc = database_each(&store->db, STMT_SESSIONS, pass_on, &replay);
	replay_unfolded(&replay, RECORD_SESSION_PUT);
	if (!rc && store->db.sqlite)
		rc = database_each(&store->db, STMT_CLAIMS, pass_on, &replay);
	replay_unfolded(&replay, RECORD_CLAIM_PUT);
	return rc == DATABASE_CORRUPT ? -ERR_IO : rc; /* every row was readable at start */
}

/* Nobody holds or waits: even if the journal is lost before the next start, there is no doubt. */
static void note_idle(struct store *store)
{
	struct fence_marks marks = store->marks;
	sqlite3_stmt *s = store->db.statements[STMT_CLAIMS];
	marks.idle = store->in_doubt_ms == 0 && sqlite3_step(s) == SQLITE_DONE;
	sqlite3_reset(s);
	if (marks.idle)
		(void)store_write_marks(store, &marks);
}

void store_close(struct store *store)
{
	if (!store)
		return;

	if (store->db.sqlite) {
		bool clean =
			!store->away && store_commit(store) == 0 && checkpoint(store, false) == 0;
		if (clean)
			batches_end(&store->turns);
		if (clean && store->claim_id_max != store->claim_id_reserved)
			database_meta_set(&store->db, "claim_id_reserved", store->claim_id_max);
		if (clean && store->session_id_max != store->session_id_reserved)
			database_meta_set(&store->db, "session_id_reserved", store->session_id_max);
		if (clean && store->boot_begins)
			database_meta_set(&store->db, "boot_begins", 0);
		if (clean)
			note_idle(store);
		database_close(&store->db, clean);
	}

	batches_close(&store->turns);
	pending_finish(&store->pending);
	pending_finish(&store->unfolded);
	free(store->turn_bytes);
	state_dir_close(store->dir_fd, store->lock_fd);
	free(store);
}
