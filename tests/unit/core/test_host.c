/* Goal: leases run inside others: guests by the host's own queue and within its places, its memory
 * and its time; nobody is let in past the queue, and the room of a host that is over is free when
 * the last one inside is out (DESIGN.md section 4; S2). */
#include "rig.h"

#include "core/state.h"

static struct event model(uint32_t guests)
{
	struct event want = rig_want(BIND_NATIVE, LEASE_NORMAL, NULL);

	want.acquire.need = (struct need){.slots = 0, .vram_bytes = 10 * GIB, .gpu_count = 1};
	want.acquire.guests = guests;
	return want;
}

static struct event request(enum lease_class cls, uint64_t host)
{
	struct event want = rig_want(BIND_NATIVE, cls, NULL);

	want.acquire.host = host;
	return want;
}

/* A resident of 10 GiB with so many places, on a GPU of 24 GiB and one turn. */
static uint64_t host_with(struct rig *rig, uint64_t conn, uint32_t guests)
{
	uint64_t host;

	rig_gpus(rig, 1, 1, 24 * GIB);
	rig_configure(rig);
	host = rig_ask(rig, conn, model(guests));
	rig_accept(rig, conn, host);
	assert_int_equal(rig_state(rig, host), CLAIM_HELD);
	return host;
}

static uint64_t guest_in(struct rig *rig, uint64_t conn, uint64_t host)
{
	uint64_t guest = rig_ask(rig, conn, request(LEASE_CHAT, host));

	rig_accept(rig, conn, guest);
	assert_int_equal(rig_state(rig, guest), CLAIM_HELD);
	return guest;
}

/* Places, not turns: two requests run beside somebody who computes; the third waits for one. */
static void test_places(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"),
		 c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t host = host_with(rig, s, 2), turn = rig_hold(rig, c, LEASE_CHAT), first, late,
		 soon;
	struct gpu_view gpu;

	first = guest_in(rig, c, host);
	guest_in(rig, c, host);
	late = rig_ask(rig, c, request(LEASE_BACKGROUND, host));
	soon = rig_ask(rig, c, request(LEASE_VOICE, host));
	assert_int_equal(rig_why(rig, soon), WHY_HOST);
	assert_int_equal(core_bound_ms(rig->core, soon, rig->now), -1);
	core_gpu(rig->core, 0, &gpu);
	assert_int_equal(gpu.slots_used, 1);
	rig_release(rig, c, first, false);
	assert_int_equal(rig_state(rig, soon), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, late), CLAIM_QUEUED);
	assert_int_equal(rig_state(rig, turn), CLAIM_HELD);
}

/* Who waits for its own place keeps no GPU from anybody. */
static void test_closes_nothing(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"),
		 c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t host = host_with(rig, s, 1);

	guest_in(rig, c, host);
	assert_int_not_equal(rig_ask(rig, c, request(LEASE_VOICE, host)), 0);
	rig_hold(rig, c, LEASE_BACKGROUND);
}

/* The first that waits for a place has it when a guest has had its whole turn. */
static void test_hold_limit_inside(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"),
		 c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t host = host_with(rig, s, 1), guest = guest_in(rig, c, host), next;

	rig_pass(rig, rig->config.classes[LEASE_CHAT].hold_ms_max + 1000);
	assert_int_equal(rig_state(rig, guest), CLAIM_HELD); /* nobody waits */
	next = rig_ask(rig, c, request(LEASE_CHAT, host));
	assert_int_equal(rig_state(rig, guest), CLAIM_YIELDING);
	assert_int_equal(rig_sent(rig, SEND_YIELD, guest)->send.other, next);
	assert_int_equal(rig_state(rig, host), CLAIM_HELD);
	rig_release(rig, c, guest, false);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
}

/* Memory beyond the host's is charged, and guests share what the host has. */
static void test_memory_inside(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"),
		 c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t host = host_with(rig, s, 3), guest;
	struct event want = request(LEASE_CHAT, host);
	struct gpu_view gpu;

	want.acquire.need.vram_bytes = 8 * GIB;
	guest = rig_ask(rig, c, want);
	rig_accept(rig, c, guest);
	core_gpu(rig->core, 0, &gpu);
	assert_int_equal(gpu.vram_bytes_granted, 10 * GIB);
	rig_accept(rig, c, rig_ask(rig, c, want)); /* 2 of its 8 are inside */
	core_gpu(rig->core, 0, &gpu);
	assert_int_equal(gpu.vram_bytes_granted, 16 * GIB);
	want.acquire.need.vram_bytes = 9 * GIB;
	assert_int_equal(rig_state(rig, rig_ask(rig, c, want)), CLAIM_QUEUED);
	rig_release(rig, c, guest, false);
	core_gpu(rig->core, 0, &gpu);
	assert_in_range(gpu.vram_bytes_granted, 16 * GIB, 17 * GIB); /* the third is in */
}

/* The host ends: who waits is told so, who runs is revoked, and its room is free when they are out.
 */
static void test_host_over(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"),
		 c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t host = host_with(rig, s, 1), guest = guest_in(rig, c, host);
	uint64_t waits = rig_ask(rig, c, request(LEASE_CHAT, host)), big;
	struct event want = model(0);
	struct gpu_view gpu;

	want.acquire.need.vram_bytes = 20 * GIB;
	big = rig_ask(rig, c, want);
	rig_release(rig, s, host, false);
	assert_non_null(rig_sent(rig, SEND_RELEASED, host));
	assert_int_equal(rig_error(rig), ERR_HOST_OVER);
	assert_int_equal(rig_end(rig, waits), END_DENIED);
	assert_int_equal(rig_sent(rig, SEND_REVOKED, guest)->send.reason, YIELD_HOST_OVER);
	assert_int_equal(rig_state(rig, host), CLAIM_DRAINING);
	assert_int_equal(rig_state(rig, big), CLAIM_QUEUED);
	core_gpu(rig->core, 0, &gpu);
	assert_int_equal(gpu.vram_bytes_draining, 10 * GIB);
	rig_release(rig, s, host, false);
	assert_int_equal(rig_error(rig), ERR_STALE);
	rig_release(rig, c, guest, false);
	assert_int_equal(rig_end(rig, host), END_RELEASED);
	assert_int_equal(rig_state(rig, big), CLAIM_OFFERED);
	assert_int_equal(rig_ask(rig, c, request(LEASE_CHAT, host)), 0);
	assert_int_equal(rig_error(rig), ERR_HOST_OVER);
}

/* The host's connection is not its guest's: that one is not told that its own was lost. */
static void test_host_is_lost(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "s"), c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t host, guest;

	rig->config.ack_ms = 2 * rig->config.native_linger_ms;
	host = host_with(rig, s, 1);
	guest = rig_ask(rig, c, request(LEASE_CHAT, host));
	assert_int_equal(rig_state(rig, guest), CLAIM_OFFERED);
	rig_close(rig, s);
	rig_pass(rig, rig->config.native_linger_ms);
	assert_int_equal(rig_end(rig, guest), END_REVOKED);
}

/* A resident in use is not evicted, but nobody keeps it in use for ever. */
static void test_in_use(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"), c, host;
	struct event want = model(2);

	rig_gpus(rig, 1, 1, 24 * GIB);
	rig_configure(rig);
	want.acquire.evictable = true;
	host = rig_ask(rig, s, want);
	rig_accept(rig, s, host);
	c = rig_session(rig, BIND_NATIVE, "c");
	guest_in(rig, c, host);
	want.acquire.need.vram_bytes = 20 * GIB;
	assert_int_equal(rig_state(rig, rig_ask(rig, c, want)), CLAIM_QUEUED);
	for (int64_t ms = 0; ms < rig->config.classes[LEASE_NORMAL].hold_ms_max; ms += 10000) {
		assert_int_equal(rig_state(rig, host), CLAIM_HELD);
		rig_pass(rig, 10000);
		rig_alive(rig, s);
		rig_alive(rig, c);
	}
	assert_int_equal(rig_state(rig, host), CLAIM_YIELDING);
}

/* A host that is asked to give way is asked with all its guests, and lets nobody in meanwhile. */
static void test_asked_with_guests(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_NATIVE, LEASE_BACKGROUND, NULL);
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"),
		 c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t host, guest, next;

	want.acquire.guests = 2;
	host = rig_ask(rig, s, want);
	rig_accept(rig, s, host);
	guest = guest_in(rig, c, host);
	rig_wait(rig, c, LEASE_VOICE);
	assert_non_null(rig_sent(rig, SEND_YIELD, host));
	assert_non_null(rig_sent(rig, SEND_YIELD, guest));
	next = rig_ask(rig, c, request(LEASE_CHAT, host));
	assert_int_equal(rig_state(rig, next), CLAIM_QUEUED);
}

/* Whose guest one may be, and whose child. */
static void test_who_may(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"), o, host = host_with(rig, s, 1);
	struct event open = model(1), want = rig_want(BIND_NATIVE, LEASE_CHAT, NULL);

	rig->principal = "uid:7";
	o = rig_session(rig, BIND_NATIVE, "other");
	assert_int_equal(rig_ask(rig, o, request(LEASE_CHAT, host)), 0);
	assert_int_equal(rig_error(rig), ERR_FORBIDDEN);
	want.acquire.parent = host;
	assert_int_equal(rig_ask(rig, o, want), 0);
	assert_int_equal(rig_error(rig), ERR_FORBIDDEN);
	want.acquire.parent = 999; /* it is no more, so nobody waits */
	assert_int_not_equal(rig_ask(rig, o, want), 0);
	open.acquire.guests_open = true;
	open.acquire.need.vram_bytes = GIB;
	rig->principal = "uid:8";
	s = rig_session(rig, BIND_NATIVE, "open");
	host = rig_ask(rig, s, open);
	rig_accept(rig, s, host);
	guest_in(rig, o, host);
	open.acquire.guests = 65;
	assert_int_equal(rig_ask(rig, s, open), 0);
	assert_int_equal(rig_error(rig), ERR_BAD_FIELD);
	assert_int_equal(rig_ask(rig, s, request(LEASE_CHAT, rig_ask(rig, s, model(0)))), 0);
	assert_int_equal(rig_error(rig), ERR_STATE); /* it offers no places */
}

/* A guest that waits for a claim that wants its own place would wait for ever. */
static void test_cycle_of_places(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"),
		 c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t host = host_with(rig, s, 1), guest = guest_in(rig, c, host);
	struct event want = request(LEASE_CHAT, host);

	want.acquire.parent = guest;
	assert_int_equal(rig_ask(rig, c, want), 0);
	assert_int_equal(rig_error(rig), ERR_DEADLOCK);
}

/* It is over, though its guest is not out yet: who comes now is told so at once. */
static void test_asked_while_it_drains(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"),
		 c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t host = host_with(rig, s, 2);

	guest_in(rig, c, host);
	rig_release(rig, s, host, false);
	assert_int_equal(rig_state(rig, host), CLAIM_DRAINING);
	assert_int_equal(rig_ask(rig, c, request(LEASE_CHAT, host)), 0);
	assert_int_equal(rig_error(rig), ERR_HOST_OVER);
}

/* Two GPUs, of one turn and of two; all is held, and a host waits for either. */
static uint64_t host_of_either(struct rig *rig, uint64_t conn, uint64_t *ret_first)
{
	struct event want = rig_need(LEASE_NORMAL, 1, 0);

	rig_gpus(rig, 2, 1, 0);
	rig->config.gpus[1].slots = 2;
	rig_configure(rig);
	want.acquire.need.gpu_mask = 1;
	*ret_first = rig_take(rig, conn, want);
	want = rig_need(LEASE_NORMAL, 2, 0);
	want.acquire.need.gpu_mask = 2;
	rig_take(rig, conn, want);
	want = rig_need(LEASE_NORMAL, 1, 0);
	want.acquire.guests = 2;
	return rig_ask(rig, conn, want);
}

/* Who can never be inside, by the GPU that its host got, keeps no place from others; and where that
 * is known when it asks it does not wait at all. */
static void test_never_inside(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"),
		 c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t first, host = host_of_either(rig, s, &first), wide, next;
	struct event want = request(LEASE_VOICE, host);

	want.acquire.need.slots = 2;
	wide = rig_ask(rig, c, want);
	next = rig_ask(rig, c, request(LEASE_BACKGROUND, host));
	rig_release(rig, s, first, false);
	rig_accept(rig, s, host);
	assert_int_equal(rig_row(rig, host)->granted_mask, 1);
	assert_int_equal(rig_state(rig, wide), CLAIM_QUEUED);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
	assert_int_equal(rig_ask(rig, c, want), 0);
	assert_int_equal(rig_error(rig), ERR_NEVER_FITS);
}

/* Nor does one that needs more than the GPU has since a reload. */
static void test_beyond_since_a_reload(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"),
		 c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t host, large, next;
	struct event want;

	host = host_with(rig, s, 2);
	rig_take(rig, c, rig_need(LEASE_CHAT, 0, 8 * GIB));
	want = request(LEASE_VOICE, host);
	want.acquire.need.vram_bytes = 20 * GIB;
	large = rig_ask(rig, c, want);
	next = rig_ask(rig, c, request(LEASE_BACKGROUND, host));
	assert_int_equal(rig_state(rig, next), CLAIM_QUEUED);
	rig->config.gpus[0].vram_bytes_total = 16 * GIB;
	rig_configure(rig);
	assert_int_equal(rig_state(rig, large), CLAIM_QUEUED);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
}

/* The limit of a guest is that of everybody: what was offered and not taken up is used, and of one
 * that cannot be cut short it runs while it loads. */
static void test_limit_is_as_outside(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"),
		 c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t host = host_with(rig, s, 1), guest, next;
	int64_t hold_ms = rig->config.classes[LEASE_CHAT].hold_ms_max;
	struct event want = request(LEASE_CHAT, host);

	want.acquire.loads = true;
	want.acquire.preemptible = false;
	guest = rig_ask(rig, c, want);
	next = rig_ask(rig, c, request(LEASE_CHAT, host));
	rig_pass(rig, rig->config.ack_ms); /* missed, and offered again */
	rig_accept(rig, c, guest);
	assert_int_equal(rig_state(rig, guest), CLAIM_LOADING);
	for (int64_t ms = rig->config.ack_ms; ms < hold_ms - 1000; ms += 1000) {
		rig_pass(rig, 1000);
		rig_alive(rig, c);
	}
	rig_pass(rig, 999);
	assert_int_equal(rig_state(rig, guest), CLAIM_LOADING);
	rig_pass(rig, 1);
	assert_int_equal(rig_sent(rig, SEND_YIELD, guest)->send.other, next);
}

/* Who runs inside, and who waits to, does so after a restart. */
static void test_restart(void **state)
{
	struct rig *rig = *state;
	uint64_t s = rig_session(rig, BIND_NATIVE, "server"),
		 c = rig_session(rig, BIND_NATIVE, "c");
	uint64_t host = host_with(rig, s, 1), guest = guest_in(rig, c, host), id, next;
	struct gpu_view gpu;

	next = rig_ask(rig, c, request(LEASE_CHAT, host));
	id = rig_session_id(rig, c);
	rig_restart(rig, true);
	rig_configure(rig);
	core_gpu(rig->core, 0, &gpu);
	assert_int_equal(gpu.slots_used, 0);
	c = rig_resume(rig, BIND_NATIVE, id);
	assert_int_equal(rig_state(rig, next), CLAIM_QUEUED);
	rig_release(rig, c, guest, false);
	assert_int_equal(rig_state(rig, next), CLAIM_OFFERED);
}

/* S2: a turn that is lent on and on is still one turn: its limit ends it, for whom it keeps out. */
static void test_lend_chain(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_NATIVE, "colluder"),
		 b = rig_session(rig, BIND_NATIVE, "b");
	uint64_t held = rig_hold(rig, a, LEASE_BACKGROUND), chat;
	int64_t waited_ms = 0;

	chat = rig_wait(rig, b, LEASE_NORMAL);
	while (rig_state(rig, chat) == CLAIM_QUEUED && waited_ms < 120000) {
		struct event want = request(LEASE_BACKGROUND, held);
		struct event lend = {.type = EVENT_LEND, .from = {PARTY_SESSION, a}};
		want.acquire.parent = lend.lend.lease = held;
		lend.lend.to = rig_ask(rig, a, want);
		rig_step(rig, lend);
		if (rig_state(rig, lend.lend.to) == CLAIM_OFFERED) {
			rig_accept(rig, a, lend.lend.to);
			rig_release(rig, a, held, false);
			held = lend.lend.to;
		}
		rig_pass(rig, 1000);
		waited_ms += 1000;
		rig_alive(rig, a);
		rig_alive(rig, b);
	}
	assert_in_range(waited_ms, 0, rig->config.classes[LEASE_BACKGROUND].hold_ms_max + 20000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_places),
		TEST(test_closes_nothing),
		TEST(test_hold_limit_inside),
		TEST(test_memory_inside),
		TEST(test_host_over),
		TEST(test_host_is_lost),
		TEST(test_asked_with_guests),
		TEST(test_who_may),
		TEST(test_cycle_of_places),
		TEST(test_restart),
		TEST(test_lend_chain),
		TEST(test_in_use),
		TEST(test_asked_while_it_drains),
		TEST(test_never_inside),
		TEST(test_beyond_since_a_reload),
		TEST(test_limit_is_as_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
