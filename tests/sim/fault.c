/* fault: the timed faults: when they strike, what they do, when they pass. Faults that strike while
 * a client acts are drawn where the act is. Called by world.c from the event_queue. */
#include "fault.h"

#include "world.h"

/* Subject of a heal that only lets the clock of the bounds run again. */
#define SETTLED UINT64_MAX

enum { STALL_EVERY_MS = 4000 };

void fault_heal_later(struct world *w, enum fault fault, uint64_t subject, int64_t lo_ms,
		      int64_t hi_ms)
{
	event_queue_add(&w->event_queue,
			(struct item){.t = w->t + rng_between(&w->rng, lo_ms, hi_ms),
				      .kind = ITEM_HEAL,
				      .what = fault,
				      .subject = subject});
}

static void schedule(struct world *w, enum fault fault)
{
	int64_t every_ms = w->scenario.every_ms[fault];
	if (every_ms > 0)
		event_queue_add(&w->event_queue,
				(struct item){.t = w->t + rng_between(&w->rng, 1, 2 * every_ms),
					      .kind = ITEM_FAULT,
					      .what = fault});
}

void fault_schedule_all(struct world *w)
{
	for (int fault = 0; fault < FAULT_COUNT; fault++)
		schedule(w, (enum fault)fault);
}

/* The clock of the bounds stands still from begin to end of such a condition. */
void fault_condition(struct world *w, bool begins)
{
	told_taint(w);
	w->taints_open = begins ? w->taints_open + 1 : w->taints_open - 1;
}

static int64_t long_or_short(struct world *w)
{
	uint64_t kind = rng_below(&w->rng, 10);
	return kind < 6   ? rng_between(&w->rng, 100, 5000)
	       : kind < 9 ? rng_between(&w->rng, 5000, 60000)
			  : rng_between(&w->rng, 60000, 300000);
}

/* Up to almost all of each 4 s, so that hardly a tick comes between two of them. */
static void stall_again(struct world *w)
{
	if (w->stalls_left == 0 || w->healed)
		return;
	w->stalls_left--;
	broker_stall(w, rng_between(&w->rng, 1000, STALL_EVERY_MS - 100));
	fault_heal_later(w, FAULT_STALLS, 0, STALL_EVERY_MS, STALL_EVERY_MS);
}

static uint64_t some_lease(struct world *w)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *job = job_of(w, w->jobs.active[i]);
		if (job->live && rng_chance(&w->rng, 500))
			return job->lease;
	}
	return 0;
}

static bool post_admin(struct world *w, enum admin_act act)
{
	struct conn *conn = net_connect(w, -1);
	if (!conn)
		return false;
	conn->exchange = true;
	conn->asks = EVENT_ADMIN;
	struct envelope *envelope = net_envelope(w, ENVELOPE_EVENT, conn->id);
	envelope->event.type = EVENT_ADMIN;
	envelope->event.admin.act = act;
	envelope->event.admin.who = "operator";
	envelope->event.admin.reason = "the simulator says so";
	if (act == ADMIN_YIELD || act == ADMIN_REVOKE || act == ADMIN_CANCEL)
		envelope->event.admin.lease = some_lease(w);
	net_up(w, envelope);
	return true;
}

static void strike_admin(struct world *w)
{
	static const enum admin_act acts[] = {
		ADMIN_YIELD, ADMIN_YIELD, ADMIN_REVOKE,           ADMIN_CANCEL,
		ADMIN_PAUSE, ADMIN_RESET, ADMIN_FORCE_RELEASE_ALL};
	if (w->broker.state != BROKER_UP || w->fds_exhausted)
		return;
	world_count(w, FAULT_ADMIN);
	enum admin_act act = acts[rng_below(&w->rng, sizeof acts / sizeof *acts)];
	told_taint(w);
	post_admin(w, act);
	if (act != ADMIN_PAUSE)
		return;
	fault_condition(w, true);
	fault_heal_later(w, FAULT_ADMIN, 0, 1000, 60000);
}

static void strike_suspend(struct world *w)
{
	world_count(w, FAULT_SUSPEND);
	told_taint(w);
	w->wall_offset_ms += rng_between(&w->rng, 1, 12 * 3600) * 1000;
	w->broker.clock_jump = true; /* monotonic time stood still, boot time did not */
	broker_wake(w);
}

static void strike_crash(struct world *w)
{
	if (w->broker.state == BROKER_DOWN)
		return;
	world_count(w, FAULT_CRASH);
	enum crash_point point = (enum crash_point)rng_below(&w->rng, CRASH_WHILE_SENDING + 1);
	if (point == CRASH_NONE || w->broker.state == BROKER_STALLED)
		broker_crash(w, false);
	else
		w->broker.crash = point;
}

static void strike_reboot(struct world *w)
{
	world_count(w, FAULT_REBOOT);
	w->boots++;
	for (unsigned i = 0; i < w->scenario.client_count; i++)
		client_machine_off(w, &w->clients[i]);
	broker_crash(w, true);
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		job_stop(w, job);
		job->stage = job->said = JOB_OVER;
		job->live = false;
		told_drop(job);
	}
	if (rng_chance(&w->rng, 500)) { /* power cut: only what was synced is left */
		uint64_t epoch = w->journal.epoch;
		journal_copy(&w->journal, &w->synced);
		w->journal.epoch = epoch;
		job_forget_leases(w);
	}
	fault_heal_later(w, FAULT_REBOOT, w->boots, 5000, 60000);
}

/* A clean stop: nothing is granted any more, then the process ends, and another starts. */
static void strike_stop(struct world *w)
{
	if (w->broker.state != BROKER_UP)
		return;
	world_count(w, FAULT_STOP);
	fault_condition(w, true);
	broker_post(w, broker_event(w, EVENT_DRAIN));
	fault_heal_later(w, FAULT_STOP, w->boots, 10, 5000);
}

static void strike_flag(struct world *w, enum fault fault, bool *flag, int64_t hi_ms)
{
	if (*flag)
		return;
	*flag = true;
	world_count(w, fault);
	fault_condition(w, true);
	fault_heal_later(w, fault, 0, 1000, hi_ms);
}

void fault_stuck(struct world *w, int64_t after_ms)
{
	world_count(w, FAULT_STUCK);
	fault_condition(w, true);
	fault_heal_later(w, FAULT_STUCK, 0, after_ms + 1000, after_ms + 1000);
}

/* A native process may hang in a driver call: dead to all, but not gone. */
static void strike_kill(struct world *w, struct client *client)
{
	if (client->state == CLIENT_DEAD)
		return;
	world_count(w, FAULT_KILL);
	if (client->scenario->binding != BIND_NATIVE ||
	    !rng_chance(&w->rng, world_permille(w, FAULT_STUCK))) {
		client_die(w, client);
		return;
	}
	int64_t after_ms = rng_between(&w->rng, 1000, 30000);
	fault_stuck(w, after_ms);
	client_pause(w, client, 60000);
	client_set_timer(w, client, TIMER_DIE, 0, after_ms);
}

static void strike_io_error(struct world *w)
{
	w->broker.io_error = true;
	told_taint(w);
	world_count(w, FAULT_IO_ERROR);
}

static void strike_stall(struct world *w)
{
	if (w->broker.state == BROKER_UP)
		world_count(w, FAULT_STALL);
	broker_stall(w, long_or_short(w));
}

/* On a host that is so busy, clients stand still as well. */
static void strike_stalls(struct world *w, struct client *client)
{
	world_count(w, FAULT_STALLS);
	w->stalls_left = (unsigned)rng_between(&w->rng, 5, 60);
	client_pause(w, client, (int64_t)w->stalls_left * STALL_EVERY_MS);
	stall_again(w);
}

static void strike_wall(struct world *w)
{
	w->wall_offset_ms += rng_between(&w->rng, -86400, 86400) * 1000;
	world_count(w, FAULT_WALL);
}

static void strike(struct world *w, enum fault fault)
{
	struct client *client = &w->clients[rng_below(&w->rng, w->scenario.client_count)];
	switch (fault) {
	case FAULT_CUT:
		client_cut(w, client);
		return;
	case FAULT_PAUSE:
		client_pause(w, client, long_or_short(w));
		return;
	case FAULT_KILL:
		strike_kill(w, client);
		return;
	case FAULT_RELOAD:
		client_reload(w, client);
		return;
	case FAULT_ADMIN:
		strike_admin(w);
		return;
	case FAULT_SAMPLE_UNKNOWN:
	case FAULT_UNHEALTHY:
	case FAULT_UNMANAGED:
	case FAULT_CONFIG:
	case FAULT_OBSERVE:
	case FAULT_REGPU:
		fault_machine_strike(w, fault);
		return;
	case FAULT_SUSPEND:
		strike_suspend(w);
		return;
	case FAULT_STALL:
		strike_stall(w);
		return;
	case FAULT_STALLS:
		strike_stalls(w, client);
		return;
	case FAULT_CRASH:
		strike_crash(w);
		return;
	case FAULT_REBOOT:
		strike_reboot(w);
		return;
	case FAULT_STOP:
		strike_stop(w);
		return;
	case FAULT_DISK_FULL:
		w->broker.reserve = (unsigned)rng_below(&w->rng, 20);
		strike_flag(w, fault, &w->broker.disk_full, 120000);
		return;
	case FAULT_IO_ERROR:
		strike_io_error(w);
		return;
	case FAULT_FDS:
		strike_flag(w, fault, &w->fds_exhausted, 60000);
		return;
	case FAULT_WALL:
		strike_wall(w);
		return;
	case FAULT_DELAY:
	case FAULT_DUPLICATE:
	case FAULT_MISSED_ACK:
	case FAULT_MUTE:
	case FAULT_IGNORE_REVOKE:
	case FAULT_CANCEL:
	case FAULT_STUCK:
	case FAULT_LOST:
	case FAULT_PIDFD:
	case FAULT_COUNT:
		return; /* these strike acts, not times */
	}
}

void fault_strike(struct world *w, enum fault fault)
{
	if (w->healed)
		return;
	trace_line(&w->trace, "fault: %s", fault_name(fault));
	strike(w, fault);
	schedule(w, fault);
}

/* The core hears of it by a probe or a message; until then the clock of the bounds stands still. */
void fault_settle_later(struct world *w, enum fault fault)
{
	fault_heal_later(w, fault, SETTLED, 2 * SAMPLE_EVERY_MS, 2 * SAMPLE_EVERY_MS);
}

/* While the disk is full a broker is paused that has not written it down. */
static bool is_paused(const struct world *w)
{
	struct core_stats stats;

	if (!w->broker.core)
		return w->journal.paused;
	core_stats(w->broker.core, &stats);
	return stats.paused;
}

/* This operator does not know better than a broker in doubt. */
static void resume_grants(struct world *w)
{
	if (w->broker.core && core_in_doubt(w->broker.core, broker_now(w))) {
		fault_heal_later(w, FAULT_ADMIN, 0, 1000, 1000);
		return;
	}

	if (post_admin(w, ADMIN_RESUME))
		fault_settle_later(w, FAULT_ADMIN);
	else
		fault_heal_later(w, FAULT_ADMIN, 0, 1000, 1000); /* nobody answers: try again */
}

static void heal_flag(struct world *w, bool *flag)
{
	if (!*flag)
		return;
	*flag = false;
	fault_condition(w, false);
}

void fault_heal(struct world *w, enum fault fault, uint64_t subject)
{
	trace_line(&w->trace, "%s passes", fault_name(fault));
	if (subject == SETTLED && fault == FAULT_ADMIN && is_paused(w)) {
		resume_grants(w); /* the operator's word was lost on the way, or overtaken */
	} else if (subject == SETTLED) {
		fault_condition(w, false);
	} else if (fault == FAULT_CRASH && subject == w->boots && w->broker.state == BROKER_DOWN) {
		broker_restart(w, true);
	} else if (fault == FAULT_REBOOT && subject == w->boots) {
		w->boot_t = w->t;
		w->boot_mono_ms = rng_between(&w->rng, 5000, 60000);
		broker_restart(w, false);
	} else if (fault == FAULT_STOP) {
		fault_condition(w, false);
		if (subject == w->boots)
			broker_crash(w, false);
	} else if (fault == FAULT_STALL) {
		broker_resume(w);
	} else if (fault == FAULT_STALLS) {
		stall_again(w);
	} else if (fault == FAULT_ADMIN) {
		resume_grants(w);
	} else if (fault == FAULT_UNHEALTHY || fault == FAULT_SAMPLE_UNKNOWN ||
		   fault == FAULT_UNMANAGED || fault == FAULT_PIDFD) {
		fault_machine_heal(w, fault, subject);
	} else if (fault == FAULT_DISK_FULL) {
		heal_flag(w, &w->broker.disk_full);
		broker_wake(w);
	} else if (fault == FAULT_FDS) {
		heal_flag(w, &w->fds_exhausted);
	} else if (fault == FAULT_STUCK) {
		fault_condition(w, false);
	}
}
