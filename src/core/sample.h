/* sample: what a probe measured. A reading has the time at which it was taken: it says nothing of
 * what was promised or given back after that, and is unknown when it is old. */
#pragma once
#include "core/state.h"

void sample_take(struct core *core, const struct event *event);
