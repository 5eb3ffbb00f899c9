/* Goal: tokens are made once, 0600, and never taken from a file that others can read; links work
 * once. Method: a folder of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "server/access/credentials.h"

static char dir[64], path[96], detail[512];

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/baton-secrets-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/token", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	rmdir(dir);
	return 0;
}

/* The first call makes 256 bits, the next one reads the same. */
static void test_once(void **state)
{
	(void)state;
	char first[SECRET_HEX_BYTES], second[SECRET_HEX_BYTES];
	struct stat st;
	assert_int_equal(credential_file(dir, "token", true, first, detail, sizeof detail), 0);
	assert_int_equal(strlen(first), 64);
	assert_int_equal(strspn(first, "0123456789abcdef"), 64);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(credential_file(dir, "token", true, second, detail, sizeof detail), 0);
	assert_string_equal(first, second);
	unlink(path);
	assert_int_equal(credential_file(dir, "token", true, second, detail, sizeof detail), 0);
	assert_string_not_equal(first, second);
}

/* What others can read, what is no token and what cannot be written is refused, without its value.
 */
static void test_refusals(void **state)
{
	(void)state;
	char hex[SECRET_HEX_BYTES];
	assert_int_equal(credential_file(dir, "token", true, hex, detail, sizeof detail), 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(credential_file(dir, "token", true, hex, detail, sizeof detail), -ERR_IO);
	assert_non_null(strstr(detail, "others may read it"));
	unlink(path);
	FILE *file = fopen(path, "w");
	fputs("short\n", file);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(credential_file(dir, "token", true, hex, detail, sizeof detail), -ERR_IO);
	assert_null(strstr(detail, "short"));
	assert_int_equal(credential_file("/nonexistent", "token", true, hex, detail, sizeof detail),
			 -ERR_IO);
}

/* Nobody writes into that FIFO: it is refused at once. */
static void test_fifo(void **state)
{
	(void)state;
	char hex[SECRET_HEX_BYTES], key[SECRET_TEXT_BYTES];
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(20);
	assert_int_equal(credential_file(dir, "token", true, hex, detail, sizeof detail), -ERR_IO);
	assert_non_null(strstr(detail, "token: not a regular file"));
	assert_int_equal(credential_read(path, key, detail, sizeof detail), -ERR_IO);
	assert_non_null(strstr(detail, "token: not a regular file"));
	alarm(0);
}

/* A link gives one key, once, and only within its minute. */
static void put(const char *text, unsigned mode)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* An operator's own secret: one line, ours alone; whatever is wrong, its text is in no message. */
static void test_key_file(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned mode;
		const char *why;
	} bad[] = {
		{"0123456789abcdef\n", 0644, "others may read it; chmod 600 it"},
		{"0123456789abcde\n", 0600, "not one line of 16 to 128"},
		{"", 0600, "not one line"},
		{"0123456789abcdef\nanother line\n", 0600, "not one line"},
		{"0123456789 abcdef\n", 0600, "not one line"},
	};
	char secret[SECRET_TEXT_BYTES], longest[SECRET_TEXT_BYTES + 1];
	unlink(path);
	assert_int_equal(credential_read(path, secret, detail, sizeof detail), -ERR_IO);
	assert_non_null(strstr(detail, "there is no such file; make it: (umask 077;"));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		put(bad[i].text, bad[i].mode);
		assert_int_equal(credential_read(path, secret, detail, sizeof detail), -ERR_IO);
		if (!strstr(detail, bad[i].why))
			fail_msg("%s", detail);
		assert_null(strstr(detail, "0123456789"));
	}
	put("0123456789abcdef\r\n", 0600);
	assert_int_equal(credential_read(path, secret, detail, sizeof detail), 0);
	assert_string_equal(secret, "0123456789abcdef");
	memset(longest, 'k', sizeof longest);
	longest[SECRET_TEXT_BYTES] = '\0';
	put(longest, 0600);
	assert_int_equal(credential_read(path, secret, detail, sizeof detail), -ERR_IO);
	longest[SECRET_TEXT_BYTES - 1] = '\0';
	put(longest, 0600);
	assert_int_equal(credential_read(path, secret, detail, sizeof detail), 0);
	assert_string_equal(secret, longest);
}

static void test_links(void **state)
{
	(void)state;
	struct page_keys keys = {0};
	const uint8_t a[32] = {1}, b[32] = {2};
	char link[SECRET_HEX_BYTES];
	struct mono_ms now = {1000};
	assert_null(page_link_spend(&keys, "", b, now));
	snprintf(link, sizeof link, "%s", page_link_new(&keys, a, now));
	assert_null(page_link_spend(&keys, "01", b, now));
	const char *key = page_link_spend(&keys, link, b, now);
	assert_non_null(key);
	assert_string_not_equal(key, link);
	assert_int_equal(keys.count, 1);
	assert_ptr_equal(keys.views[0], key);
	assert_null(page_link_spend(&keys, link, b, now));
	snprintf(link, sizeof link, "%s", page_link_new(&keys, a, now));
	assert_null(page_link_spend(&keys, link, b, mono_after(now, LINK_TIME_MS)));
	for (uint8_t i = 0; i < 3 * LINKS_MAX; i++)
		page_link_new(&keys, (const uint8_t[32]){i}, mono_after(now, i));
	for (uint8_t i = 0; i < PAGE_KEYS_MAX + 3; i++) {
		snprintf(link, sizeof link, "%s", page_link_new(&keys, (uint8_t[32]){9, i}, now));
		assert_non_null(page_link_spend(&keys, link, (uint8_t[32]){7, i}, now));
	}
	assert_int_equal(keys.count, PAGE_KEYS_MAX);
}

/* Keys outlive the daemon: the same ones, in their order, from a file that is ours alone. */
static void test_page_keys(void **state)
{
	(void)state;
	struct page_keys keys = {0}, again = {0}, none = {0};
	char link[SECRET_HEX_BYTES], file[96];
	struct mono_ms now = {1000};
	struct stat st;
	snprintf(file, sizeof file, "%s/page-keys", dir);
	assert_int_equal(page_keys_load(&none, dir, detail, sizeof detail), 0);
	assert_int_equal(none.count, 0);
	for (uint8_t i = 0; i < PAGE_KEYS_MAX + 2; i++) {
		snprintf(link, sizeof link, "%s", page_link_new(&keys, (uint8_t[32]){9, i}, now));
		assert_non_null(page_link_spend(&keys, link, (uint8_t[32]){7, i}, now));
	}
	assert_int_equal(page_keys_save(&keys, dir, detail, sizeof detail), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(page_keys_load(&again, dir, detail, sizeof detail), 0);
	assert_int_equal(again.count, PAGE_KEYS_MAX);
	for (unsigned i = 0; i < PAGE_KEYS_MAX; i++)
		assert_string_equal(again.views[i], keys.views[i]);
	assert_int_equal(strncmp(keys.views[0], "0702", 4), 0); /* the oldest two went */
	assert_int_equal(chmod(file, 0644), 0);
	assert_int_equal(page_keys_load(&none, dir, detail, sizeof detail), -ERR_IO);
	assert_int_equal(none.count, 0);
	unlink(file);
}

/* A file cut anywhere gives the whole lines in front of the cut, and no part of one, and says so. A
 * damaged line costs no other. */
static void test_cut_keys(void **state)
{
	(void)state;
	struct page_keys keys = {0};
	char link[SECRET_HEX_BYTES], file[96];
	struct mono_ms now = {1000};
	snprintf(file, sizeof file, "%s/page-keys", dir);
	for (uint8_t i = 0; i < 2; i++) {
		snprintf(link, sizeof link, "%s", page_link_new(&keys, (uint8_t[32]){9, i}, now));
		assert_non_null(page_link_spend(&keys, link, (uint8_t[32]){7, i}, now));
	}
	assert_int_equal(page_keys_save(&keys, dir, detail, sizeof detail), 0);
	for (int length = 2 * SECRET_HEX_BYTES; length >= 0; length--) {
		struct page_keys cut = {0};
		assert_int_equal(truncate(file, length), 0);
		int rc = page_keys_load(&cut, dir, detail, sizeof detail);
		assert_int_equal(rc, (length + 1) % SECRET_HEX_BYTES < 2 ? 0 : -ERR_IO);
		assert_int_equal(cut.count, (length + 1) / SECRET_HEX_BYTES);
	}

	assert_int_equal(page_keys_save(&keys, dir, detail, sizeof detail), 0);
	struct page_keys left = {0};
	FILE *f = fopen(file, "r+");
	assert_non_null(f);
	assert_int_equal(fputc('x', f), 'x');
	assert_int_equal(fclose(f), 0);
	assert_int_equal(page_keys_load(&left, dir, detail, sizeof detail), -ERR_IO);
	assert_non_null(strstr(detail, "/page-keys:1: damaged"));
	assert_int_equal(left.count, 1);
	assert_string_equal(left.views[0], keys.views[1]);
	unlink(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fifo, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_key_file, set_up, tear_down),
		cmocka_unit_test(test_links),
		cmocka_unit_test_setup_teardown(test_page_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cut_keys, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
