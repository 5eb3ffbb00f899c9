/* Goal: a journal that cannot be trusted is moved aside whole, never written over, and the broker
 * starts with fences above all that can have been; a log cut by a crash is no damage. Method: makes
 * a journal as a killed process leaves it, hurts a copy of it, opens that. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/err.h"
#include "journal_model.h"
#include "store/wal_check.h"

static const struct wall_ms wall = {1700000000000};

struct journal {
	char *dir, *db, *wal, *turns;
	struct store *store;
	struct store_boot boot;
	char detail[512];
};

static int setup(void **state)
{
	static struct journal journal;
	journal = (struct journal){.dir = model_folder_create()};
	*state = &journal;
	return asprintf(&journal.db, "%s/journal.db", journal.dir) < 0 ||
	       asprintf(&journal.wal, "%s/journal.db-wal", journal.dir) < 0 ||
	       asprintf(&journal.turns, "%s/journal.db-turns", journal.dir) < 0;
}

static int teardown(void **state)
{
	struct journal *j = *state;
	store_close(j->store);
	model_folder_destroy(j->dir);
	free(j->db);
	free(j->wal);
	free(j->turns);
	return 0;
}

enum { TTL_MS = 20000, TTL_MS_MAX = 3600000 };

static int open_in_boot(struct journal *j, const char *boot_id)
{
	const struct store_place place = {.dir = j->dir,
					  .boot_id = boot_id,
					  .now = wall,
					  .ttl_ms = TTL_MS,
					  .ttl_ms_max = TTL_MS_MAX};
	return store_open(&place, &j->store, &j->boot, j->detail, sizeof j->detail);
}

static int try_open(struct journal *j)
{
	return open_in_boot(j, "boot-1");
}

static void write_turns(struct journal *j, int turns)
{
	assert_int_equal(try_open(j), 0);
	for (int turn = 0; turn < turns; turn++)
		assert_int_equal(model_run_turn(j->store, turn), 0);
}

static void ignore_row(void *ctx, uint64_t row, const struct record *record)
{
	(void)ctx, (void)row, (void)record;
}

/* As kill -9 leaves it: all turns in their file, none in the database; `folded`: each in the
 * database's log, by a look at the history. */
static void make_killed_as(struct journal *j, int turns, bool folded)
{
	pid_t child = fork();
	if (child == 0) {
		assert_int_equal(try_open(j), 0);
		for (int turn = 0; turn < turns; turn++) {
			assert_int_equal(model_run_turn(j->store, turn), 0);
			if (folded)
				store_history(j->store, 0, 1, ignore_row, NULL);
		}
		raise(SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

static void make_killed(struct journal *j, int turns)
{
	make_killed_as(j, turns, false);
}

/* All turns in the database, no log: as a clean stop leaves it. */
static void make_closed(struct journal *j, int turns)
{
	write_turns(j, turns);
	store_close(j->store);
	j->store = NULL;
}

static uint8_t *read_whole(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	if (!file)
		fail_msg("%s cannot be read", path);
	assert_int_equal(fstat(fileno(file), &st), 0);
	uint8_t *bytes = malloc((size_t)st.st_size + 1);
	*ret_size = fread(bytes, 1, (size_t)st.st_size, file);
	fclose(file);
	return bytes;
}

static void write_whole(const char *path, const uint8_t *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

static void overwrite(const char *path, long at, const char *text)
{
	FILE *file = fopen(path, "r+b");
	assert_int_equal(fseek(file, at, at < 0 ? SEEK_END : SEEK_SET), 0);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	fclose(file);
}

/* Opens the hurt journal: it must be moved aside byte for byte, and the fresh one must work. */
static void check_quarantine(struct journal *j, const char *reason)
{
	size_t before_size, after_size;
	uint8_t *before = read_whole(j->db, &before_size);
	if (try_open(j) != 0)
		fail_msg("not opened: %s", j->detail);
	if (!j->boot.quarantined)
		fail_msg("not quarantined");
	if (!strstr(j->detail, reason))
		fail_msg("the detail does not say \"%s\": %s", reason, j->detail);
	uint8_t *after = read_whole(j->boot.quarantine_path, &after_size);
	assert_int_equal(after_size, before_size);
	assert_memory_equal(after, before, after_size);
	free(before);
	free(after);
	assert_int_equal(j->boot.fence_max, (uint64_t)wall.v << 10);
	assert_true(j->boot.epoch > 1);
	assert_false(j->boot.same_boot);
	assert_non_null(strstr(j->boot.quarantine_path, "journal.db.quarantine-1700000000000"));
	assert_int_equal(model_run_turn(j->store, 5), 0);
	store_close(j->store);
	j->store = NULL;
	assert_int_equal(try_open(j), 0);
	assert_false(j->boot.quarantined);
	assert_true(j->boot.fence_max >= (uint64_t)wall.v << 10);
}

static void check_intact(struct journal *j, int turns)
{
	if (try_open(j) != 0)
		fail_msg("not opened: %s", j->detail);
	assert_false(j->boot.quarantined);
	const char *difference = model_compare(j->store, &j->boot, turns);
	if (difference)
		fail_msg("after %d turns: %s", turns, difference);
}

/* A file that is no database. */
static void test_garbage(void **state)
{
	struct journal *j = *state;
	make_closed(j, 10);
	overwrite(j->db, 0, "this is no database, it is a text.");
	check_quarantine(j, "not a database");
}

/* A database cut to half, and one cut to nothing where there has been one. */
static void test_truncated(void **state)
{
	struct journal *j = *state;
	make_closed(j, 10);
	size_t size;
	free(read_whole(j->db, &size));
	assert_int_equal(truncate(j->db, (off_t)size / 2), 0);
	check_quarantine(j, "");
}

static void test_emptied(void **state)
{
	struct journal *j = *state;
	make_closed(j, 10);
	assert_int_equal(truncate(j->db, 0), 0);
	check_quarantine(j, "version 0");
}

/* A journal that somebody deleted is a fresh start, but the fences go on. */
static void test_deleted(void **state)
{
	struct journal *j = *state;
	make_closed(j, 10);
	assert_int_equal(unlink(j->db), 0);
	assert_int_equal(try_open(j), 0);
	assert_false(j->boot.quarantined);
	assert_int_equal(j->boot.fence_max, 2000);
	assert_int_equal(j->boot.epoch, 2);
}

/* A log without a database is what a move cut short leaves: it is moved too, not deleted. */
static void test_log_alone(void **state)
{
	struct journal *j = *state;
	make_killed(j, 10);
	assert_int_equal(unlink(j->db), 0);
	size_t size, moved_size;
	uint8_t *log = read_whole(j->wal, &size);
	assert_int_equal(try_open(j), 0);
	assert_true(j->boot.quarantined);
	char moved[5000];
	snprintf(moved, sizeof moved, "%s-wal", j->boot.quarantine_path);
	uint8_t *after = read_whole(moved, &moved_size);
	assert_int_equal(moved_size, size);
	assert_memory_equal(after, log, size);
	free(after);
	free(log);
}

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* A newer schema is left to the newer program; a second one gets another name. */
static void test_newer(void **state)
{
	struct journal *j = *state;
	make_closed(j, 10);
	run_sql(j->db, "PRAGMA user_version=3");
	check_quarantine(j, "schema version 3");
	char first[4096];
	snprintf(first, sizeof first, "%s.quarantine-1700000000000", j->db);
	store_close(j->store);
	j->store = NULL;
	run_sql(j->db, "PRAGMA user_version=4");
	assert_int_equal(try_open(j), 0);
	assert_true(j->boot.quarantined);
	assert_true(strlen(j->boot.quarantine_path) > strlen(first));
	assert_int_equal(access(first, R_OK), 0);
}

/* A row that the codec refuses, a row under a wrong id, a missing table, a wrong counter. */
static void test_bad_rows(void **state)
{
	struct journal *j = *state;
	static const char *const hurts[] = {
		"UPDATE claim SET record = zeroblob(200) WHERE id = 19",
		"UPDATE claim SET id = 190 WHERE id = 19",
		"UPDATE session SET record = (SELECT record FROM claim WHERE id = 19) WHERE id = 9",
		"UPDATE meta SET value = -5 WHERE key = 'fence_max'",
		"UPDATE meta SET value = 'many' WHERE key = 'epoch'",
		"DROP TABLE history",
		"INSERT INTO history VALUES(-7, zeroblob(9))",
	};
	char *base = j->dir;
	for (size_t i = 0; i < sizeof hurts / sizeof *hurts; i++) {
		struct journal one = {0};
		assert_true(asprintf(&one.dir, "%s/%d", base, (int)i) > 0);
		assert_true(asprintf(&one.db, "%s/journal.db", one.dir) > 0);
		make_closed(&one, 10);
		run_sql(one.db, hurts[i]);
		check_quarantine(&one, "");
		store_close(one.store);
		free(one.dir);
		free(one.db);
	}
}

/* A damaged row of history is left out; the leases and the rest of the history stay. */
static void test_bad_history_row(void **state)
{
	struct journal *j = *state;
	make_closed(j, 10);
	run_sql(j->db, "INSERT INTO history VALUES(1000000, zeroblob(9))");
	check_intact(j, 10);
}

/* A bit flipped anywhere in the database: found, or of no consequence; never a crash, and never
 * fewer fences. Flips of every 97th byte. */
static void test_flipped_database(void **state)
{
	struct journal *j = *state;
	make_closed(j, 10);
	size_t size;
	uint8_t *bytes = read_whole(j->db, &size);
	unsigned found = 0;
	for (size_t at = 0; at < size; at += 97) {
		bytes[at] ^= 0x10;
		write_whole(j->db, bytes, size);
		bytes[at] ^= 0x10;
		if (try_open(j) != 0)
			fail_msg("byte %zu: %s", at, j->detail);
		assert_true(j->boot.fence_max >= 2000);
		assert_true(j->boot.epoch > 1);
		found += j->boot.quarantined;
		if (!j->boot.quarantined) {
			const char *difference = model_compare(j->store, &j->boot, 10);
			if (difference && strcmp(difference, "history") != 0)
				fail_msg("byte %zu: %s", at, difference);
		}
		store_close(j->store);
		j->store = NULL;
		unlink(j->wal);
	}
	assert_true(found > 10);
	free(bytes);
}

/* A log cut at any length is some earlier turn, whole; it is not damage. */
static void test_cut_log(void **state)
{
	struct journal *j = *state;
	make_killed_as(j, 10, true);
	size_t size, db_size;
	uint8_t *log = read_whole(j->wal, &size), *db = read_whole(j->db, &db_size);
	for (size_t cut = 0; cut <= size; cut += cut == 0 ? 40 : 1237) {
		write_whole(j->db, db, db_size);
		write_whole(j->wal, log, cut);
		if (try_open(j) != 0)
			fail_msg("cut at %zu: %s", cut, j->detail);
		assert_false(j->boot.quarantined);
		int turns = 0;
		while (turns <= 10 && model_compare(j->store, &j->boot, turns))
			turns++;
		if (turns > 10)
			fail_msg("cut at %zu: no state that ever was", cut);
		assert_int_equal(j->boot.fence_max, 2000);
		store_close(j->store);
		j->store = NULL;
	}
	free(log);
	free(db);
}

/* A flip in the middle of the log would lose whole turns: that is seen. One in the last turns looks
 * like a crash, and is taken as one. */
static void test_flipped_log(void **state)
{
	struct journal *j = *state;
	make_killed_as(j, 10, true);
	size_t size;
	uint8_t *log = read_whole(j->wal, &size);
	assert_true(wal_is_whole(j->wal));
	overwrite(j->wal, (long)size - 100, "#");
	assert_true(wal_is_whole(j->wal));
	write_whole(j->wal, log, size);
	overwrite(j->wal, 3, "#");
	assert_false(wal_is_whole(j->wal));
	write_whole(j->wal, log, size);
	overwrite(j->wal, (long)size / 2, "#");
	assert_false(wal_is_whole(j->wal));
	check_quarantine(j, "damaged in the middle");
	free(log);
}

/* After a reboot the same log is the trace of a power cut: the part before is taken. */
static void test_flipped_log_other_boot(void **state)
{
	struct journal *j = *state;
	make_killed_as(j, 10, true);
	size_t size;
	free(read_whole(j->wal, &size));
	overwrite(j->wal, (long)size / 2, "#");
	assert_int_equal(open_in_boot(j, "boot-2"), 0);
	assert_false(j->boot.quarantined);
	assert_false(j->boot.same_boot);
	assert_int_equal(j->boot.fence_max, 2000);
}

static void close_again(struct journal *j)
{
	store_close(j->store);
	j->store = NULL;
}

/* Turns cut at any length are some earlier turn, whole; it is not damage. */
static void test_cut_turns(void **state)
{
	struct journal *j = *state;
	make_killed(j, 10);
	size_t size, db_size, wal_size;
	uint8_t *turns = read_whole(j->turns, &size), *db = read_whole(j->db, &db_size);
	uint8_t *wal = read_whole(j->wal, &wal_size);
	int last = 10;
	for (size_t cut = size; cut > 0; cut -= cut > 97 ? 97 : cut) {
		write_whole(j->db, db, db_size);
		write_whole(j->wal, wal, wal_size);
		write_whole(j->turns, turns, cut);
		if (try_open(j) != 0)
			fail_msg("cut at %zu: %s", cut, j->detail);
		assert_false(j->boot.quarantined);
		assert_int_equal(j->boot.fence_max, 2000);
		while (last >= 0 && model_compare(j->store, &j->boot, last))
			last--;
		if (last < 0)
			fail_msg("cut at %zu: no state that ever was", cut);
		close_again(j);
	}
	assert_int_equal(last, 0);
	free(turns);
	free(db);
	free(wal);
}

/* Each byte of the turns flipped in its turn: no turn but the last is lost unseen. */
static void test_flipped_turns(void **state)
{
	struct journal *j = *state;
	make_killed(j, 6);
	size_t size, db_size, wal_size;
	uint8_t *turns = read_whole(j->turns, &size), *db = read_whole(j->db, &db_size);
	uint8_t *wal = read_whole(j->wal, &wal_size);
	unsigned seen = 0, crashes = 0;
	for (size_t at = 0; at < size; at += 31) {
		write_whole(j->db, db, db_size);
		write_whole(j->wal, wal, wal_size);
		turns[at] ^= 0x10;
		write_whole(j->turns, turns, size);
		turns[at] ^= 0x10;
		assert_int_equal(try_open(j), 0);
		seen += j->boot.quarantined;
		if (j->boot.quarantined)
			assert_true(j->boot.in_doubt_ms > 0);
		else if (model_compare(j->store, &j->boot, 5))
			fail_msg("byte %zu of %zu: not the turn before the last", at, size);
		crashes += !j->boot.quarantined;
		close_again(j);
	}
	assert_true(seen > 20 && crashes > 5 && crashes < seen);
	free(turns);
	free(db);
	free(wal);
}

/* After a reboot such turns are the trace of a power cut: those before are taken. */
static void test_flipped_turns_other_boot(void **state)
{
	struct journal *j = *state;
	make_killed(j, 10);
	size_t size;
	free(read_whole(j->turns, &size));
	overwrite(j->turns, (long)size / 2, "#");
	assert_int_equal(open_in_boot(j, "boot-2"), 0);
	assert_false(j->boot.quarantined);
	assert_int_equal(j->boot.fence_max, 2000);
}

/* Turns without their database are moved aside with nothing lost; a database without the turns of
 * a killed start, or with turns newer than itself, knows that it does not know who holds. */
static void test_parted(void **state)
{
	struct journal *j = *state;
	size_t size, moved_size, db_size;
	make_closed(j, 3);
	uint8_t *db = read_whole(j->db, &db_size);
	make_killed(j, 10);
	uint8_t *turns = read_whole(j->turns, &size);
	assert_int_equal(unlink(j->turns), 0);
	assert_int_equal(try_open(j), 0);
	assert_false(j->boot.quarantined);
	assert_int_equal(j->boot.in_doubt_ms, TTL_MS);
	assert_string_equal(j->boot.doubt, "the last turns of the journal are gone");
	close_again(j);
	write_whole(j->db, db, db_size);
	write_whole(j->turns, turns, size);
	assert_int_equal(try_open(j), 0);
	assert_false(j->boot.quarantined);
	assert_int_equal(j->boot.in_doubt_ms, TTL_MS);
	close_again(j);
	assert_int_equal(unlink(j->db), 0);
	write_whole(j->turns, turns, size);
	assert_int_equal(try_open(j), 0);
	assert_true(j->boot.quarantined);
	char moved[5000];
	snprintf(moved, sizeof moved, "%s-turns", j->boot.quarantine_path);
	uint8_t *after = read_whole(moved, &moved_size);
	assert_int_equal(moved_size, size);
	assert_memory_equal(after, turns, size);
	free(after);
	free(turns);
	free(db);
}

/* One spoiled slot of the fence file leaves the other; without the file the journal's own counts.
 */
static void test_fence_file(void **state)
{
	struct journal *j = *state;
	char path[4096];
	snprintf(path, sizeof path, "%s/fence", j->dir);
	make_closed(j, 10);
	for (int slot = 0; slot < 2; slot++) {
		overwrite(path, slot * 32 + 9, "###");
		assert_int_equal(try_open(j), 0);
		assert_int_equal(j->boot.fence_max, 2000);
		assert_int_equal(j->boot.epoch, (uint64_t)slot + 2);
		store_close(j->store);
		j->store = NULL;
	}
	assert_int_equal(unlink(path), 0);
	check_intact(j, 10);
	assert_int_equal(j->boot.epoch, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_garbage),          TEST(test_truncated),
		TEST(test_emptied),          TEST(test_deleted),
		TEST(test_log_alone),        TEST(test_newer),
		TEST(test_bad_rows),         TEST(test_bad_history_row),
		TEST(test_flipped_database), TEST(test_cut_log),
		TEST(test_flipped_log),      TEST(test_flipped_log_other_boot),
		TEST(test_fence_file),       TEST(test_cut_turns),
		TEST(test_flipped_turns),    TEST(test_flipped_turns_other_boot),
		TEST(test_parted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
