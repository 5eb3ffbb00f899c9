/* Goal: which holder is asked to yield, when, and where it stands when it comes back. */
#include "fixture.h"

#include "core/wait_bound.h"

static void start(struct fixture *fixture, uint32_t gpus, uint32_t slots, uint64_t vram_bytes)
{
	fixture_gpus(fixture, gpus, slots, vram_bytes);
	fixture->config.session_ttl_ms = 100000000;
	fixture_configure(fixture);
}

static uint64_t native(struct fixture *fixture)
{
	return fixture_session(fixture, BIND_NATIVE, "n");
}

static struct event need(enum lease_class cls, uint32_t slots, uint64_t vram_bytes)
{
	struct event event = fixture_need(cls, slots, vram_bytes);

	event.acquire.evictable = slots == 0;
	return event;
}

static void assert_asked_after(struct fixture *fixture, uint64_t lease, int64_t ms)
{
	fixture_pass(fixture, ms - 1);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_YIELDING);
}

/* So that it is gone when its time is over. */
static void test_slow_stopper_is_asked_sooner(void **state)
{
	struct fixture *fixture = *state;
	struct event event = need(LEASE_CHAT, 1, 0);
	uint64_t lease;

	start(fixture, 1, 1, 0);
	event.acquire.uninterruptible_ms = 10000;
	lease = fixture_take(fixture, native(fixture), event);
	fixture_wait(fixture, native(fixture), LEASE_BACKGROUND);
	assert_asked_after(fixture, lease, 60000 - 10000 + fixture->config.grace_ms);
}

static void test_limit_counts_earlier_turns(void **state)
{
	struct fixture *fixture = *state;
	uint64_t c, v, chat, voice;

	start(fixture, 1, 1, 0);
	c = native(fixture);
	v = native(fixture);
	chat = fixture_hold(fixture, c, LEASE_CHAT);
	fixture_wait(fixture, native(fixture), LEASE_BACKGROUND);
	fixture_pass(fixture, 20000);
	voice = fixture_wait(fixture, v, LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_YIELDING);
	fixture_release(fixture, c, chat, true);
	fixture_accept(fixture, v, voice);
	fixture_release(fixture, v, voice, false);
	fixture_accept(fixture, c, chat);
	assert_asked_after(fixture, chat, 40000);
}

static void test_missed_offer_is_a_used_turn(void **state)
{
	struct fixture *fixture = *state;
	uint64_t c, chat;

	start(fixture, 1, 1, 0);
	c = native(fixture);
	chat = fixture_ask(fixture, c, need(LEASE_CHAT, 1, 0));
	fixture_pass(fixture, fixture->config.ack_ms);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_OFFERED);
	fixture_accept(fixture, c, chat);
	fixture_wait(fixture, native(fixture), LEASE_BACKGROUND);
	assert_asked_after(fixture, chat, 60000 - fixture->config.ack_ms);
}

/* However old: it waits until its class is due. */
static void test_lower_class_asks_nobody(void **state)
{
	struct fixture *fixture = *state;
	uint64_t v, w, first, second, work;

	fixture->config.voice_credit_ms = 1000000;
	fixture->config.classes[LEASE_VOICE].hold_ms_max = 200000;
	fixture->config.classes[LEASE_BACKGROUND].share_permille = 10;
	start(fixture, 1, 1, 0);
	v = native(fixture);
	w = native(fixture);
	first = fixture_hold(fixture, v, LEASE_VOICE);
	work = fixture_wait(fixture, native(fixture), LEASE_BACKGROUND);
	fixture_pass(fixture, 130000);
	second = fixture_wait(fixture, w, LEASE_VOICE);
	fixture_release(fixture, v, first, false);
	fixture_accept(fixture, w, second);
	fixture_pass(fixture, 10000);
	assert_int_equal(fixture_state(fixture, second), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, work), CLAIM_QUEUED);
}

static void test_spent_voice_asks_nobody(void **state)
{
	struct fixture *fixture = *state;
	uint64_t v, c, voice, chat;

	start(fixture, 1, 1, 0);
	fixture->config.classes[LEASE_VOICE].hold_ms_max = 200000;
	fixture_configure(fixture);
	v = native(fixture);
	c = native(fixture);
	voice = fixture_hold(fixture, v, LEASE_VOICE);
	chat = fixture_wait(fixture, c, LEASE_NORMAL);
	fixture_pass(fixture, 66000);
	fixture_release(fixture, v, voice, false);
	fixture_accept(fixture, c, chat);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_HELD);
	fixture_wait(fixture, v, LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_HELD);
}

static void test_residence_has_a_cap(void **state)
{
	struct fixture *fixture = *state;
	struct event event = need(LEASE_NORMAL, 0, 14 * GIB);
	uint64_t model;

	start(fixture, 1, 1, 24 * GIB);
	event.acquire.min_residence_ms = 3600000;
	model = fixture_take(fixture, native(fixture), event);
	fixture->config.min_residence_ms_max = 20000;
	fixture_configure(fixture);
	fixture_ask(fixture, native(fixture), need(LEASE_CHAT, 1, 14 * GIB));
	assert_asked_after(fixture, model, 20000);
}

static void test_only_one_is_asked(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b;

	start(fixture, 1, 2, 0);
	a = fixture_hold(fixture, native(fixture), LEASE_BACKGROUND);
	b = fixture_hold(fixture, native(fixture), LEASE_BACKGROUND);
	fixture_pass(fixture, 3000);
	fixture_wait(fixture, native(fixture), LEASE_VOICE);
	fixture_wait(fixture, native(fixture), LEASE_BACKGROUND);
	assert_int_equal((fixture_state(fixture, a) == CLAIM_YIELDING) +
				 (fixture_state(fixture, b) == CLAIM_YIELDING),
			 1);
}

/* The claim that it was asked for has left; the other waiter has no right to its turn. */
static void test_yield_is_taken_back(void **state)
{
	struct fixture *fixture = *state;
	uint64_t v, chat, voice;

	start(fixture, 1, 1, 0);
	v = native(fixture);
	chat = fixture_hold(fixture, native(fixture), LEASE_CHAT);
	fixture_wait(fixture, native(fixture), LEASE_BACKGROUND);
	fixture_pass(fixture, 3000);
	voice = fixture_wait(fixture, v, LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_YIELDING);
	fixture_release(fixture, v, voice, false);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_HELD);
	assert_non_null(fixture_sent(fixture, SEND_KEEP, chat));
	fixture_admin(fixture, ADMIN_YIELD, chat);
	fixture_pass(fixture, 500);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_YIELDING);
}

static void test_asked_by_an_operator_it_goes_last(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, first, second;

	start(fixture, 1, 1, 0);
	a = native(fixture);
	b = native(fixture);
	first = fixture_hold(fixture, a, LEASE_CHAT);
	fixture_pass(fixture, 1000);
	second = fixture_wait(fixture, b, LEASE_CHAT);
	fixture_pass(fixture, 1000);
	fixture_admin(fixture, ADMIN_YIELD, first);
	fixture_release(fixture, a, first, true);
	assert_int_equal(fixture_state(fixture, second), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, first), CLAIM_QUEUED);
}

static void test_voice_heads_the_list(void **state)
{
	struct fixture *fixture = *state;
	uint64_t chat, voice;

	start(fixture, 1, 1, 0);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	chat = fixture_wait(fixture, native(fixture), LEASE_CHAT);
	fixture_pass(fixture, 30000);
	voice = fixture_wait(fixture, native(fixture), LEASE_VOICE);
	assert_int_equal(core_position(fixture->core, voice), 0);
	assert_int_equal(core_position(fixture->core, chat), 1);
}

static void test_turns_spread(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b;

	start(fixture, 2, 2, 0);
	a = fixture_hold(fixture, native(fixture), LEASE_CHAT);
	b = fixture_hold(fixture, native(fixture), LEASE_CHAT);
	assert_int_not_equal(fixture_row(fixture, a)->granted_mask,
			     fixture_row(fixture, b)->granted_mask);
}

static void test_sooner_gpu_is_asked(void **state)
{
	struct fixture *fixture = *state;
	struct event event = need(LEASE_BACKGROUND, 1, 0);
	uint64_t slow, quick;

	start(fixture, 2, 1, 0);
	event.acquire.uninterruptible_ms = 10000;
	slow = fixture_take(fixture, native(fixture), event);
	quick = fixture_take(fixture, native(fixture), need(LEASE_BACKGROUND, 1, 0));
	assert_int_equal(fixture_row(fixture, slow)->granted_mask, 1);
	fixture_pass(fixture, 3000);
	fixture_wait(fixture, native(fixture), LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, slow), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, quick), CLAIM_YIELDING);
}

/* Not even when the one it asked needs longer than it said. */
static void test_head_does_not_wander(void **state)
{
	struct fixture *fixture = *state;
	struct event event = need(LEASE_BACKGROUND, 1, 0);
	struct event longer = {.type = EVENT_YIELDING};
	uint64_t slow, quick, conn;

	start(fixture, 2, 1, 0);
	event.acquire.uninterruptible_ms = 10000;
	slow = fixture_take(fixture, native(fixture), event);
	conn = native(fixture);
	quick = fixture_take(fixture, conn, need(LEASE_BACKGROUND, 1, 0));
	fixture_pass(fixture, 3000);
	fixture_wait(fixture, native(fixture), LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, quick), CLAIM_YIELDING);
	longer.from = (struct party){PARTY_SESSION, conn};
	longer.renew.lease = quick;
	longer.renew.ttl_ms = 18000;
	fixture_step(fixture, longer);
	fixture_pass(fixture, 500);
	assert_int_equal(fixture_state(fixture, slow), CLAIM_HELD);
}

static enum bound_none why_none(struct fixture *fixture, uint64_t claim)
{
	struct bound bound;

	core_bound(fixture->core, claim, fixture->now, &bound);
	return bound.none;
}

static void test_what_nobody_frees(void **state)
{
	struct fixture *fixture = *state;
	struct event event = need(LEASE_CHAT, 1, 11 * GIB);

	fixture->config.vram_headroom_bytes = 2 * GIB;
	start(fixture, 1, 1, 24 * GIB);
	fixture_sample(fixture, 0, 12 * GIB, 0, 0);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	assert_int_equal(why_none(fixture, fixture_ask(fixture, native(fixture), event)),
			 BOUND_BLOCKED);
	fixture_sample(fixture, 0, 10 * GIB, 0, 0);
	event.acquire.ref = 0;
	assert_int_equal(why_none(fixture, fixture_ask(fixture, native(fixture), event)),
			 BOUND_MEMORY);
}

/* Nor does anybody free what a resident uses beyond what it declared, once it has stayed: who needs
 * it keeps nobody from a turn. If something of its session can leave, that may free it. */
static void test_what_is_undeclared_stays(void **state)
{
	struct fixture *fixture = *state;
	struct event stays = need(LEASE_NORMAL, 0, 10 * GIB), leaves = need(LEASE_NORMAL, 0, GIB);
	uint64_t r, b, big, small;

	start(fixture, 1, 2, 24 * GIB);
	r = native(fixture);
	b = native(fixture);
	stays.acquire.evictable = false;
	fixture_take(fixture, r, stays);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	fixture_sample(fixture, 0, 15 * GIB, fixture_session_id(fixture, r), 15 * GIB);
	big = fixture_ask(fixture, b, need(LEASE_VOICE, 2, 12 * GIB));
	assert_int_equal(why_none(fixture, big), BOUND_BLOCKED);
	small = fixture_ask(fixture, native(fixture), need(LEASE_BACKGROUND, 1, 0));
	assert_int_equal(fixture_state(fixture, small), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, fixture_ask(fixture, r, leaves)), CLAIM_OFFERED);
	assert_int_equal(why_none(fixture, big), BOUND_MEMORY);
}

/* Also one that stands behind a younger one of its kind. */
static void test_elder_behind_a_younger(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, s, held[2], elder[2], younger;

	start(fixture, 1, 2, 0);
	a = native(fixture);
	s = native(fixture);
	for (int i = 0; i < 2; i++)
		held[i] = fixture_take(fixture, a, need(LEASE_CHAT, 1, 0));
	for (int i = 0; i < 2; i++)
		elder[i] = fixture_wait(fixture, s, LEASE_NORMAL);
	fixture_pass(fixture, 1);
	fixture_ask(fixture, native(fixture), need(LEASE_VOICE, 2, 0));
	younger = fixture_wait(fixture, native(fixture), LEASE_NORMAL);
	fixture_release(fixture, a, held[0], false);
	assert_int_equal(fixture_state(fixture, elder[0]), CLAIM_OFFERED);
	fixture_release(fixture, a, held[1], false);
	assert_int_equal(fixture_state(fixture, elder[1]), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, younger), CLAIM_QUEUED);
}

/* Whoever was evicted is not back before the one that it made room for, also while that one waits
 * for a turn that is kept for another. */
static void test_evicted_is_not_back_first(void **state)
{
	struct fixture *fixture = *state;
	struct event firm = need(LEASE_NORMAL, 1, 0);
	uint64_t r, x, resident, work;

	start(fixture, 1, 1, 24 * GIB);
	r = native(fixture);
	x = native(fixture);
	firm.acquire.preemptible = false;
	fixture_take(fixture, native(fixture), firm);
	resident = fixture_take(fixture, r, need(LEASE_BACKGROUND, 0, 20 * GIB));
	work = fixture_ask(fixture, x, need(LEASE_BACKGROUND, 1, 20 * GIB));
	assert_int_equal(fixture_state(fixture, resident), CLAIM_YIELDING);
	fixture_release(fixture, r, resident, true);
	fixture_wait(fixture, native(fixture), LEASE_CHAT);
	assert_int_equal(fixture_state(fixture, resident), CLAIM_QUEUED);
	assert_int_equal(fixture_why(fixture, resident), WHY_RESERVED);
	fixture_release(fixture, x, work, false);
	assert_int_equal(fixture_state(fixture, resident), CLAIM_OFFERED);
}

/* A set keeps the memory that it has found, but not from earlier arrivals. */
static void test_elder_takes_the_kept_memory(void **state)
{
	struct fixture *fixture = *state;
	struct event stays = need(LEASE_NORMAL, 0, 20 * GIB), elder = stays, set = stays;
	uint64_t h[2], held[2], first, younger;

	start(fixture, 2, 4, 24 * GIB);
	for (int i = 0; i < 2; i++) {
		h[i] = native(fixture);
		stays.acquire.need.gpu_mask = 1u << i;
		stays.acquire.evictable = i == 1;
		stays.acquire.min_residence_ms = 60000;
		held[i] = fixture_take(fixture, h[i], stays);
	}
	elder.acquire.need.gpu_mask = 1;
	first = fixture_ask(fixture, native(fixture), elder);
	set.acquire.cls = LEASE_VOICE;
	set.acquire.need.gpu_count = 2;
	fixture_pass(fixture, 1);
	fixture_ask(fixture, native(fixture), set);
	younger = fixture_ask(fixture, native(fixture), elder);
	fixture_release(fixture, h[0], held[0], false);
	assert_int_equal(fixture_state(fixture, first), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, younger), CLAIM_QUEUED);
}

/* Two classes are due: the one that became so first has its turn first, and then the other, for
 * voice has used up its credit. */
static void test_dues_in_their_order(void **state)
{
	struct fixture *fixture = *state;
	struct event event = need(LEASE_VOICE, 1, 0);
	uint64_t v, c, first, chat, normal;

	fixture->config.classes[LEASE_VOICE].hold_ms_max = 200000;
	start(fixture, 1, 1, 0);
	v = native(fixture);
	c = native(fixture);
	event.acquire.preemptible = false;
	first = fixture_take(fixture, v, event);
	normal = fixture_wait(fixture, native(fixture), LEASE_NORMAL);
	chat = fixture_wait(fixture, c, LEASE_CHAT);
	fixture_wait(fixture, native(fixture), LEASE_VOICE);
	fixture_pass(fixture, 80000);
	fixture_release(fixture, v, first, false);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_OFFERED);
	fixture_accept(fixture, c, chat);
	fixture_pass(fixture, 2000);
	fixture_release(fixture, c, chat, false);
	assert_int_equal(fixture_state(fixture, normal), CLAIM_OFFERED);
}

/* A class that computes there already has its due in that turn: nobody is asked for a second. */
static void test_due_turn_of_a_holder(void **state)
{
	struct fixture *fixture = *state;
	uint64_t voice[7];
	uint32_t asked = 0;

	fixture->config.classes[LEASE_VOICE].hold_ms_max = 200000;
	start(fixture, 1, 8, 0);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	for (int i = 0; i < 7; i++)
		voice[i] = fixture_hold(fixture, native(fixture), LEASE_VOICE);
	fixture_wait(fixture, native(fixture), LEASE_CHAT);
	fixture_pass(fixture, 12000);
	for (int i = 0; i < 7; i++)
		asked += fixture_state(fixture, voice[i]) == CLAIM_YIELDING;
	assert_int_equal(asked, 0);
}

/* A claim of two slots keeps the free one from later arrivals, not from earlier ones. */
static void test_elder_takes_the_kept_turn(void **state)
{
	struct fixture *fixture = *state;
	uint64_t c, first, elder;

	start(fixture, 1, 2, 0);
	c = native(fixture);
	first = fixture_hold(fixture, c, LEASE_CHAT);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	elder = fixture_wait(fixture, native(fixture), LEASE_BACKGROUND);
	fixture_pass(fixture, 1000);
	fixture_ask(fixture, native(fixture), need(LEASE_NORMAL, 2, 0));
	fixture_release(fixture, c, first, false);
	assert_int_equal(fixture_state(fixture, elder), CLAIM_OFFERED);
}

/* So it is with the memory that it has found: it is not what it waits for. */
static void test_elder_takes_memory_beside_a_kept_turn(void **state)
{
	struct fixture *fixture = *state;
	uint64_t c, first, elder, younger;

	start(fixture, 1, 2, 24 * GIB);
	c = native(fixture);
	first = fixture_hold(fixture, c, LEASE_CHAT);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	elder = fixture_ask(fixture, native(fixture), need(LEASE_BACKGROUND, 1, 4 * GIB));
	fixture_pass(fixture, 1000);
	fixture_ask(fixture, native(fixture), need(LEASE_NORMAL, 2, GIB));
	younger = fixture_ask(fixture, native(fixture), need(LEASE_BACKGROUND, 1, 4 * GIB));
	fixture_release(fixture, c, first, false);
	assert_int_equal(fixture_state(fixture, elder), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, younger), CLAIM_QUEUED);
}

/* A turn that cannot be cut short does not begin where it would make another class late. */
static void test_firm_turn_makes_nobody_late(void **state)
{
	struct fixture *fixture = *state;
	struct event event = need(LEASE_NORMAL, 1, 0);
	uint64_t v, voice, firm, chat;

	start(fixture, 1, 1, 0);
	v = native(fixture);
	voice = fixture_hold(fixture, v, LEASE_VOICE);
	event.acquire.preemptible = false;
	firm = fixture_ask(fixture, native(fixture), event);
	fixture_pass(fixture, 18000);
	chat = fixture_wait(fixture, native(fixture), LEASE_CHAT);
	fixture_release(fixture, v, voice, false);
	assert_int_equal(fixture_state(fixture, firm), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_OFFERED);
}

/* A waiter for memory keeps nobody from a turn that needs none. */
static void test_turn_beside_who_waits_for_memory(void **state)
{
	struct fixture *fixture = *state;
	struct event event = need(LEASE_NORMAL, 0, 14 * GIB);
	uint64_t claim;

	start(fixture, 1, 1, 24 * GIB);
	event.acquire.min_residence_ms = 60000;
	fixture_take(fixture, native(fixture), event);
	fixture_ask(fixture, native(fixture), need(LEASE_CHAT, 1, 20 * GIB));
	claim = fixture_ask(fixture, native(fixture), need(LEASE_BACKGROUND, 1, 0));
	assert_int_equal(fixture_state(fixture, claim), CLAIM_OFFERED);
}

static void go_on(struct fixture *fixture, const uint64_t *conns, const uint64_t *leases, int count,
		  int seconds)
{
	for (int second = 0; second < seconds; second++) {
		fixture_pass(fixture, 1000);
		for (int i = 0; i < count; i++) {
			if (fixture_state(fixture, leases[i]) == CLAIM_YIELDING)
				fixture_release(fixture, conns[i], leases[i], true);
			if (fixture_state(fixture, leases[i]) == CLAIM_OFFERED)
				fixture_accept(fixture, conns[i], leases[i]);
		}
	}
}

/* Two voice models evict each other endlessly; a chat model has its turn after it waited a quantum
 * by its share, keeps its place for a quantum, and the next of its class waits as long again. */
static void test_memory_in_turn(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conns[4], models[4];

	start(fixture, 1, 1, 24 * GIB);
	for (int i = 0; i < 4; i++) {
		conns[i] = native(fixture);
		models[i] = fixture_ask(fixture, conns[i],
					need(i < 2 ? LEASE_VOICE : LEASE_CHAT, 0, 14 * GIB));
	}
	fixture_accept(fixture, conns[0], models[0]);
	go_on(fixture, conns, models, 4, 38);
	assert_int_equal(fixture_state(fixture, models[2]), CLAIM_QUEUED);
	go_on(fixture, conns, models, 4, 5);
	assert_int_equal(fixture_state(fixture, models[2]), CLAIM_HELD);
	go_on(fixture, conns, models, 4, 4);
	assert_int_equal(fixture_state(fixture, models[2]), CLAIM_HELD);
	go_on(fixture, conns, models, 4, 28);
	assert_int_equal(fixture_state(fixture, models[3]), CLAIM_QUEUED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_slow_stopper_is_asked_sooner),
		TEST(test_limit_counts_earlier_turns),
		TEST(test_missed_offer_is_a_used_turn),
		TEST(test_lower_class_asks_nobody),
		TEST(test_spent_voice_asks_nobody),
		TEST(test_residence_has_a_cap),
		TEST(test_only_one_is_asked),
		TEST(test_yield_is_taken_back),
		TEST(test_asked_by_an_operator_it_goes_last),
		TEST(test_voice_heads_the_list),
		TEST(test_turns_spread),
		TEST(test_sooner_gpu_is_asked),
		TEST(test_head_does_not_wander),
		TEST(test_what_nobody_frees),
		TEST(test_what_is_undeclared_stays),
		TEST(test_elder_behind_a_younger),
		TEST(test_evicted_is_not_back_first),
		TEST(test_elder_takes_the_kept_memory),
		TEST(test_dues_in_their_order),
		TEST(test_due_turn_of_a_holder),
		TEST(test_elder_takes_the_kept_turn),
		TEST(test_elder_takes_memory_beside_a_kept_turn),
		TEST(test_firm_turn_makes_nobody_late),
		TEST(test_turn_beside_who_waits_for_memory),
		TEST(test_memory_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
