/* events: each change as it happens, one per line. After a restart of the broker it continues from
 * the last event seen. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/output.h"
#include "cli/text_table.h"
#include "cli/units.h"

enum { RETRY_MS = 500, QUIET_MS = 200 };

struct events_options {
	bool json, follow;
	uint32_t limit;
};

static const struct option_spec option_specs[] = {
	{.letter = 'f',
	 .name = "follow",
	 .kind = OPTION_FLAG,
	 .help = "go on until Ctrl-C, over a restart of the broker too",
	 .offset = offsetof(struct events_options, follow)},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: one object a line",
	 .offset = offsetof(struct events_options, json)},
};

struct reader {
	bool json, color;
	uint64_t last_id;
};

/* "beside 7" of one that was granted with it, else whom it makes way for. */
static void add_other(char *line, size_t size, const json_t *event)
{
	uint64_t other = field_u64(event, "other");
	bool beside = strcmp(field_text(event, "what", ""), "collides") == 0;
	size_t length = strlen(line);

	if (other)
		snprintf(line + length, size - length, "  %s %" PRIu64, beside ? "beside" : "for",
			 other);
}

static void add_times(char *line, size_t size, const json_t *event)
{
	static const char *const keys[] = {"waited_s", "held_s"};
	static const char *const words[] = {"waited", "held"};
	for (size_t i = 0; i < 2; i++) {
		char text[UNITS_BYTES];
		double seconds = field_number(event, keys[i], -1);
		size_t length = strlen(line);
		if (seconds > 0)
			snprintf(line + length, size - length, "  %s %s", words[i],
				 units_duration(text, seconds));
	}
}

/* One line; on a terminal names are shortened so that the event still fits. */
static void add_event(struct text_table *sheet, const json_t *event)
{
	enum { NAME_LEAST = 12 };
	char lease[24] = "", head[128], tail[1024], times[128] = "";
	const char *time = field_text(event, "time", "?");
	const char *clock = strchr(time, 'T');
	const char *extra = field_text(event, "end", field_text(event, "reason", ""));
	const char *detail = field_text(event, "detail", ""), *on = field_text(event, "gpu", NULL);

	if (field_u64(event, "lease"))
		snprintf(lease, sizeof(lease), "%" PRIu64, field_u64(event, "lease"));
	add_times(times, sizeof(times), event);
	add_other(times, sizeof(times), event);
	char *gpu = text_table_cut(on ? on : "", sheet->columns ? NAME_LEAST : 0);

	snprintf(head, sizeof(head), "%c%.12s%c  %c%-10s%c %6s  %-10s", STYLE_DIM,
		 clock ? clock + 1 : time, STYLE_PLAIN, STYLE_BOLD, field_text(event, "what", "?"),
		 STYLE_PLAIN, lease, field_text(event, "class", ""));
	snprintf(tail, sizeof(tail), "%s%s%s%s%s%s%s", *extra ? "  " : "", extra, on ? "  on " : "",
		 gpu, times, *detail ? "  " : "", detail);

	size_t others = text_table_width(head) + 1 + text_table_width(tail), room = 0;
	if (sheet->columns)
		room = sheet->columns > others + NAME_LEAST ? sheet->columns - others : NAME_LEAST;
	char *client = text_table_cut(field_text(event, "client", ""), room);
	text_table_add(sheet, "%s %s%s", head, client, tail);
	free(client);
	free(gpu);
}

static void print_event(struct reader *reader, const json_t *event)
{
	struct text_table sheet = {.columns = text_table_columns(stdout)};
	if (strcmp(field_text(event, "type", ""), "reset") == 0)
		text_table_add(&sheet, "%cevents before this one are forgotten; see: baton status",
			       STYLE_WARN);
	else
		add_event(&sheet, event);
	text_table_print(&sheet, stdout, reader->color);
	text_table_finish(&sheet);
}

static void on_line(void *ctx, const char *line)
{
	struct reader *reader = ctx;
	if (strncmp(line, "data:", 5) != 0)
		return;

	line += 5 + strspn(line + 5, " ");
	json_t *event = json_loads(line, 0, NULL);
	if (!event)
		return; /* of a kind we do not know */

	uint64_t id = field_u64(event, "id");
	if (id)
		reader->last_id = id;

	if (reader->json) {
		puts(line);
		fflush(stdout);
	} else {
		print_event(reader, event);
	}
	json_decref(event);
}

/* Reads until the broker ends the stream or, without `follow`, until nothing more arrives at once.
 */
static int read_all(struct http_stream *stream, struct reader *reader, bool follow)
{
	for (;;) {
		struct pollfd p = {.fd = http_stream_fd(stream), .events = POLLIN};
		int ready = poll(&p, 1, follow ? -1 : QUIET_MS);
		if (ready == 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return -ERR_IO;
		int rc = ready > 0 ? http_stream_read(stream, on_line, reader) : 1;
		if (rc <= 0)
			return rc;
		if (output_is_lost())
			return 0;
	}
}

static int run_events(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct events_options options = {0};
	struct reader reader = {0};
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	reader.json = options.json;
	reader.color = text_table_color(stdout);
	bool reached = false, said = false;

	for (;;) {
		struct http_stream *stream;
		char path[64] = "/v1/gpu/events", error[512];
		/* Without --follow: what the broker's ring still holds. After a restart that is
		 * only what came since. */
		if (!options.follow || reader.last_id || said)
			snprintf(path, sizeof(path), "/v1/gpu/events?since=%" PRIu64,
				 reader.last_id);

		rc = http_stream_open(path, &stream, error, sizeof(error));
		if (rc < 0 && (!reached || rc != -ERR_UNREACHABLE))
			return http_client_fail(command, rc, error);
		if (rc < 0) {
			if (!said)
				cli_fail(command, 0, "the broker is away; waiting for it");
			said = true;
			poll(NULL, 0, RETRY_MS);
			continue;
		}

		reached = true;
		said = false;
		rc = read_all(stream, &reader, options.follow);
		http_stream_close(stream);
		if (!options.follow || output_is_lost())
			return 0;
	}
}

const struct command command_events = {
	.name = "events",
	.summary = "Print the changes of leases and queue.",
	.usage = "[--follow] [--json]",
	.details = "Without --follow: the recent ones that the broker still remembers.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_NONE,
	.run = run_events,
};
