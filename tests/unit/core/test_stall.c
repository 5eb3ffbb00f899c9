/* Goal: a broker that stood still takes nobody's time away, and stalls in a row protect nobody
 * without limit (CASES.md S13, R8). Method: the fixture's clock jumps, and the core is told for how
 * long. */
#include <signal.h>

#include "fixture.h"

static void stall(struct fixture *fixture, int64_t ms)
{
	fixture->now = mono_after(fixture->now, ms);
	fixture_step(fixture, (struct event){.type = EVENT_CLOCK_JUMP, .stalled_ms = ms});
	fixture_step(fixture, (struct event){.type = EVENT_TICK});
}

/* An offer, a grace, a linger and a wait go on where they stopped. */
static void test_deadlines_move(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	struct event want = fixture_want(BIND_TAB, LEASE_VOICE, NULL);
	uint64_t held, waits;

	held = fixture_ask(fixture, a, fixture_want(BIND_TAB, LEASE_CHAT, NULL));
	fixture_pass(fixture, fixture->config.ack_ms - 1);
	stall(fixture, 60000);
	assert_int_equal(fixture_state(fixture, held), CLAIM_OFFERED);
	fixture_accept(fixture, a, held);
	want.acquire.timeout_ms = 1000;
	waits = fixture_ask(fixture, b, want);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	stall(fixture, 30000);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
	fixture_pass(fixture, 999);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_end(fixture, waits), END_TIMEOUT);
	fixture_close(fixture, a);
	fixture_pass(fixture, fixture->config.tab_linger_ms - 1);
	stall(fixture, 30000);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD); /* nobody needs it any more */
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
}

/* What was moved stays moved when the broker dies then. */
static void test_moved_is_written(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	struct event want = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t waits;

	fixture_hold(fixture, a, LEASE_CHAT);
	want.acquire.timeout_ms = 5000;
	waits = fixture_ask(fixture, b, want);
	stall(fixture, 30000);
	assert_int_equal(mono_since(fixture_row(fixture, waits)->wait_deadline, fixture->now),
			 5000);
}

/* A stall every 4 s: the silent holder is judged, later by the length of the stalls. */
static void test_not_for_ever(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT), waits;
	int64_t awake_ms = 0;

	waits = fixture_wait(fixture, b, LEASE_CHAT);
	while (!fixture_row(fixture, held)->revoked) {
		stall(fixture, 3900);
		fixture_alive(fixture, b);
		fixture_pass(fixture, 100);
		awake_ms += 100;
		assert_in_range(awake_ms, 0,
				fixture->config.session_ttl_ms + fixture->config.settle_ms + 100);
	}
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
}

/* A mute native holder in the way goes the same way: asked, revoked, stopped by force. */
static void test_graces_run_out(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND);
	int rounds = 0;

	fixture_wait(fixture, b, LEASE_VOICE);
	while (fixture_state(fixture, held) != CLAIM_ENDED) {
		stall(fixture, 1100);
		fixture_alive(fixture, b);
		fixture_pass(fixture, 2900);
		assert_in_range(++rounds, 1, 10);
	}
}

/* Nobody was there to be asked: the first session does not make the loop look late. */
static void test_idle_is_no_stall(void **state)
{
	struct fixture *fixture = *state;

	fixture_pass(fixture, 60000);
	fixture_session(fixture, BIND_NATIVE, "a");
	assert_int_equal(mono_since(fixture->fx.next_wake, fixture->now),
			 fixture->config.heartbeat_ms);
	fixture_step(fixture, (struct event){.type = EVENT_BYE,
					     .from = {PARTY_SESSION, fixture->conn_next - 1}});
	fixture_pass(fixture, 60000);
	fixture_session(fixture, BIND_TAB, "b");
	assert_int_equal(mono_since(fixture->fx.next_wake, fixture->now),
			 fixture->config.heartbeat_ms);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_deadlines_move), TEST(test_moved_is_written), TEST(test_not_for_ever),
		TEST(test_graces_run_out), TEST(test_idle_is_no_stall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
