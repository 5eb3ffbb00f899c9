/* Goal: a turn of "all" is all of the GPU on which it is granted, and of nothing else; what a
 * browser does stays on one GPU. */
#include "fixture.h"

static void start(struct fixture *fixture, uint32_t first_slots, uint32_t second_slots)
{
	fixture_gpus(fixture, 2, 1, 8 * GIB);
	fixture->config.gpus[0].slots = first_slots;
	fixture->config.gpus[1].slots = second_slots;
	fixture->config.gpus[0].vram_bytes_total = 24 * GIB;
	fixture->config.session_ttl_ms = 100000000;
	fixture_configure(fixture);
}

static struct event all(uint32_t gpus)
{
	struct event event = fixture_need(LEASE_CHAT, 1, 0);

	event.acquire.need.all_slots = true;
	event.acquire.need.gpu_mask = gpus;
	return event;
}

static uint64_t hold_on(struct fixture *fixture, uint32_t gpus)
{
	struct event event = fixture_need(LEASE_CHAT, 1, 0);

	event.acquire.need.gpu_mask = gpus;
	return fixture_take(fixture, fixture_session(fixture, BIND_NATIVE, "holder"), event);
}

static uint32_t used(const struct fixture *fixture, uint32_t gpu)
{
	struct gpu_view view;

	assert_true(core_gpu(fixture->core, gpu, &view));
	return view.slots_used;
}

/* One of four slots of b is taken and a is idle: a it is, and one slot is all of it. */
static void test_all_of_whichever_is_idle(void **state)
{
	struct fixture *fixture = *state;
	uint64_t lease;

	start(fixture, 1, 4);
	hold_on(fixture, 2);
	lease = fixture_take(fixture, fixture_session(fixture, BIND_NATIVE, "loader"), all(0));
	assert_int_equal(fixture_row(fixture, lease)->granted_mask, 1);
	assert_int_equal(fixture_row(fixture, lease)->need.slots, 1);
	assert_int_equal(used(fixture, 0), 1);
}

static void test_nobody_beside_it(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, lease, other;
	struct event event = fixture_need(LEASE_CHAT, 1, 0);

	start(fixture, 1, 4);
	a = fixture_session(fixture, BIND_NATIVE, "loader");
	lease = fixture_take(fixture, a, all(2));
	assert_int_equal(fixture_row(fixture, lease)->need.slots, 4);
	assert_int_equal(used(fixture, 1), 4);
	event.acquire.need.gpu_mask = 2;
	other = fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "other"), event);
	assert_int_equal(fixture_state(fixture, other), CLAIM_QUEUED);
	fixture_release(fixture, a, lease, false);
	assert_int_equal(fixture_state(fixture, other), CLAIM_OFFERED);
	assert_int_equal(used(fixture, 1), 1);
}

/* It waits for the last who computes there, is told how long at most, and keeps what comes free. */
static void test_waits_for_the_last(void **state)
{
	struct fixture *fixture = *state;
	uint64_t waiting, late, first, conn = fixture_session(fixture, BIND_NATIVE, "first");
	uint64_t second, other = fixture_session(fixture, BIND_NATIVE, "second");
	struct event event = fixture_need(LEASE_CHAT, 1, 0);

	start(fixture, 1, 2);
	event.acquire.need.gpu_mask = 2;
	first = fixture_take(fixture, conn, event);
	second = fixture_take(fixture, other, event);
	waiting = fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "loader"), all(2));
	assert_int_equal(fixture_state(fixture, waiting), CLAIM_QUEUED);
	assert_int_equal(fixture_row(fixture, waiting)->need.slots, 1);
	assert_in_range(core_bound_ms(fixture->core, waiting, fixture->now), 1, INT64_MAX);
	late = fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "late"), event);
	fixture_release(fixture, conn, first, false);
	assert_int_equal(fixture_state(fixture, waiting), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, late), CLAIM_QUEUED);
	fixture_release(fixture, other, second, false);
	assert_int_equal(fixture_state(fixture, waiting), CLAIM_OFFERED);
	assert_int_equal(used(fixture, 1), 2);
}

/* What it came to at the grant stays; if it waits again, it is computed again. */
static void test_reload_and_requeue(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conn, lease;

	start(fixture, 1, 2);
	conn = fixture_session(fixture, BIND_NATIVE, "loader");
	lease = fixture_take(fixture, conn, all(2));
	fixture->config.gpus[1].slots = 3;
	fixture_configure(fixture);
	assert_int_equal(used(fixture, 1), 2);
	fixture_restart(fixture, true);
	assert_int_equal(used(fixture, 1), 2);
	conn = fixture_resume(fixture, BIND_NATIVE, fixture_row(fixture, lease)->session);
	hold_on(fixture, 2);
	fixture_release(fixture, conn, lease, true);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_QUEUED);
	assert_int_equal(fixture_row(fixture, lease)->need.slots, 1);
	assert_true(fixture_row(fixture, lease)->need.all_slots);
}

/* What it was offered when the broker was restarted is not what it needs anywhere else. */
static void test_offered_at_a_restart(void **state)
{
	struct fixture *fixture = *state;
	uint64_t lease;

	start(fixture, 1, 4);
	hold_on(fixture, 1);
	lease = fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "loader"), all(0));
	assert_int_equal(fixture_state(fixture, lease), CLAIM_OFFERED);
	assert_int_equal(fixture_row(fixture, lease)->need.slots, 4);
	fixture_restart(fixture, true);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_QUEUED);
	assert_int_equal(fixture_row(fixture, lease)->need.slots, 1);
}

static void test_of_one_gpu_only(void **state)
{
	struct fixture *fixture = *state;
	struct event event = all(0);

	start(fixture, 1, 2);
	event.acquire.need.gpu_count = 2;
	assert_int_equal(fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "set"), event),
			 0);
	assert_int_equal(fixture_error(fixture), ERR_BAD_FIELD);
}

static void lend(struct fixture *fixture, uint64_t conn, uint64_t lender, uint64_t to)
{
	fixture_step(fixture, (struct event){.type = EVENT_LEND,
					     .from = {PARTY_SESSION, conn},
					     .lend = {lender, to}});
}

/* The whole GPU can be lent to "all"; one of its two slots cannot. */
static void test_lent(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conn, lender, to;
	struct event event = all(3);

	start(fixture, 1, 2);
	hold_on(fixture, 1);
	conn = fixture_session(fixture, BIND_NATIVE, "outer");
	lender = fixture_take(fixture, conn, all(2));
	event.acquire.parent = lender;
	to = fixture_ask(fixture, conn, event);
	lend(fixture, conn, lender, to);
	assert_int_equal(fixture_state(fixture, to), CLAIM_OFFERED);
	assert_int_equal(used(fixture, 1), 2);
	fixture_step(fixture, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, conn}});

	conn = fixture_session(fixture, BIND_NATIVE, "outer");
	event = fixture_need(LEASE_CHAT, 1, 0);
	event.acquire.need.gpu_mask = 2;
	lender = fixture_take(fixture, conn, event);
	event = all(3);
	event.acquire.parent = lender;
	to = fixture_ask(fixture, conn, event);
	lend(fixture, conn, lender, to);
	assert_int_equal(fixture_error(fixture), ERR_NO_ROOM);
	fixture_step(fixture, (struct event){.type = EVENT_CANCEL,
					     .from = {PARTY_SESSION, conn},
					     .ref = fixture_row(fixture, to)->ref});
	event.acquire.need.gpu_mask = 2; /* of which its own parent has a slot */
	event.acquire.ref = 0;
	assert_int_equal(fixture_ask(fixture, conn, event), 0);
	assert_int_equal(fixture_error(fixture), ERR_DEADLOCK);
}

/* A set of two GPUs has one slot of each: that is all of the one, and not of the other. */
static void test_lent_of_a_set(void **state)
{
	struct fixture *fixture = *state;
	struct event set = fixture_need(LEASE_CHAT, 1, 0), event = all(2);
	uint64_t conn, lender, to;

	start(fixture, 1, 3);
	conn = fixture_session(fixture, BIND_NATIVE, "outer");
	set.acquire.need.gpu_count = 2;
	lender = fixture_take(fixture, conn, set);
	event.acquire.parent = event.acquire.host = lender;
	to = fixture_ask(fixture, conn, event);
	lend(fixture, conn, lender, to);
	assert_int_equal(fixture_error(fixture), ERR_NO_ROOM);
	assert_int_equal(fixture_state(fixture, to), CLAIM_QUEUED);

	event = all(1);
	event.acquire.parent = event.acquire.host = lender;
	to = fixture_ask(fixture, conn, event);
	lend(fixture, conn, lender, to);
	assert_int_equal(fixture_state(fixture, to), CLAIM_OFFERED);
}

static uint32_t tab_gpus(struct fixture *fixture, uint64_t conn, struct event event)
{
	event.acquire.binding = BIND_TAB;
	return fixture_row(fixture, fixture_take(fixture, conn, event))->granted_mask;
}

/* A WebSocket client that names no GPU gets the browser's, however busy that is. */
static void test_browser_gpu(void **state)
{
	struct fixture *fixture = *state;
	uint64_t tab, waiting;
	struct event named = fixture_want(BIND_TAB, LEASE_CHAT, NULL);

	start(fixture, 2, 2);
	fixture->config.browser_gpu = 1;
	fixture_configure(fixture);
	tab = fixture_session(fixture, BIND_TAB, "tab");
	assert_int_equal(tab_gpus(fixture, tab, fixture_want(BIND_TAB, LEASE_CHAT, NULL)), 2);
	hold_on(fixture, 2);
	waiting = fixture_ask(fixture, fixture_session(fixture, BIND_TAB, "tab 2"),
			      fixture_want(BIND_TAB, LEASE_CHAT, NULL));
	assert_int_equal(fixture_state(fixture, waiting), CLAIM_QUEUED);
	named.acquire.need.gpu_mask = 1;
	assert_int_equal(tab_gpus(fixture, fixture_session(fixture, BIND_TAB, "tab 3"), named), 1);
	/* Programs are not browsers. */
	assert_int_equal(
		fixture_row(fixture,
			    fixture_take(fixture, fixture_session(fixture, BIND_NATIVE, "native"),
					 fixture_need(LEASE_CHAT, 1, 0)))
			->granted_mask,
		1);
}

/* Its memory is on the GPU that it named, so its turns are there, too. */
static void test_turns_stay_at_the_residence(void **state)
{
	struct fixture *fixture = *state;
	struct event home = fixture_need(LEASE_CHAT, 0, 2 * GIB), event;
	uint64_t tab, turn;

	start(fixture, 2, 2);
	tab = fixture_session(fixture, BIND_TAB, "tab");
	home.acquire.need.gpu_mask = 2;
	home.acquire.evictable = true;
	assert_int_equal(tab_gpus(fixture, tab, home), 2);
	hold_on(fixture, 2);
	hold_on(fixture, 2);
	event = all(0);
	event.acquire.binding = BIND_TAB;
	turn = fixture_ask(fixture, tab, event);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_QUEUED);
	assert_int_equal(fixture_row(fixture, turn)->need.gpu_mask, 2);
	assert_int_equal(tab_gpus(fixture, fixture_session(fixture, BIND_TAB, "other"),
				  fixture_want(BIND_TAB, LEASE_CHAT, NULL)),
			 1);
}

/* Instead of the headroom: what this GPU keeps, for the driver, too. */
static void test_kept_by_a_gpu(void **state)
{
	struct fixture *fixture = *state;
	struct event event = fixture_need(LEASE_CHAT, 0, 20 * GIB + 1);
	uint64_t conn, lease;

	start(fixture, 1, 1);
	fixture->config.gpus[0].vram_bytes_kept = 4 * GIB;
	fixture_configure(fixture);
	conn = fixture_session(fixture, BIND_NATIVE, "large");
	fixture_ask(fixture, conn, event);
	assert_int_equal(fixture_error(fixture), ERR_NEVER_FITS);

	event.acquire.need.vram_bytes = 20 * GIB;
	lease = fixture_take(fixture, conn, event);
	assert_int_equal(fixture_row(fixture, lease)->granted_mask, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_all_of_whichever_is_idle),
		TEST(test_nobody_beside_it),
		TEST(test_waits_for_the_last),
		TEST(test_reload_and_requeue),
		TEST(test_offered_at_a_restart),
		TEST(test_of_one_gpu_only),
		TEST(test_lent),
		TEST(test_lent_of_a_set),
		TEST(test_browser_gpu),
		TEST(test_turns_stay_at_the_residence),
		TEST(test_kept_by_a_gpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
