/* Goal: what is gone, what lives on, and what cannot be seen: the death of a native holder is known
 * and not guessed (CASES.md S1, P1, P14, R3). Method: the core on the fixture; what the server
 * knows comes as events. */
#include <signal.h>

#include "core/binding.h"
#include "fixture.h"

static void peer_exit(struct fixture *fixture, uint64_t session, bool rest)
{
	struct event event = {.type = EVENT_PEER_EXIT};

	event.peer.session = session;
	event.peer.rest = rest;
	fixture_step(fixture, event);
}

static void peer_reach(struct fixture *fixture, uint64_t session, enum peer_reach reach,
		       const char *why)
{
	struct event event = {.type = EVENT_PEER_REACH};

	event.peer.session = session;
	event.peer.reach = reach;
	event.peer.why = why;
	fixture_step(fixture, event);
}

static uint64_t stranger(struct fixture *fixture)
{
	uint64_t conn = fixture->conn_next++;
	struct event event = {.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, conn}};

	event.session.binding = BIND_NATIVE;
	event.session.name = "stranger";
	fixture_step(fixture, event);
	assert_non_null(fixture_sent(fixture, SEND_WELCOME, 0));
	return conn;
}

static bool traced(const struct fixture *fixture, enum trace_what what)
{
	for (size_t i = 0; i < fixture->fx.count; i++)
		if (fixture->fx.v[i].type == EFFECT_TRACE && fixture->fx.v[i].trace.what == what)
			return true;
	return false;
}

static struct claim_view seen(const struct fixture *fixture, uint64_t claim)
{
	struct claim_view view;

	assert_true(core_claim(fixture->core, claim, fixture->now, &view));
	return view;
}

/* Nobody knows whether it lives: it keeps all it holds for as long as it was told, is never
 * signalled, and nobody waits for a kill that cannot be. */
static void test_unknown_is_alive(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = stranger(fixture), b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 next = fixture_wait(fixture, b, LEASE_CHAT);

	assert_non_null(seen(fixture, held).unwatched);
	assert_null(seen(fixture, next).unwatched);
	fixture_close(fixture, a);
	fixture_pass(fixture, core_linger_ms(&fixture->config, BIND_NATIVE) - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_alive(fixture, b);
	fixture_pass(fixture, 1);
	assert_null(fixture_signal(fixture, SIGTERM));
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
}

/* Its waiting claims need nobody's GPU: they end like those of any other. */
static void test_unknown_waits(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"), b = stranger(fixture), held, waits;

	held = fixture_hold(fixture, a, LEASE_CHAT);
	waits = fixture_wait(fixture, b, LEASE_CHAT);
	fixture_close(fixture, b);
	fixture_pass(fixture, fixture->config.native_linger_ms);
	assert_int_equal(fixture_end(fixture, waits), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
}

/* A connected one that does not give back what was revoked: no signal, no kill wait, its grace. */
static void test_unknown_is_revoked(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = stranger(fixture), held = fixture_hold(fixture, a, LEASE_CHAT);

	fixture_admin(fixture, ADMIN_REVOKE, held);
	assert_null(fixture_signal(fixture, SIGTERM));
	assert_int_equal(fixture_sent(fixture, SEND_REVOKED, held)->send.grace_ms, 0);
	assert_true(seen(fixture, held).kill_at.v == MONO_NEVER.v);
	fixture_pass(fixture, fixture->config.grace_ms - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	fixture_pass(fixture, 1);
	assert_null(fixture_signal(fixture, SIGKILL));
	assert_int_equal(fixture_end(fixture, held), END_REVOKED);
}

/* It lost its connection while it had its grace: as one that was away before. */
static void test_unknown_leaves_in_its_grace(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT), next;

	next = fixture_wait(fixture, b, LEASE_CHAT);
	fixture_admin(fixture, ADMIN_REVOKE, held);
	assert_non_null(fixture_signal(fixture, SIGTERM));
	peer_reach(fixture, fixture_session_id(fixture, a), PEER_UNKNOWN, "no pidfd");
	fixture_pass(fixture, fixture->config.grace_ms - 100);
	fixture_close(fixture, a);
	fixture_pass(fixture, core_linger_ms(&fixture->config, BIND_NATIVE) - 1);
	fixture_alive(fixture, b);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	assert_null(fixture_signal(fixture, SIGKILL));
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_ENDED);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
}

/* One that is not connected may not know of the revoke: its linger counts. */
static void test_unknown_is_revoked_unheard(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = stranger(fixture), held = fixture_hold(fixture, a, LEASE_CHAT);

	fixture_close(fixture, a);
	fixture_admin(fixture, ADMIN_REVOKE, held);
	fixture_pass(fixture, core_linger_ms(&fixture->config, BIND_NATIVE) - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_ENDED);
}

/* What could not be watched can be later, and is then signalled like any other. */
static void test_reached_later(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t session = fixture_session_id(fixture, a);

	peer_reach(fixture, session, PEER_UNKNOWN, "Too many open files");
	assert_true(traced(fixture, TRACE_UNWATCHED));
	assert_string_equal(seen(fixture, held).unwatched, "Too many open files");
	peer_reach(fixture, session, PEER_REACHED, NULL);
	assert_null(seen(fixture, held).unwatched);
	fixture_close(fixture, a);
	fixture_pass(fixture, fixture->config.native_linger_ms);
	assert_non_null(fixture_signal(fixture, SIGTERM));
	peer_reach(fixture, 4711, PEER_UNKNOWN, NULL); /* not known: a no-op */
}

/* Seen but out of reach: its death counts at once, its life like that of an unknown one. */
static void test_watched_only(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = stranger(fixture), session = fixture_session_id(fixture, a), held;

	peer_reach(fixture, session, PEER_WATCHED, NULL);
	held = fixture_hold(fixture, a, LEASE_CHAT);
	assert_null(seen(fixture, held).unwatched);
	fixture_close(fixture, a);
	fixture_pass(fixture, fixture->config.native_linger_ms);
	assert_null(fixture_signal(fixture, SIGTERM));
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	peer_exit(fixture, session, false);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
}

/* A wrapper dies and its job lives: the job is killed at once, nothing waits any more, nobody comes
 * back, and the room is free when the last of it is gone. */
static void test_wrapper_dies(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 waits = fixture_wait(fixture, a, LEASE_CHAT);
	uint64_t session = fixture_session_id(fixture, a),
		 next = fixture_wait(fixture, b, LEASE_CHAT);

	peer_exit(fixture, session, true);
	assert_true(traced(fixture, TRACE_EXITED) && traced(fixture, TRACE_KILLED));
	assert_null(fixture_signal(fixture, SIGTERM));
	assert_int_equal(fixture_signal(fixture, SIGKILL)->signal.session, session);
	assert_int_equal(fixture_end(fixture, waits), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	assert_int_equal(fixture_why(fixture, next), WHY_STOPPING);
	fixture_resume(fixture, BIND_NATIVE, session);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	peer_exit(fixture, session, true); /* said again: a no-op */
	assert_null(fixture_signal(fixture, SIGKILL));
	peer_exit(fixture, session, false);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
	assert_int_equal(fixture->session_count, 1);
}

/* The same while the job is off the GPU and waits: nobody would ever let it go on. */
static void test_wrapper_dies_of_a_moved_job(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 session = fixture_session_id(fixture, a);
	(void)fixture_wait(fixture, b, LEASE_CHAT);
	fixture_step(fixture,
		     (struct event){.type = EVENT_RELEASE,
				    .from = party_of(PARTY_SESSION, a),
				    .release = {.lease = held, .requeue = true, .moved = true}});
	assert_int_equal(fixture_state(fixture, held), CLAIM_QUEUED);

	peer_exit(fixture, session, true);
	assert_int_equal(fixture_signal(fixture, SIGKILL)->signal.session, session);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
	peer_exit(fixture, session, true);
	assert_null(fixture_signal(fixture, SIGKILL));
	peer_exit(fixture, session, false);
	assert_int_equal(fixture->session_count, 1);
}

/* What even SIGKILL does not end is not waited for without limit. */
static void test_rest_is_stuck(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);

	peer_exit(fixture, fixture_session_id(fixture, a), true);
	fixture_pass(fixture, fixture->config.kill_wait_ms - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
	assert_int_equal(fixture->session_count, 0);
}

static uint64_t hold_with_grace(struct fixture *fixture, uint64_t conn, int64_t grace_ms)
{
	struct event want = fixture_want(BIND_NATIVE, LEASE_BACKGROUND, NULL);
	uint64_t held;

	want.acquire.uninterruptible_ms = grace_ms;
	held = fixture_ask(fixture, conn, want);
	fixture_accept(fixture, conn, held);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	return held;
}

/* SIGKILL comes when the declared grace is over, and until then the lease is being stopped. */
static void test_declared_grace(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = hold_with_grace(fixture, a, 8000),
		 next = fixture_wait(fixture, b, LEASE_CHAT);
	struct why why;

	fixture_admin(fixture, ADMIN_REVOKE, held);
	assert_non_null(fixture_signal(fixture, SIGTERM));
	assert_int_equal(fixture_sent(fixture, SEND_REVOKED, held)->send.grace_ms, 8000);
	assert_int_equal(mono_since(seen(fixture, held).kill_at, fixture->now), 8000);
	core_why(fixture->core, next, fixture->now, &why);
	assert_int_equal(why.code, WHY_STOPPING);
	assert_int_equal(why.left_ms, 8000 + fixture->config.kill_wait_ms);
	fixture_pass(fixture, 7999);
	assert_null(fixture_signal(fixture, SIGKILL));
	fixture_pass(fixture, 1);
	assert_non_null(fixture_signal(fixture, SIGKILL));
	assert_int_equal(mono_since(seen(fixture, held).kill_at, fixture->now), 0);
	assert_int_equal(fixture_state(fixture, next), CLAIM_QUEUED);
}

/* It heard its signal at the yield: what is left of its grace then, and never less than the usual
 * one. */
static void test_grace_is_had_once(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = hold_with_grace(fixture, a, 8000);

	fixture_wait(fixture, b, LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	fixture_pass(fixture, 8000);
	assert_non_null(fixture_signal(fixture, SIGTERM));
	assert_int_equal(mono_since(seen(fixture, held).kill_at, fixture->now),
			 fixture->config.grace_ms);
	fixture_release(fixture, a, held, false); /* it has stopped: the next is served at once */
	assert_int_equal(fixture_end(fixture, held), END_REVOKED);
	assert_int_equal(fixture_count(fixture, SEND_OFFERED), 1);
}

static void test_revoked_while_yielding(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = hold_with_grace(fixture, a, 8000);

	fixture_wait(fixture, b, LEASE_VOICE);
	fixture_pass(fixture, 3000);
	fixture_admin(fixture, ADMIN_REVOKE, held);
	assert_int_equal(fixture_sent(fixture, SEND_REVOKED, held)->send.grace_ms, 5000);
	a = fixture_resume(fixture, BIND_NATIVE, fixture_session_id(fixture, a));
	assert_int_equal(fixture_sent(fixture, SEND_REVOKED, held)->send.grace_ms, 5000);
}

/* People can tell a clean leave from a loss, and a loss from a death. */
static void test_told_apart(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");

	fixture_step(fixture, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, a}});
	assert_true(traced(fixture, TRACE_BYE) && !traced(fixture, TRACE_DETACHED));
	fixture_close(fixture, b);
	assert_true(traced(fixture, TRACE_DETACHED) && !traced(fixture, TRACE_BYE));
	peer_exit(fixture, 2, false);
	assert_true(traced(fixture, TRACE_GONE));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_unknown_is_alive),
		TEST(test_unknown_waits),
		TEST(test_unknown_is_revoked),
		TEST(test_unknown_is_revoked_unheard),
		TEST(test_unknown_leaves_in_its_grace),
		TEST(test_reached_later),
		TEST(test_watched_only),
		TEST(test_wrapper_dies),
		TEST(test_wrapper_dies_of_a_moved_job),
		TEST(test_rest_is_stuck),
		TEST(test_declared_grace),
		TEST(test_grace_is_had_once),
		TEST(test_revoked_while_yielding),
		TEST(test_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
