/* gpu_board: the figures of all GPUs as people see them, and who asks for them. The sampler writes
 * the figures; whoever shows them says so, for a driver that nobody asks rests, and a card that
 * sleeps is not woken by somebody who only passes by. */
#pragma once
#include "wire/gpu_encode.h"

enum {
	GPU_BOARD_PATIENCE_MS = 1000, /* how long an answer waits for figures */
	GPU_BOARD_WATCH_MS = 5000,    /* who asks again so soon .. */
	GPU_BOARD_STREAK = 3,         /* .. and so often is watching */
};

struct gpu_board {
	struct gpu_figures v[LIMIT_GPUS]; /* by the core's index */
	struct mono_ms asked, watched;    /* when they were asked for last; .. again and again */
	unsigned streak;                  /* of asks, each soon after the other */
	bool look;                        /* somebody asked: read once */
	bool awaited;                     /* they are being read for the first time after a rest */
};

static inline void gpu_board_ask(struct gpu_board *board, struct mono_ms now)
{
	bool soon = mono_before(now, mono_after(board->asked, GPU_BOARD_WATCH_MS));

	board->streak = soon ? board->streak + 1 : 1;
	if (board->streak >= GPU_BOARD_STREAK)
		board->watched = now;
	board->asked = now;
	board->look = true;
}
