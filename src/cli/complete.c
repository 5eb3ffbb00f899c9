/* complete: what may come next on an unfinished command line, from the tables of commands and
 * options and, for names of GPUs and claims, from the broker. Prints nothing if none answers. The
 * scripts of completion.c call it through `baton completion words`. */
#include "cli/complete.h"

#include <ctype.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/http_client.h"

/* The values that a word in an option's help stands for. */
enum value_kind { VALUE_NONE, VALUE_FILES, VALUE_FOLDERS, VALUE_GPUS, VALUE_CLAIMS };

static const struct {
	const char *argument;
	enum value_kind kind;
} value_kinds[] = {
	{"PATH", VALUE_FILES},        {"FILE", VALUE_FILES},   {"OUT", VALUE_FILES},
	{"DIR", VALUE_FOLDERS},       {"GPU", VALUE_GPUS},     {"LEASE|NAME", VALUE_CLAIMS},
	{"NAME|CLAIM", VALUE_CLAIMS}, {"CLAIM", VALUE_CLAIMS}, {"LEASE", VALUE_CLAIMS},
};

/* The last word, which is being typed, and the part before its value: "--class=". */
struct typing {
	const struct cli *cli;
	const char *word, *value;
	size_t before;
	bool begun; /* the line that says how to complete was printed */
};

static const struct option_spec socket_option = {
	.name = "socket", .kind = OPTION_TEXT, .argument = "PATH", .help = "the broker's socket"};
static const struct option_spec help_option = {.letter = 'h', .name = "help", .help = "this text"};
static const struct option_spec version_option = {
	.letter = 'V', .name = "version", .help = "the version of this program"};

static void print_how(struct typing *typing, const char *words)
{
	if (!typing->begun)
		puts(words);
	typing->begun = true;
}

static void offer_word(struct typing *typing, const char *value, const char *help)
{
	print_how(typing, "words");
	if (strncmp(value, typing->value, strlen(typing->value)) == 0)
		printf("%.*s%s\t%s\n", (int)typing->before, typing->word, value, help);
}

/* A word that every shell reads literally: somebody else may have chosen it, hoping it gets run. */
static bool is_plain(const char *word)
{
	if (!*word || *word == '-')
		return false;
	for (; *word; word++)
		if ((unsigned char)*word < 0x80 && !isalnum((unsigned char)*word) &&
		    !strchr("._-+@%/:,", *word))
			return false;
	return true;
}

/* ---- values from the broker ---- */

static void offer_gpus(struct typing *typing, const json_t *status)
{
	size_t i;
	json_t *gpu;
	json_array_foreach (json_object_get(status, "gpus"), i, gpu) {
		const char *name = field_text(gpu, "name", "");
		if (is_plain(name))
			offer_word(typing, name,
				   field_true(gpu, "healthy") ? "GPU" : "does not work");
	}
}

static void offer_claim(struct typing *typing, const json_t *claim, const char *what)
{
	const char *name = field_text(claim, "id", "");
	char number[24];
	snprintf(number, sizeof(number), "%" PRIu64, field_u64(claim, "lease"));
	offer_word(typing, is_plain(name) ? name : number, what);
}

static void offer_claims(struct typing *typing, const json_t *status)
{
	size_t i;
	json_t *claim;
	json_array_foreach (json_object_get(status, "leases"), i, claim)
		offer_claim(typing, claim, "holds");
	json_array_foreach (json_object_get(status, "waiting"), i, claim)
		offer_claim(typing, claim, "waits");
}

static void offer_from_broker(struct typing *typing, enum value_kind kind)
{
	char error[512];
	json_t *status;
	print_how(typing, "words");

	if (http_client_try("GET", "/v1/gpu/status", NULL, &status, error, sizeof(error)) < 0)
		return;

	if (kind == VALUE_GPUS)
		offer_gpus(typing, status);
	else
		offer_claims(typing, status);
	json_decref(status);
}

/* ---- values from the tables ---- */

static void offer_signals(struct typing *typing)
{
	for (int signo = 1; signo < NSIG; signo++) {
		const char *name = sigabbrev_np(signo);
		char whole[32];
		if (!name)
			continue;
		snprintf(whole, sizeof(whole), "SIG%s", name);
		offer_word(typing, strncasecmp(typing->value, "SIG", 3) == 0 ? whole : name,
			   sigdescr_np(signo));
	}
}

static void offer_values(struct typing *typing, const struct option_spec *spec)
{
	enum value_kind kind = VALUE_NONE;
	for (size_t i = 0; i < sizeof(value_kinds) / sizeof(*value_kinds); i++)
		if (strcmp(spec->argument, value_kinds[i].argument) == 0)
			kind = value_kinds[i].kind;

	for (const char *const *choice = spec->choices; choice && *choice; choice++)
		offer_word(typing, *choice, "");
	if (spec->kind == OPTION_SIGNAL)
		offer_signals(typing);
	else if (spec->kind == OPTION_SLOTS)
		offer_word(typing, "all", "as many as the GPU has");
	else if (kind == VALUE_FILES || kind == VALUE_FOLDERS)
		print_how(typing, kind == VALUE_FILES ? "files" : "folders");
	else if (kind != VALUE_NONE)
		offer_from_broker(typing, kind);
}

static void offer_option(struct typing *typing, const struct option_spec *spec)
{
	char word[64];
	snprintf(word, sizeof(word), "--%s", spec->name);
	offer_word(typing, word, spec->help);
}

static bool has_option(const struct command *command, const char *name)
{
	for (size_t i = 0; i < command->option_count; i++)
		if (strcmp(command->options[i].name, name) == 0)
			return true;
	return false;
}

static void offer_options(struct typing *typing, const struct command *command)
{
	static const struct option_spec *const shared[] = {&socket_option, &help_option,
							   &version_option};
	for (size_t i = 0; i < command->option_count; i++)
		offer_option(typing, &command->options[i]);
	for (size_t i = 0; i < sizeof(shared) / sizeof(*shared); i++)
		if (!has_option(command, shared[i]->name))
			offer_option(typing, shared[i]);
}

static void offer_commands(struct typing *typing)
{
	for (size_t i = 0; i < typing->cli->command_count; i++)
		offer_word(typing, typing->cli->commands[i]->name,
			   typing->cli->commands[i]->summary);
}

/* ---- the line ---- */

static const struct option_spec *find_option(const struct command *command, const char *word)
{
	if (word[1] != '-') {
		for (size_t i = 0; i < command->option_count; i++)
			if (command->options[i].letter && command->options[i].letter == word[1])
				return &command->options[i];
		return NULL;
	}

	size_t length = strcspn(word + 2, "=");
	for (size_t i = 0; i < command->option_count; i++)
		if (strlen(command->options[i].name) == length &&
		    strncmp(command->options[i].name, word + 2, length) == 0)
			return &command->options[i];
	return length == 6 && strncmp(word + 2, "socket", 6) == 0 ? &socket_option : NULL;
}

/* Where the value starts in "--class=v" or "-cv"; 0 if the word has none. */
static size_t attached_value(const struct option_spec *spec, const char *word)
{
	if (!spec || !spec->argument)
		return 0;
	if (word[1] != '-')
		return word[1] ? 2 : 0;
	size_t name = strcspn(word, "=");
	return word[name] ? name + 1 : 0;
}

static void take_socket(const char *path)
{
	(void)setenv("BATON_SOCKET", path, 1);
}

static const char *const shells[] = {"bash", "zsh", "fish"};

static void offer_argument(struct typing *typing, const struct command *command, int before)
{
	enum argument_kind kind = command->arguments;

	if (command->verbs) {
		for (size_t i = 0; command->verbs[i] && before == 0; i++)
			offer_word(typing, command->verbs[i], "");
	} else if (kind == ARGUMENTS_CLAIM || kind == ARGUMENTS_CLAIM_OR_NONE) {
		if (before == 0)
			offer_from_broker(typing, VALUE_CLAIMS);
	} else if (kind == ARGUMENTS_SHELL) {
		for (size_t i = 0; i < sizeof(shells) / sizeof(*shells) && before == 0; i++)
			offer_word(typing, shells[i], "");
	} else if (kind == ARGUMENTS_COMMAND_NAME) {
		if (before == 0)
			offer_commands(typing);
	} else if (kind == ARGUMENTS_FORMAT_FILE && before == 0) {
		offer_word(typing, "llama-swap", "its configuration");
	} else if (kind == ARGUMENTS_RAW || (kind == ARGUMENTS_FORMAT_FILE && before == 1)) {
		print_how(typing, "files");
	} else if (!*typing->value && before == 0) {
		offer_options(typing, command);
	}
}

/* The words between the command's name and the one being typed. Returns how many of them are
 * arguments, or -1 - i when the program to run begins at words[i]. */
static int skip_words(const struct command *command, int count, char **words,
		      const struct option_spec **ret_pending, bool *ret_options_over)
{
	int arguments = 0;
	*ret_pending = NULL;
	*ret_options_over = false;

	for (int i = 0; i < count; i++) {
		const struct option_spec *spec;

		if (*ret_pending) {
			if (*ret_pending == &socket_option)
				take_socket(words[i]);
			*ret_pending = NULL;
		} else if (*ret_options_over || words[i][0] != '-' || !words[i][1]) {
			arguments++;
			if (command->arguments == ARGUMENTS_COMMAND)
				return -1 - i;
		} else if (strcmp(words[i], "--") == 0) {
			*ret_options_over = true;
		} else if ((spec = find_option(command, words[i])) && spec->argument) {
			size_t value = attached_value(spec, words[i]);
			bool attached = words[i][1] == '-' ? value > 0 : words[i][2] != '\0';
			if (attached && spec == &socket_option)
				take_socket(words[i] + value);
			*ret_pending = attached ? NULL : spec;
		}
	}
	return arguments;
}

/* words[0] is the command's name, words[count - 1] the one being typed. */
static void complete_command(struct typing *typing, const struct command *command, int at,
			     int count, char **words)
{
	const struct option_spec *pending;
	bool options_over;
	int arguments = skip_words(command, count - 2, words + 1, &pending, &options_over);
	const char *word = typing->word;
	bool is_option = !options_over && word[0] == '-';
	char line[32];

	if (arguments < 0) {
		snprintf(line, sizeof(line), "command %d", at - arguments);
		print_how(typing, line);
		return;
	}
	if (pending) {
		offer_values(typing, pending);
	} else if (is_option) {
		const struct option_spec *spec = find_option(command, word);
		typing->before = attached_value(spec, word);
		typing->value = word + typing->before;
		if (typing->before)
			offer_values(typing, spec);
		else
			offer_options(typing, command);
	} else if (command->arguments == ARGUMENTS_COMMAND) {
		snprintf(line, sizeof(line), "command %d", at + count - 1);
		print_how(typing, line);
	} else {
		offer_argument(typing, command, arguments);
	}
}

void complete_print(const struct cli *cli, int count, char **words)
{
	static char *none[] = {"", NULL};
	if (count == 0) {
		count = 1;
		words = none;
	}

	struct typing typing = {.cli = cli, .word = words[count - 1], .value = words[count - 1]};
	int at = 0;

	for (; at < count - 1 && words[at][0] == '-'; at++) {
		if (strncmp(words[at], "--socket=", 9) == 0)
			take_socket(words[at] + 9);
		else if (strcmp(words[at], "--socket") == 0 && at + 1 == count - 1)
			print_how(&typing, "files");
		else if (strcmp(words[at], "--socket") == 0)
			take_socket(words[++at]);
	}

	const struct command *command = cli_find(cli->commands, cli->command_count, words[at]);
	if (at < count - 1 && command) {
		complete_command(&typing, command, at, count - at, words + at);
	} else if (at == count - 1 && typing.word[0] == '-') {
		offer_option(&typing, &socket_option);
		offer_option(&typing, &help_option);
		offer_option(&typing, &version_option);
	} else if (at == count - 1) {
		offer_commands(&typing);
	}

	print_how(&typing, "words");
}
