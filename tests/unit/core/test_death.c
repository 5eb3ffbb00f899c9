/* Goal: what is gone, what lives on, and what cannot be seen: the death of a native holder is known
 * and not guessed (CASES.md S1, P1, P14, R3). Method: the core on the rig; the shell's knowledge
 * comes as events. */
#include <signal.h>

#include "rig.h"

static void peer_exit(struct rig *rig, uint64_t session, bool rest)
{
	struct event event = {.type = EVENT_PEER_EXIT};

	event.peer.session = session;
	event.peer.rest = rest;
	rig_step(rig, event);
}

static void peer_reach(struct rig *rig, uint64_t session, enum peer_reach reach, const char *why)
{
	struct event event = {.type = EVENT_PEER_REACH};

	event.peer.session = session;
	event.peer.reach = reach;
	event.peer.why = why;
	rig_step(rig, event);
}

static uint64_t stranger(struct rig *rig)
{
	uint64_t conn = rig->conn_next++;
	struct event event = {.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, conn}};

	event.session.binding = BIND_NATIVE;
	event.session.name = "stranger";
	rig_step(rig, event);
	assert_non_null(rig_sent(rig, SEND_WELCOME, 0));
	return conn;
}

static bool traced(const struct rig *rig, enum trace_what what)
{
	for (size_t i = 0; i < rig->fx.count; i++)
		if (rig->fx.v[i].type == EFFECT_TRACE && rig->fx.v[i].trace.what == what)
			return true;
	return false;
}

static struct claim_view seen(const struct rig *rig, uint64_t claim)
{
	struct claim_view view;

	assert_true(core_claim(rig->core, claim, rig->now, &view));
	return view;
}

/* Nobody knows whether it lives: it keeps all it holds for as long as it was told, is never
 * signalled, and nobody waits for a kill that cannot be. */
static void test_unknown_is_alive(void **state)
{
	struct rig *rig = *state;
	uint64_t a = stranger(rig), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), next = rig_wait(rig, b, LEASE_CHAT);

	assert_non_null(seen(rig, held).unwatched);
	assert_null(seen(rig, next).unwatched);
	rig_close(rig, a);
	rig_pass(rig, core_linger_ms(&rig->config, BIND_NATIVE) - 1);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_alive(rig, b);
	rig_pass(rig, 1);
	assert_null(rig_signal(rig, SIGTERM));
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
}

/* Its waiting claims need nobody's GPU: they end like those of any other. */
static void test_unknown_waits(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = stranger(rig), held, waits;

	held = rig_hold(rig, a, LEASE_CHAT);
	waits = rig_wait(rig, b, LEASE_CHAT);
	rig_close(rig, b);
	rig_pass(rig, rig->config.native_linger_ms);
	assert_int_equal(rig_end(rig, waits), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
}

/* A connected one that does not give back what was revoked: no signal, no kill wait, its grace. */
static void test_unknown_is_revoked(void **state)
{
	struct rig *rig = *state;
	uint64_t a = stranger(rig), held = rig_hold(rig, a, LEASE_CHAT);

	rig_admin(rig, ADMIN_REVOKE, held);
	assert_null(rig_signal(rig, SIGTERM));
	assert_int_equal(rig_sent(rig, SEND_REVOKED, held)->send.grace_ms, 0);
	assert_true(seen(rig, held).kill_at.v == MONO_NEVER.v);
	rig_pass(rig, rig->config.grace_ms - 1);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	rig_pass(rig, 1);
	assert_null(rig_signal(rig, SIGKILL));
	assert_int_equal(rig_end(rig, held), END_REVOKED);
}

/* One that is not connected may not know of the revoke: its linger counts. */
static void test_unknown_is_revoked_unheard(void **state)
{
	struct rig *rig = *state;
	uint64_t a = stranger(rig), held = rig_hold(rig, a, LEASE_CHAT);

	rig_close(rig, a);
	rig_admin(rig, ADMIN_REVOKE, held);
	rig_pass(rig, core_linger_ms(&rig->config, BIND_NATIVE) - 1);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	rig_pass(rig, 1);
	assert_int_equal(rig_state(rig, held), CLAIM_ENDED);
}

/* What could not be watched can be later, and is then signalled like any other. */
static void test_reached_later(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), held = rig_hold(rig, a, LEASE_CHAT);
	uint64_t session = rig_session_id(rig, a);

	peer_reach(rig, session, PEER_UNKNOWN, "Too many open files");
	assert_true(traced(rig, TRACE_UNWATCHED));
	assert_string_equal(seen(rig, held).unwatched, "Too many open files");
	peer_reach(rig, session, PEER_REACHED, NULL);
	assert_null(seen(rig, held).unwatched);
	rig_close(rig, a);
	rig_pass(rig, rig->config.native_linger_ms);
	assert_non_null(rig_signal(rig, SIGTERM));
	peer_reach(rig, 4711, PEER_UNKNOWN, NULL); /* not known: no harm */
}

/* Seen but out of reach: its death counts at once, its life like that of an unknown one. */
static void test_watched_only(void **state)
{
	struct rig *rig = *state;
	uint64_t a = stranger(rig), session = rig_session_id(rig, a), held;

	peer_reach(rig, session, PEER_WATCHED, NULL);
	held = rig_hold(rig, a, LEASE_CHAT);
	assert_null(seen(rig, held).unwatched);
	rig_close(rig, a);
	rig_pass(rig, rig->config.native_linger_ms);
	assert_null(rig_signal(rig, SIGTERM));
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	peer_exit(rig, session, false);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
}

/* A wrapper dies and its job lives: the job is killed at once, nothing waits any more, nobody comes
 * back, and the room is free when the last of it is gone. */
static void test_wrapper_dies(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), waits = rig_wait(rig, a, LEASE_CHAT);
	uint64_t session = rig_session_id(rig, a), next = rig_wait(rig, b, LEASE_CHAT);

	peer_exit(rig, session, true);
	assert_true(traced(rig, TRACE_EXITED) && traced(rig, TRACE_KILLED));
	assert_null(rig_signal(rig, SIGTERM));
	assert_int_equal(rig_signal(rig, SIGKILL)->signal.session, session);
	assert_int_equal(rig_end(rig, waits), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	assert_int_equal(rig_why(rig, next), WHY_STOPPING);
	rig_resume(rig, BIND_NATIVE, session);
	assert_int_equal(rig_error(rig), ERR_STALE);
	peer_exit(rig, session, true); /* said again: no harm */
	assert_null(rig_signal(rig, SIGKILL));
	peer_exit(rig, session, false);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
	assert_int_equal(rig->session_count, 1);
}

/* What even SIGKILL does not end is not waited for for ever. */
static void test_rest_is_stuck(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), held = rig_hold(rig, a, LEASE_CHAT);

	peer_exit(rig, rig_session_id(rig, a), true);
	rig_pass(rig, rig->config.kill_wait_ms - 1);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	rig_pass(rig, 1);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
	assert_int_equal(rig->session_count, 0);
}

static uint64_t hold_with_grace(struct rig *rig, uint64_t conn, int64_t grace_ms)
{
	struct event want = rig_want(BIND_NATIVE, LEASE_BACKGROUND, NULL);
	uint64_t held;

	want.acquire.uninterruptible_ms = grace_ms;
	held = rig_ask(rig, conn, want);
	rig_accept(rig, conn, held);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	return held;
}

/* SIGKILL comes when the declared grace is over, and until then the lease is being stopped. */
static void test_declared_grace(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = hold_with_grace(rig, a, 8000), next = rig_wait(rig, b, LEASE_CHAT);
	struct why why;

	rig_admin(rig, ADMIN_REVOKE, held);
	assert_non_null(rig_signal(rig, SIGTERM));
	assert_int_equal(rig_sent(rig, SEND_REVOKED, held)->send.grace_ms, 8000);
	assert_int_equal(mono_since(seen(rig, held).kill_at, rig->now), 8000);
	core_why(rig->core, next, rig->now, &why);
	assert_int_equal(why.code, WHY_STOPPING);
	assert_int_equal(why.left_ms, 8000 + rig->config.kill_wait_ms);
	rig_pass(rig, 7999);
	assert_null(rig_signal(rig, SIGKILL));
	rig_pass(rig, 1);
	assert_non_null(rig_signal(rig, SIGKILL));
	assert_int_equal(mono_since(seen(rig, held).kill_at, rig->now), 0);
	assert_int_equal(rig_state(rig, next), CLAIM_QUEUED);
}

/* It heard its signal at the yield: what is left of its grace then, and never less than the usual
 * one. */
static void test_grace_is_had_once(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = hold_with_grace(rig, a, 8000);

	rig_wait(rig, b, LEASE_VOICE);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	rig_pass(rig, 8000);
	assert_non_null(rig_signal(rig, SIGTERM));
	assert_int_equal(mono_since(seen(rig, held).kill_at, rig->now), rig->config.grace_ms);
	rig_release(rig, a, held, false); /* it has stopped: the next is served at once */
	assert_int_equal(rig_end(rig, held), END_REVOKED);
	assert_int_equal(rig_count(rig, SEND_OFFERED), 1);
}

static void test_revoked_while_yielding(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = hold_with_grace(rig, a, 8000);

	rig_wait(rig, b, LEASE_VOICE);
	rig_pass(rig, 3000);
	rig_admin(rig, ADMIN_REVOKE, held);
	assert_int_equal(rig_sent(rig, SEND_REVOKED, held)->send.grace_ms, 5000);
	a = rig_resume(rig, BIND_NATIVE, rig_session_id(rig, a));
	assert_int_equal(rig_sent(rig, SEND_REVOKED, held)->send.grace_ms, 5000);
}

/* People can tell a clean leave from a loss, and a loss from a death. */
static void test_told_apart(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), b = rig_session(rig, BIND_NATIVE, "b");

	rig_step(rig, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, a}});
	assert_true(traced(rig, TRACE_BYE) && !traced(rig, TRACE_DETACHED));
	rig_close(rig, b);
	assert_true(traced(rig, TRACE_DETACHED) && !traced(rig, TRACE_BYE));
	peer_exit(rig, 2, false);
	assert_true(traced(rig, TRACE_GONE));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_unknown_is_alive),       TEST(test_unknown_waits),
		TEST(test_unknown_is_revoked),     TEST(test_unknown_is_revoked_unheard),
		TEST(test_reached_later),          TEST(test_watched_only),
		TEST(test_wrapper_dies),           TEST(test_rest_is_stuck),
		TEST(test_declared_grace),         TEST(test_grace_is_had_once),
		TEST(test_revoked_while_yielding), TEST(test_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
