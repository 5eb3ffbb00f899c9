/* queue: keys, the tree of all places and the trees of the groups. Granting is schedule.c's
 * decision. */
#include "core/queue.h"

#include <stdlib.h>

#include "base/contracts.h"
#include "base/memory.h"
#include "core/claim.h"
#include "core/estimate.h"
#include "core/host.h"
#include "core/ledger.h"
#include "core/placement.h"
#include "core/principal.h"
#include "core/resident.h"
#include "core/shares.h"

/* Voice comes first in the list of places, whatever its key. */
#define VOICE_FIRST_MS ((int64_t)1 << 61)

/* key = tag + offset(class), by the present configuration. */
static void set_key(const struct core *core, struct claim *claim)
{
	PRE(claim->rec.state == CLAIM_QUEUED);
	PRE(claim->group == NULL);
	claim->key = mono_after(claim->rec.tag, core->config.classes[claim->rec.cls].offset_ms);
}

/* So many claims of one principal queue by arrival, if each is its program's first. */
enum { FIRM_PLACES = 16 };

static bool has_waiting(const struct core *core, const struct claim_record *rec,
			const struct session *session)
{
	uint32_t waiting, holding, http_held;

	if (!session) {
		claim_by_name(core, rec->principal, rec->name, &waiting, &holding, &http_held);
		return waiting > 0;
	}

	list_each (it, next, &session->claims) {
		const struct claim *claim = container_of(it, struct claim, in_session);
		if (claim->rec.state == CLAIM_QUEUED && claim->rec.cls == rec->cls)
			return true;
	}
	return false;
}

struct mono_ms queue_tag(const struct core *core, const struct claim_record *rec,
			 const struct session *session, struct principal *principal)
{
	struct mono_ms *last = &principal->last_tag[rec->cls];
	uint32_t waiting = principal->waiting[rec->cls];
	int64_t mean_ms = estimate_mean_hold_ms(core, rec->cls);
	struct mono_ms tag = rec->arrival;

	if (waiting > 0 && (waiting >= FIRM_PLACES || has_waiting(core, rec, session)))
		tag = mono_max(tag,
			       mono_after(*last, mean_ms > 0 ? mean_ms : core->config.quantum_ms));

	*last = mono_max(*last, tag);
	return tag;
}

struct mono_ms queue_behind(const struct core *core, enum lease_class cls, uint64_t for_id)
{
	const struct claim *claim = claim_by_id(core, for_id);
	struct mono_ms tag = mono_after(core->now, 1);

	if (!claim || claim->rec.state != CLAIM_QUEUED)
		return tag;

	return mono_max(tag, mono_after(claim->key, 1 - core->config.classes[cls].offset_ms));
}

bool queue_before(const struct claim *a, const struct claim *b)
{
	return a->key.v != b->key.v ? a->key.v < b->key.v : a->rec.id < b->rec.id;
}

bool queue_detached(const struct claim *claim)
{
	return claim_conn(claim) == 0;
}

bool queue_withheld(const struct core *core, const struct claim *claim)
{
	return core->withheld & (1u << claim->rec.binding);
}

bool queue_oversized(const struct core *core, const struct claim *claim)
{
	return mask_count(ledger_eligible(core, &claim->rec.need)) < claim->rec.need.gpu_count;
}

const struct claim *queue_room_owed(const struct core *core, const struct claim *claim)
{
	const struct claim *head;

	if (claim->made_room_for == 0)
		return NULL;

	head = claim_by_id(core, claim->made_room_for);
	/* Once it was granted and came back, it may be behind this one. */
	if (!head || head->rec.state != CLAIM_QUEUED || head->rec.fence != claim->made_room_fence)
		return NULL;
	return head;
}

uint32_t queue_held_back(const struct core *core, const struct claim *claim)
{
	const struct claim *head = queue_room_owed(core, claim);

	if (!head || queue_detached(head) || queue_withheld(core, head) ||
	    queue_oversized(core, head))
		return 0;

	return claim->made_room_on &
	       placement_possible_gpus(core, head->session, &head->rec.need, head->mask);
}

/* What a session already uses is not counted twice, so its memory may fit where another's does
 * not. */
static const struct session *group_session(const struct claim *claim)
{
	return claim->rec.need.vram_bytes > 0 ? claim->session : NULL;
}

static bool group_is(const struct core *core, const struct group *group, const struct claim *claim,
		     bool oversized)
{
	const struct need *need = &claim->rec.need;

	return group->mask == claim->mask && group->cls == claim->rec.cls &&
	       group->detached == queue_detached(claim) && group->oversized == oversized &&
	       group->withheld == queue_withheld(core, claim) && group->need.slots == need->slots &&
	       group->need.all_slots == need->all_slots &&
	       group->need.gpu_count == need->gpu_count &&
	       group->need.vram_bytes == need->vram_bytes &&
	       group->session == group_session(claim) &&
	       group->stop_ms == share_stop_ms(core, claim);
}

static struct group *group_of(struct core *core, const struct claim *claim)
{
	bool oversized = queue_oversized(core, claim);
	struct group *group;

	list_each (it, next, &core->groups) {
		group = container_of(it, struct group, in_groups);
		if (group_is(core, group, claim, oversized))
			return group;
	}

	group = check_memory(malloc(sizeof(*group)));
	*group = (struct group){.mask = claim->mask,
				.cls = claim->rec.cls,
				.need = claim->rec.need,
				.session = group_session(claim),
				.stop_ms = share_stop_ms(core, claim),
				.detached = queue_detached(claim),
				.withheld = queue_withheld(core, claim),
				.oversized = oversized,
				.oldest = MONO_NEVER};
	list_init(&group->in_groups);

	list_append(&core->groups, &group->in_groups);
	return group;
}

static void join_group(struct core *core, struct claim *claim)
{
	PRE(claim->group == NULL);
	PRE(claim->mask != 0);
	claim->group = claim->host ? host_queue(core, claim) : group_of(core, claim);

	rank_tree_insert(&claim->group->turns, &claim->turn,
			 claim->host ? claim->place.key : claim->key.v, claim->rec.id);

	claim->group->oldest = mono_min(claim->group->oldest, claim->rec.arrival);
}

static void leave_group(struct claim *claim)
{
	PRE(claim->group != NULL);
	INVARIANT(claim->group->cursor != &claim->turn);

	rank_tree_remove(&claim->group->turns, &claim->turn);

	claim->group = NULL;
	claim->promise = MONO_NEVER;
	claim->asked_mask = 0;
}

void queue_by_id(struct list *nested, struct claim *claim)
{
	struct list *after = nested->prev;

	PRE(list_empty(&claim->in_nested));

	while (after != nested &&
	       container_of(after, struct claim, in_nested)->rec.id > claim->rec.id)
		after = after->prev;
	list_append(after->next, &claim->in_nested);
}

void queue_insert(struct core *core, struct claim *claim)
{
	uint32_t mask = ledger_eligible(core, &claim->rec.need);
	int64_t rank;

	PRE(claim->rec.state == CLAIM_QUEUED);

	/* A claim that no longer fits anywhere keeps its place and its old GPUs, but keeps no GPU
	 * from others: another reload may make it fit. */
	if (mask_count(mask) >= claim->rec.need.gpu_count)
		claim->mask = mask;

	set_key(core, claim);
	rank = claim->key.v - (claim->rec.cls == LEASE_VOICE ? VOICE_FIRST_MS : 0);
	rank_tree_insert(&core->places, &claim->place, rank, claim->rec.id);

	join_group(core, claim);
	if (claim->rec.parent != 0)
		queue_by_id(&core->nested, claim);
	if (claim->session)
		claim->session->waiting++;
	principal_waits(claim);
	resident_waits(core, claim);

	POST(claim->group != NULL);
}

void queue_remove(struct core *core, struct claim *claim)
{
	PRE(claim->place.count > 0);

	rank_tree_remove(&core->places, &claim->place);
	leave_group(claim);
	list_remove(&claim->in_nested);

	principal_waits_no_more(claim);
	resident_waits_no_more(core, claim);
	if (claim->session) {
		INVARIANT(claim->session->waiting > 0);
		claim->session->waiting--;
	}

	POST(claim->group == NULL);
}

void queue_regroup(struct core *core, struct claim *claim)
{
	struct mono_ms promise = claim->promise;

	PRE(claim->rec.state == CLAIM_QUEUED);

	leave_group(claim);
	join_group(core, claim);

	if (!queue_detached(claim)) /* a new connection, the same wait */
		claim->promise = promise;
}

void queue_host(struct core *core, struct claim *claim, struct claim *host)
{
	PRE(claim->rec.state == CLAIM_QUEUED);

	leave_group(claim);
	claim->host = host;
	join_group(core, claim);
}

void queue_rebuild(struct core *core)
{
	uint32_t count = rank_tree_count(&core->places);
	struct claim **waiting = check_memory(calloc(count + 1, sizeof(struct claim *)));
	uint32_t i = 0;

	for (struct rank_node *node = rank_tree_first(&core->places); node;
	     node = rank_tree_next(node))
		waiting[i++] = claim_of_place(node);

	INVARIANT(i == count);
	for (i = 0; i < count; i++)
		queue_remove(core, waiting[i]);
	for (i = 0; i < count; i++)
		queue_insert(core, waiting[i]);

	free(waiting);
	POST(rank_tree_count(&core->places) == count);
}

uint32_t queue_wanted(const struct core *core, bool vram)
{
	uint32_t mask = 0;

	list_each (it, next, &core->groups) {
		const struct group *group = container_of(it, struct group, in_groups);
		if (!group->detached && !group->withheld && !group->oversized &&
		    (!vram || group->need.vram_bytes > 0) && rank_tree_count(&group->turns) > 0)
			mask |= group->mask;
	}
	return mask;
}

void queue_sweep(struct core *core)
{
	host_sweep(core);
	list_each (it, next, &core->groups) {
		struct group *group = container_of(it, struct group, in_groups);
		INVARIANT(group->cursor == NULL);

		if (rank_tree_count(&group->turns) == 0) {
			list_remove(&group->in_groups);
			free(group);
		}
	}
}
