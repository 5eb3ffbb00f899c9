/* memory: the keys of waiters of plain HTTP and of pages that were lost, for as long as
 * place_memory_ms. The same request_id, asked again, goes on where it stood (CASES.md P19). A
 * bounded ring; a restart of the broker clears it. */
#pragma once
#include "core/state.h"

void memory_keep(struct core *core, const struct claim *claim);
/* Takes the remembered arrival into rec, and forgets it; without one rec stays as it is. */
void memory_take(struct core *core, struct claim_record *rec);
bool memory_alive(const struct core *core, const struct place_memory *place); /* can be taken */
/* How many lost waiters of a class could come back before others, and how many of them load. */
uint32_t memory_count(const struct core *core, enum lease_class cls, uint32_t *ret_loads);
/* The broker stood still for so long: nobody could come back. */
void memory_shift(struct core *core, int64_t ms);
