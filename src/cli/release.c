/* release: asks one holder to give its lease back, and revokes it if it has not when its grace is
 * over; --now skips the grace. A waiter leaves the queue. A program releases its own lease through
 * libbaton instead. */
#include <inttypes.h>
#include <sysexits.h>

#include "cli/admin.h"
#include "cli/cli.h"
#include "cli/command.h"

struct release_options {
	bool now, yes, json;
	const char *reason;
};

static const struct option_spec option_specs[] = {
	{.name = "now",
	 .kind = OPTION_FLAG,
	 .help = "revoke at once, without the grace",
	 .offset = offsetof(struct release_options, now),
	 .destructive = true},
	{.name = "reason",
	 .kind = OPTION_TEXT,
	 .argument = "WORDS",
	 .help = "told to the holder and kept in the audit",
	 .offset = offsetof(struct release_options, reason)},
	{.letter = 'y',
	 .name = "yes",
	 .kind = OPTION_FLAG,
	 .help = "do not ask before --now, on a terminal",
	 .offset = offsetof(struct release_options, yes),
	 .destructive = true},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: the broker's answer",
	 .offset = offsetof(struct release_options, json)},
};

static int run_release(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct release_options options = {0};
	struct admin_claim claim;
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	rc = admin_find(command, argv[1], &claim);
	if (rc > 0)
		return rc;

	if (claim.waits)
		return admin_cancel(command, claim.id, NULL, options.reason, options.json);
	if (options.now &&
	    !admin_confirm(command, options.yes, "Take lease %" PRIu64 " of %.80s at once?",
			   claim.id, argv[1]))
		return EX_NOPERM;

	char path[64], done[96];
	snprintf(path, sizeof(path), "/v1/gpu/leases/%" PRIu64 "/%s", claim.id,
		 options.now ? "revoke" : "yield");
	snprintf(done, sizeof(done), "lease %" PRIu64 " %s", claim.id,
		 options.now ? "is revoked" : "was asked to yield");
	return admin_post(command, path, options.reason, &(struct admin_words){.done = done},
			  options.json);
}

const struct command command_release = {
	.name = "release",
	.summary = "Ask a holder to give its lease back.",
	.usage = "LEASE|NAME [--now] [--reason WORDS] [--yes]",
	.details = "Who waits and holds nothing leaves the queue, as by `baton cancel`.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_CLAIM,
	.run = run_release,
};
