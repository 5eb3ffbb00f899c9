/* Goal: memory and sets of GPUs: nobody gets what is not there, nothing is counted twice, a small
 * claim never delays a big one, and models make room (CASES.md E1, E2, E3, E7, P12). */
#include "fixture.h"

static struct event need(enum lease_class cls, uint32_t slots, uint64_t vram_bytes, uint32_t count)
{
	struct event event = fixture_need(cls, slots, vram_bytes);

	event.acquire.need.gpu_count = count;
	return event;
}

/* A loaded model: it holds memory and no turn. */
static uint64_t resident(struct fixture *fixture, uint64_t conn, enum lease_class cls,
			 uint64_t vram_bytes, int64_t load_ms, int64_t residence_ms)
{
	struct event event = need(cls, 0, vram_bytes, 1);
	uint64_t lease;

	event.acquire.evictable = true;
	event.acquire.load_ms = load_ms;
	event.acquire.min_residence_ms = residence_ms;
	lease = fixture_ask(fixture, conn, event);
	fixture_accept(fixture, conn, lease);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	return lease;
}

static void start(struct fixture *fixture, uint32_t gpus, uint32_t slots, uint64_t vram_bytes)
{
	fixture_gpus(fixture, gpus, slots, vram_bytes);
	fixture->config.session_ttl_ms = 100000000;
	fixture_configure(fixture);
}

/* E1: two claims of 6 GB on 8 GB, both before the first has allocated a byte: one waits. */
static void test_two_of_six_on_eight(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, first, second;

	start(fixture, 1, 4, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	first = fixture_take(fixture, a, need(LEASE_CHAT, 1, 6 * GIB, 1));
	second = fixture_ask(fixture, b, need(LEASE_CHAT, 1, 6 * GIB, 1));
	assert_int_equal(fixture_state(fixture, second), CLAIM_QUEUED);
	assert_int_equal(fixture_why(fixture, second), WHY_VRAM);
	fixture_release(fixture, a, first, false);
	assert_int_equal(fixture_state(fixture, second), CLAIM_OFFERED);
}

/* E2: what a lease was granted and is seen to use counts once; bytes of strangers count as used. */
static void test_observed_counts_once(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, waits;
	struct gpu_view gpu;

	start(fixture, 1, 4, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	fixture_take(fixture, a, need(LEASE_CHAT, 1, 3 * GIB, 1));
	fixture_sample(fixture, 0, 3 * GIB, fixture_session_id(fixture, a), 3 * GIB);
	fixture_take(fixture, b, need(LEASE_CHAT, 1, 5 * GIB, 1));
	fixture_sample(fixture, 0, 4 * GIB, fixture_session_id(fixture, a), 3 * GIB);
	core_gpu(fixture->core, 0, &gpu);
	assert_true(gpu.vram_bytes_unmanaged == GIB);
	assert_true(gpu.vram_bytes_granted == 8 * GIB);
	waits = fixture_ask(fixture, a, need(LEASE_CHAT, 1, 1, 1));
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
}

/* More than declared counts as used, and a session's own bytes are not asked for twice. */
static void test_own_bytes(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, waits;

	start(fixture, 1, 4, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	fixture_take(fixture, a, need(LEASE_CHAT, 1, 2 * GIB, 1));
	fixture_sample(fixture, 0, 6 * GIB, fixture_session_id(fixture, a), 6 * GIB);
	waits = fixture_ask(fixture, b, need(LEASE_CHAT, 1, 3 * GIB, 1));
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
	fixture_release(fixture, b, waits, false);
	/* It uses 6 already, so 4 more of declared bytes are no new ones. */
	fixture_take(fixture, a, need(LEASE_CHAT, 1, 4 * GIB, 1));
}

/* A tab's bytes belong to its browser's process: growth after its grant is taken to be its own. */
static void test_tab_bytes(void **state)
{
	struct fixture *fixture = *state;
	uint64_t tab, b, claim;
	struct gpu_view gpu;

	start(fixture, 1, 4, 8 * GIB);
	fixture_sample(fixture, 0, GIB, 0, 0);
	tab = fixture_session(fixture, BIND_TAB, "tab");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	claim = fixture_take(fixture, tab, need(LEASE_CHAT, 1, 3 * GIB, 1));
	fixture_sample(fixture, 0, 4 * GIB, 0, 0);
	core_gpu(fixture->core, 0, &gpu);
	assert_true(gpu.vram_bytes_unmanaged == GIB);
	fixture_release(fixture, tab, claim, false);
	/* Its browser has not freed them yet: they belong to nobody, and are not free. */
	core_gpu(fixture->core, 0, &gpu);
	assert_true(gpu.vram_bytes_unmanaged == 4 * GIB);
	claim = fixture_ask(fixture, b, need(LEASE_CHAT, 1, 6 * GIB, 1));
	assert_int_equal(fixture_state(fixture, claim), CLAIM_QUEUED);
	fixture_sample(fixture, 0, GIB, 0, 0);
	assert_int_equal(fixture_state(fixture, claim), CLAIM_OFFERED);
}

/* A failed probe is unknown, never zero: claims for memory wait, others are served. */
static void test_unknown_is_not_zero(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, waits;
	struct event sample = {.type = EVENT_GPU_SAMPLE};

	start(fixture, 1, 4, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	sample.sample.healthy = true;
	fixture_step(fixture, sample);
	waits = fixture_ask(fixture, a, need(LEASE_CHAT, 1, GIB, 1));
	assert_int_equal(fixture_state(fixture, waits), CLAIM_QUEUED);
	assert_int_equal(fixture_why(fixture, waits), WHY_UNKNOWN);
	assert_int_equal(core_bound_ms(fixture->core, waits, fixture->now), -1);
	fixture_take(fixture, a, need(LEASE_CHAT, 1, 0, 1));
	fixture_sample(fixture, 0, 0, 0, 0);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
}

/* A GPU that does not work is granted to nobody until it does. */
static void test_unhealthy(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = fixture_session(fixture, BIND_NATIVE, "a"), waits;
	struct event sample = {.type = EVENT_GPU_SAMPLE};

	fixture_step(fixture, sample);
	waits = fixture_wait(fixture, a, LEASE_CHAT);
	assert_int_equal(fixture_why(fixture, waits), WHY_UNHEALTHY);
	fixture_sample(fixture, 0, 0, 0, 0);
	assert_int_equal(fixture_state(fixture, waits), CLAIM_OFFERED);
}

/* Where the size of the memory is unknown, one lease that states any has it all. */
static void test_unknown_total(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, first, second;

	start(fixture, 1, 4, 0);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	first = fixture_take(fixture, a, need(LEASE_CHAT, 1, 1, 1));
	second = fixture_ask(fixture, a, need(LEASE_CHAT, 1, 1, 1));
	assert_int_equal(fixture_state(fixture, second), CLAIM_QUEUED);
	fixture_release(fixture, a, first, false);
	assert_int_equal(fixture_state(fixture, second), CLAIM_OFFERED);
}

/* The headroom belongs to nobody; what needs it never fits. */
static void test_headroom(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a;

	fixture->config.vram_headroom_bytes = GIB;
	start(fixture, 1, 1, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	assert_int_equal(fixture_ask(fixture, a, need(LEASE_CHAT, 1, 7 * GIB + 1, 1)), 0);
	assert_int_equal(fixture_error(fixture), ERR_NEVER_FITS);
	fixture_take(fixture, a, need(LEASE_CHAT, 1, 7 * GIB, 1));
}

/* A model that nobody may unload and a need that does not fit beside it: the waiter is told which,
 * and that nothing but its own end helps. One that may be unloaded is no such reason. */
static void test_pinned(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, c, head;
	struct why why;

	start(fixture, 1, 2, 24 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	(void)fixture_take(fixture, a, need(LEASE_CHAT, 0, 1 * GIB, 1));
	uint64_t pinned = fixture_take(fixture, b, need(LEASE_CHAT, 0, 3 * GIB, 1));
	head = fixture_ask(fixture, c, need(LEASE_CHAT, 1, 22 * GIB, 1));
	core_why(fixture->core, head, fixture->now, &why);
	assert_int_equal(why.code, WHY_PINNED);
	assert_int_equal(why.holder, pinned);
	assert_int_equal(why.held_bytes, 3 * GIB);
	assert_int_equal(why.want_bytes, 22 * GIB);
	fixture_release(fixture, b, pinned, false);
	assert_int_equal(fixture_state(fixture, head), CLAIM_OFFERED);
}

/* However low its class: the one that may be unloaded goes. */
static void test_pinned_stays(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, c, pinned, model;

	start(fixture, 1, 1, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	pinned = fixture_take(fixture, a, need(LEASE_BACKGROUND, 0, 2 * GIB, 1));
	model = resident(fixture, b, LEASE_CHAT, 4 * GIB, 0, 0);
	(void)fixture_ask(fixture, c, need(LEASE_CHAT, 1, 4 * GIB, 1));
	assert_int_equal(fixture_state(fixture, model), CLAIM_YIELDING);
	assert_int_equal(fixture_state(fixture, pinned), CLAIM_HELD);
}

/* Of two idle models the one of the lower class goes; the busy one never. */
static void test_evicts_lowest_class(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, c, d, chat, work, head;

	start(fixture, 1, 2, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	d = fixture_session(fixture, BIND_NATIVE, "d");
	chat = resident(fixture, a, LEASE_CHAT, 3 * GIB, 1000, 0);
	work = resident(fixture, b, LEASE_BACKGROUND, 3 * GIB, 1000, 0);
	fixture_pass(fixture, 1000);
	head = fixture_ask(fixture, c, need(LEASE_CHAT, 1, 5 * GIB, 1));
	assert_int_equal(fixture_sent(fixture, SEND_YIELD, work)->send.reason, YIELD_EVICTED);
	assert_int_equal(fixture_why(fixture, head), WHY_EVICTING);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_HELD);
	fixture_release(fixture, b, work, false);
	assert_int_equal(fixture_state(fixture, head), CLAIM_OFFERED);
	(void)d;
}

/* Two residents that come one after the other, and a third that needs the memory of one. */
static void assert_cheap_evicted(struct fixture *fixture, int64_t dear_load_ms, int64_t apart_ms,
				 int64_t cheap_load_ms, int64_t idle_ms)
{
	uint64_t a, b, c, dear, cheap;

	start(fixture, 1, 2, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	dear = resident(fixture, a, LEASE_CHAT, 3 * GIB, dear_load_ms, 0);
	fixture_pass(fixture, apart_ms);
	cheap = resident(fixture, b, LEASE_CHAT, 3 * GIB, cheap_load_ms, 0);
	fixture_pass(fixture, idle_ms);
	fixture_ask(fixture, c, need(LEASE_CHAT, 1, 5 * GIB, 1));
	assert_int_equal(fixture_state(fixture, dear), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, cheap), CLAIM_YIELDING);
}

/* Of one class, the longest unused by what it costs to load again. */
static void test_evicts_by_cost(void **state)
{
	assert_cheap_evicted(*state, 60000, 10000, 1000, 10000);
}

/* One that has just come is not dear for that: a moment's difference does not outweigh the load. */
static void test_evicts_by_cost_at_once(void **state)
{
	assert_cheap_evicted(*state, 8000, 2, 500, 0);
}

/* A model whose session computes is busy; one that has just been loaded has its minimum stay. */
static void test_not_the_busy_nor_the_new(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, c, busy, fresh, turn;

	start(fixture, 1, 2, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	busy = resident(fixture, a, LEASE_BACKGROUND, 3 * GIB, 1000, 0);
	turn = fixture_take(fixture, a, need(LEASE_CHAT, 1, 0, 1));
	fresh = resident(fixture, b, LEASE_CHAT, 3 * GIB, 1000, 5000);
	fixture_ask(fixture, c, need(LEASE_CHAT, 1, 5 * GIB, 1));
	fixture_pass(fixture, 4999);
	assert_int_equal(fixture_state(fixture, busy), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, fresh), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, busy), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, fresh), CLAIM_YIELDING);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_HELD);
}

/* Nothing is evicted in vain: where a model that may stay leaves too little, nobody is asked. */
static void test_no_vain_eviction(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, model, head;

	start(fixture, 1, 2, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	fixture_take(fixture, a, need(LEASE_CHAT, 0, 4 * GIB, 1)); /* not evictable */
	model = resident(fixture, a, LEASE_BACKGROUND, 2 * GIB, 1000, 0);
	head = fixture_ask(fixture, b, need(LEASE_VOICE, 1, 6 * GIB, 1));
	fixture_pass(fixture, 200000);
	assert_int_equal(fixture_state(fixture, model), CLAIM_HELD);
	assert_int_equal(core_bound_ms(fixture->core, head, fixture->now), -1);
}

/* A resident holds no turn, so the hold limit is not for it. */
static void test_resident_has_no_hold_limit(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, model, turn;

	start(fixture, 1, 1, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	model = resident(fixture, a, LEASE_CHAT, 3 * GIB, 1000, 0);
	turn = fixture_take(fixture, a, need(LEASE_CHAT, 1, 0, 1));
	fixture_wait(fixture, b, LEASE_CHAT);
	fixture_pass(fixture, 60000);
	assert_int_equal(fixture_state(fixture, turn), CLAIM_YIELDING);
	assert_int_equal(fixture_state(fixture, model), CLAIM_HELD);
}

/* A set of GPUs is taken at once or not at all, and a cancelled set leaves nothing behind (E7). */
static void test_gang(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, c, one, pair, next;
	struct gpu_view gpu;

	start(fixture, 2, 1, 0);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	one = fixture_take(fixture, a, need(LEASE_CHAT, 1, 0, 1));
	pair = fixture_ask(fixture, b, need(LEASE_CHAT, 1, 0, 2));
	assert_int_equal(fixture_state(fixture, pair), CLAIM_QUEUED);
	/* The idle GPU is kept for the pair: nobody behind it may pass. */
	next = fixture_ask(fixture, c, need(LEASE_CHAT, 1, 0, 1));
	assert_int_equal(fixture_state(fixture, next), CLAIM_QUEUED);
	assert_int_equal(fixture_why(fixture, next), WHY_RESERVED);
	fixture_release(fixture, a, one, false);
	assert_int_equal(fixture_sent(fixture, SEND_OFFERED, pair)->send.gpus, 3);
	fixture_release(fixture, b, pair, false);
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
	core_gpu(fixture->core, 1, &gpu);
	assert_int_equal(gpu.slots_used, 0);
}

/* The first that does not fit closes its GPU and no other: a second GPU is never left idle. */
static void test_idle_gpu_is_used(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, c, big, small;
	struct event on_first = need(LEASE_CHAT, 1, 0, 1);

	start(fixture, 2, 1, 0);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	on_first.acquire.need.gpu_mask = 1;
	fixture_take(fixture, a, on_first);
	big = fixture_ask(fixture, b, on_first);
	assert_int_equal(fixture_state(fixture, big), CLAIM_QUEUED);
	small = fixture_ask(fixture, c, need(LEASE_CHAT, 1, 0, 1));
	assert_int_equal(fixture_sent(fixture, SEND_OFFERED, small)->send.gpus, 2);
}

/* A small claim does not slip past a big one that waits for memory on the same GPU. */
static void test_small_behind_big(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, c, first, big, small;

	start(fixture, 1, 4, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	first = fixture_take(fixture, a, need(LEASE_CHAT, 1, 6 * GIB, 1));
	big = fixture_ask(fixture, b, need(LEASE_CHAT, 1, 7 * GIB, 1));
	small = fixture_ask(fixture, c, need(LEASE_CHAT, 1, GIB, 1));
	assert_int_equal(fixture_state(fixture, small), CLAIM_QUEUED);
	fixture_release(fixture, a, first, false);
	assert_int_equal(fixture_state(fixture, big), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, small), CLAIM_OFFERED);
}

/* Several turns at once on one GPU, and no more than it has. */
static void test_slots(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conn[3], lease[3];

	start(fixture, 1, 2, 0);
	for (int i = 0; i < 3; i++) {
		conn[i] = fixture_session(fixture, BIND_NATIVE, "x");
		lease[i] = fixture_ask(fixture, conn[i], need(LEASE_CHAT, 1, 0, 1));
	}
	assert_int_equal(fixture_state(fixture, lease[1]), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, lease[2]), CLAIM_QUEUED);
	fixture_release(fixture, conn[0], lease[0], false);
	assert_int_equal(fixture_state(fixture, lease[2]), CLAIM_OFFERED);
}

/* One of two turns is not cut short for a claim that needs both and could not begin. */
static void test_no_half_preemption(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, v, soft, firm;
	struct event event;

	start(fixture, 1, 2, 0);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	v = fixture_session(fixture, BIND_NATIVE, "v");
	soft = fixture_take(fixture, a, need(LEASE_BACKGROUND, 1, 0, 1));
	event = need(LEASE_BACKGROUND, 1, 0, 1);
	event.acquire.preemptible = false;
	firm = fixture_take(fixture, b, event);
	fixture_ask(fixture, v, need(LEASE_VOICE, 2, 0, 1));
	assert_int_equal(fixture_state(fixture, soft), CLAIM_HELD);
	fixture_pass(fixture, fixture->config.classes[LEASE_BACKGROUND].hold_ms_max);
	assert_int_equal(fixture_state(fixture, soft), CLAIM_YIELDING);
	assert_int_equal(fixture_state(fixture, firm), CLAIM_YIELDING);
}

static void change(struct fixture *fixture, uint64_t conn, uint64_t lease, uint32_t slots,
		   uint64_t vram)
{
	struct event event = {.type = EVENT_CHANGE, .from = {PARTY_SESSION, conn}};

	event.change.lease = lease;
	event.change.need = (struct need){.slots = slots, .vram_bytes = vram};
	fixture_step(fixture, event);
}

/* Load under a turn, keep the model without it: the turn goes to the next in the same step. */
static void test_change(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, lease, next;

	start(fixture, 1, 1, 8 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	lease = fixture_take(fixture, a, need(LEASE_CHAT, 1, 6 * GIB, 1));
	next = fixture_wait(fixture, b, LEASE_CHAT);
	change(fixture, a, lease, 0, 6 * GIB);
	assert_non_null(fixture_sent(fixture, SEND_CHANGED, lease));
	assert_int_equal(fixture_state(fixture, next), CLAIM_OFFERED);
	/* Growing back is refused while the room is not there, and nothing changes. */
	change(fixture, a, lease, 1, 6 * GIB);
	assert_int_equal(fixture_error(fixture), ERR_NO_ROOM);
	assert_int_equal(fixture_row(fixture, lease)->need.slots, 0);
	fixture_release(fixture, b, next, false);
	change(fixture, a, lease, 1, 6 * GIB);
	assert_int_equal(fixture_row(fixture, lease)->need.slots, 1);
	change(fixture, a, lease, 1, 9 * GIB);
	assert_int_equal(fixture_error(fixture), ERR_NO_ROOM);
	change(fixture, a, lease, 0, 0);
	assert_int_equal(fixture_error(fixture), ERR_BAD_FIELD);
}

static const char *denied_words(const struct fixture *fixture)
{
	return fixture_sent(fixture, SEND_DENIED, 0)->send.detail;
}

/* Growing delays only those who want what it takes: VRAM none who ask for a turn alone. */
static void test_growth_beside_waiters(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a, b, c, lease, turn;

	start(fixture, 1, 1, 24 * GIB);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	c = fixture_session(fixture, BIND_NATIVE, "c");
	lease = fixture_take(fixture, a, need(LEASE_CHAT, 1, 6 * GIB, 1));
	turn = fixture_wait(fixture, b, LEASE_CHAT);
	change(fixture, a, lease, 1, 7 * GIB);
	assert_non_null(fixture_sent(fixture, SEND_CHANGED, lease));
	assert_int_equal(fixture_state(fixture, turn), CLAIM_QUEUED);
	fixture_ask(fixture, c, need(LEASE_CHAT, 1, 1 * GIB, 1)); /* waits, and wants VRAM */
	change(fixture, a, lease, 1, 8 * GIB);
	assert_int_equal(fixture_error(fixture), ERR_NO_ROOM);
	assert_string_equal(fixture_sent(fixture, SEND_DENIED, lease)->send.detail,
			    "others wait for this GPU; try again when they were served");
	assert_int_equal(fixture_row(fixture, lease)->need.vram_bytes, 7 * GIB);
	change(fixture, a, lease, 1, 5 * GIB); /* less is always right */
	assert_non_null(fixture_sent(fixture, SEND_CHANGED, lease));
}

/* A need that can never be served is refused with what was asked for and what there is. */
static void test_never_fits_says_why(void **state)
{
	static const struct {
		uint32_t gpus, slots, mask;
		uint64_t vram_bytes;
		const char *words;
	} rows[] = {
		{3, 1, 0, 0, "it asks for 3 GPUs, and there are 2"},
		{2, 1, 1, 0, "it asks for 2 GPUs and names 1"},
		{1, 5, 0, 0, "it asks for 5 slots, and a has 2"},
		{1, 1, 0, 900 * GIB, "it asks for 900.0 GiB of VRAM, and b has 23.5 of 24.0 GiB"},
		{2, 1, 0, 12 * GIB, "it asks for 2 GPUs, and only 1 of 2 is large enough"},
		{1, 2, 0, 9 * GIB, "it asks for 9.0 GiB of VRAM, and a has 7.5 of 8.0 GiB"},
	};
	struct fixture *fixture = *state;
	fixture->config.gpu_count = 2;
	fixture->config.gpus[0] = (struct gpu_config){
		.name = "a", .slots = 2, .vram_known = true, .vram_bytes_total = 8 * GIB};
	fixture->config.gpus[1] = (struct gpu_config){
		.name = "b", .slots = 1, .vram_known = true, .vram_bytes_total = 24 * GIB};
	fixture->config.vram_headroom_bytes = GIB / 2;
	fixture_configure(fixture);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct event event = fixture_want(BIND_HTTP, LEASE_CHAT, "x");
		event.acquire.need = (struct need){.gpu_count = rows[i].gpus,
						   .slots = rows[i].slots,
						   .gpu_mask = rows[i].mask,
						   .vram_bytes = rows[i].vram_bytes};
		fixture_ask(fixture, 0, event);
		assert_int_equal(fixture_error(fixture), ERR_NEVER_FITS);
		assert_string_equal(denied_words(fixture), rows[i].words);
	}
}

/* P12, I2: fences rise strictly over grants, and over restarts, in blocks that are written first.
 */
static void test_fences_rise(void **state)
{
	struct fixture *fixture = *state;
	uint64_t last = 0;

	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 700; i++) {
			uint64_t lease =
				fixture_ask(fixture, 0, fixture_want(BIND_HTTP, LEASE_CHAT, "x"));
			struct token token = fixture_row(fixture, lease)->token;
			assert_true(fixture_row(fixture, lease)->fence > last);
			last = fixture_row(fixture, lease)->fence;
			assert_true(last <= fixture->fence_max);
			fixture_unlock(fixture, &token);
			fixture->claim_count = 0;
		}
		fixture_restart(fixture, round % 2 == 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_two_of_six_on_eight),
		TEST(test_observed_counts_once),
		TEST(test_own_bytes),
		TEST(test_tab_bytes),
		TEST(test_unknown_is_not_zero),
		TEST(test_unhealthy),
		TEST(test_unknown_total),
		TEST(test_headroom),
		TEST(test_pinned),
		TEST(test_pinned_stays),
		TEST(test_evicts_lowest_class),
		TEST(test_evicts_by_cost),
		TEST(test_evicts_by_cost_at_once),
		TEST(test_not_the_busy_nor_the_new),
		TEST(test_no_vain_eviction),
		TEST(test_resident_has_no_hold_limit),
		TEST(test_gang),
		TEST(test_idle_gpu_is_used),
		TEST(test_small_behind_big),
		TEST(test_slots),
		TEST(test_no_half_preemption),
		TEST(test_change),
		TEST(test_growth_beside_waiters),
		TEST(test_never_fits_says_why),
		TEST(test_fences_rise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
