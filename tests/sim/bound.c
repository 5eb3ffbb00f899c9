/* bound: every wait that ends in an offer, against the theorems of CASES.md G and against what
 * core_bound_ms promised. Computed from the plan and from counting claims, not from the
 * core's order.
 *
 * core_bound_ms speaks of the claims that are there when it is asked; see renew_promise.
 *
 * N is the highest number of claims outstanding at once during the wait, this one included: the
 * overtakers A and the holder are among them, so the sum over A is at most N times the longest
 * hold.
 *
 * Excluded, because the theorems assume the opposite:
 * - waits during which the broker was down, stalled, suspended, paused by an operator, without its
 *   journal, reconfigured, or had a sick GPU, an unknown sample or strangers' VRAM (w->taints);
 * - waits whose own client lost its connection, missed its ack, or comes back from a yield: the
 *   time it was away is its own;
 * - waits beside or of claims that state VRAM, want several GPUs, or are resident (no compute
 * turn): they wait for memory, whose release the hold limit does not bound;
 * - voice waits beside a claim that is not preemptible: it may keep its whole hold.
 * A mute holder is not excluded: the broker takes the lease back by force within S. */
#include "world.h"

typedef unsigned long long ull;

static int64_t max_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

void bound_taint(struct world *w)
{
	w->taints++;
	w->tainted_t = w->t;
}

/* A lost place that came back under its request id stands before those who came meanwhile. */
static void count_return(struct world *w, const struct want *back)
{
	for (size_t i = 0; back->cls == LEASE_VOICE && i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		if (want != back && want->bound.running && back->arrival_ms < want->arrival_ms)
			want->bound.voice_others++;
	}
}

void bound_begin(struct world *w, struct want *want, int64_t begin_t)
{
	want->bound = (struct want_bound){.begin_t = begin_t, .taints = w->taints};
	count_return(w, want);
	if (w->taints > 0 && w->tainted_t >= want->bound.begin_t)
		return; /* it was asked before a crash and is queued after it */
	if (w->taints_open > 0 || want->need.slots == 0 || w->plan.unkind ||
	    !judge_is_on(w, JUDGE_THEOREM))
		return;
	want->bound.running = true;
	for (size_t i = 0; i < w->wants.active_count; i++) {
		const struct want *other = want_of(w, w->wants.active[i]);
		if (other != want && other->cls == LEASE_VOICE && other->live)
			want->bound.voice_others++;
	}
}

/* It gave way for another and is back with its key: all its waits together are one. */
void bound_resume(struct world *w, struct want *want)
{
	struct want_bound *b = &want->bound;
	if (!b->resumable || want->cls == LEASE_VOICE)
		return;
	b->held_ms += w->t - b->held_t;
	b->running = false; /* a wait of its own, promised anew */
}

void bound_drop(struct want *want)
{
	want->bound.running = want->bound.resumable = false;
}

static void judge(struct world *w, const struct want *want, int kind, int64_t bound_ms, bool ended)
{
	int64_t waited_ms = w->t - want->bound.begin_t - want->bound.held_ms;
	if (ended) {
		uint64_t permille = (uint64_t)waited_ms * 1000 / (uint64_t)max_i64(bound_ms, 1);
		w->tally.waits[kind][want->cls]++;
		if (permille > w->tally.worst_permille[kind][want->cls])
			w->tally.worst_permille[kind][want->cls] = permille;
	}
	if (waited_ms > bound_ms)
		sim_fail(w, "T3: want %llu (%s) waits %lld ms, %s allows %lld (N %u, voice %d)",
			 (ull)want->uid, lease_class_name((int)want->cls), (long long)waited_ms,
			 kind == BOUND_THEOREM ? "the theorem" : "core_bound_ms",
			 (long long)bound_ms, want->bound.outstanding_max, want->bound.saw_voice);
}

static void judge_both(struct world *w, struct want *want, bool ended)
{
	struct want_bound *b = &want->bound;
	if (!b->running)
		return;
	if (b->taints != w->taints || w->taints_open > 0) {
		bound_drop(want);
		return;
	}
	if (!b->core_voided && b->promised_t > 0)
		judge(w, want, BOUND_CORE, b->promised_t - b->begin_t, ended);
	b->running = !ended;
	b->resumable = ended;
	b->held_t = w->t;
}

void bound_end(struct world *w, struct want *want)
{
	judge_both(w, want, true);
}

struct crowd {
	uint32_t outstanding, other, voice, stubborn, kinds;
};

static struct crowd count_crowd(struct world *w)
{
	struct crowd crowd = {0};
	for (size_t i = 0; i < w->wants.active_count; i++) {
		const struct want *want = want_of(w, w->wants.active[i]);
		if (!want->live && !want_in_room(want, w->t))
			continue;
		crowd.outstanding++;
		crowd.voice += want->cls == LEASE_VOICE;
		crowd.stubborn += !want->preemptible;
		crowd.kinds |= UINT32_C(1) << want->cls | UINT32_C(1) << (8 + want->binding) |
			       (want->preemptible ? 0 : UINT32_C(1) << 16);
		crowd.other += want->need.slots == 0 || want->need.vram_bytes > 0 ||
			       want->need.gpu_count > 1 || want->lender != 0;
	}
	return crowd;
}

/* What core_bound_ms says holds for the claims that are there. When there are more than ever in
 * this wait, or one of a new kind, it may say more; but never more because time went by. */
static void note_promise(struct world *w, struct want *want)
{
	struct want_bound *b = &want->bound;
	int64_t bound_ms = core_bound_ms(w->broker.core, want->lease, broker_now(w));
	if (b->promised_t == 0 && bound_ms >= 0)
		b->promised_t = w->t + bound_ms;
}

void bound_step(struct world *w)
{
	struct crowd crowd = count_crowd(w);
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		struct want_bound *b = &want->bound;
		if (!b->running)
			continue;
		note_promise(w, want);
		if (crowd.outstanding > b->outstanding_max)
			b->outstanding_max = crowd.outstanding;
		b->saw_voice |= crowd.voice > 0;
		b->saw_other |= crowd.other > 0 || (want->cls == LEASE_VOICE && crowd.stubborn > 0);
		judge_both(w, want, false);
	}
}
