/* Goal: cost and memory grow as promised: no walk over all who wait in an enqueue and a grant (how
 * much they cost is for bench/ to say); a waiting claim takes at most 1 KiB; a million grants take
 * no memory at all; a crowd that leaves at once does so in small parts and leaves nothing behind.
 * Method: processor time of many operations, and the allocator's own count. */
#include "core/estimate.h"
#include "fixture.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FEW = 1000, MANY = 100000, ROUNDS = 20000, GRANTS = 200000, SESSIONS = 500 };

static double cpu_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static size_t allocated(void)
{
	return mallinfo2().uordblks;
}

static struct event named(uint32_t number)
{
	static char name[32];

	snprintf(name, sizeof(name), "client-%u", number);
	return fixture_want(BIND_HTTP, LEASE_CHAT, name);
}

static struct fixture *crowd(uint32_t waiters)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture_init(fixture);
	fixture->unchecked = true;
	fixture->config.queue_count_max = UINT32_MAX;
	fixture_start(fixture);
	for (uint32_t i = 0; i <= waiters; i++) {
		struct event event = named(i);
		event.from = (struct party){PARTY_EXCHANGE, fixture->conn_next++};
		fixture_step(fixture, event);
	}
	assert_int_equal(core_waiting_count(fixture->core), waiters);
	return fixture;
}

/* One joins at the end, the holder leaves, the first is granted. */
static void turn(struct fixture *fixture, uint32_t number)
{
	struct claim_view holder;
	struct token token;
	struct event event = named(number);

	assert_true(core_holder_after(fixture->core, 0, fixture->now, &holder));
	token = holder.rec->token;
	event.from = (struct party){PARTY_EXCHANGE, fixture->conn_next++};
	fixture->now.v++;
	fixture_step(fixture, event);
	fixture_unlock(fixture, &token);
}

static double cost_s(struct fixture *fixture)
{
	double begin;

	for (uint32_t i = 0; i < ROUNDS / 10; i++)
		turn(fixture, MANY + i);
	begin = cpu_s();
	for (uint32_t i = 0; i < ROUNDS; i++)
		turn(fixture, 2 * MANY + i);
	return (cpu_s() - begin) / ROUNDS;
}

static void test_logarithmic(void **state)
{
	struct fixture *few = crowd(FEW), *many = crowd(MANY);
	double best = 1e9;

	(void)state;
	/* A walk over all costs a hundred times as much. What a busy machine's caches add is far
	 * from that in the best of three. */
	for (int i = 0; i < 3 && best > 3; i++) {
		double few_s = cost_s(few), many_s = cost_s(many);
		print_message("enqueue and grant: %.2f us of %d, %.2f us of %d waiters\n",
			      few_s * 1e6, FEW, many_s * 1e6, MANY);
		best = many_s / few_s < best ? many_s / few_s : best;
	}
	assert_true(best <= 25);
	fixture_finish(few);
	fixture_finish(many);
	free(few);
	free(many);
}

static void test_memory_per_waiter(void **state)
{
	size_t before = allocated(), after, per_claim;
	struct fixture *fixture = crowd(MANY);

	(void)state;
	after = allocated();
	per_claim = after > before ? (after - before) / MANY : 0;
	print_message("memory: %zu bytes per waiting claim\n", per_claim);
	/* Sanitizers have their own allocator, which reports nothing here. */
	assert_in_range(per_claim, 0, 1280);
	fixture_finish(fixture);
	free(fixture);
}

static void test_no_growth(void **state)
{
	struct fixture *fixture = crowd(10);
	size_t before;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++)
		turn(fixture, i);
	before = allocated();
	for (uint32_t i = 0; i < GRANTS; i++)
		turn(fixture, i % 1000);
	assert_in_range(allocated(), 0, before + 4096);
	fixture_finish(fixture);
	free(fixture);
}

/* A status page of 10,000 waiters, with position, reason, bound and estimate of each. */
static void test_status(void **state)
{
	struct fixture *fixture = crowd(10000);
	double best = 1e9;

	(void)state;
	for (int round = 0; round < 3; round++) {
		double begin = cpu_s();
		struct claim_view view;
		struct why why;
		struct estimate estimate;
		struct bound bound;
		for (uint32_t at = 0; core_waiter_at(fixture->core, at, fixture->now, &view);
		     at++) {
			core_why(fixture->core, view.rec->id, fixture->now, &why);
			assert_int_equal(core_position(fixture->core, view.rec->id), at);
			core_bound(fixture->core, view.rec->id, fixture->now, &bound);
			assert_true(bound.ms > 0 || bound.none == BOUND_OWN);
			core_estimate(fixture->core, view.rec->id, fixture->now, &estimate);
		}
		best = cpu_s() - begin < best ? cpu_s() - begin : best;
	}
	print_message("status of 10000 waiters: %.1f ms\n", best * 1e3);
	/* 20 ms for the optimised build; sanitizers cost some five times as much. */
	assert_true(best < 0.1);
	fixture_finish(fixture);
	free(fixture);
}

static struct fixture *sessions_with_waiters(uint64_t *ret_conns)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture_init(fixture);
	fixture->unchecked = true;
	fixture->config.queue_count_max = fixture->config.queue_per_session_max = UINT32_MAX;
	fixture_start(fixture);
	fixture_hold(fixture, fixture_session(fixture, BIND_NATIVE, "holder"), LEASE_CHAT);
	for (uint32_t i = 0; i < SESSIONS; i++) {
		ret_conns[i] = fixture_session(fixture, BIND_TAB, "crowd");
		for (uint32_t n = 0; n < MANY / SESSIONS; n++) {
			struct event event = fixture_want(BIND_TAB, LEASE_CHAT, NULL);
			event.from = (struct party){PARTY_SESSION, ret_conns[i]};
			event.acquire.ref = n + 1;
			event.acquire.timeout_ms = -1;
			fixture_step(fixture, event);
		}
	}
	assert_int_equal(core_waiting_count(fixture->core), MANY);
	return fixture;
}

/* All connections break and all lingers end together. No tick touches more than a few hundred
 * claims, and between two of them others are served at once. */
static void test_crowd_leaves(void **state)
{
	static uint64_t conns[SESSIONS];
	struct fixture *fixture = sessions_with_waiters(conns);
	size_t full = allocated(), most = 0;
	uint32_t ticks = 0;

	(void)state;
	for (uint32_t i = 0; i < SESSIONS; i++) {
		struct event event = {.type = EVENT_CONN_CLOSED, .from = {PARTY_SESSION, conns[i]}};
		fixture_step(fixture, event);
		assert_in_range(fixture->fx.work, MANY / SESSIONS, MANY / SESSIONS);
	}
	/* A stall rewrites none of them: they wait without limit. */
	fixture_step(fixture, (struct event){.type = EVENT_CLOCK_JUMP, .stalled_ms = 2000});
	assert_in_range(fixture->fx.count, 0, 2 * SESSIONS);
	fixture->now = mono_after(fixture->now,
				  2000 + fixture->config.tab_linger_ms + fixture->config.settle_ms);
	do {
		fixture_step(fixture, (struct event){.type = EVENT_TICK});
		most = fixture->fx.count > most ? fixture->fx.count : most;
		assert_in_range(++ticks, 1, MANY);
	} while (!mono_before(fixture->now, fixture->fx.next_wake));
	print_message("%d claims left in %u ticks of at most %zu effects\n", MANY, ticks, most);
	assert_int_equal(core_waiting_count(fixture->core), 0);
	assert_in_range(most, 1, 3000);
	/* Sanitizers have their own allocator, which reports nothing here. */
	if (full > 0)
		assert_in_range(allocated(), 0, full / 10);
	fixture_finish(fixture);
	free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logarithmic),  cmocka_unit_test(test_memory_per_waiter),
		cmocka_unit_test(test_no_growth),    cmocka_unit_test(test_status),
		cmocka_unit_test(test_crowd_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
