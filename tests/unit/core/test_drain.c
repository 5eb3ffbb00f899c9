/* Goal: memory that was measured is given to others when it is measured free, not when its holder
 * says so; a reading counts for what it was taken of, and for as long as it is young (D6). */
#include "fixture.h"

#include "core/state.h"

static struct event resident(enum binding binding, uint64_t vram_bytes)
{
	struct event want = fixture_want(binding, LEASE_NORMAL, NULL);

	want.acquire.need = (struct need){.slots = 0, .vram_bytes = vram_bytes, .gpu_count = 1};
	return want;
}

static uint64_t keeps(struct fixture *fixture, uint64_t conn, enum binding binding,
		      uint64_t vram_bytes)
{
	uint64_t lease = fixture_ask(fixture, conn, resident(binding, vram_bytes));

	fixture_accept(fixture, conn, lease);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	return lease;
}

static void sample_of(struct fixture *fixture, uint64_t used, struct observed seen, int64_t age_ms)
{
	struct event event = {.type = EVENT_GPU_SAMPLE};

	event.sample.healthy = event.sample.used_known = true;
	event.sample.measured = mono_after(fixture->now, -age_ms);
	event.sample.vram_bytes_used = used;
	event.sample.observed = &seen;
	event.sample.observed_count = seen.session ? 1 : 0;
	fixture_step(fixture, event);
}

static struct gpu_view view_of(const struct fixture *fixture)
{
	struct gpu_view view;

	core_gpu(fixture->core, 0, &view);
	return view;
}

static void begin(struct fixture *fixture)
{
	fixture_gpus(fixture, 1, 1, 24 * GIB);
	fixture_configure(fixture);
}

/* A native lease ends, its process keeps the memory: it is not a tab's that has not loaded yet. */
static void test_leftover_is_no_tabs(void **state)
{
	struct fixture *fixture = *state;
	uint64_t s, id, t, third;

	begin(fixture);
	s = fixture_session(fixture, BIND_NATIVE, "native");
	id = fixture_session_id(fixture, s);
	t = fixture_session(fixture, BIND_TAB, "tab");
	keeps(fixture, s, BIND_NATIVE, 10 * GIB);
	fixture_sample(fixture, 0, 10 * GIB, id, 10 * GIB);
	keeps(fixture, t, BIND_TAB, 12 * GIB);
	fixture_step(fixture, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, s}});
	assert_int_equal(view_of(fixture).vram_bytes_draining, 10 * GIB);
	fixture_pass(fixture, 1000);
	fixture_sample(fixture, 0, 10 * GIB, 0, 0);
	assert_int_equal(view_of(fixture).vram_bytes_draining, 10 * GIB);
	third = fixture_ask(fixture, t, resident(BIND_TAB, 12 * GIB));
	assert_int_equal(fixture_state(fixture, third), CLAIM_QUEUED);
	assert_int_equal(fixture_why(fixture, third), WHY_DRAINING);
	/* Its time is over: what is left is nobody's, and people learn whose it was. */
	for (int64_t ms = 0; ms < fixture->config.drain_ms_max; ms += 5000) {
		fixture_pass(fixture, 5000);
		fixture_alive(fixture, t);
		fixture_sample(fixture, 0, 10 * GIB, 0, 0);
	}
	assert_int_equal(view_of(fixture).vram_bytes_draining, 0);
	assert_int_equal(view_of(fixture).vram_bytes_unmanaged, 10 * GIB);
	assert_string_equal(view_of(fixture).left_by, "native");
	assert_int_equal(fixture_state(fixture, third), CLAIM_QUEUED);
	fixture_sample(fixture, 0, 0, 0, 0);
	assert_int_equal(view_of(fixture).vram_bytes_unmanaged, 0);
	assert_string_equal(view_of(fixture).left_by, "");
	assert_int_equal(view_of(fixture).vram_bytes_granted, 24 * GIB - 0);
}

/* A turn is over at once; memory only when a sample from after the end shows it. */
static void test_free_by_sample(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t a, b, id, lease, big;

	begin(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	id = fixture_session_id(fixture, a);
	want.acquire.need.vram_bytes = 20 * GIB;
	lease = fixture_ask(fixture, a, want);
	fixture_accept(fixture, a, lease);
	fixture_sample(fixture, 0, 20 * GIB, id, 20 * GIB);
	big = fixture_ask(fixture, b, resident(BIND_NATIVE, 20 * GIB));
	fixture_pass(fixture, 1000);
	fixture_release(fixture, a, lease, false);
	assert_non_null(fixture_sent(fixture, SEND_RELEASED, lease));
	assert_int_equal(fixture_state(fixture, lease), CLAIM_DRAINING);
	assert_int_equal(view_of(fixture).slots_used, 0);
	fixture_hold(fixture, b, LEASE_CHAT);
	sample_of(fixture, 0, (struct observed){0}, 500); /* from before the end */
	assert_int_equal(fixture_state(fixture, big), CLAIM_QUEUED);
	fixture_pass(fixture, 1000);
	fixture_sample(fixture, 0, 20 * GIB, id, 20 * GIB);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_DRAINING);
	fixture_pass(fixture, 1000);
	fixture_sample(fixture, 0, 0, 0, 0);
	assert_int_equal(fixture_end(fixture, lease), END_RELEASED);
	assert_int_equal(fixture_state(fixture, big), CLAIM_OFFERED);
}

/* A session that drains has ended: its linger is not judged again. */
static void test_session_over(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, id, lease;

	begin(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	id = fixture_session_id(fixture, a);
	lease = keeps(fixture, a, BIND_NATIVE, 20 * GIB);
	fixture_sample(fixture, 0, 20 * GIB, id, 20 * GIB);
	fixture_close(fixture, a);
	fixture_step(fixture, (struct event){.type = EVENT_PEER_EXIT, .peer.session = id});
	assert_int_equal(fixture_state(fixture, lease), CLAIM_DRAINING);
	fixture_pass(fixture, fixture->config.native_linger_ms + 1000);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_DRAINING);
	fixture_sample(fixture, 0, 0, 0, 0);
	assert_int_equal(fixture_end(fixture, lease), END_DISCONNECTED);
}

/* Where nothing measured it, its word is enough, as before. */
static void test_unmeasured(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, t, lease;

	begin(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	t = fixture_session(fixture, BIND_TAB, "t");
	lease = keeps(fixture, a, BIND_NATIVE, 20 * GIB);
	fixture_release(fixture, a, lease, false);
	assert_int_equal(fixture_end(fixture, lease), END_RELEASED);
	lease = keeps(fixture, t, BIND_TAB, 20 * GIB);
	fixture_sample(fixture, 0, 20 * GIB, 0, 0);
	fixture_release(fixture, t, lease, false);
	assert_int_equal(fixture_end(fixture, lease), END_RELEASED);
}

/* Of two models of one session the one that was unloaded is free, the other is not. */
static void test_figure_per_lease(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, id, small, large;

	begin(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	id = fixture_session_id(fixture, a);
	small = keeps(fixture, a, BIND_NATIVE, 4 * GIB);
	large = keeps(fixture, a, BIND_NATIVE, 12 * GIB);
	fixture_sample(fixture, 0, 16 * GIB, id, 16 * GIB);
	fixture_release(fixture, a, small, false);
	fixture_release(fixture, a, large, false);
	fixture_pass(fixture, 1000);
	/* By the session's sum the small one might be free; its own figure says it is not. */
	sample_of(fixture, 4 * GIB,
		  (struct observed){.session = id, .vram_bytes = 4 * GIB, .lease = small}, 0);
	assert_int_equal(fixture_state(fixture, small), CLAIM_DRAINING);
	assert_int_equal(fixture_end(fixture, large), END_RELEASED);
}

/* What grew before a tab was promised anything is not the tab's. */
static void test_growth_before_the_grant(void **state)
{
	struct fixture *fixture = *state;
	uint64_t t;

	begin(fixture);
	t = fixture_session(fixture, BIND_TAB, "tab");
	fixture_sample(fixture, 0, 0, 0, 0);
	fixture_pass(fixture, 1000);
	keeps(fixture, t, BIND_TAB, 10 * GIB);
	fixture_pass(fixture, 100);
	sample_of(fixture, 10 * GIB, (struct observed){0}, 500); /* a game, half a second ago */
	assert_int_equal(view_of(fixture).vram_bytes_unmanaged, 10 * GIB);
	fixture_pass(fixture, 1000);
	fixture_sample(fixture, 0, 20 * GIB, 0, 0);
	assert_int_equal(view_of(fixture).vram_bytes_unmanaged, 10 * GIB);
}

/* An old reading is unknown: claims that state VRAM wait, turns go on. */
static void test_old_reading(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, waits;

	begin(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	fixture_sample(fixture, 0, 0, 0, 0);
	fixture_pass(fixture, fixture->config.sample_ms_max);
	fixture_alive(fixture, a);
	waits = fixture_ask(fixture, a, resident(BIND_NATIVE, GIB));
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
	assert_int_equal(fixture_why(fixture, waits), WHY_UNKNOWN);
	assert_false(view_of(fixture).used_known);
	fixture_hold(fixture, a, LEASE_CHAT);
	fixture_sample(fixture, 0, 0, 0, 0);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
	sample_of(fixture, 24 * GIB, (struct observed){0}, 10); /* older than the last: not heard */
	assert_int_equal(view_of(fixture).vram_bytes_used, 0);
}

/* What a tab left behind is expected to go, until its time is over; whoever made room for a claim
 * that cannot be served then stands back no longer. */
static void test_stands_back_in_time(void **state)
{
	struct fixture *fixture = *state;
	struct event want = resident(BIND_NATIVE, GIB);
	uint64_t t, s, v, small, big;

	fixture->config.drain_ms_max = 3000;
	begin(fixture);
	t = fixture_session(fixture, BIND_TAB, "tab");
	s = fixture_session(fixture, BIND_NATIVE, "native");
	v = fixture_session(fixture, BIND_NATIVE, "voice");
	fixture_sample(fixture, 0, 0, 0, 0);
	fixture_hold(fixture, v, LEASE_VOICE);
	keeps(fixture, t, BIND_TAB, 10 * GIB);
	fixture_pass(fixture, 100);
	fixture_sample(fixture, 0, 10 * GIB, 0, 0);
	want.acquire.evictable = true;
	small = fixture_take(fixture, s, want);
	fixture_step(fixture, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, t}});

	big = fixture_ask(fixture, s, fixture_need(LEASE_NORMAL, 1, 24 * GIB));
	assert_non_null(fixture_sent(fixture, SEND_YIELD, small));
	fixture_release(fixture, s, small, true);
	assert_int_equal(fixture_state(fixture, small), CLAIM_QUEUED);
	fixture_wait(fixture, v, LEASE_VOICE); /* the turn is kept for it, so `big` keeps nothing */

	fixture_pass(fixture, 2900);
	assert_int_equal(fixture_state(fixture, small), CLAIM_QUEUED);
	fixture_pass(fixture, 100);
	assert_int_equal(fixture_state(fixture, small), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, big), CLAIM_QUEUED);
}

/* A tab that gives its turn back and keeps its model: what was seen of it stays its own. */
static void test_change_leaves_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_TAB, LEASE_NORMAL, NULL);
	struct event change = {.type = EVENT_CHANGE};
	uint64_t t, lease;

	begin(fixture);
	t = fixture_session(fixture, BIND_TAB, "tab");
	fixture_sample(fixture, 0, 0, 0, 0);
	want.acquire.need.vram_bytes = 10 * GIB;
	lease = fixture_take(fixture, t, want);
	fixture_pass(fixture, 1000);
	fixture_sample(fixture, 0, 10 * GIB, 0, 0);
	assert_int_equal(view_of(fixture).vram_bytes_unmanaged, 0);
	change.from = (struct party){PARTY_SESSION, t};
	change.change.lease = lease;
	change.change.need = (struct need){.slots = 0, .vram_bytes = 10 * GIB};
	fixture_step(fixture, change);
	assert_int_equal(fixture_error(fixture), 0);
	assert_int_equal(view_of(fixture).vram_bytes_unmanaged, 0);
	fixture_pass(fixture, 1000);
	fixture_sample(fixture, 0, 10 * GIB, 0, 0);
	assert_int_equal(view_of(fixture).vram_bytes_unmanaged, 0);
	assert_int_equal(view_of(fixture).vram_bytes_granted, 10 * GIB);
}

/* A restart forgets neither that it is over nor that its memory is not free. */
static void test_restart(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, lease;

	begin(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	lease = keeps(fixture, a, BIND_NATIVE, 20 * GIB);
	fixture_sample(fixture, 0, 20 * GIB, fixture_session_id(fixture, a), 20 * GIB);
	fixture_step(fixture, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, a}});
	fixture_restart(fixture, true);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_DRAINING);
	assert_int_equal(view_of(fixture).vram_bytes_draining, 20 * GIB);
	fixture_pass(fixture, 1000);
	fixture_sample(fixture, 0, 20 * GIB, 0, 0);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_DRAINING);
	fixture_pass(fixture, 1000);
	fixture_sample(fixture, 0, 0, 0, 0);
	assert_int_equal(fixture_end(fixture, lease), END_RELEASED);
}

/* How the work ended is known when the drain is over, however often the broker restarted. */
static void test_restart_with_detail(void **state)
{
	struct fixture *fixture = *state;
	struct event event = {.type = EVENT_RELEASE};
	const struct trace_effect *trace = NULL;
	uint64_t a, lease;

	begin(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	lease = keeps(fixture, a, BIND_NATIVE, 20 * GIB);
	fixture_sample(fixture, 0, 20 * GIB, fixture_session_id(fixture, a), 20 * GIB);
	event.from = (struct party){PARTY_SESSION, a};
	event.release.lease = lease;
	event.release.detail = "exit status 1";
	fixture_step(fixture, event);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_DRAINING);

	fixture_restart(fixture, true);
	fixture_restart(fixture, true);
	fixture_pass(fixture, 1000);
	fixture_sample(fixture, 0, 0, 0, 0);
	for (size_t i = 0; i < fixture->fx.count; i++)
		if (fixture->fx.v[i].type == EFFECT_TRACE &&
		    fixture->fx.v[i].trace.what == TRACE_ENDED)
			trace = &fixture->fx.v[i].trace;
	assert_non_null(trace);
	assert_string_equal(trace->detail, "exit status 1");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_leftover_is_no_tabs),   TEST(test_free_by_sample),
		TEST(test_session_over),          TEST(test_unmeasured),
		TEST(test_figure_per_lease),      TEST(test_old_reading),
		TEST(test_stands_back_in_time),   TEST(test_growth_before_the_grant),
		TEST(test_change_leaves_nothing), TEST(test_restart),
		TEST(test_restart_with_detail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
