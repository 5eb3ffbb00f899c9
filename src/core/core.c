/* core: making a core and freeing it with all that it holds. Handles no event (core_step.c). */
#include "core/core.h"

#include <stdlib.h>

#include "base/memory.h"
#include "core/effect.h"
#include "core/principal.h"
#include "core/state.h"

struct core *core_create(void)
{
	struct core *core = check_memory(calloc(1, sizeof(*core)));

	core->now = (struct mono_ms){INT64_MIN};
	core->last_tick = core->frozen_until = core->lost_until = core->now;
	core->in_doubt_until = core->shares_at = core->now;

	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++)
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
			core->gpus[gpu].memory_since[cls] = core->gpus[gpu].due_at[cls] =
				MONO_NEVER;

	core->wake = core->next_heartbeat = MONO_NEVER;
	core->unsettled = UINT32_MAX;
	core->journal_ok = true;

	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++)
		core->gpus[gpu].measured = core->gpus[gpu].pool_since = core->gpus[gpu].left_until =
			MONO_PAST;
	for (int binding = 0; binding < BINDING_COUNT; binding++)
		core->withheld |= binding_table[binding].outside ? 1u << binding : 0;

	list_init(&core->groups);
	list_init(&core->nested);
	list_init(&core->hosted);
	list_init(&core->asked);
	list_init(&core->principals);
	list_init(&core->idle_principals);
	list_init(&core->dirty_claims);
	list_init(&core->ended_claims);
	list_init(&core->dirty_sessions);
	list_init(&core->ended_sessions);

	effects_init(&core->out);
	effects_init(&core->answers);
	effects_init(&core->admin_records);
	core->discard = check_memory(calloc(1, sizeof(*core->discard)));
	return core;
}

static void free_claims(struct core *core)
{
	for (size_t i = 0; i < core->claims_by_id.size; i++)
		while (core->claims_by_id.v[i]) {
			struct claim *claim =
				container_of(core->claims_by_id.v[i], struct claim, by_id);
			core->claims_by_id.v[i] = claim->by_id.next;
			free(claim->seats);
			free(claim->house);
			free(claim->detail);
			free(claim);
		}
}

void core_destroy(struct core *core)
{
	struct rank_node *node;

	if (!core)
		return;

	free_claims(core);

	while ((node = rank_tree_first(&core->sessions))) {
		struct session *session = session_of_id(node);
		rank_tree_remove(&core->sessions, node);
		free(session);
	}

	list_each (it, next, &core->groups)
		free(container_of(it, struct group, in_groups));
	list_each (it, next, &core->hosted)
		free(container_of(it, struct group, in_groups));

	hash_finish(&core->claims_by_id);
	hash_finish(&core->claims_by_token);
	hash_finish(&core->claims_by_request);
	hash_finish(&core->claims_by_owner);
	hash_finish(&core->claims_by_conn);
	hash_finish(&core->sessions_by_conn);
	hash_finish(&core->sessions_by_secret);
	principal_finish(core);

	heap_finish(&core->claim_timers);
	heap_finish(&core->session_timers);

	effects_finish(&core->out);
	effects_finish(&core->answers);
	effects_finish(&core->admin_records);
	free(core->discard);
	free(core);
}
