/* Goal: a wait is counted at its grant and a hold at its end, once each, by class. Method: the
 * traces of whole lives of claims, among traces that are none of these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/trace.h"
#include "server/monitor/tally.h"

static void moved(struct tally *tally, enum lease_class cls, enum claim_state from,
		  enum claim_state to)
{
	struct trace_effect effect = {0};
	effect.claim = 7;
	effect.cls = cls;
	effect.from = from;
	effect.to = to;
	effect.waited_ms = 3000;
	effect.held_ms = 12000;
	tally_trace(tally, &effect);
}

static uint64_t count(const struct histogram *histogram)
{
	uint64_t all = 0;
	for (size_t i = 0; i <= HISTOGRAM_LIMITS; i++)
		all += histogram->counts[i];
	return all;
}

/* Queued, offered, held, asked, back to the queue, held again, released: two waits, two holds. */
static void test_life(void **state)
{
	struct tally tally = {0};
	(void)state;
	static const enum claim_state life[] = {CLAIM_QUEUED,   CLAIM_OFFERED, CLAIM_HELD,
						CLAIM_YIELDING, CLAIM_QUEUED,  CLAIM_OFFERED,
						CLAIM_HELD,     CLAIM_ENDED};
	moved(&tally, LEASE_CHAT, CLAIM_QUEUED, CLAIM_QUEUED);
	for (size_t i = 1; i < sizeof(life) / sizeof(*life); i++) {
		moved(&tally, LEASE_CHAT, life[i - 1], life[i]);
		moved(&tally, LEASE_CHAT, life[i], life[i]); /* attached, lent, changed, .. */
	}
	assert_int_equal(count(&tally.waits[LEASE_CHAT]), 2);
	assert_int_equal(count(&tally.holds[LEASE_CHAT]), 2);
	assert_int_equal(tally.waits[LEASE_CHAT].sum_ms, 6000);
	assert_int_equal(tally.holds[LEASE_CHAT].sum_ms, 24000);
	assert_int_equal(count(&tally.waits[LEASE_VOICE]), 0);
}

/* Who never held has held for no time at all, and the broker's own events are of no class. */
static void test_never_granted(void **state)
{
	struct tally tally = {0};
	struct trace_effect broker = {0};
	(void)state;
	moved(&tally, LEASE_VOICE, CLAIM_QUEUED, CLAIM_ENDED);
	moved(&tally, LEASE_VOICE, CLAIM_OFFERED, CLAIM_ENDED);
	moved(&tally, LEASE_VOICE, CLAIM_OFFERED, CLAIM_QUEUED);
	broker.to = CLAIM_HELD;
	tally_trace(&tally, &broker);
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		assert_int_equal(count(&tally.waits[cls]), 0);
		assert_int_equal(count(&tally.holds[cls]), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_never_granted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
