/* judge_idle: room that nobody uses beside somebody who could, waits without end, and room that the
 * core takes for free though it is used. Called at the end of a turn, a few times per second. */
#include "judge.h"
#include "outside.h"

typedef unsigned long long ull;

enum { LOOK_EVERY_MS = 200, IDLE_MS_MAX = 1000, STARVE_MS = 30 * 60 * 1000 };

static uint32_t named_mask(const struct need *need)
{
	return need->gpu_mask == 0 ? UINT32_MAX : need->gpu_mask;
}

static bool is_possible(const struct outside *outside, const struct need *need)
{
	uint32_t gpus = outside_perhaps_possible(outside, need);
	return (uint32_t)__builtin_popcount(gpus) >= need->gpu_count;
}

/* Of programs that no probe can name nobody can tell which one uses what. */
static uint32_t fits(const struct world *w, const struct outside *outside, const struct need *need)
{
	uint32_t gpus = outside_fits(outside, need);
	return need->vram_bytes > 0 ? gpus & ~w->unnamed_mask : gpus;
}

static bool fits_now(const struct world *w, const struct outside *outside, const struct need *need)
{
	return (uint32_t)__builtin_popcount(fits(w, outside, need)) >= need->gpu_count;
}

/* `other` does not begin, and may keep what `row` could use: it wants that, too. Who waits for
 * memory keeps nobody from a turn; a set keeps all that it has found from who came later. */
static bool may_keep(const struct outside *outside, const struct claim_record *other,
		     const struct claim_record *row)
{
	uint32_t lacks = outside_perhaps_possible(outside, &other->need) &
			 ~outside_fits_slots(outside, &other->need);

	if (!(named_mask(&other->need) & named_mask(&row->need)))
		return false;
	if (other->need.gpu_count > 1 && !mono_before(row->arrival, other->arrival))
		return true;
	return row->need.vram_bytes > 0 || (lacks & named_mask(&row->need));
}

/* `row` is the turn of a lease that keeps its memory, and `other` may have that: it would be asked
 * for it as soon as it computes. */
static bool may_have_its_memory(const struct world *w, const struct claim_record *other,
				const struct claim_record *row)
{
	const struct journal_claim *lease =
		row->resumes ? journal_claim(&w->journal, row->resumes) : NULL;

	return lease && lease->live && lease->rec.need.vram_bytes > 0 &&
	       other->need.vram_bytes > 0 && (named_mask(&other->need) & lease->rec.granted_mask);
}

/* It waits, or died just now and the broker may not have heard of it. */
static bool may_wait(struct world *w, const struct job *job)
{
	const struct claim_record *rec = outside_row(w, job);
	bool died = job->binding <= BIND_TAB && w->clients[job->client].life != job->life;

	return outside_waits(w, job) ||
	       (died && rec && rec->state == CLAIM_QUEUED && rec->host == 0);
}

/* Somebody is possible and lacks something who may keep what `row` could use. */
static bool is_kept_by_lack(struct world *w, const struct outside *outside,
			    const struct claim_record *row)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		const struct claim_record *rec = outside_row(w, other);
		if (rec && rec != row && may_wait(w, other) && is_possible(outside, &rec->need) &&
		    !fits_now(w, outside, &rec->need) &&
		    (may_keep(outside, rec, row) || may_have_its_memory(w, rec, row)))
			return true;
	}
	return false;
}

/* So does one that would fit if nothing were kept from it. */
static bool is_blocked(struct world *w, const struct outside *outside, const struct job *job)
{
	const struct claim_record *row = outside_row(w, job);

	if (is_kept_by_lack(w, outside, row))
		return true;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		const struct claim_record *rec = outside_row(w, other);
		if (rec && rec != row && may_wait(w, other) && fits_now(w, outside, &rec->need) &&
		    may_keep(outside, rec, row) && is_kept_by_lack(w, outside, rec))
			return true;
	}
	return false;
}

/* Strangers, and what a client left behind, are seen by the next probe: till then nobody knows that
 * there is memory, also for one who keeps a turn until there is. */
static int64_t idle_ms_max(struct world *w, const struct outside *outside, const struct job *job)
{
	const struct claim_record *row = outside_row(w, job);
	bool measured = row->need.vram_bytes > 0;

	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		const struct claim_record *rec = outside_row(w, other);
		measured |= rec && rec != row && rec->need.vram_bytes > 0 && may_wait(w, other) &&
			    (may_keep(outside, rec, row) || may_have_its_memory(w, rec, row));
	}
	return measured ? IDLE_MS_MAX + 2 * SAMPLE_EVERY_MS : IDLE_MS_MAX;
}

static void judge_conserve(struct world *w, const struct outside *outside, struct job *job,
			   const struct need *need)
{
	bool idle = fits_now(w, outside, need) && !is_blocked(w, outside, job);
	if (!idle || job->idle_since_t == 0 || job->idle_since_t < w->tainted_t)
		job->idle_since_t = idle ? w->t : 0;
	if (idle && judge_is_on(w, JUDGE_CONSERVE) &&
	    w->t - job->idle_since_t > idle_ms_max(w, outside, job))
		judge_fail(w, JUDGE_CONSERVE,
			   "claim %llu (%s, %u turns, %llu MiB) waits %lld ms beside room on %#x "
			   "that nobody before it could use",
			   (ull)job->lease, lease_class_name((int)job->cls), need->slots,
			   (ull)need->vram_bytes >> 20, (long long)(w->t - job->idle_since_t),
			   fits(w, outside, need));
}

static void judge_starve(struct world *w, const struct outside *outside, struct job *job,
			 const struct need *need)
{
	bool possible =
		(uint32_t)__builtin_popcount(outside_possible(outside, need)) >= need->gpu_count;
	if (!possible || job->starve_since_t == 0 || job->starve_since_t < w->tainted_t ||
	    job->starve_since_t < job->offered_t) {
		job->starve_since_t = possible ? w->t : 0;
		job->starve_ahead = w->jobs.active_count;
	}
	int64_t limit_ms = STARVE_MS * (int64_t)(4 + job->starve_ahead) / 4;
	if (possible && judge_is_on(w, JUDGE_STARVE) && w->t - job->starve_since_t > limit_ms)
		judge_fail(w, JUDGE_STARVE, "claim %llu (%s) is possible and waits %lld minutes",
			   (ull)job->lease, lease_class_name((int)job->cls),
			   (long long)((w->t - job->starve_since_t) / 60000));
}

/* Whoever uses a GPU and is excused by nothing has his room in the ledger. */
static void judge_room(struct world *w)
{
	struct gpu_view view;
	for (uint32_t gpu = 0; gpu < w->broker.config.gpu_count; gpu++) {
		struct outside_use use;
		if (!core_gpu(w->broker.core, gpu, &view))
			continue;
		outside_use(w, gpu, NULL, &use);
		if (view.slots_used < use.slots || view.vram_bytes_granted < use.vram_bytes)
			judge_fail(
				w, JUDGE_ROOM,
				"gpu%u: %llu turns and %llu MiB are used, the core has %u and %llu",
				gpu, (ull)use.slots, (ull)use.vram_bytes >> 20, view.slots_used,
				(ull)view.vram_bytes_granted >> 20);
	}
}

/* All that is used there has a name, as far as the probe can see. */
static bool is_named(const struct world *w, uint32_t gpu)
{
	const struct core_config *config = &w->broker.config;
	return gpu < config->gpu_count && config->gpus[gpu].vram_known &&
	       w->unmanaged_bytes[gpu] == 0 && !(w->unnamed_mask >> gpu & 1);
}

/* Nothing that its client has is in use there, not even what it left behind. What nobody can name
 * is taken for that of a client that has gone, as long as it may be. */
static bool is_unused(struct world *w, const struct job *drains, uint32_t gpus)
{
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++)
		if ((gpus >> gpu & 1) && !is_named(w, gpu))
			return false;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *job = job_of(w, w->jobs.active[i]);
		if (job->client == drains->client && job->uses && (job->uses_mask & gpus))
			return false;
	}
	for (size_t i = 0; i < w->leftover_count; i++)
		if (job_of(w, w->leftovers[i].job)->client == drains->client &&
		    (w->leftovers[i].gpus & gpus))
			return false;
	return true;
}

/* What is over keeps its memory until that is measured free, and not forever. */
static void judge_drain(struct world *w, struct job *job)
{
	const struct claim_record *rec = outside_row(w, job);
	bool drains = rec && rec->state == CLAIM_DRAINING && !outside_is_host(w, rec);
	bool unused = drains && is_unused(w, job, rec->granted_mask);
	if (!drains || !w->well || job->drains_since_t <= w->tainted_t)
		job->drains_since_t = drains ? w->t : 0;
	if (!unused || !w->well || job->unused_since_t <= w->tainted_t)
		job->unused_since_t = unused ? w->t : 0;
	if (!drains || !judge_is_on(w, JUDGE_CONSERVE))
		return;
	if (w->t - job->drains_since_t > w->broker.config.drain_ms_max + IDLE_MS_MAX)
		judge_fail(w, JUDGE_CONSERVE, "lease %llu drains for %lld ms", (ull)job->lease,
			   (long long)(w->t - job->drains_since_t));
	if (unused && w->t - job->unused_since_t > IDLE_MS_MAX + 2 * SAMPLE_EVERY_MS)
		judge_fail(w, JUDGE_CONSERVE, "lease %llu drains, and all is free for %lld ms",
			   (ull)job->lease, (long long)(w->t - job->unused_since_t));
}

void idle_turn(struct world *w)
{
	struct outside outside;
	if (w->t < w->check.looked_t + LOOK_EVERY_MS)
		return;
	w->check.looked_t = w->t;
	/* Who enforces nothing goes on without knowing who ran before. */
	bool doubts = core_in_doubt(w->broker.core, broker_now(w)) ||
		      (w->broker.config.observe && w->scenario.permille[FAULT_LOST] > 0);
	if (judge_is_on(w, JUDGE_ROOM) && !doubts)
		judge_room(w);
	outside_count(w, &outside);
	switch_turn(w, &outside);
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		judge_drain(w, job);
		if (!w->well || !outside_waits(w, job)) {
			job->idle_since_t = job->starve_since_t = 0;
			continue;
		}
		const struct need *need = &outside_row(w, job)->need;
		judge_conserve(w, &outside, job, need);
		judge_starve(w, &outside, job, need);
	}
}
