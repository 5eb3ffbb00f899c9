/* Goal: memory that was measured is given to others when it is measured free, not when its holder
 * says so; a reading counts for what it was taken of, and for as long as it is young (D6). */
#include "rig.h"

#include "core/state.h"

static struct event resident(enum binding binding, uint64_t vram_bytes)
{
	struct event want = rig_want(binding, LEASE_NORMAL, NULL);

	want.acquire.need = (struct need){.slots = 0, .vram_bytes = vram_bytes, .gpu_count = 1};
	return want;
}

static uint64_t keeps(struct rig *rig, uint64_t conn, enum binding binding, uint64_t vram_bytes)
{
	uint64_t lease = rig_ask(rig, conn, resident(binding, vram_bytes));

	rig_accept(rig, conn, lease);
	assert_int_equal(rig_state(rig, lease), CLAIM_HELD);
	return lease;
}

static void sample_of(struct rig *rig, uint64_t used, struct observed seen, int64_t age_ms)
{
	struct event event = {.type = EVENT_GPU_SAMPLE};

	event.sample.healthy = event.sample.used_known = true;
	event.sample.measured = mono_after(rig->now, -age_ms);
	event.sample.vram_bytes_used = used;
	event.sample.observed = &seen;
	event.sample.observed_count = seen.session ? 1 : 0;
	rig_step(rig, event);
}

static struct gpu_view view_of(const struct rig *rig)
{
	struct gpu_view view;

	core_gpu(rig->core, 0, &view);
	return view;
}

static void begin(struct rig *rig)
{
	rig_gpus(rig, 1, 1, 24 * GIB);
	rig_configure(rig);
}

/* A native lease ends, its process keeps the memory: it is not a tab's that has not loaded yet. */
static void test_leftover_is_no_tabs(void **state)
{
	struct rig *rig = *state;
	uint64_t s, id, t, third;

	begin(rig);
	s = rig_session(rig, BIND_NATIVE, "native");
	id = rig_session_id(rig, s);
	t = rig_session(rig, BIND_TAB, "tab");
	keeps(rig, s, BIND_NATIVE, 10 * GIB);
	rig_sample(rig, 0, 10 * GIB, id, 10 * GIB);
	keeps(rig, t, BIND_TAB, 12 * GIB);
	rig_step(rig, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, s}});
	assert_int_equal(view_of(rig).vram_bytes_draining, 10 * GIB);
	rig_pass(rig, 1000);
	rig_sample(rig, 0, 10 * GIB, 0, 0);
	assert_int_equal(view_of(rig).vram_bytes_draining, 10 * GIB);
	third = rig_ask(rig, t, resident(BIND_TAB, 12 * GIB));
	assert_int_equal(rig_state(rig, third), CLAIM_QUEUED);
	assert_int_equal(rig_why(rig, third), WHY_DRAINING);
	/* Its time is over: what is left is nobody's, and people learn whose it was. */
	for (int64_t ms = 0; ms < rig->config.drain_ms_max; ms += 5000) {
		rig_pass(rig, 5000);
		rig_alive(rig, t);
		rig_sample(rig, 0, 10 * GIB, 0, 0);
	}
	assert_int_equal(view_of(rig).vram_bytes_draining, 0);
	assert_int_equal(view_of(rig).vram_bytes_unmanaged, 10 * GIB);
	assert_string_equal(view_of(rig).left_by, "native");
	assert_int_equal(rig_state(rig, third), CLAIM_QUEUED);
	rig_sample(rig, 0, 0, 0, 0);
	assert_int_equal(view_of(rig).vram_bytes_unmanaged, 0);
	assert_string_equal(view_of(rig).left_by, "");
	assert_int_equal(view_of(rig).vram_bytes_granted, 24 * GIB - 0);
}

/* A turn is over at once; memory only when a sample from after the end shows it. */
static void test_free_by_sample(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t a, b, id, lease, big;

	begin(rig);
	a = rig_session(rig, BIND_NATIVE, "a");
	b = rig_session(rig, BIND_NATIVE, "b");
	id = rig_session_id(rig, a);
	want.acquire.need.vram_bytes = 20 * GIB;
	lease = rig_ask(rig, a, want);
	rig_accept(rig, a, lease);
	rig_sample(rig, 0, 20 * GIB, id, 20 * GIB);
	big = rig_ask(rig, b, resident(BIND_NATIVE, 20 * GIB));
	rig_pass(rig, 1000);
	rig_release(rig, a, lease, false);
	assert_non_null(rig_sent(rig, SEND_RELEASED, lease));
	assert_int_equal(rig_state(rig, lease), CLAIM_DRAINING);
	assert_int_equal(view_of(rig).slots_used, 0);
	rig_hold(rig, b, LEASE_CHAT);
	sample_of(rig, 0, (struct observed){0}, 500); /* from before the end */
	assert_int_equal(rig_state(rig, big), CLAIM_QUEUED);
	rig_pass(rig, 1000);
	rig_sample(rig, 0, 20 * GIB, id, 20 * GIB);
	assert_int_equal(rig_state(rig, lease), CLAIM_DRAINING);
	rig_pass(rig, 1000);
	rig_sample(rig, 0, 0, 0, 0);
	assert_int_equal(rig_end(rig, lease), END_RELEASED);
	assert_int_equal(rig_state(rig, big), CLAIM_OFFERED);
}

/* A session that drains has ended: its linger is not judged again. */
static void test_session_over(void **state)
{
	struct rig *rig = *state;
	uint64_t a, id, lease;

	begin(rig);
	a = rig_session(rig, BIND_NATIVE, "a");
	id = rig_session_id(rig, a);
	lease = keeps(rig, a, BIND_NATIVE, 20 * GIB);
	rig_sample(rig, 0, 20 * GIB, id, 20 * GIB);
	rig_close(rig, a);
	rig_step(rig, (struct event){.type = EVENT_PEER_EXIT, .peer.session = id});
	assert_int_equal(rig_state(rig, lease), CLAIM_DRAINING);
	rig_pass(rig, rig->config.native_linger_ms + 1000);
	assert_int_equal(rig_state(rig, lease), CLAIM_DRAINING);
	rig_sample(rig, 0, 0, 0, 0);
	assert_int_equal(rig_end(rig, lease), END_DISCONNECTED);
}

/* Where nothing measured it, its word is enough, as before. */
static void test_unmeasured(void **state)
{
	struct rig *rig = *state;
	uint64_t a, t, lease;

	begin(rig);
	a = rig_session(rig, BIND_NATIVE, "a");
	t = rig_session(rig, BIND_TAB, "t");
	lease = keeps(rig, a, BIND_NATIVE, 20 * GIB);
	rig_release(rig, a, lease, false);
	assert_int_equal(rig_end(rig, lease), END_RELEASED);
	lease = keeps(rig, t, BIND_TAB, 20 * GIB);
	rig_sample(rig, 0, 20 * GIB, 0, 0);
	rig_release(rig, t, lease, false);
	assert_int_equal(rig_end(rig, lease), END_RELEASED);
}

/* Of two models of one session the one that was unloaded is free, the other is not. */
static void test_figure_per_lease(void **state)
{
	struct rig *rig = *state;
	uint64_t a, id, small, large;

	begin(rig);
	a = rig_session(rig, BIND_NATIVE, "a");
	id = rig_session_id(rig, a);
	small = keeps(rig, a, BIND_NATIVE, 4 * GIB);
	large = keeps(rig, a, BIND_NATIVE, 12 * GIB);
	rig_sample(rig, 0, 16 * GIB, id, 16 * GIB);
	rig_release(rig, a, small, false);
	rig_release(rig, a, large, false);
	rig_pass(rig, 1000);
	/* By the session's sum the small one might be free; its own figure says it is not. */
	sample_of(rig, 4 * GIB,
		  (struct observed){.session = id, .vram_bytes = 4 * GIB, .lease = small}, 0);
	assert_int_equal(rig_state(rig, small), CLAIM_DRAINING);
	assert_int_equal(rig_end(rig, large), END_RELEASED);
}

/* What grew before a tab was promised anything is not the tab's. */
static void test_growth_before_the_grant(void **state)
{
	struct rig *rig = *state;
	uint64_t t;

	begin(rig);
	t = rig_session(rig, BIND_TAB, "tab");
	rig_sample(rig, 0, 0, 0, 0);
	rig_pass(rig, 1000);
	keeps(rig, t, BIND_TAB, 10 * GIB);
	rig_pass(rig, 100);
	sample_of(rig, 10 * GIB, (struct observed){0}, 500); /* a game, half a second ago */
	assert_int_equal(view_of(rig).vram_bytes_unmanaged, 10 * GIB);
	rig_pass(rig, 1000);
	rig_sample(rig, 0, 20 * GIB, 0, 0);
	assert_int_equal(view_of(rig).vram_bytes_unmanaged, 10 * GIB);
}

/* An old reading is unknown: claims that state VRAM wait, turns go on. */
static void test_old_reading(void **state)
{
	struct rig *rig = *state;
	uint64_t a, waits;

	begin(rig);
	a = rig_session(rig, BIND_NATIVE, "a");
	rig_sample(rig, 0, 0, 0, 0);
	rig_pass(rig, rig->config.sample_ms_max);
	rig_alive(rig, a);
	waits = rig_ask(rig, a, resident(BIND_NATIVE, GIB));
	assert_int_equal(rig_state(rig, waits), CLAIM_QUEUED);
	assert_int_equal(rig_why(rig, waits), WHY_UNKNOWN);
	assert_false(view_of(rig).used_known);
	rig_hold(rig, a, LEASE_CHAT);
	rig_sample(rig, 0, 0, 0, 0);
	assert_int_equal(rig_state(rig, waits), CLAIM_OFFERED);
	sample_of(rig, 24 * GIB, (struct observed){0}, 10); /* older than the last: not heard */
	assert_int_equal(view_of(rig).vram_bytes_used, 0);
}

/* A tab that gives its turn back and keeps its model: what was seen of it stays its own. */
static void test_change_leaves_nothing(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_TAB, LEASE_NORMAL, NULL);
	struct event change = {.type = EVENT_CHANGE};
	uint64_t t, lease;

	begin(rig);
	t = rig_session(rig, BIND_TAB, "tab");
	rig_sample(rig, 0, 0, 0, 0);
	want.acquire.need.vram_bytes = 10 * GIB;
	lease = rig_take(rig, t, want);
	rig_pass(rig, 1000);
	rig_sample(rig, 0, 10 * GIB, 0, 0);
	assert_int_equal(view_of(rig).vram_bytes_unmanaged, 0);
	change.from = (struct party){PARTY_SESSION, t};
	change.change.lease = lease;
	change.change.need = (struct need){.slots = 0, .vram_bytes = 10 * GIB};
	rig_step(rig, change);
	assert_int_equal(rig_error(rig), 0);
	assert_int_equal(view_of(rig).vram_bytes_unmanaged, 0);
	rig_pass(rig, 1000);
	rig_sample(rig, 0, 10 * GIB, 0, 0);
	assert_int_equal(view_of(rig).vram_bytes_unmanaged, 0);
	assert_int_equal(view_of(rig).vram_bytes_granted, 10 * GIB);
}

/* A restart forgets neither that it is over nor that its memory is not free. */
static void test_restart(void **state)
{
	struct rig *rig = *state;
	uint64_t a, lease;

	begin(rig);
	a = rig_session(rig, BIND_NATIVE, "a");
	lease = keeps(rig, a, BIND_NATIVE, 20 * GIB);
	rig_sample(rig, 0, 20 * GIB, rig_session_id(rig, a), 20 * GIB);
	rig_step(rig, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, a}});
	rig_restart(rig, true);
	assert_int_equal(rig_state(rig, lease), CLAIM_DRAINING);
	assert_int_equal(view_of(rig).vram_bytes_draining, 20 * GIB);
	rig_pass(rig, 1000);
	rig_sample(rig, 0, 20 * GIB, 0, 0);
	assert_int_equal(rig_state(rig, lease), CLAIM_DRAINING);
	rig_pass(rig, 1000);
	rig_sample(rig, 0, 0, 0, 0);
	assert_int_equal(rig_end(rig, lease), END_RELEASED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_leftover_is_no_tabs),
		TEST(test_free_by_sample),
		TEST(test_session_over),
		TEST(test_unmeasured),
		TEST(test_figure_per_lease),
		TEST(test_old_reading),
		TEST(test_growth_before_the_grant),
		TEST(test_change_leaves_nothing),
		TEST(test_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
