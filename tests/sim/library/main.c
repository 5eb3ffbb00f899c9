/* main: runs seeds of the town: its event queue, the faults, and the demand that everybody is
 * served once faults are off. `--trace` prints what happens in one; `--lies` plants a fault into
 * the processes, and has to fail. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "town.h"

enum {
	TOWN_MS = 1200 * 1000,
	HEALED_MS = 600 * 1000,   /* at the end, without faults */
	WAIT_MS_MAX = 500 * 1000, /* nobody may wait longer then */
};

enum fault { FAULT_CUT, FAULT_REFUSE, FAULT_LISTEN, FAULT_CRASH, FAULT_START, FAULT_KILL };

void town_fail(const struct town *town, const char *format, ...)
{
	va_list args;
	fprintf(stderr, "library: seed %" PRIu64 " at %.3f s: ", town->seed,
		(double)town->t / 1000);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void town_note(const struct town *town, const char *format, ...)
{
	va_list args;
	if (!town->trace)
		return;
	printf("%10.3f ", (double)town->t / 1000);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

struct item *town_add(struct town *town, int64_t after_ms, enum item_kind kind)
{
	struct item *item = calloc(1, sizeof(*item));
	if (!item)
		abort();
	item->t = town->t + after_ms;
	item->kind = kind;
	item->conn = -1;
	struct item **at = &town->items;
	while (*at && (*at)->t <= item->t)
		at = &(*at)->next;
	item->next = *at;
	*at = item;
	return item;
}

/* ---- faults ---- */

static void scenario_fault(struct town *town)
{
	static const enum fault faults[] = {FAULT_CUT,    FAULT_CUT,   FAULT_CUT,
					    FAULT_REFUSE, FAULT_CRASH, FAULT_KILL};
	struct item *item = town_add(town, rng_between(&town->rng, 1000, 40000), ITEM_FAULT);
	item->number = faults[rng_below(&town->rng, sizeof(faults) / sizeof(*faults))];
}

static void cut_somebody(struct town *town)
{
	const struct process *process = &town->processes[rng_below(&town->rng, TOWN_PROCESSES)];
	if (process->baton)
		streams_cut(town, process->stream);
}

/* Connections break and cannot be opened again for a while. */
static void refuse(struct town *town)
{
	town->refuses = true;
	for (unsigned i = 0; i < TOWN_PROCESSES; i++)
		if (town->processes[i].baton && rng_chance(&town->rng, 600))
			streams_cut(town, town->processes[i].stream);
	town_add(town, rng_between(&town->rng, 500, 30000), ITEM_FAULT)->number = FAULT_LISTEN;
}

static void strike(struct town *town, enum fault fault)
{
	if (fault == FAULT_LISTEN) {
		town->refuses = false;
	} else if (fault == FAULT_START) {
		town_note(town, "the broker starts");
		broker_start(town);
	} else if (!town->healed) {
		town_note(town, "fault %d", (int)fault);
		if (fault == FAULT_CUT)
			cut_somebody(town);
		else if (fault == FAULT_REFUSE)
			refuse(town);
		else if (fault == FAULT_KILL)
			process_signal(town,
				       &town->processes[rng_below(&town->rng, TOWN_PROCESSES)],
				       SIGKILL);
		else if (town->up) {
			broker_crash(town);
			town_add(town, rng_between(&town->rng, 50, 15000), ITEM_FAULT)->number =
				FAULT_START;
		}
		scenario_fault(town);
	}
}

/* ---- one seed ---- */

static void happen(struct town *town, const struct item *item)
{
	struct process *process = &town->processes[item->process];
	switch (item->kind) {
	case ITEM_TO_BROKER:
		broker_hear(town, item->conn, item->text);
		return;
	case ITEM_TO_PROCESS:
	case ITEM_PROCESS_SEES_END:
		if (item->text && *item->text)
			town_note(town, "p%u < %s", town->conns[item->conn].process, item->text);
		streams_deliver(town, item);
		return;
	case ITEM_BROKER_SEES_END:
		broker_see_end(town, item->conn);
		return;
	case ITEM_EXIT_SEEN:
		broker_see_exit(town, item->number);
		return;
	case ITEM_SIGNAL:
		if (process->life == item->life)
			process_signal(town, process, (int)item->number);
		return;
	case ITEM_FAULT:
		strike(town, (enum fault)item->number);
		return;
	}
}

/* The next moment in which anything is due. */
static int64_t next_t(const struct town *town)
{
	int64_t next = town->items ? town->items->t : INT64_MAX;
	next = town->wake_t < next ? town->wake_t : next;
	for (unsigned i = 0; i < TOWN_PROCESSES; i++) {
		int64_t t = process_next(&town->processes[i]);
		next = t < next ? t : next;
	}
	return next;
}

static void live(struct town *town)
{
	while (town->t < town->end_t) {
		int64_t t = next_t(town);
		town->t = t > town->t ? t : town->t;
		town->healed = town->t >= town->end_t - HEALED_MS;
		while (town->items && town->items->t <= town->t) {
			struct item *item = town->items;
			town->items = item->next;
			if (item->kind == ITEM_TO_BROKER && item->text && *item->text)
				town_note(town, "p%u > %s", town->conns[item->conn].process,
					  item->text);
			happen(town, item);
			free(item->text);
			free(item);
		}
		for (unsigned i = 0; i < TOWN_PROCESSES; i++)
			if (process_next(&town->processes[i]) <= town->t)
				process_step(town, &town->processes[i]);
		if (town->up && town->wake_t <= town->t)
			broker_tick(town);
	}
}

static void judge_waits(const struct town *town)
{
	int64_t since_t = town->end_t - HEALED_MS;
	for (unsigned i = 0; i < TOWN_PROCESSES; i++) {
		int64_t asked_t = town->processes[i].asked_t;
		asked_t = asked_t < since_t ? since_t : asked_t;
		if (asked_t < town->t && town->t - asked_t > WAIT_MS_MAX)
			town_fail(town, "p%u waits since %.3f s", i, (double)asked_t / 1000);
	}
}

static void finish(struct town *town)
{
	for (unsigned i = 0; i < TOWN_PROCESSES; i++) {
		town->current = &town->processes[i];
		process_finish(&town->processes[i]);
	}
	broker_finish(town);
	for (struct item *item = town->items, *next; item; item = next) {
		next = item->next;
		free(item->text);
		free(item);
	}
	free(town->conns);
}

static void run_seed(struct town *town, uint64_t seed, bool trace, bool lies)
{
	*town = (struct town){
		.seed = seed, .trace = trace, .lies = lies, .end_t = TOWN_MS, .wake_t = INT64_MAX};
	rng_seed(&town->rng, seed);
	core_config_defaults(&town->config);
	effects_init(&town->fx);
	streams_open(town);
	broker_start(town);
	for (unsigned i = 0; i < TOWN_PROCESSES; i++) {
		town->processes[i].index = i;
		process_start(town, &town->processes[i]);
	}
	scenario_fault(town);
	live(town);
	judge_waits(town);
	finish(town);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"seeds", required_argument, NULL, 's'},
						{"seed", required_argument, NULL, 'o'},
						{"trace", no_argument, NULL, 't'},
						{"lies", no_argument, NULL, 'l'},
						{0}};
	static struct town town, sum;
	uint64_t first = 1, count = 100;
	bool trace = false, lies = false;
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 's')
			count = strtoull(optarg, NULL, 10);
		else if (c == 'o')
			first = strtoull(optarg, NULL, 10), count = 1;
		else if (c == 't')
			trace = true;
		else if (c == 'l')
			lies = true;
		else
			return 64;
	}
	for (uint64_t seed = first; seed < first + count; seed++) {
		run_seed(&town, seed, trace, lies);
		sum.grants += town.grants;
		sum.breaks += town.breaks;
		sum.lost += town.lost;
		sum.crashes += town.crashes;
		sum.revokes += town.revokes;
		sum.kills += town.kills;
		if (town.wait_ms_max > sum.wait_ms_max)
			sum.wait_ms_max = town.wait_ms_max;
	}
	printf("%" PRIu64 " seeds: %" PRIu64 " grants, %" PRIu64 " broken connections, %" PRIu64
	       " leases lost by them, %" PRIu64 " crashes of the broker, %" PRIu64
	       " revokes, %" PRIu64 " kills; longest wait without faults %.1f s\n",
	       count, sum.grants, sum.breaks, sum.lost, sum.crashes, sum.revokes, sum.kills,
	       (double)sum.wait_ms_max / 1000);
	return 0;
}
