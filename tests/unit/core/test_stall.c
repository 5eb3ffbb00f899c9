/* Goal: a broker that stood still takes nobody's time away, and stalls in a row keep nobody for
 * ever (CASES.md S13, R8). Method: the rig's clock jumps, and the core is told for how long. */
#include <signal.h>

#include "rig.h"

static void stall(struct rig *rig, int64_t ms)
{
	rig->now = mono_after(rig->now, ms);
	rig_step(rig, (struct event){.type = EVENT_CLOCK_JUMP, .stalled_ms = ms});
	rig_step(rig, (struct event){.type = EVENT_TICK});
}

/* An offer, a grace, a linger and a wait go on where they stopped. */
static void test_deadlines_move(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	struct event want = rig_want(BIND_TAB, LEASE_VOICE, NULL);
	uint64_t held, waits;

	held = rig_ask(rig, a, rig_want(BIND_TAB, LEASE_CHAT, NULL));
	rig_pass(rig, rig->config.ack_ms - 1);
	stall(rig, 60000);
	assert_int_equal(rig_state(rig, held), CLAIM_OFFERED);
	rig_accept(rig, a, held);
	want.acquire.timeout_ms = 1000;
	waits = rig_ask(rig, b, want);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	stall(rig, 30000);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	assert_int_equal(rig_state(rig, waits), CLAIM_QUEUED);
	rig_pass(rig, 999);
	assert_int_equal(rig_state(rig, waits), CLAIM_QUEUED);
	rig_pass(rig, 1);
	assert_int_equal(rig_end(rig, waits), END_TIMEOUT);
	rig_close(rig, a);
	rig_pass(rig, rig->config.tab_linger_ms - 1);
	stall(rig, 30000);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD); /* nobody needs it any more */
	rig_pass(rig, 1);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
}

/* What was moved stays moved when the broker dies then. */
static void test_moved_is_written(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	struct event want = rig_want(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t waits;

	rig_hold(rig, a, LEASE_CHAT);
	want.acquire.timeout_ms = 5000;
	waits = rig_ask(rig, b, want);
	stall(rig, 30000);
	assert_int_equal(mono_since(rig_row(rig, waits)->wait_deadline, rig->now), 5000);
}

/* A stall every 4 s: the silent holder is judged, later by the length of the stalls. */
static void test_not_for_ever(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), waits;
	int64_t awake_ms = 0;

	waits = rig_wait(rig, b, LEASE_CHAT);
	while (!rig_row(rig, held)->revoked) {
		stall(rig, 3900);
		rig_alive(rig, b);
		rig_pass(rig, 100);
		awake_ms += 100;
		assert_in_range(awake_ms, 0,
				rig->config.session_ttl_ms + rig->config.settle_ms + 100);
	}
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_state(rig, waits), CLAIM_OFFERED);
}

/* A mute native holder in the way goes the same way: asked, revoked, stopped by force. */
static void test_graces_run_out(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_BACKGROUND);
	int rounds = 0;

	rig_wait(rig, b, LEASE_VOICE);
	while (rig_state(rig, held) != CLAIM_ENDED) {
		stall(rig, 1100);
		rig_alive(rig, b);
		rig_pass(rig, 2900);
		assert_in_range(++rounds, 1, 10);
	}
}

/* Nobody was there to be asked: the first session does not make the loop look late. */
static void test_idle_is_no_stall(void **state)
{
	struct rig *rig = *state;

	rig_pass(rig, 60000);
	rig_session(rig, BIND_NATIVE, "a");
	assert_int_equal(mono_since(rig->fx.next_wake, rig->now), rig->config.heartbeat_ms);
	rig_step(rig,
		 (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, rig->conn_next - 1}});
	rig_pass(rig, 60000);
	rig_session(rig, BIND_TAB, "b");
	assert_int_equal(mono_since(rig->fx.next_wake, rig->now), rig->config.heartbeat_ms);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_deadlines_move), TEST(test_moved_is_written), TEST(test_not_for_ever),
		TEST(test_graces_run_out), TEST(test_idle_is_no_stall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
