/* principal: the table of principals and what is counted of each. It refuses nothing (caps.c does,
 * by these counts) and orders nothing. */
#include "core/principal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contracts.h"
#include "base/memory.h"
#include "core/emit.h"
#include "core/state.h"

enum { SHAPES_FIRST = 4 };

void principal_name(char *ret_name, const char *given, int64_t uid)
{
	if (given && given[0])
		text_copy(ret_name, LIMIT_PRINCIPAL_BYTES + 1, given);
	else if (uid >= 0)
		snprintf(ret_name, LIMIT_PRINCIPAL_BYTES + 1, "uid:%" PRId64, uid);
	else
		text_copy(ret_name, LIMIT_PRINCIPAL_BYTES + 1, "token");
	POST(ret_name[0] != '\0');
}

static uint64_t name_hash(const struct core *core, const char *name)
{
	return hash_bytes(core->hash_seed, name, strlen(name));
}

struct principal *principal_find(const struct core *core, const char *name)
{
	struct hash_node *node = hash_first(&core->principals_by_name, name_hash(core, name));

	PRE(name[0] != '\0');
	for (; node; node = hash_next(node)) {
		struct principal *principal = container_of(node, struct principal, by_name);
		if (strcmp(principal->name, name) == 0)
			return principal;
	}
	return NULL;
}

static struct principal *create_principal(struct core *core, const char *name)
{
	struct principal *principal = check_memory(calloc(1, sizeof(*principal)));

	text_copy(principal->name, sizeof(principal->name), name);
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		principal->last_tag[cls] = (struct mono_ms){INT64_MIN};

	hash_add(&core->principals_by_name, &principal->by_name, name_hash(core, name));
	list_init(&principal->in_core);
	return principal;
}

/* It was idle: its past tags no longer count, whether it was swept or not. */
static void forget_past_tags(const struct core *core, struct principal *principal)
{
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		if (mono_due(principal->last_tag[cls], core->now))
			principal->last_tag[cls] = MONO_PAST;
}

struct principal *principal_of(const struct core *core, const struct session *session,
			       const char *name)
{
	return session && session->principal ? session->principal : principal_find(core, name);
}

struct principal *principal_join(struct core *core, const struct session *session, const char *name)
{
	struct principal *principal = principal_of(core, session, name);

	if (!principal)
		principal = create_principal(core, name);

	if (principal->refs++ == 0) {
		if (!core->importing)
			forget_past_tags(core, principal);
		list_remove(&principal->in_core);
		list_append(&core->principals, &principal->in_core);
	}
	return principal;
}

struct principal *principal_leave(struct core *core, struct principal *principal)
{
	if (!principal)
		return NULL;

	INVARIANT(principal->refs > 0);
	if (--principal->refs == 0) {
		INVARIANT(principal->shape_count == 0);
		list_remove(&principal->in_core);
		list_append(&core->idle_principals, &principal->in_core);
	}

	return NULL;
}

static void destroy_principal(struct core *core, struct principal *principal)
{
	hash_remove(&core->principals_by_name, &principal->by_name);
	list_remove(&principal->in_core);
	free(principal->shapes);
	free(principal);
}

static bool same_need(const struct need *a, const struct need *b)
{
	return a->vram_bytes == b->vram_bytes && a->slots == b->slots &&
	       a->all_slots == b->all_slots && a->gpu_count == b->gpu_count &&
	       a->gpu_mask == b->gpu_mask;
}

static struct shape *find_shape(const struct principal *principal, const struct need *need)
{
	for (uint32_t i = 0; i < principal->shape_count; i++)
		if (same_need(&principal->shapes[i].need, need))
			return &principal->shapes[i];
	return NULL;
}

static struct shape *add_shape(struct principal *principal, const struct need *need)
{
	struct shape *shape;

	if (principal->shape_count == principal->shape_size) {
		uint32_t size = principal->shape_size ? principal->shape_size * 2 : SHAPES_FIRST;
		shape = check_memory(realloc(principal->shapes, size * sizeof(*shape)));
		principal->shapes = shape;
		principal->shape_size = size;
	}

	shape = &principal->shapes[principal->shape_count++];
	*shape = (struct shape){.need = *need};
	return shape;
}

bool principal_wants(const struct principal *principal, const struct need *need)
{
	return find_shape(principal, need) != NULL;
}

void principal_waits(struct claim *claim)
{
	struct principal *principal = claim->principal;
	struct shape *shape = find_shape(principal, &claim->rec.need);

	PRE(claim->rec.state == CLAIM_QUEUED);
	principal->waiting[claim->rec.cls]++;

	if (!shape)
		shape = add_shape(principal, &claim->rec.need);
	shape->waiting++;
}

void principal_waits_no_more(struct claim *claim)
{
	struct principal *principal = claim->principal;
	struct shape *shape = find_shape(principal, &claim->rec.need);

	INVARIANT(principal->waiting[claim->rec.cls] > 0);
	INVARIANT(shape && shape->waiting > 0);
	principal->waiting[claim->rec.cls]--;
	if (--shape->waiting == 0)
		*shape = principal->shapes[--principal->shape_count];
}

void principal_holds(struct claim *claim)
{
	PRE(claim->principal != NULL);
	claim->principal->held[claim->rec.cls]++;
}

void principal_holds_no_more(struct claim *claim)
{
	INVARIANT(claim->principal->held[claim->rec.cls] > 0);
	claim->principal->held[claim->rec.cls]--;
}

static uint32_t sum_down_to(const uint32_t *counts, enum lease_class last)
{
	uint32_t total = 0;

	for (int cls = 0; cls <= (int)last; cls++)
		total += counts[cls];
	return total;
}

uint32_t principal_waiting(const struct principal *principal, enum lease_class cls)
{
	return sum_down_to(principal->waiting, cls);
}

uint32_t principal_held(const struct principal *principal, enum lease_class cls)
{
	return sum_down_to(principal->held, cls);
}

bool principal_remembered(const struct principal *principal)
{
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		if (principal->last_tag[cls].v != INT64_MIN)
			return true;
	return false;
}

static bool has_future(const struct core *core, const struct principal *principal)
{
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		if (mono_before(core->now, principal->last_tag[cls]))
			return true;
	return false;
}

/* One at a time: the last of thousands to leave takes no longer than the first. */
void principal_sweep(struct core *core)
{
	struct principal *principal;

	if (list_empty(&core->idle_principals))
		return;

	principal = container_of(core->idle_principals.next, struct principal, in_core);
	INVARIANT(principal->refs == 0);

	if (!has_future(core, principal)) {
		destroy_principal(core, principal);
		return;
	}

	list_remove(&principal->in_core);
	list_append(&core->idle_principals, &principal->in_core);
}

static void destroy_all(struct core *core, struct list *principals)
{
	list_each (it, next, principals)
		destroy_principal(core, container_of(it, struct principal, in_core));
}

void principal_finish(struct core *core)
{
	destroy_all(core, &core->principals);
	destroy_all(core, &core->idle_principals);
	hash_finish(&core->principals_by_name);
}

void principal_check(const struct core *core)
{
	uint32_t waiting = 0, held = 0, count = 0;

	list_each (it, next, &core->principals) {
		const struct principal *principal = container_of(it, struct principal, in_core);
		uint32_t in_shapes = 0;

		for (uint32_t i = 0; i < principal->shape_count; i++)
			in_shapes += principal->shapes[i].waiting;
		INVARIANT(in_shapes == principal_waiting(principal, LEASE_BACKGROUND));
		INVARIANT(principal->refs > 0);

		waiting += in_shapes;
		held += principal_held(principal, LEASE_BACKGROUND);
		count++;
	}

	INVARIANT(count <= core->principals_by_name.count);
	INVARIANT(waiting == rank_tree_count(&core->places));
	INVARIANT(held == rank_tree_count(&core->holders));
}
