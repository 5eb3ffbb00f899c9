/* hear: what clients do about messages. They are honest: one that must stop, or is cut off, has
 * stopped before the broker gives its capacity away. */
#include "base/err.h"
#include "base/margin.h"
#include "core/binding.h"
#include "world.h"

/* It has no claim any more, as far as it knows. */
void client_rests(struct client *client)
{
	client->stage = STAGE_IDLE;
	client->using = client->asked = client->stretched = client->stopping = client->done = false;
	client->lease = client->parent = client->fence = 0;
	client->gpus = 0;
	client->stop_at = MONO_NEVER;
}

/* And it was told so. */
void client_over(struct client *client)
{
	if (client->lease)
		client->over = client->lease;
	client_rests(client);
}

void client_lose_conn(struct world *w, struct client *client)
{
	struct core_config config;

	client->lagging = false;
	client->inbox_count = 0;
	if (is_http(w, client)) {
		client->exchange = 0;
		if (client->stage == STAGE_WAITING)
			client_rests(client);
		return;
	}
	if (client->conn == 0)
		return;
	client->conn = 0;
	scene_config(w->scene, w->reloaded, &config);
	client->stop_at = mono_after(
		w->now, margin_stop_after_ms(core_linger_ms(&config, cast_of(w, client)->binding)));
}

/* Its process or tab is gone, and with it all that it knew. */
void client_dies(struct world *w, struct client *client)
{
	bool native = cast_of(w, client)->binding == BIND_NATIVE;
	struct event event = {.type = EVENT_CONN_CLOSED,
			      .from = party_of(PARTY_SESSION, client->conn)};

	if (client->conn == 0) {
		event.type = EVENT_PEER_EXIT;
		event.peer.session = client->session;
	} else {
		event.closed.peer_gone = native;
	}
	client_lose_conn(w, client);
	client_rests(client);
	client->session = 0;
	if (native || event.type == EVENT_CONN_CLOSED)
		broker_follow(w, event);
}

/* Confirms that the GPU is free. */
void client_stopped(struct world *w, struct client *client)
{
	struct event event = {.type = EVENT_RELEASE, .from = party_of(PARTY_SESSION, client->conn)};

	event.release.lease = client->lease;
	client_rests(client);
	if (client->conn != 0)
		broker_follow(w, event);
}

static void hear_granted(struct world *w, struct client *client, const struct note *note)
{
	if (client->done)
		return;
	client->stage = STAGE_HELD;
	if (!client->using)
		client->began = w->now;
	client->using = true;
	client->gpus = note->gpus;
	client->fence = note->fence;
	client->token = note->token;
	client->asked = client->stretched = false;
	if (is_http(w, client)) {
		struct core_config config;
		scene_config(w->scene, w->reloaded, &config);
		client->stop_at = mono_after(w->now, config.http_ttl_ms);
	}
}

static void hear_claim(struct world *w, struct client *client, const struct note *note)
{
	client->listed = true;
	if (note->state == CLAIM_QUEUED || note->state == CLAIM_OFFERED) {
		client->stage = note->state == CLAIM_QUEUED ? STAGE_WAITING : STAGE_OFFERED;
		client->fence = note->fence;
		client->using = client->asked = client->stopping = client->done = false;
	} else if (client->done) {
		client_stopped(w, client); /* its release was lost */
	} else if (client->stage != STAGE_HELD) {
		hear_granted(w, client, note);
	}
}

/* Refused was its request for a place, or its lease is gone. */
static void hear_denied(struct client *client, const struct note *note)
{
	if (client->stage == STAGE_WAITING && client->lease == 0)
		client_over(client);
	else if (client->stage == STAGE_HELD && client->lease == note->lease &&
		 (note->err == ERR_STALE || note->err == ERR_REVOKED))
		client_over(client);
}

static void hear_welcome(struct client *client, const struct note *note)
{
	client->session = note->lease;
	client->secret = note->token;
	client->stop_at = MONO_NEVER;
	client->listed = false;
	if (!note->flag)
		client_rests(client);
}

static void hear_own(struct world *w, struct client *client, const struct note *note)
{
	switch (note->msg) {
	case SEND_CLAIM:
		hear_claim(w, client, note);
		break;
	case SEND_QUEUED:
		client->stage = STAGE_WAITING;
		client->asked = client->done = false;
		break;
	case SEND_OFFERED:
		if (client->stage == STAGE_OFFERED && client->fence == note->fence)
			judge_fail("%s is offered twice", cast_of(w, client)->name);
		client->stage = STAGE_OFFERED;
		client->fence = note->fence;
		client->done = false;
		break;
	case SEND_GRANTED:
		hear_granted(w, client, note);
		break;
	case SEND_YIELD:
		client->asked = client->stage == STAGE_HELD;
		break;
	case SEND_KEEP:
		client->asked = client->stretched = false;
		break;
	case SEND_REVOKED:
		if (client->using && client->began.v == w->now.v) {
			client_stopped(w, client); /* in the same breath: nothing has begun */
		} else if (client->using && !client->stopping) {
			client->stopping = true;
			client->stop_since = w->now;
		} else if (!client->using) {
			client_rests(client);
		}
		break;
	case SEND_RELEASED:
		if (note->end != END_NONE)
			client_over(client);
		break;
	case SEND_TIMEOUT:
		client_over(client);
		break;
	case SEND_CHANGED:
		client->slots = client->slots ? 0 : cast_of(w, client)->slots;
		break;
	case SEND_WELCOME:
	case SEND_DENIED:
	case SEND_RENEWED:
	case SEND_LENT:
	case SEND_NOTICE:
	case SEND_HEARTBEAT:
	case SEND_OK:
	case SEND_COUNT:
		break;
	}
}

static void hear(struct world *w, struct client *client, const struct note *note)
{
	if (note->msg == SEND_WELCOME)
		hear_welcome(client, note);
	else if (note->msg == SEND_DENIED)
		hear_denied(client, note);
	else if (client->lease == 0 && client->stage == STAGE_WAITING)
		client->lease = note->lease;
	if (note->msg != SEND_WELCOME && note->lease != 0 && note->lease == client->lease)
		hear_own(w, client, note);
}

void client_hears(struct world *w, struct client *client)
{
	uint8_t count = client->inbox_count;

	client->lagging = false;
	client->inbox_count = 0;
	for (uint8_t i = 0; i < count; i++)
		hear(w, client, &client->inbox[i]);
}

/* What was said of a lease that is over must stay true, whenever it is heard. */
static void watch(struct world *w, struct client *client, const struct note *note)
{
	bool room = note->msg == SEND_OFFERED || note->msg == SEND_GRANTED;

	if (room && note->lease == client->over)
		judge_fail("%s gets lease %llu, of which it was told that it is over",
			   cast_of(w, client)->name, (unsigned long long)note->lease);
	if (!room || note->fence == client->fence_sent)
		return;
	if (note->fence <= w->fence_told)
		judge_fail("fence %llu after %llu", (unsigned long long)note->fence,
			   (unsigned long long)w->fence_told);
	client->fence_sent = w->fence_told = note->fence;
}

void client_told(struct world *w, struct client *client, const struct effect *fx)
{
	struct note note = {.msg = fx->send.msg,
			    .lease = fx->send.lease,
			    .fence = fx->send.fence,
			    .gpus = fx->send.gpus,
			    .state = fx->send.state,
			    .end = fx->send.end,
			    .err = fx->send.err,
			    .flag = fx->send.flag,
			    .token = fx->send.token};

	trace_say(w, "  %s is told %s of %llu", cast_of(w, client)->name, message_word(note.msg),
		  (unsigned long long)note.lease);
	watch(w, client, &note);
	if (client->lagging && client->inbox_count < INBOX_MAX) {
		client->inbox[client->inbox_count++] = note;
		return;
	}
	if (client->lagging)
		client_hears(w, client);
	hear(w, client, &note);
}
