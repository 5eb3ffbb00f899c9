/* watch: follows the broker's events only to know when to request the status again; it always shows
 * one whole answer. A full screen on a terminal, else one status after another. Survives a restart
 * of the broker. */
#include "cli/watch.h"

#include <errno.h>
#include <ncurses.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cli/clock.h"
#include "cli/http_client.h"
#include "cli/screen.h"
#include "cli/status_view.h"
#include "cli/text_table.h"

enum {
	REFRESH_MS = 1000, /* durations on the screen keep counting */
	SETTLE_MS = 100,   /* at most ten answers a second, however much changes */
};

struct watch {
	bool json, screen_on;
	struct http_stream *events; /* NULL: not connected */
	int signal_fd;
	bool changed;
	json_t *status; /* the last answer, or NULL */
	struct text_table sheet;
	size_t first_line;
	char error[512];
	int err; /* of the last request: a negative enum err or 0 */
};

/* ---- asking ---- */

static void on_event_line(void *ctx, const char *line)
{
	struct watch *watch = ctx;
	if (strncmp(line, "data:", 5) == 0)
		watch->changed = true;
}

static void follow_events(struct watch *watch)
{
	char error[512];
	if (!watch->events)
		(void)http_stream_open("/v1/gpu/events", &watch->events, error, sizeof(error));
}

static void read_events(struct watch *watch)
{
	if (http_stream_read(watch->events, on_event_line, watch) <= 0) {
		http_stream_close(watch->events);
		watch->events = NULL;
		watch->changed = true;
	}
}

/* Formats what is known, for the current size of the screen. */
static void compose_sheet(struct watch *watch)
{
	text_table_finish(&watch->sheet);
	watch->sheet.columns = watch->screen_on ? (size_t)COLS : text_table_columns(stdout);
	if (watch->err < 0)
		text_table_add(&watch->sheet,
			       "%c%s%c  (trying again; below is what was last known)", STYLE_BAD,
			       watch->error, STYLE_PLAIN);
	if (watch->status)
		status_view(watch->status, &watch->sheet);
}

static void ask_status(struct watch *watch)
{
	json_t *status;
	watch->changed = false;
	follow_events(watch); /* first, so that no change after the answer is missed */
	watch->err = http_client_try("GET", "/v1/gpu/status", NULL, &status, watch->error,
				     sizeof(watch->error));
	if (watch->err == 0) {
		json_decref(watch->status);
		watch->status = status;
	}
	compose_sheet(watch);
}

/* ---- full screen ---- */

static size_t last_first_line(const struct watch *watch)
{
	size_t rows = LINES > 2 ? (size_t)LINES - 1 : 1;
	return watch->sheet.count > rows ? watch->sheet.count - rows : 0;
}

/* False: quit. */
static bool draw_screen(struct watch *watch)
{
	if (watch->sheet.columns != (size_t)COLS)
		compose_sheet(watch);
	size_t most = last_first_line(watch);
	if (watch->first_line > most)
		watch->first_line = most;

	erase();
	for (int y = 0; y < LINES - 1; y++) {
		size_t line = watch->first_line + (size_t)y;
		if (line < watch->sheet.count)
			screen_line(y, COLS, watch->sheet.lines[line]);
	}

	char foot[128];
	snprintf(foot, sizeof(foot), "%cq quit   arrows scroll   %zu of %zu lines", STYLE_DIM,
		 watch->sheet.count - watch->first_line, watch->sheet.count);
	if (LINES > 1)
		screen_line(LINES - 1, COLS, foot);

	screen_write_begin();
	refresh();
	return screen_write_end();
}

/* False: quit. */
static bool take_key(struct watch *watch, int key)
{
	size_t page = LINES > 2 ? (size_t)LINES - 2 : 1, most = last_first_line(watch);
	size_t *at = &watch->first_line;

	switch (key) {
	case 'q':
	case 'Q':
	case 27:
		return false;
	case KEY_UP:
	case 'k':
		*at -= *at > 0;
		break;
	case KEY_DOWN:
	case 'j':
		*at += *at < most;
		break;
	case KEY_PPAGE:
		*at -= *at > page ? page : *at;
		break;
	case KEY_NPAGE:
	case ' ':
		*at += page;
		break;
	case KEY_HOME:
	case 'g':
		*at = 0;
		break;
	case KEY_END:
	case 'G':
		*at = most;
		break;
	default:
		break; /* KEY_RESIZE too: everything is redrawn anyway */
	}
	return true;
}

/* ---- without a screen ---- */

static bool print_status(struct watch *watch)
{
	screen_write_begin();
	if (watch->json) {
		json_dumpf(watch->status, stdout,
			   JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
		putchar('\n');
	} else {
		text_table_print(&watch->sheet, stdout, text_table_color(stdout));
		putchar('\n');
	}
	bool taken = fflush(stdout) == 0;
	return screen_write_end() && taken;
}

/* ---- the loop ---- */

/* Waits for a key, a signal, a change or the deadline. False: quit. */
static bool wait_for_news(struct watch *watch, int64_t deadline_ms)
{
	struct pollfd fds[] = {
		{.fd = watch->signal_fd, .events = POLLIN},
		{.fd = watch->screen_on ? STDIN_FILENO : -1, .events = POLLIN},
		{.fd = watch->events ? http_stream_fd(watch->events) : -1, .events = POLLIN},
	};

	int64_t left = deadline_ms - clock_now_ms();
	if (poll(fds, 3, left > 0 ? (int)left : 0) < 0)
		return errno == EINTR;

	if (fds[2].revents)
		read_events(watch);
	if (fds[0].revents && !screen_take_signal(watch->signal_fd, watch->screen_on))
		return false;
	if (fds[1].revents & (POLLHUP | POLLERR))
		return false; /* the terminal is gone */

	int key;
	while (watch->screen_on && (key = getch()) != ERR)
		if (!take_key(watch, key))
			return false;

	return !watch->screen_on || draw_screen(watch);
}

static void watch_until_quit(struct watch *watch)
{
	int64_t asked_ms = clock_now_ms();
	bool show = true;

	for (;;) {
		if (watch->screen_on && !draw_screen(watch))
			return;
		if (!watch->screen_on && show && watch->err == 0 && !print_status(watch))
			return;

		/* Without a screen nothing is printed until something changes. */
		int64_t deadline_ms = asked_ms + REFRESH_MS;
		while (clock_now_ms() < deadline_ms) {
			if (!wait_for_news(watch, deadline_ms))
				return;
			if (watch->changed && asked_ms + SETTLE_MS < deadline_ms)
				deadline_ms = asked_ms + SETTLE_MS;
		}

		show = watch->changed || watch->err < 0;
		if (!watch->screen_on && !show && watch->events) {
			asked_ms = clock_now_ms();
			continue;
		}

		ask_status(watch);
		asked_ms = clock_now_ms();
	}
}

int watch_status(const struct command *command, bool json)
{
	struct watch watch = {.json = json};
	bool screen = !json && screen_possible();

	ask_status(&watch);
	if (watch.err < 0) {
		int err = watch.err;
		text_table_finish(&watch.sheet);
		return http_client_fail(command, err, watch.error);
	}

	watch.signal_fd = screen_catch_signals(screen);
	watch.screen_on = screen && screen_begin();

	watch_until_quit(&watch);
	if (watch.screen_on)
		screen_end();

	http_stream_close(watch.events);
	close(watch.signal_fd);
	json_decref(watch.status);
	text_table_finish(&watch.sheet);
	return 0;
}
