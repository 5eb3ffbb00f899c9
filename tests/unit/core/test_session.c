/* Goal: what the end, the silence or the return of a client does to its places and leases (CASES.md
 * S1 to S5, S8, S9, S13, P14, P15, P17, E4). */
#include <signal.h>

#include "rig.h"

static void exit_of(struct rig *rig, uint64_t session)
{
	rig_step(rig, (struct event){.type = EVENT_PEER_EXIT, .peer.session = session});
}

/* S1: the death of a native holder frees its GPU in the same step. */
static void test_peer_exit(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), next = rig_wait(rig, b, LEASE_CHAT);

	exit_of(rig, rig_session_id(rig, a));
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
	assert_int_equal(rig->session_count, 1);
}

/* A closed connection whose process is known to be dead frees at once too. */
static void test_closed_and_gone(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), held = rig_hold(rig, a, LEASE_CHAT);
	struct event event = {.type = EVENT_CONN_CLOSED, .from = {PARTY_SESSION, a}};

	event.closed.peer_gone = true;
	rig_step(rig, event);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
}

/* A native program that dropped its connection but lives is waited for, then stopped by force. */
static void test_native_linger(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), held = rig_hold(rig, a, LEASE_CHAT);
	uint64_t session = rig_session_id(rig, a);

	rig_close(rig, a);
	rig_pass(rig, rig->config.native_linger_ms - 1);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_pass(rig, 1);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	assert_int_equal(rig_signal(rig, SIGTERM)->signal.session, session);
	rig_pass(rig, rig->config.grace_ms);
	assert_non_null(rig_signal(rig, SIGKILL));
	exit_of(rig, session);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
	assert_int_equal(rig->session_count, 0);
}

/* S3: a tab that closes keeps place and lease for its linger; then the next is served. */
static void test_tab_linger(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), next = rig_wait(rig, b, LEASE_CHAT);

	rig_close(rig, a);
	rig_pass(rig, rig->config.tab_linger_ms - 1);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	assert_int_equal(rig_why(rig, next), WHY_DETACHED);
	rig_pass(rig, 1);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
}

/* Back within the linger with its secret, a tab finds its lease and its place as they were. */
static void test_resume(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), held = rig_hold(rig, a, LEASE_CHAT);
	uint64_t waits = rig_wait(rig, a, LEASE_CHAT), session = rig_session_id(rig, a), again;
	const struct effect *welcome;

	rig_close(rig, a);
	rig_pass(rig, 1000);
	again = rig_resume(rig, BIND_TAB, session);
	welcome = rig_sent(rig, SEND_WELCOME, 0);
	assert_true(welcome->send.flag);
	assert_int_equal(welcome->send.lease, session);
	assert_int_equal(rig_count(rig, SEND_CLAIM), 2);
	assert_int_equal(rig_sent(rig, SEND_CLAIM, held)->send.state, CLAIM_HELD);
	assert_int_equal(rig_sent(rig, SEND_CLAIM, waits)->send.state, CLAIM_QUEUED);
	rig_pass(rig, 10000);
	rig_release(rig, again, held, false);
	assert_int_equal(rig_state(rig, waits), CLAIM_OFFERED);
}

/* What was asked or taken while it was away is said again, with the time that is left. */
static void test_resume_is_reminded(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), held = rig_hold(rig, a, LEASE_BACKGROUND);
	uint64_t session = rig_session_id(rig, a);
	const struct effect *yield;

	rig_close(rig, a);
	rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_VOICE, "v"));
	rig_pass(rig, 500);
	a = rig_resume(rig, BIND_TAB, session);
	assert_memory_equal(&rig_sent(rig, SEND_CLAIM, held)->send.token,
			    &rig_row(rig, held)->token, sizeof(struct token));
	yield = rig_sent(rig, SEND_YIELD, held);
	assert_int_equal(yield->send.reason, YIELD_PREEMPTED);
	assert_int_equal(yield->send.grace_ms, rig->config.grace_ms - 500);
	rig_pass(rig, 1400);
	rig_close(rig, a);
	rig_pass(rig, 100);
	rig_resume(rig, BIND_TAB, session);
	assert_non_null(rig_sent(rig, SEND_REVOKED, held));
}

/* A resume while the old connection still stands takes the session over and closes the old one. */
static void test_resume_takes_over(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), held = rig_hold(rig, a, LEASE_CHAT);
	bool closed = false;

	rig_resume(rig, BIND_TAB, rig_session_id(rig, a));
	for (size_t i = 0; i < rig->fx.count; i++)
		closed |= rig->fx.v[i].type == EFFECT_CLOSE && rig->fx.v[i].to.id == a;
	assert_true(closed);
	rig_close(rig, a);
	rig_pass(rig, 5000);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
}

static uint32_t said_to(const struct rig *rig, enum send_kind msg, uint64_t conn)
{
	uint32_t count = 0;

	for (size_t i = 0; i < rig->fx.count; i++)
		count += rig->fx.v[i].type == EFFECT_SEND && rig->fx.v[i].send.msg == msg &&
			 rig->fx.v[i].to.kind == PARTY_SESSION && rig->fx.v[i].to.id == conn;
	return count;
}

/* What was said before a resume in the same turn stays with the connection that it was said to; the
 * new one is told again, after its welcome. Nothing is said to a session that has none. */
static void test_resume_in_the_same_turn(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = rig_hold(rig, a, LEASE_BACKGROUND), session = rig_session_id(rig, a);
	struct event events[] = {
		rig_want(BIND_TAB, LEASE_VOICE, NULL),
		{.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, 500}},
	};

	rig_pass(rig, 5000);
	effects_clear(&rig->fx);
	events[0].from = party_of(PARTY_SESSION, b);
	events[1].session.binding = BIND_TAB;
	events[1].session.resume = &rig->sessions[0].secret;
	assert_int_equal(rig->sessions[0].id, session);
	for (size_t i = 0; i < 2; i++) {
		events[i].now = rig->now;
		events[i].random.b[0] = (uint8_t)(0xe0 + i);
		core_step(rig->core, &events[i], &rig->fx);
	}
	assert_int_equal(said_to(rig, SEND_YIELD, a), 1);
	assert_int_equal(said_to(rig, SEND_WELCOME, 500), 1);
	assert_int_equal(said_to(rig, SEND_YIELD, 500), 1);
	assert_int_equal(rig_sent(rig, SEND_YIELD, held)->to.id, 500);
	for (size_t i = 0; i < rig->fx.count; i++)
		if (rig->fx.v[i].type == EFFECT_CLOSE)
			assert_int_equal(rig->fx.v[i].to.id, a);
	rig_close(rig, 500);
	rig_pass(rig, rig->config.tab_linger_ms);
	assert_int_equal(said_to(rig, SEND_REVOKED, 500) + said_to(rig, SEND_REVOKED, 0), 0);
}

/* An unknown secret, or that of another kind of client, resumes nothing. */
static void test_resume_refused(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a");
	struct token wrong = {{1}};
	struct event event = {.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, 77}};

	event.session.binding = BIND_TAB;
	event.session.name = "x";
	event.session.resume = &wrong;
	rig_step(rig, event);
	assert_int_equal(rig_error(rig), ERR_STALE);
	rig_resume(rig, BIND_NATIVE, rig_session_id(rig, a));
	assert_int_equal(rig_error(rig), ERR_FORBIDDEN);
}

/* A waiter whose connection is gone keeps its place, is passed over, and is next when it returns.
 */
static void test_detached_waiter_keeps_place(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t c = rig_session(rig, BIND_TAB, "c"), first = rig_hold(rig, a, LEASE_CHAT);
	uint64_t away = rig_wait(rig, b, LEASE_CHAT), third = rig_wait(rig, c, LEASE_CHAT);
	uint64_t session = rig_session_id(rig, b);

	rig_close(rig, b);
	assert_int_equal(core_position(rig->core, away), 0);
	assert_int_equal(rig_why(rig, away), WHY_DETACHED_SELF);
	rig_release(rig, a, first, false);
	assert_int_equal(rig_state(rig, away), CLAIM_QUEUED);
	assert_int_equal(rig_state(rig, third), CLAIM_OFFERED);
	b = rig_resume(rig, BIND_TAB, session);
	rig_release(rig, c, third, false);
	assert_int_equal(rig_state(rig, away), CLAIM_OFFERED);
}

/* P14: a waiter that went away is never granted afterwards. */
static void test_gone_waiter_is_not_granted(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t c = rig_session(rig, BIND_TAB, "c"), first = rig_hold(rig, a, LEASE_CHAT);
	uint64_t ghost = rig_wait(rig, b, LEASE_CHAT), third = rig_wait(rig, c, LEASE_CHAT);

	rig_close(rig, b);
	rig_pass(rig, rig->config.tab_linger_ms);
	assert_int_equal(rig_end(rig, ghost), END_DISCONNECTED);
	rig_release(rig, a, first, false);
	assert_int_equal(rig_state(rig, third), CLAIM_OFFERED);
}

/* E4: a holder that is gone takes the claims it had queued with it. */
static void test_gone_takes_its_queue(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), queued = rig_wait(rig, a, LEASE_CHAT);

	rig_close(rig, a);
	rig_pass(rig, rig->config.tab_linger_ms);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
	assert_int_equal(rig_end(rig, queued), END_DISCONNECTED);
	assert_int_equal(rig->session_count, 0);
}

/* Goodbye ends all at once, without any linger. */
static void test_bye(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), queued = rig_wait(rig, a, LEASE_CHAT);
	uint64_t next = rig_wait(rig, b, LEASE_CHAT);

	rig_step(rig, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, a}});
	assert_int_equal(rig_end(rig, held), END_RELEASED);
	assert_int_equal(rig_end(rig, queued), END_CANCELLED);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
}

/* S5: a tab that answers no heartbeat for its time to live loses all, and its connection stays. */
static void test_silent_tab(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), held = rig_hold(rig, a, LEASE_CHAT);
	uint64_t queued = rig_wait(rig, a, LEASE_CHAT);

	rig_pass(rig, rig->config.session_ttl_ms - 1);
	assert_int_equal(rig_count(rig, SEND_HEARTBEAT), 3);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_pass(rig, 1);
	assert_int_equal(rig_end(rig, queued), END_DISCONNECTED);
	assert_non_null(rig_sent(rig, SEND_REVOKED, held));
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, held), END_EXPIRED);
	assert_true(rig_session_id(rig, a) != 0);
}

/* S4: one that answers keeps its lease for as long as nobody waits. */
static void test_alive_tab(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), held = rig_hold(rig, a, LEASE_CHAT);

	for (int i = 0; i < 360; i++) {
		rig_pass(rig, 5000);
		rig_alive(rig, a);
	}
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
}

/* A busy native program alone on the machine is left alone, however silent. */
static void test_silent_native_alone(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), held = rig_hold(rig, a, LEASE_CHAT);

	rig_pass(rig, 600000);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
}

/* S2: once somebody waits for its GPU, a silent native holder is stopped without being asked. */
static void test_silent_native_in_the_way(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), next = rig_wait(rig, b, LEASE_CHAT);
	uint64_t session = rig_session_id(rig, a);

	rig_pass(rig, rig->config.session_ttl_ms);
	assert_int_equal(rig_sent(rig, SEND_REVOKED, held)->send.reason, YIELD_UNRESPONSIVE);
	assert_non_null(rig_signal(rig, SIGTERM));
	assert_int_equal(rig_state(rig, next), CLAIM_QUEUED);
	exit_of(rig, session);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
}

/* S8, P15: an offer that is not taken up goes back to its place and is made again, with a higher
 * fence; the third in a row ends the claim. */
static void test_missed_acks(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t claim = rig_ask(rig, a, rig_want(BIND_TAB, LEASE_CHAT, NULL));
	uint64_t next = rig_wait(rig, b, LEASE_CHAT), fence = rig_row(rig, claim)->fence;
	struct core_stats stats;

	rig_pass(rig, rig->config.ack_ms);
	assert_int_equal(rig_state(rig, claim), CLAIM_OFFERED);
	assert_true(rig_row(rig, claim)->fence > fence);
	rig_pass(rig, rig->config.ack_ms);
	assert_int_equal(rig_state(rig, claim), CLAIM_OFFERED);
	rig_pass(rig, rig->config.ack_ms);
	assert_int_equal(rig_end(rig, claim), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
	core_stats(rig->core, &stats);
	assert_int_equal(stats.acks_missed, 3);
}

/* Who closes its connection at each offer, and is back before its linger ends, has missed it like
 * one that heard it: two of them in turn would else hold the GPU for ever. */
static void test_flapping(void **state)
{
	struct rig *rig = *state;
	uint64_t conns[2], ids[2], mine[2], other = rig_session(rig, BIND_NATIVE, "honest"), chat;

	for (int i = 0; i < 2; i++) {
		conns[i] = rig_session(rig, BIND_NATIVE, "flaps");
		ids[i] = rig_session_id(rig, conns[i]);
		mine[i] = rig_ask(rig, conns[i], rig_want(BIND_NATIVE, LEASE_CHAT, NULL));
	}
	chat = rig_wait(rig, other, LEASE_CHAT);
	for (int round = 0; round < 2 * 3; round++) {
		int on = rig_state(rig, mine[0]) == CLAIM_OFFERED ? 0 : 1;
		assert_int_equal(rig_state(rig, mine[on]), CLAIM_OFFERED);
		rig_pass(rig, 20);
		rig_close(rig, conns[on]);
		rig_pass(rig, rig->config.ack_ms - 20);
		conns[on] = rig_resume(rig, BIND_NATIVE, ids[on]);
		rig_alive(rig, other);
	}
	assert_int_equal(rig_end(rig, mine[0]), END_DISCONNECTED);
	assert_int_equal(rig_end(rig, mine[1]), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, chat), CLAIM_OFFERED);
}

/* An accept that comes twice gets the same answer; one that comes too late is stale. */
static void test_accept_again(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), waits = rig_wait(rig, b, LEASE_CHAT);
	const struct effect *granted;

	rig_accept(rig, a, held);
	granted = rig_sent(rig, SEND_GRANTED, held);
	assert_int_equal(granted->send.fence, rig_row(rig, held)->fence);
	assert_memory_equal(&granted->send.token, &rig_row(rig, held)->token, sizeof(struct token));
	rig_accept(rig, b, waits);
	assert_int_equal(rig_error(rig), ERR_STALE);
	rig_accept(rig, b, held); /* another's */
	assert_int_equal(rig_error(rig), ERR_STALE);
}

/* S9, P17: a cancel ends a waiting or offered claim, in one way only; a held one is not cancelled.
 */
static void test_cancel(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), waits = rig_wait(rig, b, LEASE_CHAT);
	struct event cancel = {
		.type = EVENT_CANCEL, .from = {PARTY_SESSION, b}, .ref = rig_row(rig, waits)->ref};

	rig_release(rig, a, held, false);
	assert_int_equal(rig_state(rig, waits), CLAIM_OFFERED);
	rig_step(rig, cancel);
	assert_int_equal(rig_end(rig, waits), END_CANCELLED);
	assert_non_null(rig_sent(rig, SEND_RELEASED, waits));
	rig_accept(rig, b, waits);
	assert_int_equal(rig_error(rig), ERR_STALE);
	rig_step(rig, cancel);
	assert_int_equal(rig_error(rig), ERR_STALE);
	held = rig_hold(rig, a, LEASE_CHAT);
	cancel.from = (struct party){PARTY_SESSION, a};
	cancel.ref = rig_row(rig, held)->ref;
	rig_step(rig, cancel);
	assert_int_equal(rig_error(rig), ERR_STATE);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
}

/* S13, R8: after a suspend nobody is judged before the settling time, and all are asked at once. */
static void test_clock_jump(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), waits = rig_wait(rig, b, LEASE_CHAT);

	rig->now = mono_after(rig->now, 30000); /* nobody was heard: the broker stood still */
	rig_step(rig, (struct event){.type = EVENT_CLOCK_JUMP});
	assert_int_equal(rig_count(rig, SEND_HEARTBEAT), 2);
	rig_step(rig, (struct event){.type = EVENT_TICK});
	rig_pass(rig, rig->config.settle_ms - 1);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_alive(rig, b);
	rig_pass(rig, 1);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	assert_int_equal(rig_state(rig, waits), CLAIM_QUEUED);
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_state(rig, waits), CLAIM_OFFERED);
}

/* Two claims of one session may not carry the same number; another's lease is as good as none. */
static void test_refs_and_owners(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT);
	struct event want = rig_want(BIND_TAB, LEASE_CHAT, NULL);

	want.acquire.ref = rig_row(rig, held)->ref;
	assert_int_equal(rig_ask(rig, a, want), 0);
	assert_int_equal(rig_error(rig), ERR_BAD_FIELD);
	rig_release(rig, b, held, false);
	assert_int_equal(rig_error(rig), ERR_STALE);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
}

static void name_processes(struct rig *rig, uint64_t conn, uint32_t count, const char *cgroup)
{
	struct named_processes named = {.count = count};

	for (uint32_t i = 0; i < count; i++)
		named.v[i] = (struct named_process){1000 + i, 7};
	memcpy(named.cgroup, cgroup, strlen(cgroup));
	rig_step(rig, (struct event){.type = EVENT_PROCESSES,
				     .from = {PARTY_SESSION, conn},
				     .processes = &named});
}

/* What a native session names is remembered, replaced as a whole, and survives a restart. */
static void test_named_processes(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), tab;
	const struct session_record *rec;
	struct mono_ms seen;
	uint64_t conn;

	name_processes(rig, a, 2, "/sys/fs/cgroup/job");
	assert_int_equal(rig_sent(rig, SEND_OK, 0)->send.lease, 2);
	assert_int_equal(rig->sessions[0].named.count, 2);
	rig_restart(rig, true);
	assert_true(core_session_after(rig->core, 0, &rec, &conn, &seen));
	assert_int_equal(rec->named.v[1].pid, 1001);
	assert_string_equal(rec->named.cgroup, "/sys/fs/cgroup/job");
	a = rig_resume(rig, BIND_NATIVE, rec->id);
	name_processes(rig, a, 1, "");
	assert_int_equal(rig->sessions[0].named.count, 1);
	assert_string_equal(rig->sessions[0].named.cgroup, "");
	tab = rig_session(rig, BIND_TAB, "t");
	name_processes(rig, tab, 1, "");
	assert_int_equal(rig_error(rig), ERR_PROTOCOL);
	name_processes(rig, 4711, 1, "");
	assert_int_equal(rig_error(rig), ERR_STATE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
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
		TEST(test_clock_jump),
		TEST(test_refs_and_owners),
		TEST(test_named_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
