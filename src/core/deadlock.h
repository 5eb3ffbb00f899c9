/* deadlock: a holder may wait for another claim (a program that calls a second GPU user). When that
 * claim could only be served by leases that wait for it in turn, it is refused. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct claim_record;
struct core;

/* True: the claim that would be made of rec, eligible for mask, waits for itself. detail names the
 * cycle, such as "claim 7 -> lease 3 (A) -> claim 5 -> lease 2 (B) -> claim 7". */
bool deadlock_found(const struct core *core, const struct claim_record *rec, uint32_t mask,
		    char *detail, size_t detail_size);
