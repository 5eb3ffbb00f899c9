/* Goal: what a binding means follows from its row alone, also for those that no endpoint speaks
 * yet: a request that the broker forwards itself, and a session of another broker. */
#include "fixture.h"

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
	struct fixture *fixture = *state;
	uint64_t v = fixture_session(fixture, BIND_TAB, "v");
	uint64_t held =
		fixture_ask(fixture, 0, fixture_want(BIND_PROXIED, LEASE_BACKGROUND, "openai"));
	uint64_t conn = fixture->conn_next - 1, voice;

	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	voice = fixture_wait(fixture, v, LEASE_VOICE);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, held)->to.kind, PARTY_GATEWAY);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, held)->to.id, conn);
	fixture_close(fixture, conn);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_OFFERED);
	assert_int_equal(fixture_ask(fixture, 0, fixture_want(BIND_PROXIED, LEASE_BACKGROUND, "")),
			 0);
	assert_int_equal(fixture_sent(fixture, SEND_DENIED, 0)->to.kind, PARTY_GATEWAY);
	assert_int_equal(fixture_ask(fixture, 0, fixture_want(BIND_STREAM, LEASE_BACKGROUND, "")),
			 0);
	assert_int_equal(fixture_sent(fixture, SEND_DENIED, 0)->to.kind, PARTY_EXCHANGE);
}

/* A request that waited elsewhere before stands where it would stand had it waited here; from a
 * client not trusted with that, it is ignored. */
static void test_age_is_carried(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a");
	struct event want = fixture_want(BIND_PROXIED, LEASE_CHAT, "retried");
	struct event plain = fixture_want(BIND_STREAM, LEASE_CHAT, "liar");
	uint64_t first, retried, liar;

	fixture_hold(fixture, a, LEASE_CHAT);
	first = fixture_ask(fixture, 0, fixture_want(BIND_STREAM, LEASE_CHAT, "first"));
	fixture_pass(fixture, 1000);
	want.acquire.waited_ms = 5000;
	retried = fixture_ask(fixture, 0, want);
	plain.acquire.waited_ms = 60000;
	liar = fixture_ask(fixture, 0, plain);
	assert_int_equal(mono_since(fixture->now, fixture_row(fixture, retried)->arrival), 5000);
	assert_int_equal(core_position(fixture->core, retried), 0);
	assert_int_equal(core_position(fixture->core, first), 1);
	assert_int_equal(core_position(fixture->core, liar), 2);
}

static void authority(struct fixture *fixture, enum binding binding, bool ok)
{
	fixture_step(fixture, (struct event){.type = EVENT_AUTHORITY,
					     .authority = {.binding = binding, .ok = ok}});
}

/* A claim that needs an outside authority waits for it; nobody else waits for that claim. */
static void test_authority(void **state)
{
	struct fixture *fixture = *state;
	uint64_t r = fixture_session(fixture, BIND_REMOTE, "other"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t remote = fixture_wait(fixture, r, LEASE_VOICE), local, behind;
	struct bound bound;

	assert_int_equal(fixture_why(fixture, remote), WHY_AUTHORITY);
	core_bound(fixture->core, remote, fixture->now, &bound);
	assert_int_equal(bound.none, BOUND_STOPPED);
	local = fixture_hold(fixture, b, LEASE_BACKGROUND);
	behind = fixture_wait(fixture, b, LEASE_CHAT);
	authority(fixture, BIND_REMOTE, true);
	assert_int_not_equal(fixture_why(fixture, remote), WHY_AUTHORITY);
	fixture_release(fixture, b, local, false);
	assert_int_equal(fixture_state(fixture, remote), CLAIM_OFFERED);
	authority(fixture, BIND_REMOTE, false);
	fixture_pass(fixture, fixture->config.ack_ms);
	assert_int_equal(fixture_state(fixture, remote), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, behind), CLAIM_OFFERED);
	/* Of any binding. */
	authority(fixture, BIND_TAB, false);
	fixture_pass(fixture, fixture->config.ack_ms);
	assert_int_equal(fixture_state(fixture, behind), CLAIM_QUEUED);
	authority(fixture, BIND_TAB, true);
	assert_int_equal(fixture_state(fixture, behind), CLAIM_OFFERED);
}

/* Another broker's session that is cut off keeps what it holds for a whole TTL: it stops at half of
 * that, and nothing else tells. */
static void test_remote(void **state)
{
	struct fixture *fixture = *state;
	uint64_t r = fixture_session(fixture, BIND_REMOTE, "other"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t held, next;

	authority(fixture, BIND_REMOTE, true);
	held = fixture_hold(fixture, r, LEASE_CHAT);
	next = fixture_wait(fixture, b, LEASE_CHAT);
	fixture_close(fixture, r);
	fixture_pass(fixture, fixture->config.session_ttl_ms / 2);
	fixture_alive(fixture, b);
	fixture_pass(fixture, fixture->config.session_ttl_ms / 2 - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
}

/* What the broker forwarded ended with it; the lock-delay stands for what may still run. */
static void test_proxied_restart(void **state)
{
	struct fixture *fixture = *state;
	uint64_t held = fixture_ask(fixture, 0, fixture_want(BIND_PROXIED, LEASE_CHAT, "openai"));

	fixture_restart(fixture, true);
	assert_true(fixture_row(fixture, held)->revoked);
	fixture_pass(fixture, fixture->config.lock_delay_ms);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
}

/* A model that a server has in memory for the gateway. */
static struct event model_want(void)
{
	struct event want = fixture_want(BIND_PROXIED, LEASE_CHAT, "ollama");

	want.acquire.need = (struct need){.vram_bytes = GIB, .gpu_count = 1};
	want.acquire.evictable = true;
	want.acquire.request_id = "m";
	return want;
}

/* Memory that was revoked is free by the gateway's word, which has seen it: its end, or the end of
 * its party. A server that never gives it back is waited for unload_ms_max. */
static void test_memory_until_unloaded(void **state)
{
	struct fixture *fixture = *state;
	int64_t most_ms = fixture->config.unload_ms_max;

	for (int way = 0; way < 3; way++) {
		uint64_t held = fixture_ask(fixture, 0, model_want());
		uint64_t conn = fixture->conn_next - 1;

		assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
		fixture_admin(fixture, ADMIN_REVOKE, held);
		assert_non_null(fixture_sent(fixture, SEND_REVOKED, held));
		fixture_pass(fixture, most_ms - 1);
		assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
		if (way == 0)
			fixture_pass(fixture, 1);
		else if (way == 1)
			fixture_close(fixture, conn);
		else
			fixture_unlock(fixture, &fixture_row(fixture, held)->token);
		assert_int_equal(fixture_end(fixture, held), END_REVOKED);
	}
}

/* What a server has in memory outlives the broker: the new one's gateway has it again by asking for
 * the same, and who needs the room asks it like any other. */
static void test_memory_after_restart(void **state)
{
	struct fixture *fixture = *state;
	uint64_t held = fixture_ask(fixture, 0, model_want()), fence;

	fence = fixture_row(fixture, held)->fence;
	fixture_restart(fixture, true);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	assert_false(fixture_row(fixture, held)->revoked);
	fixture_pass(fixture, fixture->config.restart_linger_ms - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	assert_int_equal(fixture_ask(fixture, 0, model_want()), held);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
	assert_int_equal(fixture_sent(fixture, SEND_GRANTED, held)->send.fence, fence);
	fixture_pass(fixture, 10 * fixture->config.restart_linger_ms);
	assert_int_equal(fixture_state(fixture, held), CLAIM_HELD);
}

/* One that was loading is loading still: whoever has it again is told. */
static void test_loading_after_restart(void **state)
{
	struct fixture *fixture = *state;
	struct event want = model_want();
	uint64_t held;

	want.acquire.loads = true;
	held = fixture_ask(fixture, 0, want);
	assert_int_equal(fixture_state(fixture, held), CLAIM_LOADING);
	fixture_restart(fixture, true);
	assert_int_equal(fixture_ask(fixture, 0, want), held);
	assert_int_equal(fixture_sent(fixture, SEND_GRANTED, held)->send.state, CLAIM_LOADING);
}

/* One inside another is not its host's to take back: each is asked for by itself. */
static void test_memory_inside_after_restart(void **state)
{
	struct fixture *fixture = *state;
	struct event outer = model_want(), inner = model_want();
	uint64_t host, guest;

	outer.acquire.guests = 1;
	host = fixture_ask(fixture, 0, outer);
	inner.acquire.request_id = "inner";
	inner.acquire.host = host;
	inner.acquire.need.vram_bytes = GIB / 4;
	guest = fixture_ask(fixture, 0, inner);
	assert_int_equal(fixture_state(fixture, guest), CLAIM_HELD);

	fixture_restart(fixture, true);
	assert_int_equal(fixture_ask(fixture, 0, outer), host);
	assert_int_equal(fixture_state(fixture, host), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, guest), CLAIM_YIELDING);
	assert_int_equal(fixture_ask(fixture, 0, inner), guest);
	assert_int_equal(fixture_state(fixture, guest), CLAIM_HELD);
}

/* One that is not asked for again is unloaded by nobody: its room is free when a server would have
 * given it back at the latest. */
static void test_memory_not_asked_for_again(void **state)
{
	struct fixture *fixture = *state;
	uint64_t held = fixture_ask(fixture, 0, model_want());

	fixture_restart(fixture, true);
	fixture_pass(fixture, fixture->config.restart_linger_ms);
	assert_true(fixture_row(fixture, held)->revoked);
	assert_int_equal(fixture_ask(fixture, 0, model_want()), 0);
	assert_int_equal(fixture_sent(fixture, SEND_DENIED, held)->send.err, ERR_REVOKED);
	fixture_pass(fixture, fixture->config.unload_ms_max - 1);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_end(fixture, held), END_DISCONNECTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rows_agree),
		TEST(test_proxied),
		TEST(test_age_is_carried),
		TEST(test_remote),
		TEST(test_authority),
		TEST(test_proxied_restart),
		TEST(test_memory_until_unloaded),
		TEST(test_memory_after_restart),
		TEST(test_loading_after_restart),
		TEST(test_memory_inside_after_restart),
		TEST(test_memory_not_asked_for_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
