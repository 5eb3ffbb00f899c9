/* store_recovery: opens the journal at start: folder and lock, the checked database or a fresh one
 * in place of a damaged one, the counters of this start. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/regular_file.h"
#include "store/codec.h"
#include "store/disk_reserve.h"
#include "store/quarantine.h"
#include "store/state_dir.h"
#include "store/store.h"
#include "store/store_private.h"
#include "store/wal_check.h"

/* State of one opening. */
struct opening {
	const struct store_place *place;
	const char *dir, *boot_id;
	struct wall_ms now;
	bool known;        /* a fence file was in the folder */
	bool copy_known;   /* its copy is there */
	bool fresh;        /* there was no journal */
	bool batches_gone; /* there was no file of turns */
	struct batches_found found;
	struct store *store;
	struct store_boot *boot;
	char *detail;
	size_t detail_size;
};

/* A live row must be what its key and table say. */
struct live_check {
	struct store *store;
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
	store_note_ttl(check->store, record);
	if (id > check->id_max)
		check->id_max = id;
}

static int check_table(struct store *store, enum statement statement, enum record_type type,
		       uint64_t *max)
{
	struct live_check check = {.store = store, .type = type, .id_max = *max};
	int rc = database_each(&store->db, statement, check_live, &check);
	if (rc)
		return rc;
	*max = check.id_max;
	return check.bad ? DATABASE_CORRUPT : 0;
}

static int load_paused(struct store *store)
{
	uint8_t bytes[CODEC_BYTES_MAX];
	size_t length;
	struct record record;

	int rc = database_meta_get_bytes(&store->db, "paused", bytes, sizeof(bytes), &length);
	if (rc || length == 0)
		return rc;
	if (codec_decode(bytes, length, &record) < 0 || record.type != RECORD_PAUSED)
		return DATABASE_CORRUPT;

	store->paused = record.admin.paused;
	memcpy(store->paused_reason, record.admin.reason, sizeof(store->paused_reason));
	return 0;
}

/* The previous holders are unknown. `least_ms`: the doubt of an earlier start. No doubt if they ran
 * in another boot of the machine, or if nobody held or waited at the end. */
static void mark_doubt(struct opening *o, int64_t least_ms, const char *why)
{
	const struct fence_marks *marks = &o->store->marks;
	int64_t ttl_ms = marks->ttl_ms ? (int64_t)marks->ttl_ms : o->place->ttl_ms_max;
	if (marks->idle || (marks->boot && marks->boot != fence_boot(o->boot_id)))
		return;
	ttl_ms = ttl_ms > o->place->ttl_ms ? ttl_ms : o->place->ttl_ms;
	o->boot->in_doubt_ms = ttl_ms > least_ms ? ttl_ms : least_ms;
	snprintf(o->boot->doubt, sizeof(o->boot->doubt), "%s", why);
}

/* Reads the counters and every live row. 0, DATABASE_CORRUPT, or a negative enum err. */
static int load_rows(struct opening *o)
{
	struct store *store = o->store;
	struct database *db = &store->db;
	char boot_id[128];
	size_t length = 0;
	uint64_t epoch = 0, fence_max = 0, in_doubt_ms = 0, begins = 0;

	int rc = database_meta_get(db, "epoch", &epoch);
	if (!rc)
		rc = database_meta_get(db, "in_doubt_ms", &in_doubt_ms);
	if (!rc)
		rc = database_meta_get(db, "fence_max", &fence_max);
	if (!rc)
		rc = database_meta_get(db, "claim_id_reserved", &store->claim_id_reserved);
	if (!rc)
		rc = database_meta_get(db, "session_id_reserved", &store->session_id_reserved);
	if (!rc)
		rc = database_meta_get_bytes(db, "boot_id", boot_id, sizeof(boot_id), &length);
	if (!rc)
		rc = database_meta_get(db, "boot_begins", &begins);
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
		rc = checkpoint_load(store, &o->found);
	if (rc) {
		snprintf(o->detail, o->detail_size, "%s/%s: %s", o->dir, journal_name,
			 rc == DATABASE_CORRUPT ? "a row is damaged" : sqlite3_errmsg(db->sqlite));
		return rc;
	}

	store->boot_begins = begins && o->found.count == 0;
	o->boot->same_boot = length == strlen(o->boot_id) && !memcmp(boot_id, o->boot_id, length) &&
			     !store->boot_begins;
	/* A power cut may leave such a file too, but it also ended the holders. */
	if (o->boot->same_boot && o->found.lost) {
		snprintf(o->detail, o->detail_size, "%s/%s is damaged in the middle", o->dir,
			 turns_name);
		return DATABASE_CORRUPT;
	}

	if (o->boot->same_boot && in_doubt_ms > 0)
		mark_doubt(o, (int64_t)in_doubt_ms,
			   "an earlier start found no record, and ended too soon");
	else if (epoch < store->marks.epoch && !o->fresh)
		mark_doubt(o, 0, "the journal is older than the last start");
	else if (o->boot->same_boot && o->found.round_max > store->turns.round)
		mark_doubt(o, 0, "the journal is older than its last turns");
	else if (o->boot->same_boot && o->batches_gone && store->turns.round > 0)
		mark_doubt(o, 0, "the last turns of the journal are gone");

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

/* Turns of an earlier start are there; a clean shutdown leaves none. */
static bool has_turns(struct store *store)
{
	struct stat st;
	return !fstatat(store->dir_fd, turns_name, &st, AT_SYMLINK_NOFOLLOW) && st.st_size > 0;
}

/* Opens the journal as it is. `known`: the folder had one before, so an empty file is damage. */
static int open_journal(struct opening *o, bool known)
{
	char path[PATH_MAX], wal[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", o->dir, journal_name);
	snprintf(wal, sizeof(wal), "%s/%s-wal", o->dir, journal_name);
	bool was_there = is_there(o->store, journal_name);
	o->fresh = !was_there;
	if (!was_there && (is_there(o->store, "journal.db-wal") || has_turns(o->store))) {
		snprintf(o->detail, o->detail_size, "%s has no database beside it",
			 has_turns(o->store) ? o->store->turns_path : wal);
		return DATABASE_CORRUPT;
	}

	int made = state_dir_private_file(o->store->dir_fd, o->dir, journal_name, o->detail,
					  o->detail_size);
	if (made < 0)
		return made;

	o->batches_gone = !is_there(o->store, turns_name);
	if (batches_open(&o->store->turns, o->store->dir_fd, true) < 0) {
		snprintf(o->detail, o->detail_size, "cannot write %s/%s: %s", o->dir, turns_name,
			 regular_file_error(errno));
		return -ERR_IO;
	}

	bool whole = wal_is_whole(wal); /* opening may change the log */
	int rc = database_open(&o->store->db, path, made || !known, o->detail, o->detail_size);
	if (!rc)
		rc = load_rows(o);

	/* A power cut may leave such a log too, but it also ended the holders. */
	if (!rc && !whole && o->boot->same_boot) {
		snprintf(o->detail, o->detail_size, "%s is damaged in the middle", wal);
		rc = DATABASE_CORRUPT;
	}

	return rc;
}

/* Continues numbering above anything ever used: one fence per microsecond since 1970 would not have
 * reached it. */
static void number_afresh(struct opening *o)
{
	struct store *store = o->store;
	uint64_t wall_ms = o->now.v > 0 ? (uint64_t)o->now.v : 0;

	if (o->boot->quarantined || store->marks.fence_max == 0)
		if (wall_ms << 10 > store->marks.fence_max)
			store->marks.fence_max = wall_ms << 10;
	if (store->marks.epoch == 0)
		store->marks.epoch = wall_ms / 1000;
	store->claim_id_max = store->claim_id_reserved = wall_ms / 1000;
	store->session_id_max = store->session_id_reserved = wall_ms / 1000;
}

static void close_journal(struct store *store)
{
	database_close(&store->db, false);
	batches_close(&store->turns);
	pending_clear(&store->unfolded);
}

/* An unreadable journal is moved aside. */
static int start_afresh(struct opening *o)
{
	struct store *store = o->store;
	struct store_boot *boot = o->boot;

	close_journal(store);
	mark_doubt(o, 0, "the journal was unreadable");
	int rc = quarantine_journal(o->dir, store->dir_fd, o->now, boot->quarantine_path,
				    sizeof(boot->quarantine_path), o->detail, o->detail_size);
	if (rc < 0)
		return rc;

	boot->quarantined = true;
	rc = open_journal(o, false);
	if (rc)
		return rc < 0 ? rc : -ERR_IO;

	number_afresh(o); /* an empty journal knows no numbers */
	return 0;
}

/* A round that no turns file of an earlier start or of another journal has used. */
static uint64_t next_round(const struct opening *o)
{
	uint64_t round = o->store->marks.epoch << 24;
	round = round > o->store->turns.round ? round : o->store->turns.round + 1;
	return round > o->found.round_max ? round : o->found.round_max + 1;
}

/* Records this start: the new epoch and the boot id. The rows of another boot end with the first
 * turn; a start that ends before it leaves them as they are. */
static int write_start(struct opening *o)
{
	struct store *store = o->store;
	struct database *db = &store->db;
	uint64_t round = next_round(o);

	store->boot_begins = !o->boot->same_boot && !o->fresh;
	int rc = database_run(db, STMT_BEGIN);
	if (!rc)
		rc = database_upgrade(db);
	if (!rc)
		rc = checkpoint_next_round(store, round);
	if (!rc)
		rc = database_meta_set(db, "epoch", store->marks.epoch);
	if (!rc)
		rc = database_meta_set(db, "in_doubt_ms", (uint64_t)o->boot->in_doubt_ms);
	if (!rc)
		rc = database_meta_set(db, "fence_max", store->marks.fence_max);
	if (!rc)
		rc = database_meta_set(db, "claim_id_reserved", store->claim_id_reserved);
	if (!rc)
		rc = database_meta_set(db, "session_id_reserved", store->session_id_reserved);
	if (!rc)
		rc = database_meta_set_bytes(db, "boot_id", o->boot_id, strlen(o->boot_id));
	if (!rc)
		rc = database_meta_set(db, "boot_begins", store->boot_begins);
	if (!rc)
		rc = database_run(db, STMT_COMMIT);
	if (rc) {
		int judged = database_classify(rc);
		snprintf(o->detail, o->detail_size, "cannot write %s/%s: %s", o->dir, journal_name,
			 sqlite3_errmsg(db->sqlite));
		if (!sqlite3_get_autocommit(db->sqlite))
			database_run(db, STMT_ROLLBACK);
		return judged == DATABASE_CORRUPT ? -ERR_IO : judged;
	}

	batches_begin(&store->turns, round);
	if (store_write_marks(store, &store->marks) < 0) {
		snprintf(o->detail, o->detail_size, "cannot write %s/fence: %s", o->dir,
			 strerror(errno));
		return -ERR_IO;
	}

	return 0;
}

/* Moves the turns of the last run into the tables, which store_replay reads. */
static int fold_start(struct opening *o)
{
	int rc = checkpoint(o->store, true);
	if (rc < 0)
		snprintf(o->detail, o->detail_size, "cannot write %s/%s: %s", o->dir, journal_name,
			 sqlite3_errmsg(o->store->db.sqlite));
	return rc;
}

/* The newer of the fence file and its copy decides how the last run ended. */
static int read_marks(struct opening *o)
{
	struct fence_marks *marks = &o->store->marks, copy = {0};
	int known = 0, copied = 0;

	if (o->store->dir_fd >= 0)
		known = fence_file_read(o->store->dir_fd, fence_name, marks, o->detail,
					o->detail_size);
	if (known < 0)
		return known;

	if (o->place->copy)
		copied =
			fence_file_read(AT_FDCWD, o->place->copy, &copy, o->detail, o->detail_size);
	o->known = known > 0;
	o->copy_known = copied > 0;
	bool newer = o->copy_known && (!o->known || copy.epoch > marks->epoch);
	if (newer) {
		marks->boot = copy.boot;
		marks->idle = copy.idle;
		marks->epoch = copy.epoch;
	}

	if (copy.fence_max > marks->fence_max)
		marks->fence_max = copy.fence_max;
	if (copy.ttl_ms > marks->ttl_ms)
		marks->ttl_ms = copy.ttl_ms;
	return 0;
}

/* There is no journal. If a broker ran here before, that is doubt; if not, numbers start at 1. */
static void judge_fresh(struct opening *o)
{
	if (!o->known && !o->copy_known && !o->place->traces)
		return;
	mark_doubt(o, 0, "there is no journal where a broker ran before");
	number_afresh(o);
}

/* A journal that cannot be written may still be readable, so that current holders are known. */
static int read_only(struct opening *o)
{
	struct store *store = o->store;
	char path[PATH_MAX];

	close_journal(store);
	o->fresh |= store->dir_fd < 0 || !is_there(store, journal_name);
	if (o->fresh)
		return 0;

	snprintf(path, sizeof(path), "%s/%s", o->dir, journal_name);
	int rc = database_open_read(&store->db, path, !is_there(store, "journal.db-wal"), o->detail,
				    o->detail_size);
	if (!rc && batches_open(&store->turns, store->dir_fd, false) < 0)
		rc = -ERR_IO;
	if (!rc)
		rc = load_rows(o);
	o->fresh = rc == DATABASE_EMPTY;

	if (rc)
		close_journal(store);
	if (rc && !o->fresh) {
		mark_doubt(o, 0, "the journal cannot be read");
		number_afresh(o);
	}

	return rc == -ERR_NO_MEMORY || rc == -ERR_ALREADY_RUNNING ? rc : 0;
}

/* Writes the journal of this start; on failure retries without the reserve. */
static int write_first(struct opening *o)
{
	int rc = fold_start(o);
	if (!rc)
		rc = write_start(o);
	if (rc != -ERR_IO)
		return rc;

	disk_reserve_release(o->store->dir_fd);
	rc = fold_start(o);
	if (rc)
		return rc;

	return write_start(o);
}

static void set_promise(struct opening *o)
{
	struct store *store = o->store;
	struct fence_marks *marks = &store->marks;

	if (o->boot->in_doubt_ms == 0)
		marks->ttl_ms = 0; /* all live state is known and was checked */
	store_promise(store, o->place->ttl_ms);
	store_promise(store, o->boot->in_doubt_ms);
	if (store->ttl_ms_wanted > marks->ttl_ms)
		marks->ttl_ms = store->ttl_ms_wanted;
	marks->boot = fence_boot(o->boot_id);
	marks->idle = false;
	marks->epoch++;
}

static void begin_run(struct opening *o, bool unwritable)
{
	struct store *store = o->store;

	if (unwritable || store_note_journal(store) < 0) {
		store_go_away(store, "");
		snprintf(store->trouble, sizeof(store->trouble), "%s", o->detail);
	} else {
		store_set_degraded(store, !disk_reserve_take(store->dir_fd));
	}

	store->pending.claim_id_written = store->claim_id_max;
	store->pending.session_id_written = store->session_id_max;
	store->in_doubt_ms = o->boot->in_doubt_ms;
	store->fresh = o->fresh && store->in_doubt_ms == 0;
	o->boot->epoch = store->marks.epoch;
	o->boot->fence_max = store->marks.fence_max;
	o->boot->claim_id_max = store->claim_id_max;
	o->boot->session_id_max = store->session_id_max;
	o->boot->paused = store->paused;
	memcpy(o->boot->paused_reason, store->paused_reason, sizeof(o->boot->paused_reason));
}

static int bring_up(struct opening *o)
{
	struct store *store = o->store;
	int full =
		state_dir_open(o->dir, &store->dir_fd, &store->lock_fd, o->detail, o->detail_size);

	int rc = full < 0 ? full : read_marks(o);
	if (rc < 0)
		return rc;

	rc = full ? -ERR_IO : open_journal(o, o->known);
	if (rc == DATABASE_CORRUPT)
		rc = start_afresh(o);

	bool unwritable = rc == -ERR_IO;
	if (unwritable && !o->boot->quarantined)
		rc = read_only(o);

	if ((rc == 0 || unwritable) && o->fresh && !o->boot->quarantined)
		judge_fresh(o);
	if (rc == 0 || unwritable)
		set_promise(o);
	if (rc == 0 && !unwritable) {
		rc = write_first(o);
		unwritable = rc == -ERR_IO;
	}

	if (rc < 0 && !unwritable)
		return rc == -ERR_CONFIG ? -ERR_IO : rc;

	begin_run(o, unwritable);
	return 0;
}

int store_open(const struct store_place *place, struct store **ret_store,
	       struct store_boot *ret_boot, char *detail, size_t detail_size)
{
	struct store *store = calloc(1, sizeof(*store));
	struct store_boot boot;

	memset(&boot, 0, sizeof(boot));
	if (detail_size)
		detail[0] = '\0';
	if (!store || pending_init(&store->pending) < 0 || pending_init(&store->unfolded) < 0) {
		if (store)
			pending_finish(&store->pending);
		free(store);
		snprintf(detail, detail_size, "out of memory");
		return -ERR_NO_MEMORY;
	}

	store->dir_fd = store->lock_fd = store->turns.fd = -1;
	store->started = place->now;
	snprintf(store->dir, sizeof(store->dir), "%s", place->dir);
	snprintf(store->turns_path, sizeof(store->turns_path), "%s/%s", store->dir, turns_name);
	snprintf(store->boot_id, sizeof(store->boot_id), "%s", place->boot_id);
	struct opening o = {.place = place,
			    .dir = place->dir,
			    .boot_id = place->boot_id,
			    .now = place->now,
			    .store = store,
			    .boot = &boot,
			    .detail = detail,
			    .detail_size = detail_size};
	int rc = bring_up(&o);
	if (rc < 0) {
		close_journal(store);
		pending_finish(&store->pending);
		pending_finish(&store->unfolded);
		state_dir_close(store->dir_fd, store->lock_fd);
		free(store);
		return rc;
	}

	*ret_store = store;
	*ret_boot = boot;
	return 0;
}
