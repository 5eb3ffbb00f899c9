/* deadlock_oracle: the search for cycles written plainly, pass after pass over all who wait: cubic,
 * and easy to believe. The core's own must give the same answers. */
#include "deadlock_oracle.h"

#include <stdlib.h>

#include "core/claim.h"

/* A lease that waits, directly or not, for the new claim: through `via`, or as its parent. */
struct blocked {
	const struct claim *lease;
	const struct claim *via; /* the waiting claim it waits for; NULL: the new one */
};

struct graph {
	struct blocked *v;
	uint32_t count;
};

static const struct blocked *find(const struct graph *graph, const struct claim *lease)
{
	for (uint32_t i = 0; i < graph->count; i++)
		if (graph->v[i].lease == lease)
			return &graph->v[i];
	return NULL;
}

/* Could this GPU serve the need while the blocked leases stay? Their children run in their room. */
static bool served_without(const struct core *core, const struct graph *graph,
			   const struct need *need, uint32_t gpu)
{
	const struct gpu_config *config = &core->config.gpus[gpu];
	uint64_t room = config->vram_bytes_total, vram = need->vram_bytes;
	uint32_t slots = need_slots(core, need, gpu);

	for (uint32_t i = 0; i < graph->count; i++) {
		const struct claim *lease = graph->v[i].lease;
		if (!(lease->rec.granted_mask & (1u << gpu)))
			continue;
		slots += claim_slots(core, lease, gpu);
		vram += lease->vram_charged;
		if (!config->vram_known && need->vram_bytes > 0 && lease->vram_charged > 0)
			return false;
	}
	if (need->slots > 0 && slots > config->slots)
		return false;
	return need->vram_bytes == 0 || !config->vram_known || vram <= room;
}

static bool stuck(const struct core *core, const struct graph *graph, const struct need *need,
		  uint32_t mask)
{
	uint32_t free_count = 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if (mask & (1u << gpu))
			free_count += served_without(core, graph, need, gpu);
	return free_count < need->gpu_count;
}

/* With its parent, and the parent of that. */
static void block(const struct core *core, struct graph *graph, const struct claim *lease,
		  const struct claim *via)
{
	for (; lease && claim_has_room(lease) && !find(graph, lease);
	     via = lease, lease = claim_by_id(core, lease->rec.parent))
		graph->v[graph->count++] = (struct blocked){lease, via};
}

/* Adds the holders whose children can only be served by leases that are blocked already. */
static bool spread(const struct core *core, struct graph *graph)
{
	bool grew = false;

	list_each (it, next, &core->nested) {
		const struct claim *waiter = container_of(it, struct claim, in_nested);
		const struct claim *parent = claim_by_id(core, waiter->rec.parent);
		if (!parent || !claim_has_room(parent) || find(graph, parent))
			continue;
		if (!stuck(core, graph, &waiter->rec.need, waiter->mask))
			continue;
		block(core, graph, parent, waiter);
		grew = true;
	}
	return grew;
}

bool oracle_deadlock(const struct core *core, const struct claim_record *rec, uint32_t mask)
{
	const struct claim *parent = claim_by_id(core, rec->parent);
	struct graph graph = {0};
	bool found;

	if (!parent || !claim_has_room(parent))
		return false;
	graph.v = calloc(rank_tree_count(&core->holders) + 1, sizeof(*graph.v));
	if (!graph.v)
		abort();
	block(core, &graph, parent, NULL);
	while (!(found = stuck(core, &graph, &rec->need, mask)) && spread(core, &graph))
		;
	free(graph.v);
	return found;
}
