/* release: asks one holder to give its lease back. Whoever ignores it is revoked when its grace is
 * over; --now skips the grace. A program gives its own lease back through libbaton, not by this. */
#include <inttypes.h>

#include "cli/act.h"

struct values {
	bool now, json;
	const char *reason;
};

static const struct option_spec options[] = {
	{.name = "now",
	 .kind = OPTION_FLAG,
	 .help = "revoke at once, without the grace",
	 .offset = offsetof(struct values, now)},
	{.name = "reason",
	 .kind = OPTION_TEXT,
	 .argument = "WORDS",
	 .help = "told to the holder and kept in the audit",
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
	uint64_t lease = act_find_lease(command, argv[1], &r);
	if (!lease)
		return r;
	char path[64], done[96];
	snprintf(path, sizeof(path), "/v1/gpu/leases/%" PRIu64 "/%s", lease,
		 values.now ? "revoke" : "yield");
	snprintf(done, sizeof(done), "lease %" PRIu64 " %s", lease,
		 values.now ? "is revoked" : "was asked to yield");
	return act_post(command, path, values.reason, done, values.json);
}

const struct command command_release = {
	.name = "release",
	.summary = "Ask a holder to give its lease back.",
	.usage = "LEASE|NAME [--now] [--reason WORDS]",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.arguments = ARGUMENTS_CLAIM,
	.run = run,
};
