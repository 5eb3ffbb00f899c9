/* database: opens the journal's SQLite file exclusively, rejects what it cannot trust, and prepares
 * every statement once. Quarantine and disk space are the store's business.
 *
 * WAL with locking_mode=EXCLUSIVE set before the first access keeps the log's index on the heap: no
 * -shm file, and a second connection is refused. synchronous=OFF: after a process crash the kernel
 * still has every write; a power cut ends the local holders anyway (see fence_file.c for the one
 * number that must survive it). */
#include "store/database.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "core/record.h"
#include "store/batches.h"
#include "store/codec.h"

/* 1: turns were rows of the table `turn`; they are read and moved by the first checkpoint. */
enum { SCHEMA_VERSION_MIN = 1, SCHEMA_VERSION = 2 };

/* Through the log: of what is written in place a copy may see a half. Then into the file, so that
 * the tables are no matter of the log. */
static const char schema[] = "PRAGMA journal_mode=WAL;"
			     "BEGIN;"
			     "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
			     "CREATE TABLE turn(seq INTEGER PRIMARY KEY, records BLOB NOT NULL);"
			     "CREATE TABLE session(id INTEGER PRIMARY KEY, record BLOB NOT NULL);"
			     "CREATE TABLE claim(id INTEGER PRIMARY KEY, record BLOB NOT NULL);"
			     "CREATE TABLE history(row INTEGER PRIMARY KEY, record BLOB NOT NULL);"
			     "PRAGMA user_version=2;"
			     "COMMIT;"
			     "PRAGMA wal_checkpoint(FULL);";

static const char *const statement_texts[STMT_COUNT] = {
	[STMT_BEGIN] = "BEGIN IMMEDIATE",
	[STMT_COMMIT] = "COMMIT",
	[STMT_ROLLBACK] = "ROLLBACK",
	[STMT_TURNS] = "SELECT records FROM turn ORDER BY seq",
	[STMT_TURNS_CLEAR] = "DELETE FROM turn",
	[STMT_SESSIONS_CLEAR] = "DELETE FROM session",
	[STMT_CLAIMS_CLEAR] = "DELETE FROM claim",
	[STMT_META_PUT] = "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)",
	[STMT_META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[STMT_SESSION_PUT] = "INSERT OR REPLACE INTO session(id, record) VALUES(?1, ?2)",
	[STMT_SESSION_END] = "DELETE FROM session WHERE id = ?1",
	[STMT_SESSIONS] = "SELECT id, record FROM session ORDER BY id",
	[STMT_CLAIM_PUT] = "INSERT OR REPLACE INTO claim(id, record) VALUES(?1, ?2)",
	[STMT_CLAIM_END] = "DELETE FROM claim WHERE id = ?1",
	[STMT_CLAIMS] = "SELECT id, record FROM claim ORDER BY id",
	[STMT_HISTORY_PUT] = "INSERT OR REPLACE INTO history(row, record) VALUES(?1, ?2)",
	[STMT_HISTORY_PRUNE] = "DELETE FROM history WHERE row <= ?1",
	[STMT_HISTORY_READ] =
		"SELECT row, record FROM history WHERE row < ?1 ORDER BY row DESC LIMIT ?2",
	[STMT_HISTORY_ENDS] =
		"SELECT (SELECT min(row) FROM history), (SELECT max(row) FROM history)",
};

int database_classify(int sqlite_code)
{
	switch (sqlite_code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -ERR_ALREADY_RUNNING;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
	case SQLITE_MISMATCH:
	case SQLITE_CONSTRAINT:
	case SQLITE_ERROR: /* the statements are known good, so the schema is damaged */
		return DATABASE_CORRUPT;
	case SQLITE_NOMEM:
		return -ERR_NO_MEMORY;
	default:
		return -ERR_IO;
	}
}

static int judge_with_detail(struct database *db, int sqlite_code, const char *path, char *detail,
			     size_t size)
{
	int rc = database_classify(sqlite_code);
	if (rc == -ERR_ALREADY_RUNNING)
		snprintf(detail, size, "another program uses %s", path);
	else if (rc)
		snprintf(detail, size, "%s: %s", path, sqlite3_errmsg(db->sqlite));
	return rc;
}

/* The first column of the first row, as a number and as text. */
static int query_first(struct database *db, const char *sql, int64_t *ret_number, char *ret_text,
		       size_t text_size)
{
	sqlite3_stmt *statement = NULL;

	int rc = sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW) {
		const unsigned char *text = sqlite3_column_text(statement, 0);
		*ret_number = sqlite3_column_int64(statement, 0);
		if (text)
			snprintf(ret_text, text_size, "%s", (const char *)text);
		else
			rc = SQLITE_NOMEM;
	}

	int end = sqlite3_finalize(statement);
	return rc == SQLITE_ROW ? end : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

static int apply_settings(struct database *db)
{
	static const char settings[] = "PRAGMA journal_mode=WAL;"
				       "PRAGMA temp_store=MEMORY;"
				       "PRAGMA cache_size=-2048;"
				       "PRAGMA trusted_schema=OFF;";
	return sqlite3_exec(db->sqlite, settings, NULL, NULL, NULL);
}

/* Refuses a file of another version or with damaged pages; writes the schema into a new one. */
static int check_or_create(struct database *db, const char *path, bool empty_ok, char *detail,
			   size_t size)
{
	int64_t version, count;
	char text[128];

	int rc = query_first(db, "PRAGMA user_version", &version, text, sizeof(text));
	if (rc == SQLITE_OK)
		rc = query_first(db, "SELECT count(*) FROM sqlite_schema", &count, text,
				 sizeof(text));
	if (rc != SQLITE_OK)
		return judge_with_detail(db, rc, path, detail, size);
	if (version == 0 && count == 0 && sqlite3_db_readonly(db->sqlite, "main"))
		return DATABASE_EMPTY;

	if (version == 0 && count == 0 && empty_ok) {
		rc = sqlite3_exec(db->sqlite, schema, NULL, NULL, NULL);
		return judge_with_detail(db, rc, path, detail, size);
	}

	if (version < SCHEMA_VERSION_MIN || version > SCHEMA_VERSION) {
		snprintf(detail, size,
			 "%s has schema version %lld; this program reads version %d to %d", path,
			 (long long)version, SCHEMA_VERSION_MIN, SCHEMA_VERSION);
		return DATABASE_CORRUPT;
	}

	rc = query_first(db, "PRAGMA quick_check(1)", &count, text, sizeof(text));
	if (rc == SQLITE_OK && strcmp(text, "ok") != 0) {
		snprintf(detail, size, "%s is damaged: %s", path, text);
		return DATABASE_CORRUPT;
	}

	return judge_with_detail(db, rc, path, detail, size);
}

static int prepare_all(struct database *db)
{
	for (int i = 0; i < STMT_COUNT; i++) {
		int rc = sqlite3_prepare_v3(db->sqlite, statement_texts[i], -1,
					    SQLITE_PREPARE_PERSISTENT, &db->statements[i], NULL);
		if (rc != SQLITE_OK)
			return rc;
	}
	return SQLITE_OK;
}

int database_open(struct database *db, const char *path, bool empty_ok, char *detail,
		  size_t detail_size)
{
	memset(db, 0, sizeof(*db));
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(path, &db->sqlite, flags, NULL);
	if (rc != SQLITE_OK)
		return judge_with_detail(db, rc, path, detail, detail_size);

	if (sqlite3_db_readonly(db->sqlite, "main")) {
		snprintf(detail, detail_size, "%s is read-only", path);
		return -ERR_IO;
	}

	sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	rc = sqlite3_exec(db->sqlite, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF;",
			  NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return judge_with_detail(db, rc, path, detail, detail_size);

	int judged = check_or_create(db, path, empty_ok, detail, detail_size);
	if (judged)
		return judged;

	rc = apply_settings(db);
	if (rc == SQLITE_OK)
		rc = prepare_all(db);
	return judge_with_detail(db, rc, path, detail, detail_size);
}

/* In a read-only folder, SQLite reads a WAL database without its log only as immutable. */
int database_open_read(struct database *db, const char *path, bool no_log, char *detail,
		       size_t detail_size)
{
	char uri[3 * 4096 + 32] = "file:";
	size_t length = strlen(uri);

	memset(db, 0, sizeof(*db));
	for (; *path && length < sizeof(uri) - 32; path++) {
		if (strchr("%?#", *path))
			length += (size_t)snprintf(uri + length, sizeof(uri) - length, "%%%02x",
						   (unsigned char)*path);
		else
			uri[length++] = *path;
	}

	snprintf(uri + length, sizeof(uri) - length, "%s", no_log ? "?immutable=1" : "");
	int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX |
		    SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(uri, &db->sqlite, flags, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db->sqlite, "PRAGMA locking_mode=EXCLUSIVE;", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return judge_with_detail(db, rc, uri, detail, detail_size);

	int judged = check_or_create(db, uri, false, detail, detail_size);
	return judged ? judged : judge_with_detail(db, prepare_all(db), uri, detail, detail_size);
}

void database_close(struct database *db, bool tidy)
{
	for (int i = 0; i < STMT_COUNT; i++)
		sqlite3_finalize(db->statements[i]);
	if (db->sqlite && tidy)
		sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	int rc = sqlite3_close(db->sqlite);
	assert(rc == SQLITE_OK); /* every statement was finalized */
	memset(db, 0, sizeof(*db));
}

/* Runs a statement without result rows, and resets it. */
static int step_once(sqlite3_stmt *s)
{
	sqlite3_step(s);
	return sqlite3_reset(s);
}

int database_run(struct database *db, enum statement statement)
{
	return step_once(db->statements[statement]);
}

int database_run_number(struct database *db, enum statement statement, uint64_t first)
{
	sqlite3_bind_int64(db->statements[statement], 1, (sqlite3_int64)first);
	return step_once(db->statements[statement]);
}

int database_upgrade(struct database *db)
{
	return sqlite3_exec(db->sqlite, "PRAGMA user_version=2", NULL, NULL, NULL);
}

int database_put(struct database *db, enum statement statement, uint64_t id, const void *bytes,
		 size_t length)
{
	sqlite3_stmt *s = db->statements[statement];
	sqlite3_bind_int64(s, 1, (sqlite3_int64)id);
	int rc = sqlite3_bind_blob(s, 2, bytes, (int)length, SQLITE_STATIC);
	return rc == SQLITE_OK ? step_once(s) : rc;
}

int database_meta_set(struct database *db, const char *key, uint64_t value)
{
	sqlite3_stmt *s = db->statements[STMT_META_PUT];
	sqlite3_bind_int64(s, 2, (sqlite3_int64)value);
	int rc = sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
	return rc == SQLITE_OK ? step_once(s) : rc;
}

int database_meta_set_bytes(struct database *db, const char *key, const void *bytes, size_t length)
{
	sqlite3_stmt *s = db->statements[STMT_META_PUT];
	int rc = sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_blob(s, 2, bytes, (int)length, SQLITE_STATIC);
	return rc == SQLITE_OK ? step_once(s) : rc;
}

/* Steps to the row of a key: 1 found, 0 not, or an error as database_classify gives it. The caller
 * resets the statement when it has read the row. */
static int find_meta(struct database *db, const char *key)
{
	sqlite3_stmt *s = db->statements[STMT_META_GET];
	int rc = sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		return 1;
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : database_classify(rc);
}

int database_meta_get(struct database *db, const char *key, uint64_t *ret_value)
{
	sqlite3_stmt *s = db->statements[STMT_META_GET];

	int found = find_meta(db, key);
	if (found != 1) {
		*ret_value = 0;
		return found;
	}

	int64_t value = sqlite3_column_int64(s, 0);
	bool bad = sqlite3_column_type(s, 0) != SQLITE_INTEGER || value < 0;
	sqlite3_reset(s);
	*ret_value = (uint64_t)value;
	return bad ? DATABASE_CORRUPT : 0;
}

int database_meta_get_bytes(struct database *db, const char *key, void *buf, size_t size,
			    size_t *ret_length)
{
	sqlite3_stmt *s = db->statements[STMT_META_GET];

	*ret_length = 0;
	int rc = find_meta(db, key);
	if (rc != 1)
		return rc;

	const void *bytes = sqlite3_column_blob(s, 0);
	size_t length = (size_t)sqlite3_column_bytes(s, 0);
	rc = 0;
	if (!bytes && sqlite3_errcode(db->sqlite) == SQLITE_NOMEM)
		rc = -ERR_NO_MEMORY;
	else if (length > size)
		rc = DATABASE_CORRUPT;
	else if (length)
		memcpy(buf, bytes, length);

	sqlite3_reset(s);
	*ret_length = rc ? 0 : length;
	return rc;
}

int database_each_turn(struct database *db, bool (*each)(void *ctx, const struct record *record),
		       void *ctx)
{
	sqlite3_stmt *s = db->statements[STMT_TURNS];
	bool bad = false;

	while (!bad && sqlite3_step(s) == SQLITE_ROW) {
		const void *bytes = sqlite3_column_blob(s, 0);
		size_t length = (size_t)sqlite3_column_bytes(s, 0);
		if (!bytes && sqlite3_errcode(db->sqlite) == SQLITE_NOMEM) {
			sqlite3_reset(s);
			return -ERR_NO_MEMORY;
		}
		bad = !bytes || !batches_each_record(bytes, length, each, ctx);
	}

	int rc = database_classify(sqlite3_reset(s));
	return rc ? rc : bad ? DATABASE_CORRUPT : 0;
}

int database_each(struct database *db, enum statement statement,
		  void (*each)(void *ctx, uint64_t id, const struct record *record), void *ctx)
{
	sqlite3_stmt *s = db->statements[statement];
	bool bad = false;

	while (!bad && sqlite3_step(s) == SQLITE_ROW) {
		struct record record;
		const void *bytes = sqlite3_column_blob(s, 1);
		size_t length = (size_t)sqlite3_column_bytes(s, 1);
		if (!bytes && sqlite3_errcode(db->sqlite) == SQLITE_NOMEM) {
			sqlite3_reset(s);
			return -ERR_NO_MEMORY;
		}
		if (bytes && !codec_decode(bytes, length, &record))
			each(ctx, (uint64_t)sqlite3_column_int64(s, 0), &record);
		else
			bad = true;
	}

	int rc = database_classify(sqlite3_reset(s));
	return rc ? rc : bad ? DATABASE_CORRUPT : 0;
}
