/* Goal: who accepts in its request needs no offer where a turn is free at once, and is offered one
 * like anybody where it has to wait. */
#include "fixture.h"

static struct event ready(enum binding binding, enum lease_class cls)
{
	struct event event = fixture_want(binding, cls, "ready");

	event.acquire.accept = true;
	return event;
}

/* Granted in one answer, with one row. */
static void test_granted_without_an_offer(void **state)
{
	struct fixture *fixture = *state;
	uint64_t tab = fixture_session(fixture, BIND_TAB, "tab");
	uint64_t lease = fixture_ask(fixture, tab, ready(BIND_TAB, LEASE_CHAT));
	uint32_t rows = 0;

	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	assert_non_null(fixture_sent(fixture, SEND_GRANTED, lease));
	assert_int_equal(fixture_count(fixture, SEND_QUEUED), 0);
	assert_int_equal(fixture_count(fixture, SEND_OFFERED), 0);
	for (size_t i = 0; i < fixture->fx.count; i++)
		rows += fixture->fx.v[i].type == EFFECT_APPEND &&
			fixture->fx.v[i].record.type == RECORD_CLAIM_PUT;
	assert_int_equal(rows, 1);
}

/* Its word was true when it asked: whether it is there later is asked later. */
static void test_offered_after_a_wait(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_ask(fixture, a, ready(BIND_NATIVE, LEASE_CHAT));
	uint64_t waits = fixture_ask(fixture, b, ready(BIND_NATIVE, LEASE_CHAT));

	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
	assert_int_equal(fixture_count(fixture, SEND_QUEUED), 1);
	assert_true(core_bound_ms(fixture->core, waits, fixture->now) > 0);

	fixture_release(fixture, a, held, false);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
	fixture_pass(fixture, fixture->config.ack_ms + 1);
	assert_int_not_equal(fixture_state(fixture, waits), CLAIM_HELD);
}

/* What makes room in the same step is not yet room. */
static void test_a_voice_still_asks_first(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND), voice;

	fixture_pass(fixture, fixture->config.min_run_ms + 1);
	voice = fixture_ask(fixture, b, ready(BIND_NATIVE, LEASE_VOICE));
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_QUEUED);
	assert_int_equal(fixture_count(fixture, SEND_QUEUED), 1);
}

/* A claim that would not wait: held at once, or busy without a trace. */
static void test_without_a_wait(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	struct event hasty = ready(BIND_NATIVE, LEASE_CHAT);
	uint64_t held;

	hasty.acquire.no_wait = true;
	held = fixture_ask(fixture, a, hasty);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	assert_int_equal(fixture_count(fixture, SEND_OFFERED), 0);

	assert_int_equal(fixture_ask(fixture, a, hasty), 0);
	assert_int_equal(fixture_error(fixture), ERR_BUSY);
	assert_int_equal(fixture->fx.count, 1);
}

/* One that loads has its room, and no turn before it is ready. */
static void test_what_loads(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	struct event model = ready(BIND_NATIVE, LEASE_CHAT);

	model.acquire.loads = true;
	assert_int_equal(fixture_state(fixture, fixture_ask(fixture, a, model)), CLAIM_LOADING);
}

/* Only the one that asked in this step has accepted. */
static void test_nobody_else_has_accepted(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t first, second;

	fixture_admin(fixture, ADMIN_PAUSE, 0);
	first = fixture_ask(fixture, a, ready(BIND_NATIVE, LEASE_CHAT));
	second = fixture_ask(fixture, b, ready(BIND_NATIVE, LEASE_VOICE));
	assert_int_equal(fixture_state(fixture, first), CLAIM_QUEUED);
	fixture_admin(fixture, ADMIN_RESUME, 0);
	assert_int_equal(fixture_state(fixture, second), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, first), CLAIM_QUEUED);
}

/* Asked for again, it is what it was. */
static void test_asked_again(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	struct event event = fixture_want(BIND_NATIVE, LEASE_CHAT, "a");
	uint64_t lease;

	event.acquire.request_id = "r";
	lease = fixture_ask(fixture, a, event);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_OFFERED);
	event.acquire.accept = true;
	fixture_ask(fixture, a, event);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_OFFERED);
	assert_non_null(fixture_sent(fixture, SEND_OFFERED, lease));
}

/* A turn that is given back to a frozen process begins with its word, which thaws it. */
static void test_a_parked_lease_is_offered(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t lease = fixture_hold(fixture, a, LEASE_CHAT);
	struct event turn = ready(BIND_NATIVE, LEASE_CHAT);

	turn.acquire.resumes = lease;
	assert_int_equal(fixture_state(fixture, fixture_ask(fixture, a, turn)), CLAIM_OFFERED);
	assert_int_equal(fixture_count(fixture, SEND_QUEUED), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_granted_without_an_offer),
		TEST(test_offered_after_a_wait),
		TEST(test_a_voice_still_asks_first),
		TEST(test_without_a_wait),
		TEST(test_what_loads),
		TEST(test_nobody_else_has_accepted),
		TEST(test_asked_again),
		TEST(test_a_parked_lease_is_offered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
