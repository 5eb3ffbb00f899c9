/* export: all of the core's state as bytes, and a core from such bytes that goes on where the other
 * stood. Two cores in the same state export the same bytes. Older and newer brokers read each
 * other: what one does not know it leaves out. Between steps only, after EVENT_START. */
#pragma once
#include "base/buf.h"
#include "core/core.h"

/* Appends to `out`. Holds secrets. */
void core_export(const struct core *core, struct buf *out);
/* With all times as distances from `now`: what is imported lives at time 0. */
void core_export_relative(const struct core *core, struct mono_ms now, struct buf *out);
/* To compare states, not to go on from: relative, claims and sessions numbered from 1, and without
 * what decides nothing (tokens, fences, counts, wall times, connections but that there is one). */
void core_export_canonical(const struct core *core, struct mono_ms now, struct buf *out);
/* `hash_seed`: fresh random bits. NULL: these bytes cannot be gone on from, and why. */
struct core *core_import(const void *bytes, size_t size, uint64_t hash_seed, const char **ret_why);
