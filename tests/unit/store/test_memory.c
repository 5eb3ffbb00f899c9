/* Goal: the store survives each failed allocation, its own and SQLite's: it says no_memory or goes
 * on, loses nothing that it took, quarantines nothing, leaks nothing (CASES.md T8). Method: fails
 * the n-th allocation, once and for ever, for every n that opening, a few turns, replay and closing
 * reach. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/err.h"
#include "journal_model.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

static const struct wall_ms wall = {1700000000000};
static unsigned allocations, fail_at;
static bool fail_on;
static sqlite3_mem_methods real_methods;

static bool fails(void)
{
	allocations++;
	return fail_at && (allocations == fail_at || (fail_on && allocations > fail_at));
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

static void *sqlite_malloc(int size)
{
	return fails() ? NULL : real_methods.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size)
{
	return fails() ? NULL : real_methods.xRealloc(old, size);
}

struct journal {
	char *dir;
	struct store *store;
	struct store_boot boot;
	char detail[512];
};

static int try_open(struct journal *j)
{
	const struct store_place place = {.dir = j->dir,
					  .boot_id = "boot-1",
					  .now = wall,
					  .ttl_ms = 20000,
					  .ttl_ms_max = 3600000};
	return store_open(&place, &j->store, &j->boot, j->detail, sizeof j->detail);
}

static void fail_from(unsigned at, bool on)
{
	allocations = 0;
	fail_at = at;
	fail_on = on;
}

static void check(struct journal *j, int turns, unsigned at)
{
	assert_int_equal(try_open(j), 0);
	if (j->boot.quarantined)
		fail_msg("allocation %u: quarantined", at);
	const char *difference = model_compare(j->store, &j->boot, turns);
	if (difference)
		fail_msg("allocation %u, after %d turns: %s", at, turns, difference);
	store_close(j->store);
	j->store = NULL;
}

/* A journal of three turns, opened while memory runs out. */
static void test_open(void **state)
{
	(void)state;
	for (int on = 0; on < 2; on++) {
		for (unsigned at = 1;; at++) {
			struct journal j = {.dir = model_folder_create()};
			assert_int_equal(try_open(&j), 0);
			for (int turn = 0; turn < 3; turn++)
				assert_int_equal(model_run_turn(j.store, turn), 0);
			store_close(j.store);
			j.store = NULL;
			fail_from(at, on);
			int rc = try_open(&j);
			bool hit = allocations >= at;
			fail_from(0, false);
			if (rc != 0 && rc != -ERR_NO_MEMORY)
				fail_msg("allocation %u: %s", at, j.detail);
			if (rc == 0)
				assert_false(j.boot.quarantined);
			store_close(j.store);
			check(&j, 3, at);
			model_folder_destroy(j.dir);
			if (!hit)
				break;
		}
	}
}

/* Six turns while memory runs out once, then what is left over committed. */
static void test_turns(void **state)
{
	(void)state;
	for (unsigned at = 1;; at++) {
		struct journal j = {.dir = model_folder_create()};
		assert_int_equal(try_open(&j), 0);
		fail_from(at, false);
		for (int turn = 0; turn < 6; turn++) {
			int rc = model_run_turn(j.store, turn);
			if (rc != 0 && rc != -ERR_NO_MEMORY)
				fail_msg("allocation %u: error %d", at, rc);
		}
		bool hit = allocations >= at;
		fail_from(0, false);
		assert_int_equal(store_commit(j.store), 0);
		assert_int_equal(store_commit(j.store), 0);
		assert_false(store_is_degraded(j.store));
		store_close(j.store);
		j.store = NULL;
		check(&j, 6, at);
		model_folder_destroy(j.dir);
		if (!hit)
			break;
	}
}

/* A turn of so many records that the queue must grow: a record is taken whole or refused. */
static void test_growth(void **state)
{
	(void)state;
	struct journal j = {.dir = model_folder_create()};
	assert_int_equal(try_open(&j), 0);
	unsigned refused = 0;
	for (uint64_t id = 1; id <= 500; id++) {
		struct record record = model_claim(id, 0);
		fail_from(1, false);
		int rc = store_append(j.store, &record);
		refused += rc == -ERR_NO_MEMORY;
		fail_from(0, false);
		if (rc)
			assert_int_equal(store_append(j.store, &record), 0);
	}
	assert_in_range(refused, 2, 10);
	assert_int_equal(store_commit(j.store), 0);
	store_close(j.store);
	assert_int_equal(try_open(&j), 0);
	assert_int_equal(j.boot.claim_id_max, 500);
	store_close(j.store);
	model_folder_destroy(j.dir);
}

int main(void)
{
	sqlite3_mem_methods methods;
	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_methods) != SQLITE_OK)
		return 1;
	methods = real_methods;
	methods.xMalloc = sqlite_malloc;
	methods.xRealloc = sqlite_realloc;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK ||
	    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_growth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
