/* judge_inside: the places of a host. Nobody is in whom it does not take, nobody waits beside a
 * free place, a guest that had its turn is asked when others wait, and who ends a lease ends its
 * house: those who wait for it are denied, those inside are revoked, and it is over when they are
 * gone. Called for each record, message and step, and at the end of a turn. */
#include "base/err.h"
#include "judge.h"
#include "outside.h"

typedef unsigned long long ull;

enum { PLACE_MS_MAX = 10 };

bool inside_anybody(struct world *w, const struct job *job)
{
	for (size_t i = 0; i < w->jobs.active_count && job->lease != 0; i++) {
		const struct job *guest = job_of(w, w->jobs.active[i]);
		if (guest->inside == job->lease && guest->live)
			return true;
	}
	return false;
}

/* Its client can be told. */
static bool has_ears(struct world *w, const struct job *job)
{
	const struct client *client = &w->clients[job->client];
	bool session = job->binding <= BIND_TAB;
	const struct conn *conn = net_conn(w, session ? client->attached : job->conn);
	if (!conn || !conn->broker_open)
		return false;
	if (session || job_is_model(job))
		return job->lost_t == INT64_MAX && client->life == job->life;
	return job_is_stream(job);
}

void inside_record(struct world *w, struct job *job, const struct claim_record *rec, bool ends)
{
	uint64_t inside = ends ? 0 : outside_inside(rec);
	struct job *host = job_of_lease(w, job->inside);
	bool taken = rec->revoked && !job->revoked && rec->state == CLAIM_YIELDING;
	/* With a later fence it was out meanwhile, and is offered a place there again. */
	bool left = inside != job->inside || rec->fence != job->now.fence;
	if (host && left && host->binding <= BIND_TAB)
		w->clients[host->client].compute_ended_ms = broker_now(w).v;
	if (inside != 0 && rec->lender == 0 && inside != job->inside)
		w->tally.guests++;
	job->inside = inside;
	if (taken || (ends && rec->end == END_DENIED))
		job->over_step = w->tally.steps + 1;
	w->check.over |= job->over_step == w->tally.steps + 1;
	w->tally.host_overs += taken && rec->yield_reason == YIELD_HOST_OVER;
}

static int64_t declared_ms(const struct world *w, const struct job *job)
{
	const struct core_config *config = &w->broker.config;
	int64_t ms = job->uninterruptible_ms < config->grace_ms_max ? job->uninterruptible_ms
								    : config->grace_ms_max;
	return ms > config->grace_ms ? ms : config->grace_ms;
}

/* Others were told when the host will be gone: nobody inside has longer than it declared, or than
 * the one around it did, if that is asked. */
static void judge_grace(struct world *w, const struct job *job, const struct effect *fx)
{
	const struct job *host = job_of_lease(w, job->inside);
	int64_t most_ms = 0;
	if (!host || job->offered_t <= w->check.config_t) /* told before a reload */
		return;
	for (; host; host = job_of_lease(w, host->inside))
		most_ms = declared_ms(w, host) > most_ms ? declared_ms(w, host) : most_ms;
	if (fx->send.grace_ms > most_ms)
		judge_fail(w, JUDGE_INSIDE, "lease %llu has %lld ms to stop, its host has %lld",
			   (ull)job->lease, (long long)fx->send.grace_ms, (long long)most_ms);
}

void inside_sent(struct world *w, struct job *job, const struct effect *fx)
{
	if (fx->send.msg == SEND_REVOKED || fx->send.msg == SEND_DENIED)
		job->told_step = w->tally.steps + 1;
	if (fx->send.msg == SEND_YIELD && job->inside != 0 && judge_is_on(w, JUDGE_INSIDE))
		judge_grace(w, job, fx);
}

/* Whoever lost its place or its lease hears it at once. */
void inside_step(struct world *w, const struct event *event)
{
	const struct conn *closed =
		event->type == EVENT_CONN_CLOSED ? net_conn(w, event->from.id) : NULL;
	bool over = w->check.over;
	w->check.over = false;
	if (!over || !judge_is_on(w, JUDGE_INSIDE) || event->type <= EVENT_START)
		return;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *job = job_of(w, w->jobs.active[i]);
		/* Its client left it in this step, and may have a new connection by now. */
		bool left = closed && closed->client == job->client;
		if (job->over_step == w->tally.steps + 1 && job->told_step != job->over_step &&
		    !left && has_ears(w, job))
			judge_fail(w, JUDGE_INSIDE, "claim %llu is over and is not told",
				   (ull)job->lease);
	}
}

static void begin(struct world *w)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		job->places.inside = job->places.waiting = 0;
		job->places.need_bytes = 0;
		job->places.comes_free = false;
		job->places.due_t = INT64_MAX;
	}
}

/* When a guest has had its turn, on the clock of the run. */
static int64_t turn_over_t(const struct world *w, const struct job *job,
			   const struct claim_record *rec)
{
	/* An heir goes on with the turn of its lender, who may be of any class. */
	int64_t most_ms = job->heir ? core_hold_ms_max(&w->broker.config)
				    : w->broker.config.classes[rec->cls].hold_ms_max;
	int64_t left_ms = most_ms - rec->used_ms;
	if (rec->loading && rec->preemptible)
		return INT64_MAX;
	return w->t - (broker_now(w).v - rec->turn_since.v) + (left_ms > 0 ? left_ms : 0);
}

static void note_guest(struct world *w, const struct job *job, const struct claim_record *rec)
{
	struct job *host = job_of_lease(w, rec->host);
	const struct claim_record *house = host ? outside_row(w, host) : NULL;
	if (!house || !outside_is_held(house->state)) {
		bool over = house && house->state == CLAIM_DRAINING;
		if (!over || !(rec->revoked || rec->state == CLAIM_DRAINING))
			judge_fail(w, JUDGE_INSIDE, "lease %llu runs inside %llu, which is %s",
				   (ull)job->lease, (ull)rec->host,
				   house ? claim_state_name((int)house->state) : "gone");
	}
	struct job_places *places = &host->places;
	int64_t due_t =
		rec->observed || w->broker.config.observe ? INT64_MAX : turn_over_t(w, job, rec);
	places->inside++;
	places->need_bytes += rec->need.vram_bytes;
	places->comes_free |= rec->state == CLAIM_YIELDING || rec->state == CLAIM_DRAINING ||
			      rec->state == CLAIM_OFFERED;
	if (due_t < places->due_t)
		places->due_t = due_t;
	if (places->inside > house->guests)
		judge_fail(w, JUDGE_INSIDE, "%u run inside lease %llu, which takes in %u",
			   places->inside, (ull)rec->host, house->guests);
}

/* Those inside, and that everybody who waits has somebody to wait for. */
static void look_around(struct world *w)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *job = job_of(w, w->jobs.active[i]);
		const struct claim_record *rec = outside_row(w, job);
		if (!rec || rec->host == 0)
			continue;
		if (rec->lender == 0 && outside_has_room(rec)) {
			note_guest(w, job, rec);
		} else if (rec->state == CLAIM_QUEUED) {
			struct job *host = job_of_lease(w, rec->host);
			if (!host || !host->live || host->draining)
				judge_fail(w, JUDGE_INSIDE,
					   "claim %llu waits for a place in %llu, which is over",
					   (ull)job->lease, (ull)rec->host);
			host->places.waiting++;
		}
	}
}

static bool stands(int64_t *since_t, bool is, const struct world *w, int64_t most_ms)
{
	if (!is || *since_t == 0 || *since_t <= w->tainted_t)
		*since_t = is ? w->t : 0;
	return is && w->t - *since_t > most_ms;
}

/* The GPUs of its host are such that it could be there; some may be gone since a reload. */
static bool could_be_inside(const struct world *w, const struct claim_record *rec,
			    const struct claim_record *house)
{
	const struct core_config *config = &w->broker.config;
	uint32_t count = 0;
	for (uint32_t gpu = 0; gpu < config->gpu_count; gpu++) {
		uint64_t room = config->gpus[gpu].vram_bytes_total - config->vram_headroom_bytes;
		count += (house->granted_mask & rec->need.gpu_mask) >> gpu & 1 &&
			 rec->need.slots <= config->gpus[gpu].slots &&
			 (!config->gpus[gpu].vram_known || rec->need.vram_bytes <= room);
	}
	return count >= rec->need.gpu_count;
}

/* The first who waits and could go in at once: NULL where one waits who may be before it. */
static const struct job *first_waiter(struct world *w, const struct job *host,
				      const struct claim_record *house)
{
	const struct job *first = NULL;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *job = job_of(w, w->jobs.active[i]);
		const struct claim_record *rec = outside_row(w, job);
		if (!rec || rec->state != CLAIM_QUEUED || rec->host != host->lease)
			continue;
		if (!could_be_inside(w, rec, house))
			continue; /* it waits in vain, until its host is over */
		if (rec->need.vram_bytes > 0 &&
		    host->places.need_bytes + rec->need.vram_bytes > house->need.vram_bytes)
			return NULL; /* for memory beyond its host's */
		if (outside_attached(w, job))
			first = job;
	}
	return first;
}

static void judge_house(struct world *w, struct job *host, const struct claim_record *house)
{
	struct job_places *places = &host->places;
	bool full = places->inside >= house->guests;
	bool asks = house->state == CLAIM_HELD && w->well && places->waiting > 0 &&
		    (!full || places->due_t <= w->t);
	const struct job *waiter = asks ? first_waiter(w, host, house) : NULL;
	if (stands(&places->free_since_t, waiter && !full, w, PLACE_MS_MAX))
		judge_fail(w, JUDGE_INSIDE, "claim %llu waits beside a free place of lease %llu",
			   (ull)waiter->lease, (ull)host->lease);
	if (stands(&places->late_since_t,
		   waiter && full && !places->comes_free && places->due_t <= w->t, w, PLACE_MS_MAX))
		judge_fail(w, JUDGE_INSIDE, "a guest of lease %llu had its turn, claim %llu waits",
			   (ull)host->lease, (ull)waiter->lease);
	bool empty = house->state == CLAIM_DRAINING && places->inside == 0;
	int64_t most_ms = host->binding == BIND_NATIVE ? w->broker.config.drain_ms_max : 0;
	if (stands(&places->empty_since_t, empty, w, most_ms + PLACE_MS_MAX))
		judge_fail(w, JUDGE_INSIDE, "lease %llu is over and empty, and keeps its room",
			   (ull)host->lease);
}

void inside_turn(struct world *w)
{
	if (!w->scenario.uses_guests || !judge_is_on(w, JUDGE_INSIDE))
		return;
	begin(w);
	look_around(w);
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *host = job_of(w, w->jobs.active[i]);
		const struct claim_record *house = outside_row(w, host);
		if (house && house->guests > 0)
			judge_house(w, host, house);
	}
}
