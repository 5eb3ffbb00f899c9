/* process_words: a process that a driver named, in the words of `baton gpus`, `status`, `top` and
 * `doctor`. */
#pragma once
#include "cli/field.h"
#include "cli/text_table.h"

struct text_table;

enum { PROCESS_WORDS_BYTES = 512 };

/* Whose it is: "train, lease 17, in docker 3f2a9c1b77d0", "unmanaged, VRAM as swap". */
enum text_table_style process_words_holder(const json_t *process,
					   char ret_words[PROCESS_WORDS_BYTES]);
/* "vramfs (4711), 6.0G, in docker 3f2a9c1b77d0". */
void process_words_name(const json_t *process, char ret_words[PROCESS_WORDS_BYTES]);
/* A line for each odd process on these GPUs of a status: which, and what to do. */
void process_words_odd(const json_t *gpus, struct text_table *sheet);
