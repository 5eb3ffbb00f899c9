/* Goal: which SIGHUP ends the daemon. Method: the decision alone; test_reach.py closes real
 * terminals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/hangup.h"

enum { SHELL = 10, PARENT = 20, OTHER = 30 };

static const struct hangup in_terminal = {.had_terminal = true, .session = SHELL, .parent = PARENT};
static const struct hangup detached = {.session = SHELL, .parent = PARENT};

/* The terminal is gone, and who says so is the kernel or the server that started us. */
static void test_ends(void **state)
{
	(void)state;
	assert_true(hangup_ends(&in_terminal, true, 0, true));
	assert_true(hangup_ends(&in_terminal, false, SHELL, true));
	assert_true(hangup_ends(&in_terminal, false, PARENT, true));
}

/* All else is a reload: the terminal is there, there never was one (a unit, nohup, setsid), or
 * somebody sends it to a daemon that outlived its terminal on purpose. */
static void test_reloads(void **state)
{
	(void)state;
	assert_false(hangup_ends(&in_terminal, false, SHELL, false));
	assert_false(hangup_ends(&in_terminal, true, 0, false));
	assert_false(hangup_ends(&in_terminal, false, OTHER, true));
	assert_false(hangup_ends(&detached, true, 0, true));
	assert_false(hangup_ends(&detached, false, PARENT, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_reloads),
	};
	return cmocka_run_group_tests_name("hangup", tests, NULL, NULL);
}
