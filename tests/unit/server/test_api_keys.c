/* Goal: a made key is good while it stands in the table and no longer; what is kept of it is a
 * hash, comes back as it was, and is never guessed from a file that is damaged. Method: a folder of
 * the test's, and none at all for a disk that takes nothing. */
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
#include "server/access/access_setup.h"
#include "server/access/key_keeper.h"

#include "kept_file.h"

struct fixture {
	struct api_keys keys;
	struct access_setup access;
	struct paths paths;
	struct log log;
	unsigned lines, changes;
	struct key_keeper keeper;
	char file[SETTINGS_PATH_BYTES + 16], secret[API_KEY_BYTES], detail[640];
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

static void count_change(void *ctx)
{
	struct fixture *f = ctx;
	f->changes++;
}

static int set_up(void **state)
{
	static struct fixture f;
	f = (struct fixture){0};
	snprintf(f.paths.state_dir, sizeof f.paths.state_dir, "/tmp/baton-keys-XXXXXX");
	assert_non_null(mkdtemp(f.paths.state_dir));
	snprintf(f.file, sizeof f.file, "%s/api-keys", f.paths.state_dir);
	log_init(&f.log, LOG_INFO, -1, wall_now);
	log_set_sink(&f.log, count_line, &f);
	f.keeper = (struct key_keeper){&f.keys, &f.access, &f.paths, &f.log, count_change, &f};
	assert_int_equal(key_keeper_begin(&f.keeper, f.detail, sizeof f.detail), 0);
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

static int make(struct fixture *f, const char *name)
{
	static const struct api_key_limits limits = {.classes = 1 << LEASE_CHAT,
						     .queue_max = 3,
						     .held_max = 2,
						     .requests_max = 1,
						     .models = "qwen*,llama3"};
	static uint8_t noise[32];
	noise[0]++;
	return key_keeper_make(&f->keeper, name, &limits, noise, f->secret, f->detail,
			       sizeof f->detail);
}

/* Whose key this is, as the policy asks; NULL: nobody's. */
static const char *whose(struct fixture *f, const char *shown)
{
	const struct access_policy *policy = &f->access.policy;
	return policy->key_of ? policy->key_of(policy->key_ctx, shown, strlen(shown)) : NULL;
}

static void test_a_key_is_good_until_it_is_revoked(void **state)
{
	struct fixture *f = *state;
	bool ended;
	assert_int_equal(make(f, "alice"), 0);
	assert_int_equal(strncmp(f->secret, "baton_", 6), 0);
	assert_int_equal(strlen(f->secret), 6 + 64);
	assert_string_equal(whose(f, f->secret), "alice");
	assert_null(whose(f, f->secret + 6));
	assert_null(whose(f, ""));

	assert_int_equal(make(f, "alice"), -ERR_NAME_TAKEN);
	assert_string_equal(whose(f, f->secret), "alice");
	assert_int_equal(
		key_keeper_revoke(&f->keeper, "alice", &ended, f->detail, sizeof f->detail), 0);
	assert_true(ended);
	assert_null(whose(f, f->secret));
	assert_int_equal(
		key_keeper_revoke(&f->keeper, "alice", &ended, f->detail, sizeof f->detail),
		-ERR_NOT_FOUND);
	assert_false(ended);
}

static void test_a_name_of_the_configuration_is_taken(void **state)
{
	struct fixture *f = *state;
	struct key_ring *ring = &f->access.ring;
	snprintf(ring->names[0], sizeof ring->names[0], "carol");
	ring->count = 1;
	assert_int_equal(make(f, "carol"), -ERR_NAME_TAKEN);
	assert_int_equal(key_keeper_clash(&f->keeper, ring, f->detail, sizeof f->detail), 0);
	assert_int_equal(make(f, "dave"), 0);
	snprintf(ring->names[0], sizeof ring->names[0], "dave");
	assert_int_equal(key_keeper_clash(&f->keeper, ring, f->detail, sizeof f->detail),
			 -ERR_CONFIG);
}

static void test_what_is_kept_comes_back(void **state)
{
	struct fixture *f = *state;
	char text[4096];
	assert_int_equal(make(f, "alice"), 0);
	kept_file_read(f->file, text, sizeof text);
	assert_null(strstr(text, f->secret + 6));

	struct api_key before = f->keys.v[0];
	assert_int_equal(key_keeper_begin(&f->keeper, f->detail, sizeof f->detail), 0);
	assert_int_equal(f->keys.count, 1);
	assert_memory_equal(f->keys.v[0].hash, before.hash, sizeof before.hash);
	assert_int_equal(f->keys.v[0].made.v, before.made.v);
	assert_memory_equal(&f->keys.v[0].limits, &before.limits, sizeof before.limits);
	assert_string_equal(whose(f, f->secret), "alice");
}

static void test_a_damaged_file_counts_for_nothing_and_stays(void **state)
{
	struct fixture *f = *state;
	char good[4096], bad[4096], now[4096];
	assert_int_equal(make(f, "alice"), 0);
	kept_file_read(f->file, good, sizeof good);
	for (size_t length = 0; length < strlen(good); length++) {
		memcpy(bad, good, length);
		bad[length] = '\0';
		kept_file_write(f->file, bad);
		assert_int_equal(key_keeper_begin(&f->keeper, f->detail, sizeof f->detail), 0);
		assert_null(whose(f, f->secret));
		assert_int_equal(make(f, "bob"), -ERR_IO);
		assert_non_null(strstr(f->detail, "/api-keys:"));
		kept_file_read(f->file, now, sizeof now);
		assert_string_equal(now, bad);
	}

	kept_file_write(f->file, good);
	unsigned changes = f->changes;
	assert_int_equal(key_keeper_ready(&f->keeper, f->detail, sizeof f->detail), 0);
	assert_true(f->changes > changes); /* their limits count at once, too */
	assert_string_equal(whose(f, f->secret), "alice");
	assert_int_equal(chmod(f->file, 0644), 0);
	assert_int_equal(key_keeper_begin(&f->keeper, f->detail, sizeof f->detail), 0);
	assert_null(whose(f, f->secret));
}

/* Whatever one byte of it becomes, nothing of it counts: a digit would be another limit. */
static void test_a_changed_byte_is_seen_and_named(void **state)
{
	struct fixture *f = *state;
	char good[4096], bad[4096];
	assert_int_equal(make(f, "alice"), 0);
	assert_int_equal(make(f, "bob"), 0);
	kept_file_read(f->file, good, sizeof good);
	for (size_t at = 0; at < strlen(good); at++) {
		memcpy(bad, good, sizeof bad);
		bad[at] = bad[at] == '1' ? '2' : '1';
		char name[SETTINGS_KEY_NAME_BYTES + 1];
		assert_int_not_equal(api_keys_take(&f->keys, bad, name), 0);
	}

	memcpy(bad, good, sizeof bad);
	*strstr(strstr(bad, "bob"), " 3 2 1 ") = '\t';
	kept_file_write(f->file, bad);
	assert_int_equal(key_keeper_begin(&f->keeper, f->detail, sizeof f->detail), 0);
	assert_int_equal(make(f, "carol"), -ERR_IO);
	assert_non_null(strstr(f->detail, "/api-keys:2: key bob damaged"));
}

static void test_a_file_without_marks_is_read_and_gets_them(void **state)
{
	struct fixture *f = *state;
	static const char row[] = "old 0123456789abcdef0123456789abcdef0123456789abcdef"
				  "0123456789abcdef 5 0 3 0 0 0 *\n1 keys\n";
	char text[4096];
	kept_file_write(f->file, row);
	assert_int_equal(key_keeper_begin(&f->keeper, f->detail, sizeof f->detail), 0);
	assert_non_null(api_keys_find(&f->keys, "old"));
	assert_int_equal(make(f, "alice"), 0);
	kept_file_read(f->file, text, sizeof text);
	assert_non_null(strstr(text, "\n2 keys marked\n"));
	assert_int_equal(key_keeper_begin(&f->keeper, f->detail, sizeof f->detail), 0);
	assert_int_equal(f->keys.count, 2);
}

static void test_what_cannot_be_kept_is_not_made(void **state)
{
	struct fixture *f = *state;
	bool ended;
	assert_int_equal(make(f, "alice"), 0);
	char secret[API_KEY_BYTES];
	memcpy(secret, f->secret, sizeof secret);
	assert_int_equal(unlink(f->file), 0);
	assert_int_equal(rmdir(f->paths.state_dir), 0);

	assert_int_equal(make(f, "bob"), -ERR_IO);
	assert_null(api_keys_find(&f->keys, "bob"));
	assert_string_equal(whose(f, secret), "alice");
	assert_int_equal(
		key_keeper_revoke(&f->keeper, "alice", &ended, f->detail, sizeof f->detail),
		-ERR_IO);
	assert_true(ended);
	assert_null(whose(f, secret));
	assert_non_null(strstr(f->detail, "revoke it again"));
}

static void test_there_are_64(void **state)
{
	struct fixture *f = *state;
	char name[SETTINGS_KEY_NAME_BYTES + 1];
	bool ended;
	for (int i = 0; i < API_KEYS_MAX; i++) {
		snprintf(name, sizeof name, "%039d%c", i, 'x'); /* as long as may be */
		assert_int_equal(make(f, name), 0);
	}
	assert_int_equal(make(f, "more"), -ERR_KEYS_FULL);
	assert_int_equal(key_keeper_begin(&f->keeper, f->detail, sizeof f->detail), 0);
	assert_int_equal(f->keys.count, API_KEYS_MAX);
	assert_int_equal(key_keeper_revoke(&f->keeper, name, &ended, f->detail, sizeof f->detail),
			 0);
	assert_int_equal(make(f, "more"), 0);
}

static void test_use_is_written_once_an_hour(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(make(f, "alice"), 0);
	assert_int_equal(f->keys.v[0].used.v, 0);
	assert_non_null(whose(f, f->secret)); /* the first use is long after none */
	assert_true(f->keys.v[0].used.v > 0);
	assert_int_equal(f->keys.v[0].kept.v, f->keys.v[0].used.v);

	assert_int_equal(unlink(f->file), 0);
	assert_non_null(whose(f, f->secret));
	assert_int_not_equal(access(f->file, F_OK), 0);
	f->keys.v[0].kept.v -= 3600 * 1000;
	assert_non_null(whose(f, f->secret));
	assert_int_equal(access(f->file, F_OK), 0);
}

/* A row that goes late, when a use is written, is no reason to take one key for another. */
static void test_a_use_that_moves_rows_is_of_the_same_key(void **state)
{
	struct fixture *f = *state;
	bool ended;
	assert_int_equal(make(f, "alice"), 0);
	assert_int_equal(make(f, "bob"), 0);
	char secret[API_KEY_BYTES], aside[sizeof f->file + 8];
	memcpy(secret, f->secret, sizeof secret);
	assert_int_equal(make(f, "carol"), 0);
	snprintf(aside, sizeof aside, "%s.new", f->file);
	assert_int_equal(unlink(f->file), 0);
	assert_int_equal(mkdir(f->file, 0700), 0);
	assert_int_equal(mkdir(aside, 0700), 0);
	assert_int_equal(
		key_keeper_revoke(&f->keeper, "alice", &ended, f->detail, sizeof f->detail),
		-ERR_IO);
	assert_int_equal(f->keys.count, 3);
	assert_int_equal(rmdir(aside), 0);
	assert_int_equal(rmdir(f->file), 0);

	unsigned changes = f->changes;
	assert_string_equal(whose(f, secret), "bob");
	assert_int_equal(f->keys.count, 2);
	assert_true(f->changes > changes);
}

static void test_models_are_globs(void **state)
{
	(void)state;
	assert_true(api_key_models_ok("*"));
	assert_true(api_key_models_ok("qwen*,llama3:8b"));
	static const char *const bad[] = {"", ",", "a,", ",a", "a,,b", "a b", "a\nb"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(api_key_models_ok(bad[i]));
}

int main(void)
{
#define KEYS_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		KEYS_TEST(test_a_key_is_good_until_it_is_revoked),
		KEYS_TEST(test_a_name_of_the_configuration_is_taken),
		KEYS_TEST(test_what_is_kept_comes_back),
		KEYS_TEST(test_a_damaged_file_counts_for_nothing_and_stays),
		KEYS_TEST(test_a_changed_byte_is_seen_and_named),
		KEYS_TEST(test_a_file_without_marks_is_read_and_gets_them),
		KEYS_TEST(test_what_cannot_be_kept_is_not_made),
		KEYS_TEST(test_there_are_64),
		KEYS_TEST(test_a_use_that_moves_rows_is_of_the_same_key),
		KEYS_TEST(test_models_are_globs),
		KEYS_TEST(test_use_is_written_once_an_hour),
	};
	return cmocka_run_group_tests_name("server-api-keys", tests, NULL, NULL);
}
