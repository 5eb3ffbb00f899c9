/* outside: the ground truth: who has what, counted from the committed records and from what clients
 * really do. The core's ledger is not asked. */
#pragma once
#include "world.h"

struct outside_gpu {
	uint32_t slots, slots_used, staying_slots;
	uint32_t takers, staying_takers;
	uint64_t room_bytes, used_bytes;   /* meaningless unless vram_known */
	uint64_t staying_bytes;            /* .. by who leaves only by himself */
	uint64_t staying_undeclared_bytes; /* .. of which they said nothing */
	bool vram_known, healthy;
};

struct outside {
	uint32_t count;
	struct outside_gpu gpus[LIMIT_GPUS];
};

void outside_count(struct world *w, struct outside *ret_outside);
/* The row that says where it waits or what it holds; NULL: it does not live. */
const struct claim_record *outside_row(const struct world *w, const struct job *job);
bool outside_has_room(const struct claim_record *rec);
bool outside_is_held(enum claim_state state); /* granted, and not over: it loads, works or stops */
/* The lease inside whose room it runs, as its lender's borrower or its host's guest; 0: none. */
uint64_t outside_inside(const struct claim_record *rec);
/* What clients in truth use of one GPU, by nobody excused, `more` counted whether it does or not.
 */
struct outside_use {
	uint64_t slots, vram_bytes;
	uint32_t takers;
};
void outside_use(struct world *w, uint32_t gpu, const struct job *more,
		 struct outside_use *ret_use);
/* By committed rows others run in its room, be they over and not gone. */
bool outside_is_host(struct world *w, const struct claim_record *host);
bool outside_has_room_now(const struct job *job); /* by its newest record */
/* There is somebody to be told. */
bool outside_attached(struct world *w, const struct job *job);
/* It waits for a GPU, and there is somebody to be told. */
bool outside_waits(struct world *w, const struct job *job);
/* Masks of GPUs: where it fits now; where it fits once all who can leave have left. */
uint32_t outside_fits(const struct outside *outside, const struct need *need);
uint32_t outside_possible(const struct outside *outside, const struct need *need);
/* .. as far as the broker can know: what a session takes beyond what it declared may go with the
 * one of its leases that can leave. */
uint32_t outside_perhaps_possible(const struct outside *outside, const struct need *need);
/* How many turns of one GPU that is. */
uint32_t outside_slots(const struct world *w, const struct need *need, uint32_t gpu);
/* Fits by its compute turns alone, and by its memory alone. */
uint32_t outside_fits_slots(const struct outside *outside, const struct need *need);
uint32_t outside_fits_vram(const struct outside *outside, const struct need *need);
