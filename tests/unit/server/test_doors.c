/* Goal: doors are found by their number, kept by kind and counted by browser. Method: many, opened,
 * turned and shut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/doors.h"

/* A door is found until it shuts; the oldest of a kind is first. */
static void test_find(void **state)
{
	(void)state;
	struct doors doors;
	doors_init(&doors, NULL);
	for (uint64_t conn = 1; conn <= 5000; conn++)
		door_open(&doors, conn, DOOR_REQUEST, conn % 2 ? "http://a" : NULL);
	assert_int_equal(doors.counts[DOOR_REQUEST], 5000);
	assert_int_equal(door_oldest(&doors, DOOR_REQUEST)->conn, 1);
	door_turn(&doors, door_of(&doors, 1), DOOR_ANSWERED);
	assert_int_equal(door_oldest(&doors, DOOR_REQUEST)->conn, 2);
	assert_int_equal(door_oldest(&doors, DOOR_ANSWERED)->conn, 1);
	assert_string_equal(door_of(&doors, 3)->origin, "http://a");
	door_shut(&doors, door_of(&doors, 3));
	assert_null(door_of(&doors, 3));
	door_shut(&doors, NULL);
	assert_null(door_oldest(&doors, DOOR_FEED));
	assert_int_equal(doors.counts[DOOR_REQUEST], 4998);
	doors_finish(&doors);
}

/* The fifth parked request of one browser is one too many; other browsers and origins are not
 * concerned, and a place that is left counts no more (P23). */
static void test_browsers(void **state)
{
	(void)state;
	struct doors doors;
	doors_init(&doors, NULL);
	for (uint64_t conn = 1; conn <= LIMIT_WAITING_PER_BROWSER; conn++)
		assert_true(door_count_browser(&doors,
					       door_open(&doors, conn, DOOR_REQUEST, "http://a"),
					       "http://a", "Firefox"));
	struct door *fifth = door_open(&doors, 9, DOOR_REQUEST, NULL);
	assert_false(door_count_browser(&doors, fifth, "http://a", "Firefox"));
	assert_int_equal(fifth->browser_key, 0);
	assert_true(door_count_browser(&doors, door_open(&doors, 10, DOOR_REQUEST, NULL),
				       "http://a", NULL));
	assert_true(door_count_browser(&doors, door_open(&doors, 11, DOOR_REQUEST, NULL),
				       "http://b", "Firefox"));
	door_turn(&doors, door_of(&doors, 1), DOOR_ANSWERED);
	assert_true(door_count_browser(&doors, fifth, "http://a", "Firefox"));
	door_shut(&doors, door_of(&doors, 2));
	assert_true(door_count_browser(&doors, door_open(&doors, 12, DOOR_REQUEST, NULL),
				       "http://a", "Firefox"));
	doors_finish(&doors);
}

static void open_session(struct doors *doors, uint64_t conn)
{
	door_open(doors, conn, DOOR_SESSION, NULL)->session =
		calloc(1, sizeof(struct door_session));
	assert_non_null(door_of(doors, conn)->session);
	door_of(doors, conn)->session->pidfd = -1;
}

/* A session is remembered as long as a lease of it was revoked and not released; being told twice
 * is one lease, a release of something else is none, and more than it remembers does not end it. */
static void test_unconfirmed(void **state)
{
	(void)state;
	struct doors doors;
	doors_init(&doors, NULL);
	open_session(&doors, 1);
	struct door *door = door_of(&doors, 1);
	door_revoked(door, 7);
	door_revoked(door, 7);
	assert_int_equal(door->session->unconfirmed_count, 1);
	door_released(door, 8);
	assert_int_equal(door->session->unconfirmed_count, 1);
	door_released(door, 7);
	assert_int_equal(door->session->unconfirmed_count, 0);
	for (uint64_t lease = 1; lease <= DOOR_UNCONFIRMED_MAX + 5; lease++)
		door_revoked(door, lease);
	assert_int_equal(door->session->unconfirmed_count, DOOR_UNCONFIRMED_MAX);
	assert_int_equal(door->session->unconfirmed[0], 6);
	for (uint64_t lease = 1; lease < DOOR_UNCONFIRMED_MAX + 5; lease++)
		door_released(door, lease);
	assert_int_equal(door->session->unconfirmed_count, 1);
	doors_finish(&doors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_browsers),
		cmocka_unit_test(test_unconfirmed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
