/* Goal: a turn begins when what it loads is there, and loading has an end of its own. */
#include "fixture.h"

static uint64_t load(struct fixture *fixture, uint64_t conn, enum lease_class cls)
{
	struct event want = fixture_want(BIND_TAB, cls, NULL);
	uint64_t lease;

	want.acquire.loads = true;
	lease = fixture_ask(fixture, conn, want);
	fixture_accept(fixture, conn, lease);
	assert_non_null(fixture_sent(fixture, SEND_GRANTED, lease));
	assert_int_equal(fixture_state(fixture, lease), CLAIM_LOADING);
	return lease;
}

static void ready(struct fixture *fixture, uint64_t conn, uint64_t lease)
{
	struct event event = {.type = EVENT_READY, .from = {PARTY_SESSION, conn}};

	event.renew.lease = lease;
	fixture_step(fixture, event);
}

/* All of them answer heartbeats. */
static void pass(struct fixture *fixture, int64_t ms, uint64_t a, uint64_t b)
{
	for (; ms > 0; ms -= 1000) {
		fixture_pass(fixture, ms < 1000 ? ms : 1000);
		fixture_alive(fixture, a);
		fixture_alive(fixture, b);
	}
}

/* However long it loads: only then the hold limit begins to run, though somebody waits. */
static void test_turn_begins_when_ready(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = load(fixture, a, LEASE_BACKGROUND);
	int64_t hold_ms = fixture->config.classes[LEASE_BACKGROUND].hold_ms_max;

	fixture_wait(fixture, b, LEASE_BACKGROUND);
	pass(fixture, hold_ms + 10000, a, b);
	assert_int_equal(fixture_state(fixture, held), CLAIM_LOADING);
	ready(fixture, a, held);
	assert_non_null(fixture_sent(fixture, SEND_RENEWED, held));
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	pass(fixture, hold_ms / 2, a, b);
	ready(fixture, a, held); /* said again it changes nothing */
	pass(fixture, hold_ms - hold_ms / 2 - 1, a, b);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	pass(fixture, 1, a, b);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
}

/* What is not ready in time is revoked, and says why. */
static void test_never_ready(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = load(fixture, a, LEASE_VOICE);

	pass(fixture, fixture->config.load_ms_max - 1, a, b);
	assert_int_equal(fixture_state(fixture, held), CLAIM_LOADING);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_sent(fixture, SEND_REVOKED, held)->send.reason, YIELD_LOAD_MAX);
	ready(fixture, a, held);
	assert_int_equal(fixture_error(fixture), ERR_REVOKED);
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, held), END_REVOKED);
}

/* Asked while it loads it has its grace like any other; who may keep its lease loads on, within the
 * time that it has had from the beginning. */
static void test_asked_while_loading(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = load(fixture, a, LEASE_CHAT);

	fixture_admin(fixture, ADMIN_YIELD, held);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	pass(fixture, 1000, a, b);
	ready(fixture, a, held);
	assert_true(fixture_sent(fixture, SEND_RENEWED, held)->send.flag);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	assert_false(fixture_row(fixture, held)->loading);
	pass(fixture, fixture->config.grace_ms - 1000, a, b);
	assert_true(fixture_row(fixture, held)->revoked);
}

/* Asked just before its time is over, and let go after it: that is judged by the next tick. The
 * core never asks for one that should have been: the loop would take it for a stall. */
static void test_kept_after_its_time(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b"), voice;
	uint64_t held = load(fixture, a, LEASE_CHAT);

	pass(fixture, fixture->config.load_ms_max - 100, a, b);
	voice = fixture_wait(fixture, b, LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	pass(fixture, 500, a, b);
	fixture_release(fixture, b, voice, false);
	assert_non_null(fixture_sent(fixture, SEND_KEEP, held));
	assert_int_equal(fixture_state(fixture, held), CLAIM_LOADING);
	assert_true(fixture->fx.next_wake.v > fixture->now.v);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_sent(fixture, SEND_REVOKED, held)->send.reason, YIELD_LOAD_MAX);
}

/* Time spent with loading is no time of its turn: it comes back with all of it. */
static void test_comes_back(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = load(fixture, a, LEASE_CHAT);

	pass(fixture, 5000, a, b);
	fixture_admin(fixture, ADMIN_YIELD, held);
	fixture_release(fixture, a, held, true);
	assert_int_equal(fixture_row(fixture, held)->used_ms, 0);
	fixture_accept(fixture, a, held);
	assert_int_equal(fixture_state(fixture, held), CLAIM_LOADING);
	pass(fixture, fixture->config.load_ms_max - 1, a, b);
	assert_int_equal(fixture_state(fixture, held), CLAIM_LOADING);
}

/* A claim preempted while it loads continues with the time left: however often, it never loads
 * longer than its limit in all, which the others' bounds rely on. */
static void test_cut_short_while_loading(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b"), voice;
	uint64_t held = load(fixture, a, LEASE_BACKGROUND);

	pass(fixture, 20000, a, b);
	voice = fixture_ask(fixture, b, fixture_want(BIND_TAB, LEASE_VOICE, NULL));
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	fixture_release(fixture, a, held, true);
	assert_int_equal(fixture_row(fixture, held)->loaded_ms, 20000);
	assert_int_equal(fixture_row(fixture, held)->used_ms, 0);
	fixture_accept(fixture, b, voice);
	fixture_release(fixture, b, voice, false);
	fixture_accept(fixture, a, held);
	pass(fixture, fixture->config.load_ms_max - 20000 - 1, a, b);
	assert_int_equal(fixture_state(fixture, held), CLAIM_LOADING);
	fixture_pass(fixture, 1);
	assert_true(fixture_row(fixture, held)->revoked);
}

/* What those before it say that they will load is part of its wait. */
static void test_loads_ahead_are_promised(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t c = fixture_session(fixture, BIND_TAB, "c"), ahead, last;
	struct event want = fixture_want(BIND_TAB, LEASE_CHAT, NULL);
	int64_t told_ms[2];

	fixture_hold(fixture, a, LEASE_CHAT);
	want.acquire.timeout_ms = -1;
	for (int loads = 0; loads < 2; loads++) {
		want.acquire.loads = loads;
		ahead = fixture_ask(fixture, b, want);
		last = fixture_wait(fixture, c, LEASE_CHAT);
		told_ms[loads] = core_bound_ms(fixture->core, last, fixture->now);
		fixture_release(fixture, c, last, false);
		fixture_release(fixture, b, ahead, false);
	}
	assert_in_range(told_ms[1], told_ms[0] + fixture->config.load_ms_max, INT64_MAX);
}

/* The bounds of others include the loading of those ahead. */
static void test_promise_of_who_waits(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = load(fixture, a, LEASE_CHAT), next = fixture_wait(fixture, b, LEASE_CHAT);
	int64_t told_ms = core_bound_ms(fixture->core, next, fixture->now), waited_ms = 0;

	assert_true(told_ms >
		    fixture->config.load_ms_max + fixture->config.classes[LEASE_CHAT].hold_ms_max);
	for (; fixture_state(fixture, next) == CLAIM_QUEUED; waited_ms += 1000) {
		assert_in_range(waited_ms, 0, told_ms);
		pass(fixture, 1000, a, b);
		if (waited_ms + 1000 == fixture->config.load_ms_max - 1000)
			ready(fixture, a, held);
	}
}

/* A restart takes neither the lease nor the time that it has left, and a resume says how it stands.
 */
static void test_restart_while_loading(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"), id = fixture_session_id(fixture, a),
		 b;
	uint64_t held = load(fixture, a, LEASE_CHAT);

	fixture_pass(fixture, 10000);
	fixture_restart(fixture, true);
	a = fixture_resume(fixture, BIND_TAB, id);
	b = fixture_session(fixture, BIND_TAB, "b");
	assert_int_equal(fixture_sent(fixture, SEND_WELCOME, 0) != NULL, 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_LOADING);
	pass(fixture, fixture->config.load_ms_max - 10000 - 1, a, b);
	assert_int_equal(fixture_state(fixture, held), CLAIM_LOADING);
	fixture_pass(fixture, 1);
	assert_true(fixture_row(fixture, held)->revoked);
}

/* Nor the least run of a claim that has loaded: it counts from the grant. */
static void test_restart_keeps_least_run(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"), id = fixture_session_id(fixture, a);
	uint64_t held = load(fixture, a, LEASE_BACKGROUND);

	ready(fixture, a, held);
	fixture_restart(fixture, true);
	fixture_resume(fixture, BIND_TAB, id);
	fixture_wait(fixture, fixture_session(fixture, BIND_TAB, "b"), LEASE_CHAT);
	fixture_pass(fixture, fixture->config.min_run_ms - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
}

/* Plain HTTP says it by its token, and its time to live goes on meanwhile. */
static void test_plain_loads(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "curl");
	struct event event = {.type = EVENT_READY, .from = {PARTY_EXCHANGE, 900}};
	struct token token;
	uint64_t held;

	want.acquire.loads = true;
	want.acquire.ttl_ms = 5000;
	held = fixture_ask(fixture, 0, want);
	assert_int_equal(fixture_state(fixture, held), CLAIM_LOADING);
	token = fixture_row(fixture, held)->token;
	event.renew.token = &token;
	fixture_pass(fixture, 4000);
	fixture_step(fixture, event);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	assert_int_equal(fixture_sent(fixture, SEND_RENEWED, held)->send.expires_ms, 5000);
	want = fixture_want(BIND_HTTP, LEASE_CHAT, "other");
	fixture_pass(fixture, 5000);
	assert_true(fixture_row(fixture, held)->revoked);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_turn_begins_when_ready),
		TEST(test_never_ready),
		TEST(test_asked_while_loading),
		TEST(test_kept_after_its_time),
		TEST(test_comes_back),
		TEST(test_cut_short_while_loading),
		TEST(test_loads_ahead_are_promised),
		TEST(test_promise_of_who_waits),
		TEST(test_restart_while_loading),
		TEST(test_restart_keeps_least_run),
		TEST(test_plain_loads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
