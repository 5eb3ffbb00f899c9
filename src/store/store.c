/* store: the journal's turns: append, commit, what happens when the disk is full, close. A turn is
 * one row of bytes at the end of one table, which is the least that SQLite can be asked to write;
 * now and then the turns are folded into the tables of what lives and what ended (fold.c). The
 * files beside this one open it (opening.c), keep SQLite (database.c), coalesce a turn (pending.c),
 * keep history, the fence file, the reserve. Called by the shell (src/server) once per loop turn.
 */
#include "store/store.h"

#include <stdlib.h>

#include "base/err.h"
#include "store/codec.h"
#include "store/folder.h"
#include "store/reserve.h"
#include "store/store_private.h"

enum {
	/* Pages of log before it is folded into the database. Long logs cost least; on a full disk
	 * a short one leaves its room to what must still be written. */
	LOG_PAGES = 1000,
	LOG_PAGES_DEGRADED = 32,
	TURN_BYTES_KEPT = 4 * 1024 * 1024, /* a larger turn gives its memory back */
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

/* All that is pending, one record after the other. 0 or -ERR_NO_MEMORY. */
static int encode_turn(struct store *store, bool without_history, size_t *ret_length)
{
	const struct pending *p = &store->pending;
	size_t most = (p->count + 2) * CODEC_BYTES_MAX, length = 0;
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
		const struct record *record = &p->v[i].record;
		if (!p->v[i].dropped && !(without_history && record->type == RECORD_AUDIT))
			length += codec_encode(record, store->turn_bytes + length);
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
	if (store->pending.fence_max > marks.fence_max) {
		marks.fence_max = store->pending.fence_max;
		if (fence_file_write(store->dir_fd, &marks) < 0)
			return -ERR_IO;
		store->marks = marks;
	}
	int rc = pending_reserve(&store->unfolded, store->pending.count);
	if (!rc)
		rc = encode_turn(store, without_history, &length);
	if (rc < 0)
		return rc;
	int code = length ? database_put_turn(&store->db, store->turn_bytes, length) : SQLITE_OK;
	if (store->turn_capacity > TURN_BYTES_KEPT) {
		free(store->turn_bytes);
		store->turn_bytes = NULL;
		store->turn_capacity = 0;
	}
	if (code) {
		int judged = database_judge(code);
		return judged == DATABASE_BAD ? -ERR_IO : judged;
	}
	pending_move(&store->pending, &store->unfolded);
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
	fold(store, true); /* as above */
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
	/* A fold that fails is tried again with a later turn: the turns themselves are written. */
	if (fold_is_due(store))
		fold(store, store->degraded);
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
	int rc = fold(store, false); /* the tables hold what lives only then */
	if (!rc)
		rc = database_each(&store->db, STMT_SESSIONS, false, pass_on, &replay);
	if (!rc)
		rc = database_each(&store->db, STMT_CLAIMS, false, pass_on, &replay);
	return rc == DATABASE_BAD ? -ERR_IO : rc; /* opening has read every row before */
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->db.sqlite) {
		bool clean = store_commit(store) == 0 && fold(store, false) == 0;
		if (clean && store->claim_id_max < store->claim_id_reserved)
			database_meta_set(&store->db, "claim_id_reserved", store->claim_id_max);
		if (clean && store->session_id_max < store->session_id_reserved)
			database_meta_set(&store->db, "session_id_reserved", store->session_id_max);
		database_close(&store->db, clean);
	}
	pending_finish(&store->pending);
	pending_finish(&store->unfolded);
	free(store->turn_bytes);
	folder_close(store->dir_fd, store->lock_fd);
	free(store);
}
