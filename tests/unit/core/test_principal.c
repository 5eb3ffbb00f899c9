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
	struct event tab = {.type = EVENT_SESSION_OPEN, .conn = 900};
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
		rig_step(rig, (struct event){.type = EVENT_BYE, .conn = conn});
	}
	rig_pass(rig, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_derived, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_of_the_session, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_restart, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_come_and_go, rig_setup, rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
