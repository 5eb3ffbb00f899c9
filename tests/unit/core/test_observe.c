/* Goal: observe mode: everything is granted at once and says so, nobody is asked, stopped or
 * signalled but by an operator; and from one moment to the next the rules come into force, with
 * whoever is there left alone. */
#include "fixture.h"

#include <signal.h>

static void observe(struct fixture *fixture, bool on)
{
	fixture->config.observe = on;
	fixture_configure(fixture);
}

static int setup(void **state)
{
	fixture_setup(state);
	observe(*state, true);
	return 0;
}

static bool would_wait(const struct fixture *fixture, uint64_t lease)
{
	const struct claim_record *row = fixture_row(fixture, lease);

	assert_true(row->observed || !row->would_wait);
	return row->would_wait;
}

static void assert_left_alone(const struct fixture *fixture)
{
	assert_int_equal(fixture_count(fixture, SEND_YIELD), 0);
	assert_int_equal(fixture_count(fixture, SEND_REVOKED), 0);
	assert_null(fixture_signal(fixture, SIGTERM));
	assert_null(fixture_signal(fixture, SIGKILL));
}

static const struct trace_effect *traced(const struct fixture *fixture, enum trace_what what)
{
	for (size_t i = 0; i < fixture->fx.count; i++)
		if (fixture->fx.v[i].type == EFFECT_TRACE && fixture->fx.v[i].trace.what == what)
			return &fixture->fx.v[i].trace;
	return NULL;
}

static enum bound_none bound_none(const struct fixture *fixture, uint64_t claim)
{
	struct bound bound;

	core_bound(fixture->core, claim, fixture->now, &bound);
	return bound.none;
}

/* The second is granted beside the first, and both answer and record say so. */
static void test_both_at_once(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t first = fixture_hold(fixture, a, LEASE_BACKGROUND), second;
	struct core_stats stats;

	assert_true(fixture_row(fixture, first)->observed);
	assert_false(would_wait(fixture, first));
	second = fixture_ask(fixture, b, fixture_want(BIND_NATIVE, LEASE_VOICE, NULL));
	assert_true(fixture_sent(fixture, SEND_OFFERED, second)->send.would_wait);
	assert_int_equal(traced(fixture, TRACE_COLLIDES)->other, first);
	fixture_accept(fixture, b, second);
	assert_true(fixture_sent(fixture, SEND_GRANTED, second)->send.observed);
	assert_true(fixture_sent(fixture, SEND_GRANTED, second)->send.would_wait);
	assert_true(would_wait(fixture, second));
	core_stats(fixture->core, &stats);
	assert_true(stats.observe);
	assert_int_equal(stats.would_wait[LEASE_VOICE], 1);
	assert_int_equal(stats.would_wait[LEASE_BACKGROUND], 0);
	fixture_release(fixture, a, first, false);
	fixture_release(fixture, b, second, false);
	first = fixture_hold(fixture, a, LEASE_CHAT);
	assert_false(would_wait(fixture, first));
}

/* Who would not wait, and who asks for more than there is, or more than one may have. */
static void test_nothing_is_refused(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"), lease;
	struct event now = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);

	fixture_gpus(fixture, 2, 1, 8 * GIB);
	fixture->config.held_per_principal_max = 2;
	fixture_configure(fixture);
	lease = fixture_take(fixture, a, fixture_need(LEASE_CHAT, 1, 24 * GIB));
	assert_true(would_wait(fixture, lease));
	lease = fixture_take(fixture, a, fixture_need(LEASE_CHAT, 3, 0));
	assert_true(would_wait(fixture, lease));
	now.acquire.no_wait = true;
	for (int i = 0; i < 80; i++)
		fixture_take(fixture, a, now);
	lease = fixture_take(fixture, a, fixture_need(LEASE_CHAT, 0, 6 * GIB));
	lease = fixture_take(fixture, a, fixture_need(LEASE_CHAT, 0, 6 * GIB));
	lease = fixture_take(fixture, a, fixture_need(LEASE_CHAT, 0, 6 * GIB));
	assert_true(would_wait(fixture, lease));
	assert_int_equal(core_waiting_count(fixture->core), 0);
	/* What no GPU can be named for is refused as ever. */
	struct event nowhere = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);
	nowhere.acquire.need.gpu_mask = 1u << 7;
	assert_int_equal(fixture_ask(fixture, a, nowhere), 0);
	assert_int_equal(fixture_error(fixture), ERR_NO_GPU);
}

/* It keeps off whom it need not disturb. */
static void test_the_emptier_gpu(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"), leases[4];

	fixture_gpus(fixture, 2, 1, 0);
	fixture_configure(fixture);
	for (int i = 0; i < 4; i++)
		leases[i] = fixture_hold(fixture, a, LEASE_CHAT);
	assert_int_not_equal(fixture_row(fixture, leases[2])->granted_mask,
			     fixture_row(fixture, leases[3])->granted_mask);
}

/* No hold limit, no preemption, no eviction, however long the others have to put up with it. */
static void test_nobody_is_asked(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t b = fixture_session(fixture, BIND_NATIVE, "b");
	struct event resident = fixture_need(LEASE_BACKGROUND, 0, GIB);
	uint64_t first, second, kept;

	resident.acquire.evictable = true;
	kept = fixture_take(fixture, a, resident);
	first = fixture_hold(fixture, a, LEASE_BACKGROUND);
	second = fixture_take(fixture, b, fixture_need(LEASE_VOICE, 1, GIB));
	for (int i = 0; i < 100; i++) {
		fixture_pass(fixture, 30000);
		assert_left_alone(fixture);
	}
	assert_int_equal(fixture_state(fixture, kept), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, first), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, second), CLAIM_HELD);
}

/* A silent page and a silent program keep what they have while their connections stand. */
static void test_silence(void **state)
{
	struct fixture *fixture = *state;
	uint64_t tab = fixture_session(fixture, BIND_TAB, "tab");
	uint64_t lease = fixture_take(fixture, tab, fixture_want(BIND_TAB, LEASE_CHAT, NULL));

	for (int i = 0; i < 20; i++) {
		fixture_pass(fixture, 20000);
		assert_left_alone(fixture);
	}
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	fixture_close(fixture, tab);
	fixture_pass(fixture, 3000);
	assert_int_equal(fixture_end(fixture, lease), END_DISCONNECTED);
}

/* A program whose connection is gone goes on, and its lease with it, until it ends. */
static void test_broken_connection(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t session = fixture_session_id(fixture, a);
	uint64_t lease = fixture_hold(fixture, a, LEASE_CHAT);
	struct event gone = {.type = EVENT_PEER_EXIT};

	fixture_close(fixture, a);
	for (int i = 0; i < 20; i++) {
		fixture_pass(fixture, 60000);
		assert_left_alone(fixture);
	}
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	a = fixture_resume(fixture, BIND_NATIVE, session);
	assert_non_null(fixture_sent(fixture, SEND_CLAIM, lease));
	assert_true(fixture_sent(fixture, SEND_CLAIM, lease)->send.observed);
	fixture_close(fixture, a);
	fixture_pass(fixture, 60000);
	gone.peer.session = session;
	fixture_step(fixture, gone);
	assert_int_equal(fixture_end(fixture, lease), END_DISCONNECTED);
}

/* The leader is gone and its workers live: they are not killed, and the lease ends with them. */
static void test_workers_left(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t lease = fixture_hold(fixture, a, LEASE_CHAT);
	struct event exit = {.type = EVENT_PEER_EXIT};

	exit.peer.session = fixture_session_id(fixture, a);
	exit.peer.rest = true;
	fixture_step(fixture, exit);
	assert_left_alone(fixture);
	fixture_pass(fixture, 3600000);
	assert_left_alone(fixture);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	exit.peer.rest = false;
	fixture_step(fixture, exit);
	assert_int_equal(fixture_end(fixture, lease), END_DISCONNECTED);
}

static void test_loads_for_ever(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"), lease;
	struct event want = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);

	want.acquire.loads = true;
	lease = fixture_ask(fixture, a, want);
	fixture_accept(fixture, a, lease);
	fixture_pass(fixture, 10 * fixture->config.load_ms_max);
	assert_left_alone(fixture);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_LOADING);
}

/* .. but one that nobody renews ends, also where both times are over at once. */
static void test_loads_unrenewed(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "a");
	uint64_t lease;

	want.acquire.loads = true;
	want.acquire.ttl_ms = fixture->config.load_ms_max;
	lease = fixture_ask(fixture, 0, want);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_LOADING);
	fixture_pass(fixture, fixture->config.load_ms_max);
	assert_int_equal(fixture_row(fixture, lease)->revoked, true);
	assert_int_equal(fixture_row(fixture, lease)->end_as, END_EXPIRED);
}

/* In place it grows beside the others, too. */
static void test_change(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"), lease;
	struct event change = {.type = EVENT_CHANGE, .from = party_of(PARTY_SESSION, a)};

	fixture_gpus(fixture, 1, 1, 8 * GIB);
	fixture_configure(fixture);
	lease = fixture_take(fixture, a, fixture_need(LEASE_CHAT, 1, GIB));
	assert_false(would_wait(fixture, lease));
	change.change.lease = lease;
	change.change.need = (struct need){.slots = 1, .vram_bytes = 24 * GIB};
	fixture_step(fixture, change);
	assert_non_null(fixture_sent(fixture, SEND_CHANGED, lease));
	assert_true(would_wait(fixture, lease));
}

/* An operator's word counts: pause, yield and revoke do what they say. */
static void test_operator(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t first = fixture_hold(fixture, a, LEASE_CHAT), second;

	fixture_admin(fixture, ADMIN_PAUSE, 0);
	second = fixture_wait(fixture, a, LEASE_CHAT);
	fixture_pass(fixture, 60000);
	assert_int_equal(fixture_why(fixture, second), WHY_PAUSED);
	fixture_admin(fixture, ADMIN_RESUME, 0);
	assert_int_equal(fixture_state(fixture, second), CLAIM_OFFERED);
	fixture_admin(fixture, ADMIN_YIELD, first);
	assert_non_null(fixture_sent(fixture, SEND_YIELD, first));
	fixture_admin(fixture, ADMIN_REVOKE, first);
	assert_non_null(fixture_signal(fixture, SIGTERM));
}

/* .. also where the host of whom he asked ends meanwhile, which alone would stop nobody here (seed
 * 15512). */
static void test_operator_and_host(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server");
	uint64_t c = fixture_session(fixture, BIND_NATIVE, "c"), host, guest;
	struct event model = fixture_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	struct event request = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);

	model.acquire.guests = 1;
	host = fixture_ask(fixture, s, model);
	fixture_accept(fixture, s, host);
	request.acquire.host = host;
	guest = fixture_ask(fixture, c, request);
	fixture_accept(fixture, c, guest);

	fixture_admin(fixture, ADMIN_YIELD, host);
	assert_non_null(fixture_sent(fixture, SEND_YIELD, guest));
	fixture_release(fixture, s, host, false);
	assert_int_equal(fixture_sent(fixture, SEND_REVOKED, guest)->send.reason, YIELD_HOST_OVER);
	assert_non_null(fixture_signal(fixture, SIGTERM));
}

/* Whom the rules had asked before the mode began is told to keep what it has, also where a broker
 * that was restarted meanwhile remembers only that it was asked (seed 629). */
static void test_asked_before(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, lease;

	observe(fixture, false);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	lease = fixture_hold(fixture, a, LEASE_BACKGROUND);
	fixture_wait(fixture, fixture_session(fixture, BIND_NATIVE, "b"), LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_YIELDING);
	fixture_restart(fixture, true);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_YIELDING);
	observe(fixture, true);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	fixture_pass(fixture, 60000);
	assert_null(fixture_signal(fixture, SIGTERM));
}

/* Nobody is protected by a doubt, so it stops nobody. */
static void test_in_doubt(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a;

	fixture->in_doubt_ms = 60000;
	fixture_restart(fixture, true);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	fixture_hold(fixture, a, LEASE_CHAT);
	observe(fixture, false);
	fixture_wait(fixture, a, LEASE_CHAT);
	assert_true(core_in_doubt(fixture->core, fixture->now));
}

/* The switch: who overlaps is left alone, nothing more is granted until there is room, and then
 * waits are promised again. */
static void test_enforce(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t first = fixture_hold(fixture, a, LEASE_BACKGROUND);
	uint64_t second = fixture_hold(fixture, b, LEASE_BACKGROUND), voice, last;

	observe(fixture, false);
	voice = fixture_wait(fixture, c, LEASE_VOICE);
	assert_int_equal(fixture_why(fixture, voice), WHY_OBSERVED);
	assert_int_equal(bound_none(fixture, voice), BOUND_OBSERVED);
	for (int i = 0; i < 20; i++) {
		fixture_pass(fixture, 15000);
		assert_left_alone(fixture);
	}
	fixture_release(fixture, a, first, false);
	fixture_pass(fixture, 60000);
	assert_left_alone(fixture);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_QUEUED);
	last = fixture_wait(fixture, a, LEASE_CHAT);
	assert_int_equal(bound_none(fixture, last), BOUND_OBSERVED);
	fixture_release(fixture, b, second, false);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_OFFERED);
	fixture_accept(fixture, c, voice);
	assert_false(fixture_row(fixture, voice)->observed);
	assert_int_equal(bound_none(fixture, last), BOUND_GIVEN);
	/* From here on by the rules. */
	fixture_pass(fixture, fixture->config.classes[LEASE_VOICE].hold_ms_max - 1000);
	fixture_alive(fixture, c);
	fixture_pass(fixture, 2000);
	assert_int_not_equal(fixture_state(fixture, voice), CLAIM_HELD);
}

/* Of two slots one is left: it is given by the rules, to whom it is enough for. */
static void test_enforce_with_a_slot_left(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t both, one, two;

	fixture_gpus(fixture, 1, 2, 0);
	fixture_configure(fixture);
	fixture_hold(fixture, a, LEASE_BACKGROUND);
	observe(fixture, false);
	both = fixture_ask(fixture, b, fixture_need(LEASE_VOICE, 2, 0));
	assert_int_equal(fixture_state(fixture, both), CLAIM_QUEUED);
	one = fixture_hold(fixture, b, LEASE_CHAT);
	two = fixture_wait(fixture, a, LEASE_VOICE);
	assert_non_null(fixture_sent(fixture, SEND_YIELD, one));
	assert_int_equal(bound_none(fixture, two), BOUND_OBSERVED);
}

/* The other way: who waits is granted at once, and who was asked to give way need not. */
static void test_observe_while_it_runs(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t b = fixture_session(fixture, BIND_NATIVE, "b"), held, voice;

	observe(fixture, false);
	held = fixture_hold(fixture, a, LEASE_BACKGROUND);
	fixture_pass(fixture, 10000);
	voice = fixture_wait(fixture, b, LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	observe(fixture, true);
	assert_non_null(fixture_sent(fixture, SEND_KEEP, held));
	assert_int_equal(fixture_state(fixture, voice), CLAIM_OFFERED);
	assert_true(would_wait(fixture, voice));
	fixture_accept(fixture, b, voice);
	fixture_pass(fixture, 600000);
	assert_left_alone(fixture);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	/* The one that was granted by the rules is subject to them again. */
	observe(fixture, false);
	fixture_wait(fixture, b, LEASE_VOICE);
	fixture_pass(fixture, 1000);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_HELD);
}

/* A restart forgets nothing of it, in whichever mode it comes back. */
static void test_restart(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t first = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t second = fixture_hold(fixture, b, LEASE_CHAT), third;

	fixture->config.observe = false;
	fixture_restart(fixture, true);
	assert_true(would_wait(fixture, second));
	fixture_pass(fixture, 600000);
	assert_left_alone(fixture);
	assert_int_equal(fixture_state(fixture, first), CLAIM_HELD);
	a = fixture_session(fixture, BIND_NATIVE, "c");
	third = fixture_wait(fixture, a, LEASE_CHAT);
	assert_int_equal(fixture_why(fixture, third), WHY_OBSERVED);
}

/* .. but of an offer that was not taken up nothing is left: who waits again waits by the rules. */
static void test_restart_within_an_offer(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a");
	uint64_t b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t first = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t second = fixture_ask(fixture, b, fixture_need(LEASE_CHAT, 1, 0));
	uint64_t a_session = fixture_session_id(fixture, a),
		 b_session = fixture_session_id(fixture, b);

	assert_int_equal(fixture_state(fixture, second), CLAIM_OFFERED);
	assert_true(would_wait(fixture, second));
	fixture->config.observe = false;
	fixture_restart(fixture, true);
	a = fixture_resume(fixture, BIND_NATIVE, a_session);
	b = fixture_resume(fixture, BIND_NATIVE, b_session);
	assert_int_equal(fixture_state(fixture, second), CLAIM_QUEUED);
	fixture_release(fixture, a, first, false);
	assert_int_equal(fixture_state(fixture, second), CLAIM_OFFERED);
	assert_false(would_wait(fixture, second));
}

/* A full host is full in observe mode, too: its places are its holder's. */
static void test_places(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"), host, inside, next;
	struct event want = fixture_need(LEASE_CHAT, 0, GIB);

	want.acquire.guests = 1;
	host = fixture_take(fixture, a, want);
	want = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);
	want.acquire.host = host;
	inside = fixture_take(fixture, a, want);
	next = fixture_ask(fixture, a, want);
	assert_int_equal(fixture_state(fixture, next), CLAIM_QUEUED);
	fixture_pass(fixture, 600000);
	assert_left_alone(fixture);
	fixture_release(fixture, a, inside, false);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_both_at_once),
		TEST(test_nothing_is_refused),
		TEST(test_the_emptier_gpu),
		TEST(test_nobody_is_asked),
		TEST(test_silence),
		TEST(test_broken_connection),
		TEST(test_workers_left),
		TEST(test_loads_for_ever),
		TEST(test_loads_unrenewed),
		TEST(test_change),
		TEST(test_operator),
		TEST(test_operator_and_host),
		TEST(test_asked_before),
		TEST(test_in_doubt),
		TEST(test_enforce),
		TEST(test_enforce_with_a_slot_left),
		TEST(test_observe_while_it_runs),
		TEST(test_restart),
		TEST(test_restart_within_an_offer),
		TEST(test_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
