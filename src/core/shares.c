/* shares: lags and what follows from them. It grants nothing and asks nobody. */
#include "core/shares.h"

#include "base/contracts.h"
#include "core/ledger.h"
#include "core/schedule.h"
#include "core/session.h"
#include "core/yield.h"

/* Lags are counted in thousandths of slot-ms, so that permille of a millisecond are whole. */
enum { UNIT = 1000 };

static int64_t slots_of(const struct core *core, uint32_t gpu)
{
	return core->config.gpus[gpu].slots;
}

/* The most lag a class can build up: four quanta and the longest turn, so that it stays payable. */
static int64_t most_ms(const struct core *core)
{
	return core_hold_ms_max(&core->config) + 4 * core->config.quantum_ms;
}

static int64_t debt_ms(const struct core *core, int cls)
{
	return SHARE_DEBT_MS + (cls == LEASE_VOICE ? core->config.voice_credit_ms : 0);
}

static int64_t clamp_between(int64_t value, int64_t least, int64_t most)
{
	if (value < least)
		return least;
	return value < most ? value : most;
}

static void pass_class(const struct core *core, struct gpu *state, int64_t slots, int cls,
		       int64_t ms)
{
	int64_t *lag = &state->lag[cls];
	int64_t used = state->class_slots[cls];
	int64_t owed = core->config.classes[cls].share_permille * slots * ms;
	bool waits = state->waiting & (1u << cls);

	if (!waits && used == 0)
		*lag = *lag < 0 ? clamp_between(*lag + owed, INT64_MIN, 0) : 0;
	else if (state->waiting)
		*lag += owed - used * UNIT * ms;

	*lag = clamp_between(*lag, -debt_ms(core, cls) * slots * UNIT,
			     most_ms(core) * slots * UNIT);
}

void shares_pass(struct core *core)
{
	int64_t ms = mono_since(core->now, core->shares_at);

	if (ms <= 0 || !core->started)
		return;

	core->shares_at = core->now;
	if (!schedule_may_grant(core))
		return;

	/* A suspend of days must not overflow. */
	ms = clamp_between(ms, 0, (int64_t)1 << 32);
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
			pass_class(core, &core->gpus[gpu], slots_of(core, gpu), cls, ms);
}

int64_t share_early_ms(const struct core *core, const struct claim *claim)
{
	return ms_longer(0, yield_grace_ms(core, claim) - core->config.grace_ms);
}

int64_t share_handoff_ms(const struct core *core)
{
	return core->config.grace_ms + ms_longer(core->config.lock_delay_ms, core->config.grace_ms);
}

int64_t share_free_ms(const struct core *core, const struct claim *holder)
{
	int64_t usual_ms = share_handoff_ms(core) - core->config.grace_ms;
	const struct session *session = holder->session;

	if (holder->rec.binding == BIND_NATIVE && !session_stoppable(session))
		return ms_longer(usual_ms, session_ttl_ms(core, session));
	return usual_ms;
}

int64_t share_run_ms(const struct core *core)
{
	return ms_longer(core->config.min_run_ms, core->config.ack_ms);
}

int64_t share_turn_ms(const struct core *core, const struct claim *claim)
{
	int64_t turn_ms = ms_longer(ms_longer(core->config.quantum_ms, core->config.ack_ms),
				    share_early_ms(core, claim));

	if (claim->rec.preemptible)
		return turn_ms;
	return ms_longer(turn_ms, core->config.classes[claim->rec.cls].hold_ms_max);
}

int64_t share_stop_ms(const struct core *core, const struct claim *claim)
{
	int64_t early_ms = share_early_ms(core, claim);
	int64_t run_ms = share_run_ms(core) + early_ms;

	if (!claim->rec.preemptible)
		run_ms = ms_longer(core->config.classes[claim->rec.cls].hold_ms_max, early_ms);
	return run_ms + share_handoff_ms(core);
}

struct mono_ms share_protected_until(const struct core *core, const struct claim *holder)
{
	if (!holder->rec.due_turn)
		return MONO_PAST;
	return mono_after(holder->rec.due_since,
			  ms_longer(0, core->config.quantum_ms - share_early_ms(core, holder)));
}

/* What running due turns will still use, of their quantum or of the longer time that they need to
 * stop, is already paid for. */
static int64_t prepaid_lag(const struct core *core, uint32_t gpu, int cls)
{
	int64_t sum = 0;

	if (core->gpus[gpu].class_slots[cls] == 0)
		return 0;

	gpu_holders (holder, core, gpu, HOLDER_COMPUTES) {
		int64_t least_ms = ms_longer(core->config.quantum_ms, share_early_ms(core, holder));
		int64_t left_ms = least_ms - mono_since(core->now, holder->rec.due_since);
		if (holder->rec.due_turn && (int)holder->turn_cls == cls && left_ms > 0)
			sum += left_ms * claim_slots(core, holder, gpu) * UNIT;
	}
	return sum;
}

int64_t share_lag_ms(const struct core *core, uint32_t gpu, enum lease_class cls)
{
	int64_t slots = ms_longer(1, slots_of(core, gpu));

	PRE(gpu < core->config.gpu_count);
	return (core->gpus[gpu].lag[cls] - prepaid_lag(core, gpu, (int)cls)) / (slots * UNIT);
}

struct mono_ms share_due_at(const struct core *core, uint32_t gpu, const struct claim *claim)
{
	int cls = (int)claim->rec.cls;
	int64_t rate = core->config.classes[cls].share_permille * slots_of(core, gpu);
	int64_t lag = core->gpus[gpu].lag[cls] - prepaid_lag(core, gpu, cls);
	int64_t slots = need_slots(core, &claim->rec.need, gpu);
	int64_t missing = share_turn_ms(core, claim) * slots * UNIT - lag;

	PRE(gpu < core->config.gpu_count);

	if (rate == 0)
		return MONO_NEVER;

	/* Rounded up, so that it is due when the wake-up comes. */
	if (missing > 0)
		return mono_after(core->now, (missing + rate - 1) / rate);
	return (struct mono_ms){core->now.v + missing / rate};
}

bool share_urgent(const struct core *core, uint32_t gpu)
{
	int64_t credit = core->config.voice_credit_ms * slots_of(core, gpu) * UNIT;

	PRE(gpu < core->config.gpu_count);
	return core->gpus[gpu].lag[LEASE_VOICE] > -credit;
}

struct mono_ms share_urgent_at(const struct core *core, uint32_t gpu)
{
	int64_t rate = core->config.classes[LEASE_VOICE].share_permille * slots_of(core, gpu);
	int64_t credit = core->config.voice_credit_ms * slots_of(core, gpu) * UNIT;
	int64_t missing = -credit - core->gpus[gpu].lag[LEASE_VOICE];

	PRE(missing >= 0);
	return rate > 0 ? mono_after(core->now, missing / rate + 1) : MONO_NEVER;
}
