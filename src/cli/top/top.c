/* top: the command and its loop: waits for keys, signals and the broker, and draws. What is drawn
 * is top_view's, what a key means top_ui's. */
#include <errno.h>
#include <langinfo.h>
#include <ncurses.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/cli.h"
#include "cli/clock.h"
#include "cli/command.h"
#include "cli/http_client.h"
#include "cli/output.h"
#include "cli/screen.h"
#include "cli/top/feed.h"
#include "cli/top/top_model.h"
#include "cli/top/top_ui.h"
#include "cli/top/top_view.h"
#include "cli/units.h"

enum { SIGNAL_AT = FEED_FDS, KEYS_AT, FD_COUNT };
enum { QUIET_MS = 40, PAST_MS_MAX = 400 };

struct top_options {
	bool once, json;
};

static const struct option_spec option_specs[] = {
	{.name = "once",
	 .kind = OPTION_FLAG,
	 .help = "print the screen once, whole, and end",
	 .offset = offsetof(struct top_options, once)},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: one object a line, each second, or one with --once",
	 .offset = offsetof(struct top_options, json)},
};

struct top {
	struct top_model model;
	struct top_ui ui;
	struct top_lists lists;
	struct text_table lines;
	struct feed feed;
	int signal_fd;
	bool screen_on, json, once, done, fresh; /* fresh: a status came since it was last shown */
};

/* ---- what the broker says ---- */

static void take_event(void *ctx, const json_t *event)
{
	struct top *top = ctx;
	timeline_event(&top->model.timeline, event);
}

static void take_status(void *ctx, json_t *status)
{
	struct top *top = ctx;
	time_t now = time(NULL);
	struct tm tm;
	top_model_status(&top->model, status);
	top->fresh = true;
	if (localtime_r(&now, &tm))
		strftime(top->model.clock, sizeof(top->model.clock), "%H:%M:%S", &tm);
}

static void take_done(void *ctx, const char *error)
{
	struct top *top = ctx;
	snprintf(top->ui.notice, sizeof(top->ui.notice), "%s",
		 error ? error : top->ui.request.done);
	top->ui.notice_bad = error != NULL;
}

static void describe_trouble(struct top *top)
{
	char since[UNITS_BYTES];
	const struct feed *feed = &top->feed;
	char *trouble = top->model.trouble;
	size_t size = sizeof(top->model.trouble);

	if (feed->away_since_ms == 0) {
		trouble[0] = '\0';
		return;
	}
	units_duration(since, (double)(clock_now_ms() - feed->away_since_ms) / 1000);
	if (feed->err == -ERR_UNREACHABLE && top->model.status)
		snprintf(trouble, size,
			 "the broker is away for %s; trying again. Below is the last", since);
	else
		snprintf(trouble, size, "%s (for %s; trying again)", feed->error, since);
}

/* ---- showing ---- */

static void compose_lines(struct top *top)
{
	size_t width = top->screen_on ? (size_t)COLS : text_table_columns(stdout);
	describe_trouble(top);
	top_lists_finish(&top->lists);
	top_lists_build(&top->lists, &top->model, &top->ui);
	top_view(&top->model, &top->lists, &top->ui, width, top->screen_on ? (size_t)LINES : 0,
		 &top->lines);
}

static void draw_screen(struct top *top)
{
	compose_lines(top);
	erase();
	for (int y = 0; y < LINES && (size_t)y < top->lines.count; y++)
		screen_line(y, COLS, top->lines.lines[y]);

	screen_write_begin();
	refresh();
	top->done |= !screen_write_end();
}

static void print_json(const struct top *top)
{
	json_t *object = json_pack("{s:O, s:o}", "status", top->model.status, "timeline",
				   timeline_json(&top->model.timeline));
	if (object)
		json_dumpf(object, stdout,
			   JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
	putchar('\n');
	json_decref(object);
}

static void show_news(struct top *top)
{
	if (top->screen_on) {
		draw_screen(top);
		return;
	}
	if (!top->fresh)
		return;

	top->fresh = false;
	screen_write_begin();
	if (top->json) {
		print_json(top);
	} else {
		compose_lines(top);
		text_table_print(&top->lines, stdout, text_table_color(stdout));
	}
	top->done |= output_is_lost() || top->once;
	top->done |= !screen_write_end();
}

/* ---- the loop ---- */

static void send_request(struct top *top)
{
	static const char body[] = "{\"reason\":\"an operator, by baton top\"}";
	if (!feed_send(&top->feed, top->ui.request.path, body, clock_now_ms())) {
		snprintf(top->ui.notice, sizeof(top->ui.notice),
			 "the broker has not answered to the last request yet");
		top->ui.notice_bad = true;
	}
}

static void take_keys(struct top *top)
{
	int key;
	while (!top->done && (key = getch()) != ERR) {
		switch (top_ui_key(&top->ui, &top->lists, &top->model, key)) {
		case TOP_KEY_QUIT:
			top->done = true;
			break;
		case TOP_KEY_SEND:
			send_request(top);
			break;
		case TOP_KEY_REFRESH:
			top->feed.next_status_ms = 0;
			break;
		case TOP_KEY_NONE:
			break;
		}

		/* The next key sees what this one did. */
		top_lists_finish(&top->lists);
		top_lists_build(&top->lists, &top->model, &top->ui);
	}
}

/* One turn: waits until something happens. True: there is something new to show. */
static bool wait_for_news(struct top *top)
{
	struct pollfd fds[FD_COUNT];
	int64_t due_ms = feed_step(&top->feed, clock_now_ms()), left_ms = due_ms - clock_now_ms();
	bool away = top->feed.away_since_ms != 0;

	feed_fill_fds(&top->feed, fds);
	fds[SIGNAL_AT] = (struct pollfd){.fd = top->signal_fd, .events = POLLIN};
	fds[KEYS_AT] = (struct pollfd){.fd = top->screen_on ? STDIN_FILENO : -1, .events = POLLIN};
	int ready = poll(fds, FD_COUNT, left_ms > 0 ? (int)left_ms : 0);
	if (ready < 0) {
		top->done = errno != EINTR;
		return false;
	}

	const json_t *before = top->model.status;
	feed_read(&top->feed, fds, clock_now_ms());
	if (fds[SIGNAL_AT].revents && !screen_take_signal(top->signal_fd, top->screen_on))
		top->done = true;
	if (fds[KEYS_AT].revents & (POLLHUP | POLLERR))
		top->done = true; /* the terminal is gone */
	else if (fds[KEYS_AT].revents)
		take_keys(top);

	return fds[SIGNAL_AT].revents || fds[KEYS_AT].revents || fds[2].revents ||
	       before != top->model.status || away || top->feed.away_since_ms != 0;
}

/* The first answer decides whether there is a broker at all. */
static int wait_for_broker(struct top *top, const struct command *command)
{
	while (!top->model.status && !top->done) {
		(void)wait_for_news(top);
		if (top->feed.err)
			return http_client_fail(command, top->feed.err, top->feed.error);
	}
	return 0;
}

static void show_until_done(struct top *top)
{
	show_news(top);
	while (!top->done)
		if (wait_for_news(top))
			show_news(top);
}

/* Events that the broker remembers come beside the first status, all at once. */
static void wait_for_past(struct top *top)
{
	int64_t deadline_ms = clock_now_ms() + PAST_MS_MAX;
	while (top->feed.events && clock_now_ms() < deadline_ms) {
		struct pollfd fds[FEED_FDS];
		feed_fill_fds(&top->feed, fds);
		if (poll(fds, 1, QUIET_MS) <= 0)
			return;
		fds[1].revents = fds[2].revents = 0;
		feed_read(&top->feed, fds, clock_now_ms());
	}
}

static int run_top(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct top_options options = {0};
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	bool screen = !options.once && !options.json;
	if (screen && !screen_possible())
		return cli_fail(
			command, EX_USAGE,
			"this is no terminal that can show a screen; try: baton top --once");

	struct top top = {.json = options.json, .once = options.once};
	top.feed.on_event = take_event;
	top.feed.on_status = take_status;
	top.feed.on_done = take_done;
	top.feed.ctx = &top;
	top_ui_init(&top.ui, strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
	top.signal_fd = screen_catch_signals(screen);

	rc = wait_for_broker(&top, command);
	if (rc == 0) {
		wait_for_past(&top);
		top.screen_on = screen && screen_begin();
		if (screen && !top.screen_on)
			rc = cli_fail(command, EX_USAGE, "terminfo does not know TERM=%.40s",
				      getenv("TERM"));
		else
			show_until_done(&top);
	}

	if (top.screen_on)
		screen_end();
	feed_finish(&top.feed);
	close(top.signal_fd);
	top_lists_finish(&top.lists);
	text_table_finish(&top.lines);
	top_model_finish(&top.model);
	return rc;
}

const struct command command_top = {
	.name = "top",
	.summary = "Watch GPUs, holders and queue; ask and revoke by a key.",
	.usage = "[--once] [--json]",
	.details =
		"Memory and load over time, who holds and who waits, why and until when at most,\n"
		"which processes use the GPUs, and who held when. ? lists the keys.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_NONE,
	.run = run_top,
};
