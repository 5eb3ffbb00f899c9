/* Goal: what people are told is true: positions, reasons, bounds, estimates, counters, names
 * (CASES.md P21, P35, T3). */
#include "fixture.h"

/* P35: status shows every claim by itself, also those of one name. */
static void test_twins(void **state)
{
	struct fixture *fixture = *state;
	struct claim_view view;
	uint64_t seen[2] = {0};

	fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "twin"));
	fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "twin"));
	fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "twin"));
	assert_int_equal(core_waiting_count(fixture->core), 2);
	for (uint32_t at = 0; at < 2; at++) {
		assert_true(core_waiter_at(fixture->core, at, fixture->now, &view));
		assert_string_equal(view.rec->name, "twin");
		assert_int_equal(core_position(fixture->core, view.rec->id), at);
		seen[at] = view.rec->id;
	}
	assert_int_not_equal(seen[0], seen[1]);
	assert_false(core_waiter_at(fixture->core, 2, fixture->now, &view));
}

/* Whether an exchange waits is what the queue says now, whatever it was told. */
static void test_who_waits(void **state)
{
	struct fixture *fixture = *state;
	uint64_t holder = fixture->conn_next, waiter = holder + 1;
	uint64_t held = fixture_ask(fixture, 0, fixture_want(BIND_PROXIED, LEASE_CHAT, "a"));
	struct token token = fixture_row(fixture, held)->token;

	fixture_ask(fixture, 0, fixture_want(BIND_PROXIED, LEASE_CHAT, "b"));
	assert_false(core_conn_waits(fixture->core, holder));
	assert_true(core_conn_waits(fixture->core, waiter));
	assert_false(core_conn_waits(fixture->core, waiter + 1));
	fixture_unlock(fixture, &token);
	assert_false(core_conn_waits(fixture->core, waiter));
}

/* Holders come by rising id; a claim that is gone is not found. */
static void test_holders(void **state)
{
	struct fixture *fixture = *state;
	struct claim_view view;
	uint64_t first, second;
	struct token token;

	fixture_gpus(fixture, 1, 2, 0);
	fixture_configure(fixture);
	first = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "a"));
	second = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "b"));
	assert_true(core_holder_after(fixture->core, 0, fixture->now, &view));
	assert_int_equal(view.rec->id, first);
	assert_true(core_holder_after(fixture->core, first, fixture->now, &view));
	assert_int_equal(view.rec->id, second);
	assert_false(core_holder_after(fixture->core, second, fixture->now, &view));
	token = fixture_row(fixture, first)->token;
	fixture_unlock(fixture, &token);
	assert_false(core_claim(fixture->core, first, fixture->now, &view));
	assert_int_equal(core_position(fixture->core, second), -1);
}

/* The head waits for the holder, the others for their turn; the holder stands in their way, too. */
static void test_why(void **state)
{
	struct fixture *fixture = *state;
	uint64_t held = fixture_ask(fixture, 0, fixture_want(BIND_STREAM, LEASE_CHAT, "a"));
	uint64_t first = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "b"));
	uint64_t second = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "c"));
	struct why why;

	core_why(fixture->core, first, fixture->now, &why);
	assert_int_equal(why.code, WHY_HOLDER);
	assert_int_equal(why.holder, held);
	assert_int_equal(why.left_ms, fixture->config.classes[LEASE_CHAT].hold_ms_max);
	core_why(fixture->core, second, fixture->now, &why);
	assert_int_equal(why.code, WHY_BEHIND);
	assert_int_equal(why.ahead, 1);
	assert_int_equal(why.head, WHY_HOLDER);
	assert_int_equal(why.holder, held);
	assert_int_equal(why.left_ms, fixture->config.classes[LEASE_CHAT].hold_ms_max);
}

/* A long limit of the holder's own class protects it from that alone: what is told is when another
 * class will be due, and then it is asked. Whoever stands before the one that is due is not next.
 */
static void test_limit_by_another_class(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conn[4], held, first, due, last;
	struct why why;
	int64_t left_ms;

	fixture->config.classes[LEASE_CHAT].hold_ms_max = INT64_C(3600) * 1000;
	fixture->config.session_ttl_ms = 100000000;
	fixture_configure(fixture);
	conn[0] = fixture_session(fixture, BIND_NATIVE, "holder");
	conn[1] = fixture_session(fixture, BIND_NATIVE, "first");
	conn[2] = fixture_session(fixture, BIND_NATIVE, "due");
	conn[3] = fixture_session(fixture, BIND_NATIVE, "last");
	held = fixture_hold(fixture, conn[0], LEASE_CHAT);
	first = fixture_wait(fixture, conn[1], LEASE_CHAT);
	core_why(fixture->core, first, fixture->now, &why);
	assert_int_equal(why.left_ms, fixture->config.classes[LEASE_CHAT].hold_ms_max);

	due = fixture_wait(fixture, conn[2], LEASE_NORMAL);
	core_why(fixture->core, first, fixture->now, &why);
	left_ms = why.left_ms;
	assert_in_range(left_ms, 1, 120000);
	core_why(fixture->core, due, fixture->now, &why);
	assert_int_equal(why.left_ms, left_ms);

	fixture_pass(fixture, left_ms - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	core_why(fixture->core, first, fixture->now, &why);
	assert_int_equal(why.left_ms, 1);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);

	assert_int_equal(fixture_why(fixture, due), WHY_YIELDING);
	core_why(fixture->core, first, fixture->now, &why);
	assert_int_equal(why.code, WHY_BEHIND);
	assert_int_equal(why.ahead, 1);
	assert_int_equal(why.head, WHY_YIELDING);

	/* No two are told the same place. */
	last = fixture_wait(fixture, conn[3], LEASE_BACKGROUND);
	core_why(fixture->core, due, fixture->now, &why);
	assert_int_equal(why.ahead, 0);
	core_why(fixture->core, first, fixture->now, &why);
	assert_int_equal(why.ahead, 1);
	core_why(fixture->core, last, fixture->now, &why);
	assert_int_equal(why.ahead, 2);
}

/* A session that waits for nobody but itself is told so; where others are in the way, or on their
 * way out, it is told of them. */
static void test_why_self(void **state)
{
	struct fixture *fixture = *state;
	uint64_t page, other, mine, theirs, next;
	struct why why;

	fixture_gpus(fixture, 1, 2, 4 * GIB);
	fixture_configure(fixture);
	page = fixture_session(fixture, BIND_TAB, "page");
	other = fixture_session(fixture, BIND_TAB, "other");
	mine = fixture_hold(fixture, page, LEASE_CHAT);
	theirs = fixture_hold(fixture, other, LEASE_CHAT);
	next = fixture_wait(fixture, page, LEASE_CHAT);
	core_why(fixture->core, next, fixture->now, &why);
	assert_int_equal(why.code, WHY_HOLDER);
	assert_int_equal(why.holder, theirs);
	fixture_release(fixture, other, theirs, false);
	fixture_accept(fixture, page, next);
	theirs = fixture_wait(fixture, page, LEASE_CHAT);
	core_why(fixture->core, theirs, fixture->now, &why);
	assert_int_equal(why.code, WHY_SELF);
	assert_true(why.holder == mine || why.holder == next);
	assert_int_equal(why.left_ms, fixture->config.classes[LEASE_CHAT].hold_ms_max);
	/* To those behind it, its session is a holder like any other. */
	core_why(fixture->core, fixture_wait(fixture, other, LEASE_CHAT), fixture->now, &why);
	assert_int_equal(why.code, WHY_BEHIND);
	assert_int_equal(why.head, WHY_HOLDER);
	assert_true(why.holder == mine || why.holder == next);
	fixture_admin(fixture, ADMIN_YIELD, mine);
	core_why(fixture->core, theirs, fixture->now, &why);
	assert_int_equal(why.code, WHY_YIELDING);
}

/* Over several GPUs, too, and where its own model is what leaves no room. */
static void test_why_self_elsewhere(void **state)
{
	struct fixture *fixture = *state;
	struct event model = fixture_want(BIND_NATIVE, LEASE_CHAT, "page");
	uint64_t page, other, held, next;

	fixture_gpus(fixture, 2, 1, 4 * GIB);
	fixture_configure(fixture);
	page = fixture_session(fixture, BIND_NATIVE, "page");
	other = fixture_session(fixture, BIND_NATIVE, "other");
	fixture_hold(fixture, page, LEASE_CHAT);
	held = fixture_hold(fixture, other, LEASE_CHAT);
	next = fixture_wait(fixture, page, LEASE_CHAT);
	assert_int_equal(fixture_why(fixture, next), WHY_HOLDERS);
	fixture_release(fixture, other, held, false);
	fixture_accept(fixture, page, next);
	next = fixture_wait(fixture, page, LEASE_CHAT);
	assert_int_equal(fixture_why(fixture, next), WHY_SELF);
	fixture_gpus(fixture, 1, 4, 4 * GIB);
	fixture_configure(fixture);
	fixture_step(fixture, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, page}});
	page = fixture_session(fixture, BIND_NATIVE, "page");
	model.acquire.need.slots = 0;
	model.acquire.need.vram_bytes = 3 * GIB;
	fixture_take(fixture, page, model);
	next = fixture_ask(fixture, page, model);
	assert_int_equal(fixture_why(fixture, next), WHY_SELF);
	assert_int_equal(fixture_why(fixture, fixture_ask(fixture, other, model)), WHY_PINNED);
}

/* The bound holds for those who wait longest: nobody gives way by itself, all hold to the end. */
static void test_bound_is_kept(void **state)
{
	struct fixture *fixture = *state;
	uint64_t claim[8];
	int64_t bound[8];
	struct mono_ms begin = fixture->now;
	char name[8] = "x0";

	for (int i = 0; i < 8; i++) {
		name[1] = (char)('0' + i);
		claim[i] = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, name));
		bound[i] = core_bound_ms(fixture->core, claim[i], fixture->now);
	}
	assert_int_equal(bound[0], -1); /* it waits no more */
	for (int i = 1; i < 8; i++) {
		while (fixture_state(fixture, claim[i]) == CLAIM_QUEUED)
			fixture_pass(fixture, 100);
		assert_true(bound[i] > 0);
		assert_true(mono_since(fixture->now, begin) <= bound[i]);
	}
}

/* Counters count what happened. */
static void test_stats(void **state)
{
	struct fixture *fixture = *state;
	uint64_t held = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_VOICE, "a"));
	struct token token = fixture_row(fixture, held)->token;
	struct core_stats stats;

	fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "b"));
	fixture_unlock(fixture, &token);
	fixture_unlock(fixture, &token);
	core_stats(fixture->core, &stats);
	assert_int_equal(stats.granted[LEASE_VOICE], 1);
	assert_int_equal(stats.granted[LEASE_CHAT], 1);
	assert_int_equal(stats.ended[END_RELEASED], 1);
	assert_int_equal(stats.stale, 1);
	assert_int_equal(stats.held, 1);
	assert_int_equal(stats.waiting, 0);
	assert_int_equal(stats.fence, 2);
	assert_int_equal(stats.epoch, 1);
	assert_true(stats.journal_ok);
}

/* P21: a class is what it is named, or the nearest to the predecessor's number; never a part of a
 * name. */
static void test_names(void **state)
{
	(void)state;
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		assert_int_equal(lease_class_from_name(lease_class_name(cls)), cls);
	assert_int_equal(lease_class_from_name("dynamic-batch-trainer"), -1);
	assert_int_equal(lease_class_from_name("cosmic-dream"), -1);
	assert_int_equal(lease_class_from_name("voice "), -1);
	assert_int_equal(lease_class_from_priority(0), LEASE_VOICE);
	assert_int_equal(lease_class_from_priority(5), LEASE_VOICE);
	assert_int_equal(lease_class_from_priority(6), LEASE_CHAT);
	assert_int_equal(lease_class_from_priority(15), LEASE_NORMAL);
	assert_int_equal(lease_class_from_priority(INT64_MAX), LEASE_BACKGROUND);
	assert_int_equal(lease_class_from_priority(INT64_MIN), LEASE_VOICE);
	assert_string_equal(claim_state_name(99), "unknown");
	assert_string_equal(end_reason_name(END_FORCE_RELEASED), "force-released");
	assert_string_equal(yield_reason_name(YIELD_HOLD_MAX), "hold-max");
	assert_string_equal(why_name(WHY_LOCK_DELAY), "lock-delay");
	assert_string_equal(trace_name(TRACE_FORCE_RELEASE_ALL), "force-release-all");
	assert_string_equal(trace_name(TRACE_COUNT), "unknown");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_twins),
		TEST(test_who_waits),
		TEST(test_holders),
		TEST(test_why),
		TEST(test_limit_by_another_class),
		TEST(test_why_self),
		TEST(test_why_self_elsewhere),
		TEST(test_bound_is_kept),
		TEST(test_stats),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
