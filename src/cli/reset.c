/* reset: revokes all holders and keeps the queue. Asks first, on a terminal. */
#include <inttypes.h>
#include <sysexits.h>

#include "cli/admin.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/http_client.h"

struct reset_options {
	bool yes, json;
	const char *reason;
};

static const struct option_spec option_specs[] = {
	{.name = "reason",
	 .kind = OPTION_TEXT,
	 .argument = "WORDS",
	 .help = "told to the holders and kept in the audit",
	 .offset = offsetof(struct reset_options, reason)},
	{.letter = 'y',
	 .name = "yes",
	 .kind = OPTION_FLAG,
	 .help = "do not ask, on a terminal",
	 .offset = offsetof(struct reset_options, yes),
	 .destructive = true},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: the broker's answer",
	 .offset = offsetof(struct reset_options, json)},
};

static int run_reset(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	static const struct admin_words words = {
		.done = "all holders are revoked; the queue stays",
		.nothing = "nobody holds; nothing was revoked",
	};
	struct reset_options options = {0};
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	if (!options.yes && admin_can_ask()) {
		json_t *status;
		rc = http_client_call(command, "GET", "/v1/gpu/status?limit=0", NULL, &status);
		if (rc > 0)
			return rc;
		uint64_t held = field_u64(status, "held");
		json_decref(status);
		if (held > 0 &&
		    !admin_confirm(command, false, "Stop %" PRIu64 " holder%s? The queue stays.",
				   held, held == 1 ? "" : "s"))
			return EX_NOPERM;
	}

	return admin_post(command, "/v1/gpu/reset", options.reason, &words, options.json);
}

const struct command command_reset = {
	.name = "reset",
	.summary = "Revoke all holders; the queue stays.",
	.usage = "[--reason WORDS] [--yes]",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_NONE,
	.destructive = true,
	.run = run_reset,
};
