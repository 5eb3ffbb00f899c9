/* Goal: a turn begins when what it loads is there, and loading has an end of its own. */
#include "rig.h"

static uint64_t load(struct rig *rig, uint64_t conn, enum lease_class cls)
{
	struct event want = rig_want(BIND_TAB, cls, NULL);
	uint64_t lease;

	want.acquire.loads = true;
	lease = rig_ask(rig, conn, want);
	rig_accept(rig, conn, lease);
	assert_non_null(rig_sent(rig, SEND_GRANTED, lease));
	assert_int_equal(rig_state(rig, lease), CLAIM_LOADING);
	return lease;
}

static void ready(struct rig *rig, uint64_t conn, uint64_t lease)
{
	struct event event = {.type = EVENT_READY, .from = {PARTY_SESSION, conn}};

	event.renew.lease = lease;
	rig_step(rig, event);
}

/* All of them answer heartbeats. */
static void pass(struct rig *rig, int64_t ms, uint64_t a, uint64_t b)
{
	for (; ms > 0; ms -= 1000) {
		rig_pass(rig, ms < 1000 ? ms : 1000);
		rig_alive(rig, a);
		rig_alive(rig, b);
	}
}

/* However long it loads: only then the hold limit begins to run, though somebody waits. */
static void test_turn_begins_when_ready(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = load(rig, a, LEASE_BACKGROUND);
	int64_t hold_ms = rig->config.classes[LEASE_BACKGROUND].hold_ms_max;

	rig_wait(rig, b, LEASE_BACKGROUND);
	pass(rig, hold_ms + 10000, a, b);
	assert_int_equal(rig_state(rig, held), CLAIM_LOADING);
	ready(rig, a, held);
	assert_non_null(rig_sent(rig, SEND_RENEWED, held));
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	pass(rig, hold_ms / 2, a, b);
	ready(rig, a, held); /* said again it changes nothing */
	pass(rig, hold_ms - hold_ms / 2 - 1, a, b);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	pass(rig, 1, a, b);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
}

/* What is not ready in time is revoked, and says why. */
static void test_never_ready(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = load(rig, a, LEASE_VOICE);

	pass(rig, rig->config.load_ms_max - 1, a, b);
	assert_int_equal(rig_state(rig, held), CLAIM_LOADING);
	rig_pass(rig, 1);
	assert_int_equal(rig_sent(rig, SEND_REVOKED, held)->send.reason, YIELD_LOAD_MAX);
	ready(rig, a, held);
	assert_int_equal(rig_error(rig), ERR_REVOKED);
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, held), END_REVOKED);
}

/* Asked while it loads it has its grace like any other; who may keep its lease loads on, within the
 * time that it has had from the beginning. */
static void test_asked_while_loading(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = load(rig, a, LEASE_CHAT);

	rig_admin(rig, ADMIN_YIELD, held);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	pass(rig, 1000, a, b);
	ready(rig, a, held);
	assert_true(rig_sent(rig, SEND_RENEWED, held)->send.flag);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	assert_false(rig_row(rig, held)->loading);
	pass(rig, rig->config.grace_ms - 1000, a, b);
	assert_true(rig_row(rig, held)->revoked);
}

/* Asked just before its time is over, and let go after it: that is judged by the next tick. The
 * core never asks for one that should have been: the loop would take it for a stall. */
static void test_kept_after_its_time(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b"), voice;
	uint64_t held = load(rig, a, LEASE_CHAT);

	pass(rig, rig->config.load_ms_max - 100, a, b);
	voice = rig_wait(rig, b, LEASE_VOICE);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	pass(rig, 500, a, b);
	rig_release(rig, b, voice, false);
	assert_non_null(rig_sent(rig, SEND_KEEP, held));
	assert_int_equal(rig_state(rig, held), CLAIM_LOADING);
	assert_true(rig->fx.next_wake.v > rig->now.v);
	rig_pass(rig, 1);
	assert_int_equal(rig_sent(rig, SEND_REVOKED, held)->send.reason, YIELD_LOAD_MAX);
}

/* Time spent with loading is no time of its turn: it comes back with all of it. */
static void test_comes_back(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = load(rig, a, LEASE_CHAT);

	pass(rig, 5000, a, b);
	rig_admin(rig, ADMIN_YIELD, held);
	rig_release(rig, a, held, true);
	assert_int_equal(rig_row(rig, held)->used_ms, 0);
	rig_accept(rig, a, held);
	assert_int_equal(rig_state(rig, held), CLAIM_LOADING);
	pass(rig, rig->config.load_ms_max - 1, a, b);
	assert_int_equal(rig_state(rig, held), CLAIM_LOADING);
}

/* Who is preempted while it loads goes on with what is left: however often, it loads no longer than
 * its time in all, for those behind it were told so. */
static void test_cut_short_while_loading(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b"), voice;
	uint64_t held = load(rig, a, LEASE_BACKGROUND);

	pass(rig, 20000, a, b);
	voice = rig_ask(rig, b, rig_want(BIND_TAB, LEASE_VOICE, NULL));
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	rig_release(rig, a, held, true);
	assert_int_equal(rig_row(rig, held)->loaded_ms, 20000);
	assert_int_equal(rig_row(rig, held)->used_ms, 0);
	rig_accept(rig, b, voice);
	rig_release(rig, b, voice, false);
	rig_accept(rig, a, held);
	pass(rig, rig->config.load_ms_max - 20000 - 1, a, b);
	assert_int_equal(rig_state(rig, held), CLAIM_LOADING);
	rig_pass(rig, 1);
	assert_true(rig_row(rig, held)->revoked);
}

/* What those before it say that they will load is part of its wait. */
static void test_loads_ahead_are_promised(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t c = rig_session(rig, BIND_TAB, "c"), ahead, last;
	struct event want = rig_want(BIND_TAB, LEASE_CHAT, NULL);
	int64_t told_ms[2];

	rig_hold(rig, a, LEASE_CHAT);
	want.acquire.timeout_ms = -1;
	for (int loads = 0; loads < 2; loads++) {
		want.acquire.loads = loads;
		ahead = rig_ask(rig, b, want);
		last = rig_wait(rig, c, LEASE_CHAT);
		told_ms[loads] = core_bound_ms(rig->core, last, rig->now);
		rig_release(rig, c, last, false);
		rig_release(rig, b, ahead, false);
	}
	assert_in_range(told_ms[1], told_ms[0] + rig->config.load_ms_max, INT64_MAX);
}

/* What others are told has room for what those before them load. */
static void test_promise_of_who_waits(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = load(rig, a, LEASE_CHAT), next = rig_wait(rig, b, LEASE_CHAT);
	int64_t told_ms = core_bound_ms(rig->core, next, rig->now), waited_ms = 0;

	assert_true(told_ms >
		    rig->config.load_ms_max + rig->config.classes[LEASE_CHAT].hold_ms_max);
	for (; rig_state(rig, next) == CLAIM_QUEUED; waited_ms += 1000) {
		assert_in_range(waited_ms, 0, told_ms);
		pass(rig, 1000, a, b);
		if (waited_ms + 1000 == rig->config.load_ms_max - 1000)
			ready(rig, a, held);
	}
}

/* A restart takes neither the lease nor the time that it has left, and a resume says how it stands.
 */
static void test_restart_while_loading(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), id = rig_session_id(rig, a), b;
	uint64_t held = load(rig, a, LEASE_CHAT);

	rig_pass(rig, 10000);
	rig_restart(rig, true);
	a = rig_resume(rig, BIND_TAB, id);
	b = rig_session(rig, BIND_TAB, "b");
	assert_int_equal(rig_sent(rig, SEND_WELCOME, 0) != NULL, 1);
	assert_int_equal(rig_state(rig, held), CLAIM_LOADING);
	pass(rig, rig->config.load_ms_max - 10000 - 1, a, b);
	assert_int_equal(rig_state(rig, held), CLAIM_LOADING);
	rig_pass(rig, 1);
	assert_true(rig_row(rig, held)->revoked);
}

/* Nor the least run of who has loaded: it is from the grant on. */
static void test_restart_keeps_least_run(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), id = rig_session_id(rig, a);
	uint64_t held = load(rig, a, LEASE_BACKGROUND);

	ready(rig, a, held);
	rig_restart(rig, true);
	rig_resume(rig, BIND_TAB, id);
	rig_wait(rig, rig_session(rig, BIND_TAB, "b"), LEASE_CHAT);
	rig_pass(rig, rig->config.min_run_ms - 1);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_pass(rig, 1);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
}

/* Plain HTTP says it by its token, and its time to live goes on meanwhile. */
static void test_plain_loads(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "curl");
	struct event event = {.type = EVENT_READY, .from = {PARTY_EXCHANGE, 900}};
	struct token token;
	uint64_t held;

	want.acquire.loads = true;
	want.acquire.ttl_ms = 5000;
	held = rig_ask(rig, 0, want);
	assert_int_equal(rig_state(rig, held), CLAIM_LOADING);
	token = rig_row(rig, held)->token;
	event.renew.token = &token;
	rig_pass(rig, 4000);
	rig_step(rig, event);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	assert_int_equal(rig_sent(rig, SEND_RENEWED, held)->send.expires_ms, 5000);
	want = rig_want(BIND_HTTP, LEASE_CHAT, "other");
	rig_pass(rig, 5000);
	assert_true(rig_row(rig, held)->revoked);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

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
