/* Goal: a journal that goes while the broker runs is noticed and begun anew with all that lives,
 * and a start that does not find what a broker left behind knows that it is in doubt (DESIGN S20).
 * Method: files are removed and replaced under an open store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "journal_model.h"
#include "store/store.h"

enum { TTL_MS = 20000, TTL_MS_MAX = 3600000 };

static const struct wall_ms wall = {1700000000000};

struct lost {
	char *dir;
	char state[4096], copy[4096];
	struct store *store;
	struct store_boot boot;
	char detail[512];
};

static int setup(void **state)
{
	static struct lost lost;
	lost = (struct lost){.dir = model_folder_create()};
	snprintf(lost.state, sizeof lost.state, "%s/state", lost.dir);
	snprintf(lost.copy, sizeof lost.copy, "%s/copy", lost.dir);
	*state = &lost;
	return 0;
}

static int teardown(void **state)
{
	struct lost *lost = *state;
	store_close(lost->store);
	model_folder_destroy(lost->dir);
	return 0;
}

static void open_in(struct lost *lost, const char *boot_id, bool traces)
{
	const struct store_place place = {.dir = lost->state,
					  .copy = lost->copy,
					  .boot_id = boot_id,
					  .now = wall,
					  .ttl_ms = TTL_MS,
					  .ttl_ms_max = TTL_MS_MAX,
					  .traces = traces};
	store_close(lost->store);
	lost->store = NULL;
	if (store_open(&place, &lost->store, &lost->boot, lost->detail, sizeof lost->detail))
		fail_msg("%s", lost->detail);
	store_keep_copy(lost->store, lost->copy);
}

static void append(struct lost *lost, struct record record)
{
	assert_int_equal(store_append(lost->store, &record), 0);
}

static void commit(struct lost *lost)
{
	assert_int_equal(store_commit(lost->store), 0);
}

static void drop(const char *dir, const char *name)
{
	char path[8192];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	(void)unlink(path);
}

/* rm -r of the state folder. */
static void remove_state(struct lost *lost)
{
	static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-turns",
					    "lock",       "fence",          "reserve"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		drop(lost->state, names[i]);
	assert_int_equal(rmdir(lost->state), 0);
}

/* As a crash would: nothing is written at the end. */
static void crash(struct lost *lost)
{
	char aside[8192];
	snprintf(aside, sizeof aside, "%s/aside", lost->dir);
	assert_int_equal(rename(lost->state, aside), 0);
	(void)store_check(lost->store);
	store_close(lost->store);
	lost->store = NULL;
	assert_int_equal(rename(aside, lost->state), 0);
}

static void count_row(void *ctx, const struct record *record)
{
	(void)record;
	++*(unsigned *)ctx;
}

static unsigned rows(struct lost *lost)
{
	unsigned count = 0;
	assert_int_equal(store_replay(lost->store, count_row, &count), 0);
	return count;
}

static void test_removed_while_running(void **state)
{
	struct lost *lost = *state;
	open_in(lost, "boot-1", false);
	append(lost, model_session(1));
	append(lost, model_claim(1, 0));
	append(lost, model_claim(2, 0));
	append(lost, model_fence(1000));
	commit(lost);
	assert_true(store_check(lost->store));
	assert_false(store_wants_all(lost->store));
	remove_state(lost);
	append(lost, model_claim_end(2, 1));
	assert_int_equal(store_commit(lost->store), -ERR_IO);
	assert_non_null(strstr(store_trouble(lost->store), lost->state));
	assert_true(store_is_degraded(lost->store));
	assert_true(store_wants_all(lost->store));
	append(lost, model_session(1));
	append(lost, model_claim(1, 0));
	commit(lost);
	assert_string_equal(store_trouble(lost->store), "");
	assert_false(store_is_degraded(lost->store));
	append(lost, model_claim(3, 0));
	commit(lost);
	uint64_t epoch = lost->boot.epoch;
	crash(lost);
	open_in(lost, "boot-1", false);
	assert_int_equal(lost->boot.in_doubt_ms, 0);
	assert_true(lost->boot.same_boot);
	assert_int_equal(lost->boot.epoch, epoch + 1);
	assert_int_equal(lost->boot.fence_max, 1000);
	assert_true(lost->boot.claim_id_max >= 3);
	assert_int_equal(rows(lost), 3);
}

/* What another made there meanwhile is not taken for ours. */
static void test_replaced_while_running(void **state)
{
	struct lost *lost = *state;
	char path[8192];
	open_in(lost, "boot-1", false);
	append(lost, model_session(1));
	commit(lost);
	remove_state(lost);
	assert_int_equal(mkdir(lost->state, 0700), 0);
	snprintf(path, sizeof path, "%s/journal.db", lost->state);
	FILE *file = fopen(path, "w");
	assert_true(file && fputs("somebody's notes", file) >= 0 && fclose(file) == 0);
	assert_false(store_check(lost->store));
	assert_true(store_wants_all(lost->store));
	append(lost, model_session(1));
	commit(lost);
	snprintf(path, sizeof path, "%s/journal.db.quarantine-1700000000000", lost->state);
	assert_int_equal(access(path, R_OK), 0);
	crash(lost);
	open_in(lost, "boot-1", false);
	assert_false(lost->boot.quarantined);
	assert_int_equal(rows(lost), 1);
}

/* Nothing says that a broker ran here: no doubt, and numbers from 1. */
static void test_first_start(void **state)
{
	struct lost *lost = *state;
	open_in(lost, "boot-1", false);
	assert_int_equal(lost->boot.in_doubt_ms, 0);
	assert_int_equal(lost->boot.fence_max, 0);
	assert_int_equal(lost->boot.epoch, 1);
}

/* The copy outside of the folder knows the fence, and what was promised. */
static void test_folder_is_lost(void **state)
{
	struct lost *lost = *state;
	struct record plain = model_claim(1, 0);
	open_in(lost, "boot-1", false);
	plain.claim.binding = BIND_HTTP;
	plain.claim.session = 0;
	plain.claim.ttl_ms = 90000;
	append(lost, plain);
	append(lost, model_fence(5000));
	commit(lost);
	crash(lost);
	remove_state(lost);
	open_in(lost, "boot-1", false);
	assert_int_equal(lost->boot.in_doubt_ms, 90000);
	assert_true(lost->boot.doubt[0]);
	assert_int_equal(lost->boot.fence_max, 5000);
	assert_int_equal(lost->boot.epoch, 2);
	/* It ends before that time is over: the next start is in doubt for as long .. */
	crash(lost);
	open_in(lost, "boot-1", false);
	assert_int_equal(lost->boot.in_doubt_ms, 90000);
	store_end_doubt(lost->store);
	crash(lost);
	open_in(lost, "boot-1", false);
	assert_int_equal(lost->boot.in_doubt_ms, 0); /* .. and once it is over no more */
}

/* A session that was told a longer time to live, over a start whose configuration has a shorter. */
static void test_longer_promise_before(void **state)
{
	struct lost *lost = *state;
	struct record session = model_session(1);
	open_in(lost, "boot-1", false);
	session.session.ttl_ms = 4 * TTL_MS;
	append(lost, session);
	append(lost, model_fence(5000));
	commit(lost);
	crash(lost);
	open_in(lost, "boot-1", false);
	assert_int_equal(lost->boot.in_doubt_ms, 0);
	crash(lost);
	remove_state(lost);
	open_in(lost, "boot-1", false);
	assert_int_equal(lost->boot.in_doubt_ms, 4 * TTL_MS);
}

/* All programs ended with another boot, and none ran where nobody held at the end. */
static void test_nobody_can_go_on(void **state)
{
	struct lost *lost = *state;
	open_in(lost, "boot-1", false);
	append(lost, model_claim(1, 0));
	append(lost, model_fence(5000));
	commit(lost);
	crash(lost);
	remove_state(lost);
	open_in(lost, "boot-2", false);
	assert_int_equal(lost->boot.in_doubt_ms, 0);
	assert_int_equal(lost->boot.fence_max, 5000);
	store_close(lost->store); /* clean, and idle */
	lost->store = NULL;
	remove_state(lost);
	open_in(lost, "boot-2", false);
	assert_int_equal(lost->boot.in_doubt_ms, 0);
	assert_int_equal(lost->boot.fence_max, 5000);
}

/* Only a socket was left: of its broker nothing is known. */
static void test_traces_alone(void **state)
{
	struct lost *lost = *state;
	open_in(lost, "boot-1", true);
	assert_int_equal(lost->boot.in_doubt_ms, TTL_MS_MAX);
	assert_true(lost->boot.fence_max > UINT64_C(1) << 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_removed_while_running), TEST(test_replaced_while_running),
		TEST(test_first_start),           TEST(test_folder_is_lost),
		TEST(test_longer_promise_before), TEST(test_nobody_can_go_on),
		TEST(test_traces_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
