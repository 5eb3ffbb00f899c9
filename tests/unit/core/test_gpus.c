/* Goal: a turn of "all" is all of the GPU on which it is granted, and of nothing else; what a
 * browser does stays on one GPU. */
#include "rig.h"

static void start(struct rig *rig, uint32_t first_slots, uint32_t second_slots)
{
	rig_gpus(rig, 2, 1, 8 * GIB);
	rig->config.gpus[0].slots = first_slots;
	rig->config.gpus[1].slots = second_slots;
	rig->config.gpus[0].vram_bytes_total = 24 * GIB;
	rig->config.session_ttl_ms = 100000000;
	rig_configure(rig);
}

static struct event all(uint32_t gpus)
{
	struct event event = rig_need(LEASE_CHAT, 1, 0);

	event.acquire.need.all_slots = true;
	event.acquire.need.gpu_mask = gpus;
	return event;
}

static uint64_t hold_on(struct rig *rig, uint32_t gpus)
{
	struct event event = rig_need(LEASE_CHAT, 1, 0);

	event.acquire.need.gpu_mask = gpus;
	return rig_take(rig, rig_session(rig, BIND_NATIVE, "holder"), event);
}

static uint32_t used(const struct rig *rig, uint32_t gpu)
{
	struct gpu_view view;

	assert_true(core_gpu(rig->core, gpu, &view));
	return view.slots_used;
}

/* One of four slots of b is taken and a is idle: a it is, and one slot is all of it. */
static void test_all_of_whichever_is_idle(void **state)
{
	struct rig *rig = *state;
	uint64_t lease;

	start(rig, 1, 4);
	hold_on(rig, 2);
	lease = rig_take(rig, rig_session(rig, BIND_NATIVE, "loader"), all(0));
	assert_int_equal(rig_row(rig, lease)->granted_mask, 1);
	assert_int_equal(rig_row(rig, lease)->need.slots, 1);
	assert_int_equal(used(rig, 0), 1);
}

static void test_nobody_beside_it(void **state)
{
	struct rig *rig = *state;
	uint64_t a, lease, other;
	struct event event = rig_need(LEASE_CHAT, 1, 0);

	start(rig, 1, 4);
	a = rig_session(rig, BIND_NATIVE, "loader");
	lease = rig_take(rig, a, all(2));
	assert_int_equal(rig_row(rig, lease)->need.slots, 4);
	assert_int_equal(used(rig, 1), 4);
	event.acquire.need.gpu_mask = 2;
	other = rig_ask(rig, rig_session(rig, BIND_NATIVE, "other"), event);
	assert_int_equal(rig_state(rig, other), CLAIM_QUEUED);
	rig_release(rig, a, lease, false);
	assert_int_equal(rig_state(rig, other), CLAIM_OFFERED);
	assert_int_equal(used(rig, 1), 1);
}

/* It waits for the last who computes there, is told how long at most, and keeps what comes free. */
static void test_waits_for_the_last(void **state)
{
	struct rig *rig = *state;
	uint64_t waiting, late, first, conn = rig_session(rig, BIND_NATIVE, "first");
	uint64_t second, other = rig_session(rig, BIND_NATIVE, "second");
	struct event event = rig_need(LEASE_CHAT, 1, 0);

	start(rig, 1, 2);
	event.acquire.need.gpu_mask = 2;
	first = rig_take(rig, conn, event);
	second = rig_take(rig, other, event);
	waiting = rig_ask(rig, rig_session(rig, BIND_NATIVE, "loader"), all(2));
	assert_int_equal(rig_state(rig, waiting), CLAIM_QUEUED);
	assert_int_equal(rig_row(rig, waiting)->need.slots, 1);
	assert_in_range(core_bound_ms(rig->core, waiting, rig->now), 1, INT64_MAX);
	late = rig_ask(rig, rig_session(rig, BIND_NATIVE, "late"), event);
	rig_release(rig, conn, first, false);
	assert_int_equal(rig_state(rig, waiting), CLAIM_QUEUED);
	assert_int_equal(rig_state(rig, late), CLAIM_QUEUED);
	rig_release(rig, other, second, false);
	assert_int_equal(rig_state(rig, waiting), CLAIM_OFFERED);
	assert_int_equal(used(rig, 1), 2);
}

/* What it came to at the grant stays; where it waits again, it is asked anew. */
static void test_reload_and_requeue(void **state)
{
	struct rig *rig = *state;
	uint64_t conn, lease;

	start(rig, 1, 2);
	conn = rig_session(rig, BIND_NATIVE, "loader");
	lease = rig_take(rig, conn, all(2));
	rig->config.gpus[1].slots = 3;
	rig_configure(rig);
	assert_int_equal(used(rig, 1), 2);
	rig_restart(rig, true);
	assert_int_equal(used(rig, 1), 2);
	conn = rig_resume(rig, BIND_NATIVE, rig_row(rig, lease)->session);
	hold_on(rig, 2);
	rig_release(rig, conn, lease, true);
	assert_int_equal(rig_state(rig, lease), CLAIM_QUEUED);
	assert_int_equal(rig_row(rig, lease)->need.slots, 1);
	assert_true(rig_row(rig, lease)->need.all_slots);
}

static void test_of_one_gpu_only(void **state)
{
	struct rig *rig = *state;
	struct event event = all(0);

	start(rig, 1, 2);
	event.acquire.need.gpu_count = 2;
	assert_int_equal(rig_ask(rig, rig_session(rig, BIND_NATIVE, "set"), event), 0);
	assert_int_equal(rig_error(rig), ERR_BAD_FIELD);
}

static void lend(struct rig *rig, uint64_t conn, uint64_t lender, uint64_t to)
{
	rig_step(rig, (struct event){.type = EVENT_LEND,
				     .from = {PARTY_SESSION, conn},
				     .lend = {lender, to}});
}

/* The whole GPU can be lent to "all"; one of its two slots cannot. */
static void test_lent(void **state)
{
	struct rig *rig = *state;
	uint64_t conn, lender, to;
	struct event event = all(3);

	start(rig, 1, 2);
	hold_on(rig, 1);
	conn = rig_session(rig, BIND_NATIVE, "outer");
	lender = rig_take(rig, conn, all(2));
	event.acquire.parent = lender;
	to = rig_ask(rig, conn, event);
	lend(rig, conn, lender, to);
	assert_int_equal(rig_state(rig, to), CLAIM_OFFERED);
	assert_int_equal(used(rig, 1), 2);
	rig_step(rig, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, conn}});

	conn = rig_session(rig, BIND_NATIVE, "outer");
	event = rig_need(LEASE_CHAT, 1, 0);
	event.acquire.need.gpu_mask = 2;
	lender = rig_take(rig, conn, event);
	event = all(3);
	event.acquire.parent = lender;
	to = rig_ask(rig, conn, event);
	lend(rig, conn, lender, to);
	assert_int_equal(rig_error(rig), ERR_NO_ROOM);
	rig_step(rig, (struct event){.type = EVENT_CANCEL,
				     .from = {PARTY_SESSION, conn},
				     .ref = rig_row(rig, to)->ref});
	event.acquire.need.gpu_mask = 2; /* of which its own parent has a slot */
	event.acquire.ref = 0;
	assert_int_equal(rig_ask(rig, conn, event), 0);
	assert_int_equal(rig_error(rig), ERR_DEADLOCK);
}

static uint32_t tab_gpus(struct rig *rig, uint64_t conn, struct event event)
{
	event.acquire.binding = BIND_TAB;
	return rig_row(rig, rig_take(rig, conn, event))->granted_mask;
}

/* Who comes over WebSocket and names none is on the browser's GPU, however busy that is. */
static void test_browser_gpu(void **state)
{
	struct rig *rig = *state;
	uint64_t tab, waiting;
	struct event named = rig_want(BIND_TAB, LEASE_CHAT, NULL);

	start(rig, 2, 2);
	rig->config.browser_gpu = 1;
	rig_configure(rig);
	tab = rig_session(rig, BIND_TAB, "tab");
	assert_int_equal(tab_gpus(rig, tab, rig_want(BIND_TAB, LEASE_CHAT, NULL)), 2);
	hold_on(rig, 2);
	waiting = rig_ask(rig, rig_session(rig, BIND_TAB, "tab 2"),
			  rig_want(BIND_TAB, LEASE_CHAT, NULL));
	assert_int_equal(rig_state(rig, waiting), CLAIM_QUEUED);
	named.acquire.need.gpu_mask = 1;
	assert_int_equal(tab_gpus(rig, rig_session(rig, BIND_TAB, "tab 3"), named), 1);
	/* Programs are not browsers. */
	assert_int_equal(rig_row(rig, rig_take(rig, rig_session(rig, BIND_NATIVE, "native"),
					       rig_need(LEASE_CHAT, 1, 0)))
				 ->granted_mask,
			 1);
}

/* Its memory is on the GPU that it named, so its turns are there, too. */
static void test_turns_stay_at_the_residence(void **state)
{
	struct rig *rig = *state;
	struct event home = rig_need(LEASE_CHAT, 0, 2 * GIB), event;
	uint64_t tab, turn;

	start(rig, 2, 2);
	tab = rig_session(rig, BIND_TAB, "tab");
	home.acquire.need.gpu_mask = 2;
	home.acquire.evictable = true;
	assert_int_equal(tab_gpus(rig, tab, home), 2);
	hold_on(rig, 2);
	hold_on(rig, 2);
	event = all(0);
	event.acquire.binding = BIND_TAB;
	turn = rig_ask(rig, tab, event);
	assert_int_equal(rig_state(rig, turn), CLAIM_QUEUED);
	assert_int_equal(rig_row(rig, turn)->need.gpu_mask, 2);
	assert_int_equal(tab_gpus(rig, rig_session(rig, BIND_TAB, "other"),
				  rig_want(BIND_TAB, LEASE_CHAT, NULL)),
			 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_all_of_whichever_is_idle),
		TEST(test_nobody_beside_it),
		TEST(test_waits_for_the_last),
		TEST(test_reload_and_requeue),
		TEST(test_of_one_gpu_only),
		TEST(test_lent),
		TEST(test_browser_gpu),
		TEST(test_turns_stay_at_the_residence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
