/* Goal: who is next. Method: claims of several classes at chosen times; who is offered the GPU when
 * it comes free, and who is asked to give way (CASES.md G, P20 to P22, P25). */
#include "rig.h"

/* Of waiters of one class the oldest is next, and each place is told truly. */
static void test_first_come(void **state)
{
	struct rig *rig = *state;
	uint64_t conn[3], claim[3];

	for (int i = 0; i < 3; i++)
		conn[i] = rig_session(rig, BIND_NATIVE, "worker");
	claim[0] = rig_hold(rig, conn[0], LEASE_CHAT);
	claim[1] = rig_wait(rig, conn[1], LEASE_CHAT);
	claim[2] = rig_wait(rig, conn[2], LEASE_CHAT);
	assert_int_equal(core_position(rig->core, claim[1]), 0);
	assert_int_equal(core_position(rig->core, claim[2]), 1);
	rig_release(rig, conn[0], claim[0], false);
	assert_int_equal(rig_state(rig, claim[1]), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, claim[2]), CLAIM_QUEUED);
}

/* P20: background that waited long enough goes before chat that has just come: no class starves. */
static void test_aging(void **state)
{
	struct rig *rig = *state;
	uint64_t holder = rig_session(rig, BIND_NATIVE, "holder");
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held, old, young;
	struct event firm = rig_want(BIND_NATIVE, LEASE_CHAT, NULL);

	rig->config.classes[LEASE_CHAT].hold_ms_max = 1000000;
	rig->config.session_ttl_ms = 1000000;
	rig_configure(rig);
	firm.acquire.preemptible = false;
	held = rig_ask(rig, holder, firm);
	rig_accept(rig, holder, held);
	old = rig_wait(rig, a, LEASE_BACKGROUND);
	rig_pass(rig, 106000);
	young = rig_wait(rig, b, LEASE_CHAT);
	assert_int_equal(core_position(rig->core, old), 0);
	rig_release(rig, holder, held, false);
	assert_int_equal(rig_state(rig, old), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, young), CLAIM_QUEUED);
}

/* Two waiters never change places while they wait, whatever time passes. */
static void test_order_is_constant(void **state)
{
	struct rig *rig = *state;
	uint64_t claims[LEASE_CLASS_COUNT], holder = rig_session(rig, BIND_NATIVE, "holder");
	struct event want = rig_want(BIND_NATIVE, LEASE_VOICE, NULL);

	rig->config.classes[LEASE_VOICE].hold_ms_max = 1000000;
	rig->config.session_ttl_ms = 1000000;
	rig_configure(rig);
	want.acquire.preemptible = false;
	rig_accept(rig, holder, rig_ask(rig, holder, want));
	for (int cls = LEASE_CLASS_COUNT - 1; cls >= 0; cls--) {
		uint64_t conn = rig_session(rig, BIND_NATIVE, "waiter");
		claims[cls] = rig_wait(rig, conn, (enum lease_class)cls);
	}
	for (int round = 0; round < 10; round++) {
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
			assert_int_equal(core_position(rig->core, claims[cls]), cls);
		rig_pass(rig, 30000);
	}
}

/* P22: voice has a background holder asked at once, without the minimum of run time. */
static void test_voice_preempts_at_once(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_BACKGROUND);
	uint64_t voice = rig_wait(rig, b, LEASE_VOICE);
	const struct effect *yield = rig_sent(rig, SEND_YIELD, held);

	assert_non_null(yield);
	assert_int_equal(yield->send.reason, YIELD_PREEMPTED);
	assert_int_equal(yield->send.other, voice);
	assert_int_equal(yield->send.grace_ms, rig->config.grace_ms);
	rig_release(rig, a, held, false);
	assert_int_equal(rig_state(rig, voice), CLAIM_OFFERED);
}

/* A higher class preempts only if its key is smaller too, and only after the minimum of run time.
 */
static void test_preempts_by_key(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_BACKGROUND);

	rig_wait(rig, b, LEASE_CHAT);
	assert_null(rig_sent(rig, SEND_YIELD, 0));
	rig_pass(rig, rig->config.min_run_ms - 1);
	assert_null(rig_sent(rig, SEND_YIELD, 0));
	rig_pass(rig, 1);
	assert_non_null(rig_sent(rig, SEND_YIELD, held));
}

/* By class alone, chat would pass this background claim, which is older than chat's whole offset.
 */
static void test_class_alone_does_not_preempt(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t first, old;
	struct event firm = rig_want(BIND_NATIVE, LEASE_CHAT, NULL);

	rig->config.classes[LEASE_CHAT].hold_ms_max = 1000000;
	rig->config.session_ttl_ms = 1000000;
	rig_configure(rig);
	firm.acquire.preemptible = false;
	first = rig_ask(rig, a, firm);
	rig_accept(rig, a, first);
	old = rig_wait(rig, b, LEASE_BACKGROUND);
	rig_pass(rig, 110000);
	rig_release(rig, a, first, false);
	rig_accept(rig, b, old);
	rig_wait(rig, c, LEASE_CHAT);
	rig_pass(rig, 10000);
	assert_null(rig_sent(rig, SEND_YIELD, 0));
	assert_int_equal(rig_state(rig, old), CLAIM_HELD);
}

/* A preempted claim that asks to come back has its old place, a fresh token and a higher fence. */
static void test_comes_back_with_its_key(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_BACKGROUND);
	struct token token = rig_row(rig, held)->token;
	uint64_t fence = rig_row(rig, held)->fence;
	struct mono_ms arrival = rig_row(rig, held)->arrival;
	uint64_t voice;

	rig_pass(rig, 5000);
	voice = rig_wait(rig, b, LEASE_VOICE);
	rig_release(rig, a, held, true);
	assert_int_equal(rig_state(rig, held), CLAIM_QUEUED);
	assert_true(rig_row(rig, held)->arrival.v == arrival.v);
	assert_int_equal(rig_row(rig, held)->used_ms, 5000);
	assert_memory_not_equal(&rig_row(rig, held)->token, &token, sizeof(token));
	rig_accept(rig, b, voice);
	rig_release(rig, b, voice, false);
	assert_int_equal(rig_state(rig, held), CLAIM_OFFERED);
	assert_true(rig_row(rig, held)->fence > fence);
}

/* P22: no hold is longer than its class allows while somebody waits; alone there is no limit. */
static void test_hold_max(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT);

	rig_pass(rig, 59000);
	rig_wait(rig, b, LEASE_CHAT);
	rig_alive(rig, a);
	rig_alive(rig, b);
	rig_pass(rig, 999);
	assert_null(rig_sent(rig, SEND_YIELD, 0));
	rig_pass(rig, 1);
	assert_int_equal(rig_sent(rig, SEND_YIELD, held)->send.reason, YIELD_HOLD_MAX);
}

/* One that had its whole turn comes back as the newest, else it would pass those who wait. */
static void test_full_turn_goes_to_the_end(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t c = rig_session(rig, BIND_NATIVE, "c"), held = rig_hold(rig, a, LEASE_CHAT);
	uint64_t second, third;

	rig->config.session_ttl_ms = 1000000;
	rig_configure(rig);
	rig_pass(rig, 30000);
	second = rig_wait(rig, b, LEASE_CHAT);
	third = rig_wait(rig, c, LEASE_CHAT);
	rig_pass(rig, 31000);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	rig_release(rig, a, held, true);
	assert_int_equal(core_position(rig->core, third), 0);
	assert_int_equal(core_position(rig->core, held), 1);
	assert_int_equal(rig_state(rig, second), CLAIM_OFFERED);
	assert_int_equal(rig_row(rig, held)->used_ms, 0);
}

/* If the head leaves while a holder yields, the next in line gets the room. */
static void test_next_takes_the_room(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), v = rig_session(rig, BIND_NATIVE, "v");
	uint64_t c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t held = rig_hold(rig, a, LEASE_BACKGROUND), voice = rig_wait(rig, v, LEASE_VOICE);
	uint64_t chat = rig_wait(rig, c, LEASE_CHAT);

	rig_close(rig, v);
	rig_step(rig, (struct event){.type = EVENT_PEER_EXIT, .peer.session = 2});
	assert_int_equal(rig_state(rig, voice), CLAIM_ENDED);
	rig_release(rig, a, held, false);
	assert_int_equal(rig_state(rig, chat), CLAIM_OFFERED);
}

/* A reload of the offsets orders the waiters anew and touches no lease. */
static void test_reload_reorders(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), normal = rig_wait(rig, b, LEASE_NORMAL);
	uint64_t chat = rig_wait(rig, c, LEASE_CHAT);

	assert_int_equal(core_position(rig->core, chat), 0);
	rig->config.classes[LEASE_NORMAL].offset_ms = 1000;
	rig_configure(rig);
	assert_int_equal(core_position(rig->core, normal), 0);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
}

static const struct trace_effect *last_trace(const struct rig *rig, enum trace_what what)
{
	const struct trace_effect *found = NULL;
	for (size_t i = 0; i < rig->fx.count; i++)
		if (rig->fx.v[i].type == EFFECT_TRACE && rig->fx.v[i].trace.what == what)
			found = &rig->fx.v[i].trace;
	return found;
}

/* What is told of a claim keeps its wait, its hold and its age apart, and counts no earlier turn
 * as a wait. */
static void test_wait_and_age(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t first = rig_hold(rig, a, LEASE_CHAT);
	uint64_t second = rig_wait(rig, b, LEASE_BACKGROUND);
	const struct trace_effect *trace;

	rig_pass(rig, 3000);
	rig_release(rig, a, first, false);
	trace = last_trace(rig, TRACE_ENDED);
	assert_int_equal(trace->waited_ms, 0); /* granted at once */
	assert_int_equal(trace->held_ms, 3000);
	assert_int_equal(trace->age_ms, 3000);
	rig_accept(rig, b, second);
	assert_int_equal(last_trace(rig, TRACE_HELD)->waited_ms, 3000);
	rig_pass(rig, 2000);
	rig_wait(rig, a, LEASE_VOICE); /* asks it to give way */
	rig_release(rig, b, second, true);
	trace = last_trace(rig, TRACE_QUEUED);
	assert_int_equal(trace->waited_ms, 3000);
	assert_int_equal(trace->held_ms, 2000);
	assert_int_equal(trace->age_ms, 5000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
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
