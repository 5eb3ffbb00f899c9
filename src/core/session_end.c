/* session_end: how sessions are lost, and what that means for their claims (docs/states.md,
 * Detached): a broken connection, an exited process, silence, a bye. */
#include <signal.h>

#include "base/contracts.h"
#include "core/binding.h"
#include "core/claim.h"
#include "core/effect.h"
#include "core/emit.h"
#include "core/lost_waiters.h"
#include "core/observe.h"
#include "core/revoke.h"
#include "core/session.h"
#include "core/timer.h"

static void end_waiting(struct core *core, struct session *session, enum end_reason end)
{
	list_each (it, next, &session->claims) {
		struct claim *claim = container_of(it, struct claim, in_session);
		if (claim->rec.state != CLAIM_QUEUED)
			continue;

		if (end == END_DISCONNECTED)
			lost_waiter_keep(core, claim);
		claim_end(core, claim, end);
		emit_claim(core, claim, SEND_RELEASED);
	}

	POST(session->waiting == 0);
}

/* A claim that ended stays linked until the step is over, so the walk is safe. */
void session_end_all(struct core *core, struct session *session, enum end_reason queued_end,
		     enum end_reason held_end)
{
	session->ended = true;
	timer_arm_session(core, session); /* some of its memory may still be measured */

	end_waiting(core, session, queued_end);

	list_each (it, next, &session->claims) {
		struct claim *claim = container_of(it, struct claim, in_session);
		if (claim_over(claim))
			continue;
		claim_end(core, claim, claim->rec.revoked ? claim->rec.end_as : held_end);
	}

	session_claim_ended(core, session);
	POST(session->waiting == 0);
}

static void drop_conn(struct core *core, struct session *session)
{
	if (session->conn != 0)
		session_set_conn(core, session, 0);
}

/* How long nobody else is given what it holds. A process that can be signalled is asked sooner, for
 * its capacity is free only once it is gone; for one that cannot, only time tells. */
static int64_t linger_ms(const struct core *core, const struct session *session)
{
	if (session_has_process(session) && session_stoppable(session))
		return core->config.native_linger_ms;
	return core_linger_ms(&core->config, session->rec.binding);
}

bool session_stoppable(const struct session *session)
{
	const struct named_processes *named = &session->rec.named;

	return session->reach == PEER_REACHED || named->count > 0 || named->cgroup[0];
}

void session_detach(struct core *core, struct session *session, bool peer_gone)
{
	int64_t held_ms = linger_ms(core, session);
	int64_t place_ms =
		binding_ms(&core->config, binding_of(session->rec.binding)->place_linger);

	PRE(session->conn != 0);

	trace_session(core, session, TRACE_DETACHED);

	session->place_deadline = mono_after(core->now, place_ms < held_ms ? place_ms : held_ms);
	session->detach_deadline = mono_after(core->now, held_ms);

	drop_conn(core, session);
	if (peer_gone && session_has_process(session))
		session_peer_exit(core, session, false);
	else
		timer_arm_session(core, session);
}

/* Some of its leases stay as long as one of its processes lives. */
static bool stays_on(const struct core *core, const struct session *session)
{
	list_each (it, next, &session->claims) {
		const struct claim *claim = container_of(it, struct claim, in_session);
		if (claim_has_room(claim) && !claim->rec.revoked && observe_stays(core, claim))
			return true;
	}
	return false;
}

/* Looks again after a while if it stays on; the end of its processes is seen at once. */
static void end_or_stay(struct core *core, struct session *session)
{
	PRE(session->conn == 0);
	session->ended = !stays_on(core, session);
	if (!session->ended)
		session->place_deadline = session->detach_deadline =
			mono_after(core->now, session_ttl_ms(core, session));
	timer_arm_session(core, session);
}

static bool has_moved(const struct session *session)
{
	list_each (it, next, &session->claims) {
		const struct claim *claim = container_of(it, struct claim, in_session);
		if (claim->rec.state == CLAIM_QUEUED && claim->rec.moved)
			return true;
	}
	return false;
}

/* What was moved off the GPU stands still for ever once nobody brings it back. The session stays
 * until its processes are seen to end. */
static void kill_moved(struct core *core, struct session *session)
{
	struct effect *effect = effects_add(&core->out, EFFECT_SIGNAL);

	effect->to = session_party(session);
	effect->signal.session = session->rec.id;
	effect->signal.signo = SIGKILL;

	session->ended = false;
	session->place_deadline = session->detach_deadline =
		mono_after(core->now, core->config.kill_wait_ms);
	timer_arm_session(core, session);
}

/* Nobody is left to resume; its children are killed at once, which frees its capacity. */
static void stop_rest(struct core *core, struct session *session)
{
	end_or_stay(core, session);
	if (has_moved(session))
		kill_moved(core, session);
	end_waiting(core, session, END_DISCONNECTED);

	list_each (it, next, &session->claims) {
		struct claim *claim = container_of(it, struct claim, in_session);
		if (claim_has_room(claim) && !observe_stays(core, claim))
			revoke_kill(core, claim, END_DISCONNECTED);
	}

	session_claim_ended(core, session);
}

void session_peer_exit(struct core *core, struct session *session, bool rest_lives)
{
	struct party party = session_party(session);

	PRE(session_has_process(session));

	if (!session->peer_gone || !rest_lives)
		trace_session(core, session, rest_lives ? TRACE_EXITED : TRACE_GONE);

	session->peer_gone = true;
	drop_conn(core, session);
	session->detach_deadline = core->now;

	if (party.id != 0)
		effects_add(&core->out, EFFECT_CLOSE)->to = party;

	if (rest_lives)
		stop_rest(core, session);
	else
		session_end_all(core, session, END_DISCONNECTED, END_DISCONNECTED);
}

void session_bye(struct core *core, struct session *session)
{
	struct party party = session_party(session);

	PRE(party.id != 0);

	trace_session(core, session, TRACE_BYE);
	session_end_all(core, session, END_CANCELLED, END_RELEASED);

	drop_conn(core, session);
	session->detach_deadline = core->now;
	effects_add(&core->out, EFFECT_CLOSE)->to = party;
}

/* A silent tab, perhaps frozen by its browser: when it wakes it must find its leases lost. Its
 * session lasts as long as its connection. */
static void tab_expired(struct core *core, struct session *session)
{
	end_waiting(core, session, END_DISCONNECTED);

	list_each (it, next, &session->claims) {
		struct claim *claim = container_of(it, struct claim, in_session);
		if (claim_has_room(claim) && !observe_stays(core, claim))
			revoke_begin(core, claim, YIELD_EXPIRED, END_EXPIRED);
	}
}

/* The linger is over. A tab is gone by now, and an unreachable client has stopped by itself, as it
 * agreed to. A native program that dropped its connection is alive, so it is stopped as if
 * revoked. */
static void linger_over(struct core *core, struct session *session)
{
	end_waiting(core, session, END_DISCONNECTED);
	if (!mono_due(session->detach_deadline, core->now))
		return;

	if (!session_has_process(session) || !session_stoppable(session)) {
		session_end_all(core, session, END_DISCONNECTED, END_DISCONNECTED);
		return;
	}

	end_or_stay(core, session);
	session_claim_ended(core, session);

	list_each (it, next, &session->claims) {
		struct claim *claim = container_of(it, struct claim, in_session);
		if (claim_has_room(claim) && !observe_stays(core, claim))
			revoke_begin(core, claim, YIELD_UNRESPONSIVE, END_DISCONNECTED);
	}
}

void session_due(struct core *core, struct session *session)
{
	PRE(!session->ended);

	if (session->conn == 0) {
		if (mono_due(session->place_deadline, core->now) ||
		    mono_due(session->detach_deadline, core->now)) {
			session->place_deadline = session->detach_deadline;
			linger_over(core, session);
		}
	} else if (binding_of(session->rec.binding)->silence == SILENCE_ENDS &&
		   session_silent(core, session)) {
		tab_expired(core, session);
	}

	timer_arm_session(core, session);
}
