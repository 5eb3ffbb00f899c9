/* resident: see resident.h. The asking itself is preempt.c's, and what follows from it revoke.c's.
 */
#include "core/resident.h"

#include "base/contracts.h"
#include "core/claim.h"
#include "core/observe.h"
#include "core/park.h"

struct claim *resident_used(const struct core *core, const struct claim_record *user)
{
	struct claim *resident = user->uses ? claim_by_id(core, user->uses) : NULL;

	return resident && !claim_over(resident) && resident->rec.need.slots == 0 ? resident : NULL;
}

/* Also one that is over: its users are counted until it is freed. */
static struct users *users_of(const struct core *core, const struct claim *user)
{
	struct claim *resident = user->rec.uses ? claim_by_id(core, user->rec.uses) : NULL;

	return resident ? &resident->users : NULL;
}

void resident_waits(struct core *core, const struct claim *user)
{
	struct users *users = users_of(core, user);

	PRE(user->rec.state == CLAIM_QUEUED);
	if (users)
		users->waiting[user->rec.cls]++;
}

void resident_waits_no_more(struct core *core, const struct claim *user)
{
	struct users *users = users_of(core, user);

	PRE(user->rec.state == CLAIM_QUEUED);
	if (!users)
		return;
	INVARIANT(users->waiting[user->rec.cls] > 0);
	users->waiting[user->rec.cls]--;
}

void resident_runs(struct core *core, const struct claim *user)
{
	struct users *users = users_of(core, user);

	PRE(claim_has_room(user));
	if (users)
		users->running++;
}

void resident_runs_no_more(struct core *core, const struct claim *user)
{
	struct users *users = users_of(core, user);

	if (!users)
		return;
	INVARIANT(users->running > 0);
	users->running--;
	users->last = core->now;
}

/* How many are counted as its users, less one if it uses another itself. */
static int64_t users_beyond(const struct core *core, const struct claim *claim)
{
	int64_t sum = claim->users.running;

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		sum += claim->users.waiting[cls];
	return sum - (users_of(core, claim) != NULL);
}

void resident_check(const struct core *core)
{
	int64_t sum = 0;

	for (struct rank_node *node = rank_tree_first(&core->holders); node;
	     node = rank_tree_next(node))
		sum += users_beyond(core, claim_of_place(node));
	for (struct rank_node *node = rank_tree_first(&core->places); node;
	     node = rank_tree_next(node))
		sum += users_beyond(core, claim_of_place(node));
	INVARIANT(sum == 0);
}

/* Somebody of this class or a higher one waits to use it. */
static bool has_company(const struct claim *resident, enum lease_class least)
{
	for (int cls = 0; cls <= (int)least; cls++)
		if (resident->users.waiting[cls] > 0)
			return true;
	return false;
}

static bool is_used(const struct claim *resident)
{
	return resident->users.running > 0 || has_company(resident, LEASE_BACKGROUND);
}

/* What it loaded is there since then, or it keeps no more than memory; its guests move that no
 * further than all its loading. */
static struct mono_ms ready_since(const struct claim *resident)
{
	const struct claim_record *rec = &resident->rec;

	if (!rec->loads)
		return rec->held_since;
	return mono_min(rec->turn_since, mono_after(rec->held_since, rec->loaded_ms));
}

/* It is not loaded to leave unused. Voice does not wait for that, unless it is used. */
static int64_t least_ms(const struct core *core, const struct claim *head,
			const struct claim *resident)
{
	bool voice = head->rec.cls == LEASE_VOICE && resident->rec.cls != LEASE_VOICE;

	if (resident->rec.due_turn) /* it waited until that was due */
		return core->config.quantum_ms;
	if (!resident->rec.loads || (voice && !is_used(resident)))
		return 0;
	return core->config.min_run_ms;
}

/* As long as it said, and at least .. */
static struct mono_ms stays_until(const struct core *core, const struct claim *head,
				  const struct claim *resident)
{
	int64_t stay_ms =
		ms_shorter(resident->rec.min_residence_ms, core->config.min_residence_ms_max);

	return mono_max(mono_after(resident->rec.held_since, stay_ms),
			mono_after(ready_since(resident), least_ms(core, head, resident)));
}

int64_t resident_most_ms(const struct core *core, const struct claim *resident)
{
	int64_t turn_ms = ms_longer(core->config.quantum_ms, resident->rec.loaded_ms);

	PRE(resident->rec.loaded_ms >= 0);
	return ms_shorter(turn_ms, core->config.min_residence_ms_max);
}

struct mono_ms resident_leaves_at(const struct core *core, const struct claim *head,
				  const struct claim *resident)
{
	if (resident->rec.state != CLAIM_HELD)
		return MONO_NEVER;
	return resident_goes_at(core, head, resident);
}

struct mono_ms resident_goes_at(const struct core *core, const struct claim *head,
				const struct claim *resident)
{
	struct mono_ms until = park_keeps_until(resident, head);

	PRE(core->started);
	if (resident->rec.need.slots > 0 || (!resident->rec.evictable && !claim_parked(resident)) ||
	    observe_stays(core, resident))
		return MONO_NEVER;

	/* With guests it has a turn, as long as any other. */
	if (claim_guests(resident) > 0)
		until = mono_after(resident->rec.turn_since,
				   core->config.classes[resident->rec.cls].hold_ms_max);
	else if (resident->session && resident->session->computing > 0)
		return MONO_NEVER;

	until = mono_max(until, stays_until(core, head, resident));
	if (!has_company(resident, head->rec.cls))
		return until;
	return mono_after(mono_max(until, head->rec.arrival), resident_most_ms(core, resident));
}

/* Within a second all are as fresh: else a moment's difference would outweigh any load. */
enum { FRESH_MS = 1000 };

static int64_t idle_ms(const struct core *core, const struct claim *resident)
{
	struct mono_ms since = mono_max(resident->rec.held_since, resident->users.last);

	if (resident->users.running > 0)
		return 0;
	if (resident->session)
		since = mono_max(since, resident->session->compute_ended);
	return mono_since(core->now, since);
}

/* As it said, or as long as it took: whichever is more. */
static int64_t load_ms(const struct claim *resident)
{
	return ms_longer(1, ms_longer(resident->rec.load_ms, resident->rec.loaded_ms));
}

bool resident_goes_before(const struct core *core, const struct claim *a, const struct claim *b)
{
	__extension__ __int128 left, right;

	PRE(a != b);
	if (a->rec.cls != b->rec.cls)
		return a->rec.cls > b->rec.cls;

	left = FRESH_MS + idle_ms(core, a);
	right = FRESH_MS + idle_ms(core, b);
	left *= load_ms(b);
	right *= load_ms(a);
	return left > right;
}
