/* Goal: the search for a cycle of holders that wait for each other answers as the plain, cubic one
 * does, and in time that grows with who is there, not with its cube (P4). Method: random small
 * worlds, each asked about random claims; then many leases and many who wait with a parent. */
#include "rig.h"

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

static struct need some_need(const struct rig *rig)
{
	struct need need = {.slots = (uint32_t)below(3), .gpu_mask = UINT32_MAX};

	need.gpu_count = 1 + (uint32_t)below(rig->config.gpu_count < 2 ? 1 : 2);
	if (below(2))
		need.gpu_mask = 1 + (uint32_t)below((1u << rig->config.gpu_count) - 1);
	if (need.slots == 0 || below(2))
		need.vram_bytes = (1 + below(8)) * GIB;
	return need;
}

static uint64_t some_lease(const struct rig *rig)
{
	struct claim_view view;
	uint64_t lease = 0;

	for (uint64_t i = below(12); core_holder_after(rig->core, lease, rig->now, &view) && i > 0;
	     i--)
		lease = view.rec->id;
	return lease;
}

static void act(struct rig *rig, const uint64_t *conns, uint32_t conn_count)
{
	struct event event = rig_want(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t conn = conns[below(conn_count)], id;

	event.acquire.need = some_need(rig);
	event.acquire.parent = below(2) ? some_lease(rig) : 0;
	id = rig_ask(rig, conn, event);
	if (id && rig_state(rig, id) == CLAIM_OFFERED)
		rig_accept(rig, conn, id);
	if (below(10) == 0 && some_lease(rig))
		rig_release(rig, conn, some_lease(rig), false);
}

/* Returns how many of the questions were cycles. */
static uint32_t compare(const struct rig *rig)
{
	uint32_t found = 0;

	for (int i = 0; i < QUESTIONS; i++) {
		struct claim_record rec = {.id = UINT32_MAX, .parent = some_lease(rig)};
		char detail[LIMIT_REASON_BYTES + 1];
		uint32_t mask;
		bool cycle;

		if (rec.parent == 0)
			continue;
		rec.need = some_need(rig);
		mask = ledger_eligible(rig->core, &rec.need);
		if (mask_count(mask) < rec.need.gpu_count)
			continue;
		cycle = oracle_deadlock(rig->core, &rec, mask);
		assert_int_equal(deadlock_found(rig->core, &rec, mask, detail, sizeof(detail)),
				 cycle);
		found += cycle;
	}
	return found;
}

static void test_as_the_plain_one(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	uint32_t found = 0;

	(void)state;
	assert_non_null(rig);
	for (int world = 0; world < WORLDS; world++) {
		uint64_t conns[4];
		rig_init(rig);
		rig_gpus(rig, 1 + (uint32_t)below(4), 1 + (uint32_t)below(2),
			 below(2) ? 12 * GIB : 0);
		rig_start(rig);
		for (int i = 0; i < 4; i++)
			conns[i] = rig_session(rig, BIND_NATIVE, "x");
		for (int i = 0; i < ACTS; i++)
			act(rig, conns, 4);
		found += compare(rig);
		rig_finish(rig);
	}
	print_message("%u cycles\n", found);
	assert_true(found > 100);
	free(rig);
}

/* Nobody may wait for so many different needs alone. */
static uint64_t session_of(struct rig *rig, uint64_t block)
{
	static char principal[32];

	snprintf(principal, sizeof(principal), "uid:%u", (unsigned)block);
	rig->principal = principal;
	return rig_session(rig, BIND_TAB, "s");
}

/* Each waiter is stuck once the one before it has blocked its parent: the longest way there is. */
static void chain(struct rig *rig, uint64_t *leases)
{
	struct event want = rig_want(BIND_TAB, LEASE_NORMAL, NULL);
	uint64_t conn = 0, voice;

	want.acquire.need = (struct need){.vram_bytes = 1 << 20, .gpu_count = 1};
	for (uint32_t i = 0; i < MANY; i++) {
		if (i % PER_SESSION == 0)
			conn = session_of(rig, (MANY - 1 - i) / PER_SESSION);
		want.acquire.need.vram_bytes = (i == 0 ? 2 : 1) << 20;
		leases[i] = rig_ask(rig, conn, want);
		rig_accept(rig, conn, leases[i]);
	}
	conn = session_of(rig, MANY);
	voice = rig_hold(rig, conn, LEASE_VOICE);
	assert_int_not_equal(voice, 0);
	want.acquire.need.slots = 1;
	for (uint64_t i = 0; i + 1 < MANY; i++) {
		uint64_t at = MANY - 2 - i;
		if (i % PER_SESSION == 0)
			conn = session_of(rig, i / PER_SESSION);
		want.acquire.need.vram_bytes = 4096 * GIB - ((at + 2) << 20) + 1;
		want.acquire.parent = leases[at + 1];
		assert_int_not_equal(rig_ask(rig, conn, want), 0);
	}
}

static void test_linear(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	static uint64_t leases[MANY];
	struct claim_record rec = {.id = UINT32_MAX};
	char detail[LIMIT_REASON_BYTES + 1];
	int64_t best_us = INT64_MAX;

	(void)state;
	assert_non_null(rig);
	rig_init(rig);
	rig_gpus(rig, 1, 1, 4096 * GIB);
	rig->unchecked = true;
	rig_start(rig);
	chain(rig, leases);
	rec.parent = leases[0];
	rec.need = (struct need){1, 1, 1, UINT32_MAX, false};
	rec.need.vram_bytes = 4096 * GIB - ((MANY + 1ull) << 20) + 1;
	for (int i = 0; i < 20; i++) {
		int64_t begin = clock(), took_us;
		assert_true(deadlock_found(rig->core, &rec, 1, detail, sizeof(detail)));
		took_us = (clock() - begin) * 1000000 / CLOCKS_PER_SEC;
		best_us = took_us < best_us ? took_us : best_us;
	}
	rec.need.vram_bytes--;
	assert_false(deadlock_found(rig->core, &rec, 1, detail, sizeof(detail)));
	print_message("%d leases and as many waiters: %lld us\n", MANY, (long long)best_us);
	assert_true(best_us < 20000);
	rig_finish(rig);
	free(rig);
}

/* Somebody who nests without end is stopped by the cap of whoever waits. */
static void test_five_thousand_parents(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t a, b, lease, last = 0;
	uint32_t taken = 0;

	rig_gpus(rig, 2, 1, 0);
	rig_configure(rig);
	a = rig_session(rig, BIND_NATIVE, "nests");
	b = rig_session(rig, BIND_NATIVE, "other");
	lease = rig_hold(rig, a, LEASE_CHAT);
	rig_hold(rig, b, LEASE_CHAT);
	for (uint32_t i = 0; i < 5000; i++) {
		want.acquire.parent = last ? last : lease;
		last = rig_ask(rig, a, want);
		taken += last != 0;
	}
	assert_int_equal(rig_error(rig), ERR_QUOTA);
	assert_int_equal(taken, rig->config.queue_per_session_max);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_the_plain_one),
		cmocka_unit_test(test_linear),
		TEST(test_five_thousand_parents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
