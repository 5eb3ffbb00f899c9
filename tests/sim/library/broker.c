/* broker: the real core behind the real wire, with the journal of the simulator. One turn per
 * message. Decides nothing. Called by main.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "core/binding.h"
#include "town.h"
#include "wire/http_decode.h"
#include "wire/session_decode.h"
#include "wire/session_encode.h"

static const struct wire_context *context(const struct town *town)
{
	static struct wire_context ctx;
	ctx.config = &town->config;
	return &ctx;
}

static void step(struct town *town, struct event *event)
{
	event->now = (struct mono_ms){town->t};
	event->wall = (struct wall_ms){town->t};
	for (size_t i = 0; i < sizeof(event->random.b); i++)
		event->random.b[i] = (unsigned char)rng_next(&town->rng);
	core_step(town->core, event, &town->fx);
	core_check(town->core, event->now);
}

static void send_text(struct town *town, int conn, const char *text)
{
	struct conn *to = &town->conns[conn];
	bool slow = !town->healed && rng_chance(&town->rng, 20);
	int64_t t = town->t + rng_between(&town->rng, 0, slow ? 3000 : 2);
	to->down_t = t > to->down_t ? t : to->down_t;
	struct item *item = town_add(town, to->down_t - town->t, ITEM_TO_PROCESS);
	item->conn = conn;
	item->text = strdup(text);
}

static void send_effect(struct town *town, const struct effect *fx)
{
	int conn = (int)fx->to.id - 1;
	if (conn < 0 || !town->conns[conn].broker_open)
		return;
	const struct encode_context facts = {
		.config = &town->config,
		.epoch = town->journal.epoch,
		.linger_ms = core_linger_ms(&town->config, BIND_NATIVE),
		.server = "baton/0",
		.rights = "admin",
		.told = {.estimate = {.p50_ms = -1, .p90_ms = -1}, .bound_ms = -1},
	};
	struct text out;
	text_init(&out);
	session_encode(&out, &fx->send, &facts);
	send_text(town, conn, out.bytes);
	text_finish(&out);
	town->revokes += fx->send.msg == SEND_REVOKED;
}

static void signal_session(struct town *town, uint64_t session, int signo)
{
	for (size_t id = 0; id < town->journal.sessions_size; id++) {
		const struct journal_session *row = &town->journal.sessions[id];
		if (id != session || !row->known)
			continue;
		struct item *item = town_add(town, rng_between(&town->rng, 0, 20), ITEM_SIGNAL);
		item->process = (unsigned)(row->rec.pid % TOWN_PROCESSES);
		item->life = (unsigned)(row->rec.pid / TOWN_PROCESSES);
		item->number = (uint64_t)signo;
	}
}

static void end_conn(struct town *town, int conn)
{
	struct conn *gone = &town->conns[conn];
	if (!gone->broker_open)
		return;
	gone->broker_open = false;
	int64_t t = town->t + rng_between(&town->rng, 0, 20);
	t = gone->down_t > t ? gone->down_t : t;
	town_add(town, t - town->t, ITEM_PROCESS_SEES_END)->conn = conn;
}

/* Journal before answer. */
static void flush(struct town *town)
{
	size_t length;
	for (size_t i = 0; i < town->fx.count; i++)
		if (town->fx.v[i].type == EFFECT_APPEND)
			journal_append(&town->journal, &town->fx.v[i].record, &length);
	journal_commit(&town->journal);
	for (size_t i = 0; i < town->fx.count; i++) {
		const struct effect *fx = &town->fx.v[i];
		if (fx->type == EFFECT_SEND)
			send_effect(town, fx);
		else if (fx->type == EFFECT_SIGNAL)
			signal_session(town, fx->signal.session, fx->signal.signo);
		else if (fx->type == EFFECT_CLOSE)
			end_conn(town, (int)fx->to.id - 1);
	}
	int64_t wake_ms = mono_since(town->fx.next_wake, (struct mono_ms){town->t});
	town->wake_t = wake_ms < INT64_MAX - town->t ? town->t + wake_ms : INT64_MAX;
	effects_clear(&town->fx);
}

void broker_tick(struct town *town)
{
	struct event tick = {.type = EVENT_TICK};
	step(town, &tick);
	flush(town);
}

static void hear_hello(struct town *town, int conn, struct session_request *in)
{
	const struct process *process = &town->processes[town->conns[conn].process];
	in->event.session.binding = BIND_NATIVE;
	in->event.session.or_new = true;
	in->event.session.uid = 1000;
	in->event.session.pid = (int64_t)process->life * TOWN_PROCESSES + process->index;
	in->event.session.pid_start = process->life;
	snprintf(town->conns[conn].name, TOWN_NAME_BYTES, "%s", in->event.session.name);
}

void broker_hear(struct town *town, int conn, const char *text)
{
	struct conn *from = &town->conns[conn];
	struct session_request in;
	if (!town->up || !from->broker_open || !*text)
		return;
	int r = session_decode(text, strlen(text), context(town), *from->name ? from->name : NULL,
			       &in);
	if (r < 0)
		town_fail(town, "the library said what the broker refuses (%s): %s",
			  in.parsed.detail, text);
	if (in.kind == REQUEST_HELLO)
		hear_hello(town, conn, &in);
	in.event.from = (struct party){PARTY_SESSION, (uint64_t)conn + 1};
	if (in.kind == REQUEST_HELLO || in.kind == REQUEST_EVENT) {
		if (in.event.type == EVENT_ACQUIRE)
			in.event.acquire.binding = BIND_NATIVE;
		step(town, &in.event);
	}
	session_request_finish(&in);
	broker_tick(town);
}

void broker_see_end(struct town *town, int conn)
{
	struct conn *gone = &town->conns[conn];
	if (!gone->broker_open)
		return;
	gone->broker_open = false;
	if (!town->up || !*gone->name)
		return;
	const struct process *process = &town->processes[gone->process];
	struct event event = {.type = EVENT_CONN_CLOSED,
			      .from = {PARTY_SESSION, (uint64_t)conn + 1}};
	event.closed.peer_gone = process->life != gone->life || !process->baton;
	step(town, &event);
	broker_tick(town);
}

void broker_see_exit(struct town *town, uint64_t session)
{
	struct event event = {.type = EVENT_PEER_EXIT};
	event.peer.session = session;
	if (!town->up)
		return;
	step(town, &event);
	broker_tick(town);
}

/* A pidfd of each restored session shows at once who is gone. */
static void probe_processes(struct town *town)
{
	for (size_t id = 0; id < town->journal.sessions_size; id++) {
		const struct journal_session *row = &town->journal.sessions[id];
		if (!row->live)
			continue;
		const struct process *process = &town->processes[row->rec.pid % TOWN_PROCESSES];
		if (process->life != row->rec.pid / TOWN_PROCESSES || !process->baton)
			town_add(town, 0, ITEM_EXIT_SEEN)->number = id;
	}
}

static void restore(struct town *town)
{
	struct record record;
	struct event event = {.type = EVENT_RESTORE, .record = &record};
	for (size_t id = 0; id < town->journal.sessions_size; id++) {
		memset(&record, 0, sizeof(record));
		record.type = RECORD_SESSION_PUT;
		record.session = town->journal.sessions[id].rec;
		if (town->journal.sessions[id].live)
			step(town, &event);
	}
	for (size_t id = 0; id < town->journal.claims_size; id++) {
		memset(&record, 0, sizeof(record));
		record.type = RECORD_CLAIM_PUT;
		record.claim = town->journal.claims[id].rec;
		if (town->journal.claims[id].live)
			step(town, &event);
	}
}

void broker_start(struct town *town)
{
	struct journal *journal = &town->journal;
	town->core = core_create();
	town->up = true;
	struct event config = {.type = EVENT_CONFIG, .config = &town->config};
	step(town, &config);
	restore(town);
	journal->epoch++;
	struct event start = {.type = EVENT_START,
			      .start = {.epoch = journal->epoch,
					.fence_max = journal->fence_max,
					.claim_id_max = journal->claim_id_max,
					.session_id_max = journal->session_id_max,
					.same_boot = true}};
	step(town, &start);
	probe_processes(town);
	broker_tick(town);
}

void broker_crash(struct town *town)
{
	for (int i = 0; i < town->conn_count; i++)
		end_conn(town, i);
	core_destroy(town->core);
	effects_clear(&town->fx);
	journal_drop_pending(&town->journal);
	town->core = NULL;
	town->up = false;
	town->wake_t = INT64_MAX;
	town->crashes++;
}

void broker_finish(struct town *town)
{
	core_destroy(town->core);
	effects_finish(&town->fx);
	journal_finish(&town->journal);
}
