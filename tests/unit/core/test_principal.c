/* Goal: each claim has a principal, whichever way it came, and keeps it over a restart, also out of
 * a journal that knew none. Method: sessions and plain requests of several principals on the rig;
 * what is counted of them is compared with the claims by core_check after each step. */
#include "rig.h"

#include <stdio.h>

static uint64_t plain(struct rig *rig, const char *principal, const char *name)
{
	struct event want = rig_want(BIND_HTTP, LEASE_NORMAL, name);

	want.acquire.principal = principal;
	return rig_ask(rig, 0, want);
}

/* What the shell does not say is derived: by the uid where the socket told one, else "token". */
static void test_derived(void **state)
{
	struct rig *rig = *state;
	struct event tab = {.type = EVENT_SESSION_OPEN, .from = {PARTY_SESSION, 900}};
	uint64_t conn = rig_session(rig, BIND_NATIVE, "worker");
	uint64_t held = rig_hold(rig, conn, LEASE_NORMAL), waits = plain(rig, NULL, "curl");

	assert_string_equal(rig_row(rig, held)->principal, "uid:0");
	assert_string_equal(rig_row(rig, waits)->principal, "token");
	tab.session.binding = BIND_TAB;
	tab.session.name = "page";
	tab.session.uid = -1;
	rig_step(rig, tab);
	assert_string_equal(rig->sessions[rig->session_count - 1].principal, "token");
}

/* A claim of a session is its session's, whatever the acquire says. */
static void test_of_the_session(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_TAB, LEASE_CHAT, NULL);
	uint64_t conn, claim;

	rig->principal = "origin:http://localhost:8000";
	conn = rig_session(rig, BIND_TAB, "page");
	want.acquire.principal = "uid:0";
	claim = rig_ask(rig, conn, want);
	assert_string_equal(rig_row(rig, claim)->principal, "origin:http://localhost:8000");
	rig->principal = NULL;
	claim = plain(rig, "key:alice", "alice's job");
	assert_string_equal(rig_row(rig, claim)->principal, "key:alice");
}

/* A restart gives everybody back what was theirs; rows of an older broker get what it can be. */
static void test_restart(void **state)
{
	struct rig *rig = *state;
	uint64_t conn, held, waits, other;

	rig->principal = "uid:1000";
	conn = rig_session(rig, BIND_NATIVE, "worker");
	held = rig_hold(rig, conn, LEASE_NORMAL);
	waits = rig_wait(rig, conn, LEASE_CHAT);
	other = plain(rig, "key:alice", "alice's job");
	for (uint32_t i = 0; i < rig->claim_count; i++)
		if (rig->claims[i].id != other)
			rig->claims[i].principal[0] = '\0';
	rig->sessions[0].principal[0] = '\0';
	rig->sessions[0].uid = 1234;
	rig_restart(rig, true);
	rig_step(rig, (struct event){.type = EVENT_REWRITE});
	assert_string_equal(rig->sessions[0].principal, "uid:1234");
	assert_string_equal(rig_row(rig, held)->principal, "uid:1234");
	assert_string_equal(rig_row(rig, waits)->principal, "uid:1234");
	assert_string_equal(rig_row(rig, other)->principal, "key:alice");
	rig_pass(rig, 60000);
	assert_int_equal(rig_state(rig, held), CLAIM_ENDED);
}

/* Many come and go; core_check compares the counts at each step, and nothing stays behind. */
static void test_come_and_go(void **state)
{
	struct rig *rig = *state;
	char name[32];

	for (int i = 0; i < 200; i++) {
		uint64_t conn, lease;
		snprintf(name, sizeof(name), "uid:%d", 1000 + i);
		rig->principal = name;
		conn = rig_session(rig, BIND_NATIVE, "worker");
		lease = rig_hold(rig, conn, LEASE_NORMAL);
		rig_wait(rig, conn, LEASE_NORMAL);
		rig_release(rig, conn, lease, i % 2);
		rig_step(rig, (struct event){.type = EVENT_BYE, .from = {PARTY_SESSION, conn}});
	}
	rig_pass(rig, 1000);
}

static const struct effect *denied(struct rig *rig, int err)
{
	const struct effect *effect = rig_sent(rig, SEND_DENIED, 0);

	assert_int_equal(rig_error(rig), err);
	assert_int_equal(rig->fx.count, 1); /* it cost nobody anything */
	return effect;
}

/* Asks in new sessions, 16 claims each, until one is refused; how many were taken. */
static uint32_t flood(struct rig *rig, const char *principal, struct event want, uint32_t tries)
{
	uint32_t taken = 0;
	uint64_t conn = 0;

	rig->principal = principal;
	for (uint32_t i = 0; i < tries; i++) {
		if (i % LIMIT_QUEUE_PER_SESSION == 0)
			conn = rig_session(rig, BIND_NATIVE, "flood");
		if (rig_ask(rig, conn, want) == 0)
			return taken;
		taken++;
	}
	return taken;
}

static void limits(struct rig *rig, uint32_t all, uint32_t waiting, uint32_t held)
{
	rig->config.queue_count_max = all;
	rig->config.queue_per_principal_max = waiting;
	rig->config.held_per_principal_max = held;
	rig_configure(rig);
}

/* S9: many sessions of one user are one user; another one's voice is next all the same. */
static void test_waiting_cap(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	uint64_t voice;

	limits(rig, LIMIT_QUEUE, 100, 100);
	assert_int_equal(flood(rig, "uid:1000", want, 1000), 101); /* the first one is offered */
	assert_string_equal(denied(rig, ERR_QUOTA)->send.detail,
			    "uid:1000 waits with 100 claims of class normal or above, the most");
	rig->principal = "uid:1001";
	voice = rig_wait(rig, rig_session(rig, BIND_NATIVE, "mic"), LEASE_VOICE);
	assert_int_equal(core_position(rig->core, voice), 0);
	assert_int_equal(core_waiting_count(rig->core), 101);
	/* Its own voice, too, is not shut out by what is less urgent; background is. */
	rig->principal = "uid:1000";
	rig_wait(rig, rig_session(rig, BIND_NATIVE, "mic"), LEASE_VOICE);
	want.acquire.cls = LEASE_BACKGROUND;
	assert_int_equal(flood(rig, "uid:1000", want, 1), 0);
	denied(rig, ERR_QUOTA);
	want.acquire.cls = LEASE_NORMAL;
	/* One that leaves makes room for one. */
	rig_close(rig, 1);
	rig_pass(rig, 60000);
	assert_int_equal(flood(rig, "uid:1000", want, 1), 1);
}

/* Whoever holds one second and gives back, until `claim` has its turn; how many turns that took. */
static int turns_until(struct rig *rig, uint64_t claim)
{
	for (int turns = 0; turns < 200; turns++) {
		struct claim_view view;
		if (!core_holder_after(rig->core, 0, rig->now, &view))
			return -1;
		if (view.rec->id == claim)
			return turns;
		uint64_t conn = view.conn, lease = view.rec->id;
		rig_accept(rig, conn, lease);
		rig_pass(rig, 1000);
		rig_release(rig, conn, lease, false);
	}
	return 200;
}

/* One user asks for voice 160 times in 10 programs: another's one call does not wait for all of
 * them, only for the first of each program, and what came long before it. */
static void test_every_class(void **state)
{
	struct rig *rig = *state;
	static const enum lease_class classes[] = {LEASE_VOICE, LEASE_BACKGROUND};

	rig->config.session_ttl_ms = 1000000;
	rig_configure(rig);
	for (int i = 0; i < 2; i++) {
		struct event want = rig_want(BIND_NATIVE, classes[i], NULL);
		uint64_t other;
		assert_int_equal(flood(rig, "uid:1000", want, 160), 160);
		rig->principal = "uid:1001";
		other = rig_wait(rig, rig_session(rig, BIND_NATIVE, "other"), classes[i]);
		assert_in_range(turns_until(rig, other), 1, 20);
		for (uint64_t conn = 1; conn < rig->conn_next; conn++)
			if (rig_session_id(rig, conn) != 0)
				rig_step(rig, (struct event){.type = EVENT_BYE,
							     .from = {PARTY_SESSION, conn}});
	}
}

/* What an operator grants one principal stands before the default. */
static void test_own_cap(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_NATIVE, LEASE_NORMAL, NULL);

	limits(rig, LIMIT_QUEUE, 100, 100);
	want.acquire.waiting_max = 5;
	assert_int_equal(flood(rig, "uid:1000", want, 1000), 6);
	denied(rig, ERR_QUOTA);
	want.acquire.waiting_max = 200;
	want.acquire.held_max = 1;
	assert_int_equal(flood(rig, "uid:1000", want, 1), 0);
	assert_string_equal(denied(rig, ERR_QUOTA)->send.detail,
			    "uid:1000 holds 1 leases of class normal or above, the most");
}

/* Also where no principal has a limit of its own: the queue is never full for who has nothing in
 * it, however many fill it before. */
static void test_last_places(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	uint32_t first, second;

	limits(rig, 300, UINT32_MAX, UINT32_MAX);
	rig_hold(rig, rig_session(rig, BIND_NATIVE, "holder"), LEASE_VOICE);
	first = flood(rig, "uid:1000", want, 1000);
	assert_in_range(first, 260, 275);
	denied(rig, ERR_QUEUE_FULL);
	second = flood(rig, "uid:1001", want, 1000);
	assert_in_range(second, 20, 30);
	assert_in_range(flood(rig, "uid:1002", want, 1000), 1, 30);
	assert_int_equal(flood(rig, "uid:1003", want, 1), 1);
	assert_int_equal(flood(rig, "uid:1004", want, 1), 0);
	denied(rig, ERR_QUEUE_FULL);
	assert_int_equal(core_waiting_count(rig->core), 300);
}

/* Residents: a principal with as many leases as it may have waits for no more. */
static void test_held_cap(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_NATIVE, LEASE_NORMAL, NULL);

	rig_gpus(rig, 1, 1, 64 * GIB);
	limits(rig, LIMIT_QUEUE, 512, 40);
	want.acquire.need = (struct need){.vram_bytes = 1 << 20, .gpu_count = 1};
	assert_int_equal(flood(rig, "uid:1000", want, 100), 40);
	denied(rig, ERR_QUOTA);
	assert_int_equal(flood(rig, "uid:1001", want, 1), 1);
	assert_int_equal(rig_sent(rig, SEND_OFFERED, 0)->type, EFFECT_SEND);
}

/* 10,000 different needs are 64; what it already waits for it may wait for again, and one that
 * left the queue makes room for another. */
static void test_needs(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	uint64_t conn = 0, last = 0, last_conn = 0;
	uint32_t taken = 0;

	rig_gpus(rig, 16, 1, 0);
	limits(rig, LIMIT_QUEUE, 512, 512);
	rig->principal = "uid:1000";
	rig_hold(rig, rig_session(rig, BIND_NATIVE, "holder"), LEASE_VOICE);
	want.acquire.need.gpu_count = 16;
	rig_ask(rig, rig_session(rig, BIND_NATIVE, "all"), want);
	want.acquire.need.gpu_count = 2;
	for (uint32_t i = 0; i < 10000; i++) {
		if (taken % LIMIT_QUEUE_PER_SESSION == 0)
			conn = rig_session(rig, BIND_NATIVE, "flood");
		want.acquire.need.gpu_mask = 0x3 | i << 2;
		if (rig_ask(rig, conn, want) == 0)
			continue;
		taken++;
	}
	assert_in_range(taken, LIMIT_NEEDS_PER_PRINCIPAL - 1, LIMIT_NEEDS_PER_PRINCIPAL + 16);
	denied(rig, ERR_QUOTA);
	want.acquire.cls = LEASE_VOICE;
	assert_int_not_equal(rig_ask(rig, rig_session(rig, BIND_NATIVE, "mic"), want), 0);
	want.acquire.cls = LEASE_NORMAL;
	want.acquire.need.gpu_mask = UINT32_MAX;
	want.acquire.need.gpu_count = 16;
	last_conn = rig_session(rig, BIND_NATIVE, "again");
	last = rig_ask(rig, last_conn, want);
	assert_int_not_equal(last, 0);
	rig->principal = "uid:1001";
	want.acquire.need.gpu_mask = 0xf0;
	want.acquire.need.gpu_count = 3;
	assert_int_not_equal(rig_ask(rig, rig_session(rig, BIND_NATIVE, "other"), want), 0);
}

/* A year of residence is a minute. */
static void test_min_residence(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_NATIVE, LEASE_NORMAL, NULL);
	uint64_t claim;

	want.acquire.min_residence_ms = (int64_t)365 * 24 * 3600 * 1000;
	claim = rig_ask(rig, rig_session(rig, BIND_NATIVE, "resident"), want);
	assert_int_equal(rig_row(rig, claim)->min_residence_ms, 60000);
}

/* A request_id is good for the principal that used it, and so is the cap of a name: who calls
 * himself like another gets neither the other's lease nor in the way of it. */
static void test_names_are_not_shared(void **state)
{
	struct rig *rig = *state;
	struct event want = rig_want(BIND_HTTP, LEASE_NORMAL, "curl");
	uint64_t first, second;

	want.acquire.request_id = "r1";
	rig->principal = "key:alice";
	first = rig_ask(rig, 0, want);
	assert_int_equal(rig_ask(rig, 0, want), first);
	rig->principal = "key:mallory";
	second = rig_ask(rig, 0, want);
	assert_int_not_equal(second, first);
	assert_int_equal(rig_state(rig, second), CLAIM_QUEUED);
	want.acquire.request_id = NULL;
	for (int i = 0; i < LIMIT_QUEUE_PER_SESSION; i++)
		rig_ask(rig, 0, want);
	denied(rig, ERR_QUOTA);
	rig->principal = "key:alice";
	assert_int_not_equal(rig_ask(rig, 0, want), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_derived, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_of_the_session, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_restart, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_come_and_go, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_waiting_cap, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_every_class, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_own_cap, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_last_places, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_held_cap, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_needs, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_min_residence, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_names_are_not_shared, rig_setup, rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
