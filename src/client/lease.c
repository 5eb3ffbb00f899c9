/* lease: a program's questions about its lease, and its requests while it holds one. Sends at once,
 * decides nothing. */
#include <assert.h>

#include "client/claim.h"
#include "client/client.h"
#include "client/session.h"
#include "wire/client_encode.h"

const struct baton_lease *baton_claim_lease(const struct baton_claim *claim)
{
	return atomic_load(&claim->held) ? &claim->lease : NULL;
}

bool baton_yield_asked(const struct baton_claim *claim)
{
	return atomic_load(&claim->held) && atomic_load(&claim->yield_asked);
}

int baton_claim_ended(const struct baton_claim *claim)
{
	struct baton *baton = claim->session;
	pthread_mutex_lock(&baton->lock);
	int ended = claim->phase != PHASE_ENDED ? 0 : claim->code == 0 ? 1 : claim->code;
	pthread_mutex_unlock(&baton->lock);
	return ended;
}

uint64_t baton_claim_fence(const struct baton_claim *claim)
{
	struct baton *baton = claim->session;
	pthread_mutex_lock(&baton->lock);
	uint64_t fence = claim->fence_last;
	pthread_mutex_unlock(&baton->lock);
	return fence;
}

int64_t baton_time_left_ms(const struct baton_claim *claim)
{
	struct baton *baton = claim->session;
	pthread_mutex_lock(&baton->lock);
	bool asked = claim->phase == PHASE_HELD && atomic_load(&claim->yield_asked);
	int64_t left_ms = -1;

	if ((asked || claim->phase == PHASE_REVOKED) && claim->due.v != MONO_NEVER.v) {
		left_ms = mono_since(claim->due, client_now());
		left_ms = left_ms > 0 ? left_ms : 0;
	}
	pthread_mutex_unlock(&baton->lock);
	return left_ms;
}

uint64_t baton_claim_id(const struct baton_claim *claim)
{
	struct baton *baton = claim->session;
	pthread_mutex_lock(&baton->lock);
	uint64_t id = claim->id;
	pthread_mutex_unlock(&baton->lock);
	return id;
}

struct baton *baton_claim_session(const struct baton_claim *claim)
{
	return claim->session;
}

uint64_t baton_lease_id(const struct baton_lease *lease)
{
	return lease->id;
}

uint64_t baton_lease_fence(const struct baton_lease *lease)
{
	return lease->fence;
}

size_t baton_lease_gpu_count(const struct baton_lease *lease)
{
	return lease->gpu_count;
}

uint32_t baton_lease_gpu_index(const struct baton_lease *lease, size_t at)
{
	assert(at < lease->gpu_count);
	return lease->gpus[at].index;
}

const char *baton_lease_gpu_name(const struct baton_lease *lease, size_t at)
{
	assert(at < lease->gpu_count);
	return lease->gpus[at].name;
}

const char *baton_lease_gpu_uuid(const struct baton_lease *lease, size_t at)
{
	assert(at < lease->gpu_count);
	return lease->gpus[at].uuid;
}

const char *baton_lease_gpu_maker(const struct baton_lease *lease, size_t at)
{
	assert(at < lease->gpu_count);
	return lease->gpus[at].maker;
}

int baton_lease_gpu_maker_index(const struct baton_lease *lease, size_t at)
{
	assert(at < lease->gpu_count);
	return lease->gpus[at].maker_index;
}

/* Locks, and returns 0 if the lease is held and the broker connected. */
static int lock_held(struct baton_claim *claim)
{
	struct baton *baton = claim->session;
	pthread_mutex_lock(&baton->lock);
	if (claim->phase != PHASE_HELD)
		return BATON_E_STATE;
	return baton->state == SESSION_UP ? 0 : BATON_E_UNREACHABLE;
}

static int send_question(struct baton_claim *claim, enum baton_question question)
{
	client_claim_ask(claim, question);
	client_send(claim->session);
	return 0;
}

static int unlock_claim(struct baton_claim *claim, int rc)
{
	pthread_mutex_unlock(&claim->session->lock);
	return rc;
}

int baton_yielding(struct baton_claim *claim, int64_t need_ms)
{
	int rc = lock_held(claim);
	if (rc == 0 && need_ms < 0)
		rc = BATON_E_INVALID;
	if (rc == 0) {
		client_encode_yielding(&claim->session->out, claim->id, need_ms);
		rc = send_question(claim, BATON_ASKED_YIELDING);
	}
	return unlock_claim(claim, rc);
}

int baton_renew(struct baton_claim *claim)
{
	int rc = lock_held(claim);
	if (rc == 0) {
		client_encode_renew(&claim->session->out, claim->id);
		rc = send_question(claim, BATON_ASKED_RENEW);
	}
	return unlock_claim(claim, rc);
}

/* Without a connection it is sent after the next reconnect. */
int baton_ready(struct baton_claim *claim)
{
	int rc = lock_held(claim);
	if (rc == 0) {
		client_encode_ready(&claim->session->out, claim->id);
		rc = send_question(claim, BATON_ASKED_READY);
	}
	claim->ready = rc == 0 || rc == BATON_E_UNREACHABLE;
	return unlock_claim(claim, claim->ready ? 0 : rc);
}

int baton_change(struct baton_claim *claim, uint32_t slots, uint64_t vram_bytes)
{
	const uint64_t mib = 1024 * 1024;
	int rc = lock_held(claim);
	if (rc == 0 && ((slots == 0 && vram_bytes == 0) || slots == BATON_SLOTS_ALL ||
			vram_bytes > (uint64_t)1 << 50))
		rc = BATON_E_INVALID;
	if (rc == 0) {
		client_encode_change(&claim->session->out, claim->id, slots,
				     (vram_bytes + mib - 1) / mib);
		rc = send_question(claim, BATON_ASKED_CHANGE);
	}
	return unlock_claim(claim, rc);
}

int baton_lend(struct baton_claim *claim, uint64_t to_claim)
{
	int rc = lock_held(claim);
	if (rc == 0 && to_claim == 0)
		rc = BATON_E_INVALID;
	if (rc == 0) {
		client_encode_lend(&claim->session->out, claim->id, to_claim);
		rc = send_question(claim, BATON_ASKED_LEND);
	}
	return unlock_claim(claim, rc);
}
