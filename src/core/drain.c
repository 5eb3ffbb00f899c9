/* drain: from the end of a lease until its capacity is free. The ledger keeps charging it; the
 * scheduler counts it among the leavers. */
#include "core/drain.h"

#include <stdio.h>

#include "base/contracts.h"
#include "core/claim.h"
#include "core/emit.h"
#include "core/event.h"
#include "core/host.h"
#include "core/ledger.h"
#include "core/timer.h"

/* GPUs on which a probe saw its session use memory; where nothing is measured, a release is taken
 * at its word. */
static uint32_t measured_gpus(const struct core *core, const struct claim *claim)
{
	uint32_t gpus = 0;

	if (!claim->session || !session_has_process(claim->session) || claim->host ||
	    claim->vram_charged == 0)
		return 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if ((claim->rec.granted_mask & (1u << gpu)) &&
		    claim->session->vram[gpu].observed > 0)
			gpus |= 1u << gpu;
	return gpus;
}

/* A borrower needs no host any more: it goes on in its own right. */
static bool has_guests(const struct claim *claim)
{
	return claim_guests(claim) > 0 && claim->rec.guests > 0;
}

bool drain_needed(const struct core *core, const struct claim *claim)
{
	if (!claim_has_room(claim) || claim->rec.state == CLAIM_OFFERED ||
	    claim->rec.state == CLAIM_DRAINING)
		return false;
	return has_guests(claim) || measured_gpus(core, claim) != 0;
}

static void charge_anew(struct core *core, struct claim *claim)
{
	ledger_drop(core, claim);
	ledger_take(core, claim);
	ledger_recap(core, claim->rec.granted_mask);
	core->queue_changed = true;
}

void drain_begin(struct core *core, struct claim *claim, enum end_reason end)
{
	PRE(drain_needed(core, claim));

	claim->rec.end = end;
	claim->rec.revoked = true;
	claim->yield_since = core->now;
	claim->deadline = MONO_NEVER;

	claim_move(core, claim, CLAIM_DRAINING);
	claim_unname(core, claim);
	host_over(core, claim);

	drain_settle(core, claim);
}

void drain_settle(struct core *core, struct claim *claim)
{
	uint32_t guests = claim_guests(claim);

	if (claim->rec.state != CLAIM_DRAINING)
		return;
	if (guests > 0 && (claim->slots_charged == 0 || ledger_turn_used(claim)))
		return;

	charge_anew(core, claim);
	if (guests > 0)
		return;

	claim->mask = measured_gpus(core, claim);
	if (claim->mask == 0) {
		claim_end(core, claim, claim->rec.end);
		return;
	}

	claim->deadline = mono_after(core->now, core->config.drain_ms_max);
	timer_arm_claim(core, claim);
	POST(claim->slots_charged == 0);
}

/* By its own figure, or by what its session may still use for others. */
static bool is_free(const struct claim *claim, const struct event *event)
{
	const struct session_vram *vram = &claim->session->vram[event->sample.gpu];

	for (uint32_t i = 0; i < event->sample.observed_count; i++)
		if (event->sample.observed[i].lease == claim->rec.id)
			return event->sample.observed[i].vram_bytes == 0;

	PRE(vram->declared >= claim->vram_charged);
	return vram->observed <= vram->declared - claim->vram_charged;
}

void drain_judge(struct core *core, const struct event *event, struct mono_ms measured)
{
	uint32_t gpu = event->sample.gpu;
	struct claim *claim = ledger_holder_after(core, gpu, HOLDER_KEEPS, 0);

	while (claim) {
		uint64_t id = claim->rec.id;
		if (claim->rec.state == CLAIM_DRAINING && claim_guests(claim) == 0 &&
		    mono_before(claim->yield_since, measured) && is_free(claim, event))
			claim->mask &= ~(1u << gpu);

		if (claim->rec.state == CLAIM_DRAINING && claim_guests(claim) == 0 &&
		    claim->mask == 0)
			claim_end(core, claim, claim->rec.end);

		claim = ledger_holder_after(core, gpu, HOLDER_KEEPS, id);
	}
}

void drain_due(struct core *core, struct claim *claim)
{
	struct trace_effect *trace;

	PRE(claim->rec.state == CLAIM_DRAINING);

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if (claim->mask & (1u << gpu))
			text_copy(core->gpus[gpu].left_by, sizeof(core->gpus[gpu].left_by),
				  claim->rec.name);

	trace = trace_claim(core, claim, TRACE_LEFTOVER);
	trace->gpus = claim->mask;
	snprintf(trace->detail, sizeof(trace->detail),
		 "up to %llu MiB are still in use %lld s after its end",
		 (unsigned long long)(claim->vram_charged >> 20),
		 (long long)mono_since(core->now, claim->yield_since) / 1000);

	claim_end(core, claim, claim->rec.end);
}
