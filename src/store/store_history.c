/* store_history: ended claims and audits, numbered, several to a row; a row's key is the number of
 * its first. The newest LIMIT_HISTORY are kept. Runs within the caller's transaction. */
#include "base/err.h"
#include "store/codec.h"
#include "store/store.h"
#include "store/store_private.h"

/* More than one, so that a history above the limit shrinks; few, so that no turn feels it. */
enum { PRUNE_STEP = 16 };

/* Offsets of the records of a row, which follow one another as a checkpoint wrote them. */
struct row {
	uint64_t first; /* number of the first */
	const uint8_t *bytes;
	size_t at[HISTORY_ROW_RECORDS + 1];
	unsigned count;
};

/* A record with a damaged length hides the rest of its row, but no other row. */
static int read_row(struct store *store, struct row *ret_row)
{
	sqlite3_stmt *s = store->db.statements[STMT_HISTORY_READ];
	const uint8_t *bytes = sqlite3_column_blob(s, 1);
	size_t length = (size_t)sqlite3_column_bytes(s, 1), at = 0, one;

	*ret_row = (struct row){.first = (uint64_t)sqlite3_column_int64(s, 0), .bytes = bytes};
	if (!bytes && sqlite3_errcode(store->db.sqlite) == SQLITE_NOMEM)
		return -ERR_NO_MEMORY;
	while (ret_row->count < HISTORY_ROW_RECORDS && at < length &&
	       (one = codec_length(bytes + at, length - at)) > 0) {
		at += one;
		ret_row->at[++ret_row->count] = at;
	}

	return 0;
}

static uint64_t number_of_last(struct store *store, uint64_t last_row)
{
	sqlite3_stmt *s = store->db.statements[STMT_HISTORY_READ];
	struct row row = {.count = 1};
	sqlite3_bind_int64(s, 1, (sqlite3_int64)last_row + (last_row < INT64_MAX));
	sqlite3_bind_int64(s, 2, 1);
	if (sqlite3_step(s) == SQLITE_ROW)
		(void)read_row(store, &row);
	sqlite3_reset(s);
	return last_row + (row.count > 1 ? row.count - 1 : 0);
}

int history_load(struct store *store)
{
	sqlite3_stmt *s = store->db.statements[STMT_HISTORY_ENDS];
	uint64_t oldest = 1, newest = 0;

	if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL) {
		oldest = (uint64_t)sqlite3_column_int64(s, 0);
		newest = (uint64_t)sqlite3_column_int64(s, 1);
	}

	int rc = database_classify(sqlite3_reset(s));
	if (!rc && (oldest == 0 || oldest > newest + 1 || newest > INT64_MAX))
		rc = DATABASE_CORRUPT;
	if (rc)
		return rc;

	store->history_oldest = oldest;
	store->history_newest = newest ? number_of_last(store, newest) : 0;
	return 0;
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

	/* Rows are deleted whole, so one must not reach into what is kept. */
	uint64_t kept = LIMIT_HISTORY + HISTORY_ROW_RECORDS - 1;
	uint64_t excess = newest - oldest + 1 > kept ? newest - oldest + 1 - kept : 0;

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

int store_history(struct store *store, uint64_t before, unsigned limit,
		  void (*each)(void *ctx, uint64_t row, const struct record *record), void *ctx)
{
	sqlite3_stmt *s = store->db.statements[STMT_HISTORY_READ];
	unsigned given = 0;
	struct row row;

	int rc = checkpoint(store, false); /* else the newest would be missing */
	if (rc < 0)
		return rc;

	if (before == 0 || before > INT64_MAX)
		before = INT64_MAX;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)before);
	sqlite3_bind_int64(s, 2, -1);

	/* History decides nothing, so a damaged record must not hide the others. */
	while (given < limit && rc == 0 && sqlite3_step(s) == SQLITE_ROW) {
		rc = read_row(store, &row);
		for (unsigned i = row.count; i-- > 0 && given < limit;) {
			struct record record;
			if (row.first + i >= before ||
			    codec_decode(row.bytes + row.at[i], row.at[i + 1] - row.at[i],
					 &record) < 0)
				continue;
			each(ctx, row.first + i, &record);
			given++;
		}
	}

	int end = database_classify(sqlite3_reset(s));
	if (!rc)
		rc = end;
	return rc == DATABASE_CORRUPT ? -ERR_IO : rc;
}
