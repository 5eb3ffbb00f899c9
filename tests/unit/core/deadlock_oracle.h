/* deadlock_oracle: does the claim that would be made of rec, eligible for mask, wait for itself? */
#pragma once
#include "core/state.h"

bool oracle_deadlock(const struct core *core, const struct claim_record *rec, uint32_t mask);
