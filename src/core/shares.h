/* shares: the turn time that each class is guaranteed on each GPU. Its *lag* is what it was owed
 * minus what it used, as in EEVDF (Stoica and Abdel-Wahab, 1995): it rises at the class's share of
 * the GPU's slots while the class has a waiter that the GPU could serve, and falls with each slot
 * that the class has while anybody waits there. What is merely kept for a class does not count as
 * used: otherwise a claim that collects several slots would pay for the first until it could not
 * afford the last. A class whose lag pays for the whole turn of its first waiter is *due*
 * (docs/states.md has the theorem). */
#pragma once
#include "base/mono.h"
#include "core/types.h"

struct claim;
struct core;

/* The most debt that a class carries, in time of the whole GPU; the rest is forgiven. */
enum { SHARE_DEBT_MS = 3000 };

/* Advances the lags by the time since the last step; before each event. */
void shares_pass(struct core *core);
/* When the claim's class is due for it on this GPU, at the earliest; the past: since when. */
struct mono_ms share_due_at(const struct core *core, uint32_t gpu, const struct claim *claim);
/* Voice goes first here: it has not used its credit up. */
bool share_urgent(const struct core *core, uint32_t gpu);
/* When voice will be urgent again, if it waits until then: later than now. */
struct mono_ms share_urgent_at(const struct core *core, uint32_t gpu);
/* In ms of the GPU's whole time: lag / slots. */
int64_t share_lag_ms(const struct core *core, uint32_t gpu, enum lease_class cls);

/* The part of a due turn that nobody can cut short: the quantum, or more if the claim is not
 * preemptible or needs long to stop. */
int64_t share_turn_ms(const struct core *core, const struct claim *claim);
/* By how much its grace exceeds the usual one; it is asked so much sooner. */
int64_t share_early_ms(const struct core *core, const struct claim *claim);
/* From the grant until its capacity can go to a claim that is due. */
int64_t share_stop_ms(const struct core *core, const struct claim *claim);
/* From an offer until its holder may be asked, or has missed it: min_run_ms or ack_ms, whichever is
 * longer. */
int64_t share_run_ms(const struct core *core);
/* Grace and lock-delay of a holder that declares no grace of its own. */
int64_t share_handoff_ms(const struct core *core);
/* From the end of a holder's grace until its capacity is free. */
int64_t share_free_ms(const struct core *core, const struct claim *holder);
/* A holder's due turn is its own until then. */
struct mono_ms share_protected_until(const struct core *core, const struct claim *holder);
