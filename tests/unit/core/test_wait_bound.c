/* Goal: what a waiter is promised counts everything that the theorem of docs/states.md counts, and
 * whoever cannot be promised anything is told why. */
#include "rig.h"

#include "core/wait_bound.h"

static struct event ask(enum binding binding, enum lease_class cls, const char *name)
{
	struct event event = rig_want(binding, cls, name);

	event.acquire.timeout_ms = -1;
	return event;
}

static uint64_t tab(struct rig *rig)
{
	return rig_session(rig, BIND_TAB, "tab");
}

static int64_t told(const struct rig *rig, uint64_t claim)
{
	int64_t told_ms = core_bound_ms(rig->core, claim, rig->now);

	assert_in_range(told_ms, 1, (int64_t)1 << 40);
	return told_ms;
}

static enum bound_none why_none(const struct rig *rig, uint64_t claim)
{
	struct bound bound;

	core_bound(rig->core, claim, rig->now, &bound);
	return bound.none;
}

/* What so much work of its own class costs a waiter: it is done at the share of the class. */
static int64_t at_share(const struct rig *rig, enum lease_class cls, int64_t ms)
{
	return ms * 1000 / rig->config.classes[cls].share_permille;
}

static int64_t handoff_ms(const struct rig *rig)
{
	int64_t stop_ms = rig->config.lock_delay_ms;

	if (stop_ms < rig->config.grace_ms)
		stop_ms = rig->config.grace_ms;
	return rig->config.grace_ms + stop_ms;
}

/* A whole turn, cut into as many pieces as it can be. */
static int64_t turn_ms(const struct rig *rig, enum lease_class cls)
{
	int64_t hold_ms = rig->config.classes[cls].hold_ms_max;

	return hold_ms + hold_ms / rig->config.quantum_ms * handoff_ms(rig);
}

static int64_t told_alone(struct rig *rig, enum lease_class cls)
{
	uint64_t conn = tab(rig), claim = rig_wait(rig, conn, cls);
	int64_t told_ms = told(rig, claim);

	rig_release(rig, conn, claim, false);
	return told_ms;
}

static void test_counts_waiters(void **state)
{
	struct rig *rig = *state;
	int64_t alone_ms, behind_ms;

	rig_hold(rig, tab(rig), LEASE_BACKGROUND);
	for (enum lease_class cls = LEASE_CHAT; cls < LEASE_BACKGROUND; cls++) {
		uint64_t conn = tab(rig), first;
		alone_ms = told_alone(rig, cls);
		first = rig_wait(rig, conn, cls);
		behind_ms = told_alone(rig, cls);
		assert_in_range(behind_ms, alone_ms + at_share(rig, cls, turn_ms(rig, cls)),
				INT64_MAX);
		rig_release(rig, conn, first, false);
	}
}

static void test_counts_holders(void **state)
{
	struct rig *rig = *state;
	uint64_t a = tab(rig), b = tab(rig), lease;
	int64_t other_ms, own_ms;

	lease = rig_hold(rig, a, LEASE_BACKGROUND);
	other_ms = told_alone(rig, LEASE_CHAT);
	rig_release(rig, a, lease, false);
	rig_hold(rig, b, LEASE_CHAT);
	own_ms = told_alone(rig, LEASE_CHAT);
	assert_in_range(own_ms, other_ms + at_share(rig, LEASE_CHAT, turn_ms(rig, LEASE_CHAT)),
			INT64_MAX);
}

/* A plain request that was lost may come back to its place. */
static void test_counts_lost_places(void **state)
{
	struct rig *rig = *state;
	struct event event = ask(BIND_HTTP, LEASE_CHAT, "page");
	uint64_t conn = 9000;
	int64_t before_ms;

	rig_hold(rig, tab(rig), LEASE_BACKGROUND);
	before_ms = told_alone(rig, LEASE_CHAT);
	event.acquire.request_id = "r1";
	assert_int_not_equal(rig_ask(rig, conn, event), 0);
	rig_close(rig, conn);
	assert_in_range(told_alone(rig, LEASE_CHAT),
			before_ms + at_share(rig, LEASE_CHAT, turn_ms(rig, LEASE_CHAT)), INT64_MAX);
}

/* Its quantum at its share, the credit of voice and one voice after it, and one due turn of each
 * other class. */
static void test_counts_the_others(void **state)
{
	struct rig *rig = *state;
	int64_t least_ms;

	rig_hold(rig, tab(rig), LEASE_BACKGROUND);
	least_ms = at_share(rig, LEASE_CHAT, rig->config.quantum_ms);
	least_ms += rig->config.voice_credit_ms + rig->config.classes[LEASE_VOICE].hold_ms_max;
	least_ms += 3 * (rig->config.quantum_ms + handoff_ms(rig));
	assert_in_range(told_alone(rig, LEASE_CHAT), least_ms, INT64_MAX);
}

/* A class that used more than its share while others waited has to pay that first. */
static void test_counts_debt(void **state)
{
	struct rig *rig = *state;
	uint64_t chat = tab(rig), other = tab(rig), lease, work;
	int64_t fresh_ms, indebted_ms;

	lease = rig_hold(rig, other, LEASE_BACKGROUND);
	fresh_ms = told_alone(rig, LEASE_CHAT);
	rig_release(rig, other, lease, false);
	lease = rig_hold(rig, chat, LEASE_CHAT);
	work = rig_wait(rig, other, LEASE_BACKGROUND);
	for (int i = 0; i < 4; i++) {
		rig_pass(rig, 5000);
		rig_alive(rig, chat);
		rig_alive(rig, other);
	}
	assert_int_equal(rig_state(rig, lease), CLAIM_HELD);
	rig_release(rig, chat, lease, false);
	rig_accept(rig, other, work);
	indebted_ms = told_alone(rig, LEASE_CHAT);
	assert_in_range(indebted_ms, fresh_ms + 5000, INT64_MAX);
}

/* One that cannot be cut short runs its whole turn. */
static void test_counts_firm_holders(void **state)
{
	struct rig *rig = *state;
	uint64_t conn = tab(rig), lease;
	struct event event = ask(BIND_TAB, LEASE_NORMAL, NULL);
	int64_t usual_ms;

	lease = rig_hold(rig, conn, LEASE_NORMAL);
	usual_ms = told_alone(rig, LEASE_CHAT);
	rig_release(rig, conn, lease, false);
	event.acquire.preemptible = false;
	lease = rig_ask(rig, conn, event);
	rig_accept(rig, conn, lease);
	assert_in_range(told_alone(rig, LEASE_CHAT), usual_ms + 10000, INT64_MAX);
	assert_in_range(told_alone(rig, LEASE_VOICE), rig->config.classes[LEASE_NORMAL].hold_ms_max,
			INT64_MAX);
}

/* Also voice may find a class that is due before it. */
static void test_voice_behind_a_due_turn(void **state)
{
	struct rig *rig = *state;

	rig_hold(rig, tab(rig), LEASE_BACKGROUND);
	assert_in_range(told_alone(rig, LEASE_VOICE),
			rig->config.min_run_ms + handoff_ms(rig) + rig->config.quantum_ms,
			INT64_MAX);
}

static void test_why_nothing_is_told(void **state)
{
	struct rig *rig = *state;
	struct event event = ask(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t a, b, claim;

	rig_gpus(rig, 2, 1, 24 * GIB);
	rig_configure(rig);
	a = rig_session(rig, BIND_NATIVE, "a");
	b = rig_session(rig, BIND_NATIVE, "b");
	rig_hold(rig, a, LEASE_CHAT);
	rig_hold(rig, a, LEASE_CHAT);
	event.acquire.need = (struct need){.vram_bytes = GIB, .slots = 1, .gpu_count = 1};
	assert_int_equal(why_none(rig, rig_ask(rig, b, event)), BOUND_MEMORY);
	event.acquire.ref = 0;
	event.acquire.need = (struct need){.slots = 1, .gpu_count = 2};
	assert_int_equal(why_none(rig, rig_ask(rig, b, event)), BOUND_SET);
	event.acquire.ref = 0;
	event.acquire.need = (struct need){.slots = 1, .gpu_count = 1};
	assert_int_equal(why_none(rig, rig_ask(rig, b, event)), BOUND_OWN);
	event.acquire.ref = 0;
	claim = rig_ask(rig, rig_session(rig, BIND_NATIVE, "c"), event);
	assert_in_range(told(rig, claim), 1, INT64_MAX);
	rig_gpus(rig, 1, 1, 24 * GIB);
	rig->config.gpus[0].slots = 1;
	rig_configure(rig);
	assert_int_equal(why_none(rig, claim), BOUND_GIVEN);
}

/* Beside what nobody can evict a model does not fit: nothing can be said. */
static void test_blocked_is_told_nothing(void **state)
{
	struct rig *rig = *state;
	struct event event = ask(BIND_NATIVE, LEASE_CHAT, NULL);
	uint64_t a, b, lease;

	rig_gpus(rig, 1, 1, 24 * GIB);
	rig_configure(rig);
	a = rig_session(rig, BIND_NATIVE, "a");
	b = rig_session(rig, BIND_NATIVE, "b");
	event.acquire.need = (struct need){.vram_bytes = 10 * GIB, .gpu_count = 1};
	lease = rig_ask(rig, a, event);
	rig_accept(rig, a, lease);
	event.acquire.ref = 0;
	event.acquire.need = (struct need){.vram_bytes = 20 * GIB, .slots = 1, .gpu_count = 1};
	assert_int_equal(why_none(rig, rig_ask(rig, b, event)), BOUND_BLOCKED);
}

/* Asking again for the same request tells what was told, less the time; not what would be told now.
 */
static void test_told_once(void **state)
{
	struct rig *rig = *state;
	struct event event = ask(BIND_HTTP, LEASE_CHAT, "page");
	uint64_t claim;
	int64_t first_ms;

	rig_hold(rig, tab(rig), LEASE_BACKGROUND);
	event.acquire.request_id = "first";
	claim = rig_ask(rig, 9000, event);
	first_ms = told(rig, claim);
	event.acquire.ref = 0;
	event.acquire.request_id = "second";
	assert_int_not_equal(rig_ask(rig, 9001, event), 0);
	rig_close(rig, 9001);
	event.acquire.ref = 0;
	event.acquire.request_id = "first";
	assert_int_equal(rig_ask(rig, 9002, event), claim);
	assert_int_equal(told(rig, claim), first_ms);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_counts_waiters),
		TEST(test_counts_holders),
		TEST(test_counts_lost_places),
		TEST(test_counts_the_others),
		TEST(test_counts_debt),
		TEST(test_counts_firm_holders),
		TEST(test_voice_behind_a_due_turn),
		TEST(test_why_nothing_is_told),
		TEST(test_blocked_is_told_nothing),
		TEST(test_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
