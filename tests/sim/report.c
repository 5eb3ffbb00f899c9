/* report: sums of tallies and their printing. Called by main.c. */
#include "report.h"

#include <stdio.h>

typedef unsigned long long ull;

static void add_judged(struct tally *sum, const struct tally *tally)
{
	for (int none = 0; none < BOUND_NONE_COUNT; none++)
		sum->told_none[none] += tally->told_none[none];
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		sum->waits[cls] += tally->waits[cls];
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
	sum->loads += tally->loads;
	sum->readies += tally->readies;
	sum->load_maxes += tally->load_maxes;
	sum->guests += tally->guests;
	sum->host_overs += tally->host_overs;
	for (int i = 0; i < 3; i++)
		sum->leftovers[i] += tally->leftovers[i];
	sum->parks += tally->parks;
	sum->used_gone += tally->used_gone;
	sum->kept_ms = tally->kept_ms > sum->kept_ms ? tally->kept_ms : sum->kept_ms;
	sum->resumes += tally->resumes;
	sum->ended += tally->ended;
	for (int i = 0; i < FAULT_COUNT; i++)
		sum->faults[i] += tally->faults[i];
	for (int i = 0; i < TRICK_COUNT; i++)
		sum->tricks[i] += tally->tricks[i];
	add_judged(sum, tally);
}

/* The worst of both, and the seed it was seen in; the smaller seed where they are equal. */
static void add_worst(struct report *report, const struct tally *tally, const uint64_t *seeds)
{
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		uint64_t worst = tally->worst_permille[cls];
		uint64_t *mine = &report->sum.worst_permille[cls];
		uint64_t *my_seed = &report->worst_seed[cls];
		if (worst > *mine || (worst > 0 && worst == *mine && seeds[cls] < *my_seed)) {
			*mine = worst;
			*my_seed = seeds[cls];
		}
	}
}

void report_add(struct report *report, uint64_t seed, const struct tally *tally)
{
	uint64_t seeds[LEASE_CLASS_COUNT];
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
	add_worst(report, &other->sum, other->worst_seed);
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

static double part(uint64_t permille)
{
	return (double)permille / 1000.0;
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
	       "\"restarts\":%llu,\"loads\":%llu,\"guests\":%llu,\"sim_hours\":%.2f,\"jobs\":%u,"
	       "\"took_ms\":%lld,"
	       "\"sim_hours_per_s\":%.2f,\"hash\":\"%016llx\",\"faults_total\":%llu,\"faults\":{",
	       (ull)report->seeds, (ull)sum->claims, (ull)sum->grants, (ull)sum->timeouts,
	       (ull)sum->steps, (ull)sum->restarts, (ull)sum->loads, (ull)sum->guests,
	       (double)sum->sim_ms / 3600000.0, jobs, (long long)took_ms, rate_of(report, took_ms),
	       (ull)sum->hash, (ull)all_faults(report));
	for (int i = 0; i < FAULT_COUNT; i++)
		printf("%s\"%s\":{\"count\":%llu,\"seeds\":%llu}", i ? "," : "", fault_name(i),
		       (ull)sum->faults[i], (ull)report->seeds_with[i]);
	printf("},\"tricks\":{");
	for (int i = 1; i < TRICK_COUNT; i++)
		printf("%s\"%s\":%llu", i > 1 ? "," : "", trick_name(i), (ull)sum->tricks[i]);
	printf("},\"told\":{");
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		printf("%s\"%s\":{\"waits\":%llu,\"worst\":%.3f,\"share_25\":%.3f,\"share_60\":%."
		       "3f}",
		       cls ? "," : "", lease_class_name(cls), (ull)sum->waits[cls],
		       part(sum->worst_permille[cls]), part(sum->share_least[0][cls]),
		       part(sum->share_least[1][cls]));
	printf("}}\n");
}

static void print_judged(const struct report *report)
{
	const struct tally *sum = &report->sum;
	printf("\n%-12s %9s %6s %8s %8s %7s %6s %7s %6s\n", "class", "told", "worst", "seed",
	       "most", "25 min", "share", "60 min", "share");
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		printf("%-12s %9llu %6.3f %8llu %6llu s %7llu %6.3f %7llu %6.3f\n",
		       lease_class_name(cls), (ull)sum->waits[cls], part(sum->worst_permille[cls]),
		       (ull)report->worst_seed[cls], (ull)sum->told_most_ms[cls] / 1000,
		       (ull)sum->share_windows[0][cls], part(sum->share_least[0][cls]),
		       (ull)sum->share_windows[1][cls], part(sum->share_least[1][cls]));
	printf("nothing was told:");
	for (int none = 0; none < BOUND_NONE_COUNT; none++)
		if (sum->told_none[none] > 0)
			printf(" %s %llu", bound_none_name(none), (ull)sum->told_none[none]);
	printf("\n");
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
	printf("loads %llu, ready %llu, too late %llu; guests %llu, their host over %llu\n",
	       (ull)sum->loads, (ull)sum->readies, (ull)sum->load_maxes, (ull)sum->guests,
	       (ull)sum->host_overs);
	printf("memory freed late %llu, used again %llu, never freed %llu\n",
	       (ull)sum->leftovers[0], (ull)sum->leftovers[1], (ull)sum->leftovers[2]);
	printf("parked %llu, their turn came back %llu\n", (ull)sum->parks, (ull)sum->resumes);
	printf("put out beside others who waited to use it %llu, waited for those %.1f s at most\n",
	       (ull)sum->used_gone, (double)sum->kept_ms / 1000);
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
