/* deadlock: the wait-for graph, walked when a claim names the lease whose holder waits for it. New
 * edges appear only then, so a cycle is always found by the claim that would close it. */
#include "core/deadlock.h"

#include <stdio.h>
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
	uint32_t slots = need->slots;

	for (uint32_t i = 0; i < graph->count; i++) {
		const struct claim *lease = graph->v[i].lease;
		if (!(lease->rec.granted_mask & (1u << gpu)))
			continue;
		slots += lease->slots_charged;
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

/* Adds the holders whose children can only be served by leases that are blocked already. */
static bool spread(const struct core *core, struct graph *graph)
{
	bool grew = false;

	list_each(it, next, &core->nested)
	{
		const struct claim *waiter = container_of(it, struct claim, in_nested);
		const struct claim *parent = claim_by_id(core, waiter->rec.parent);
		if (!parent || !claim_has_room(parent) || find(graph, parent))
			continue;
		if (!stuck(core, graph, &waiter->rec.need, waiter->mask))
			continue;
		graph->v[graph->count++] = (struct blocked){parent, waiter};
		grew = true;
	}
	return grew;
}

/* The last blocked lease that holds a GPU of the mask: what stands in the claim's way. */
static const struct blocked *in_the_way(const struct graph *graph, uint32_t mask, uint32_t before)
{
	for (uint32_t i = before; i-- > 0;)
		if (graph->v[i].lease->rec.granted_mask & mask)
			return &graph->v[i];
	return NULL;
}

static void describe(const struct graph *graph, uint64_t claim_id, uint32_t mask, char *detail,
		     size_t size)
{
	const struct blocked *at = in_the_way(graph, mask, graph->count);
	size_t used = (size_t)snprintf(detail, size, "claim %llu", (unsigned long long)claim_id);

	/* Each step goes to an entry that was added earlier, so this ends. */
	while (at && used < size) {
		used += (size_t)snprintf(detail + used, size - used, " -> lease %llu (%.40s)",
					 (unsigned long long)at->lease->rec.id,
					 at->lease->rec.name);
		if (used >= size)
			break;
		used += (size_t)snprintf(
			detail + used, size - used, " -> claim %llu",
			(unsigned long long)(at->via ? at->via->rec.id : claim_id));
		if (!at->via)
			break;
		at = in_the_way(graph, at->via->mask, (uint32_t)(at - graph->v));
	}
}

bool deadlock_found(const struct core *core, const struct claim_record *rec, uint32_t mask,
		    char *detail, size_t detail_size)
{
	const struct claim *parent = claim_by_id(core, rec->parent);
	struct graph graph = {0};
	bool found;

	PRE(rec->parent != 0);
	PRE(detail_size > 0);
	if (!parent || !claim_has_room(parent))
		return false;
	graph.v = calloc(rank_tree_count(&core->holders) + 1, sizeof(*graph.v));
	if (!graph.v)
		abort();
	graph.v[graph.count++] = (struct blocked){parent, NULL};
	while (!(found = stuck(core, &graph, &rec->need, mask)) && spread(core, &graph))
		;
	INVARIANT(graph.count <= rank_tree_count(&core->holders));
	if (found)
		describe(&graph, rec->id, mask, detail, detail_size);
	free(graph.v);
	return found;
}
