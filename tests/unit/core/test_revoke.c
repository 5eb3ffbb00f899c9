/* Goal: a lease can always be taken back, and the room is free when its holder must have stopped,
 * no sooner (CASES.md S2, S15, S16, C13, C44, P1, P2, E5, E6). */
#include <signal.h>
#include <stdio.h>

#include "rig.h"

static void yielding(struct rig *rig, uint64_t conn, uint64_t lease, int64_t need_ms)
{
	struct event event = {.type = EVENT_YIELDING, .from = {PARTY_SESSION, conn}};

	event.renew.lease = lease;
	event.renew.ttl_ms = need_ms;
	rig_step(rig, event);
}

/* E6, S15: a tab that ignores the wish is revoked after its grace; the next waits for the
 * lock-delay. */
static void test_ignored_by_tab(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), v = rig_session(rig, BIND_NATIVE, "v");
	uint64_t held = rig_hold(rig, a, LEASE_BACKGROUND), voice = rig_wait(rig, v, LEASE_VOICE);

	assert_int_equal(rig_why(rig, voice), WHY_YIELDING);
	rig_pass(rig, rig->config.grace_ms - 1);
	assert_false(rig_row(rig, held)->revoked);
	rig_pass(rig, 1);
	assert_true(rig_row(rig, held)->revoked);
	assert_non_null(rig_sent(rig, SEND_REVOKED, held));
	assert_int_equal(rig_why(rig, voice), WHY_LOCK_DELAY);
	rig_pass(rig, rig->config.lock_delay_ms - 1);
	assert_int_equal(rig_state(rig, voice), CLAIM_QUEUED);
	rig_pass(rig, 1);
	assert_int_equal(rig_end(rig, held), END_REVOKED);
	assert_int_equal(rig_state(rig, voice), CLAIM_OFFERED);
}

/* A tab that confirms that it stopped frees the room before the lock-delay is over. */
static void test_confirmed_by_tab(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), v = rig_session(rig, BIND_NATIVE, "v");
	uint64_t held = rig_hold(rig, a, LEASE_BACKGROUND), voice = rig_wait(rig, v, LEASE_VOICE);

	rig_pass(rig, rig->config.grace_ms);
	rig_release(rig, a, held, true);
	assert_int_equal(rig_sent(rig, SEND_RELEASED, held)->send.end, END_REVOKED);
	assert_int_equal(rig_state(rig, voice), CLAIM_OFFERED);
}

/* A native holder is told by signals: at once, then for good; if even its death is not seen, the
 * room is taken as free after the kill wait. */
static void test_ignored_by_native(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "a"), v = rig_session(rig, BIND_NATIVE, "v");
	uint64_t held = rig_hold(rig, a, LEASE_BACKGROUND), voice = rig_wait(rig, v, LEASE_VOICE);

	rig_pass(rig, rig->config.grace_ms);
	assert_non_null(rig_signal(rig, SIGTERM));
	assert_null(rig_signal(rig, SIGKILL));
	rig_pass(rig, rig->config.grace_ms);
	assert_non_null(rig_signal(rig, SIGKILL));
	rig_pass(rig, rig->config.kill_wait_ms - 1);
	assert_int_equal(rig_state(rig, voice), CLAIM_QUEUED);
	rig_pass(rig, 1);
	assert_int_equal(rig_end(rig, held), END_REVOKED);
	assert_int_equal(rig_state(rig, voice), CLAIM_OFFERED);
}

/* What a holder declared that cannot be interrupted is respected, up to the greatest grace. */
static void test_uninterruptible(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), v = rig_session(rig, BIND_NATIVE, "v");
	struct event want = rig_want(BIND_TAB, LEASE_BACKGROUND, NULL);
	uint64_t held;

	want.acquire.uninterruptible_ms = 3600000;
	held = rig_ask(rig, a, want);
	rig_accept(rig, a, held);
	rig_wait(rig, v, LEASE_VOICE);
	assert_int_equal(rig_sent(rig, SEND_YIELD, held)->send.grace_ms, rig->config.grace_ms_max);
}

/* `yielding` says what a step still needs, and buys no time: the grace is what the claim declared,
 * for others were told how long they wait at most. */
static void test_yielding_extends_nothing(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), v = rig_session(rig, BIND_NATIVE, "v");
	struct event want = rig_want(BIND_TAB, LEASE_BACKGROUND, NULL);
	uint64_t held;

	want.acquire.uninterruptible_ms = 5000;
	held = rig_ask(rig, a, want);
	rig_accept(rig, a, held);
	yielding(rig, a, held, 5000);
	assert_int_equal(rig_error(rig), ERR_STATE);
	rig_wait(rig, v, LEASE_VOICE);
	rig_pass(rig, 1000);
	yielding(rig, a, held, 3600000);
	assert_int_equal(rig_sent(rig, SEND_RENEWED, held)->send.expires_ms, 4000);
	rig_pass(rig, 3999);
	assert_false(rig_row(rig, held)->revoked);
	rig_pass(rig, 1);
	assert_true(rig_row(rig, held)->revoked);
	yielding(rig, a, held, 1000);
	assert_int_equal(rig_error(rig), ERR_REVOKED);
}

/* Nobody is stopped for a waiter that has left: the holder is told that it may keep its lease, its
 * turn goes on as it was, and the next one who needs it asks anew. */
static void test_not_for_nobody(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), v = rig_session(rig, BIND_TAB, "v");
	uint64_t held = rig_hold(rig, a, LEASE_BACKGROUND), voice = rig_wait(rig, v, LEASE_VOICE);
	struct mono_ms turn_since = rig_row(rig, held)->turn_since;

	rig_release(rig, v, voice, false);
	assert_int_equal(rig_end(rig, voice), END_CANCELLED);
	rig_pass(rig, rig->config.grace_ms);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	assert_int_equal(rig_row(rig, held)->turn_since.v, turn_since.v);
	rig_pass(rig, rig->config.min_run_ms);
	rig_wait(rig, v, LEASE_CHAT);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
	rig_pass(rig, rig->config.grace_ms - 1);
	assert_false(rig_row(rig, held)->revoked);
	rig_pass(rig, 1);
	assert_true(rig_row(rig, held)->revoked);
}

/* C13: after the revoke the token is refused for everything, and stays so. */
static void test_token_is_dead(void **state)
{
	struct rig *rig = *state;
	uint64_t held = rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, "plain"));
	struct token token = rig_row(rig, held)->token;
	struct event renew = {.type = EVENT_RENEW, .from = {PARTY_EXCHANGE, 900}};

	rig_admin(rig, ADMIN_REVOKE, held);
	renew.renew.token = &token;
	rig_step(rig, renew);
	assert_int_equal(rig_error(rig), ERR_REVOKED);
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, held), END_REVOKED);
	rig_step(rig, renew);
	assert_int_equal(rig_error(rig), ERR_STALE);
}

/* S16, P2: reset revokes the holder; the next is served only when the old one must have stopped. */
static void test_reset(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), next = rig_wait(rig, b, LEASE_CHAT);

	rig_admin(rig, ADMIN_RESET, 0);
	assert_int_equal(rig_sent(rig, SEND_OK, 0)->send.lease, 1);
	assert_non_null(rig_sent(rig, SEND_REVOKED, held));
	assert_int_equal(rig_state(rig, next), CLAIM_QUEUED);
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, held), END_REVOKED);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
}

/* P1, C44, E5: force-release-all with 50 waiters tells nobody "granted", and all the same end;
 * twice at once does no more. */
static void test_force_release_all(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), held = rig_hold(rig, a, LEASE_CHAT);
	uint64_t waits[50], fresh;
	char name[16];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "plain-%d", i);
		waits[i] = rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, name));
	}
	rig_admin(rig, ADMIN_FORCE_RELEASE_ALL, 0);
	assert_int_equal(rig_count(rig, SEND_GRANTED), 0);
	assert_int_equal(rig_count(rig, SEND_RELEASED), 50);
	assert_int_equal(rig_sent(rig, SEND_OK, 0)->send.lease, 51);
	for (int i = 0; i < 50; i++)
		assert_int_equal(rig_end(rig, waits[i]), END_FORCE_RELEASED);
	rig_admin(rig, ADMIN_FORCE_RELEASE_ALL, 0);
	assert_int_equal(rig_sent(rig, SEND_OK, 0)->send.lease, 0);
	fresh = rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, "fresh"));
	assert_int_equal(rig_state(rig, fresh), CLAIM_QUEUED);
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, held), END_FORCE_RELEASED);
	assert_int_equal(rig_state(rig, fresh), CLAIM_HELD);
}

/* An operator's wish for one lease is enforced even if nobody waits; each act is written down. */
static void test_operator_yield(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), held = rig_hold(rig, a, LEASE_CHAT);
	bool audited = false;

	rig_admin(rig, ADMIN_YIELD, held);
	for (size_t i = 0; i < rig->fx.count; i++) {
		const struct record *record = &rig->fx.v[i].record;
		if (rig->fx.v[i].type != EFFECT_APPEND || record->type != RECORD_AUDIT)
			continue;
		audited = true;
		assert_string_equal(record->admin.act, "yield");
		assert_string_equal(record->admin.who, "uid 1000");
		assert_int_equal(record->admin.lease, held);
	}
	assert_true(audited);
	assert_int_equal(rig_sent(rig, SEND_YIELD, held)->send.reason, YIELD_OPERATOR);
	assert_string_equal(rig_sent(rig, SEND_YIELD, held)->send.detail, "test");
	rig_pass(rig, rig->config.grace_ms + rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, held), END_REVOKED);
	rig_admin(rig, ADMIN_YIELD, held);
	assert_int_equal(rig_error(rig), ERR_NOT_FOUND);
}

/* Paused: requests queue and are told why; nobody is granted, or asked to make room, until resumed.
 */
static void test_pause(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), v = rig_session(rig, BIND_TAB, "v");
	uint64_t held = rig_hold(rig, a, LEASE_BACKGROUND), voice;
	struct event want = rig_want(BIND_HTTP, LEASE_CHAT, "impatient");

	rig_admin(rig, ADMIN_PAUSE, 0);
	voice = rig_wait(rig, v, LEASE_VOICE);
	assert_int_equal(rig_why(rig, voice), WHY_PAUSED);
	assert_int_equal(core_bound_ms(rig->core, voice, rig->now), -1);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_release(rig, a, held, false);
	assert_int_equal(rig_state(rig, voice), CLAIM_QUEUED);
	want.acquire.no_wait = true;
	assert_int_equal(rig_ask(rig, 0, want), 0);
	assert_int_equal(rig_error(rig), ERR_PAUSED);
	rig_restart(rig, true);
	rig_resume(rig, BIND_TAB, rig->sessions[1].id);
	assert_int_equal(rig_state(rig, voice), CLAIM_QUEUED);
	rig_admin(rig, ADMIN_RESUME, 0);
	assert_int_equal(rig_state(rig, voice), CLAIM_OFFERED);
}

/* S20: without a journal nothing new is granted or queued; releases and renewals still work. */
static void test_journal_down(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held = rig_hold(rig, a, LEASE_CHAT), next = rig_wait(rig, b, LEASE_CHAT);

	rig_step(rig, (struct event){.type = EVENT_JOURNAL, .journal.ok = false});
	assert_int_equal(rig_ask(rig, 0, rig_want(BIND_HTTP, LEASE_CHAT, "new")), 0);
	assert_int_equal(rig_error(rig), ERR_JOURNAL);
	rig_release(rig, a, held, false);
	assert_non_null(rig_sent(rig, SEND_RELEASED, held));
	assert_int_equal(rig_state(rig, next), CLAIM_QUEUED);
	assert_int_equal(rig_why(rig, next), WHY_JOURNAL);
	rig_step(rig, (struct event){.type = EVENT_JOURNAL, .journal.ok = true});
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
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
