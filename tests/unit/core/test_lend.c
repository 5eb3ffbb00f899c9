/* Goal: a holder that waits for another claim never waits for itself: the claim is refused with the
 * cycle named, or runs in the room of the lease that is lent to it (DESIGN.md section 4, E11). */
#include "rig.h"

static uint64_t ask_on(struct rig *rig, uint64_t conn, uint32_t gpu_mask, uint64_t parent)
{
	struct event event = rig_want(BIND_NATIVE, LEASE_CHAT, NULL);

	event.acquire.need.gpu_mask = gpu_mask;
	event.acquire.parent = parent;
	return rig_ask(rig, conn, event);
}

static uint64_t hold_on(struct rig *rig, uint64_t conn, uint32_t gpu_mask)
{
	uint64_t lease = ask_on(rig, conn, gpu_mask, 0);

	rig_accept(rig, conn, lease);
	assert_int_equal(rig_state(rig, lease), CLAIM_HELD);
	return lease;
}

/* A call that can only run in the room of its parent. */
static uint64_t call_of(struct rig *rig, uint64_t conn, enum lease_class cls, uint64_t parent)
{
	struct event event = rig_want(BIND_NATIVE, cls, NULL);
	uint64_t call;

	event.acquire.parent = event.acquire.host = parent;
	call = rig_ask(rig, conn, event);
	assert_int_equal(rig_state(rig, call), CLAIM_QUEUED);
	return call;
}

static void lend(struct rig *rig, uint64_t conn, uint64_t lease, uint64_t to)
{
	struct event event = {.type = EVENT_LEND, .from = {PARTY_SESSION, conn}};

	event.lend.lease = lease;
	event.lend.to = to;
	rig_step(rig, event);
}

/* A holder's own call for the only GPU is refused, and its lease goes on. */
static void test_direct_cycle(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "A"), held = rig_hold(rig, a, LEASE_CHAT);

	assert_int_equal(ask_on(rig, a, 0, held), 0);
	assert_int_equal(rig_error(rig), ERR_DEADLOCK);
	assert_string_equal(rig_sent(rig, SEND_DENIED, 0)->send.detail,
			    "claim 2 -> lease 1 (A) -> claim 2");
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	assert_int_equal(core_waiting_count(rig->core), 0);
}

/* Two holders that call for each other's GPU: the second call closes the cycle and is refused. */
static void test_cycle_of_two(void **state)
{
	struct rig *rig = *state;
	uint64_t a, b, first, second, call;

	rig_gpus(rig, 2, 1, 0);
	rig_configure(rig);
	a = rig_session(rig, BIND_NATIVE, "A");
	b = rig_session(rig, BIND_NATIVE, "B");
	first = hold_on(rig, a, 1);
	second = hold_on(rig, b, 2);
	call = ask_on(rig, a, 2, first);
	assert_int_not_equal(call, 0);
	assert_int_equal(ask_on(rig, b, 1, second), 0);
	assert_int_equal(rig_error(rig), ERR_DEADLOCK);
	assert_string_equal(rig_sent(rig, SEND_DENIED, 0)->send.detail,
			    "claim 4 -> lease 1 (A) -> claim 3 -> lease 2 (B) -> claim 4");
	rig_release(rig, b, second, false);
	assert_int_equal(rig_state(rig, call), CLAIM_OFFERED);
}

/* Where a third GPU, or a second turn, could serve the call, nothing is refused. */
static void test_no_cycle(void **state)
{
	struct rig *rig = *state;
	uint64_t a, b, first, second;

	rig_gpus(rig, 3, 1, 0);
	rig_configure(rig);
	a = rig_session(rig, BIND_NATIVE, "A");
	b = rig_session(rig, BIND_NATIVE, "B");
	first = hold_on(rig, a, 1);
	second = hold_on(rig, b, 2);
	assert_int_not_equal(ask_on(rig, a, 2, first), 0);
	assert_int_not_equal(ask_on(rig, b, 1 | 4, second), 0);
	rig_gpus(rig, 1, 2, 0);
}

/* The turn of a lender is used by the other claim, and is the lender's again when that ends. */
static void test_lend(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), call = call_of(rig, b, LEASE_CHAT, held);
	struct gpu_view gpu;

	lend(rig, a, held, call);
	assert_int_equal(rig_sent(rig, SEND_LENT, held)->send.other, call);
	assert_int_equal(rig_state(rig, call), CLAIM_OFFERED);
	assert_true(rig_row(rig, call)->fence > rig_row(rig, held)->fence);
	rig_accept(rig, b, call);
	core_gpu(rig->core, 0, &gpu);
	assert_int_equal(gpu.slots_used, 1);
	lend(rig, a, held, call);
	assert_int_equal(rig_error(rig), ERR_STATE);
	rig_release(rig, b, call, false);
	assert_int_equal(rig_sent(rig, SEND_LENT, held)->send.other, 0);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	core_gpu(rig->core, 0, &gpu);
	assert_int_equal(gpu.slots_used, 1);
}

/* Only a waiting claim can be lent to, only by the holder, and only what the lender has. */
static void test_lend_refused(void **state)
{
	struct rig *rig = *state;
	uint64_t a, b, held, two;
	struct event event = rig_want(BIND_NATIVE, LEASE_CHAT, NULL);

	rig_gpus(rig, 1, 2, 0);
	rig_configure(rig);
	a = rig_session(rig, BIND_NATIVE, "a");
	b = rig_session(rig, BIND_NATIVE, "b");
	held = rig_hold(rig, a, LEASE_CHAT);
	event.acquire.need.slots = 2;
	event.acquire.parent = event.acquire.host = held;
	two = rig_ask(rig, b, event);
	lend(rig, a, held, two);
	assert_int_equal(rig_error(rig), ERR_NO_ROOM);
	lend(rig, b, held, two);
	assert_int_equal(rig_error(rig), ERR_STALE);
	lend(rig, a, held, 999);
	assert_int_equal(rig_error(rig), ERR_NOT_FOUND);
	lend(rig, a, held, held);
	assert_int_equal(rig_error(rig), ERR_STATE);
	/* Past the queue goes only what the lender waits for. */
	rig_hold(rig, b, LEASE_CHAT);
	lend(rig, a, held, rig_wait(rig, b, LEASE_CHAT));
	assert_int_equal(rig_error(rig), ERR_STATE);
}

/* An offer within a lent room that is not taken up leaves the loan; the lender goes on. */
static void test_lent_offer_missed(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), call = call_of(rig, b, LEASE_CHAT, held);

	lend(rig, a, held, call);
	rig_pass(rig, rig->config.ack_ms);
	assert_int_equal(rig_state(rig, call), CLAIM_QUEUED);
	assert_int_equal(rig_row(rig, call)->lender, 0);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
}

/* Who borrows is asked together with the lender, and is revoked with it. */
static void test_revoked_with_lender(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t v = rig_session(rig, BIND_TAB, "v"), held = rig_hold(rig, a, LEASE_BACKGROUND);
	uint64_t call = call_of(rig, b, LEASE_BACKGROUND, held), voice;

	lend(rig, a, held, call);
	rig_accept(rig, b, call);
	voice = rig_wait(rig, v, LEASE_VOICE);
	assert_non_null(rig_sent(rig, SEND_YIELD, held));
	assert_non_null(rig_sent(rig, SEND_YIELD, call));
	rig_pass(rig, rig->config.grace_ms);
	assert_true(rig_row(rig, held)->revoked);
	assert_true(rig_row(rig, call)->revoked);
	/* The lender confirms first: the room is not free before the borrower is out. */
	rig_release(rig, a, held, false);
	assert_int_equal(rig_state(rig, voice), CLAIM_QUEUED);
	rig_release(rig, b, call, false);
	assert_int_equal(rig_state(rig, voice), CLAIM_OFFERED);
}

/* A lender cannot stop before its borrower, so both have one grace: the lender's, for by that
 * others were told when it is gone. And who may keep its room keeps it for both. */
static void test_one_grace(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_TAB, LEASE_BACKGROUND, NULL);
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t v = rig_session(rig, BIND_TAB, "v"), held, call, voice;

	want.acquire.uninterruptible_ms = 7000;
	held = rig_take(rig, a, want);
	want.acquire.uninterruptible_ms = 20000;
	want.acquire.parent = want.acquire.host = held;
	call = rig_ask(rig, b, want);
	lend(rig, a, held, call);
	rig_accept(rig, b, call);
	voice = rig_wait(rig, v, LEASE_VOICE);
	assert_int_equal(rig_sent(rig, SEND_YIELD, held)->send.grace_ms, 7000);
	assert_int_equal(rig_sent(rig, SEND_YIELD, call)->send.grace_ms, 7000);
	rig_release(rig, v, voice, false);
	rig_pass(rig, 7000);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	assert_int_equal(rig_state(rig, call), CLAIM_HELD);
	assert_int_equal(rig_row(rig, call)->uninterruptible_ms, 7000);
	rig_wait(rig, v, LEASE_VOICE);
	rig_pass(rig, 6999);
	assert_false(rig_row(rig, held)->revoked);
	assert_false(rig_row(rig, call)->revoked);
	rig_pass(rig, 1);
	assert_true(rig_row(rig, held)->revoked);
	assert_true(rig_row(rig, call)->revoked);
}

/* A lender that leaves hands its room to the borrower, which goes on in its own right. */
static void test_borrower_inherits(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t c = rig_session(rig, BIND_NATIVE, "c"), held = rig_hold(rig, a, LEASE_CHAT);
	uint64_t call = call_of(rig, b, LEASE_CHAT, held), next = rig_wait(rig, c, LEASE_CHAT);

	lend(rig, a, held, call);
	rig_accept(rig, b, call);
	rig_release(rig, a, held, false);
	assert_int_equal(rig_state(rig, call), CLAIM_HELD);
	assert_int_equal(rig_row(rig, call)->lender, 0);
	assert_int_equal(rig_state(rig, next), CLAIM_QUEUED);
	rig_release(rig, b, call, false);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
}

/* .. also if its offer was still open then: the lender's turn goes on, it does not begin anew. */
static void test_heir_of_an_open_offer(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), call = call_of(rig, b, LEASE_CHAT, held);
	struct mono_ms began = rig_row(rig, held)->turn_since;

	rig_pass(rig, 5000);
	lend(rig, a, held, call);
	rig_release(rig, a, held, false);
	rig_pass(rig, 1000);
	rig_accept(rig, b, call);
	assert_int_equal(rig_state(rig, call), CLAIM_HELD);
	assert_int_equal(rig_row(rig, call)->turn_since.v, began.v);
}

/* .. and whose offer is missed then has its own place, not the lender's. */
static void test_heir_misses_its_offer(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t c = rig_session(rig, BIND_NATIVE, "c"), held = rig_hold(rig, a, LEASE_CHAT);
	uint64_t other, call;

	rig_pass(rig, 1000);
	other = rig_wait(rig, c, LEASE_CHAT);
	rig_pass(rig, 1000);
	call = call_of(rig, b, LEASE_CHAT, held);
	lend(rig, a, held, call);
	rig_release(rig, a, held, false);
	rig_pass(rig, rig->config.ack_ms);
	assert_int_equal(rig_state(rig, call), CLAIM_QUEUED);
	assert_int_equal(rig_state(rig, other), CLAIM_OFFERED);
}

/* Loans may nest; when the middle one leaves, the last runs in the first one's room. */
static void test_nested_loans(void **state)
{
	struct rig *rig = *state;
	uint64_t conn[3], lease[3];
	struct gpu_view gpu;

	for (int i = 0; i < 3; i++)
		conn[i] = rig_session(rig, BIND_NATIVE, "x");
	lease[0] = rig_hold(rig, conn[0], LEASE_CHAT);
	for (int i = 0; i < 2; i++) {
		lease[i + 1] = call_of(rig, conn[i + 1], LEASE_CHAT, lease[i]);
		lend(rig, conn[i], lease[i], lease[i + 1]);
		rig_accept(rig, conn[i + 1], lease[i + 1]);
	}
	rig_release(rig, conn[1], lease[1], false);
	assert_int_equal(rig_row(rig, lease[2])->lender, lease[0]);
	core_gpu(rig->core, 0, &gpu);
	assert_int_equal(gpu.slots_used, 1);
	rig_release(rig, conn[0], lease[0], false);
	assert_int_equal(rig_row(rig, lease[2])->lender, 0);
	assert_int_equal(rig_state(rig, lease[2]), CLAIM_HELD);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
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
