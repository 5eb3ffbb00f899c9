/* run_show: what `baton run` says on stderr: one line that is written over on a terminal, plain
 * lines elsewhere, nothing when quiet. */
#pragma once
#include <stdbool.h>

#include "baton/baton.h"

struct run_show {
	bool quiet, is_tty, line_open;
	char last[512];
};

void run_show_init(struct run_show *show, bool quiet);
void run_show_place(struct run_show *show, const struct baton_place *place);
/* A line of its own; errors (`always`) are said even when quiet. */
__attribute__((format(printf, 3, 4))) void run_show_say(struct run_show *show, bool always,
							const char *format, ...);
/* Takes an open line away. */
void run_show_clear(struct run_show *show);
