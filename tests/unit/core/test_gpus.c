/* Goal: a turn of "all" is all of each GPU on which it is granted, and of nothing else; what a
 * browser does stays on one GPU. */
#include "base/buf.h"
#include "base/err.h"
#include "core/config.h"
#include "core/effect.h"
#include "core/event.h"
#include "core/export.h"
#include "core/import.h"
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

/* It is all that there is, also after a reload and a restart; while it waits it counts nothing. */
static void test_reload_and_requeue(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conn, lease, other;

	start(fixture, 1, 2);
	conn = fixture_session(fixture, BIND_NATIVE, "loader");
	lease = fixture_take(fixture, conn, all(2));
	fixture->config.gpus[1].slots = 3;
	fixture_configure(fixture);
	assert_int_equal(used(fixture, 1), 3);
	assert_int_equal(fixture_row(fixture, lease)->need.slots, 3);
	fixture->config.gpus[1].slots = 2;
	fixture_restart(fixture, true);
	assert_int_equal(used(fixture, 1), 2);
	assert_int_equal(fixture_row(fixture, lease)->need.slots, 2);
	conn = fixture_resume(fixture, BIND_NATIVE, fixture_row(fixture, lease)->session);
	other = fixture_session(fixture, BIND_NATIVE, "other");
	fixture_ask(fixture, other, all(2));
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

static struct event all_of_both(void)
{
	struct event event = all(0);

	event.acquire.need.gpu_count = 2;
	return event;
}

/* Of unlike GPUs it has all that each has: it waits for the last who computes on either, keeps what
 * comes free meanwhile, and nobody starts beside it. */
static void test_set_waits_for_the_last(void **state)
{
	struct fixture *fixture = *state;
	struct event one = fixture_need(LEASE_CHAT, 1, 0);
	uint64_t first, first_lease, second, second_lease, loader, lease, late;

	start(fixture, 2, 3);
	one.acquire.need.gpu_mask = 1;
	first = fixture_session(fixture, BIND_NATIVE, "first");
	first_lease = fixture_take(fixture, first, one);
	one.acquire.need.gpu_mask = 2;
	second = fixture_session(fixture, BIND_NATIVE, "second");
	second_lease = fixture_take(fixture, second, one);
	loader = fixture_session(fixture, BIND_NATIVE, "loader");
	lease = fixture_ask(fixture, loader, all_of_both());
	assert_int_equal(fixture_state(fixture, lease), CLAIM_QUEUED);

	late = fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "late"), one);
	fixture_release(fixture, second, second_lease, false);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, late), CLAIM_QUEUED);
	fixture_release(fixture, first, first_lease, false);
	fixture_accept(fixture, loader, lease);

	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	assert_int_equal(fixture_row(fixture, lease)->granted_mask, 3);
	assert_int_equal(fixture_row(fixture, lease)->need.slots, 2); /* the fewest of them */
	assert_int_equal(used(fixture, 0), 2);
	assert_int_equal(used(fixture, 1), 3);
	assert_int_equal(fixture_state(fixture, late), CLAIM_QUEUED);
	fixture_release(fixture, loader, lease, false);
	assert_int_equal(fixture_state(fixture, late), CLAIM_OFFERED);
	assert_int_equal(used(fixture, 0), 0);
	assert_int_equal(used(fixture, 1), 1);
}

/* The two of three GPUs that nobody uses: the third is no part of it. */
static void test_set_of_those_that_are_idle(void **state)
{
	struct fixture *fixture = *state;
	uint64_t lease;

	fixture_gpus(fixture, 3, 2, 8 * GIB);
	fixture_configure(fixture);
	hold_on(fixture, 2);
	lease = fixture_take(fixture, fixture_session(fixture, BIND_NATIVE, "loader"),
			     all_of_both());
	assert_int_equal(fixture_row(fixture, lease)->granted_mask, 5);
	assert_int_equal(used(fixture, 0), 2);
	assert_int_equal(used(fixture, 1), 1);
	assert_int_equal(used(fixture, 2), 2);
}

/* As many as each has then: neither a reload nor a restart lets anybody in beside it, and an
 * exported core is the same. */
static void test_set_over_reload_and_restart(void **state)
{
	struct fixture *fixture = *state;
	struct event one = fixture_need(LEASE_CHAT, 1, 0);
	const char *why;
	struct buf bytes = {0};
	struct core *copy;
	struct gpu_view view;
	uint64_t other;

	start(fixture, 1, 4);
	fixture_take(fixture, fixture_session(fixture, BIND_NATIVE, "loader"), all_of_both());
	assert_int_equal(used(fixture, 1), 4);
	fixture->config.gpus[0].slots = 3;
	fixture->config.gpus[1].slots = 2;
	fixture_configure(fixture);
	assert_int_equal(used(fixture, 0), 3);
	assert_int_equal(used(fixture, 1), 2);
	other = fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "other"), one);
	assert_int_equal(fixture_state(fixture, other), CLAIM_QUEUED);

	fixture->config.gpus[1].slots = 5;
	fixture_restart(fixture, true);
	assert_int_equal(used(fixture, 0), 3);
	assert_int_equal(used(fixture, 1), 5);

	core_export(fixture->core, &bytes);
	copy = core_import(buf_data(&bytes), bytes.length, 77, &why);
	assert_non_null(copy);
	assert_true(core_gpu(copy, 0, &view) && view.slots_used == 3);
	assert_true(core_gpu(copy, 1, &view) && view.slots_used == 5);
	core_check(copy, fixture->now);
	core_destroy(copy);
	buf_finish(&bytes);
}

/* It is changed to a number: fewer is at once, more on one of its GPUs only where there is room. */
static void test_set_changes(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conn, lease;

	start(fixture, 1, 3);
	conn = fixture_session(fixture, BIND_NATIVE, "loader");
	lease = fixture_take(fixture, conn, all_of_both());
	for (uint32_t slots = 2; slots > 0; slots--)
		fixture_step(fixture, (struct event){.type = EVENT_CHANGE,
						     .from = {PARTY_SESSION, conn},
						     .change = {lease, {.slots = slots}}});
	assert_int_equal(fixture_error(fixture), 0);
	assert_false(fixture_row(fixture, lease)->need.all_slots);
	assert_int_equal(used(fixture, 0), 1);
	assert_int_equal(used(fixture, 1), 1);

	fixture_step(fixture, (struct event){.type = EVENT_CHANGE,
					     .from = {PARTY_SESSION, conn},
					     .change = {lease, {.slots = 2}}});
	assert_int_equal(fixture_error(fixture), ERR_NO_ROOM); /* the first has one */
	assert_int_equal(used(fixture, 1), 1);
}

/* Frozen, it gives all of both back, and asks for all of both again. */
static void test_set_parks(void **state)
{
	struct fixture *fixture = *state;
	struct event event = all_of_both(), again = fixture_want(BIND_NATIVE, LEASE_CHAT, "");
	uint64_t conn, lease, turn, other, voice;

	start(fixture, 2, 3);
	conn = fixture_session(fixture, BIND_NATIVE, "trainer");
	event.acquire.need.vram_bytes = GIB;
	lease = fixture_take(fixture, conn, event);
	other = fixture_session(fixture, BIND_NATIVE, "voice");
	voice = fixture_wait(fixture, other, LEASE_VOICE);
	again.acquire.resumes = lease;
	again.acquire.ref = 70;
	turn = fixture_ask(fixture, conn, again);
	fixture_accept(fixture, other, voice);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_QUEUED);
	assert_int_equal(used(fixture, 0) + used(fixture, 1), 1);

	fixture->config.gpus[0].slots = 4;
	fixture_configure(fixture);
	fixture_release(fixture, other, voice, false);
	assert_int_equal(used(fixture, 0), 4);
	fixture_accept(fixture, conn, turn);
	assert_int_equal(fixture_end(fixture, turn), END_RELEASED);
	assert_int_equal(used(fixture, 0), 4);
	assert_int_equal(used(fixture, 1), 3);
	assert_true(fixture_row(fixture, lease)->need.all_slots);
	fixture_release(fixture, conn, lease, false);
	assert_int_equal(used(fixture, 0) + used(fixture, 1), 0);
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
					     .cancel.ref = fixture_row(fixture, to)->ref});
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

/* What has all of both GPUs has all of either, and of both, for whom it waits for. */
static void test_set_lends(void **state)
{
	struct fixture *fixture = *state;
	struct event event;
	uint64_t conn, lender, to;

	start(fixture, 1, 3);
	conn = fixture_session(fixture, BIND_NATIVE, "outer");
	lender = fixture_take(fixture, conn, all_of_both());
	for (int i = 0; i < 2; i++) {
		event = i ? all_of_both() : all(2);
		event.acquire.parent = event.acquire.host = lender;
		event.acquire.ref = 50 + (uint64_t)i;
		to = fixture_ask(fixture, conn, event);
		lend(fixture, conn, lender, to);
		assert_int_equal(fixture_state(fixture, to), CLAIM_OFFERED);
		assert_int_equal(used(fixture, 1), 3);
		fixture_accept(fixture, conn, to);
		fixture_release(fixture, conn, to, false);
	}

	/* Who would have to wait for it to end is refused. */
	event = all_of_both();
	event.acquire.parent = lender;
	event.acquire.ref = 60;
	assert_int_equal(fixture_ask(fixture, conn, event), 0);
	assert_int_equal(fixture_error(fixture), ERR_DEADLOCK);
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
		TEST(test_set_waits_for_the_last),
		TEST(test_set_of_those_that_are_idle),
		TEST(test_set_over_reload_and_restart),
		TEST(test_set_changes),
		TEST(test_set_parks),
		TEST(test_lent),
		TEST(test_lent_of_a_set),
		TEST(test_set_lends),
		TEST(test_browser_gpu),
		TEST(test_turns_stay_at_the_residence),
		TEST(test_kept_by_a_gpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
