/* position_updates: a sweep over the waiting claims that somebody watches, a few per turn so that
 * thousands of them never stall the loop. Sends nothing by itself. Called by serve.c after each
 * turn. */
#include "server/monitor/position_updates.h"
#include "core/party.h"
#include "core/send.h"
#include "core/view.h"

#include <assert.h>
#include <stdlib.h>

struct position_update {
	struct hash_node by_claim; /* updates.by_claim */
	struct list link;          /* updates.all */
	uint64_t claim, ref;
	struct party to;
	struct position_updates_told said;
	struct mono_ms told;
};

void position_updates_init(struct position_updates *updates)
{
	*updates = (struct position_updates){0};
	hash_init(&updates->by_claim);
	list_init(&updates->all);
}

static void forget_update(struct position_updates *updates, struct position_update *update)
{
	if (updates->cursor == &update->link)
		updates->cursor = update->link.next;
	list_remove(&update->link);
	hash_remove(&updates->by_claim, &update->by_claim);
	free(update);
}

void position_updates_finish(struct position_updates *updates)
{
	list_each (it, next, &updates->all)
		forget_update(updates, container_of(it, struct position_update, link));
	hash_finish(&updates->by_claim);
}

static struct position_update *update_of(const struct position_updates *updates, uint64_t claim)
{
	for (struct hash_node *n = hash_first(&updates->by_claim, hash_u64(claim)); n;
	     n = hash_next(n)) {
		struct position_update *update = container_of(n, struct position_update, by_claim);
		if (update->claim == claim)
			return update;
	}
	return NULL;
}

void position_updates_watch(struct position_updates *updates, uint64_t claim, struct party to,
			    uint64_t ref, struct position_updates_told said, struct mono_ms now)
{
	struct position_update *update = update_of(updates, claim);

	if (!update) {
		update = calloc(1, sizeof(*update));
		if (!update)
			abort();
		update->claim = claim;
		list_init(&update->link);
		list_append(&updates->all, &update->link);
		hash_add(&updates->by_claim, &update->by_claim, hash_u64(claim));
	}

	update->to = to;
	update->ref = ref;
	update->said = said;
	update->told = now;
	updates->dirty |= said.position == POSITION_UPDATES_UNTOLD;
}

void position_updates_forget(struct position_updates *updates, uint64_t claim)
{
	struct position_update *update = update_of(updates, claim);
	if (update)
		forget_update(updates, update);
}

void position_updates_sent(struct position_updates *updates, const struct core *core,
			   struct party to, const struct send_effect *send, int64_t position,
			   struct mono_ms now)
{
	struct position_updates_told said = {POSITION_UPDATES_UNTOLD, MONO_NEVER};

	if (send->msg == SEND_OFFERED || send->msg == SEND_GRANTED) {
		position_updates_forget(updates, send->lease);
	} else if (send->msg == SEND_CLAIM && send->state == CLAIM_QUEUED) {
		position_updates_watch(updates, send->lease, to, send->ref, said, now);
	} else if (send->msg == SEND_QUEUED && position >= 0) { /* not granted already */
		said.position = position;
		said.promise = core_promise(core, send->lease);
		position_updates_watch(updates, send->lease, to, send->ref, said, now);
	}
}

/* True: told, or there was nothing to tell; false: it is too early to tell. */
static bool look_at(struct position_updates *updates, struct position_update *update,
		    const struct core *core, struct mono_ms now,
		    void (*tell)(void *ctx, struct party to, const struct send_effect *queued),
		    void *ctx)
{
	struct position_updates_told say = {core_position(core, update->claim),
					    core_promise(core, update->claim)};

	if (say.position < 0) {
		forget_update(updates, update); /* it is offered, or over */
		return true;
	}

	if (say.position == update->said.position && say.promise.v == update->said.promise.v)
		return true;
	if (mono_since(now, update->told) < POSITION_UPDATES_INTERVAL_MS)
		return false;

	struct send_effect queued = {
		.msg = SEND_QUEUED, .ref = update->ref, .lease = update->claim};
	update->said = say;
	update->told = now;
	tell(ctx, update->to, &queued);
	return true;
}

void position_updates_step(
	struct position_updates *updates, const struct core *core, struct mono_ms now,
	void (*tell)(void *ctx, struct party to, const struct send_effect *queued), void *ctx)
{
	if (!updates->cursor) {
		if (!updates->dirty || !mono_due(updates->sweep_at, now))
			return;
		updates->dirty = false;
		updates->sweep_at = mono_after(now, POSITION_UPDATES_SWEEP_MS);
		updates->cursor = updates->all.next;
	}

	for (int n = 0; n < POSITION_UPDATES_PER_TURN && updates->cursor != &updates->all; n++) {
		struct position_update *update =
			container_of(updates->cursor, struct position_update, link);
		updates->cursor = update->link.next;
		if (!look_at(updates, update, core, now, tell, ctx))
			updates->dirty = true; /* again in the next sweep */
	}

	if (updates->cursor == &updates->all)
		updates->cursor = NULL;
}

struct mono_ms position_updates_wake(const struct position_updates *updates, struct mono_ms now)
{
	if (updates->cursor)
		return now;
	if (!updates->dirty || list_empty(&updates->all))
		return MONO_NEVER;
	return mono_max(updates->sweep_at, now);
}
