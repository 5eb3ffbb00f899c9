/* history: claims that have ended, with how long they waited and held and why they ended, and what
 * operators did. It comes from the journal, so it survives restarts. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/table.h"
#include "cli/text_table.h"
#include "cli/units.h"

enum { SHOWN = 30, PAGE = 1000 };

struct history_options {
	bool json;
	uint32_t limit;
	int64_t since_ms;
};

static const struct option_spec option_specs[] = {
	{.letter = 'n',
	 .name = "limit",
	 .kind = OPTION_COUNT,
	 .argument = "N",
	 .help = "the newest N (30)",
	 .offset = offsetof(struct history_options, limit)},
	{.name = "since",
	 .kind = OPTION_DURATION,
	 .argument = "TIME",
	 .help = "only what ended within this time, e.g. 1h",
	 .offset = offsetof(struct history_options, since_ms),
	 .not_zero = "nothing ends within no time; without it all are shown"},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: one object a line, the newest last",
	 .offset = offsetof(struct history_options, json)},
};

static void add_query(struct buf *path, const char *key, const char *value)
{
	buf_printf(path, "&%s=", key);
	for (; *value; value++)
		buf_printf(path, "%%%02X", (unsigned char)*value);
}

/* Adds the next page to `rows`, newest first. *before is where the following page starts, 0: none.
 */
static int read_page(const struct command *command, const char *name,
		     const struct history_options *options, json_t *rows, uint64_t *before)
{
	struct buf path = {0};
	json_t *answer;
	uint64_t left = options->limit - json_array_size(rows);

	buf_printf(&path, "/v1/gpu/history?limit=%" PRIu64, left < PAGE ? left : PAGE);
	if (*before)
		buf_printf(&path, "&before=%" PRIu64, *before);
	if (options->since_ms)
		buf_printf(&path, "&since=%" PRId64, time(NULL) - options->since_ms / 1000);
	if (name)
		add_query(&path, "name", name);
	buf_append(&path, "", 1);

	int rc = http_client_call(command, "GET", buf_data(&path), NULL, &answer);
	buf_finish(&path);
	if (rc > 0)
		return rc;

	json_array_extend(rows, json_object_get(answer, "history"));
	*before = field_u64(answer, "next");
	json_decref(answer);
	return 0;
}

/* "2026-11-28 16:05:12" of a time with T and milliseconds. */
static void time_cell(struct table *table, const json_t *row)
{
	const char *time = field_text(row, "time", "?");
	size_t day = strcspn(time, "T");
	table_cell(table, STYLE_DIM, "%.*s %.8s", (int)day, time, time[day] ? time + day + 1 : "");
}

static void seconds_cell(struct table *table, const json_t *row, const char *key)
{
	char text[UNITS_BYTES];
	table_cell(table, STYLE_PLAIN, "%s", units_duration(text, field_number(row, key, -1)));
}

static void add_row(struct table *table, const json_t *row)
{
	uint64_t lease = field_u64(row, "lease");
	const char *end = field_text(row, "end", "?"), *reason = field_text(row, "reason", NULL);
	const char *detail = field_text(row, "detail", NULL);
	bool act = strcmp(field_text(row, "what", ""), "act") == 0;

	time_cell(table, row);
	if (lease)
		table_cell(table, STYLE_PLAIN, "%" PRIu64, lease);
	else
		table_cell(table, STYLE_PLAIN, "%s", "-");

	if (act) {
		table_cell(table, STYLE_PLAIN, "%s", field_text(row, "who", "?"));
		table_cell(table, STYLE_PLAIN, "%s", "-");
		table_cell(table, STYLE_PLAIN, "%s", "-");
		table_cell(table, STYLE_PLAIN, "%s", "-");
		table_cell(table, STYLE_WARN, "operator: %s%s%s", field_text(row, "act", "?"),
			   reason ? ", " : "", reason ? reason : "");
		return;
	}

	table_cell(table, STYLE_BOLD, "%s", field_text(row, "id", "?"));
	table_cell(table, STYLE_PLAIN, "%s", field_text(row, "class", "?"));
	seconds_cell(table, row, "waited_s");
	seconds_cell(table, row, "held_s");
	table_cell(table, strcmp(end, "released") == 0 && !detail ? STYLE_PLAIN : STYLE_WARN,
		   "%s%s%s", end, detail ? ": " : "", detail ? detail : "");
}

static void print_table(const json_t *rows)
{
	static const char *const titles[] = {"ENDED (UTC)", ">CLAIM", "~WHO", "CLASS",
					     ">WAITED",     ">HELD",  "=END"};
	struct table table = {0};
	struct text_table sheet = {.columns = text_table_columns(stdout)};

	for (size_t i = 0; i < sizeof(titles) / sizeof(*titles); i++)
		table_column(&table, titles[i]);
	for (size_t i = json_array_size(rows); i-- > 0;)
		add_row(&table, json_array_get(rows, i));

	table_end(&table, &sheet);
	text_table_print(&sheet, stdout, text_table_color(stdout));
	text_table_finish(&sheet);
}

static void print_lines(const json_t *rows)
{
	for (size_t i = json_array_size(rows); i-- > 0;) {
		json_dumpf(json_array_get(rows, i), stdout,
			   JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
		putchar('\n');
	}
}

/* Of what was asked for: others may have. */
static const char *nothing_ended(const char *name, const struct history_options *options)
{
	if (options->since_ms)
		return name ? "no claim of this name has ended within this time"
			    : "nothing has ended within this time";
	return name ? "no claim of this name has ended" : "nothing has ended";
}

static int run_history(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct history_options options = {.limit = SHOWN};
	uint64_t before = 0;
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	const char *name = argc > 1 ? argv[1] : NULL;
	json_t *rows = json_array();
	if (!rows)
		abort();

	do
		rc = options.limit ? read_page(command, name, &options, rows, &before) : 0;
	while (rc == 0 && before > 0 && json_array_size(rows) < options.limit);

	if (rc == 0 && options.json)
		print_lines(rows);
	else if (rc == 0 && options.limit > 0 && json_array_size(rows) == 0)
		puts(nothing_ended(name, &options));
	else if (rc == 0)
		print_table(rows);

	json_decref(rows);
	return rc;
}

const struct command command_history = {
	.name = "history",
	.summary = "Show what has ended: waits, holds, and why.",
	.usage = "[NAME] [--limit N] [--since TIME] [--json]",
	.details = "Over restarts of the broker, the newest last. With a name: only its claims.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_CLAIM_OR_NONE,
	.run = run_history,
};
