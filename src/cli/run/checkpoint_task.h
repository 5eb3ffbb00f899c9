/* checkpoint_task: what is done for --on-yield checkpoint in a thread of its own, because each call
 * of the driver may take long, or for ever. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "process/checkpoint.h"
#include "process/process_tree.h"

struct cuda_api;

enum checkpoint_work {
	CHECKPOINT_PROBE, /* is there a driver that can? */
	CHECKPOINT_LEAVE, /* look whether it can be moved, and move it off the GPU */
	CHECKPOINT_ROOM,  /* wait until its memory is measured free on the GPU */
	CHECKPOINT_BACK,  /* put back what was moved, under a lease */
};

/* From another thread, at any time. */
enum checkpoint_order {
	ORDER_GO,
	ORDER_TURN_BACK, /* leave all as it was */
	ORDER_ABANDON,   /* call nothing any more */
};

enum { CHECKPOINT_WORDS_BYTES = 512, CHECKPOINT_GPU_BYTES = 72, CHECKPOINT_PLAIN_MAX = 256 };

struct checkpoint_task {
	enum checkpoint_work work;
	struct process moved[CHECKPOINT_PROCESSES_MAX]; /* in their order; LEAVE adds to it */
	struct process plain[CHECKPOINT_PLAIN_MAX]; /* seen by LEAVE: no use of CUDA of their own */
	size_t moved_count, plain_count;
	struct process_tree tree; /* of LEAVE: whose processes are looked at; owned */
	int64_t until_ms;         /* of LEAVE: no further call begins later */
	uint64_t bytes;           /* as declared; of LEAVE: as measured, if that is more */
	uint64_t lease;
	char gpu[CHECKPOINT_GPU_BYTES];

	enum checkpoint_outcome outcome;    /* UNDONE: all is where it was */
	char words[CHECKPOINT_WORDS_BYTES]; /* why not DONE */
	bool was_stopped;                   /* .. because it was told to turn back */
	int64_t took_ms;
};

/* Does the work; to be called in a thread of its own. */
void checkpoint_task_do(struct checkpoint_task *task, const atomic_int *order);
/* The driver, once CHECKPOINT_PROBE is done; NULL: there is none. */
const struct cuda_api *checkpoint_task_driver(void);
