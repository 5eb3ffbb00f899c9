/* claim_words: why a claim of the gateway waits, in sentences for the client that it is for. */
#pragma once
#include <stdint.h>

struct core;
struct core_config;
struct gpu_board;
struct text;

/* Appends place, estimate, who is in the way, what is guaranteed, and who uses memory without a
 * lease; a principal that may not see other programs is not told their pids. Returns the error
 * that it is once that lasts too long; 0: it does not wait. */
int claim_words_tell(const struct core *core, const struct core_config *config,
		     const struct gpu_board *board, uint64_t claim, const char *principal,
		     struct text *out);
