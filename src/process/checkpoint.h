/* checkpoint: the order in which the processes of a program are moved off their GPU and back, and
 * what is undone when one of them cannot be. Pure: it calls what it is given, and nothing else. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "process/process_tree.h"

enum { CHECKPOINT_PROCESSES_MAX = 64 };

enum checkpoint_step {
	CHECKPOINT_LOCK,     /* its calls of CUDA wait from here on, and what it queued is done */
	CHECKPOINT_MOVE_OUT, /* its memory is in RAM, and it has no hold on the GPU any more */
	CHECKPOINT_MOVE_IN,
	CHECKPOINT_UNLOCK,
};

enum checkpoint_state {
	CHECKPOINT_RUNNING,
	CHECKPOINT_LOCKED,
	CHECKPOINT_OUT,
	CHECKPOINT_FAILED, /* the driver has given it up */
	CHECKPOINT_NONE,   /* it uses no CUDA, or is gone */
	CHECKPOINT_UNKNOWN,
};

struct checkpoint_calls {
	/* 0, or why not: a code of the caller's. */
	int (*call)(void *ctx, enum checkpoint_step step, const struct process *process);
	enum checkpoint_state (*state)(void *ctx, const struct process *process);
	/* It is to be moved out no more: asked between two calls. */
	bool (*stopped)(void *ctx);
	void *ctx;
};

enum checkpoint_outcome {
	CHECKPOINT_DONE,
	CHECKPOINT_UNDONE, /* it did not work, or was stopped; all of them are as before */
	CHECKPOINT_LOST,   /* nor could it be undone: one of them is neither here nor there */
};

/* How it ended. The first step that failed, and whose; pid 0: none did, it was stopped. */
struct checkpoint_result {
	enum checkpoint_outcome outcome;
	enum checkpoint_step step;
	pid_t pid;
	int code;
};

/* Locks all of them from `from` on, then moves all of these out, in the order given. If one fails
 * all of the list are put back, those before `from` as well. */
struct checkpoint_result checkpoint_move_out(const struct checkpoint_calls *calls,
					     const struct process *list, size_t count, size_t from);
/* Moves in what is out, then unlocks what is locked, each in the reverse order: nobody computes
 * before all are there. May be called again where it failed. DONE or LOST. */
struct checkpoint_result checkpoint_move_in(const struct checkpoint_calls *calls,
					    const struct process *list, size_t count);
