/* want: the table of wishes. It decides nothing about who may use what; check.c does. */
#include "want.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "outside.h"
#include "world.h"

const char *want_stage_name(enum want_stage stage)
{
	static const char *const names[] = {"asked", "waiting", "offered", "held", "over"};
	return names[stage];
}

void want_activate(struct world *w, struct want *want)
{
	struct wants *wants = &w->wants;
	if (want->active)
		return;
	if (wants->active_count == wants->active_capacity) {
		wants->active_capacity = wants->active_capacity ? wants->active_capacity * 2 : 64;
		wants->active =
			realloc(wants->active, wants->active_capacity * sizeof *wants->active);
		assert(wants->active);
	}
	want->active = true;
	wants->active[wants->active_count++] = want->uid;
}

struct want *want_new(struct world *w, int client)
{
	struct wants *wants = &w->wants;
	if (wants->count == wants->capacity) {
		wants->capacity = wants->capacity ? wants->capacity * 2 : 64;
		wants->v = realloc(wants->v, wants->capacity * sizeof *wants->v);
		assert(wants->v);
	}
	struct want *want = &wants->v[wants->count++];
	*want = (struct want){.uid = wants->count,
			      .client = client,
			      .life = w->clients[client].life,
			      .excused_t = INT64_MAX,
			      .lost_t = INT64_MAX,
			      .boots = w->boots};
	want_activate(w, want);
	return want;
}

struct want *want_of(struct world *w, uint64_t uid)
{
	return uid > 0 && uid <= w->wants.count ? &w->wants.v[uid - 1] : NULL;
}

struct want *want_of_lease(struct world *w, uint64_t lease)
{
	return lease < w->wants.by_lease_size ? want_of(w, w->wants.by_lease[lease]) : NULL;
}

void want_bind_lease(struct world *w, struct want *want, uint64_t lease)
{
	struct wants *wants = &w->wants;
	if (lease >= wants->by_lease_size) {
		size_t size = (size_t)(lease + 64) * 2;
		wants->by_lease = realloc(wants->by_lease, size * sizeof *wants->by_lease);
		assert(wants->by_lease);
		memset(wants->by_lease + wants->by_lease_size, 0,
		       (size - wants->by_lease_size) * sizeof *wants->by_lease);
		wants->by_lease_size = size;
	}
	assert(wants->by_lease[lease] == 0 || wants->by_lease[lease] == want->uid);
	wants->by_lease[lease] = want->uid;
}

void want_forget_uncommitted(struct world *w)
{
	struct wants *wants = &w->wants;

	for (size_t i = 0; i < wants->active_count; i++) {
		struct want *want = want_of(w, wants->active[i]);
		if (want->lease != 0 && !journal_claim(&w->journal, want->lease))
			want->lease = 0;
	}

	/* A want may have had several. */
	for (size_t lease = 1; lease < wants->by_lease_size; lease++)
		if (!journal_claim(&w->journal, lease))
			wants->by_lease[lease] = 0;
}

void want_forget_leases(struct world *w)
{
	if (w->wants.by_lease_size > 0)
		memset(w->wants.by_lease, 0, w->wants.by_lease_size * sizeof *w->wants.by_lease);
}

void want_use(struct world *w, struct want *want, uint32_t gpus)
{
	if (want->uses)
		return;
	want->uses = true;
	want->uses_mask = gpus;
	want->uses_need = want->need;
	trace_line(&w->trace, "want %llu uses %#x", (unsigned long long)want->uid, gpus);
}

void want_stop(struct world *w, struct want *want)
{
	if (!want->uses)
		return;
	want->uses = false;
	leftover_begin(w, want);
	trace_line(&w->trace, "want %llu stops", (unsigned long long)want->uid);
}

void want_stop_unheard(struct world *w, const struct conn *conn)
{
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		bool heard = want->stage == WANT_HELD || want->stage == WANT_OVER;
		bool here = want->conn == 0 || want->conn == conn->id;
		if (want->client != conn->client || want->life != conn->life || !here || heard)
			continue;
		want_stop(w, want);
		client_turn_unread(w, want);
	}
}

void want_over(struct world *w, struct want *want)
{
	if (want->stage == WANT_OVER)
		return;
	want->stage = WANT_OVER;
	struct client *client = &w->clients[want->client];
	if (client->life == want->life && client->claim_count > 0)
		client->claim_count--;
}

static bool want_is_live(const struct world *w, const struct want *want)
{
	const struct journal_claim *row = journal_claim(&w->journal, want->lease);
	return row && row->live && row->rec.ref == want->uid;
}

void wants_sweep(struct world *w)
{
	struct wants *wants = &w->wants;
	size_t kept = 0;
	for (size_t i = 0; i < wants->active_count; i++) {
		struct want *want = want_of(w, wants->active[i]);
		want->active = want->stage != WANT_OVER || want_in_room(want, w->t) ||
			       want_is_live(w, want);
		if (want->active)
			wants->active[kept++] = wants->active[i];
	}
	wants->active_count = kept;
}

bool want_in_room(const struct want *want, int64_t t)
{
	return want->uses && t < want->excused_t;
}

void wants_finish(struct world *w)
{
	free(w->wants.v);
	free(w->wants.active);
	free(w->wants.by_lease);
	w->wants = (struct wants){0};
}
