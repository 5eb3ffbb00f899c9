/* Goal: whose place is remembered beyond its claim, and that nobody has more of a GPU by leaving
 * and coming back (CASES.md P15, P19). */
#include "fixture.h"

static struct event job(const char *request_id)
{
	struct event want = fixture_want(BIND_TAB, LEASE_CHAT, NULL);

	want.acquire.request_id = request_id;
	return want;
}

static void leave(struct fixture *fixture, uint64_t conn, uint64_t claim)
{
	fixture_step(fixture,
		     (struct event){.type = EVENT_CANCEL,
				    .from = {PARTY_SESSION, conn},
				    .cancel = {fixture_row(fixture, claim)->ref, .keep = true}});
}

/* A page is granted its turn while it is being loaded anew: the next one works meanwhile, and it
 * has its place again. What it had of its turn counts. */
static void test_turn_of_a_page_that_goes(void **state)
{
	struct fixture *fixture = *state;
	uint64_t page = fixture_session(fixture, BIND_TAB, "page"),
		 b = fixture_session(fixture, BIND_TAB, "b"),
		 c = fixture_session(fixture, BIND_TAB, "c");
	uint64_t mine = fixture_take(fixture, page, job("r-1")),
		 other = fixture_wait(fixture, b, LEASE_CHAT), last;

	fixture_pass(fixture, 40);
	leave(fixture, page, mine);
	assert_int_equal(fixture_end(fixture, mine), END_RELEASED);
	assert_int_equal(fixture_state(fixture, other), CLAIM_OFFERED);
	fixture_accept(fixture, b, other);

	fixture_pass(fixture, 10);
	last = fixture_wait(fixture, c, LEASE_CHAT);
	mine = fixture_ask(fixture, page, job("r-1"));
	assert_int_equal(core_position(fixture->core, mine), 0);
	assert_int_equal(core_position(fixture->core, last), 1);
	assert_int_equal(fixture_row(fixture, mine)->used_ms, 40);
	assert_int_equal(fixture_row(fixture, mine)->acks_missed, 1);
}

/* A turn that lasted for longer than an offer stands was a turn; so is one that was asked back. */
static void test_turn_that_was_had(void **state)
{
	struct fixture *fixture = *state;
	uint64_t page = fixture_session(fixture, BIND_TAB, "page"),
		 b = fixture_session(fixture, BIND_TAB, "b"),
		 c = fixture_session(fixture, BIND_TAB, "c");
	uint64_t mine = fixture_take(fixture, page, job("r-1")),
		 other = fixture_wait(fixture, b, LEASE_CHAT), last;

	fixture_pass(fixture, fixture->config.ack_ms);
	last = fixture_wait(fixture, c, LEASE_CHAT);
	leave(fixture, page, mine);
	assert_int_equal(fixture_end(fixture, mine), END_RELEASED);
	fixture_accept(fixture, b, other);
	fixture_pass(fixture, 10);
	mine = fixture_ask(fixture, page, job("r-1"));
	assert_int_equal(core_position(fixture->core, last), 0);

	fixture_release(fixture, b, other, false);
	fixture_accept(fixture, c, last);
	fixture_release(fixture, c, last, false);
	fixture_accept(fixture, page, mine);
	other = fixture_wait(fixture, b, LEASE_VOICE);
	assert_int_equal(fixture_state(fixture, mine), CLAIM_YIELDING);
	last = fixture_wait(fixture, c, LEASE_CHAT);
	leave(fixture, page, mine);
	fixture_accept(fixture, b, other);
	fixture_pass(fixture, 10);
	mine = fixture_ask(fixture, page, job("r-1"));
	assert_int_equal(core_position(fixture->core, last), 0);
}

/* Plain HTTP, and a page whose session is gone already, say it with the lease's token. */
static void test_unlock_keeps_the_place(void **state)
{
	struct fixture *fixture = *state;
	uint64_t page = fixture_session(fixture, BIND_TAB, "page"),
		 b = fixture_session(fixture, BIND_TAB, "b"),
		 c = fixture_session(fixture, BIND_TAB, "c");
	uint64_t mine = fixture_take(fixture, page, job("r-1")),
		 other = fixture_wait(fixture, b, LEASE_CHAT), last;
	struct token token = fixture_row(fixture, mine)->token;

	fixture_step(fixture, (struct event){.type = EVENT_RELEASE,
					     .from = {PARTY_EXCHANGE, fixture->conn_next++},
					     .release = {.token = &token, .keep = true}});
	assert_int_equal(fixture_end(fixture, mine), END_RELEASED);
	fixture_accept(fixture, b, other);
	fixture_pass(fixture, 10);
	last = fixture_wait(fixture, c, LEASE_CHAT);
	mine = fixture_ask(fixture, page, job("r-1"));
	assert_int_equal(core_position(fixture->core, mine), 0);
	assert_int_equal(core_position(fixture->core, last), 1);
}

/* Two pages whose places are the first leave each turn as it ends and ask again at once, so that
 * the next turn is the other one's: each time is an offer missed, so that an honest one is served.
 */
static void leave_in_turn(struct fixture *fixture, bool accepts)
{
	uint64_t conns[2], mine[2], other = fixture_session(fixture, BIND_TAB, "honest"), chat;
	uint64_t held = fixture_hold(fixture, other, LEASE_CHAT);
	int rounds = 0;

	for (int i = 0; i < 2; i++) {
		conns[i] = fixture_session(fixture, BIND_TAB, "leaves");
		mine[i] = fixture_ask(fixture, conns[i], job("r-1"));
		fixture_pass(fixture, 1);
	}

	chat = fixture_wait(fixture, other, LEASE_CHAT);
	fixture_release(fixture, other, held, false);
	while (fixture_state(fixture, chat) == CLAIM_QUEUED && rounds < 100) {
		int on = rounds % 2;

		assert_int_equal(fixture_state(fixture, mine[on]), CLAIM_OFFERED);
		if (accepts)
			fixture_accept(fixture, conns[on], mine[on]);
		fixture_pass(fixture, fixture->config.ack_ms - 1);
		fixture_alive(fixture, other);

		leave(fixture, conns[on], mine[on]);
		mine[on] = fixture_ask(fixture, conns[on], job("r-1"));
		rounds++;
	}

	assert_int_equal(rounds, 2 * 3);
	assert_int_equal(fixture_state(fixture, chat), CLAIM_OFFERED);
}

static void test_offers_left_in_turn(void **state)
{
	leave_in_turn(*state, false);
}

static void test_leases_left_in_turn(void **state)
{
	leave_in_turn(*state, true);
}

/* .. nor does anybody forget what it missed by losing its connection in between. */
static void test_missed_and_gone(void **state)
{
	struct fixture *fixture = *state;
	uint64_t page = fixture_session(fixture, BIND_TAB, "page"),
		 mine = fixture_ask(fixture, page, job("r-1"));

	fixture_pass(fixture, fixture->config.ack_ms);
	fixture_admin(fixture, ADMIN_PAUSE, 0);
	fixture_pass(fixture, fixture->config.ack_ms);
	assert_int_equal(fixture_row(fixture, mine)->acks_missed, 2);
	fixture_close(fixture, page);
	fixture_pass(fixture, fixture->config.tab_linger_ms);
	assert_int_equal(fixture_end(fixture, mine), END_DISCONNECTED);

	page = fixture_session(fixture, BIND_TAB, "page");
	mine = fixture_ask(fixture, page, job("r-1"));
	assert_int_equal(fixture_row(fixture, mine)->acks_missed, 2);
	assert_int_equal(fixture_row(fixture, mine)->used_ms, 2 * fixture->config.ack_ms);
}

/* A turn that was had and given back for another makes good what was missed. */
static void test_turns_make_good(void **state)
{
	struct fixture *fixture = *state;
	uint64_t page = fixture_session(fixture, BIND_TAB, "page"),
		 b = fixture_session(fixture, BIND_TAB, "b"),
		 mine = fixture_ask(fixture, page, job("r-1"));

	fixture_pass(fixture, fixture->config.ack_ms);
	fixture_accept(fixture, page, mine);
	assert_int_equal(fixture_row(fixture, mine)->acks_missed, 1);
	fixture_pass(fixture, fixture->config.ack_ms);
	fixture_wait(fixture, b, LEASE_VOICE);
	fixture_release(fixture, page, mine, true);
	assert_int_equal(fixture_state(fixture, mine), CLAIM_QUEUED);
	assert_int_equal(fixture_row(fixture, mine)->acks_missed, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_turn_of_a_page_that_goes), TEST(test_turn_that_was_had),
		TEST(test_unlock_keeps_the_place),   TEST(test_offers_left_in_turn),
		TEST(test_leases_left_in_turn),      TEST(test_missed_and_gone),
		TEST(test_turns_make_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
