/* store_away: a journal that disappears while the broker runs, or cannot be written at start.
 * Nothing is dropped: batches wait in memory, and once the journal is writable again the core sends
 * all live state and one transaction replaces the old contents. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/regular_file.h"
#include "store/quarantine.h"
#include "store/state_dir.h"
#include "store/store.h"
#include "store/store_private.h"

int store_note_journal(struct store *store)
{
	struct stat st;
	if (fstatat(store->dir_fd, journal_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -ERR_IO;
	store->journal_inode = st.st_ino;
	return 0;
}

void store_go_away(struct store *store, const char *why)
{
	snprintf(store->trouble, sizeof(store->trouble), "%.150s: %s", store->dir, why);
	store->away = true;
	store->rewrite = false;
	store_set_degraded(store, true);
}

static bool is_folder(const struct store *store, const struct stat *named)
{
	struct stat ours;
	return store->dir_fd >= 0 && !fstat(store->dir_fd, &ours) && ours.st_dev == named->st_dev &&
	       ours.st_ino == named->st_ino;
}

/* A failed stat proves nothing: only a different file counts. */
bool store_check(struct store *store)
{
	struct stat named, journal;

	if (store->away)
		return store->rewrite;

	if (stat(store->dir, &named) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return true;
		store_go_away(store, "the state folder is gone");
	} else if (!is_folder(store, &named)) {
		store_go_away(store, "another folder took the place of the state folder");
	} else if (fstatat(store->dir_fd, journal_name, &journal, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return true;
		store_go_away(store, "the journal was removed");
	} else if (journal.st_ino != store->journal_inode) {
		store_go_away(store, "another file took the place of the journal");
	} else if (fstatat(store->dir_fd, turns_name, &journal, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return true;
		store_go_away(store, "the journal's file of turns was removed");
	} else if (journal.st_ino != store->turns.inode) {
		store_go_away(store, "another file took the place of the journal's file of turns");
	}

	return !store->away;
}

/* The path of the turns file leads through the folder, so one stat checks both. A database removed
 * alone is noticed by the next store_check or checkpoint; a start that finds turns without their
 * database, or of another one, is in doubt. */
bool store_look(struct store *store)
{
	if (store->away)
		return store->rewrite;
	return batches_look(&store->turns, store->turns_path) != 0 || store_check(store);
}

/* Opens and locks the folder now at that path, creating it if needed. 0 or a negative enum err. */
static int open_folder(struct store *store, char *detail, size_t size)
{
	struct stat named;
	int dir_fd = -1, lock_fd = -1;

	if (!stat(store->dir, &named) && is_folder(store, &named))
		return 0;

	int rc = state_dir_open(store->dir, &dir_fd, &lock_fd, detail, size);
	if (rc)
		return rc < 0 ? rc : -ERR_IO;

	state_dir_close(store->dir_fd, store->lock_fd);
	store->dir_fd = dir_fd;
	store->lock_fd = lock_fd;
	return 0;
}

static bool is_ignored(void *ctx, const struct record *record)
{
	(void)ctx, (void)record;
	return true;
}

/* The core resends all live state, so the old turns do not matter; but a later start must not take
 * them for turns of the new round. */
static int open_turns(struct store *store, char *detail, size_t size)
{
	struct batches_found found;
	uint64_t round, ours = store->turns.round;

	batches_close(&store->turns);
	int rc = database_meta_get(&store->db, "turns_round", &round);
	if (!rc)
		rc = batches_open(&store->turns, store->dir_fd, true);
	if (!rc)
		rc = batches_load(&store->turns, round, is_ignored, NULL, &found);
	if (rc < 0)
		snprintf(detail, size, "cannot write %.150s/%s: %s", store->dir, turns_name,
			 regular_file_error(errno));
	if (rc)
		return rc;

	round = found.round_max > round ? found.round_max : round;
	batches_begin(&store->turns, round > ours ? round : ours);
	return 0;
}

static int open_journal(struct store *store, char *detail, size_t size)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/%s", store->dir, journal_name);
	int rc = state_dir_private_file(store->dir_fd, store->dir, journal_name, detail, size);
	if (rc < 0)
		return rc;

	rc = database_open(&store->db, path, true, detail, size);
	if (rc)
		return rc;

	rc = history_load(store);
	if (rc)
		return rc;
	return open_turns(store, detail, size);
}

/* Takes over whatever is there now: a readable journal is kept for its history, any other is
 * quarantined. */
static int take_journal(struct store *store, char *detail, size_t size)
{
	char kept[PATH_MAX + 64];

	int rc = open_journal(store, detail, size);
	if (rc != DATABASE_CORRUPT)
		return rc;

	database_close(&store->db, false);
	rc = quarantine_journal(store->dir, store->dir_fd, store->started, kept, sizeof(kept),
				detail, size);
	if (rc)
		return rc;

	rc = open_journal(store, detail, size);
	return rc == DATABASE_CORRUPT ? -ERR_IO : rc;
}

bool store_come_back(struct store *store)
{
	char detail[sizeof(store->trouble)];
	struct fence_marks there;

	detail[0] = '\0';
	database_close(&store->db, false);
	int rc = open_folder(store, detail, sizeof(detail));
	if (!rc)
		rc = take_journal(store, detail, sizeof(detail));
	if (!rc && fence_file_read(store->dir_fd, fence_name, &there, detail, sizeof(detail)) > 0 &&
	    there.epoch > store->marks.epoch)
		store->marks.epoch = there.epoch;
	if (!rc)
		rc = store_note_journal(store);
	if (rc) {
		database_close(&store->db, false);
		if (detail[0])
			snprintf(store->trouble, sizeof(store->trouble), "%s", detail);
		return false;
	}

	store->rewrite = true;
	return true;
}

bool store_wants_all(struct store *store)
{
	return store->away && (store->rewrite || store_come_back(store));
}

const char *store_trouble(const struct store *store)
{
	return store->trouble;
}
