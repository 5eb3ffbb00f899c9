/* why: the reason, the estimate and the guarantee of one waiter, or of all, in whole sentences. */
#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/status_view.h"
#include "cli/text_table.h"
#include "cli/units.h"

struct why_options {
	bool json;
};

static const struct option_spec option_specs[] = {
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: the rows of the status",
	 .offset = offsetof(struct why_options, json)},
};

/* The broker's time as local time, with its date unless that is today. */
static bool clock_time(const char *time_text, char *ret_clock, size_t size)
{
	struct tm tm = {0}, here, today;
	time_t now = time(NULL), moment;
	if (!strptime(time_text, "%Y-%m-%dT%H:%M:%S", &tm))
		return false;

	moment = timegm(&tm);
	if (!localtime_r(&moment, &here) || !localtime_r(&now, &today))
		return false;
	bool is_today = here.tm_yday == today.tm_yday && here.tm_year == today.tm_year;
	return strftime(ret_clock, size, is_today ? "%H:%M:%S" : "%H:%M:%S on %Y-%m-%d", &here) > 0;
}

static void explain_guarantee(const json_t *waiter, struct text_table *sheet)
{
	char clock[64];
	const char *time_text = field_text(waiter, "guaranteed_by", NULL);
	if (time_text && clock_time(time_text, clock, sizeof(clock)))
		text_table_add(
			sheet,
			"  guarantee: guaranteed by %s, as long as the broker runs and nobody "
			"pauses it",
			clock);
	else
		text_table_add(sheet, "  guarantee: none. %s",
			       field_text(waiter, "bound_text", ""));
}

/* Whoever holds it does not use it: that may be asked of it. */
static void explain_idle(const json_t *waiter, struct text_table *sheet)
{
	const json_t *why = json_object_get(waiter, "why");
	if (field_number(why, "holder_idle_s", -1) >= 0)
		text_table_add(
			sheet,
			"  its holder computes nothing; to ask it to give way: baton release "
			"%" PRIu64,
			field_u64(why, "holder"));
}

static void explain_waiter(const json_t *waiter, struct text_table *sheet)
{
	char waited[UNITS_BYTES];
	text_table_add(sheet, "%c%s%c (claim %" PRIu64 ", %s) has waited %s.", STYLE_BOLD,
		       field_text(waiter, "id", "?"), STYLE_PLAIN, field_u64(waiter, "lease"),
		       field_text(waiter, "class", "?"),
		       units_duration(waited, field_number(waiter, "waited_s", -1)));
	text_table_add(sheet, "  %s",
		       field_text(waiter, "sentence", "The broker does not say why."));
	text_table_add(sheet, "  estimate:  %s",
		       field_text(waiter, "estimate", "nothing is known yet of such waits"));

	explain_idle(waiter, sheet);
	explain_guarantee(waiter, sheet);
	if (field_number(waiter, "timeout_in_s", -1) >= 0)
		text_table_add(sheet, "  gives up in %s",
			       units_duration(waited, field_number(waiter, "timeout_in_s", -1)));
}

static void explain_holder(const json_t *lease, struct text_table *sheet)
{
	char held[UNITS_BYTES];
	text_table_add(sheet, "%c%s%c (lease %" PRIu64 ", %s) does not wait: it holds %s since %s.",
		       STYLE_BOLD, field_text(lease, "id", "?"), STYLE_PLAIN,
		       field_u64(lease, "lease"), field_text(lease, "class", "?"),
		       field_text(lease, "gpu", "a GPU"),
		       units_duration(held, field_number(lease, "held_s", -1)));
}

static void explain_all(const json_t *status, struct text_table *sheet)
{
	const json_t *waiting = json_object_get(status, "waiting");
	size_t i;
	json_t *waiter;
	json_array_foreach (waiting, i, waiter)
		explain_waiter(waiter, sheet);
	if (json_array_size(waiting) == 0)
		text_table_add(sheet, "Nobody waits.");
}

static int print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
	putchar('\n');
	return 0;
}

static int explain_claims(const struct command *command, const json_t *status, const char *who,
			  bool json)
{
	struct text_table sheet = {.columns = text_table_columns(stdout)};
	if (!who && json)
		return print_json(json_object_get(status, "waiting"));

	if (!who) {
		explain_all(status, &sheet);
	} else {
		const json_t *waiter = status_find(json_object_get(status, "waiting"), who);
		const json_t *holder = status_find(json_object_get(status, "leases"), who);
		if (!waiter && !holder)
			return cli_fail(command, EX_NOINPUT, "no claim '%.80s'; see: baton status",
					who);
		if (json)
			return print_json(waiter ? waiter : holder);
		if (waiter)
			explain_waiter(waiter, &sheet);
		else
			explain_holder(holder, &sheet);
	}

	text_table_print(&sheet, stdout, text_table_color(stdout));
	text_table_finish(&sheet);
	return 0;
}

static int run_why(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct why_options options = {0};
	json_t *status;
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	rc = http_client_call(command, "GET", "/v1/gpu/status", NULL, &status);
	if (rc > 0)
		return rc;

	rc = explain_claims(command, status, argc > 1 ? argv[1] : NULL, options.json);
	json_decref(status);
	return rc;
}

const struct command command_why = {
	.name = "why",
	.summary = "Explain why a claim waits, for how long, and what is guaranteed.",
	.usage = "[NAME|CLAIM] [--json]",
	.details = "Without a name: all waiters, in the order in which they will be served.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_CLAIM_OR_NONE,
	.run = run_why,
};
