/* timer: one deadline for each claim and session, judged by EVENT_TICK alone, and by none while
 * the clock settles after a jump. */
#pragma once
#include "core/state.h"

void timer_arm_claim(struct core *core, struct claim *claim);
void timer_arm_session(struct core *core, struct session *session);
bool timer_frozen(const struct core *core);
void timer_tick(struct core *core);
/* Suspend or stall: nobody is judged before everybody had time to speak. */
void timer_jump(struct core *core);
/* When the core wants to be woken next. */
struct mono_ms timer_next(const struct core *core);
