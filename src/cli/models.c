/* models: the models that can be asked for by the gateway, where each stands, the requests on their
 * way, and what switches cost. It is read-only: a model in memory is a lease, and is taken out by
 * `baton release`. */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/table.h"
#include "cli/units.h"

enum { SWITCHES_SHOWN = 5 };

struct models_options {
	bool json, switches;
};

static const struct option_spec option_specs[] = {
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: `models`, `pages`, `requests` and `switches`, as the broker "
		 "answers",
	 .offset = offsetof(struct models_options, json)},
	{.name = "switches",
	 .kind = OPTION_FLAG,
	 .help = "the last 32 switches of models instead of 5: what each cost, and for whom it was",
	 .offset = offsetof(struct models_options, switches)},
};

/* What there is to say of a model besides its state. */
static void note_cell(struct table *table, const json_t *model)
{
	const char *failure = field_text(model, "failure", NULL);
	double retry_s = field_number(model, "retry_in_s", -1);
	char again[UNITS_BYTES];

	if (failure && retry_s >= 0)
		table_cell(table, STYLE_BAD, "failed: %s; tried again in %s", failure,
			   units_duration(again, retry_s));
	else if (failure)
		table_cell(table, STYLE_BAD, "failed: %s", failure);
	else if (field_true(model, "down"))
		table_cell(table, STYLE_WARN, "its server does not answer");
	else
		table_cell(table, STYLE_PLAIN, "%s", "");
}

static void lease_cell(struct table *table, const json_t *row)
{
	uint64_t lease = field_u64(row, "lease");

	if (lease)
		table_cell(table, STYLE_PLAIN, "%" PRIu64, lease);
	else
		table_cell(table, STYLE_DIM, "-");
}

static void duration_cell(struct table *table, const json_t *row, const char *key)
{
	double seconds = field_number(row, key, -1);
	char text[UNITS_BYTES];

	if (seconds < 0)
		table_cell(table, STYLE_DIM, "-");
	else
		table_cell(table, STYLE_PLAIN, "%s", units_duration(text, seconds));
}

static void model_row(struct table *table, const json_t *model)
{
	const char *state = field_text(model, "state", "?");
	double vram_mb = field_number(model, "vram_mb", 0);
	char text[UNITS_BYTES];

	table_cell(table, STYLE_BOLD, "%s", field_text(model, "model", "?"));
	table_cell(table, STYLE_PLAIN, "%s", field_text(model, "alias", "-"));
	table_cell(table, STYLE_PLAIN, "%s", field_text(model, "server", "?"));
	table_cell(table, strcmp(state, "ready") ? STYLE_PLAIN : STYLE_GOOD, "%s", state);
	if (vram_mb > 0)
		table_cell(table, STYLE_PLAIN, "%s", units_mb(text, vram_mb));
	else
		table_cell(table, STYLE_DIM, "-");

	lease_cell(table, model);
	table_cell(table, STYLE_PLAIN, "%" PRIu64, field_u64(model, "running"));
	duration_cell(table, model, "load_s");
	note_cell(table, model);
}

static void view_models(const json_t *models, struct text_table *sheet)
{
	static const char *const titles[] = {"~MODEL", "~ALIAS",   "SERVER", "STATE", ">VRAM",
					     ">LEASE", ">RUNNING", ">LOAD",  "=NOTE"};
	struct table table = {0};
	size_t i;
	json_t *model;

	if (json_array_size(models) == 0) {
		text_table_add(sheet, "%s",
			       "no model is known; name model servers under upstreams in the "
			       "configuration");
		return;
	}

	for (i = 0; i < sizeof(titles) / sizeof(*titles); i++)
		table_column(&table, titles[i]);
	json_array_foreach (models, i, model)
		model_row(&table, model);
	table_end(&table, sheet);
}

static void view_pages(const json_t *pages, struct text_table *sheet)
{
	struct table table = {0};
	size_t i;
	json_t *row;

	if (json_array_size(pages) == 0)
		return;

	table_column(&table, "~PAGES");
	table_column(&table, "=AT");
	json_array_foreach (pages, i, row) {
		table_cell(&table, STYLE_BOLD, "%s", field_text(row, "server", "?"));
		table_cell(&table, STYLE_PLAIN, "%s", field_text(row, "url", "?"));
	}
	text_table_add(sheet, "%s", "");
	table_end(&table, sheet);
}

static void view_requests(const json_t *requests, struct text_table *sheet)
{
	static const char *const titles[] = {"~CLIENT", "~MODEL", "CLASS", ">LEASE",
					     ">WAITED", ">RUNS",  "=STATE"};
	struct table table = {0};
	size_t i;
	json_t *row;

	if (json_array_size(requests) == 0)
		return;

	for (i = 0; i < sizeof(titles) / sizeof(*titles); i++)
		table_column(&table, titles[i]);
	json_array_foreach (requests, i, row) {
		table_cell(&table, STYLE_BOLD, "%s", field_text(row, "client", "?"));
		table_cell(&table, STYLE_PLAIN, "%s", field_text(row, "model", "-"));
		table_cell(&table, STYLE_PLAIN, "%s", field_text(row, "class", "?"));
		lease_cell(&table, row);
		duration_cell(&table, row, "waited_s");
		duration_cell(&table, row, "running_s");
		table_cell(&table, STYLE_PLAIN, "%s: %s", field_text(row, "path", "?"),
			   field_text(row, "state", "?"));
	}
	text_table_add(sheet, "%s", "");
	table_end(&table, sheet);
}

/* Who caused it; not told where it is another's key. */
static void cause_cell(struct table *table, const json_t *row)
{
	const char *client = field_text(row, "client", NULL);
	const char *cls = field_text(row, "class", "?");

	if (client)
		table_cell(table, STYLE_PLAIN, "%s (%s)", client, cls);
	else
		table_cell(table, STYLE_DIM, "another (%s)", cls);
}

/* Each with how long its memory took to be free. */
static void left_cell(struct table *table, const json_t *left)
{
	struct buf words = {0};
	char took[UNITS_BYTES];
	size_t i;
	json_t *row;

	json_array_foreach (left, i, row) {
		const char *name = field_text(row, "model", "");
		double seconds = field_number(row, "took_s", -1);

		buf_printf(&words, "%s%s", i > 0 ? ", " : "", name[0] ? name : "another model");
		if (seconds >= 0)
			buf_printf(&words, " in %s", units_duration(took, seconds));
	}
	table_cell(table, STYLE_PLAIN, "%.*s", (int)words.length,
		   words.length ? buf_data(&words) : "");
	buf_finish(&words);
}

static void switch_row(struct table *table, const json_t *row)
{
	const char *state = field_text(row, "state", "?");
	bool bad = !strcmp(state, "failed");

	duration_cell(table, row, "since_s");
	table_cell(table, STYLE_BOLD, "%s", field_text(row, "model", "?"));
	table_cell(table, STYLE_PLAIN, "%s", field_text(row, "gpu", "-"));
	cause_cell(table, row);
	duration_cell(table, row, "waited_s");
	duration_cell(table, row, "load_s");
	table_cell(table, bad ? STYLE_BAD : STYLE_PLAIN, "%s", state);
	left_cell(table, json_object_get(row, "left"));
}

static void view_switches(const json_t *switches, size_t shown, struct text_table *sheet)
{
	static const char *const titles[] = {">AGO",    "~SWITCHED TO", "GPU",   "~FOR",
					     ">WAITED", ">LOAD",        "STATE", "=LEFT FOR IT"};
	struct table table = {0};

	if (json_array_size(switches) == 0)
		return;

	for (size_t i = 0; i < sizeof(titles) / sizeof(*titles); i++)
		table_column(&table, titles[i]);
	for (size_t i = 0; i < json_array_size(switches) && i < shown; i++)
		switch_row(&table, json_array_get(switches, i));
	text_table_add(sheet, "%s", "");
	table_end(&table, sheet);
}

static int run_models(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct models_options options = {0};
	json_t *answer;
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	rc = http_client_call(command, "GET", "/v1/gpu/models", NULL, &answer);
	if (rc > 0)
		return rc;

	if (options.json) {
		json_dumpf(answer, stdout,
			   JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
		putchar('\n');
	} else {
		struct text_table sheet = {.columns = text_table_columns(stdout)};
		view_models(json_object_get(answer, "models"), &sheet);
		view_pages(json_object_get(answer, "pages"), &sheet);
		view_requests(json_object_get(answer, "requests"), &sheet);
		view_switches(json_object_get(answer, "switches"),
			      options.switches ? SIZE_MAX : SWITCHES_SHOWN, &sheet);
		text_table_print(&sheet, stdout, text_table_color(stdout));
		text_table_finish(&sheet);
	}
	json_decref(answer);
	return 0;
}

const struct command command_models = {
	.name = "models",
	.summary = "Show the models that can be asked for, requests on their way, and switches.",
	.usage = "[--json] [--switches]",
	.details = "A model in memory is a lease; to take it out: baton release LEASE. What runs\n"
		   "is finished first. A switch is a model that was brought into memory: for whom, "
		   "how\n"
		   "long it waited for memory and loaded, and which models had to leave for it.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.run = run_models,
};
