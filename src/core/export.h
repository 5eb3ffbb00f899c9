/* export: all of the core's state as bytes, and a core from such bytes that continues where the
 * other stopped. Two cores in the same state export the same bytes. Older and newer brokers read
 * each other: what one does not know it leaves out. Between steps only, after EVENT_START. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/mono.h"

struct buf;
struct core;

/* Appends to `out`. Holds secrets. */
void core_export(const struct core *core, struct buf *out);
/* With all times relative to `now`: the imported core starts at time 0. */
void core_export_relative(const struct core *core, struct mono_ms now, struct buf *out);
/* To compare states, not to resume from: relative, claims and sessions numbered from 1, without
 * anything that decides nothing (tokens, fences, counts, wall times; of a connection only whether
 * there is one). */
void core_export_canonical(const struct core *core, struct mono_ms now, struct buf *out);
