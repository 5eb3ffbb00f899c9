/* Requests of a state: what of its claims is of the time that was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "journal_model.h"
#include "replay/replay_state.h"
#include "replay/replay_trace.h"
#include "store/store.h"

enum { BEGAN_MS = 1000000 };

/* A claim that was granted when it came, loaded for `load_ms` and ended after 100 seconds. */
static struct claim_record claim_of(int64_t load_ms, enum end_reason end)
{
	struct claim_record rec = {
		.id = 1,
		.state = CLAIM_ENDED,
		.end = end,
		.need = {.slots = 1, .gpu_count = 1, .gpu_mask = 1},
		.granted_mask = 1,
		.fence = 1,
		.loads = load_ms > 0,
		.loaded_ms = load_ms,
		.arrival_wall = {BEGAN_MS},
		.held_wall = {BEGAN_MS},
		.ended_wall = {BEGAN_MS + 100000},
		.name = "client",
	};

	return rec;
}

static void write_state(const char *dir, const struct claim_record *rec)
{
	const struct store_place place = {.dir = dir, .boot_id = "boot", .ttl_ms_max = 1};
	const struct record record = {.type = RECORD_CLAIM_END, .claim = *rec};
	struct store *store;
	struct store_boot boot;
	char detail[512] = "";

	assert_int_equal(store_open(&place, &store, &boot, detail, sizeof(detail)), 0);
	assert_int_equal(store_append(store, &record), 0);
	assert_int_equal(store_commit(store), 0);
	store_close(store);
}

/* What is asked for begins so long after the claim did. */
static struct replay_request read_from(const struct claim_record *rec, int64_t after_ms)
{
	char *dir = model_folder_create();
	const struct replay_period period = {BEGAN_MS + after_ms, INT64_MAX};
	struct replay_trace trace;
	struct replay_request request;
	char detail[512] = "";

	write_state(dir, rec);
	assert_int_equal(replay_state_read(dir, NULL, &period, &trace, detail, sizeof(detail)), 0);
	assert_int_equal(trace.count, 1);
	request = trace.requests[0];
	replay_trace_finish(&trace);
	model_folder_destroy(dir);
	return request;
}

static void test_whole(void **state)
{
	struct claim_record rec = claim_of(30000, END_RELEASED);
	struct replay_request request = read_from(&rec, 0);

	(void)state;
	assert_int_equal(request.load_ms, 30000);
	assert_int_equal(request.hold_ms, 70000);
	assert_int_equal(request.dies_ms, -1);
}

/* What it did before is not of the time that was asked for. */
static void test_begun_before(void **state)
{
	struct claim_record rec = claim_of(30000, END_RELEASED);
	struct replay_request loading = read_from(&rec, 10000), loaded = read_from(&rec, 40000);

	(void)state;
	assert_int_equal(loading.at_ms, 0);
	assert_int_equal(loading.load_ms, 20000);
	assert_int_equal(loading.hold_ms, 70000);
	assert_int_equal(loaded.load_ms, 0);
	assert_int_equal(loaded.hold_ms, 60000);
}

static void test_dead_begun_before(void **state)
{
	struct claim_record rec = claim_of(0, END_DISCONNECTED);

	(void)state;
	assert_int_equal(read_from(&rec, 0).dies_ms, 100000);
	assert_int_equal(read_from(&rec, 40000).dies_ms, 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_begun_before),
		cmocka_unit_test(test_dead_begun_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
