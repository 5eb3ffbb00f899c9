/* store_private: the journal's state, private to store.c and store_*.c. */
#pragma once
#include "store/batches.h"
#include "store/database.h"
#include "store/fence_file.h"
#include "store/pending.h"

enum {
	STORE_PATH_BYTES = 4096,
	HISTORY_ROW_RECORDS = 64, /* in a row of history, at most */
	STORE_GPUS_BYTES = LIMIT_GPUS * (LIMIT_GPU_NAME_BYTES + 1),
	STORE_KEYS_BYTES = 4096,
};

extern const char fence_name[];

struct store {
	int dir_fd, lock_fd;
	struct database db;
	struct pending pending;  /* of this turn */
	struct pending unfolded; /* in the turns file, not in the tables yet */
	struct batches turns;
	size_t fold_at;         /* 0: at the usual count */
	uint64_t fold_at_bytes; /* 0: at the usual length of the turns */
	int turns_rc;           /* of checkpoint_load */
	uint8_t *turn_bytes;
	size_t turn_capacity;
	struct fence_marks marks; /* as in the fence file */
	uint64_t ttl_ms_wanted;   /* more than in the marks: written before the next turn */
	char dir[STORE_PATH_BYTES], copy[STORE_PATH_BYTES];
	char boot_id[64];
	bool boot_begins; /* no turn of this boot is written yet: the live rows are of another */
	struct wall_ms started;
	uint64_t journal_inode;
	char turns_path[STORE_PATH_BYTES + 32];
	/* The journal cannot be written where it is, and `trouble` says why: turns wait. */
	bool away;
	bool fresh; /* no journal was there, and no doubt about one */
	int64_t in_doubt_ms;
	bool rewrite; /* the next turn replaces all that lives in the tables */
	char trouble[256];
	char gpus[STORE_GPUS_BYTES]; /* names by bit, for a rewrite */
	char keys[STORE_KEYS_BYTES]; /* for a rewrite, too */
	size_t keys_length;
	bool degraded;
	/* Ids are reserved in blocks, so that not every turn writes the counters. A restart after a
	 * crash skips what was left of a block; a clean close gives it back. */
	uint64_t claim_id_reserved, session_id_reserved;
	uint64_t claim_id_max, session_id_max;
	/* Rows of history are numbered without gaps; empty while oldest > newest. */
	uint64_t history_oldest, history_newest;
	bool paused; /* as it was when the journal was opened, or said last */
	char paused_reason[LIMIT_REASON_BYTES + 1];
};

/* Writes the marks beside the journal and, if that works, their copy. 0 or -ERR_IO. */
int store_write_marks(struct store *store, const struct fence_marks *marks);
/* From here on turns wait; each commit checks the folder again. */
void store_go_away(struct store *store, const char *why);
/* Reopens the journal, recreating the folder if needed. True: the next turn can be written, and
 * must contain all live state. */
bool store_come_back(struct store *store);
/* Replaces all live rows by the pending records, in one transaction. 0, or a negative enum err and
 * nothing has changed. */
int checkpoint_rewrite(struct store *store);
/* A lease without session outlives the broker by its TTL, a session by the one it was sent. */
void store_note_ttl(struct store *store, const struct record *record);
int store_write_keys(struct store *store);   /* 0 or a SQLite result code */
int store_note_journal(struct store *store); /* which file it is, for store_check */
/* Before each turn: store_check at the lowest cost. */
bool store_look(struct store *store);
/* Also shortens the log, so that a full disk keeps space for what must be written. */
void store_set_degraded(struct store *store, bool degraded);
/* Moves the latest turns into the tables. 0, or a negative enum err and nothing has changed.
 * `history_may_go`: drops their history if the disk is too full otherwise. */
int checkpoint(struct store *store, bool history_may_go);
bool checkpoint_is_due(const struct store *store);
/* Reads the last run's turns into store->unfolded. 0, DATABASE_CORRUPT or a negative enum err. */
int checkpoint_load(struct store *store, struct batches_found *ret_found);
/* Within a transaction: ends the current round of turns. A SQLite result code. */
int checkpoint_next_round(struct store *store, uint64_t round);
/* Both SQLite result codes. Within a transaction: adds a row of records, numbered from `row` on;
 * prunes a few old ones. */
int history_add(struct store *store, uint64_t row, const void *bytes, size_t length);
int history_prune(struct store *store, uint64_t newest, uint64_t *ret_oldest);
/* 0, DATABASE_CORRUPT or a negative enum err. */
int history_load(struct store *store);
