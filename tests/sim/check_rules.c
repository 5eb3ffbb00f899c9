/* check_rules: rules of the policy that a single effect can break, judged from journal rows and
 * from what was said before. Called for each effect of a step, before it is committed or sent. With
 * --without order they are left out, so that the judges alone must see a bad policy. */
#include "check_private.h"
#include "outside.h"
#include "world.h"

typedef unsigned long long ull;

/* Asked to give way for a claim of another class, and not before min_run, but for voice. */
static void rule_preempted(struct world *w, const struct job *job, const struct effect *fx)
{
	struct claim_view holder, head;
	struct mono_ms now = broker_now(w);
	if (!judge_is_on(w, JUDGE_ORDER) || !core_claim(w->broker.core, job->lease, now, &holder) ||
	    !core_claim(w->broker.core, fx->send.other, now, &head) ||
	    outside_inside(holder.rec) != 0)
		return; /* it goes with the lease in whose room it runs */
	const struct claim_record *h = head.rec, *r = holder.rec;
	if (!r->preemptible)
		sim_fail(w, "lease %llu is preempted, though it is not preemptible", (ull)r->id);
	if (h->cls == r->cls && !job->heir) /* whose turn is its lender's */
		sim_fail(w, "lease %llu is preempted for %llu of its own class", (ull)r->id,
			 (ull)h->id);
	if (h->cls == LEASE_VOICE)
		return;
	/* For others the turn of who loads began with the offer. */
	int64_t ran_ms = job->loads ? w->t - job->offered_t : now.v - r->turn_since.v;
	if (ran_ms < w->broker.config.min_run_ms)
		sim_fail(w, "lease %llu is preempted after %lld ms", (ull)r->id, (long long)ran_ms);
}

/* Never the busy one: a session that computes keeps its models. */
static void rule_evicted(struct world *w, const struct job *job)
{
	if (job->inside != 0)
		return; /* it goes with the lease in whose room it runs */
	if (!job->evictable && job->now.parked_slots == 0)
		sim_fail(w, "lease %llu is evicted, though it is not evictable", (ull)job->lease);
	if (job->binding > BIND_TAB || inside_anybody(w, job))
		return;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		struct claim_view view;
		if (other == job || other->client != job->client || other->life != job->life ||
		    !core_claim(w->broker.core, other->lease, broker_now(w), &view))
			continue;
		if (view.rec->state == CLAIM_HELD && view.rec->need.slots > 0 &&
		    view.rec->session == w->clients[job->client].session)
			sim_fail(w, "lease %llu is evicted while its session computes under %llu",
				 (ull)job->lease, (ull)other->lease);
	}
}

static void rule_yield(struct world *w, struct job *job, const struct effect *fx)
{
	const struct journal_claim *row = journal_claim(&w->journal, job->lease);
	bool reminded = row && row->rec.state == CLAIM_YIELDING;
	job->yield_reason = fx->send.reason;
	if (reminded && job->yield_asked)
		return;
	job->yield_t = w->t;
	job->yield_asked = true;
	/* A resumed client is told what is left, at least 1 ms, though it may be over now. */
	job->yield_grace_ms = fx->send.grace_ms - (reminded ? 1 : 0);
	if (fx->send.reason == YIELD_PREEMPTED)
		rule_preempted(w, job, fx);
	else if (fx->send.reason == YIELD_EVICTED) {
		rule_evicted(w, job);
		evict_asked(w, job, fx->send.other, !reminded);
	}
}

/* Whoever was asked has the grace that it was told. */
static void rule_revoked(struct world *w, const struct job *job, const struct effect *fx)
{
	bool asked = fx->send.reason == YIELD_PREEMPTED || fx->send.reason == YIELD_HOLD_MAX ||
		     fx->send.reason == YIELD_EVICTED;
	if (asked && fx->send.end == END_REVOKED && w->t - job->yield_t < job->yield_grace_ms)
		sim_fail(w, "lease %llu is revoked after %lld ms of %lld", (ull)job->lease,
			 (long long)(w->t - job->yield_t), (long long)job->yield_grace_ms);
}

/* R3, C13: a lease that was revoked is not renewed, changed or lent any more. */
static void rule_alive(struct world *w, const struct job *job)
{
	struct claim_view view;
	bool lives = core_claim(w->broker.core, job->lease, broker_now(w), &view);
	if (!lives || view.rec->revoked || view.rec->state < CLAIM_HELD)
		sim_fail(w, "lease %llu is %s and still obeyed", (ull)job->lease,
			 !lives              ? "gone"
			 : view.rec->revoked ? "revoked"
					     : "not held");
}

void check_rules(struct world *w, const struct effect *fx)
{
	struct job *job = job_of_lease(w, fx->send.lease);
	if (!job)
		return;
	yield_sent(w, job, fx);
	inside_sent(w, job, fx);
	if (fx->send.msg == SEND_YIELD)
		rule_yield(w, job, fx);
	else if (fx->send.msg == SEND_KEEP)
		job->yield_asked = false;
	else if (fx->send.msg == SEND_REVOKED)
		rule_revoked(w, job, fx);
	else if (fx->send.msg == SEND_RENEWED || fx->send.msg == SEND_CHANGED)
		rule_alive(w, job);
}

/* P19: who gave way for another comes back with its old key; who had its full turn, or came back
 * unasked, has a new one. No other move touches the place. */
void check_place(struct world *w, struct job *job, const struct claim_record *rec)
{
	bool moved = job->arrival_ms != rec->arrival.v;
	bool may_move =
		job->held_fence != 0 && (!job->yield_asked || job->yield_reason != YIELD_PREEMPTED);
	if (moved && !may_move && judge_is_on(w, JUDGE_ORDER) && job->boots == w->boots)
		sim_fail(w, "claim %llu lost its key: arrived at %lld, now %lld", (ull)rec->id,
			 (long long)job->arrival_ms, (long long)rec->arrival.v);
	job->arrival_ms = rec->arrival.v;
}

/* R8: while the clock settles after a jump, nobody who is connected is judged by his silence; who
 * runs inside another goes with it, for whatever reason that goes. */
void check_settling(struct world *w, struct job *job, const struct record *record)
{
	const struct claim_record *rec = &record->claim;
	bool silence = (rec->binding == BIND_TAB && rec->yield_reason == YIELD_EXPIRED) ||
		       (rec->binding == BIND_NATIVE && rec->yield_reason == YIELD_UNRESPONSIVE);
	if (w->check.ticking && w->t < w->check.settled_t && silence && rec->revoked &&
	    !job->revoked && job->lost_t == INT64_MAX && outside_inside(rec) == 0)
		sim_fail(w, "R8: claim %llu is judged while the clock settles", (ull)rec->id);
	if (rec->revoked && !job->revoked)
		job->revoked_t = w->t;
	job->revoked = rec->revoked;
}

/* A place or lease whose client may come back is not given up before its linger is over. */
void check_linger(struct world *w, const struct job *job, const struct claim_record *rec)
{
	const struct client *client = &w->clients[job->client];
	if (rec->end != END_DISCONNECTED || job->binding > BIND_TAB || w->boots != job->boots)
		return;
	if (job->lost_t == INT64_MAX || client->life != job->life)
		return; /* silent, deaf to offers, or dead */
	if (rec->revoked && job->revoked_t < job->lost_t)
		return; /* its end began before, and its client has another session */
	const struct core_config *config = &w->broker.config;
	if (job->had_offer && w->t - job->offered_t >= config->ack_ms)
		return; /* it missed its last offer */
	int64_t linger_ms =
		job->binding == BIND_TAB ? config->tab_linger_ms : config->native_linger_ms;
	if (w->t - job->lost_t < linger_ms)
		sim_fail(w, "claim %llu is given up %lld ms after its connection went",
			 (ull)rec->id, (long long)(w->t - job->lost_t));
}
