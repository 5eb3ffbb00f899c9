/* logs: the broker's last log lines, and with --follow the new ones. Control bytes were escaped by
 * the broker and are once more replaced here. */
#include <inttypes.h>
#include <poll.h>

#include "base/err.h"
#include "cli/api.h"
#include "cli/field.h"
#include "cli/sheet.h"

enum { POLL_MS = 500, LIMIT_DEFAULT = 100 };

struct values {
	bool json, follow;
	uint32_t limit;
};

static const struct option_spec options[] = {
	{.letter = 'n',
	 .name = "limit",
	 .kind = OPTION_COUNT,
	 .argument = "N",
	 .help = "how many of the last lines (100)",
	 .offset = offsetof(struct values, limit)},
	{.letter = 'f',
	 .name = "follow",
	 .kind = OPTION_FLAG,
	 .help = "go on until Ctrl-C",
	 .offset = offsetof(struct values, follow)},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: one object a line",
	 .offset = offsetof(struct values, json)},
};

static void print_line(const json_t *row, bool json, bool color)
{
	if (json) {
		json_dumpf(row, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
		putchar('\n');
		return;
	}
	struct sheet sheet = {0};
	const char *level = field_text(row, "level", "");
	enum sheet_style style = level[0] == 'e'   ? STYLE_BAD
				 : level[0] == 'w' ? STYLE_WARN
						   : STYLE_DIM;
	sheet_add(&sheet, "%c%s%c %c%-5s%c %s", STYLE_DIM, field_text(row, "time", "?"),
		  STYLE_PLAIN, style, level, STYLE_PLAIN, field_text(row, "text", ""));
	sheet_print(&sheet, stdout, color);
	sheet_finish(&sheet);
}

/* Returns 0 with the cursor for the next question, or an exit status. */
static int print_page(const struct command *command, const char *path, bool json,
		      uint64_t *ret_next)
{
	json_t *answer, *row;
	size_t i;
	int r = api_call(command, "GET", path, NULL, &answer);
	if (r > 0)
		return r;
	json_array_foreach(json_object_get(answer, "logs"), i, row)
		print_line(row, json, sheet_color(stdout));
	fflush(stdout);
	*ret_next = field_u64(answer, "next");
	json_decref(answer);
	return 0;
}

static int run(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct values values = {.limit = LIMIT_DEFAULT};
	char path[96];
	uint64_t next = 0;
	int r = cli_parse(cli, command, &argc, argv, &values);
	if (r >= 0)
		return r;
	snprintf(path, sizeof(path), "/logs?limit=%" PRIu32, values.limit);
	r = print_page(command, path, values.json, &next);
	while (r == 0 && values.follow) {
		poll(NULL, 0, POLL_MS);
		snprintf(path, sizeof(path), "/logs?limit=1000&since=%" PRIu64, next);
		r = print_page(command, path, values.json, &next);
	}
	return r;
}

const struct command command_logs = {
	.name = "logs",
	.summary = "Print the broker's log lines.",
	.usage = "[--limit N] [--follow] [--json]",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.arguments = ARGUMENTS_NONE,
	.run = run,
};
