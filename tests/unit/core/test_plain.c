/* Goal: plain requests (HTTP and streams) without a session: bound by their connection while they
 * wait, by a time to live or the stream while they hold (CASES.md P6, P7, P14, P16 to P19, P34,
 * C12, C14, C15, E3, E5). */
#include "rig.h"

#include <stdio.h>

static uint64_t lock(struct rig *rig, const char *name)
{
	return rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, name));
}

static struct token token_of(const struct rig *rig, uint64_t claim)
{
	return rig_row(rig, claim)->token;
}

static uint64_t conn_of(const struct rig *rig, uint64_t claim)
{
	struct claim_view view;

	assert_true(core_claim(rig->core, claim, rig->now, &view));
	return view.conn;
}

static void renew(struct rig *rig, const struct token *token, int64_t ttl_ms)
{
	struct event event = {.type = EVENT_RENEW, .from = {PARTY_EXCHANGE, rig->conn_next++}};

	event.renew.token = token;
	event.renew.ttl_ms = ttl_ms;
	rig_step(rig, event);
}

/* One answer holds all: token, fence, GPU, time; and one row is written for it. */
static void test_granted_at_once(void **state)
{
	struct rig *rig = *state;
	uint64_t held = lock(rig, "page");
	const struct effect *granted = rig_sent(rig, SEND_GRANTED, held);
	uint32_t rows = 0;

	assert_int_equal(granted->send.fence, 1);
	assert_int_equal(granted->send.gpus, 1);
	assert_int_equal(granted->send.expires_ms, rig->config.http_ttl_ms);
	for (size_t i = 0; i < rig->fx.count; i++)
		rows += rig->fx.v[i].type == EFFECT_APPEND &&
			rig->fx.v[i].record.type == RECORD_CLAIM_PUT;
	assert_int_equal(rows, 1);
}

/* P6, C12: only the token unlocks: not the name, not an old token, not one that is a bit off. */
static void test_only_the_token(void **state)
{
	struct rig *rig = *state;
	uint64_t first = lock(rig, "victim");
	struct token old = token_of(rig, first), wrong;
	uint64_t second;

	rig_unlock(rig, &old);
	assert_int_equal(rig_end(rig, first), END_RELEASED);
	second = lock(rig, "victim");
	rig_unlock(rig, &old);
	assert_int_equal(rig_error(rig), ERR_STALE);
	wrong = token_of(rig, second);
	wrong.b[0] ^= 1;
	rig_unlock(rig, &wrong);
	assert_int_equal(rig_error(rig), ERR_STALE);
	assert_int_equal(rig_state(rig, second), CLAIM_HELD);
}

/* A page that is left gives back by the token of its lease what its session cannot any more, and
 * not after a revoke. A process's lease is free when it is gone. */
static void test_page_unlocks(void **state)
{
	struct rig *rig = *state;
	uint64_t page = rig_session(rig, BIND_TAB, "page");
	uint64_t native = rig_session(rig, BIND_NATIVE, "native");
	uint64_t held = rig_hold(rig, page, LEASE_CHAT), next = rig_wait(rig, native, LEASE_CHAT);
	struct token token = token_of(rig, held);

	rig_unlock(rig, &token);
	assert_int_equal(rig_end(rig, held), END_RELEASED);
	assert_non_null(rig_sent(rig, SEND_RELEASED, held));
	rig_accept(rig, native, next);
	token = token_of(rig, next);
	rig_unlock(rig, &token);
	assert_int_equal(rig_error(rig), ERR_STALE);
	rig_release(rig, native, next, false);
	held = rig_hold(rig, page, LEASE_CHAT);
	token = token_of(rig, held);
	rig_admin(rig, ADMIN_REVOKE, held);
	rig_unlock(rig, &token);
	assert_int_equal(rig_error(rig), ERR_STALE);
}

/* P7: two pages of one name are two claims; a second unlock frees nobody. */
static void test_same_name_twice(void **state)
{
	struct rig *rig = *state;
	uint64_t first = lock(rig, "page"), second = lock(rig, "page"), third = lock(rig, "x");
	struct token token = token_of(rig, first);

	assert_int_not_equal(first, second);
	rig_unlock(rig, &token);
	assert_int_equal(rig_state(rig, second), CLAIM_HELD);
	rig_unlock(rig, &token);
	assert_int_equal(rig_error(rig), ERR_STALE);
	assert_int_equal(rig_state(rig, second), CLAIM_HELD);
	assert_int_equal(rig_state(rig, third), CLAIM_QUEUED);
}

/* P34: an unlock of nothing changes nothing: no row, no trace. */
static void test_unlock_of_nothing(void **state)
{
	struct rig *rig = *state;
	struct event event = {.type = EVENT_RELEASE, .from = {PARTY_EXCHANGE, 50}};

	event.release.id = "nobody";
	rig_step(rig, event);
	assert_int_equal(rig_error(rig), ERR_STALE);
	assert_int_equal(rig->fx.count, 1);
}

/* The predecessor's pages unlock by id: allowed where exactly one plain lease has it. */
static void test_unlock_by_id(void **state)
{
	struct rig *rig = *state;
	struct event event = {.type = EVENT_RELEASE, .from = {PARTY_EXCHANGE, 50}};
	uint64_t one, two;

	rig_gpus(rig, 1, 2, 0);
	rig_configure(rig);
	one = lock(rig, "page");
	two = lock(rig, "page");
	event.release.id = "page";
	rig_step(rig, event);
	assert_int_equal(rig_error(rig), ERR_STALE);
	rig_unlock(rig, (struct token[]){token_of(rig, one)});
	rig_step(rig, event);
	assert_int_equal(rig_end(rig, two), END_RELEASED);
}

/* P14, C32: a waiter that hangs up leaves the queue in the same step. */
static void test_waiter_hangs_up(void **state)
{
	struct rig *rig = *state;
	uint64_t first = lock(rig, "a"), ghost = lock(rig, "b"), third = lock(rig, "c");

	rig_close(rig, conn_of(rig, ghost));
	assert_int_equal(rig_end(rig, ghost), END_DISCONNECTED);
	rig_unlock(rig, (struct token[]){token_of(rig, first)});
	assert_int_equal(rig_state(rig, third), CLAIM_HELD);
}

/* The connection of a holder means nothing once its answer was delivered; if it was not, the grant
 * is taken back at once (P15). */
static void test_holder_hangs_up(void **state)
{
	struct rig *rig = *state;
	uint64_t held = lock(rig, "a"), next = lock(rig, "b");
	struct event event = {.type = EVENT_CONN_CLOSED,
			      .from = {PARTY_EXCHANGE, conn_of(rig, held)}};

	rig_step(rig, event);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_unlock(rig, (struct token[]){token_of(rig, held)});
	event.from = party_of(PARTY_EXCHANGE, conn_of(rig, next));
	event.closed.undelivered = true;
	rig_step(rig, event);
	assert_int_equal(rig_end(rig, next), END_DISCONNECTED);
}

/* P18: each waits as long as it asked, to the millisecond. */
static void test_timeouts(void **state)
{
	struct rig *rig = *state;
	struct event brief = rig_want(BIND_HTTP, LEASE_CHAT, "brief");
	struct event patient = rig_want(BIND_HTTP, LEASE_CHAT, "patient");
	uint64_t a, b;

	rig->config.classes[LEASE_CHAT].hold_ms_max = 1000000;
	rig->config.http_ttl_ms = 1000000;
	rig_configure(rig);
	lock(rig, "holder");
	brief.acquire.timeout_ms = 5000;
	patient.acquire.timeout_ms = 300000;
	a = rig_ask(rig, 0, brief);
	b = rig_ask(rig, 0, patient);
	rig_pass(rig, 4999);
	assert_int_equal(rig_state(rig, a), CLAIM_QUEUED);
	rig_pass(rig, 1);
	assert_int_equal(rig_end(rig, a), END_TIMEOUT);
	assert_non_null(rig_sent(rig, SEND_TIMEOUT, a));
	rig_pass(rig, 294999);
	assert_int_equal(rig_state(rig, b), CLAIM_QUEUED);
	rig_pass(rig, 1);
	assert_int_equal(rig_end(rig, b), END_TIMEOUT);
}

/* P16, E5: release and deadline in the same millisecond, in both orders: granted or timed out,
 * never both, and the GPU is never lost. */
static void test_timeout_against_grant(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "w");

	for (int tick_first = 0; tick_first < 2; tick_first++) {
		uint64_t held = lock(rig, "holder"), waits, next;
		want.acquire.timeout_ms = 1000;
		waits = rig_ask(rig, 0, want);
		next = lock(rig, "next");
		rig->now = mono_after(rig->now, 1000);
		if (tick_first)
			rig_step(rig, (struct event){.type = EVENT_TICK});
		rig_unlock(rig, (struct token[]){token_of(rig, held)});
		if (!tick_first)
			rig_step(rig, (struct event){.type = EVENT_TICK});
		if (tick_first) {
			assert_int_equal(rig_end(rig, waits), END_TIMEOUT);
			assert_int_equal(rig_state(rig, next), CLAIM_HELD);
		} else {
			assert_int_equal(rig_state(rig, waits), CLAIM_HELD);
			assert_int_equal(rig_state(rig, next), CLAIM_QUEUED);
			assert_null(rig_sent(rig, SEND_TIMEOUT, 0));
			rig_unlock(rig, (struct token[]){token_of(rig, waits)});
		}
		rig_unlock(rig, (struct token[]){token_of(rig, next)});
	}
}

/* C14: the same request again is the same claim: the newer exchange gets the answer. */
static void test_same_request(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "page");
	uint64_t holder = lock(rig, "holder"), claim, old_conn;
	const struct effect *granted;

	want.acquire.request_id = "r-1";
	claim = rig_ask(rig, 0, want);
	old_conn = conn_of(rig, claim);
	want.from = (struct party){PARTY_EXCHANGE, rig->conn_next++};
	rig_step(rig, want);
	assert_int_equal(rig_sent(rig, SEND_DENIED, claim)->to.id, old_conn);
	assert_int_equal(conn_of(rig, claim), want.from.id);
	assert_int_equal(core_waiting_count(rig->core), 1);
	rig_close(rig, old_conn);
	rig_unlock(rig, (struct token[]){token_of(rig, holder)});
	granted = rig_sent(rig, SEND_GRANTED, claim);
	assert_int_equal(granted->to.id, want.from.id);
	/* The answer was lost: asked again, the same token and fence. */
	want.from = (struct party){PARTY_EXCHANGE, rig->conn_next++};
	rig_step(rig, want);
	granted = rig_sent(rig, SEND_GRANTED, claim);
	assert_int_equal(granted->to.id, want.from.id);
	assert_int_equal(granted->send.fence, rig_row(rig, claim)->fence);
	assert_memory_equal(&granted->send.token, &rig_row(rig, claim)->token,
			    sizeof(struct token));
}

/* An answer that was lost ends the lease that nobody heard of, but not one that was told before. */
static void test_lost_answer_of_repeat(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "page");
	struct event lost = {.type = EVENT_CONN_CLOSED, .closed.undelivered = true};
	uint64_t unheard = lock(rig, "other"), held;

	lost.from = party_of(PARTY_EXCHANGE, conn_of(rig, unheard));
	rig_step(rig, lost);
	assert_int_equal(rig_end(rig, unheard), END_DISCONNECTED);
	want.acquire.request_id = "r-1";
	held = rig_ask(rig, 0, want);
	want.from = lost.from = (struct party){PARTY_EXCHANGE, rig->conn_next++};
	rig_step(rig, want);
	assert_int_equal(rig_sent(rig, SEND_GRANTED, held)->to.id, lost.from.id);
	rig_step(rig, lost);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_pass(rig, rig->config.http_ttl_ms + rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, held), END_EXPIRED);
}

/* A held stream asked for again moves to the new connection; the old one is told that it holds
 * nothing any more, and its end changes nothing. */
static void test_stream_moves(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_STREAM, LEASE_CHAT, "page");
	uint64_t held, old_conn;

	want.acquire.request_id = "r-1";
	held = rig_ask(rig, 0, want);
	old_conn = conn_of(rig, held);
	want.from = (struct party){PARTY_EXCHANGE, rig->conn_next++};
	rig_step(rig, want);
	assert_int_equal(rig_sent(rig, SEND_DENIED, held)->to.id, old_conn);
	assert_int_equal(rig_sent(rig, SEND_GRANTED, held)->to.id, want.from.id);
	rig_close(rig, old_conn);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_close(rig, want.from.id);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
}

/* P19: a waiter that was lost, or timed out, and asks again soon goes on at its old place. */
static void test_place_is_remembered(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "page");
	uint64_t lost, other, again;

	lock(rig, "holder");
	want.acquire.request_id = "r-1";
	lost = rig_ask(rig, 0, want);
	rig_pass(rig, 10);
	other = lock(rig, "other");
	rig_close(rig, conn_of(rig, lost));
	rig_pass(rig, rig->config.place_memory_ms - 1);
	want.acquire.ref = 0;
	again = rig_ask(rig, 0, want);
	assert_int_not_equal(again, lost);
	assert_int_equal(core_position(rig->core, again), 0);
	rig_close(rig, conn_of(rig, again));
	rig_pass(rig, rig->config.place_memory_ms);
	again = rig_ask(rig, 0, want);
	assert_int_equal(core_position(rig->core, other), 0);
	assert_int_equal(core_position(rig->core, again), 1);
}

/* One that loads has its place again, and who comes meanwhile is told of its longer turn. One that
 * would load now, and did not, has told nobody: it queues anew. */
static void test_loading_place(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "page");
	uint64_t lost, early, late, again;

	lock(rig, "holder");
	want.acquire.request_id = "r-1";
	lost = rig_ask(rig, 0, want);
	rig_close(rig, conn_of(rig, lost));
	rig_pass(rig, 10);
	early = lock(rig, "early");
	want.acquire.loads = true;
	want.acquire.ref = 0;
	again = rig_ask(rig, 0, want);
	assert_int_equal(core_position(rig->core, early), 0);
	assert_int_equal(core_position(rig->core, again), 1);
	rig_close(rig, conn_of(rig, again));
	rig_pass(rig, 10);
	late = lock(rig, "late");
	assert_true(core_bound_ms(rig->core, late, rig->now) >
		    core_bound_ms(rig->core, early, rig->now) + rig->config.load_ms_max);
	want.acquire.ref = 0;
	again = rig_ask(rig, 0, want);
	assert_int_equal(core_position(rig->core, again), 1);
	assert_int_equal(core_position(rig->core, late), 2);
}

/* So does one of a page that was away for longer than its connection's places are kept; what it has
 * behind it then stays behind it, and one that said bye is forgotten. */
static void test_page_is_remembered(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_TAB, LEASE_CHAT, "page");
	uint64_t page = rig_session(rig, BIND_TAB, "page"), lost, other, again;
	struct mono_ms tag;

	lock(rig, "holder");
	rig_wait(rig, page, LEASE_CHAT);
	rig_pass(rig, 10);
	want.acquire.request_id = "r-1";
	lost = rig_ask(rig, page, want);
	tag = rig_row(rig, lost)->tag;
	other = lock(rig, "other");
	rig_close(rig, page);
	rig_pass(rig, rig->config.tab_linger_ms);
	assert_int_equal(rig_end(rig, lost), END_DISCONNECTED);
	page = rig_session(rig, BIND_TAB, "page");
	again = rig_ask(rig, page, want);
	assert_int_not_equal(again, lost);
	assert_int_equal(rig_row(rig, again)->tag.v, tag.v);
	assert_true(core_position(rig->core, again) < 2);
	rig_step(rig, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, page}});
	page = rig_session(rig, BIND_TAB, "page");
	again = rig_ask(rig, page, want);
	assert_true(core_position(rig->core, other) < core_position(rig->core, again));
}

/* The lease of a silent page ends by its time to live and a lock-delay; renewing moves that. */
static void test_time_to_live(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "page");
	uint64_t held;
	struct token token;

	want.acquire.ttl_ms = 10000;
	held = rig_ask(rig, 0, want);
	token = token_of(rig, held);
	rig_pass(rig, 9000);
	renew(rig, &token, 0);
	assert_int_equal(rig_sent(rig, SEND_RENEWED, held)->send.expires_ms, 10000);
	rig_pass(rig, 9999);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_pass(rig, 1);
	assert_true(rig_row(rig, held)->revoked);
	renew(rig, &token, 0);
	assert_int_equal(rig_error(rig), ERR_REVOKED);
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, held), END_EXPIRED);
	renew(rig, &token, 0); /* E3 */
	assert_int_equal(rig_error(rig), ERR_STALE);
}

/* A page that renews inside its grace learns that it was asked, and how long it has: it has no
 * other ear. */
static void test_renew_while_asked(void **state)
{
	struct rig *rig = *state;
	uint64_t held = lock(rig, "page"), b = rig_session(rig, BIND_NATIVE, "b");
	struct token token = token_of(rig, held);
	const struct effect *renewed;

	rig_wait(rig, b, LEASE_CHAT);
	rig_admin(rig, ADMIN_YIELD, held);
	rig_pass(rig, 500);
	renew(rig, &token, 300000);
	renewed = rig_sent(rig, SEND_RENEWED, held);
	assert_true(renewed->send.flag);
	assert_int_equal(renewed->send.reason, YIELD_OPERATOR);
	assert_int_equal(renewed->send.expires_ms, rig->config.grace_ms - 500);
	rig_pass(rig, rig->config.grace_ms - 500);
	assert_true(rig_row(rig, held)->revoked);
}

/* A time to live beyond the limit is cut to it. */
static void test_time_to_live_limit(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "page");
	struct token token;
	uint64_t held;

	want.acquire.ttl_ms = INT64_MAX;
	held = rig_ask(rig, 0, want);
	assert_int_equal(rig_sent(rig, SEND_GRANTED, held)->send.expires_ms,
			 rig->config.http_ttl_ms_max);
	token = token_of(rig, held);
	renew(rig, &token, INT64_MAX);
	assert_int_equal(rig_sent(rig, SEND_RENEWED, held)->send.expires_ms,
			 rig->config.http_ttl_ms_max);
}

/* Hold the connection, hold the GPU: a stream's lease ends with it; a browser's after a delay. */
static void test_stream(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_STREAM, LEASE_CHAT, "curl");
	uint64_t first = rig_ask(rig, 0, want), second;

	want.acquire.browser = true;
	second = rig_ask(rig, 0, want);
	assert_non_null(rig_sent(rig, SEND_QUEUED, second));
	rig_close(rig, conn_of(rig, first));
	assert_int_equal(rig_end(rig, first), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, second), CLAIM_HELD);
	rig_close(rig, conn_of(rig, second));
	assert_int_equal(rig_state(rig, second), CLAIM_YIELDING);
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, second), END_DISCONNECTED);
}

/* A stream is asked to yield over its own connection, and may say how long it needs by its token.
 */
static void test_stream_yields(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_STREAM, LEASE_BACKGROUND, "curl");
	uint64_t held, voice;
	struct token token;
	struct event event = {.type = EVENT_YIELDING, .from = {PARTY_EXCHANGE, 800}};

	want.acquire.uninterruptible_ms = 8000;
	held = rig_ask(rig, 0, want);
	token = token_of(rig, held);
	voice = rig_ask(rig, 0, rig_want(BIND_STREAM, LEASE_VOICE, "mic"));
	assert_int_equal(rig_sent(rig, SEND_YIELD, held)->to.id, conn_of(rig, held));
	event.renew.token = &token;
	event.renew.ttl_ms = 8000;
	rig_step(rig, event);
	assert_int_equal(rig_sent(rig, SEND_RENEWED, held)->send.expires_ms, 8000);
	rig_pass(rig, 7999);
	assert_int_equal(rig_state(rig, voice), CLAIM_QUEUED);
	rig_pass(rig, 1); /* no browser behind it: cut is proof enough */
	assert_int_equal(rig_end(rig, held), END_REVOKED);
	assert_int_equal(rig_state(rig, voice), CLAIM_HELD);
}

/* Who will not wait is told "busy" and leaves no trace: no row, no number, nobody preempted. */
static void test_no_wait(void **state)
{
	struct rig *rig = *state;
	uint64_t held = rig_ask(rig, 0, rig_want(BIND_STREAM, LEASE_BACKGROUND, "holder"));
	struct event want = rig_want(BIND_HTTP, LEASE_VOICE, "impatient");

	want.acquire.no_wait = true;
	assert_int_equal(rig_ask(rig, 0, want), 0);
	assert_int_equal(rig_error(rig), ERR_BUSY);
	assert_int_equal(rig->fx.count, 1);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_unlock(rig, (struct token[]){token_of(rig, held)});
	assert_int_not_equal(rig_ask(rig, 0, want), 0);
}

/* A wait of no length is none: at once or not at all, and for that nobody is disturbed. */
static void test_no_timeout(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_VOICE, "page");
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), held;

	want.acquire.timeout_ms = 0;
	held = rig_ask(rig, 0, want);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_release(rig, 0, held, false);
	rig_unlock(rig, &(struct token){0});
	rig_admin(rig, ADMIN_RESET, 0);
	rig_pass(rig, rig->config.lock_delay_ms);
	held = rig_hold(rig, a, LEASE_BACKGROUND);
	want.from = (struct party){PARTY_EXCHANGE, rig->conn_next++};
	want.acquire.ref = 7;
	rig_step(rig, want);
	assert_int_equal(rig_sent(rig, SEND_TIMEOUT, 0)->send.ref, 7);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD); /* nobody was asked to give way */
	assert_int_equal(core_waiting_count(rig->core), 0);
}

/* C15: one name may queue so many and no more; others are not touched by the refusals. */
static void test_cap_per_name(void **state)
{
	struct rig *rig = *state;
	uint64_t other;

	lock(rig, "holder");
	other = lock(rig, "other");
	for (uint32_t i = 0; i < rig->config.queue_per_session_max; i++)
		assert_int_not_equal(lock(rig, "flood"), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(lock(rig, "flood"), 0);
		assert_int_equal(rig_error(rig), ERR_QUOTA);
		assert_int_equal(rig->fx.count, 1);
	}
	assert_int_equal(core_position(rig->core, other), 0);
	assert_int_equal(core_waiting_count(rig->core), rig->config.queue_per_session_max + 1);
}

/* The queue as a whole has its cap too. */
static void test_cap_in_all(void **state)
{
	struct rig *rig = *state;
	char name[16];

	rig->config.queue_count_max = 20;
	rig_configure(rig);
	for (int i = 0; i <= 20; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		rig->principal = name;
		assert_int_not_equal(lock(rig, name), 0);
	}
	rig->principal = NULL;
	assert_int_equal(lock(rig, "one more"), 0);
	assert_int_equal(rig_error(rig), ERR_QUEUE_FULL);
}

/* What is wrong in itself is refused before anything else is looked at. */
static void test_bad_fields(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "x");

	want.acquire.need.slots = 0;
	assert_int_equal(rig_ask(rig, 0, want), 0);
	assert_int_equal(rig_error(rig), ERR_BAD_FIELD);
	want = rig_want(BIND_HTTP, (enum lease_class)77, "x");
	assert_int_equal(rig_ask(rig, 0, want), 0);
	assert_int_equal(rig_error(rig), ERR_BAD_FIELD);
	want = rig_want(BIND_HTTP, LEASE_CHAT, NULL);
	assert_int_equal(rig_ask(rig, 0, want), 0);
	assert_int_equal(rig_error(rig), ERR_BAD_FIELD);
	want = rig_want(BIND_HTTP, LEASE_CHAT, "x");
	want.acquire.need.vram_bytes = UINT64_MAX;
	assert_int_equal(rig_ask(rig, 0, want), 0);
	assert_int_equal(rig_error(rig), ERR_BAD_FIELD);
	want = rig_want(BIND_HTTP, LEASE_CHAT, "x");
	want.acquire.need.gpu_mask = 1u << 5;
	assert_int_equal(rig_ask(rig, 0, want), 0);
	assert_int_equal(rig_error(rig), ERR_NO_GPU);
	want.acquire.need = (struct need){.slots = 2, .gpu_count = 1};
	assert_int_equal(rig_ask(rig, 0, want), 0);
	assert_int_equal(rig_error(rig), ERR_NEVER_FITS);
	want.acquire.need = (struct need){.slots = 1, .gpu_count = 2};
	assert_int_equal(rig_ask(rig, 0, want), 0);
	assert_int_equal(rig_error(rig), ERR_NEVER_FITS);
	assert_int_equal(rig_ask(rig, 0, rig_want(BIND_TAB, LEASE_CHAT, NULL)), 0);
	assert_int_equal(rig_error(rig), ERR_STATE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
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
