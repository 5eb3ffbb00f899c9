/* keys: keys for programs, made, listed and revoked while the broker runs. A key is printed once,
 * alone on its line, so that a script can take it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/http_client.h"

struct keys_options {
	bool json;
	const char *classes, *models;
	uint32_t queue, held, requests; /* NOT_SAID, or for the broker to judge */
};

#define NOT_SAID UINT32_MAX

static const char *const verbs[] = {"list", "new", "revoke", NULL};

static const struct option_spec option_specs[] = {
	{.name = "class",
	 .kind = OPTION_TEXT,
	 .argument = "CLASSES",
	 .help = "new: what it may ask for, as voice,chat; else as the configuration says",
	 .offset = offsetof(struct keys_options, classes)},
	{.name = "models",
	 .kind = OPTION_TEXT,
	 .argument = "GLOBS",
	 .help = "new: the models that it may ask for and see, as 'qwen*,llama3'; else all",
	 .offset = offsetof(struct keys_options, models)},
	{.name = "requests",
	 .kind = OPTION_COUNT,
	 .argument = "N",
	 .help = "new: so many requests to models at the same time; else any number",
	 .offset = offsetof(struct keys_options, requests)},
	{.name = "queue",
	 .kind = OPTION_COUNT,
	 .argument = "N",
	 .help = "new: so many of its claims may wait",
	 .offset = offsetof(struct keys_options, queue)},
	{.name = "held",
	 .kind = OPTION_COUNT,
	 .argument = "N",
	 .help = "new: so many leases it may hold",
	 .offset = offsetof(struct keys_options, held)},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: the broker's answer",
	 .offset = offsetof(struct keys_options, json)},
};

static void print_json(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
}

static void print_classes(const json_t *row)
{
	const json_t *classes = json_object_get(row, "classes");
	size_t i;
	json_t *name;

	json_array_foreach (classes, i, name)
		printf("%s%s", i ? " " : "; ", json_string_value(name));
}

static void print_count(const json_t *row, const char *field, const char *words)
{
	uint64_t count = field_u64(row, field);
	if (count)
		printf("; %" PRIu64 " %s", count, words);
}

static void print_key(const json_t *row)
{
	const char *models = field_text(row, "models", NULL);

	printf("%s made %s, last used %s", field_text(row, "name", "?"),
	       field_text(row, "made", "?"), field_text(row, "used", "never"));
	print_classes(row);
	print_count(row, "queue", "may wait");
	print_count(row, "held", "may be held");
	print_count(row, "requests", "requests at once");
	if (models)
		printf("; models %s", models);
	putchar('\n');
}

static void print_rows(const json_t *answer)
{
	const json_t *keys = json_object_get(answer, "keys");
	size_t i;
	json_t *row;

	json_array_foreach (keys, i, row) {
		const char *name = field_text(row, "name", "?");
		if (field_true(row, "revoked"))
			printf("%s is revoked, which is not written yet: baton keys revoke %s\n",
			       name, name);
		else
			print_key(row);
	}

	if (json_array_size(keys) == 0)
		puts("no key was made here: baton keys new NAME; those of the configuration stand "
		     "there");
}

static int list_keys(const struct command *command, const struct keys_options *options)
{
	json_t *answer;
	int rc = http_client_call(command, "GET", "/v1/keys", NULL, &answer);
	if (rc > 0)
		return rc;

	if (options->json)
		print_json(answer);
	else
		print_rows(answer);
	json_decref(answer);
	return 0;
}

/* "voice,chat" as a list. */
static json_t *list_of(const char *words)
{
	json_t *list = json_array();

	for (size_t length; *words; words += length + (words[length] == ',')) {
		length = strcspn(words, ",");
		json_array_append_new(list, json_stringn(words, length));
	}
	return list;
}

static void add_count(json_t *body, const char *field, uint32_t count)
{
	if (count != NOT_SAID)
		json_object_set_new(body, field, json_integer(count));
}

static json_t *body_of_new(const char *name, const struct keys_options *options)
{
	json_t *body = json_pack("{s:s}", "name", name);

	if (options->classes)
		json_object_set_new(body, "classes", list_of(options->classes));
	if (options->models)
		json_object_set_new(body, "models", json_string(options->models));
	add_count(body, "queue", options->queue);
	add_count(body, "held", options->held);
	add_count(body, "requests", options->requests);
	return body;
}

/* Takes the body. */
static int post_body(const struct command *command, const char *path, json_t *body,
		     json_t **ret_answer)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	if (!text) /* no UTF-8 */
		return cli_fail(command, EX_USAGE,
				"a name has letters, digits, and ._@-, at most 40");

	int rc = http_client_call(command, "POST", path, text, ret_answer);
	free(text);
	return rc;
}

static int make_key(const struct command *command, const char *name,
		    const struct keys_options *options)
{
	json_t *answer;
	int rc = post_body(command, "/v1/keys", body_of_new(name, options), &answer);
	if (rc > 0)
		return rc;

	if (options->json)
		print_json(answer);
	else
		puts(field_text(answer, "key", "?"));
	json_decref(answer);
	return 0;
}

static int revoke_key(const struct command *command, const char *name,
		      const struct keys_options *options)
{
	json_t *answer;
	int rc = post_body(command, "/v1/keys/revoke", json_pack("{s:s}", "name", name), &answer);
	if (rc > 0)
		return rc;

	if (options->json)
		print_json(answer);
	else
		printf("%s: good no longer, and what came by it is over\n",
		       field_text(answer, "name", name));
	json_decref(answer);
	return 0;
}

static bool has_limits(const struct keys_options *options)
{
	return options->classes || options->models || options->queue != NOT_SAID ||
	       options->held != NOT_SAID || options->requests != NOT_SAID;
}

static int run_keys(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct keys_options options = {.queue = NOT_SAID, .held = NOT_SAID, .requests = NOT_SAID};
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	if (argc == 3 && strcmp(argv[1], "new") == 0)
		return make_key(command, argv[2], &options);
	if (has_limits(&options))
		return cli_fail(command, EX_USAGE,
				"a key is limited when it is made: expected new and a name");
	if (argc == 1 || (argc == 2 && strcmp(argv[1], "list") == 0))
		return list_keys(command, &options);
	if (argc == 3 && strcmp(argv[1], "revoke") == 0)
		return revoke_key(command, argv[2], &options);
	return cli_fail(command, EX_USAGE, "expected list, or new or revoke and a name");
}

const struct command command_keys = {
	.name = "keys",
	.summary = "Make a key for a program, list keys, revoke one.",
	.usage = "[list|new NAME [--class CLASSES] [--models GLOBS] [--requests N]|revoke NAME] "
		 "[--json]",
	.details =
		"A key is printed once; the broker keeps a hash of it. Who shows it "
		"(Authorization:\n"
		"Bearer, or x-api-key) may do what the install token may, as `key:NAME`. Revoking\n"
		"ends what came by it, at once.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_WORDS,
	.verbs = verbs,
	.run = run_keys,
};
