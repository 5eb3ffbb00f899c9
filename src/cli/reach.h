/* reach: what a command says when no broker answered: where it looked, who listens elsewhere, and
 * what to do. */
#pragma once
#include <stddef.h>

/* "no broker answers on A or B; one of yours (process 12) listens elsewhere: use --socket C", or
 * how to start one. */
void reach_words(char *ret_text, size_t size);
