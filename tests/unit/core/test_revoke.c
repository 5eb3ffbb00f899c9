/* Goal: a lease can always be taken back, and the room is free when its holder must have stopped,
 * no sooner (CASES.md S2, S15, S16, C13, C44, P1, P2, E5, E6). */
#include <signal.h>
#include <stdio.h>

#include "fixture.h"

static void yielding(struct fixture *fixture, uint64_t conn, uint64_t lease, int64_t need_ms)
{
	struct event event = {.type = EVENT_YIELDING, .from = {PARTY_SESSION, conn}};

	event.renew.lease = lease;
	event.renew.ttl_ms = need_ms;
	fixture_step(fixture, event);
}

/* E6, S15: a tab that ignores the wish is revoked after its grace; the next waits for the
 * lock-delay. */
static void test_ignored_by_tab(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 v = fixture_session(fixture, BIND_NATIVE, "v");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND),
		 voice = fixture_wait(fixture, v, LEASE_VOICE);

	assert_int_equal(fixture_why(fixture, voice), WHY_YIELDING);
	fixture_pass(fixture, fixture->config.grace_ms - 1);
	assert_false(fixture_row(fixture, held)->revoked);
	fixture_pass(fixture, 1);
	assert_true(fixture_row(fixture, held)->revoked);
	assert_non_null(fixture_sent(fixture, SEND_REVOKED, held));
	assert_int_equal(fixture_why(fixture, voice), WHY_LOCK_DELAY);
	fixture_pass(fixture, fixture->config.lock_delay_ms - 1);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_QUEUED);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_end(fixture, held), END_REVOKED);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_OFFERED);
}

/* A tab that confirms that it stopped frees the room before the lock-delay is over. */
static void test_confirmed_by_tab(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 v = fixture_session(fixture, BIND_NATIVE, "v");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND),
		 voice = fixture_wait(fixture, v, LEASE_VOICE);

	fixture_pass(fixture, fixture->config.grace_ms);
	fixture_release(fixture, a, held, true);
	assert_int_equal(fixture_sent(fixture, SEND_RELEASED, held)->send.end, END_REVOKED);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_OFFERED);
}

/* A native holder is told by signals: at once, then for good; if even its death is not seen, the
 * room is taken as free after the kill wait. */
static void test_ignored_by_native(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"),
		 v = fixture_session(fixture, BIND_NATIVE, "v");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND),
		 voice = fixture_wait(fixture, v, LEASE_VOICE);

	fixture_pass(fixture, fixture->config.grace_ms);
	assert_non_null(fixture_signal(fixture, SIGTERM));
	assert_null(fixture_signal(fixture, SIGKILL));
	fixture_pass(fixture, fixture->config.grace_ms);
	assert_non_null(fixture_signal(fixture, SIGKILL));
	fixture_pass(fixture, fixture->config.kill_wait_ms - 1);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_QUEUED);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_end(fixture, held), END_REVOKED);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_OFFERED);
}

/* What a holder declared that cannot be interrupted is respected, up to the greatest grace. */
static void test_uninterruptible(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 v = fixture_session(fixture, BIND_NATIVE, "v");
	struct event want = fixture_want(BIND_TAB, LEASE_BACKGROUND, NULL);
	uint64_t held;

	want.acquire.uninterruptible_ms = 3600000;
	held = fixture_ask(fixture, a, want);
	fixture_accept(fixture, a, held);
	fixture_wait(fixture, v, LEASE_VOICE);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, held)->send.grace_ms,
			 fixture->config.grace_ms_max);
}

/* `yielding` says what a step still needs, and buys no time: the grace is what the claim declared,
 * for others were told how long they wait at most. */
static void test_yielding_extends_nothing(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 v = fixture_session(fixture, BIND_NATIVE, "v");
	struct event want = fixture_want(BIND_TAB, LEASE_BACKGROUND, NULL);
	uint64_t held;

	want.acquire.uninterruptible_ms = 5000;
	held = fixture_ask(fixture, a, want);
	fixture_accept(fixture, a, held);
	yielding(fixture, a, held, 5000);
	assert_int_equal(fixture_error(fixture), ERR_STATE);
	fixture_wait(fixture, v, LEASE_VOICE);
	fixture_pass(fixture, 1000);
	yielding(fixture, a, held, 3600000);
	assert_int_equal(fixture_sent(fixture, SEND_RENEWED, held)->send.expires_ms, 4000);
	fixture_pass(fixture, 3999);
	assert_false(fixture_row(fixture, held)->revoked);
	fixture_pass(fixture, 1);
	assert_true(fixture_row(fixture, held)->revoked);
	yielding(fixture, a, held, 1000);
	assert_int_equal(fixture_error(fixture), ERR_REVOKED);
}

/* Nobody is stopped for a waiter that has left: the holder is told that it may keep its lease, its
 * turn goes on as it was, and the next one who needs it asks anew. */
static void test_not_for_nobody(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 v = fixture_session(fixture, BIND_TAB, "v");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND),
		 voice = fixture_wait(fixture, v, LEASE_VOICE);
	struct mono_ms turn_since = fixture_row(fixture, held)->turn_since;

	fixture_release(fixture, v, voice, false);
	assert_int_equal(fixture_end(fixture, voice), END_CANCELLED);
	fixture_pass(fixture, fixture->config.grace_ms);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	assert_int_equal(fixture_row(fixture, held)->turn_since.v, turn_since.v);
	fixture_pass(fixture, fixture->config.min_run_ms);
	fixture_wait(fixture, v, LEASE_CHAT);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	fixture_pass(fixture, fixture->config.grace_ms - 1);
	assert_false(fixture_row(fixture, held)->revoked);
	fixture_pass(fixture, 1);
	assert_true(fixture_row(fixture, held)->revoked);
}

/* C13: after the revoke the token is refused for everything, and stays so. */
static void test_token_is_dead(void **state)
{
	struct fixture *fixture = *state;
	uint64_t held = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "plain"));
	struct token token = fixture_row(fixture, held)->token;
	struct event renew = {.type = EVENT_RENEW, .from = {PARTY_EXCHANGE, 900}};

	fixture_admin(fixture, ADMIN_REVOKE, held);
	renew.renew.token = &token;
	fixture_step(fixture, renew);
	assert_int_equal(fixture_error(fixture), ERR_REVOKED);
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, held), END_REVOKED);
	fixture_step(fixture, renew);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
}

/* S16, P2: reset revokes the holder; the next is served only when the old one must have stopped. */
static void test_reset(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 next = fixture_wait(fixture, b, LEASE_CHAT);

	fixture_admin(fixture, ADMIN_RESET, 0);
	assert_int_equal(fixture_sent(fixture, SEND_OK, 0)->send.lease, 1);
	assert_non_null(fixture_sent(fixture, SEND_REVOKED, held));
	assert_int_equal(fixture_state(fixture, next), CLAIM_QUEUED);
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, held), END_REVOKED);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
}

/* P1, C44, E5: force-release-all with 50 waiters tells nobody "granted", and all the same end;
 * twice at once does no more. */
static void test_force_release_all(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	uint64_t waits[50], fresh;
	char name[16];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "plain-%d", i);
		waits[i] = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, name));
	}
	fixture_admin(fixture, ADMIN_FORCE_RELEASE_ALL, 0);
	assert_int_equal(fixture_count(fixture, SEND_GRANTED), 0);
	assert_int_equal(fixture_count(fixture, SEND_RELEASED), 50);
	assert_int_equal(fixture_sent(fixture, SEND_OK, 0)->send.lease, 51);
	for (int i = 0; i < 50; i++)
		assert_int_equal(fixture_end(fixture, waits[i]), END_FORCE_RELEASED);
	fixture_admin(fixture, ADMIN_FORCE_RELEASE_ALL, 0);
	assert_int_equal(fixture_sent(fixture, SEND_OK, 0)->send.lease, 0);
	fresh = fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "fresh"));
	assert_int_equal(fixture_state(fixture, fresh), CLAIM_QUEUED);
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, held), END_FORCE_RELEASED);
	assert_int_equal(fixture_state(fixture, fresh), CLAIM_HELD);
}

/* An operator's wish for one lease is enforced even if nobody waits; each act is written down. */
static void test_operator_yield(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 held = fixture_hold(fixture, a, LEASE_CHAT);
	bool audited = false;

	fixture_admin(fixture, ADMIN_YIELD, held);
	for (size_t i = 0; i < fixture->fx.count; i++) {
		const struct record *record = &fixture->fx.v[i].record;
		if (fixture->fx.v[i].type != EFFECT_APPEND || record->type != RECORD_AUDIT)
			continue;
		audited = true;
		assert_string_equal(record->admin.act, "yield");
		assert_string_equal(record->admin.who, "uid 1000");
		assert_int_equal(record->admin.lease, held);
	}
	assert_true(audited);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, held)->send.reason, YIELD_OPERATOR);
	assert_string_equal(fixture_sent(fixture, SEND_YIELD, held)->send.detail, "test");
	fixture_pass(fixture, fixture->config.grace_ms + fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, held), END_REVOKED);
	fixture_admin(fixture, ADMIN_YIELD, held);
	assert_int_equal(fixture_error(fixture), ERR_NOT_FOUND);
}

/* Paused: requests queue and are told why; nobody is granted, or asked to make room, until resumed.
 */
static void test_pause(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 v = fixture_session(fixture, BIND_TAB, "v");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND), voice;
	struct event want = fixture_want(BIND_HTTP, LEASE_CHAT, "impatient");

	fixture_admin(fixture, ADMIN_PAUSE, 0);
	voice = fixture_wait(fixture, v, LEASE_VOICE);
	assert_int_equal(fixture_why(fixture, voice), WHY_PAUSED);
	assert_int_equal(core_bound_ms(fixture->core, voice, fixture->now), -1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_release(fixture, a, held, false);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_QUEUED);
	want.acquire.no_wait = true;
	assert_int_equal(fixture_ask(fixture, 0, want), 0);
	assert_int_equal(fixture_error(fixture), ERR_PAUSED);
	fixture_restart(fixture, true);
	fixture_resume(fixture, BIND_TAB, fixture->sessions[1].id);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_QUEUED);
	fixture_admin(fixture, ADMIN_RESUME, 0);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_OFFERED);
}

/* S20: without a journal nothing new is granted or queued; releases and renewals still work. */
static void test_journal_down(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_CHAT),
		 next = fixture_wait(fixture, b, LEASE_CHAT);

	fixture_step(fixture, (struct event){.type = EVENT_JOURNAL, .journal.ok = false});
	assert_int_equal(fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "new")), 0);
	assert_int_equal(fixture_error(fixture), ERR_JOURNAL);
	fixture_release(fixture, a, held, false);
	assert_non_null(fixture_sent(fixture, SEND_RELEASED, held));
	assert_int_equal(fixture_state(fixture, next), CLAIM_QUEUED);
	assert_int_equal(fixture_why(fixture, next), WHY_JOURNAL);
	fixture_step(fixture, (struct event){.type = EVENT_JOURNAL, .journal.ok = true});
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_ignored_by_tab),
		TEST(test_confirmed_by_tab),
		TEST(test_ignored_by_native),
		TEST(test_uninterruptible),
		TEST(test_yielding_extends_nothing),
		TEST(test_not_for_nobody),
		TEST(test_token_is_dead),
		TEST(test_reset),
		TEST(test_force_release_all),
		TEST(test_operator_yield),
		TEST(test_pause),
		TEST(test_journal_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
