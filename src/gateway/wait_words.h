/* wait_words: what a client hears while its request waits for a turn or for memory, and when it has
 * waited too long. The sentences are those of whoever grants leases. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"

struct lease_port;
struct relay;
struct text;

/* The claim by which a request waits in the queue, for its turn or for its model's memory; 0: it
 * waits in none. */
uint64_t wait_words_claim(const struct relay *relay);
/* One line, without its end. */
void wait_words_sign(const struct lease_port *port, const struct relay *relay, struct mono_ms now,
		     struct text *out);
/* Its patience is over: appends why, and returns the error that it is. */
int wait_words_over(const struct lease_port *port, uint64_t claim, const char *principal,
		    struct text *out);
