/* shares: the turn time that each class is guaranteed on each GPU. Its *lag* is what it was owed
 * minus what it used, as in EEVDF (Stoica and Abdel-Wahab, 1995): it rises at the class's share of
 * the GPU's slots while the class has a waiter whom the GPU could serve, and falls with each slot
 * that the class has while anybody waits there. What is only kept for it is not used: else who
 * collects several slots would pay for the first until it could not afford the last. A class whose
 * lag pays for the whole turn of its first waiter is *due* (docs/states.md has the theorem). */
#pragma once
#include "core/state.h"

/* What a class used beyond its share is forgiven beyond so much of its GPU's time. */
enum { SHARE_DEBT_MS = 3000 };

/* Time passed since the last step: lags move. Called before the event is handled. */
void shares_pass(struct core *core);
/* When the claim's class is due for it on this GPU, at the earliest; the past: since when. */
struct mono_ms share_due_at(const struct core *core, uint32_t gpu, const struct claim *claim);
/* Voice goes first here: it has not used its credit up. */
bool share_urgent(const struct core *core, uint32_t gpu);
/* When it will, if it waits until then: later than now. */
struct mono_ms share_urgent_at(const struct core *core, uint32_t gpu);
/* In ms of the GPU's whole time: lag / slots. */
int64_t share_lag_ms(const struct core *core, uint32_t gpu, enum lease_class cls);

/* The turn that nobody can cut short once it is due: the quantum, or more where the claim is not
 * preemptible or needs long to stop. */
int64_t share_turn_ms(const struct core *core, const struct claim *claim);
/* By how much its grace passes the usual one; it is asked so much sooner. */
int64_t share_early_ms(const struct core *core, const struct claim *claim);
/* From the grant until its room can be had, by whoever is due then. */
int64_t share_stop_ms(const struct core *core, const struct claim *claim);
/* From an offer until whoever has it may be asked, or did not take it: the least run, or longer
 * where an answer may take longer. */
int64_t share_run_ms(const struct core *core);
/* Grace and lock-delay of a holder that states nothing. */
int64_t share_handoff_ms(const struct core *core);
/* A holder's due turn is its own until then. */
struct mono_ms share_protected_until(const struct core *core, const struct claim *holder);
