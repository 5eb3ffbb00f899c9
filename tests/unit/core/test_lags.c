/* Goal: lags are what docs/states.md says: owed at the class's share while it waits, used while
 * anybody waits, forgotten and forgiven as far as it says. */
#include "rig.h"

#include "core/claim.h"
#include "core/shares.h"

static int64_t lag_ms(const struct rig *rig, enum lease_class cls)
{
	return share_lag_ms(rig->core, 0, cls);
}

static void start(struct rig *rig, uint32_t slots)
{
	rig_gpus(rig, 1, slots, 0);
	rig->config.session_ttl_ms = 100000000;
	rig_configure(rig);
}

static uint64_t native(struct rig *rig)
{
	return rig_session(rig, BIND_NATIVE, "n");
}

static void test_owed_at_its_share(void **state)
{
	struct rig *rig = *state;

	start(rig, 1);
	rig_hold(rig, native(rig), LEASE_CHAT);
	rig_wait(rig, native(rig), LEASE_NORMAL);
	rig_pass(rig, 2000);
	assert_int_equal(lag_ms(rig, LEASE_NORMAL), 300);
	assert_int_equal(lag_ms(rig, LEASE_CHAT), -1500);
	/* Who neither waits nor uses anything is owed nothing. */
	assert_int_equal(lag_ms(rig, LEASE_BACKGROUND), 0);
}

static void test_of_each_slot(void **state)
{
	struct rig *rig = *state;

	start(rig, 2);
	rig_hold(rig, native(rig), LEASE_CHAT);
	rig_hold(rig, native(rig), LEASE_CHAT);
	rig_wait(rig, native(rig), LEASE_NORMAL);
	rig_pass(rig, 2000);
	assert_int_equal(lag_ms(rig, LEASE_NORMAL), 300);
	assert_int_equal(lag_ms(rig, LEASE_CHAT), -1500);
}

static void test_forgotten_with_the_last_waiter(void **state)
{
	struct rig *rig = *state;
	uint64_t conn, claim;

	start(rig, 1);
	rig_hold(rig, native(rig), LEASE_CHAT);
	conn = native(rig);
	claim = rig_wait(rig, conn, LEASE_NORMAL);
	rig_wait(rig, native(rig), LEASE_BACKGROUND);
	rig_pass(rig, 2000);
	rig_release(rig, conn, claim, false);
	rig_pass(rig, 100);
	assert_int_equal(lag_ms(rig, LEASE_NORMAL), 0);
}

static void test_debt(void **state)
{
	struct rig *rig = *state;
	uint64_t conn = 0, lease, other, work;

	start(rig, 1);
	conn = native(rig);
	other = native(rig);
	lease = rig_hold(rig, conn, LEASE_CHAT);
	work = rig_wait(rig, other, LEASE_BACKGROUND);
	rig_pass(rig, 40000);
	assert_int_equal(rig_state(rig, lease), CLAIM_HELD);
	assert_int_equal(lag_ms(rig, LEASE_CHAT), -SHARE_DEBT_MS);
	rig_release(rig, conn, lease, false);
	rig_accept(rig, other, work);
	/* It fades at the share. */
	rig_pass(rig, 4000);
	assert_int_equal(lag_ms(rig, LEASE_CHAT), -SHARE_DEBT_MS + 1000);
}

static void test_alone_it_is_free(void **state)
{
	struct rig *rig = *state;

	start(rig, 1);
	rig_hold(rig, native(rig), LEASE_CHAT);
	rig_pass(rig, 10000);
	assert_int_equal(lag_ms(rig, LEASE_CHAT), 0);
}

static void test_paused_time_does_not_count(void **state)
{
	struct rig *rig = *state;

	start(rig, 1);
	rig_hold(rig, native(rig), LEASE_CHAT);
	rig_wait(rig, native(rig), LEASE_NORMAL);
	rig_admin(rig, ADMIN_PAUSE, 0);
	rig_pass(rig, 2000);
	assert_int_equal(lag_ms(rig, LEASE_NORMAL), 0);
}

/* What a due turn will use is paid when it begins, so nobody of its class is due beside it. */
static void test_due_turn_is_prepaid(void **state)
{
	struct rig *rig = *state;
	uint64_t v, w, first, work;

	start(rig, 1);
	rig->config.classes[LEASE_VOICE].hold_ms_max = 200000;
	rig_configure(rig);
	v = native(rig);
	w = native(rig);
	first = rig_hold(rig, v, LEASE_VOICE);
	work = rig_wait(rig, w, LEASE_CHAT);
	rig_wait(rig, native(rig), LEASE_CHAT);
	rig_pass(rig, 40000);
	rig_release(rig, v, first, false);
	rig_accept(rig, w, work);
	assert_in_range(lag_ms(rig, LEASE_CHAT) + 1000, 0, 2000);
}

static void test_length_of_a_turn(void **state)
{
	struct rig *rig = *state;
	struct event event = rig_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	uint64_t usual, firm, slow;

	start(rig, 1);
	rig_hold(rig, native(rig), LEASE_CHAT);
	usual = rig_ask(rig, native(rig), event);
	event.acquire.ref = 0;
	event.acquire.preemptible = false;
	firm = rig_ask(rig, native(rig), event);
	event.acquire.ref = 0;
	event.acquire.preemptible = true;
	event.acquire.uninterruptible_ms = 15000;
	slow = rig_ask(rig, native(rig), event);
	assert_int_equal(share_turn_ms(rig->core, claim_by_id(rig->core, usual)),
			 rig->config.quantum_ms);
	assert_int_equal(share_turn_ms(rig->core, claim_by_id(rig->core, firm)),
			 rig->config.classes[LEASE_NORMAL].hold_ms_max);
	assert_int_equal(share_turn_ms(rig->core, claim_by_id(rig->core, slow)),
			 15000 - rig->config.grace_ms);
}

/* A turn of two slots costs twice as much. */
static void test_due_when_all_is_paid(void **state)
{
	struct rig *rig = *state;
	struct event event = rig_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	const struct claim *wide;
	int64_t wait_ms;

	start(rig, 2);
	rig_hold(rig, native(rig), LEASE_CHAT);
	rig_hold(rig, native(rig), LEASE_CHAT);
	event.acquire.need.slots = 2;
	wide = claim_by_id(rig->core, rig_ask(rig, native(rig), event));
	wait_ms = mono_since(share_due_at(rig->core, 0, wide), rig->now);
	assert_in_range(wait_ms, 2 * rig->config.quantum_ms * 1000 / 300,
			2 * rig->config.quantum_ms * 1000 / 300 + 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
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
