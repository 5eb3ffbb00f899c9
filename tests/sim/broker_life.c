/* broker_life: start, crash, restart and stall of the simulated daemon. What a crash loses is what
 * the real one loses: uncommitted records, unsent messages, all connections. Called by faults and
 * by broker_flush at a planned crash point. */
#include <assert.h>
#include <string.h>

#include "broker_private.h"
#include "world.h"

static void begin(struct world *w)
{
	struct broker *b = &w->broker;
	b->core = core_create();
	w->check.settled_t = w->check.ticked_t = 0;
	b->state = BROKER_UP;
	b->inbox = NULL;
	b->inbox_tail = &b->inbox;
	b->turn_t = INT64_MAX;
	b->wake = MONO_NEVER;
	b->crash = CRASH_NONE;
	b->clock_jump = b->commit_failed = b->journal_told_bad = false;
	b->stalled_ms = 0;
	struct event config = {.type = EVENT_CONFIG, .config = &b->config};
	check_config(w, &b->config);
	broker_step(w, &config);
}

static void serve(struct world *w, bool same_boot, int64_t in_doubt_ms)
{
	struct journal *journal = &w->journal;
	journal->epoch++;
	struct event start = {.type = EVENT_START,
			      .start = {.epoch = journal->epoch,
					.fence_max = journal->fence_max,
					.claim_id_max = journal->claim_id_max,
					.session_id_max = journal->session_id_max,
					.same_boot = same_boot,
					.in_doubt_ms = in_doubt_ms}};
	broker_step(w, &start);
}

void broker_start(struct world *w)
{
	w->broker.config = w->scenario.config;
	effects_init(&w->broker.fx);
	begin(w);
	serve(w, true, 0);
	broker_schedule_turn(w, w->t);
}

static void restore(struct world *w)
{
	const struct journal *journal = &w->journal;
	struct record record;
	struct event event = {.type = EVENT_RESTORE, .record = &record};
	if (journal->paused) {
		record = journal->paused_rec;
		broker_step(w, &event);
	}
	for (size_t id = 0; id < journal->sessions_size; id++) {
		if (!journal->sessions[id].live)
			continue;
		memset(&record, 0, sizeof record);
		record.type = RECORD_SESSION_PUT;
		record.session = journal->sessions[id].rec;
		broker_step(w, &event);
	}
	for (size_t id = 0; id < journal->claims_size; id++) {
		if (!journal->claims[id].live)
			continue;
		memset(&record, 0, sizeof record);
		record.type = RECORD_CLAIM_PUT;
		record.claim = journal->claims[id].rec;
		broker_step(w, &event);
	}
}

/* The new daemon opens a pidfd per restored native session: a process that is gone is seen. */
static void probe_processes(struct world *w)
{
	for (unsigned i = 0; i < w->scenario.client_count; i++)
		w->clients[i].blind_session = 0;
	const struct journal *journal = &w->journal;
	for (size_t id = 0; id < journal->sessions_size; id++) {
		const struct journal_session *row = &journal->sessions[id];
		if (!row->live || row->rec.binding != BIND_NATIVE)
			continue;
		const struct client *client = world_session_client(w, id);
		if (client && client->pid == row->rec.pid &&
		    client->pid_start == row->rec.pid_start)
			continue;
		struct envelope *envelope = broker_event(w, EVENT_PEER_EXIT);
		envelope->event.peer.session = id;
		broker_post(w, envelope);
	}
}

/* Nothing is left but the fence file: the numbers go on, and so does what the longest lease was
 * promised. */
static void lose_journal(struct world *w)
{
	const struct core_config *config = &w->broker.config;
	struct journal *journal = &w->journal;
	int64_t ms = config->session_ttl_ms;
	if (config->restart_linger_ms > ms)
		ms = config->restart_linger_ms;
	for (size_t i = 0; i < w->jobs.count; i++)
		if (w->jobs.v[i].ttl_ms > ms)
			ms = w->jobs.v[i].ttl_ms;
	for (size_t id = 0; id < journal->sessions_size; id++)
		journal->sessions[id].live = false;
	for (size_t id = 0; id < journal->claims_size; id++)
		journal->claims[id].live = false;
	memset(journal->live_count, 0, sizeof journal->live_count);
	journal->paused = false;
	world_count(w, FAULT_LOST);
	trace_line(&w->trace, "the journal is lost: in doubt for %lld ms", (long long)ms);
	if (ms > journal->in_doubt_ms)
		journal->in_doubt_ms = ms;
	check_lost(w, ms);
}

void broker_restart(struct world *w, bool same_boot)
{
	assert(w->broker.state == BROKER_DOWN);
	w->tally.restarts++;
	struct journal *journal = &w->journal;
	same_boot = same_boot && journal->boots == w->boots;
	trace_line(&w->trace, "broker starts, %s boot", same_boot ? "same" : "another");
	if (!same_boot || w->t >= journal->in_doubt_until_t)
		journal->in_doubt_ms = 0;
	bool lost = same_boot && rng_chance(&w->lost_rng, world_permille(w, FAULT_LOST));
	if (lost)
		lose_journal(w);
	same_boot = same_boot && !lost;
	journal->in_doubt_until_t = w->t + journal->in_doubt_ms; /* anew, if it was not over */
	begin(w);
	restore(w);
	serve(w, same_boot, journal->in_doubt_ms);
	check_restart(w, same_boot);
	broker_flush(w);
	if (same_boot)
		probe_processes(w);
	broker_schedule_turn(w, w->t);
}

static void drop_inbox(struct world *w)
{
	struct broker *b = &w->broker;
	for (struct envelope *envelope = b->inbox, *next; envelope; envelope = next) {
		next = envelope->next;
		net_free(w, envelope);
	}
	b->inbox = NULL;
	b->inbox_tail = &b->inbox;
}

void broker_crash(struct world *w, bool reboot)
{
	struct broker *b = &w->broker;
	if (b->state == BROKER_DOWN)
		return;
	trace_line(&w->trace, "broker dies%s", reboot ? " with the machine" : "");
	told_taint(w);
	twin_drop(w);
	core_destroy(b->core);
	b->core = NULL;
	b->state = BROKER_DOWN;
	b->turn_t = INT64_MAX;
	b->crash = CRASH_NONE;
	drop_inbox(w);
	effects_clear(&b->fx);
	b->seen = b->appended = 0;
	journal_drop_pending(&w->journal);
	job_forget_uncommitted(w);
	check_crash(w);
	for (unsigned i = 0; i < w->scenario.client_count; i++)
		w->clients[i].attached = 0;
	for (size_t i = 0; i < w->net.count; i++) {
		struct conn *conn = &w->net.conns[i];
		if (conn->broker_open)
			net_close_broker(w, conn, rng_chance(&w->rng, 500));
	}
	if (reboot)
		return;
	int64_t down_ms = rng_chance(&w->rng, 800) ? rng_between(&w->rng, 50, 1000)
						   : rng_between(&w->rng, 1000, 60000);
	event_queue_add(&w->event_queue, (struct item){.t = w->t + down_ms,
						       .kind = ITEM_HEAL,
						       .what = FAULT_CRASH,
						       .subject = w->boots});
}

void broker_stall(struct world *w, int64_t stall_ms)
{
	struct broker *b = &w->broker;
	if (b->state != BROKER_UP)
		return;
	b->state = BROKER_STALLED;
	b->stall_begin_t = w->t;
	told_taint(w);
	event_queue_add(
		&w->event_queue,
		(struct item){.t = w->t + stall_ms, .kind = ITEM_HEAL, .what = FAULT_STALL});
}

void broker_resume(struct world *w)
{
	struct broker *b = &w->broker;
	if (b->state != BROKER_STALLED)
		return;
	b->state = BROKER_UP;
	w->check.idle_since_t = INT64_MAX;     /* the probe was stopped too */
	if (w->t - b->stall_begin_t >= 1000) { /* shorter ones are not seen */
		b->clock_jump = true;
		b->stalled_ms += w->t - b->stall_begin_t;
		w->stalled_ms += w->t - b->stall_begin_t;
	}
	told_taint(w);
	b->turn_t = INT64_MAX;
	broker_schedule_turn(w, w->t);
}

void broker_finish(struct world *w)
{
	twin_drop(w);
	core_destroy(w->broker.core);
	drop_inbox(w);
	effects_finish(&w->broker.fx);
}
