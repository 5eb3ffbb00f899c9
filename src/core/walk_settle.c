/* walk_settle: what a step leaves behind: who waits where, for the shares, and when to look
 * again. */
#include "core/ledger.h"
#include "core/schedule.h"
#include "core/shares.h"
#include "core/walk.h"
#include "core/walk_parts.h"

static void forget_heads(struct gpu *gpu)
{
	gpu->turn_head = gpu->memory_head = 0;
	gpu->head_due = false;
}

void walk_forget(struct core *core)
{
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		forget_heads(&core->gpus[gpu]);
}

static void settle_memory(struct core *core, const struct firsts *firsts, uint32_t gpu)
{
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		struct mono_ms *since = &core->gpus[gpu].memory_since[cls];
		struct mono_ms due;

		if (!firsts->v[gpu][cls]) {
			*since = MONO_NEVER;
			continue;
		}

		*since = mono_min(*since, core->now);
		due = mono_after(*since, walk_memory_ms(core, (enum lease_class)cls));

		if (!mono_due(due, core->now))
			core->wake = mono_min(core->wake, due);
	}
}

static void settle_turns(struct core *core, const struct firsts *firsts, uint32_t gpu)
{
	struct gpu *state = &core->gpus[gpu];

	state->waiting = 0;

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		struct mono_ms *due = &state->due_at[cls];
		*due = MONO_NEVER;
		if (!firsts->v[gpu][cls])
			continue;
		state->waiting |= (uint8_t)(1u << cls);

		*due = share_due_at(core, gpu, firsts->v[gpu][cls]);
		if (cls == LEASE_VOICE && !share_urgent(core, gpu))
			*due = mono_min(*due, share_urgent_at(core, gpu));
		if (!mono_due(*due, core->now))
			core->wake = mono_min(core->wake, *due);
	}
}

/* Nobody waits for this GPU. */
static void settle_empty(struct gpu *gpu)
{
	gpu->waiting = 0;
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		gpu->memory_since[cls] = gpu->due_at[cls] = MONO_NEVER;
}

void walk_retire(struct core *core)
{
	for (uint32_t gpu = core->config.gpu_count; gpu < LIMIT_GPUS; gpu++) {
		forget_heads(&core->gpus[gpu]);
		settle_empty(&core->gpus[gpu]);
	}
}

static bool has_waiters(const struct firsts *firsts, uint32_t gpu)
{
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		if (firsts->v[gpu][cls])
			return true;
	return false;
}

/* Who of them can be served changes by time alone: a reading becomes too old to count, and what was
 * left behind is no longer expected to go. */
static void settle_reading(struct core *core, const struct firsts *turns,
			   const struct firsts *memory, uint32_t gpu)
{
	const struct gpu *state = &core->gpus[gpu];
	struct mono_ms until = mono_after(state->measured, core->config.sample_ms_max);

	if (!has_waiters(turns, gpu) && !has_waiters(memory, gpu))
		return;

	if (state->used_known && mono_before(core->now, until))
		core->wake = mono_min(core->wake, until);
	if (ledger_vram_left(core, gpu) > 0)
		core->wake = mono_min(core->wake, state->left_until);
}

void walk_settle(struct core *core)
{
	uint32_t count = rank_tree_count(&core->places) == 0 ? 0 : core->config.gpu_count;
	const struct walk none = {0};
	struct firsts turns, memory;

	if (count > 0) {
		walk_prepare(core);
		walk_firsts(core, &none, false, &turns);
		walk_firsts(core, &none, true, &memory);
		walk_rewind(core, false);
	}

	for (uint32_t gpu = 0; gpu < count; gpu++) {
		settle_turns(core, &turns, gpu);
		settle_memory(core, &memory, gpu);
		settle_reading(core, &turns, &memory, gpu);
	}
	for (uint32_t gpu = count; gpu < core->config.gpu_count; gpu++)
		settle_empty(&core->gpus[gpu]);

	if (schedule_in_doubt(core, core->now))
		core->wake = mono_min(core->wake, core->in_doubt_until);
}
