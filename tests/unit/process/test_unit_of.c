/* Goal: what systemd is said to have stopped is what it calls so, and on whose behalf is told
 * right; other paths say nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "process/unit_of.h"

static void test_paths(void **state)
{
	static const struct {
		const char *path, *unit;
		enum unit_kind kind;
	} rows[] = {
		{"/user.slice/user-1000.slice/session-3.scope", "session-3.scope", UNIT_SESSION},
		{"/user.slice/user-1000.slice/session-c12.scope/baton-wrapper-77",
		 "session-c12.scope", UNIT_SESSION},
		{"/user.slice/user-1000.slice/user@1000.service/app.slice/run-r5.scope",
		 "run-r5.scope", UNIT_USER},
		{"/user.slice/user-1000.slice/user@1000.service/app.slice/session-3.scope",
		 "session-3.scope", UNIT_USER}, /* somebody has called his own unit so */
		{"/user.slice/user-1000.slice/user@1000.service/init.scope", "init.scope",
		 UNIT_USER},
		{"/system.slice/train.service", "train.service", UNIT_SYSTEM},
		{"/system.slice/session-3.service", "session-3.service", UNIT_SYSTEM},
		{"/", "", UNIT_NONE},
		{"", "", UNIT_NONE},
		{"/.scope", "", UNIT_NONE},
		{"/docker/0a1b", "", UNIT_NONE},
		{"/user.slice", "", UNIT_NONE},
		{"/system.slice/name-that-is-longer-than-the-room-there-is.service",
		 "name-that-is-longer-than-the-room-there", UNIT_SYSTEM},
		{"/user@1000.service/app.slice/app-gnome-com.jetbrains.pycharm\\x2d1-77.scope",
		 "app-gnome-com.jetbrains.pycharm\\x2d1-77",
		 UNIT_USER}, /* and not the manager around it */
		{"/system.slice/train.service/\033[31m.scope", "train.service", UNIT_SYSTEM},
		{"/system.slice/train.service/a b.scope", "train.service", UNIT_SYSTEM},
	};
	char unit[40];
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(unit_of_cgroup(rows[i].path, unit, sizeof(unit)), rows[i].kind);
		assert_string_equal(unit, rows[i].unit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths)};
	return cmocka_run_group_tests_name("unit_of", tests, NULL, NULL);
}
