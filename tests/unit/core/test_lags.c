/* Goal: lags are what docs/states.md says: owed at the class's share while it waits, used while
 * anybody waits, forgotten and forgiven as far as it says. */
#include "fixture.h"

#include "core/claim.h"
#include "core/shares.h"

static int64_t lag_ms(const struct fixture *fixture, enum lease_class cls)
{
	return share_lag_ms(fixture->core, 0, cls);
}

static void start(struct fixture *fixture, uint32_t slots)
{
	fixture_gpus(fixture, 1, slots, 0);
	fixture->config.session_ttl_ms = 100000000;
	fixture_configure(fixture);
}

static uint64_t native(struct fixture *fixture)
{
	return fixture_session(fixture, BIND_NATIVE, "n");
}

static void test_owed_at_its_share(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, 1);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	fixture_wait(fixture, native(fixture), LEASE_NORMAL);
	fixture_pass(fixture, 2000);
	assert_int_equal(lag_ms(fixture, LEASE_NORMAL), 300);
	assert_int_equal(lag_ms(fixture, LEASE_CHAT), -1500);
	/* A class that neither waits nor uses anything is owed nothing. */
	assert_int_equal(lag_ms(fixture, LEASE_BACKGROUND), 0);
}

static void test_of_each_slot(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, 2);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	fixture_wait(fixture, native(fixture), LEASE_NORMAL);
	fixture_pass(fixture, 2000);
	assert_int_equal(lag_ms(fixture, LEASE_NORMAL), 300);
	assert_int_equal(lag_ms(fixture, LEASE_CHAT), -1500);
}

static void test_forgotten_with_the_last_waiter(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conn, claim;

	start(fixture, 1);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	conn = native(fixture);
	claim = fixture_wait(fixture, conn, LEASE_NORMAL);
	fixture_wait(fixture, native(fixture), LEASE_BACKGROUND);
	fixture_pass(fixture, 2000);
	fixture_release(fixture, conn, claim, false);
	fixture_pass(fixture, 100);
	assert_int_equal(lag_ms(fixture, LEASE_NORMAL), 0);
}

static void test_debt(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conn = 0, lease, other, work;

	start(fixture, 1);
	conn = native(fixture);
	other = native(fixture);
	lease = fixture_hold(fixture, conn, LEASE_CHAT);
	work = fixture_wait(fixture, other, LEASE_BACKGROUND);
	fixture_pass(fixture, 40000);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	assert_int_equal(lag_ms(fixture, LEASE_CHAT), -SHARE_DEBT_MS);
	fixture_release(fixture, conn, lease, false);
	fixture_accept(fixture, other, work);
	/* It fades at the share. */
	fixture_pass(fixture, 4000);
	assert_int_equal(lag_ms(fixture, LEASE_CHAT), -SHARE_DEBT_MS + 1000);
}

static void test_alone_it_is_free(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, 1);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	fixture_pass(fixture, 10000);
	assert_int_equal(lag_ms(fixture, LEASE_CHAT), 0);
}

static void test_paused_time_does_not_count(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, 1);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	fixture_wait(fixture, native(fixture), LEASE_NORMAL);
	fixture_admin(fixture, ADMIN_PAUSE, 0);
	fixture_pass(fixture, 2000);
	assert_int_equal(lag_ms(fixture, LEASE_NORMAL), 0);
}

/* What a due turn will use is paid when it begins, so nobody of its class is due beside it. */
static void test_due_turn_is_prepaid(void **state)
{
	struct fixture *fixture = *state;
	uint64_t v, w, first, work;

	start(fixture, 1);
	fixture->config.classes[LEASE_VOICE].hold_ms_max = 200000;
	fixture_configure(fixture);
	v = native(fixture);
	w = native(fixture);
	first = fixture_hold(fixture, v, LEASE_VOICE);
	work = fixture_wait(fixture, w, LEASE_CHAT);
	fixture_wait(fixture, native(fixture), LEASE_CHAT);
	fixture_pass(fixture, 40000);
	fixture_release(fixture, v, first, false);
	fixture_accept(fixture, w, work);
	assert_in_range(lag_ms(fixture, LEASE_CHAT) + 1000, 0, 2000);
}

static void test_length_of_a_turn(void **state)
{
	struct fixture *fixture = *state;
	struct event event = fixture_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	uint64_t usual, firm, slow;

	start(fixture, 1);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	usual = fixture_ask(fixture, native(fixture), event);
	event.acquire.ref = 0;
	event.acquire.preemptible = false;
	firm = fixture_ask(fixture, native(fixture), event);
	event.acquire.ref = 0;
	event.acquire.preemptible = true;
	event.acquire.uninterruptible_ms = 15000;
	slow = fixture_ask(fixture, native(fixture), event);
	assert_int_equal(share_turn_ms(fixture->core, claim_by_id(fixture->core, usual)),
			 fixture->config.quantum_ms);
	assert_int_equal(share_turn_ms(fixture->core, claim_by_id(fixture->core, firm)),
			 fixture->config.classes[LEASE_NORMAL].hold_ms_max);
	assert_int_equal(share_turn_ms(fixture->core, claim_by_id(fixture->core, slow)),
			 15000 - fixture->config.grace_ms);
}

/* A turn of two slots costs twice as much. */
static void test_due_when_all_is_paid(void **state)
{
	struct fixture *fixture = *state;
	struct event event = fixture_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	const struct claim *wide;
	int64_t wait_ms;

	start(fixture, 2);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	event.acquire.need.slots = 2;
	wide = claim_by_id(fixture->core, fixture_ask(fixture, native(fixture), event));
	wait_ms = mono_since(share_due_at(fixture->core, 0, wide), fixture->now);
	assert_in_range(wait_ms, 2 * fixture->config.quantum_ms * 1000 / 300,
			2 * fixture->config.quantum_ms * 1000 / 300 + 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_owed_at_its_share),
		TEST(test_of_each_slot),
		TEST(test_forgotten_with_the_last_waiter),
		TEST(test_debt),
		TEST(test_alone_it_is_free),
		TEST(test_paused_time_does_not_count),
		TEST(test_due_turn_is_prepaid),
		TEST(test_length_of_a_turn),
		TEST(test_due_when_all_is_paid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
