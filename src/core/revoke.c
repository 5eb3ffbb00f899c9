/* revoke: the second phase of YIELDING: what was asked for is taken. It does not choose from whom
 * (preempt.c). */
#include "core/revoke.h"

#include <signal.h>

#include "base/contracts.h"
#include "core/claim.h"
#include "core/effect.h"
#include "core/emit.h"
#include "core/host.h"
#include "core/observe.h"
#include "core/queue.h"
#include "core/schedule.h"
#include "core/session.h"
#include "core/timer.h"
#include "core/yield.h"

static void send_signal(struct core *core, const struct claim *claim, int signo)
{
	struct effect *effect = effects_add(&core->out, EFFECT_SIGNAL);

	PRE(claim_proof(claim) == PROOF_EXIT);
	effect->to = claim_party(claim);
	effect->signal.session = claim->rec.session;
	effect->signal.signo = signo;
}

/* Between SIGTERM and SIGKILL a native holder has the grace that it declared. If it was already
 * asked, only the rest of that: it had its notice. Never less than the usual grace, so that a
 * wrapper can still report that its children have stopped. */
static int64_t stop_ms(const struct core *core, const struct claim *claim)
{
	int64_t declared_ms = yield_grace_ms(core, claim);
	int64_t left_ms = declared_ms;
	int64_t least_ms = core->config.grace_ms;

	if (claim->rec.state == CLAIM_YIELDING)
		left_ms = mono_since(claim->deadline, core->now);

	if (left_ms < least_ms)
		left_ms = least_ms;
	return ms_longer(1, left_ms < declared_ms ? left_ms : declared_ms);
}

/* A holder that cannot be signalled is told if connected; otherwise it has until its linger
 * ends. */
static int64_t native_ms(const struct core *core, const struct claim *claim)
{
	const struct session *session = claim->session;
	int64_t wait_ms = stop_ms(core, claim);

	if (session->conn == 0 && !session_stoppable(session) &&
	    mono_since(session->detach_deadline, core->now) > wait_ms)
		wait_ms = mono_since(session->detach_deadline, core->now);
	return wait_ms;
}

/* How long the room stays taken after the token is dead: a native process until it exits, what runs
 * in a browser or behind a plain request for the lock-delay, a stream as long as its connection, a
 * model until the gateway has seen that its server gave the memory back. */
static int64_t delay_ms(const struct core *core, const struct claim *claim)
{
	const struct binding_traits *traits = binding_of(claim->rec.binding);

	if (traits->proof == PROOF_EXIT)
		return native_ms(core, claim);
	if (claim_outlives_broker(claim))
		return binding_ms(&core->config, traits->memory_delay);
	if (traits->proof == PROOF_CUT && !claim->rec.browser && !core->restarting)
		return 0;
	return binding_ms(&core->config, traits->delay);
}

static int64_t kill_ms(const struct core *core, const struct claim *claim)
{
	return claim_stoppable(claim) ? ms_longer(1, core->config.kill_wait_ms) : 0;
}

static void refuse_token(struct core *core, struct claim *claim)
{
	claim->rec.revoked = true;
	if (claim_stoppable(claim) && !claim->session->peer_gone)
		send_signal(core, claim, SIGTERM);
}

static void kill_rest(struct core *core, struct claim *claim)
{
	claim->killed = true;
	send_signal(core, claim, SIGKILL);
	trace_claim(core, claim, TRACE_KILLED);
}

/* The escalation ladder of a revocation: how long each rung lasts (0: skipped), what is done, and
 * whose word ends it early and frees the capacity. After the last rung it is free regardless. */
enum rung { RUNG_ASK, RUNG_REFUSE, RUNG_KILL, RUNG_COUNT };

static const struct {
	int64_t (*lasts_ms)(const struct core *core, const struct claim *claim);
	void (*act)(struct core *core, struct claim *claim);
	const char *judge;
} rungs[RUNG_COUNT] = {
	[RUNG_ASK] = {yield_grace_ms, NULL, "its holder, by release"}, /* done by ask_one */
	[RUNG_REFUSE] = {delay_ms, refuse_token, "its holder, or the proof of its binding"},
	[RUNG_KILL] = {kill_ms, kill_rest, "the kernel: its processes are gone"},
};

static void escalate_from(struct core *core, struct claim *claim, enum rung rung)
{
	int64_t wait_ms = 0;

	PRE(claim->rec.state == CLAIM_YIELDING);

	while (rung < RUNG_COUNT && (wait_ms = rungs[rung].lasts_ms(core, claim)) <= 0)
		rung++;

	if (rung == RUNG_COUNT) {
		claim_end(core, claim, claim->rec.end_as);
		return;
	}

	rungs[rung].act(core, claim);
	claim->deadline = mono_after(core->now, wait_ms);
	timer_arm_claim(core, claim);

	claim_dirty(core, claim);
	core->queue_changed = true;
}

static void revoke_one(struct core *core, struct claim *claim, enum yield_reason reason,
		       enum end_reason end_as)
{
	bool is_his_word = observe_asked(claim);
	struct send_effect *send;

	PRE(claim_has_room(claim));
	if (claim->rec.revoked)
		return;

	if (claim_is_held(claim)) {
		claim->yield_since = core->now;
		claim->deadline = MONO_NEVER;
		claim_move(core, claim, CLAIM_YIELDING);
	}

	if (!is_his_word)
		claim->rec.yield_reason = reason;
	claim->rec.end_as = end_as;

	send = yield_tell(core, claim, SEND_REVOKED);
	send->reason = reason;
	send->end = end_as;
	send->grace_ms = claim_stoppable(claim) ? delay_ms(core, claim) : 0;

	core->stats.revokes++;
	trace_claim(core, claim, TRACE_REVOKED);

	if (claim->rec.state == CLAIM_YIELDING)
		escalate_from(core, claim, RUNG_REFUSE);
	else
		claim_end(core, claim, end_as);
}

/* Guests before their host, so that the host can end in the same step. */
static struct claim *next_to_revoke(struct claim *host)
{
	struct claim *inside = host_next_inside(host, host);

	while (inside && inside->rec.revoked)
		inside = host_next_inside(host, inside);
	return inside;
}

void revoke_begin(struct core *core, struct claim *claim, enum yield_reason reason,
		  enum end_reason end_as)
{
	/* Guests have connections of their own. */
	enum end_reason inside_as = end_as == END_DISCONNECTED ? END_REVOKED : end_as;
	struct claim *inside;

	PRE(end_as != END_NONE);
	PRE(reason < YIELD_REASON_COUNT);

	while ((inside = next_to_revoke(claim)))
		revoke_one(core, inside, reason, inside_as);

	revoke_one(core, claim, reason, end_as);
	core->queue_changed = true;
}

/* Before a restart, and by nobody since: whoever waits now has no right to this turn. */
static bool asked_long_ago(const struct claim *claim)
{
	while (claim->host && claim->host->rec.state == CLAIM_YIELDING)
		claim = claim->host;
	return claim->yield_for == 0;
}

/* A holder whose requester has left again keeps its lease. */
static bool still_needed(const struct core *core, const struct claim *claim)
{
	const struct claim *host = claim->host;

	if (observe_stays(core, claim) && claim->rec.yield_reason != YIELD_OPERATOR)
		return false;
	if (host && claim_is_held(host))
		return host->house->queue && rank_tree_count(&host->house->queue->turns) > 0;

	if (claim->rec.yield_reason == YIELD_OPERATOR)
		return true;

	if (!schedule_may_grant(core) || asked_long_ago(claim))
		return false;
	return queue_wanted(core, false) & claim->rec.granted_mask;
}

static void grace_over(struct core *core, struct claim *claim)
{
	if (claim_proof(claim) == PROOF_TIME && mono_due(claim->rec.ttl_deadline, core->now)) {
		revoke_begin(core, claim, YIELD_EXPIRED, END_EXPIRED);
	} else if (claim_awaited(claim)) {
		revoke_begin(core, claim, YIELD_EXPIRED, END_DISCONNECTED);
	} else if (still_needed(core, claim)) {
		revoke_begin(core, claim, claim->rec.yield_reason, END_REVOKED);
	} else {
		yield_withdraw(core, claim);
	}
}

void revoke_kill(struct core *core, struct claim *claim, enum end_reason end_as)
{
	PRE(claim_proof(claim) == PROOF_EXIT);

	revoke_begin(core, claim, YIELD_UNRESPONSIVE, end_as);
	if (claim->rec.state == CLAIM_YIELDING && !claim->killed)
		escalate_from(core, claim, RUNG_KILL);
}

/* A holder that cannot be signalled any more, and is away, was told that what it has is kept until
 * its linger ends. */
static bool is_kept_while_away(const struct core *core, const struct claim *claim)
{
	const struct session *session = claim->session;

	return claim_proof(claim) == PROOF_EXIT && !claim->killed && session->conn == 0 &&
	       !session_stoppable(session) && mono_before(core->now, session->detach_deadline);
}

void revoke_due(struct core *core, struct claim *claim)
{
	PRE(claim->rec.state == CLAIM_YIELDING);
	if (!claim->rec.revoked) {
		grace_over(core, claim);
	} else if (is_kept_while_away(core, claim)) {
		claim->deadline = claim->session->detach_deadline;
		timer_arm_claim(core, claim);
	} else {
		escalate_from(core, claim, claim->killed ? RUNG_COUNT : RUNG_KILL);
	}
}
