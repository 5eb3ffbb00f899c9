/* run_show: the words of `baton run` while it waits and holds. Called by run.c. */
#include "cli/run_show.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/units.h"

void run_show_init(struct run_show *show, bool quiet)
{
	*show = (struct run_show){.quiet = quiet, .is_tty = isatty(STDERR_FILENO)};
}

void run_show_clear(struct run_show *show)
{
	if (show->line_open)
		fputs("\r\033[K", stderr);
	show->line_open = false;
	fflush(stderr);
}

static void write_over(struct run_show *show, const char *text)
{
	struct winsize size = {0};
	int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1
			      ? size.ws_col - 1
			      : 79;
	/* Cut by bytes: a broken last character is better than a second line that stays. */
	fprintf(stderr, "\r\033[K%.*s", columns, text);
	fflush(stderr);
	show->line_open = true;
}

void run_show_place(struct run_show *show, const struct baton_place *place)
{
	char text[512], eta[UNITS_BYTES + 16] = "", bound[UNITS_BYTES + 16] = "";
	char number[UNITS_BYTES];
	if (show->quiet || place->position < 0) /* offered in the same moment: no place to tell */
		return;
	if (place->eta_ms >= 0)
		snprintf(eta, sizeof(eta), ", about %s",
			 units_duration(number, (double)place->eta_ms / 1000));
	if (place->bound_ms >= 0)
		snprintf(bound, sizeof(bound), ", at most %s",
			 units_duration(number, (double)place->bound_ms / 1000));
	if (show->is_tty) {
		snprintf(text, sizeof(text), "baton: waiting, number %lld%s%s: %s",
			 (long long)place->position + 1, eta, bound, place->why);
		write_over(show, text);
		return;
	}
	/* A log wants to know when something changed, not that a second passed. */
	snprintf(text, sizeof(text), "%lld %s", (long long)place->position, place->why_code);
	if (strcmp(text, show->last) == 0)
		return;
	memcpy(show->last, text, sizeof(text));
	fprintf(stderr, "baton: waiting, number %lld%s%s: %s\n", (long long)place->position + 1,
		eta, bound, place->why);
}

void run_show_say(struct run_show *show, bool always, const char *format, ...)
{
	if (show->quiet && !always)
		return;
	run_show_clear(show);
	va_list args;
	va_start(args, format);
	fputs("baton: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}
