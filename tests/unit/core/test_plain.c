/* Goal: plain requests (HTTP and streams) without a session: bound by their connection while they
 * wait, by a time to live or the stream while they hold (CASES.md P6, P7, P14, P16 to P19, P34,
 * C12, C14, C15, E3, E5). */
#include "fixture.h"

#include <stdio.h>

static uint64_t lock(struct fixture *fixture, const char *name)
{
	return fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, name));
}

static struct token token_of(const struct fixture *fixture, uint64_t claim)
{
	return fixture_row(fixture, claim)->token;
}

static uint64_t conn_of(const struct fixture *fixture, uint64_t claim)
{
	struct claim_view view;

	assert_true(core_claim(fixture->core, claim, fixture->now, &view));
	return view.conn;
}

static void renew(struct fixture *fixture, const struct token *token, int64_t ttl_ms)
{
	struct event event = {.type = EVENT_RENEW, .from = {PARTY_EXCHANGE, fixture->conn_next++}};

	event.renew.token = token;
	event.renew.ttl_ms = ttl_ms;
	fixture_step(fixture, event);
}

/* One answer holds all: token, fence, GPU, time; and one row is written for it. */
static void test_granted_at_once(void **state)
{
	struct fixture *fixture = *state;
	uint64_t held = lock(fixture, "page");
	const struct effect *granted = fixture_sent(fixture, SEND_GRANTED, held);
	uint32_t rows = 0;

	assert_int_equal(granted->send.fence, 1);
	assert_int_equal(granted->send.gpus, 1);
	assert_int_equal(granted->send.expires_ms, fixture->config.http_ttl_ms);
	for (size_t i = 0; i < fixture->fx.count; i++)
		rows += fixture->fx.v[i].type == EFFECT_APPEND &&
			fixture->fx.v[i].record.type == RECORD_CLAIM_PUT;
	assert_int_equal(rows, 1);
}

/* P6, C12: only the token unlocks: not the name, not an old token, not one that is a bit off. */
static void test_only_the_token(void **state)
{
	struct fixture *fixture = *state;
	uint64_t first = lock(fixture, "victim");
	struct token old = token_of(fixture, first), wrong;
	uint64_t second;

	fixture_unlock(fixture, &old);
	assert_int_equal(fixture_end(fixture, first), END_RELEASED);
	second = lock(fixture, "victim");
	fixture_unlock(fixture, &old);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	wrong = token_of(fixture, second);
	wrong.b[0] ^= 1;
	fixture_unlock(fixture, &wrong);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	assert_int_equal(fixture_state(fixture, second), CLAIM_HELD);
}

/* A page that is left gives back by the token of its lease what its session cannot any more, and
 * not after a revoke. A process's lease is free when it is gone. */
static void test_page_unlocks(void **state)
{
	struct fixture *fixture = *state;
	uint64_t page = fixture_session(fixture, BIND_TAB, "page");
	uint64_t native = fixture_session(fixture, BIND_NATIVE, "native");
	uint64_t held = fixture_hold(fixture, page, LEASE_CHAT),
		 next = fixture_wait(fixture, native, LEASE_CHAT);
	struct token token = token_of(fixture, held);

	fixture_unlock(fixture, &token);
	assert_int_equal(fixture_end(fixture, held), END_RELEASED);
	assert_non_null(fixture_sent(fixture, SEND_RELEASED, held));
	fixture_accept(fixture, native, next);
	token = token_of(fixture, next);
	fixture_unlock(fixture, &token);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	fixture_release(fixture, native, next, false);
	held = fixture_hold(fixture, page, LEASE_CHAT);
	token = token_of(fixture, held);
	fixture_admin(fixture, ADMIN_REVOKE, held);
	fixture_unlock(fixture, &token);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
}

/* P7: two pages of one name are two claims; a second unlock frees nobody. */
static void test_same_name_twice(void **state)
{
	struct fixture *fixture = *state;
	uint64_t first = lock(fixture, "page"), second = lock(fixture, "page"),
		 third = lock(fixture, "x");
	struct token token = token_of(fixture, first);

	assert_int_not_equal(first, second);
	fixture_unlock(fixture, &token);
	assert_int_equal(fixture_state(fixture, second), CLAIM_HELD);
	fixture_unlock(fixture, &token);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	assert_int_equal(fixture_state(fixture, second), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, third), CLAIM_QUEUED);
}

/* P34: an unlock of nothing changes nothing: no row, no trace. */
static void test_unlock_of_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct event event = {.type = EVENT_RELEASE, .from = {PARTY_EXCHANGE, 50}};

	event.release.id = "nobody";
	fixture_step(fixture, event);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	assert_int_equal(fixture->fx.count, 1);
}

/* The predecessor's pages unlock by id: allowed where exactly one plain lease has it. */
static void test_unlock_by_id(void **state)
{
	struct fixture *fixture = *state;
	struct event event = {.type = EVENT_RELEASE, .from = {PARTY_EXCHANGE, 50}};
	uint64_t one, two;

	fixture_gpus(fixture, 1, 2, 0);
	fixture_configure(fixture);
	one = lock(fixture, "page");
	two = lock(fixture, "page");
	event.release.id = "page";
	fixture_step(fixture, event);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	fixture_unlock(fixture, (struct token[]){token_of(fixture, one)});
	fixture_step(fixture, event);
	assert_int_equal(fixture_end(fixture, two), END_RELEASED);
}

/* P14, C32: a waiter that hangs up leaves the queue in the same step. */
static void test_waiter_hangs_up(void **state)
{
	struct fixture *fixture = *state;
	uint64_t first = lock(fixture, "a"), ghost = lock(fixture, "b"), third = lock(fixture, "c");

	fixture_close(fixture, conn_of(fixture, ghost));
	assert_int_equal(fixture_end(fixture, ghost), END_DISCONNECTED);
	fixture_unlock(fixture, (struct token[]){token_of(fixture, first)});
	assert_int_equal(fixture_state(fixture, third), CLAIM_HELD);
}

/* The connection of a holder means nothing once its answer was delivered; if it was not, the grant
 * is taken back at once (P15). */
static void test_holder_hangs_up(void **state)
{
	struct fixture *fixture = *state;
	uint64_t held = lock(fixture, "a"), next = lock(fixture, "b");
	struct event event = {.type = EVENT_CONN_CLOSED,
			      .from = {PARTY_EXCHANGE, conn_of(fixture, held)}};

	fixture_step(fixture, event);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_unlock(fixture, (struct token[]){token_of(fixture, held)});
	event.from = party_of(PARTY_EXCHANGE, conn_of(fixture, next));
	event.closed.undelivered = true;
	fixture_step(fixture, event);
	assert_int_equal(fixture_end(fixture, next), END_DISCONNECTED);
}

/* P18: each waits as long as it asked, to the millisecond. */
static void test_timeouts(void **state)
{
	struct fixture *fixture = *state;
	struct event brief = fixture_want(BIND_HTTP, LEASE_CHAT, "brief");
	struct event patient = fixture_want(BIND_HTTP, LEASE_CHAT, "patient");
	uint64_t a, b;

	fixture->config.classes[LEASE_CHAT].hold_ms_max = 1000000;
	fixture->config.http_ttl_ms = 1000000;
	fixture_configure(fixture);
	lock(fixture, "holder");
	brief.acquire.timeout_ms = 5000;
	patient.acquire.timeout_ms = 300000;
	a = fixture_ask(fixture, 0, brief);
	b = fixture_ask(fixture, 0, patient);
	fixture_pass(fixture, 4999);
	assert_int_equal(fixture_state(fixture, a), CLAIM_QUEUED);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_end(fixture, a), END_TIMEOUT);
	assert_non_null(fixture_sent(fixture, SEND_TIMEOUT, a));
	fixture_pass(fixture, 294999);
	assert_int_equal(fixture_state(fixture, b), CLAIM_QUEUED);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_end(fixture, b), END_TIMEOUT);
}

/* P16, E5: release and deadline in the same millisecond, in both orders: granted or timed out,
 * never both, and the GPU is never lost. */
static void test_timeout_against_grant(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "w");

	for (int tick_first = 0; tick_first < 2; tick_first++) {
		uint64_t held = lock(fixture, "holder"), waits, next;
		want.acquire.timeout_ms = 1000;
		waits = fixture_ask(fixture, 0, want);
		next = lock(fixture, "next");
		fixture->now = mono_after(fixture->now, 1000);
		if (tick_first)
			fixture_step(fixture, (struct event){.type = EVENT_TICK});
		fixture_unlock(fixture, (struct token[]){token_of(fixture, held)});
		if (!tick_first)
			fixture_step(fixture, (struct event){.type = EVENT_TICK});
		if (tick_first) {
			assert_int_equal(fixture_end(fixture, waits), END_TIMEOUT);
			assert_int_equal(fixture_state(fixture, next), CLAIM_HELD);
		} else {
			assert_int_equal(fixture_state(fixture, waits), CLAIM_HELD);
			assert_int_equal(fixture_state(fixture, next), CLAIM_QUEUED);
			assert_null(fixture_sent(fixture, SEND_TIMEOUT, 0));
			fixture_unlock(fixture, (struct token[]){token_of(fixture, waits)});
		}
		fixture_unlock(fixture, (struct token[]){token_of(fixture, next)});
	}
}

/* C14: the same request again is the same claim: the newer exchange gets the answer. */
static void test_same_request(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "page");
	uint64_t holder = lock(fixture, "holder"), claim, old_conn;
	const struct effect *granted;

	want.acquire.request_id = "r-1";
	claim = fixture_ask(fixture, 0, want);
	old_conn = conn_of(fixture, claim);
	want.from = (struct party){PARTY_EXCHANGE, fixture->conn_next++};
	fixture_step(fixture, want);
	assert_int_equal(fixture_sent(fixture, SEND_DENIED, claim)->to.id, old_conn);
	assert_int_equal(conn_of(fixture, claim), want.from.id);
	assert_int_equal(core_waiting_count(fixture->core), 1);
	fixture_close(fixture, old_conn);
	fixture_unlock(fixture, (struct token[]){token_of(fixture, holder)});
	granted = fixture_sent(fixture, SEND_GRANTED, claim);
	assert_int_equal(granted->to.id, want.from.id);
	/* The answer was lost: asked again, the same token and fence. */
	want.from = (struct party){PARTY_EXCHANGE, fixture->conn_next++};
	fixture_step(fixture, want);
	granted = fixture_sent(fixture, SEND_GRANTED, claim);
	assert_int_equal(granted->to.id, want.from.id);
	assert_int_equal(granted->send.fence, fixture_row(fixture, claim)->fence);
	assert_memory_equal(&granted->send.token, &fixture_row(fixture, claim)->token,
			    sizeof(struct token));
}

/* An answer that was lost ends the lease that nobody heard of, but not one that was told before. */
static void test_lost_answer_of_repeat(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "page");
	struct event lost = {.type = EVENT_CONN_CLOSED, .closed.undelivered = true};
	uint64_t unheard = lock(fixture, "other"), held;

	lost.from = party_of(PARTY_EXCHANGE, conn_of(fixture, unheard));
	fixture_step(fixture, lost);
	assert_int_equal(fixture_end(fixture, unheard), END_DISCONNECTED);
	want.acquire.request_id = "r-1";
	held = fixture_ask(fixture, 0, want);
	want.from = lost.from = (struct party){PARTY_EXCHANGE, fixture->conn_next++};
	fixture_step(fixture, want);
	assert_int_equal(fixture_sent(fixture, SEND_GRANTED, held)->to.id, lost.from.id);
	fixture_step(fixture, lost);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_pass(fixture, fixture->config.http_ttl_ms + fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, held), END_EXPIRED);
}

/* A held stream asked for again moves to the new connection; the old one is told that it holds
 * nothing any more, and its end changes nothing. */
static void test_stream_moves(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_STREAM, LEASE_CHAT, "page");
	uint64_t held, old_conn;

	want.acquire.request_id = "r-1";
	held = fixture_ask(fixture, 0, want);
	old_conn = conn_of(fixture, held);
	want.from = (struct party){PARTY_EXCHANGE, fixture->conn_next++};
	fixture_step(fixture, want);
	assert_int_equal(fixture_sent(fixture, SEND_DENIED, held)->to.id, old_conn);
	assert_int_equal(fixture_sent(fixture, SEND_GRANTED, held)->to.id, want.from.id);
	fixture_close(fixture, old_conn);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_close(fixture, want.from.id);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
}

/* P19: a waiter that was lost, or timed out, and asks again soon goes on at its old place. */
static void test_place_is_remembered(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "page");
	uint64_t lost, other, again;

	lock(fixture, "holder");
	want.acquire.request_id = "r-1";
	lost = fixture_ask(fixture, 0, want);
	fixture_pass(fixture, 10);
	other = lock(fixture, "other");
	fixture_close(fixture, conn_of(fixture, lost));
	fixture_pass(fixture, fixture->config.place_memory_ms - 1);
	want.acquire.ref = 0;
	again = fixture_ask(fixture, 0, want);
	assert_int_not_equal(again, lost);
	assert_int_equal(core_position(fixture->core, again), 0);
	fixture_close(fixture, conn_of(fixture, again));
	fixture_pass(fixture, fixture->config.place_memory_ms);
	again = fixture_ask(fixture, 0, want);
	assert_int_equal(core_position(fixture->core, other), 0);
	assert_int_equal(core_position(fixture->core, again), 1);
}

/* One that loads has its place again, and who comes meanwhile is told of its longer turn. One that
 * would load now, and did not, has told nobody: it queues anew. */
static void test_loading_place(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "page");
	uint64_t lost, early, late, again;

	lock(fixture, "holder");
	want.acquire.request_id = "r-1";
	lost = fixture_ask(fixture, 0, want);
	fixture_close(fixture, conn_of(fixture, lost));
	fixture_pass(fixture, 10);
	early = lock(fixture, "early");
	want.acquire.loads = true;
	want.acquire.ref = 0;
	again = fixture_ask(fixture, 0, want);
	assert_int_equal(core_position(fixture->core, early), 0);
	assert_int_equal(core_position(fixture->core, again), 1);
	fixture_close(fixture, conn_of(fixture, again));
	fixture_pass(fixture, 10);
	late = lock(fixture, "late");
	assert_true(core_bound_ms(fixture->core, late, fixture->now) >
		    core_bound_ms(fixture->core, early, fixture->now) +
			    fixture->config.load_ms_max);
	want.acquire.ref = 0;
	again = fixture_ask(fixture, 0, want);
	assert_int_equal(core_position(fixture->core, again), 1);
	assert_int_equal(core_position(fixture->core, late), 2);
}

/* So does one of a page that was away for longer than its connection's places are kept; what it has
 * behind it then stays behind it, and one that said bye is forgotten. */
static void test_page_is_remembered(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_TAB, LEASE_CHAT, "page");
	uint64_t page = fixture_session(fixture, BIND_TAB, "page"), lost, other, again;
	struct mono_ms tag;

	lock(fixture, "holder");
	fixture_wait(fixture, page, LEASE_CHAT);
	fixture_pass(fixture, 10);
	want.acquire.request_id = "r-1";
	lost = fixture_ask(fixture, page, want);
	tag = fixture_row(fixture, lost)->tag;
	other = lock(fixture, "other");
	fixture_close(fixture, page);
	fixture_pass(fixture, fixture->config.tab_linger_ms);
	assert_int_equal(fixture_end(fixture, lost), END_DISCONNECTED);
	page = fixture_session(fixture, BIND_TAB, "page");
	again = fixture_ask(fixture, page, want);
	assert_int_not_equal(again, lost);
	assert_int_equal(fixture_row(fixture, again)->tag.v, tag.v);
	assert_true(core_position(fixture->core, again) < 2);
	fixture_step(fixture, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, page}});
	page = fixture_session(fixture, BIND_TAB, "page");
	again = fixture_ask(fixture, page, want);
	assert_true(core_position(fixture->core, other) < core_position(fixture->core, again));
}

/* The lease of a silent page ends by its time to live and a lock-delay; renewing moves that. */
static void test_time_to_live(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "page");
	uint64_t held;
	struct token token;

	want.acquire.ttl_ms = 10000;
	held = fixture_ask(fixture, 0, want);
	token = token_of(fixture, held);
	fixture_pass(fixture, 9000);
	renew(fixture, &token, 0);
	assert_int_equal(fixture_sent(fixture, SEND_RENEWED, held)->send.expires_ms, 10000);
	fixture_pass(fixture, 9999);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_true(fixture_row(fixture, held)->revoked);
	renew(fixture, &token, 0);
	assert_int_equal(fixture_error(fixture), ERR_REVOKED);
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, held), END_EXPIRED);
	renew(fixture, &token, 0); /* E3 */
	assert_int_equal(fixture_error(fixture), ERR_STALE);
}

/* A page that renews inside its grace learns that it was asked, and how long it has: it has no
 * other ear. */
static void test_renew_while_asked(void **state)
{
	struct fixture *fixture = *state;
	uint64_t held = lock(fixture, "page"), b = fixture_session(fixture, BIND_NATIVE, "b");
	struct token token = token_of(fixture, held);
	const struct effect *renewed;

	fixture_wait(fixture, b, LEASE_CHAT);
	fixture_admin(fixture, ADMIN_YIELD, held);
	fixture_pass(fixture, 500);
	renew(fixture, &token, 300000);
	renewed = fixture_sent(fixture, SEND_RENEWED, held);
	assert_true(renewed->send.flag);
	assert_int_equal(renewed->send.reason, YIELD_OPERATOR);
	assert_int_equal(renewed->send.expires_ms, fixture->config.grace_ms - 500);
	fixture_pass(fixture, fixture->config.grace_ms - 500);
	assert_true(fixture_row(fixture, held)->revoked);
}

/* A time to live beyond the limit is cut to it. */
static void test_time_to_live_limit(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "page");
	struct token token;
	uint64_t held;

	want.acquire.ttl_ms = INT64_MAX;
	held = fixture_ask(fixture, 0, want);
	assert_int_equal(fixture_sent(fixture, SEND_GRANTED, held)->send.expires_ms,
			 fixture->config.http_ttl_ms_max);
	token = token_of(fixture, held);
	renew(fixture, &token, INT64_MAX);
	assert_int_equal(fixture_sent(fixture, SEND_RENEWED, held)->send.expires_ms,
			 fixture->config.http_ttl_ms_max);
}

/* Hold the connection, hold the GPU: a stream's lease ends with it; a browser's after a delay. */
static void test_stream(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_STREAM, LEASE_CHAT, "curl");
	uint64_t first = fixture_ask(fixture, 0, want), second;

	want.acquire.browser = true;
	second = fixture_ask(fixture, 0, want);
	assert_non_null(fixture_sent(fixture, SEND_QUEUED, second));
	fixture_close(fixture, conn_of(fixture, first));
	assert_int_equal(fixture_end(fixture, first), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, second), CLAIM_HELD);
	fixture_close(fixture, conn_of(fixture, second));
	assert_int_equal(fixture_state(fixture, second), CLAIM_YIELDING);
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, second), END_DISCONNECTED);
}

/* A stream is asked to yield over its own connection, and may say how long it needs by its token.
 */
static void test_stream_yields(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_STREAM, LEASE_BACKGROUND, "curl");
	uint64_t held, voice;
	struct token token;
	struct event event = {.type = EVENT_YIELDING, .from = {PARTY_EXCHANGE, 800}};

	want.acquire.uninterruptible_ms = 8000;
	held = fixture_ask(fixture, 0, want);
	token = token_of(fixture, held);
	voice = fixture_ask(fixture, 0, fixture_want(BIND_STREAM, LEASE_VOICE, "mic"));
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, held)->to.id, conn_of(fixture, held));
	event.renew.token = &token;
	event.renew.ttl_ms = 8000;
	fixture_step(fixture, event);
	assert_int_equal(fixture_sent(fixture, SEND_RENEWED, held)->send.expires_ms, 8000);
	fixture_pass(fixture, 7999);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_QUEUED);
	fixture_pass(fixture, 1); /* no browser behind it: cut is proof enough */
	assert_int_equal(fixture_end(fixture, held), END_REVOKED);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_HELD);
}

/* A claim that will not wait gets "busy" and leaves no trace: no row, no number, nobody
 * preempted. */
static void test_no_wait(void **state)
{
	struct fixture *fixture = *state;
	uint64_t held =
		fixture_ask(fixture, 0, fixture_want(BIND_STREAM, LEASE_BACKGROUND, "holder"));
	struct event want = fixture_want(BIND_HTTP, LEASE_VOICE, "impatient");

	want.acquire.no_wait = true;
	assert_int_equal(fixture_ask(fixture, 0, want), 0);
	assert_int_equal(fixture_error(fixture), ERR_BUSY);
	assert_int_equal(fixture->fx.count, 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_unlock(fixture, (struct token[]){token_of(fixture, held)});
	assert_int_not_equal(fixture_ask(fixture, 0, want), 0);
}

/* A wait of no length is none: at once or not at all, and for that nobody is disturbed. */
static void test_no_timeout(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_VOICE, "page");
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"), held;

	want.acquire.timeout_ms = 0;
	held = fixture_ask(fixture, 0, want);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_release(fixture, 0, held, false);
	fixture_unlock(fixture, &(struct token){0});
	fixture_admin(fixture, ADMIN_RESET, 0);
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	held = fixture_hold(fixture, a, LEASE_BACKGROUND);
	want.from = (struct party){PARTY_EXCHANGE, fixture->conn_next++};
	want.acquire.ref = 7;
	fixture_step(fixture, want);
	assert_int_equal(fixture_sent(fixture, SEND_TIMEOUT, 0)->send.ref, 7);
	assert_int_equal(fixture_state(fixture, held),
			 CLAIM_HELD); /* nobody was asked to give way */
	assert_int_equal(core_waiting_count(fixture->core), 0);
}

/* C15: one name may queue so many and no more; others are not touched by the refusals. */
static void test_cap_per_name(void **state)
{
	struct fixture *fixture = *state;
	uint64_t other;

	lock(fixture, "holder");
	other = lock(fixture, "other");
	for (uint32_t i = 0; i < fixture->config.queue_per_session_max; i++)
		assert_int_not_equal(lock(fixture, "flood"), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(lock(fixture, "flood"), 0);
		assert_int_equal(fixture_error(fixture), ERR_QUOTA);
		assert_int_equal(fixture->fx.count, 1);
	}
	assert_int_equal(core_position(fixture->core, other), 0);
	assert_int_equal(core_waiting_count(fixture->core),
			 fixture->config.queue_per_session_max + 1);
}

/* The queue as a whole has its cap too. */
static void test_cap_in_all(void **state)
{
	struct fixture *fixture = *state;
	char name[16];

	fixture->config.queue_count_max = 20;
	fixture_configure(fixture);
	for (int i = 0; i <= 20; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		fixture->principal = name;
		assert_int_not_equal(lock(fixture, name), 0);
	}
	fixture->principal = NULL;
	assert_int_equal(lock(fixture, "one more"), 0);
	assert_int_equal(fixture_error(fixture), ERR_QUEUE_FULL);
}

/* What is wrong in itself is refused before anything else is looked at. */
static void test_bad_fields(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "x");

	want.acquire.need.slots = 0;
	assert_int_equal(fixture_ask(fixture, 0, want), 0);
	assert_int_equal(fixture_error(fixture), ERR_BAD_FIELD);
	want = fixture_want(BIND_HTTP, (enum lease_class)77, "x");
	assert_int_equal(fixture_ask(fixture, 0, want), 0);
	assert_int_equal(fixture_error(fixture), ERR_BAD_FIELD);
	want = fixture_want(BIND_HTTP, LEASE_CHAT, NULL);
	assert_int_equal(fixture_ask(fixture, 0, want), 0);
	assert_int_equal(fixture_error(fixture), ERR_BAD_FIELD);
	want = fixture_want(BIND_HTTP, LEASE_CHAT, "x");
	want.acquire.need.vram_bytes = UINT64_MAX;
	assert_int_equal(fixture_ask(fixture, 0, want), 0);
	assert_int_equal(fixture_error(fixture), ERR_BAD_FIELD);
	want = fixture_want(BIND_HTTP, LEASE_CHAT, "x");
	want.acquire.need.gpu_mask = 1u << 5;
	assert_int_equal(fixture_ask(fixture, 0, want), 0);
	assert_int_equal(fixture_error(fixture), ERR_NO_GPU);
	want.acquire.need = (struct need){.slots = 2, .gpu_count = 1};
	assert_int_equal(fixture_ask(fixture, 0, want), 0);
	assert_int_equal(fixture_error(fixture), ERR_NEVER_FITS);
	want.acquire.need = (struct need){.slots = 1, .gpu_count = 2};
	assert_int_equal(fixture_ask(fixture, 0, want), 0);
	assert_int_equal(fixture_error(fixture), ERR_NEVER_FITS);
	assert_int_equal(fixture_ask(fixture, 0, fixture_want(BIND_TAB, LEASE_CHAT, NULL)), 0);
	assert_int_equal(fixture_error(fixture), ERR_STATE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_granted_at_once),
		TEST(test_only_the_token),
		TEST(test_page_unlocks),
		TEST(test_same_name_twice),
		TEST(test_unlock_of_nothing),
		TEST(test_unlock_by_id),
		TEST(test_waiter_hangs_up),
		TEST(test_holder_hangs_up),
		TEST(test_timeouts),
		TEST(test_timeout_against_grant),
		TEST(test_loading_place),
		TEST(test_same_request),
		TEST(test_lost_answer_of_repeat),
		TEST(test_stream_moves),
		TEST(test_place_is_remembered),
		TEST(test_page_is_remembered),
		TEST(test_time_to_live),
		TEST(test_renew_while_asked),
		TEST(test_no_timeout),
		TEST(test_time_to_live_limit),
		TEST(test_stream),
		TEST(test_stream_yields),
		TEST(test_no_wait),
		TEST(test_cap_per_name),
		TEST(test_cap_in_all),
		TEST(test_bad_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
