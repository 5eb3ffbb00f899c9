/* report: sums of tallies and their printing. Called by main.c. */
#include "report.h"

#include <stdio.h>

typedef unsigned long long ull;

static void add_judged(struct tally *sum, const struct tally *tally)
{
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		sum->told_nulls[cls] += tally->told_nulls[cls];
		if (tally->told_most_ms[cls] > sum->told_most_ms[cls])
			sum->told_most_ms[cls] = tally->told_most_ms[cls];
		for (int which = 0; which < 2; which++) {
			if (tally->share_windows[which][cls] == 0)
				continue;
			if (sum->share_windows[which][cls] == 0 ||
			    tally->share_least[which][cls] < sum->share_least[which][cls])
				sum->share_least[which][cls] = tally->share_least[which][cls];
			sum->share_windows[which][cls] += tally->share_windows[which][cls];
		}
	}
}

static void add_tally(struct tally *sum, const struct tally *tally)
{
	sum->grants += tally->grants;
	sum->claims += tally->claims;
	sum->steps += tally->steps;
	sum->turns += tally->turns;
	sum->restarts += tally->restarts;
	sum->sim_ms += tally->sim_ms;
	sum->timeouts += tally->timeouts;
	sum->ended += tally->ended;
	for (int i = 0; i < FAULT_COUNT; i++)
		sum->faults[i] += tally->faults[i];
	for (int i = 0; i < TRICK_COUNT; i++)
		sum->tricks[i] += tally->tricks[i];
	for (int kind = 0; kind < BOUND_KINDS; kind++) {
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
			sum->waits[kind][cls] += tally->waits[kind][cls];
	}
	add_judged(sum, tally);
}

/* The worst of both, and the seed it was seen in; the smaller seed where they are equal. */
static void add_worst(struct report *report, const struct tally *tally, const uint64_t *seeds)
{
	for (int kind = 0; kind < BOUND_KINDS; kind++) {
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
			uint64_t worst = tally->worst_permille[kind][cls];
			uint64_t seed = seeds[kind * LEASE_CLASS_COUNT + cls];
			uint64_t *mine = &report->sum.worst_permille[kind][cls];
			uint64_t *my_seed = &report->worst_seed[kind][cls];
			if (worst > *mine || (worst > 0 && worst == *mine && seed < *my_seed)) {
				*mine = worst;
				*my_seed = seed;
			}
		}
	}
}

void report_add(struct report *report, uint64_t seed, const struct tally *tally)
{
	uint64_t seeds[BOUND_KINDS * LEASE_CLASS_COUNT];
	for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++)
		seeds[i] = seed;
	add_tally(&report->sum, tally);
	add_worst(report, tally, seeds);
	report->sum.hash ^= tally->hash * (2 * seed + 1); /* in whatever order they ran */
	report->seeds++;
	for (int i = 0; i < FAULT_COUNT; i++)
		report->seeds_with[i] += tally->faults[i] > 0;
}

void report_merge(struct report *report, const struct report *other)
{
	add_tally(&report->sum, &other->sum);
	add_worst(report, &other->sum, other->worst_seed[0]);
	report->sum.hash ^= other->sum.hash;
	report->seeds += other->seeds;
	for (int i = 0; i < FAULT_COUNT; i++)
		report->seeds_with[i] += other->seeds_with[i];
}

static uint64_t all_faults(const struct report *report)
{
	uint64_t sum = 0;
	for (int i = 0; i < FAULT_COUNT; i++)
		sum += report->sum.faults[i];
	return sum;
}

static double rate_of(const struct report *report, int64_t took_ms)
{
	double hours = (double)report->sum.sim_ms / 3600000.0;
	return hours * 1000.0 / (double)(took_ms > 0 ? took_ms : 1);
}

static void print_json(const struct report *report, int64_t took_ms, unsigned jobs)
{
	const struct tally *sum = &report->sum;
	printf("{\"seeds\":%llu,\"claims\":%llu,\"grants\":%llu,\"timeouts\":%llu,\"steps\":%llu,"
	       "\"restarts\":%llu,\"sim_hours\":%.2f,\"jobs\":%u,\"took_ms\":%lld,"
	       "\"sim_hours_per_s\":%.2f,\"hash\":\"%016llx\",\"faults_total\":%llu,\"faults\":{",
	       (ull)report->seeds, (ull)sum->claims, (ull)sum->grants, (ull)sum->timeouts,
	       (ull)sum->steps, (ull)sum->restarts, (double)sum->sim_ms / 3600000.0, jobs,
	       (long long)took_ms, rate_of(report, took_ms), (ull)sum->hash,
	       (ull)all_faults(report));
	for (int i = 0; i < FAULT_COUNT; i++)
		printf("%s\"%s\":{\"count\":%llu,\"seeds\":%llu}", i ? "," : "", fault_name(i),
		       (ull)sum->faults[i], (ull)report->seeds_with[i]);
	printf("},\"tricks\":{");
	for (int i = 1; i < TRICK_COUNT; i++)
		printf("%s\"%s\":%llu", i > 1 ? "," : "", trick_name(i), (ull)sum->tricks[i]);
	printf("},\"bounds\":{");
	static const char *const kinds[BOUND_KINDS] = {"theorem", "core", "told"};
	for (int kind = 0; kind < BOUND_KINDS; kind++) {
		printf("%s\"%s\":{", kind ? "," : "", kinds[kind]);
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
			printf("%s\"%s\":{\"waits\":%llu,\"worst\":%.3f}", cls ? "," : "",
			       lease_class_name(cls), (ull)sum->waits[kind][cls],
			       (double)sum->worst_permille[kind][cls] / 1000.0);
		printf("}");
	}
	printf("}}\n");
}

static void print_judged(const struct report *report)
{
	const struct tally *sum = &report->sum;
	printf("\n%-12s %9s %6s %8s %8s %8s %7s %6s %7s %6s\n", "class", "told", "worst", "seed",
	       "most", "null", "25 min", "share", "60 min", "share");
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		printf("%-12s %9llu %6.3f %8llu %6llu s %8llu %7llu %6.3f %7llu %6.3f\n",
		       lease_class_name(cls), (ull)sum->waits[BOUND_TOLD][cls],
		       (double)sum->worst_permille[BOUND_TOLD][cls] / 1000.0,
		       (ull)report->worst_seed[BOUND_TOLD][cls], (ull)sum->told_most_ms[cls] / 1000,
		       (ull)sum->told_nulls[cls], (ull)sum->share_windows[0][cls],
		       (double)sum->share_least[0][cls] / 1000.0, (ull)sum->share_windows[1][cls],
		       (double)sum->share_least[1][cls] / 1000.0);
}

void report_print(const struct report *report, int64_t took_ms, unsigned jobs, bool json)
{
	if (json) {
		print_json(report, took_ms, jobs);
		return;
	}
	const struct tally *sum = &report->sum;
	printf("%llu seeds, %.1f simulated hours in %.1f s: %.1f sim-hours/s in %u processes\n",
	       (ull)report->seeds, (double)sum->sim_ms / 3600000.0, (double)took_ms / 1000.0,
	       rate_of(report, took_ms), jobs);
	printf("claims %llu, grants %llu, timeouts %llu, steps %llu, restarts %llu, faults %llu\n",
	       (ull)sum->claims, (ull)sum->grants, (ull)sum->timeouts, (ull)sum->steps,
	       (ull)sum->restarts, (ull)all_faults(report));
	printf("\n%-16s %12s %8s\n", "fault", "count", "of seeds");
	for (int i = 0; i < FAULT_COUNT; i++)
		printf("%-16s %12llu %7.1f%%\n", fault_name(i), (ull)sum->faults[i],
		       100.0 * (double)report->seeds_with[i] /
			       (double)(report->seeds ? report->seeds : 1));
	printf("\n%-16s %12s\n", "adversary", "acts");
	for (int i = 1; i < TRICK_COUNT; i++)
		printf("%-16s %12llu\n", trick_name(i), (ull)sum->tricks[i]);
	print_judged(report);
	printf("\ntrace hash %016llx\n", (ull)sum->hash);
}
