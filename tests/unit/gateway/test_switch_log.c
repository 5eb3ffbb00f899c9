/* Goal: what is remembered of switches is what happened, of the newest ones, in a bounded room.
 * Method: the log is told of models that come and leave at times that the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/switch_log.h"

static const struct switch_cause editor = {"editor", "key:a", LEASE_CHAT};
static const struct switch_cause mic = {"mic", "key:b", LEASE_VOICE};
static struct switch_log switches;

static struct mono_ms at(int64_t ms)
{
	return (struct mono_ms){1000 * 1000 + ms};
}

static int set_up(void **state)
{
	(void)state;
	memset(&switches, 0, sizeof(switches));
	return 0;
}

static uint64_t begin(const char *model, int64_t ms)
{
	return switch_log_begin(&switches, model, "server", &editor, at(ms), (struct wall_ms){ms});
}

static const struct switch_entry *newest(void)
{
	return switch_log_before(&switches, NULL);
}

static void test_what_one_cost(void **state)
{
	uint64_t number = begin("new", 0);
	const struct switch_entry *entry = newest();
	(void)state;

	assert_int_equal(entry->stage, SWITCH_WAITING);
	assert_int_equal(entry->waited_ms, -1);
	switch_log_claim(&switches, number, 7);
	switch_log_leaves(&switches, 7, "old", "server", at(10));
	switch_log_leaves(&switches, 7, "other", "server", at(20));
	switch_log_gone(&switches, "old", "server", at(510));
	assert_int_equal(entry->left[1].took_ms, -1);
	switch_log_gone(&switches, "other", "server", at(620));
	switch_log_load(&switches, number, 1 << 2, at(700));
	assert_int_equal(entry->stage, SWITCH_LOADING);
	assert_int_equal(entry->load_ms, -1);
	switch_log_end(&switches, number, SWITCH_READY, at(3700));

	assert_ptr_equal(entry, newest());
	assert_int_equal(entry->stage, SWITCH_READY);
	assert_string_equal(entry->model.name, "new");
	assert_string_equal(entry->client, "editor");
	assert_string_equal(entry->principal, "key:a");
	assert_int_equal(entry->cls, LEASE_CHAT);
	assert_int_equal(entry->gpus, 1 << 2);
	assert_int_equal(entry->waited_ms, 700);
	assert_int_equal(entry->load_ms, 3000);
	assert_int_equal(entry->left_count, 2);
	assert_string_equal(entry->left[0].model.name, "old");
	assert_int_equal(entry->left[0].took_ms, 500);
	assert_int_equal(entry->left[1].took_ms, 600);
	assert_null(switch_log_before(&switches, entry));
}

/* It left for somebody else, stayed after all, or left for another one in the end. */
static void test_who_leaves_for_whom(void **state)
{
	uint64_t first = begin("first", 0), second = begin("second", 1);
	(void)state;

	switch_log_claim(&switches, first, 7);
	switch_log_claim(&switches, second, 8);
	switch_log_leaves(&switches, 99, "old", "server", at(10));
	switch_log_leaves(&switches, 0, "old", "server", at(10));
	switch_log_leaves(&switches, 7, "old", "server", at(20));
	switch_log_stays(&switches, "old", "server");
	assert_int_equal(switch_log_find(&switches, first)->left_count, 0);

	switch_log_leaves(&switches, 7, "old", "server", at(30));
	switch_log_leaves(&switches, 8, "old", "server", at(40));
	switch_log_gone(&switches, "old", "elsewhere", at(45));
	switch_log_gone(&switches, "old", "server", at(50));
	assert_int_equal(switch_log_find(&switches, first)->left_count, 0);
	assert_int_equal(switch_log_find(&switches, second)->left_count, 1);
	assert_int_equal(switch_log_find(&switches, second)->left[0].took_ms, 10);

	switch_log_gone(&switches, "old", "server", at(90)); /* that is over */
	assert_int_equal(switch_log_find(&switches, second)->left[0].took_ms, 10);
	for (unsigned i = 0; i < 2 * SWITCH_LEFT_COUNT; i++) {
		char name[16];
		snprintf(name, sizeof(name), "m%u", i);
		switch_log_leaves(&switches, 8, name, "server", at(60));
	}
	assert_int_equal(switch_log_find(&switches, second)->left_count, SWITCH_LEFT_COUNT);
}

/* Somebody of a higher class asks for all: it is that one's, and the wait is as long as it was. */
static void test_a_higher_class_takes_over(void **state)
{
	uint64_t number = begin("new", 0);
	const struct switch_entry *entry = newest();
	(void)state;

	switch_log_claim(&switches, number, 7);
	switch_log_leaves(&switches, 7, "old", "server", at(5));
	switch_log_blame(&switches, number, &mic);
	switch_log_leaves(&switches, 7, "late", "server", at(6)); /* that claim is no more */
	switch_log_claim(&switches, number, 8);
	switch_log_gone(&switches, "old", "server", at(15));
	switch_log_load(&switches, number, 1, at(100));
	switch_log_blame(&switches, 99, &editor);

	assert_string_equal(entry->client, "mic");
	assert_string_equal(entry->principal, "key:b");
	assert_int_equal(entry->cls, LEASE_VOICE);
	assert_int_equal(entry->waited_ms, 100);
	assert_int_equal(entry->left_count, 1);
	assert_int_equal(entry->left[0].took_ms, 10);
}

static void test_how_one_ends(void **state)
{
	uint64_t given_up = begin("given up", 0), failed = begin("failed", 1);
	(void)state;

	switch_log_end(&switches, given_up, SWITCH_BROKEN_OFF, at(2)); /* nothing was loaded */
	assert_null(switch_log_find(&switches, given_up));
	switch_log_load(&switches, failed, 1, at(3));
	switch_log_end(&switches, failed, SWITCH_FAILED, at(8));
	switch_log_end(&switches, failed, SWITCH_BROKEN_OFF, at(9));
	switch_log_load(&switches, failed, 1, at(9));
	assert_int_equal(newest()->stage, SWITCH_FAILED);
	assert_int_equal(newest()->load_ms, 5);
	assert_null(switch_log_find(&switches, 0));
	assert_null(switch_log_before(&switches, newest()));
	for (int stage = SWITCH_NONE; stage <= SWITCH_BROKEN_OFF; stage++)
		assert_non_null(switch_stage_name(stage));
}

/* The oldest goes; one that is under way goes after all that are over. */
static void test_the_newest_are_kept(void **state)
{
	uint64_t slow = begin("slow", 0), number = 0;
	unsigned count = 0;
	(void)state;

	for (unsigned i = 1; i < 3 * SWITCH_COUNT; i++) {
		number = begin("quick", i);
		switch_log_load(&switches, number, 1, at(i));
		switch_log_end(&switches, number, SWITCH_READY, at(i));
	}
	assert_int_equal(newest()->number, number);
	assert_non_null(switch_log_find(&switches, slow));
	for (const struct switch_entry *it = newest(); it; it = switch_log_before(&switches, it)) {
		assert_int_equal(it->number, count < SWITCH_COUNT - 1 ? number - count : slow);
		count++;
	}
	assert_int_equal(count, SWITCH_COUNT);

	for (unsigned i = 0; i < SWITCH_COUNT; i++)
		number = begin("waits", i);
	assert_null(switch_log_find(&switches, slow));
	switch_log_load(&switches, slow, 1, at(0));
	switch_log_end(&switches, slow, SWITCH_READY, at(0));
	assert_int_equal(newest()->number, number);
}

static void test_long_names_are_cut_between_characters(void **state)
{
	char name[2 * JSON_SCAN_MODEL_BYTES] = "x";
	const struct switch_entry *entry;
	(void)state;

	for (size_t i = 1; i + 2 < sizeof(name); i += 2)
		memcpy(name + i, "\u00e9", 3);
	begin(name, 0);
	entry = newest();
	assert_int_equal(strlen(entry->model.name), JSON_SCAN_MODEL_BYTES - 1);
	begin(name + 1, 0);
	assert_int_equal(strlen(newest()->model.name), JSON_SCAN_MODEL_BYTES - 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_what_one_cost, set_up),
		cmocka_unit_test_setup(test_who_leaves_for_whom, set_up),
		cmocka_unit_test_setup(test_a_higher_class_takes_over, set_up),
		cmocka_unit_test_setup(test_how_one_ends, set_up),
		cmocka_unit_test_setup(test_the_newest_are_kept, set_up),
		cmocka_unit_test_setup(test_long_names_are_cut_between_characters, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
