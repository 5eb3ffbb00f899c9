/* reset: revokes all holders and keeps the queue: who waits keeps its place. */
#include "cli/act.h"

struct values {
	bool json;
	const char *reason;
};

static const struct option_spec options[] = {
	{.name = "reason",
	 .kind = OPTION_TEXT,
	 .argument = "WORDS",
	 .help = "told to the holders and kept in the audit",
	 .offset = offsetof(struct values, reason)},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: the broker's answer",
	 .offset = offsetof(struct values, json)},
};

static int run(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct values values = {0};
	int r = cli_parse(cli, command, &argc, argv, &values);
	if (r >= 0)
		return r;
	return act_post(command, "/v1/gpu/reset", values.reason,
			"all holders are revoked; the queue stays", values.json);
}

const struct command command_reset = {
	.name = "reset",
	.summary = "Revoke all holders; the queue stays.",
	.usage = "[--reason WORDS]",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.arguments = ARGUMENTS_NONE,
	.run = run,
};
