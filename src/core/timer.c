/* timer: which deadline a claim or session has now, and what happens when it comes. Times come with
 * the events; nothing here reads a clock. */
#include "core/timer.h"

#include "base/contracts.h"
#include "core/claim.h"
#include "core/drain.h"
#include "core/emit.h"
#include "core/lost_waiters.h"
#include "core/observe.h"
#include "core/revoke.h"
#include "core/schedule.h"
#include "core/session.h"

static struct mono_ms claim_deadline(const struct claim *claim)
{
	struct mono_ms ttl = claim_proof(claim) == PROOF_TIME && !claim->rec.revoked
				     ? claim->rec.ttl_deadline
				     : MONO_NEVER;

	switch (claim->rec.state) {
	case CLAIM_QUEUED:
		return mono_min(claim->rec.wait_deadline, claim->place_deadline);
	case CLAIM_OFFERED:
		return claim->deadline;
	case CLAIM_HELD:
		return ttl;
	case CLAIM_LOADING:
	case CLAIM_YIELDING:
		return mono_min(claim->deadline, ttl);
	case CLAIM_DRAINING:
		return claim->deadline;
	case CLAIM_ENDED:
	case CLAIM_STATE_COUNT:
		break;
	}
	return MONO_NEVER;
}

void timer_arm_claim(struct core *core, struct claim *claim)
{
	struct mono_ms deadline = claim_deadline(claim);

	if (deadline.v == INT64_MAX)
		heap_remove(&core->claim_timers, &claim->timer);
	else
		heap_set(&core->claim_timers, &claim->timer, deadline.v);
}

/* A tab's timer fires when its time to live would end had it been silent since the timer was set,
 * so messages cost no reordering. Silent native programs are handled by preempt.c, and only when
 * somebody waits for their GPU. */
static struct mono_ms session_deadline(const struct core *core, const struct session *session)
{
	int64_t ttl_ms = session_ttl_ms(core, session);

	if (session->conn == 0)
		return session->waiting > 0
			       ? mono_min(session->place_deadline, session->detach_deadline)
			       : session->detach_deadline;

	if (binding_of(session->rec.binding)->silence != SILENCE_ENDS ||
	    session->waiting + session->holding == 0)
		return MONO_NEVER;

	if (session_silent(core, session))
		return mono_after(core->now, ttl_ms);
	return mono_after(session->last_seen, ttl_ms);
}

void timer_arm_session(struct core *core, struct session *session)
{
	struct mono_ms deadline;

	if (session->ended) {
		heap_remove(&core->session_timers, &session->timer);
		return;
	}

	deadline = session_deadline(core, session);

	if (deadline.v == INT64_MAX)
		heap_remove(&core->session_timers, &session->timer);
	else
		heap_set(&core->session_timers, &session->timer, deadline.v);
}

static void end_waiter(struct core *core, struct claim *claim, enum end_reason end,
		       enum send_kind msg)
{
	PRE(claim->rec.state == CLAIM_QUEUED);

	lost_waiter_keep(core, claim);
	claim_end(core, claim, end);
	emit_claim(core, claim, msg);
}

/* Only connected clients get offers, so a client that is away now left after the offer. If it has
 * been away longer than places are kept, it has no place to return to. */
static void offer_missed(struct core *core, struct claim *claim)
{
	const struct session *session = claim->session;
	bool placeless =
		session && session->conn == 0 && mono_due(session->place_deadline, core->now);

	claim->rec.acks_missed++;
	core->stats.acks_missed++;

	if (placeless || claim->rec.acks_missed >= ACKS_MISSED_MAX) {
		claim_end(core, claim, END_DISCONNECTED);
		emit_claim(core, claim, SEND_RELEASED);
	} else {
		claim_move(core, claim, CLAIM_QUEUED);
		emit_standing(core, claim);
		if (claim->session)
			timer_arm_session(core, claim->session); /* it has a place to lose */
	}
}

/* It may take as long as it likes. */
static void load_on(struct core *core, struct claim *claim)
{
	PRE(claim->rec.loading);
	claim->deadline = mono_after(core->now, core->config.load_ms_max);
	timer_arm_claim(core, claim);
}

/* It was silent for too long, or loads for too long, or both in the same moment. */
static void loading_due(struct core *core, struct claim *claim)
{
	bool stays = observe_stays(core, claim);

	if (!mono_due(claim->deadline, core->now) ||
	    (stays && mono_due(claim->rec.ttl_deadline, core->now)))
		revoke_begin(core, claim, YIELD_EXPIRED, END_EXPIRED);
	else if (stays)
		load_on(core, claim);
	else
		revoke_begin(core, claim, YIELD_LOAD_MAX, END_REVOKED);
}

static void claim_due(struct core *core, struct claim *claim)
{
	switch (claim->rec.state) {
	case CLAIM_QUEUED:
		if (mono_due(claim->rec.wait_deadline, core->now))
			end_waiter(core, claim, END_TIMEOUT, SEND_TIMEOUT);
		else
			end_waiter(core, claim, END_DISCONNECTED, SEND_RELEASED);
		break;
	case CLAIM_OFFERED:
		offer_missed(core, claim);
		break;
	case CLAIM_HELD:
		revoke_begin(core, claim, YIELD_EXPIRED, END_EXPIRED);
		break;
	case CLAIM_LOADING:
		loading_due(core, claim);
		break;
	case CLAIM_YIELDING:
		revoke_due(core, claim);
		break;
	case CLAIM_DRAINING:
		drain_due(core, claim);
		break;
	case CLAIM_ENDED:
	case CLAIM_STATE_COUNT:
		INVARIANT(claim->rec.state != CLAIM_ENDED); /* an ended claim has no deadline */
		break;
	}

	POST(claim->timer.place == 0 || claim->timer.key > core->now.v ||
	     claim->rec.state == CLAIM_QUEUED);
}

static void send_heartbeats(struct core *core)
{
	struct rank_node *node = rank_tree_first(&core->sessions);

	core->next_heartbeat = mono_after(core->now, core->config.heartbeat_ms);
	for (; node; node = rank_tree_next(node))
		if (session_of_id(node)->conn != 0)
			emit(core, session_party(session_of_id(node)), SEND_HEARTBEAT);
}

static struct heap_node *first_due(const struct core *core, const struct heap *heap)
{
	struct heap_node *node = heap_first(heap);

	return node && node->key <= core->now.v ? node : NULL;
}

/* When a crowd is due at once, other events are handled between its parts. */
void timer_tick(struct core *core)
{
	struct heap_node *node;
	size_t enough;

	PRE(core->ticking);

	core->last_tick = core->now;
	core->tick_unfinished = false;

	if (mono_due(core->next_heartbeat, core->now))
		send_heartbeats(core);

	enough = core->out.count + TICK_WORK_MAX;
	while (core->out.count < enough && (node = first_due(core, &core->session_timers))) {
		struct session *session = container_of(node, struct session, timer);
		session_due(core, session);
		INVARIANT(!heap_has(&session->timer) || session->timer.key > core->now.v);
	}

	while (core->out.count < enough && (node = first_due(core, &core->claim_timers)))
		claim_due(core, container_of(node, struct claim, timer));

	core->tick_unfinished =
		first_due(core, &core->session_timers) || first_due(core, &core->claim_timers);
}

static void shift_deadline(struct mono_ms *deadline, int64_t ms)
{
	*deadline = mono_after(*deadline, ms);
}

/* Journals only claims whose record changes: rewriting a large crowd that waits without limit would
 * delay the next iteration until it, too, looks like a stall. */
static void shift_claim(struct core *core, struct claim *claim, int64_t ms)
{
	bool recorded =
		claim->rec.wait_deadline.v != INT64_MAX || claim->rec.ttl_deadline.v != INT64_MAX;

	shift_deadline(&claim->deadline, ms);
	shift_deadline(&claim->yield_since, ms);
	shift_deadline(&claim->place_deadline, ms);
	shift_deadline(&claim->promise, ms);

	shift_deadline(&claim->rec.wait_deadline, ms);
	shift_deadline(&claim->rec.ttl_deadline, ms);

	timer_arm_claim(core, claim);
	if (recorded)
		claim_dirty(core, claim);
}

static void shift_claims(struct core *core, int64_t ms)
{
	struct rank_node *node;

	for (node = rank_tree_first(&core->places); node; node = rank_tree_next(node))
		shift_claim(core, claim_of_place(node), ms);
	for (node = rank_tree_first(&core->holders); node; node = rank_tree_next(node))
		shift_claim(core, claim_of_place(node), ms);
	lost_waiters_shift(core, ms);
}

/* A freeze lasts for settle_ms of being awake, and is spent once a tick after it has checked for
 * silence; only then may the next one begin. Repeated stalls delay that check by their own length,
 * never indefinitely. */
static bool may_freeze(const struct core *core)
{
	return !mono_before(core->last_tick, core->frozen_until) && !core->tick_unfinished;
}

/* Everybody who waits for the broker, or whom it waits for, has lost as much time as it stood
 * still. Silence means nothing until all had time to speak. */
void timer_jump(struct core *core, int64_t stalled_ms)
{
	bool freeze = may_freeze(core);
	struct rank_node *node = rank_tree_first(&core->sessions);

	if (stalled_ms > 0)
		shift_claims(core, stalled_ms);

	if (freeze)
		core->frozen_until = mono_after(core->now, core->config.settle_ms);
	else
		shift_deadline(&core->frozen_until, stalled_ms);

	for (; node; node = rank_tree_next(node)) {
		struct session *session = session_of_id(node);
		int64_t grace_ms = core->config.settle_ms - session_ttl_ms(core, session);

		shift_deadline(&session->last_seen, stalled_ms);
		shift_deadline(&session->place_deadline, stalled_ms);
		shift_deadline(&session->detach_deadline, stalled_ms);

		if (freeze)
			session->last_seen =
				mono_max(session->last_seen, mono_after(core->now, grace_ms));

		/* Its time is over right now: it is checked now, not a TTL later. */
		if (heap_has(&session->timer) && session_silent(core, session))
			heap_set(&core->session_timers, &session->timer, core->now.v);
		else
			timer_arm_session(core, session);
	}

	estimate_disturbed(core);
	trace_event(core, TRACE_CLOCK_JUMP, NULL);
	send_heartbeats(core);
}

static struct mono_ms heap_next(const struct heap *heap)
{
	const struct heap_node *node = heap_first(heap);

	return node ? (struct mono_ms){node->key} : MONO_NEVER;
}

struct mono_ms timer_next(const struct core *core)
{
	struct mono_ms next = core->wake;

	next = mono_min(next, heap_next(&core->claim_timers));
	next = mono_min(next, heap_next(&core->session_timers));

	if (rank_tree_count(&core->sessions) > 0)
		next = mono_min(next, core->next_heartbeat);
	if (schedule_in_doubt(core, core->now))
		next = mono_min(next, core->in_doubt_until);

	return core->tick_unfinished ? core->now : next;
}
