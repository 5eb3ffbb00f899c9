/* Goal: what a waiter is promised counts everything that the theorem of docs/states.md counts, and
 * whoever cannot be promised anything is told why. */
#include "fixture.h"

#include "core/wait_bound.h"

static struct event ask(enum binding binding, enum lease_class cls, const char *name)
{
	struct event event = fixture_want(binding, cls, name);

	event.acquire.timeout_ms = -1;
	return event;
}

static uint64_t tab(struct fixture *fixture)
{
	return fixture_session(fixture, BIND_TAB, "tab");
}

static int64_t told(const struct fixture *fixture, uint64_t claim)
{
	int64_t told_ms = core_bound_ms(fixture->core, claim, fixture->now);

	assert_in_range(told_ms, 1, (int64_t)1 << 40);
	return told_ms;
}

static enum bound_none why_none(const struct fixture *fixture, uint64_t claim)
{
	struct bound bound;

	core_bound(fixture->core, claim, fixture->now, &bound);
	return bound.none;
}

/* What so much work of its own class costs a waiter: it is done at the share of the class. */
static int64_t at_share(const struct fixture *fixture, enum lease_class cls, int64_t ms)
{
	return ms * 1000 / fixture->config.classes[cls].share_permille;
}

static int64_t handoff_ms(const struct fixture *fixture)
{
	int64_t stop_ms = fixture->config.lock_delay_ms;

	if (stop_ms < fixture->config.grace_ms)
		stop_ms = fixture->config.grace_ms;
	return fixture->config.grace_ms + stop_ms;
}

/* A whole turn, cut into as many pieces as it can be. */
static int64_t turn_ms(const struct fixture *fixture, enum lease_class cls)
{
	int64_t hold_ms = fixture->config.classes[cls].hold_ms_max;

	return hold_ms + hold_ms / fixture->config.quantum_ms * handoff_ms(fixture);
}

static int64_t told_alone(struct fixture *fixture, enum lease_class cls)
{
	uint64_t conn = tab(fixture), claim = fixture_wait(fixture, conn, cls);
	int64_t told_ms = told(fixture, claim);

	fixture_release(fixture, conn, claim, false);
	return told_ms;
}

static void test_counts_waiters(void **state)
{
	struct fixture *fixture = *state;
	int64_t alone_ms, behind_ms;

	fixture_hold(fixture, tab(fixture), LEASE_BACKGROUND);
	for (enum lease_class cls = LEASE_CHAT; cls < LEASE_BACKGROUND; cls++) {
		uint64_t conn = tab(fixture), first;
		alone_ms = told_alone(fixture, cls);
		first = fixture_wait(fixture, conn, cls);
		behind_ms = told_alone(fixture, cls);
		assert_in_range(behind_ms, alone_ms + at_share(fixture, cls, turn_ms(fixture, cls)),
				INT64_MAX);
		fixture_release(fixture, conn, first, false);
	}
}

static void test_counts_holders(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = tab(fixture), b = tab(fixture), lease;
	int64_t other_ms, own_ms;

	lease = fixture_hold(fixture, a, LEASE_BACKGROUND);
	other_ms = told_alone(fixture, LEASE_CHAT);
	fixture_release(fixture, a, lease, false);
	fixture_hold(fixture, b, LEASE_CHAT);
	own_ms = told_alone(fixture, LEASE_CHAT);
	assert_in_range(own_ms,
			other_ms + at_share(fixture, LEASE_CHAT, turn_ms(fixture, LEASE_CHAT)),
			INT64_MAX);
}

/* A plain request that was lost may come back to its place. */
static void test_counts_lost_places(void **state)
{
	struct fixture *fixture = *state;
	struct event event = ask(BIND_HTTP, LEASE_CHAT, "page");
	uint64_t conn = 9000;
	int64_t before_ms;

	fixture_hold(fixture, tab(fixture), LEASE_BACKGROUND);
	before_ms = told_alone(fixture, LEASE_CHAT);
	event.acquire.request_id = "r1";
	assert_int_not_equal(fixture_ask(fixture, conn, event), 0);
	fixture_close(fixture, conn);
	assert_in_range(told_alone(fixture, LEASE_CHAT),
			before_ms + at_share(fixture, LEASE_CHAT, turn_ms(fixture, LEASE_CHAT)),
			INT64_MAX);
}

/* Its quantum at its share, the credit of voice and one voice after it, and one due turn of each
 * other class. */
static void test_counts_the_others(void **state)
{
	struct fixture *fixture = *state;
	int64_t least_ms;

	fixture_hold(fixture, tab(fixture), LEASE_BACKGROUND);
	least_ms = at_share(fixture, LEASE_CHAT, fixture->config.quantum_ms);
	least_ms +=
		fixture->config.voice_credit_ms + fixture->config.classes[LEASE_VOICE].hold_ms_max;
	least_ms += 3 * (fixture->config.quantum_ms + handoff_ms(fixture));
	assert_in_range(told_alone(fixture, LEASE_CHAT), least_ms, INT64_MAX);
}

/* A class that used more than its share while others waited has to pay that first. */
static void test_counts_debt(void **state)
{
	struct fixture *fixture = *state;
	uint64_t chat = tab(fixture), other = tab(fixture), lease, work;
	int64_t fresh_ms, indebted_ms;

	lease = fixture_hold(fixture, other, LEASE_BACKGROUND);
	fresh_ms = told_alone(fixture, LEASE_CHAT);
	fixture_release(fixture, other, lease, false);
	lease = fixture_hold(fixture, chat, LEASE_CHAT);
	work = fixture_wait(fixture, other, LEASE_BACKGROUND);
	for (int i = 0; i < 4; i++) {
		fixture_pass(fixture, 5000);
		fixture_alive(fixture, chat);
		fixture_alive(fixture, other);
	}
	assert_int_equal(fixture_state(fixture, lease), CLAIM_HELD);
	fixture_release(fixture, chat, lease, false);
	fixture_accept(fixture, other, work);
	indebted_ms = told_alone(fixture, LEASE_CHAT);
	assert_in_range(indebted_ms, fresh_ms + 5000, INT64_MAX);
}

/* One that cannot be cut short runs its whole turn. */
static void test_counts_firm_holders(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conn = tab(fixture), lease;
	struct event event = ask(BIND_TAB, LEASE_NORMAL, NULL);
	int64_t usual_ms;

	lease = fixture_hold(fixture, conn, LEASE_NORMAL);
	usual_ms = told_alone(fixture, LEASE_CHAT);
	fixture_release(fixture, conn, lease, false);
	event.acquire.preemptible = false;
	lease = fixture_ask(fixture, conn, event);
	fixture_accept(fixture, conn, lease);
	assert_in_range(told_alone(fixture, LEASE_CHAT), usual_ms + 10000, INT64_MAX);
	assert_in_range(told_alone(fixture, LEASE_VOICE),
			fixture->config.classes[LEASE_NORMAL].hold_ms_max, INT64_MAX);
}

/* Also voice may find a class that is due before it. */
static void test_voice_behind_a_due_turn(void **state)
{
	struct fixture *fixture = *state;

	fixture_hold(fixture, tab(fixture), LEASE_BACKGROUND);
	assert_in_range(told_alone(fixture, LEASE_VOICE),
			fixture->config.min_run_ms + handoff_ms(fixture) +
				fixture->config.quantum_ms,
			INT64_MAX);
}

/* With two GPUs it may ask on one, lose that room to a class that became due there, and ask on the
 * other. */
static void test_counts_detours(void **state)
{
	struct fixture *fixture = *state;
	int64_t single_ms, either_ms;

	fixture_gpus(fixture, 2, 1, 0);
	fixture_configure(fixture);
	fixture_hold(fixture, tab(fixture), LEASE_BACKGROUND);
	fixture_take(fixture, fixture_session(fixture, BIND_NATIVE, "native"),
		     ask(BIND_NATIVE, LEASE_BACKGROUND, NULL));
	single_ms = told_alone(fixture, LEASE_CHAT); /* a tab computes on one of them */
	either_ms = told(fixture, fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "b"),
					      ask(BIND_NATIVE, LEASE_CHAT, NULL)));
	assert_in_range(either_ms, single_ms + fixture->config.min_run_ms + handoff_ms(fixture),
			INT64_MAX);
}

static void test_why_nothing_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct event event = ask(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t a, b, claim;

	fixture_gpus(fixture, 2, 1, 24 * GIB);
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	fixture_hold(fixture, a, LEASE_CHAT);
	fixture_hold(fixture, a, LEASE_CHAT);
	event.acquire.need = (struct need){.vram_bytes = GIB, .slots = 1, .gpu_count = 1};
	assert_int_equal(why_none(fixture, fixture_ask(fixture, b, event)), BOUND_MEMORY);
	event.acquire.ref = 0;
	event.acquire.need = (struct need){.slots = 1, .gpu_count = 2};
	assert_int_equal(why_none(fixture, fixture_ask(fixture, b, event)), BOUND_SET);
	event.acquire.ref = 0;
	event.acquire.need = (struct need){.slots = 1, .gpu_count = 1};
	assert_int_equal(why_none(fixture, fixture_ask(fixture, b, event)), BOUND_OWN);
	event.acquire.ref = 0;
	claim = fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "c"), event);
	assert_in_range(told(fixture, claim), 1, INT64_MAX);
	fixture_gpus(fixture, 1, 1, 24 * GIB);
	fixture->config.gpus[0].slots = 1;
	fixture_configure(fixture);
	assert_int_equal(why_none(fixture, claim), BOUND_GIVEN);
}

/* Beside what nobody can evict a model does not fit: nothing can be said. */
static void test_blocked_is_told_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct event event = ask(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t a, b, lease;

	fixture_gpus(fixture, 1, 1, 24 * GIB);
	fixture_configure(fixture);
	a = fixture_session(fixture, BIND_NATIVE, "a");
	b = fixture_session(fixture, BIND_NATIVE, "b");
	event.acquire.need = (struct need){.vram_bytes = 10 * GIB, .gpu_count = 1};
	lease = fixture_ask(fixture, a, event);
	fixture_accept(fixture, a, lease);
	event.acquire.ref = 0;
	event.acquire.need = (struct need){.vram_bytes = 20 * GIB, .slots = 1, .gpu_count = 1};
	assert_int_equal(why_none(fixture, fixture_ask(fixture, b, event)), BOUND_BLOCKED);
}

/* Asking again for the same request tells what was told, less the time; not what would be told now.
 */
static void test_told_once(void **state)
{
	struct fixture *fixture = *state;
	struct event event = ask(BIND_HTTP, LEASE_CHAT, "page");
	uint64_t claim;
	int64_t first_ms;

	fixture_hold(fixture, tab(fixture), LEASE_BACKGROUND);
	event.acquire.request_id = "first";
	claim = fixture_ask(fixture, 9000, event);
	first_ms = told(fixture, claim);
	event.acquire.ref = 0;
	event.acquire.request_id = "second";
	assert_int_not_equal(fixture_ask(fixture, 9001, event), 0);
	fixture_close(fixture, 9001);
	event.acquire.ref = 0;
	event.acquire.request_id = "first";
	assert_int_equal(fixture_ask(fixture, 9002, event), claim);
	assert_int_equal(told(fixture, claim), first_ms);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_counts_waiters),
		TEST(test_counts_holders),
		TEST(test_counts_lost_places),
		TEST(test_counts_the_others),
		TEST(test_counts_debt),
		TEST(test_counts_firm_holders),
		TEST(test_voice_behind_a_due_turn),
		TEST(test_counts_detours),
		TEST(test_why_nothing_is_told),
		TEST(test_blocked_is_told_nothing),
		TEST(test_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
