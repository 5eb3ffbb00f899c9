/* Goal: a command is split into the words that llama-swap makes of it. Method: rows of a text and
 * its words, one in brackets each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "import/split_words.h"

static void assert_split(const char *text, const char *expected)
{
	struct split_words words;
	char got[512] = "";

	assert_null(split_words(text, &words));
	for (size_t i = 0; i < words.count; i++) {
		size_t used = strlen(got);
		snprintf(got + used, sizeof got - used, "[%s]", words.v[i]);
	}
	assert_string_equal(got, expected);
	split_words_finish(&words);
}

static void test_words(void **state)
{
	(void)state;
	assert_split("a b\tc\n d", "[a][b][c][d]");
	assert_split("a 'b c' \"d e\"f", "[a][b c][d ef]");
	assert_split("a '' \"\"", "[a][][]");
	assert_split("a\\ b \\\"c \"d\\\"e\" 'f\\g'", "[a b][\"c][d\"e][f\\g]");
	assert_split("\"a\\nb\" c\\d", "[a\\nb][cd]");
	assert_split("a --port ${PORT}", "[a][--port][${PORT}]");
}

static void test_lines(void **state)
{
	(void)state;
	assert_split("a \\\n  -b \\\n  -c", "[a][-b][-c]");
	assert_split("a\\\nb", "[a][b]");
	assert_split("# first\na\n  # second\n-b # c\n", "[a][-b][#][c]");
	assert_split("a\r\n-b\r\n", "[a][-b]");
}

static void test_wrong(void **state)
{
	struct split_words words;

	(void)state;
	assert_string_equal(split_words("a 'b", &words), "has a ' without its second one");
	assert_string_equal(split_words("a \"b", &words), "has a \" without its second one");
	assert_string_equal(split_words("# a\n \n", &words), "has no program");
}

static void assert_shell(const char *text, const char *meaning)
{
	struct split_words words;

	assert_null(split_words(text, &words));
	if (meaning)
		assert_string_equal(words.shell, meaning);
	else
		assert_null(words.shell);
	split_words_finish(&words);
}

static void test_shell(void **state)
{
	(void)state;
	assert_shell("a | b", "join commands");
	assert_shell("a && b", "join commands");
	assert_shell("a > b", "redirect");
	assert_shell("a 2>&1", "redirect");
	assert_shell("a $(b)", "run a command for it");
	assert_shell("a `b`", "run a command for it");
	assert_shell("a $HOME/b", "fill in a variable");
	assert_shell("a ~/b", "fill in the home folder");
	assert_shell("A=1 b", "set a variable");
	assert_shell("a # b", "begin a comment");

	assert_shell("sh -c 'a | b > $(c)'", NULL);
	assert_shell("a '|' -ot x=(a|b) --x=1 https://h/?a&b ./c=d ${PORT}", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_shell),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
