/* net: connections and envelopes in flight. It knows nothing of leases. */
#include "net.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

struct conn *net_connect(struct world *w, int client)
{
	if (w->broker.state == BROKER_DOWN || w->fds_exhausted)
		return NULL;
	struct net *net = &w->net;
	if (net->count == net->capacity) {
		net->capacity = net->capacity ? net->capacity * 2 : 64;
		net->conns = realloc(net->conns, net->capacity * sizeof *net->conns);
		assert(net->conns);
	}
	struct conn *conn = &net->conns[net->count++];
	*conn = (struct conn){.id = net->count,
			      .client = client,
			      .client_open = true,
			      .broker_open = true,
			      .up_t = w->t,
			      .down_t = w->t};
	if (client >= 0)
		conn->life = w->clients[client].life;
	return conn;
}

struct conn *net_conn(struct world *w, uint64_t id)
{
	return id > 0 && id <= w->net.count ? &w->net.conns[id - 1] : NULL;
}

struct party net_party(const struct conn *conn)
{
	bool plain = conn->exchange || conn->stream;
	if (conn->gateway)
		return party_of(PARTY_GATEWAY, conn->id);
	return party_of(plain ? PARTY_EXCHANGE : PARTY_SESSION, conn->id);
}

struct envelope *net_envelope(struct world *w, enum envelope_kind kind, uint64_t conn)
{
	struct envelope *envelope = w->net.spare;
	if (envelope)
		w->net.spare = envelope->next;
	else
		envelope = malloc(sizeof *envelope);
	assert(envelope);
	envelope->next = NULL;
	envelope->kind = kind;
	envelope->conn = conn;
	envelope->job = 0;
	if (kind == ENVELOPE_EVENT)
		memset(&envelope->event, 0, sizeof envelope->event);
	return envelope;
}

void net_free(struct world *w, struct envelope *envelope)
{
	envelope->next = w->net.spare;
	w->net.spare = envelope;
}

static int64_t delay_ms(struct world *w)
{
	if (rng_chance(&w->rng, world_permille(w, FAULT_DELAY))) {
		world_count(w, FAULT_DELAY);
		return rng_between(&w->rng, 100, 10000);
	}
	return rng_between(&w->rng, 0, 2);
}

void net_up(struct world *w, struct envelope *envelope)
{
	struct conn *conn = net_conn(w, envelope->conn);
	int64_t t = w->t + delay_ms(w);
	if (t > conn->up_t)
		conn->up_t = t;
	event_queue_add(
		&w->event_queue,
		(struct item){.t = conn->up_t, .kind = ITEM_TO_BROKER, .envelope = envelope});
}

void net_down(struct world *w, struct envelope *envelope)
{
	struct conn *conn = net_conn(w, envelope->conn);
	int64_t t = w->t + delay_ms(w);
	if (t > conn->down_t)
		conn->down_t = t;
	event_queue_add(
		&w->event_queue,
		(struct item){.t = conn->down_t, .kind = ITEM_TO_CLIENT, .envelope = envelope});
}

void net_close_client(struct world *w, struct conn *conn, bool clean)
{
	if (!conn->client_open)
		return;
	conn->client_open = false;
	job_stop_unheard(w, conn);
	int64_t t = w->t + rng_between(&w->rng, 0, 40);
	if (clean && conn->up_t > t)
		t = conn->up_t;
	event_queue_add(&w->event_queue,
			(struct item){.t = t,
				      .kind = ITEM_TO_BROKER,
				      .envelope = net_envelope(w, ENVELOPE_CLOSED, conn->id)});
}

void net_close_broker(struct world *w, struct conn *conn, bool clean)
{
	if (!conn->broker_open)
		return;
	conn->broker_open = false;
	int64_t t = w->t + rng_between(&w->rng, 0, 40);
	if (clean && conn->down_t > t)
		t = conn->down_t;
	event_queue_add(&w->event_queue,
			(struct item){.t = t,
				      .kind = ITEM_TO_CLIENT,
				      .envelope = net_envelope(w, ENVELOPE_EOF, conn->id)});
}

void net_finish(struct world *w)
{
	for (struct envelope *envelope = w->net.spare, *next; envelope; envelope = next) {
		next = envelope->next;
		free(envelope);
	}
	free(w->net.conns);
	w->net = (struct net){0};
}
