/* Goal: who asks to queue is bounded, forgotten in time, and let in by its number and origin alone;
 * a token is good from its own origin, and what is kept has none. Method: a clock of the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "server/access/sites.h"

static const char *const app = "https://app.example";
static struct mono_ms now = {1000};
static uint8_t noise[32];

static int ask(struct sites *sites, const char *origin, const struct site_ask **ret_ask)
{
	int64_t wait_ms;
	noise[0]++;
	return sites_ask(sites, origin, noise, now, ret_ask, &wait_ms);
}

/* The token of an origin that was let in. */
static const char *let_in(struct sites *sites, const char *origin)
{
	const struct site_ask *asked;
	int err;
	assert_int_equal(ask(sites, origin, &asked), 0);
	noise[1]++;
	assert_string_equal(sites_allow(sites, asked->id, noise, now, (struct wall_ms){5}, &err),
			    origin);
	return asked->token;
}

/* An ask is over in five minutes, also one that was allowed and not fetched. */
static void test_too_late(void **state)
{
	(void)state;
	struct sites sites;
	const struct site_ask *asked;
	int err;
	sites_init(&sites);
	assert_int_equal(ask(&sites, app, &asked), 0);
	assert_ptr_equal(sites_find_ask(&sites, app, asked->secret, now), asked);
	assert_null(sites_find_ask(&sites, "https://other.example", asked->secret, now));
	assert_null(sites_find_ask(&sites, app, "", now));
	struct mono_ms late = mono_after(now, SITE_ASK_MS);
	assert_null(sites_find_ask(&sites, app, asked->secret, late));
	assert_null(sites_allow(&sites, asked->id, noise, late, (struct wall_ms){5}, &err));
	assert_int_equal(err, -ERR_NOT_FOUND);
	assert_null(sites_refuse(&sites, asked->id, late));
	assert_null(sites_refuse(&sites, 0, now));
}

/* Ten minutes, of that origin. */
static void test_refused_for_a_while(void **state)
{
	(void)state;
	struct sites sites;
	const struct site_ask *asked;
	int64_t wait_ms;
	sites_init(&sites);
	assert_int_equal(ask(&sites, app, &asked), 0);
	assert_string_equal(sites_refuse(&sites, asked->id, now), app);
	struct mono_ms later = mono_after(now, SITE_REFUSED_MS - 1);
	assert_int_equal(sites_ask(&sites, app, noise, later, &asked, &wait_ms), -ERR_RATE_LIMITED);
	assert_int_equal(wait_ms, 1);
	later = mono_after(later, 1);
	assert_int_equal(sites_ask(&sites, app, noise, later, &asked, &wait_ms), 0);
}

/* When all places are taken, the one that is over first makes room. */
static void test_eight_ask(void **state)
{
	(void)state;
	struct sites sites;
	const struct site_ask *asked;
	char origin[32];
	int64_t wait_ms;
	sites_init(&sites);
	for (int i = 0; i < SITE_ASKS_MAX; i++) {
		snprintf(origin, sizeof origin, "https://a%d.example", i);
		assert_int_equal(sites_ask(&sites, origin, noise, mono_after(now, i * 1000), &asked,
					   &wait_ms),
				 0);
	}
	struct mono_ms later = mono_after(now, 10 * 1000);
	assert_int_equal(sites_ask(&sites, app, noise, later, &asked, &wait_ms), -ERR_RATE_LIMITED);
	assert_int_equal(wait_ms, SITE_ASK_MS - 10 * 1000);
	later = mono_after(now, SITE_ASK_MS);
	assert_int_equal(sites_ask(&sites, app, noise, later, &asked, &wait_ms), 0);
}

static void test_token(void **state)
{
	(void)state;
	struct sites sites;
	char first[SECRET_HEX_BYTES], origin[SITE_ORIGIN_BYTES + 1];
	sites_init(&sites);
	snprintf(first, sizeof first, "%s", let_in(&sites, app));
	assert_non_null(sites_of_token(&sites, app, first));
	assert_null(sites_of_token(&sites, "https://other.example", first));
	assert_null(sites_of_token(&sites, app, ""));
	/* Pairing anew is in the place of the one before. */
	const char *second = let_in(&sites, app);
	assert_int_equal(sites.count, 1);
	assert_null(sites_of_token(&sites, app, first));
	assert_non_null(sites_of_token(&sites, app, second));
	assert_true(sites_revoke(&sites, sites.v[0].id, origin));
	assert_string_equal(origin, app);
	assert_null(sites_of_token(&sites, app, second));
	assert_null(sites_of_origin(&sites, app));
	assert_int_equal(sites.origin_count, 0);
	assert_false(sites_revoke(&sites, 1, origin));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_late),
		cmocka_unit_test(test_refused_for_a_while),
		cmocka_unit_test(test_eight_ask),
		cmocka_unit_test(test_token),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
