/* judge_told: every wait against the number that its client could be told when it began. The clock
 * of the judge stops for nothing that clients do; where the machine stood still or was changed the
 * wait is not judged (w->taints): suspend, stall, crash, an operator's acts, a reload, a full disk,
 * a sick GPU, strangers' VRAM, a process that does not die or cannot be watched.
 *
 * A wait ends with its offer. Its own client's lost connection ends the judging, too. */
#include "judge.h"
#include "world.h"

typedef unsigned long long ull;

void told_taint(struct world *w)
{
	w->taints++;
	w->tainted_t = w->t;
}

void told_begin(struct world *w, struct want *want, int64_t begin_t)
{
	struct want_told *told = &want->told;
	*told = (struct want_told){.begin_t = begin_t, .since_t = w->t, .taints = w->taints};
	if (w->taints_open > 0 || (w->taints > 0 && w->tainted_t >= begin_t))
		return;
	told->running = true;
	struct bound bound;
	core_bound(w->broker.core, want->lease, broker_now(w), &bound);
	told->ms = bound.ms;
	if (told->ms < 0)
		w->tally.told_none[bound.none]++;
	else if ((uint64_t)told->ms > w->tally.told_most_ms[want->cls])
		w->tally.told_most_ms[want->cls] = (uint64_t)told->ms;
}

void told_drop(struct want *want)
{
	want->told.running = false;
}

static bool still_judged(struct world *w, struct want *want)
{
	if (want->told.taints != w->taints || w->taints_open > 0)
		want->told.running = false;
	return want->told.running && want->told.ms >= 0;
}

static int64_t judge_wait(struct world *w, const struct want *want)
{
	int64_t waited_ms = w->t - want->told.begin_t;
	if (judge_is_on(w, JUDGE_TOLD) && w->t - want->told.since_t > want->told.ms)
		judge_fail(w, JUDGE_TOLD, "want %llu (%s, claim %llu) waits %lld ms, was told %lld",
			   (ull)want->uid, lease_class_name((int)want->cls), (ull)want->lease,
			   (long long)waited_ms, (long long)want->told.ms);
	return waited_ms;
}

void told_end(struct world *w, struct want *want)
{
	if (!still_judged(w, want)) {
		told_drop(want);
		return;
	}
	int64_t waited_ms = judge_wait(w, want);
	uint64_t permille =
		(uint64_t)waited_ms * 1000 / (uint64_t)(want->told.ms > 0 ? want->told.ms : 1);
	if (want->told.ms == 0)
		permille = 0; /* served at once */
	w->tally.waits[want->cls]++;
	if (permille > w->tally.worst_permille[want->cls])
		w->tally.worst_permille[want->cls] = permille;
	told_drop(want);
}

/* What is told later, by another question, may only be less. */
static void judge_raised(struct world *w, const struct want *want)
{
	int64_t ms = core_bound_ms(w->broker.core, want->lease, broker_now(w));
	int64_t left_ms = want->told.since_t + want->told.ms - w->t;
	if (ms > left_ms)
		judge_fail(w, JUDGE_RAISED,
			   "want %llu (%s) was told %lld ms, has %lld left of it "
			   "and is told %lld",
			   (ull)want->uid, lease_class_name((int)want->cls),
			   (long long)want->told.ms, (long long)left_ms, (long long)ms);
}

void told_turn(struct world *w)
{
	size_t count = w->wants.active_count;
	for (size_t i = 0; i < count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		if (!still_judged(w, want))
			continue;
		judge_wait(w, want);
		/* One of them per turn is asked again, for it costs. */
		if (judge_is_on(w, JUDGE_RAISED) && i == w->broker.turns % count)
			judge_raised(w, want);
	}
}
