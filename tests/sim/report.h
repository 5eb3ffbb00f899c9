/* report: what all seeds of a run counted, added up and printed. */
#pragma once
#include "world.h"

struct report {
	struct tally sum;
	uint64_t seeds;
	uint64_t seeds_with[FAULT_COUNT]; /* that saw the fault at least once */
	uint64_t worst_seed[LEASE_CLASS_COUNT];
};

void report_add(struct report *report, uint64_t seed, const struct tally *tally);
void report_merge(struct report *report, const struct report *other);
void report_print(const struct report *report, int64_t took_ms, unsigned jobs, bool json);
