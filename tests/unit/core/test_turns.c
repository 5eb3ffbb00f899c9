/* Goal: who is asked to give way, when, and where it stands when it comes back. */
#include "rig.h"

#include "core/wait_bound.h"

static void start(struct rig *rig, uint32_t gpus, uint32_t slots, uint64_t vram_bytes)
{
	rig_gpus(rig, gpus, slots, vram_bytes);
	rig->config.session_ttl_ms = 100000000;
	rig_configure(rig);
}

static uint64_t native(struct rig *rig)
{
	return rig_session(rig, BIND_NATIVE, "n");
}

static struct event need(enum lease_class cls, uint32_t slots, uint64_t vram_bytes)
{
	struct event event = rig_need(cls, slots, vram_bytes);

	event.acquire.evictable = slots == 0;
	return event;
}

static void assert_asked_after(struct rig *rig, uint64_t lease, int64_t ms)
{
	rig_pass(rig, ms - 1);
	assert_int_equal(rig_state(rig, lease), CLAIM_HELD);
	rig_pass(rig, 1);
	assert_int_equal(rig_state(rig, lease), CLAIM_YIELDING);
}

/* So that it is gone when its time is over. */
static void test_slow_stopper_is_asked_sooner(void **state)
{
	struct rig *rig = *state;
	struct event event = need(LEASE_CHAT, 1, 0);
	uint64_t lease;

	start(rig, 1, 1, 0);
	event.acquire.uninterruptible_ms = 10000;
	lease = rig_take(rig, native(rig), event);
	rig_wait(rig, native(rig), LEASE_BACKGROUND);
	assert_asked_after(rig, lease, 60000 - 10000 + rig->config.grace_ms);
}

static void test_limit_counts_earlier_turns(void **state)
{
	struct rig *rig = *state;
	uint64_t c, v, chat, voice;

	start(rig, 1, 1, 0);
	c = native(rig);
	v = native(rig);
	chat = rig_hold(rig, c, LEASE_CHAT);
	rig_wait(rig, native(rig), LEASE_BACKGROUND);
	rig_pass(rig, 20000);
	voice = rig_wait(rig, v, LEASE_VOICE);
	assert_int_equal(rig_state(rig, chat), CLAIM_YIELDING);
	rig_release(rig, c, chat, true);
	rig_accept(rig, v, voice);
	rig_release(rig, v, voice, false);
	rig_accept(rig, c, chat);
	assert_asked_after(rig, chat, 40000);
}

static void test_missed_offer_is_a_used_turn(void **state)
{
	struct rig *rig = *state;
	uint64_t c, chat;

	start(rig, 1, 1, 0);
	c = native(rig);
	chat = rig_ask(rig, c, need(LEASE_CHAT, 1, 0));
	rig_pass(rig, rig->config.ack_ms);
	assert_int_equal(rig_state(rig, chat), CLAIM_OFFERED);
	rig_accept(rig, c, chat);
	rig_wait(rig, native(rig), LEASE_BACKGROUND);
	assert_asked_after(rig, chat, 60000 - rig->config.ack_ms);
}

/* However old: it waits until its class is due. */
static void test_lower_class_asks_nobody(void **state)
{
	struct rig *rig = *state;
	uint64_t v, w, first, second, work;

	rig->config.voice_credit_ms = 1000000;
	rig->config.classes[LEASE_VOICE].hold_ms_max = 200000;
	rig->config.classes[LEASE_BACKGROUND].share_permille = 10;
	start(rig, 1, 1, 0);
	v = native(rig);
	w = native(rig);
	first = rig_hold(rig, v, LEASE_VOICE);
	work = rig_wait(rig, native(rig), LEASE_BACKGROUND);
	rig_pass(rig, 130000);
	second = rig_wait(rig, w, LEASE_VOICE);
	rig_release(rig, v, first, false);
	rig_accept(rig, w, second);
	rig_pass(rig, 10000);
	assert_int_equal(rig_state(rig, second), CLAIM_HELD);
	assert_int_equal(rig_state(rig, work), CLAIM_QUEUED);
}

static void test_spent_voice_asks_nobody(void **state)
{
	struct rig *rig = *state;
	uint64_t v, c, voice, chat;

	start(rig, 1, 1, 0);
	rig->config.classes[LEASE_VOICE].hold_ms_max = 200000;
	rig_configure(rig);
	v = native(rig);
	c = native(rig);
	voice = rig_hold(rig, v, LEASE_VOICE);
	chat = rig_wait(rig, c, LEASE_NORMAL);
	rig_pass(rig, 66000);
	rig_release(rig, v, voice, false);
	rig_accept(rig, c, chat);
	assert_int_equal(rig_state(rig, chat), CLAIM_HELD);
	rig_wait(rig, v, LEASE_VOICE);
	assert_int_equal(rig_state(rig, chat), CLAIM_HELD);
}

static void test_residence_has_a_cap(void **state)
{
	struct rig *rig = *state;
	struct event event = need(LEASE_NORMAL, 0, 14 * GIB);
	uint64_t model;

	start(rig, 1, 1, 24 * GIB);
	event.acquire.min_residence_ms = 3600000;
	model = rig_take(rig, native(rig), event);
	rig->config.min_residence_ms_max = 20000;
	rig_configure(rig);
	rig_ask(rig, native(rig), need(LEASE_CHAT, 1, 14 * GIB));
	assert_asked_after(rig, model, 20000);
}

static void test_only_one_is_asked(void **state)
{
	struct rig *rig = *state;
	uint64_t a, b;

	start(rig, 1, 2, 0);
	a = rig_hold(rig, native(rig), LEASE_BACKGROUND);
	b = rig_hold(rig, native(rig), LEASE_BACKGROUND);
	rig_pass(rig, 3000);
	rig_wait(rig, native(rig), LEASE_VOICE);
	rig_wait(rig, native(rig), LEASE_BACKGROUND);
	assert_int_equal(
		(rig_state(rig, a) == CLAIM_YIELDING) + (rig_state(rig, b) == CLAIM_YIELDING), 1);
}

/* For whom it was asked has left; who waits beside has no right to its turn. */
static void test_yield_is_taken_back(void **state)
{
	struct rig *rig = *state;
	uint64_t v, chat, voice;

	start(rig, 1, 1, 0);
	v = native(rig);
	chat = rig_hold(rig, native(rig), LEASE_CHAT);
	rig_wait(rig, native(rig), LEASE_BACKGROUND);
	rig_pass(rig, 3000);
	voice = rig_wait(rig, v, LEASE_VOICE);
	assert_int_equal(rig_state(rig, chat), CLAIM_YIELDING);
	rig_release(rig, v, voice, false);
	assert_int_equal(rig_state(rig, chat), CLAIM_HELD);
	assert_non_null(rig_sent(rig, SEND_KEEP, chat));
	rig_admin(rig, ADMIN_YIELD, chat);
	rig_pass(rig, 500);
	assert_int_equal(rig_state(rig, chat), CLAIM_YIELDING);
}

static void test_asked_by_an_operator_it_goes_last(void **state)
{
	struct rig *rig = *state;
	uint64_t a, b, first, second;

	start(rig, 1, 1, 0);
	a = native(rig);
	b = native(rig);
	first = rig_hold(rig, a, LEASE_CHAT);
	rig_pass(rig, 1000);
	second = rig_wait(rig, b, LEASE_CHAT);
	rig_pass(rig, 1000);
	rig_admin(rig, ADMIN_YIELD, first);
	rig_release(rig, a, first, true);
	assert_int_equal(rig_state(rig, second), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, first), CLAIM_QUEUED);
}

static void test_voice_heads_the_list(void **state)
{
	struct rig *rig = *state;
	uint64_t chat, voice;

	start(rig, 1, 1, 0);
	rig_hold(rig, native(rig), LEASE_CHAT);
	chat = rig_wait(rig, native(rig), LEASE_CHAT);
	rig_pass(rig, 30000);
	voice = rig_wait(rig, native(rig), LEASE_VOICE);
	assert_int_equal(core_position(rig->core, voice), 0);
	assert_int_equal(core_position(rig->core, chat), 1);
}

static void test_turns_spread(void **state)
{
	struct rig *rig = *state;
	uint64_t a, b;

	start(rig, 2, 2, 0);
	a = rig_hold(rig, native(rig), LEASE_CHAT);
	b = rig_hold(rig, native(rig), LEASE_CHAT);
	assert_int_not_equal(rig_row(rig, a)->granted_mask, rig_row(rig, b)->granted_mask);
}

static void test_sooner_gpu_is_asked(void **state)
{
	struct rig *rig = *state;
	struct event event = need(LEASE_BACKGROUND, 1, 0);
	uint64_t slow, quick;

	start(rig, 2, 1, 0);
	event.acquire.uninterruptible_ms = 10000;
	slow = rig_take(rig, native(rig), event);
	quick = rig_take(rig, native(rig), need(LEASE_BACKGROUND, 1, 0));
	assert_int_equal(rig_row(rig, slow)->granted_mask, 1);
	rig_pass(rig, 3000);
	rig_wait(rig, native(rig), LEASE_VOICE);
	assert_int_equal(rig_state(rig, slow), CLAIM_HELD);
	assert_int_equal(rig_state(rig, quick), CLAIM_YIELDING);
}

/* Not even when the one it asked needs longer than it said. */
static void test_head_does_not_wander(void **state)
{
	struct rig *rig = *state;
	struct event event = need(LEASE_BACKGROUND, 1, 0);
	struct event longer = {.type = EVENT_YIELDING};
	uint64_t slow, quick, conn;

	start(rig, 2, 1, 0);
	event.acquire.uninterruptible_ms = 10000;
	slow = rig_take(rig, native(rig), event);
	conn = native(rig);
	quick = rig_take(rig, conn, need(LEASE_BACKGROUND, 1, 0));
	rig_pass(rig, 3000);
	rig_wait(rig, native(rig), LEASE_VOICE);
	assert_int_equal(rig_state(rig, quick), CLAIM_YIELDING);
	longer.from = (struct party){PARTY_SESSION, conn};
	longer.renew.lease = quick;
	longer.renew.ttl_ms = 18000;
	rig_step(rig, longer);
	rig_pass(rig, 500);
	assert_int_equal(rig_state(rig, slow), CLAIM_HELD);
}

static enum bound_none why_none(struct rig *rig, uint64_t claim)
{
	struct bound bound;

	core_bound(rig->core, claim, rig->now, &bound);
	return bound.none;
}

static void test_what_nobody_frees(void **state)
{
	struct rig *rig = *state;
	struct event event = need(LEASE_CHAT, 1, 11 * GIB);

	rig->config.vram_headroom_bytes = 2 * GIB;
	start(rig, 1, 1, 24 * GIB);
	rig_sample(rig, 0, 12 * GIB, 0, 0);
	rig_hold(rig, native(rig), LEASE_CHAT);
	assert_int_equal(why_none(rig, rig_ask(rig, native(rig), event)), BOUND_BLOCKED);
	rig_sample(rig, 0, 10 * GIB, 0, 0);
	event.acquire.ref = 0;
	assert_int_equal(why_none(rig, rig_ask(rig, native(rig), event)), BOUND_MEMORY);
}

/* Nor does anybody free what a resident uses beyond what it declared, once it has stayed: who needs
 * it keeps nobody from a turn. If something of its session can leave, that may free it. */
static void test_what_is_undeclared_stays(void **state)
{
	struct rig *rig = *state;
	struct event stays = need(LEASE_NORMAL, 0, 10 * GIB), leaves = need(LEASE_NORMAL, 0, GIB);
	uint64_t r, b, big, small;

	start(rig, 1, 2, 24 * GIB);
	r = native(rig);
	b = native(rig);
	stays.acquire.evictable = false;
	rig_take(rig, r, stays);
	rig_hold(rig, native(rig), LEASE_CHAT);
	rig_sample(rig, 0, 15 * GIB, rig_session_id(rig, r), 15 * GIB);
	big = rig_ask(rig, b, need(LEASE_VOICE, 2, 12 * GIB));
	assert_int_equal(why_none(rig, big), BOUND_BLOCKED);
	small = rig_ask(rig, native(rig), need(LEASE_BACKGROUND, 1, 0));
	assert_int_equal(rig_state(rig, small), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, rig_ask(rig, r, leaves)), CLAIM_OFFERED);
	assert_int_equal(why_none(rig, big), BOUND_MEMORY);
}

/* Also one that stands behind a younger one of its kind. */
static void test_elder_behind_a_younger(void **state)
{
	struct rig *rig = *state;
	uint64_t a, s, held[2], elder[2], younger;

	start(rig, 1, 2, 0);
	a = native(rig);
	s = native(rig);
	for (int i = 0; i < 2; i++)
		held[i] = rig_take(rig, a, need(LEASE_CHAT, 1, 0));
	for (int i = 0; i < 2; i++)
		elder[i] = rig_wait(rig, s, LEASE_NORMAL);
	rig_pass(rig, 1);
	rig_ask(rig, native(rig), need(LEASE_VOICE, 2, 0));
	younger = rig_wait(rig, native(rig), LEASE_NORMAL);
	rig_release(rig, a, held[0], false);
	assert_int_equal(rig_state(rig, elder[0]), CLAIM_OFFERED);
	rig_release(rig, a, held[1], false);
	assert_int_equal(rig_state(rig, elder[1]), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, younger), CLAIM_QUEUED);
}

/* Whoever was evicted is not back before the one that it made room for, also while that one waits
 * for a turn that is kept for another. */
static void test_evicted_is_not_back_first(void **state)
{
	struct rig *rig = *state;
	struct event firm = need(LEASE_NORMAL, 1, 0);
	uint64_t r, x, resident, work;

	start(rig, 1, 1, 24 * GIB);
	r = native(rig);
	x = native(rig);
	firm.acquire.preemptible = false;
	rig_take(rig, native(rig), firm);
	resident = rig_take(rig, r, need(LEASE_BACKGROUND, 0, 20 * GIB));
	work = rig_ask(rig, x, need(LEASE_BACKGROUND, 1, 20 * GIB));
	assert_int_equal(rig_state(rig, resident), CLAIM_YIELDING);
	rig_release(rig, r, resident, true);
	rig_wait(rig, native(rig), LEASE_CHAT);
	assert_int_equal(rig_state(rig, resident), CLAIM_QUEUED);
	assert_int_equal(rig_why(rig, resident), WHY_RESERVED);
	rig_release(rig, x, work, false);
	assert_int_equal(rig_state(rig, resident), CLAIM_OFFERED);
}

/* A set keeps the memory that it has found, but not from who waited before it. */
static void test_elder_takes_the_kept_memory(void **state)
{
	struct rig *rig = *state;
	struct event stays = need(LEASE_NORMAL, 0, 20 * GIB), elder = stays, set = stays;
	uint64_t h[2], held[2], first, younger;

	start(rig, 2, 4, 24 * GIB);
	for (int i = 0; i < 2; i++) {
		h[i] = native(rig);
		stays.acquire.need.gpu_mask = 1u << i;
		stays.acquire.evictable = i == 1;
		stays.acquire.min_residence_ms = 60000;
		held[i] = rig_take(rig, h[i], stays);
	}
	elder.acquire.need.gpu_mask = 1;
	first = rig_ask(rig, native(rig), elder);
	set.acquire.cls = LEASE_VOICE;
	set.acquire.need.gpu_count = 2;
	rig_pass(rig, 1);
	rig_ask(rig, native(rig), set);
	younger = rig_ask(rig, native(rig), elder);
	rig_release(rig, h[0], held[0], false);
	assert_int_equal(rig_state(rig, first), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, younger), CLAIM_QUEUED);
}

/* Two classes are due: the one that became so first has its turn first, and then the other, for
 * voice has used up its credit. */
static void test_dues_in_their_order(void **state)
{
	struct rig *rig = *state;
	struct event event = need(LEASE_VOICE, 1, 0);
	uint64_t v, c, first, chat, normal;

	rig->config.classes[LEASE_VOICE].hold_ms_max = 200000;
	start(rig, 1, 1, 0);
	v = native(rig);
	c = native(rig);
	event.acquire.preemptible = false;
	first = rig_take(rig, v, event);
	normal = rig_wait(rig, native(rig), LEASE_NORMAL);
	chat = rig_wait(rig, c, LEASE_CHAT);
	rig_wait(rig, native(rig), LEASE_VOICE);
	rig_pass(rig, 80000);
	rig_release(rig, v, first, false);
	assert_int_equal(rig_state(rig, chat), CLAIM_OFFERED);
	rig_accept(rig, c, chat);
	rig_pass(rig, 2000);
	rig_release(rig, c, chat, false);
	assert_int_equal(rig_state(rig, normal), CLAIM_OFFERED);
}

/* A class that computes there already has its due in that turn: nobody is asked for a second. */
static void test_due_turn_of_a_holder(void **state)
{
	struct rig *rig = *state;
	uint64_t voice[7];
	uint32_t asked = 0;

	rig->config.classes[LEASE_VOICE].hold_ms_max = 200000;
	start(rig, 1, 8, 0);
	rig_hold(rig, native(rig), LEASE_CHAT);
	for (int i = 0; i < 7; i++)
		voice[i] = rig_hold(rig, native(rig), LEASE_VOICE);
	rig_wait(rig, native(rig), LEASE_CHAT);
	rig_pass(rig, 12000);
	for (int i = 0; i < 7; i++)
		asked += rig_state(rig, voice[i]) == CLAIM_YIELDING;
	assert_int_equal(asked, 0);
}

/* A claim of two slots keeps the one that is free from who came later, not from who was there. */
static void test_elder_takes_the_kept_turn(void **state)
{
	struct rig *rig = *state;
	uint64_t c, first, elder;

	start(rig, 1, 2, 0);
	c = native(rig);
	first = rig_hold(rig, c, LEASE_CHAT);
	rig_hold(rig, native(rig), LEASE_CHAT);
	elder = rig_wait(rig, native(rig), LEASE_BACKGROUND);
	rig_pass(rig, 1000);
	rig_ask(rig, native(rig), need(LEASE_NORMAL, 2, 0));
	rig_release(rig, c, first, false);
	assert_int_equal(rig_state(rig, elder), CLAIM_OFFERED);
}

/* A turn that cannot be cut short does not begin where it would make another class late. */
static void test_firm_turn_makes_nobody_late(void **state)
{
	struct rig *rig = *state;
	struct event event = need(LEASE_NORMAL, 1, 0);
	uint64_t v, voice, firm, chat;

	start(rig, 1, 1, 0);
	v = native(rig);
	voice = rig_hold(rig, v, LEASE_VOICE);
	event.acquire.preemptible = false;
	firm = rig_ask(rig, native(rig), event);
	rig_pass(rig, 18000);
	chat = rig_wait(rig, native(rig), LEASE_CHAT);
	rig_release(rig, v, voice, false);
	assert_int_equal(rig_state(rig, firm), CLAIM_QUEUED);
	assert_int_equal(rig_state(rig, chat), CLAIM_OFFERED);
}

/* Who waits for memory keeps nobody from a turn that needs none. */
static void test_turn_beside_who_waits_for_memory(void **state)
{
	struct rig *rig = *state;
	struct event event = need(LEASE_NORMAL, 0, 14 * GIB);
	uint64_t claim;

	start(rig, 1, 1, 24 * GIB);
	event.acquire.min_residence_ms = 60000;
	rig_take(rig, native(rig), event);
	rig_ask(rig, native(rig), need(LEASE_CHAT, 1, 20 * GIB));
	claim = rig_ask(rig, native(rig), need(LEASE_BACKGROUND, 1, 0));
	assert_int_equal(rig_state(rig, claim), CLAIM_OFFERED);
}

static void go_on(struct rig *rig, const uint64_t *conns, const uint64_t *leases, int count,
		  int seconds)
{
	for (int second = 0; second < seconds; second++) {
		rig_pass(rig, 1000);
		for (int i = 0; i < count; i++) {
			if (rig_state(rig, leases[i]) == CLAIM_YIELDING)
				rig_release(rig, conns[i], leases[i], true);
			if (rig_state(rig, leases[i]) == CLAIM_OFFERED)
				rig_accept(rig, conns[i], leases[i]);
		}
	}
}

/* Two voice models evict each other for ever; a chat model has its turn after it waited a quantum
 * by its share, keeps its place for a quantum, and the next of its class waits as long again. */
static void test_memory_in_turn(void **state)
{
	struct rig *rig = *state;
	uint64_t conns[4], models[4];

	start(rig, 1, 1, 24 * GIB);
	for (int i = 0; i < 4; i++) {
		conns[i] = native(rig);
		models[i] =
			rig_ask(rig, conns[i], need(i < 2 ? LEASE_VOICE : LEASE_CHAT, 0, 14 * GIB));
	}
	rig_accept(rig, conns[0], models[0]);
	go_on(rig, conns, models, 4, 38);
	assert_int_equal(rig_state(rig, models[2]), CLAIM_QUEUED);
	go_on(rig, conns, models, 4, 5);
	assert_int_equal(rig_state(rig, models[2]), CLAIM_HELD);
	go_on(rig, conns, models, 4, 4);
	assert_int_equal(rig_state(rig, models[2]), CLAIM_HELD);
	go_on(rig, conns, models, 4, 28);
	assert_int_equal(rig_state(rig, models[3]), CLAIM_QUEUED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
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
		TEST(test_firm_turn_makes_nobody_late),
		TEST(test_turn_beside_who_waits_for_memory),
		TEST(test_memory_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
