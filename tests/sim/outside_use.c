/* outside_use: what clients really use, lease by lease: a guest computes in its host's turn and
 * memory. It judges nothing. */
#include <assert.h>
#include <stdlib.h>

#include "outside.h"

enum { NODES_MAX = 1024 };

/* Everybody who uses one GPU, and those around them; each host has a lower number than its guests,
 * so from the highest down everybody comes before whom he is inside of. */
struct nodes {
	struct world *w;
	const struct job *more;
	uint32_t gpu;
	size_t count;
	struct job *v[NODES_MAX];
};

static bool uses_here(const struct nodes *nodes, const struct job *job)
{
	if (job == nodes->more)
		return true;
	return job_in_room(job, nodes->w->t) && (job->uses_mask >> nodes->gpu & 1);
}

static const struct need *need_of(const struct nodes *nodes, const struct job *job)
{
	return job == nodes->more ? &job->need : &job->uses_need;
}

/* Inside whom it is; NULL: it stands for itself, as does who is left of a house that is gone. */
static struct job *around(const struct nodes *nodes, const struct job *job)
{
	struct job *host = job_of_lease(nodes->w, job->inside);
	return host && host != job && host->live ? host : NULL;
}

static void add(struct nodes *nodes, struct job *job)
{
	for (size_t i = 0; i < nodes->count; i++)
		if (nodes->v[i] == job)
			return;
	assert(nodes->count < NODES_MAX);
	job->sum.inside_bytes = 0;
	job->sum.computes = uses_here(nodes, job) && need_of(nodes, job)->slots > 0;
	nodes->v[nodes->count++] = job;
	if (around(nodes, job))
		add(nodes, around(nodes, job));
}

static int later_first(const void *a, const void *b)
{
	const struct job *one = *(struct job *const *)a, *other = *(struct job *const *)b;
	return (one->lease < other->lease) - (one->lease > other->lease);
}

/* Those inside use its memory first: of one house it is whatever is more. Its turn is one. */
static void count(const struct nodes *nodes, struct job *job, struct outside_use *use)
{
	const struct need *need = need_of(nodes, job);
	bool uses = uses_here(nodes, job);
	uint64_t own_bytes = uses ? need->vram_bytes : 0, inside_bytes = job->sum.inside_bytes;
	uint64_t bytes = own_bytes > inside_bytes ? own_bytes : inside_bytes;
	struct job *host = around(nodes, job);
	if (host) {
		host->sum.inside_bytes += bytes;
		host->sum.computes |= job->sum.computes;
		return;
	}
	use->vram_bytes += bytes;
	use->takers += (own_bytes > 0) + (inside_bytes > own_bytes);
	if (uses)
		use->slots += outside_slots(nodes->w, need, nodes->gpu);
	else if (job->sum.computes) /* they go on on its turn */
		use->slots += outside_slots(nodes->w, &job->now.need, nodes->gpu);
}

void outside_use(struct world *w, uint32_t gpu, const struct job *more, struct outside_use *ret_use)
{
	struct nodes nodes = {.w = w, .more = more, .gpu = gpu};
	*ret_use = (struct outside_use){0};
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (uses_here(&nodes, job))
			add(&nodes, job);
	}
	qsort(nodes.v, nodes.count, sizeof *nodes.v, later_first);
	for (size_t i = 0; i < nodes.count; i++)
		count(&nodes, nodes.v[i], ret_use);
}
