/* queue: the queue. Everybody has one constant key, so two waiters never change places; one tree
 * over all gives positions, and one tree per group of waiters of one class and one need lets the
 * scheduler pass over all those whom nothing open could serve
 * (docs/decisions/0001-order-tree.md). */
#pragma once
#include "core/state.h"

bool queue_before(const struct claim *a, const struct claim *b); /* by key, then by id */
/* Its connection is gone and may come back: it keeps its place but is given nothing. */
bool queue_detached(const struct claim *claim);
/* Its grants need a word from outside that is not there: likewise. */
bool queue_withheld(const struct core *core, const struct claim *claim);
/* It needs more than the GPUs have since they were configured anew: likewise. */
bool queue_oversized(const struct core *core, const struct claim *claim);
/* GPUs on which it made room for one that still waits and can be served there: not before it. */
uint32_t queue_held_back(const struct core *core, const struct claim *claim);

/* By its in_nested, among others in the order of ids: what is said of them does not depend on how
 * they came there. */
void queue_by_id(struct list *nested, struct claim *claim);
/* Where a new claim stands inside its class: by its arrival, if it is the first that its program
 * has waiting, or among the firm places of its principal; else after the principal's last by a mean
 * hold, so that others' claims go between. */
struct mono_ms queue_tag(const struct core *core, const struct claim_record *rec,
			 const struct session *session, struct principal *principal);

/* The place of one that comes back as a new claim: behind all who came until this very moment, and
 * behind the claim for which it gave way, whatever its class. */
struct mono_ms queue_behind(const struct core *core, enum lease_class cls, uint64_t for_id);

void queue_insert(struct core *core, struct claim *claim);
void queue_remove(struct core *core, struct claim *claim);
/* It waits to run inside that one from here on. */
void queue_host(struct core *core, struct claim *claim, struct claim *host);
/* After its connection came or went. */
void queue_regroup(struct core *core, struct claim *claim);
/* After the classes or the GPUs were configured anew: all keys, masks and groups. */
void queue_rebuild(struct core *core);
/* GPUs for which somebody waits who could be served at once; `vram`: only those that want VRAM. */
uint32_t queue_wanted(const struct core *core, bool vram);
void queue_sweep(struct core *core); /* frees the groups that are empty */
