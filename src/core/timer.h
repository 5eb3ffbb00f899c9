/* timer: one deadline for each claim and session, judged by EVENT_TICK alone. */
#pragma once
#include <stdint.h>

#include "base/mono.h"

struct claim;
struct core;
struct session;

void timer_arm_claim(struct core *core, struct claim *claim);
void timer_arm_session(struct core *core, struct session *session);
void timer_tick(struct core *core);
/* Suspend, or a stall of so many monotonic ms: deadlines move, silence waits. */
void timer_jump(struct core *core, int64_t stalled_ms);
/* When the core wants to be woken next. */
struct mono_ms timer_next(const struct core *core);
