/* reach: what a command says when no broker answered: where it looked, who listens elsewhere, and
 * what to do. */
#pragma once
#include <stddef.h>

/* "no broker answers on A or B; start one with: baton serve, or use one of yours that listens
 * elsewhere: --socket C (process 12)" */
void reach_words(char *ret_text, size_t size);
