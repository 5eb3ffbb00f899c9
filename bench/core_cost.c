/* core_cost: what the core alone costs, without sockets and disk: one claim leaves, the next is
 * granted, a new one comes, with a given number of claims waiting all the time; bytes per waiting
 * claim; and what a million grants leave behind. Prints one JSON line per row. usage: core_cost */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/core.h"
#include "core/view.h"

struct bench {
	struct core *core;
	struct effects fx;
	struct mono_ms now;
	uint64_t conn;
};

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void step(struct bench *bench, struct event *event)
{
	event->now = bench->now;
	effects_clear(&bench->fx);
	core_step(bench->core, event, &bench->fx);
}

static struct bench bench_begin(void)
{
	struct bench bench = {.core = core_create(), .now = {1000000}};
	static struct core_config config;
	effects_init(&bench.fx);
	core_config_defaults(&config);
	config.queue_count_max = config.queue_per_principal_max = UINT32_MAX;
	step(&bench, &(struct event){.type = EVENT_CONFIG, .config = &config});
	step(&bench,
	     &(struct event){.type = EVENT_START, .start = {.epoch = 1, .same_boot = true}});
	return bench;
}

static void bench_end(struct bench *bench)
{
	core_destroy(bench->core);
	effects_finish(&bench->fx);
}

static void enqueue(struct bench *bench)
{
	char name[32];
	snprintf(name, sizeof(name), "client-%llu", (unsigned long long)++bench->conn);
	struct event event = {
		.type = EVENT_ACQUIRE,
		.conn = bench->conn,
		.acquire = {.binding = BIND_HTTP,
			    .preemptible = true,
			    .cls = (enum lease_class)(bench->conn % LEASE_CLASS_COUNT),
			    .need = {.slots = 1, .gpu_count = 1},
			    .timeout_ms = 3600000,
			    .name = name}};
	for (int i = 0; i < 8; i++)
		event.random.b[i] = (uint8_t)(bench->conn >> (8 * i));
	step(bench, &event);
}

/* The holder leaves; whoever is next holds afterwards. */
static void hand_over(struct bench *bench)
{
	struct claim_view holder;
	if (!core_holder_after(bench->core, 0, bench->now, &holder))
		abort();
	struct token token = holder.rec->token;
	step(bench, &(struct event){.type = EVENT_RELEASE, .release = {.token = &token}});
}

static void cost_with(uint32_t waiting)
{
	enum { CYCLES = 20000 };
	struct bench bench = bench_begin();
	size_t before = mallinfo2().uordblks;
	enqueue(&bench); /* holds */
	for (uint32_t i = 0; i < waiting; i++)
		enqueue(&bench);
	size_t bytes = (mallinfo2().uordblks - before) / (waiting + 1);
	double begin = now_s();
	for (int i = 0; i < CYCLES; i++) {
		bench.now.v += 1;
		hand_over(&bench);
		enqueue(&bench);
	}
	double seconds = now_s() - begin;
	if (core_waiting_count(bench.core) != waiting)
		abort();
	printf("{\"waiting\":%u,\"ns_per_cycle\":%.0f,\"bytes_per_waiter\":%zu}\n", waiting,
	       seconds / CYCLES * 1e9, bytes);
	bench_end(&bench);
}

static void million_grants(void)
{
	struct bench bench = bench_begin();
	for (int i = 0; i < 101; i++)
		enqueue(&bench);
	size_t early = 0;
	for (int i = 0; i < 1000000; i++) {
		bench.now.v += 1;
		hand_over(&bench);
		enqueue(&bench);
		if (i == 1000)
			early = mallinfo2().uordblks;
	}
	printf("{\"grants\":1000000,\"bytes_grown\":%lld}\n",
	       (long long)mallinfo2().uordblks - (long long)early);
	bench_end(&bench);
}

int main(void)
{
	for (uint32_t waiting = 100; waiting <= 100000; waiting *= 10)
		cost_with(waiting);
	million_grants();
	return 0;
}
