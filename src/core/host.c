/* host: places inside leases. It admits guests, beside the scheduler, and decides what becomes of
 * them when their host leaves; the ledger charges, revoke.c takes back. */
#include "core/host.h"

#include <stdlib.h>
#include <string.h>

#include "base/contracts.h"
#include "base/err.h"
#include "base/memory.h"
#include "core/claim.h"
#include "core/drain.h"
#include "core/emit.h"
#include "core/ledger.h"
#include "core/observe.h"
#include "core/preempt.h"
#include "core/queue.h"
#include "core/revoke.h"
#include "core/schedule.h"
#include "core/yield.h"

static struct claim *guest_of(struct list *node)
{
	return container_of(node, struct claim, in_nested);
}

static bool same_owner(const struct claim *claim, const struct claim_record *rec,
		       const struct session *session)
{
	return (session && claim->session == session) ||
	       strcmp(claim->rec.principal, rec->principal) == 0;
}

static int judge_host(const struct core *core, const struct claim *host,
		      const struct claim_record *rec, const struct session *session)
{
	uint32_t mask;

	if (!host || claim_over(host))
		return ERR_HOST_OVER;
	if (!host->rec.guests_open && !same_owner(host, rec, session))
		return ERR_FORBIDDEN;

	/* A lease that offers no places can still lend its turn. */
	if (host->rec.guests == 0 && rec->parent != rec->host)
		return ERR_STATE;
	if (rec->guests > 0)
		return ERR_BAD_FIELD;

	mask = claim_has_room(host) ? host->rec.granted_mask : host->mask;
	mask &= observe_eligible(core, &rec->need);
	return mask_count(mask) < rec->need.gpu_count ? ERR_NEVER_FITS : 0;
}

int host_judge(const struct core *core, struct claim_record *rec, const struct session *session,
	       const char **ret_detail)
{
	const struct claim *parent = rec->parent ? claim_by_id(core, rec->parent) : NULL;

	if (parent && !same_owner(parent, rec, session)) {
		*ret_detail = "parent";
		return ERR_FORBIDDEN;
	}
	if (!parent || !claim_has_room(parent))
		rec->parent = 0;

	if (rec->host == 0)
		return 0;
	*ret_detail = "host";
	return judge_host(core, claim_by_id(core, rec->host), rec, session);
}

/* What it needs of memory that its host has not. */
static uint64_t bytes_beyond(const struct claim *host, const struct claim *claim)
{
	return claim->rec.need.vram_bytes - ledger_vram_inside(host, &claim->rec.need);
}

uint32_t host_gpus(const struct core *core, const struct claim *host, const struct claim *claim)
{
	uint64_t beyond = bytes_beyond(host, claim);
	uint32_t mask = host->rec.granted_mask & claim->mask, gpus = 0;

	if (host->rec.state != CLAIM_HELD)
		return 0;
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if ((mask & (1u << gpu)) &&
		    (core->config.observe ||
		     (core->gpus[gpu].healthy &&
		      ledger_vram_fits(core, claim->session, gpu, beyond))) &&
		    mask_count(gpus) < claim->rec.need.gpu_count)
			gpus |= 1u << gpu;

	return mask_count(gpus) == claim->rec.need.gpu_count ? gpus : 0;
}

static struct house *house_of(struct claim *host)
{
	if (host->house)
		return host->house;

	host->house = check_memory(calloc(1, sizeof(*host->house)));

	list_init(&host->house->guests);
	return host->house;
}

static struct group *group_in(struct list *node)
{
	return container_of(node, struct group, in_groups);
}

/* By the ids of their hosts. */
static void insert_queue(struct list *hosted, struct group *queue)
{
	struct list *after = hosted->prev;

	while (after != hosted && group_in(after)->host &&
	       group_in(after)->host->rec.id > queue->host->rec.id)
		after = after->prev;
	list_append(after->next, &queue->in_groups);
}

struct group *host_queue(struct core *core, const struct claim *guest)
{
	struct house *house = house_of(guest->host);

	if (house->queue)
		return house->queue;

	house->queue = check_memory(calloc(1, sizeof(*house->queue)));

	house->queue->host = guest->host;
	list_init(&house->queue->in_groups);
	insert_queue(&core->hosted, house->queue);
	return house->queue;
}

/* The first waiter gets a place once a guest has had its whole turn. */
static void press_guests(struct core *core, struct claim *host, const struct claim *first)
{
	struct claim *oldest = NULL;
	struct mono_ms oldest_due = MONO_NEVER;

	list_each (it, next, &host->house->guests) {
		struct claim *guest = guest_of(it);
		struct mono_ms due;
		if (!claim_is_held(guest))
			return; /* a place is being freed already */
		if (observe_stays(core, guest))
			continue;
		due = preempt_hold_until(core, guest, 0);
		if (mono_before(due, oldest_due)) {
			oldest = guest;
			oldest_due = due;
		}
	}

	if (oldest && mono_due(oldest_due, core->now))
		yield_ask(core, oldest, YIELD_HOLD_MAX, first->rec.id);
	else
		core->wake = mono_min(core->wake, oldest_due);
}

/* The need was stated before the host's GPUs were known, and a reload may have shrunk them. */
static bool could_be_inside(const struct core *core, const struct claim *host,
			    const struct claim *claim)
{
	uint32_t mask = host->rec.granted_mask & claim->mask;

	if (bytes_beyond(host, claim) > 0 && queue_oversized(core, claim))
		return false;

	return mask_count(mask) >= claim->rec.need.gpu_count;
}

/* Memory beyond its host's must not be taken ahead of those waiting for it. */
static bool memory_is_kept(const struct core *core, const struct claim *claim, uint32_t gpus)
{
	return bytes_beyond(claim->host, claim) > 0 && (queue_wanted(core, true) & gpus);
}

bool host_lacks_memory(const struct core *core, const struct claim *claim, uint32_t gpus)
{
	uint64_t beyond = bytes_beyond(claim->host, claim);

	PRE(claim->host != NULL);
	PRE(gpus != 0);
	mask_each (gpu, gpus)
		if (!ledger_vram_fits(core, claim->session, gpu, beyond))
			return true;
	return false;
}

static void serve_guests(struct core *core, struct group *group)
{
	struct claim *host = group->host;
	struct rank_node *node = host ? rank_tree_first(&group->turns) : NULL;

	while (node && host->rec.state == CLAIM_HELD) {
		struct claim *claim = claim_of_turn(node);
		uint32_t gpus;
		node = rank_tree_next(node);

		if (queue_detached(claim) || queue_withheld(core, claim) ||
		    !could_be_inside(core, host, claim))
			continue;

		/* The host offers no places: the claim waits for a loan. */
		if (claim_guests(host) >= host->rec.guests) {
			if (host->rec.guests > 0 && !claim->no_wait)
				press_guests(core, host, claim);
			return;
		}

		gpus = host_gpus(core, host, claim);
		if (gpus == 0 || (memory_is_kept(core, claim, gpus) && !core->config.observe))
			return;
		schedule_grant(core, claim, gpus);
	}
}

void host_run(struct core *core)
{
	PRE(schedule_may_grant(core));
	list_each (it, next, &core->hosted)
		serve_guests(core, group_in(it));
}

void host_seat(struct claim *guest)
{
	struct house *house = house_of(guest->host);

	queue_by_id(&house->guests, guest);
	house->count++;
}

void host_enter(struct core *core, struct claim *guest)
{
	struct claim *host = guest->host;

	PRE(host != NULL);
	PRE(claim_has_room(host));
	/* Others were promised when the host is gone: no guest gets longer to stop. */
	guest->rec.uninterruptible_ms =
		ms_shorter(guest->rec.uninterruptible_ms, yield_grace_ms(core, host));
	/* A resident that is used has a turn of its own: it is over when nobody uses it. */
	if (claim_guests(host) == 0 && host->rec.need.slots == 0) {
		host->rec.turn_since = core->now;
		claim_dirty(core, host);
	}
	host_seat(guest);
}

bool host_join(struct core *core, struct claim *claim)
{
	uint64_t id = claim->rec.lender ? claim->rec.lender : claim->rec.host;
	uint64_t inside_bytes = claim->rec.need.vram_bytes - claim->vram_charged;
	struct claim *host = claim_by_id(core, id);

	if (id == 0)
		return true;
	/* Ids rise along a chain of hosts, so there is no cycle. */
	if (!host || host->rec.id >= claim->rec.id)
		return false;

	if (claim->rec.state == CLAIM_QUEUED) {
		queue_host(core, claim, host);
		return true;
	}

	if (!claim_has_room(host) || claim->slots_charged > 0 ||
	    (claim->rec.granted_mask & ~host->rec.granted_mask) ||
	    claim_guests(host) >= (host->rec.guests > 0 ? host->rec.guests : 1u) ||
	    claim->vram_charged > claim->rec.need.vram_bytes ||
	    inside_bytes > ledger_vram_inside(host, &claim->rec.need))
		return false;

	claim->host = host;
	host_seat(claim);
	host->house->vram_lent += inside_bytes;
	return true;
}

static void take_out(struct core *core, struct claim *guest)
{
	struct claim *host = guest->host;

	INVARIANT(host->house->count > 0);

	list_remove(&guest->in_nested);
	host->house->count--;
	if (host->session)
		host->session->compute_ended = core->now;

	guest->rec.lender = 0;
	if (guest->rec.host == 0)
		guest->host = NULL;
}

void host_leave(struct core *core, struct claim *guest)
{
	struct claim *host = guest->host;
	bool lent = guest->rec.lender != 0;

	if (!host || list_empty(&guest->in_nested))
		return;

	take_out(core, guest);
	if (lent)
		emit_claim(core, host, SEND_LENT);
	drain_settle(core, host);
	core->queue_changed = true;
}

void host_inherit(struct core *core, struct claim *lender)
{
	struct claim *heir = claim_guests(lender) > 0 ? guest_of(lender->house->guests.next) : NULL;

	if (!heir || heir->rec.lender != lender->rec.id)
		return;

	ledger_drop(core, heir);
	take_out(core, heir);

	heir->rec.lender = lender->rec.lender;
	heir->rec.host = lender->rec.host;
	heir->host = lender->host;

	if (lender->host) {
		take_out(core, lender);
		host_enter(core, heir);
	}

	heir->turn_cls = lender->turn_cls;
	heir->rec.observed |= lender->rec.observed;
	heir->rec.would_wait |= lender->rec.would_wait;
	ledger_take(core, heir);

	heir->rec.turn_since = lender->rec.turn_since;
	heir->rec.used_ms = lender->rec.used_ms;
	heir->key = lender->key;
	heir->rec.tag = mono_after(lender->key, -core->config.classes[heir->rec.cls].offset_ms);
	claim_dirty(core, heir);
	POST(claim_guests(lender) == 0);
}

void host_over(struct core *core, struct claim *host)
{
	struct group *queue = host->house ? host->house->queue : NULL;
	struct rank_node *node = queue ? rank_tree_first(&queue->turns) : NULL;

	while (node) {
		struct claim *guest = claim_of_turn(node);
		node = rank_tree_next(node);
		guest->host = NULL;
		if (guest->silent)
			continue; /* it leaves in this step */
		claim_end(core, guest, END_DENIED);
		emit_denied(core, claim_party(guest), guest->rec.ref, guest->rec.id, ERR_HOST_OVER,
			    NULL);
	}

	if (queue)
		queue->host = NULL;
	if (!host->house)
		return;
	host->house->queue = NULL;

	list_each (it, next, &host->house->guests)
		revoke_begin(core, guest_of(it), YIELD_HOST_OVER, END_REVOKED);
}

struct claim *host_next_inside(const struct claim *root, const struct claim *at)
{
	if (claim_guests(at) > 0)
		return guest_of(at->house->guests.next);
	for (; at != root; at = at->host)
		if (at->in_nested.next != &at->host->house->guests)
			return guest_of(at->in_nested.next);
	return NULL;
}

void host_sweep(struct core *core)
{
	list_each (it, next, &core->hosted) {
		struct group *group = group_in(it);
		if (rank_tree_count(&group->turns) > 0)
			continue;

		if (group->host)
			group->host->house->queue = NULL;
		list_remove(&group->in_groups);
		free(group);
	}
}
