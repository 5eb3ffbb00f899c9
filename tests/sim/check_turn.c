/* check_turn: after each loop turn whose messages are out. Status, journal and what clients were
 * told must agree (P35); nothing idles beside a waiter (I5); and a restart must bring back every
 * lease and every place. */
#include <stdlib.h>

#include "check_private.h"
#include "core/binding.h"
#include "core/estimate.h"
#include "outside.h"
#include "world.h"

typedef unsigned long long ull;

static void check_waiters(struct world *w, struct mono_ms now)
{
	const struct core *core = w->broker.core;
	uint32_t count = core_waiting_count(core);
	int64_t key_before = INT64_MIN, voice_before = INT64_MIN;
	struct claim_view view;
	for (uint32_t at = 0; at < count; at++) {
		if (!core_waiter_at(core, at, now, &view))
			sim_fail(w, "P35: nobody at position %u of %u", at, count);
		const struct claim_record *rec = view.rec;
		const struct journal_claim *row = journal_claim(&w->journal, rec->id);
		if (core_position(core, rec->id) != at)
			sim_fail(w, "P35: claim %llu is at %u and says %lld", (ull)rec->id, at,
				 (long long)core_position(core, rec->id));
		if (!row || !row->live || row->rec.state != CLAIM_QUEUED)
			sim_fail(w, "P35: claim %llu waits, the journal says otherwise",
				 (ull)rec->id);
		int64_t key = rec->tag.v + w->broker.config.classes[rec->cls].offset_ms;
		if (row->rec.arrival.v != rec->arrival.v)
			sim_fail(w, "claim %llu: its arrival moved", (ull)rec->id);
		if (!judge_is_on(w, JUDGE_ORDER))
			continue;
		if (view.key.v != key)
			sim_fail(w, "claim %llu: its key moved", (ull)rec->id);
		int64_t *before = rec->cls == LEASE_VOICE ? &voice_before : &key_before;
		if (key < *before)
			sim_fail(w, "claim %llu is served after a later key", (ull)rec->id);
		*before = key;
	}
	if (core_waiter_at(core, count, now, &view))
		sim_fail(w, "P35: somebody waits past the end");
}

static uint32_t check_holders(struct world *w, struct mono_ms now)
{
	const struct core *core = w->broker.core;
	uint32_t count = 0;
	struct claim_view view;
	for (uint64_t id = 0; core_holder_after(core, id, now, &view); count++) {
		const struct journal_claim *row = journal_claim(&w->journal, view.rec->id);
		if (view.rec->id <= id)
			sim_fail(w, "P35: holders are not in order at %llu", (ull)id);
		id = view.rec->id;
		if (!row || !row->live || row->rec.state != view.rec->state ||
		    row->rec.fence != view.rec->fence || row->rec.revoked != view.rec->revoked ||
		    row->rec.granted_mask != view.rec->granted_mask)
			sim_fail(w, "P35: the journal has another picture of lease %llu", (ull)id);
	}
	return count;
}

/* Whoever is connected was told everything, so his last message and the status agree. */
static void check_told(struct world *w, const struct job *job, struct mono_ms now)
{
	const struct client *client = &w->clients[job->client];
	const struct conn *conn = net_conn(w, job->binding <= BIND_TAB ? client->conn : job->conn);
	if (!conn || !conn->broker_open || !conn->client_open || job->life != client->life)
		return;
	if (job->binding <= BIND_TAB && conn->session == 0)
		return;
	struct claim_view view;
	bool lives = core_claim(w->broker.core, job->lease, now, &view) &&
		     view.rec->state != CLAIM_DRAINING; /* over: only its memory lives */
	if (job->said == JOB_WAITING && (!lives || view.rec->state != CLAIM_QUEUED))
		sim_fail(w, "P35: job %llu was told queued, claim %llu is %s", (ull)job->uid,
			 (ull)job->lease, lives ? claim_state_name((int)view.rec->state) : "gone");
	if (job->said == JOB_HELD && job->binding != BIND_HTTP && lives &&
	    !outside_is_held(view.rec->state))
		sim_fail(w, "P35: job %llu was told granted, claim %llu is %s", (ull)job->uid,
			 (ull)job->lease, claim_state_name((int)view.rec->state));
	if (job->said == JOB_WAITING && job->timeout_ms >= 0 && !job->yielded && !job->retried &&
	    w->taints_open == 0 && job->told.taints == w->taints && job->asked_t >= 0 &&
	    w->t - job->asked_t > job->timeout_ms + 10)
		sim_fail(w, "job %llu waits %lld ms, its limit is %lld", (ull)job->uid,
			 (long long)(w->t - job->asked_t), (long long)job->timeout_ms);
}

static bool grants_are_given(const struct world *w)
{
	int64_t left_ms;
	return core_grants(w->broker.core, broker_now(w), &left_ms) == GRANTS_ALLOWED;
}

/* Under observe, and before a reload, more is let in than there is. */
static bool fits_ever(const struct world *w, const struct need *need)
{
	const struct core_config *config = &w->broker.config;
	uint32_t count = 0;

	for (uint32_t gpu = 0; gpu < config->gpu_count; gpu++)
		count += need->gpu_mask >> gpu & 1 && config->gpus[gpu].slots >= need->slots;
	return count >= need->gpu_count;
}

/* I5: with everything free and well, a connected waiter is not left waiting past one turn. */
static void check_no_idling(struct world *w, struct mono_ms now, const struct core_stats *stats,
			    uint32_t holders)
{
	struct claim_view view;
	bool waits = false;
	for (uint32_t at = 0; at < stats->waiting && !waits; at++)
		waits = core_waiter_at(w->broker.core, at, now, &view) && view.conn != 0 &&
			view.rec->host == 0 && fits_ever(w, &view.rec->need);
	/* After a reload somebody may need more than there is. */
	bool free = holders == 0 && grants_are_given(w) && w->taints_open == 0 &&
		    w->scenario.every_ms[FAULT_REGPU] == 0;
	/* One that was taken its lease and goes on is a stranger now: its memory is in use. */
	for (size_t i = 0; free && i < w->jobs.active_count; i++)
		free = !job_of(w, w->jobs.active[i])->uses;
	/* .. as is what somebody left behind. */
	free &= w->leftover_count == 0 && w->t - w->leftover_t > SAMPLE_EVERY_MS;
	if (!waits || !free) {
		w->check.idle_since_t = INT64_MAX;
		return;
	}
	if (w->check.idle_since_t == INT64_MAX)
		w->check.idle_since_t = w->t;
	/* A probe may have to speak first after strangers left or a GPU came back. */
	if (w->t - w->check.idle_since_t > SAMPLE_EVERY_MS + 10)
		sim_fail(w, "I5: claim %llu waits while nothing is held", (ull)view.rec->id);
}

/* Stalls delay the judgement of a silent tab by their own length, never forever. */
static void check_silence(struct world *w, struct mono_ms now)
{
	const struct core_config *config = &w->broker.config;
	struct claim_view view;
	for (uint64_t id = 0; core_holder_after(w->broker.core, id, now, &view);
	     id = view.rec->id) {
		const struct conn *conn = net_conn(w, view.conn);
		int64_t silent_ms = conn ? w->t - w->stalled_ms - conn->heard_ms : 0;
		bool alone = view.rec->observed || config->observe ||
			     w->t - w->check.config_t < config->session_ttl_ms;
		if (view.rec->binding == BIND_TAB && !view.rec->revoked && !alone &&
		    silent_ms > config->session_ttl_ms + config->settle_ms + 10)
			sim_fail(w, "S7: claim %llu is held, silent for %lld ms", (ull)view.rec->id,
				 (long long)silent_ms);
	}
}

/* As far as the core has heard from the probe. */
static bool gpus_are_well(const struct world *w)
{
	struct gpu_view view;
	for (uint32_t gpu = 0; gpu < w->broker.config.gpu_count; gpu++) {
		if (!core_gpu(w->broker.core, gpu, &view) || !view.healthy)
			return false;
	}
	return true;
}

static void check_views(struct world *w, struct mono_ms now, uint32_t waiting)
{
	if (waiting == 0)
		return;
	struct claim_view view;
	struct why why;
	struct estimate estimate;
	uint32_t at = (uint32_t)(w->broker.turns % waiting);
	core_waiter_at(w->broker.core, at, now, &view);
	core_why(w->broker.core, view.rec->id, now, &why);
	if ((unsigned)why.code >= WHY_COUNT || !why_text((int)why.code))
		sim_fail(w, "claim %llu does not know why it waits", (ull)view.rec->id);
	if (core_bound_ms(w->broker.core, view.rec->id, now) < -1)
		sim_fail(w, "claim %llu has a negative bound", (ull)view.rec->id);
	core_estimate(w->broker.core, view.rec->id, now, &estimate);
	if (estimate.p50_ms < -1 || estimate.p50_ms > estimate.p90_ms || estimate.p50_ms == 0)
		sim_fail(w, "claim %llu has no sane estimate", (ull)view.rec->id);
}

void check_turn(struct world *w)
{
	if (w->broker.state != BROKER_UP)
		return;
	jobs_sweep(w);
	struct mono_ms now = broker_now(w);
	struct core_stats stats;
	core_stats(w->broker.core, &stats);
	check_waiters(w, now);
	uint32_t holders = check_holders(w, now);
	const uint32_t *live = w->journal.live_count;
	if (stats.waiting != live[CLAIM_QUEUED] ||
	    stats.waiting != core_waiting_count(w->broker.core))
		sim_fail(w, "P35: status has %u waiting, the journal %u", stats.waiting,
			 live[CLAIM_QUEUED]);
	if (holders != live[CLAIM_OFFERED] + live[CLAIM_HELD] + live[CLAIM_LOADING] +
			       live[CLAIM_YIELDING] + live[CLAIM_DRAINING])
		sim_fail(w, "P35: status has %u holders, the journal %u", holders,
			 live[CLAIM_OFFERED] + live[CLAIM_HELD] + live[CLAIM_LOADING] +
				 live[CLAIM_YIELDING] + live[CLAIM_DRAINING]);
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		if (stats.granted[cls] != w->check.granted[cls])
			sim_fail(w, "status counts %llu %s grants, the journal %llu",
				 (ull)stats.granted[cls], lease_class_name(cls),
				 (ull)w->check.granted[cls]);
	}
	for (size_t i = 0; i < w->jobs.active_count; i++)
		check_told(w, job_of(w, w->jobs.active[i]), now);
	check_no_idling(w, now, &stats, holders);
	check_silence(w, now);
	check_views(w, now, stats.waiting);
	w->well = w->taints_open == 0 && grants_are_given(w) && gpus_are_well(w);
	if (!grants_are_given(w) || !gpus_are_well(w))
		told_taint(w);
	told_turn(w);
	share_turn(w);
	idle_turn(w);
	evict_turn(w);
	yield_turn(w);
	load_turn(w);
	inside_turn(w);
}

/* R5: every lease and every place of the journal is there again, with fence and key. A stream ended
 * with its connection, but not a model of the gateway; a plain HTTP waiter may, because its key is
 * remembered. */
static void check_restored(struct world *w, const struct claim_record *rec)
{
	struct claim_view view;
	bool lives = core_claim(w->broker.core, rec->id, broker_now(w), &view);
	if (rec->state == CLAIM_DRAINING)
		return; /* it is over, and may be gone with what it waited for */
	bool stream = rec->binding == BIND_PROXIED ? rec->need.slots > 0 || rec->state < CLAIM_HELD
						   : rec->binding == BIND_STREAM;
	if (stream || (rec->binding == BIND_HTTP && rec->state < CLAIM_HELD))
		return;
	if (!lives && rec->state == CLAIM_QUEUED &&
	    w->scenario.every_ms[FAULT_REGPU] + w->scenario.every_ms[FAULT_OBSERVE] > 0)
		return; /* it needs more than there is since a reload */
	if (!lives && rec->state == CLAIM_QUEUED && rec->host != 0 &&
	    (!core_claim(w->broker.core, rec->host, broker_now(w), &view) ||
	     view.rec->state == CLAIM_DRAINING))
		return; /* it waited for a place in a stream, or in what a stream was to have */
	if (!lives)
		sim_fail(w, "R5: claim %llu (%s) is lost by the restart", (ull)rec->id,
			 claim_state_name((int)rec->state));
	bool held = outside_is_held(rec->state), held_now = outside_is_held(view.rec->state);
	if (held != held_now || (held && view.rec->fence != rec->fence))
		sim_fail(w, "R5: claim %llu was %s fence %llu, after the restart %s fence %llu",
			 (ull)rec->id, claim_state_name((int)rec->state), (ull)rec->fence,
			 claim_state_name((int)view.rec->state), (ull)view.rec->fence);
	if (view.rec->arrival.v != rec->arrival.v)
		sim_fail(w, "R5: claim %llu lost its place", (ull)rec->id);
}

void check_restart(struct world *w, int same_boot)
{
	const struct journal *journal = &w->journal;
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		w->check.granted[cls] = 0;
	for (size_t i = 0; i < w->jobs.active_count; i++) /* all are detached from now on */
		job_of(w, w->jobs.active[i])->lost_t = w->t;
	w->check.idle_since_t = INT64_MAX;
	w->check.started_t = w->t;
	for (size_t id = 0; same_boot && id < journal->claims_size; id++) {
		if (journal->claims[id].live)
			check_restored(w, &journal->claims[id].rec);
	}
	struct claim_view view;
	if (!same_boot && core_holder_after(w->broker.core, 0, broker_now(w), &view))
		sim_fail(w, "R5: lease %llu outlived the reboot", (ull)view.rec->id);
}

void check_show(struct world *w)
{
	struct mono_ms now = broker_now(w);
	if (w->broker.state != BROKER_UP)
		return;
	struct claim_view view;
	struct why why;
	for (uint32_t at = 0; core_waiter_at(w->broker.core, at, now, &view); at++) {
		core_why(w->broker.core, view.rec->id, now, &why);
		trace_line(&w->trace,
			   "claim %llu (%s, %u turns, %llu MiB on %u of %#x) waits: %s, gpu %u, "
			   "holder %llu, jobs %llu of %llu",
			   (ull)view.rec->id, lease_class_name((int)view.rec->cls),
			   view.rec->need.slots, (ull)view.rec->need.vram_bytes >> 20,
			   view.rec->need.gpu_count, view.rec->need.gpu_mask,
			   why_name((int)why.code), why.gpu, (ull)why.holder,
			   (ull)why.want_bytes >> 20, (ull)why.free_bytes >> 20);
	}
	for (uint64_t id = 0; core_holder_after(w->broker.core, id, now, &view); id = view.rec->id)
		trace_line(&w->trace,
			   "claim %llu of job %llu (%s, %s, %u turns, %llu MiB%s) on %#x is %s, "
			   "conn %llu",
			   (ull)view.rec->id, (ull)view.rec->ref,
			   binding_name((int)view.rec->binding),
			   lease_class_name((int)view.rec->cls), view.rec->need.slots,
			   (ull)view.rec->need.vram_bytes >> 20,
			   view.rec->evictable ? ", evictable" : "", view.rec->granted_mask,
			   claim_state_name((int)view.rec->state), (ull)view.conn);
}

void check_idle(struct world *w)
{
	struct core_stats stats;
	if (w->broker.state != BROKER_UP)
		sim_fail(w, "the broker is not up at the end");
	core_stats(w->broker.core, &stats);
	check_show(w);
	if (stats.waiting > 0 || stats.held > 0)
		sim_fail(w, "T3: with all faults off, %u still wait and %u still hold",
			 stats.waiting, stats.held);
}
