/* Goal: where a broker is looked for, and in what order. Method: an environment and sockets of the
 * test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/where.h"

static char dir[64];

static void http_is(const char *path, const char *expected)
{
	char http[WHERE_PATH_BYTES];
	assert_true(where_http(path, http, sizeof http));
	assert_string_equal(http, expected);
}

/* baton.sock has http.sock as ever; any other name gives its own. */
static void test_http_name(void **state)
{
	(void)state;
	char small[10];
	http_is("/r/baton/baton.sock", "/r/baton/http.sock");
	http_is("baton.sock", "http.sock");
	http_is("/r/x.sock", "/r/x.http.sock");
	http_is("/r/x", "/r/x.http.sock");
	http_is("/r/baton.x.sock", "/r/baton.x.http.sock");
	http_is("/r.sock/x", "/r.sock/x.http.sock");
	assert_false(where_http("/r/x.sock", small, sizeof small));
}

static int listen_at(const char *path, bool listens)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	if (listens)
		assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* What is given is the only place. */
static void test_given(void **state)
{
	(void)state;
	struct where where;
	char text[300], tried[512];
	setenv("BATON_SOCKET", "/a/b.sock", 1);
	setenv("XDG_RUNTIME_DIR", "/r", 1);
	assert_int_equal(where_look(&where), 0);
	assert_true(where.given && where.count == 1);
	where_tried(&where, tried, sizeof tried);
	assert_string_equal(tried, "/a/b.sock");
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	setenv("BATON_SOCKET", text, 1);
	assert_int_equal(where_look(&where), -ERR_BAD_FIELD);
	unsetenv("BATON_SOCKET");
}

/* The places in their order, the state folder's note last; each once. */
static void test_order(void **state)
{
	(void)state;
	struct where where;
	struct where_note note = {.pid = 12, .socket = "/else/where.sock", .http = "http://h:1"},
			  back;
	char path[128], text[WHERE_NOTE_BYTES], tried[512];
	setenv("XDG_RUNTIME_DIR", "/r", 1);
	setenv("XDG_STATE_HOME", dir, 1);
	snprintf(path, sizeof path, "%s/baton", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(where_look(&where), 0);
	unsigned before = where.count;
	assert_string_equal(where.paths[0], "/r/baton/baton.sock");
	snprintf(path, sizeof path, "%s/baton/%s", dir, where_note_name);
	FILE *file = fopen(path, "w");
	assert_true(where_note_write(&note, text) > 0 && fputs(text, file) >= 0);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(where_look(&where), 0);
	assert_int_equal(where.count, before + 1);
	assert_string_equal(where.paths[before], "/else/where.sock");
	where_tried(&where, tried, sizeof tried);
	assert_non_null(strstr(tried, " or /else/where.sock"));
	snprintf(path, sizeof path, "%s/baton", dir);
	assert_true(where_note_read(path, &back));
	assert_int_equal(back.pid, 12);
	assert_string_equal(back.http, "http://h:1");
	snprintf(path, sizeof path, "%s/baton/%s", dir, where_note_name);
	assert_int_equal(chmod(path, 0666), 0); /* anybody may have written it */
	assert_int_equal(where_look(&where), 0);
	assert_int_equal(where.count, before);
	unlink(path);
	snprintf(path, sizeof path, "%s/baton", dir);
	rmdir(path);
}

/* The first that answers; a dead socket before it is passed over. */
static void test_pick(void **state)
{
	(void)state;
	struct where where = {.count = 3};
	for (unsigned i = 0; i < where.count; i++)
		snprintf(where.paths[i], sizeof where.paths[i], "%s/%u.sock", dir, i);
	assert_ptr_equal(where_pick(&where), where.paths[0]);
	int live = listen_at(where.paths[2], true);
	assert_ptr_equal(where_pick(&where), where.paths[2]);
	int dead = listen_at(where.paths[1], false);
	assert_ptr_equal(where_pick(&where), where.paths[2]);
	assert_int_equal(where_listener(where.paths[2]), getpid());
	assert_int_equal(where_listener(where.paths[1]), 0);
	close(live);
	assert_ptr_equal(where_pick(&where), where.paths[1]);
	close(dead);
	unlink(where.paths[1]);
	unlink(where.paths[2]);
}

/* A socket that nobody listens on, or a folder that changed just now: it may come back. */
static void test_may_return(void **state)
{
	(void)state;
	struct where where = {.count = 1};
	struct timeval old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	snprintf(where.paths[0], sizeof where.paths[0], "%s/b.sock", dir);
	assert_int_equal(utimes(dir, old), 0);
	assert_false(where_may_return(&where));
	close(listen_at(where.paths[0], false));
	assert_int_equal(utimes(dir, old), 0);
	assert_true(where_may_return(&where));
	unlink(where.paths[0]);
	assert_true(where_may_return(&where));
	assert_int_equal(utimes(dir, old), 0);
	assert_false(where_may_return(&where));
	snprintf(where.paths[0], sizeof where.paths[0], "/nowhere/at/all.sock");
	assert_false(where_may_return(&where));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http_name),  cmocka_unit_test(test_given),
		cmocka_unit_test(test_order),      cmocka_unit_test(test_pick),
		cmocka_unit_test(test_may_return),
	};
	snprintf(dir, sizeof dir, "/tmp/baton-where-XXXXXX");
	unsetenv("BATON_SOCKET");
	if (!mkdtemp(dir))
		return 1;
	int failed = cmocka_run_group_tests_name("where", tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
