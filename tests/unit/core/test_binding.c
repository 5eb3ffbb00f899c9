/* Goal: what a binding means follows from its row alone, also for those that no door speaks yet: a
 * request that the broker forwards itself, and a session of another broker. */
#include "rig.h"

#include "core/binding.h"

/* A row must not promise what its other fields forbid. */
static void test_rows_agree(void **state)
{
	struct core_config config;

	(void)state;
	core_config_defaults(&config);
	for (int binding = 0; binding < BINDING_COUNT; binding++) {
		const struct binding_traits *row = binding_of((enum binding)binding);
		assert_string_equal(binding_name(binding), row->name);
		assert_true(binding_ms(&config, row->delay) > 0);
		bool session = row->party == PARTY_SESSION;
		assert_int_not_equal(row->party, PARTY_NONE);
		assert_int_equal(row->ack, session);
		assert_int_equal(session, row->lease_linger != 0);
		assert_true(row->ears || !row->requeue);
		assert_true(session || row->silence == SILENCE_NOTHING);
		assert_true(binding_ms(&config, row->place_linger) <=
			    binding_ms(&config, row->lease_linger));
	}
	assert_int_equal(binding_ms(&config, 0), 0);
}

/* The broker is the holder: what it forwards is held at once, is asked to yield on its exchange,
 * may come back, and the end of its stream is proof. */
static void test_proxied(void **state)
{
	struct rig *rig = *state;
	uint64_t v = rig_session(rig, BIND_TAB, "v");
	uint64_t held = rig_ask(rig, 0, rig_want(BIND_PROXIED, LEASE_BACKGROUND, "openai"));
	uint64_t conn = rig->conn_next - 1, voice;

	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	voice = rig_wait(rig, v, LEASE_VOICE);
	assert_int_equal(rig_sent(rig, SEND_YIELD, held)->to.kind, PARTY_GATEWAY);
	assert_int_equal(rig_sent(rig, SEND_YIELD, held)->to.id, conn);
	rig_close(rig, conn);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, voice), CLAIM_OFFERED);
	assert_int_equal(rig_ask(rig, 0, rig_want(BIND_PROXIED, LEASE_BACKGROUND, "")), 0);
	assert_int_equal(rig_sent(rig, SEND_DENIED, 0)->to.kind, PARTY_GATEWAY);
	assert_int_equal(rig_ask(rig, 0, rig_want(BIND_STREAM, LEASE_BACKGROUND, "")), 0);
	assert_int_equal(rig_sent(rig, SEND_DENIED, 0)->to.kind, PARTY_EXCHANGE);
}

/* A request that waited elsewhere before stands where it would stand had it waited here; of who is
 * not trusted with that, it is not believed. */
static void test_age_is_carried(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a");
	struct event want = rig_want(BIND_PROXIED, LEASE_CHAT, "retried");
	struct event plain = rig_want(BIND_STREAM, LEASE_CHAT, "liar");
	uint64_t first, retried, liar;

	rig_hold(rig, a, LEASE_CHAT);
	first = rig_ask(rig, 0, rig_want(BIND_STREAM, LEASE_CHAT, "first"));
	rig_pass(rig, 1000);
	want.acquire.waited_ms = 5000;
	retried = rig_ask(rig, 0, want);
	plain.acquire.waited_ms = 60000;
	liar = rig_ask(rig, 0, plain);
	assert_int_equal(mono_since(rig->now, rig_row(rig, retried)->arrival), 5000);
	assert_int_equal(core_position(rig->core, retried), 0);
	assert_int_equal(core_position(rig->core, first), 1);
	assert_int_equal(core_position(rig->core, liar), 2);
}

static void authority(struct rig *rig, enum binding binding, bool ok)
{
	rig_step(rig, (struct event){.type = EVENT_AUTHORITY,
				     .authority = {.binding = binding, .ok = ok}});
}

/* Who needs a word from outside waits for it; nobody else waits for them. */
static void test_authority(void **state)
{
	struct rig *rig = *state;
	uint64_t r = rig_session(rig, BIND_REMOTE, "other"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t remote = rig_wait(rig, r, LEASE_VOICE), local, behind;
	struct bound bound;

	assert_int_equal(rig_why(rig, remote), WHY_AUTHORITY);
	core_bound(rig->core, remote, rig->now, &bound);
	assert_int_equal(bound.none, BOUND_STOPPED);
	local = rig_hold(rig, b, LEASE_BACKGROUND);
	behind = rig_wait(rig, b, LEASE_CHAT);
	authority(rig, BIND_REMOTE, true);
	assert_int_not_equal(rig_why(rig, remote), WHY_AUTHORITY);
	rig_release(rig, b, local, false);
	assert_int_equal(rig_state(rig, remote), CLAIM_OFFERED);
	authority(rig, BIND_REMOTE, false);
	rig_pass(rig, rig->config.ack_ms);
	assert_int_equal(rig_state(rig, remote), CLAIM_QUEUED);
	assert_int_equal(rig_state(rig, behind), CLAIM_OFFERED);
	/* Of any binding. */
	authority(rig, BIND_TAB, false);
	rig_pass(rig, rig->config.ack_ms);
	assert_int_equal(rig_state(rig, behind), CLAIM_QUEUED);
	authority(rig, BIND_TAB, true);
	assert_int_equal(rig_state(rig, behind), CLAIM_OFFERED);
}

/* Another broker's session that is cut off keeps what it holds for a whole TTL: it stops at half of
 * that, and nothing else tells. */
static void test_remote(void **state)
{
	struct rig *rig = *state;
	uint64_t r = rig_session(rig, BIND_REMOTE, "other"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t held, next;

	authority(rig, BIND_REMOTE, true);
	held = rig_hold(rig, r, LEASE_CHAT);
	next = rig_wait(rig, b, LEASE_CHAT);
	rig_close(rig, r);
	rig_pass(rig, rig->config.session_ttl_ms / 2);
	rig_alive(rig, b);
	rig_pass(rig, rig->config.session_ttl_ms / 2 - 1);
	assert_int_equal(rig_state(rig, held), CLAIM_HELD);
	rig_pass(rig, 1);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
}

/* What the broker forwarded ended with it; the lock-delay stands for what may still run. */
static void test_proxied_restart(void **state)
{
	struct rig *rig = *state;
	uint64_t held = rig_ask(rig, 0, rig_want(BIND_PROXIED, LEASE_CHAT, "openai"));

	rig_restart(rig, true);
	assert_true(rig_row(rig, held)->revoked);
	rig_pass(rig, rig->config.lock_delay_ms);
	assert_int_equal(rig_end(rig, held), END_DISCONNECTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rows_agree), TEST(test_proxied),   TEST(test_age_is_carried),
		TEST(test_remote),     TEST(test_authority), TEST(test_proxied_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
