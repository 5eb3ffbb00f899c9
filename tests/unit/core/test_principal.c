/* Goal: each claim has a principal, whichever way it came, and keeps it over a restart, also out of
 * a journal that knew none. Method: sessions and plain requests of several principals on the
 * fixture; what is counted of them is compared with the claims by core_check after each step. */
#include "fixture.h"

#include <stdio.h>

static uint64_t plain(struct fixture *fixture, const char *principal, const char *name)
{
	struct event want = fixture_want(BIND_HTTP, LEASE_NORMAL, name);

	want.acquire.principal = principal;
	return fixture_ask(fixture, 0, want);
}

/* What the server does not state is derived: from the socket's uid, else "token". */
static void test_derived(void **state)
{
	struct fixture *fixture = *state;
	struct event tab = {.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, 900}};
	uint64_t conn = fixture_session(fixture, BIND_NATIVE, "worker");
	uint64_t held = fixture_hold(fixture, conn, LEASE_NORMAL),
		 waits = plain(fixture, NULL, "curl");

	assert_string_equal(fixture_row(fixture, held)->principal, "uid:0");
	assert_string_equal(fixture_row(fixture, waits)->principal, "token");
	tab.session.binding = BIND_TAB;
	tab.session.name = "page";
	tab.session.uid = -1;
	fixture_step(fixture, tab);
	assert_string_equal(fixture->sessions[fixture->session_count - 1].principal, "token");
}

/* A claim of a session is its session's, whatever the acquire says. */
static void test_of_the_session(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_TAB, LEASE_CHAT, NULL);
	uint64_t conn, claim;

	fixture->principal = "origin:http://localhost:8000";
	conn = fixture_session(fixture, BIND_TAB, "page");
	want.acquire.principal = "uid:0";
	claim = fixture_ask(fixture, conn, want);
	assert_string_equal(fixture_row(fixture, claim)->principal, "origin:http://localhost:8000");
	fixture->principal = NULL;
	claim = plain(fixture, "key:alice", "alice's job");
	assert_string_equal(fixture_row(fixture, claim)->principal, "key:alice");
}

/* A restart gives everybody back what was theirs; rows of an older broker get what it can be. */
static void test_restart(void **state)
{
	struct fixture *fixture = *state;
	uint64_t conn, held, waits, other;

	fixture->principal = "uid:1000";
	conn = fixture_session(fixture, BIND_NATIVE, "worker");
	held = fixture_hold(fixture, conn, LEASE_NORMAL);
	waits = fixture_wait(fixture, conn, LEASE_CHAT);
	other = plain(fixture, "key:alice", "alice's job");
	for (uint32_t i = 0; i < fixture->claim_count; i++)
		if (fixture->claims[i].id != other)
			fixture->claims[i].principal[0] = '\0';
	fixture->sessions[0].principal[0] = '\0';
	fixture->sessions[0].uid = 1234;
	fixture_restart(fixture, true);
	fixture_step(fixture, (struct event){.type = EVENT_REWRITE});
	assert_string_equal(fixture->sessions[0].principal, "uid:1234");
	assert_string_equal(fixture_row(fixture, held)->principal, "uid:1234");
	assert_string_equal(fixture_row(fixture, waits)->principal, "uid:1234");
	assert_string_equal(fixture_row(fixture, other)->principal, "key:alice");
	fixture_pass(fixture, 60000);
	assert_int_equal(fixture_state(fixture, held), CLAIM_ENDED);
}

/* Many come and go; core_check compares the counts at each step, and nothing stays behind. */
static void test_come_and_go(void **state)
{
	struct fixture *fixture = *state;
	char name[32];

	for (int i = 0; i < 200; i++) {
		uint64_t conn, lease;
		snprintf(name, sizeof(name), "uid:%d", 1000 + i);
		fixture->principal = name;
		conn = fixture_session(fixture, BIND_NATIVE, "worker");
		lease = fixture_hold(fixture, conn, LEASE_NORMAL);
		fixture_wait(fixture, conn, LEASE_NORMAL);
		fixture_release(fixture, conn, lease, i % 2);
		fixture_step(fixture,
			     (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, conn}});
	}
	fixture_pass(fixture, 1000);
}

static const struct effect *denied(struct fixture *fixture, int err)
{
	const struct effect *effect = fixture_sent(fixture, SEND_DENIED, 0);

	assert_int_equal(fixture_error(fixture), err);
	assert_int_equal(fixture->fx.count, 1); /* it cost nobody anything */
	return effect;
}

/* Asks in new sessions, 16 claims each, until one is refused; how many were taken. */
static uint32_t flood(struct fixture *fixture, const char *principal, struct event want,
		      uint32_t tries)
{
	uint32_t taken = 0;
	uint64_t conn = 0;

	fixture->principal = principal;
	for (uint32_t i = 0; i < tries; i++) {
		if (i % LIMIT_QUEUE_PER_SESSION == 0)
			conn = fixture_session(fixture, BIND_NATIVE, "flood");
		if (fixture_ask(fixture, conn, want) == 0)
			return taken;
		taken++;
	}
	return taken;
}

static void limits(struct fixture *fixture, uint32_t all, uint32_t waiting, uint32_t held)
{
	fixture->config.queue_count_max = all;
	fixture->config.queue_per_principal_max = waiting;
	fixture->config.held_per_principal_max = held;
	fixture_configure(fixture);
}

/* S9: many sessions of one user are one user; another one's voice is next all the same. */
static void test_waiting_cap(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	uint64_t voice;

	limits(fixture, LIMIT_QUEUE, 100, 100);
	assert_int_equal(flood(fixture, "uid:1000", want, 1000),
			 101); /* the first one is offered */
	assert_string_equal(denied(fixture, ERR_QUOTA)->send.detail,
			    "uid:1000 waits with 100 claims of class normal or above, the most");
	fixture->principal = "uid:1001";
	voice = fixture_wait(fixture, fixture_session(fixture, BIND_NATIVE, "mic"), LEASE_VOICE);
	assert_int_equal(core_position(fixture->core, voice), 0);
	assert_int_equal(core_waiting_count(fixture->core), 101);
	/* Its own voice, too, is not shut out by what is less urgent; background is. */
	fixture->principal = "uid:1000";
	fixture_wait(fixture, fixture_session(fixture, BIND_NATIVE, "mic"), LEASE_VOICE);
	want.acquire.cls = LEASE_BACKGROUND;
	assert_int_equal(flood(fixture, "uid:1000", want, 1), 0);
	denied(fixture, ERR_QUOTA);
	want.acquire.cls = LEASE_NORMAL;
	/* One that leaves makes room for one. */
	fixture_close(fixture, 1);
	fixture_pass(fixture, 60000);
	assert_int_equal(flood(fixture, "uid:1000", want, 1), 1);
}

/* Whoever holds one second and gives back, until `claim` has its turn; how many turns that took. */
static int turns_until(struct fixture *fixture, uint64_t claim)
{
	for (int turns = 0; turns < 200; turns++) {
		struct claim_view view;
		if (!core_holder_after(fixture->core, 0, fixture->now, &view))
			return -1;
		if (view.rec->id == claim)
			return turns;
		uint64_t conn = view.conn, lease = view.rec->id;
		fixture_accept(fixture, conn, lease);
		fixture_pass(fixture, 1000);
		fixture_release(fixture, conn, lease, false);
	}
	return 200;
}

/* One user asks for voice 160 times in 10 programs: another's one call does not wait for all of
 * them, only for the first of each program, and what came long before it. */
static void test_every_class(void **state)
{
	struct fixture *fixture = *state;
	static const enum lease_class classes[] = {LEASE_VOICE, LEASE_BACKGROUND};

	fixture->config.session_ttl_ms = 1000000;
	fixture_configure(fixture);
	for (int i = 0; i < 2; i++) {
		struct event want = fixture_want(BIND_NATIVE, classes[i], NULL);
		uint64_t other;
		assert_int_equal(flood(fixture, "uid:1000", want, 160), 160);
		fixture->principal = "uid:1001";
		other = fixture_wait(fixture, fixture_session(fixture, BIND_NATIVE, "other"),
				     classes[i]);
		assert_in_range(turns_until(fixture, other), 1, 20);
		for (uint64_t conn = 1; conn < fixture->conn_next; conn++)
			if (fixture_session_id(fixture, conn) != 0)
				fixture_step(fixture,
					     (struct event){.type = EVENT_BYE,
							    .from = {PARTY_SESSION, conn}});
	}
}

/* What an operator grants one principal stands before the default. */
static void test_own_cap(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_NATIVE, LEASE_NORMAL, NULL);

	limits(fixture, LIMIT_QUEUE, 100, 100);
	want.acquire.waiting_max = 5;
	assert_int_equal(flood(fixture, "uid:1000", want, 1000), 6);
	denied(fixture, ERR_QUOTA);
	want.acquire.waiting_max = 200;
	want.acquire.held_max = 1;
	assert_int_equal(flood(fixture, "uid:1000", want, 1), 0);
	assert_string_equal(denied(fixture, ERR_QUOTA)->send.detail,
			    "uid:1000 holds 1 leases of class normal or above, the most");
}

/* Also where no principal has a limit of its own: the queue is never full for a principal with
 * nothing in it, however many fill it before. */
static void test_last_places(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	uint32_t first, second;

	limits(fixture, 300, UINT32_MAX, UINT32_MAX);
	fixture_hold(fixture, fixture_session(fixture, BIND_NATIVE, "holder"), LEASE_VOICE);
	first = flood(fixture, "uid:1000", want, 1000);
	assert_in_range(first, 260, 275);
	denied(fixture, ERR_QUEUE_FULL);
	second = flood(fixture, "uid:1001", want, 1000);
	assert_in_range(second, 20, 30);
	assert_in_range(flood(fixture, "uid:1002", want, 1000), 1, 30);
	assert_int_equal(flood(fixture, "uid:1003", want, 1), 1);
	assert_int_equal(flood(fixture, "uid:1004", want, 1), 0);
	denied(fixture, ERR_QUEUE_FULL);
	assert_int_equal(core_waiting_count(fixture->core), 300);
}

/* Residents: a principal with as many leases as it may have waits for no more. */
static void test_held_cap(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_NATIVE, LEASE_NORMAL, NULL);

	fixture_gpus(fixture, 1, 1, 64 * GIB);
	limits(fixture, LIMIT_QUEUE, 512, 40);
	want.acquire.need = (struct need){.vram_bytes = 1 << 20, .gpu_count = 1};
	assert_int_equal(flood(fixture, "uid:1000", want, 100), 40);
	denied(fixture, ERR_QUOTA);
	assert_int_equal(flood(fixture, "uid:1001", want, 1), 1);
	assert_int_equal(fixture_sent(fixture, SEND_OFFERED, 0)->type, EFFECT_SEND);
}

/* 10,000 different needs are 64; what it already waits for it may wait for again, and one that
 * left the queue makes room for another. */
static void test_needs(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	uint64_t conn = 0, last = 0, last_conn = 0;
	uint32_t taken = 0;

	fixture_gpus(fixture, 16, 1, 0);
	limits(fixture, LIMIT_QUEUE, 512, 512);
	fixture->principal = "uid:1000";
	fixture_hold(fixture, fixture_session(fixture, BIND_NATIVE, "holder"), LEASE_VOICE);
	want.acquire.need.gpu_count = 16;
	fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "all"), want);
	want.acquire.need.gpu_count = 2;
	for (uint32_t i = 0; i < 10000; i++) {
		if (taken % LIMIT_QUEUE_PER_SESSION == 0)
			conn = fixture_session(fixture, BIND_NATIVE, "flood");
		want.acquire.need.gpu_mask = 0x3 | i << 2;
		if (fixture_ask(fixture, conn, want) == 0)
			continue;
		taken++;
	}
	assert_in_range(taken, LIMIT_NEEDS_PER_PRINCIPAL - 1, LIMIT_NEEDS_PER_PRINCIPAL + 16);
	denied(fixture, ERR_QUOTA);
	want.acquire.cls = LEASE_VOICE;
	assert_int_not_equal(
		fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "mic"), want), 0);
	want.acquire.cls = LEASE_NORMAL;
	want.acquire.need.gpu_mask = UINT32_MAX;
	want.acquire.need.gpu_count = 16;
	last_conn = fixture_session(fixture, BIND_NATIVE, "again");
	last = fixture_ask(fixture, last_conn, want);
	assert_int_not_equal(last, 0);
	fixture->principal = "uid:1001";
	want.acquire.need.gpu_mask = 0xf0;
	want.acquire.need.gpu_count = 3;
	assert_int_not_equal(
		fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "other"), want), 0);
}

/* A year of residence is a minute. */
static void test_min_residence(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	uint64_t claim;

	want.acquire.min_residence_ms = (int64_t)365 * 24 * 3600 * 1000;
	claim = fixture_ask(fixture, fixture_session(fixture, BIND_NATIVE, "resident"), want);
	assert_int_equal(fixture_row(fixture, claim)->min_residence_ms, 60000);
}

/* A request_id is good for the principal that used it, and so is the cap of a name: who calls
 * himself like another gets neither the other's lease nor in the way of it. */
static void test_names_are_not_shared(void **state)
{
	struct fixture *fixture = *state;
	struct event want = fixture_want(BIND_HTTP, LEASE_NORMAL, "curl");
	uint64_t first, second;

	want.acquire.request_id = "r1";
	fixture->principal = "key:alice";
	first = fixture_ask(fixture, 0, want);
	assert_int_equal(fixture_ask(fixture, 0, want), first);
	fixture->principal = "key:mallory";
	second = fixture_ask(fixture, 0, want);
	assert_int_not_equal(second, first);
	assert_int_equal(fixture_state(fixture, second), CLAIM_QUEUED);
	want.acquire.request_id = NULL;
	for (int i = 0; i < LIMIT_QUEUE_PER_SESSION; i++)
		fixture_ask(fixture, 0, want);
	denied(fixture, ERR_QUOTA);
	fixture->principal = "key:alice";
	assert_int_not_equal(fixture_ask(fixture, 0, want), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_derived, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_of_the_session, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_restart, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_come_and_go, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_waiting_cap, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_every_class, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_own_cap, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_last_places, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_held_cap, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_needs, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_min_residence, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_names_are_not_shared, fixture_setup,
						fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
