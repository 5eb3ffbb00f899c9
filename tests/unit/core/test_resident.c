/* Goal: turns that use what is in memory go together before it has to leave for others, and however
 * many they are, who needs the room waits no longer than was reckoned (docs/states.md, Switches).
 */
#include "fixture.h"

enum { QUANTUM_MS = 10000, MIN_RUN_MS = 2000, LOAD_MS = 5000 };

static struct event need(enum lease_class cls, uint32_t slots, uint64_t vram_bytes)
{
	struct event event = fixture_need(cls, slots, vram_bytes);

	event.acquire.timeout_ms = -1;
	return event;
}

static uint64_t native(struct fixture *fixture)
{
	return fixture_session(fixture, BIND_NATIVE, "native");
}

static void start(struct fixture *fixture)
{
	fixture_gpus(fixture, 1, 1, 24 * GIB);
	fixture->config.session_ttl_ms = 100000000;
	fixture_configure(fixture);
}

/* In memory after so long. */
static uint64_t load(struct fixture *fixture, enum lease_class cls, uint64_t vram_bytes,
		     int64_t load_ms)
{
	struct event ready = {.type = EVENT_READY}, want = need(cls, 0, vram_bytes);
	uint64_t conn = native(fixture), lease;

	want.acquire.evictable = want.acquire.loads = true;
	lease = fixture_ask(fixture, conn, want);
	fixture_accept(fixture, conn, lease);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_LOADING);
	fixture_pass(fixture, load_ms);
	ready.from = (struct party){PARTY_SESSION, conn};
	ready.renew.lease = lease;
	fixture_step(fixture, ready);
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	return lease;
}

static struct event use_of(enum lease_class cls, uint64_t resident)
{
	struct event event = need(cls, 1, 0);

	event.acquire.uses = resident;
	return event;
}

static uint64_t use(struct fixture *fixture, enum lease_class cls, uint64_t resident)
{
	return fixture_ask(fixture, native(fixture), use_of(cls, resident));
}

/* Long in memory, with a user that waits for its turn and another that needs the room. */
static uint64_t wanted_model(struct fixture *fixture)
{
	uint64_t model;

	start(fixture);
	model = load(fixture, LEASE_CHAT, 14 * GIB, LOAD_MS);
	fixture_pass(fixture, 60000);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	use(fixture, LEASE_CHAT, model);
	fixture_ask(fixture, native(fixture), need(LEASE_CHAT, 0, 14 * GIB));
	return model;
}

/* It stays for so long from now on, and not a moment more. */
static void assert_asked_after(struct fixture *fixture, uint64_t resident, int64_t ms)
{
	fixture_pass(fixture, ms - 1);
	assert_int_equal(fixture_state(fixture, resident), CLAIM_HELD);
	fixture_pass(fixture, 1);
	assert_int_equal(fixture_state(fixture, resident), CLAIM_YIELDING);
}

/* Those who wait for their turn with it have it before it is asked; with the last one's beginning
 * nothing keeps it. */
static void test_before_it_leaves(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = native(fixture), b = native(fixture), conn = native(fixture);
	uint64_t model, holder, first, second;

	start(fixture);
	model = load(fixture, LEASE_CHAT, 14 * GIB, LOAD_MS);
	fixture_pass(fixture, 60000);
	holder = fixture_hold(fixture, conn, LEASE_CHAT);
	first = fixture_ask(fixture, a, use_of(LEASE_CHAT, model));
	second = fixture_ask(fixture, b, use_of(LEASE_CHAT, model));
	fixture_ask(fixture, native(fixture), need(LEASE_CHAT, 0, 14 * GIB));
	assert_int_equal(fixture_state(fixture, model), CLAIM_HELD);

	fixture_release(fixture, conn, holder, false);
	fixture_accept(fixture, a, first);
	fixture_pass(fixture, 3000);
	assert_int_equal(fixture_state(fixture, model), CLAIM_HELD);
	fixture_release(fixture, a, first, false);
	assert_int_equal(fixture_state(fixture, second), CLAIM_OFFERED);
	assert_int_equal(fixture_state(fixture, model), CLAIM_YIELDING);
}

/* However many come, and however late: a quantum from when the head came. */
static void test_not_for_ever(void **state)
{
	struct fixture *fixture = *state;
	uint64_t model;

	model = wanted_model(fixture);
	for (int i = 0; i < 9; i++) {
		fixture_pass(fixture, 1000);
		use(fixture, LEASE_VOICE, model);
	}
	assert_asked_after(fixture, model, QUANTUM_MS - 9000);
}

/* What took long to load may be used for as long, once it is there; and no longer than a resident
 * may ask to stay. */
static void assert_used_for(struct fixture *fixture, int64_t load_ms, int64_t most_ms)
{
	uint64_t model;

	start(fixture);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	model = load(fixture, LEASE_CHAT, 14 * GIB, load_ms);
	for (int i = 0; i < 40; i++) /* they never accept: each is gone after three offers */
		use(fixture, LEASE_CHAT, model);
	fixture_ask(fixture, native(fixture), need(LEASE_CHAT, 0, 14 * GIB));
	assert_asked_after(fixture, model, MIN_RUN_MS + most_ms);
}

static void test_as_long_as_it_loaded(void **state)
{
	assert_used_for(*state, 25000, 25000);
}

static void test_no_longer_than_residents(void **state)
{
	assert_used_for(*state, 90000, 60000);
}

/* Who is of a lower class keeps nobody waiting. */
static void test_outranked(void **state)
{
	struct fixture *fixture = *state;
	uint64_t model;

	start(fixture);
	model = load(fixture, LEASE_BACKGROUND, 14 * GIB, LOAD_MS);
	fixture_pass(fixture, 60000);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	use(fixture, LEASE_BACKGROUND, model);
	use(fixture, LEASE_NORMAL, model);
	fixture_ask(fixture, native(fixture), need(LEASE_CHAT, 0, 14 * GIB));
	assert_int_equal(fixture_state(fixture, model), CLAIM_YIELDING);
}

/* It was asked for a voice, which leaves: the next has to wait for who uses it. */
static void test_asked_for_one_that_leaves(void **state)
{
	struct fixture *fixture = *state;
	uint64_t model, voice, conn = native(fixture);

	model = wanted_model(fixture);
	voice = fixture_ask(fixture, conn, need(LEASE_VOICE, 0, 14 * GIB));
	assert_int_equal(fixture_state(fixture, voice), CLAIM_QUEUED);
	assert_int_equal(fixture_state(fixture, model), CLAIM_YIELDING);

	fixture_close(fixture, conn);
	fixture_pass(fixture, fixture->config.native_linger_ms);
	assert_int_equal(fixture_state(fixture, voice), CLAIM_ENDED);
	assert_int_equal(fixture_state(fixture, model), CLAIM_HELD);
	assert_asked_after(fixture, model, QUANTUM_MS - fixture->config.native_linger_ms);
}

/* It is not loaded to leave unused; but nobody waits for that who outranks it, while nobody uses
 * it. */
static void test_stays_for_its_class(void **state)
{
	struct fixture *fixture = *state;
	uint64_t model;

	start(fixture);
	model = load(fixture, LEASE_BACKGROUND, 14 * GIB, LOAD_MS);
	fixture_ask(fixture, native(fixture), need(LEASE_BACKGROUND, 0, 14 * GIB));
	assert_asked_after(fixture, model, MIN_RUN_MS);
}

static void test_leaves_unused_for_voice(void **state)
{
	struct fixture *fixture = *state;
	uint64_t model;

	start(fixture);
	model = load(fixture, LEASE_BACKGROUND, 14 * GIB, LOAD_MS);
	fixture_ask(fixture, native(fixture), need(LEASE_VOICE, 0, 14 * GIB));
	assert_int_equal(fixture_state(fixture, model), CLAIM_YIELDING);
}

static void test_used_stays_for_voice(void **state)
{
	struct fixture *fixture = *state;
	uint64_t model, user, conn = native(fixture);

	start(fixture);
	model = load(fixture, LEASE_BACKGROUND, 14 * GIB, LOAD_MS);
	user = fixture_take(fixture, conn, use_of(LEASE_BACKGROUND, model));
	fixture_ask(fixture, native(fixture), need(LEASE_VOICE, 0, 14 * GIB));
	fixture_pass(fixture, MIN_RUN_MS - 1);
	assert_int_equal(fixture_state(fixture, model), CLAIM_HELD);
	fixture_release(fixture, conn, user, false);
	assert_int_equal(fixture_state(fixture, model), CLAIM_YIELDING);
}

/* One that had waited until it was due stays for a quantum from when it is there, also for
 * voice. */
static void test_due_from_ready(void **state)
{
	struct fixture *fixture = *state;
	struct event ready = {.type = EVENT_READY}, want = need(LEASE_BACKGROUND, 0, 14 * GIB);
	struct event before = need(LEASE_CHAT, 0, 14 * GIB);
	uint64_t other = native(fixture), conn = native(fixture), voice = native(fixture);
	uint64_t first, model;

	fixture->config.min_residence_ms_max = 200000;
	start(fixture);
	before.acquire.evictable = true;
	before.acquire.min_residence_ms = 200000;
	first = fixture_take(fixture, other, before);
	want.acquire.evictable = want.acquire.loads = true;
	model = fixture_ask(fixture, conn, want);
	fixture_pass(fixture, 100000);
	fixture_release(fixture, other, first, false);
	fixture_accept(fixture, conn, model);
	fixture_pass(fixture, 20000);
	fixture_ask(fixture, voice, need(LEASE_VOICE, 0, 14 * GIB));
	ready.from = (struct party){PARTY_SESSION, conn};
	ready.renew.lease = model;
	fixture_step(fixture, ready);
	assert_asked_after(fixture, model, QUANTUM_MS);
}

/* Of two the one that was used last stays, whichever came first. */
static void test_unused_goes_first(void **state)
{
	struct fixture *fixture = *state;
	uint64_t old, late, user, conn = native(fixture);

	start(fixture);
	old = load(fixture, LEASE_CHAT, 10 * GIB, LOAD_MS);
	late = load(fixture, LEASE_CHAT, 10 * GIB, LOAD_MS);
	user = fixture_take(fixture, conn, use_of(LEASE_CHAT, old));
	fixture_pass(fixture, 30000);
	fixture_release(fixture, conn, user, false);
	fixture_pass(fixture, 10000);
	fixture_ask(fixture, native(fixture), need(LEASE_CHAT, 0, 10 * GIB));
	assert_int_equal(fixture_state(fixture, old), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, late), CLAIM_YIELDING);
}

/* One that somebody computes with is in use now. */
static void test_not_the_one_in_use(void **state)
{
	struct fixture *fixture = *state;
	uint64_t used, other;

	start(fixture);
	used = load(fixture, LEASE_CHAT, 10 * GIB, LOAD_MS);
	fixture_take(fixture, native(fixture), use_of(LEASE_CHAT, used));
	fixture_pass(fixture, 20000);
	other = load(fixture, LEASE_CHAT, 10 * GIB, LOAD_MS);
	fixture_pass(fixture, MIN_RUN_MS);
	fixture_ask(fixture, native(fixture), need(LEASE_CHAT, 0, 10 * GIB));
	assert_int_equal(fixture_state(fixture, used), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, other), CLAIM_YIELDING);
}

/* Its load was measured: what it did not say counts as well. */
static void test_measured_load_weighs(void **state)
{
	struct fixture *fixture = *state;
	uint64_t dear, cheap;

	start(fixture);
	dear = load(fixture, LEASE_CHAT, 10 * GIB, 60000);
	cheap = load(fixture, LEASE_CHAT, 10 * GIB, 1000);
	fixture_pass(fixture, 10000);
	fixture_ask(fixture, native(fixture), need(LEASE_CHAT, 0, 10 * GIB));
	assert_int_equal(fixture_state(fixture, dear), CLAIM_HELD);
	assert_int_equal(fixture_state(fixture, cheap), CLAIM_YIELDING);
}

/* What it uses may be put out before its turn: it is told no number that would not hold. */
static void test_no_bound_on_what_may_leave(void **state)
{
	struct fixture *fixture = *state;
	uint64_t model, user;
	struct bound bound;

	start(fixture);
	model = load(fixture, LEASE_CHAT, 14 * GIB, LOAD_MS);
	fixture_hold(fixture, native(fixture), LEASE_CHAT);
	user = use(fixture, LEASE_CHAT, model);
	core_bound(fixture->core, user, fixture->now, &bound);
	assert_int_equal(bound.ms, -1);
	assert_int_equal(bound.none, BOUND_MEMORY);
}

/* Only a turn uses, and only what is there without one. */
static void test_what_can_be_used(void **state)
{
	struct fixture *fixture = *state;
	struct event greedy;
	uint64_t model, holder, claim;

	start(fixture);
	model = load(fixture, LEASE_CHAT, 14 * GIB, LOAD_MS);
	holder = fixture_hold(fixture, native(fixture), LEASE_CHAT);
	claim = use(fixture, LEASE_CHAT, model);
	assert_int_equal(fixture_row(fixture, claim)->uses, model);
	assert_int_equal(fixture_row(fixture, use(fixture, LEASE_CHAT, holder))->uses, 0);
	assert_int_equal(fixture_row(fixture, use(fixture, LEASE_CHAT, 4711))->uses, 0);
	greedy = use_of(LEASE_CHAT, model);
	greedy.acquire.need.vram_bytes = GIB;
	claim = fixture_ask(fixture, native(fixture), greedy);
	assert_int_equal(fixture_row(fixture, claim)->uses, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_before_it_leaves, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_not_for_ever, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_as_long_as_it_loaded, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_no_longer_than_residents, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_outranked, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_asked_for_one_that_leaves, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_stays_for_its_class, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_leaves_unused_for_voice, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_used_stays_for_voice, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_due_from_ready, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_unused_goes_first, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_not_the_one_in_use, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_measured_load_weighs, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_no_bound_on_what_may_leave, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_what_can_be_used, fixture_setup,
						fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
