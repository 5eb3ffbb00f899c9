/* screen: the full screen of `status --watch` and `top`: lines of a text_table on a terminal. The
 * terminal is as it was after screen_end, after a stop (Ctrl-Z), and after a crash. One per
 * program. */
#pragma once
#include <stdbool.h>

/* Whether there is a terminal that can show a full screen. */
bool screen_possible(void);
/* False: the terminal is of a kind that nobody knows. */
bool screen_begin(void);
void screen_end(void);
/* The signals that a screen must know of; they are blocked, and read from the descriptor. */
int screen_catch_signals(bool resize);
/* Reads one signal and does what it asks of the screen. False: the program is to end. */
bool screen_take_signal(int signal_fd, bool screen_on);
/* Between these two a terminal or pipe that takes nothing (Ctrl-S, a pager) keeps nobody who wants
 * us to end: all that is written goes there. False: told to end. */
void screen_write_begin(void);
bool screen_write_end(void);
/* One line, cut at `width`; what would steer the terminal is shown as '?'. */
void screen_line(int y, int width, const char *text);
