/* Goal: a response is found by who asked for it and by nobody else, of each key the last ones are
 * remembered and of all together so many, and an id that could leave its place in a path is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/api_error.h"
#include "gateway/response_index.h"

static void note_id(struct response_index *index, const char *principal, unsigned number)
{
	char id[32];

	(void)snprintf(id, sizeof(id), "resp_%u", number);
	response_index_note(index, &(struct response_note){id, principal, "server", "http://h"});
}

static bool is_known(const struct response_index *index, const char *principal, unsigned number)
{
	struct response_note note;
	char id[32];

	(void)snprintf(id, sizeof(id), "resp_%u", number);
	return response_index_find(index, id, principal, &note);
}

static void test_whose(void **state)
{
	struct response_index index;
	struct response_note note;
	(void)state;

	response_index_init(&index);
	response_index_note(&index, &(struct response_note){"a", "one", "first", "http://1"});
	response_index_note(&index, &(struct response_note){"a", "two", "second", "http://2"});
	assert_true(response_index_find(&index, "a", "one", &note));
	assert_string_equal(note.server, "first");
	assert_string_equal(note.url, "http://1");
	assert_true(response_index_find(&index, "a", "two", &note));
	assert_string_equal(note.server, "second");
	assert_false(response_index_find(&index, "a", "three", &note));
	assert_false(response_index_find(&index, "b", "one", &note));

	response_index_note(&index, &(struct response_note){"a", "one", "third", "http://3"});
	assert_true(response_index_find(&index, "a", "one", &note));
	assert_string_equal(note.server, "third");
	assert_int_equal(index.count, 2);
	response_index_forget(&index, "a", "one");
	response_index_forget(&index, "a", "three");
	assert_false(response_index_find(&index, "a", "one", &note));
	assert_true(response_index_find(&index, "a", "two", &note));
	assert_true(response_index_has(&index, "a"));
	assert_false(response_index_has(&index, "b"));

	response_index_note(&index, &(struct response_note){"a", "one", "third", "http://3"});
	response_index_note(&index, &(struct response_note){"b", "two", "third", "http://3"});
	response_index_forget_all(&index, "two");
	assert_false(response_index_find(&index, "a", "two", &note));
	assert_false(response_index_has(&index, "b"));
	assert_true(response_index_find(&index, "a", "one", &note));
	assert_int_equal(index.count, 1);
	response_index_finish(&index);
}

static void test_bounds(void **state)
{
	struct response_index index;
	char principal[16];
	unsigned keys = RESPONSES_MAX / RESPONSES_MAX_PER_KEY + 1;
	(void)state;

	response_index_init(&index);
	for (unsigned i = 0; i <= RESPONSES_MAX_PER_KEY; i++)
		note_id(&index, "one", i);
	assert_int_equal(index.count, RESPONSES_MAX_PER_KEY);
	assert_false(is_known(&index, "one", 0));
	assert_true(is_known(&index, "one", 1));
	assert_true(is_known(&index, "one", RESPONSES_MAX_PER_KEY));

	for (unsigned key = 0; key < keys; key++) {
		(void)snprintf(principal, sizeof(principal), "key%u", key);
		for (unsigned i = 0; i < RESPONSES_MAX_PER_KEY; i++)
			note_id(&index, principal, i);
	}
	assert_int_equal(index.count, RESPONSES_MAX);
	assert_false(is_known(&index, "one", RESPONSES_MAX_PER_KEY));
	assert_true(is_known(&index, "key1", 0));
	response_index_finish(&index);
}

static void test_ids(void **state)
{
	static const char *const good[] = {"resp_68a", "A-b_9", "a.b~c", "...", "a:b+c=="};
	static const char *const bad[] = {"", ".", "..", "a/b", "a?b", "a%2f", "a b", "\xc3\xa9"};
	char text[API_RESPONSE_ID_BYTES + 1];
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(response_id_ok(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(response_id_ok(bad[i], strlen(bad[i])));
	memset(text, 'a', sizeof(text));
	text[API_RESPONSE_ID_BYTES] = '\0';
	assert_false(response_id_ok(text, API_RESPONSE_ID_BYTES));
	text[API_RESPONSE_ID_BYTES - 1] = '\0';
	assert_true(response_id_ok(text, API_RESPONSE_ID_BYTES - 1));
	assert_false(response_id_ok("a\0b", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
