/* Goal: what survives the end of the daemon, and what may not. Method: the fixture's journal is
 * given to a new core (CASES.md S10, P10, R5). */
#include "fixture.h"

#include <stdio.h>

/* S10: a holder and 20 waiters: the lease is kept, no place is lost, nothing is granted beside it.
 */
static void test_places_are_kept(void **state)
{
	struct fixture *fixture = *state;
	uint64_t holder = fixture_session(fixture, BIND_TAB, "holder"), claim[20], session[20],
		 conn;
	uint64_t held = fixture_hold(fixture, holder, LEASE_CHAT), holder_session, fence;

	holder_session = fixture_session_id(fixture, holder);
	fence = fixture_row(fixture, held)->fence;
	for (int i = 0; i < 20; i++) {
		conn = fixture_session(fixture, BIND_TAB, "waiter");
		session[i] = fixture_session_id(fixture, conn);
		claim[i] = fixture_wait(fixture, conn, LEASE_CHAT);
	}
	fixture_restart(fixture, true);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	for (int i = 0; i < 20; i++)
		assert_int_equal(core_position(fixture->core, claim[i]), i);
	/* They come back in any order. */
	for (int i = 19; i >= 0; i--)
		fixture_resume(fixture, BIND_TAB, session[i]);
	conn = fixture_resume(fixture, BIND_TAB, holder_session);
	assert_int_equal(fixture_sent(fixture, SEND_CLAIM, held)->send.fence, fence);
	for (int i = 0; i < 20; i++)
		assert_int_equal(core_position(fixture->core, claim[i]), i);
	fixture_release(fixture, conn, held, false);
	assert_int_equal(fixture_state(fixture, claim[0]), CLAIM_OFFERED);
	assert_true(fixture_row(fixture, claim[0])->fence > fence);
}

/* P10: a holder that does not come back is waited for as long as its lease may have been promised.
 */
static void test_no_grant_beside_old_holder(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 waits = fixture_wait(fixture, b, LEASE_CHAT);
	uint64_t session = fixture_session_id(fixture, b), fresh;

	fixture_restart(fixture, true);
	fixture_resume(fixture, BIND_TAB, session);
	fresh = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "new"));
	fixture_pass(fixture, fixture->config.session_ttl_ms - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
	fixture_alive(fixture, fixture->conn_next - 2);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, fresh), CLAIM_QUEUED);
}

/* Waiters have less time to come back than holders. */
static void test_lost_waiters(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t waits = fixture_wait(fixture, a, LEASE_CHAT);

	fixture_restart(fixture, true);
	fixture_pass(fixture, fixture->config.restart_linger_ms);
	assert_int_equal(fixture_end(fixture, waits), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
}

/* A native holder whose process is gone is free at once. */
static void test_native_died_meanwhile(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t session = fixture_session_id(fixture, a);

	fixture_restart(fixture, true);
	fixture_step(fixture, (struct event){.type = EVENT_PEER_EXIT, .peer.session = session});
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
}

/* A plain lease keeps its time to live and its token; a plain waiter is found by its request. */
static void test_plain(void **state)
{
	struct fixture *fixture = *state;
	uint64_t held = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "holder")),
		 waits;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "waiter");
	struct token token = fixture_row(fixture, held)->token;

	want.acquire.request_id = "r-9";
	waits = fixture_ask(fixture, 0, want);
	fixture_restart(fixture, true);
	assert_int_equal(fixture_why(fixture, waits), WHY_DETACHED_SELF);
	assert_int_equal(fixture_ask(fixture, 0, want), waits);
	fixture_unlock(fixture, &token);
	assert_int_equal(fixture_end(fixture, held), END_RELEASED);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_HELD);
}

/* A broker that stops takes what is given back, but grants and lends nothing: the next start does.
 */
static void test_drain(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 lender = fixture_hold(fixture, a, LEASE_CHAT), waits;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "waiter");
	struct event lend = {.type = EVENT_LEND, .from = {PARTY_SESSION, a}, .lend.lease = lender};

	want.acquire.request_id = "r-9";
	waits = fixture_ask(fixture, 0, want);
	fixture_step(fixture, (struct event){.type = EVENT_DRAIN});
	lend.lend.to = waits;
	fixture_step(fixture, lend);
	assert_int_equal(fixture_error(fixture), ERR_DRAINING);
	fixture_release(fixture, a, lender, false);
	assert_int_equal(fixture_end(fixture, lender), END_RELEASED);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
	fixture_restart(fixture, true);
	assert_int_equal(fixture_ask(fixture, 0, want), waits);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_HELD);
}

/* An expiry that fell into the gap is not judged before clients had time to renew. */
static void test_settles_first(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "holder");
	uint64_t held;

	want.acquire.ttl_ms = 10000;
	held = fixture_ask(fixture, 0, want);
	fixture->now = mono_after(fixture->now, 60000);
	fixture_restart(fixture, true);
	fixture_pass(fixture, fixture->config.settle_ms - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_true(fixture_row(fixture, held)->revoked);
}

/* An offer did not outlive the daemon: its claim has its place again. */
static void test_offer_becomes_a_place(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 session = fixture_session_id(fixture, a);
	uint64_t offered = fixture_ask(fixture, a, fixture_want(BIND_TAB, LEASE_CHAT, NULL));

	assert_int_equal(fixture_state(fixture, offered), CLAIM_OFFERED);
	fixture_restart(fixture, true);
	assert_int_equal(fixture_state(fixture, offered), CLAIM_QUEUED);
	fixture_resume(fixture, BIND_TAB, session);
	assert_int_equal(fixture_state(fixture, offered), CLAIM_OFFERED);
}

/* A stream was cut with the daemon: waiting it is gone, holding it is out after the lock-delay. */
static void test_streams_end(void **state)
{
	struct fixture *fixture = *state;
	uint64_t held = fixture_ask(fixture, 0, fixture_want(BIND_STREAM, LEASE_CHAT, "a"));
	uint64_t waits = fixture_ask(fixture, 0, fixture_want(BIND_STREAM, LEASE_CHAT, "b"));

	fixture_restart(fixture, true);
	assert_int_equal(fixture_end(fixture, waits), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
}

/* What was being revoked goes on being revoked; what was asked keeps the grace it was promised. */
static void test_revocation_goes_on(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_TAB, LEASE_BACKGROUND, NULL);
	uint64_t a, b, v, asked, revoked;

	fixture_gpus(fixture, 1, 2, 0);
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_TAB, "a");
	b = fixture_session(fixture, BIND_TAB, "b");
	v = fixture_session(fixture, BIND_TAB, "v");
	want.acquire.uninterruptible_ms = 9000;
	asked = fixture_ask(fixture, a, want);
	fixture_accept(fixture, a, asked);
	revoked = fixture_hold(fixture, b, LEASE_CHAT);
	fixture_admin(fixture, ADMIN_REVOKE, revoked);
	fixture_admin(fixture, ADMIN_YIELD, asked);
	fixture_restart(fixture, true);
	fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_VOICE, "v"));
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, revoked), END_REVOKED);
	fixture_pass(fixture, 9000 - fixture->config.lock_delay_ms - 1);
	assert_false(fixture_row(fixture, asked)->revoked);
	(void)v;
}

/* A loan is still a loan afterwards. */
static void test_loan(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT), call;
	struct event event = {.type = EVENT_LEND, .from = {PARTY_SESSION, a}};
	struct event want = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);
	struct gpu_view gpu;

	want.acquire.parent = want.acquire.host = held;
	call = fixture_ask(fixture, b, want);
	event.lend.lease = held;
	event.lend.to = call;
	fixture_step(fixture, event);
	fixture_accept(fixture, b, call);
	fixture_restart(fixture, true);
	assert_int_equal(fixture_state(fixture, call), CLAIM_HELD);
	assert_int_equal(fixture_row(fixture, call)->lender, held);
	core_gpu(fixture->core, 0, &gpu);
	assert_int_equal(gpu.slots_used, 1);
}

/* Another boot: all local programs are gone, and their sessions, places and leases with them; the
 * fences go on. */
static void test_other_boot(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t waits = fixture_wait(fixture, a, LEASE_CHAT),
		 fence = fixture_row(fixture, held)->fence, fresh;
	uint64_t plain = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "p"));

	fixture->now = (struct mono_ms){5};
	fixture_restart(fixture, false);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
	assert_int_equal(fixture_end(fixture, waits), END_DISCONNECTED);
	assert_int_equal(fixture_end(fixture, plain), END_DISCONNECTED);
	assert_int_equal(fixture->session_count, 0);
	fresh = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "new"));
	assert_int_equal(fixture_state(fixture, fresh), CLAIM_HELD);
	assert_true(fixture_row(fixture, fresh)->fence > fence);
	assert_true(fresh > plain);
}

/* A reload or restart with fewer turns than are held takes no lease, and grants no more. */
static void test_fewer_slots(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, first, second, third;

	fixture_gpus(fixture, 2, 2, 0);
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	for (int i = 0; i < 2; i++) {
		first = fixture_hold(fixture, a, LEASE_CHAT);
		second = fixture_hold(fixture, b, LEASE_CHAT);
	}
	fixture_gpus(fixture, 1, 1, 0);
	fixture_configure(fixture);
	third = fixture_wait(fixture, a, LEASE_CHAT);
	fixture_restart(fixture, true);
	assert_int_equal(fixture_state(fixture, first), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, second), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, third), CLAIM_QUEUED);
}

/* Who comes back after a restart waits for as long as it asked for, and stands where it would stand
 * without one: behind the others after its whole turn. */
static void test_requeue_after_restart(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t session_a = fixture_session_id(fixture, a),
		 session_b = fixture_session_id(fixture, b), held;
	struct event want = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);
	struct mono_ms arrival;

	want.acquire.timeout_ms = 90000;
	held = fixture_ask(fixture, a, want);
	fixture_accept(fixture, a, held);
	fixture_wait(fixture, b, LEASE_CHAT);
	for (int64_t ms = 0; ms < fixture->config.classes[LEASE_CHAT].hold_ms_max; ms += 10000) {
		fixture_pass(fixture, 10000);
		fixture_alive(fixture, a);
		fixture_alive(fixture, b);
	}
	assert_int_equal(fixture_row(fixture, held)->yield_reason, YIELD_HOLD_MAX);
	arrival = fixture_row(fixture, held)->arrival;
	fixture_restart(fixture, true);
	a = fixture_resume(fixture, BIND_NATIVE, session_a);
	fixture_resume(fixture, BIND_NATIVE, session_b);
	fixture_release(fixture, a, held, true);
	assert_int_equal(fixture_state(fixture, held), CLAIM_QUEUED);
	assert_true(mono_before(arrival, fixture_row(fixture, held)->arrival));
	assert_int_equal(mono_since(fixture_row(fixture, held)->wait_deadline, fixture->now),
			 90000);
}

/* A turn is as old after a restart as before it. */
static void test_turn_is_kept(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 session_b = fixture_session_id(fixture, b);
	struct event change = {.type = EVENT_CHANGE, .from = {PARTY_SESSION, a}};

	change.change.lease = held;
	change.change.need = (struct need){.vram_bytes = GIB};
	fixture_step(fixture, change);
	fixture_pass(fixture, fixture->config.classes[LEASE_CHAT].hold_ms_max);
	fixture_alive(fixture, a);
	change.change.need = (struct need){.slots = 1, .vram_bytes = GIB};
	fixture_step(fixture, change);
	fixture_restart(fixture, true);
	b = fixture_resume(fixture, BIND_NATIVE, session_b);
	fixture_wait(fixture, b, LEASE_CHAT);
	fixture_pass(fixture, 1000);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
}

/* The journal was lost: whoever held may go on, so nothing is granted for a while, and everybody
 * who asks is told why and for how long. */
static void test_in_doubt(void **state)
{
	struct fixture *fixture = *state;
	struct event hasty = fixture_want(BIND_HTTP, LEASE_CHAT, "hasty");
	uint64_t a, waits, plain;
	int64_t left;
	struct why why;

	fixture->in_doubt_ms = 20000;
	fixture->claim_count = fixture->session_count = 0;
	fixture_restart(fixture, true);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	waits = fixture_wait(fixture, a, LEASE_CHAT);
	plain = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "plain"));
	hasty.acquire.no_wait = true;
	assert_int_equal(fixture_ask(fixture, 0, hasty), 0);
	assert_int_equal(fixture_error(fixture), ERR_IN_DOUBT);
	fixture_pass(fixture, 19999);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
	core_why(fixture->core, waits, fixture->now, &why);
	assert_int_equal(why.code, WHY_IN_DOUBT);
	assert_int_equal(why.left_ms, 1);
	assert_int_equal(core_grants(fixture->core, fixture->now, &left), GRANTS_IN_DOUBT);
	assert_int_equal(left, 1);
	assert_int_equal(core_bound_ms(fixture->core, waits, fixture->now), -1);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, plain), CLAIM_QUEUED);
	assert_int_equal(core_grants(fixture->core, fixture->now, &left), GRANTS_ALLOWED);
}

/* An operator who resumes grants vouches that no holder still runs. */
static void test_operator_ends_doubt(void **state)
{
	struct fixture *fixture = *state;
	uint64_t waits;

	fixture->in_doubt_ms = 20000;
	fixture->claim_count = fixture->session_count = 0;
	fixture_restart(fixture, true);
	waits = fixture_wait(fixture, fixture_session(fixture, BIND_NATIVE, "a"), LEASE_CHAT);
	fixture_admin(fixture, ADMIN_RESUME, 0);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
}

/* Nothing that must be written is taken on while nothing can be; who is known keeps what he has. */
static void test_unwritable(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t session = fixture_session_id(fixture, a);
	struct event open = {.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, 900}};
	struct event change = {.type = EVENT_CHANGE};

	fixture_step(fixture, (struct event){.type = EVENT_JOURNAL, .journal.unwritable = true});
	open.session.binding = BIND_NATIVE;
	open.session.name = "new";
	fixture_step(fixture, open);
	assert_int_equal(fixture_error(fixture), ERR_JOURNAL);
	a = fixture_resume(fixture, BIND_TAB, session);
	assert_int_equal(fixture_sent(fixture, SEND_CLAIM, held)->send.state, CLAIM_HELD);
	change.from = (struct party){PARTY_SESSION, a};
	change.change.lease = held;
	change.change.need = fixture_row(fixture, held)->need;
	fixture_step(fixture, change);
	assert_int_equal(fixture_error(fixture), ERR_JOURNAL);
	fixture_admin(fixture, ADMIN_PAUSE, 0);
	assert_int_equal(fixture_error(fixture), ERR_JOURNAL);
	fixture_release(fixture, a, held, false);
	assert_int_equal(fixture_end(fixture, held), END_RELEASED);
	fixture_step(fixture, (struct event){.type = EVENT_JOURNAL, .journal.ok = true});
	fixture_session(fixture, BIND_NATIVE, "new");
}

/* All live rows are appended again. */
static void test_rewrite(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t waits = fixture_wait(fixture, a, LEASE_CHAT);

	fixture->claim_count = fixture->session_count = 0;
	fixture_step(fixture, (struct event){.type = EVENT_REWRITE});
	assert_int_equal(fixture->session_count, 1);
	assert_int_equal(fixture->claim_count, 2);
	fixture_restart(fixture, true);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
}

/* A shorter time to live, by a reload or at a restart, is not the one that a holder was told. */
static void test_ttl_does_not_shrink(void **state)
{
	struct fixture *fixture = *state;
	int64_t told_ms = fixture->config.session_ttl_ms;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);

	fixture->config.session_ttl_ms = told_ms / 2;
	fixture_configure(fixture);
	fixture_alive(fixture, a);
	fixture_pass(fixture, told_ms - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_alive(fixture, a);
	fixture_restart(fixture, true);
	fixture_pass(fixture, told_ms - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
}

/* How a lease that is being taken back will end is not forgotten, nor how often it ignored an
 * offer. */
static void test_ends_as_it_was_to(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 offered = fixture_wait(fixture, b, LEASE_CHAT);
	uint64_t session = fixture_session_id(fixture, b);

	fixture_admin(fixture, ADMIN_FORCE_RELEASE_ALL, 0);
	fixture_restart(fixture, true);
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, held), END_FORCE_RELEASED);
	b = fixture_resume(fixture, BIND_TAB, session);
	offered = fixture_ask(fixture, b, fixture_want(BIND_TAB, LEASE_CHAT, "b"));
	assert_int_equal(fixture_state(fixture, offered), CLAIM_OFFERED);
	fixture_pass(fixture, fixture->config.ack_ms);
	fixture_restart(fixture, true);
	fixture_resume(fixture, BIND_TAB, session);
	assert_int_equal(fixture_row(fixture, offered)->acks_missed, 1);
}

/* No holder is protected without limit, due or not. */
static void test_voice_after_restart(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 v = fixture_session(fixture, BIND_TAB, "v");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND),
		 voice = fixture_session_id(fixture, v);
	uint64_t session = fixture_session_id(fixture, a);

	fixture_pass(fixture, 1000);
	fixture_restart(fixture, true);
	fixture_resume(fixture, BIND_TAB, session);
	v = fixture_resume(fixture, BIND_TAB, voice);
	fixture_wait(fixture, v, LEASE_VOICE);
	fixture_pass(fixture, fixture->config.min_run_ms);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
}

/* It was asked for a voice that does not come back; who came back has no right to its turn. */
static void test_asked_for_one_that_is_gone(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b"),
		 v = fixture_session(fixture, BIND_TAB, "v");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 waits = fixture_wait(fixture, b, LEASE_BACKGROUND);
	uint64_t holder = fixture_session_id(fixture, a), other = fixture_session_id(fixture, b);

	fixture_wait(fixture, v, LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	fixture_restart(fixture, true);
	fixture_resume(fixture, BIND_TAB, holder);
	fixture_resume(fixture, BIND_TAB, other);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);

	fixture_pass(fixture, fixture->config.grace_ms);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	assert_non_null(fixture_sent(fixture, SEND_KEEP, held));
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
}

/* It is back, and the holder leaves for it, by the name that it is told. */
static void test_asked_for_one_that_is_back(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 v = fixture_session(fixture, BIND_TAB, "v");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 voice = fixture_wait(fixture, v, LEASE_VOICE);
	uint64_t holder = fixture_session_id(fixture, a), waiter = fixture_session_id(fixture, v);

	fixture_restart(fixture, true);
	fixture_resume(fixture, BIND_TAB, holder);
	fixture_resume(fixture, BIND_TAB, waiter);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, held)->send.other, voice);

	fixture_pass(fixture, fixture->config.grace_ms);
	assert_true(fixture_row(fixture, held)->revoked);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
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
		TEST(test_asked_for_one_that_is_gone),
		TEST(test_asked_for_one_that_is_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
