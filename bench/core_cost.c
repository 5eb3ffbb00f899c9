/* core_cost: what the core alone costs, without sockets and disk: one claim leaves, the next is
 * granted, a new one comes, with a given number of claims waiting all the time; bytes per waiting
 * claim; an event after which the queue is walked, beside many residents, while one waits for what
 * they hold; and what a million grants leave behind. Prints one JSON line per row. usage:
 * core_cost */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/config.h"
#include "core/core.h"
#include "core/effect.h"
#include "core/event.h"
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

static const uint64_t mib = 1024 * 1024, gpu_bytes = UINT64_C(4096) * 1024 * 1024 * 1024;

static struct bench bench_begin(void)
{
	struct bench bench = {.core = core_create(), .now = {1000000}};
	static struct core_config config;
	effects_init(&bench.fx);
	core_config_defaults(&config);
	config.queue_count_max = config.queue_per_principal_max = UINT32_MAX;
	config.queue_per_session_max = config.held_per_principal_max = UINT32_MAX;
	config.gpus[0].vram_known = true;
	config.gpus[0].vram_bytes_total = gpu_bytes;
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

static void ask(struct bench *bench, enum lease_class cls, struct need need, bool evictable)
{
	char name[32];
	snprintf(name, sizeof(name), "client-%llu", (unsigned long long)++bench->conn);
	struct event event = {.type = EVENT_ACQUIRE,
			      .from = {PARTY_EXCHANGE, bench->conn},
			      .acquire = {.binding = BIND_HTTP,
					  .preemptible = true,
					  .evictable = evictable,
					  .cls = cls,
					  .need = need,
					  .timeout_ms = 3600000,
					  .principal = need.slots > 0 ? "one" : name,
					  .name = name}};
	for (int i = 0; i < 8; i++)
		event.random.b[i] = (uint8_t)(bench->conn >> (8 * i));
	step(bench, &event);
}

static void enqueue(struct bench *bench)
{
	ask(bench, (enum lease_class)((bench->conn + 1) % LEASE_CLASS_COUNT),
	    (struct need){.slots = 1, .gpu_count = 1}, false);
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

/* One waits for memory and a turn, and each event has the queue walked again. */
static void cost_beside(uint32_t residents)
{
	enum { EVENTS = 20000 };
	struct bench bench = bench_begin();
	for (uint32_t i = 0; i < residents; i++)
		ask(&bench, LEASE_NORMAL, (struct need){.vram_bytes = mib, .gpu_count = 1}, i % 2);
	ask(&bench, LEASE_VOICE, (struct need){.slots = 1, .gpu_count = 1}, false);
	ask(&bench, LEASE_CHAT,
	    (struct need){.slots = 1, .vram_bytes = gpu_bytes - mib * 600, .gpu_count = 1}, false);
	if (core_waiting_count(bench.core) != 1)
		abort();
	double begin = now_s();
	for (int i = 0; i < EVENTS; i++) {
		bench.now.v += i % 64 == 0;
		step(&bench, &(struct event){.type = EVENT_JOURNAL, .journal = {.ok = true}});
	}
	printf("{\"residents\":%u,\"ns_per_event\":%.0f}\n", residents,
	       (now_s() - begin) / EVENTS * 1e9);
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
	cost_beside(40);
	cost_beside(4000);
	million_grants();
	return 0;
}
