/* database: the SQLite side of the journal: opening, checking, the schema and its statements. */
#pragma once
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record;

enum statement {
	STMT_BEGIN,
	STMT_COMMIT,
	STMT_ROLLBACK,
	STMT_TURNS, /* of version 1: all in order */
	STMT_TURNS_CLEAR,
	STMT_SESSIONS_CLEAR,
	STMT_CLAIMS_CLEAR,
	STMT_META_PUT,      /* key, value */
	STMT_META_GET,      /* key */
	STMT_SESSION_PUT,   /* id, record */
	STMT_SESSION_END,   /* id */
	STMT_SESSIONS,      /* all by id */
	STMT_CLAIM_PUT,     /* id, record */
	STMT_CLAIM_END,     /* id */
	STMT_CLAIMS,        /* all by id */
	STMT_HISTORY_PUT,   /* row, record */
	STMT_HISTORY_PRUNE, /* highest row to go */
	STMT_HISTORY_READ,  /* before, limit */
	STMT_HISTORY_ENDS,  /* lowest and highest row */
	STMT_COUNT
};

struct database {
	sqlite3 *sqlite;
	sqlite3_stmt *statements[STMT_COUNT];
};

enum {
	DATABASE_EMPTY = 1,
	DATABASE_CORRUPT = 2
}; /* what the functions below return for a journal to be quarantined */

/* `empty_ok`: a file without a schema is a new journal, not a damaged one. 0, DATABASE_CORRUPT, or
 * a negative enum err; all but 0 with `detail`. Call database_close whatever it returned. */
int database_open(struct database *db, const char *path, bool empty_ok, char *detail,
		  size_t detail_size);
/* Read-only, for a file or folder that cannot be written; `no_log`: no log beside it. Returns the
 * same, or DATABASE_EMPTY for a journal that was never started. */
int database_open_read(struct database *db, const char *path, bool no_log, char *detail,
		       size_t detail_size);
/* `tidy`: checkpoint the log into the database. Otherwise every byte stays as it is. Takes a zeroed
 * or half-open one. */
void database_close(struct database *db, bool tidy);

/* What a SQLite result code means: 0, DATABASE_CORRUPT, or a negative enum err. */
int database_classify(int sqlite_code);
/* Run a statement that gives no row, with its arguments. SQLite result codes. */
int database_run(struct database *db, enum statement statement);
int database_run_number(struct database *db, enum statement statement, uint64_t first);
/* Within a transaction: older versions must not write the database from now on. */
int database_upgrade(struct database *db);
int database_put(struct database *db, enum statement statement, uint64_t id, const void *bytes,
		 size_t length);
int database_meta_set(struct database *db, const char *key, uint64_t value);
int database_meta_set_bytes(struct database *db, const char *key, const void *bytes, size_t length);
/* 0 (zero, or no bytes, where there is no such row), DATABASE_CORRUPT, or a negative enum err. */
int database_meta_get(struct database *db, const char *key, uint64_t *ret_value);
int database_meta_get_bytes(struct database *db, const char *key, void *buf, size_t size,
			    size_t *ret_length);
/* Calls `each` for every record of every turn that an earlier version wrote, oldest first, until it
 * returns false; then, and where the codec refuses a record, DATABASE_CORRUPT. */
int database_each_turn(struct database *db, bool (*each)(void *ctx, const struct record *record),
		       void *ctx);
/* Calls `each` for every row of a statement whose columns are (id, record); a row that the codec
 * refuses ends the walk with DATABASE_CORRUPT. */
int database_each(struct database *db, enum statement statement,
		  void (*each)(void *ctx, uint64_t id, const struct record *record), void *ctx);
