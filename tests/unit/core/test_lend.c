/* Goal: a holder that waits for another claim never waits for itself: the claim is refused with the
 * cycle named, or runs in the room of the lease that is lent to it (DESIGN.md section 4, E11). */
#include "fixture.h"

static uint64_t ask_on(struct fixture *fixture, uint64_t conn, uint32_t gpu_mask, uint64_t parent)
{
	struct event event = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);

	event.acquire.need.gpu_mask = gpu_mask;
	event.acquire.parent = parent;
	return fixture_ask(fixture, conn, event);
}

static uint64_t hold_on(struct fixture *fixture, uint64_t conn, uint32_t gpu_mask)
{
	uint64_t lease = ask_on(fixture, conn, gpu_mask, 0);

	fixture_accept(fixture, conn, lease);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	return lease;
}

/* A call that can only run in the room of its parent. */
static uint64_t call_of(struct fixture *fixture, uint64_t conn, enum lease_class cls,
			uint64_t parent)
{
	struct event event = fixture_want(BIND_NATIVE, cls, NULL);
	uint64_t call;

	event.acquire.parent = event.acquire.host = parent;
	call = fixture_ask(fixture, conn, event);
	assert_int_equal(fixture_state(fixture, call), CLAIM_QUEUED);
	return call;
}

static void lend(struct fixture *fixture, uint64_t conn, uint64_t lease, uint64_t to)
{
	struct event event = {.type = EVENT_LEND, .from = {PARTY_SESSION, conn}};

	event.lend.lease = lease;
	event.lend.to = to;
	fixture_step(fixture, event);
}

/* A holder's own call for the only GPU is refused, and its lease goes on. */
static void test_direct_cycle(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "A"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);

	assert_int_equal(ask_on(fixture, a, 0, held), 0);
	assert_int_equal(fixture_error(fixture), ERR_DEADLOCK);
	assert_string_equal(fixture_sent(fixture, SEND_DENIED, 0)->send.detail,
			    "claim 2 -> lease 1 (A) -> claim 2");
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	assert_int_equal(core_waiting_count(fixture->core), 0);
}

/* Two holders that call for each other's GPU: the second call closes the cycle and is refused. */
static void test_cycle_of_two(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, first, second, call;

	fixture_gpus(fixture, 2, 1, 0);
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "A");
	b = fixture_session(fixture, BIND_NATIVE, "B");
	first = hold_on(fixture, a, 1);
	second = hold_on(fixture, b, 2);
	call = ask_on(fixture, a, 2, first);
	assert_int_not_equal(call, 0);
	assert_int_equal(ask_on(fixture, b, 1, second), 0);
	assert_int_equal(fixture_error(fixture), ERR_DEADLOCK);
	assert_string_equal(fixture_sent(fixture, SEND_DENIED, 0)->send.detail,
			    "claim 4 -> lease 1 (A) -> claim 3 -> lease 2 (B) -> claim 4");
	fixture_release(fixture, b, second, false);
	assert_int_equal(fixture_state(fixture, call), CLAIM_OFFERED);
}

/* Where a third GPU, or a second turn, could serve the call, nothing is refused. */
static void test_no_cycle(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, first, second;

	fixture_gpus(fixture, 3, 1, 0);
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "A");
	b = fixture_session(fixture, BIND_NATIVE, "B");
	first = hold_on(fixture, a, 1);
	second = hold_on(fixture, b, 2);
	assert_int_not_equal(ask_on(fixture, a, 2, first), 0);
	assert_int_not_equal(ask_on(fixture, b, 1 | 4, second), 0);
	fixture_gpus(fixture, 1, 2, 0);
}

/* The turn of a lender is used by the other claim, and is the lender's again when that ends. */
static void test_lend(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 call = call_of(fixture, b, LEASE_CHAT, held);
	struct gpu_view gpu;

	lend(fixture, a, held, call);
	assert_int_equal(fixture_sent(fixture, SEND_LENT, held)->send.other, call);
	assert_int_equal(fixture_state(fixture, call), CLAIM_OFFERED);
	assert_true(fixture_row(fixture, call)->fence > fixture_row(fixture, held)->fence);
	fixture_accept(fixture, b, call);
	core_gpu(fixture->core, 0, &gpu);
	assert_int_equal(gpu.slots_used, 1);
	lend(fixture, a, held, call);
	assert_int_equal(fixture_error(fixture), ERR_STATE);
	fixture_release(fixture, b, call, false);
	assert_int_equal(fixture_sent(fixture, SEND_LENT, held)->send.other, 0);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	core_gpu(fixture->core, 0, &gpu);
	assert_int_equal(gpu.slots_used, 1);
}

/* Only a waiting claim can be lent to, only by the holder, and only what the lender has. */
static void test_lend_refused(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, held, two;
	struct event event = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);

	fixture_gpus(fixture, 1, 2, 0);
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	held = fixture_hold(fixture, a, LEASE_CHAT);
	event.acquire.need.slots = 2;
	event.acquire.parent = event.acquire.host = held;
	two = fixture_ask(fixture, b, event);
	lend(fixture, a, held, two);
	assert_int_equal(fixture_error(fixture), ERR_NO_ROOM);
	lend(fixture, b, held, two);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	lend(fixture, a, held, 999);
	assert_int_equal(fixture_error(fixture), ERR_NOT_FOUND);
	lend(fixture, a, held, held);
	assert_int_equal(fixture_error(fixture), ERR_STATE);
	/* Past the queue goes only what the lender waits for. */
	fixture_hold(fixture, b, LEASE_CHAT);
	lend(fixture, a, held, fixture_wait(fixture, b, LEASE_CHAT));
	assert_int_equal(fixture_error(fixture), ERR_STATE);
}

/* An offer within a lent room that is not taken up leaves the loan; the lender goes on. */
static void test_lent_offer_missed(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 call = call_of(fixture, b, LEASE_CHAT, held);

	lend(fixture, a, held, call);
	fixture_pass(fixture, fixture->config.ack_ms);
	assert_int_equal(fixture_state(fixture, call), CLAIM_QUEUED);
	assert_int_equal(fixture_row(fixture, call)->lender, 0);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
}

/* A borrower is asked together with its lender, and revoked with it. */
static void test_revoked_with_lender(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t v = fixture_session(fixture, BIND_TAB, "v"),
		 held = fixture_hold(fixture, a, LEASE_BACKGROUND);
	uint64_t call = call_of(fixture, b, LEASE_BACKGROUND, held), voice;

	lend(fixture, a, held, call);
	fixture_accept(fixture, b, call);
	voice = fixture_wait(fixture, v, LEASE_VOICE);
	assert_non_null(fixture_sent(fixture, SEND_YIELD, held));
	assert_non_null(fixture_sent(fixture, SEND_YIELD, call));
	fixture_pass(fixture, fixture->config.grace_ms);
	assert_true(fixture_row(fixture, held)->revoked);
	assert_true(fixture_row(fixture, call)->revoked);
	/* The lender confirms first: the room is not free before the borrower is out. */
	fixture_release(fixture, a, held, false);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_QUEUED);
	fixture_release(fixture, b, call, false);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_OFFERED);
}

/* A lender cannot stop before its borrower, so both have one grace: the lender's, for by that
 * others were told when it is gone. If the yield is withdrawn, both keep their leases. */
static void test_one_grace(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_TAB, LEASE_BACKGROUND, NULL);
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t v = fixture_session(fixture, BIND_TAB, "v"), held, call, voice;

	want.acquire.uninterruptible_ms = 7000;
	held = fixture_take(fixture, a, want);
	want.acquire.uninterruptible_ms = 20000;
	want.acquire.parent = want.acquire.host = held;
	call = fixture_ask(fixture, b, want);
	lend(fixture, a, held, call);
	fixture_accept(fixture, b, call);
	voice = fixture_wait(fixture, v, LEASE_VOICE);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, held)->send.grace_ms, 7000);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, call)->send.grace_ms, 7000);
	fixture_release(fixture, v, voice, false);
	fixture_pass(fixture, 7000);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, call), CLAIM_HELD);
	assert_int_equal(fixture_row(fixture, call)->uninterruptible_ms, 7000);
	fixture_wait(fixture, v, LEASE_VOICE);
	fixture_pass(fixture, 6999);
	assert_false(fixture_row(fixture, held)->revoked);
	assert_false(fixture_row(fixture, call)->revoked);
	fixture_pass(fixture, 1);
	assert_true(fixture_row(fixture, held)->revoked);
	assert_true(fixture_row(fixture, call)->revoked);
}

/* A lender that leaves hands its room to the borrower, which goes on in its own right. */
static void test_borrower_inherits(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t c = fixture_session(fixture, BIND_NATIVE, "c"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t call = call_of(fixture, b, LEASE_CHAT, held),
		 next = fixture_wait(fixture, c, LEASE_CHAT);

	lend(fixture, a, held, call);
	fixture_accept(fixture, b, call);
	fixture_release(fixture, a, held, false);
	assert_int_equal(fixture_state(fixture, call), CLAIM_HELD);
	assert_int_equal(fixture_row(fixture, call)->lender, 0);
	assert_int_equal(fixture_state(fixture, next), CLAIM_QUEUED);
	fixture_release(fixture, b, call, false);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
}

/* .. also if its offer was still open then: the lender's turn continues, it does not start over. */
static void test_heir_of_an_open_offer(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 call = call_of(fixture, b, LEASE_CHAT, held);
	struct mono_ms began = fixture_row(fixture, held)->turn_since;

	fixture_pass(fixture, 5000);
	lend(fixture, a, held, call);
	fixture_release(fixture, a, held, false);
	fixture_pass(fixture, 1000);
	fixture_accept(fixture, b, call);
	assert_int_equal(fixture_state(fixture, call), CLAIM_HELD);
	assert_int_equal(fixture_row(fixture, call)->turn_since.v, began.v);
}

/* .. and whose offer is missed then has its own place, not the lender's. */
static void test_heir_misses_its_offer(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t c = fixture_session(fixture, BIND_NATIVE, "c"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t other, call;

	fixture_pass(fixture, 1000);
	other = fixture_wait(fixture, c, LEASE_CHAT);
	fixture_pass(fixture, 1000);
	call = call_of(fixture, b, LEASE_CHAT, held);
	lend(fixture, a, held, call);
	fixture_release(fixture, a, held, false);
	fixture_pass(fixture, fixture->config.ack_ms);
	assert_int_equal(fixture_state(fixture, call), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, other), CLAIM_OFFERED);
}

/* Loans may nest; when the middle one leaves, the last runs in the first one's room. */
static void test_nested_loans(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conn[3], lease[3];
	struct gpu_view gpu;

	for (int i = 0; i < 3; i++)
		conn[i] = fixture_session(fixture, BIND_NATIVE, "x");
	lease[0] = fixture_hold(fixture, conn[0], LEASE_CHAT);
	for (int i = 0; i < 2; i++) {
		lease[i + 1] = call_of(fixture, conn[i + 1], LEASE_CHAT, lease[i]);
		lend(fixture, conn[i], lease[i], lease[i + 1]);
		fixture_accept(fixture, conn[i + 1], lease[i + 1]);
	}
	fixture_release(fixture, conn[1], lease[1], false);
	assert_int_equal(fixture_row(fixture, lease[2])->lender, lease[0]);
	core_gpu(fixture->core, 0, &gpu);
	assert_int_equal(gpu.slots_used, 1);
	fixture_release(fixture, conn[0], lease[0], false);
	assert_int_equal(fixture_row(fixture, lease[2])->lender, 0);
	assert_int_equal(fixture_state(fixture, lease[2]), CLAIM_HELD);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_direct_cycle),
		TEST(test_cycle_of_two),
		TEST(test_no_cycle),
		TEST(test_lend),
		TEST(test_lend_refused),
		TEST(test_lent_offer_missed),
		TEST(test_revoked_with_lender),
		TEST(test_one_grace),
		TEST(test_borrower_inherits),
		TEST(test_heir_of_an_open_offer),
		TEST(test_heir_misses_its_offer),
		TEST(test_nested_loans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
