/* store_private: the journal's state, shared by store.c, opening.c and history.c only. */
#pragma once
#include "store/database.h"
#include "store/fence_file.h"
#include "store/pending.h"

struct store {
	int dir_fd, lock_fd;
	struct database db;
	struct pending pending;
	struct fence_marks marks; /* as in the fence file */
	bool degraded;
	/* Ids are reserved in blocks, so that not every turn writes the counters. A restart after a
	 * crash skips what was left of a block; a clean close gives it back. */
	uint64_t claim_id_reserved, session_id_reserved;
	uint64_t claim_id_max, session_id_max;
	/* Rows of history are numbered without gaps; empty while oldest > newest. */
	uint64_t history_oldest, history_newest;
	bool paused;
};

/* Also shortens the log, so that a full disk keeps its room for what must be written. */
void store_set_degraded(struct store *store, bool degraded);
/* Both SQLite result codes. Within a transaction: adds a row; prunes a few old ones. */
int history_add(struct store *store, uint64_t row, const void *bytes, size_t length);
int history_prune(struct store *store, uint64_t newest, uint64_t *ret_oldest);
/* 0, DATABASE_BAD or a negative enum err. */
int history_load(struct store *store);
