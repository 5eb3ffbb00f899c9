/* claim: what a program does with its claims, and their deadlines. A claim's lease exists only in
 * PHASE_HELD; every way out of it goes through client_claim_revoke or baton_release. The broker's
 * messages come in through receive.c. */
#include "client/claim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/request.h"
#include "client/session.h"
#include "wire/client_encode.h"
#include "wire/display_name.h"

enum { BYTES_PER_MIB = 1024 * 1024 };

struct baton_claim *client_claim_by_ref(struct baton *baton, uint64_t ref)
{
	for (struct baton_claim *claim = baton->claims; claim; claim = claim->next)
		if (claim->ref == ref)
			return claim;
	return NULL;
}

struct baton_claim *client_claim_by_id(struct baton *baton, uint64_t id)
{
	for (struct baton_claim *claim = baton->claims; claim; claim = claim->next)
		if (claim->id == id && id != 0)
			return claim;
	return NULL;
}

static uint64_t vram_mb(uint64_t bytes)
{
	return (bytes + BYTES_PER_MIB - 1) / BYTES_PER_MIB;
}

void client_claim_send_acquire(struct baton_claim *claim, struct mono_ms now)
{
	const struct baton_request *request = &claim->request;
	struct client_acquire acquire = {
		.ref = claim->ref,
		.class_name = request->lease_class,
		.gpu = request->gpu,
		.request_id = request->request_id,
		.label = request->label,
		.gpu_count = request->gpus,
		.slots_given = true,
		.slots = request->slots,
		.all_slots = request->slots == BATON_SLOTS_ALL,
		.vram_mb = vram_mb(request->vram_bytes),
		.no_wait = request->no_wait,
		.no_preempt = request->no_preempt,
		.evictable = request->evictable,
		.loads = request->loads,
		.uninterruptible_ms = request->uninterruptible_ms,
		.min_residence_ms = request->min_residence_ms,
		.load_ms = request->load_ms,
		.parent = request->parent_lease,
		.host = request->host_lease,
		.guests = request->guests,
		.guests_open = request->guests_open,
		.accept = true,
		.resumes = request->resumes_lease,
	};

	if (request->timeout_ms != BATON_TIMEOUT_DEFAULT) {
		acquire.timeout_given = true;
		acquire.timeout_ms = -1;
		if (request->timeout_ms >= 0)
			acquire.timeout_ms = mono_since(claim->deadline, now);
		if (request->timeout_ms >= 0 && acquire.timeout_ms < 1)
			acquire.timeout_ms = 1;
	}

	client_encode_acquire(&claim->session->out, &acquire);
	client_send(claim->session);
}

static void note_ended(struct baton_claim *claim, int code, const char *reason)
{
	struct callback *notice = callback_queue_add(&claim->session->notices, NOTICE_ENDED, claim);
	notice->code = code;
	snprintf(notice->reason, sizeof(notice->reason), "%s", reason);
}

void client_claim_revoke(struct baton_claim *claim, int code, const char *reason,
			 struct mono_ms due)
{
	if (claim->phase != PHASE_HELD)
		return;

	claim->phase = PHASE_REVOKED;
	claim->due = due;
	claim->revoked_code = code;
	snprintf(claim->revoked_reason, sizeof(claim->revoked_reason), "%s", reason);
	atomic_store(&claim->held, false);
	atomic_store(&claim->yield_asked, false);

	struct callback *notice =
		callback_queue_add(&claim->session->notices, NOTICE_REVOKED, claim);
	snprintf(notice->reason, sizeof(notice->reason), "%s", reason);
}

void client_claim_end(struct baton_claim *claim, int code, const char *reason)
{
	if (claim->phase == PHASE_HELD)
		client_claim_revoke(claim, code, reason, client_gone_at(claim->session));
	if (claim->phase == PHASE_REVOKED || claim->phase == PHASE_ENDED)
		return; /* a revoked one ends once its work has stopped */

	claim->phase = PHASE_ENDED;
	claim->code = code;
	note_ended(claim, code, reason);
}

void client_claim_resumed(struct baton_claim *claim)
{
	atomic_store(&claim->held, false);
	claim->phase = PHASE_ENDED;
	claim->code = BATON_OK;
	note_ended(claim, BATON_OK, "resumed");
}

/* Without a connection now, receive.c sends it after the next resume. */
static void end_revoked(struct baton_claim *claim)
{
	client_encode_release(&claim->session->out, claim->id, claim->detail);
	client_send(claim->session);
	claim->phase = PHASE_ENDED;
	claim->code = claim->revoked_code;
	note_ended(claim, claim->code, claim->revoked_reason);
}

void client_claim_revoked_told(struct baton_claim *claim)
{
	if (claim->phase != PHASE_REVOKED)
		return; /* the handler released it itself */
	if (!claim->handlers.stops_later)
		end_revoked(claim);
}

int baton_lease_stopped(struct baton_claim *claim)
{
	struct baton *baton = claim->session;
	pthread_mutex_lock(&baton->lock);
	int rc = claim->phase == PHASE_REVOKED ? 0 : BATON_E_STATE;
	if (rc == 0) {
		end_revoked(claim);
		client_settle(baton);
	}
	pthread_mutex_unlock(&baton->lock);
	return rc;
}

void client_claim_ask(struct baton_claim *claim, enum baton_question question)
{
	if (claim->question_count < SESSION_QUESTIONS_MAX)
		claim->questions[claim->question_count++] = question;
}

int client_claim_answered(struct baton_claim *claim, int question)
{
	for (size_t i = 0; i < claim->question_count; i++) {
		int found = claim->questions[i];
		if (question != 0 && found != question)
			continue;
		claim->question_count--;
		for (size_t j = i; j < claim->question_count; j++)
			claim->questions[j] = claim->questions[j + 1];
		return found;
	}
	return 0;
}

static void send_cancel(struct baton_claim *claim)
{
	client_encode_cancel(&claim->session->out, claim->ref);
	client_send(claim->session);
}

static struct mono_ms tick_waiting(struct baton_claim *claim, struct mono_ms now)
{
	struct baton *baton = claim->session;
	struct mono_ms deadline = claim->deadline;
	int code = BATON_E_TIMEOUT;

	if (baton->state == SESSION_UP) {
		/* The broker decides; this only keeps its silence from extending the wait. */
		deadline = mono_after(deadline, SESSION_LATE_MS);
	} else if (claim->request.timeout_ms == BATON_TIMEOUT_DEFAULT) {
		deadline = mono_after(baton->down_since, SESSION_ORPHAN_MS);
		code = BATON_E_UNREACHABLE;
	}

	if (!mono_due(deadline, now))
		return deadline;

	send_cancel(claim);
	client_claim_end(claim, code, baton_error_name(code));
	return MONO_NEVER;
}

struct mono_ms client_claim_tick(struct baton_claim *claim, struct mono_ms now)
{
	struct baton *baton = claim->session;
	if (claim->phase == PHASE_WAITING || claim->phase == PHASE_ACCEPTED)
		return tick_waiting(claim, now);
	if (claim->phase != PHASE_HELD || baton->state == SESSION_UP)
		return MONO_NEVER; /* an open socket keeps a held lease valid indefinitely */

	struct mono_ms lost_at = client_lost_at(baton);
	if (!mono_due(lost_at, now))
		return lost_at;

	/* From now on the broker may give the GPU to others. */
	client_claim_end(claim, BATON_E_LOST, baton_error_name(BATON_E_LOST));
	return MONO_NEVER;
}

static void claim_destroy(struct baton_claim *claim)
{
	callback_queue_forget(&claim->session->notices, claim);
	client_request_finish(&claim->request);
	free(claim);
}

void client_claims_sweep(struct baton *baton)
{
	if (baton->in_handler)
		return; /* the running handler may be this claim's */
	struct baton_claim **at = &baton->claims;
	while (*at) {
		struct baton_claim *claim = *at;
		if (claim->freed) {
			*at = claim->next;
			claim_destroy(claim);
		} else {
			at = &claim->next;
		}
	}
}

/* A request that does not wait gets the same deadline as a hello. */
static struct mono_ms wait_deadline(const struct baton *baton, const struct baton_request *request)
{
	if (request->no_wait)
		return mono_after(client_now(), baton->connect_timeout_ms);
	return request->timeout_ms < 0 ? MONO_NEVER : mono_after(client_now(), request->timeout_ms);
}

static struct baton_claim *claim_create(struct baton *baton, const struct baton_request *request,
					int *ret_error)
{
	struct baton_claim *claim = calloc(1, sizeof(*claim));
	const char *problem = NULL;

	*ret_error =
		claim ? client_request_copy(request, &claim->request, &claim->handlers, &problem)
		      : BATON_E_NO_MEMORY;
	if (*ret_error < 0) {
		if (*ret_error == BATON_E_INVALID)
			client_detail(baton, problem);
		free(claim);
		return NULL;
	}

	claim->session = baton;
	claim->phase = PHASE_WAITING;
	claim->ref = ++baton->ref_last;
	claim->due = MONO_NEVER;
	claim->deadline = wait_deadline(baton, &claim->request);
	return claim;
}

static int refusal_to_acquire(const struct baton *baton, const struct baton_request *request)
{
	unsigned live_count = 0;
	for (struct baton_claim *claim = baton->claims; claim; claim = claim->next)
		live_count += claim->phase != PHASE_ENDED;

	if (baton->state == SESSION_DEAD)
		return baton->fatal;
	if (live_count >= LIMIT_QUEUE_PER_SESSION)
		return BATON_E_FULL;
	if (baton->state != SESSION_UP && request->no_wait)
		return BATON_E_UNREACHABLE;
	return 0;
}

int baton_acquire(struct baton *baton, const struct baton_request *request,
		  struct baton_claim **ret_claim)
{
	*ret_claim = NULL;

	pthread_mutex_lock(&baton->lock);
	int rc = refusal_to_acquire(baton, request);
	struct baton_claim *claim = NULL;
	if (rc == 0)
		claim = claim_create(baton, request, &rc);

	if (claim) {
		struct baton_claim **end = &baton->claims;
		while (*end)
			end = &(*end)->next;
		*end = claim;
		if (baton->state == SESSION_UP)
			client_claim_send_acquire(claim, client_now());
		client_settle(baton);
		*ret_claim = claim;
	}

	pthread_mutex_unlock(&baton->lock);
	return rc;
}

/* Leaves whatever phase it is in, at the broker too. The caller decides what to report. */
static void withdraw_claim(struct baton_claim *claim)
{
	if (claim->phase == PHASE_HELD || claim->phase == PHASE_REVOKED) {
		client_encode_release(&claim->session->out, claim->id, claim->detail);
		client_send(claim->session);
	} else if (claim->phase == PHASE_WAITING || claim->phase == PHASE_ACCEPTED) {
		/* If the grant is already on its way, receive.c gives it back. */
		send_cancel(claim);
	}

	atomic_store(&claim->held, false);
	atomic_store(&claim->yield_asked, false);
}

static int give_back(struct baton_claim *claim, bool requeue, bool moved)
{
	struct baton *baton = claim->session;
	int rc = 0;
	pthread_mutex_lock(&baton->lock);

	if (claim->phase == PHASE_ENDED) {
		rc = BATON_E_STATE;
	} else if (claim->phase == PHASE_HELD && requeue && baton->state != SESSION_DEAD) {
		client_encode_requeue(&baton->out, claim->id, moved);
		client_send(baton);
		atomic_store(&claim->held, false);
		atomic_store(&claim->yield_asked, false);
		claim->phase = PHASE_WAITING;
		claim->requeued = true;
		claim->due = MONO_NEVER;
		claim->deadline =
			wait_deadline(baton, &claim->request); /* restarted, as the broker does */
		callback_queue_forget(&baton->notices, claim);
	} else {
		bool was_held = claim->phase == PHASE_HELD || claim->phase == PHASE_REVOKED;
		int code = was_held ? BATON_OK : BATON_E_CANCELLED;
		withdraw_claim(claim);
		callback_queue_forget(&baton->notices, claim);
		claim->phase = PHASE_ENDED;
		claim->code = code;
		note_ended(claim, code, was_held ? "released" : "cancelled");
	}

	client_settle(baton);
	pthread_mutex_unlock(&baton->lock);
	return rc;
}

int baton_release(struct baton_claim *claim, bool requeue)
{
	return give_back(claim, requeue, false);
}

int baton_release_moved(struct baton_claim *claim)
{
	return give_back(claim, true, true);
}

int baton_claim_explain(struct baton_claim *claim, const char *detail)
{
	struct baton *baton = claim->session;
	if (*detail && display_name_problem(detail, strlen(detail), LIMIT_REASON_BYTES))
		return BATON_E_INVALID;

	pthread_mutex_lock(&baton->lock);
	int rc = claim->phase == PHASE_ENDED ? BATON_E_STATE : 0;
	if (rc == 0)
		snprintf(claim->detail, sizeof(claim->detail), "%s", detail);
	pthread_mutex_unlock(&baton->lock);
	return rc;
}

int baton_cancel(struct baton_claim *claim)
{
	return baton_release(claim, false);
}

void baton_claim_free(struct baton_claim *claim)
{
	if (!claim)
		return;
	struct baton *baton = claim->session;
	pthread_mutex_lock(&baton->lock);
	withdraw_claim(claim);
	callback_queue_forget(&baton->notices, claim);
	claim->phase = PHASE_ENDED;
	claim->freed = true;
	client_claims_sweep(baton);
	pthread_mutex_unlock(&baton->lock);
}
