/* Goal: clients look for the broker where it listens, and never where a stranger could listen.
 * Method: each environment, and the path that follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "baton/baton.h"

static void path_is(const char *expected)
{
	char path[108];
	assert_int_equal(baton_socket_path(path, sizeof(path)), 0);
	assert_string_equal(path, expected);
}

/* BATON_SOCKET before XDG_RUNTIME_DIR; empty and relative values do not count. */
static void environment(void **state)
{
	(void)state;
	setenv("BATON_SOCKET", "/a/b.sock", 1);
	setenv("XDG_RUNTIME_DIR", "/run/x", 1);
	path_is("/a/b.sock");
	setenv("BATON_SOCKET", "", 1);
	path_is("/run/x/baton/baton.sock");
	setenv("BATON_SOCKET", "relative.sock", 1);
	path_is("relative.sock");
	unsetenv("BATON_SOCKET");
	path_is("/run/x/baton/baton.sock");
}

/* Without both: the user's folder of systemd, if it is the user's, else one in /tmp. */
static void fallback(void **state)
{
	char expected[96], user[64];
	struct stat st;
	(void)state;
	unsetenv("BATON_SOCKET");
	setenv("XDG_RUNTIME_DIR", "not-absolute", 1);
	snprintf(user, sizeof(user), "/run/user/%lu", (unsigned long)geteuid());
	if (lstat(user, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid())
		snprintf(expected, sizeof(expected), "%s/baton/baton.sock", user);
	else
		snprintf(expected, sizeof(expected), "/tmp/baton-%lu/baton.sock",
			 (unsigned long)geteuid());
	path_is(expected);
}

/* What does not fit is refused, never cut. */
static void too_long(void **state)
{
	char path[108], small[10] = "unchanged", text[300];
	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[0] = '/';
	text[sizeof(text) - 1] = '\0';
	setenv("BATON_SOCKET", text, 1);
	assert_int_equal(baton_socket_path(path, sizeof(path)), BATON_E_PATH);
	setenv("BATON_SOCKET", "/ten/bytes", 1);
	assert_int_equal(baton_socket_path(small, sizeof(small)), BATON_E_PATH);
	assert_string_equal(small, "unchanged");
}

/* Each code has a name, a sentence and an exit status of its own kind; none is success. */
static void codes(void **state)
{
	(void)state;
	for (int code = BATON_E_CLASS; code < 0; code++) {
		assert_true(strlen(baton_strerror(code)) > 5);
		assert_true(baton_exit_code(code) >= 64 && baton_exit_code(code) <= 78);
		for (int other = BATON_E_CLASS; other < code; other++)
			assert_string_not_equal(baton_error_name(code), baton_error_name(other));
	}
	assert_string_equal(baton_error_name(-9999), "internal");
	assert_string_equal(baton_error_name(0), "ok");
	assert_int_equal(baton_exit_code(0), 0);
	assert_string_equal(baton_version(), BATON_VERSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(environment),
		cmocka_unit_test(fallback),
		cmocka_unit_test(too_long),
		cmocka_unit_test(codes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
