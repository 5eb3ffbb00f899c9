/* broker: the daemon of one world: turns of its loop, a journal of rows, a crash and the start
 * after it. It decides nothing about leases. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static struct client *client_of_conn(struct world *w, uint64_t conn)
{
	for (uint32_t i = 0; i < w->scene->count; i++)
		if (conn != 0 && (w->clients[i].conn == conn || w->clients[i].exchange == conn))
			return &w->clients[i];
	return NULL;
}

static struct client *client_of_session(struct world *w, uint64_t session)
{
	for (uint32_t i = 0; i < w->scene->count; i++)
		if (session != 0 && w->clients[i].session == session)
			return &w->clients[i];
	return NULL;
}

static void keep_claim(struct world *w, const struct record *record)
{
	const struct claim_record *rec = &record->claim;
	uint32_t at = 0;

	while (at < w->claim_rows && w->claims[at].id != rec->id)
		at++;
	if (rec->id > w->claim_id_max) {
		w->claim_id_max = rec->id;
		w->clients[w->asking].lease = rec->id;
	}
	if (record->type == RECORD_CLAIM_END) {
		if (at < w->claim_rows)
			w->claims[at] = w->claims[--w->claim_rows];
		return;
	}
	if (at == ROWS_MAX) {
		judge_fail("more claims than clients");
		return;
	}
	if (at == w->claim_rows)
		w->claim_rows++;
	w->claims[at] = *rec;
}

static void keep_session(struct world *w, const struct record *record)
{
	const struct session_record *rec = &record->session;
	uint32_t at = 0;

	while (at < w->session_rows && w->sessions[at].id != rec->id)
		at++;
	if (rec->id > w->session_id_max)
		w->session_id_max = rec->id;
	if (record->type == RECORD_SESSION_END) {
		if (at < w->session_rows)
			w->sessions[at] = w->sessions[--w->session_rows];
		return;
	}
	if (at == ROWS_MAX) {
		judge_fail("more sessions than clients");
		return;
	}
	if (at == w->session_rows)
		w->session_rows++;
	w->sessions[at] = *rec;
}

static void commit(struct world *w)
{
	for (size_t i = 0; i < w->fx.count; i++) {
		const struct record *record = &w->fx.v[i].record;
		if (w->fx.v[i].type != EFFECT_APPEND)
			continue;
		switch (record->type) {
		case RECORD_CLAIM_PUT:
		case RECORD_CLAIM_END:
			keep_claim(w, record);
			break;
		case RECORD_SESSION_PUT:
		case RECORD_SESSION_END:
			keep_session(w, record);
			break;
		case RECORD_FENCE:
			w->fence_max = record->fence_max;
			break;
		case RECORD_PAUSED:
		case RECORD_AUDIT:
			break;
		}
	}
}

void broker_follow(struct world *w, struct event event)
{
	if (w->pending_count == sizeof(w->pending) / sizeof(*w->pending))
		judge_fail("too much follows from one turn");
	else
		w->pending[w->pending_count++] = event;
}

/* An exchange has one answer; the daemon closes it then, and says so. */
static void answer(struct world *w, struct client *client, const struct effect *fx)
{
	uint64_t exchange = client->exchange;

	if (fx->send.msg == SEND_QUEUED)
		return;
	client->exchange = 0;
	client_told(w, client, fx);
	broker_follow(w, (struct event){.type = EVENT_CONN_CLOSED,
					.from = party_of(PARTY_EXCHANGE, exchange)});
}

static void tell(struct world *w, const struct effect *fx)
{
	struct client *client;

	switch (fx->type) {
	case EFFECT_SEND:
		client = client_of_conn(w, fx->to.id);
		if (client && client->exchange == fx->to.id)
			answer(w, client, fx);
		else if (client && fx->send.msg == SEND_HEARTBEAT)
			broker_follow(w, (struct event){.type = EVENT_ALIVE, .from = fx->to});
		else if (client)
			client_told(w, client, fx);
		return;
	case EFFECT_SIGNAL:
		client = client_of_session(w, fx->signal.session);
		if (client && fx->signal.signo == SIGKILL)
			client_dies(w, client);
		return;
	case EFFECT_CLOSE:
		client = client_of_conn(w, fx->to.id);
		if (client)
			client_lose_conn(w, client);
		return;
	case EFFECT_APPEND:
	case EFFECT_TRACE:
		return;
	}
}

static void step(struct world *w, struct event *event)
{
	event->now = w->now;
	event->wall = (struct wall_ms){1000000};
	w->random_next++;
	memcpy(event->random.b, &w->random_next, sizeof(w->random_next));
	event->random.b[15] = 0xb5;
	core_step(w->core, event, &w->fx);
	w->wake = w->fx.next_wake;
}

static void flush(struct world *w)
{
	struct mono_ms wake = w->wake;

	commit(w);
	if (w->armed && w->fx.count > 0) {
		w->armed = false;
		broker_crash(w);
		return;
	}
	for (size_t i = 0; i < w->fx.count; i++)
		tell(w, &w->fx.v[i]);
	effects_clear(&w->fx);
	w->wake = wake;
}

static void tick(struct world *w)
{
	struct event event = {.type = EVENT_TICK};

	step(w, &event);
	if (!mono_before(w->now, w->wake))
		judge_fail("the core asks to be woken %lld ms ago",
			   (long long)mono_since(w->now, w->wake));
	flush(w);
}

static void follow(struct world *w)
{
	for (int rounds = 0; w->pending_count > 0; rounds++) {
		struct event event = w->pending[0];
		w->pending_count--;
		memmove(w->pending, w->pending + 1, w->pending_count * sizeof(event));
		step(w, &event);
		tick(w);
		if (rounds > 100) {
			judge_fail("one turn follows from the other without end");
			return;
		}
	}
}

void broker_turn(struct world *w, struct event event)
{
	step(w, &event);
	tick(w);
	follow(w);
}

void broker_pass(struct world *w, struct mono_ms until)
{
	for (int rounds = 0; mono_before(w->wake, until); rounds++) {
		w->now = mono_max(w->now, w->wake);
		tick(w);
		follow(w);
		if (rounds > 1000) {
			judge_fail("the core lets no time pass");
			return;
		}
	}
	w->now = until;
	tick(w);
	follow(w);
}

static void configure(struct world *w)
{
	struct core_config config;
	struct event event = {.type = EVENT_CONFIG, .config = &config};

	scene_config(w->scene, w->reloaded, &config);
	step(w, &event);
}

static void restore(struct world *w, struct record record)
{
	struct event event = {.type = EVENT_RESTORE, .record = &record};

	step(w, &event);
}

static void serve(struct world *w)
{
	struct event event = {.type = EVENT_START};

	event.start.epoch = ++w->epoch;
	event.start.fence_max = w->fence_max;
	event.start.claim_id_max = w->claim_id_max;
	event.start.session_id_max = w->session_id_max;
	event.start.same_boot = true;
	step(w, &event);
	flush(w);
}

void broker_start(struct world *w)
{
	w->core = core_create();
	effects_init(&w->fx);
	configure(w);
	serve(w);
	tick(w);
}

/* The new daemon watches the processes of the sessions that it finds: what is gone is seen. */
static void probe_processes(struct world *w)
{
	for (uint32_t i = 0; i < w->session_rows; i++) {
		struct event event = {.type = EVENT_PEER_EXIT};
		event.peer.session = w->sessions[i].id;
		if (w->sessions[i].binding == BIND_NATIVE &&
		    !client_of_session(w, w->sessions[i].id))
			broker_follow(w, event);
	}
}

void broker_crash(struct world *w)
{
	struct claim_record claims[ROWS_MAX];
	struct session_record sessions[ROWS_MAX];
	uint32_t claim_rows = w->claim_rows, session_rows = w->session_rows;
	struct core *dead = w->core;

	memcpy(claims, w->claims, sizeof(claims));
	memcpy(sessions, w->sessions, sizeof(sessions));
	core_destroy(dead);
	effects_clear(&w->fx);
	w->pending_count = 0;
	for (uint32_t i = 0; i < w->scene->count; i++) {
		w->clients[i].counted = false;
		client_lose_conn(w, &w->clients[i]);
	}
	w->core = core_create();
	if (w->core != dead) /* the arena's hole is there */
		abort();
	configure(w);
	for (uint32_t i = 0; i < claim_rows; i++)
		restore(w, (struct record){.type = RECORD_CLAIM_PUT, .claim = claims[i]});
	for (uint32_t i = 0; i < session_rows; i++)
		restore(w, (struct record){.type = RECORD_SESSION_PUT, .session = sessions[i]});
	serve(w);
	probe_processes(w);
}
