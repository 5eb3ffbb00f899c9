/* Goal: options are read by the table alone, wrongly typed ones are refused with a way out, and a
 * program's own options are never ours. Method: a table with one option of each kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "baton/baton.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/parse.h"

struct values {
	bool flag;
	const char *text, *choice;
	uint64_t size;
	int64_t duration_ms;
	uint32_t count, slots;
	int signal;
};

static const char *const choices[] = {"voice", "chat", NULL};

static const struct option_spec options[] = {
	{.letter = 'f',
	 .name = "flag",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct values, flag)},
	{.name = "force",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct values, flag),
	 .destructive = true},
	{.letter = 't',
	 .name = "text",
	 .kind = OPTION_TEXT,
	 .argument = "T",
	 .offset = offsetof(struct values, text)},
	{.name = "class",
	 .kind = OPTION_CHOICE,
	 .argument = "C",
	 .offset = offsetof(struct values, choice),
	 .choices = choices},
	{.name = "vram",
	 .kind = OPTION_SIZE,
	 .argument = "SIZE",
	 .offset = offsetof(struct values, size)},
	{.name = "wait",
	 .kind = OPTION_DURATION,
	 .argument = "TIME",
	 .offset = offsetof(struct values, duration_ms)},
	{.name = "hold",
	 .kind = OPTION_DURATION,
	 .argument = "TIME",
	 .offset = offsetof(struct values, duration_ms),
	 .not_zero = "leave it out"},
	{.letter = 'n',
	 .name = "limit",
	 .kind = OPTION_COUNT,
	 .argument = "N",
	 .offset = offsetof(struct values, count)},
	{.name = "slots",
	 .kind = OPTION_SLOTS,
	 .argument = "N|all",
	 .offset = offsetof(struct values, slots)},
	{.name = "on-yield",
	 .kind = OPTION_SIGNAL,
	 .argument = "SIGNAL",
	 .offset = offsetof(struct values, signal)},
};

static struct command command_of(enum argument_kind arguments)
{
	return (struct command){.name = "test",
				.options = options,
				.option_count = sizeof(options) / sizeof(*options),
				.arguments = arguments};
}

enum { WORDS_MAX = 16 };

/* Parses NULL-terminated words after "test". */
static int parse(enum argument_kind arguments, const char *const *words, struct values *values,
		 char **argv, int *argc, char *error, const char **socket_path)
{
	struct command command = command_of(arguments);
	*argc = 1;
	argv[0] = (char *)"test";
	for (; *words; words++)
		argv[(*argc)++] = (char *)*words;
	argv[*argc] = NULL;
	memset(values, 0, sizeof(*values));
	error[0] = '\0';
	return cli_parse_values(&command, argc, argv, values, socket_path, error, 256);
}

/* Every kind, in every spelling. */
static void all_kinds(void **state)
{
	static const char *const words[] = {
		"-f",  "--text=a=b", "--class", "chat",    "--vram", "8G", "--wait=5m",
		"-n7", "--on-yield", "USR1",    "--slots", "all",    NULL};
	struct values values;
	char *argv[WORDS_MAX], error[256];
	const char *socket_path = NULL;
	int argc;
	(void)state;
	assert_int_equal(parse(ARGUMENTS_NONE, words, &values, argv, &argc, error, &socket_path),
			 0);
	assert_true(values.flag);
	assert_string_equal(values.text, "a=b");
	assert_string_equal(values.choice, "chat");
	assert_int_equal(values.size, 8ull << 30);
	assert_int_equal(values.duration_ms, 300000);
	assert_int_equal(values.count, 7);
	assert_int_equal(values.slots, BATON_SLOTS_ALL);
	assert_int_equal(values.signal, 10);
	assert_int_equal(argc, 1);
	assert_null(socket_path);
}

/* Words and options may be mixed, and --socket is taken everywhere. */
static void mixed_words(void **state)
{
	static const char *const words[] = {"one", "--flag", "two", "--socket", "/s", "-", NULL};
	struct values values;
	char *argv[WORDS_MAX], error[256];
	const char *socket_path = NULL;
	int argc;
	(void)state;
	assert_int_equal(parse(ARGUMENTS_CLAIM, words, &values, argv, &argc, error, &socket_path),
			 0);
	assert_true(values.flag);
	assert_string_equal(socket_path, "/s");
	assert_int_equal(argc, 4);
	assert_string_equal(argv[1], "one");
	assert_string_equal(argv[2], "two");
	assert_string_equal(argv[3], "-");
}

/* Behind the program's name, or --, nothing is an option of ours. */
static void program_arguments(void **state)
{
	static const char *const with_dashes[] = {"-f", "--", "--flag", "-x", "--", NULL};
	static const char *const without[] = {"-f", "python", "--help", "--no-such", NULL};
	struct values values;
	char *argv[WORDS_MAX], error[256];
	const char *socket_path = NULL;
	int argc;
	(void)state;
	assert_int_equal(
		parse(ARGUMENTS_COMMAND, with_dashes, &values, argv, &argc, error, &socket_path),
		0);
	assert_int_equal(argc, 4);
	assert_string_equal(argv[1], "--flag");
	assert_string_equal(argv[3], "--");
	assert_int_equal(
		parse(ARGUMENTS_COMMAND, without, &values, argv, &argc, error, &socket_path), 0);
	assert_int_equal(argc, 4);
	assert_string_equal(argv[2], "--help");
	assert_null(argv[4]);
}

/* Each mistake is named in words, with the nearest right word where there is one. */
static void mistakes(void **state)
{
	static const struct {
		const char *words[3];
		const char *says;
	} rows[] = {
		{{"--flga", NULL}, "did you mean --flag?"},
		{{"--clas=chat", NULL}, "did you mean --class?"},
		{{"--sokcet", "x", NULL}, "did you mean --socket?"},
		{{"--zebra", NULL}, "unknown option '--zebra'"},
		{{"--forec", NULL}, "unknown option '--forec'"},
		{{"-z", NULL}, "unknown option '-z'"},
		{{"--flag=1", NULL}, "takes no value"},
		{{"--text", NULL}, "needs a value: T"},
		{{"--class", "vioce", NULL}, "did you mean voice?"},
		{{"--class", "zebra", NULL},
		 "unknown value 'zebra' of --class; it is one of voice, chat"},
		{{"--vram", "8", NULL}, "wants a size such as 8G or 512M, not '8'"},
		{{"--wait", "soon", NULL}, "wants a time such as 90s or 5m"},
		{{"--hold", "0", NULL}, "--hold wants more than 0: leave it out"},
		{{"--hold=0h0.0ms", NULL}, "--hold wants more than 0: leave it out"},
		{{"--limit", "-1", NULL}, "wants a number"},
		{{"--slots", "most", NULL}, "wants a number or all, not 'most'"},
		{{"--on-yield", "BANG", NULL}, "wants a signal"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct values values;
		char *argv[WORDS_MAX], error[256];
		const char *socket_path = NULL;
		int argc;
		assert_int_equal(parse(ARGUMENTS_NONE, rows[i].words, &values, argv, &argc, error,
				       &socket_path),
				 -1);
		if (!strstr(error, rows[i].says))
			fail_msg("%s: '%s' does not say '%s'", rows[i].words[0], error,
				 rows[i].says);
	}
}

/* What takes something from somebody is taken as typed, and never suggested. */
static void never_suggested(void **state)
{
	static const char *const slips[] = {"--forec", "--forc", "--fo", "--forces"};
	(void)state;
	for (size_t i = 0; i < sizeof(slips) / sizeof(*slips); i++) {
		const char *words[] = {slips[i], NULL}, *socket_path = NULL;
		struct values values;
		char *argv[WORDS_MAX], error[256];
		int argc;
		assert_int_equal(
			parse(ARGUMENTS_NONE, words, &values, argv, &argc, error, &socket_path),
			-1);
		assert_null(strstr(error, "--force?"));
	}
}

/* --help wins over what else is right. */
static void help(void **state)
{
	static const char *const words[] = {"--flag", "-h", NULL};
	struct values values;
	char *argv[WORDS_MAX], error[256];
	const char *socket_path = NULL;
	int argc;
	(void)state;
	assert_int_equal(parse(ARGUMENTS_NONE, words, &values, argv, &argc, error, &socket_path),
			 1);
}

/* Near is one slip in three letters, or the beginning of a word. */
static void nearest(void **state)
{
	static const char *const known[] = {"status", "why", "release", "force-release", "reset"};
	(void)state;
	assert_string_equal(cli_nearest("stauts", known, 5), "status");
	assert_string_equal(cli_nearest("stat", known, 5), "status");
	assert_string_equal(cli_nearest("hwy", known, 5), "why");
	assert_string_equal(cli_nearest("force-relase", known, 5), "force-release");
	assert_string_equal(cli_nearest("resset", known, 5), "reset");
	assert_null(cli_nearest("zebra", known, 5));
	assert_null(cli_nearest("", known, 5));
	assert_null(cli_nearest("a-word-that-is-longer-than-any-option-there-is", known, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_kinds),         cmocka_unit_test(mixed_words),
		cmocka_unit_test(program_arguments), cmocka_unit_test(mistakes),
		cmocka_unit_test(never_suggested),   cmocka_unit_test(help),
		cmocka_unit_test(nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
