/* Goal: with several GPUs, a claim runs where it costs least and waits where it will be served
 * soonest; whatever must go for it is asked, in the right order. */
#include "core/state.h"
#include "rig.h"

static void start(struct rig *rig, uint32_t gpus, uint32_t slots, uint64_t vram_bytes)
{
	rig_gpus(rig, gpus, slots, vram_bytes);
	rig->config.session_ttl_ms = 100000000;
	rig_configure(rig);
}

/* A session computes where its model is loaded, though another GPU is emptier. */
static void test_home(void **state)
{
	struct rig *rig = *state;
	struct event model = rig_need(LEASE_CHAT, 0, 2 * GIB);
	uint64_t a, turn;

	start(rig, 2, 2, 8 * GIB);
	a = rig_session(rig, BIND_NATIVE, "a");
	model.acquire.need.gpu_mask = 2;
	rig_take(rig, a, model);
	turn = rig_take(rig, a, rig_need(LEASE_CHAT, 1, 0));
	assert_int_equal(rig_row(rig, turn)->granted_mask, 2);
}

/* Memory is taken where least is left over, so that the large room stays for the large. */
static void test_best_fit(void **state)
{
	struct rig *rig = *state;
	uint64_t a, b, small, large;

	start(rig, 2, 2, 16 * GIB);
	rig->config.gpus[1].vram_bytes_total = 8 * GIB;
	rig_configure(rig);
	a = rig_session(rig, BIND_NATIVE, "a");
	b = rig_session(rig, BIND_NATIVE, "b");
	small = rig_take(rig, a, rig_need(LEASE_CHAT, 0, 4 * GIB));
	assert_int_equal(rig_row(rig, small)->granted_mask, 2);
	large = rig_take(rig, b, rig_need(LEASE_CHAT, 0, 14 * GIB));
	assert_int_equal(rig_row(rig, large)->granted_mask, 1);
}

/* Of two taken GPUs it waits for the one that will be free first, and stays with that choice. */
static void test_waits_for_the_soonest(void **state)
{
	struct rig *rig = *state;
	uint64_t a, b, c, d, first, second, head, other;
	struct why why;

	start(rig, 2, 1, 0);
	a = rig_session(rig, BIND_NATIVE, "a");
	b = rig_session(rig, BIND_NATIVE, "b");
	c = rig_session(rig, BIND_NATIVE, "c");
	d = rig_session(rig, BIND_NATIVE, "d");
	first = rig_take(rig, a, rig_need(LEASE_CHAT, 1, 0));
	rig_pass(rig, 20000);
	second = rig_take(rig, b,
			  rig_need(LEASE_BACKGROUND, 1, 0)); /* 30 s: free before the first */
	head = rig_ask(rig, c, rig_need(LEASE_BACKGROUND, 1, 0));
	core_why(rig->core, head, rig->now, &why);
	assert_int_equal(why.holder, second);
	other = rig_ask(rig, d, rig_need(LEASE_BACKGROUND, 1, 0));
	core_why(rig->core, other, rig->now, &why);
	assert_int_equal(why.holder, first);
	rig_pass(rig, 30000);
	assert_int_equal(rig_state(rig, second), CLAIM_YIELDING);
	assert_int_equal(rig_state(rig, first), CLAIM_HELD);
	core_why(rig->core, head, rig->now, &why);
	assert_int_equal(why.holder, second);
	rig_release(rig, b, second, false);
	assert_int_equal(rig_state(rig, head), CLAIM_OFFERED);
}

/* Who could use any of three GPUs is told of all that hold them, not of the next to leave only;
 * who asked for one of them is told of that one's holder. */
static void test_all_holders_are_told(void **state)
{
	struct rig *rig = *state;
	uint64_t holders[3], any, one;
	struct event on_second = rig_need(LEASE_CHAT, 1, 0);
	struct why why;

	start(rig, 3, 1, 0);
	for (int i = 0; i < 3; i++)
		holders[i] = rig_take(rig, rig_session(rig, BIND_NATIVE, "h"),
				      rig_need(LEASE_CHAT, 1, 0));
	any = rig_ask(rig, rig_session(rig, BIND_NATIVE, "any"), rig_need(LEASE_CHAT, 1, 0));
	core_why(rig->core, any, rig->now, &why);
	assert_int_equal(why.code, WHY_HOLDERS);
	assert_int_equal(why.gpu_count, 3);
	assert_int_equal(why.holder_count, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(why.holders[i], holders[i]);
	on_second.acquire.need.gpu_mask = 2;
	one = rig_ask(rig, rig_session(rig, BIND_NATIVE, "one"), on_second);
	core_why(rig->core, one, rig->now, &why);
	assert_int_equal(why.code, WHY_HOLDER);
	assert_int_equal(why.holder, holders[1]);
}

/* Voice preempts the background turn, not the chat turn beside it. */
static void test_last_in_order_goes(void **state)
{
	struct rig *rig = *state;
	uint64_t a, b, v, chat, work;

	start(rig, 1, 2, 0);
	a = rig_session(rig, BIND_NATIVE, "a");
	b = rig_session(rig, BIND_NATIVE, "b");
	v = rig_session(rig, BIND_NATIVE, "v");
	chat = rig_take(rig, a, rig_need(LEASE_CHAT, 1, 0));
	work = rig_take(rig, b, rig_need(LEASE_BACKGROUND, 1, 0));
	rig_ask(rig, v, rig_need(LEASE_VOICE, 1, 0));
	assert_int_equal(rig_state(rig, work), CLAIM_YIELDING);
	assert_int_equal(rig_state(rig, chat), CLAIM_HELD);
}

/* Where a turn is free but memory is not, those whose turns hold memory are asked. */
static void test_turn_gives_memory_back(void **state)
{
	struct rig *rig = *state;
	uint64_t a, b, v, lean, fat;

	start(rig, 1, 3, 8 * GIB);
	a = rig_session(rig, BIND_NATIVE, "a");
	b = rig_session(rig, BIND_NATIVE, "b");
	v = rig_session(rig, BIND_NATIVE, "v");
	fat = rig_take(rig, b, rig_need(LEASE_BACKGROUND, 1, 6 * GIB));
	lean = rig_take(rig, a, rig_need(LEASE_CHAT, 1, GIB));
	rig_ask(rig, v, rig_need(LEASE_VOICE, 1, 5 * GIB));
	assert_int_equal(rig_sent(rig, SEND_YIELD, fat)->send.reason, YIELD_PREEMPTED);
	assert_int_equal(rig_state(rig, lean), CLAIM_HELD);
}

/* A lease whose GPU a reload took away goes on; whoever waited for that GPU waits for the others.
 */
static void test_reload_takes_gpu(void **state)
{
	struct rig *rig = *state;
	uint64_t a, b, first, second, waits;

	start(rig, 2, 1, 0);
	a = rig_session(rig, BIND_NATIVE, "a");
	b = rig_session(rig, BIND_NATIVE, "b");
	first = rig_take(rig, a, rig_need(LEASE_CHAT, 1, 0));
	second = rig_take(rig, a, rig_need(LEASE_CHAT, 1, 0));
	waits = rig_ask(rig, b, rig_need(LEASE_CHAT, 1, 0));
	start(rig, 1, 1, 0);
	assert_int_equal(rig_row(rig, second)->granted_mask, 2);
	rig_release(rig, a, second, false);
	assert_int_equal(rig_state(rig, waits), CLAIM_QUEUED);
	rig_release(rig, a, first, false);
	assert_int_equal(rig_state(rig, waits), CLAIM_OFFERED);
}

/* A claim that the new configuration has no GPU for keeps its place and is served by the next. */
static void test_reload_too_small(void **state)
{
	struct rig *rig = *state;
	uint64_t a, waits;
	struct event set = rig_need(LEASE_CHAT, 1, 0);

	start(rig, 3, 1, 0);
	a = rig_session(rig, BIND_NATIVE, "a");
	rig_take(rig, a, rig_need(LEASE_CHAT, 1, 0));
	set.acquire.need.gpu_count = 3;
	waits = rig_ask(rig, a, set);
	start(rig, 1, 1, 0);
	rig_pass(rig, 1000);
	assert_int_equal(rig_state(rig, waits), CLAIM_QUEUED);
	start(rig, 4, 1, 0);
	assert_int_equal(rig_state(rig, waits), CLAIM_OFFERED);
}

/* A GPU that a reload takes away is kept for nobody, and nobody waits there when it comes back. */
static void test_reload_forgets(void **state)
{
	struct rig *rig = *state;
	struct event turn = rig_need(LEASE_CHAT, 1, 0), memory = rig_need(LEASE_NORMAL, 0, 8 * GIB);
	const struct gpu *gone = &rig->core->gpus[1];
	uint64_t a, b;

	start(rig, 2, 1, 8 * GIB);
	turn.acquire.need.gpu_mask = memory.acquire.need.gpu_mask = 2;
	memory.acquire.evictable = true;
	a = rig_session(rig, BIND_NATIVE, "a");
	b = rig_session(rig, BIND_NATIVE, "b");
	rig_take(rig, a, memory);
	rig_take(rig, a, turn);
	rig_ask(rig, b, turn);
	rig_ask(rig, b, memory);
	assert_true(gone->turn_head != 0 && gone->memory_head != 0 && gone->waiting != 0);
	assert_true(gone->memory_since[LEASE_NORMAL].v == rig->now.v);
	start(rig, 1, 1, 8 * GIB);
	assert_true(gone->turn_head == 0 && gone->memory_head == 0 && gone->waiting == 0);
	assert_true(gone->memory_since[LEASE_NORMAL].v == INT64_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_home),
		TEST(test_best_fit),
		TEST(test_waits_for_the_soonest),
		TEST(test_all_holders_are_told),
		TEST(test_last_in_order_goes),
		TEST(test_turn_gives_memory_back),
		TEST(test_reload_takes_gpu),
		TEST(test_reload_too_small),
		TEST(test_reload_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
