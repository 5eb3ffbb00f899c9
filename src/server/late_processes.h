/* late_processes: what the processes of a session have started without its client having named it.
 * Only a client that is gone needs it: nobody else names them any more. */
#pragma once
#include <stdint.h>

struct named_processes;
struct process_tree;

/* The named ones that live, but for the keeper, and all that they have started, as far as it is of
 * this user. Call process_tree_finish. */
void late_processes_read(const struct process_tree *known, const struct named_processes *named,
			 int64_t uid, struct process_tree *ret_tree);
/* The same, and SIGKILL for all of it. Stopped first, so that they start nothing more meanwhile. */
void late_processes_kill(const struct process_tree *known, const struct named_processes *named,
			 int64_t uid);
