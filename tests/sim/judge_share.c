/* judge_share: what each class got of each GPU while it had somebody waiting for a turn there. Time
 * offered counts for whom it was offered; the grace of who gives way for him and for whom he makes
 * room, since from outside both may be meant; a lock-delay for whom it was.
 *
 * A turn that cannot be cut short is given when all of it is owed: a window may end before it, and
 * while the class catches up after one that did not use it. */
#include "judge.h"
#include "outside.h"

enum { SHORT_MINUTES = 25, LONG_MINUTES = 60, SHORT_PERMILLE = 750, LONG_PERMILLE = 950 };
/* Where turns are longer than usual, windows end in the middle of more of a share. */
enum { COARSE_PERMILLE = 100, CATCH_UP_MS = 5 * 60000 };

static bool is_coarse(const struct world *w)
{
	struct core_config usual;
	core_config_defaults(&usual);
	bool coarse = w->broker.config.quantum_ms > usual.quantum_ms;
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		coarse |=
			w->broker.config.classes[cls].hold_ms_max > usual.classes[cls].hold_ms_max;
	return coarse;
}

static uint32_t share_permille(const struct world *w, int cls)
{
	return (uint32_t)w->broker.config.classes[cls].share_permille;
}

/* What may be owed beyond a quantum for the turn of its first, which cannot be cut short. */
static int64_t whole_turn_ms(const struct world *w, const struct share *share, int cls)
{
	const struct core_config *config = &w->broker.config;
	int64_t more_ms = config->classes[cls].hold_ms_max - config->quantum_ms;
	bool may = share->whole_t != 0 && w->t - share->whole_t <= CATCH_UP_MS;
	return may && more_ms > 0 ? more_ms : 0;
}

/* A window of full minutes that ends with this one. */
static void judge_window(struct world *w, int cls, uint32_t gpu, int64_t minutes, uint32_t permille)
{
	struct share *share = &w->shares.v[cls][gpu];
	int64_t last = (w->t - share->since_t) / 60000; /* full minutes */
	if (last < minutes)
		return;
	int64_t got_ms = 0;
	for (int64_t i = last - minutes; i < last; i++)
		got_ms += share->got_ms[i % SHARE_MINUTES];
	int64_t due_ms = minutes * 60 * share_permille(w, cls);
	uint64_t part = (uint64_t)(got_ms * 1000 / due_ms);
	int which = minutes == LONG_MINUTES;
	if (w->tally.share_windows[which][cls]++ == 0 || part < w->tally.share_least[which][cls])
		w->tally.share_least[which][cls] = part;
	if (is_coarse(w))
		permille -= COARSE_PERMILLE;
	if (judge_is_on(w, JUDGE_SHARE) &&
	    (got_ms + whole_turn_ms(w, share, cls)) * 1000 / due_ms < permille)
		judge_fail(w, JUDGE_SHARE,
			   "%s got %lld s of gpu%u in %lld minutes, it is owed %lld",
			   lease_class_name(cls), (long long)(got_ms / 1000), gpu,
			   (long long)minutes, (long long)(due_ms / 1000));
}

static void add_time(struct world *w, int cls, uint32_t gpu, int64_t from_t)
{
	struct share *share = &w->shares.v[cls][gpu];
	while (from_t < w->t) {
		int64_t minute = (from_t - share->since_t) / 60000;
		int64_t end_t = share->since_t + (minute + 1) * 60000;
		int64_t to_t = end_t < w->t ? end_t : w->t;
		if ((from_t - share->since_t) % 60000 == 0)
			share->got_ms[minute % SHARE_MINUTES] = 0;
		share->got_ms[minute % SHARE_MINUTES] += (to_t - from_t) * share->uses;
		from_t = to_t;
	}
}

/* What the last turn left lasted until now. */
static void account(struct world *w)
{
	int64_t from_t = w->shares.turned_t;
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		for (uint32_t gpu = 0; gpu < w->broker.config.gpu_count; gpu++) {
			struct share *share = &w->shares.v[cls][gpu];
			if (!share->waits || w->shares.taints != w->taints) {
				share->since_t = w->t;
				continue;
			}
			int64_t before = (from_t - share->since_t) / 60000;
			add_time(w, cls, gpu, from_t);
			if ((w->t - share->since_t) / 60000 == before)
				continue;
			judge_window(w, cls, gpu, SHORT_MINUTES, SHORT_PERMILLE);
			judge_window(w, cls, gpu, LONG_MINUTES, LONG_PERMILLE);
		}
	}
	w->shares.turned_t = w->t;
	w->shares.taints = w->taints;
}

static void note_holder(struct world *w, const struct job *job, const struct claim_record *rec)
{
	const struct job *head = job_of_lease(w, job->yield_for);
	bool for_other = rec->state == CLAIM_YIELDING && head && head->cls != rec->cls;
	if (outside_inside(rec) != 0)
		return;
	for (uint32_t gpu = 0; gpu < w->broker.config.gpu_count; gpu++) {
		if (!(rec->granted_mask >> gpu & 1))
			continue;
		uint32_t slots = outside_slots(w, &rec->need, gpu);
		w->shares.v[rec->cls][gpu].uses += slots;
		if (for_other)
			w->shares.v[head->cls][gpu].uses += slots;
	}
}

static void note_waiter(struct world *w, const struct outside *outside,
			const struct claim_record *rec)
{
	if (rec->need.vram_bytes > 0 || rec->need.gpu_count != 1 || rec->need.slots == 0)
		return;
	uint32_t gpus = outside_possible(outside, &rec->need);
	for (uint32_t gpu = 0; gpu < outside->count; gpu++) {
		struct share *share = &w->shares.v[rec->cls][gpu];
		if (!(gpus >> gpu & 1))
			continue;
		share->waits = true;
		if (!share->first || rec->tag.v < share->first->tag.v ||
		    (rec->tag.v == share->first->tag.v && rec->id < share->first->id))
			share->first = rec;
	}
}

static void note_whole_turns(struct world *w)
{
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		for (uint32_t gpu = 0; gpu < w->broker.config.gpu_count; gpu++) {
			struct share *share = &w->shares.v[cls][gpu];
			if (share->first && !share->first->preemptible)
				share->whole_t = w->t;
		}
	}
}

void share_turn(struct world *w)
{
	struct outside outside;
	if (!w->scenario.war)
		return;
	account(w);
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
			w->shares.v[cls][gpu].uses = 0;
			w->shares.v[cls][gpu].waits = false;
			w->shares.v[cls][gpu].first = NULL;
		}
	}
	if (w->healed || !w->well)
		return;
	outside_count(w, &outside);
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *job = job_of(w, w->jobs.active[i]);
		const struct claim_record *rec = outside_row(w, job);
		if (rec && outside_has_room(rec))
			note_holder(w, job, rec);
		else if (rec && outside_waits(w, job))
			note_waiter(w, &outside, rec);
	}
	note_whole_turns(w);
}
