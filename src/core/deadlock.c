/* deadlock: the wait-for graph, walked when a claim names the lease whose holder waits for it. New
 * edges appear only then, so a cycle is always found by the claim that would close it. The set of
 * waiters left without a GPU only grows as leases become blocked, so each waiter is examined once
 * per GPU, largest needs first: the cost is that of sorting the waiters. */
#include "core/deadlock.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/contracts.h"
#include "base/memory.h"
#include "core/claim.h"
#include "core/state.h"

/* A lease that waits, directly or not, for the new claim: through `via`, or as its parent. */
struct blocked {
	const struct claim *lease;
	const struct claim *via; /* the waiting claim it waits for; NULL: the new one */
};

/* A claim for which a holder waits, or the new one. */
struct caller {
	const struct claim *claim;  /* NULL: the new one */
	const struct claim *parent; /* NULL: nobody new is blocked by it */
	struct need need;           /* of the GPUs: beside what its host has for it */
	uint32_t mask;              /* GPUs that can serve it beside the blocked leases */
	struct caller *next;        /* waits for the same host */
};

/* Places of a host: the callers waiting for one, and how many are taken by blocked guests. */
struct places {
	struct caller *callers;
	uint32_t taken;
};

enum resource { SLOTS, VRAM, RESOURCE_COUNT };
#define ALL_SLOTS UINT64_MAX /* of any GPU, so none may be taken */

struct demand {
	uint64_t amount;
	struct caller *caller;
};

/* What blocked leases have of one GPU, and how many of the sorted demands they keep out. */
struct load {
	uint64_t taken[RESOURCE_COUNT];
	uint32_t kept_out[RESOURCE_COUNT];
};

struct graph {
	const struct core *core;
	struct blocked *v;
	bool *blocked;         /* by their place among the holders */
	struct places *places; /* likewise */
	struct caller *callers;
	struct demand *demands[RESOURCE_COUNT]; /* largest first */
	struct load loads[LIMIT_GPUS];
	uint32_t count, caller_count;
	bool found;
};

/* With a lease that is blocked its own parent waits, too. */
static void block_lease(struct graph *graph, const struct claim *lease, const struct claim *via)
{
	while (lease && claim_has_room(lease)) {
		bool *blocked = &graph->blocked[rank_tree_rank(&lease->place)];
		if (*blocked)
			return;
		graph->v[graph->count++] = (struct blocked){lease, via};
		*blocked = true;
		via = lease;
		lease = lease->rec.parent ? claim_by_id(graph->core, lease->rec.parent) : NULL;
	}
}

/* Too few GPUs are left for it: the lease that waits for it is blocked as well. */
static void judge_caller(struct graph *graph, struct caller *caller)
{
	if (mask_count(caller->mask) >= caller->need.gpu_count)
		return;
	if (!caller->claim)
		graph->found = true;
	else if (caller->parent)
		block_lease(graph, caller->parent, caller->claim);
	caller->parent = NULL;
}

static bool keeps_out(const struct graph *graph, uint32_t gpu, enum resource resource,
		      uint64_t amount)
{
	const struct gpu_config *config = &graph->core->config.gpus[gpu];
	uint64_t taken = graph->loads[gpu].taken[resource];

	if (amount == 0)
		return false;
	if (resource == SLOTS && amount == ALL_SLOTS)
		return taken > 0;
	if (resource == SLOTS)
		return amount + taken > config->slots;
	return config->vram_known ? amount + taken > config->vram_bytes_total : taken > 0;
}

static void exclude_callers(struct graph *graph, uint32_t gpu, enum resource resource)
{
	uint32_t *at = &graph->loads[gpu].kept_out[resource];

	for (; *at < graph->caller_count; (*at)++) {
		const struct demand *demand = &graph->demands[resource][*at];
		if (!keeps_out(graph, gpu, resource, demand->amount))
			return;

		if (!(demand->caller->mask & (1u << gpu)))
			continue;
		demand->caller->mask &= ~(1u << gpu);
		judge_caller(graph, demand->caller);
	}
}

static void take_place(struct graph *graph, const struct claim *host)
{
	struct places *places = &graph->places[rank_tree_rank(&host->place)];
	uint32_t count = host->rec.guests > 0 ? host->rec.guests : 1;

	if (++places->taken < count)
		return;

	for (struct caller *caller = places->callers; caller; caller = caller->next) {
		caller->mask = 0;
		judge_caller(graph, caller);
	}
}

/* The capacity of a blocked lease stays taken; its children run inside it. */
static void add_load(struct graph *graph, const struct claim *lease)
{
	if (lease->host)
		take_place(graph, lease->host);

	for (uint32_t gpu = 0; gpu < graph->core->config.gpu_count; gpu++) {
		if (!(lease->rec.granted_mask & (1u << gpu)))
			continue;
		graph->loads[gpu].taken[SLOTS] += claim_slots(graph->core, lease, gpu);
		graph->loads[gpu].taken[VRAM] += lease->vram_charged;
		exclude_callers(graph, gpu, SLOTS);
		exclude_callers(graph, gpu, VRAM);
	}
}

static int larger_first(const void *left, const void *right)
{
	const struct demand *a = left, *b = right;

	if (a->amount != b->amount)
		return a->amount > b->amount ? -1 : 1;
	return (a->caller > b->caller) - (a->caller < b->caller);
}

static void *alloc_zeroed(size_t count, size_t size)
{
	return check_memory(calloc(count, size));
}

/* What its host has needs no GPU; a host that waits itself needs what it needs. */
static void seek_host(struct graph *graph, struct caller *caller, const struct claim *host)
{
	struct places *places;

	if (!claim_has_room(host)) {
		caller->need = host->rec.need;
		caller->mask = host->mask;
		return;
	}

	places = &graph->places[rank_tree_rank(&host->place)];
	caller->next = places->callers;
	places->callers = caller;

	caller->mask &= host->rec.granted_mask;
	caller->need.slots = 0;
	caller->need.all_slots = false;
	caller->need.vram_bytes = caller->need.vram_bytes > host->rec.need.vram_bytes
					  ? caller->need.vram_bytes - host->rec.need.vram_bytes
					  : 0;
}

static void add_caller(struct graph *graph, const struct claim *claim, const struct claim *parent,
		       const struct claim_record *rec, uint32_t mask)
{
	uint32_t configured = (uint32_t)((1ull << graph->core->config.gpu_count) - 1);
	const struct claim *host = rec->host ? claim_by_id(graph->core, rec->host) : NULL;
	uint32_t at = graph->caller_count++;
	struct caller *caller = &graph->callers[at];

	*caller = (struct caller){claim, parent, rec->need, mask, NULL};
	if (host)
		seek_host(graph, caller, host);

	caller->mask &= configured;
	graph->demands[SLOTS][at] =
		(struct demand){caller->need.all_slots ? ALL_SLOTS : caller->need.slots, caller};
	graph->demands[VRAM][at] = (struct demand){caller->need.vram_bytes, caller};
}

static void collect_callers(struct graph *graph, const struct claim_record *rec, uint32_t mask)
{
	uint32_t most = 1;

	list_each (it, next, &graph->core->nested)
		most++;

	graph->callers = alloc_zeroed(most, sizeof(*graph->callers));
	for (int resource = 0; resource < RESOURCE_COUNT; resource++)
		graph->demands[resource] = alloc_zeroed(most, sizeof(struct demand));

	add_caller(graph, NULL, NULL, rec, mask);
	list_each (it, next, &graph->core->nested) {
		const struct claim *claim = container_of(it, struct claim, in_nested);
		const struct claim *parent = claim_by_id(graph->core, claim->rec.parent);
		if (parent && claim_has_room(parent))
			add_caller(graph, claim, parent, &claim->rec, claim->mask);
	}

	for (int resource = 0; resource < RESOURCE_COUNT; resource++)
		qsort(graph->demands[resource], graph->caller_count, sizeof(struct demand),
		      larger_first);
}

/* From the parent on: what blocked leases keep out blocks more of them, until nothing is new. */
static void spread_blocking(struct graph *graph)
{
	for (uint32_t i = 0; i < graph->caller_count; i++)
		judge_caller(graph, &graph->callers[i]);
	for (uint32_t i = 0; i < graph->count && !graph->found; i++)
		add_load(graph, graph->v[i].lease);
}

/* The last blocked lease that holds a GPU of the mask: what stands in the claim's way. */
static const struct blocked *in_the_way(const struct graph *graph, uint32_t mask, uint32_t before)
{
	for (uint32_t i = before; i-- > 0;)
		if (graph->v[i].lease->rec.granted_mask & mask)
			return &graph->v[i];
	return NULL;
}

static void describe_cycle(const struct graph *graph, uint64_t claim_id, uint32_t mask,
			   char *detail, size_t size)
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
	uint32_t holders = rank_tree_count(&core->holders);
	struct graph graph = {.core = core};

	PRE(rec->parent != 0);
	PRE(detail_size > 0);

	if (!parent || !claim_has_room(parent))
		return false;

	graph.v = alloc_zeroed(holders, sizeof(*graph.v));
	graph.blocked = alloc_zeroed(holders, sizeof(bool));
	graph.places = alloc_zeroed(holders, sizeof(*graph.places));

	collect_callers(&graph, rec, mask);
	block_lease(&graph, parent, NULL);
	spread_blocking(&graph);

	INVARIANT(graph.count <= holders);
	if (graph.found)
		describe_cycle(&graph, rec->id, mask, detail, detail_size);

	free(graph.v);
	free(graph.blocked);
	free(graph.places);
	free(graph.callers);
	free(graph.demands[SLOTS]);
	free(graph.demands[VRAM]);
	return graph.found;
}
