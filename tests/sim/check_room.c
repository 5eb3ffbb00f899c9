/* check_room: I1 from the outside. Adds up what clients in truth use, from the GRANTED that left
 * the broker until they stopped, died, or were taken the lease and had the time that the contract
 * gives (job.excused_t, set in check.c). The core's ledger is not asked. */
#include "check_private.h"
#include "outside.h"
#include "world.h"

/* What the broker may give away must be free in truth: whoever can act has stopped by itself when
 * the linger of its own broken connection is over, by its own clock. */
static void check_stopped(struct world *w, const struct job *other)
{
	const struct client *client = &w->clients[other->client];
	bool able = client->life == other->life && client->state != CLIENT_DEAD &&
		    !client->paused && !client->stood_still && !other->ignores;
	if (!able || client->state == CLIENT_READY || client->broke_ms == INT64_MAX)
		return;
	int64_t broken_ms = broker_now(w).v - client->broke_ms;
	if (broken_ms > client->linger_ms)
		sim_fail(w, "%s works on %lld ms after its connection broke, and is not alone",
			 client->scenario->name, (long long)broken_ms);
}

/* A reload takes nothing from who has it: what was granted before counts by what there was. */
static struct gpu_config limits_of(const struct world *w, uint32_t gpu, bool anew)
{
	struct gpu_config g = w->broker.config.gpus[gpu];
	if (anew)
		return g;
	g.slots = w->check.most[gpu].slots;
	g.vram_bytes_total = w->check.most[gpu].vram_bytes;
	return g;
}

/* Observe mode waits for nobody, nor for who held when the journal was lost. */
static void end_doubt(struct world *w)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (job->excused_t == job->doubted_t && job->excused_t > w->t)
			job->excused_t = w->t;
	}
}

void check_config(struct world *w, const struct core_config *config)
{
	w->check.config_t = w->t;
	if (config->observe)
		end_doubt(w);
	for (uint32_t gpu = 0; gpu < config->gpu_count; gpu++) {
		const struct gpu_config *g = &config->gpus[gpu];
		if (g->slots > w->check.most[gpu].slots)
			w->check.most[gpu].slots = g->slots;
		if (g->vram_bytes_total > w->check.most[gpu].vram_bytes)
			w->check.most[gpu].vram_bytes = g->vram_bytes_total;
	}
}

/* Granted in observe mode beside others, as its record says, or others were beside it later; who
 * runs inside another lease takes nothing from those beside it, however many they are. */
static bool is_beside(struct world *w, const struct job *job)
{
	if (job->would_wait)
		return true;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		bool later = other->recorded_fence > job->recorded_fence;
		if (other->would_wait && (later || job->inside != 0))
			return true;
	}
	return false;
}

static void check_gpu(struct world *w, const struct job *job, uint32_t gpu, bool anew)
{
	const struct core_config *config = &w->broker.config;
	const struct gpu_config limits = limits_of(w, gpu, anew), *g = &limits;
	struct outside_use sum;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		if (other == job || !other->uses || !(other->uses_mask & UINT32_C(1) << gpu))
			continue;
		if (!job_in_room(other, w->t) && other->binding <= BIND_TAB)
			check_stopped(w, other);
	}
	outside_use(w, gpu, job, &sum);
	if (is_beside(w, job))
		return;
	if (job->need.slots > 0 && sum.slots > g->slots)
		sim_fail(w, "I1: %llu turns on %s at once, which has %u",
			 (unsigned long long)sum.slots, g->name, g->slots);
	if (job->need.vram_bytes == 0 || !anew)
		return;
	if (g->vram_known && sum.vram_bytes + config->vram_headroom_bytes > g->vram_bytes_total)
		sim_fail(w, "I1: %llu bytes promised on %s", (unsigned long long)sum.vram_bytes,
			 g->name);
	if (!g->vram_known && sum.takers > 1)
		sim_fail(w, "I1: %u claims that state VRAM on %s, whose VRAM is unknown",
			 sum.takers, g->name);
}

/* The places of a host, by who in truth is inside and not excused. */
static void check_places(struct world *w, const struct job *job)
{
	const struct job *host = job_of_lease(w, job->inside);
	uint32_t count = 1;
	if (!host || job->lender != 0)
		return;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		count += other != job && other->inside == job->inside && job_in_room(other, w->t);
	}
	if (count > host->guests)
		sim_fail(w, "%u guests run inside lease %llu, which takes in %u", count,
			 (unsigned long long)host->lease, host->guests);
	if (!host->live || host->draining)
		sim_fail(w, "job %llu runs inside lease %llu, which is over",
			 (unsigned long long)job->uid, (unsigned long long)host->lease);
}

/* What it is told of all slots is what each of its GPUs has; one that is parked has none. */
static void check_all(struct world *w, const struct job *job, uint32_t gpus)
{
	const struct claim_record *rec = outside_row(w, job);
	uint32_t fewest = UINT32_MAX;
	for (uint32_t gpu = 0; gpu < w->broker.config.gpu_count; gpu++) {
		uint32_t slots = w->broker.config.gpus[gpu].slots;
		if (gpus >> gpu & 1 && slots < fewest)
			fewest = slots;
	}
	if (rec && rec->parked_slots == 0 && rec->need.slots != fewest)
		sim_fail(w, "job %llu asked for all of %#x, which have %u, and got %u",
			 (unsigned long long)job->uid, gpus, fewest, rec->need.slots);
}

void check_room(struct world *w, const struct job *job, uint32_t gpus)
{
	check_places(w, job);
	bool anew = w->scenario.every_ms[FAULT_REGPU] == 0 ||
		    (job->offered_t > w->check.config_t && !job->was_lent && job->inside == 0);
	if (anew && w->broker.config.gpu_count < 32 && gpus >> w->broker.config.gpu_count != 0)
		sim_fail(w, "job %llu got a GPU that is not there", (unsigned long long)job->uid);
	if ((uint32_t)__builtin_popcount(gpus) != job->need.gpu_count)
		sim_fail(w, "job %llu asked for %u GPUs and got mask %#x",
			 (unsigned long long)job->uid, job->need.gpu_count, gpus);
	if (job->need.gpu_mask != 0 && (gpus & ~job->need.gpu_mask) != 0)
		sim_fail(w, "job %llu got mask %#x, wanted of %#x", (unsigned long long)job->uid,
			 gpus, job->need.gpu_mask);
	if (job->need.all_slots && anew)
		check_all(w, job, gpus);
	for (uint32_t gpu = 0; gpu < w->broker.config.gpu_count; gpu++) {
		if (gpus & UINT32_C(1) << gpu)
			check_gpu(w, job, gpu, anew);
	}
}
