/* act: what an operator does to leases: one POST with a reason, and its answer in words. */
#pragma once
#include <stdint.h>

#include "cli/cli.h"

/* POSTs {reason}. Prints `done` with the number of claims touched, or the answer under json. */
int act_post(const struct command *command, const char *path, const char *reason, const char *done,
	     bool json);
/* The number of the lease that `word` names, held or offered. 0: printed what is wrong, exit status
 * in *ret_status. */
uint64_t act_find_lease(const struct command *command, const char *word, int *ret_status);
/* Asks, where there is a terminal to ask on. False: the answer was no. */
bool act_confirm(const struct command *command, const char *question);
