/* Goal: leases run inside others: guests by the host's own queue and within its places, its memory
 * and its time; nobody is let in past the queue, and the room of a host that is over is free when
 * the last one inside is out (DESIGN.md section 4; S2). */
#include "fixture.h"

#include "core/state.h"

static struct event model(uint32_t guests)
{
	struct event want = fixture_want(BIND_NATIVE, LEASE_NORMAL, NULL);

	want.acquire.need = (struct need){.slots = 0, .vram_bytes = 10 * GIB, .gpu_count = 1};
	want.acquire.guests = guests;
	return want;
}

static struct event request(enum lease_class cls, uint64_t host)
{
	struct event want = fixture_want(BIND_NATIVE, cls, NULL);

	want.acquire.host = host;
	return want;
}

/* A resident of 10 GiB with so many places, on a GPU of 24 GiB and one turn. */
static uint64_t host_with(struct fixture *fixture, uint64_t conn, uint32_t guests)
{
	uint64_t host;

	fixture_gpus(fixture, 1, 1, 24 * GIB);
	fixture_configure(fixture);
	host = fixture_ask(fixture, conn, model(guests));
	fixture_accept(fixture, conn, host);
	assert_int_equal(fixture_state(fixture, host), CLAIM_HELD);
	return host;
}

static uint64_t guest_in(struct fixture *fixture, uint64_t conn, uint64_t host)
{
	uint64_t guest = fixture_ask(fixture, conn, request(LEASE_CHAT, host));

	fixture_accept(fixture, conn, guest);
	assert_int_equal(fixture_state(fixture, guest), CLAIM_HELD);
	return guest;
}

/* Places, not turns: two requests run beside somebody who computes; the third waits for one. */
static void test_places(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t host = host_with(fixture, s, 2), turn = fixture_hold(fixture, c, LEASE_CHAT),
		 first, late, soon;
	struct gpu_view gpu;

	first = guest_in(fixture, c, host);
	guest_in(fixture, c, host);
	late = fixture_ask(fixture, c, request(LEASE_BACKGROUND, host));
	soon = fixture_ask(fixture, c, request(LEASE_VOICE, host));
	assert_int_equal(fixture_why(fixture, soon), WHY_HOST);
	assert_int_equal(core_bound_ms(fixture->core, soon, fixture->now), -1);
	core_gpu(fixture->core, 0, &gpu);
	assert_int_equal(gpu.slots_used, 1);
	fixture_release(fixture, c, first, false);
	assert_int_equal(fixture_state(fixture, soon), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, late), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_HELD);
}

/* A waiter for a place inside a host keeps no GPU from anybody. */
static void test_closes_nothing(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t host = host_with(fixture, s, 1);

	guest_in(fixture, c, host);
	assert_int_not_equal(fixture_ask(fixture, c, request(LEASE_VOICE, host)), 0);
	fixture_hold(fixture, c, LEASE_BACKGROUND);
}

/* The first that waits for a place has it when a guest has had its whole turn. */
static void test_hold_limit_inside(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t host = host_with(fixture, s, 1), guest = guest_in(fixture, c, host), next;

	fixture_pass(fixture, fixture->config.classes[LEASE_CHAT].hold_ms_max + 1000);
	assert_int_equal(fixture_state(fixture, guest), CLAIM_HELD); /* nobody waits */
	next = fixture_ask(fixture, c, request(LEASE_CHAT, host));
	assert_int_equal(fixture_state(fixture, guest), CLAIM_YIELDING);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, guest)->send.other, next);
	assert_int_equal(fixture_state(fixture, host), CLAIM_HELD);
	fixture_release(fixture, c, guest, false);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
}

/* Who was asked with its host has its host's grace, also after a restart. */
static void test_grace_outlives_a_restart(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	struct event want = model(1);
	uint64_t host, guest, session;

	want.acquire.uninterruptible_ms = fixture->config.grace_ms + 5000;
	host = fixture_ask(fixture, s, want);
	fixture_accept(fixture, s, host);
	guest = guest_in(fixture, c, host);
	fixture_admin(fixture, ADMIN_YIELD, host);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, guest)->send.grace_ms,
			 fixture->config.grace_ms + 5000);
	session = fixture_row(fixture, guest)->session;
	fixture_restart(fixture, true);
	fixture_resume(fixture, BIND_NATIVE, session);
	fixture_pass(fixture, fixture->config.grace_ms + 4000);
	assert_int_equal(fixture_row(fixture, guest)->revoked, false);
	fixture_pass(fixture, 1000);
	assert_int_equal(fixture_row(fixture, guest)->revoked, true);
}

/* Memory beyond the host's is charged, and guests share what the host has. */
static void test_memory_inside(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t host = host_with(fixture, s, 3), guest;
	struct event want = request(LEASE_CHAT, host);
	struct gpu_view gpu;

	want.acquire.need.vram_bytes = 8 * GIB;
	guest = fixture_ask(fixture, c, want);
	fixture_accept(fixture, c, guest);
	core_gpu(fixture->core, 0, &gpu);
	assert_int_equal(gpu.vram_bytes_granted, 10 * GIB);
	fixture_accept(fixture, c, fixture_ask(fixture, c, want)); /* 2 of its 8 are inside */
	core_gpu(fixture->core, 0, &gpu);
	assert_int_equal(gpu.vram_bytes_granted, 16 * GIB);
	want.acquire.need.vram_bytes = 9 * GIB;
	assert_int_equal(fixture_state(fixture, fixture_ask(fixture, c, want)), CLAIM_QUEUED);
	fixture_release(fixture, c, guest, false);
	core_gpu(fixture->core, 0, &gpu);
	assert_in_range(gpu.vram_bytes_granted, 16 * GIB, 17 * GIB); /* the third is in */
}

/* The host ends: its waiters are denied, its guests revoked, and its capacity is free once they are
 * out. */
static void test_host_over(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t host = host_with(fixture, s, 1), guest = guest_in(fixture, c, host);
	uint64_t waits = fixture_ask(fixture, c, request(LEASE_CHAT, host)), big;
	struct event want = model(0);
	struct gpu_view gpu;

	want.acquire.need.vram_bytes = 20 * GIB;
	big = fixture_ask(fixture, c, want);
	fixture_release(fixture, s, host, false);
	assert_non_null(fixture_sent(fixture, SEND_RELEASED, host));
	assert_int_equal(fixture_error(fixture), ERR_HOST_OVER);
	assert_int_equal(fixture_end(fixture, waits), END_DENIED);
	assert_int_equal(fixture_sent(fixture, SEND_REVOKED, guest)->send.reason, YIELD_HOST_OVER);
	assert_int_equal(fixture_state(fixture, host), CLAIM_DRAINING);
	assert_int_equal(fixture_state(fixture, big), CLAIM_QUEUED);
	core_gpu(fixture->core, 0, &gpu);
	assert_int_equal(gpu.vram_bytes_draining, 10 * GIB);
	fixture_release(fixture, s, host, false);
	assert_int_equal(fixture_error(fixture), ERR_STALE);
	fixture_release(fixture, c, guest, false);
	assert_int_equal(fixture_end(fixture, host), END_RELEASED);
	assert_int_equal(fixture_state(fixture, big), CLAIM_OFFERED);
	assert_int_equal(fixture_ask(fixture, c, request(LEASE_CHAT, host)), 0);
	assert_int_equal(fixture_error(fixture), ERR_HOST_OVER);
}

/* What is only kept in memory needs no turn: that of a host that is over is free once nobody inside
 * computes, its guests' memory once they are out. */
static void test_turn_of_a_host_that_drains(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 m = fixture_session(fixture, BIND_NATIVE, "model"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	struct event want = fixture_need(LEASE_NORMAL, 1, 0), keep = model(0);
	uint64_t host, kept, computes, next;
	struct gpu_view gpu;

	fixture_gpus(fixture, 1, 1, 24 * GIB);
	fixture_configure(fixture);
	want.acquire.guests = 2;
	host = fixture_take(fixture, s, want);
	keep.acquire.host = host;
	kept = fixture_take(fixture, m, keep);
	computes = guest_in(fixture, c, host);
	next = fixture_ask(fixture, c, fixture_want(BIND_NATIVE, LEASE_NORMAL, NULL));

	fixture_release(fixture, s, host, false);
	assert_int_equal(fixture_state(fixture, host), CLAIM_DRAINING);
	assert_int_equal(fixture_state(fixture, next), CLAIM_QUEUED);

	fixture_release(fixture, c, computes, false);
	assert_int_equal(fixture_state(fixture, host), CLAIM_DRAINING);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
	core_gpu(fixture->core, 0, &gpu);
	assert_int_equal(gpu.vram_bytes_granted, 10 * GIB);

	fixture_release(fixture, m, kept, false);
	assert_int_equal(fixture_end(fixture, host), END_RELEASED);
	core_gpu(fixture->core, 0, &gpu);
	assert_int_equal(gpu.vram_bytes_granted, 0);
}

/* The host's connection is not its guest's: the guest is not told that its own was lost. */
static void test_host_is_lost(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "s"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t host, guest;

	fixture->config.ack_ms = 2 * fixture->config.native_linger_ms;
	host = host_with(fixture, s, 1);
	guest = fixture_ask(fixture, c, request(LEASE_CHAT, host));
	assert_int_equal(fixture_state(fixture, guest), CLAIM_OFFERED);
	fixture_close(fixture, s);
	fixture_pass(fixture, fixture->config.native_linger_ms);
	assert_int_equal(fixture_end(fixture, guest), END_REVOKED);
}

/* A resident in use is not evicted, but nobody can keep it in use without limit. */
static void test_in_use(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"), c, host;
	struct event want = model(2);

	fixture_gpus(fixture, 1, 1, 24 * GIB);
	fixture_configure(fixture);
	want.acquire.evictable = true;
	host = fixture_ask(fixture, s, want);
	fixture_accept(fixture, s, host);
	c = fixture_session(fixture, BIND_NATIVE, "c");
	guest_in(fixture, c, host);
	want.acquire.need.vram_bytes = 20 * GIB;
	assert_int_equal(fixture_state(fixture, fixture_ask(fixture, c, want)), CLAIM_QUEUED);
	for (int64_t ms = 0; ms < fixture->config.classes[LEASE_NORMAL].hold_ms_max; ms += 10000) {
		assert_int_equal(fixture_state(fixture, host), CLAIM_HELD);
		fixture_pass(fixture, 10000);
		fixture_alive(fixture, s);
		fixture_alive(fixture, c);
	}
	assert_int_equal(fixture_state(fixture, host), CLAIM_YIELDING);
}

/* A host that is asked to give way is asked with all its guests, and lets nobody in meanwhile. */
static void test_asked_with_guests(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_NATIVE, LEASE_BACKGROUND, NULL);
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t host, guest, next;

	want.acquire.guests = 2;
	host = fixture_ask(fixture, s, want);
	fixture_accept(fixture, s, host);
	guest = guest_in(fixture, c, host);
	fixture_wait(fixture, c, LEASE_VOICE);
	assert_non_null(fixture_sent(fixture, SEND_YIELD, host));
	assert_non_null(fixture_sent(fixture, SEND_YIELD, guest));
	next = fixture_ask(fixture, c, request(LEASE_CHAT, host));
	assert_int_equal(fixture_state(fixture, next), CLAIM_QUEUED);
}

/* Whose guest one may be, and whose child. */
/* A guest that was asked, and told for how long, before a reload shortened the grace: its host's is
 * over no sooner. */
static void test_asked_before_a_reload(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"), host, guest;
	struct event want = request(LEASE_CHAT, 0);

	fixture->config.grace_ms = 3000;
	host = host_with(fixture, s, 1);
	want.acquire.host = host;
	guest = fixture_take(fixture, s, want);
	fixture_admin(fixture, ADMIN_YIELD, guest);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, guest)->send.grace_ms, 3000);

	fixture->config.grace_ms = 500;
	fixture_configure(fixture);
	fixture_pass(fixture, 100);
	fixture_admin(fixture, ADMIN_YIELD, host);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, host)->send.grace_ms, 2900);
	fixture_pass(fixture, 2899);
	assert_null(fixture_sent(fixture, SEND_REVOKED, guest));
	assert_int_equal(fixture_state(fixture, guest), CLAIM_YIELDING);
	fixture_pass(fixture, 1);
	assert_non_null(fixture_sent(fixture, SEND_REVOKED, guest));
}

static void test_who_may(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"), o,
		 host = host_with(fixture, s, 1);
	struct event open = model(1), want = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);

	fixture->principal = "uid:7";
	o = fixture_session(fixture, BIND_NATIVE, "other");
	assert_int_equal(fixture_ask(fixture, o, request(LEASE_CHAT, host)), 0);
	assert_int_equal(fixture_error(fixture), ERR_FORBIDDEN);
	want.acquire.parent = host;
	assert_int_equal(fixture_ask(fixture, o, want), 0);
	assert_int_equal(fixture_error(fixture), ERR_FORBIDDEN);
	want.acquire.parent = 999; /* it is no more, so nobody waits */
	assert_int_not_equal(fixture_ask(fixture, o, want), 0);
	open.acquire.guests_open = true;
	open.acquire.need.vram_bytes = GIB;
	fixture->principal = "uid:8";
	s = fixture_session(fixture, BIND_NATIVE, "open");
	host = fixture_ask(fixture, s, open);
	fixture_accept(fixture, s, host);
	guest_in(fixture, o, host);
	open.acquire.guests = 65;
	assert_int_equal(fixture_ask(fixture, s, open), 0);
	assert_int_equal(fixture_error(fixture), ERR_BAD_FIELD);
	assert_int_equal(
		fixture_ask(fixture, s, request(LEASE_CHAT, fixture_ask(fixture, s, model(0)))), 0);
	assert_int_equal(fixture_error(fixture), ERR_STATE); /* it offers no places */
}

/* A guest that waits for a claim that wants its own place would wait without end. */
static void test_cycle_of_places(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t host = host_with(fixture, s, 1), guest = guest_in(fixture, c, host);
	struct event want = request(LEASE_CHAT, host);

	want.acquire.parent = guest;
	assert_int_equal(fixture_ask(fixture, c, want), 0);
	assert_int_equal(fixture_error(fixture), ERR_DEADLOCK);
}

/* The host is over, though its guest is not out yet: newcomers are denied at once. */
static void test_asked_while_it_drains(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t host = host_with(fixture, s, 2);

	guest_in(fixture, c, host);
	fixture_release(fixture, s, host, false);
	assert_int_equal(fixture_state(fixture, host), CLAIM_DRAINING);
	assert_int_equal(fixture_ask(fixture, c, request(LEASE_CHAT, host)), 0);
	assert_int_equal(fixture_error(fixture), ERR_HOST_OVER);
}

/* Two GPUs, of one turn and of two; all is held, and a host waits for either. */
static uint64_t host_of_either(struct fixture *fixture, uint64_t conn, uint64_t *ret_first)
{
	struct event want = fixture_need(LEASE_NORMAL, 1, 0);

	fixture_gpus(fixture, 2, 1, 0);
	fixture->config.gpus[1].slots = 2;
	fixture_configure(fixture);
	want.acquire.need.gpu_mask = 1;
	*ret_first = fixture_take(fixture, conn, want);
	want = fixture_need(LEASE_NORMAL, 2, 0);
	want.acquire.need.gpu_mask = 2;
	fixture_take(fixture, conn, want);
	want = fixture_need(LEASE_NORMAL, 1, 0);
	want.acquire.guests = 2;
	return fixture_ask(fixture, conn, want);
}

/* Who can never be inside, by the GPU that its host got, keeps no place from others; and where that
 * is known when it asks it does not wait at all. */
static void test_never_inside(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t first, host = host_of_either(fixture, s, &first), wide, next;
	struct event want = request(LEASE_VOICE, host);

	want.acquire.need.slots = 2;
	wide = fixture_ask(fixture, c, want);
	next = fixture_ask(fixture, c, request(LEASE_BACKGROUND, host));
	fixture_release(fixture, s, first, false);
	fixture_accept(fixture, s, host);
	assert_int_equal(fixture_row(fixture, host)->granted_mask, 1);
	assert_int_equal(fixture_state(fixture, wide), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
	assert_int_equal(fixture_ask(fixture, c, want), 0);
	assert_int_equal(fixture_error(fixture), ERR_NEVER_FITS);
}

/* Nor does one that needs more than the GPU has since a reload. */
static void test_beyond_since_a_reload(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t host, large, next;
	struct event want;

	host = host_with(fixture, s, 2);
	fixture_take(fixture, c, fixture_need(LEASE_CHAT, 0, 8 * GIB));
	want = request(LEASE_VOICE, host);
	want.acquire.need.vram_bytes = 20 * GIB;
	large = fixture_ask(fixture, c, want);
	next = fixture_ask(fixture, c, request(LEASE_BACKGROUND, host));
	assert_int_equal(fixture_state(fixture, next), CLAIM_QUEUED);
	fixture->config.gpus[0].vram_bytes_total = 16 * GIB;
	fixture_configure(fixture);
	assert_int_equal(fixture_state(fixture, large), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
}

/* The limit of a guest is that of everybody: what was offered and not taken up is used, and of one
 * that cannot be cut short it runs while it loads. */
static void test_limit_is_as_outside(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t host = host_with(fixture, s, 1), guest, next;
	int64_t hold_ms = fixture->config.classes[LEASE_CHAT].hold_ms_max;
	struct event want = request(LEASE_CHAT, host);

	want.acquire.loads = true;
	want.acquire.preemptible = false;
	guest = fixture_ask(fixture, c, want);
	next = fixture_ask(fixture, c, request(LEASE_CHAT, host));
	fixture_pass(fixture, fixture->config.ack_ms); /* missed, and offered again */
	fixture_accept(fixture, c, guest);
	assert_int_equal(fixture_state(fixture, guest), CLAIM_LOADING);
	for (int64_t ms = fixture->config.ack_ms; ms < hold_ms - 1000; ms += 1000) {
		fixture_pass(fixture, 1000);
		fixture_alive(fixture, c);
	}
	fixture_pass(fixture, 999);
	assert_int_equal(fixture_state(fixture, guest), CLAIM_LOADING);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, guest)->send.other, next);
}

/* Guests, and waiters for a place, survive a restart. */
static void test_restart(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s = fixture_session(fixture, BIND_NATIVE, "server"),
		 c = fixture_session(fixture, BIND_NATIVE, "c");
	uint64_t host = host_with(fixture, s, 1), guest = guest_in(fixture, c, host), id, next;
	struct gpu_view gpu;

	next = fixture_ask(fixture, c, request(LEASE_CHAT, host));
	id = fixture_session_id(fixture, c);
	fixture_restart(fixture, true);
	fixture_configure(fixture);
	core_gpu(fixture->core, 0, &gpu);
	assert_int_equal(gpu.slots_used, 0);
	c = fixture_resume(fixture, BIND_NATIVE, id);
	assert_int_equal(fixture_state(fixture, next), CLAIM_QUEUED);
	fixture_release(fixture, c, guest, false);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
}

/* S2: a turn that is lent on and on is still one turn: its limit ends it, for whom it keeps out. */
static void test_lend_chain(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "colluder"),
		 b = fixture_session(fixture, BIND_NATIVE, "b");
	uint64_t held = fixture_hold(fixture, a, LEASE_BACKGROUND), chat;
	int64_t waited_ms = 0;

	chat = fixture_wait(fixture, b, LEASE_NORMAL);
	while (fixture_state(fixture, chat) == CLAIM_QUEUED && waited_ms < 120000) {
		struct event want = request(LEASE_BACKGROUND, held);
		struct event lend = {.type = EVENT_LEND, .from = {PARTY_SESSION, a}};
		want.acquire.parent = lend.lend.lease = held;
		lend.lend.to = fixture_ask(fixture, a, want);
		fixture_step(fixture, lend);
		if (fixture_state(fixture, lend.lend.to) == CLAIM_OFFERED) {
			fixture_accept(fixture, a, lend.lend.to);
			fixture_release(fixture, a, held, false);
			held = lend.lend.to;
		}
		fixture_pass(fixture, 1000);
		waited_ms += 1000;
		fixture_alive(fixture, a);
		fixture_alive(fixture, b);
	}
	assert_in_range(waited_ms, 0,
			fixture->config.classes[LEASE_BACKGROUND].hold_ms_max + 20000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_places),
		TEST(test_closes_nothing),
		TEST(test_hold_limit_inside),
		TEST(test_memory_inside),
		TEST(test_host_over),
		TEST(test_turn_of_a_host_that_drains),
		TEST(test_host_is_lost),
		TEST(test_asked_with_guests),
		TEST(test_asked_before_a_reload),
		TEST(test_who_may),
		TEST(test_cycle_of_places),
		TEST(test_restart),
		TEST(test_lend_chain),
		TEST(test_in_use),
		TEST(test_asked_while_it_drains),
		TEST(test_never_inside),
		TEST(test_beyond_since_a_reload),
		TEST(test_grace_outlives_a_restart),
		TEST(test_limit_is_as_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
