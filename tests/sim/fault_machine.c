/* fault_machine: faults of GPUs and of what the kernel tells of processes, and reloads of the
 * configuration. Called by fault.c when they strike and pass, and by the broker and the clients. */
#include "fault.h"
#include "world.h"

static void strike_gpu(struct world *w, enum fault fault)
{
	uint32_t gpu = (uint32_t)rng_below(&w->rng, w->scenario.config.gpu_count);
	uint32_t bit = UINT32_C(1) << gpu;
	const struct gpu_config *g = &w->scenario.config.gpus[gpu];
	if (fault == FAULT_UNMANAGED) {
		if (w->unmanaged_bytes[gpu] > 0 || !g->vram_known)
			return;
		w->unmanaged_bytes[gpu] = 1 + rng_below(&w->rng, g->vram_bytes_total);
	} else {
		uint32_t *mask = fault == FAULT_UNHEALTHY ? &w->unhealthy_mask : &w->unknown_mask;
		if (*mask & bit)
			return;
		*mask |= bit;
	}
	world_count(w, fault);
	fault_condition(w, true);
	fault_heal_later(w, fault, gpu, 5000, 90000);
}

static void heal_gpu(struct world *w, enum fault fault, uint64_t gpu)
{
	uint32_t bit = UINT32_C(1) << gpu;
	if (fault == FAULT_UNHEALTHY)
		w->unhealthy_mask &= ~bit;
	else if (fault == FAULT_SAMPLE_UNKNOWN)
		w->unknown_mask &= ~bit;
	else
		w->unmanaged_bytes[gpu] = 0;
	fault_settle_later(w, fault);
}

static void post_config(struct world *w)
{
	struct envelope *envelope = broker_event(w, EVENT_CONFIG);
	envelope->event.config = &w->config_next;
	told_taint(w);
	broker_post(w, envelope);
}

static void strike_config(struct world *w, enum fault fault)
{
	bool observe = w->broker.config.observe != (fault == FAULT_OBSERVE);

	world_count(w, fault);
	if (fault == FAULT_OBSERVE) {
		w->config_next = w->broker.config;
	} else if (fault == FAULT_REGPU) {
		scenario_redraw_gpus(&w->scenario, &w->config_next, &w->unkind_rng);
	} else {
		scenario_redraw_config(&w->scenario, &w->config_next, &w->rng);
		for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++)
			w->config_next.gpus[gpu] = w->broker.config.gpus[gpu];
		w->config_next.gpu_count = w->broker.config.gpu_count;
	}
	w->config_next.observe = observe;
	post_config(w);
}

void fault_restore_config(struct world *w)
{
	if (w->scenario.every_ms[FAULT_REGPU] == 0 && w->scenario.every_ms[FAULT_OBSERVE] == 0)
		return;
	w->config_next = w->broker.config;
	/* Whoever was let in while there was more, or under observe, is to be served. */
	if (w->scenario.every_ms[FAULT_REGPU] > 0 || w->scenario.every_ms[FAULT_OBSERVE] > 0)
		scenario_widen_gpus(&w->scenario, &w->config_next);
	w->config_next.observe = w->scenario.config.observe;
	if (w->broker.state == BROKER_DOWN)
		w->broker.config = w->config_next;
	else
		post_config(w);
}

static void tell_reach(struct world *w, uint64_t session, enum peer_reach reach)
{
	struct envelope *envelope = broker_event(w, EVENT_PEER_REACH);
	envelope->event.peer.session = session;
	envelope->event.peer.reach = reach;
	envelope->event.peer.why = "the simulator says so";
	broker_post(w, envelope);
}

void fault_welcome(struct world *w, struct client *client, uint64_t session)
{
	bool was_blind = client->blind_session > 0;
	client->blind_session = 0;
	if (client->scenario->binding != BIND_NATIVE ||
	    !rng_chance(&w->unkind_rng, world_permille(w, FAULT_PIDFD)))
		return;
	client->blind_session = session;
	client->blind_life = client->life;
	tell_reach(w, session, PEER_UNKNOWN);
	if (was_blind)
		return;
	world_count(w, FAULT_PIDFD);
	fault_condition(w, true);
	fault_heal_later(w, FAULT_PIDFD, client->index, 5000, 60000);
}

bool fault_unwatched(const struct client *client, uint32_t life)
{
	return client->blind_session > 0 && client->blind_life == life;
}

void fault_exit(struct world *w, uint64_t session)
{
	struct envelope *envelope = broker_event(w, EVENT_PEER_EXIT);
	envelope->event.peer.session = session;
	broker_post(w, envelope);
}

/* The next try to watch it succeeds, or shows that it is gone. */
static void heal_pidfd(struct world *w, struct client *client)
{
	uint64_t session = client->blind_session;
	fault_condition(w, false);
	client->blind_session = 0;
	if (session == 0 || w->broker.state == BROKER_DOWN)
		return;
	if (client->state == CLIENT_DEAD || client->life != client->blind_life)
		fault_exit(w, session);
	else
		tell_reach(w, session, PEER_REACHED);
}

void fault_machine_strike(struct world *w, enum fault fault)
{
	if (fault == FAULT_CONFIG || fault == FAULT_REGPU || fault == FAULT_OBSERVE)
		strike_config(w, fault);
	else
		strike_gpu(w, fault);
}

void fault_machine_heal(struct world *w, enum fault fault, uint64_t subject)
{
	if (fault == FAULT_PIDFD)
		heal_pidfd(w, &w->clients[subject]);
	else
		heal_gpu(w, fault, subject);
}
