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
	b->running = b->resumed = b->core_voided = true;
}

void bound_drop(struct want *want)
{
	want->bound.running = want->bound.resumable = false;
}

/* Longest non-voice hold, grace, and hand-off (accepting, and the longest way to be sure that a
 * holder is gone). */
struct terms {
	int64_t hold_ms, voice_ms, grace_ms, hand_off_ms, quantum_ms, offset_min_ms;
};

static struct terms terms_of(const struct world *w)
{
	const struct core_config *c = &w->broker.config;
	struct terms terms = {.voice_ms = c->classes[LEASE_VOICE].hold_ms_max,
			      .quantum_ms = c->quantum_ms,
			      .offset_min_ms = INT64_MAX};
	for (int cls = LEASE_CHAT; cls < LEASE_CLASS_COUNT; cls++) {
		terms.hold_ms = max_i64(terms.hold_ms, c->classes[cls].hold_ms_max);
		if (c->classes[cls].offset_ms < terms.offset_min_ms)
			terms.offset_min_ms = c->classes[cls].offset_ms;
	}
	terms.grace_ms = w->plan.uses_yielding ? c->grace_ms_max : c->grace_ms;
	int64_t kill_ms = terms.grace_ms + c->kill_wait_ms;
	terms.hand_off_ms =
		max_i64(kill_ms, max_i64(c->lock_delay_ms, c->tab_linger_ms)) + 2 * c->ack_ms;
	return terms;
}

static int64_t theorem_ms(const struct world *w, const struct want *want)
{
	struct terms t = terms_of(w);
	const struct core_config *c = &w->broker.config;
	int64_t n = max_i64(want->bound.outstanding_max, 1);
	int64_t gs_ms = t.grace_ms + t.hand_off_ms;
	/* Each of those before it may cut it short once, which costs a grace and a hand-off more.
	 */
	int64_t turn_ms = t.hold_ms + (want->bound.resumed ? 2 : 1) * gs_ms;
	if (want->cls == LEASE_VOICE) /* theorem 3 */
		return max_i64(t.quantum_ms, t.grace_ms) + 2 * gs_ms +
		       want->bound.voice_others * (t.voice_ms + t.quantum_ms + 2 * gs_ms);
	int64_t offset_ms = c->classes[want->cls].offset_ms;
	if (!want->bound.saw_voice) /* theorem 1 */
		return offset_ms - t.offset_min_ms + n * turn_ms;
	int64_t quanta = (t.hold_ms + t.quantum_ms - 1) / t.quantum_ms; /* theorem 2 */
	return offset_ms + n * quanta * (t.quantum_ms + t.voice_ms + 2 * gs_ms);
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
	if (b->taints != w->taints || w->taints_open > 0 || b->saw_other) {
		bound_drop(want);
		return;
	}
	judge(w, want, BOUND_THEOREM, theorem_ms(w, want), ended);
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
static void renew_promise(struct world *w, struct want *want, const struct crowd *crowd)
{
	struct want_bound *b = &want->bound;
	if (crowd->outstanding <= b->outstanding_max && (crowd->kinds & ~b->kinds) == 0)
		return;
	b->kinds |= crowd->kinds;
	int64_t bound_ms = core_bound_ms(w->broker.core, want->lease, broker_now(w));
	b->core_voided |= bound_ms < 0;
	b->promised_t = max_i64(b->promised_t, w->t + bound_ms);
}

void bound_step(struct world *w)
{
	struct crowd crowd = count_crowd(w);
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		struct want_bound *b = &want->bound;
		if (!b->running)
			continue;
		renew_promise(w, want, &crowd);
		if (crowd.outstanding > b->outstanding_max)
			b->outstanding_max = crowd.outstanding;
		b->saw_voice |= crowd.voice > 0;
		b->saw_other |= crowd.other > 0 || (want->cls == LEASE_VOICE && crowd.stubborn > 0);
		judge_both(w, want, false);
	}
}
