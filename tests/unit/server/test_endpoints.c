/* Goal: endpoints are found by their number, kept by kind and counted by browser. Method: many,
 * opened, turned and shut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/endpoints.h"

/* A endpoint is found until it shuts; the oldest of a kind is first. */
static void test_find(void **state)
{
	(void)state;
	struct endpoints endpoints;
	endpoints_init(&endpoints, NULL);
	for (uint64_t conn = 1; conn <= 5000; conn++)
		endpoint_open(&endpoints, conn, ENDPOINT_REQUEST, conn % 2 ? "http://a" : NULL);
	assert_int_equal(endpoints.counts[ENDPOINT_REQUEST], 5000);
	assert_int_equal(endpoint_oldest(&endpoints, ENDPOINT_REQUEST)->conn, 1);
	endpoint_turn(&endpoints, endpoint_of(&endpoints, 1), ENDPOINT_ANSWERED);
	assert_int_equal(endpoint_oldest(&endpoints, ENDPOINT_REQUEST)->conn, 2);
	assert_int_equal(endpoint_oldest(&endpoints, ENDPOINT_ANSWERED)->conn, 1);
	assert_string_equal(endpoint_of(&endpoints, 3)->origin, "http://a");
	endpoint_shut(&endpoints, endpoint_of(&endpoints, 3));
	assert_null(endpoint_of(&endpoints, 3));
	endpoint_shut(&endpoints, NULL);
	assert_null(endpoint_oldest(&endpoints, ENDPOINT_FEED));
	assert_int_equal(endpoints.counts[ENDPOINT_REQUEST], 4998);
	endpoints_finish(&endpoints);
}

/* The fifth parked request of one browser is one too many; other browsers and origins are not
 * concerned, and a place that is left counts no more (P23). */
static void test_browsers(void **state)
{
	(void)state;
	struct endpoints endpoints;
	endpoints_init(&endpoints, NULL);
	for (uint64_t conn = 1; conn <= LIMIT_WAITING_PER_BROWSER; conn++)
		assert_true(endpoint_count_browser(
			&endpoints, endpoint_open(&endpoints, conn, ENDPOINT_REQUEST, "http://a"),
			"http://a", "Firefox"));
	struct endpoint *fifth = endpoint_open(&endpoints, 9, ENDPOINT_REQUEST, NULL);
	assert_false(endpoint_count_browser(&endpoints, fifth, "http://a", "Firefox"));
	assert_int_equal(fifth->browser_key, 0);
	assert_true(endpoint_count_browser(&endpoints,
					   endpoint_open(&endpoints, 10, ENDPOINT_REQUEST, NULL),
					   "http://a", NULL));
	assert_true(endpoint_count_browser(&endpoints,
					   endpoint_open(&endpoints, 11, ENDPOINT_REQUEST, NULL),
					   "http://b", "Firefox"));
	endpoint_turn(&endpoints, endpoint_of(&endpoints, 1), ENDPOINT_ANSWERED);
	assert_true(endpoint_count_browser(&endpoints, fifth, "http://a", "Firefox"));
	endpoint_shut(&endpoints, endpoint_of(&endpoints, 2));
	assert_true(endpoint_count_browser(&endpoints,
					   endpoint_open(&endpoints, 12, ENDPOINT_REQUEST, NULL),
					   "http://a", "Firefox"));
	endpoints_finish(&endpoints);
}

static void open_session(struct endpoints *endpoints, uint64_t conn)
{
	endpoint_open(endpoints, conn, ENDPOINT_SESSION, NULL)->session =
		calloc(1, sizeof(struct endpoint_session));
	assert_non_null(endpoint_of(endpoints, conn)->session);
	endpoint_of(endpoints, conn)->session->pidfd = -1;
}

/* A session is remembered as long as a lease of it was revoked and not released; being told twice
 * is one lease, a release of something else is none, and more than it remembers does not end it. */
static void test_unconfirmed(void **state)
{
	(void)state;
	struct endpoints endpoints;
	endpoints_init(&endpoints, NULL);
	open_session(&endpoints, 1);
	struct endpoint *endpoint = endpoint_of(&endpoints, 1);
	endpoint_revoked(endpoint, 7);
	endpoint_revoked(endpoint, 7);
	assert_int_equal(endpoint->session->unconfirmed_count, 1);
	endpoint_released(endpoint, 8);
	assert_int_equal(endpoint->session->unconfirmed_count, 1);
	endpoint_released(endpoint, 7);
	assert_int_equal(endpoint->session->unconfirmed_count, 0);
	for (uint64_t lease = 1; lease <= ENDPOINT_UNCONFIRMED_MAX + 5; lease++)
		endpoint_revoked(endpoint, lease);
	assert_int_equal(endpoint->session->unconfirmed_count, ENDPOINT_UNCONFIRMED_MAX);
	assert_int_equal(endpoint->session->unconfirmed[0], 6);
	for (uint64_t lease = 1; lease < ENDPOINT_UNCONFIRMED_MAX + 5; lease++)
		endpoint_released(endpoint, lease);
	assert_int_equal(endpoint->session->unconfirmed_count, 1);
	endpoints_finish(&endpoints);
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
