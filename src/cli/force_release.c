/* force-release: revokes all holders and ends every waiter, or with --lease revokes one at once.
 * Asks first, because everybody loses their place. It has no short form, so that nobody types it by
 * accident. */
#include <inttypes.h>
#include <sysexits.h>

#include "cli/act.h"

struct values {
	bool yes, json;
	const char *reason, *lease;
};

static const struct option_spec options[] = {
	{.name = "lease",
	 .kind = OPTION_TEXT,
	 .argument = "LEASE|NAME",
	 .help = "only this one, at once; the queue stays",
	 .offset = offsetof(struct values, lease)},
	{.name = "reason",
	 .kind = OPTION_TEXT,
	 .argument = "WORDS",
	 .help = "told to all of them and kept in the audit",
	 .offset = offsetof(struct values, reason)},
	{.letter = 'y',
	 .name = "yes",
	 .kind = OPTION_FLAG,
	 .help = "do not ask, on a terminal",
	 .offset = offsetof(struct values, yes)},
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
	if (values.lease) {
		char path[64], done[64];
		uint64_t lease = act_find_lease(command, values.lease, &r);
		if (!lease)
			return r;
		snprintf(path, sizeof(path), "/v1/gpu/leases/%" PRIu64 "/revoke", lease);
		snprintf(done, sizeof(done), "lease %" PRIu64 " is revoked", lease);
		return act_post(command, path, values.reason, done, values.json);
	}
	if (!values.yes && !act_confirm(command, "Revoke all holders and end every waiter?"))
		return EX_NOPERM;
	return act_post(command, "/v1/gpu/force-release-all", values.reason,
			"all holders are revoked and the queue is empty", values.json);
}

const struct command command_force_release = {
	.name = "force-release",
	.summary = "Revoke all holders and end every waiter.",
	.usage = "[--lease LEASE|NAME] [--reason WORDS] [--yes]",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.arguments = ARGUMENTS_NONE,
	.run = run,
};
