/* sample: what a probe measured. A reading carries its time: it says nothing about grants and
 * releases after that, and an old one counts as unknown. */
#pragma once

struct core;
struct event;

void sample_take(struct core *core, const struct event *event);
