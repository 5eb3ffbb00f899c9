/* Goal: whoever may be in a turn that runs joins it, unless somebody else waits. Method: the real
 * module beside a queue that the test makes up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/api.h"
#include "gateway/gateway_impl.h"
#include "gateway/lease_port.h"
#include "gateway/model.h"
#include "gateway/relay.h"
#include "gateway/relay_impl.h"

enum { RELAYS = 4 };

static struct {
	unsigned waiting;
	uint64_t waits; /* parties: bits */
	unsigned forwarded;
} seen;

void relay_forward(struct gateway *gateway, struct relay *relay, struct mono_ms now)
{
	(void)gateway, (void)now;
	relay->stage = RELAY_FORWARDED;
	seen.forwarded++;
}

void relay_leave_queue(struct gateway *gateway, struct relay *relay)
{
	(void)gateway;
	relay->party = 0;
}

void relay_stop_settling(struct gateway *gateway, struct relay *relay)
{
	(void)gateway, (void)relay;
}

void relay_fail(struct gateway *gateway, struct relay *relay, int err, const char *message,
		int64_t retry_ms)
{
	(void)gateway, (void)relay, (void)err, (void)message, (void)retry_ms;
}

struct relay *relay_of_party(const struct gateway *gateway, uint64_t party)
{
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		if (relay->party == party)
			return relay;
	}
	return NULL;
}

static unsigned on_waiting(void *ctx)
{
	(void)ctx;
	return seen.waiting;
}

static bool on_waits(void *ctx, uint64_t party)
{
	(void)ctx;
	return seen.waits >> party & 1;
}

/* ---- one turn, party 1, and who comes to it ---- */

static const struct mono_ms now = {5000};
static struct gateway gateway;
static struct model_server server;
static struct model model;
static struct relay relays[RELAYS];

static struct relay *add_relay(unsigned at, enum relay_stage stage, uint64_t party)
{
	static const struct api_route route;
	struct relay *relay = &relays[at];

	*relay = (struct relay){.route = &route,
				.stage = stage,
				.cls = LEASE_CHAT,
				.model = &model,
				.party = party,
				.turn_since = now};
	list_init(&relay->link);
	list_append(&gateway.relays, &relay->link);
	return relay;
}

static int set_up(void **state)
{
	static const struct lease_port port = {.waiting = on_waiting, .waits = on_waits};
	(void)state;

	memset(&seen, 0, sizeof(seen));
	server.parallel = 3;
	model = (struct model){.server = &server, .residence = RESIDENCE_READY};
	gateway = (struct gateway){.port = &port};
	gateway.options.hold_ms_max[LEASE_CHAT] = 60000;
	list_init(&gateway.relays);
	add_relay(0, RELAY_FORWARDED, 1);
	return 0;
}

static void test_joins(void **state)
{
	struct relay *late = add_relay(1, RELAY_MODEL, 0);
	(void)state;

	assert_true(relay_join(&gateway, late, now));
	assert_int_equal(late->turn, 1);
	assert_int_equal(seen.forwarded, 1);
}

/* However old the turn is: nobody waits for its end. */
static void test_joins_an_old_turn(void **state)
{
	const struct mono_ms later = mono_after(now, 24 * 3600 * 1000);
	struct relay *late = add_relay(1, RELAY_MODEL, 0);
	(void)state;

	assert_true(relay_join(&gateway, late, later));
	assert_int_equal(late->turn_since.v, now.v);
	seen.waiting = 1; /* a game */
	assert_false(relay_join(&gateway, add_relay(2, RELAY_MODEL, 0), later));
}

/* One that is in the queue and was not told so yet is nobody else. */
static void test_one_that_has_just_queued(void **state)
{
	struct relay *late = add_relay(2, RELAY_MODEL, 0);
	(void)state;

	add_relay(1, RELAY_TURN, 2);
	seen.waiting = 1;
	seen.waits = 1u << 2;
	assert_true(relay_join(&gateway, late, now));
}

/* .. and one that was told so and waits no more does not hide somebody else. */
static void test_one_that_waits_no_more(void **state)
{
	struct relay *late = add_relay(2, RELAY_MODEL, 0);
	(void)state;

	add_relay(1, RELAY_TURN, 2)->claim = 7;
	seen.waiting = 1;
	assert_false(relay_join(&gateway, late, now));
	assert_int_equal(seen.forwarded, 0);
}

/* It has not come to the queue yet. */
static void test_one_that_is_on_its_way(void **state)
{
	struct relay *late = add_relay(2, RELAY_MODEL, 0);
	(void)state;

	add_relay(1, RELAY_TURN, 2);
	assert_true(relay_join(&gateway, late, now));
	seen.waiting = 1; /* a game */
	assert_false(relay_join(&gateway, add_relay(3, RELAY_MODEL, 0), now));
}

/* Who could not join at once does so when it could. */
static void test_joins_late(void **state)
{
	struct relay *late = add_relay(1, RELAY_MODEL, 0);
	(void)state;

	seen.waiting = 1; /* a game */
	assert_false(relay_join(&gateway, late, now));
	assert_int_equal(late->look_at.v, now.v + 50);

	late->stage = RELAY_TURN;
	late->party = 2;
	seen.waits = 1u << 2;
	seen.waiting = 2;
	relay_join_late(&gateway, late, late->look_at);
	assert_int_equal(late->look_at.v, now.v + 150);
	assert_int_equal(seen.forwarded, 0);

	seen.waiting = 1; /* that one has left */
	relay_join_late(&gateway, late, late->look_at);
	assert_int_equal(late->turn, 1);
	assert_int_equal(late->party, 0);
	assert_int_equal(seen.forwarded, 1);
}

/* Where several may, each waits only until the queue knows of the last one. */
static void test_one_after_the_other(void **state)
{
	struct relay *second = add_relay(2, RELAY_TURN, 3);
	(void)state;

	add_relay(1, RELAY_TURN, 2);
	second->look_at = mono_after(now, 2000);
	seen.waits = 1u << 2 | 1u << 3;
	seen.waiting = 2;
	relay_join_late(&gateway, &relays[1], now);
	assert_int_equal(second->look_at.v, now.v + 1);
	relay_join_late(&gateway, second, now);
	assert_int_equal(second->party, 3); /* two still wait, and one is somebody else */

	seen.waiting = 1;
	relay_join_late(&gateway, second, mono_after(now, 1));
	assert_int_equal(second->turn, 1);
}

/* Made in the background it counts as any other, whoever began the turn. */
static void test_beside_the_background(void **state)
{
	struct relay *late = add_relay(3, RELAY_MODEL, 0);
	(void)state;

	relays[0].stage = RELAY_SETTLING;
	assert_false(relay_join(&gateway, late, now)); /* it may be over at any moment */
	relays[0].pending = true;
	add_relay(1, RELAY_SETTLING, 0)->turn = 1;
	relays[1].pending = true;
	assert_true(relay_join(&gateway, late, now));
	assert_int_equal(late->turn, 1);
	assert_false(relay_join(&gateway, add_relay(2, RELAY_MODEL, 0), now));
}

/* What still runs ends, and nothing begins. */
static void test_a_model_that_leaves(void **state)
{
	(void)state;

	model.leaves = true;
	assert_false(relay_join(&gateway, add_relay(1, RELAY_TURN, 2), now));
}

/* A server that works on one at a time is not asked. */
static void test_one_by_one(void **state)
{
	struct relay *late = add_relay(1, RELAY_MODEL, 0);
	(void)state;

	server.parallel = 1;
	assert_false(relay_join(&gateway, late, now));
	assert_int_equal(late->look_at.v, MONO_NEVER.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_joins, set_up),
		cmocka_unit_test_setup(test_joins_an_old_turn, set_up),
		cmocka_unit_test_setup(test_one_that_has_just_queued, set_up),
		cmocka_unit_test_setup(test_one_that_waits_no_more, set_up),
		cmocka_unit_test_setup(test_one_that_is_on_its_way, set_up),
		cmocka_unit_test_setup(test_joins_late, set_up),
		cmocka_unit_test_setup(test_one_after_the_other, set_up),
		cmocka_unit_test_setup(test_beside_the_background, set_up),
		cmocka_unit_test_setup(test_a_model_that_leaves, set_up),
		cmocka_unit_test_setup(test_one_by_one, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
