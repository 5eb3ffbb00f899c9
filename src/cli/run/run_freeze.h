/* run_freeze: `--on-yield freeze`: the job is frozen where it is, its turn given back, its memory
 * kept, and it goes on when the turn is there again. */
#pragma once
#include <stdint.h>

struct run;

/* Begins to freeze the job, which is to be done in `grace_ms`. */
void run_freeze(struct run *run, int64_t grace_ms);
/* Nobody needs the turn any more. */
void run_freeze_kept(struct run *run);
/* Once all of it is frozen: gives the turn back. */
void run_freeze_look(struct run *run);
/* It will not come back: the turn is waited for no longer. */
void run_freeze_forget(struct run *run);
/* It must end, and will not come back to its turn; the caller lets it go on. */
void run_freeze_end(struct run *run);
/* The same with a signal of the user's for the command, and its own grace to end. */
void run_freeze_signal(struct run *run, int signo);
