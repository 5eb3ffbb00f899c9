/* status_view: formats the answer of GET /v1/gpu/status: GPUs, holders, waiters. Sends no request
 * itself. */
#include "cli/status_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/claim_words.h"
#include "cli/field.h"
#include "cli/process_words.h"
#include "cli/table.h"
#include "cli/units.h"

/* Why nothing at all is granted, unless that has a line of its own. */
static void view_grants(const json_t *status, struct text_table *sheet)
{
	const json_t *grants = json_object_get(status, "grants");
	const char *reason = field_text(grants, "reason", ""),
		   *detail = field_text(grants, "detail", "");
	double left_s = field_number(grants, "remaining_s", -1);
	char left[UNITS_BYTES];

	if (strcmp(reason, "in_doubt") != 0 && strcmp(reason, "journal") != 0)
		return;

	if (left_s >= 0)
		text_table_add(
			sheet,
			"%cnothing is granted for another %s: %s, and who held before may still "
			"use a GPU",
			STYLE_WARN, units_duration(left, left_s), detail);
	else
		text_table_add(sheet, "%cthe journal cannot be written: nothing is granted%s%s",
			       STYLE_BAD, detail[0] ? "; " : "", detail);
}

static void view_head(const json_t *status, struct text_table *sheet)
{
	char uptime[UNITS_BYTES];

	text_table_add(sheet,
		       "%cbaton %s%c  up %s  epoch %" PRIu64 "  held %" PRIu64 "  waiting %" PRIu64,
		       STYLE_BOLD, field_text(status, "version", "?"), STYLE_PLAIN,
		       units_duration(uptime, field_number(status, "uptime_s", -1)),
		       field_u64(status, "epoch"), field_u64(status, "held"),
		       field_u64(status, "queue_depth"));

	if (strcmp(field_text(status, "mode", ""), "observe") == 0)
		text_table_add(sheet,
			       "%cobserve: nothing is enforced and nobody is protected. To "
			       "enforce: mode: enforce in the configuration, then baton reload",
			       STYLE_WARN);
	if (field_true(status, "paused"))
		text_table_add(sheet, "%cpaused: nothing is granted. %s", STYLE_WARN,
			       field_text(status, "paused_reason", ""));
	view_grants(status, sheet);
	if (field_true(status, "draining"))
		text_table_add(sheet, "%cthe broker is stopping", STYLE_WARN);
}

/* Why it cannot be measured; NULL: it can, or nobody needs it now. */
static const char *trouble_of(const json_t *gpu)
{
	const json_t *measured = json_object_get(gpu, "measured");
	const char *state = field_text(measured, "state", "ok");

	if (strcmp(state, "ok") == 0 || strcmp(state, "idle") == 0 || strcmp(state, "asleep") == 0)
		return NULL;
	return field_text(measured, "detail", field_text(measured, "text", state));
}

static void view_gpus(const json_t *status, struct text_table *sheet)
{
	static const char *const titles[] = {"~GPU",  ">SLOTS", ">GRANTED",
					     ">USED", ">TOTAL", "=STATE"};
	struct table table = {0};
	size_t i;
	json_t *gpu;

	for (i = 0; i < sizeof(titles) / sizeof(*titles); i++)
		table_column(&table, titles[i]);

	json_array_foreach (json_object_get(status, "gpus"), i, gpu) {
		char a[UNITS_BYTES], b[UNITS_BYTES], c[UNITS_BYTES];
		uint64_t used = field_u64(gpu, "slots_used"), slots = field_u64(gpu, "slots");
		double unmanaged = field_number(gpu, "vram_mb_unmanaged", 0);
		bool healthy = field_true(gpu, "healthy");

		table_cell(&table, STYLE_BOLD, "%s", field_text(gpu, "name", "?"));
		table_cell(&table, STYLE_PLAIN, "%" PRIu64 "/%" PRIu64, used, slots);
		table_cell(&table, STYLE_PLAIN, "%s",
			   units_mb(a, field_number(gpu, "vram_mb_granted", -1)));
		table_cell(&table, STYLE_PLAIN, "%s",
			   units_mb(b, field_number(gpu, "vram_mb_used", -1)));
		table_cell(&table, STYLE_PLAIN, "%s",
			   units_mb(c, field_number(gpu, "vram_mb_total", -1)));

		const char *trouble = trouble_of(gpu);

		if (!healthy)
			table_cell(&table, STYLE_BAD, "does not work%s%s", trouble ? ": " : "",
				   trouble ? trouble : "");
		else if (trouble)
			table_cell(&table, STYLE_WARN, "%s, use unknown: %s",
				   used ? "in use" : "free", trouble);
		else if (unmanaged > 0)
			table_cell(&table, STYLE_WARN, "%s, %s by others", used ? "in use" : "free",
				   units_mb(a, unmanaged));
		else
			table_cell(&table, used ? STYLE_PLAIN : STYLE_GOOD, "%s",
				   used ? "in use" : "free");
	}

	text_table_add(sheet, "%s", "");
	table_end(&table, sheet);
	process_words_odd(json_object_get(status, "gpus"), sheet);
}

static void state_cell(struct table *table, const json_t *lease)
{
	char words[CLAIM_WORDS_BYTES];
	enum text_table_style style = claim_words_state(lease, words);
	table_cell(table, style, "%s", words);
}

static void gpu_cell(struct table *table, const json_t *lease)
{
	char words[CLAIM_WORDS_BYTES];
	claim_words_gpus(lease, words);
	table_cell(table, STYLE_PLAIN, "%s", words);
}

static void name_cell(struct table *table, const json_t *claim)
{
	char words[CLAIM_WORDS_BYTES];
	claim_words_name(claim, words);
	table_cell(table, STYLE_BOLD, "%s", words);
}

/* Tabs and plain HTTP are not; where nothing is, there is no column. */
static bool is_any_measured(const json_t *status)
{
	size_t i;
	json_t *lease;

	json_array_foreach (json_object_get(status, "leases"), i, lease)
		if (json_object_get(lease, "vram_mb_measured"))
			return true;
	return false;
}

static void uses_cell(struct table *table, const json_t *lease, double declared_mb)
{
	double uses_mb = field_number(lease, "vram_mb_measured", -1);
	bool over = declared_mb > 0 && uses_mb > declared_mb;
	char text[UNITS_BYTES];

	table_cell(table, over ? STYLE_WARN : STYLE_PLAIN, "%s",
		   uses_mb >= 0 ? units_mb(text, uses_mb) : "-");
}

static void view_leases(const json_t *status, struct text_table *sheet)
{
	static const char *const titles[] = {">LEASE", "~HOLDER", "CLASS", "~GPU",
					     ">VRAM",  ">USES",   ">HELD", "=STATE"};
	struct table table = {0};
	size_t i;
	json_t *lease;

	if (json_array_size(json_object_get(status, "leases")) == 0)
		return;

	bool measured = is_any_measured(status);
	for (i = 0; i < sizeof(titles) / sizeof(*titles); i++)
		if (measured || strcmp(titles[i], ">USES") != 0)
			table_column(&table, titles[i]);

	json_array_foreach (json_object_get(status, "leases"), i, lease) {
		char text[UNITS_BYTES];
		double mb = field_number(lease, "vram_mb", 0);

		table_cell(&table, STYLE_PLAIN, "%" PRIu64, field_u64(lease, "lease"));
		name_cell(&table, lease);
		table_cell(&table, STYLE_PLAIN, "%s", field_text(lease, "class", "?"));
		gpu_cell(&table, lease);
		table_cell(&table, STYLE_PLAIN, "%s", mb > 0 ? units_mb(text, mb) : "-");
		if (measured)
			uses_cell(&table, lease, mb);
		table_cell(&table, STYLE_PLAIN, "%s",
			   units_duration(text, field_number(lease, "held_s", -1)));
		state_cell(&table, lease);
	}

	text_table_add(sheet, "%s", "");
	table_end(&table, sheet);
}

static void why_cell(struct table *table, const json_t *waiter)
{
	char words[CLAIM_WORDS_BYTES];
	enum text_table_style style = claim_words_waiter(waiter, words);
	table_cell(table, style, "%s", words);
}

static void view_waiting(const json_t *status, struct text_table *sheet)
{
	static const char *const titles[] = {">#",      ">CLAIM", "~WAITER",  "CLASS",
					     ">WAITED", ">ETA",   ">9 OF 10", "=WHY"};
	struct table table = {0};
	size_t i;
	json_t *claim;
	if (json_array_size(json_object_get(status, "waiting")) == 0)
		return;

	for (i = 0; i < sizeof(titles) / sizeof(*titles); i++)
		table_column(&table, titles[i]);

	json_array_foreach (json_object_get(status, "waiting"), i, claim) {
		char text[UNITS_BYTES];

		table_cell(&table, STYLE_PLAIN, "%.0f", field_number(claim, "position", 0) + 1);
		table_cell(&table, STYLE_PLAIN, "%" PRIu64, field_u64(claim, "lease"));
		name_cell(&table, claim);
		table_cell(&table, STYLE_PLAIN, "%s", field_text(claim, "class", "?"));
		table_cell(&table, STYLE_PLAIN, "%s",
			   units_duration(text, field_number(claim, "waited_s", -1)));
		table_cell(&table, STYLE_PLAIN, "%s",
			   units_duration(text, field_number(claim, "eta_s", -1)));
		table_cell(&table, STYLE_PLAIN, "%s",
			   units_duration(text, field_number(claim, "eta_p90_s", -1)));
		why_cell(&table, claim);
	}

	text_table_add(sheet, "%s", "");
	table_end(&table, sheet);
}

void status_view(const json_t *status, struct text_table *sheet)
{
	view_head(status, sheet);
	view_gpus(status, sheet);
	view_leases(status, sheet);
	view_waiting(status, sheet);
}

static bool is_named(const json_t *row, const char *number_or_name)
{
	char *end;
	unsigned long long number = strtoull(number_or_name, &end, 10);
	bool same_number = *end == '\0' && field_u64(row, "lease") == number;
	return same_number || strcmp(field_text(row, "id", ""), number_or_name) == 0;
}

void status_rows_of(const json_t *status, const char *number_or_name, json_t *ret_rows)
{
	static const char *const lists[] = {"leases", "waiting"};
	for (size_t list = 0; list < sizeof(lists) / sizeof(*lists); list++) {
		size_t i;
		json_t *row;
		json_array_foreach (json_object_get(status, lists[list]), i, row) {
			if (is_named(row, number_or_name))
				json_array_append(ret_rows, row);
		}
	}
}

const json_t *status_find(const json_t *rows, const char *number_or_name)
{
	size_t i;
	json_t *row;
	json_array_foreach (rows, i, row) {
		if (is_named(row, number_or_name))
			return row;
	}
	return NULL;
}
