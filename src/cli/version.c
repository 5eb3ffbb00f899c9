/* version: that of this program, and of the broker if one answers. A missing broker is no error. */
#include "baton/baton.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/http_client.h"

struct version_options {
	bool json;
};

static const struct option_spec option_specs[] = {
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: {client, broker}",
	 .offset = offsetof(struct version_options, json)},
};

static int run_version(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct version_options options = {0};
	json_t *health = NULL;
	char error[512];
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	if (http_client_try("GET", "/health", NULL, &health, error, sizeof(error)) < 0)
		health = NULL;
	const char *broker = health ? field_text(health, "version", NULL) : NULL;

	if (options.json) {
		json_t *object =
			json_pack("{s:s, s:s?}", "client", baton_version(), "broker", broker);
		json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
		putchar('\n');
		json_decref(object);
	} else {
		printf("baton %s\nbroker %s\n", baton_version(),
		       broker ? broker : "does not answer");
	}
	json_decref(health);
	return 0;
}

const struct command command_version = {
	.name = "version",
	.summary = "Print the versions of this program and of the broker.",
	.usage = "[--json]",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_NONE,
	.run = run_version,
};
