/* wait_bound: the promise to a waiter, by when it will be offered what it asked for whatever others
 * do from now on (docs/states.md, Guarantee). Once given it is never raised. */
#pragma once
#include <stdint.h>

#include "core/view.h"

struct claim;
struct core;

/* Computes it if none was given yet and everything it depends on is certain. */
void wait_bound_promise(struct core *core, struct claim *claim);
/* The conditions of all promises have changed: a reload, or grants go on after they were stopped.
 */
void wait_bound_promise_all(struct core *core);
/* On these GPUs something has become certain. */
void wait_bound_promise_on(struct core *core, uint32_t gpus);
/* Why nothing can be promised to a waiter now. */
enum bound_none wait_bound_none(const struct core *core, const struct claim *claim);
