/* Goal: with several GPUs, a claim runs where it costs least and waits where it will be served
 * soonest; whatever must go for it is asked, in the right order. */
#include "core/event.h"
#include "core/state.h"
#include "fixture.h"

static void start(struct fixture *fixture, uint32_t gpus, uint32_t slots, uint64_t vram_bytes)
{
	fixture_gpus(fixture, gpus, slots, vram_bytes);
	fixture->config.session_ttl_ms = 100000000;
	fixture_configure(fixture);
}

/* A session computes where its model is loaded, though another GPU is emptier. */
static void test_home(void **state)
{
	struct fixture *fixture = *state;
	struct event model = fixture_need(LEASE_CHAT, 0, 2 * GIB);
	uint64_t a, turn;

	start(fixture, 2, 2, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	model.acquire.need.gpu_mask = 2;
	fixture_take(fixture, a, model);
	turn = fixture_take(fixture, a, fixture_need(LEASE_CHAT, 1, 0));
	assert_int_equal(fixture_row(fixture, turn)->granted_mask, 2);
}

/* Memory is taken where least is left over, so that the large room stays for the large. */
static void test_best_fit(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, small, large;

	start(fixture, 2, 2, 16 * GIB);
	fixture->config.gpus[1].vram_bytes_total = 8 * GIB;
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	small = fixture_take(fixture, a, fixture_need(LEASE_CHAT, 0, 4 * GIB));
	assert_int_equal(fixture_row(fixture, small)->granted_mask, 2);
	large = fixture_take(fixture, b, fixture_need(LEASE_CHAT, 0, 14 * GIB));
	assert_int_equal(fixture_row(fixture, large)->granted_mask, 1);
}

/* Of two taken GPUs it waits for the one that will be free first, and stays with that choice. */
static void test_waits_for_the_soonest(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, c, d, first, second, head, other;
	struct why why;

	start(fixture, 2, 1, 0);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	d = fixture_session(fixture, BIND_NATIVE, "d");
	first = fixture_take(fixture, a, fixture_need(LEASE_CHAT, 1, 0));
	fixture_pass(fixture, 20000);
	second = fixture_take(
		fixture, b, fixture_need(LEASE_BACKGROUND, 1, 0)); /* 30 s: free before the first */
	head = fixture_ask(fixture, c, fixture_need(LEASE_BACKGROUND, 1, 0));
	core_why(fixture->core, head, fixture->now, &why);
	assert_int_equal(why.holder, second);
	other = fixture_ask(fixture, d, fixture_need(LEASE_BACKGROUND, 1, 0));
	core_why(fixture->core, other, fixture->now, &why);
	assert_int_equal(why.holder, first);
	fixture_pass(fixture, 30000);
	assert_int_equal(fixture_state(fixture, second), CLAIM_YIELDING);
	assert_int_equal(fixture_state(fixture, first), CLAIM_HELD);
	core_why(fixture->core, head, fixture->now, &why);
	assert_int_equal(why.holder, second);
	fixture_release(fixture, b, second, false);
	assert_int_equal(fixture_state(fixture, head), CLAIM_OFFERED);
}

static struct event slow(enum lease_class cls, uint32_t gpus, int64_t grace_ms)
{
	struct event event = fixture_need(cls, 1, 0);

	event.acquire.need.gpu_mask = gpus;
	event.acquire.uninterruptible_ms = grace_ms;
	return event;
}

/* It counts how long the one takes that would be asked there, not the quickest beside that one
 * (seed 16621). */
static void test_counts_who_is_asked(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, v, quick, last, other, voice;

	start(fixture, 2, 2, 0);
	fixture->config.gpus[1].slots = 1;
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	v = fixture_session(fixture, BIND_NATIVE, "v");
	quick = fixture_take(fixture, a, slow(LEASE_BACKGROUND, 1, 0));
	last = fixture_take(fixture, a, slow(LEASE_BACKGROUND, 1, 20000));
	other = fixture_take(fixture, a, slow(LEASE_BACKGROUND, 2, 3000));
	fixture_pass(fixture, 3000);

	voice = fixture_wait(fixture, v, LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, other), CLAIM_YIELDING);
	assert_int_equal(fixture_state(fixture, quick), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, last), CLAIM_HELD);
	fixture_release(fixture, a, other, false);
	assert_int_equal(fixture_row(fixture, voice)->granted_mask, 2);
}

/* A class that is due may ask at once: how long its holders may still hold counts for nothing. */
static void test_due_counts_who_is_asked(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, c, first, second;

	start(fixture, 2, 1, 0);
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		fixture->config.classes[cls].share_permille = cls == LEASE_BACKGROUND ? 500 : 150;
	fixture->config.classes[LEASE_NORMAL].hold_ms_max = 200000;
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	first = fixture_take(fixture, a, slow(LEASE_NORMAL, 1, 20000));
	fixture_pass(fixture, 140000);
	second = fixture_take(fixture, b, slow(LEASE_NORMAL, 2, 0));

	fixture_wait(fixture, c, LEASE_BACKGROUND);
	fixture_pass(fixture, 20000);
	assert_int_equal(fixture_state(fixture, second), CLAIM_YIELDING);
	assert_int_equal(fixture_state(fixture, first), CLAIM_HELD);
}

/* It asked on one GPU, and the room went to a class that became due: then it looks again, also
 * elsewhere. */
static void test_looks_again(void **state)
{
	struct fixture *fixture = *state;
	struct event chat;
	uint64_t a, c, v, first, second, due, voice;

	start(fixture, 2, 1, 0);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	v = fixture_session(fixture, BIND_NATIVE, "v");
	first = fixture_take(fixture, a, slow(LEASE_NORMAL, 1, 0));
	second = fixture_take(fixture, a, slow(LEASE_NORMAL, 2, 4000));
	chat = slow(LEASE_CHAT, 1, 0);
	chat.acquire.timeout_ms = -1;
	fixture->config.min_run_ms = 100000;
	fixture_configure(fixture);
	due = fixture_ask(fixture, c, chat);
	fixture_pass(fixture, 39999);
	assert_int_equal(fixture_state(fixture, first), CLAIM_HELD);
	voice = fixture_wait(fixture, v, LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, first), CLAIM_YIELDING);

	fixture->now = mono_after(fixture->now, 1);
	fixture_release(fixture, a, first, false);
	assert_int_equal(fixture_state(fixture, due), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, second), CLAIM_YIELDING);
}

/* Who could use any of three GPUs is told of all that hold them, not of the next to leave only;
 * who asked for one of them is told of that one's holder. */
static void test_all_holders_are_told(void **state)
{
	struct fixture *fixture = *state;
	uint64_t holders[3], any, one;
	struct event on_second = fixture_need(LEASE_CHAT, 1, 0);
	struct why why;

	start(fixture, 3, 1, 0);
	for (int i = 0; i < 3; i++)
		holders[i] = fixture_take(fixture, fixture_session(fixture, BIND_NATIVE, "h"),
					  fixture_need(LEASE_CHAT, 1, 0));
	any = fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "any"),
			  fixture_need(LEASE_CHAT, 1, 0));
	core_why(fixture->core, any, fixture->now, &why);
	assert_int_equal(why.code, WHY_HOLDERS);
	assert_int_equal(why.gpu_count, 3);
	assert_int_equal(why.holder_count, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(why.holders[i], holders[i]);
	on_second.acquire.need.gpu_mask = 2;
	one = fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "one"), on_second);
	core_why(fixture->core, one, fixture->now, &why);
	assert_int_equal(why.code, WHY_HOLDER);
	assert_int_equal(why.holder, holders[1]);
}

/* Voice preempts the background turn, not the chat turn beside it. */
static void test_last_in_order_goes(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, v, chat, work;

	start(fixture, 1, 2, 0);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	v = fixture_session(fixture, BIND_NATIVE, "v");
	chat = fixture_take(fixture, a, fixture_need(LEASE_CHAT, 1, 0));
	work = fixture_take(fixture, b, fixture_need(LEASE_BACKGROUND, 1, 0));
	fixture_ask(fixture, v, fixture_need(LEASE_VOICE, 1, 0));
	assert_int_equal(fixture_state(fixture, work), CLAIM_YIELDING);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_HELD);
}

/* Where a turn is free but memory is not, those whose turns hold memory are asked. */
static void test_turn_gives_memory_back(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, v, lean, fat;

	start(fixture, 1, 3, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	v = fixture_session(fixture, BIND_NATIVE, "v");
	fat = fixture_take(fixture, b, fixture_need(LEASE_BACKGROUND, 1, 6 * GIB));
	lean = fixture_take(fixture, a, fixture_need(LEASE_CHAT, 1, GIB));
	fixture_ask(fixture, v, fixture_need(LEASE_VOICE, 1, 5 * GIB));
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, fat)->send.reason, YIELD_PREEMPTED);
	assert_int_equal(fixture_state(fixture, lean), CLAIM_HELD);
}

/* A lease whose GPU a reload took away goes on; whoever waited for that GPU waits for the others.
 */
static void test_reload_takes_gpu(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, first, second, waits;

	start(fixture, 2, 1, 0);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	first = fixture_take(fixture, a, fixture_need(LEASE_CHAT, 1, 0));
	second = fixture_take(fixture, a, fixture_need(LEASE_CHAT, 1, 0));
	waits = fixture_ask(fixture, b, fixture_need(LEASE_CHAT, 1, 0));
	start(fixture, 1, 1, 0);
	assert_int_equal(fixture_row(fixture, second)->granted_mask, 2);
	fixture_release(fixture, a, second, false);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
	fixture_release(fixture, a, first, false);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
}

/* A claim that the new configuration has no GPU for keeps its place and is served by the next. */
static void test_reload_too_small(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, waits;
	struct event set = fixture_need(LEASE_CHAT, 1, 0);

	start(fixture, 3, 1, 0);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	fixture_take(fixture, a, fixture_need(LEASE_CHAT, 1, 0));
	set.acquire.need.gpu_count = 3;
	waits = fixture_ask(fixture, a, set);
	start(fixture, 1, 1, 0);
	fixture_pass(fixture, 1000);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
	start(fixture, 4, 1, 0);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
}

/* A GPU that a reload takes away is kept for nobody, and nobody waits there when it comes back. */
static void test_reload_forgets(void **state)
{
	struct fixture *fixture = *state;
	struct event turn = fixture_need(LEASE_CHAT, 1, 0),
		     memory = fixture_need(LEASE_NORMAL, 0, 8 * GIB);
	const struct gpu *gone = &fixture->core->gpus[1];
	uint64_t a, b;

	start(fixture, 2, 1, 8 * GIB);
	turn.acquire.need.gpu_mask = memory.acquire.need.gpu_mask = 2;
	memory.acquire.evictable = true;
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	fixture_take(fixture, a, memory);
	fixture_take(fixture, a, turn);
	fixture_ask(fixture, b, turn);
	fixture_ask(fixture, b, memory);
	assert_true(gone->turn_head != 0 && gone->memory_head != 0 && gone->waiting != 0);
	assert_true(gone->memory_since[LEASE_NORMAL].v == fixture->now.v);
	start(fixture, 1, 1, 8 * GIB);
	assert_true(gone->turn_head == 0 && gone->memory_head == 0 && gone->waiting == 0);
	assert_true(gone->memory_since[LEASE_NORMAL].v == INT64_MAX);
}

/* A silent one in the way of one claim is stopped; that makes another possible, in the same step.
 */
static void test_silence_makes_possible(void **state)
{
	struct fixture *fixture = *state;
	struct event both = fixture_need(LEASE_CHAT, 0, 5 * GIB);
	struct event model = fixture_need(LEASE_BACKGROUND, 0, 3 * GIB);
	struct event first = fixture_need(LEASE_CHAT, 0, 3 * GIB);
	struct event second = fixture_need(LEASE_CHAT, 0, 6 * GIB);
	uint64_t e, h, w, silent, waits;

	fixture_gpus(fixture, 2, 1, 9 * GIB);
	fixture_configure(fixture);
	both.acquire.need.gpu_count = 2;
	silent = fixture_take(fixture, fixture_session(fixture, BIND_NATIVE, "silent"), both);
	fixture_pass(fixture, fixture->config.session_ttl_ms - 100);
	e = fixture_session(fixture, BIND_NATIVE, "e");
	h = fixture_session(fixture, BIND_NATIVE, "h");
	w = fixture_session(fixture, BIND_NATIVE, "w");
	model.acquire.evictable = true;
	model.acquire.need.gpu_mask = first.acquire.need.gpu_mask = 1;
	second.acquire.need.gpu_mask = 2;
	fixture_take(fixture, e, model);
	waits = fixture_ask(fixture, w, second);
	assert_int_equal(fixture_why(fixture, waits), WHY_PINNED);
	fixture_ask(fixture, h, first);
	assert_int_equal(fixture_state(fixture, silent), CLAIM_HELD);

	fixture_pass(fixture, 200);
	assert_int_equal(fixture_state(fixture, silent), CLAIM_YIELDING);
	assert_int_not_equal(fixture_why(fixture, waits), WHY_PINNED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_home),
		TEST(test_best_fit),
		TEST(test_waits_for_the_soonest),
		TEST(test_counts_who_is_asked),
		TEST(test_due_counts_who_is_asked),
		TEST(test_looks_again),
		TEST(test_all_holders_are_told),
		TEST(test_silence_makes_possible),
		TEST(test_last_in_order_goes),
		TEST(test_turn_gives_memory_back),
		TEST(test_reload_takes_gpu),
		TEST(test_reload_too_small),
		TEST(test_reload_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
