/* keys: keys for programs, made, listed and revoked while the broker runs. A key is printed once,
 * alone on its line, so that a script can take it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/field.h"
#include "cli/http_client.h"

struct keys_options {
	bool json;
};

static const struct option_spec option_specs[] = {
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
			printf("%s made %s, last used %s\n", name, field_text(row, "made", "?"),
			       field_text(row, "used", "never"));
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

static int post_name(const struct command *command, const char *path, const char *name,
		     json_t **ret_answer)
{
	json_t *body = json_pack("{s:s}", "name", name);
	if (!body) /* no UTF-8 */
		return cli_fail(command, EX_USAGE,
				"a name has letters, digits, and ._@-, at most 40");

	char *text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	if (!text)
		abort();

	int rc = http_client_call(command, "POST", path, text, ret_answer);
	free(text);
	return rc;
}

static int make_key(const struct command *command, const char *name,
		    const struct keys_options *options)
{
	json_t *answer;
	int rc = post_name(command, "/v1/keys", name, &answer);
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
	int rc = post_name(command, "/v1/keys/revoke", name, &answer);
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

static int run_keys(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct keys_options options = {0};
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	if (argc == 1 || (argc == 2 && strcmp(argv[1], "list") == 0))
		return list_keys(command, &options);
	if (argc == 3 && strcmp(argv[1], "new") == 0)
		return make_key(command, argv[2], &options);
	if (argc == 3 && strcmp(argv[1], "revoke") == 0)
		return revoke_key(command, argv[2], &options);
	return cli_fail(command, EX_USAGE, "expected list, or new or revoke and a name");
}

const struct command command_keys = {
	.name = "keys",
	.summary = "Make a key for a program, list keys, revoke one.",
	.usage = "[list|new NAME|revoke NAME] [--json]",
	.details =
		"A key is printed once; the broker keeps a hash of it. Who shows it "
		"(Authorization:\n"
		"Bearer, or x-api-key) may do what the install token may, as `key:NAME`. Revoking\n"
		"ends what came by it, at once.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_WORDS,
	.run = run_keys,
};
