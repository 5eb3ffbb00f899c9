/* admin: an operator's actions on leases: one POST with a reason, and its answer in words. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct command;

/* POSTs {reason}. Prints `done` with the number of claims affected, `nothing` (unless NULL) if
 * there were none, or the answer if `json` is set. */
struct admin_words {
	const char *done, *nothing;
};
int admin_post(const struct command *command, const char *path, const char *reason,
	       const struct admin_words *words, bool json);

/* Finds the claim that `word` names, among leases first, then waiters. Returns 0, or an exit status
 * after printing what is wrong. */
struct admin_claim {
	uint64_t id;
	bool waits;
};
int admin_find(const struct command *command, const char *word, struct admin_claim *ret_claim);
/* The same among rows of a status: 1 found, 0 none, else an exit status after printing that several
 * have this name. `what` the rows are, e.g. "waiters". */
int admin_find_among(const struct command *command, const json_t *rows, const char *word,
		     const char *what, uint64_t *ret_id);
/* Removes one waiter from the queue and prints that. */
int admin_cancel(const struct command *command, uint64_t claim, const char *name,
		 const char *reason, bool json);

/* Whether there is somebody to ask. A script is never asked: whoever wrote it meant it. */
bool admin_can_ask(void);
/* Asks, unless `yes` is set or nobody is there. False: the answer was no, and that was printed.
 */
__attribute__((format(printf, 3, 4))) bool admin_confirm(const struct command *command, bool yes,
							 const char *format, ...);
