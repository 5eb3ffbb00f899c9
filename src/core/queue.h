/* queue: the waiting claims, in order. Every claim has one constant key, so two waiters never swap
 * places. One tree over all gives positions; one tree per group of waiters of the same class and
 * need lets the scheduler skip whole groups that nothing open could serve
 * (docs/decisions/0001-order-tree.md). */
#pragma once
#include "base/mono.h"
#include "core/types.h"

struct claim;
struct claim_record;
struct core;
struct list;
struct principal;
struct session;

bool queue_before(const struct claim *a, const struct claim *b); /* by key, then by id */
/* Its connection is gone and may come back: it keeps its place but is granted nothing. */
bool queue_detached(const struct claim *claim);
/* Its grants need an outside authority that has not consented: the same. */
bool queue_withheld(const struct core *core, const struct claim *claim);
/* It needs more than the GPUs have since a reload: the same. */
bool queue_oversized(const struct core *core, const struct claim *claim);
/* For which it was evicted, if that waits still; NULL: it owes no room. */
const struct claim *queue_room_owed(const struct core *core, const struct claim *claim);
/* GPUs on which it was evicted for a claim that still waits and can be served there; it must not go
 * first there. */
uint32_t queue_held_back(const struct core *core, const struct claim *claim);

/* Links it by in_nested, in the order of ids, so that the order of messages does not depend on
 * history. */
void queue_by_id(struct list *nested, struct claim *claim);
/* The tag of a new claim, which orders it inside its class: its arrival, if it is its program's
 * first and the principal has few waiting; else a mean hold after the principal's last, so that
 * others' claims go between. */
struct mono_ms queue_tag(const struct core *core, const struct claim_record *rec,
			 const struct session *session, struct principal *principal);

/* The tag of a claim requeued as a new arrival: behind all arrivals so far, and behind the claim
 * that it yielded to, whatever its class. */
struct mono_ms queue_behind(const struct core *core, enum lease_class cls, uint64_t for_id);

void queue_insert(struct core *core, struct claim *claim);
void queue_remove(struct core *core, struct claim *claim);
/* From here on it waits to run inside `host`. */
void queue_host(struct core *core, struct claim *claim, struct claim *host);
/* After its connection came or went: moves it to the matching group. */
void queue_regroup(struct core *core, struct claim *claim);
/* After a reload of classes or GPUs: recomputes all keys, masks and groups. */
void queue_rebuild(struct core *core);
/* GPUs that attached waiters wait for; `vram`: only waiters that want VRAM. */
uint32_t queue_wanted(const struct core *core, bool vram);
void queue_sweep(struct core *core); /* frees the groups that are empty */
