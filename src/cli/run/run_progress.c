/* run_progress: the messages of `baton run` while it waits and holds. */
#include "cli/run/run_progress.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/clean_text.h"
#include "cli/text_table.h"
#include <baton/baton.h>

enum { PATIENCE_MS = 20, SAID_BYTES = 4096 };

/* A reader that stalls (Ctrl-S, a pager, a stuck log collector) must not keep us from the broker or
 * the command: what it does not read is dropped. */
static bool is_taken(void)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
	return poll(&out, 1, PATIENCE_MS) > 0;
}

void run_progress_init(struct run_progress *show, bool quiet)
{
	*show = (struct run_progress){.quiet = quiet, .is_tty = isatty(STDERR_FILENO)};
}

void run_progress_clear(struct run_progress *show)
{
	if (show->line_open && is_taken())
		fputs("\r\033[K", stderr);
	show->line_open = false;
	fflush(stderr);
}

static void write_over(struct run_progress *show, const char *text)
{
	size_t columns = text_table_columns(stderr);
	char *line = text_table_cut(text, columns > 1 ? columns - 1
						      : 1); /* a second line could not be erased */
	fprintf(stderr, "\r\033[K%s", line);
	fflush(stderr);
	free(line);
	show->line_open = true;
}

void run_progress_place(struct run_progress *show, const struct baton_place *place)
{
	const char *sentence = place->sentence && *place->sentence ? place->sentence : place->why;
	char text[512];
	if (show->quiet ||
	    place->position < 0) /* offered at the same moment: there is no position to show */
		return;
	if (!is_taken())
		return;

	if (show->is_tty) {
		snprintf(text, sizeof(text), "baton: waiting. %s", sentence);
		write_over(show, text);
		return;
	}

	/* A log should record changes, not every second. */
	snprintf(text, sizeof(text), "%lld %s", (long long)place->position, place->why_code);
	if (strcmp(text, show->last) == 0)
		return;
	memcpy(show->last, text, sizeof(text));
	fprintf(stderr, "baton: waiting. %s\n", sentence);
}

void run_progress_say(struct run_progress *show, bool always, const char *format, ...)
{
	if (show->quiet && !always)
		return;
	run_progress_clear(show);
	if (!is_taken())
		return;

	va_list args;
	char text[SAID_BYTES], shown[SAID_BYTES];
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* In one call: others write to the terminal, too. */
	fprintf(stderr, "baton: %s\n", clean_text(shown, sizeof(shown), text, true));
}
