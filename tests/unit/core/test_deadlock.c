/* Goal: the search for a cycle of holders that wait for each other answers as the plain, cubic one
 * does, and in time that grows with who is there, not with its cube (P4). Method: random small
 * worlds, each asked about random claims; then many leases and many who wait with a parent. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "core/deadlock.h"
#include "core/ledger.h"
#include "deadlock_oracle.h"

enum { WORLDS = 400, ACTS = 60, QUESTIONS = 20, MANY = 2000, PER_SESSION = 16 };

static uint64_t seed = 1;

static uint64_t below(uint64_t limit)
{
	seed = hash_u64(seed);
	return seed % limit;
}

static struct need some_need(const struct fixture *fixture)
{
	struct need need = {.slots = (uint32_t)below(3), .gpu_mask = UINT32_MAX};

	need.gpu_count = 1 + (uint32_t)below(fixture->config.gpu_count < 2 ? 1 : 2);
	if (below(2))
		need.gpu_mask = 1 + (uint32_t)below((1u << fixture->config.gpu_count) - 1);
	if (need.slots == 0 || below(2))
		need.vram_bytes = (1 + below(8)) * GIB;
	need.all_slots = need.slots > 0 && below(5) == 0;
	return need;
}

static uint64_t some_lease(const struct fixture *fixture)
{
	struct claim_view view;
	uint64_t lease = 0;

	for (uint64_t i = below(12);
	     core_holder_after(fixture->core, lease, fixture->now, &view) && i > 0; i--)
		lease = view.rec->id;
	return lease;
}

static void act(struct fixture *fixture, const uint64_t *conns, uint32_t conn_count)
{
	struct event event = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t conn = conns[below(conn_count)], id;

	event.acquire.need = some_need(fixture);
	event.acquire.parent = below(2) ? some_lease(fixture) : 0;
	id = fixture_ask(fixture, conn, event);
	if (id && fixture_state(fixture, id) == CLAIM_OFFERED)
		fixture_accept(fixture, conn, id);
	if (below(10) == 0 && some_lease(fixture))
		fixture_release(fixture, conn, some_lease(fixture), false);
}

/* Returns how many of the questions were cycles. */
static uint32_t compare(const struct fixture *fixture)
{
	uint32_t found = 0;

	for (int i = 0; i < QUESTIONS; i++) {
		struct claim_record rec = {.id = UINT32_MAX, .parent = some_lease(fixture)};
		char detail[LIMIT_REASON_BYTES + 1];
		uint32_t mask;
		bool cycle;

		if (rec.parent == 0)
			continue;
		rec.need = some_need(fixture);
		mask = ledger_eligible(fixture->core, &rec.need);
		if (mask_count(mask) < rec.need.gpu_count)
			continue;
		cycle = oracle_deadlock(fixture->core, &rec, mask);
		assert_int_equal(deadlock_found(fixture->core, &rec, mask, detail, sizeof(detail)),
				 cycle);
		found += cycle;
	}
	return found;
}

static void test_as_the_plain_one(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	uint32_t found = 0;

	(void)state;
	assert_non_null(fixture);
	for (int world = 0; world < WORLDS; world++) {
		uint64_t conns[4];
		fixture_init(fixture);
		fixture_gpus(fixture, 1 + (uint32_t)below(4), 1 + (uint32_t)below(2),
			     below(2) ? 12 * GIB : 0);
		fixture_start(fixture);
		for (int i = 0; i < 4; i++)
			conns[i] = fixture_session(fixture, BIND_NATIVE, "x");
		for (int i = 0; i < ACTS; i++)
			act(fixture, conns, 4);
		found += compare(fixture);
		fixture_finish(fixture);
	}
	print_message("%u cycles\n", found);
	assert_true(found > 100);
	free(fixture);
}

/* Nobody may wait for so many different needs alone. */
static uint64_t session_of(struct fixture *fixture, uint64_t block)
{
	static char principal[32];

	snprintf(principal, sizeof(principal), "uid:%u", (unsigned)block);
	fixture->principal = principal;
	return fixture_session(fixture, BIND_TAB, "s");
}

/* Each waiter is stuck once the one before it has blocked its parent: the longest way there is. */
static void chain(struct fixture *fixture, uint64_t *leases)
{
	struct event want = fixture_want(BIND_TAB, LEASE_NORMAL, NULL);
	uint64_t conn = 0, voice;

	want.acquire.need = (struct need){.vram_bytes = 1 << 20, .gpu_count = 1};
	for (uint32_t i = 0; i < MANY; i++) {
		if (i % PER_SESSION == 0)
			conn = session_of(fixture, (MANY - 1 - i) / PER_SESSION);
		want.acquire.need.vram_bytes = (i == 0 ? 2 : 1) << 20;
		leases[i] = fixture_ask(fixture, conn, want);
		fixture_accept(fixture, conn, leases[i]);
	}
	conn = session_of(fixture, MANY);
	voice = fixture_hold(fixture, conn, LEASE_VOICE);
	assert_int_not_equal(voice, 0);
	want.acquire.need.slots = 1;
	for (uint64_t i = 0; i + 1 < MANY; i++) {
		uint64_t at = MANY - 2 - i;
		if (i % PER_SESSION == 0)
			conn = session_of(fixture, i / PER_SESSION);
		want.acquire.need.vram_bytes = 4096 * GIB - ((at + 2) << 20) + 1;
		want.acquire.parent = leases[at + 1];
		assert_int_not_equal(fixture_ask(fixture, conn, want), 0);
	}
}

static void test_linear(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	static uint64_t leases[MANY];
	struct claim_record rec = {.id = UINT32_MAX};
	char detail[LIMIT_REASON_BYTES + 1];
	int64_t best_us = INT64_MAX;

	(void)state;
	assert_non_null(fixture);
	fixture_init(fixture);
	fixture_gpus(fixture, 1, 1, 4096 * GIB);
	fixture->unchecked = true;
	fixture_start(fixture);
	chain(fixture, leases);
	rec.parent = leases[0];
	rec.need = (struct need){1, 1, 1, UINT32_MAX, false};
	rec.need.vram_bytes = 4096 * GIB - ((MANY + 1ull) << 20) + 1;
	for (int i = 0; i < 20; i++) {
		int64_t begin = clock(), took_us;
		assert_true(deadlock_found(fixture->core, &rec, 1, detail, sizeof(detail)));
		took_us = (clock() - begin) * 1000000 / CLOCKS_PER_SEC;
		best_us = took_us < best_us ? took_us : best_us;
	}
	rec.need.vram_bytes--;
	assert_false(deadlock_found(fixture->core, &rec, 1, detail, sizeof(detail)));
	print_message("%d leases and as many waiters: %lld us\n", MANY, (long long)best_us);
	assert_true(best_us < 20000);
	fixture_finish(fixture);
	free(fixture);
}

/* Endless nesting is stopped by the cap on waiters. */
static void test_five_thousand_parents(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t a, b, lease, last = 0;
	uint32_t taken = 0;

	fixture_gpus(fixture, 2, 1, 0);
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "nests");
	b = fixture_session(fixture, BIND_NATIVE, "other");
	lease = fixture_hold(fixture, a, LEASE_CHAT);
	fixture_hold(fixture, b, LEASE_CHAT);
	for (uint32_t i = 0; i < 5000; i++) {
		want.acquire.parent = last ? last : lease;
		last = fixture_ask(fixture, a, want);
		taken += last != 0;
	}
	assert_int_equal(fixture_error(fixture), ERR_QUOTA);
	assert_int_equal(taken, fixture->config.queue_per_session_max);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_the_plain_one),
		cmocka_unit_test(test_linear),
		TEST(test_five_thousand_parents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
