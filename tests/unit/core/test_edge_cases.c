/* Goal: every request that cannot be done is answered with the right error and changes nothing; the
 * corners of rules whose middle is tested elsewhere. */
#include "fixture.h"

static void send_need(struct fixture *fixture, uint64_t conn, uint64_t lease, struct need need)
{
	struct event event = {.type = EVENT_CHANGE, .from = {PARTY_SESSION, conn}};

	event.change.lease = lease;
	event.change.need = need;
	fixture_step(fixture, event);
}

static void lend(struct fixture *fixture, uint64_t conn, uint64_t lease, uint64_t to)
{
	struct event event = {.type = EVENT_LEND, .from = {PARTY_SESSION, conn}};

	event.lend.lease = lease;
	event.lend.to = to;
	fixture_step(fixture, event);
}

/* Words of a session that was never opened are refused, each of them. */
static void test_no_session(void **state)
{
	struct fixture *fixture = *state;
	static const enum event_type words[] = {EVENT_ALIVE,  EVENT_BYE,   EVENT_ACCEPT,
						EVENT_CANCEL, EVENT_RENEW, EVENT_YIELDING,
						EVENT_CHANGE, EVENT_LEND,  EVENT_RELEASE};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		fixture_step(fixture,
			     (struct event){.type = words[i], .from = {PARTY_SESSION, 40}});
		assert_int_not_equal(fixture_error(fixture), 0);
		assert_int_equal(fixture->fx.count, 1);
	}
}

/* A session needs a name, a known kind, and a connection of its own. */
static void test_bad_hello(void **state)
{
	struct fixture *fixture = *state;
	uint64_t taken = fixture_session(fixture, BIND_TAB, "a");
	struct event event = {.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, 41}};

	event.session.binding = BIND_TAB;
	fixture_step(fixture, event);
	assert_int_equal(fixture_error(fixture), ERR_BAD_FIELD);
	event.session.name = "b";
	event.session.binding = BIND_HTTP;
	fixture_step(fixture, event);
	assert_int_equal(fixture_error(fixture), ERR_STATE);
	event.session.binding = BIND_TAB;
	event.from = (struct party){PARTY_SESSION, taken};
	fixture_step(fixture, event);
	assert_int_equal(fixture_error(fixture), ERR_STATE);
}

/* A secret that is over opens a new session where the peer may have one anyway. */
static void test_resume_or_new(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"), id = fixture_session_id(fixture, a);
	struct token secret = fixture->sessions[0].secret;
	struct event event = {.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, 42}};

	fixture_step(fixture, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, a}});
	event.session.binding = BIND_TAB;
	event.session.name = "a";
	event.session.resume = &secret;
	event.session.or_new = true;
	fixture_step(fixture, event);
	assert_false(fixture_sent(fixture, SEND_WELCOME, 0)->send.flag);
	assert_true(fixture_sent(fixture, SEND_WELCOME, 0)->send.lease > id);
}

/* Between the revoke and the end a lease can do nothing but confirm. */
static void test_revoked_lease(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 waits = fixture_wait(fixture, b, LEASE_CHAT);

	fixture_admin(fixture, ADMIN_REVOKE, held);
	assert_string_equal(fixture_sent(fixture, SEND_REVOKED, held)->send.detail, "test");
	fixture_accept(fixture, a, held);
	assert_int_equal(fixture_error(fixture), ERR_REVOKED);
	send_need(fixture, a, held, (struct need){.slots = 1});
	assert_int_equal(fixture_error(fixture), ERR_REVOKED);
	lend(fixture, a, held, waits);
	assert_int_equal(fixture_error(fixture), ERR_REVOKED);
	fixture_admin(fixture, ADMIN_YIELD, held);
	assert_int_equal(fixture_error(fixture), ERR_STATE);
	fixture_admin(fixture, ADMIN_RESET, 0);
	assert_int_equal(fixture_sent(fixture, SEND_OK, 0)->send.lease, 0);
	fixture_release(fixture, a, held, false);
	assert_int_equal(fixture_end(fixture, held), END_REVOKED);
}

/* A revoked plain lease that is unlocked learns that it was too late, and the capacity is free. */
static void test_late_unlock(void **state)
{
	struct fixture *fixture = *state;
	uint64_t held = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "a"));
	uint64_t next = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "b"));
	struct token token = fixture_row(fixture, held)->token;

	fixture_admin(fixture, ADMIN_REVOKE, held);
	fixture_unlock(fixture, &token);
	assert_int_equal(fixture_error(fixture), ERR_REVOKED);
	assert_int_equal(fixture_end(fixture, held), END_REVOKED);
	assert_int_equal(fixture_state(fixture, next), CLAIM_HELD);
}

/* Cancel ends waiters and open offers, never holders. */
static void test_cancel_by_operator(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t first = fixture_ask(fixture, a, fixture_want(BIND_TAB, LEASE_CHAT, NULL));
	uint64_t waits = fixture_wait(fixture, b, LEASE_CHAT);

	fixture_admin(fixture, ADMIN_CANCEL, first);
	assert_int_equal(fixture_end(fixture, first), END_FORCE_RELEASED);
	fixture_accept(fixture, a, first);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	fixture_accept(fixture, b, waits);
	fixture_admin(fixture, ADMIN_CANCEL, waits);
	assert_int_equal(fixture_error(fixture), ERR_STATE);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_HELD);
	uint64_t last = fixture_wait(fixture, a, LEASE_CHAT);
	fixture_admin(fixture, ADMIN_CANCEL, last);
	assert_int_equal(fixture_end(fixture, last), END_FORCE_RELEASED);
	assert_string_equal(fixture_sent(fixture, SEND_RELEASED, last)->send.detail, "test");
	fixture_admin(fixture, ADMIN_CANCEL, last);
	assert_int_equal(fixture_error(fixture), ERR_NOT_FOUND);
}

/* An operator can end a claim that waits, or one that is offered. */
static void test_revoke_before_hold(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t offered = fixture_ask(fixture, a, fixture_want(BIND_TAB, LEASE_CHAT, NULL));
	uint64_t waits = fixture_wait(fixture, b, LEASE_CHAT);

	fixture_admin(fixture, ADMIN_YIELD, waits);
	assert_int_equal(fixture_error(fixture), ERR_STATE);
	fixture_admin(fixture, ADMIN_REVOKE, waits);
	assert_int_equal(fixture_end(fixture, waits), END_FORCE_RELEASED);
	assert_string_equal(fixture_sent(fixture, SEND_RELEASED, waits)->send.detail, "test");
	fixture_admin(fixture, ADMIN_REVOKE, offered);
	assert_int_equal(fixture_end(fixture, offered), END_REVOKED);
	fixture_accept(fixture, a, offered);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
}

/* A holder that requeues unasked has had its turn: it goes behind the waiters. */
static void test_requeue_unasked(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT), waits;

	fixture_pass(fixture, 1000);
	waits = fixture_wait(fixture, b, LEASE_CHAT);
	fixture_pass(fixture, 1);
	fixture_release(fixture, a, held, true);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, held), CLAIM_QUEUED);
	assert_int_equal(fixture_row(fixture, held)->used_ms, 0);
}

/* One that would not wait, and is preempted later, waits like any other for its next turn: those in
 * its way are asked for it. */
static void test_no_wait_comes_back(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_TAB, LEASE_BACKGROUND, NULL);
	uint64_t a, v, held, voice;

	fixture->config.session_ttl_ms = 1000000;
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_TAB, "a");
	v = fixture_session(fixture, BIND_TAB, "v");
	want.acquire.no_wait = true;
	held = fixture_ask(fixture, a, want);
	fixture_accept(fixture, a, held);
	voice = fixture_wait(fixture, v, LEASE_VOICE);
	fixture_release(fixture, a, held, true);
	fixture_accept(fixture, v, voice);
	fixture_pass(fixture, fixture->config.classes[LEASE_VOICE].hold_ms_max);
	assert_int_equal(fixture_state(fixture, held), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_YIELDING);
	fixture_release(fixture, v, voice, false);
	assert_int_equal(fixture_state(fixture, held), CLAIM_OFFERED);
}

/* A reload that leaves a waiter no GPU large enough: it keeps its place and stands in nobody's way,
 * asks nobody to leave, and is served when the next reload makes room for it. */
static void test_beyond_after_reload(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_TAB, LEASE_VOICE, NULL);
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t big, small;

	fixture_gpus(fixture, 1, 2, 0);
	fixture_configure(fixture);
	want.acquire.need.slots = 2;
	want.acquire.timeout_ms = -1;
	small = fixture_hold(fixture, b, LEASE_NORMAL);
	big = fixture_ask(fixture, a, want);
	assert_int_equal(fixture_state(fixture, big), CLAIM_QUEUED);
	fixture->config.gpus[0].slots = 1;
	fixture_configure(fixture);
	assert_int_equal(fixture_why(fixture, big), WHY_OVERSIZED);
	assert_int_equal(core_bound_ms(fixture->core, big, fixture->now), -1);
	fixture_release(fixture, b, small, false);
	small = fixture_hold(fixture, b, LEASE_NORMAL);
	fixture_pass(fixture, fixture->config.min_run_ms);
	assert_int_equal(fixture_state(fixture, small), CLAIM_HELD);
	assert_int_equal(core_position(fixture->core, big), 0);
	fixture->config.gpus[0].slots = 2;
	fixture_configure(fixture);
	assert_int_equal(fixture_why(fixture, big), WHY_YIELDING);
	fixture_release(fixture, b, small, false);
	assert_int_equal(fixture_state(fixture, big), CLAIM_OFFERED);
}

/* A holder that comes back after a reload waits for what it may use now. */
static void test_comes_back_after_reload(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_TAB, LEASE_NORMAL, NULL);
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held, other;

	fixture_gpus(fixture, 2, 2, 0);
	fixture_configure(fixture);
	want.acquire.need.slots = 2;
	held = fixture_ask(fixture, a, want);
	fixture_accept(fixture, a, held);
	other = fixture_ask(fixture, b, want);
	fixture_accept(fixture, b, other);
	fixture->config.gpus[0].slots = 1;
	fixture_configure(fixture);
	fixture_release(fixture, a, held, true);
	assert_int_equal(fixture_state(fixture, held), CLAIM_QUEUED);
	other = fixture_ask(fixture, b, fixture_want(BIND_TAB, LEASE_NORMAL, NULL));
	assert_int_equal(fixture_state(fixture, other), CLAIM_OFFERED); /* GPU 0 is not kept */
}

/* The same request over another kind of connection, or for a revoked lease, is refused. */
static void test_same_request_refused(void **state)
{
	struct fixture *fixture = *state;
	struct event http = fixture_want(BIND_HTTP, LEASE_CHAT, "page");
	struct event stream = fixture_want(BIND_STREAM, LEASE_CHAT, "page");
	uint64_t held;

	http.acquire.request_id = stream.acquire.request_id = "r-1";
	held = fixture_ask(fixture, 0, http);
	assert_int_equal(fixture_ask(fixture, 0, stream), 0);
	assert_int_equal(fixture_error(fixture), ERR_STATE);
	fixture_admin(fixture, ADMIN_REVOKE, held);
	assert_int_equal(fixture_ask(fixture, 0, http), 0);
	assert_int_equal(fixture_error(fixture), ERR_REVOKED);
}

/* In a session the same request is the same claim too, whatever became of it meanwhile. */
static void test_same_request_in_session(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	struct event want = fixture_want(BIND_TAB, LEASE_CHAT, NULL);
	uint64_t claim;

	want.acquire.request_id = "r-1";
	claim = fixture_ask(fixture, a, want);
	want.from = (struct party){PARTY_SESSION, a};
	fixture_step(fixture, want);
	assert_non_null(fixture_sent(fixture, SEND_OFFERED, claim));
	fixture_accept(fixture, a, claim);
	fixture_step(fixture, want);
	assert_non_null(fixture_sent(fixture, SEND_GRANTED, claim));
	/* Another session's request of that name is another claim. */
	assert_int_not_equal(fixture_ask(fixture, b, want), claim);
}

/* What may be lent, and when. */
static void test_lend_needs(void **state)
{
	struct fixture *fixture = *state;
	struct event model = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t a, b, held, waits, big;

	fixture_gpus(fixture, 1, 1, 8 * GIB);
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	held = fixture_hold(fixture, a, LEASE_CHAT);
	waits = fixture_wait(fixture, b, LEASE_CHAT);
	model.acquire.need = (struct need){.slots = 1, .vram_bytes = 6 * GIB, .gpu_count = 1};
	model.acquire.parent = model.acquire.host = held;
	big = fixture_ask(fixture, b, model);
	fixture_admin(fixture, ADMIN_PAUSE, 0);
	lend(fixture, a, held, waits);
	assert_int_equal(fixture_error(fixture), ERR_PAUSED);
	fixture_admin(fixture, ADMIN_RESUME, 0);
	fixture_step(fixture, (struct event){.type = EVENT_JOURNAL, .journal.ok = false});
	lend(fixture, a, held, waits);
	assert_int_equal(fixture_error(fixture), ERR_JOURNAL);
	fixture_step(fixture, (struct event){.type = EVENT_JOURNAL, .journal.ok = true});
	fixture_sample(fixture, 0, 5 * GIB, 0, 0); /* a stranger has the memory */
	lend(fixture, a, held, big);
	assert_int_equal(fixture_error(fixture), ERR_NO_ROOM);
	fixture_sample(fixture, 0, 0, 0, 0);
	lend(fixture, a, held, big);
	assert_int_equal(fixture_state(fixture, big), CLAIM_OFFERED);
	send_need(fixture, a, held, (struct need){.vram_bytes = GIB});
	assert_int_equal(fixture_error(fixture), ERR_STATE);
}

/* A plain waiter that does not come back after a restart loses its place, and is remembered. */
static void test_lost_plain_waiter(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "w");
	uint64_t waits, other, again;

	fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "holder"));
	want.acquire.request_id = "r-1";
	waits = fixture_ask(fixture, 0, want);
	fixture_pass(fixture, 10);
	fixture_restart(fixture, true);
	other = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "other"));
	fixture_pass(fixture, fixture->config.restart_linger_ms);
	assert_int_equal(fixture_end(fixture, waits), END_DISCONNECTED);
	want.acquire.ref = 0;
	again = fixture_ask(fixture, 0, want);
	assert_int_equal(core_position(fixture->core, again), 0);
	assert_int_equal(core_position(fixture->core, other), 1);
}

/* A restart with a smaller GPU ends the waiters that it could never serve, and says so. */
static void test_restart_with_smaller_gpu(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t a, big;

	fixture_gpus(fixture, 1, 1, 8 * GIB);
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	fixture_hold(fixture, a, LEASE_CHAT);
	want.acquire.need.vram_bytes = 6 * GIB;
	big = fixture_ask(fixture, a, want);
	fixture_gpus(fixture, 1, 1, 4 * GIB);
	fixture_restart(fixture, true);
	assert_int_equal(fixture_end(fixture, big), END_DENIED);
}

/* While a plain lease is asked to yield, its time to live still ends it. */
static void test_time_to_live_while_yielding(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_BACKGROUND, "w");
	uint64_t held, voice;

	want.acquire.ttl_ms = 5000;
	want.acquire.uninterruptible_ms = 20000;
	held = fixture_ask(fixture, 0, want);
	voice = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_VOICE, "v"));
	fixture_pass(fixture, 5000);
	assert_int_equal(fixture_sent(fixture, SEND_REVOKED, held) != NULL,
			 0); /* nobody listens there */
	assert_true(fixture_row(fixture, held)->revoked);
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, held), END_EXPIRED);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_HELD);
}

/* A sick GPU, an unknown act, a sample of no GPU: answered or ignored, never fatal. */
static void test_odd_events(void **state)
{
	struct fixture *fixture = *state;
	struct event sample = {.type = EVENT_GPU_SAMPLE};

	fixture_admin(fixture, (enum admin_act)99, 0);
	assert_int_equal(fixture_error(fixture), ERR_BAD_REQUEST);
	sample.sample.gpu = 7;
	fixture_step(fixture, sample);
	fixture_close(fixture, 4711);
	fixture_step(fixture, (struct event){.type = EVENT_PEER_EXIT, .peer.session = 4711});
	assert_int_equal(fixture->fx.count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_no_session),
		TEST(test_bad_hello),
		TEST(test_resume_or_new),
		TEST(test_revoked_lease),
		TEST(test_late_unlock),
		TEST(test_cancel_by_operator),
		TEST(test_revoke_before_hold),
		TEST(test_requeue_unasked),
		TEST(test_no_wait_comes_back),
		TEST(test_beyond_after_reload),
		TEST(test_comes_back_after_reload),
		TEST(test_same_request_refused),
		TEST(test_same_request_in_session),
		TEST(test_lend_needs),
		TEST(test_lost_plain_waiter),
		TEST(test_restart_with_smaller_gpu),
		TEST(test_time_to_live_while_yielding),
		TEST(test_odd_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
