/* ledger: how much of each GPU is taken, and whether a need fits (I1). Compute slots are counted.
 * For VRAM, a session counts with what it declared or was observed to use, whichever is more; use
 * by unknown processes counts as used; unknown is never free. */
#pragma once
#include "core/state.h"

bool ledger_slots_fit(const struct core *core, uint32_t gpu, uint32_t slots);
bool ledger_turn_fits(const struct core *core, const struct claim *waiter, uint32_t gpu);
/* vram_bytes more fit for this session (NULL: for a plain lease). */
bool ledger_vram_fits(const struct core *core, const struct session *session, uint32_t gpu,
		      uint64_t vram_bytes);
bool ledger_fits(const struct core *core, const struct claim *claim, uint32_t gpu);
/* False: VRAM-sized grants must wait for a good sample. */
bool ledger_vram_known(const struct core *core, uint32_t gpu);
uint64_t ledger_vram_free(const struct core *core, uint32_t gpu);
uint64_t ledger_vram_unmanaged(const struct core *core, uint32_t gpu);
/* Of that: what tabs and plain leases that ended had, until a sample shows that it is free, or for
 * drain_ms_max. */
uint64_t ledger_vram_left(const struct core *core, uint32_t gpu);
/* By how much the session's VRAM would grow: bytes that it already uses are not counted twice. */
uint64_t ledger_vram_delta(const struct session *session, uint32_t gpu, uint64_t vram_bytes);
/* What leases may have in all, where the total is known. */
uint64_t ledger_room(const struct core *core, uint32_t gpu);
bool ledger_total_known(const struct core *core, uint32_t gpu);
/* GPUs that could hold the need if nothing else were there, within need.gpu_mask. */
uint32_t ledger_eligible(const struct core *core, const struct need *need);

/* The claims charged on a GPU, by rising id: those whose turn runs there, or those that only keep
 * memory. A guest that gets all it needs from its host is charged nothing. */
struct claim *ledger_holder_after(const struct core *core, uint32_t gpu, enum holder_kind kind,
				  uint64_t id); /* first with id 0; NULL: no more */
struct claim *ledger_holder_next(const struct claim *holder, uint32_t gpu);
/* No claim may be charged or discharged in the body. */
#define gpu_holders(holder, core, gpu, kind)                                                       \
	for (struct claim *holder = ledger_holder_after(core, gpu, kind, 0); holder;               \
	     holder = ledger_holder_next(holder, gpu))

/* How much of the need the host's memory covers, after what it has lent already. */
uint64_t ledger_vram_inside(const struct claim *host, const struct need *need);
/* Somebody computes in its turn: itself, or inside one that drains. Who only keeps memory needs
 * none. */
bool ledger_turn_used(const struct claim *claim);
/* Charge and discharge a claim on its granted_mask, by its need and its host. */
void ledger_take(struct core *core, struct claim *claim);
void ledger_charge(struct core *core, struct claim *claim); /* what it was charged before */
void ledger_drop(struct core *core, struct claim *claim);
/* Recomputes the caps after drops, a reload or a restart: what is configured, or what is in use
 * where that is more. */
void ledger_recap(struct core *core, uint32_t gpu_mask);
void ledger_observe(struct core *core, struct session *session, uint32_t gpu, uint64_t bytes);
/* What was declared by claims whose use a probe cannot attribute. */
uint64_t ledger_pool(const struct core *core, uint32_t gpu);
/* What the session was last seen to use, before any of its claims is charged. */
void ledger_recall(struct core *core, struct session *session);
/* Before a session is freed. */
void ledger_forget(struct core *core, struct session *session);
