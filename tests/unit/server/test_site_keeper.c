/* Goal: what may queue is what the disk has: a site that cannot be kept is not allowed, one that is
 * revoked stops counting at once, a token that is shown often is not written often, and a file that
 * is damaged is not guessed. Method: a
 * folder of the test's, and none at all for a disk that takes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "config/options.h"
#include "config/paths.h"
#include "net/net.h"
#include "server/access/access_setup.h"
#include "server/access/operator_name.h"
#include "server/access/site_keeper.h"

#include "kept_file.h"

static const char *const app = "https://app.example";
static const struct mono_ms now = {1000};

struct fixture {
	struct sites sites;
	struct access_setup access;
	struct paths paths;
	struct log log;
	unsigned lines;
	struct site_keeper keeper;
	char file[SETTINGS_PATH_BYTES + 8];
};

static struct wall_ms wall_now(void)
{
	return (struct wall_ms){0};
}

static void count_line(void *ctx, const struct log_line *line)
{
	struct fixture *f = ctx;
	(void)line;
	f->lines++;
}

static int set_up(void **state)
{
	static struct fixture f;
	f = (struct fixture){0};
	snprintf(f.paths.state_dir, sizeof f.paths.state_dir, "/tmp/baton-keeper-XXXXXX");
	assert_non_null(mkdtemp(f.paths.state_dir));
	snprintf(f.file, sizeof f.file, "%s/sites", f.paths.state_dir);
	log_init(&f.log, LOG_INFO, -1, wall_now);
	log_set_sink(&f.log, count_line, &f);
	f.keeper = (struct site_keeper){&f.sites, &f.access, &f.paths, &f.log};
	site_keeper_begin(&f.keeper);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	(void)unlink(f->file);
	(void)rmdir(f->paths.state_dir);
	return 0;
}

static uint64_t ask(struct fixture *f)
{
	static uint8_t noise[32];
	const struct site_ask *asked;
	int64_t wait_ms;
	noise[0]++;
	assert_int_equal(sites_ask(&f->sites, app, noise, now, &asked, &wait_ms), 0);
	return asked->id;
}

static int allow(struct fixture *f, uint64_t id)
{
	static const uint8_t noise[32] = {7};
	char origin[SITE_ORIGIN_BYTES + 1] = "", detail[512];
	int rc = site_keeper_allow(&f->keeper, id, noise, now, (struct wall_ms){5}, origin, detail,
				   sizeof detail);
	if (rc == 0)
		assert_string_equal(origin, app);
	return rc;
}

static void test_what_is_kept_is_allowed_and_comes_back(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(allow(f, ask(f)), 0);
	assert_int_equal(f->access.policy.site_count, 1);
	assert_string_equal(f->access.policy.sites[0], app);

	f->access.policy.site_count = 0;
	site_keeper_begin(&f->keeper);
	assert_int_equal(f->access.policy.site_count, 1);
	assert_non_null(sites_of_origin(&f->sites, app));
	assert_int_equal(f->lines, 0);
}

static void test_what_cannot_be_kept_is_not_allowed(void **state)
{
	struct fixture *f = *state;
	uint64_t id = ask(f);
	assert_int_equal(rmdir(f->paths.state_dir), 0);

	assert_int_equal(allow(f, id), -ERR_IO);
	assert_int_equal(f->access.policy.site_count, 0);
	assert_null(sites_of_origin(&f->sites, app));
	assert_int_equal(f->lines, 1);
	assert_int_equal(allow(f, id + 1), -ERR_NOT_FOUND);
}

static void test_what_is_revoked_counts_no_more_whatever_the_disk_says(void **state)
{
	struct fixture *f = *state;
	char origin[SITE_ORIGIN_BYTES + 1], detail[512];
	assert_int_equal(allow(f, ask(f)), 0);
	assert_int_equal(unlink(f->file), 0);
	assert_int_equal(rmdir(f->paths.state_dir), 0);

	assert_true(sites_revoke(&f->sites, f->sites.v[0].id, origin));
	assert_int_equal(site_keeper_save(&f->keeper, detail, sizeof detail), -ERR_IO);
	assert_int_equal(f->access.policy.site_count, 0);
	assert_int_equal(f->lines, 1);
}

static void test_use_is_written_once_an_hour(void **state)
{
	struct fixture *f = *state;
	const struct wall_ms begin = {3600 * 1000}, soon = {begin.v + 1000};
	assert_int_equal(allow(f, ask(f)), 0);
	struct site *site = sites_of_origin(&f->sites, app);

	site_keeper_used(&f->keeper, site, begin);
	assert_int_equal(unlink(f->file), 0);
	site_keeper_used(&f->keeper, site, soon);
	assert_int_equal(site->used.v, soon.v);
	assert_int_not_equal(access(f->file, F_OK), 0);

	site_keeper_used(&f->keeper, site, (struct wall_ms){begin.v + 3600 * 1000});
	assert_int_equal(access(f->file, F_OK), 0);
}

/* A broker that starts on this file counts none of it, says so, and lets nobody in; the file stays.
 */
static void check_refused(struct fixture *f, const char *text)
{
	char detail[640], left[1024];

	kept_file_write(f->file, text);
	f->lines = 0;
	site_keeper_begin(&f->keeper);
	assert_int_equal(f->lines, 1);
	assert_int_equal(f->access.policy.site_count, 0);
	assert_null(sites_of_origin(&f->sites, app));
	assert_int_equal(site_keeper_ready(&f->keeper, detail, sizeof detail), -ERR_IO);
	assert_non_null(strstr(detail, "/sites:"));
	assert_int_equal(allow(f, ask(f)), -ERR_IO);
	kept_file_read(f->file, left, sizeof left);
	assert_string_equal(left, text);
}

static void test_a_damaged_file_counts_for_nothing_and_stays(void **state)
{
	struct fixture *f = *state;
	char good[1024], bad[1024], detail[640];
	assert_int_equal(allow(f, ask(f)), 0);
	kept_file_read(f->file, good, sizeof good);
	for (size_t length = 0; length < strlen(good); length++) {
		memcpy(bad, good, length);
		bad[length] = '\0';
		check_refused(f, bad);
	}
	for (size_t at = 0; at < strlen(good); at++) {
		memcpy(bad, good, sizeof bad);
		bad[at] = bad[at] == '1' ? '2' : '1';
		check_refused(f, bad);
	}

	memcpy(bad, good, sizeof bad);
	*strstr(bad, " 5 0 ") = '\t';
	check_refused(f, bad);
	assert_int_equal(site_keeper_ready(&f->keeper, detail, sizeof detail), -ERR_IO);
	assert_non_null(strstr(detail, "/sites:1: site https://app.example damaged"));

	kept_file_write(f->file, good);
	assert_int_equal(site_keeper_ready(&f->keeper, detail, sizeof detail), 0);
	assert_int_equal(f->access.policy.site_count, 1);
	assert_non_null(sites_of_origin(&f->sites, app));
	assert_int_equal(chmod(f->file, 0644), 0);
	site_keeper_begin(&f->keeper);
	assert_int_equal(f->access.policy.site_count, 0);
}

static void test_a_file_without_marks_is_read_and_gets_them(void **state)
{
	struct fixture *f = *state;
	static const char rows[] = "3 0123456789abcdef0123456789abcdef0123456789abcdef"
				   "0123456789abcdef 5 0 https://old.example\n"
				   "4 0123456789abcdef0123456789abcdef0123456789abcdef"
				   "0123456789abcdef 6 7 https://other.example\n";
	char text[1024], cut[sizeof rows];
	kept_file_write(f->file, rows);
	site_keeper_begin(&f->keeper);
	assert_int_equal(f->lines, 0);
	assert_int_equal(f->access.policy.site_count, 2);
	assert_int_equal(f->sites.next_id, 5);
	assert_int_equal(allow(f, ask(f)), 0);
	kept_file_read(f->file, text, sizeof text);
	assert_non_null(strstr(text, "\n3 sites marked\n"));
	site_keeper_begin(&f->keeper);
	assert_int_equal(f->access.policy.site_count, 3);

	snprintf(cut, sizeof cut, "%.*s", (int)sizeof rows - 3, rows);
	check_refused(f, cut);
	memcpy(cut, rows, sizeof cut);
	*strstr(cut, "\n4 ") = ' ';
	check_refused(f, cut);
}

/* The audit has the kernel's word where there is one. */
static void test_operators_have_names(void **state)
{
	const struct net_peer local = {.is_unix = true, .uid = 1000, .pid = 4242}, remote = {0};
	char name[64];
	(void)state;
	operator_name(&local, "token", name, sizeof name);
	assert_string_equal(name, "uid=1000 pid=4242");
	operator_name(&remote, "token", name, sizeof name);
	assert_string_equal(name, "token");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_kept_is_allowed_and_comes_back, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_kept_is_not_allowed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			test_what_is_revoked_counts_no_more_whatever_the_disk_says, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_use_is_written_once_an_hour, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_damaged_file_counts_for_nothing_and_stays,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file_without_marks_is_read_and_gets_them,
						set_up, tear_down),
		cmocka_unit_test(test_operators_have_names),
	};
	return cmocka_run_group_tests_name("server-site-keeper", tests, NULL, NULL);
}
