/* force-release: revokes all holders and ends every waiter, or with --lease revokes one at once.
 * Asks first, because everybody loses their position. It has no short form, so that nobody types it
 * by accident. */
#include <inttypes.h>
#include <sysexits.h>

#include "cli/admin.h"
#include "cli/cli.h"
#include "cli/command.h"

struct force_release_options {
	bool yes, json;
	const char *reason, *lease;
};

static const struct option_spec option_specs[] = {
	{.name = "lease",
	 .kind = OPTION_TEXT,
	 .argument = "LEASE|NAME",
	 .help = "only this one, at once; the queue stays",
	 .offset = offsetof(struct force_release_options, lease)},
	{.name = "reason",
	 .kind = OPTION_TEXT,
	 .argument = "WORDS",
	 .help = "told to all of them and kept in the audit",
	 .offset = offsetof(struct force_release_options, reason)},
	{.letter = 'y',
	 .name = "yes",
	 .kind = OPTION_FLAG,
	 .help = "do not ask, on a terminal",
	 .offset = offsetof(struct force_release_options, yes),
	 .destructive = true},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: the broker's answer",
	 .offset = offsetof(struct force_release_options, json)},
};

static int end_one(const struct command *command, const struct force_release_options *options)
{
	char path[64], done[64];
	struct admin_claim claim;
	int rc = admin_find(command, options->lease, &claim);
	if (rc > 0)
		return rc;

	if (claim.waits)
		return admin_cancel(command, claim.id, NULL, options->reason, options->json);
	if (!admin_confirm(command, options->yes, "Take lease %" PRIu64 " of %.80s at once?",
			   claim.id, options->lease))
		return EX_NOPERM;

	snprintf(path, sizeof(path), "/v1/gpu/leases/%" PRIu64 "/revoke", claim.id);
	snprintf(done, sizeof(done), "lease %" PRIu64 " is revoked", claim.id);
	return admin_post(command, path, options->reason, &(struct admin_words){.done = done},
			  options->json);
}

static int run_force_release(const struct cli *cli, const struct command *command, int argc,
			     char **argv)
{
	static const struct admin_words words = {
		.done = "all holders are revoked and the queue is empty",
		.nothing = "nobody held or waited; nothing was ended",
	};
	struct force_release_options options = {0};
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	if (options.lease)
		return end_one(command, &options);
	if (!admin_confirm(command, options.yes, "Revoke all holders and end every waiter?"))
		return EX_NOPERM;
	return admin_post(command, "/v1/gpu/force-release-all", options.reason, &words,
			  options.json);
}

const struct command command_force_release = {
	.name = "force-release",
	.summary = "Revoke all holders and end every waiter.",
	.usage = "[--lease LEASE|NAME] [--reason WORDS] [--yes]",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_NONE,
	.destructive = true,
	.run = run_force_release,
};
