/* on_acquire: admission of a claim. Whatever can be refused is refused before anything changes;
 * granting is the scheduler's business. */
#include "base/err.h"
#include "core/caps.h"
#include "core/claim.h"
#include "core/deadlock.h"
#include "core/emit.h"
#include "core/event.h"
#include "core/host.h"
#include "core/lost_waiters.h"
#include "core/observe.h"
#include "core/on.h"
#include "core/park.h"
#include "core/principal.h"
#include "core/queue.h"
#include "core/refusal.h"
#include "core/resident.h"
#include "core/schedule.h"
#include "core/session.h"
#include "core/yield.h"

static int64_t clamp_ms(int64_t ms, int64_t most_ms)
{
	if (ms < 0)
		return 0;
	return ms < most_ms ? ms : most_ms;
}

/* A browser runs all of its pages on one GPU, and a page cannot choose it: a WebSocket session
 * stays where it holds something already, else it gets the configured GPU. */
static uint32_t gpus_meant(const struct core *core, const struct session *session,
			   const struct ev_acquire *ask)
{
	uint32_t gpus = 0;

	if (!session || session->rec.binding != BIND_TAB || ask->host)
		return UINT32_MAX;

	list_each (it, next, &session->claims) {
		const struct claim *claim = container_of(it, struct claim, in_session);
		gpus |= claim_over(claim) ? 0 : claim->rec.granted_mask;
	}
	return gpus ? gpus : 1u << core->config.browser_gpu;
}

static void fill_record(struct core *core, const struct event *event, const struct session *session,
			struct claim_record *rec)
{
	const struct ev_acquire *ask = &event->acquire;
	enum binding binding = session ? session->rec.binding : ask->binding;
	const struct binding_traits *traits = binding_of(binding);
	int64_t ttl_ms = ask->ttl_ms > 0 ? ask->ttl_ms : core->config.http_ttl_ms;
	int64_t waited_ms = traits->carries_age ? clamp_ms(ask->waited_ms, DURATION_MS_MAX) : 0;
	const char *name = ask->name && ask->name[0] ? ask->name : NULL;

	*rec = (struct claim_record){
		.id = core->claim_id_next,
		.session = session ? session->rec.id : 0,
		.ref = ask->ref,
		.parent = ask->parent,
		.host = ask->host,
		.guests = (uint8_t)(ask->guests <= GUESTS_MAX ? ask->guests : 0),
		.guests_open = ask->guests_open,
		.token = event->random,
		.cls = ask->cls,
		.binding = binding,
		.browser = ask->browser,
		.preemptible = ask->preemptible,
		.evictable = ask->evictable,
		.loads = ask->loads,
		.need = ask->need,
		.ttl_ms = traits->proof == PROOF_TIME
				  ? clamp_ms(ttl_ms, core->config.http_ttl_ms_max)
				  : 0,
		.uninterruptible_ms = clamp_ms(ask->uninterruptible_ms, DURATION_MS_MAX),
		.min_residence_ms =
			clamp_ms(ask->min_residence_ms, core->config.min_residence_ms_max),
		.load_ms = clamp_ms(ask->load_ms, DURATION_MS_MAX),
		.arrival = mono_after(core->now, -waited_ms),
		.wait_deadline = MONO_NEVER,
		.ttl_deadline = MONO_NEVER,
		.arrival_wall = core->wall,
	};

	if (!name && session)
		name = session->rec.name;

	text_copy(rec->name, sizeof(rec->name), name);
	text_copy(rec->request_id, sizeof(rec->request_id), ask->request_id);
	text_copy(rec->label, sizeof(rec->label), ask->label);
	principal_name(rec->principal, session ? session->rec.principal : ask->principal, -1);

	/* Who wants memory of its own would keep a resident in, and wait for it to go; who goes
	 * inside another one needs that. */
	rec->uses = ask->uses;
	if (rec->need.slots == 0 || rec->need.vram_bytes > 0 || rec->host ||
	    !resident_used(core, rec))
		rec->uses = 0;

	if (rec->need.gpu_mask == 0)
		rec->need.gpu_mask = gpus_meant(core, session, ask);
	if (rec->need.gpu_count == 0)
		rec->need.gpu_count = 1;
	if (rec->need.all_slots)
		rec->need.slots = 1;
}

/* What is wrong with the request itself, independent of all others; 0: nothing. */
static int judge_fields(const struct event *event, const struct claim_record *rec,
			const char **ret_detail)
{
	const struct ev_acquire *ask = &event->acquire;

	*ret_detail = NULL;
	if ((unsigned)ask->cls >= LEASE_CLASS_COUNT)
		*ret_detail = "class";
	else if (!rec->name[0])
		*ret_detail = "id";
	else if (rec->need.slots == 0 && rec->need.vram_bytes == 0)
		*ret_detail = "slots";
	else if (rec->need.vram_bytes > VRAM_BYTES_MAX)
		*ret_detail = "vram_mb";
	else if (rec->need.gpu_count > LIMIT_GPUS)
		*ret_detail = "gpu_count";
	else if (ask->guests > GUESTS_MAX)
		*ret_detail = "guests";
	return *ret_detail ? ERR_BAD_FIELD : 0;
}

static bool ref_taken(const struct session *session, uint64_t ref)
{
	list_each (it, next, &session->claims) {
		const struct claim *claim = container_of(it, struct claim, in_session);
		if (!claim_over(claim) && claim->rec.ref == ref)
			return true;
	}
	return false;
}

static int judge_room(const struct core *core, const struct claim_record *rec, uint32_t *ret_mask)
{
	if (need_named(core, &rec->need) == 0)
		return ERR_NO_GPU;

	*ret_mask = observe_eligible(core, &rec->need);
	if (mask_count(*ret_mask) < rec->need.gpu_count)
		return ERR_NEVER_FITS;
	return 0;
}

static struct mono_ms wait_until(const struct core *core, int64_t timeout_ms)
{
	return timeout_ms < 0 ? MONO_NEVER
			      : mono_after(core->now, clamp_ms(timeout_ms, DURATION_MS_MAX));
}

/* A repeated plain request waits for as long as it now says, in its old place. The older exchange
 * is told that it was replaced, held streams included: a lease must not outlive its connection
 * unseen. */
static void rebind_claim(struct core *core, const struct event *event, struct claim *claim)
{
	if (claim->conn != 0 &&
	    (claim->rec.state == CLAIM_QUEUED || claim_proof(claim) == PROOF_CUT))
		emit_denied(core, claim_party(claim), claim->rec.ref, claim->rec.id, ERR_STATE,
			    "request_id");
	if (claim->rec.state == CLAIM_QUEUED) {
		claim->rec.timeout_ms = event->acquire.timeout_ms;
		claim->rec.wait_deadline = wait_until(core, claim->rec.timeout_ms);
	}

	claim->place_deadline = MONO_NEVER;
	claim_set_conn(core, claim, event->from.id);
	claim_dirty(core, claim);
	yield_awaited(core, claim);

	trace_claim(core, claim, TRACE_ATTACHED);
	core->queue_changed = true;
}

/* The same request again: the client missed the answer, or lost its connection. */
static void answer_repeat(struct core *core, const struct event *event, struct claim *claim)
{
	if (claim->rec.revoked) {
		emit_denied(core, event->from, event->acquire.ref, claim->rec.id, ERR_REVOKED,
			    NULL);
		return;
	}

	if (claim->rec.binding != event->acquire.binding) {
		emit_denied(core, event->from, event->acquire.ref, claim->rec.id, ERR_STATE,
			    "request_id");
		return;
	}

	if (!claim->session && claim->conn != event->from.id)
		rebind_claim(core, event, claim);
	if (claim->rec.ref != event->acquire.ref) {
		claim->rec.ref = event->acquire.ref;
		claim_dirty(core, claim);
	}

	emit_standing(core, claim);
	/* If this answer is lost, an earlier one may have arrived: from here on only the time to
	 * live ends the lease. */
	if (claim_proof(claim) == PROOF_TIME && claim_has_room(claim))
		claim_set_conn(core, claim, 0);
}

/* The error for a claim that must not wait. */
static int why_not(const struct core *core)
{
	if (schedule_in_doubt(core, core->now))
		return ERR_IN_DOUBT;
	return core->paused ? ERR_PAUSED : ERR_BUSY;
}

/* Removes a claim that must not wait, without a trace. */
static void turn_away(struct core *core, const struct event *event, struct claim *claim)
{
	claim_vanish(core, claim);
	if (event->acquire.no_wait)
		emit_denied(core, event->from, event->acquire.ref, 0, why_not(core), NULL);
	else
		emit(core, event->from, SEND_TIMEOUT)->ref = event->acquire.ref;
}

static void enqueue_claim(struct core *core, const struct event *event, struct claim_record *rec,
			  struct session *session, uint32_t mask)
{
	bool no_wait = event->acquire.no_wait || event->acquire.timeout_ms == 0;
	struct principal *principal;
	struct claim *claim;

	rec->timeout_ms = event->acquire.timeout_ms;
	rec->wait_deadline = wait_until(core, rec->timeout_ms);

	principal = principal_join(core, session, rec->principal);
	rec->tag = queue_tag(core, rec, session, principal);
	principal_leave(core, principal);
	if (rec->resumes)
		park_begin(core, rec);

	lost_waiter_take(core, rec);
	core->claim_id_next++;

	claim = claim_create(core, rec, session, event->from.id, mask, no_wait);
	claim->no_wait = no_wait;
	if (event->acquire.accept && !rec->resumes)
		core->accepted = claim;
	else if (!no_wait)
		emit_standing(core, claim);

	if (!no_wait)
		return;

	schedule_run(core);
	if (claim->rec.state == CLAIM_QUEUED)
		turn_away(core, event, claim);
}

static int judge_request(struct core *core, const struct event *event,
			 const struct session *session, struct claim_record *rec,
			 uint32_t *ret_mask, char *detail, size_t size)
{
	const char *field = NULL;
	int err = event->acquire.resumes ? park_judge(core, event, rec, &field) : 0;

	if (err == 0)
		err = judge_fields(event, rec, &field);
	text_copy(detail, size, field);
	if (err)
		return err;
	if (session && ref_taken(session, rec->ref)) {
		text_copy(detail, size, "ref");
		return ERR_BAD_FIELD;
	}
	if (!core->journal_ok)
		return ERR_JOURNAL;

	err = judge_room(core, rec, ret_mask);
	if (err == ERR_NEVER_FITS)
		refusal_never_fits(core, &rec->need, detail, size);
	if (err)
		return err;

	err = caps_judge(core, event, session, rec, detail, size);
	if (err)
		return err;

	err = host_judge(core, rec, session, &field);
	text_copy(detail, size, field);
	if (err)
		return err;

	/* Where nobody waits, nobody waits for himself. */
	if (!rec->parent || core->config.observe)
		return 0;
	return deadlock_found(core, rec, *ret_mask, detail, size) ? ERR_DEADLOCK : 0;
}

void on_acquire(struct core *core, const struct event *event)
{
	const struct ev_acquire *ask = &event->acquire;
	bool plain = binding_of(ask->binding)->party != PARTY_SESSION;
	struct session *session = session_by_conn(core, event->from.id);
	char detail[LIMIT_REASON_BYTES + 1];
	struct claim_record rec;
	struct claim *claim;
	uint32_t mask = 0;
	int err;

	if (event->from.id == 0 || plain != !session ||
	    (plain && claim_by_conn(core, event->from.id))) {
		emit_denied(core, event->from, ask->ref, 0, ERR_STATE, "session");
		return;
	}

	fill_record(core, event, session, &rec);
	claim = rec.request_id[0] ? claim_by_request(core, session, &rec) : NULL;
	if (claim) {
		answer_repeat(core, event, claim);
		return;
	}

	err = judge_request(core, event, session, &rec, &mask, detail, sizeof(detail));
	if (err)
		emit_denied(core, event->from, ask->ref, 0, err, detail);
	else
		enqueue_claim(core, event, &rec, session, mask);
}
