/* cancel: removes waiters from the queue. It never touches a holder; release does. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/admin.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/status_view.h"

struct cancel_options {
	bool all, json;
	const char *reason;
};

static const struct option_spec option_specs[] = {
	{.letter = 'a',
	 .name = "all",
	 .kind = OPTION_FLAG,
	 .help = "every waiter of this name",
	 .offset = offsetof(struct cancel_options, all),
	 .destructive = true},
	{.name = "reason",
	 .kind = OPTION_TEXT,
	 .argument = "WORDS",
	 .help = "told to the waiter and kept in the audit",
	 .offset = offsetof(struct cancel_options, reason)},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: the broker's answer, one for each",
	 .offset = offsetof(struct cancel_options, json)},
};

/* Cancels each waiter of this name, even if one fails. */
static int cancel_all(const struct command *command, const json_t *waiting, const char *name,
		      const struct cancel_options *options)
{
	int worst = 0;
	size_t i;
	json_t *row;

	json_array_foreach (waiting, i, row) {
		if (strcmp(field_text(row, "id", ""), name) != 0)
			continue;
		int rc = admin_cancel(command, field_u64(row, "lease"), name, options->reason,
				      options->json);
		worst = rc > worst ? rc : worst;
	}
	return worst;
}

static int cancel_waiters(const struct command *command, const json_t *status, const char *word,
			  const struct cancel_options *options)
{
	const json_t *waiting = json_object_get(status, "waiting");
	const json_t *found = status_find(waiting, word);
	uint64_t id;
	if (found && options->all && strcmp(field_text(found, "id", ""), word) == 0)
		return cancel_all(command, waiting, word, options);

	int rc = admin_find_among(command, waiting, word, "waiters", &id);
	if (rc == 1)
		return admin_cancel(command, id, NULL, options->reason, options->json);

	if (rc == 0 && status_find(json_object_get(status, "leases"), word))
		return cli_fail(command, EX_DATAERR,
				"'%.80s' does not wait, it holds; to take it: baton release %.80s",
				word, word);
	if (rc == 0)
		return cli_fail(command, EX_NOINPUT, "'%.80s' does not wait; see: baton status",
				word);
	return rc;
}

static int run_cancel(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct cancel_options options = {0};
	json_t *status;
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	rc = http_client_call(command, "GET", "/v1/gpu/status", NULL, &status);
	if (rc > 0)
		return rc;

	rc = cancel_waiters(command, status, argv[1], &options);
	json_decref(status);
	return rc;
}

const struct command command_cancel = {
	.name = "cancel",
	.summary = "Take a waiter out of the queue.",
	.usage = "NAME|CLAIM [--all] [--reason WORDS]",
	.details = "A holder is not touched; `baton release` asks one to give its lease back.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_CLAIM,
	.run = run_cancel,
};
