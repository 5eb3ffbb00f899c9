/* notice: see notice.h. What is true is told when it becomes so, and again after it was not. */
#include "core/notice.h"

#include <stdio.h>

#include "base/contracts.h"
#include "core/emit.h"
#include "core/ledger.h"

int64_t notice_idle_ms(const struct core *core, const struct claim *claim)
{
	int64_t idle_ms = mono_since(core->now, claim->rec.held_since);

	if (claim->slots_charged == 0 || !claim_is_held(claim) || claim->rec.state == CLAIM_LOADING)
		return 0;
	mask_each (gpu, claim->rec.granted_mask)
		idle_ms = ms_shorter(idle_ms, core->gpus[gpu].idle_ms);
	return idle_ms > 0 ? idle_ms : 0;
}

/* The GPU on which its session uses more than all that it declared there; LIMIT_GPUS: none. */
static uint32_t over_on(const struct core *core, const struct claim *claim)
{
	if (!claim->session || !session_has_process(claim->session) || claim->vram_charged == 0)
		return LIMIT_GPUS;

	mask_each (gpu, claim->rec.granted_mask) {
		const struct session_vram *vram = &claim->session->vram[gpu];
		if (core->gpus[gpu].used_known &&
		    vram->observed > vram->declared + NOTICE_OVER_BYTES)
			return gpu;
	}
	return LIMIT_GPUS;
}

/* Of all the leases of its session: the GPUs that it was given. */
static uint32_t mask_of_session(const struct session *session)
{
	uint32_t mask = 0;
	list_each (it, next, &session->claims) {
		const struct claim *claim = container_of(it, struct claim, in_session);
		if (!claim_over(claim))
			mask |= claim->rec.granted_mask;
	}
	return mask;
}

/* A GPU that its session uses and has no lease on; LIMIT_GPUS: none. Told with each of its leases.
 */
static uint32_t astray_on(const struct core *core, const struct claim *claim)
{
	const struct session *session = claim->session;
	if (!session || !session_has_process(session))
		return LIMIT_GPUS;

	uint32_t mask = mask_of_session(session);
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if (!(mask & 1u << gpu) && core->gpus[gpu].used_known &&
		    session->vram[gpu].observed > NOTICE_OVER_BYTES)
			return gpu;
	return LIMIT_GPUS;
}

static uint32_t lost_on(const struct core *core, const struct claim *claim)
{
	mask_each (gpu, claim->rec.granted_mask)
		if (!core->gpus[gpu].healthy)
			return gpu;
	return LIMIT_GPUS;
}

static const char *gpu_name(const struct core *core, uint32_t gpu)
{
	return gpu < core->config.gpu_count ? core->config.gpus[gpu].name : "a GPU";
}

static void describe_notice(const struct core *core, const struct claim *claim, enum notice notice,
			    char *ret_text, size_t size)
{
	const struct session_vram *vram;
	uint32_t gpu = mask_first(claim->rec.granted_mask);

	ret_text[0] = '\0';
	switch (notice) {
	case NOTICE_IDLE:
		(void)snprintf(ret_text, size,
			       "%s has computed nothing for %lld s; if it is not needed, give it "
			       "back.",
			       gpu_name(core, gpu),
			       (long long)(notice_idle_ms(core, claim) / 1000));
		break;
	case NOTICE_OVER:
		gpu = over_on(core, claim);
		vram = &claim->session->vram[gpu];
		(void)snprintf(ret_text, size,
			       "It uses %llu MiB of %s and declared %llu: it counts with what it "
			       "uses.",
			       (unsigned long long)(vram->observed >> 20), gpu_name(core, gpu),
			       (unsigned long long)(vram->declared >> 20));
		break;
	case NOTICE_LOST:
		(void)snprintf(ret_text, size,
			       "%s was lost: the driver does not reach it any more.",
			       gpu_name(core, lost_on(core, claim)));
		break;
	case NOTICE_BACK:
		(void)snprintf(ret_text, size, "%s is back; what it held in memory is not.",
			       gpu_name(core, gpu));
		break;
	case NOTICE_ASTRAY:
		gpu = astray_on(core, claim);
		(void)snprintf(ret_text, size, "It uses %llu MiB of %s, on which it has no lease.",
			       (unsigned long long)(claim->session->vram[gpu].observed >> 20),
			       gpu_name(core, gpu));
		break;
	case NOTICE_COUNT:
		break;
	}
}

static void tell_holder(struct core *core, const struct claim *claim, enum notice notice)
{
	struct trace_effect *trace = trace_claim(core, claim, TRACE_NOTICE);

	describe_notice(core, claim, notice, trace->detail, sizeof(trace->detail));
	if (!claim->session)
		return; /* plain: nobody listens */

	struct send_effect *send = emit_claim(core, claim, SEND_NOTICE);
	send->notice = notice;
	describe_notice(core, claim, notice, send->detail, sizeof(send->detail));
}

static uint8_t bit_of(enum notice notice)
{
	return (uint8_t)(1u << notice);
}

static uint8_t truths_of(const struct core *core, const struct claim *claim)
{
	uint8_t truths = 0;

	if (notice_idle_ms(core, claim) >= NOTICE_IDLE_MS)
		truths |= bit_of(NOTICE_IDLE);
	if (over_on(core, claim) != LIMIT_GPUS)
		truths |= bit_of(NOTICE_OVER);
	if (lost_on(core, claim) != LIMIT_GPUS)
		truths |= bit_of(NOTICE_LOST);
	if (astray_on(core, claim) != LIMIT_GPUS)
		truths |= bit_of(NOTICE_ASTRAY);
	return truths;
}

static void judge_claim(struct core *core, struct claim *claim)
{
	uint8_t truths, before = claim->noticed;

	if (claim_over(claim) || claim->rec.state == CLAIM_OFFERED)
		return;
	truths = truths_of(core, claim);
	claim->noticed = truths;

	for (int notice = 0; notice < NOTICE_COUNT; notice++)
		if (truths & ~before & bit_of((enum notice)notice))
			tell_holder(core, claim, (enum notice)notice);
	if (before & ~truths & bit_of(NOTICE_LOST))
		tell_holder(core, claim, NOTICE_BACK);
}

void notice_judge(struct core *core, uint32_t gpu)
{
	PRE(gpu < core->config.gpu_count);

	for (int kind = 0; kind < HOLDER_KIND_COUNT; kind++)
		gpu_holders (holder, core, gpu, (enum holder_kind)kind)
			judge_claim(core, holder);
}
