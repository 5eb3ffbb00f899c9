/* Goal: which claim is next. Method: claims of several classes at chosen times; which is offered
 * the GPU when it comes free, and which holder is asked to yield (CASES.md G, P20 to P22, P25). */
#include "fixture.h"

/* Of waiters of one class the oldest is next, and each place is told truly. */
static void test_first_come(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conn[3], claim[3];

	for (int i = 0; i < 3; i++)
		conn[i] = fixture_session(fixture, BIND_NATIVE, "worker");
	claim[0] = fixture_hold(fixture, conn[0], LEASE_CHAT);
	claim[1] = fixture_wait(fixture, conn[1], LEASE_CHAT);
	claim[2] = fixture_wait(fixture, conn[2], LEASE_CHAT);
	assert_int_equal(core_position(fixture->core, claim[1]), 0);
	assert_int_equal(core_position(fixture->core, claim[2]), 1);
	fixture_release(fixture, conn[0], claim[0], false);
	assert_int_equal(fixture_state(fixture, claim[1]), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, claim[2]), CLAIM_QUEUED);
}

/* P20: background that waited long enough goes before chat that has just come: no class starves. */
static void test_aging(void **state)
{
	struct fixture *fixture = *state;
	uint64_t holder = fixture_session(fixture, BIND_NATIVE, "holder");
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held, old, young;
	struct event firm = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);

	fixture->config.classes[LEASE_CHAT].hold_ms_max = 1000000;
	fixture->config.session_ttl_ms = 1000000;
	fixture_configure(fixture);
	firm.acquire.preemptible = false;
	held = fixture_ask(fixture, holder, firm);
	fixture_accept(fixture, holder, held);
	old = fixture_wait(fixture, a, LEASE_BACKGROUND);
	fixture_pass(fixture, 106000);
	young = fixture_wait(fixture, b, LEASE_CHAT);
	assert_int_equal(core_position(fixture->core, old), 0);
	fixture_release(fixture, holder, held, false);
	assert_int_equal(fixture_state(fixture, old), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, young), CLAIM_QUEUED);
}

/* Two waiters never change places while they wait, whatever time passes. */
static void test_order_is_constant(void **state)
{
	struct fixture *fixture = *state;
	uint64_t claims[LEASE_CLASS_COUNT],
		holder = fixture_session(fixture, BIND_NATIVE, "holder");
	struct event want = fixture_want(BIND_NATIVE, LEASE_VOICE, NULL);

	fixture->config.classes[LEASE_VOICE].hold_ms_max = 1000000;
	fixture->config.session_ttl_ms = 1000000;
	fixture_configure(fixture);
	want.acquire.preemptible = false;
	fixture_accept(fixture, holder, fixture_ask(fixture, holder, want));
	for (int cls = LEASE_CLASS_COUNT - 1; cls >= 0; cls--) {
		uint64_t conn = fixture_session(fixture, BIND_NATIVE, "waiter");
		claims[cls] = fixture_wait(fixture, conn, (enum lease_class)cls);
	}
	for (int round = 0; round < 10; round++) {
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
			assert_int_equal(core_position(fixture->core, claims[cls]), cls);
		fixture_pass(fixture, 30000);
	}
}

/* P22: voice has a background holder asked at once, without the minimum of run time. */
static void test_voice_preempts_at_once(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND);
	uint64_t voice = fixture_wait(fixture, b, LEASE_VOICE);
	const struct effect *yield = fixture_sent(fixture, SEND_YIELD, held);

	assert_non_null(yield);
	assert_int_equal(yield->send.reason, YIELD_PREEMPTED);
	assert_int_equal(yield->send.other, voice);
	assert_int_equal(yield->send.grace_ms, fixture->config.grace_ms);
	fixture_release(fixture, a, held, false);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_OFFERED);
}

/* A higher class preempts only if its key is smaller too, and only after the minimum of run time.
 */
static void test_preempts_by_key(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND);

	fixture_wait(fixture, b, LEASE_CHAT);
	assert_null(fixture_sent(fixture, SEND_YIELD, 0));
	fixture_pass(fixture, fixture->config.min_run_ms - 1);
	assert_null(fixture_sent(fixture, SEND_YIELD, 0));
	fixture_pass(fixture, 1);
	assert_non_null(fixture_sent(fixture, SEND_YIELD, held));
}

/* By class alone, chat would pass this background claim, which is older than chat's whole offset.
 */
static void test_class_alone_does_not_preempt(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t first, old;
	struct event firm = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);

	fixture->config.classes[LEASE_CHAT].hold_ms_max = 1000000;
	fixture->config.session_ttl_ms = 1000000;
	fixture_configure(fixture);
	firm.acquire.preemptible = false;
	first = fixture_ask(fixture, a, firm);
	fixture_accept(fixture, a, first);
	old = fixture_wait(fixture, b, LEASE_BACKGROUND);
	fixture_pass(fixture, 110000);
	fixture_release(fixture, a, first, false);
	fixture_accept(fixture, b, old);
	fixture_wait(fixture, c, LEASE_CHAT);
	fixture_pass(fixture, 10000);
	assert_null(fixture_sent(fixture, SEND_YIELD, 0));
	assert_int_equal(fixture_state(fixture, old), CLAIM_HELD);
}

/* A preempted claim that asks to come back has its old place, a fresh token and a higher fence. */
static void test_comes_back_with_its_key(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND);
	struct token token = fixture_row(fixture, held)->token;
	uint64_t fence = fixture_row(fixture, held)->fence;
	struct mono_ms arrival = fixture_row(fixture, held)->arrival;
	uint64_t voice;

	fixture_pass(fixture, 5000);
	voice = fixture_wait(fixture, b, LEASE_VOICE);
	fixture_release(fixture, a, held, true);
	assert_int_equal(fixture_state(fixture, held), CLAIM_QUEUED);
	assert_true(fixture_row(fixture, held)->arrival.v == arrival.v);
	assert_int_equal(fixture_row(fixture, held)->used_ms, 5000);
	assert_memory_not_equal(&fixture_row(fixture, held)->token, &token, sizeof(token));
	fixture_accept(fixture, b, voice);
	fixture_release(fixture, b, voice, false);
	assert_int_equal(fixture_state(fixture, held), CLAIM_OFFERED);
	assert_true(fixture_row(fixture, held)->fence > fence);
}

/* P22: no hold is longer than its class allows while somebody waits; alone there is no limit. */
static void test_hold_max(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT);

	fixture_pass(fixture, 59000);
	fixture_wait(fixture, b, LEASE_CHAT);
	fixture_alive(fixture, a);
	fixture_alive(fixture, b);
	fixture_pass(fixture, 999);
	assert_null(fixture_sent(fixture, SEND_YIELD, 0));
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, held)->send.reason, YIELD_HOLD_MAX);
}

/* One that had its whole turn comes back as the newest, else it would overtake the waiters. */
static void test_full_turn_goes_to_the_end(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t c = fixture_session(fixture, BIND_NATIVE, "c"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t second, third;

	fixture->config.session_ttl_ms = 1000000;
	fixture_configure(fixture);
	fixture_pass(fixture, 30000);
	second = fixture_wait(fixture, b, LEASE_CHAT);
	third = fixture_wait(fixture, c, LEASE_CHAT);
	fixture_pass(fixture, 31000);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	fixture_release(fixture, a, held, true);
	assert_int_equal(core_position(fixture->core, third), 0);
	assert_int_equal(core_position(fixture->core, held), 1);
	assert_int_equal(fixture_state(fixture, second), CLAIM_OFFERED);
	assert_int_equal(fixture_row(fixture, held)->used_ms, 0);
}

/* If the head leaves while a holder yields, the next in line gets the room. */
static void test_next_takes_the_room(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 v = fixture_session(fixture, BIND_NATIVE, "v");
	uint64_t c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND),
		 voice = fixture_wait(fixture, v, LEASE_VOICE);
	uint64_t chat = fixture_wait(fixture, c, LEASE_CHAT);

	fixture_close(fixture, v);
	fixture_step(fixture, (struct event){.type = EVENT_PEER_EXIT, .peer.session = 2});
	assert_int_equal(fixture_state(fixture, voice), CLAIM_ENDED);
	fixture_release(fixture, a, held, false);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_OFFERED);
}

/* A reload of the offsets reorders the waiters and touches no lease. */
static void test_reload_reorders(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 normal = fixture_wait(fixture, b, LEASE_NORMAL);
	uint64_t chat = fixture_wait(fixture, c, LEASE_CHAT);

	assert_int_equal(core_position(fixture->core, chat), 0);
	fixture->config.classes[LEASE_NORMAL].offset_ms = 1000;
	fixture_configure(fixture);
	assert_int_equal(core_position(fixture->core, normal), 0);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
}

static const struct trace_effect *last_trace(const struct fixture *fixture, enum trace_what what)
{
	const struct trace_effect *found = NULL;
	for (size_t i = 0; i < fixture->fx.count; i++)
		if (fixture->fx.v[i].type == EFFECT_TRACE && fixture->fx.v[i].trace.what == what)
			found = &fixture->fx.v[i].trace;
	return found;
}

/* What is told of a claim keeps its wait, its hold and its age apart, and counts no earlier turn
 * as a wait. */
static void test_wait_and_age(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t first = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t second = fixture_wait(fixture, b, LEASE_BACKGROUND);
	const struct trace_effect *trace;

	fixture_pass(fixture, 3000);
	fixture_release(fixture, a, first, false);
	trace = last_trace(fixture, TRACE_ENDED);
	assert_int_equal(trace->waited_ms, 0); /* granted at once */
	assert_int_equal(trace->held_ms, 3000);
	assert_int_equal(trace->age_ms, 3000);
	fixture_accept(fixture, b, second);
	assert_int_equal(last_trace(fixture, TRACE_HELD)->waited_ms, 3000);
	fixture_pass(fixture, 2000);
	fixture_wait(fixture, a, LEASE_VOICE); /* asks it to give way */
	fixture_release(fixture, b, second, true);
	trace = last_trace(fixture, TRACE_QUEUED);
	assert_int_equal(trace->waited_ms, 3000);
	assert_int_equal(trace->held_ms, 2000);
	assert_int_equal(trace->age_ms, 5000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_first_come),
		TEST(test_wait_and_age),
		TEST(test_aging),
		TEST(test_order_is_constant),
		TEST(test_voice_preempts_at_once),
		TEST(test_preempts_by_key),
		TEST(test_class_alone_does_not_preempt),
		TEST(test_comes_back_with_its_key),
		TEST(test_hold_max),
		TEST(test_full_turn_goes_to_the_end),
		TEST(test_next_takes_the_room),
		TEST(test_reload_reorders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
