/* receive: what each message of the broker does to the session and its claims. The broker is not
 * trusted to be right: a grant that was not requested, has no GPU, or whose fence does not rise
 * ends the connection instead of becoming a lease. */
#include "client/receive.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "client/claim.h"
#include "client/client.h"
#include "client/error.h"
#include "client/processes.h"
#include "client/request.h"
#include "client/session.h"
#include "json/json_reader.h"
#include "wire/client_decode.h"
#include "wire/client_encode.h"

/* ---- the session itself ---- */

/* Requests it again under the same request id, which yields the same claim if the broker still has
 * it. After an unanswered release {requeue} the old claim's state is unknown: then a new one is
 * requested, and on_claim gives the old one back. */
static void ask_again(struct baton_claim *claim, struct mono_ms now)
{
	claim->phase = PHASE_WAITING;
	if (claim->requeued) {
		claim->requeued = false;
		claim->ref = ++claim->session->ref_last;
		if (client_request_id_renew(&claim->request) < 0) {
			client_claim_end(claim, BATON_E_NO_MEMORY,
					 baton_error_name(BATON_E_NO_MEMORY));
			return;
		}
	}

	client_claim_send_acquire(claim, now);
}

/* After a reconnect: compares what each side remembers. */
static void take_up_claims(struct baton *baton, bool resumed, struct mono_ms now)
{
	for (struct baton_claim *claim = baton->claims; claim; claim = claim->next) {
		if (!resumed && claim->phase == PHASE_HELD)
			client_claim_end(claim, BATON_E_LOST, baton_error_name(BATON_E_LOST));

		if (claim->phase == PHASE_HELD) {
			/* Denied if it is no longer ours. */
			if (claim->ready)
				client_encode_ready(&baton->out, claim->id);
			else
				client_encode_renew(&baton->out, claim->id);
			client_send(baton);
		} else if (claim->phase == PHASE_ACCEPTED || claim->phase == PHASE_WAITING) {
			ask_again(claim, now);
		}
	}
}

/* A broker that does not say lets nobody in before the TTL. */
static int64_t linger_of(const struct received *reply)
{
	if (reply->linger_ms >= 0)
		return reply->linger_ms;
	return reply->session_ttl_ms > 0 ? reply->session_ttl_ms : SESSION_TTL_MS;
}

static int on_welcome(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	bool again = baton->secret[0] != '\0';
	size_t length = reply->session ? strlen(reply->session) : 0;
	if (baton->state != SESSION_HELLO || length == 0 || length > SESSION_SECRET_BYTES)
		return -ERR_PROTOCOL;

	memcpy(baton->secret, reply->session, length + 1);
	baton->epoch = reply->epoch;
	baton->linger_ms = linger_of(reply);
	baton->looked_at = now;
	baton->backoff_ms = SESSION_BACKOFF_MS_MIN;
	baton->state = SESSION_UP;
	client_detail(baton, "");

	bool resumed = again && reply->resumed;
	baton->forgotten = false;
	if (again)
		callback_queue_add(&baton->notices, NOTICE_LINK, NULL)->link =
			resumed ? BATON_LINK_UP : BATON_LINK_LOST;

	if (baton->processes_named)
		client_send_processes(baton);
	take_up_claims(baton, resumed, now);
	return 0;
}

static int on_heartbeat(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	(void)reply, (void)now;
	client_encode_alive(&baton->out);
	client_send(baton);
	return 0;
}

static int code_of_close(uint64_t close_code)
{
	switch (close_code) {
	case 4401:
		return BATON_E_UNAUTHORIZED;
	case 4403:
		return BATON_E_FORBIDDEN;
	case 4409:
		return BATON_E_VERSION;
	case 4429:
		return BATON_E_FULL;
	case 4503:
		return BATON_E_UNAVAILABLE;
	default:
		return BATON_E_UNREACHABLE;
	}
}

static int on_close(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	client_break(baton, code_of_close(reply->count), reply->reason, now);
	return 0;
}

/* ---- grants ---- */

/* The broker holds something for us that we no longer want. */
static int give_back(struct baton *baton, const struct received *reply, enum claim_state state)
{
	const struct baton_claim *claim = client_claim_by_id(baton, reply->lease);
	bool waits = state == CLAIM_QUEUED || state == CLAIM_OFFERED;
	if (waits ? reply->ref == 0 : reply->lease == 0)
		return -ERR_PROTOCOL;
	if (waits)
		client_encode_cancel(&baton->out, reply->ref);
	else
		client_encode_release(&baton->out, reply->lease, claim ? claim->detail : "");
	client_send(baton);
	return 0;
}

/* Work that is being stopped gives its lease back once it has stopped, not sooner. */
static int decline_claim(const struct baton_claim *claim, struct baton *baton,
			 const struct received *reply, enum claim_state state)
{
	if (claim && claim->phase == PHASE_REVOKED)
		return 0;
	return give_back(baton, reply, state);
}

static bool lease_of_reply(const struct received *reply, struct baton_lease *ret_lease)
{
	struct baton_lease lease = {.id = reply->lease, .fence = reply->fence};
	if (reply->lease == 0 || reply->fence == 0)
		return false;
	if (reply->gpu_count == 0 || reply->gpu_count > LIMIT_GPUS)
		return false;

	lease.gpu_count = reply->gpu_count;
	for (size_t i = 0; i < lease.gpu_count; i++) {
		const struct reply_gpu *gpu = &reply->gpus[i];
		lease.gpus[i].index = gpu->index;
		snprintf(lease.gpus[i].name, sizeof(lease.gpus[i].name), "%s",
			 gpu->name ? gpu->name : "");
		snprintf(lease.gpus[i].uuid, sizeof(lease.gpus[i].uuid), "%s",
			 gpu->uuid ? gpu->uuid : "");
		snprintf(lease.gpus[i].maker, sizeof(lease.gpus[i].maker), "%s",
			 gpu->maker ? gpu->maker : "");
		lease.gpus[i].maker_index = gpu->maker_index >= 0 && gpu->maker_index <= INT_MAX
						    ? (int)gpu->maker_index
						    : -1;
	}

	*ret_lease = lease;
	return true;
}

static int start_holding(struct baton_claim *claim, const struct received *reply)
{
	if (claim->phase == PHASE_HELD)
		return reply->fence == claim->lease.fence ? 0 : -ERR_PROTOCOL;

	if (reply->fence <= claim->fence_last || !lease_of_reply(reply, &claim->lease)) {
		client_detail(claim->session, "the broker granted without a GPU or a new fence");
		return -ERR_PROTOCOL;
	}

	claim->fence_last = reply->fence;
	claim->id = reply->lease;
	claim->phase = PHASE_HELD;
	claim->ready = false;
	claim->due = MONO_NEVER;

	atomic_store(&claim->yield_asked, false);
	atomic_store(&claim->held, true);
	callback_queue_add(&claim->session->notices, NOTICE_GRANTED, claim);
	return 0;
}

static int accept_offer(struct baton_claim *claim, const struct received *reply)
{
	if (reply->lease == 0)
		return -ERR_PROTOCOL;
	claim->id = reply->lease;
	claim->phase = PHASE_ACCEPTED;
	client_encode_accept(&claim->session->out, reply->lease);
	client_send(claim->session);
	return 0;
}

static bool is_live(const struct baton_claim *claim)
{
	return claim && claim->phase != PHASE_ENDED && claim->phase != PHASE_REVOKED;
}

static int on_offered(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	(void)now;
	struct baton_claim *claim = client_claim_by_ref(baton, reply->ref);
	if (!is_live(claim))
		return decline_claim(claim, baton, reply, CLAIM_OFFERED);
	return claim->phase == PHASE_HELD ? 0 : accept_offer(claim, reply);
}

static int on_granted(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	(void)now;
	struct baton_claim *claim = client_claim_by_ref(baton, reply->ref);
	if (!is_live(claim) || claim->requeued)
		return decline_claim(claim, baton, reply, CLAIM_HELD);
	return start_holding(claim, reply);
}

static int on_queued(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	(void)now;
	struct baton_claim *claim = client_claim_by_ref(baton, reply->ref);
	if (!is_live(claim))
		return decline_claim(claim, baton, reply, CLAIM_QUEUED);

	if (claim->phase == PHASE_HELD)
		return 0; /* sent before the grant was seen */

	claim->phase = PHASE_WAITING; /* an accept that came too late: it keeps its position */
	claim->requeued = false;
	if (reply->lease)
		claim->id = reply->lease;

	struct callback *notice = callback_queue_add(&baton->notices, NOTICE_QUEUED, claim);
	notice->position = reply->position;
	notice->eta_ms = reply->eta_ms;
	notice->eta_p90_ms = reply->eta_p90_ms;
	notice->bound_ms = reply->bound_ms;

	snprintf(notice->estimate, sizeof(notice->estimate), "%s",
		 reply->estimate ? reply->estimate : "");
	snprintf(notice->sentence, sizeof(notice->sentence), "%s",
		 reply->sentence ? reply->sentence : "");
	snprintf(notice->words, sizeof(notice->words), "%s", reply->why ? reply->why : "");
	const char *code = json_text(json_get(json_get(reply->parsed.root, "why"), "code"));
	snprintf(notice->reason, sizeof(notice->reason), "%s", code ? code : "");
	return 0;
}

/* Negative: the broker did not say. */
static struct mono_ms due_after(int64_t told_ms, struct mono_ms now)
{
	return told_ms < 0 ? MONO_NEVER : mono_after(now, told_ms);
}

static void note_yield(struct baton_claim *claim, const struct received *reply, struct mono_ms now)
{
	atomic_store(&claim->yield_asked, true);
	claim->due = due_after(reply->grace_ms, now);
	struct callback *notice = callback_queue_add(&claim->session->notices, NOTICE_YIELD, claim);
	notice->grace_ms = reply->grace_ms;
	snprintf(notice->reason, sizeof(notice->reason), "%s", reply->reason ? reply->reason : "");
	snprintf(notice->words, sizeof(notice->words), "%s",
		 reply->for_name ? reply->for_name : "");
}

static void note_kept(struct baton_claim *claim)
{
	if (!atomic_exchange(&claim->yield_asked, false))
		return;
	claim->due = MONO_NEVER;
	if (!callback_queue_drop_yield(&claim->session->notices, claim))
		callback_queue_add(&claim->session->notices, NOTICE_KEPT, claim);
}

static int resume_held(struct baton_claim *claim, const struct received *reply, struct mono_ms now)
{
	int rc = start_holding(claim, reply);
	if (rc == 0 && reply->state != CLAIM_YIELDING)
		note_kept(claim);
	if (rc == 0 && reply->state == CLAIM_YIELDING && !atomic_load(&claim->yield_asked))
		note_yield(claim, reply, now);
	return rc;
}

/* After a resume: one message for each claim that the broker remembers. */
static int on_claim(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	struct baton_claim *claim = client_claim_by_ref(baton, reply->ref);
	if (!is_live(claim))
		return reply->state == CLAIM_ENDED
			       ? 0
			       : decline_claim(claim, baton, reply, reply->state);
	claim->id = reply->lease;

	switch (reply->state) {
	case CLAIM_OFFERED:
		return claim->phase == PHASE_HELD ? 0 : accept_offer(claim, reply);
	case CLAIM_HELD:
	case CLAIM_LOADING:
	case CLAIM_YIELDING:
		return resume_held(claim, reply, now);
	case CLAIM_QUEUED:
		if (claim->phase == PHASE_HELD)
			client_claim_end(claim, BATON_E_LOST, baton_error_name(BATON_E_LOST));
		return 0;
	case CLAIM_ENDED:
	case CLAIM_DRAINING:
	case CLAIM_STATE_COUNT:
		break;
	}

	client_claim_end(claim, BATON_E_LOST, baton_error_name(BATON_E_LOST));
	return 0;
}

/* ---- the end of leases and claims ---- */

static struct baton_claim *claim_of(struct baton *baton, const struct received *reply)
{
	struct baton_claim *claim = client_claim_by_ref(baton, reply->ref);
	return claim ? claim : client_claim_by_id(baton, reply->lease);
}

static int on_yield(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	struct baton_claim *claim = client_claim_by_id(baton, reply->lease);
	if (!is_live(claim))
		return decline_claim(claim, baton, reply, CLAIM_HELD);
	client_detail(baton, reply->detail); /* an operator's words */
	if (claim->phase == PHASE_HELD)
		note_yield(claim, reply, now);
	return 0;
}

static int on_keep(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	(void)now;
	struct baton_claim *claim = client_claim_by_id(baton, reply->lease);
	if (claim && claim->phase == PHASE_HELD)
		note_kept(claim);
	return 0;
}

static int on_notice(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	struct baton_claim *claim = client_claim_by_id(baton, reply->lease);
	(void)now;
	if (!claim || claim->phase != PHASE_HELD || !claim->handlers.noticed)
		return 0;

	struct callback *notice = callback_queue_add(&baton->notices, NOTICE_TOLD, claim);
	snprintf(notice->reason, sizeof(notice->reason), "%s", reply->code ? reply->code : "");
	snprintf(notice->sentence, sizeof(notice->sentence), "%s", reply->text ? reply->text : "");
	return 0;
}

static int on_revoked(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	struct baton_claim *claim = client_claim_by_id(baton, reply->lease);
	const char *reason = reply->reason ? reply->reason : "revoked";
	if (!is_live(claim))
		return 0;

	client_detail(baton, reply->detail);
	if (claim->phase == PHASE_HELD)
		client_claim_revoke(claim, BATON_E_REVOKED, reason,
				    due_after(reply->grace_ms, now));
	else
		client_claim_end(claim, BATON_E_REVOKED, reason);
	return 0;
}

/* The code of a release we did not request. As the session is open, "disconnected" means that
 * offers went unanswered. */
static int code_of_release(const struct baton_claim *claim, const char *reason)
{
	if (claim->requeued)
		return BATON_OK;
	if (claim->phase != PHASE_HELD && reason && strcmp(reason, "disconnected") == 0)
		return BATON_E_MISSED;
	return BATON_E_RELEASED;
}

static int on_released(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	(void)now;
	struct baton_claim *claim = claim_of(baton, reply);
	/* Our own release was reported when it was requested. This one answers a requeue (without a
	 * reason: `queued` follows; with one: there was nothing left to come back to), or is an
	 * operator's. */
	if (!is_live(claim) || (claim->requeued && !reply->reason))
		return 0;

	if (claim->request.resumes_lease && claim->phase == PHASE_HELD) {
		client_claim_resumed(claim);
		return 0;
	}

	client_detail(baton, reply->detail); /* an operator's words */
	client_claim_end(claim, code_of_release(claim, reply->reason),
			 reply->reason ? reply->reason : "released");
	return 0;
}

static int on_timeout(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	(void)now;
	struct baton_claim *claim = claim_of(baton, reply);
	if (is_live(claim))
		client_claim_end(claim, BATON_E_TIMEOUT, "timeout");
	return 0;
}

static void note_answer(struct baton_claim *claim, int question, int code)
{
	struct callback *notice =
		callback_queue_add(&claim->session->notices, NOTICE_ANSWERED, claim);
	notice->question = (enum baton_question)question;
	notice->code = code;
}

static void forget_session(struct baton *baton)
{
	baton->forgotten = true;
	for (struct baton_claim *claim = baton->claims; claim; claim = claim->next)
		if (claim->phase == PHASE_HELD)
			client_claim_end(claim, BATON_E_LOST, baton_error_name(BATON_E_LOST));
}

/* A broker with other mounts than ours cannot find our cgroup; the processes alone will do.
 */
static void drop_cgroup(struct baton *baton)
{
	if (!*baton->cgroup)
		return;
	baton->cgroup[0] = '\0';
	client_send_processes(baton);
}

static int on_denied(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	int code = error_public(reply->err);
	const char *detail = reply->detail ? reply->detail : reply->message;

	if (baton->state == SESSION_HELLO) {
		/* The session has ended there, so it ends here; the next hello requests a new one.
		 */
		if (code == BATON_E_LOST)
			forget_session(baton);
		baton->cut_off = reply->err == ERR_DRAINING;
		client_break(baton, code, detail, now);
		return 0;
	}

	client_detail(baton, detail);
	struct baton_claim *claim = claim_of(baton, reply);
	if (!claim && baton->link_code > 0) {
		baton->link_code = code;
		callback_queue_add(&baton->notices, NOTICE_PAGE, NULL);
	} else if (!claim && reply->lease == 0 && reply->ref == 0) {
		client_processes_answered(baton, false);
	}

	if (!claim && reply->lease == 0 && reply->ref == 0 && detail && strstr(detail, "cgroup"))
		drop_cgroup(baton);

	if (!is_live(claim))
		return 0;
	if (claim->phase == PHASE_ACCEPTED) {
		claim->phase = PHASE_WAITING; /* the offer had expired: it keeps its position */
		return 0;
	}

	if (claim->phase != PHASE_HELD) {
		client_claim_end(claim, code, err_name(reply->err));
		return 0;
	}

	bool is_over = code == BATON_E_LOST || code == BATON_E_REVOKED || code == BATON_E_RELEASED;
	int question = client_claim_answered(claim, 0);
	if (question || !is_over)
		note_answer(claim, question ? question : BATON_ASKED_YIELDING, code);
	if (is_over)
		client_claim_end(claim, code, err_name(reply->err));
	return 0;
}

static int take_answer(struct baton *baton, const struct received *reply,
		       enum baton_question question, struct mono_ms now)
{
	struct baton_claim *claim = claim_of(baton, reply);
	/* `renewed` answers both renew and yielding, in their order. */
	int found = !is_live(claim)                 ? 0
		    : question == BATON_ASKED_RENEW ? client_claim_answered(claim, 0)
						    : client_claim_answered(claim, (int)question);

	if (found == BATON_ASKED_YIELDING)
		claim->due = due_after(reply->expires_ms, now);
	if (found)
		note_answer(claim, found, 0);
	return 0;
}

static int on_renewed(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	return take_answer(baton, reply, BATON_ASKED_RENEW, now);
}

static int on_changed(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	return take_answer(baton, reply, BATON_ASKED_CHANGE, now);
}

static int on_lent(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	return take_answer(baton, reply, BATON_ASKED_LEND, now);
}

/* We say nothing else that is answered so. */
static int on_ok(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	(void)reply, (void)now;
	client_processes_answered(baton, true);
	return 0;
}

static int on_link(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	(void)now;
	if (!reply->text || strlen(reply->text) >= sizeof(baton->link_url))
		return -ERR_PROTOCOL;
	snprintf(baton->link_url, sizeof(baton->link_url), "%s", reply->text);
	baton->link_code = 0;
	callback_queue_add(&baton->notices, NOTICE_PAGE, NULL);
	return 0;
}

int client_receive(struct baton *baton, const struct received *reply, struct mono_ms now)
{
	static int (*const handlers[RECEIVED_TYPE_COUNT])(struct baton *, const struct received *,
							  struct mono_ms) = {
		[RECEIVED_WELCOME] = on_welcome, [RECEIVED_CLAIM] = on_claim,
		[RECEIVED_QUEUED] = on_queued,   [RECEIVED_OFFERED] = on_offered,
		[RECEIVED_GRANTED] = on_granted, [RECEIVED_YIELD] = on_yield,
		[RECEIVED_REVOKED] = on_revoked, [RECEIVED_RELEASED] = on_released,
		[RECEIVED_TIMEOUT] = on_timeout, [RECEIVED_DENIED] = on_denied,
		[RECEIVED_RENEWED] = on_renewed, [RECEIVED_CHANGED] = on_changed,
		[RECEIVED_LENT] = on_lent,       [RECEIVED_HEARTBEAT] = on_heartbeat,
		[RECEIVED_LINK] = on_link,       [RECEIVED_CLOSE] = on_close,
		[RECEIVED_KEEP] = on_keep,       [RECEIVED_NOTICE] = on_notice,
		[RECEIVED_OK] = on_ok,
	};

	/* No message about claims may precede the welcome. A broker whose journal is slow may send
	 * a heartbeat first. */
	bool early = reply->type != RECEIVED_HEARTBEAT && reply->type != RECEIVED_WELCOME &&
		     reply->type != RECEIVED_DENIED && reply->type != RECEIVED_CLOSE &&
		     reply->type != RECEIVED_OTHER;

	if (baton->state == SESSION_HELLO && early)
		return -ERR_PROTOCOL;
	return handlers[reply->type] ? handlers[reply->type](baton, reply, now) : 0;
}
