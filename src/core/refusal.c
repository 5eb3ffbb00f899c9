/* refusal: names what was asked for and what there is at most. Decides nothing: the caller already
 * knows that it does not fit. */
#include "core/refusal.h"

#include <stdio.h>

#include "base/contracts.h"
#include "core/ledger.h"

enum { NAME_BYTES = 40 };

static const char *plural_ending(uint32_t count)
{
	return count == 1 ? "" : "s";
}

/* Tenths of a GiB, as leases get them: rounded down. */
static unsigned tenths_gib(uint64_t bytes)
{
	return (unsigned)(bytes / ((UINT64_C(1) << 30) / 10));
}

static void too_few(const struct core *core, const struct need *need, uint32_t named, char *detail,
		    size_t size)
{
	uint32_t count = mask_count(named);

	if (count < core->config.gpu_count)
		snprintf(detail, size, "it asks for %u GPUs and names %u", need->gpu_count, count);
	else
		snprintf(detail, size, "it asks for %u GPUs, and there %s %u", need->gpu_count,
			 count == 1 ? "is" : "are", count);
}

/* The named GPU with the most slots, or, among those with enough, the one with the most VRAM. */
static uint32_t largest_gpu(const struct core *core, const struct need *need, uint32_t named,
			    bool by_slots)
{
	uint32_t best = LIMIT_GPUS;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		const struct gpu_config *config = &core->config.gpus[gpu];
		if (!(named & (1u << gpu)) || (!by_slots && config->slots < need->slots))
			continue;

		bool better = best == LIMIT_GPUS ||
			      (by_slots ? config->slots > core->config.gpus[best].slots
					: ledger_room(core, gpu) > ledger_room(core, best));
		best = better ? gpu : best;
	}

	POST(best < LIMIT_GPUS);
	return best;
}

static void too_small(const struct core *core, const struct need *need, uint32_t named,
		      char *detail, size_t size)
{
	uint32_t gpu = largest_gpu(core, need, named, true);
	const struct gpu_config *config = &core->config.gpus[gpu];

	if (config->slots < need->slots) {
		snprintf(detail, size, "it asks for %u slot%s, and %.*s has %u", need->slots,
			 plural_ending(need->slots), NAME_BYTES, config->name, config->slots);
		return;
	}

	gpu = largest_gpu(core, need, named, false);
	config = &core->config.gpus[gpu];

	unsigned want = tenths_gib(need->vram_bytes), room = tenths_gib(ledger_room(core, gpu)),
		 total = tenths_gib(config->vram_bytes_total);

	snprintf(detail, size, "it asks for %u.%u GiB of VRAM, and %.*s has %u.%u of %u.%u GiB",
		 want / 10, want % 10, NAME_BYTES, config->name, room / 10, room % 10, total / 10,
		 total % 10);
}

void refusal_never_fits(const struct core *core, const struct need *need, char *detail, size_t size)
{
	uint32_t named = need_named(core, need), fitting = ledger_eligible(core, need);

	PRE(named != 0);
	PRE(mask_count(fitting) < need->gpu_count);

	if (mask_count(named) < need->gpu_count)
		too_few(core, need, named, detail, size);
	else if (fitting == 0)
		too_small(core, need, named, detail, size);
	else
		snprintf(detail, size, "it asks for %u GPUs, and only %u of %u %s large enough",
			 need->gpu_count, mask_count(fitting), mask_count(named),
			 mask_count(fitting) == 1 ? "is" : "are");
}
