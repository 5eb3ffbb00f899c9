/* Goal: what the end, the silence or the return of a client does to its places and leases (CASES.md
 * S1 to S5, S8, S9, S13, P14, P15, P17, E4). */
#include <signal.h>

#include "fixture.h"

static void exit_of(struct fixture *fixture, uint64_t session)
{
	fixture_step(fixture, (struct event){.type = EVENT_PEER_EXIT, .peer.session = session});
}

/* S1: the death of a native holder frees its GPU in the same step. */
static void test_peer_exit(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 next = fixture_wait(fixture, b, LEASE_CHAT);

	exit_of(fixture, fixture_session_id(fixture, a));
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
	assert_int_equal(fixture->session_count, 1);
}

/* A closed connection whose process is known to be dead frees at once too. */
static void test_closed_and_gone(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	struct event event = {.type = EVENT_CONN_CLOSED, .from = {PARTY_SESSION, a}};

	event.closed.peer_gone = true;
	fixture_step(fixture, event);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
}

/* A native program that dropped its connection but lives is waited for, then stopped by force. */
static void test_native_linger(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t session = fixture_session_id(fixture, a);

	fixture_close(fixture, a);
	fixture_pass(fixture, fixture->config.native_linger_ms - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	assert_int_equal(fixture_signal(fixture, SIGTERM)->signal.session, session);
	fixture_pass(fixture, fixture->config.grace_ms);
	assert_non_null(fixture_signal(fixture, SIGKILL));
	exit_of(fixture, session);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
	assert_int_equal(fixture->session_count, 0);
}

/* S3: a tab that closes keeps place and lease for its linger; then the next is served. */
static void test_tab_linger(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 next = fixture_wait(fixture, b, LEASE_CHAT);

	fixture_close(fixture, a);
	fixture_pass(fixture, fixture->config.tab_linger_ms - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	assert_int_equal(fixture_why(fixture, next), WHY_DETACHED);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
}

/* Back within the linger with its secret, a tab finds its lease and its place as they were. */
static void test_resume(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t waits = fixture_wait(fixture, a, LEASE_CHAT),
		 session = fixture_session_id(fixture, a), again;
	const struct effect *welcome;

	fixture_close(fixture, a);
	fixture_pass(fixture, 1000);
	again = fixture_resume(fixture, BIND_TAB, session);
	welcome = fixture_sent(fixture, SEND_WELCOME, 0);
	assert_true(welcome->send.flag);
	assert_int_equal(welcome->send.lease, session);
	assert_int_equal(fixture_count(fixture, SEND_CLAIM), 2);
	assert_int_equal(fixture_sent(fixture, SEND_CLAIM, held)->send.state, CLAIM_HELD);
	assert_int_equal(fixture_sent(fixture, SEND_CLAIM, waits)->send.state, CLAIM_QUEUED);
	fixture_pass(fixture, 10000);
	fixture_release(fixture, again, held, false);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
}

/* What was asked or taken while it was away is said again, with the time that is left. */
static void test_resume_is_reminded(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 held = fixture_hold(fixture, a, LEASE_BACKGROUND);
	uint64_t session = fixture_session_id(fixture, a);
	const struct effect *yield;

	fixture_close(fixture, a);
	fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_VOICE, "v"));
	fixture_pass(fixture, 500);
	a = fixture_resume(fixture, BIND_TAB, session);
	assert_memory_equal(&fixture_sent(fixture, SEND_CLAIM, held)->send.token,
			    &fixture_row(fixture, held)->token, sizeof(struct token));
	yield = fixture_sent(fixture, SEND_YIELD, held);
	assert_int_equal(yield->send.reason, YIELD_PREEMPTED);
	assert_int_equal(yield->send.grace_ms, fixture->config.grace_ms - 500);
	fixture_pass(fixture, 1400);
	fixture_close(fixture, a);
	fixture_pass(fixture, 100);
	fixture_resume(fixture, BIND_TAB, session);
	assert_non_null(fixture_sent(fixture, SEND_REVOKED, held));
}

/* A resume while the old connection still stands takes the session over and closes the old one. */
static void test_resume_takes_over(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	bool closed = false;

	fixture_resume(fixture, BIND_TAB, fixture_session_id(fixture, a));
	for (size_t i = 0; i < fixture->fx.count; i++)
		closed |= fixture->fx.v[i].type == EFFECT_CLOSE && fixture->fx.v[i].to.id == a;
	assert_true(closed);
	fixture_close(fixture, a);
	fixture_pass(fixture, 5000);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
}

static uint32_t said_to(const struct fixture *fixture, enum send_kind msg, uint64_t conn)
{
	uint32_t count = 0;

	for (size_t i = 0; i < fixture->fx.count; i++)
		count += fixture->fx.v[i].type == EFFECT_SEND && fixture->fx.v[i].send.msg == msg &&
			 fixture->fx.v[i].to.kind == PARTY_SESSION &&
			 fixture->fx.v[i].to.id == conn;
	return count;
}

/* A message sent before a resume in the same iteration stays with its connection; the new one is
 * told again, after its welcome. Nothing is said to a session that has none. */
static void test_resume_in_the_same_turn(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND),
		 session = fixture_session_id(fixture, a);
	struct event events[] = {
		fixture_want(BIND_TAB, LEASE_VOICE, NULL),
		{.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, 500}},
	};

	fixture_pass(fixture, 5000);
	effects_clear(&fixture->fx);
	events[0].from = party_of(PARTY_SESSION, b);
	events[1].session.binding = BIND_TAB;
	events[1].session.resume = &fixture->sessions[0].secret;
	assert_int_equal(fixture->sessions[0].id, session);
	for (size_t i = 0; i < 2; i++) {
		events[i].now = fixture->now;
		events[i].random.b[0] = (uint8_t)(0xe0 + i);
		core_step(fixture->core, &events[i], &fixture->fx);
	}
	assert_int_equal(said_to(fixture, SEND_YIELD, a), 1);
	assert_int_equal(said_to(fixture, SEND_WELCOME, 500), 1);
	assert_int_equal(said_to(fixture, SEND_YIELD, 500), 1);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, held)->to.id, 500);
	for (size_t i = 0; i < fixture->fx.count; i++)
		if (fixture->fx.v[i].type == EFFECT_CLOSE)
			assert_int_equal(fixture->fx.v[i].to.id, a);
	fixture_close(fixture, 500);
	fixture_pass(fixture, fixture->config.tab_linger_ms);
	assert_int_equal(said_to(fixture, SEND_REVOKED, 500) + said_to(fixture, SEND_REVOKED, 0),
			 0);
}

/* An unknown secret, or that of another kind of client, resumes nothing. */
static void test_resume_refused(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a");
	struct token wrong = {{1}};
	struct event event = {.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, 77}};

	event.session.binding = BIND_TAB;
	event.session.name = "x";
	event.session.resume = &wrong;
	fixture_step(fixture, event);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	fixture_resume(fixture, BIND_NATIVE, fixture_session_id(fixture, a));
	assert_int_equal(fixture_error(fixture), ERR_FORBIDDEN);
}

/* A waiter whose connection is gone keeps its place, is passed over, and is next when it returns.
 */
static void test_detached_waiter_keeps_place(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t c = fixture_session(fixture, BIND_TAB, "c"),
		 first = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t away = fixture_wait(fixture, b, LEASE_CHAT),
		 third = fixture_wait(fixture, c, LEASE_CHAT);
	uint64_t session = fixture_session_id(fixture, b);

	fixture_close(fixture, b);
	assert_int_equal(core_position(fixture->core, away), 0);
	assert_int_equal(fixture_why(fixture, away), WHY_DETACHED_SELF);
	fixture_release(fixture, a, first, false);
	assert_int_equal(fixture_state(fixture, away), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, third), CLAIM_OFFERED);
	b = fixture_resume(fixture, BIND_TAB, session);
	fixture_release(fixture, c, third, false);
	assert_int_equal(fixture_state(fixture, away), CLAIM_OFFERED);
}

/* P14: a waiter that went away is never granted afterwards. */
static void test_gone_waiter_is_not_granted(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t c = fixture_session(fixture, BIND_TAB, "c"),
		 first = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t ghost = fixture_wait(fixture, b, LEASE_CHAT),
		 third = fixture_wait(fixture, c, LEASE_CHAT);

	fixture_close(fixture, b);
	fixture_pass(fixture, fixture->config.tab_linger_ms);
	assert_int_equal(fixture_end(fixture, ghost), END_DISCONNECTED);
	fixture_release(fixture, a, first, false);
	assert_int_equal(fixture_state(fixture, third), CLAIM_OFFERED);
}

/* E4: a holder that is gone takes the claims it had queued with it. */
static void test_gone_takes_its_queue(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 queued = fixture_wait(fixture, a, LEASE_CHAT);

	fixture_close(fixture, a);
	fixture_pass(fixture, fixture->config.tab_linger_ms);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
	assert_int_equal(fixture_end(fixture, queued), END_DISCONNECTED);
	assert_int_equal(fixture->session_count, 0);
}

/* Goodbye ends all at once, without any linger. */
static void test_bye(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 queued = fixture_wait(fixture, a, LEASE_CHAT);
	uint64_t next = fixture_wait(fixture, b, LEASE_CHAT);

	fixture_step(fixture, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, a}});
	assert_int_equal(fixture_end(fixture, held), END_RELEASED);
	assert_int_equal(fixture_end(fixture, queued), END_CANCELLED);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
}

/* S5: a tab that answers no heartbeat for its time to live loses all, and its connection stays. */
static void test_silent_tab(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t queued = fixture_wait(fixture, a, LEASE_CHAT);

	fixture_pass(fixture, fixture->config.session_ttl_ms - 1);
	assert_int_equal(fixture_count(fixture, SEND_HEARTBEAT), 3);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_end(fixture, queued), END_DISCONNECTED);
	assert_non_null(fixture_sent(fixture, SEND_REVOKED, held));
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, held), END_EXPIRED);
	assert_true(fixture_session_id(fixture, a) != 0);
}

/* S4: one that answers keeps its lease for as long as nobody waits. */
static void test_alive_tab(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);

	for (int i = 0; i < 360; i++) {
		fixture_pass(fixture, 5000);
		fixture_alive(fixture, a);
	}
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
}

/* A busy native program alone on the machine is left alone, however silent. */
static void test_silent_native_alone(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);

	fixture_pass(fixture, 600000);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
}

/* S2: once somebody waits for its GPU, a silent native holder is stopped without being asked. */
static void test_silent_native_in_the_way(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 next = fixture_wait(fixture, b, LEASE_CHAT);
	uint64_t session = fixture_session_id(fixture, a);

	fixture_pass(fixture, fixture->config.session_ttl_ms);
	assert_int_equal(fixture_sent(fixture, SEND_REVOKED, held)->send.reason,
			 YIELD_UNRESPONSIVE);
	assert_non_null(fixture_signal(fixture, SIGTERM));
	assert_int_equal(fixture_state(fixture, next), CLAIM_QUEUED);
	exit_of(fixture, session);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
}

/* S8, P15: an offer that is not taken up goes back to its place and is made again, with a higher
 * fence; the third in a row ends the claim. */
static void test_missed_acks(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t claim = fixture_ask(fixture, a, fixture_want(BIND_TAB, LEASE_CHAT, NULL));
	uint64_t next = fixture_wait(fixture, b, LEASE_CHAT),
		 fence = fixture_row(fixture, claim)->fence;
	struct core_stats stats;

	fixture_pass(fixture, fixture->config.ack_ms);
	assert_int_equal(fixture_state(fixture, claim), CLAIM_OFFERED);
	assert_true(fixture_row(fixture, claim)->fence > fence);
	fixture_pass(fixture, fixture->config.ack_ms);
	assert_int_equal(fixture_state(fixture, claim), CLAIM_OFFERED);
	fixture_pass(fixture, fixture->config.ack_ms);
	assert_int_equal(fixture_end(fixture, claim), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
	core_stats(fixture->core, &stats);
	assert_int_equal(stats.acks_missed, 3);
}

/* Who closes its connection at each offer, and is back before its linger ends, has missed it like
 * one that heard it: otherwise two of them in turn would hold the GPU without end. */
static void test_flapping(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conns[2], ids[2], mine[2], other = fixture_session(fixture, BIND_NATIVE, "honest"),
					    chat;

	for (int i = 0; i < 2; i++) {
		conns[i] = fixture_session(fixture, BIND_NATIVE, "flaps");
		ids[i] = fixture_session_id(fixture, conns[i]);
		mine[i] =
			fixture_ask(fixture, conns[i], fixture_want(BIND_NATIVE, LEASE_CHAT, NULL));
	}
	chat = fixture_wait(fixture, other, LEASE_CHAT);
	for (int round = 0; round < 2 * 3; round++) {
		int on = fixture_state(fixture, mine[0]) == CLAIM_OFFERED ? 0 : 1;
		assert_int_equal(fixture_state(fixture, mine[on]), CLAIM_OFFERED);
		fixture_pass(fixture, 20);
		fixture_close(fixture, conns[on]);
		fixture_pass(fixture, fixture->config.ack_ms - 20);
		conns[on] = fixture_resume(fixture, BIND_NATIVE, ids[on]);
		fixture_alive(fixture, other);
	}
	assert_int_equal(fixture_end(fixture, mine[0]), END_DISCONNECTED);
	assert_int_equal(fixture_end(fixture, mine[1]), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_OFFERED);
}

/* An accept that comes twice gets the same answer; one that comes too late is stale. */
static void test_accept_again(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 waits = fixture_wait(fixture, b, LEASE_CHAT);
	const struct effect *granted;

	fixture_accept(fixture, a, held);
	granted = fixture_sent(fixture, SEND_GRANTED, held);
	assert_int_equal(granted->send.fence, fixture_row(fixture, held)->fence);
	assert_memory_equal(&granted->send.token, &fixture_row(fixture, held)->token,
			    sizeof(struct token));
	fixture_accept(fixture, b, waits);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	fixture_accept(fixture, b, held); /* another's */
	assert_int_equal(fixture_error(fixture), ERR_STALE);
}

/* S9, P17: a cancel ends a waiting or offered claim, in one way only; a held one is not cancelled.
 */
static void test_cancel(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 waits = fixture_wait(fixture, b, LEASE_CHAT);
	struct event cancel = {.type = EVENT_CANCEL,
			       .from = {PARTY_SESSION, b},
			       .cancel.ref = fixture_row(fixture, waits)->ref};

	fixture_release(fixture, a, held, false);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
	fixture_step(fixture, cancel);
	assert_int_equal(fixture_end(fixture, waits), END_CANCELLED);
	assert_non_null(fixture_sent(fixture, SEND_RELEASED, waits));
	fixture_accept(fixture, b, waits);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	fixture_step(fixture, cancel);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	held = fixture_hold(fixture, a, LEASE_CHAT);
	cancel.from = (struct party){PARTY_SESSION, a};
	cancel.cancel.ref = fixture_row(fixture, held)->ref;
	fixture_step(fixture, cancel);
	assert_int_equal(fixture_error(fixture), ERR_STATE);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
}

/* A page that is loaded anew: nobody waits for it until it asks, and then it has its place,
 * whatever it asks for; also where it had been offered its turn. What is cancelled for good has
 * none. */
static void test_cancel_keeps_the_place(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 page = fixture_session(fixture, BIND_TAB, "page"),
		 c = fixture_session(fixture, BIND_TAB, "c");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT), waits, other;
	struct event want = fixture_want(BIND_TAB, LEASE_CHAT, NULL);
	struct event cancel = {
		.type = EVENT_CANCEL, .from = {PARTY_SESSION, page}, .cancel = {.keep = true}};

	want.acquire.request_id = "r-1";
	waits = fixture_ask(fixture, page, want);
	fixture_pass(fixture, 10);
	other = fixture_wait(fixture, c, LEASE_CHAT);

	cancel.cancel.ref = fixture_row(fixture, waits)->ref;
	fixture_step(fixture, cancel);
	assert_int_equal(fixture_end(fixture, waits), END_CANCELLED);
	assert_int_equal(core_position(fixture->core, other), 0);
	want.acquire.need.all_slots = true;
	waits = fixture_ask(fixture, page, want);
	assert_int_equal(core_position(fixture->core, waits), 0);

	fixture_release(fixture, a, held, false);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
	cancel.cancel.ref = fixture_row(fixture, waits)->ref;
	fixture_step(fixture, cancel);
	assert_int_equal(fixture_state(fixture, other), CLAIM_OFFERED);
	fixture_accept(fixture, c, other);
	fixture_pass(fixture, 10);
	uint64_t last = fixture_wait(fixture, a, LEASE_CHAT);
	waits = fixture_ask(fixture, page, want);
	assert_int_equal(core_position(fixture->core, waits), 0);

	cancel.cancel.ref = fixture_row(fixture, waits)->ref;
	cancel.cancel.keep = false;
	fixture_step(fixture, cancel);
	waits = fixture_ask(fixture, page, want);
	assert_int_equal(core_position(fixture->core, last), 0);
	assert_int_equal(core_position(fixture->core, waits), 1);
}

/* S13, R8: after a suspend nobody is judged before the settling time, and all are asked at once. */
static void test_clock_jump(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 waits = fixture_wait(fixture, b, LEASE_CHAT);

	fixture->now =
		mono_after(fixture->now, 30000); /* nobody was heard: the broker stood still */
	fixture_step(fixture, (struct event){.type = EVENT_CLOCK_JUMP});
	assert_int_equal(fixture_count(fixture, SEND_HEARTBEAT), 2);
	fixture_step(fixture, (struct event){.type = EVENT_TICK});
	fixture_pass(fixture, fixture->config.settle_ms - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_alive(fixture, b);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
}

/* Two claims of one session may not carry the same number; another's lease is as good as none. */
static void test_refs_and_owners(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT);
	struct event want = fixture_want(BIND_TAB, LEASE_CHAT, NULL);

	want.acquire.ref = fixture_row(fixture, held)->ref;
	assert_int_equal(fixture_ask(fixture, a, want), 0);
	assert_int_equal(fixture_error(fixture), ERR_BAD_FIELD);
	fixture_release(fixture, b, held, false);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
}

static void name_processes(struct fixture *fixture, uint64_t conn, uint32_t count,
			   const char *cgroup)
{
	struct named_processes named = {.count = count};

	for (uint32_t i = 0; i < count; i++)
		named.v[i] = (struct named_process){1000 + i, 7};
	memcpy(named.cgroup, cgroup, strlen(cgroup));
	fixture_step(fixture, (struct event){.type = EVENT_PROCESSES,
					     .from = {PARTY_SESSION, conn},
					     .processes = &named});
}

/* What a native session names is remembered, replaced as a whole, and survives a restart. */
static void test_named_processes(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"), tab;
	const struct session_record *rec;
	struct mono_ms seen;
	uint64_t conn;

	name_processes(fixture, a, 2, "/sys/fs/cgroup/job");
	assert_int_equal(fixture_sent(fixture, SEND_OK, 0)->send.lease, 2);
	assert_int_equal(fixture->sessions[0].named.count, 2);
	fixture_restart(fixture, true);
	assert_true(core_session_after(fixture->core, 0, &rec, &conn, &seen));
	assert_int_equal(rec->named.v[1].pid, 1001);
	assert_string_equal(rec->named.cgroup, "/sys/fs/cgroup/job");
	a = fixture_resume(fixture, BIND_NATIVE, rec->id);
	name_processes(fixture, a, 1, "");
	assert_int_equal(fixture->sessions[0].named.count, 1);
	assert_string_equal(fixture->sessions[0].named.cgroup, "");
	tab = fixture_session(fixture, BIND_TAB, "t");
	name_processes(fixture, tab, 1, "");
	assert_int_equal(fixture_error(fixture), ERR_PROTOCOL);
	name_processes(fixture, 4711, 1, "");
	assert_int_equal(fixture_error(fixture), ERR_STATE);
}

static const struct trace_effect *end_trace(const struct fixture *fixture)
{
	for (size_t i = fixture->fx.count; i-- > 0;)
		if (fixture->fx.v[i].type == EFFECT_TRACE &&
		    fixture->fx.v[i].trace.what == TRACE_ENDED)
			return &fixture->fx.v[i].trace;
	return NULL;
}

static const char *end_record(const struct fixture *fixture)
{
	for (size_t i = 0; i < fixture->fx.count; i++)
		if (fixture->fx.v[i].type == EFFECT_APPEND &&
		    fixture->fx.v[i].record.type == RECORD_CLAIM_END)
			return fixture->fx.v[i].record.detail.text;
	return "";
}

/* How the work ended travels into the journal and the event; of a turn that comes back, nothing. */
static void test_detail(void **state)
{
	struct fixture *fixture = *state;
	static const char detail[] = "the kernel killed 1 process because memory ran out";
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 lease = fixture_hold(fixture, a, LEASE_CHAT);
	struct event event = {.type = EVENT_RELEASE, .from = {PARTY_SESSION, a}};

	event.release.lease = lease;
	event.release.requeue = true;
	event.release.detail = "too soon";
	fixture_step(fixture, event);
	assert_string_equal(end_record(fixture), "");
	fixture_accept(fixture, a, lease);

	event.release.requeue = false;
	event.release.detail = detail;
	fixture_step(fixture, event);
	assert_int_equal(fixture_end(fixture, lease), END_RELEASED);
	assert_string_equal(end_record(fixture), detail);
	assert_string_equal(end_trace(fixture)->detail, detail);
	assert_string_equal(end_trace(fixture)->principal, "uid:0");

	lease = fixture_hold(fixture, a, LEASE_CHAT);
	fixture_release(fixture, a, lease, false);
	assert_string_equal(end_trace(fixture)->detail, "");
	assert_string_equal(end_trace(fixture)->principal, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_peer_exit),
		TEST(test_closed_and_gone),
		TEST(test_native_linger),
		TEST(test_tab_linger),
		TEST(test_resume),
		TEST(test_resume_is_reminded),
		TEST(test_resume_takes_over),
		TEST(test_resume_in_the_same_turn),
		TEST(test_resume_refused),
		TEST(test_detached_waiter_keeps_place),
		TEST(test_gone_waiter_is_not_granted),
		TEST(test_gone_takes_its_queue),
		TEST(test_bye),
		TEST(test_silent_tab),
		TEST(test_alive_tab),
		TEST(test_silent_native_alone),
		TEST(test_silent_native_in_the_way),
		TEST(test_missed_acks),
		TEST(test_flapping),
		TEST(test_accept_again),
		TEST(test_cancel),
		TEST(test_cancel_keeps_the_place),
		TEST(test_clock_jump),
		TEST(test_refs_and_owners),
		TEST(test_named_processes),
		TEST(test_detail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
