/* output: what a command prints either arrives or is an error: a full disk or a closed standard
 * output ends in exit status 74, not in 0. */
#pragma once
#include <stdbool.h>

/* Opens closed standard descriptors with the wrong access mode, so that no file we open becomes one
 * of them and is written to by mistake. First thing in main(). */
void output_begin(void);
/* True once something printed on standard output was lost; a command that follows ends then. */
bool output_is_lost(void);
/* The exit status of the program, given that of the command: 74 when what it printed was lost.
 * Whoever closed the pipe knows that, so nothing is printed then. */
int output_end(int status);
