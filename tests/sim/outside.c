/* outside: sums of records and of real use. It judges nothing. */
#include "outside.h"

const struct claim_record *outside_row(const struct world *w, const struct job *job)
{
	const struct journal_claim *row = journal_claim(&w->journal, job->lease);
	return row && row->live && row->rec.ref == job->uid ? &row->rec : NULL;
}

bool outside_has_room(const struct claim_record *rec)
{
	return rec->state != CLAIM_QUEUED && rec->state != CLAIM_ENDED;
}

bool outside_is_held(enum claim_state state)
{
	return state == CLAIM_HELD || state == CLAIM_LOADING || state == CLAIM_YIELDING;
}

uint64_t outside_inside(const struct claim_record *rec)
{
	if (!outside_has_room(rec))
		return 0;
	return rec->lender != 0 ? rec->lender : rec->host;
}

bool outside_has_room_now(const struct job *job)
{
	return job->now.state != CLAIM_QUEUED && job->now.state != CLAIM_ENDED;
}

bool outside_waits(struct world *w, const struct job *job)
{
	const struct claim_record *rec = outside_row(w, job);
	if (!rec || rec->state != CLAIM_QUEUED || rec->host != 0)
		return false; /* a guest waits for a place inside another, not for a GPU */
	return outside_attached(w, job);
}

bool outside_attached(struct world *w, const struct job *job)
{
	if (job->binding <= BIND_TAB)
		return job->lost_t == INT64_MAX && w->clients[job->client].attached != 0 &&
		       w->clients[job->client].life == job->life;
	const struct conn *conn = net_conn(w, job->conn);
	/* That it asked, on this connection, may not have arrived. */
	return conn && conn->broker_open && conn->client_open && job->asked_t >= 0;
}

/* A lease that computes ends by its limit, a resident only if it may be evicted; what was granted
 * in observe mode by itself. */
static bool can_leave(const struct claim_record *rec)
{
	if (rec->observed && rec->state != CLAIM_YIELDING && rec->state != CLAIM_DRAINING)
		return false;
	return rec->need.slots > 0 || rec->evictable || rec->parked_slots > 0 ||
	       rec->state == CLAIM_YIELDING || rec->state == CLAIM_DRAINING || rec->lender != 0 ||
	       rec->host != 0;
}

static uint64_t more(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What it takes beyond what it said. */
static uint64_t undeclared_of(const struct world *w, const struct job *job)
{
	return job->uses && w->scenario.uses_more ? job->uses_need.vram_bytes / 4 : 0;
}

static uint64_t bytes_of(const struct world *w, const struct job *job,
			 const struct claim_record *rec)
{
	uint64_t uses = job->uses ? job->uses_need.vram_bytes : 0;
	uses += undeclared_of(w, job);
	return more(rec ? rec->need.vram_bytes : 0, uses);
}

bool outside_is_host(struct world *w, const struct claim_record *host)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct claim_record *rec = outside_row(w, job_of(w, w->jobs.active[i]));
		if (rec && outside_inside(rec) == host->id)
			return true;
	}
	return false;
}

/* A turn is over with its lease; but a host drains until its guests, who use its turn, are out. */
static void add(struct world *w, struct outside *outside, const struct job *job)
{
	const struct claim_record *rec = outside_row(w, job);
	bool has = rec && outside_has_room(rec);
	uint32_t mask = has ? rec->granted_mask : 0;
	bool over = has && rec->state == CLAIM_DRAINING && !outside_is_host(w, rec);
	bool computes = has && outside_inside(rec) == 0 && !over;
	const struct need *turns = computes ? &rec->need : NULL;
	if (job->uses)
		mask |= job->uses_mask;
	if (job->uses && !has)
		turns = &job->uses_need;
	uint64_t bytes = mask ? bytes_of(w, job, has ? rec : NULL) : 0;
	for (uint32_t gpu = 0; gpu < outside->count; gpu++) {
		struct outside_gpu *g = &outside->gpus[gpu];
		uint32_t slots = turns ? outside_slots(w, turns, gpu) : 0;
		if (!(mask >> gpu & 1))
			continue;
		g->slots_used += slots;
		g->used_bytes += bytes;
		g->takers += bytes > 0;
		if (!has || can_leave(rec))
			continue;
		g->staying_slots += slots;
		g->staying_bytes += bytes;
		g->staying_undeclared_bytes += undeclared_of(w, job);
		g->staying_takers += bytes > 0;
	}
}

/* What a lease that drains still uses counts with it. */
static void add_leftovers(struct world *w, uint32_t gpu, struct outside_gpu *g)
{
	const struct leftover *left;
	for (size_t at = 0; (left = leftover_next(w, gpu, &at));) {
		const struct claim_record *rec = outside_row(w, job_of(w, left->job));
		if (rec && outside_has_room(rec) && (rec->granted_mask >> gpu & 1))
			continue;
		g->used_bytes += left->bytes;
		g->staying_bytes += left->bytes;
		g->staying_undeclared_bytes += left->bytes;
	}
}

void outside_count(struct world *w, struct outside *ret_outside)
{
	const struct core_config *config = &w->broker.config;
	*ret_outside = (struct outside){.count = config->gpu_count};
	for (uint32_t gpu = 0; gpu < config->gpu_count; gpu++) {
		struct outside_gpu *g = &ret_outside->gpus[gpu];
		uint64_t gone = config->vram_headroom_bytes + w->unmanaged_bytes[gpu];
		uint64_t total = config->gpus[gpu].vram_bytes_total;
		g->slots = config->gpus[gpu].slots;
		g->vram_known = config->gpus[gpu].vram_known;
		g->room_bytes = total > gone ? total - gone : 0;
		g->healthy = !(w->unhealthy_mask >> gpu & 1) && !(w->unknown_mask >> gpu & 1);
	}
	for (size_t i = 0; i < w->jobs.active_count; i++)
		add(w, ret_outside, job_of(w, w->jobs.active[i]));
	for (uint32_t gpu = 0; gpu < config->gpu_count; gpu++)
		add_leftovers(w, gpu, &ret_outside->gpus[gpu]);
}

uint32_t outside_slots(const struct world *w, const struct need *need, uint32_t gpu)
{
	return need->all_slots && need->slots > 0 ? w->broker.config.gpus[gpu].slots : need->slots;
}

static bool named(const struct need *need, uint32_t gpu)
{
	return need->gpu_mask == 0 || need->gpu_mask >> gpu & 1;
}

uint32_t outside_fits_slots(const struct outside *outside, const struct need *need)
{
	uint32_t mask = 0;
	for (uint32_t gpu = 0; gpu < outside->count; gpu++) {
		const struct outside_gpu *g = &outside->gpus[gpu];
		uint32_t slots = need->all_slots && need->slots > 0 ? g->slots : need->slots;
		bool fits = slots == 0 || g->slots_used + slots <= g->slots;
		if (named(need, gpu) && g->healthy && fits)
			mask |= UINT32_C(1) << gpu;
	}
	return mask;
}

uint32_t outside_fits_vram(const struct outside *outside, const struct need *need)
{
	uint32_t mask = 0;
	for (uint32_t gpu = 0; gpu < outside->count; gpu++) {
		const struct outside_gpu *g = &outside->gpus[gpu];
		bool fits = need->vram_bytes == 0 ||
			    (g->vram_known ? g->used_bytes + need->vram_bytes <= g->room_bytes
					   : g->takers == 0);
		if (named(need, gpu) && g->healthy && fits)
			mask |= UINT32_C(1) << gpu;
	}
	return mask;
}

uint32_t outside_fits(const struct outside *outside, const struct need *need)
{
	return outside_fits_slots(outside, need) & outside_fits_vram(outside, need);
}

static uint32_t possible(const struct outside *outside, const struct need *need, bool perhaps)
{
	uint32_t mask = 0;
	for (uint32_t gpu = 0; gpu < outside->count; gpu++) {
		const struct outside_gpu *g = &outside->gpus[gpu];
		uint64_t bytes = g->staying_bytes - (perhaps ? g->staying_undeclared_bytes : 0);
		bool fits = need->vram_bytes == 0 ||
			    (g->vram_known ? bytes + need->vram_bytes <= g->room_bytes
					   : g->staying_takers == 0);
		uint32_t slots = need->all_slots && need->slots > 0 ? g->slots : need->slots;
		fits &= slots == 0 || g->staying_slots + slots <= g->slots;
		if (named(need, gpu) && g->healthy && fits)
			mask |= UINT32_C(1) << gpu;
	}
	return mask;
}

uint32_t outside_possible(const struct outside *outside, const struct need *need)
{
	return possible(outside, need, false);
}

uint32_t outside_perhaps_possible(const struct outside *outside, const struct need *need)
{
	return possible(outside, need, true);
}
