/* Goal: every class has its share of the turns, whatever the others do; voice goes first as far as
 * its credit reaches; and what a waiter is told at first is never exceeded (docs/states.md). */
#include "rig.h"

static struct event need(enum lease_class cls, uint32_t slots, uint64_t vram_bytes)
{
	struct event event = rig_need(cls, slots, vram_bytes);

	event.acquire.timeout_ms = -1;
	return event;
}

static void start(struct rig *rig, uint32_t gpus, uint32_t slots, uint64_t vram_bytes)
{
	rig_gpus(rig, gpus, slots, vram_bytes);
	rig->config.session_ttl_ms = 100000000;
	rig->config.classes[LEASE_VOICE].hold_ms_max = 200000;
	rig_configure(rig);
}

/* Chat is owed a quarter of the time: 40 s of waiting pay for a quantum, in which voice does not
 * cut it short; then one voice goes before anything else that is due. */
static void test_due_turn(void **state)
{
	struct rig *rig = *state;
	uint64_t v1, v2, w, first, second, work;

	start(rig, 1, 1, 0);
	v1 = rig_session(rig, BIND_NATIVE, "v1");
	v2 = rig_session(rig, BIND_NATIVE, "v2");
	w = rig_session(rig, BIND_NATIVE, "w");
	first = rig_take(rig, v1, need(LEASE_VOICE, 1, 0));
	work = rig_ask(rig, w, need(LEASE_CHAT, 1, 0));
	second = rig_ask(rig, v2, need(LEASE_VOICE, 1, 0));
	rig_pass(rig, 39999);
	assert_int_equal(rig_state(rig, first), CLAIM_HELD);
	rig_pass(rig, 1);
	assert_int_equal(rig_state(rig, first), CLAIM_YIELDING);
	rig_release(rig, v1, first, true);
	assert_int_equal(rig_state(rig, work), CLAIM_OFFERED);
	rig_accept(rig, w, work);
	rig_pass(rig, rig->config.quantum_ms - 1);
	assert_int_equal(rig_state(rig, work), CLAIM_HELD);
	rig_pass(rig, 1);
	assert_int_equal(rig_state(rig, work), CLAIM_YIELDING);
	rig_release(rig, w, work, true);
	/* Cut short, it has its old place. */
	assert_int_equal(rig_state(rig, first), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, second), CLAIM_QUEUED);
}

/* A due turn that is offered and not taken up is used: a voice is next. */
static void test_due_turn_missed(void **state)
{
	struct rig *rig = *state;
	uint64_t v1, v2, w, x, first, second, mute, other;

	start(rig, 1, 1, 0);
	v1 = rig_session(rig, BIND_NATIVE, "v1");
	v2 = rig_session(rig, BIND_NATIVE, "v2");
	w = rig_session(rig, BIND_NATIVE, "w");
	x = rig_session(rig, BIND_NATIVE, "x");
	first = rig_take(rig, v1, need(LEASE_VOICE, 1, 0));
	mute = rig_ask(rig, w, need(LEASE_CHAT, 1, 0));
	other = rig_ask(rig, x, need(LEASE_CHAT, 1, 0));
	second = rig_ask(rig, v2, need(LEASE_VOICE, 1, 0));
	rig_pass(rig, 40000);
	rig_release(rig, v1, first, false);
	assert_int_equal(rig_state(rig, mute), CLAIM_OFFERED);
	rig_step(rig, (struct event){.type = EVENT_CANCEL,
				     .from = {PARTY_SESSION, w},
				     .ref = rig_row(rig, mute)->ref});
	assert_int_equal(rig_end(rig, mute), END_CANCELLED);
	assert_int_equal(rig_state(rig, second), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, other), CLAIM_QUEUED);
}

/* Memory that cannot be had yet keeps nobody from the turn; once it can, the due one has both. */
static void test_due_turn_with_memory(void **state)
{
	struct rig *rig = *state;
	uint64_t v1, m, w, first, model, work;
	struct event loaded = need(LEASE_BACKGROUND, 0, 6 * GIB);

	start(rig, 1, 1, 8 * GIB);
	v1 = rig_session(rig, BIND_NATIVE, "v1");
	m = rig_session(rig, BIND_NATIVE, "m");
	w = rig_session(rig, BIND_NATIVE, "w");
	loaded.acquire.evictable = true;
	loaded.acquire.min_residence_ms = 50000;
	model = rig_take(rig, m, loaded);
	work = rig_ask(rig, w, need(LEASE_CHAT, 1, 4 * GIB));
	first = rig_take(rig, v1, need(LEASE_VOICE, 1, 0));
	rig_pass(rig, 49999);
	assert_int_equal(rig_state(rig, first), CLAIM_HELD);
	assert_int_equal(rig_state(rig, model), CLAIM_HELD);
	rig_pass(rig, 1);
	assert_int_equal(rig_state(rig, model), CLAIM_YIELDING);
	/* While memory is made free the turn goes on. */
	assert_int_equal(rig_state(rig, first), CLAIM_HELD);
	rig_release(rig, m, model, false);
	assert_int_equal(rig_state(rig, first), CLAIM_YIELDING);
	rig_release(rig, v1, first, false);
	assert_int_equal(rig_state(rig, work), CLAIM_OFFERED);
}

/* Voice that used its credit up has its share like the others: the older chat goes before it. */
static void test_credit(void **state)
{
	struct rig *rig = *state;
	uint64_t v1, v2, w, first, second, work;

	start(rig, 1, 1, 0);
	rig->config.voice_credit_ms = 5000;
	rig_configure(rig);
	v1 = rig_session(rig, BIND_NATIVE, "v1");
	v2 = rig_session(rig, BIND_NATIVE, "v2");
	w = rig_session(rig, BIND_NATIVE, "w");
	first = rig_take(rig, v1, need(LEASE_VOICE, 1, 0));
	work = rig_ask(rig, w, need(LEASE_NORMAL, 1, 0));
	rig_pass(rig, 30000);
	second = rig_ask(rig, v2, need(LEASE_VOICE, 1, 0));
	assert_int_equal(rig_state(rig, first), CLAIM_HELD);
	rig_release(rig, v1, first, false);
	/* Its key is arrival + 30 s, that of the voice its arrival: the older id. */
	assert_int_equal(rig_state(rig, work), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, second), CLAIM_QUEUED);
}

/* What nobody can be made to serve closes nothing: neither a turn nor memory for others. */
static void test_blocked_closes_nothing(void **state)
{
	struct rig *rig = *state;
	uint64_t r, b, c, d, holder, behind;
	struct bound bound;

	start(rig, 1, 1, 24 * GIB);
	r = rig_session(rig, BIND_NATIVE, "r");
	b = rig_session(rig, BIND_NATIVE, "b");
	c = rig_session(rig, BIND_NATIVE, "c");
	d = rig_session(rig, BIND_NATIVE, "d");
	rig_take(rig, r, need(LEASE_NORMAL, 0, 10 * GIB));
	holder = rig_take(rig, b, need(LEASE_BACKGROUND, 1, 0));
	uint64_t head = rig_ask(rig, c, need(LEASE_CHAT, 1, 20 * GIB));
	core_bound(rig->core, head, rig->now, &bound);
	assert_int_equal(bound.ms, -1);
	assert_int_equal(bound.none, BOUND_BLOCKED);
	assert_int_equal(rig_why(rig, head), WHY_PINNED);
	behind = rig_ask(rig, d, need(LEASE_BACKGROUND, 1, 0));
	/* The hold limit is judged for who can be served. */
	rig_pass(rig, rig->config.classes[LEASE_BACKGROUND].hold_ms_max);
	assert_int_equal(rig_state(rig, holder), CLAIM_YIELDING);
	rig_release(rig, b, holder, false);
	assert_int_equal(rig_state(rig, behind), CLAIM_OFFERED);
}

/* Who waits for memory keeps nobody from a turn that needs none. */
static void test_memory_and_turns_apart(void **state)
{
	struct rig *rig = *state;
	uint64_t r, b, s, model, big, small;
	struct event loaded = need(LEASE_BACKGROUND, 0, 20 * GIB);

	start(rig, 1, 1, 24 * GIB);
	r = rig_session(rig, BIND_NATIVE, "r");
	b = rig_session(rig, BIND_NATIVE, "b");
	s = rig_session(rig, BIND_NATIVE, "s");
	loaded.acquire.evictable = true;
	model = rig_take(rig, r, loaded);
	big = rig_ask(rig, b, need(LEASE_CHAT, 0, 16 * GIB));
	assert_int_equal(rig_state(rig, model), CLAIM_YIELDING);
	small = rig_ask(rig, s, need(LEASE_CHAT, 1, 0));
	assert_int_equal(rig_state(rig, small), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, big), CLAIM_QUEUED);
}

/* An evicted resident that comes back stands behind whom it made room for, and behind all who came
 * until then, also in that very millisecond. */
static void test_evicted_comes_back_last(void **state)
{
	struct rig *rig = *state;
	uint64_t r, b, model, work, third;
	struct event loaded = need(LEASE_CHAT, 0, 20 * GIB);

	start(rig, 1, 1, 24 * GIB);
	r = rig_session(rig, BIND_NATIVE, "r");
	b = rig_session(rig, BIND_NATIVE, "b");
	loaded.acquire.evictable = true;
	model = rig_take(rig, r, loaded);
	work = rig_ask(rig, b, need(LEASE_CHAT, 0, 16 * GIB));
	assert_int_equal(rig_state(rig, model), CLAIM_YIELDING);
	third = rig_ask(rig, rig_session(rig, BIND_NATIVE, "c"), need(LEASE_CHAT, 0, 16 * GIB));
	rig_release(rig, r, model, true);
	assert_int_equal(rig_state(rig, work), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, model), CLAIM_QUEUED);
	rig_release(rig, b, work, false);
	assert_int_equal(rig_state(rig, third), CLAIM_OFFERED);
	assert_int_equal(rig_state(rig, model), CLAIM_QUEUED);
}

/* Holds to the last moment and comes back at once. */
static void go_on_greedily(struct rig *rig, uint64_t conn, uint64_t lease)
{
	if (rig_state(rig, lease) == CLAIM_YIELDING)
		rig_release(rig, conn, lease, true);
	if (rig_state(rig, lease) == CLAIM_OFFERED)
		rig_accept(rig, conn, lease);
}

/* The slot that is kept for a claim of two is not charged to it: it would never afford the other.
 */
static void test_wide_turn_is_served(void **state)
{
	struct rig *rig = *state;
	uint64_t v, c, w, voice, chat, wide;
	int64_t told_ms, waited_ms = 0;

	start(rig, 1, 2, 0);
	rig->config.classes[LEASE_VOICE].hold_ms_max = 30000;
	rig_configure(rig);
	v = rig_session(rig, BIND_NATIVE, "v");
	c = rig_session(rig, BIND_NATIVE, "c");
	w = rig_session(rig, BIND_NATIVE, "w");
	voice = rig_take(rig, v, need(LEASE_VOICE, 1, 0));
	chat = rig_take(rig, c, need(LEASE_CHAT, 1, 0));
	wide = rig_ask(rig, w, need(LEASE_NORMAL, 2, 0));
	told_ms = core_bound_ms(rig->core, wide, rig->now);
	assert_in_range(told_ms, 1, 24 * 3600 * 1000);
	for (; rig_state(rig, wide) == CLAIM_QUEUED; waited_ms += 1000) {
		assert_in_range(waited_ms, 0, told_ms);
		rig_pass(rig, 1000);
		go_on_greedily(rig, v, voice);
		go_on_greedily(rig, c, chat);
	}
}

/* .. also if it is of a higher class, and the other has to wait for its turn yet. */
static void test_evicted_waits_for_whom_it_made_room(void **state)
{
	struct rig *rig = *state;
	uint64_t r, h, b, model, holder, work;
	struct event loaded = need(LEASE_CHAT, 0, 20 * GIB);

	start(rig, 1, 1, 24 * GIB);
	r = rig_session(rig, BIND_NATIVE, "r");
	h = rig_session(rig, BIND_NATIVE, "h");
	b = rig_session(rig, BIND_NATIVE, "b");
	loaded.acquire.evictable = true;
	model = rig_take(rig, r, loaded);
	holder = rig_take(rig, h, need(LEASE_BACKGROUND, 1, 0));
	work = rig_ask(rig, b, need(LEASE_BACKGROUND, 1, 16 * GIB));
	assert_int_equal(rig_state(rig, model), CLAIM_YIELDING);
	rig_release(rig, r, model, true);
	assert_int_equal(rig_state(rig, model), CLAIM_QUEUED);
	rig_pass(rig, 1000);
	assert_int_equal(rig_state(rig, model), CLAIM_QUEUED);
	rig_release(rig, h, holder, false);
	assert_int_equal(rig_state(rig, work), CLAIM_OFFERED);
}

/* .. but not for a set that cannot be served, for another of its GPUs has failed. */
static void test_evicted_waits_for_no_broken_set(void **state)
{
	struct rig *rig = *state;
	struct event loaded = need(LEASE_CHAT, 0, 20 * GIB), failed = {.type = EVENT_GPU_SAMPLE};
	struct event set = need(LEASE_BACKGROUND, 1, 16 * GIB);
	struct event elsewhere = need(LEASE_BACKGROUND, 1, 0);
	uint64_t r, model, work;

	start(rig, 2, 1, 24 * GIB);
	r = rig_session(rig, BIND_NATIVE, "r");
	loaded.acquire.evictable = true;
	loaded.acquire.need.gpu_mask = 1;
	model = rig_take(rig, r, loaded);
	elsewhere.acquire.need.gpu_mask = 2;
	rig_take(rig, rig_session(rig, BIND_NATIVE, "h"), elsewhere);
	set.acquire.need.gpu_count = 2;
	work = rig_ask(rig, rig_session(rig, BIND_NATIVE, "b"), set);
	assert_int_equal(rig_state(rig, model), CLAIM_YIELDING);
	rig_release(rig, r, model, true);
	assert_int_equal(rig_state(rig, model), CLAIM_QUEUED);
	failed.sample.gpu = 1;
	rig_step(rig, failed);
	assert_int_equal(rig_state(rig, work), CLAIM_QUEUED);
	assert_int_equal(rig_state(rig, model), CLAIM_OFFERED);
}

/* Memory that came free is kept for a class that is due until it has all of it, also from voice. */
static void test_due_memory_is_kept(void **state)
{
	struct rig *rig = *state;
	struct event loaded = need(LEASE_BACKGROUND, 0, 12 * GIB);
	uint64_t r, w, v, soon, late, work, voice;

	start(rig, 1, 1, 24 * GIB);
	r = rig_session(rig, BIND_NATIVE, "r");
	w = rig_session(rig, BIND_NATIVE, "w");
	v = rig_session(rig, BIND_NATIVE, "v");
	loaded.acquire.evictable = true;
	soon = rig_take(rig, r, loaded);
	loaded.acquire.min_residence_ms = 60000;
	late = rig_take(rig, r, loaded);
	work = rig_ask(rig, w, need(LEASE_CHAT, 1, 20 * GIB));
	assert_int_equal(rig_state(rig, soon), CLAIM_YIELDING);
	rig_release(rig, r, soon, false);
	rig_pass(rig, 45000);
	voice = rig_ask(rig, v, need(LEASE_VOICE, 0, 12 * GIB));
	assert_int_equal(rig_state(rig, voice), CLAIM_QUEUED);
	rig_pass(rig, 15000);
	assert_int_equal(rig_state(rig, late), CLAIM_YIELDING);
	rig_release(rig, r, late, false);
	assert_int_equal(rig_state(rig, work), CLAIM_OFFERED);
}

/* Two models of class voice that do not fit together, and come back each time they were evicted,
 * leave their memory to a class that is due, also while one of them is giving it back. */
static void test_models_of_voice_take_turns_with_others(void **state)
{
	struct rig *rig = *state;
	struct event loaded = need(LEASE_VOICE, 0, 14 * GIB);
	uint64_t conn[2], model[2], w, work;

	start(rig, 1, 1, 24 * GIB);
	loaded.acquire.evictable = true;
	loaded.acquire.min_residence_ms = 2000;
	for (int i = 0; i < 2; i++) {
		conn[i] = rig_session(rig, BIND_NATIVE, "v");
		model[i] = rig_ask(rig, conn[i], loaded);
	}
	w = rig_session(rig, BIND_NATIVE, "w");
	work = rig_ask(rig, w, need(LEASE_CHAT, 1, 16 * GIB));
	for (int step = 0; step < 500 && rig_state(rig, work) == CLAIM_QUEUED; step++) {
		for (int i = 0; i < 2; i++)
			if (rig_state(rig, model[i]) == CLAIM_OFFERED)
				rig_accept(rig, conn[i], model[i]);
		rig_pass(rig, 100);
		for (int i = 0; i < 2; i++)
			if (rig_state(rig, model[i]) == CLAIM_YIELDING)
				rig_release(rig, conn[i], model[i], true);
	}
	assert_int_equal(rig_state(rig, work), CLAIM_OFFERED);
}

/* A due turn begins; then a voice is told when it will be offered. The holder does its worst. */
static void due_turn_then_voice(struct rig *rig, uint64_t conn, struct event want,
				uint64_t *ret_due, uint64_t *ret_voice, int64_t *ret_told_ms)
{
	uint64_t a = rig_session(rig, BIND_TAB, "a");
	struct event holds = rig_want(BIND_TAB, LEASE_NORMAL, NULL);
	uint64_t holder;

	rig->config.session_ttl_ms = 100000000;
	rig_configure(rig);
	holds.acquire.preemptible = false;
	holder = rig_take(rig, a, holds);
	want.acquire.timeout_ms = -1;
	*ret_due = rig_ask(rig, conn, want);
	for (int i = 0; rig_state(rig, holder) == CLAIM_HELD; i++) {
		assert_in_range(i, 0, 10000);
		rig_pass(rig, 100);
	}
	rig_release(rig, a, holder, false);
	rig_accept(rig, conn, *ret_due);
	*ret_voice = rig_wait(rig, rig_session(rig, BIND_TAB, "v"), LEASE_VOICE);
	*ret_told_ms = core_bound_ms(rig->core, *ret_voice, rig->now);
}

static void assert_within(struct rig *rig, uint64_t voice, int64_t told_ms)
{
	struct mono_ms begin = rig->now;

	while (rig_state(rig, voice) == CLAIM_QUEUED && mono_since(rig->now, begin) <= told_ms)
		rig_pass(rig, 100);
	assert_int_equal(rig_state(rig, voice), CLAIM_OFFERED);
}

/* A guest that comes after the promise has no longer to stop than its host. */
static void test_guest_makes_nobody_late(void **state)
{
	struct rig *rig = *state;
	struct event host = rig_want(BIND_TAB, LEASE_CHAT, NULL);
	struct event guest = rig_want(BIND_TAB, LEASE_CHAT, NULL);
	uint64_t h = rig_session(rig, BIND_TAB, "h"), g = rig_session(rig, BIND_TAB, "g");
	uint64_t due, voice, inside;
	int64_t told_ms;

	host.acquire.guests = 1;
	due_turn_then_voice(rig, h, host, &due, &voice, &told_ms);
	guest.acquire.host = due;
	guest.acquire.uninterruptible_ms = 20000;
	inside = rig_ask(rig, g, guest);
	rig_accept(rig, g, inside);
	assert_int_equal(rig_state(rig, inside), CLAIM_HELD);
	assert_within(rig, voice, told_ms);
}

/* What one loads that nobody may cut short is part of its hold. */
static void test_load_makes_nobody_late(void **state)
{
	struct rig *rig = *state;
	struct event loads = rig_want(BIND_TAB, LEASE_BACKGROUND, NULL);
	struct event ready = {.type = EVENT_READY,
			      .from = {PARTY_SESSION, rig_session(rig, BIND_TAB, "b")}};
	uint64_t due, voice;
	int64_t told_ms;

	loads.acquire.preemptible = false;
	loads.acquire.loads = true;
	due_turn_then_voice(rig, ready.from.id, loads, &due, &voice, &told_ms);
	assert_int_equal(rig_state(rig, due), CLAIM_LOADING);
	assert_in_range(told_ms, 1, 60000);
	rig_pass(rig, told_ms / 2);
	ready.renew.lease = due;
	rig_step(rig, ready);
	assert_int_equal(rig_state(rig, due), CLAIM_HELD);
	assert_within(rig, voice, told_ms - told_ms / 2);
}

/* An offer is part of a turn: one that is taken up at the last moment, and kept, ends as early. */
static void test_offer_makes_nobody_late(void **state)
{
	struct rig *rig = *state;
	uint64_t c = rig_session(rig, BIND_TAB, "c"), v = rig_session(rig, BIND_TAB, "v");
	uint64_t offered, voice;
	int64_t told_ms;

	rig->config.ack_ms = 60000;
	rig->config.session_ttl_ms = 100000000;
	rig_configure(rig);
	offered = rig_ask(rig, c, rig_want(BIND_TAB, LEASE_CHAT, NULL));
	voice = rig_wait(rig, v, LEASE_VOICE);
	told_ms = core_bound_ms(rig->core, voice, rig->now);
	rig_pass(rig, rig->config.ack_ms - 1);
	rig_accept(rig, c, offered);
	assert_within(rig, voice, told_ms - rig->config.ack_ms + 1);
}

static void test_offer_is_part_of_least_run(void **state)
{
	struct rig *rig = *state;
	uint64_t b = rig_session(rig, BIND_TAB, "b"), c = rig_session(rig, BIND_TAB, "c");
	uint64_t offered = rig_ask(rig, b, rig_want(BIND_TAB, LEASE_BACKGROUND, NULL));

	rig_wait(rig, c, LEASE_CHAT);
	rig_pass(rig, rig->config.min_run_ms - 1);
	rig_accept(rig, b, offered);
	assert_int_equal(rig_state(rig, offered), CLAIM_HELD);
	rig_pass(rig, 1);
	assert_int_equal(rig_state(rig, offered), CLAIM_YIELDING);
}

/* A holder that nobody may cut short leaves once a plain request in background is due, that needs
 * long to stop; the conn is the holder's. */
static uint64_t long_stop_is_due(struct rig *rig, uint64_t *ret_holder, uint64_t *ret_due)
{
	uint64_t n = rig_session(rig, BIND_NATIVE, "n");
	struct event holds = need(LEASE_NORMAL, 1, 0);
	struct event due = rig_want(BIND_HTTP, LEASE_BACKGROUND, "due");

	start(rig, 1, 1, 0);
	rig->config.classes[LEASE_NORMAL].hold_ms_max = 100000000;
	rig_configure(rig);
	holds.acquire.preemptible = false;
	*ret_holder = rig_take(rig, n, holds);
	due.acquire.uninterruptible_ms = due.acquire.timeout_ms = 100000000;
	*ret_due = rig_ask(rig, 0, due);
	return n;
}

/* After a due turn one voice is next, whoever else is due: it asks when that turn has begun. */
static void test_voice_is_next_at_once(void **state)
{
	struct rig *rig = *state;
	uint64_t holder, due, n = long_stop_is_due(rig, &holder, &due);

	rig_pass(rig, 200000);
	rig_wait(rig, rig_session(rig, BIND_NATIVE, "c"), LEASE_CHAT);
	rig_pass(rig, 100000);
	rig_wait(rig, rig_session(rig, BIND_NATIVE, "v"), LEASE_VOICE);
	rig_release(rig, n, holder, false);
	assert_int_equal(rig_state(rig, due), CLAIM_YIELDING);
}

/* The time that a due turn needs to stop is paid with it: its class is not due again at once. */
static void test_stopping_is_paid(void **state)
{
	struct rig *rig = *state;
	uint64_t holder, due, n = long_stop_is_due(rig, &holder, &due);

	rig_wait(rig, rig_session(rig, BIND_NATIVE, "b"), LEASE_BACKGROUND);
	rig_wait(rig, rig_session(rig, BIND_NATIVE, "w"), LEASE_NORMAL);
	rig_pass(rig, 180000);
	rig_release(rig, n, holder, false);
	assert_int_equal(rig_state(rig, due), CLAIM_HELD);
	rig_pass(rig, rig->config.min_run_ms);
	assert_int_equal(rig_state(rig, due), CLAIM_YIELDING);
}

/* A class that is owed a turn of one GPU passes nobody on another. */
static void test_due_elsewhere_passes_nobody(void **state)
{
	struct rig *rig = *state;
	struct event stays = need(LEASE_NORMAL, 1, 0);
	struct event comes = need(LEASE_CHAT, 1, 0);
	uint64_t n, b, c, work, chat;

	start(rig, 2, 1, 0);
	rig->config.classes[LEASE_NORMAL].hold_ms_max = 100000000;
	rig->config.classes[LEASE_BACKGROUND].hold_ms_max = 100000000;
	rig_configure(rig);
	n = rig_session(rig, BIND_NATIVE, "n");
	b = rig_session(rig, BIND_NATIVE, "b");
	c = rig_session(rig, BIND_NATIVE, "c");
	stays.acquire.need.gpu_mask = 1;
	stays.acquire.preemptible = false;
	rig_take(rig, n, stays);
	work = rig_take(rig, b, need(LEASE_BACKGROUND, 1, 0));
	rig_ask(rig, b, need(LEASE_BACKGROUND, 1, 0));
	rig_pass(rig, 1000000);
	comes.acquire.need.gpu_mask = 2;
	chat = rig_ask(rig, c, comes);
	rig_pass(rig, 4 * rig->config.quantum_ms);
	assert_int_equal(rig_state(rig, work), CLAIM_YIELDING);
	rig_release(rig, b, work, true);
	assert_int_equal(rig_state(rig, chat), CLAIM_OFFERED);
}

/* A voice that is owed a turn of one GPU asks on another where it is served sooner. */
static void test_due_asks_where_it_is_sooner(void **state)
{
	struct rig *rig = *state;
	struct event quick = need(LEASE_CHAT, 1, 0), firm = need(LEASE_CHAT, 1, 0);
	struct event voice = need(LEASE_VOICE, 1, 0);
	uint64_t a, v, held, first;

	start(rig, 2, 1, 0);
	a = rig_session(rig, BIND_NATIVE, "a");
	v = rig_session(rig, BIND_NATIVE, "v");
	quick.acquire.need.gpu_mask = 1;
	firm.acquire.need.gpu_mask = voice.acquire.need.gpu_mask = 2;
	firm.acquire.preemptible = false;
	held = rig_take(rig, a, quick);
	rig_take(rig, a, firm);
	first = rig_ask(rig, v, voice);
	rig_pass(rig, 2 * rig->config.quantum_ms);
	rig_release(rig, v, first, false);
	rig_wait(rig, v, LEASE_VOICE);
	assert_int_equal(rig_state(rig, held), CLAIM_YIELDING);
}

/* At the defaults, with nobody ahead in its class, in the worst of worlds. */
static void test_first_told(void **state)
{
	static const int64_t most_s[LEASE_CLASS_COUNT] = {20, 240, 300, 360};
	struct rig *rig = *state;

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		int other = cls == LEASE_BACKGROUND ? LEASE_CHAT : LEASE_BACKGROUND;
		uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
		uint64_t holder = rig_hold(rig, a, (enum lease_class)other);
		uint64_t waiter = rig_wait(rig, b, (enum lease_class)cls);
		int64_t told_ms = core_bound_ms(rig->core, waiter, rig->now);
		print_message("%s is told %lld ms\n", lease_class_name(cls), (long long)told_ms);
		assert_in_range(told_ms, 1, most_s[cls] * 1000);
		rig_release(rig, b, waiter, false);
		rig_release(rig, a, holder, false);
	}
}

static void test_told_with_ten_ahead(void **state)
{
	struct rig *rig = *state;

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		int other = cls == LEASE_BACKGROUND ? LEASE_CHAT : LEASE_BACKGROUND;
		uint64_t a = rig_session(rig, BIND_TAB, "a"), waiter = 0, conn[11];
		uint64_t holder = rig_hold(rig, a, (enum lease_class)other);
		for (int i = 0; i < 11; i++) {
			conn[i] = rig_session(rig, BIND_TAB, "w");
			waiter = rig_wait(rig, conn[i], (enum lease_class)cls);
		}
		int64_t told_ms = core_bound_ms(rig->core, waiter, rig->now);
		print_message("%s with ten ahead is told %lld ms\n", lease_class_name(cls),
			      (long long)told_ms);
		assert_in_range(told_ms, 1, 100 * 60 * 1000);
		for (int i = 0; i < 11; i++)
			rig_step(rig, (struct event){.type = EVENT_BYE,
						     .from = {PARTY_SESSION, conn[i]}});
		rig_release(rig, a, holder, false);
	}
}

/* Once told it only falls, with the time: neither arrivals nor holders raise it. */
static void test_never_raised(void **state)
{
	struct rig *rig = *state;
	uint64_t a = rig_session(rig, BIND_TAB, "a"), b = rig_session(rig, BIND_TAB, "b");
	uint64_t waiter, voice;
	int64_t told_ms;

	rig_hold(rig, a, LEASE_BACKGROUND);
	waiter = rig_wait(rig, b, LEASE_BACKGROUND);
	told_ms = core_bound_ms(rig->core, waiter, rig->now);
	for (int i = 0; i < 30; i++) {
		uint64_t c = rig_session(rig, BIND_TAB, "c");
		voice = rig_ask(rig, c, need(i % 2 ? LEASE_CHAT : LEASE_VOICE, 1, 0));
		rig_pass(rig, 100);
		assert_int_equal(core_bound_ms(rig->core, waiter, rig->now),
				 told_ms - 100 * (i + 1));
	}
	(void)voice;
}

/* A configuration under which nothing could be promised is refused, in words. */
static void test_flaws(void **state)
{
	struct core_config config;

	(void)state;
	core_config_defaults(&config);
	assert_null(core_config_flaw(&config));
	config.quantum_ms = 0;
	assert_non_null(strstr(core_config_flaw(&config), "quantum_s"));
	core_config_defaults(&config);
	config.classes[LEASE_CHAT].share_permille = 300;
	assert_non_null(strstr(core_config_flaw(&config), "shares"));
	config.classes[LEASE_CHAT].share_permille = 0;
	assert_non_null(strstr(core_config_flaw(&config), "share"));
	core_config_defaults(&config);
	config.classes[LEASE_CHAT].hold_ms_max = (int64_t)1 << 40;
	assert_non_null(strstr(core_config_flaw(&config), "hold_max_s"));
	core_config_defaults(&config);
	config.voice_credit_ms = -1;
	assert_non_null(strstr(core_config_flaw(&config), "voice_credit_s"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_due_turn),
		TEST(test_due_turn_missed),
		TEST(test_due_turn_with_memory),
		TEST(test_credit),
		TEST(test_blocked_closes_nothing),
		TEST(test_memory_and_turns_apart),
		TEST(test_evicted_comes_back_last),
		TEST(test_evicted_waits_for_whom_it_made_room),
		TEST(test_evicted_waits_for_no_broken_set),
		TEST(test_wide_turn_is_served),
		TEST(test_due_memory_is_kept),
		TEST(test_models_of_voice_take_turns_with_others),
		TEST(test_guest_makes_nobody_late),
		TEST(test_load_makes_nobody_late),
		TEST(test_offer_makes_nobody_late),
		TEST(test_offer_is_part_of_least_run),
		TEST(test_voice_is_next_at_once),
		TEST(test_stopping_is_paid),
		TEST(test_due_elsewhere_passes_nobody),
		TEST(test_due_asks_where_it_is_sooner),
		TEST(test_first_told),
		TEST(test_told_with_ten_ahead),
		TEST(test_never_raised),
		TEST(test_flaws),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
