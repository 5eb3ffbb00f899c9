/* logs: the broker's last log lines, and with --follow the new ones. The broker escapes control
 * bytes; text_table replaces any that are left. */
#include <inttypes.h>
#include <poll.h>

#include "base/err.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/output.h"
#include "cli/text_table.h"

enum { POLL_MS = 500, LIMIT_DEFAULT = 100 };

struct logs_options {
	bool json, follow;
	uint32_t limit;
};

static const struct option_spec option_specs[] = {
	{.letter = 'n',
	 .name = "limit",
	 .kind = OPTION_COUNT,
	 .argument = "N",
	 .help = "how many of the last lines (100)",
	 .offset = offsetof(struct logs_options, limit)},
	{.letter = 'f',
	 .name = "follow",
	 .kind = OPTION_FLAG,
	 .help = "go on until Ctrl-C",
	 .offset = offsetof(struct logs_options, follow)},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: one object a line",
	 .offset = offsetof(struct logs_options, json)},
};

static void print_line(const json_t *row, bool json, bool color)
{
	if (json) {
		json_dumpf(row, stdout,
			   JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
		putchar('\n');
		return;
	}

	struct text_table sheet = {0};
	const char *level = field_text(row, "level", "");
	enum text_table_style style = level[0] == 'e'   ? STYLE_BAD
				      : level[0] == 'w' ? STYLE_WARN
							: STYLE_DIM;

	text_table_add(&sheet, "%c%s%c %c%-5s%c %s", STYLE_DIM, field_text(row, "time", "?"),
		       STYLE_PLAIN, style, level, STYLE_PLAIN, field_text(row, "text", ""));
	text_table_print(&sheet, stdout, color);
	text_table_finish(&sheet);
}

/* Prints a page of lines; *next is the cursor for the next one. 0 or a negative enum err. */
static int print_page(const char *path, bool json, uint64_t *next, bool *ret_empty, char *error,
		      size_t error_size)
{
	json_t *answer, *row;
	size_t i;
	int rc = http_client_try("GET", path, NULL, &answer, error, error_size);
	if (rc < 0)
		return rc;

	const json_t *rows = json_object_get(answer, "logs");
	json_array_foreach (rows, i, row)
		print_line(row, json, text_table_color(stdout));
	fflush(stdout);

	*ret_empty = json_array_size(rows) == 0;
	*next = field_u64(answer, "next");
	json_decref(answer);
	return 0;
}

/* A restarted broker numbers its lines from 1 again. */
static bool has_begun_anew(uint64_t next)
{
	char error[512];
	json_t *answer;
	if (http_client_try("GET", "/logs?limit=1", NULL, &answer, error, sizeof(error)) < 0)
		return false;
	bool anew = field_u64(answer, "next") < next;
	json_decref(answer);
	return anew;
}

/* Runs until Ctrl-C or until nobody reads the output, across restarts of the broker. */
static int follow_lines(const struct command *command, bool json, uint64_t next)
{
	bool away = false, empty;
	while (!output_is_lost()) {
		char path[96], error[512];
		poll(NULL, 0, POLL_MS);

		snprintf(path, sizeof(path), "/logs?limit=1000&since=%" PRIu64, next);
		int rc = print_page(path, json, &next, &empty, error, sizeof(error));
		if (rc < 0 && rc != -ERR_UNREACHABLE)
			return http_client_fail(command, rc, error);
		if (rc < 0 && !away)
			cli_fail(command, 0, "the broker is away; waiting for it");
		away = rc < 0;

		if (rc == 0 && empty && has_begun_anew(next))
			next = 1;
	}
	return 0;
}

static int run_logs(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct logs_options options = {.limit = LIMIT_DEFAULT};
	char path[96], error[512];
	uint64_t next = 0;
	bool empty;
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	snprintf(path, sizeof(path), "/logs?limit=%" PRIu32, options.limit);
	rc = print_page(path, options.json, &next, &empty, error, sizeof(error));
	if (rc < 0)
		return http_client_fail(command, rc, error);
	return options.follow ? follow_lines(command, options.json, next) : 0;
}

const struct command command_logs = {
	.name = "logs",
	.summary = "Print the broker's log lines.",
	.usage = "[--limit N] [--follow] [--json]",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_NONE,
	.run = run_logs,
};
