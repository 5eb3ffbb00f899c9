/* status: who holds, who waits, since when and why; with --watch for as long as one looks. The act
 * of looking changes nothing. */
#include <stdlib.h>

#include "cli/api.h"
#include "cli/status_view.h"
#include "cli/watch.h"

struct values {
	bool json, watch;
};

static const struct option_spec options[] = {
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: the broker's answer, one object",
	 .offset = offsetof(struct values, json)},
	{.letter = 'w',
	 .name = "watch",
	 .kind = OPTION_FLAG,
	 .help = "until q or Ctrl-C: on a terminal a full screen, else one status per change",
	 .offset = offsetof(struct values, watch)},
};

static int run(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct values values = {0};
	json_t *status;
	int r = cli_parse(cli, command, &argc, argv, &values);
	if (r >= 0)
		return r;
	if (values.watch)
		return watch_status(command, values.json);
	r = api_call(command, "GET", "/v1/gpu/status", NULL, &status);
	if (r > 0)
		return r;
	if (values.json) {
		json_dumpf(status, stdout,
			   JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
		putchar('\n');
	} else {
		struct sheet sheet = {0};
		status_view(status, &sheet);
		sheet_print(&sheet, stdout, sheet_color(stdout));
		sheet_finish(&sheet);
	}
	json_decref(status);
	return 0;
}

const struct command command_status = {
	.name = "status",
	.summary = "Show who holds the GPU, who waits, and why.",
	.usage = "[--watch] [--json]",
	.details = "ETA is an estimate. AT MOST is proved: no arrival can make it longer.\n"
		   "Keys of --watch: q quits, arrows and page keys scroll.",
	.options = options,
	.option_count = sizeof(options) / sizeof(*options),
	.arguments = ARGUMENTS_NONE,
	.run = run,
};
