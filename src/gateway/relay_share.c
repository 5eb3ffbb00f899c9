/* relay_share: several requests for one model in one turn, where its server works on several at
 * once. The turn is the claim of one of them, the others have part in it; it goes to one of these
 * when that one ends. Only those of one class are together, that may be cut short alike; who comes
 * later joins them while nobody else waits, however long the turn has lasted: it costs nobody
 * anything, and to wait instead would end the turn of those who are in it. Whoever could not join
 * at once looks again: the queue may be behind what was asked of it. */
#include "base/err.h"
#include "gateway/gateway_impl.h"
#include "gateway/lease_port.h"
#include "gateway/model.h"
#include "gateway/relay.h"
#include "gateway/relay_impl.h"

enum {
	JOIN_MS_FIRST = 50,
	JOIN_MS_MAX = 2000,
	JOIN_MS_NEXT = 1, /* the queue has heard then that one less waits */
};

static bool has_part(const struct relay *relay, uint64_t party)
{
	return relay->party == party || relay->turn == party;
}

/* A response that is made in the background is work like any other. */
static bool is_at_work(const struct relay *relay)
{
	return relay->stage == RELAY_FORWARDED ||
	       (relay->stage == RELAY_SETTLING && relay->pending);
}

/* That its server works on in this turn. */
static unsigned count_parts(const struct gateway *gateway, uint64_t party)
{
	unsigned count = 0;

	list_each (it, next, &gateway->relays) {
		const struct relay *relay = container_of(it, struct relay, link);
		count += has_part(relay, party) && is_at_work(relay);
	}
	return count;
}

static bool is_open(const struct gateway *gateway, const struct relay *host)
{
	return is_at_work(host) && host->party && !host->outranked &&
	       count_parts(gateway, host->party) < host->model->server->parallel;
}

/* That may be in one turn. */
static bool may_be_together(const struct relay *relay, const struct relay *host)
{
	return relay->model == host->model && relay->cls == host->cls &&
	       relay->route->whole == host->route->whole;
}

/* Somebody who does not wait for a turn with this model. */
static bool another_waits(const struct gateway *gateway, const struct model *model)
{
	const struct lease_port *port = gateway->port;
	unsigned own = 0;

	if (!port->waiting)
		return false;
	list_each (it, next, &gateway->relays) {
		const struct relay *relay = container_of(it, struct relay, link);
		own += relay->model == model && relay->stage == RELAY_TURN &&
		       port->waits(port->ctx, relay->party);
	}
	return port->waiting(port->ctx) > own;
}

static void take_part(struct gateway *gateway, struct relay *relay, const struct relay *host,
		      struct mono_ms now)
{
	relay->turn = host->party;
	relay->turn_since = host->turn_since;
	relay->lease = host->lease;
	relay->fence = host->fence;
	relay->token = host->token;
	relay->outranked = false;
	relay_forward(gateway, relay, now);
}

/* That it may join; NULL: there is none. */
static const struct relay *find_turn(const struct gateway *gateway, const struct relay *relay)
{
	const struct model *model = relay->model;

	if (model->server->parallel < 2 || model->residence != RESIDENCE_READY || model->leaves ||
	    another_waits(gateway, model))
		return NULL;

	list_each (it, next, &gateway->relays) {
		const struct relay *host = container_of(it, struct relay, link);
		if (may_be_together(relay, host) && is_open(gateway, host))
			return host;
	}
	return NULL;
}

bool relay_join(struct gateway *gateway, struct relay *relay, struct mono_ms now)
{
	const struct relay *host = find_turn(gateway, relay);

	relay->look_at = MONO_NEVER;
	relay->pace_ms = JOIN_MS_FIRST;
	if (host)
		take_part(gateway, relay, host, now);
	else if (relay->model->server->parallel > 1)
		relay->look_at = mono_after(now, relay->pace_ms);
	return host != NULL;
}

void relay_look_soon(struct gateway *gateway, const struct model *model, struct mono_ms now)
{
	unsigned left = model->server->parallel;

	if (left < 2)
		return;
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		if (relay->stage != RELAY_TURN || relay->model != model)
			continue;
		relay->pace_ms = JOIN_MS_FIRST;
		relay->look_at = mono_after(now, JOIN_MS_NEXT);
		if (--left == 0)
			return;
	}
}

void relay_join_late(struct gateway *gateway, struct relay *relay, struct mono_ms now)
{
	const struct relay *host = find_turn(gateway, relay);
	const struct model *model = relay->model;

	if (host) {
		relay_leave_queue(gateway, relay);
		take_part(gateway, relay, host, now);
		relay_look_soon(gateway, model, now);
		return;
	}
	relay->pace_ms = ms_shorter(2 * relay->pace_ms, JOIN_MS_MAX);
	relay->look_at = mono_after(now, relay->pace_ms);
}

void relay_take_along(struct gateway *gateway, uint64_t party, struct mono_ms now)
{
	const struct relay *host = relay_of_party(gateway, party);

	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		if (!host || !is_open(gateway, host))
			return;
		if (relay->stage != RELAY_TURN || !may_be_together(relay, host) ||
		    host->model->residence != RESIDENCE_READY)
			continue;
		relay_leave_queue(gateway, relay);
		take_part(gateway, relay, host, now);
	}
}

bool relay_hand_on(struct gateway *gateway, struct relay *relay)
{
	list_each (it, next, &gateway->relays) {
		struct relay *heir = container_of(it, struct relay, link);
		if (!relay->party || heir->turn != relay->party)
			continue;
		heir->party = heir->turn;
		heir->turn = 0;
		heir->outranked |= relay->outranked;
		relay->party = relay->lease = 0;
		return true;
	}
	return false;
}

void relay_turn_lost(struct gateway *gateway, uint64_t party)
{
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		if (relay->turn != party)
			continue;
		relay->turn = relay->lease = 0;
		if (relay->stage == RELAY_SETTLING)
			relay_stop_settling(gateway, relay);
		else
			relay_fail(gateway, relay, ERR_OUTRANKED, err_text(ERR_OUTRANKED), 0);
	}
}
