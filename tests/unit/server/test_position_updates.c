/* Goal: a waiter is told within a second when its place changed, not much oftener, and thousands
 * are looked at in small steps. Method: a core of the test's own that answers positions from an
 * array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/party.h"
#include "core/send.h"
#include "core/view.h"
#include "server/monitor/position_updates.h"
#include "server/queued_event.h"

enum { CLAIMS = 1000 };
static int64_t positions[CLAIMS];
static struct mono_ms promises[CLAIMS];
static unsigned told, told_claim[CLAIMS];

int64_t core_position(const struct core *core, uint64_t claim_id)
{
	(void)core;
	return positions[claim_id];
}

struct mono_ms core_promise(const struct core *core, uint64_t claim_id)
{
	(void)core;
	return promises[claim_id];
}

/* Watched by connection id + 7, as `tell` checks. */
static void watch(struct position_updates *updates, uint64_t claim, int64_t position, int64_t now)
{
	struct position_updates_told said = {position, promises[claim]};
	position_updates_watch(updates, claim, party_of(PARTY_SESSION, claim + 7), 1, said,
			       (struct mono_ms){now});
}

static void tell(void *ctx, struct party to, const struct send_effect *queued)
{
	(void)ctx;
	assert_int_equal(queued->msg, SEND_QUEUED);
	assert_int_equal(to.kind, PARTY_SESSION);
	assert_int_equal(to.id, queued->lease + 7);
	told++;
	told_claim[queued->lease]++;
}

static int set_up(void **state)
{
	struct position_updates *updates = calloc(1, sizeof *updates);
	position_updates_init(updates);
	told = 0;
	for (int i = 0; i < CLAIMS; i++) {
		positions[i] = i;
		promises[i] = (struct mono_ms){90000 + i};
		told_claim[i] = 0;
	}
	*state = updates;
	return 0;
}

static int tear_down(void **state)
{
	position_updates_finish(*state);
	free(*state);
	return 0;
}

static void step_at(struct position_updates *updates, int64_t now)
{
	position_updates_step(updates, NULL, (struct mono_ms){now}, tell, NULL);
}

/* Nothing changed: nothing is told and nothing is due. */
static void test_quiet(void **state)
{
	struct position_updates *updates = *state;
	const struct mono_ms now = {5000};
	assert_true(position_updates_wake(updates, now).v == INT64_MAX);
	watch(updates, 3, 3, now.v);
	assert_true(position_updates_wake(updates, now).v == INT64_MAX);
	updates->dirty = true;
	step_at(updates, 9000);
	assert_int_equal(told, 0);
	assert_true(position_updates_wake(updates, (struct mono_ms){9000}).v == INT64_MAX);
}

/* What was guaranteed is another now, at the same place: a new configuration, or a pause is over.
 */
static void test_promise(void **state)
{
	struct position_updates *updates = *state;
	watch(updates, 3, 3, 5000);
	promises[3] = MONO_NEVER;
	updates->dirty = true;
	step_at(updates, 5000 + POSITION_UPDATES_INTERVAL_MS);
	assert_int_equal(told, 1);
	updates->dirty = true;
	step_at(updates, 9000);
	assert_int_equal(told, 1);
	promises[3] = (struct mono_ms){120000};
	updates->dirty = true;
	step_at(updates, 10000);
	assert_int_equal(told, 2);
}

/* A claim is told once in the interval at most, and no change is lost. */
static void test_rate(void **state)
{
	struct position_updates *updates = *state;
	watch(updates, 3, 3, 5000);
	positions[3] = 2;
	updates->dirty = true;
	step_at(updates, 5500);
	assert_int_equal(told, 0); /* told its place half a second ago */
	assert_int_equal(position_updates_wake(updates, (struct mono_ms){5500}).v,
			 5500 + POSITION_UPDATES_SWEEP_MS);
	step_at(updates, 5500 + POSITION_UPDATES_SWEEP_MS - 1);
	step_at(updates, 5000 + POSITION_UPDATES_INTERVAL_MS);
	assert_int_equal(told, 1);
	positions[3] = 1;
	updates->dirty = true;
	step_at(updates, 6000);
	assert_int_equal(told, 1);
	step_at(updates, 5000 + 2 * POSITION_UPDATES_INTERVAL_MS);
	assert_int_equal(told, 2);
}

/* Whenever a place changes, its claim knows within a second: also when the claim was told just
 * before, and when the sweep has just passed by for another's sake. */
static void test_within_a_second(void **state)
{
	struct position_updates *updates = *state;
	for (int64_t change = 1; change <= POSITION_UPDATES_INTERVAL_MS; change += 7) {
		const int64_t start = 10000 * change;
		told = 0;
		watch(updates, 3, positions[3], start);
		updates->dirty = true;
		step_at(updates, start + change - 1); /* another's change */
		positions[3]++;
		updates->dirty = true;
		int64_t now = start + change;
		for (step_at(updates, now); told == 0; step_at(updates, now))
			now = position_updates_wake(updates, (struct mono_ms){now}).v;
		assert_true(now - (start + change) < 1000);
		assert_int_equal(told, 1);
		position_updates_forget(updates, 3);
		step_at(updates, now + 1000);
	}
}

/* Who came back with a waiting claim has heard no place yet: it is told, though nothing changed. */
static void test_untold(void **state)
{
	struct position_updates *updates = *state;
	struct mono_ms now = {5000};
	watch(updates, 3, POSITION_UPDATES_UNTOLD, now.v);
	for (step_at(updates, now.v); told == 0; step_at(updates, now.v))
		now = position_updates_wake(updates, now);
	assert_true(now.v - 5000 < 1000);
	assert_int_equal(told_claim[3], 1);
	step_at(updates, now.v + 1000);
	assert_int_equal(told, 1);
}

/* A claim that no longer waits is forgotten; forgetting twice does no harm. */
static void test_forget(void **state)
{
	struct position_updates *updates = *state;
	watch(updates, 3, 3, 0);
	watch(updates, 4, 4, 0);
	positions[3] = -1;
	updates->dirty = true;
	step_at(updates, 9000);
	assert_int_equal(updates->by_claim.count, 1);
	position_updates_forget(updates, 3);
	position_updates_forget(updates, 4);
	position_updates_forget(updates, 4);
	assert_int_equal(updates->by_claim.count, 0);
}

/* A sweep goes through all in steps, also when claims go away in its middle. */
static void test_steps(void **state)
{
	struct position_updates *updates = *state;
	unsigned steps = 0;
	for (unsigned i = 0; i < CLAIMS; i++) {
		watch(updates, i, positions[i], 0);
		positions[i]++;
	}
	updates->dirty = true;
	const struct mono_ms now = {9000};
	while (position_updates_wake(updates, now).v == now.v) {
		unsigned before = told;
		step_at(updates, now.v);
		assert_true(told - before <= POSITION_UPDATES_PER_TURN);
		if (steps++ == 2)
			for (unsigned i = 300; i < 600; i++)
				position_updates_forget(updates, i);
	}
	assert_true(steps >= (CLAIMS - 300) / POSITION_UPDATES_PER_TURN);
	for (unsigned i = 0; i < CLAIMS; i++)
		if (i < 300 || i >= 600)
			assert_int_equal(told_claim[i], 1);
}

/* What a message said of a place is not said again; a grant ends it. */
static void test_what_was_sent_is_known(void **state)
{
	struct position_updates *updates = *state;
	const struct party to = party_of(PARTY_SESSION, 5 + 7);
	struct send_effect send = {.msg = SEND_QUEUED, .lease = 5};
	struct mono_ms now = {1000};

	position_updates_sent(updates, NULL, to, &send, POSITION_UPDATES_UNTOLD, now);
	assert_true(list_empty(&updates->all)); /* granted before it was written */
	position_updates_sent(updates, NULL, to, &send, positions[5], now);
	updates->dirty = true;
	now = mono_after(now, 1000);
	position_updates_step(updates, NULL, now, tell, NULL);
	assert_int_equal(told, 0);

	send.msg = SEND_CLAIM; /* it came back, and waits */
	send.state = CLAIM_QUEUED;
	position_updates_sent(updates, NULL, to, &send, POSITION_UPDATES_UNTOLD, now);
	now = mono_after(now, 1000);
	position_updates_step(updates, NULL, now, tell, NULL);
	assert_int_equal(told_claim[5], 1);

	send.msg = SEND_GRANTED;
	position_updates_sent(updates, NULL, to, &send, POSITION_UPDATES_UNTOLD, now);
	assert_true(list_empty(&updates->all));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_quiet, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_promise, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_within_a_second, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_untold, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forget, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_steps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_was_sent_is_known, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
