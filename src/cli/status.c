/* status: who holds, who waits, since when and why; with --watch continuously. It is read-only. */
#include <stdlib.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/command.h"
#include "cli/http_client.h"
#include "cli/status_detail.h"
#include "cli/status_view.h"
#include "cli/text_table.h"
#include "cli/watch.h"

struct status_options {
	bool json, watch;
};

static const struct option_spec option_specs[] = {
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: the broker's answer, one object",
	 .offset = offsetof(struct status_options, json)},
	{.letter = 'w',
	 .name = "watch",
	 .kind = OPTION_FLAG,
	 .help = "until q or Ctrl-C: on a terminal a full screen, else one status per change",
	 .offset = offsetof(struct status_options, watch)},
};

static void print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
	putchar('\n');
}

/* Shows all claims of one name or number: it may hold and wait at once. */
static int show_one(const struct command *command, const json_t *status, const char *who, bool json)
{
	struct text_table sheet = {.columns = text_table_columns(stdout)};
	json_t *rows = json_array();
	if (!rows)
		abort();

	status_rows_of(status, who, rows);
	size_t count = json_array_size(rows), i;
	if (count == 0) {
		json_decref(rows);
		return cli_fail(command, EX_NOINPUT,
				"'%.80s' neither holds nor waits; see: baton history %.80s", who,
				who);
	}

	json_t *row;
	json_array_foreach (rows, i, row)
		status_detail(row, &sheet);

	if (json)
		print_json(rows);
	else
		text_table_print(&sheet, stdout, text_table_color(stdout));
	text_table_finish(&sheet);
	json_decref(rows);
	return 0;
}

static int run_status(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct status_options options = {0};
	json_t *status;
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	if (options.watch && argc > 1)
		return cli_fail(command, EX_USAGE, "--watch shows everybody; leave out '%.60s'",
				argv[1]);
	if (options.watch)
		return watch_status(command, options.json);

	rc = http_client_call(command, "GET", "/v1/gpu/status", NULL, &status);
	if (rc > 0)
		return rc;

	if (argc > 1) {
		rc = show_one(command, status, argv[1], options.json);
	} else if (options.json) {
		print_json(status);
	} else {
		struct text_table sheet = {.columns = text_table_columns(stdout)};
		status_view(status, &sheet);
		text_table_print(&sheet, stdout, text_table_color(stdout));
		text_table_finish(&sheet);
	}
	json_decref(status);
	return rc;
}

const struct command command_status = {
	.name = "status",
	.summary = "Show who holds the GPU, who waits, and why.",
	.usage = "[NAME|CLAIM] [--watch] [--json]",
	.details = "With a name or number: all that is known of that client.\n"
		   "ETA is an estimate from waits and turns of about the last hour; 9 OF 10\n"
		   "such waits are shorter than that. What is guaranteed: baton why.\n"
		   "Keys of --watch: q quits, arrows and page keys scroll.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_CLAIM_OR_NONE,
	.run = run_status,
};
