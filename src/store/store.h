/* store: the journal. One SQLite file (WAL, exclusive, synchronous=OFF: a process crash loses
 * nothing, a power cut ends all local holders anyway; only RECORD_FENCE is synced, by a small file
 * of its own), one connection, one thread. The records of a loop iteration (a turn) are added with
 * store_append and become durable together in store_commit; the server sends nothing before that
 * has returned 0.
 * Functions return 0 or a negative enum err. */
#pragma once
#include "core/record.h"

struct store;

struct store_place {
	const char *dir;
	const char *copy; /* of the fence file, outside of the folder; NULL: none */
	const char *boot_id;
	struct wall_ms now;
	/* How long a lease may outlive its broker: promised now, and the most that an unknown
	 * earlier broker can have promised. */
	int64_t ttl_ms, ttl_ms_max;
	bool traces; /* something else says that a broker ran here before */
};

struct store_boot {
	uint64_t epoch;                        /* of this start: one more than the last */
	uint64_t fence_max;                    /* highest fence that may ever have been granted */
	uint64_t claim_id_max, session_id_max; /* no id above was ever used */
	bool same_boot; /* false: times in the records mean nothing, processes are gone */
	bool paused;
	char paused_reason[LIMIT_REASON_BYTES + 1];
	/* Not 0: earlier holders are unknown and may run on for this long. `doubt` says why. */
	int64_t in_doubt_ms;
	char doubt[160];
	bool quarantined; /* the old journal was unreadable and moved to quarantine_path */
	char quarantine_path[4096];
};

/* Opens or creates the journal in the folder (0700, file 0600), bumps the epoch and commits that.
 * -ERR_ALREADY_RUNNING: another broker holds it. -ERR_IO: `detail` says what and where. A corrupt
 * file, or one of a newer schema, is renamed aside and never overwritten, `detail` says why. Where
 * a broker ran before and its journal is gone, the fence goes on from the fence file, its copy or
 * wall time. What can be read and not be written is read; the store is degraded then, and each
 * commit fails until it can be written. */
int store_open(const struct store_place *place, struct store **ret_store,
	       struct store_boot *ret_boot, char *detail, size_t detail_size);
/* Calls `each` for every live row: sessions first, then claims by rising id. */
int store_replay(struct store *store, void (*each)(void *ctx, const struct record *record),
		 void *ctx);
/* Says which GPU each bit of the masks means, before anything of those GPUs is appended. Where an
 * earlier start had them in another order, the live rows are changed, so call it before
 * store_replay; while the core runs `may_move` is false, and such a list is -ERR_STATE, unless it
 * moves only what was no GPU of this start, and no live claim means. */
int store_gpus(struct store *store, const char *const *names, uint32_t count, bool may_move);
int store_append(struct store *store, const struct record *record);
/* On failure the turn's records stay queued and the next commit tries again, so nothing is lost
 * while the disk is full; the reserve kept beside the journal is given up first, so releases still
 * work, at last without their history. While degraded, call it each second or so even with nothing
 * appended: that is how free space is noticed. */
int store_commit(struct store *store);
/* False: the folder or its journal was removed, renamed or replaced. Nothing is committed from then
 * on until a fresh journal can be created there. */
bool store_check(struct store *store);
/* True: the journal is writable again but lost its contents: append all live state, then commit.
 * Checks only while it is lost, so call it before retrying a commit. */
bool store_wants_all(struct store *store);
/* Text: what cannot be written and why; empty if nothing is wrong. */
const char *store_trouble(const struct store *store);
/* Keeps a copy of the fence file under this path from now on. */
void store_keep_copy(struct store *store, const char *path);
/* A lease may outlive this broker for so long. */
void store_promise(struct store *store, int64_t ttl_ms);
/* The time of doubt is over: the next start need not wait for it again. */
void store_end_doubt(struct store *store);
/* True while disk space is short: report it to the core (EVENT_JOURNAL). */
bool store_is_degraded(const struct store *store);
/* Ended claims and audits, newest first, beginning below `before` (0: the newest). A damaged row is
 * left out. */
int store_history(struct store *store, uint64_t before, unsigned limit,
		  void (*each)(void *ctx, uint64_t row, const struct record *record), void *ctx);
/* The rules that claims are granted by from now on, as bytes of their owner; kept for who replays
 * the past, and no promise: what cannot be written is left. */
void store_put_rules(struct store *store, const void *bytes, size_t length);
/* The last of them. Returns their length; 0: none, of an older broker, or too long for `bytes`. */
size_t store_rules(struct store *store, void *bytes, size_t size);
/* Which keys of the configuration count from now on, as bytes of their owner, 4096 at most; they go
 * along where the journal is begun anew. And those of the last time, as store_rules. */
void store_put_keys(struct store *store, const void *bytes, size_t length);
size_t store_keys(struct store *store, void *bytes, size_t size);
/* Copies a state folder into another (0700, empty), while a broker may run on it: of the moment in
 * which it was called, or a little later. Only reads, takes no lock. 0, or -ERR_IO with detail. */
int store_copy(const char *dir, const char *to, char *detail, size_t detail_size);
void store_close(struct store *store); /* takes NULL; commits what is queued */
