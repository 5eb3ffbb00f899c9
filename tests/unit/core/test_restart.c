/* Goal: what survives the end of the daemon, and what may not. Method: the rig's journal is given
 * to a new core (CASES.md S10, P10, R5). */
#include "rig.h"

#include <stdio.h>

/* S10: a holder and 20 waiters: the lease is kept, no place is lost, nothing is granted beside it.
 */
static void test_places_are_kept(void **state)
{
	struct rig *rig = *state;
	uint64_t holder = rig_session(rig, BIND_TAB, "holder"), claim[20], session[20], conn;
	uint64_t held = rig_hold(rig, holder, LEASE_CHAT), holder_session, fence;

	holder_session = rig_session_id(rig, holder);
	fence = rig_row(rig, held)->fence;
	for (int i = 0; i < 20; i++) {
		conn = rig_session(rig, BIND_TAB, "waiter");
		session[i] = rig_session_id(rig, conn);
		claim[i] = rig_wait(rig, conn, LEASE_CHAT);
	}
	rig_restart(rig, true);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	for (int i = 0; i < 20; i++)
		assert_int_equal(core_position(rig->core, claim[i]), i);
	/* They come back in any order. */
	for (int i = 19; i >= 0; i--)
		rig_resume(rig, BIND_TAB, session[i]);
	conn = rig_resume(rig, BIND_TAB, holder_session);
	assert_int_equal(rig_sent(rig, SEND_CLAIM, held)->send.fence, fence);
	for (int i = 0; i < 20; i++)
		assert_int_equal(core_position(rig->core, claim[i]), i);
	rig_release(rig, conn, held, false);
	assert_int_equal(rig_state(rig, claim[0]), CLAIM_OFFERED);
	assert_true(rig_row(rig, claim[0])->fence > fence);
}

/* P10: a holder that does not come back is waited for as long as its lease may have been promised.
 */
static void test_no_grant_beside_old_holder(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), waits = rig_wait(rig, b, LEASE_CHAT);
	uint64_t session = rig_session_id(rig, b), fresh;

	rig_restart(rig, true);
	rig_resume(rig, BIND_TAB, session);
	fresh = rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, "new"));
	rig_pass(rig, rig->config.session_ttl_ms - 1);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	assert_int_equal(rig_state(rig, waits), CLAIM_QUEUED);
	rig_alive(rig, rig->conn_next - 2);
	rig_pass(rig, 1);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, waits), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, fresh), CLAIM_QUEUED);
}

/* Waiters have less time to come back than holders. */
static void test_lost_waiters(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), held = rig_hold(rig, a, LEASE_CHAT);
	uint64_t waits = rig_wait(rig, a, LEASE_CHAT);

	rig_restart(rig, true);
	rig_pass(rig, rig->config.restart_linger_ms);
	assert_int_equal(rig_end(rig, waits), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
}

/* A native holder whose process is gone is free at once. */
static void test_native_died_meanwhile(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), held = rig_hold(rig, a, LEASE_CHAT);
	uint64_t session = rig_session_id(rig, a);

	rig_restart(rig, true);
	rig_step(rig, (struct event){.type = EVENT_PEER_EXIT, .peer.session = session});
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
}

/* A plain lease keeps its time to live and its token; a plain waiter is found by its request. */
static void test_plain(void **state)
{
	struct rig *rig = *state;
	uint64_t held = rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, "holder")), waits;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "waiter");
	struct token token = rig_row(rig, held)->token;

	want.acquire.request_id = "r-9";
	waits = rig_ask(rig, 0, want);
	rig_restart(rig, true);
	assert_int_equal(rig_why(rig, waits), WHY_DETACHED_SELF);
	assert_int_equal(rig_ask(rig, 0, want), waits);
	rig_unlock(rig, &token);
	assert_int_equal(rig_end(rig, held), END_RELEASED);
	assert_int_equal(rig_state(rig, waits), CLAIM_HELD);
}

/* A broker that stops takes what is given back, but grants and lends nothing: the next start does.
 */
static void test_drain(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), lender = rig_hold(rig, a, LEASE_CHAT), waits;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "waiter");
	struct event lend = {.type = EVENT_LEND, .from = {PARTY_SESSION, a}, .lend.lease = lender};

	want.acquire.request_id = "r-9";
	waits = rig_ask(rig, 0, want);
	rig_step(rig, (struct event){.type = EVENT_DRAIN});
	lend.lend.to = waits;
	rig_step(rig, lend);
	assert_int_equal(rig_error(rig), ERR_DRAINING);
	rig_release(rig, a, lender, false);
	assert_int_equal(rig_end(rig, lender), END_RELEASED);
	assert_int_equal(rig_state(rig, waits), CLAIM_QUEUED);
	rig_restart(rig, true);
	assert_int_equal(rig_ask(rig, 0, want), waits);
	assert_int_equal(rig_state(rig, waits), CLAIM_HELD);
}

/* An expiry that fell into the gap is not judged before clients had time to renew. */
static void test_settles_first(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "holder");
	uint64_t held;

	want.acquire.ttl_ms = 10000;
	held = rig_ask(rig, 0, want);
	rig->now = mono_after(rig->now, 60000);
	rig_restart(rig, true);
	rig_pass(rig, rig->config.settle_ms - 1);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_pass(rig, 1);
	assert_true(rig_row(rig, held)->revoked);
}

/* An offer did not outlive the daemon: its claim has its place again. */
static void test_offer_becomes_a_place(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), session = rig_session_id(rig, a);
	uint64_t offered = rig_ask(rig, a, rig_want(BIND_TAB, LEASE_CHAT, NULL));

	assert_int_equal(rig_state(rig, offered), CLAIM_OFFERED);
	rig_restart(rig, true);
	assert_int_equal(rig_state(rig, offered), CLAIM_QUEUED);
	rig_resume(rig, BIND_TAB, session);
	assert_int_equal(rig_state(rig, offered), CLAIM_OFFERED);
}

/* A stream was cut with the daemon: waiting it is gone, holding it is out after the lock-delay. */
static void test_streams_end(void **state)
{
	struct rig *rig = *state;
	uint64_t held = rig_ask(rig, 0, rig_want(BIND_STREAM, LEASE_CHAT, "a"));
	uint64_t waits = rig_ask(rig, 0, rig_want(BIND_STREAM, LEASE_CHAT, "b"));

	rig_restart(rig, true);
	assert_int_equal(rig_end(rig, waits), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
}

/* What was being revoked goes on being revoked; what was asked keeps the grace it was promised. */
static void test_revocation_goes_on(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_TAB, LEASE_BACKGROUND, NULL);
	uint64_t a, b, v, asked, revoked;

	rig_gpus(rig, 1, 2, 0);
	rig_configure(rig);
	a = rig_session(rig, BIND_TAB, "a");
	b = rig_session(rig, BIND_TAB, "b");
	v = rig_session(rig, BIND_TAB, "v");
	want.acquire.uninterruptible_ms = 9000;
	asked = rig_ask(rig, a, want);
	rig_accept(rig, a, asked);
	revoked = rig_hold(rig, b, LEASE_CHAT);
	rig_admin(rig, ADMIN_REVOKE, revoked);
	rig_admin(rig, ADMIN_YIELD, asked);
	rig_restart(rig, true);
	rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_VOICE, "v"));
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, revoked), END_REVOKED);
	rig_pass(rig, 9000 - rig->config.lock_delay_ms - 1);
	assert_false(rig_row(rig, asked)->revoked);
	(void)v;
}

/* A loan is still a loan afterwards. */
static void test_loan(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), call;
	struct event event = {.type = EVENT_LEND, .from = {PARTY_SESSION, a}};
	struct event want = rig_want(BIND_NATIVE, LEASE_CHAT, NULL);
	struct gpu_view gpu;

	want.acquire.parent = want.acquire.host = held;
	call = rig_ask(rig, b, want);
	event.lend.lease = held;
	event.lend.to = call;
	rig_step(rig, event);
	rig_accept(rig, b, call);
	rig_restart(rig, true);
	assert_int_equal(rig_state(rig, call), CLAIM_HELD);
	assert_int_equal(rig_row(rig, call)->lender, held);
	core_gpu(rig->core, 0, &gpu);
	assert_int_equal(gpu.slots_used, 1);
}

/* Another boot: all local programs are gone, and their sessions, places and leases with them; the
 * fences go on. */
static void test_other_boot(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), held = rig_hold(rig, a, LEASE_CHAT);
	uint64_t waits = rig_wait(rig, a, LEASE_CHAT), fence = rig_row(rig, held)->fence, fresh;
	uint64_t plain = rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, "p"));

	rig->now = (struct mono_ms){5};
	rig_restart(rig, false);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
	assert_int_equal(rig_end(rig, waits), END_DISCONNECTED);
	assert_int_equal(rig_end(rig, plain), END_DISCONNECTED);
	assert_int_equal(rig->session_count, 0);
	fresh = rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, "new"));
	assert_int_equal(rig_state(rig, fresh), CLAIM_HELD);
	assert_true(rig_row(rig, fresh)->fence > fence);
	assert_true(fresh > plain);
}

/* A reload or restart with fewer turns than are held takes no lease, and grants no more. */
static void test_fewer_slots(void **state)
{
	struct rig *rig = *state;
	uint64_t a, b, first, second, third;

	rig_gpus(rig, 2, 2, 0);
	rig_configure(rig);
	a = rig_session(rig, BIND_NATIVE, "a");
	b = rig_session(rig, BIND_NATIVE, "b");
	for (int i = 0; i < 2; i++) {
		first = rig_hold(rig, a, LEASE_CHAT);
		second = rig_hold(rig, b, LEASE_CHAT);
	}
	rig_gpus(rig, 1, 1, 0);
	rig_configure(rig);
	third = rig_wait(rig, a, LEASE_CHAT);
	rig_restart(rig, true);
	assert_int_equal(rig_state(rig, first), CLAIM_HELD);
	assert_int_equal(rig_state(rig, second), CLAIM_HELD);
	assert_int_equal(rig_state(rig, third), CLAIM_QUEUED);
}

/* Who comes back after a restart waits for as long as it asked for, and stands where it would stand
 * without one: behind the others after its whole turn. */
static void test_requeue_after_restart(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t session_a = rig_session_id(rig, a), session_b = rig_session_id(rig, b), held;
	struct event want = rig_want(BIND_NATIVE, LEASE_CHAT, NULL);
	struct mono_ms arrival;

	want.acquire.timeout_ms = 90000;
	held = rig_ask(rig, a, want);
	rig_accept(rig, a, held);
	rig_wait(rig, b, LEASE_CHAT);
	for (int64_t ms = 0; ms < rig->config.classes[LEASE_CHAT].hold_ms_max; ms += 10000) {
		rig_pass(rig, 10000);
		rig_alive(rig, a);
		rig_alive(rig, b);
	}
	assert_int_equal(rig_row(rig, held)->yield_reason, YIELD_HOLD_MAX);
	arrival = rig_row(rig, held)->arrival;
	rig_restart(rig, true);
	a = rig_resume(rig, BIND_NATIVE, session_a);
	rig_resume(rig, BIND_NATIVE, session_b);
	rig_release(rig, a, held, true);
	assert_int_equal(rig_state(rig, held), CLAIM_QUEUED);
	assert_true(mono_before(arrival, rig_row(rig, held)->arrival));
	assert_int_equal(mono_since(rig_row(rig, held)->wait_deadline, rig->now), 90000);
}

/* A turn is as old after a restart as before it. */
static void test_turn_is_kept(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), session_b = rig_session_id(rig, b);
	struct event change = {.type = EVENT_CHANGE, .from = {PARTY_SESSION, a}};

	change.change.lease = held;
	change.change.need = (struct need){.vram_bytes = GIB};
	rig_step(rig, change);
	rig_pass(rig, rig->config.classes[LEASE_CHAT].hold_ms_max);
	rig_alive(rig, a);
	change.change.need = (struct need){.slots = 1, .vram_bytes = GIB};
	rig_step(rig, change);
	rig_restart(rig, true);
	b = rig_resume(rig, BIND_NATIVE, session_b);
	rig_wait(rig, b, LEASE_CHAT);
	rig_pass(rig, 1000);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
}

/* The journal was lost: whoever held may go on, so nothing is granted for a while, and everybody
 * who asks is told why and for how long. */
static void test_in_doubt(void **state)
{
	struct rig *rig = *state;
	struct event hasty = rig_want(BIND_HTTP, LEASE_CHAT, "hasty");
	uint64_t a, waits, plain;
	int64_t left;
	struct why why;

	rig->in_doubt_ms = 20000;
	rig->claim_count = rig->session_count = 0;
	rig_restart(rig, true);
	a = rig_session(rig, BIND_NATIVE, "a");
	waits = rig_wait(rig, a, LEASE_CHAT);
	plain = rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, "plain"));
	hasty.acquire.no_wait = true;
	assert_int_equal(rig_ask(rig, 0, hasty), 0);
	assert_int_equal(rig_error(rig), ERR_IN_DOUBT);
	rig_pass(rig, 19999);
	assert_int_equal(rig_state(rig, waits), CLAIM_QUEUED);
	core_why(rig->core, waits, rig->now, &why);
	assert_int_equal(why.code, WHY_IN_DOUBT);
	assert_int_equal(why.left_ms, 1);
	assert_int_equal(core_grants(rig->core, rig->now, &left), GRANTS_IN_DOUBT);
	assert_int_equal(left, 1);
	assert_int_equal(core_bound_ms(rig->core, waits, rig->now), -1);
	rig_pass(rig, 1);
	assert_int_equal(rig_state(rig, waits), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, plain), CLAIM_QUEUED);
	assert_int_equal(core_grants(rig->core, rig->now, &left), GRANTS_ALLOWED);
}

/* An operator who resumes grants knows that nobody goes on. */
static void test_operator_ends_doubt(void **state)
{
	struct rig *rig = *state;
	uint64_t waits;

	rig->in_doubt_ms = 20000;
	rig->claim_count = rig->session_count = 0;
	rig_restart(rig, true);
	waits = rig_wait(rig, rig_session(rig, BIND_NATIVE, "a"), LEASE_CHAT);
	rig_admin(rig, ADMIN_RESUME, 0);
	assert_int_equal(rig_state(rig, waits), CLAIM_OFFERED);
}

/* Nothing that must be written is taken on while nothing can be; who is known keeps what he has. */
static void test_unwritable(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), held = rig_hold(rig, a, LEASE_CHAT);
	uint64_t session = rig_session_id(rig, a);
	struct event open = {.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, 900}};
	struct event change = {.type = EVENT_CHANGE};

	rig_step(rig, (struct event){.type = EVENT_JOURNAL, .journal.unwritable = true});
	open.session.binding = BIND_NATIVE;
	open.session.name = "new";
	rig_step(rig, open);
	assert_int_equal(rig_error(rig), ERR_JOURNAL);
	a = rig_resume(rig, BIND_TAB, session);
	assert_int_equal(rig_sent(rig, SEND_CLAIM, held)->send.state, CLAIM_HELD);
	change.from = (struct party){PARTY_SESSION, a};
	change.change.lease = held;
	change.change.need = rig_row(rig, held)->need;
	rig_step(rig, change);
	assert_int_equal(rig_error(rig), ERR_JOURNAL);
	rig_admin(rig, ADMIN_PAUSE, 0);
	assert_int_equal(rig_error(rig), ERR_JOURNAL);
	rig_release(rig, a, held, false);
	assert_int_equal(rig_end(rig, held), END_RELEASED);
	rig_step(rig, (struct event){.type = EVENT_JOURNAL, .journal.ok = true});
	rig_session(rig, BIND_NATIVE, "new");
}

/* All that lives is handed out anew. */
static void test_rewrite(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), held = rig_hold(rig, a, LEASE_CHAT);
	uint64_t waits = rig_wait(rig, a, LEASE_CHAT);

	rig->claim_count = rig->session_count = 0;
	rig_step(rig, (struct event){.type = EVENT_REWRITE});
	assert_int_equal(rig->session_count, 1);
	assert_int_equal(rig->claim_count, 2);
	rig_restart(rig, true);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	assert_int_equal(rig_state(rig, waits), CLAIM_QUEUED);
}

/* A shorter time to live, by a reload or at a restart, is not the one that a holder was told. */
static void test_ttl_does_not_shrink(void **state)
{
	struct rig *rig = *state;
	int64_t told_ms = rig->config.session_ttl_ms;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), held = rig_hold(rig, a, LEASE_CHAT);

	rig->config.session_ttl_ms = told_ms / 2;
	rig_configure(rig);
	rig_alive(rig, a);
	rig_pass(rig, told_ms - 1);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_alive(rig, a);
	rig_restart(rig, true);
	rig_pass(rig, told_ms - 1);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_pass(rig, 1);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
}

/* How a lease that is being taken back will end is not forgotten, nor how often it ignored an
 * offer. */
static void test_ends_as_it_was_to(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), offered = rig_wait(rig, b, LEASE_CHAT);
	uint64_t session = rig_session_id(rig, b);

	rig_admin(rig, ADMIN_FORCE_RELEASE_ALL, 0);
	rig_restart(rig, true);
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, held), END_FORCE_RELEASED);
	b = rig_resume(rig, BIND_TAB, session);
	offered = rig_ask(rig, b, rig_want(BIND_TAB, LEASE_CHAT, "b"));
	assert_int_equal(rig_state(rig, offered), CLAIM_OFFERED);
	rig_pass(rig, rig->config.ack_ms);
	rig_restart(rig, true);
	rig_resume(rig, BIND_TAB, session);
	assert_int_equal(rig_row(rig, offered)->acks_missed, 1);
}

/* Neither a holder that was not due nor one that was is protected for ever. */
static void test_voice_after_restart(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), v = rig_session(rig, BIND_TAB, "v");
	uint64_t held = rig_hold(rig, a, LEASE_BACKGROUND), voice = rig_session_id(rig, v);
	uint64_t session = rig_session_id(rig, a);

	rig_pass(rig, 1000);
	rig_restart(rig, true);
	rig_resume(rig, BIND_TAB, session);
	v = rig_resume(rig, BIND_TAB, voice);
	rig_wait(rig, v, LEASE_VOICE);
	rig_pass(rig, rig->config.min_run_ms);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_places_are_kept),
		TEST(test_no_grant_beside_old_holder),
		TEST(test_lost_waiters),
		TEST(test_native_died_meanwhile),
		TEST(test_plain),
		TEST(test_drain),
		TEST(test_settles_first),
		TEST(test_offer_becomes_a_place),
		TEST(test_streams_end),
		TEST(test_revocation_goes_on),
		TEST(test_loan),
		TEST(test_other_boot),
		TEST(test_fewer_slots),
		TEST(test_requeue_after_restart),
		TEST(test_turn_is_kept),
		TEST(test_in_doubt),
		TEST(test_operator_ends_doubt),
		TEST(test_unwritable),
		TEST(test_rewrite),
		TEST(test_ttl_does_not_shrink),
		TEST(test_ends_as_it_was_to),
		TEST(test_voice_after_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
