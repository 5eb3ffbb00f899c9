/* Goal: every class has its share of the turns, whatever the others do; voice goes first as far as
 * its credit reaches; and what a waiter is told at first is never exceeded (docs/states.md). */
#include "fixture.h"

static struct event need(enum lease_class cls, uint32_t slots, uint64_t vram_bytes)
{
	struct event event = fixture_need(cls, slots, vram_bytes);

	event.acquire.timeout_ms = -1;
	return event;
}

static void start(struct fixture *fixture, uint32_t gpus, uint32_t slots, uint64_t vram_bytes)
{
	fixture_gpus(fixture, gpus, slots, vram_bytes);
	fixture->config.session_ttl_ms = 100000000;
	fixture->config.classes[LEASE_VOICE].hold_ms_max = 200000;
	fixture_configure(fixture);
}

/* Chat is owed a quarter of the time: 40 s of waiting pay for a quantum, in which voice does not
 * cut it short; then one voice goes before anything else that is due. */
static void test_due_turn(void **state)
{
	struct fixture *fixture = *state;
	uint64_t v1, v2, w, first, second, work;

	start(fixture, 1, 1, 0);
	v1 = fixture_session(fixture, BIND_NATIVE, "v1");
	v2 = fixture_session(fixture, BIND_NATIVE, "v2");
	w = fixture_session(fixture, BIND_NATIVE, "w");
	first = fixture_take(fixture, v1, need(LEASE_VOICE, 1, 0));
	work = fixture_ask(fixture, w, need(LEASE_CHAT, 1, 0));
	second = fixture_ask(fixture, v2, need(LEASE_VOICE, 1, 0));
	fixture_pass(fixture, 39999);
	assert_int_equal(fixture_state(fixture, first), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, first), CLAIM_YIELDING);
	fixture_release(fixture, v1, first, true);
	assert_int_equal(fixture_state(fixture, work), CLAIM_OFFERED);
	fixture_accept(fixture, w, work);
	fixture_pass(fixture, fixture->config.quantum_ms - 1);
	assert_int_equal(fixture_state(fixture, work), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, work), CLAIM_YIELDING);
	fixture_release(fixture, w, work, true);
	/* Cut short, it has its old place. */
	assert_int_equal(fixture_state(fixture, first), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, second), CLAIM_QUEUED);
}

/* A due turn that is offered and not taken up is used: a voice is next. */
static void test_due_turn_missed(void **state)
{
	struct fixture *fixture = *state;
	uint64_t v1, v2, w, x, first, second, mute, other;

	start(fixture, 1, 1, 0);
	v1 = fixture_session(fixture, BIND_NATIVE, "v1");
	v2 = fixture_session(fixture, BIND_NATIVE, "v2");
	w = fixture_session(fixture, BIND_NATIVE, "w");
	x = fixture_session(fixture, BIND_NATIVE, "x");
	first = fixture_take(fixture, v1, need(LEASE_VOICE, 1, 0));
	mute = fixture_ask(fixture, w, need(LEASE_CHAT, 1, 0));
	other = fixture_ask(fixture, x, need(LEASE_CHAT, 1, 0));
	second = fixture_ask(fixture, v2, need(LEASE_VOICE, 1, 0));
	fixture_pass(fixture, 40000);
	fixture_release(fixture, v1, first, false);
	assert_int_equal(fixture_state(fixture, mute), CLAIM_OFFERED);
	fixture_step(fixture, (struct event){.type = EVENT_CANCEL,
					     .from = {PARTY_SESSION, w},
					     .cancel.ref = fixture_row(fixture, mute)->ref});
	assert_int_equal(fixture_end(fixture, mute), END_CANCELLED);
	assert_int_equal(fixture_state(fixture, second), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, other), CLAIM_QUEUED);
}

/* Memory that cannot be had yet keeps nobody from the turn; once it can, the due one has both. */
static void test_due_turn_with_memory(void **state)
{
	struct fixture *fixture = *state;
	uint64_t v1, m, w, first, model, work;
	struct event loaded = need(LEASE_BACKGROUND, 0, 6 * GIB);

	start(fixture, 1, 1, 8 * GIB);
	v1 = fixture_session(fixture, BIND_NATIVE, "v1");
	m = fixture_session(fixture, BIND_NATIVE, "m");
	w = fixture_session(fixture, BIND_NATIVE, "w");
	loaded.acquire.evictable = true;
	loaded.acquire.min_residence_ms = 50000;
	model = fixture_take(fixture, m, loaded);
	work = fixture_ask(fixture, w, need(LEASE_CHAT, 1, 4 * GIB));
	first = fixture_take(fixture, v1, need(LEASE_VOICE, 1, 0));
	fixture_pass(fixture, 49999);
	assert_int_equal(fixture_state(fixture, first), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, model), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, model), CLAIM_YIELDING);
	/* While memory is made free the turn goes on. */
	assert_int_equal(fixture_state(fixture, first), CLAIM_HELD);
	fixture_release(fixture, m, model, false);
	assert_int_equal(fixture_state(fixture, first), CLAIM_YIELDING);
	fixture_release(fixture, v1, first, false);
	assert_int_equal(fixture_state(fixture, work), CLAIM_OFFERED);
}

/* Voice that used its credit up has its share like the others: the older chat goes before it. */
static void test_credit(void **state)
{
	struct fixture *fixture = *state;
	uint64_t v1, v2, w, first, second, work;

	start(fixture, 1, 1, 0);
	fixture->config.voice_credit_ms = 5000;
	fixture_configure(fixture);
	v1 = fixture_session(fixture, BIND_NATIVE, "v1");
	v2 = fixture_session(fixture, BIND_NATIVE, "v2");
	w = fixture_session(fixture, BIND_NATIVE, "w");
	first = fixture_take(fixture, v1, need(LEASE_VOICE, 1, 0));
	work = fixture_ask(fixture, w, need(LEASE_NORMAL, 1, 0));
	fixture_pass(fixture, 30000);
	second = fixture_ask(fixture, v2, need(LEASE_VOICE, 1, 0));
	assert_int_equal(fixture_state(fixture, first), CLAIM_HELD);
	fixture_release(fixture, v1, first, false);
	/* Its key is arrival + 30 s, that of the voice its arrival: the older id. */
	assert_int_equal(fixture_state(fixture, work), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, second), CLAIM_QUEUED);
}

/* What nobody can be made to serve closes nothing: neither a turn nor memory for others. */
static void test_blocked_closes_nothing(void **state)
{
	struct fixture *fixture = *state;
	uint64_t r, b, c, d, holder, behind;
	struct bound bound;

	start(fixture, 1, 1, 24 * GIB);
	r = fixture_session(fixture, BIND_NATIVE, "r");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	d = fixture_session(fixture, BIND_NATIVE, "d");
	fixture_take(fixture, r, need(LEASE_NORMAL, 0, 10 * GIB));
	holder = fixture_take(fixture, b, need(LEASE_BACKGROUND, 1, 0));
	uint64_t head = fixture_ask(fixture, c, need(LEASE_CHAT, 1, 20 * GIB));
	core_bound(fixture->core, head, fixture->now, &bound);
	assert_int_equal(bound.ms, -1);
	assert_int_equal(bound.none, BOUND_BLOCKED);
	assert_int_equal(fixture_why(fixture, head), WHY_PINNED);
	behind = fixture_ask(fixture, d, need(LEASE_BACKGROUND, 1, 0));
	/* The hold limit applies for waiters that can be served. */
	fixture_pass(fixture, fixture->config.classes[LEASE_BACKGROUND].hold_ms_max);
	assert_int_equal(fixture_state(fixture, holder), CLAIM_YIELDING);
	fixture_release(fixture, b, holder, false);
	assert_int_equal(fixture_state(fixture, behind), CLAIM_OFFERED);
}

/* A waiter for memory keeps nobody from a turn that needs none. */
static void test_memory_and_turns_apart(void **state)
{
	struct fixture *fixture = *state;
	uint64_t r, b, s, model, big, small;
	struct event loaded = need(LEASE_BACKGROUND, 0, 20 * GIB);

	start(fixture, 1, 1, 24 * GIB);
	r = fixture_session(fixture, BIND_NATIVE, "r");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	s = fixture_session(fixture, BIND_NATIVE, "s");
	loaded.acquire.evictable = true;
	model = fixture_take(fixture, r, loaded);
	big = fixture_ask(fixture, b, need(LEASE_CHAT, 0, 16 * GIB));
	assert_int_equal(fixture_state(fixture, model), CLAIM_YIELDING);
	small = fixture_ask(fixture, s, need(LEASE_CHAT, 1, 0));
	assert_int_equal(fixture_state(fixture, small), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, big), CLAIM_QUEUED);
}

/* An evicted resident that comes back stands behind whom it made room for, and behind all who came
 * until then, also in that very millisecond. */
static void test_evicted_comes_back_last(void **state)
{
	struct fixture *fixture = *state;
	uint64_t r, b, model, work, third;
	struct event loaded = need(LEASE_CHAT, 0, 20 * GIB);

	start(fixture, 1, 1, 24 * GIB);
	r = fixture_session(fixture, BIND_NATIVE, "r");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	loaded.acquire.evictable = true;
	model = fixture_take(fixture, r, loaded);
	work = fixture_ask(fixture, b, need(LEASE_CHAT, 0, 16 * GIB));
	assert_int_equal(fixture_state(fixture, model), CLAIM_YIELDING);
	third = fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "c"),
			    need(LEASE_CHAT, 0, 16 * GIB));
	fixture_release(fixture, r, model, true);
	assert_int_equal(fixture_state(fixture, work), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, model), CLAIM_QUEUED);
	fixture_release(fixture, b, work, false);
	assert_int_equal(fixture_state(fixture, third), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, model), CLAIM_QUEUED);
}

/* Holds to the last moment and comes back at once. */
static void go_on_greedily(struct fixture *fixture, uint64_t conn, uint64_t lease)
{
	if (fixture_state(fixture, lease) == CLAIM_YIELDING)
		fixture_release(fixture, conn, lease, true);
	if (fixture_state(fixture, lease) == CLAIM_OFFERED)
		fixture_accept(fixture, conn, lease);
}

/* The slot that is kept for a claim of two is not charged to it: it would never afford the other.
 */
static void test_wide_turn_is_served(void **state)
{
	struct fixture *fixture = *state;
	uint64_t v, c, w, voice, chat, wide;
	int64_t told_ms, waited_ms = 0;

	start(fixture, 1, 2, 0);
	fixture->config.classes[LEASE_VOICE].hold_ms_max = 30000;
	fixture_configure(fixture);
	v = fixture_session(fixture, BIND_NATIVE, "v");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	w = fixture_session(fixture, BIND_NATIVE, "w");
	voice = fixture_take(fixture, v, need(LEASE_VOICE, 1, 0));
	chat = fixture_take(fixture, c, need(LEASE_CHAT, 1, 0));
	wide = fixture_ask(fixture, w, need(LEASE_NORMAL, 2, 0));
	told_ms = core_bound_ms(fixture->core, wide, fixture->now);
	assert_in_range(told_ms, 1, 24 * 3600 * 1000);
	for (; fixture_state(fixture, wide) == CLAIM_QUEUED; waited_ms += 1000) {
		assert_in_range(waited_ms, 0, told_ms);
		fixture_pass(fixture, 1000);
		go_on_greedily(fixture, v, voice);
		go_on_greedily(fixture, c, chat);
	}
}

/* .. also if it is of a higher class, and the other has to wait for its turn yet. */
static void test_evicted_waits_for_whom_it_made_room(void **state)
{
	struct fixture *fixture = *state;
	uint64_t r, h, b, model, holder, work;
	struct event loaded = need(LEASE_CHAT, 0, 20 * GIB);

	start(fixture, 1, 1, 24 * GIB);
	r = fixture_session(fixture, BIND_NATIVE, "r");
	h = fixture_session(fixture, BIND_NATIVE, "h");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	loaded.acquire.evictable = true;
	model = fixture_take(fixture, r, loaded);
	holder = fixture_take(fixture, h, need(LEASE_BACKGROUND, 1, 0));
	work = fixture_ask(fixture, b, need(LEASE_BACKGROUND, 1, 16 * GIB));
	assert_int_equal(fixture_state(fixture, model), CLAIM_YIELDING);
	fixture_release(fixture, r, model, true);
	assert_int_equal(fixture_state(fixture, model), CLAIM_QUEUED);
	fixture_pass(fixture, 1000);
	assert_int_equal(fixture_state(fixture, model), CLAIM_QUEUED);
	fixture_release(fixture, h, holder, false);
	assert_int_equal(fixture_state(fixture, work), CLAIM_OFFERED);
}

/* .. also once it was served on another GPU, and left that, too, which no eviction caused. */
static void test_evicted_waits_also_after_a_turn_elsewhere(void **state)
{
	struct fixture *fixture = *state;
	uint64_t r, h, b, model, holder, work;
	struct event loaded = need(LEASE_CHAT, 0, 20 * GIB), here = need(LEASE_BACKGROUND, 1, 0);
	struct event failed = {.type = EVENT_GPU_SAMPLE};

	start(fixture, 2, 1, 24 * GIB);
	r = fixture_session(fixture, BIND_NATIVE, "r");
	h = fixture_session(fixture, BIND_NATIVE, "h");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	loaded.acquire.evictable = true;
	model = fixture_take(fixture, r, loaded);
	here.acquire.need.gpu_mask = 1;
	holder = fixture_take(fixture, h, here);
	here.acquire.need.vram_bytes = 16 * GIB;
	work = fixture_ask(fixture, b, here);
	fixture_release(fixture, r, model, true);
	fixture_accept(fixture, r, model);
	assert_int_equal(fixture_state(fixture, model), CLAIM_HELD);

	failed.sample.gpu = 1;
	fixture_step(fixture, failed);
	fixture_release(fixture, r, model, true);
	assert_int_equal(fixture_state(fixture, model), CLAIM_QUEUED);
	fixture_release(fixture, h, holder, false);
	assert_int_equal(fixture_state(fixture, work), CLAIM_OFFERED);
}

/* .. also once it was offered another GPU, and let that pass. */
static void test_evicted_waits_also_after_an_offer_elsewhere(void **state)
{
	struct fixture *fixture = *state;
	uint64_t r, h, n, b, model, work;
	struct event loaded = need(LEASE_CHAT, 0, 20 * GIB), failed = {.type = EVENT_GPU_SAMPLE};
	struct event here = need(LEASE_BACKGROUND, 1, 0), before = need(LEASE_NORMAL, 1, 0);

	start(fixture, 2, 1, 24 * GIB);
	r = fixture_session(fixture, BIND_NATIVE, "r");
	h = fixture_session(fixture, BIND_NATIVE, "h");
	n = fixture_session(fixture, BIND_NATIVE, "n");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	loaded.acquire.evictable = true;
	model = fixture_take(fixture, r, loaded);
	here.acquire.need.gpu_mask = before.acquire.need.gpu_mask = 1;
	fixture_take(fixture, h, here);
	here.acquire.need.vram_bytes = 16 * GIB;
	work = fixture_ask(fixture, b, here);
	assert_int_equal(fixture_state(fixture, model), CLAIM_YIELDING);
	fixture_release(fixture, r, model, true);
	assert_int_equal(fixture_state(fixture, model), CLAIM_OFFERED);

	fixture_ask(fixture, n, before); /* so nothing is kept for the other */
	failed.sample.gpu = 1;
	fixture_step(fixture, failed);
	fixture_pass(fixture, fixture->config.ack_ms);
	assert_int_equal(fixture_state(fixture, work), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, model), CLAIM_QUEUED);
}

/* .. but not for a set that cannot be served, for another of its GPUs has failed. */
static void test_evicted_waits_for_no_broken_set(void **state)
{
	struct fixture *fixture = *state;
	struct event loaded = need(LEASE_CHAT, 0, 20 * GIB), failed = {.type = EVENT_GPU_SAMPLE};
	struct event set = need(LEASE_BACKGROUND, 1, 16 * GIB);
	struct event elsewhere = need(LEASE_BACKGROUND, 1, 0);
	uint64_t r, model, work;

	start(fixture, 2, 1, 24 * GIB);
	r = fixture_session(fixture, BIND_NATIVE, "r");
	loaded.acquire.evictable = true;
	loaded.acquire.need.gpu_mask = 1;
	model = fixture_take(fixture, r, loaded);
	elsewhere.acquire.need.gpu_mask = 2;
	fixture_take(fixture, fixture_session(fixture, BIND_NATIVE, "h"), elsewhere);
	set.acquire.need.gpu_count = 2;
	work = fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "b"), set);
	assert_int_equal(fixture_state(fixture, model), CLAIM_YIELDING);
	fixture_release(fixture, r, model, true);
	assert_int_equal(fixture_state(fixture, model), CLAIM_QUEUED);
	failed.sample.gpu = 1;
	fixture_step(fixture, failed);
	assert_int_equal(fixture_state(fixture, work), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, model), CLAIM_OFFERED);
}

/* Memory that came free is kept for a class that is due until it has all of it, also from voice. */
static void test_due_memory_is_kept(void **state)
{
	struct fixture *fixture = *state;
	struct event loaded = need(LEASE_BACKGROUND, 0, 12 * GIB);
	uint64_t r, w, v, soon, late, work, voice;

	start(fixture, 1, 1, 24 * GIB);
	r = fixture_session(fixture, BIND_NATIVE, "r");
	w = fixture_session(fixture, BIND_NATIVE, "w");
	v = fixture_session(fixture, BIND_NATIVE, "v");
	loaded.acquire.evictable = true;
	soon = fixture_take(fixture, r, loaded);
	loaded.acquire.min_residence_ms = 60000;
	late = fixture_take(fixture, r, loaded);
	work = fixture_ask(fixture, w, need(LEASE_CHAT, 1, 20 * GIB));
	assert_int_equal(fixture_state(fixture, soon), CLAIM_YIELDING);
	fixture_release(fixture, r, soon, false);
	fixture_pass(fixture, 45000);
	voice = fixture_ask(fixture, v, need(LEASE_VOICE, 0, 12 * GIB));
	assert_int_equal(fixture_state(fixture, voice), CLAIM_QUEUED);
	fixture_pass(fixture, 15000);
	assert_int_equal(fixture_state(fixture, late), CLAIM_YIELDING);
	fixture_release(fixture, r, late, false);
	assert_int_equal(fixture_state(fixture, work), CLAIM_OFFERED);
}

/* Two models of class voice that do not fit together, and come back each time they were evicted,
 * leave their memory to a class that is due, also while one of them is giving it back. */
static void test_models_of_voice_take_turns_with_others(void **state)
{
	struct fixture *fixture = *state;
	struct event loaded = need(LEASE_VOICE, 0, 14 * GIB);
	uint64_t conn[2], model[2], w, work;

	start(fixture, 1, 1, 24 * GIB);
	loaded.acquire.evictable = true;
	loaded.acquire.min_residence_ms = 2000;
	for (int i = 0; i < 2; i++) {
		conn[i] = fixture_session(fixture, BIND_NATIVE, "v");
		model[i] = fixture_ask(fixture, conn[i], loaded);
	}
	w = fixture_session(fixture, BIND_NATIVE, "w");
	work = fixture_ask(fixture, w, need(LEASE_CHAT, 1, 16 * GIB));
	for (int step = 0; step < 500 && fixture_state(fixture, work) == CLAIM_QUEUED; step++) {
		for (int i = 0; i < 2; i++)
			if (fixture_state(fixture, model[i]) == CLAIM_OFFERED)
				fixture_accept(fixture, conn[i], model[i]);
		fixture_pass(fixture, 100);
		for (int i = 0; i < 2; i++)
			if (fixture_state(fixture, model[i]) == CLAIM_YIELDING)
				fixture_release(fixture, conn[i], model[i], true);
	}
	assert_int_equal(fixture_state(fixture, work), CLAIM_OFFERED);
}

/* A due turn begins; then a voice is told when it will be offered. The holder does its worst. */
static void due_turn_then_voice(struct fixture *fixture, uint64_t conn, struct event want,
				uint64_t *ret_due, uint64_t *ret_voice, int64_t *ret_told_ms)
{
	uint64_t a = fixture_session(fixture, BIND_TAB, "a");
	struct event holds = fixture_want(BIND_TAB, LEASE_NORMAL, NULL);
	uint64_t holder;

	fixture->config.session_ttl_ms = 100000000;
	fixture_configure(fixture);
	holds.acquire.preemptible = false;
	holder = fixture_take(fixture, a, holds);
	want.acquire.timeout_ms = -1;
	*ret_due = fixture_ask(fixture, conn, want);
	for (int i = 0; fixture_state(fixture, holder) == CLAIM_HELD; i++) {
		assert_in_range(i, 0, 10000);
		fixture_pass(fixture, 100);
	}
	fixture_release(fixture, a, holder, false);
	fixture_accept(fixture, conn, *ret_due);
	*ret_voice = fixture_wait(fixture, fixture_session(fixture, BIND_TAB, "v"), LEASE_VOICE);
	*ret_told_ms = core_bound_ms(fixture->core, *ret_voice, fixture->now);
}

static void assert_within(struct fixture *fixture, uint64_t voice, int64_t told_ms)
{
	struct mono_ms begin = fixture->now;

	while (fixture_state(fixture, voice) == CLAIM_QUEUED &&
	       mono_since(fixture->now, begin) <= told_ms)
		fixture_pass(fixture, 100);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_OFFERED);
}

/* A guest that comes after the promise has no longer to stop than its host. */
static void test_guest_makes_nobody_late(void **state)
{
	struct fixture *fixture = *state;
	struct event host = fixture_want(BIND_TAB, LEASE_CHAT, NULL);
	struct event guest = fixture_want(BIND_TAB, LEASE_CHAT, NULL);
	uint64_t h = fixture_session(fixture, BIND_TAB, "h"),
		 g = fixture_session(fixture, BIND_TAB, "g");
	uint64_t due, voice, inside;
	int64_t told_ms;

	host.acquire.guests = 1;
	due_turn_then_voice(fixture, h, host, &due, &voice, &told_ms);
	guest.acquire.host = due;
	guest.acquire.uninterruptible_ms = 20000;
	inside = fixture_ask(fixture, g, guest);
	fixture_accept(fixture, g, inside);
	assert_int_equal(fixture_state(fixture, inside), CLAIM_HELD);
	assert_within(fixture, voice, told_ms);
}

/* What one loads that nobody may cut short is part of its hold. */
static void test_load_makes_nobody_late(void **state)
{
	struct fixture *fixture = *state;
	struct event loads = fixture_want(BIND_TAB, LEASE_BACKGROUND, NULL);
	struct event ready = {.type = EVENT_READY,
			      .from = {PARTY_SESSION, fixture_session(fixture, BIND_TAB, "b")}};
	uint64_t due, voice;
	int64_t told_ms;

	loads.acquire.preemptible = false;
	loads.acquire.loads = true;
	due_turn_then_voice(fixture, ready.from.id, loads, &due, &voice, &told_ms);
	assert_int_equal(fixture_state(fixture, due), CLAIM_LOADING);
	assert_in_range(told_ms, 1, 60000);
	fixture_pass(fixture, told_ms / 2);
	ready.renew.lease = due;
	fixture_step(fixture, ready);
	assert_int_equal(fixture_state(fixture, due), CLAIM_HELD);
	assert_within(fixture, voice, told_ms - told_ms / 2);
}

/* An offer is part of a turn: one that is taken up at the last moment, and kept, ends as early. */
static void test_offer_makes_nobody_late(void **state)
{
	struct fixture *fixture = *state;
	uint64_t c = fixture_session(fixture, BIND_TAB, "c"),
		 v = fixture_session(fixture, BIND_TAB, "v");
	uint64_t offered, voice;
	int64_t told_ms;

	fixture->config.ack_ms = 60000;
	fixture->config.session_ttl_ms = 100000000;
	fixture_configure(fixture);
	offered = fixture_ask(fixture, c, fixture_want(BIND_TAB, LEASE_CHAT, NULL));
	voice = fixture_wait(fixture, v, LEASE_VOICE);
	told_ms = core_bound_ms(fixture->core, voice, fixture->now);
	fixture_pass(fixture, fixture->config.ack_ms - 1);
	fixture_accept(fixture, c, offered);
	assert_within(fixture, voice, told_ms - fixture->config.ack_ms + 1);
}

static void test_offer_is_part_of_least_run(void **state)
{
	struct fixture *fixture = *state;
	uint64_t b = fixture_session(fixture, BIND_TAB, "b"),
		 c = fixture_session(fixture, BIND_TAB, "c");
	uint64_t offered = fixture_ask(fixture, b, fixture_want(BIND_TAB, LEASE_BACKGROUND, NULL));

	fixture_wait(fixture, c, LEASE_CHAT);
	fixture_pass(fixture, fixture->config.min_run_ms - 1);
	fixture_accept(fixture, b, offered);
	assert_int_equal(fixture_state(fixture, offered), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, offered), CLAIM_YIELDING);
}

/* A holder that nobody may cut short leaves once a plain request in background is due, that needs
 * long to stop; the conn is the holder's. */
static uint64_t long_stop_is_due(struct fixture *fixture, uint64_t *ret_holder, uint64_t *ret_due)
{
	uint64_t n = fixture_session(fixture, BIND_NATIVE, "n");
	struct event holds = need(LEASE_NORMAL, 1, 0);
	struct event due = fixture_want(BIND_HTTP, LEASE_BACKGROUND, "due");

	start(fixture, 1, 1, 0);
	fixture->config.classes[LEASE_NORMAL].hold_ms_max = 100000000;
	fixture_configure(fixture);
	holds.acquire.preemptible = false;
	*ret_holder = fixture_take(fixture, n, holds);
	due.acquire.uninterruptible_ms = due.acquire.timeout_ms = 100000000;
	*ret_due = fixture_ask(fixture, 0, due);
	return n;
}

/* After a due turn one voice is next, whoever else is due: it asks when that turn has begun. */
static void test_voice_is_next_at_once(void **state)
{
	struct fixture *fixture = *state;
	uint64_t holder, due, n = long_stop_is_due(fixture, &holder, &due);

	fixture_pass(fixture, 200000);
	fixture_wait(fixture, fixture_session(fixture, BIND_NATIVE, "c"), LEASE_CHAT);
	fixture_pass(fixture, 100000);
	fixture_wait(fixture, fixture_session(fixture, BIND_NATIVE, "v"), LEASE_VOICE);
	fixture_release(fixture, n, holder, false);
	assert_int_equal(fixture_state(fixture, due), CLAIM_YIELDING);
}

/* The time that a due turn needs to stop is paid with it: its class is not due again at once. */
static void test_stopping_is_paid(void **state)
{
	struct fixture *fixture = *state;
	uint64_t holder, due, n = long_stop_is_due(fixture, &holder, &due);

	fixture_wait(fixture, fixture_session(fixture, BIND_NATIVE, "b"), LEASE_BACKGROUND);
	fixture_wait(fixture, fixture_session(fixture, BIND_NATIVE, "w"), LEASE_NORMAL);
	fixture_pass(fixture, 180000);
	fixture_release(fixture, n, holder, false);
	assert_int_equal(fixture_state(fixture, due), CLAIM_HELD);
	fixture_pass(fixture, fixture->config.min_run_ms);
	assert_int_equal(fixture_state(fixture, due), CLAIM_YIELDING);
}

/* A class that is owed a turn of one GPU passes nobody on another. */
static void test_due_elsewhere_passes_nobody(void **state)
{
	struct fixture *fixture = *state;
	struct event stays = need(LEASE_NORMAL, 1, 0);
	struct event comes = need(LEASE_CHAT, 1, 0);
	uint64_t n, b, c, work, chat;

	start(fixture, 2, 1, 0);
	fixture->config.classes[LEASE_NORMAL].hold_ms_max = 100000000;
	fixture->config.classes[LEASE_BACKGROUND].hold_ms_max = 100000000;
	fixture_configure(fixture);
	n = fixture_session(fixture, BIND_NATIVE, "n");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	stays.acquire.need.gpu_mask = 1;
	stays.acquire.preemptible = false;
	fixture_take(fixture, n, stays);
	work = fixture_take(fixture, b, need(LEASE_BACKGROUND, 1, 0));
	fixture_ask(fixture, b, need(LEASE_BACKGROUND, 1, 0));
	fixture_pass(fixture, 1000000);
	comes.acquire.need.gpu_mask = 2;
	chat = fixture_ask(fixture, c, comes);
	fixture_pass(fixture, 4 * fixture->config.quantum_ms);
	assert_int_equal(fixture_state(fixture, work), CLAIM_YIELDING);
	fixture_release(fixture, b, work, true);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_OFFERED);
}

/* A voice that is owed a turn of one GPU asks on another where it is served sooner. */
static void test_due_asks_where_it_is_sooner(void **state)
{
	struct fixture *fixture = *state;
	struct event quick = need(LEASE_CHAT, 1, 0), firm = need(LEASE_CHAT, 1, 0);
	struct event voice = need(LEASE_VOICE, 1, 0);
	uint64_t a, v, held, first;

	start(fixture, 2, 1, 0);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	v = fixture_session(fixture, BIND_NATIVE, "v");
	quick.acquire.need.gpu_mask = 1;
	firm.acquire.need.gpu_mask = voice.acquire.need.gpu_mask = 2;
	firm.acquire.preemptible = false;
	held = fixture_take(fixture, a, quick);
	fixture_take(fixture, a, firm);
	first = fixture_ask(fixture, v, voice);
	fixture_pass(fixture, 2 * fixture->config.quantum_ms);
	fixture_release(fixture, v, first, false);
	fixture_wait(fixture, v, LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, held), CLAIM_YIELDING);
}

/* At the defaults, with nobody ahead in its class, in the worst of worlds. */
static void test_first_told(void **state)
{
	static const int64_t most_s[LEASE_CLASS_COUNT] = {20, 240, 300, 360};
	struct fixture *fixture = *state;

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		int other = cls == LEASE_BACKGROUND ? LEASE_CHAT : LEASE_BACKGROUND;
		uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
			 b = fixture_session(fixture, BIND_TAB, "b");
		uint64_t holder = fixture_hold(fixture, a, (enum lease_class)other);
		uint64_t waiter = fixture_wait(fixture, b, (enum lease_class)cls);
		int64_t told_ms = core_bound_ms(fixture->core, waiter, fixture->now);
		print_message("%s is told %lld ms\n", lease_class_name(cls), (long long)told_ms);
		assert_in_range(told_ms, 1, most_s[cls] * 1000);
		fixture_release(fixture, b, waiter, false);
		fixture_release(fixture, a, holder, false);
	}
}

static void test_told_with_ten_ahead(void **state)
{
	struct fixture *fixture = *state;

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		int other = cls == LEASE_BACKGROUND ? LEASE_CHAT : LEASE_BACKGROUND;
		uint64_t a = fixture_session(fixture, BIND_TAB, "a"), waiter = 0, conn[11];
		uint64_t holder = fixture_hold(fixture, a, (enum lease_class)other);
		for (int i = 0; i < 11; i++) {
			conn[i] = fixture_session(fixture, BIND_TAB, "w");
			waiter = fixture_wait(fixture, conn[i], (enum lease_class)cls);
		}
		int64_t told_ms = core_bound_ms(fixture->core, waiter, fixture->now);
		print_message("%s with ten ahead is told %lld ms\n", lease_class_name(cls),
			      (long long)told_ms);
		assert_in_range(told_ms, 1, 100 * 60 * 1000);
		for (int i = 0; i < 11; i++)
			fixture_step(fixture, (struct event){.type = EVENT_BYE,
							     .from = {PARTY_SESSION, conn[i]}});
		fixture_release(fixture, a, holder, false);
	}
}

/* Once told it only falls, with the time: neither arrivals nor holders raise it. */
static void test_never_raised(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_TAB, "a"),
		 b = fixture_session(fixture, BIND_TAB, "b");
	uint64_t waiter, voice;
	int64_t told_ms;

	fixture_hold(fixture, a, LEASE_BACKGROUND);
	waiter = fixture_wait(fixture, b, LEASE_BACKGROUND);
	told_ms = core_bound_ms(fixture->core, waiter, fixture->now);
	for (int i = 0; i < 30; i++) {
		uint64_t c = fixture_session(fixture, BIND_TAB, "c");
		voice = fixture_ask(fixture, c, need(i % 2 ? LEASE_CHAT : LEASE_VOICE, 1, 0));
		fixture_pass(fixture, 100);
		assert_int_equal(core_bound_ms(fixture->core, waiter, fixture->now),
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_due_turn),
		TEST(test_due_turn_missed),
		TEST(test_due_turn_with_memory),
		TEST(test_credit),
		TEST(test_blocked_closes_nothing),
		TEST(test_memory_and_turns_apart),
		TEST(test_evicted_comes_back_last),
		TEST(test_evicted_waits_for_whom_it_made_room),
		TEST(test_evicted_waits_also_after_a_turn_elsewhere),
		TEST(test_evicted_waits_also_after_an_offer_elsewhere),
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
