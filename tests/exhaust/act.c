/* act: what may happen next in a world, and what it does. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define GIB       ((uint64_t)1 << 30)
#define WAKE_MOST (64 * TICK_MS) /* what lies further ahead is never reached */

static const char *const act_names[ACT_COUNT] = {
	[ACT_PASS] = "time passes",
	[ACT_WAKE] = "time passes to the next deadline",
	[ACT_CRASH] = "the broker dies",
	[ACT_ARM] = "the broker will die before it can tell",
	[ACT_RELOAD] = "reload",
	[ACT_ASK] = "asks",
	[ACT_ACCEPT] = "accepts",
	[ACT_CANCEL] = "cancels",
	[ACT_RELEASE] = "releases",
	[ACT_REQUEUE] = "gives way and comes back",
	[ACT_STRETCH] = "needs more time",
	[ACT_CLOSE] = "loses its connection",
	[ACT_OPEN] = "connects",
	[ACT_DIE] = "dies",
	[ACT_LEND] = "lends its turn",
	[ACT_CHANGE] = "changes its need",
	[ACT_LAG] = "hears late from here",
	[ACT_HEAR] = "hears what came late",
	[ACT_FORGET] = "releases, but its connection breaks before that is heard",
	[ACT_STOPPED] = "has stopped",
	[ACT_BE_ASKED] = "is asked by an operator to give way",
};

const char *act_name(enum act act)
{
	return act_names[act];
}

static bool may(const struct world *w, const struct client *client, enum may what)
{
	return cast_of(w, client)->may & what;
}

/* To whom a holder may lend: the first that waits and named its lease. */
static const struct client *borrower(const struct world *w, const struct client *client)
{
	for (uint32_t i = 0; i < w->scene->count; i++) {
		const struct client *other = &w->clients[i];
		if (other->stage == STAGE_WAITING && other->parent == client->lease && other->lease)
			return other;
	}
	return NULL;
}

static bool asks_again(const struct world *w, const struct client *client)
{
	return client->stage == STAGE_IDLE && client->asks > 0 &&
	       (is_http(w, client) || client->conn != 0);
}

static bool open_of_client(const struct world *w, const struct client *client, enum act act)
{
	bool http = is_http(w, client), on = http || client->conn != 0;
	bool held = client->stage == STAGE_HELD && client->using;
	bool hears = on && !client->lagging;

	switch (act) {
	case ACT_ASK:
		return asks_again(w, client);
	case ACT_ACCEPT:
		return on && client->stage == STAGE_OFFERED;
	case ACT_CANCEL:
		return on && may(w, client, MAY_CANCEL) &&
		       (client->stage == STAGE_WAITING || client->stage == STAGE_OFFERED);
	case ACT_RELEASE:
		return on && held && !client->stopping;
	case ACT_REQUEUE:
		return on && held && !client->stopping && client->asked &&
		       may(w, client, MAY_REQUEUE);
	case ACT_STRETCH:
		return on && held && !client->stopping && client->asked && !client->stretched &&
		       may(w, client, MAY_STRETCH);
	case ACT_CLOSE:
		return !http && on && may(w, client, MAY_CLOSE) && client->stage != STAGE_IDLE;
	case ACT_OPEN:
		return !http && !on;
	case ACT_DIE:
		return !http && may(w, client, MAY_DIE) && client->session != 0 &&
		       client->stage != STAGE_IDLE;
	case ACT_LEND:
		return on && held && !client->asked && may(w, client, MAY_LEND) &&
		       borrower(w, client);
	case ACT_CHANGE:
		return on && held && !client->asked && may(w, client, MAY_CHANGE);
	case ACT_LAG:
		return !http && hears && w->lost > 0 && may(w, client, MAY_LAG) &&
		       client->stage != STAGE_IDLE;
	case ACT_HEAR:
		return client->lagging && client->inbox_count > 0;
	case ACT_FORGET:
		return !http && hears && held && w->lost > 0 && may(w, client, MAY_FORGET);
	case ACT_STOPPED:
		return client->stopping;
	case ACT_BE_ASKED:
		return held && w->asked > 0 && may(w, client, MAY_BE_ASKED) && !client->asked;
	case ACT_PASS:
	case ACT_WAKE:
	case ACT_CRASH:
	case ACT_ARM:
	case ACT_RELOAD:
	case ACT_COUNT:
		break;
	}
	return false;
}

static bool anything_lives(const struct world *w)
{
	for (uint32_t i = 0; i < w->scene->count; i++)
		if (w->clients[i].stage != STAGE_IDLE || w->clients[i].using)
			return true;
	return w->claim_rows > 0;
}

bool choice_open(const struct world *w, struct choice choice)
{
	int64_t wake_ms = mono_since(w->wake, w->now);

	if (choice.act >= ACT_OF_CLIENT)
		return open_of_client(w, &w->clients[choice.client], choice.act);
	if (choice.act == ACT_PASS)
		return anything_lives(w) || wake_ms <= WAKE_MOST;
	if (choice.act == ACT_WAKE)
		return wake_ms > TICK_MS && wake_ms <= WAKE_MOST;
	if (choice.act == ACT_RELOAD)
		return w->reloads > 0;
	return w->crashes > 0 && (choice.act == ACT_ARM ? !w->armed : anything_lives(w));
}

uint32_t world_choices(const struct world *w, struct choice *ret_choices)
{
	uint32_t count = 0;

	for (uint8_t act = 0; act < ACT_COUNT; act++)
		for (uint8_t i = 0; i < (act < ACT_OF_CLIENT ? 1 : w->scene->count); i++) {
			struct choice choice = {act, i};
			if (count < CHOICES_MAX && choice_open(w, choice))
				ret_choices[count++] = choice;
		}
	return count;
}

static uint64_t lender_of(const struct world *w, const struct client *client)
{
	for (uint32_t i = 0; i < w->scene->count; i++) {
		const struct client *other = &w->clients[i];
		if (other != client && other->stage == STAGE_HELD && may(w, other, MAY_LEND))
			return other->lease;
	}
	return 0;
}

static uint64_t resident_of(const struct world *w, const struct client *client)
{
	for (uint32_t i = 0; i < w->scene->count; i++) {
		const struct client *other = &w->clients[i];
		if (other != client && other->stage == STAGE_HELD && other->slots == 0)
			return other->lease;
	}
	return 0;
}

static void ask(struct world *w, struct client *client)
{
	const struct cast *cast = cast_of(w, client);
	struct event event = {.type = EVENT_ACQUIRE, .from = party_of(PARTY_SESSION, client->conn)};

	client->asks--;
	client->ref = 1 + (uint64_t)(client - w->clients) + CAST_MAX * (uint64_t)client->asks;
	client->stage = STAGE_WAITING;
	w->asking = (uint8_t)(client - w->clients);
	client->slots = cast->slots;
	client->vram_gib = cast->vram_gib;
	client->parent = may(w, client, MAY_NEST) ? lender_of(w, client) : 0;
	if (is_http(w, client))
		event.from = party_of(PARTY_EXCHANGE, client->exchange = ++w->conn_next);
	event.acquire.binding = cast->binding;
	event.acquire.browser = cast->binding == BIND_TAB;
	event.acquire.preemptible = !cast->firm;
	event.acquire.evictable = cast->evictable;
	event.acquire.accept = cast->accepts;
	event.acquire.cls = cast->cls;
	event.acquire.ref = client->ref;
	event.acquire.parent = client->parent;
	event.acquire.uses = may(w, client, MAY_USE) ? resident_of(w, client) : 0;
	event.acquire.need = (struct need){.vram_bytes = cast->vram_gib * GIB,
					   .slots = cast->slots,
					   .all_slots = cast->all,
					   .gpu_count = cast->gpu_count,
					   .gpu_mask = UINT32_MAX};
	event.acquire.timeout_ms = cast->forever ? -1 : 30 * TICK_MS;
	event.acquire.name = cast->name;
	broker_turn(w, event);
}

static void open_session(struct world *w, struct client *client)
{
	const struct cast *cast = cast_of(w, client);
	struct event event = {.type = EVENT_SESSION_OPEN,
			      .from = party_of(PARTY_SESSION, ++w->conn_next)};
	uint64_t session = client->session;

	client->conn = event.from.id;
	event.session.binding = cast->binding;
	event.session.browser = cast->binding == BIND_TAB;
	event.session.resume = session ? &client->secret : NULL;
	event.session.name = cast->name;
	event.session.uid = 1000 + (client - w->clients);
	event.session.pid = cast->binding == BIND_NATIVE ? 100 + (int64_t)event.from.id : 0;
	client->listed = true;
	client->session = 0;
	broker_turn(w, event);
	if (client->session == 0) { /* refused: all that it had is gone */
		client_lose_conn(w, client);
		client_rests(client);
	} else if (!client->listed && client->stage != STAGE_IDLE && client->lease) {
		client_rests(client);
	}
}

static void cancel(struct world *w, struct client *client)
{
	struct event event = {.type = EVENT_CANCEL,
			      .from = party_of(PARTY_SESSION, client->conn),
			      .cancel.ref = client->ref};

	if (is_http(w, client)) {
		event = (struct event){.type = EVENT_CONN_CLOSED,
				       .from = party_of(PARTY_EXCHANGE, client->exchange)};
		client->exchange = 0;
		client_rests(client);
	}
	broker_turn(w, event);
}

static void release(struct world *w, struct client *client, bool requeue)
{
	struct event event = {.type = EVENT_RELEASE, .from = party_of(PARTY_SESSION, client->conn)};
	struct token token = client->token;

	client->using = false;
	client->done = true;
	event.release.requeue = requeue;
	event.release.lease = client->lease;
	if (is_http(w, client)) {
		event.from = party_of(PARTY_EXCHANGE, ++w->conn_next);
		event.release.lease = 0;
		event.release.token = &token;
		client_over(client);
	}
	broker_turn(w, event);
}

static void change(struct world *w, struct client *client)
{
	const struct cast *cast = cast_of(w, client);
	struct event event = {.type = EVENT_CHANGE, .from = party_of(PARTY_SESSION, client->conn)};

	event.change.lease = client->lease;
	event.change.need = (struct need){.vram_bytes = cast->vram_gib * GIB,
					  .slots = client->slots ? 0 : cast->slots};
	broker_turn(w, event);
}

static void close_conn(struct world *w, struct client *client)
{
	struct event event = {.type = EVENT_CONN_CLOSED,
			      .from = party_of(PARTY_SESSION, client->conn)};

	client_lose_conn(w, client);
	broker_turn(w, event);
}

/* What cannot last over this tick of time: words arrive, who was told to stop has stopped, who was
 * cut off stops by its own clock. */
static void forced(struct world *w, struct mono_ms until)
{
	for (uint32_t i = 0; i < w->scene->count; i++) {
		struct client *client = &w->clients[i];
		if (client->lagging && mono_before(client->lag_since, w->now))
			client_hears(w, client);
		if (client->stopping && mono_before(client->stop_since, w->now))
			client_rests(client);
		if (mono_due(client->stop_at, until)) {
			if (client->stage == STAGE_HELD && client->using)
				client->done = true;
			client->using = client->stopping = false;
			if (is_http(w, client))
				client_rests(client);
		}
	}
}

static void pass(struct world *w, struct mono_ms until)
{
	while (mono_before(w->now, until)) {
		struct mono_ms next = mono_min(mono_after(w->now, TICK_MS), until);
		forced(w, next);
		broker_pass(w, next);
	}
}

static void reload(struct world *w)
{
	struct core_config config;

	w->reloads--;
	w->reloaded = true;
	scene_config(w->scene, true, &config);
	for (uint32_t i = 0; i < w->scene->count; i++)
		w->clients[i].counted = false;
	for (uint32_t gpu = 0; gpu < config.gpu_count; gpu++)
		w->cap[gpu] = w->scene->slots;
	broker_turn(w, (struct event){.type = EVENT_CONFIG, .config = &config});
}

static void of_lease(struct world *w, struct client *client, enum event_type type)
{
	struct event event = {.type = type, .from = party_of(PARTY_SESSION, client->conn)};

	if (type == EVENT_ACCEPT)
		event.lease = client->lease;
	if (type == EVENT_YIELDING) {
		client->stretched = true;
		event.renew.lease = client->lease;
		event.renew.ttl_ms = 2 * TICK_MS;
	}
	if (type == EVENT_LEND) {
		event.lend.lease = client->lease;
		event.lend.to = borrower(w, client)->lease;
	}
	if (type == EVENT_ADMIN) {
		w->asked--;
		event.from = party_of(PARTY_EXCHANGE, ++w->conn_next);
		event.admin.act = ADMIN_YIELD;
		event.admin.lease = client->lease;
	}
	broker_turn(w, event);
}

static void apply_to_client(struct world *w, struct client *client, enum act act)
{
	switch (act) {
	case ACT_ASK:
		ask(w, client);
		break;
	case ACT_ACCEPT:
		of_lease(w, client, EVENT_ACCEPT);
		break;
	case ACT_CANCEL:
		cancel(w, client);
		break;
	case ACT_RELEASE:
		release(w, client, false);
		break;
	case ACT_REQUEUE:
		release(w, client, true);
		break;
	case ACT_STRETCH:
		of_lease(w, client, EVENT_YIELDING);
		break;
	case ACT_CLOSE:
		close_conn(w, client);
		break;
	case ACT_OPEN:
		open_session(w, client);
		break;
	case ACT_DIE:
		client_dies(w, client);
		broker_pass(w, w->now);
		break;
	case ACT_LEND:
		of_lease(w, client, EVENT_LEND);
		break;
	case ACT_CHANGE:
		change(w, client);
		break;
	case ACT_LAG:
		w->lost--;
		client->lagging = true;
		client->lag_since = w->now;
		break;
	case ACT_HEAR:
		client_hears(w, client);
		broker_pass(w, w->now);
		break;
	case ACT_FORGET:
		w->lost--;
		client->done = true;
		client->using = false;
		close_conn(w, client);
		break;
	case ACT_STOPPED:
		client_stopped(w, client);
		broker_pass(w, w->now);
		break;
	case ACT_BE_ASKED:
		of_lease(w, client, EVENT_ADMIN);
		break;
	case ACT_PASS:
	case ACT_WAKE:
	case ACT_CRASH:
	case ACT_ARM:
	case ACT_RELOAD:
	case ACT_COUNT:
		abort();
	}
}

static void crash(struct world *w, bool later)
{
	w->crashes--;
	w->armed = later;
	if (later)
		return;
	broker_crash(w);
	broker_pass(w, w->now);
}

void world_apply(struct world *w, struct choice choice)
{
	if (choice.act >= ACT_OF_CLIENT)
		apply_to_client(w, &w->clients[choice.client], choice.act);
	else if (choice.act == ACT_PASS)
		pass(w, mono_after(w->now, TICK_MS));
	else if (choice.act == ACT_WAKE)
		pass(w, w->wake);
	else if (choice.act == ACT_RELOAD)
		reload(w);
	else
		crash(w, choice.act == ACT_ARM);
	judge_world(w);
}

struct world *world_create(const struct scene *scene)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->scene = scene;
	w->now = (struct mono_ms){1000 * TICK_MS};
	w->crashes = scene->crashes;
	w->lost = scene->lost;
	w->asked = scene->asked;
	w->reloads = scene->slots_later > 0;
	for (uint32_t i = 0; i < scene->count; i++) {
		w->clients[i].asks = scene->cast[i].asks;
		w->clients[i].stop_at = w->clients[i].promise = MONO_NEVER;
	}
	broker_start(w);
	for (uint32_t i = 0; i < scene->count; i++)
		if (scene->cast[i].binding != BIND_HTTP)
			open_session(w, &w->clients[i]);
	return w;
}
