/* Goal: of a turn only what must be written is left. Method: adds records and looks at the queue.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "journal_model.h"
#include "store/pending.h"

static int setup(void **state)
{
	static struct pending p;
	*state = &p;
	return pending_init(&p);
}

static int teardown(void **state)
{
	pending_finish(*state);
	return 0;
}

static void add(struct pending *p, struct record record)
{
	assert_int_equal(pending_add(p, &record), 0);
}

static size_t kept(const struct pending *p)
{
	return p->count - p->dropped_count;
}

static const struct record *decoded(const struct pending *p, size_t i)
{
	static struct record record;
	pending_record(p, i, &record);
	return &record;
}

/* The k-th entry that is to be written; good until the next. */
static const struct record *at(const struct pending *p, size_t k)
{
	for (size_t i = 0; i < p->count; i++)
		if (!p->v[i].dropped && k-- == 0)
			return decoded(p, i);
	return NULL;
}

/* Of several puts of one id the newest is written, and claim 1 is not session 1. */
static void test_newest_put_wins(void **state)
{
	struct pending *p = *state;
	assert_true(pending_is_empty(p));
	for (int mark = 0; mark < 5; mark++)
		add(p, model_claim(1, mark));
	add(p, model_session(1));
	assert_int_equal(kept(p), 2);
	assert_int_equal(at(p, 0)->claim.used_ms, 4);
	assert_int_equal(at(p, 1)->type, RECORD_SESSION_PUT);
	assert_false(pending_is_empty(p));
}

/* A claim that comes and ends within a turn is one row of history; ends keep their order. */
static void test_end_replaces_put(void **state)
{
	struct pending *p = *state;
	add(p, model_claim(1, 0));
	add(p, model_claim(2, 0));
	add(p, model_claim_end(2, 1));
	add(p, model_claim_end(1, 2));
	assert_int_equal(kept(p), 2);
	assert_int_equal(at(p, 0)->claim.id, 2);
	assert_int_equal(at(p, 1)->claim.id, 1);
	assert_int_equal(at(p, 1)->type, RECORD_CLAIM_END);
}

/* A session that comes and goes within a turn leaves nothing; one on disk is deleted. */
static void test_session_end(void **state)
{
	struct pending *p = *state;
	add(p, model_session(1));
	add(p, model_session_end(1));
	assert_true(pending_is_empty(p));
	add(p, model_session(2));
	pending_clear(p);
	add(p, model_session_end(2));
	assert_int_equal(kept(p), 1);
	add(p, model_session_end(1)); /* below what was written: cannot be known, so deleted */
	assert_int_equal(kept(p), 2);
}

/* Fence and pause keep only their newest. */
static void test_single_values(void **state)
{
	struct pending *p = *state;
	add(p, model_fence(1000));
	add(p, model_fence(2000));
	struct record paused = model_audit("pause");
	paused.type = RECORD_PAUSED;
	paused.admin.paused = true;
	add(p, paused);
	paused.admin.paused = false;
	add(p, paused);
	assert_int_equal(p->fence_max, 2000);
	assert_true(p->paused_set && !p->paused.admin.paused);
	assert_int_equal(kept(p), 0);
	pending_clear(p);
	assert_true(pending_is_empty(p));
}

/* Thousands of ids are found again through growth, compaction and clearing. */
static void test_many(void **state)
{
	struct pending *p = *state;
	for (int round = 0; round < 3; round++) {
		uint64_t first = (uint64_t)round * 5000 + 1;
		for (uint64_t id = first; id < first + 5000; id++)
			add(p, model_claim(id, 0));
		for (uint64_t id = first; id < first + 5000; id++)
			add(p, model_claim(id, 1));
		assert_int_equal(kept(p), 5000);
		for (uint64_t id = first; id < first + 4000; id++)
			add(p, model_claim_end(id, 2));
		assert_int_equal(kept(p), 5000);
		assert_int_equal(at(p, 0)->claim.id, first + 4000);
		pending_clear(p);
		assert_int_equal(p->claim_id_written, first + 4999);
	}
	/* After a small turn only the used slots are cleared. */
	add(p, model_claim(20000, 0));
	pending_clear(p);
	for (size_t i = 0; i < p->slot_count; i++)
		assert_int_equal(p->slots[i], 0);
}

/* While nothing can be written, memory is bounded: old history goes, deletes of rows stay. */
static void test_bounded_while_full(void **state)
{
	struct pending *p = *state;
	add(p, model_claim(1, 0));
	pending_clear(p);
	add(p, model_claim_end(1, 0));
	for (uint64_t id = 2; id < 10 * PENDING_ENDED_MAX; id++) {
		add(p, model_claim(id, 0));
		add(p, model_claim_end(id, 1));
	}
	assert_in_range(p->ended_count, PENDING_ENDED_MAX / 2, PENDING_ENDED_MAX);
	assert_in_range(p->capacity, 0, 4 * PENDING_ENDED_MAX);
	assert_int_equal(at(p, 0)->claim.id, 1);
	assert_int_equal(at(p, kept(p) - 1)->claim.id, 10 * PENDING_ENDED_MAX - 1);
}

/* A crowd whose rows are all on disk ends in one turn: each end must delete its row, so none is
 * dropped, and none costs a look at the others: with one this test would take minutes. The memory
 * is given back with the turn. */
static void test_crowd_ends(void **state)
{
	struct pending *p = *state;
	const uint64_t crowd = 20 * PENDING_ENDED_MAX;
	p->claim_id_written = crowd;
	for (uint64_t id = 1; id <= crowd; id++)
		add(p, model_claim_end(id, 1));
	assert_int_equal(kept(p), crowd);
	assert_int_equal(p->ended_count, crowd);
	assert_int_equal(p->spare_count, 0);
	pending_clear(p);
	assert_in_range(p->capacity, 1, PENDING_ENDED_MAX);
	add(p, model_claim(crowd + 1, 0));
	assert_int_equal(kept(p), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_newest_put_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_replaces_put, setup, teardown),
		cmocka_unit_test_setup_teardown(test_session_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_single_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded_while_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crowd_ends, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
