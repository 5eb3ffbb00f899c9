/* caps: admission by counts. Nobody can fill the queue or hold all that may be held: a principal
 * has its own limit, and of the last places it gets none while it has eight times as many as are
 * left, so that a principal with none always finds one. Less urgent claims do not count against the
 * limit of more urgent ones: a runaway background job does not lock out the same user's voice.
 * Changes nothing. */
#include "core/caps.h"

#include <stdio.h>

#include "base/contracts.h"
#include "base/err.h"
#include "core/claim.h"
#include "core/event.h"
#include "core/principal.h"
#include "core/state.h"

enum { LEFT_TIMES = 8 };

/* Would it leave too few for the others? A principal with none never does. */
static bool leaves_too_few(uint32_t own, uint32_t all, uint32_t most)
{
	PRE(all < most);
	return own > 0 && own / LEFT_TIMES >= most - all - 1;
}

static int judge_all(const struct core *core, uint32_t waiting, uint32_t held, char *detail,
		     size_t size)
{
	uint32_t all_waiting = rank_tree_count(&core->places);
	uint32_t all_held = rank_tree_count(&core->holders);

	if (all_waiting >= core->config.queue_count_max)
		snprintf(detail, size, "%u claims wait, as many as may (queue.max)", all_waiting);
	else if (all_held >= HELD_MAX)
		snprintf(detail, size, "%u leases are held, as many as may be", all_held);
	else if (leaves_too_few(waiting, all_waiting, core->config.queue_count_max))
		snprintf(detail, size,
			 "of queue.max %u the last places are kept for others than you with %u",
			 core->config.queue_count_max, waiting);
	else if (leaves_too_few(held, all_held, HELD_MAX))
		snprintf(detail, size, "the last leases are kept for others than you with %u",
			 held);
	else
		return 0;
	return ERR_QUEUE_FULL;
}

static int judge_principal(const struct core *core, const struct ev_acquire *ask,
			   const struct principal *own, const struct need *need, char *detail,
			   size_t size)
{
	const char *cls = lease_class_name(ask->cls);
	uint32_t waiting_max =
		ask->waiting_max ? ask->waiting_max : core->config.queue_per_principal_max;
	uint32_t held_max = ask->held_max ? ask->held_max : core->config.held_per_principal_max;

	if (principal_waiting(own, ask->cls) >= waiting_max)
		snprintf(detail, size, "%.40s waits with %u claims of class %s or above, the most",
			 own->name, waiting_max, cls);
	else if (principal_held(own, ask->cls) >= held_max)
		snprintf(detail, size, "%.40s holds %u leases of class %s or above, the most",
			 own->name, held_max, cls);
	else if (own->shape_count >= LIMIT_NEEDS_PER_PRINCIPAL && own->waiting[ask->cls] > 0 &&
		 !principal_wants(own, need))
		snprintf(detail, size,
			 "%.40s waits for %u different needs (slots, VRAM, GPUs), the most",
			 own->name, own->shape_count);
	else
		return 0;
	return ERR_QUOTA;
}

/* Of one session, or of one name without a session, within its principal. Requests that the broker
 * forwards are no session's: programs of one kind share a name, and their principal's limits hold.
 */
static int judge_owner(const struct core *core, const struct session *session,
		       const struct claim_record *rec, char *detail, size_t size)
{
	uint32_t waiting, held, http_held, waiting_max = core->config.queue_per_session_max;

	if (session) {
		waiting = session->waiting;
		held = session->holding;
	} else {
		claim_by_name(core, rec->principal, rec->name, &waiting, &held, &http_held);
	}

	if (waiting >= waiting_max)
		snprintf(detail, size, "%s waits with %u claims (queue.per_session_max)",
			 session ? "this session" : "this name", waiting);
	else if (held >= HELD_PER_OWNER_MAX)
		snprintf(detail, size, "%s holds %u leases, the most it may have",
			 session ? "this session" : "this name", held);
	else
		return 0;
	return ERR_QUOTA;
}

int caps_judge(const struct core *core, const struct event *event, const struct session *session,
	       const struct claim_record *rec, char *detail, size_t size)
{
	const struct principal *own = principal_of(core, session, rec->principal);
	uint32_t waiting = own ? principal_waiting(own, LEASE_BACKGROUND) : 0;
	uint32_t held = own ? principal_held(own, LEASE_BACKGROUND) : 0;
	bool observe = core->config.observe; /* then only what bounds the broker's memory */
	bool owned = !observe && rec->binding != BIND_PROXIED;
	int err = owned ? judge_owner(core, session, rec, detail, size) : 0;

	PRE(event->type == EVENT_ACQUIRE);
	PRE(rec->principal[0] != '\0');

	if (err)
		return err;
	if (own && !observe)
		err = judge_principal(core, &event->acquire, own, &rec->need, detail, size);
	if (err)
		return err;

	return judge_all(core, waiting, held, detail, size);
}
