/* leftover: memory that is in use after its work has stopped: freed late (a driver, a slow
 * process), never while its process lives (a leak), or freed and in use again (a child that nobody
 * waited for). The probe sees it; no lease stands for it. Draws from random numbers of its own. */
#include "leftover.h"

#include "world.h"

enum { LATE_MS_MAX = 20000, BACK_MS_MAX = 30000 };

static void draw_times(struct world *w, struct leftover *left)
{
	uint64_t kind = rng_below(&w->memory_rng, 10);
	left->from_t = w->t;
	left->until_t = w->t + rng_between(&w->memory_rng, 100, LATE_MS_MAX);
	if (kind >= 8)
		left->until_t = INT64_MAX;
	else if (kind >= 6) {
		left->from_t = left->until_t;
		left->until_t += rng_between(&w->memory_rng, 1000, BACK_MS_MAX);
	}
	w->tally.leftovers[kind < 6 ? 0 : kind < 8 ? 1 : 2]++;
}

void leftover_begin(struct world *w, const struct job *job)
{
	struct leftover *left = &w->leftovers[w->leftover_count];
	uint32_t permille = w->scenario.clients[job->client].leaves_permille;
	if (w->healed || job->uses_need.vram_bytes == 0 || job->inside != 0 ||
	    w->leftover_count == LEFTOVERS_MAX || !rng_chance(&w->memory_rng, permille))
		return;
	*left = (struct leftover){
		.job = job->uid, .gpus = job->uses_mask, .bytes = job->uses_need.vram_bytes};
	draw_times(w, left);
	w->leftover_count++;
	trace_line(&w->trace, "job %llu leaves memory on %#x from %lld to %lld",
		   (unsigned long long)job->uid, left->gpus, (long long)left->from_t,
		   (long long)left->until_t);
}

/* What never goes goes with its process. */
static bool is_over(struct world *w, const struct leftover *left)
{
	const struct job *job = job_of(w, left->job);
	bool died = w->clients[job->client].life != job->life;
	return w->healed || w->t >= left->until_t || (died && left->until_t == INT64_MAX);
}

/* Used by its job again: that counts. */
static bool is_there(struct world *w, const struct leftover *left)
{
	return w->t >= left->from_t && !job_of(w, left->job)->uses;
}

void leftovers_sweep(struct world *w)
{
	size_t kept = 0;
	for (size_t i = 0; i < w->leftover_count; i++) {
		struct leftover *left = &w->leftovers[i];
		if (is_over(w, left))
			w->leftover_t = w->t; /* the next measurement does not see it */
		else
			w->leftovers[kept++] = *left;
	}
	w->leftover_count = kept;
}

const struct leftover *leftover_next(struct world *w, uint32_t gpu, size_t *at)
{
	while (*at < w->leftover_count) {
		const struct leftover *left = &w->leftovers[(*at)++];
		if ((left->gpus >> gpu & 1) && !is_over(w, left) && is_there(w, left))
			return left;
	}
	return NULL;
}
