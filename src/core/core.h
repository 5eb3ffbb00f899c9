/* core: the pure heart of Baton. Claims, their order, the ledger of GPUs, fences. It reads no
 * clock, file, socket or random source, has no global and no thread, and never calls back: events
 * in, effects out. Everything about who gets a GPU, when, and who must give it back is decided here
 * and only here. One thread. Memory: malloc'd per claim and session, freed when they end; out of
 * memory aborts. */
#pragma once
#include "base/mono.h"

struct core;
struct effects;
struct event;

struct core *core_create(void);
void core_destroy(struct core *core); /* takes NULL */

/* Takes one event to its end: all state moves, grants included. Adds effects; never clears them.
 * The first event is EVENT_CONFIG, then EVENT_RESTORE for each row, then EVENT_START; any other
 * before START is a caller's bug. `now` never goes back. Bad requests from clients are answered by
 * SEND_DENIED. */
void core_step(struct core *core, const struct event *event, struct effects *fx);

/* Asserts I1 to I7 over the whole state, O(n). core_step checks what it touched by itself, always;
 * the simulator and the tests call this after each step. */
void core_check(const struct core *core, struct mono_ms now);
