/* places: a sweep over the waiting claims that somebody watches, a few per turn so that thousands
 * of them never stall the loop. Sends nothing by itself. Called by serve.c after each turn. */
#include "server/places.h"

#include <assert.h>
#include <stdlib.h>

struct place {
	struct hash_node by_claim; /* places.by_claim */
	struct list link;          /* places.all */
	uint64_t claim, ref;
	struct party to;
	struct places_told said;
	struct mono_ms told;
};

void places_init(struct places *places)
{
	*places = (struct places){0};
	hash_init(&places->by_claim);
	list_init(&places->all);
}

static void forget(struct places *places, struct place *place)
{
	if (places->cursor == &place->link)
		places->cursor = place->link.next;
	list_remove(&place->link);
	hash_remove(&places->by_claim, &place->by_claim);
	free(place);
}

void places_finish(struct places *places)
{
	list_each(it, next, &places->all) forget(places, container_of(it, struct place, link));
	hash_finish(&places->by_claim);
}

static struct place *place_of(const struct places *places, uint64_t claim)
{
	for (struct hash_node *n = hash_first(&places->by_claim, hash_u64(claim)); n;
	     n = hash_next(n)) {
		struct place *place = container_of(n, struct place, by_claim);
		if (place->claim == claim)
			return place;
	}
	return NULL;
}

void places_watch(struct places *places, uint64_t claim, struct party to, uint64_t ref,
		  struct places_told said, struct mono_ms now)
{
	struct place *place = place_of(places, claim);
	if (!place) {
		place = calloc(1, sizeof *place);
		if (!place)
			abort();
		place->claim = claim;
		list_init(&place->link);
		list_append(&places->all, &place->link);
		hash_add(&places->by_claim, &place->by_claim, hash_u64(claim));
	}
	place->to = to;
	place->ref = ref;
	place->said = said;
	place->told = now;
	places->dirty |= said.position == PLACES_UNTOLD;
}

void places_forget(struct places *places, uint64_t claim)
{
	struct place *place = place_of(places, claim);
	if (place)
		forget(places, place);
}

/* True: told, or there was nothing to tell; false: it is too early to tell. */
static bool look(struct places *places, struct place *place, const struct core *core,
		 struct mono_ms now,
		 void (*tell)(void *ctx, struct party to, const struct send_effect *queued),
		 void *ctx)
{
	struct places_told say = {core_position(core, place->claim),
				  core_promise(core, place->claim)};
	if (say.position < 0) {
		forget(places, place); /* it is offered, or over */
		return true;
	}
	if (say.position == place->said.position && say.promise.v == place->said.promise.v)
		return true;
	if (mono_since(now, place->told) < PLACES_INTERVAL_MS)
		return false;
	struct send_effect queued = {.msg = MSG_QUEUED, .ref = place->ref, .lease = place->claim};
	place->said = say;
	place->told = now;
	tell(ctx, place->to, &queued);
	return true;
}

void places_step(struct places *places, const struct core *core, struct mono_ms now,
		 void (*tell)(void *ctx, struct party to, const struct send_effect *queued),
		 void *ctx)
{
	if (!places->cursor) {
		if (!places->dirty || !mono_due(places->sweep_at, now))
			return;
		places->dirty = false;
		places->sweep_at = mono_after(now, PLACES_SWEEP_MS);
		places->cursor = places->all.next;
	}
	for (int n = 0; n < PLACES_PER_TURN && places->cursor != &places->all; n++) {
		struct place *place = container_of(places->cursor, struct place, link);
		places->cursor = place->link.next;
		if (!look(places, place, core, now, tell, ctx))
			places->dirty = true; /* again in the next sweep */
	}
	if (places->cursor == &places->all)
		places->cursor = NULL;
}

struct mono_ms places_wake(const struct places *places, struct mono_ms now)
{
	if (places->cursor)
		return now;
	if (!places->dirty || list_empty(&places->all))
		return MONO_NEVER;
	return mono_max(places->sweep_at, now);
}
