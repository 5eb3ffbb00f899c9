/* admin: what an operator does to leases: one POST with a reason, and its answer in words. */
#pragma once
#include <jansson.h>
#include <stdint.h>

#include "cli/cli.h"

/* POSTs {reason}. Prints `done` with the number of claims touched, `nothing` (unless NULL) where
 * that is none, or the answer under json. */
struct admin_words {
	const char *done, *nothing;
};
int admin_post(const struct command *command, const char *path, const char *reason,
	       const struct admin_words *words, bool json);

/* The claim that `word` names: of those with room first, then of the waiters. Returns 0, or the
 * exit status after it printed what is wrong. */
struct admin_claim {
	uint64_t id;
	bool waits;
};
int admin_find(const struct command *command, const char *word, struct admin_claim *ret_claim);
/* The same among rows of a status: 1 found, 0 none, else the exit status, printed: several have
 * this name. `what` they are: "waiters". */
int admin_find_among(const struct command *command, const json_t *rows, const char *word,
		     const char *what, uint64_t *ret_id);
/* Takes one waiter out of the queue, and says so. */
int admin_cancel(const struct command *command, uint64_t claim, const char *name,
		 const char *reason, bool json);

/* Whether there is somebody to be asked. Scripts are not: who writes one means what it says. */
bool admin_can_ask(void);
/* Asks, unless `yes` or where nobody is there to be asked. False: the answer was no, and is said.
 */
__attribute__((format(printf, 3, 4))) bool admin_confirm(const struct command *command, bool yes,
							 const char *format, ...);
