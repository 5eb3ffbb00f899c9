/* claim_words: a row of the broker's leases or waiters in words, for every list of them. Pure; what
 * a client chose is in it as it is. */
#pragma once
#include <jansson.h>

#include "cli/text_table.h"

enum { CLAIM_WORDS_BYTES = 512 };

/* "train (llama)": its client, and its label if it has one. */
void claim_words_name(const json_t *claim, char ret_words[CLAIM_WORDS_BYTES]);
/* "gpu0" or "gpu0,gpu1". */
void claim_words_gpus(const json_t *lease, char ret_words[CLAIM_WORDS_BYTES]);
/* How a lease stands and what comes next; returns the style that this deserves. */
enum text_table_style claim_words_state(const json_t *lease, char ret_words[CLAIM_WORDS_BYTES]);
/* Why a waiter waits, after what it does meanwhile: "frozen; the GPU is taken". */
enum text_table_style claim_words_waiter(const json_t *waiter, char ret_words[CLAIM_WORDS_BYTES]);
