/* view: reading the core without changing it: claims, places, GPUs, sessions, counters. For status,
 * metrics and messages. */
#include "core/view.h"

#include "base/contracts.h"
#include "core/claim.h"
#include "core/ledger.h"
#include "core/schedule.h"
#include "core/session.h"
#include "core/wait_bound.h"

/* Of tabs and plain leases nobody can tell. */
static void measure_view(const struct core *core, const struct claim *claim,
			 struct claim_view *ret_view)
{
	if (!claim->session || !session_has_process(claim->session) || !claim_has_room(claim))
		return;

	ret_view->measured = true;
	mask_each (gpu, claim->rec.granted_mask) {
		const struct gpu *state = &core->gpus[gpu];
		ret_view->measured &= gpu < core->config.gpu_count && state->sampled &&
				      ledger_vram_known(core, gpu);
		ret_view->vram_bytes_measured += claim->session->vram[gpu].observed;
	}
}

static void fill_view(const struct core *core, const struct claim *claim, struct mono_ms now,
		      struct claim_view *ret_view)
{
	bool waits_plain = !claim->session && claim->rec.state == CLAIM_QUEUED;

	*ret_view = (struct claim_view){
		.rec = &claim->rec,
		.conn = claim_conn(claim),
		.key = claim->key,
		.detach_deadline = MONO_NEVER,
		.yield_deadline = MONO_NEVER,
		.kill_at = MONO_NEVER,
		.load_deadline = claim->rec.state == CLAIM_LOADING ? claim->deadline : MONO_NEVER,
		.yield_for = claim->yield_for,
		.guests = claim_guests(claim),
		.yield_reason = claim->rec.yield_reason,
		.ripe = mono_due(claim->key, now),
		.noticed = claim_over(claim) ? 0 : claim->noticed,
	};

	measure_view(core, claim, ret_view);

	if (claim->session && claim->session->conn == 0 && !claim_over(claim))
		ret_view->detach_deadline = claim->rec.state == CLAIM_QUEUED
						    ? claim->session->place_deadline
						    : claim->session->detach_deadline;
	else if (waits_plain && claim->conn == 0)
		ret_view->detach_deadline = claim->place_deadline;

	if (claim->session && claim->session->reach == PEER_UNKNOWN)
		ret_view->unwatched = claim->session->unwatched;

	if (claim->session && session_has_process(claim->session)) {
		ret_view->pid = claim->session->rec.pid > 0 ? claim->session->rec.pid : 0;
		ret_view->pid_start = claim->session->rec.pid_start;
	}

	if (claim->rec.state != CLAIM_YIELDING)
		return;

	ret_view->yield_deadline = claim->deadline;

	if (claim->rec.revoked && claim->killed)
		ret_view->kill_at = now;
	else if (claim->rec.revoked && claim_proof(claim) == PROOF_EXIT &&
		 session_stoppable(claim->session))
		ret_view->kill_at = claim->deadline;
}

bool core_claim(const struct core *core, uint64_t claim_id, struct mono_ms now,
		struct claim_view *ret_view)
{
	const struct claim *claim = claim_by_id(core, claim_id);

	if (!claim)
		return false;
	fill_view(core, claim, now, ret_view);
	return true;
}

bool core_holder_after(const struct core *core, uint64_t claim_id, struct mono_ms now,
		       struct claim_view *ret_view)
{
	struct rank_node *node =
		claim_id == UINT64_MAX ? NULL : rank_tree_from(&core->holders, 0, claim_id + 1);

	if (!node)
		return false;
	fill_view(core, claim_of_place(node), now, ret_view);
	POST(ret_view->rec->id > claim_id);
	return true;
}

bool core_waiter_at(const struct core *core, uint32_t position, struct mono_ms now,
		    struct claim_view *ret_view)
{
	struct rank_node *node = rank_tree_at(&core->places, position);

	if (!node)
		return false;
	fill_view(core, claim_of_place(node), now, ret_view);
	POST(ret_view->rec->state == CLAIM_QUEUED);
	return true;
}

int64_t core_position(const struct core *core, uint64_t claim_id)
{
	const struct claim *claim = claim_by_id(core, claim_id);

	if (!claim || claim->rec.state != CLAIM_QUEUED)
		return -1;
	return rank_tree_rank(&claim->place);
}

uint32_t core_waiting_count(const struct core *core)
{
	return rank_tree_count(&core->places);
}

bool core_conn_waits(const struct core *core, uint64_t conn)
{
	const struct claim *claim = claim_by_conn(core, conn);

	return claim && claim->rec.state == CLAIM_QUEUED;
}

uint32_t core_held_count(const struct core *core)
{
	return rank_tree_count(&core->holders);
}

uint32_t core_session_count(const struct core *core)
{
	return rank_tree_count(&core->sessions);
}

bool core_observes(const struct core *core)
{
	return core->config.observe;
}

bool core_gpu(const struct core *core, uint32_t gpu, struct gpu_view *ret_view)
{
	const struct gpu *state;

	if (gpu >= core->config.gpu_count)
		return false;

	state = &core->gpus[gpu];
	*ret_view = (struct gpu_view){
		.config = &core->config.gpus[gpu],
		.slots_used = state->slots_used,
		.vram_bytes_granted = state->vram_sessions + state->vram_plain,
		.vram_bytes_unmanaged = ledger_vram_unmanaged(core, gpu),
		.vram_bytes_used = state->vram_used,
		.used_known = state->sampled && state->used_known && ledger_vram_known(core, gpu),
		.used_until = mono_after(state->measured, core->config.sample_ms_max),
		.healthy = state->healthy,
		.left_by = state->left_by,
	};

	gpu_holders (holder, core, gpu, HOLDER_KEEPS)
		if (holder->rec.state == CLAIM_DRAINING)
			ret_view->vram_bytes_draining += holder->vram_charged;
	return true;
}

void core_stats(const struct core *core, struct core_stats *ret_stats)
{
	*ret_stats = core->stats;
	ret_stats->epoch = core->epoch;
	ret_stats->fence = core->started ? core->fence_next - 1 : 0;
	ret_stats->waiting = core_waiting_count(core);
	ret_stats->held = core_held_count(core);
	ret_stats->sessions = core_session_count(core);
	ret_stats->observe = core_observes(core);
	ret_stats->paused = core->paused;
	ret_stats->journal_ok = core->journal_ok;
}

bool core_in_doubt(const struct core *core, struct mono_ms now)
{
	return schedule_in_doubt(core, now);
}

enum grants core_grants(const struct core *core, struct mono_ms now, int64_t *ret_left_ms)
{
	*ret_left_ms = -1;
	if (core->draining)
		return GRANTS_DRAINING;
	if (!core->journal_ok)
		return GRANTS_JOURNAL;
	if (schedule_in_doubt(core, now)) {
		*ret_left_ms = mono_since(core->in_doubt_until, now);
		return GRANTS_IN_DOUBT;
	}
	return core->paused ? GRANTS_PAUSED : GRANTS_ALLOWED;
}

bool core_session_after(const struct core *core, uint64_t session_id,
			const struct session_record **ret_session, uint64_t *ret_conn,
			struct mono_ms *ret_last_seen)
{
	struct rank_node *node = session_id == UINT64_MAX
					 ? NULL
					 : rank_tree_from(&core->sessions, 0, session_id + 1);

	if (!node)
		return false;
	*ret_session = &session_of_id(node)->rec;
	*ret_conn = session_of_id(node)->conn;
	*ret_last_seen = session_of_id(node)->last_seen;
	return true;
}

const struct session_record *core_session_of_secret(const struct core *core,
						    const struct token *secret)
{
	const struct session *session = session_by_secret(core, secret);

	return session ? &session->rec : NULL;
}

void core_bound(const struct core *core, uint64_t claim_id, struct mono_ms now,
		struct bound *ret_bound)
{
	const struct claim *claim = claim_by_id(core, claim_id);

	*ret_bound = (struct bound){.ms = -1, .none = BOUND_LATER};

	if (!claim || claim->rec.state != CLAIM_QUEUED)
		return;

	ret_bound->none = wait_bound_none(core, claim);
	if (ret_bound->none != BOUND_GIVEN)
		return;

	if (mono_before(claim->promise, now) || claim->promise.v == INT64_MAX)
		ret_bound->none = BOUND_LATER;
	else
		ret_bound->ms = mono_since(claim->promise, now);
}

struct mono_ms core_promise(const struct core *core, uint64_t claim_id)
{
	const struct claim *claim = claim_by_id(core, claim_id);

	if (!claim || claim->rec.state != CLAIM_QUEUED ||
	    wait_bound_none(core, claim) != BOUND_GIVEN)
		return MONO_NEVER;
	return claim->promise;
}

int64_t core_bound_ms(const struct core *core, uint64_t claim_id, struct mono_ms now)
{
	struct bound bound;

	core_bound(core, claim_id, now, &bound);
	return bound.ms;
}
