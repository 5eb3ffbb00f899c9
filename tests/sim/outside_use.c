/* outside_use: what clients in truth use, house by house: whoever runs inside another computes on
 * its turn and in its memory. It judges nothing. Called by check_room.c and judge_idle.c. */
#include <assert.h>
#include <stdlib.h>

#include "outside.h"

enum { NODES_MAX = 1024 };

/* Everybody who uses one GPU, and those around them; each host has a lower number than its guests,
 * so from the highest down everybody comes before whom he is inside of. */
struct nodes {
	struct world *w;
	const struct want *more;
	uint32_t gpu;
	size_t count;
	struct want *v[NODES_MAX];
};

static bool uses_here(const struct nodes *nodes, const struct want *want)
{
	if (want == nodes->more)
		return true;
	return want_in_room(want, nodes->w->t) && (want->uses_mask >> nodes->gpu & 1);
}

/* Inside whom it is; NULL: it stands for itself, as does who is left of a house that is gone. */
static struct want *around(const struct nodes *nodes, const struct want *want)
{
	struct want *host = want_of_lease(nodes->w, want->inside);
	return host && host != want && host->live ? host : NULL;
}

static void add(struct nodes *nodes, struct want *want)
{
	for (size_t i = 0; i < nodes->count; i++)
		if (nodes->v[i] == want)
			return;
	assert(nodes->count < NODES_MAX);
	want->sum.inside_bytes = 0;
	want->sum.used = uses_here(nodes, want);
	nodes->v[nodes->count++] = want;
	if (around(nodes, want))
		add(nodes, around(nodes, want));
}

static int later_first(const void *a, const void *b)
{
	const struct want *one = *(struct want *const *)a, *other = *(struct want *const *)b;
	return (one->lease < other->lease) - (one->lease > other->lease);
}

/* Those inside use its memory first: of one house it is whatever is more. Its turn is one. */
static void count(const struct nodes *nodes, struct want *want, struct outside_use *use)
{
	const struct need *need = want == nodes->more ? &want->need : &want->uses_need;
	bool uses = uses_here(nodes, want);
	uint64_t own_bytes = uses ? need->vram_bytes : 0, inside_bytes = want->sum.inside_bytes;
	uint64_t bytes = own_bytes > inside_bytes ? own_bytes : inside_bytes;
	struct want *host = around(nodes, want);
	if (host) {
		host->sum.inside_bytes += bytes;
		host->sum.used |= want->sum.used;
		return;
	}
	use->vram_bytes += bytes;
	use->takers += (own_bytes > 0) + (inside_bytes > own_bytes);
	if (uses)
		use->slots += outside_slots(nodes->w, need, nodes->gpu);
	else if (want->sum.used) /* they go on on its turn */
		use->slots += outside_slots(nodes->w, &want->now.need, nodes->gpu);
}

void outside_use(struct world *w, uint32_t gpu, const struct want *more,
		 struct outside_use *ret_use)
{
	struct nodes nodes = {.w = w, .more = more, .gpu = gpu};
	*ret_use = (struct outside_use){0};
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		if (uses_here(&nodes, want))
			add(&nodes, want);
	}
	qsort(nodes.v, nodes.count, sizeof *nodes.v, later_first);
	for (size_t i = 0; i < nodes.count; i++)
		count(&nodes, nodes.v[i], ret_use);
}
