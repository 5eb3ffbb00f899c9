/* history: ended claims and audits, numbered rows, newest kept up to LIMIT_HISTORY. Reads and
 * prunes; store.c decides when, within its transactions. */
#include "base/err.h"
#include "store/store_private.h"

/* More than one, so that a history above the limit shrinks; few, so that no turn feels it. */
enum { PRUNE_STEP = 16 };

int history_load(struct store *store)
{
	sqlite3_stmt *s = store->db.statements[STMT_HISTORY_ENDS];
	uint64_t oldest = 1, newest = 0;
	if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL) {
		oldest = (uint64_t)sqlite3_column_int64(s, 0);
		newest = (uint64_t)sqlite3_column_int64(s, 1);
	}
	int rc = database_judge(sqlite3_reset(s));
	if (!rc && (oldest == 0 || oldest > newest + 1 || newest > INT64_MAX))
		rc = DATABASE_BAD;
	if (!rc) {
		store->history_oldest = oldest;
		store->history_newest = newest;
	}
	return rc;
}

int history_add(struct store *store, uint64_t row, const void *bytes, size_t length)
{
	return database_put(&store->db, STMT_HISTORY_PUT, row, bytes, length);
}

int history_prune(struct store *store, uint64_t newest, uint64_t *ret_oldest)
{
	uint64_t oldest = store->history_oldest;
	*ret_oldest = oldest;
	if (newest < oldest)
		return SQLITE_OK;
	uint64_t excess =
		newest - oldest + 1 > LIMIT_HISTORY ? newest - oldest + 1 - LIMIT_HISTORY : 0;
	/* In steps of the full size, so that most turns delete nothing at all. */
	if (excess < PRUNE_STEP)
		return SQLITE_OK;
	uint64_t added = newest - store->history_newest;
	uint64_t step = added > PRUNE_STEP / 2 ? added + PRUNE_STEP : PRUNE_STEP;
	if (step > excess)
		step = excess;
	*ret_oldest = oldest + step;
	return database_run_number(&store->db, STMT_HISTORY_PRUNE, oldest + step - 1);
}

struct read {
	void (*each)(void *ctx, uint64_t row, const struct record *record);
	void *ctx;
};

static void pass_on(void *ctx, uint64_t id, const struct record *record)
{
	struct read *read = ctx;
	read->each(read->ctx, id, record);
}

int store_history(struct store *store, uint64_t before, unsigned limit,
		  void (*each)(void *ctx, uint64_t row, const struct record *record), void *ctx)
{
	sqlite3_stmt *s = store->db.statements[STMT_HISTORY_READ];
	struct read read = {each, ctx};
	int folded = fold(store, false); /* else the newest were missing */
	if (folded < 0)
		return folded;
	bool from_newest = before == 0 || before > INT64_MAX;
	sqlite3_bind_int64(s, 1, from_newest ? INT64_MAX : (sqlite3_int64)before);
	sqlite3_bind_int64(s, 2, limit);
	/* Old rows decide nothing any more: one damaged row must not hide the others. */
	int rc = database_each(&store->db, STMT_HISTORY_READ, true, pass_on, &read);
	return rc == DATABASE_BAD ? -ERR_IO : rc;
}
