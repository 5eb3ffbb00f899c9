/* sites: web origins that may queue, and those that ask to. An origin is identified by its name as
 * the browser sends it, and by nothing else. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/http_client.h"

struct sites_options {
	bool json;
};

static const char *const verbs[] = {"allow", "refuse", "revoke", NULL};

static const struct option_spec option_specs[] = {
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: the broker's answer",
	 .offset = offsetof(struct sites_options, json)},
};

static int print_json(json_t *answer)
{
	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
	return 0;
}

static void print_rows(const json_t *answer)
{
	const json_t *asking = json_object_get(answer, "asking");
	const json_t *sites = json_object_get(answer, "sites");
	size_t i;
	json_t *row;

	json_array_foreach (asking, i, row)
		printf("%s asks to queue for the GPU: baton sites allow %" PRIu64
		       ", or refuse %" PRIu64 "\n",
		       field_text(row, "origin", "?"), field_u64(row, "ask"),
		       field_u64(row, "ask"));

	json_array_foreach (sites, i, row) {
		uint64_t sessions = field_u64(row, "sessions");
		if (json_is_true(json_object_get(row, "revoked"))) {
			printf("%s is revoked, which is not written yet: baton sites revoke "
			       "%" PRIu64 "\n",
			       field_text(row, "origin", "?"), field_u64(row, "site"));
			continue;
		}
		printf("%s may queue since %s, last used %s, %" PRIu64 " session%s (site %" PRIu64
		       ")\n",
		       field_text(row, "origin", "?"), field_text(row, "allowed", "?"),
		       field_text(row, "used", "never"), sessions, sessions == 1 ? "" : "s",
		       field_u64(row, "site"));
	}

	if (json_array_size(asking) + json_array_size(sites) == 0)
		puts("no site asks, and none is allowed; pages of the broker's own, and origins of "
		     "the configuration, need not ask");
}

/* Finds one by its number or its whole origin; 0: there is none. */
static uint64_t find_site(const json_t *rows, const char *key, const char *word)
{
	size_t i;
	json_t *row;
	json_array_foreach (rows, i, row) {
		char number[24];
		snprintf(number, sizeof(number), "%" PRIu64, field_u64(row, key));
		if (strcmp(number, word) == 0 || strcmp(field_text(row, "origin", ""), word) == 0)
			return field_u64(row, key);
	}
	return 0;
}

static int post_verb(const struct command *command, const char *verb, const char *word, bool json)
{
	bool revoke = strcmp(verb, "revoke") == 0;
	const char *key = revoke ? "site" : "ask";
	char path[64];
	json_t *answer;

	int rc = http_client_call(command, "GET", "/v1/sites", NULL, &answer);
	if (rc > 0)
		return rc;

	uint64_t id = find_site(json_object_get(answer, revoke ? "sites" : "asking"), key, word);
	json_decref(answer);
	if (!id)
		return cli_fail(command, EX_NOINPUT, "no site '%.80s' %s; see: baton sites", word,
				revoke ? "is allowed" : "asks");

	snprintf(path, sizeof(path), "/v1/sites/%" PRIu64 "/%s", id, verb);
	rc = http_client_call(command, "POST", path, "{}", &answer);
	if (rc > 0)
		return rc;

	if (json)
		print_json(answer);
	else
		printf("%s: %s\n", field_text(answer, "origin", word),
		       revoke                       ? "may queue no more, and what it had is over"
		       : strcmp(verb, "allow") == 0 ? "may queue for the GPU"
						    : "refused; it may ask again in 10 minutes");
	json_decref(answer);
	return 0;
}

static int run_sites(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct sites_options options = {0};
	json_t *answer;
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	for (size_t i = 0; argc > 1 && verbs[i]; i++)
		if (strcmp(argv[1], verbs[i]) == 0 && argc == 3)
			return post_verb(command, verbs[i], argv[2], options.json);
	if (argc > 1)
		return cli_fail(command, EX_USAGE,
				"expected allow, refuse or revoke, and a number or an origin");

	rc = http_client_call(command, "GET", "/v1/sites", NULL, &answer);
	if (rc > 0)
		return rc;

	if (options.json)
		print_json(answer);
	else
		print_rows(answer);
	json_decref(answer);
	return 0;
}

const struct command command_sites = {
	.name = "sites",
	.summary = "List pages of other origins that may queue or ask to; allow, refuse, revoke.",
	.usage = "[allow|refuse|revoke NUMBER|ORIGIN] [--json]",
	.details =
		"A site that is allowed can wait for the GPU, hold it and give it back, and see\n"
		"its own claims; nothing else. Revoking ends what it has, at once.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_WORDS,
	.verbs = verbs,
	.run = run_sites,
};
