/* store: the journal's turns: append, commit, what happens when the disk is full, close. The files
 * beside this one open it (opening.c), keep SQLite (database.c), coalesce a turn (pending.c), keep
 * history, the fence file, the reserve. Called by the shell (src/server) once per loop turn. */
#include "store/store.h"

#include <stdlib.h>

#include "base/err.h"
#include "store/codec.h"
#include "store/folder.h"
#include "store/reserve.h"
#include "store/store_private.h"

enum {
	ID_BLOCK = 1000,
	/* Pages of log before it is folded into the database. Long logs cost least; on a full disk
	 * a short one leaves its room to what must still be written. */
	LOG_PAGES = 1000,
	LOG_PAGES_DEGRADED = 32,
};

/* What a turn will have changed in our own state once it is committed. */
struct turn {
	uint64_t claim_id_reserved, session_id_reserved;
	uint64_t history_oldest, history_newest;
	bool without_history;
};

int store_append(struct store *store, const struct record *record)
{
	int rc = pending_add(&store->pending, record);
	if (rc < 0)
		return rc;
	if (record->type == RECORD_CLAIM_PUT && record->claim.id > store->claim_id_max)
		store->claim_id_max = record->claim.id;
	if (record->type == RECORD_SESSION_PUT && record->session.id > store->session_id_max)
		store->session_id_max = record->session.id;
	return 0;
}

/* Reserves the next block of ids when the last one is used up. A SQLite result code. */
static int reserve_ids(struct store *store, const char *key, uint64_t used, uint64_t *reserved)
{
	if (used <= *reserved)
		return SQLITE_OK;
	*reserved = used + ID_BLOCK;
	return database_meta_set(&store->db, key, *reserved);
}

static int write_record(struct store *store, const struct record *record, struct turn *turn)
{
	struct database *db = &store->db;
	uint8_t bytes[CODEC_BYTES_MAX];
	size_t length = codec_encode(record, bytes);
	int rc = SQLITE_OK;
	switch (record->type) {
	case RECORD_SESSION_PUT:
		return database_put(db, STMT_SESSION_PUT, record->session.id, bytes, length);
	case RECORD_SESSION_END:
		return database_run_number(db, STMT_SESSION_END, record->session.id);
	case RECORD_CLAIM_PUT:
		return database_put(db, STMT_CLAIM_PUT, record->claim.id, bytes, length);
	case RECORD_CLAIM_END:
		/* What was never written needs no delete; most short claims are of this kind. */
		if (record->claim.id <= store->pending.claim_id_written)
			rc = database_run_number(db, STMT_CLAIM_END, record->claim.id);
		if (rc || turn->without_history)
			return rc;
		return history_add(store, ++turn->history_newest, bytes, length);
	case RECORD_AUDIT:
		if (turn->without_history)
			return SQLITE_OK;
		return history_add(store, ++turn->history_newest, bytes, length);
	case RECORD_PAUSED:
		return database_meta_set_bytes(db, "paused", bytes, length);
	case RECORD_FENCE:
		return database_meta_set(db, "fence_max", record->fence_max);
	}
	return SQLITE_MISUSE;
}

/* Everything pending, inside the open transaction. A SQLite result code. */
static int write_pending(struct store *store, struct turn *turn)
{
	const struct pending *p = &store->pending;
	int rc = reserve_ids(store, "claim_id_reserved", store->claim_id_max,
			     &turn->claim_id_reserved);
	if (!rc)
		rc = reserve_ids(store, "session_id_reserved", store->session_id_max,
				 &turn->session_id_reserved);
	if (!rc && p->fence_max)
		rc = database_meta_set(&store->db, "fence_max", p->fence_max);
	if (!rc && p->paused_set)
		rc = write_record(store, &p->paused, turn);
	for (size_t i = 0; i < p->count && !rc; i++)
		if (!p->v[i].dropped)
			rc = write_record(store, &p->v[i].record, turn);
	if (!rc)
		rc = history_prune(store, turn->history_newest, &turn->history_oldest);
	return rc;
}

static int write_turn(struct store *store, bool without_history)
{
	struct database *db = &store->db;
	struct turn turn = {store->claim_id_reserved, store->session_id_reserved,
			    store->history_oldest, store->history_newest, without_history};
	/* Before the transaction: a fence on disk that the journal does not know only leaves a gap
	 * in the numbers; the other way round one could be granted twice. */
	struct fence_marks marks = store->marks;
	if (store->pending.fence_max > marks.fence_max) {
		marks.fence_max = store->pending.fence_max;
		if (fence_file_write(store->dir_fd, &marks) < 0)
			return -ERR_IO;
		store->marks = marks;
	}
	int rc = database_run(db, STMT_BEGIN);
	if (!rc)
		rc = write_pending(store, &turn);
	if (!rc)
		rc = database_run(db, STMT_COMMIT);
	if (rc) {
		/* Some errors have rolled back already; then this one has nothing to do. */
		if (!sqlite3_get_autocommit(db->sqlite))
			database_run(db, STMT_ROLLBACK);
		int judged = database_judge(rc);
		return judged == DATABASE_BAD ? -ERR_IO : judged;
	}
	store->claim_id_reserved = turn.claim_id_reserved;
	store->session_id_reserved = turn.session_id_reserved;
	store->history_oldest = turn.history_oldest;
	store->history_newest = turn.history_newest;
	if (store->pending.paused_set)
		store->paused = store->pending.paused.admin.paused;
	pending_clear(&store->pending);
	return 0;
}

void store_set_degraded(struct store *store, bool degraded)
{
	if (store->degraded != degraded)
		sqlite3_wal_autocheckpoint(store->db.sqlite,
					   degraded ? LOG_PAGES_DEGRADED : LOG_PAGES);
	store->degraded = degraded;
}

/* After a write that failed: makes room, tries again, and at last writes what is live without the
 * history of what ended. */
static int write_in_need(struct store *store)
{
	if (!store->degraded)
		reserve_give_up(store->dir_fd);
	store_set_degraded(store, true);
	/* It may fail as well; then the log just keeps its length. */
	sqlite3_wal_checkpoint_v2(store->db.sqlite, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	int rc = write_turn(store, false);
	if (rc < 0 && store->pending.ended_count)
		rc = write_turn(store, true);
	return rc;
}

int store_commit(struct store *store)
{
	bool empty = pending_is_empty(&store->pending);
	if (empty && !store->degraded)
		return 0;
	int rc = empty ? 0 : write_turn(store, false);
	if (rc < 0)
		return write_in_need(store);
	/* Whole again only with the reserve back, so the next full disk finds us as prepared. */
	if (store->degraded && reserve_take(store->dir_fd))
		store_set_degraded(store, false);
	return 0;
}

bool store_is_degraded(const struct store *store)
{
	return store->degraded;
}

struct replay {
	void (*each)(void *ctx, const struct record *record);
	void *ctx;
};

static void pass_on(void *ctx, uint64_t id, const struct record *record)
{
	(void)id;
	struct replay *replay = ctx;
	replay->each(replay->ctx, record);
}

int store_replay(struct store *store, void (*each)(void *ctx, const struct record *record),
		 void *ctx)
{
	struct replay replay = {each, ctx};
	int rc = database_each(&store->db, STMT_SESSIONS, false, pass_on, &replay);
	if (!rc)
		rc = database_each(&store->db, STMT_CLAIMS, false, pass_on, &replay);
	return rc == DATABASE_BAD ? -ERR_IO : rc; /* opening has read every row before */
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->db.sqlite) {
		bool clean = store_commit(store) == 0;
		if (clean && store->claim_id_max < store->claim_id_reserved)
			database_meta_set(&store->db, "claim_id_reserved", store->claim_id_max);
		if (clean && store->session_id_max < store->session_id_reserved)
			database_meta_set(&store->db, "session_id_reserved", store->session_id_max);
		database_close(&store->db, clean);
	}
	pending_finish(&store->pending);
	folder_close(store->dir_fd, store->lock_fd);
	free(store);
}
