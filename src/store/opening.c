/* opening: brings a journal up: folder and lock, the checked database or a fresh one in place of
 * one that cannot be trusted, the counters of this start. Called by the shell at start, once. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "store/codec.h"
#include "store/folder.h"
#include "store/quarantine.h"
#include "store/reserve.h"
#include "store/store_private.h"
#include "store/wal_check.h"

/* What one opening passes along. */
struct opening {
	const char *dir, *boot_id;
	struct wall_ms now;
	struct store *store;
	struct store_boot *boot;
	char *detail;
	size_t detail_size;
};

/* A live row must be what its key and table say. */
struct live_check {
	enum record_type type;
	uint64_t id_max;
	bool bad;
};

static void check_live(void *ctx, uint64_t id, const struct record *record)
{
	struct live_check *check = ctx;
	bool claim = record->type == RECORD_CLAIM_PUT;
	if (record->type != check->type || (claim ? record->claim.id : record->session.id) != id)
		check->bad = true;
	if (id > check->id_max)
		check->id_max = id;
}

static int check_table(struct store *store, enum statement statement, enum record_type type,
		       uint64_t *max)
{
	struct live_check check = {.type = type, .id_max = *max};
	int rc = database_each(&store->db, statement, false, check_live, &check);
	if (rc)
		return rc;
	*max = check.id_max;
	return check.bad ? DATABASE_BAD : 0;
}

static int load_paused(struct store *store)
{
	uint8_t bytes[CODEC_BYTES_MAX];
	size_t length;
	struct record record;
	int rc = database_meta_get_bytes(&store->db, "paused", bytes, sizeof bytes, &length);
	if (rc || length == 0)
		return rc;
	if (codec_decode(bytes, length, &record) < 0 || record.type != RECORD_PAUSED)
		return DATABASE_BAD;
	store->paused = record.admin.paused;
	memcpy(store->paused_reason, record.admin.reason, sizeof store->paused_reason);
	return 0;
}

/* Reads the counters and every live row. 0, DATABASE_BAD, or a negative enum err. */
static int load(struct opening *o)
{
	struct store *store = o->store;
	struct database *db = &store->db;
	char boot_id[128];
	size_t length = 0;
	uint64_t epoch = 0, fence_max = 0;
	int rc = database_meta_get(db, "epoch", &epoch);
	if (!rc)
		rc = database_meta_get(db, "fence_max", &fence_max);
	if (!rc)
		rc = database_meta_get(db, "claim_id_reserved", &store->claim_id_reserved);
	if (!rc)
		rc = database_meta_get(db, "session_id_reserved", &store->session_id_reserved);
	if (!rc)
		rc = database_meta_get_bytes(db, "boot_id", boot_id, sizeof boot_id, &length);
	if (!rc)
		rc = load_paused(store);
	store->claim_id_max = store->claim_id_reserved;
	store->session_id_max = store->session_id_reserved;
	if (!rc)
		rc = check_table(store, STMT_SESSIONS, RECORD_SESSION_PUT, &store->session_id_max);
	if (!rc)
		rc = check_table(store, STMT_CLAIMS, RECORD_CLAIM_PUT, &store->claim_id_max);
	if (!rc)
		rc = history_load(store);
	if (!rc)
		rc = fold_load(store);
	if (rc) {
		snprintf(o->detail, o->detail_size, "%s/%s: %s", o->dir, journal_name,
			 rc == DATABASE_BAD ? "a row is damaged" : sqlite3_errmsg(db->sqlite));
		return rc;
	}
	o->boot->same_boot = length == strlen(o->boot_id) && !memcmp(boot_id, o->boot_id, length);
	if (epoch > store->marks.epoch)
		store->marks.epoch = epoch;
	if (fence_max > store->marks.fence_max)
		store->marks.fence_max = fence_max;
	return 0;
}

static bool is_there(struct store *store, const char *name)
{
	struct stat st;
	return !fstatat(store->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) || errno != ENOENT;
}

/* The journal as it lies there. `known`: this folder had one before, so an empty file is damage. */
static int open_journal(struct opening *o, bool known)
{
	char path[PATH_MAX], wal[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", o->dir, journal_name);
	snprintf(wal, sizeof wal, "%s/%s-wal", o->dir, journal_name);
	bool was_there = is_there(o->store, journal_name);
	if (!was_there && is_there(o->store, "journal.db-wal")) {
		snprintf(o->detail, o->detail_size, "%s has no database beside it", wal);
		return DATABASE_BAD;
	}
	int made = folder_private_file(o->store->dir_fd, o->dir, journal_name, o->detail,
				       o->detail_size);
	if (made < 0)
		return made;
	bool whole = wal_is_whole(wal); /* opening may change the log */
	int rc = database_open(&o->store->db, path, made || !known, o->detail, o->detail_size);
	if (!rc)
		rc = load(o);
	/* A power cut may leave such a log too, but then the holders are gone with it. */
	if (!rc && !whole && o->boot->same_boot) {
		snprintf(o->detail, o->detail_size, "%s is damaged in the middle", wal);
		rc = DATABASE_BAD;
	}
	return rc;
}

/* An unreadable journal is moved aside, and the numbers go on from where none can have been: one
 * fence per microsecond since 1970 would not have reached it. */
static int start_afresh(struct opening *o)
{
	struct store *store = o->store;
	struct store_boot *boot = o->boot;
	database_close(&store->db, false);
	pending_clear(&store->unfolded);
	int rc = quarantine_journal(o->dir, store->dir_fd, o->now, boot->quarantine_path,
				    sizeof boot->quarantine_path, o->detail, o->detail_size);
	if (rc < 0)
		return rc;
	rc = open_journal(o, false);
	if (rc)
		return rc < 0 ? rc : -ERR_IO;
	boot->quarantined = true;
	uint64_t wall_ms = o->now.v > 0 ? (uint64_t)o->now.v : 0;
	if (wall_ms << 10 > store->marks.fence_max)
		store->marks.fence_max = wall_ms << 10;
	if (store->marks.epoch == 0)
		store->marks.epoch = wall_ms / 1000;
	store->claim_id_max = store->claim_id_reserved = wall_ms / 1000;
	store->session_id_max = store->session_id_reserved = wall_ms / 1000;
	return 0;
}

/* Makes this start known: the new epoch, whose boot it is. */
static int write_start(struct opening *o)
{
	struct store *store = o->store;
	struct database *db = &store->db;
	store->marks.epoch++;
	int rc = database_run(db, STMT_BEGIN);
	if (!rc)
		rc = database_meta_set(db, "epoch", store->marks.epoch);
	if (!rc)
		rc = database_meta_set(db, "fence_max", store->marks.fence_max);
	if (!rc)
		rc = database_meta_set(db, "claim_id_reserved", store->claim_id_reserved);
	if (!rc)
		rc = database_meta_set(db, "session_id_reserved", store->session_id_reserved);
	if (!rc)
		rc = database_meta_set_bytes(db, "boot_id", o->boot_id, strlen(o->boot_id));
	if (!rc)
		rc = database_run(db, STMT_COMMIT);
	if (rc) {
		int judged = database_judge(rc);
		snprintf(o->detail, o->detail_size, "cannot write %s/%s: %s", o->dir, journal_name,
			 sqlite3_errmsg(db->sqlite));
		return judged == DATABASE_BAD ? -ERR_IO : judged;
	}
	if (fence_file_write(store->dir_fd, &store->marks) < 0) {
		snprintf(o->detail, o->detail_size, "cannot write %s/fence: %s", o->dir,
			 strerror(errno));
		return -ERR_IO;
	}
	return 0;
}

/* What the last run wrote, in the tables: store_replay reads those. */
static int fold_start(struct opening *o)
{
	int rc = fold(o->store, true);
	if (rc < 0)
		snprintf(o->detail, o->detail_size, "cannot write %s/%s: %s", o->dir, journal_name,
			 sqlite3_errmsg(o->store->db.sqlite));
	return rc;
}

static int bring_up(struct opening *o)
{
	struct store *store = o->store;
	int rc = folder_open(o->dir, &store->dir_fd, &store->lock_fd, o->detail, o->detail_size);
	if (rc < 0)
		return rc;
	int known = fence_file_read(store->dir_fd, &store->marks, o->detail, o->detail_size);
	if (known < 0)
		return known;
	rc = open_journal(o, known);
	if (rc == DATABASE_BAD)
		rc = start_afresh(o);
	if (rc == 0)
		rc = fold_start(o);
	if (rc == 0)
		rc = write_start(o);
	if (rc < 0)
		return rc;
	store_set_degraded(store, !reserve_take(store->dir_fd));
	store->pending.claim_id_written = store->claim_id_max;
	store->pending.session_id_written = store->session_id_max;
	o->boot->epoch = store->marks.epoch;
	o->boot->fence_max = store->marks.fence_max;
	o->boot->claim_id_max = store->claim_id_max;
	o->boot->session_id_max = store->session_id_max;
	o->boot->paused = store->paused;
	memcpy(o->boot->paused_reason, store->paused_reason, sizeof o->boot->paused_reason);
	return 0;
}

int store_open(const char *dir, const char *boot_id, struct wall_ms now, struct store **ret_store,
	       struct store_boot *ret_boot, char *detail, size_t detail_size)
{
	struct store *store = calloc(1, sizeof *store);
	struct store_boot boot;
	memset(&boot, 0, sizeof boot);
	if (detail_size)
		detail[0] = '\0';
	if (!store || pending_init(&store->pending) < 0 || pending_init(&store->unfolded) < 0) {
		if (store)
			pending_finish(&store->pending);
		free(store);
		snprintf(detail, detail_size, "out of memory");
		return -ERR_NO_MEMORY;
	}
	store->dir_fd = store->lock_fd = -1;
	struct opening o = {dir, boot_id, now, store, &boot, detail, detail_size};
	int rc = bring_up(&o);
	if (rc < 0) {
		database_close(&store->db, false);
		pending_finish(&store->pending);
		pending_finish(&store->unfolded);
		folder_close(store->dir_fd, store->lock_fd);
		free(store);
		return rc;
	}
	*ret_store = store;
	*ret_boot = boot;
	return 0;
}
