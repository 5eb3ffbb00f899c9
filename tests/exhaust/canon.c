/* canon: a state as bytes that are equal where the same can happen from here on: the core's export,
 * with claims numbered by rank and times as distances from now, and what the clients know. */
#include <string.h>

#include "arena.h"
#include "base/buf.h"
#include "core/event.h"
#include "core/export.h"
#include "core/state.h"
#include "set.h"
#include "world.h"

static struct buf bytes;

static void put(uint64_t value)
{
	(void)buf_append(&bytes, &value, sizeof(value));
}

/* Of a lease among those that live; what is over is 0, for nothing can be done with it. */
static uint64_t rank_of_lease(const struct world *w, uint64_t lease)
{
	uint64_t rank = 1;
	bool lives = false;

	for (uint32_t i = 0; i < w->claim_rows; i++) {
		rank += w->claims[i].id < lease;
		lives |= w->claims[i].id == lease;
	}
	return lives ? rank : 0;
}

static uint64_t rank_of_session(const struct world *w, uint64_t session)
{
	uint64_t rank = 1;
	bool lives = false;

	for (uint32_t i = 0; i < w->session_rows; i++) {
		rank += w->sessions[i].id < session;
		lives |= w->sessions[i].id == session;
	}
	return lives ? rank : 0;
}

static uint64_t distance(const struct world *w, struct mono_ms t)
{
	return t.v == INT64_MAX ? UINT64_MAX : (uint64_t)mono_since(t, w->now);
}

static void put_note(const struct world *w, const struct note *note)
{
	put((uint64_t)note->msg | (uint64_t)note->state << 8 | (uint64_t)note->end << 16 |
	    (uint64_t)note->err << 24 | (uint64_t)note->flag << 40);
	put(rank_of_lease(w, note->lease) << 32 | note->gpus);
}

static void put_client(const struct world *w, const struct client *client)
{
	put((uint64_t)client->stage | (uint64_t)client->using << 4 | (uint64_t)client->asked << 5 |
	    (uint64_t)client->stretched << 6 | (uint64_t)client->stopping << 7 |
	    (uint64_t)client->done << 8 | (uint64_t)client->lagging << 9 |
	    (uint64_t)client->counted << 10 | (uint64_t)(client->conn != 0) << 11 |
	    (uint64_t)(client->exchange != 0) << 12 | (uint64_t)client->asks << 16 |
	    (uint64_t)client->slots << 24 | (uint64_t)client->vram_gib << 32 |
	    (uint64_t)client->gpus << 48);
	put(rank_of_session(w, client->session) << 32 | rank_of_lease(w, client->lease) << 16 |
	    rank_of_lease(w, client->parent));
	put(distance(w, client->stop_at));
	put(distance(w, client->promise));
	put(client->stopping ? distance(w, client->stop_since) : 0);
	put((client->lagging ? distance(w, client->lag_since) : 0) << 1 |
	    (client->using && client->began.v == w->now.v));
	for (uint8_t i = 0; i < client->inbox_count; i++)
		put_note(w, &client->inbox[i]);
}

/* What the journal knows matters as long as the broker may die; mostly it is what the core knows,
 * and then says nothing new. */
static void put_journal(const struct world *w)
{
	if (w->crashes == 0 && !w->armed)
		return;
	for (uint32_t i = 0; i < w->claim_rows; i++) {
		struct claim_view view;
		if (!core_claim(w->core, w->claims[i].id, w->now, &view) ||
		    memcmp(view.rec, &w->claims[i], sizeof(*view.rec)) != 0)
			(void)buf_append(&bytes, &w->claims[i], sizeof(w->claims[i]));
	}
}

/* What nothing reads in the state that a claim is in is left out while it is written; so is, where
 * nobody is ever evicted or silent, when sessions were last heard. */
struct hidden {
	struct claim *claim;
	struct claim was;
};

static void blank(struct claim *claim)
{
	const struct mono_ms none = {0};

	if (claim->rec.state == CLAIM_QUEUED)
		claim->deadline = none;
	else
		claim->rec.wait_deadline = none;
	if (claim->rec.state == CLAIM_QUEUED)
		claim->rec.turn_since = none;
	if (claim->rec.state == CLAIM_QUEUED || claim->rec.state == CLAIM_OFFERED) {
		claim->rec.held_since = claim->rec.ttl_deadline = none;
		claim->yield_since = none;
		claim->rec.yield_reason = 0;
		claim->yield_for = 0;
	}
	if (claim->rec.state == CLAIM_HELD) {
		claim->deadline = claim->yield_since = none;
		claim->yield_for = 0;
	}
}

static uint32_t hide(struct rank_tree *tree, struct hidden *ret_hidden, uint32_t count)
{
	for (struct rank_node *node = rank_tree_first(tree); node; node = rank_tree_next(node)) {
		if (count == ROWS_MAX)
			break;
		ret_hidden[count].claim = claim_of_place(node);
		ret_hidden[count].was = *ret_hidden[count].claim;
		blank(ret_hidden[count++].claim);
	}
	return count;
}

static void put_core(const struct world *w)
{
	struct hidden hidden[ROWS_MAX];
	struct rank_node *node = rank_tree_first(&w->core->sessions);
	uint32_t count = hide(&w->core->holders, hidden, 0);
	struct mono_ms wake = w->core->wake;

	count = hide(&w->core->places, hidden, count);
	for (; node && !w->scene->mortal && !w->scene->vram_gib; node = rank_tree_next(node)) {
		struct session *session = session_of_id(node);
		session->last_seen = session->compute_ended = w->now;
	}
	if (mono_since(wake, w->now) > FAR_MS / 2)
		w->core->wake = MONO_NEVER;
	core_export_canonical(w->core, w->now, &bytes);
	w->core->wake = wake;
	while (count-- > 0)
		*hidden[count].claim = hidden[count].was;
}

struct hash128 canon_hash(const struct world *w)
{
	arena_close(); /* these bytes outlive the world */
	buf_clear(&bytes, SIZE_MAX);
	put_core(w);
	put((uint64_t)w->crashes | (uint64_t)w->lost << 8 | (uint64_t)w->asked << 16 |
	    (uint64_t)w->reloads << 24 | (uint64_t)w->armed << 32);
	for (uint32_t i = 0; i < w->scene->count; i++)
		put_client(w, &w->clients[i]);
	put_journal(w);
	arena_open();
	return hash128_of(buf_data(&bytes), bytes.length);
}
