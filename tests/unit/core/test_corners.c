/* Goal: every request that cannot be done is answered with the right error and changes nothing; the
 * corners of rules whose middle is tested elsewhere. */
#include "rig.h"

static void send_need(struct rig *rig, uint64_t conn, uint64_t lease, struct need need)
{
	struct event event = {.type = EVENT_CHANGE, .from = {PARTY_SESSION, conn}};

	event.change.lease = lease;
	event.change.need = need;
	rig_step(rig, event);
}

static void lend(struct rig *rig, uint64_t conn, uint64_t lease, uint64_t to)
{
	struct event event = {.type = EVENT_LEND, .from = {PARTY_SESSION, conn}};

	event.lend.lease = lease;
	event.lend.to = to;
	rig_step(rig, event);
}

/* Words of a session that was never opened are refused, each of them. */
static void test_no_session(void **state)
{
	struct rig *rig = *state;
	static const enum event_type words[] = {EVENT_ALIVE,  EVENT_BYE,   EVENT_ACCEPT,
						EVENT_CANCEL, EVENT_RENEW, EVENT_YIELDING,
						EVENT_CHANGE, EVENT_LEND,  EVENT_RELEASE};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		rig_step(rig, (struct event){.type = words[i], .from = {PARTY_SESSION, 40}});
		assert_int_not_equal(rig_error(rig), 0);
		assert_int_equal(rig->fx.count, 1);
	}
}

/* A session needs a name, a known kind, and a connection of its own. */
static void test_bad_hello(void **state)
{
	struct rig *rig = *state;
	uint64_t taken = rig_session(rig, BIND_TAB, "a");
	struct event event = {.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, 41}};

	event.session.binding = BIND_TAB;
	rig_step(rig, event);
	assert_int_equal(rig_error(rig), ERR_BAD_FIELD);
	event.session.name = "b";
	event.session.binding = BIND_HTTP;
	rig_step(rig, event);
	assert_int_equal(rig_error(rig), ERR_STATE);
	event.session.binding = BIND_TAB;
	event.from = (struct party){PARTY_SESSION, taken};
	rig_step(rig, event);
	assert_int_equal(rig_error(rig), ERR_STATE);
}

/* A secret that is over opens a new session where the peer may have one anyway. */
static void test_resume_or_new(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), id = rig_session_id(rig, a);
	struct token secret = rig->sessions[0].secret;
	struct event event = {.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, 42}};

	rig_step(rig, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, a}});
	event.session.binding = BIND_TAB;
	event.session.name = "a";
	event.session.resume = &secret;
	event.session.or_new = true;
	rig_step(rig, event);
	assert_false(rig_sent(rig, SEND_WELCOME, 0)->send.flag);
	assert_true(rig_sent(rig, SEND_WELCOME, 0)->send.lease > id);
}

/* Between the revoke and the end a lease can do nothing but confirm. */
static void test_revoked_lease(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), waits = rig_wait(rig, b, LEASE_CHAT);

	rig_admin(rig, ADMIN_REVOKE, held);
	assert_string_equal(rig_sent(rig, SEND_REVOKED, held)->send.detail, "test");
	rig_accept(rig, a, held);
	assert_int_equal(rig_error(rig), ERR_REVOKED);
	send_need(rig, a, held, (struct need){.slots = 1});
	assert_int_equal(rig_error(rig), ERR_REVOKED);
	lend(rig, a, held, waits);
	assert_int_equal(rig_error(rig), ERR_REVOKED);
	rig_admin(rig, ADMIN_YIELD, held);
	assert_int_equal(rig_error(rig), ERR_STATE);
	rig_admin(rig, ADMIN_RESET, 0);
	assert_int_equal(rig_sent(rig, SEND_OK, 0)->send.lease, 0);
	rig_release(rig, a, held, false);
	assert_int_equal(rig_end(rig, held), END_REVOKED);
}

/* A revoked plain lease that is unlocked is told that it was too late, and the room is free. */
static void test_late_unlock(void **state)
{
	struct rig *rig = *state;
	uint64_t held = rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, "a"));
	uint64_t next = rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, "b"));
	struct token token = rig_row(rig, held)->token;

	rig_admin(rig, ADMIN_REVOKE, held);
	rig_unlock(rig, &token);
	assert_int_equal(rig_error(rig), ERR_REVOKED);
	assert_int_equal(rig_end(rig, held), END_REVOKED);
	assert_int_equal(rig_state(rig, next), CLAIM_HELD);
}

/* Cancel takes who waits, or was only offered, and nobody who holds. */
static void test_cancel_by_operator(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t first = rig_ask(rig, a, rig_want(BIND_TAB, LEASE_CHAT, NULL));
	uint64_t waits = rig_wait(rig, b, LEASE_CHAT);

	rig_admin(rig, ADMIN_CANCEL, first);
	assert_int_equal(rig_end(rig, first), END_FORCE_RELEASED);
	rig_accept(rig, a, first);
	assert_int_equal(rig_error(rig), ERR_STALE);
	rig_accept(rig, b, waits);
	rig_admin(rig, ADMIN_CANCEL, waits);
	assert_int_equal(rig_error(rig), ERR_STATE);
	assert_int_equal(rig_state(rig, waits), CLAIM_HELD);
	uint64_t last = rig_wait(rig, a, LEASE_CHAT);
	rig_admin(rig, ADMIN_CANCEL, last);
	assert_int_equal(rig_end(rig, last), END_FORCE_RELEASED);
	assert_string_equal(rig_sent(rig, SEND_RELEASED, last)->send.detail, "test");
	rig_admin(rig, ADMIN_CANCEL, last);
	assert_int_equal(rig_error(rig), ERR_NOT_FOUND);
}

/* An operator can end a claim that waits, or one that is offered. */
static void test_revoke_before_hold(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t offered = rig_ask(rig, a, rig_want(BIND_TAB, LEASE_CHAT, NULL));
	uint64_t waits = rig_wait(rig, b, LEASE_CHAT);

	rig_admin(rig, ADMIN_YIELD, waits);
	assert_int_equal(rig_error(rig), ERR_STATE);
	rig_admin(rig, ADMIN_REVOKE, waits);
	assert_int_equal(rig_end(rig, waits), END_FORCE_RELEASED);
	assert_string_equal(rig_sent(rig, SEND_RELEASED, waits)->send.detail, "test");
	rig_admin(rig, ADMIN_REVOKE, offered);
	assert_int_equal(rig_end(rig, offered), END_REVOKED);
	rig_accept(rig, a, offered);
	assert_int_equal(rig_error(rig), ERR_STALE);
}

/* A holder that queues again unasked has had its turn: it stands behind those who wait. */
static void test_requeue_unasked(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), waits;

	rig_pass(rig, 1000);
	waits = rig_wait(rig, b, LEASE_CHAT);
	rig_pass(rig, 1);
	rig_release(rig, a, held, true);
	assert_int_equal(rig_state(rig, waits), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, held), CLAIM_QUEUED);
	assert_int_equal(rig_row(rig, held)->used_ms, 0);
}

/* One that would not wait, and is preempted later, waits like any other for its next turn: those in
 * its way are asked for it. */
static void test_no_wait_comes_back(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_TAB, LEASE_BACKGROUND, NULL);
	uint64_t a, v, held, voice;

	rig->config.session_ttl_ms = 1000000;
	rig_configure(rig);
	a = rig_session(rig, BIND_TAB, "a");
	v = rig_session(rig, BIND_TAB, "v");
	want.acquire.no_wait = true;
	held = rig_ask(rig, a, want);
	rig_accept(rig, a, held);
	voice = rig_wait(rig, v, LEASE_VOICE);
	rig_release(rig, a, held, true);
	rig_accept(rig, v, voice);
	rig_pass(rig, rig->config.classes[LEASE_VOICE].hold_ms_max);
	assert_int_equal(rig_state(rig, held), CLAIM_QUEUED);
	assert_int_equal(rig_state(rig, voice), CLAIM_YIELDING);
	rig_release(rig, v, voice, false);
	assert_int_equal(rig_state(rig, held), CLAIM_OFFERED);
}

/* A reload that leaves a waiter no GPU large enough: it keeps its place and stands in nobody's way,
 * asks nobody to leave, and is served when the next reload makes room for it. */
static void test_beyond_after_reload(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_TAB, LEASE_VOICE, NULL);
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t big, small;

	rig_gpus(rig, 1, 2, 0);
	rig_configure(rig);
	want.acquire.need.slots = 2;
	want.acquire.timeout_ms = -1;
	small = rig_hold(rig, b, LEASE_NORMAL);
	big = rig_ask(rig, a, want);
	assert_int_equal(rig_state(rig, big), CLAIM_QUEUED);
	rig->config.gpus[0].slots = 1;
	rig_configure(rig);
	assert_int_equal(rig_why(rig, big), WHY_OVERSIZED);
	assert_int_equal(core_bound_ms(rig->core, big, rig->now), -1);
	rig_release(rig, b, small, false);
	small = rig_hold(rig, b, LEASE_NORMAL);
	rig_pass(rig, rig->config.min_run_ms);
	assert_int_equal(rig_state(rig, small), CLAIM_HELD);
	assert_int_equal(core_position(rig->core, big), 0);
	rig->config.gpus[0].slots = 2;
	rig_configure(rig);
	assert_int_equal(rig_why(rig, big), WHY_YIELDING);
	rig_release(rig, b, small, false);
	assert_int_equal(rig_state(rig, big), CLAIM_OFFERED);
}

/* A holder that comes back after a reload waits for what it may use now. */
static void test_comes_back_after_reload(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_TAB, LEASE_NORMAL, NULL);
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held, other;

	rig_gpus(rig, 2, 2, 0);
	rig_configure(rig);
	want.acquire.need.slots = 2;
	held = rig_ask(rig, a, want);
	rig_accept(rig, a, held);
	other = rig_ask(rig, b, want);
	rig_accept(rig, b, other);
	rig->config.gpus[0].slots = 1;
	rig_configure(rig);
	rig_release(rig, a, held, true);
	assert_int_equal(rig_state(rig, held), CLAIM_QUEUED);
	other = rig_ask(rig, b, rig_want(BIND_TAB, LEASE_NORMAL, NULL));
	assert_int_equal(rig_state(rig, other), CLAIM_OFFERED); /* GPU 0 is not kept */
}

/* The same request over another kind of door, or of a revoked lease, is refused. */
static void test_same_request_refused(void **state)
{
	struct rig *rig = *state;
	struct event http = rig_want(BIND_HTTP, LEASE_CHAT, "page");
	struct event stream = rig_want(BIND_STREAM, LEASE_CHAT, "page");
	uint64_t held;

	http.acquire.request_id = stream.acquire.request_id = "r-1";
	held = rig_ask(rig, 0, http);
	assert_int_equal(rig_ask(rig, 0, stream), 0);
	assert_int_equal(rig_error(rig), ERR_STATE);
	rig_admin(rig, ADMIN_REVOKE, held);
	assert_int_equal(rig_ask(rig, 0, http), 0);
	assert_int_equal(rig_error(rig), ERR_REVOKED);
}

/* In a session the same request is the same claim too, whatever became of it meanwhile. */
static void test_same_request_in_session(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	struct event want = rig_want(BIND_TAB, LEASE_CHAT, NULL);
	uint64_t claim;

	want.acquire.request_id = "r-1";
	claim = rig_ask(rig, a, want);
	want.from = (struct party){PARTY_SESSION, a};
	rig_step(rig, want);
	assert_non_null(rig_sent(rig, SEND_OFFERED, claim));
	rig_accept(rig, a, claim);
	rig_step(rig, want);
	assert_non_null(rig_sent(rig, SEND_GRANTED, claim));
	/* Another session's request of that name is another claim. */
	assert_int_not_equal(rig_ask(rig, b, want), claim);
}

/* What may be lent, and when. */
static void test_lend_needs(void **state)
{
	struct rig *rig = *state;
	struct event model = rig_want(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t a, b, held, waits, big;

	rig_gpus(rig, 1, 1, 8 * GIB);
	rig_configure(rig);
	a = rig_session(rig, BIND_NATIVE, "a");
	b = rig_session(rig, BIND_NATIVE, "b");
	held = rig_hold(rig, a, LEASE_CHAT);
	waits = rig_wait(rig, b, LEASE_CHAT);
	model.acquire.need = (struct need){.slots = 1, .vram_bytes = 6 * GIB, .gpu_count = 1};
	model.acquire.parent = model.acquire.host = held;
	big = rig_ask(rig, b, model);
	rig_admin(rig, ADMIN_PAUSE, 0);
	lend(rig, a, held, waits);
	assert_int_equal(rig_error(rig), ERR_PAUSED);
	rig_admin(rig, ADMIN_RESUME, 0);
	rig_step(rig, (struct event){.type = EVENT_JOURNAL, .journal.ok = false});
	lend(rig, a, held, waits);
	assert_int_equal(rig_error(rig), ERR_JOURNAL);
	rig_step(rig, (struct event){.type = EVENT_JOURNAL, .journal.ok = true});
	rig_sample(rig, 0, 5 * GIB, 0, 0); /* a stranger has the memory */
	lend(rig, a, held, big);
	assert_int_equal(rig_error(rig), ERR_NO_ROOM);
	rig_sample(rig, 0, 0, 0, 0);
	lend(rig, a, held, big);
	assert_int_equal(rig_state(rig, big), CLAIM_OFFERED);
	send_need(rig, a, held, (struct need){.vram_bytes = GIB});
	assert_int_equal(rig_error(rig), ERR_STATE);
}

/* A plain waiter that does not come back after a restart loses its place, and is remembered. */
static void test_lost_plain_waiter(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "w");
	uint64_t waits, other, again;

	rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, "holder"));
	want.acquire.request_id = "r-1";
	waits = rig_ask(rig, 0, want);
	rig_pass(rig, 10);
	rig_restart(rig, true);
	other = rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, "other"));
	rig_pass(rig, rig->config.restart_linger_ms);
	assert_int_equal(rig_end(rig, waits), END_DISCONNECTED);
	want.acquire.ref = 0;
	again = rig_ask(rig, 0, want);
	assert_int_equal(core_position(rig->core, again), 0);
	assert_int_equal(core_position(rig->core, other), 1);
}

/* A restart with a smaller GPU ends the waiters that it could never serve, and says so. */
static void test_restart_with_smaller_gpu(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t a, big;

	rig_gpus(rig, 1, 1, 8 * GIB);
	rig_configure(rig);
	a = rig_session(rig, BIND_NATIVE, "a");
	rig_hold(rig, a, LEASE_CHAT);
	want.acquire.need.vram_bytes = 6 * GIB;
	big = rig_ask(rig, a, want);
	rig_gpus(rig, 1, 1, 4 * GIB);
	rig_restart(rig, true);
	assert_int_equal(rig_end(rig, big), END_DENIED);
}

/* While a plain lease is asked to yield, its time to live still ends it. */
static void test_time_to_live_while_yielding(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_BACKGROUND, "w");
	uint64_t held, voice;

	want.acquire.ttl_ms = 5000;
	want.acquire.uninterruptible_ms = 20000;
	held = rig_ask(rig, 0, want);
	voice = rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_VOICE, "v"));
	rig_pass(rig, 5000);
	assert_int_equal(rig_sent(rig, SEND_REVOKED, held) != NULL, 0); /* nobody listens there */
	assert_true(rig_row(rig, held)->revoked);
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, held), END_EXPIRED);
	assert_int_equal(rig_state(rig, voice), CLAIM_HELD);
}

/* A sick GPU, an unknown act, a sample of no GPU: answered or ignored, never fatal. */
static void test_odd_events(void **state)
{
	struct rig *rig = *state;
	struct event sample = {.type = EVENT_GPU_SAMPLE};

	rig_admin(rig, (enum admin_act)99, 0);
	assert_int_equal(rig_error(rig), ERR_BAD_REQUEST);
	sample.sample.gpu = 7;
	rig_step(rig, sample);
	rig_close(rig, 4711);
	rig_step(rig, (struct event){.type = EVENT_PEER_EXIT, .peer.session = 4711});
	assert_int_equal(rig->fx.count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
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
