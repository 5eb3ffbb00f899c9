/* Goal: the rows of bytes that turns write, and the tables that they are folded into now and then,
 * say the same thing together at every moment. Method: a child that ends without closing the
 * journal after any number of turns, and turns that no broker can have written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "journal_model.h"
#include "store/codec.h"

static const struct wall_ms wall = {1700000000000};

enum { LIVE = 5 };

struct count {
	uint64_t live, first, last, ended, newest_ended;
};

static int open_in_boot(const char *dir, const char *boot_id, struct store **ret_store,
			struct store_boot *ret_boot)
{
	char detail[512];
	const struct store_place place = {.dir = dir,
					  .boot_id = boot_id,
					  .now = wall,
					  .ttl_ms = 20000,
					  .ttl_ms_max = 3600000};
	return store_open(&place, ret_store, ret_boot, detail, sizeof detail);
}

static int try_open(const char *dir, struct store **ret_store, struct store_boot *ret_boot)
{
	return open_in_boot(dir, "boot-1", ret_store, ret_boot);
}

/* Claim n comes in turn n and leaves LIVE turns later. */
static int run_turns(struct store *store, uint64_t first, int turns)
{
	int rc = 0;
	for (int turn = 1; turn <= turns && rc == 0; turn++) {
		uint64_t id = first + (uint64_t)turn;
		struct record put = model_claim(id, (int)id);
		rc = store_append(store, &put);
		if (turn > LIVE && rc == 0) {
			struct record end = model_claim_end(id - LIVE, (int)id);
			rc = store_append(store, &end);
		}
		if (rc == 0)
			rc = store_commit(store);
	}
	return rc;
}

enum { CHILD_SAME_BOOT = 10, CHILD_OTHER_BOOT = 11 };

/* After its turns the process is gone, as if killed. What it was told of the boot is returned. */
static bool run_and_die(const char *dir, const char *boot_id, int turns)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct store *store;
		struct store_boot boot;
		int rc = open_in_boot(dir, boot_id, &store, &boot);
		if (rc == 0)
			rc = run_turns(store, boot.claim_id_max, turns);
		_exit(rc ? 1 : boot.same_boot ? CHILD_SAME_BOOT : CHILD_OTHER_BOOT);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(status == CHILD_SAME_BOOT << 8 || status == CHILD_OTHER_BOOT << 8);
	return status == CHILD_SAME_BOOT << 8;
}

static void count_live(void *ctx, const struct record *record)
{
	struct count *count = ctx;
	count->first = count->live++ == 0 ? record->claim.id : count->first;
	count->last = record->claim.id;
	assert_int_equal(record->claim.used_ms, (int64_t)record->claim.id);
}

static void count_ended(void *ctx, uint64_t row, const struct record *record)
{
	struct count *count = ctx;
	(void)row;
	if (count->ended++ == 0)
		count->newest_ended = record->claim.id;
}

/* After a crash the journal holds just what was committed, however much of it was folded by then.
 */
static void test_crash_after_any_turn(void **state)
{
	static const int lengths[] = {1, 6, 255, 256, 257, 300, 511, 513, 1500};
	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		uint64_t turns = (uint64_t)lengths[i];
		char *dir = model_folder_create();
		struct store *store;
		struct store_boot boot;
		struct count count = {0};
		run_and_die(dir, "boot-1", lengths[i]);
		assert_int_equal(try_open(dir, &store, &boot), 0);
		assert_int_equal(store_replay(store, count_live, &count), 0);
		assert_int_equal(store_history(store, 0, 5000, count_ended, &count), 0);
		assert_int_equal(count.live, turns < LIVE ? turns : LIVE);
		assert_int_equal(count.last, turns);
		assert_int_equal(count.ended, turns < LIVE ? 0 : turns - LIVE);
		if (count.ended)
			assert_int_equal(count.newest_ended, turns - LIVE);
		assert_true(boot.claim_id_max >= turns);
		store_close(store);
		model_folder_destroy(dir);
	}
}

/* The rows of another boot are that boot's until a turn has said what became of them: a start that
 * is killed before it, or whose disk is full, tells nobody that they ended. */
static void test_boot_without_a_turn(void **state)
{
	static const int lengths[] = {1, 600};
	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		char *dir = model_folder_create();
		assert_false(run_and_die(dir, "boot-1", 3));
		assert_true(run_and_die(dir, "boot-1", 0));
		assert_false(run_and_die(dir, "boot-2", 0));
		assert_false(run_and_die(dir, "boot-2", 0));
		assert_false(run_and_die(dir, "boot-2", lengths[i]));
		assert_true(run_and_die(dir, "boot-2", 0));
		assert_true(run_and_die(dir, "boot-2", lengths[i]));
		assert_false(run_and_die(dir, "boot-1", 0));
		model_folder_destroy(dir);
	}
}

static void insert_turn(const char *dir, const void *bytes, size_t length)
{
	char path[512];
	sqlite3 *db;
	sqlite3_stmt *statement;
	snprintf(path, sizeof path, "%s/journal.db", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO turn(records) VALUES(?1)", -1,
					    &statement, NULL),
			 SQLITE_OK);
	sqlite3_bind_blob64(statement, 1, bytes, length, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
	sqlite3_finalize(statement);
	sqlite3_close(db);
}

static bool is_quarantined_with(const void *bytes, size_t length)
{
	char *dir = model_folder_create();
	struct store *store;
	struct store_boot boot;
	assert_int_equal(try_open(dir, &store, &boot), 0);
	store_close(store);
	insert_turn(dir, bytes, length);
	assert_int_equal(try_open(dir, &store, &boot), 0);
	bool quarantined = boot.quarantined;
	store_close(store);
	model_folder_destroy(dir);
	return quarantined;
}

/* A turn that is no row of whole records, or tells what cannot have happened, is not believed. */
static void test_bad_turns(void **state)
{
	uint8_t bytes[3 * CODEC_BYTES_MAX];
	struct record put = model_claim(7, 1), end = model_claim_end(7, 1), fence = model_fence(50);
	(void)state;
	size_t length = codec_encode(&put, bytes);
	assert_false(is_quarantined_with(bytes, length));
	assert_true(is_quarantined_with(bytes, length - 1));
	assert_true(is_quarantined_with(bytes, 3));
	memset(bytes + length, 0, 5);
	assert_true(is_quarantined_with(bytes, length + 5));
	length = codec_encode(&end, bytes);
	length += codec_encode(&put, bytes + length);
	assert_true(is_quarantined_with(bytes, length));
	length = codec_encode(&fence, bytes);
	length += codec_encode(&fence, bytes + length);
	assert_true(is_quarantined_with(bytes, length));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crash_after_any_turn),
		cmocka_unit_test(test_boot_without_a_turn),
		cmocka_unit_test(test_bad_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
