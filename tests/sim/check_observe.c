/* check_observe: observe mode from the outside. While it lasts nobody is refused, asked, revoked or
 * signalled, but by an operator or because what bound it is gone; and who was granted in it is left
 * alone for as long as it holds, also when the rules are in force again. Called for each effect of
 * a step. */
#include "base/err.h"
#include "check_private.h"
#include "outside.h"
#include "world.h"

typedef unsigned long long ull;

/* What is refused for what others have, or because nobody may wait. The broker's memory is bounded
 * in every mode. */
static bool is_refusal(int err)
{
	return err == ERR_QUOTA || err == ERR_BUSY || err == ERR_DEADLOCK || err == ERR_NEVER_FITS;
}

static bool is_left_alone(const struct world *w, const struct job *job)
{
	return w->broker.config.observe || (job->live && job->observed);
}

/* It names fewer GPUs that are there than it asks for; a page has one. */
static bool is_impossible(const struct world *w, const struct job *job)
{
	const struct need *need = &job->need;
	uint32_t mask = need->gpu_mask ? need->gpu_mask : UINT32_MAX;

	if (job->binding == BIND_TAB && need->gpu_count > 1)
		return true;
	if (w->broker.config.gpu_count < 32)
		mask &= (UINT32_C(1) << w->broker.config.gpu_count) - 1;
	return (uint32_t)__builtin_popcount(mask) < need->gpu_count;
}

static void check_denied(struct world *w, const struct effect *fx)
{
	const struct job *job = job_of(w, fx->send.ref);
	int64_t left_ms;

	if (!job || job->host != 0) /* places inside a lease are its holder's */
		return;
	if (core_grants(w->broker.core, broker_now(w), &left_ms) != GRANTS_ALLOWED)
		return;
	if (fx->send.err == ERR_NEVER_FITS && is_impossible(w, job))
		return;
	if (w->broker.config.observe && is_refusal(fx->send.err))
		sim_fail(w, "job %llu is refused in observe mode: %s", (ull)fx->send.ref,
			 err_name(fx->send.err));
}

static void check_message(struct world *w, const struct effect *fx)
{
	const struct job *job = job_of_lease(w, fx->send.lease);
	enum yield_reason reason = fx->send.reason;
	bool may = reason == YIELD_OPERATOR;

	/* Who runs inside another lease goes with it. */
	if (!job || !is_left_alone(w, job) || job->revoked || job->inside != 0)
		return;
	if (fx->send.msg == SEND_REVOKED)
		may |= reason == YIELD_EXPIRED || reason == YIELD_HOST_OVER;
	if (!may)
		sim_fail(w, "lease %llu is made to leave (%s) in observe mode", (ull)job->lease,
			 yield_reason_name((int)reason));
}

static void check_signal(struct world *w, const struct effect *fx)
{
	const struct client *client = world_session_client(w, fx->signal.session);
	bool alone = client != NULL;

	for (size_t i = 0; client && i < w->jobs.active_count; i++) {
		const struct job *job = job_of(w, w->jobs.active[i]);
		if (job->client != (int)client->index || job->life != client->life)
			continue;
		/* What began by the rules ends by them, also when the mode begins. */
		alone &= job->live && job->observed && !job->by_operator;
	}
	if (alone)
		sim_fail(w, "%s gets signal %d in observe mode", client->scenario->name,
			 fx->signal.signo);
}

void check_observe(struct world *w, const struct effect *fx)
{
	if (fx->type == EFFECT_SIGNAL)
		check_signal(w, fx);
	if (fx->type != EFFECT_SEND)
		return;
	if (fx->send.msg == SEND_DENIED)
		check_denied(w, fx);
	else if (fx->send.msg == SEND_YIELD || fx->send.msg == SEND_REVOKED)
		check_message(w, fx);
}

void check_observe_record(struct world *w, struct job *job, const struct claim_record *rec)
{
	bool has = outside_is_held(rec->state) || rec->state == CLAIM_OFFERED;

	if (has && rec->fence != job->recorded_fence && rec->observed != w->broker.config.observe)
		sim_fail(w, "lease %llu is granted and says %sobserved", (ull)rec->id,
			 rec->observed ? "" : "not ");
	/* Until its next grant: its client may use the GPU after the end of the lease. */
	if (has) {
		job->observed = rec->observed;
		job->would_wait = rec->would_wait;
	}
	job->by_operator |= rec->yield_reason == YIELD_OPERATOR;
}
