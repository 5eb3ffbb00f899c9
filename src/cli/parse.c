/* parse: reads the options of a command by its const table. Prints nothing; cli_parse does. */
#include "cli/parse.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/command.h"
#include "cli/units.h"

struct parse {
	const struct command *command;
	char *values;
	const char *socket_path;
	char *error;
	size_t error_size;
};

/* Every command has it. */
static const struct option_spec socket_option = {.name = "socket",
						 .kind = OPTION_TEXT,
						 .argument = "PATH",
						 .help = "the broker's socket (BATON_SOCKET)"};

static int refuse_word(struct parse *parse, const char *what, const char *word, const char *hint)
{
	snprintf(parse->error, parse->error_size, "%s '%.60s'%s%.60s%s", what, word,
		 hint ? "; did you mean " : "", hint ? hint : "", hint ? "?" : "");
	return -1;
}

/* Its place among the choices; -1: it is none of them. */
static int find_choice(const struct option_spec *spec, const char *text)
{
	for (int i = 0; spec->choices && spec->choices[i]; i++)
		if (strcmp(spec->choices[i], text) == 0)
			return i;
	return -1;
}

/* A signal, or one of the choices, which are negative. */
static bool take_signal(const struct option_spec *spec, const char *text, int *ret_signo)
{
	int at = find_choice(spec, text);
	if (at < 0)
		return units_parse_signal(text, ret_signo);
	*ret_signo = OPTION_CHOSEN(at);
	return true;
}

/* "unknown value 'x' of --class; it is one of voice, chat, normal, background". */
static int refuse_choice(struct parse *parse, const struct option_spec *spec, const char *text,
			 const char *nearest)
{
	size_t used = (size_t)snprintf(parse->error, parse->error_size,
				       "unknown value '%.60s' of --%s; ", text, spec->name);

	if (nearest) {
		snprintf(parse->error + used, parse->error_size - used, "did you mean %s?",
			 nearest);
		return -1;
	}

	for (size_t i = 0; spec->choices[i] && used < parse->error_size; i++)
		used += (size_t)snprintf(parse->error + used, parse->error_size - used, "%s%s",
					 i ? ", " : "it is one of ", spec->choices[i]);
	return -1;
}

static const char *nearest_choice(const struct option_spec *spec, const char *text)
{
	size_t count = 0;
	while (spec->choices[count])
		count++;
	return cli_nearest(text, spec->choices, count);
}

static int refuse_zero(const struct parse *parse, const struct option_spec *spec)
{
	snprintf(parse->error, parse->error_size, "--%s wants more than 0: %s", spec->name,
		 spec->not_zero);
	return -1;
}

static int take_value(struct parse *parse, const struct option_spec *spec, const char *text)
{
	void *value = parse->values + spec->offset;
	bool good = true;

	switch (spec->kind) {
	case OPTION_FLAG:
		*(bool *)value = true;
		break;
	case OPTION_TEXT:
		*(const char **)value = text;
		break;
	case OPTION_CHOICE:
		if (find_choice(spec, text) < 0)
			return refuse_choice(parse, spec, text, nearest_choice(spec, text));
		*(const char **)value = text;
		break;
	case OPTION_SIZE:
		good = units_parse_size(text, value);
		break;
	case OPTION_DURATION:
		good = units_parse_duration(text, value);
		if (good && spec->not_zero && *(int64_t *)value == 0)
			return refuse_zero(parse, spec);
		break;
	case OPTION_COUNT:
		good = units_parse_count(text, value);
		break;
	case OPTION_SLOTS:
		good = units_parse_slots(text, value);
		break;
	case OPTION_SIGNAL:
		good = take_signal(spec, text, value);
		break;
	}

	if (good)
		return 0;

	if (spec->kind == OPTION_SIGNAL && spec->choices)
		return refuse_choice(parse, spec, text, nearest_choice(spec, text));

	static const char *const wanted[] = {
		[OPTION_SIZE] = "a size such as 8G or 512M",
		[OPTION_DURATION] = "a time such as 90s or 5m",
		[OPTION_COUNT] = "a number",
		[OPTION_SLOTS] = "a number or all",
		[OPTION_SIGNAL] = "a signal such as USR1",
	};
	snprintf(parse->error, parse->error_size, "--%s wants %s, not '%.60s'", spec->name,
		 wanted[spec->kind], text);
	return -1;
}

static const struct option_spec *find_long(const struct command *command, const char *name,
					   size_t length)
{
	if (strlen(socket_option.name) == length && strncmp(name, socket_option.name, length) == 0)
		return &socket_option;

	for (size_t i = 0; i < command->option_count; i++) {
		const struct option_spec *spec = &command->options[i];
		if (strlen(spec->name) == length && strncmp(spec->name, name, length) == 0)
			return spec;
	}
	return NULL;
}

static int unknown_long(struct parse *parse, const char *word)
{
	const char *known[64];
	size_t count = 0;
	char hint[64];

	for (size_t i = 0; i < parse->command->option_count && count < 61; i++)
		if (!parse->command->options[i].destructive)
			known[count++] = parse->command->options[i].name;
	known[count++] = socket_option.name;
	known[count++] = "help";
	known[count++] = "version";

	char name[64];
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	const char *nearest = cli_nearest(name, known, count);
	snprintf(hint, sizeof(hint), "--%s", nearest ? nearest : "");
	return refuse_word(parse, "unknown option", word, nearest ? hint : NULL);
}

/* One option at argv[0]; *ret_used words were taken. */
static int take_option(struct parse *parse, const struct option_spec *spec, const char *attached,
		       char **argv, int argc, int *ret_used)
{
	*ret_used = 1;

	if (spec->kind == OPTION_FLAG) {
		if (!attached)
			return take_value(parse, spec, NULL);
		snprintf(parse->error, parse->error_size, "--%s takes no value", spec->name);
		return -1;
	}

	if (!attached && argc < 2) {
		snprintf(parse->error, parse->error_size, "--%s needs a value: %s", spec->name,
			 spec->argument);
		return -1;
	}

	*ret_used = attached ? 1 : 2;
	const char *text = attached ? attached : argv[1];
	if (spec == &socket_option) {
		parse->socket_path = text;
		return 0;
	}
	return take_value(parse, spec, text);
}

static int take_long(struct parse *parse, char **argv, int argc, int *ret_used)
{
	const char *name = argv[0] + 2;
	size_t length = strcspn(name, "=");
	const struct option_spec *spec = find_long(parse->command, name, length);
	if (!spec)
		return unknown_long(parse, argv[0]);
	return take_option(parse, spec, name[length] ? name + length + 1 : NULL, argv, argc,
			   ret_used);
}

/* "-q", "-n5", "-n 5"; letters are not bundled. */
static int take_short(struct parse *parse, char **argv, int argc, int *ret_used)
{
	for (size_t i = 0; i < parse->command->option_count; i++) {
		const struct option_spec *spec = &parse->command->options[i];
		if (spec->letter && spec->letter == argv[0][1])
			return take_option(parse, spec, argv[0][2] ? argv[0] + 2 : NULL, argv, argc,
					   ret_used);
	}
	return refuse_word(parse, "unknown option", argv[0], NULL);
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int cli_parse_values(const struct command *command, int *argc, char **argv, void *values,
		     const char **ret_socket, char *error, size_t error_size)
{
	struct parse parse = {
		.command = command, .values = values, .error = error, .error_size = error_size};
	int kept = 1;
	bool options_over = false;

	for (int i = 1; i < *argc;) {
		int used = 1, rc = 0;

		if (options_over || argv[i][0] != '-' || argv[i][1] == '\0') {
			/* What follows a program's name belongs to the program. */
			options_over |= command->arguments == ARGUMENTS_COMMAND;
			argv[kept++] = argv[i];
		} else if (strcmp(argv[i], "--") == 0) {
			options_over = true;
		} else if (is_help(argv[i])) {
			return CLI_HELP;
		} else if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0) {
			return CLI_VERSION;
		} else if (argv[i][1] == '-') {
			rc = take_long(&parse, argv + i, *argc - i, &used);
		} else {
			rc = take_short(&parse, argv + i, *argc - i, &used);
		}

		if (rc < 0)
			return -1;
		i += used;
	}

	argv[kept] = NULL;
	*argc = kept;
	if (parse.socket_path)
		*ret_socket = parse.socket_path;
	return 0;
}
