/* run_progress: what `baton run` prints on stderr: one line that is overwritten on a terminal,
 * plain lines elsewhere, nothing if quiet. */
#pragma once
#include <stdbool.h>

struct baton_place;

struct run_progress {
	bool quiet, is_tty, line_open;
	char last[512];
};

void run_progress_init(struct run_progress *show, bool quiet);
void run_progress_place(struct run_progress *show, const struct baton_place *place);
/* Prints a line of its own; errors (`always`) even if quiet. */
__attribute__((format(printf, 3, 4))) void run_progress_say(struct run_progress *show, bool always,
							    const char *format, ...);
/* Erases an open line. */
void run_progress_clear(struct run_progress *show);
