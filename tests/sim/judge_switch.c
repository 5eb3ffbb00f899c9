/* judge_switch: a resident that others need the room of. Who uses it and is not outranked goes
 * before it is asked; but for no longer than was promised to whoever waits for the room. Called
 * where one is asked, and a few times per second. */
#include "judge.h"
#include "outside.h"

typedef unsigned long long ull;

enum { SLACK_MS = 1000 + 2 * SAMPLE_EVERY_MS };

static int64_t less(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t more(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int64_t switch_ready_ms(const struct job *job)
{
	if (!job->loads)
		return job->now.held_ms;
	return less(job->now.turn_ms, job->now.held_ms + job->now.loaded_ms);
}

static bool uses(const struct job *user, const struct job *resident)
{
	return user->live && user->now.uses == resident->lease && user->now.state != CLAIM_ENDED &&
	       user->now.state != CLAIM_DRAINING;
}

static bool has_company(struct world *w, const struct job *resident, enum lease_class least)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		if (uses(other, resident) && other->now.state == CLAIM_QUEUED &&
		    other->cls <= least)
			return true;
	}
	return false;
}

bool switch_runs(struct world *w, const struct job *resident)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		if (uses(other, resident) && outside_has_room_now(other))
			return true;
	}
	return false;
}

/* For so long its users may go first. */
static int64_t most_ms(const struct world *w, const struct job *resident)
{
	const struct core_config *config = &w->broker.config;
	return less(more(config->quantum_ms, resident->now.loaded_ms),
		    config->min_residence_ms_max);
}

static int64_t stays_until(struct world *w, const struct job *resident, const struct job *head)
{
	const struct core_config *config = &w->broker.config;
	bool used = has_company(w, resident, LEASE_BACKGROUND) || switch_runs(w, resident);
	bool voice = head->cls == LEASE_VOICE && resident->cls != LEASE_VOICE;
	int64_t until = resident->now.held_ms +
			less(resident->min_residence_ms, config->min_residence_ms_max);
	if (resident->loads && (used || !voice))
		until = more(until, switch_ready_ms(resident) + config->min_run_ms);
	return until;
}

int64_t switch_asked_at(struct world *w, const struct job *resident, const struct job *head,
			bool due)
{
	int64_t until = stays_until(w, resident, head);
	if (due)
		until = more(until, switch_ready_ms(resident) + w->broker.config.quantum_ms);
	if (!has_company(w, resident, head->cls))
		return until;
	return more(until, head->arrival_ms) + most_ms(w, resident);
}

void switch_asked(struct world *w, const struct job *resident, const struct job *head)
{
	w->tally.used_gone += has_company(w, resident, LEASE_BACKGROUND);
	bool known = w->tally.restarts == 0 && w->stalled_ms == 0; /* what took how long */
	int64_t at_ms = known ? switch_asked_at(w, resident, head, false) : 0;
	if (judge_is_on(w, JUDGE_SWITCH) && broker_now(w).v < at_ms)
		judge_fail(w, JUDGE_SWITCH,
			   "resident %llu is asked for %llu (%s) %lld ms before that may be",
			   (ull)resident->lease, (ull)head->lease, lease_class_name((int)head->cls),
			   (long long)(at_ms - broker_now(w).v));
}

/* Nothing but others who wait to use it keeps it. */
static bool may_be_asked(struct world *w, const struct job *job)
{
	const struct claim_record *row = outside_row(w, job);
	bool computes = false;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		computes |= job->binding <= BIND_TAB && other->client == job->client &&
			    outside_has_room_now(other) && other->now.slots > 0;
	}
	return row && row->evictable && !job->observed && job->now.state == CLAIM_HELD &&
	       job->now.slots == 0 && job->now.parked_slots == 0 && job->inside == 0 &&
	       !job->lends && !inside_anybody(w, job) && !computes;
}

/* The other may be served memory first. One that came later and is not of a higher class is not. */
static bool may_go_first(struct world *w, const struct job *other, const struct job *head)
{
	return outside_waits(w, other) &&
	       (other->cls < head->cls ||
		!mono_before(outside_row(w, head)->tag, outside_row(w, other)->tag));
}

/* All that has memory there can be asked, and somebody waits to use some of it. */
static bool is_kept_by_users(struct world *w, const struct job *head)
{
	bool used = false;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		if (other == head || !other->live || other->now.need.vram_bytes == 0)
			continue;
		if (other->now.state == CLAIM_QUEUED ? may_go_first(w, other, head)
						     : !may_be_asked(w, other))
			return false;
		used |= has_company(w, other, head->cls);
	}
	return used;
}

/* The probe names nobody, and something that went as something else came is taken for a stranger's:
 * nobody can tell, and who waits is told of a stranger. */
static bool is_taken_for_strangers(const struct world *w)
{
	struct gpu_view view;

	return (w->unnamed_mask & 1) && core_gpu(w->broker.core, 0, &view) &&
	       view.vram_bytes_unmanaged > 0;
}

/* Who jobs a turn as well may wait for that. */
static bool waits_for_users(struct world *w, const struct outside *outside, const struct job *head)
{
	const struct claim_record *row = outside_row(w, head);
	return w->well && outside_waits(w, head) && row->need.slots == 0 && w->scenario.switches &&
	       head->evicted_for == 0 && row->need.gpu_count == 1 && outside->count == 1 &&
	       w->leftover_count == 0 && w->unmanaged_bytes[0] == 0 && !is_taken_for_strangers(w) &&
	       outside_possible(outside, &row->need) && !outside_fits_vram(outside, &row->need) &&
	       is_kept_by_users(w, head);
}

void switch_turn(struct world *w, const struct outside *outside)
{
	const struct core_config *config = &w->broker.config;
	int64_t stay_ms =
		more(more(config->min_residence_ms_max, config->quantum_ms), config->min_run_ms);
	int64_t limit_ms = stay_ms + config->min_residence_ms_max + SLACK_MS;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *head = job_of(w, w->jobs.active[i]);
		bool waits = head->live && head->now.state == CLAIM_QUEUED &&
			     waits_for_users(w, outside, head);
		if (!waits || head->kept_since_t <= w->tainted_t)
			head->kept_since_t = waits ? w->t : 0;
		w->tally.kept_ms = waits && w->t - head->kept_since_t > w->tally.kept_ms
					   ? w->t - head->kept_since_t
					   : w->tally.kept_ms;
		if (waits && judge_is_on(w, JUDGE_SWITCH) && w->t - head->kept_since_t > limit_ms)
			judge_fail(w, JUDGE_SWITCH,
				   "claim %llu (%s) waits %lld ms for those who use what is in its "
				   "way",
				   (ull)head->lease, lease_class_name((int)head->cls),
				   (long long)(w->t - head->kept_since_t));
	}
}
