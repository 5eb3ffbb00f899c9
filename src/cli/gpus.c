/* gpus: the GPUs as measured: memory, load, temperature, power, and the processes on them, each
 * with its lease or none. It is read-only. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/process_words.h"
#include "cli/table.h"
#include "cli/units.h"

enum { IDLE_SHOWN_S = 60 };

struct gpus_options {
	bool json;
};

static const struct option_spec option_specs[] = {
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: a list, as `gpus` of the broker's status",
	 .offset = offsetof(struct gpus_options, json)},
};

/* "33 %"; "-" for what is unknown. */
static void number_cell(struct table *table, const json_t *measured, const char *key,
			const char *unit)
{
	const json_t *value = json_object_get(measured, key);

	if (json_is_number(value))
		table_cell(table, STYLE_PLAIN, "%.0f%s", json_number_value(value), unit);
	else
		table_cell(table, STYLE_DIM, "-");
}

static void memory_cell(struct table *table, const json_t *object, const char *key)
{
	char text[UNITS_BYTES];
	const json_t *value = json_object_get(object, key);

	if (json_is_number(value))
		table_cell(table, STYLE_PLAIN, "%s", units_mb(text, json_number_value(value)));
	else
		table_cell(table, STYLE_DIM, "-");
}

static void state_cell(struct table *table, const json_t *gpu, const json_t *measured)
{
	const char *state = field_text(measured, "state", NULL);
	const char *text = field_text(measured, "detail", field_text(measured, "text", ""));
	double age_s = field_number(measured, "age_s", -1);
	double idle_s = field_number(measured, "idle_s", 0);
	char age[UNITS_BYTES];

	const char *wanted = field_text(gpu, "uuid", NULL);

	if (!state && wanted)
		table_cell(table, STYLE_WARN,
			   "not measured: no card is %s; what is declared counts", wanted);
	else if (!state)
		table_cell(table, STYLE_DIM, "not measured: what is declared counts");
	else if (strcmp(state, "ok") == 0 && idle_s >= IDLE_SHOWN_S && field_u64(gpu, "slots_used"))
		table_cell(table, STYLE_WARN, "held, and idle for %s", units_duration(age, idle_s));
	else if (strcmp(state, "ok") == 0)
		table_cell(table, STYLE_GOOD, "ok");
	else if (age_s >= 0 && strcmp(state, "asleep") != 0)
		table_cell(table, field_true(gpu, "healthy") ? STYLE_WARN : STYLE_BAD,
			   "%s for %s: %s", state, units_duration(age, age_s), text);
	else
		table_cell(table, STYLE_WARN, "%s: %s", state, text);
}

static void view_gpus(const json_t *gpus, struct text_table *sheet)
{
	static const char *const titles[] = {"~GPU",  "~MODEL", "PCI",       ">USED",
					     ">FREE", ">TOTAL", ">RESERVED", ">LOAD",
					     ">TEMP", ">POWER", "=STATE"};
	struct table table = {0};
	size_t i;
	json_t *gpu;

	for (i = 0; i < sizeof(titles) / sizeof(*titles); i++)
		table_column(&table, titles[i]);

	json_array_foreach (gpus, i, gpu) {
		const json_t *measured = json_object_get(gpu, "measured");

		table_cell(&table, STYLE_BOLD, "%s", field_text(gpu, "name", "?"));
		table_cell(&table, STYLE_PLAIN, "%s", field_text(measured, "model", "-"));
		table_cell(&table, STYLE_PLAIN, "%s", field_text(measured, "pci", "-"));
		memory_cell(&table, gpu, "vram_mb_used");
		memory_cell(&table, measured, "vram_mb_free");
		memory_cell(&table, gpu, "vram_mb_total");
		memory_cell(&table, measured, "vram_mb_reserved");
		number_cell(&table, measured, "utilisation_percent", "%");
		number_cell(&table, measured, "temperature_c", "C");
		number_cell(&table, measured, "power_w", "W");
		state_cell(&table, gpu, measured);
	}
	table_end(&table, sheet);
}

/* How others call it: CUDA and NVML may count otherwise than the list above. */
static void view_identities(const json_t *gpus, struct text_table *sheet)
{
	size_t i;
	json_t *gpu;

	json_array_foreach (gpus, i, gpu) {
		const json_t *measured = json_object_get(gpu, "measured");
		const json_t *cuda = json_object_get(measured, "cuda_index");
		const json_t *nvml = json_object_get(measured, "nvml_index");
		char cuda_words[32] = "", nvml_words[32] = "";
		if (!measured || !field_text(gpu, "uuid", NULL))
			continue;

		if (cuda)
			snprintf(cuda_words, sizeof(cuda_words), ", CUDA %" PRId64,
				 (int64_t)json_integer_value(cuda));
		if (nvml)
			snprintf(nvml_words, sizeof(nvml_words), ", NVML %" PRId64,
				 (int64_t)json_integer_value(nvml));
		text_table_add(sheet, "%s: %s%s%s", field_text(gpu, "name", "?"),
			       field_text(gpu, "uuid", ""), cuda_words, nvml_words);
	}
}

static void process_row(struct table *table, const char *gpu, const json_t *process)
{
	uint64_t pid = field_u64(process, "pid");
	char since[UNITS_BYTES], whose[PROCESS_WORDS_BYTES];

	table_cell(table, STYLE_BOLD, "%s", gpu);
	if (pid)
		table_cell(table, STYLE_PLAIN, "%" PRIu64, pid);
	else
		table_cell(table, STYLE_DIM, "-");
	table_cell(table, STYLE_PLAIN, "%s", field_text(process, "command", "-"));
	table_cell(table, STYLE_PLAIN, "%s", field_text(process, "use", "?"));
	memory_cell(table, process, "vram_mb");
	table_cell(table, STYLE_PLAIN, "%s",
		   units_duration(since, field_number(process, "since_s", -1)));

	enum text_table_style style = process_words_holder(process, whose);
	table_cell(table, style, "%s", whose);
}

static const json_t *processes_of(const json_t *gpu)
{
	return json_object_get(json_object_get(gpu, "measured"), "processes");
}

static void view_processes(const json_t *gpus, struct text_table *sheet)
{
	static const char *const titles[] = {"~GPU",  ">PID",  "~COMMAND", "USE",
					     ">VRAM", ">SEEN", "=HOLDER"};
	struct table table = {0};
	size_t i, j, rows = 0;
	json_t *gpu, *process;

	json_array_foreach (gpus, i, gpu)
		rows += json_array_size(processes_of(gpu));
	if (rows == 0)
		return;

	text_table_add(sheet, "%s", "");
	for (i = 0; i < sizeof(titles) / sizeof(*titles); i++)
		table_column(&table, titles[i]);
	json_array_foreach (gpus, i, gpu) {
		json_array_foreach (processes_of(gpu), j, process)
			process_row(&table, field_text(gpu, "name", "?"), process);
	}
	table_end(&table, sheet);
}

/* As the kernel counts them. */
static void view_cgroups(const char *gpu, const json_t *measured, struct text_table *sheet)
{
	char uses[UNITS_BYTES], most[UNITS_BYTES];
	size_t i;
	json_t *row;

	json_array_foreach (json_object_get(measured, "cgroups"), i, row) {
		double max_mb = field_number(row, "vram_mb_max", -1);
		text_table_add(sheet, "%s: the cgroup of %s uses %s%s%s", gpu,
			       field_text(row, "client", "?"),
			       units_mb(uses, field_number(row, "vram_mb", -1)),
			       max_mb >= 0 ? ", at most " : "; no limit",
			       max_mb >= 0 ? units_mb(most, max_mb) : "");
	}
}

/* What the rows do not say of themselves. */
static void view_notes(const json_t *gpus, struct text_table *sheet)
{
	size_t i;
	json_t *gpu;

	json_array_foreach (gpus, i, gpu) {
		const json_t *measured = json_object_get(gpu, "measured");
		const char *name = field_text(gpu, "name", "?");
		if (field_u64(measured, "processes_left_off"))
			text_table_add(sheet, "%s: %" PRIu64 " smaller processes more", name,
				       field_u64(measured, "processes_left_off"));
		if (field_true(measured, "processes_partial"))
			text_table_add(sheet,
				       "%s: processes of other users may be missing; a broker "
				       "that runs as root sees them",
				       name);
		view_cgroups(name, measured, sheet);
		if (field_true(measured, "pids_foreign"))
			text_table_add(sheet,
				       "%s: the pids are the machine's and the broker is in a "
				       "container, so whose they are is unknown",
				       name);
		if (field_text(gpu, "vram_left_by", NULL))
			text_table_add(sheet, "%s: some of what is unmanaged was left by %s", name,
				       field_text(gpu, "vram_left_by", ""));
	}
	process_words_odd(gpus, sheet);
}

static json_t *rows_of(const json_t *status, const char *name)
{
	json_t *rows = json_array();
	size_t i;
	json_t *gpu;

	if (!rows)
		abort();
	json_array_foreach (json_object_get(status, "gpus"), i, gpu)
		if (!name || strcmp(field_text(gpu, "name", ""), name) == 0 ||
		    strcmp(field_text(gpu, "uuid", ""), name) == 0)
			json_array_append(rows, gpu);
	return rows;
}

static int run_gpus(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct gpus_options options = {0};
	json_t *status;
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;
	if (argc > 2)
		return cli_fail(command, EX_USAGE, "one name at most; leave out '%.60s'", argv[2]);

	rc = http_client_call(command, "GET", "/v1/gpu/status", NULL, &status);
	if (rc > 0)
		return rc;
	json_t *gpus = rows_of(status, argc > 1 ? argv[1] : NULL);
	json_decref(status);

	if (json_array_size(gpus) == 0) {
		rc = cli_fail(command, EX_NOINPUT, "no GPU is named '%.80s'; see: baton gpus",
			      argc > 1 ? argv[1] : "");
	} else if (options.json) {
		json_dumpf(gpus, stdout,
			   JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
		putchar('\n');
	} else {
		struct text_table sheet = {.columns = text_table_columns(stdout)};
		view_gpus(gpus, &sheet);
		view_identities(gpus, &sheet);
		view_processes(gpus, &sheet);
		view_notes(gpus, &sheet);
		text_table_print(&sheet, stdout, text_table_color(stdout));
		text_table_finish(&sheet);
	}
	json_decref(gpus);
	return rc;
}

const struct command command_gpus = {
	.name = "gpus",
	.summary = "Show the GPUs as measured, and the processes on them.",
	.usage = "[NAME|UUID] [--json]",
	.details = "A dash is unknown, never zero. A process without a lease is unmanaged: its\n"
		   "memory counts as used, and nobody stops it.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_WORDS,
	.run = run_gpus,
};
