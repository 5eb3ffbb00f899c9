/* world: one seed's run. Takes what is due from the event queue and hands it to broker, clients and
 * faults: first a safety phase with faults, then a liveness phase without them, in which everybody
 * must be served. */
#include "world.h"
#include "fault.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nothing may take this many steps without time going on. */
enum { STEPS_PER_MS_MAX = 20000 };

uint32_t world_permille(const struct world *w, enum fault fault)
{
	return w->healed ? 0 : w->scenario.permille[fault];
}

void world_count(struct world *w, enum fault fault)
{
	w->tally.faults[fault]++;
}

void world_session_set(struct world *w, uint64_t session, int client, uint32_t life)
{
	if (session >= w->sessions_size) {
		size_t size = (size_t)(session + 64) * 2;
		w->sessions = realloc(w->sessions, size * sizeof *w->sessions);
		assert(w->sessions);
		for (size_t i = w->sessions_size; i < size; i++)
			w->sessions[i].client = -1;
		w->sessions_size = size;
	}
	w->sessions[session] = (struct world_session){.client = client, .life = life};
}

struct client *world_session_client(struct world *w, uint64_t session)
{
	if (session >= w->sessions_size || w->sessions[session].client < 0)
		return NULL;
	struct client *client = &w->clients[w->sessions[session].client];
	bool lives = client->life == w->sessions[session].life && client->state != CLIENT_DEAD;
	return lives ? client : NULL;
}

void sim_fail(struct world *w, const char *format, ...)
{
	va_list args;
	fprintf(stderr, "seed %llu at %lld.%03lld s: ", (unsigned long long)w->seed,
		(long long)(w->t / 1000), (long long)(w->t % 1000));
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	fflush(NULL);
	abort();
}

static void create(struct world *w, uint64_t seed, const struct world_options *options)
{
	memset(w, 0, sizeof *w);
	w->seed = seed;
	rng_seed(&w->rng, seed);
	rng_seed(&w->token_rng, ~seed);
	trace_init(&w->trace, options->mode);
	w->judges = options->judges;
	w->broker.twin.every = options->twin_every;
	rng_seed(&w->unkind_rng, seed ^ UINT64_C(0x756e6b696e64));
	scenario_draw(&w->scenario, options->trick, seed % 8 == 2, &w->rng, &w->unkind_rng);
	rng_seed(&w->inside_rng, seed ^ UINT64_C(0x696e73696465));
	scenario_draw_inside(&w->scenario, &w->inside_rng);
	rng_seed(&w->observe_rng, seed ^ UINT64_C(0x6f627365727665));
	scenario_draw_observe(&w->scenario, &w->observe_rng);
	rng_seed(&w->park_rng, seed ^ UINT64_C(0x7061726b));
	scenario_draw_park(&w->scenario, &w->park_rng);
	rng_seed(&w->memory_rng, seed ^ UINT64_C(0x6d656d6f7279));
	scenario_draw_leftovers(&w->scenario, &w->memory_rng);
	/* From numbers of its own, so that the other seeds stay what they were. */
	rng_seed(&w->lost_rng, seed ^ UINT64_C(0x6c6f7374));
	if (rng_chance(&w->lost_rng, 350))
		w->scenario.permille[FAULT_LOST] = (uint32_t)rng_between(&w->lost_rng, 200, 800);
	w->boot_mono_ms = rng_between(&w->rng, 1000, 100000000);
	w->wall_offset_ms = INT64_C(1790000000000);
	w->pid_next = 1000;
	w->check.idle_since_t = INT64_MAX;
	/* The last sixth is the liveness phase; it may take longer when much is outstanding. */
	w->end_t = options->minutes * 60000;
	int64_t heal_t = w->end_t * 5 / 6;
	event_queue_add(&w->event_queue, (struct item){.t = heal_t, .kind = ITEM_PHASE});
	event_queue_add(&w->event_queue, (struct item){.t = SAMPLE_EVERY_MS, .kind = ITEM_SAMPLE});
	broker_start(w);
	for (unsigned i = 0; i < w->scenario.client_count; i++) {
		w->clients[i].index = i;
		w->clients[i].scenario = &w->scenario.clients[i];
		client_start(w, &w->clients[i]);
	}
	fault_schedule_all(w);
}

static void destroy(struct world *w)
{
	struct item item;
	while (event_queue_take(&w->event_queue, &item)) {
		if (item.envelope)
			net_free(w, item.envelope);
	}
	for (unsigned i = 0; i < w->scenario.client_count; i++) {
		struct client *client = &w->clients[i];
		for (size_t at = 0; at < client->deferred_count; at++) {
			if (client->deferred[at].envelope)
				net_free(w, client->deferred[at].envelope);
		}
		client_finish(client);
	}
	broker_finish(w);
	event_queue_finish(&w->event_queue);
	net_finish(w);
	jobs_finish(w);
	journal_finish(&w->journal);
	journal_finish(&w->synced);
	check_finish(w);
	free(w->sessions);
}

/* How long serving everybody may take at most once all faults are off: what may still linger after
 * the last of them, then every outstanding claim one after the other (theorem 2's terms). */
static int64_t liveness_ms(struct world *w)
{
	const struct core_config *c = &w->broker.config;
	int64_t hold_ms = 0, linger_ms = c->restart_linger_ms + c->session_ttl_ms + c->settle_ms;
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		if (c->classes[cls].hold_ms_max > hold_ms)
			hold_ms = c->classes[cls].hold_ms_max;
	}
	int64_t load_ms = w->scenario.uses_loads ? c->load_ms_max : 0;
	int64_t turn_ms = hold_ms + load_ms + c->grace_ms_max + c->kill_wait_ms + c->lock_delay_ms +
			  c->ack_ms;
	int64_t http_ms = 200 * 1000; /* a plain HTTP lease whose client died, restarted once */
	return 60000 + linger_ms + http_ms + (int64_t)w->jobs.active_count * 2 * turn_ms;
}

/* Faults off. Each client asks once more, forever, so that there is somebody to serve. */
static void heal(struct world *w)
{
	trace_line(&w->trace, "all faults are off");
	w->healed = true;
	w->broker.crash = CRASH_NONE;
	w->broker.io_error = false;
	fault_restore_config(w);
	for (unsigned i = 0; i < w->scenario.client_count; i++) {
		struct client *client = &w->clients[i];
		client_set_timer(w, client, TIMER_UNPAUSE, 0, 0);
		if (client->state == CLIENT_READY && !client->paused)
			client_ask_one(w, client);
	}
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		struct client *client = &w->clients[job->client];
		client_set_timer(w, client, TIMER_RELEASE, job->uid,
				 rng_between(&w->rng, 1000, HEALED_HOLD_MS_MAX));
	}
	w->end_t = w->t + liveness_ms(w);
}

static void handle(struct world *w, const struct item *item)
{
	switch (item->kind) {
	case ITEM_TURN:
		broker_turn(w, item->t);
		return;
	case ITEM_TO_BROKER:
		broker_arrive(w, item->envelope);
		return;
	case ITEM_TO_CLIENT:
		client_arrive(w, item);
		return;
	case ITEM_CLIENT:
		client_timer(w, item);
		return;
	case ITEM_FAULT:
		fault_strike(w, (enum fault)item->what);
		return;
	case ITEM_HEAL:
		fault_heal(w, (enum fault)item->what, item->subject);
		return;
	case ITEM_SAMPLE:
		fault_sample(w);
		event_queue_add(&w->event_queue,
				(struct item){.t = w->t + SAMPLE_EVERY_MS, .kind = ITEM_SAMPLE});
		return;
	case ITEM_PHASE:
		heal(w);
		return;
	}
}

static bool all_served(const struct world *w)
{
	if (!w->healed || w->broker.state != BROKER_UP || w->jobs.active_count > 0)
		return false;
	return w->journal.live_count[CLAIM_QUEUED] + w->journal.live_count[CLAIM_OFFERED] +
		       w->journal.live_count[CLAIM_HELD] + w->journal.live_count[CLAIM_LOADING] +
		       w->journal.live_count[CLAIM_YIELDING] ==
	       0;
}

void world_run(struct world *w, uint64_t seed, const struct world_options *options)
{
	create(w, seed, options);
	struct item item;
	unsigned at_once = 0;
	while (!all_served(w) && event_queue_take(&w->event_queue, &item)) {
		assert(item.t >= w->t);
		at_once = item.t == w->t ? at_once + 1 : 0;
		if (at_once > STEPS_PER_MS_MAX)
			sim_fail(w, "time stands still");
		if (item.t > w->end_t) {
			if (item.envelope)
				net_free(w, item.envelope);
			break;
		}
		w->t = w->trace.t_ms = item.t;
		handle(w, &item);
	}
	check_idle(w);
	w->tally.sim_ms = (uint64_t)w->t;
	w->tally.turns = w->broker.turns;
	w->tally.hash = w->trace.hash;
	destroy(w);
}
