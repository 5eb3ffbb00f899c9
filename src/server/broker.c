/* broker: event -> step -> journal -> effects. Reads no socket and no clock: times come in, answers
 * leave through broker_out. Called by serve.c once per loop turn. */
#include "server/broker.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "core/core.h"
#include "core/effect.h"
#include "core/view.h"
#include "server/queued_event.h"
#include "store/store.h"

void broker_init(struct broker *broker, struct core *core, struct store *store, struct mono_ms now,
		 int64_t suspended_ms)
{
	*broker = (struct broker){.core = core,
				  .store = store,
				  .now = now,
				  .tick_at = MONO_NEVER,
				  .retry_at = store_is_degraded(store) ? now : MONO_NEVER,
				  .checked = now,
				  .suspended_ms = suspended_ms,
				  .journal_ok = true,
				  .durable = true};
	event_queue_init(&broker->queue);
	effects_init(&broker->effects);
	effects_init(&broker->deferred);
}

void broker_finish(struct broker *broker)
{
	event_queue_finish(&broker->queue);
	effects_finish(&broker->effects);
	effects_finish(&broker->deferred);
}

/* Nobody waits for a turn before the last one: a deadline that lies further back came from nowhere,
 * and is no sign of a stall. */
int64_t broker_late_ms(const struct broker *broker, struct mono_ms asked, struct mono_ms now)
{
	int64_t late_ms = mono_since(now, mono_max(asked, broker->now));
	return late_ms > 0 ? late_ms : 0;
}

bool broker_jumped(struct broker *broker, struct mono_ms asked, struct mono_ms now,
		   int64_t suspended_ms)
{
	int64_t moved = suspended_ms - broker->suspended_ms;
	bool stalled = asked.v != INT64_MAX && broker_late_ms(broker, asked, now) > BROKER_STALL_MS;
	broker->suspended_ms = suspended_ms;
	return stalled || moved > BROKER_JUMP_MS || moved < -BROKER_JUMP_MS;
}

static bool event_draws_random(enum event_type type)
{
	return type == EVENT_ACQUIRE || type == EVENT_RELEASE || type == EVENT_SESSION_OPEN;
}

static void step_event(struct broker *broker, struct event *event)
{
	event->now = broker->now;
	event->wall = broker->wall;
	if (event_draws_random(event->type))
		random_fill(&broker->random, &event->random, sizeof(event->random));
	core_step(broker->core, event, &broker->effects);
}

/* Deadlines are judged last, after everything that was readable when they came due. */
static void queue_tick(struct broker *broker)
{
	if (broker->tick_queued || !mono_due(broker->tick_at, broker->now))
		return;
	event_queue_event(&broker->queue, EVENT_TICK, (struct party){0});
	broker->tick_queued = true;
}

static void step_batch(struct broker *broker)
{
	struct queued_event *queued;
	for (int n = 0; n < BROKER_EVENTS_MAX &&
			broker->effects.count + broker->effects.work < BROKER_WORK_MAX &&
			(queued = event_queue_shift(&broker->queue));
	     n++) {
		if (queued->in.event.type == EVENT_TICK)
			broker->tick_queued = false;
		step_event(broker, &queued->in.event);
		event_queue_drop(&broker->queue, queued);
	}
}

/* True: all that was decided until now is in the journal. */
static bool commit_effects(struct broker *broker, size_t *from, const struct broker_out *out)
{
	bool any = false;
	int rc = 0;

	for (; *from < broker->effects.count; ++*from) {
		const struct effect *effect = &broker->effects.v[*from];
		if (effect->type != EFFECT_APPEND)
			continue;
		int err = store_append(broker->store, &effect->record);
		if (!rc)
			rc = err;
		out->appended(out->ctx, &effect->record);
		any = true;
	}

	if (!any && !mono_due(broker->retry_at, broker->now))
		return broker->durable;
	int err = store_commit(broker->store);
	if (!rc)
		rc = err;
	broker->commits++;
	broker->commit_failures += rc != 0;
	broker->durable = rc == 0;

	bool ok = broker->durable && !store_is_degraded(broker->store);
	broker->retry_at = ok ? MONO_NEVER : mono_after(broker->now, BROKER_RETRY_MS);
	return broker->durable;
}

void broker_begin(struct broker *broker)
{
	if (!store_is_degraded(broker->store))
		return;
	broker->durable = store_trouble(broker->store)[0] == 0;
	broker->journal_ok = false;
	broker->unwritable = !broker->durable;
	struct event event = {.type = EVENT_JOURNAL, .journal.unwritable = !broker->durable};
	step_event(broker, &event);
}

/* A journal that was lost is begun anew with all that lives. */
static void bring_all(struct broker *broker)
{
	if (!mono_due(broker->retry_at, broker->now) || !store_wants_all(broker->store))
		return;
	struct event event = {.type = EVENT_REWRITE};
	step_event(broker, &event);
}

static void tell_journal(struct broker *broker, bool ok, const struct broker_out *out)
{
	bool news = ok != broker->journal_ok;
	struct event event = {.type = EVENT_JOURNAL,
			      .journal = {.ok = ok, .unwritable = !broker->durable}};
	broker->journal_ok = ok;
	broker->unwritable = !broker->durable;
	step_event(broker, &event);
	if (news)
		out->journal(out->ctx, ok);
}

/* Somebody may have removed the folder while nothing was written. */
static void look_for_journal(struct broker *broker, const struct broker_out *out)
{
	if (mono_since(broker->now, broker->checked) < BROKER_CHECK_MS)
		return;
	broker->checked = broker->now;
	if (broker->retry_at.v != INT64_MAX || store_check(broker->store))
		return;
	broker->retry_at = broker->now;
	broker->durable = false;
	tell_journal(broker, false, out);
}

/* Writes the journal and tells the core when that begins or ceases to work; what the core then
 * decides is written, too. */
static bool commit_all(struct broker *broker, const struct broker_out *out)
{
	size_t from = 0;
	bool durable = true;
	look_for_journal(broker, out);
	for (int round = 0; round < 4; round++) {
		bring_all(broker);
		durable = commit_effects(broker, &from, out);
		bool ok = broker->retry_at.v == INT64_MAX;
		if (ok == broker->journal_ok && !broker->durable == broker->unwritable)
			break;
		tell_journal(broker, ok, out);
	}
	return durable;
}

/* Promises need the journal. What ends or refuses something does not: losing it in a crash only
 * makes a claim come back that then ends by its own clock, so a full disk cannot keep a GPU. */
static bool is_promise(const struct effect *effect)
{
	if (effect->type != EFFECT_SEND)
		return false;
	switch (effect->send.msg) {
	case SEND_WELCOME:
		return !effect->send.flag; /* who resumes is in the journal */
	case SEND_CLAIM:
	case SEND_QUEUED:
	case SEND_OFFERED:
	case SEND_GRANTED:
	case SEND_CHANGED:
	case SEND_LENT:
	case SEND_OK:
		return true;
	case SEND_YIELD:
	case SEND_KEEP:
	case SEND_NOTICE:
	case SEND_REVOKED:
	case SEND_RELEASED:
	case SEND_TIMEOUT:
	case SEND_DENIED:
	case SEND_RENEWED:
	case SEND_HEARTBEAT:
	case SEND_COUNT:
		break;
	}

	return false;
}

/* What a resumed session is told again may leave, unless it was never told in the first place; and
 * acts of operators that the core did although it knew that they cannot be written. */
static bool must_wait(const struct broker *broker, bool was_unwritable, const struct effect *effect)
{
	if (!is_promise(effect) || (effect->send.msg == SEND_OK && was_unwritable))
		return false;
	if (effect->send.msg != SEND_CLAIM)
		return true;
	for (size_t i = 0; i < broker->deferred.count; i++)
		if (broker->deferred.v[i].send.lease == effect->send.lease)
			return true;
	return false;
}

/* Who has asked for something new in the very turn whose commit fails gets an answer, too: the core
 * undoes it in the next turn. True: that was it. */
static bool refuse_promise(struct broker *broker, const struct effect *effect,
			   const struct broker_out *out)
{
	struct claim_view view;
	const struct send_effect *send = &effect->send;
	struct send_effect denied = {.msg = SEND_DENIED, .err = ERR_JOURNAL, .ref = send->ref};
	struct event *undo;

	if (send->msg == SEND_WELCOME) {
		event_queue_event(&broker->queue, EVENT_BYE, effect->to);
	} else if (send->msg == SEND_GRANTED &&
		   core_claim(broker->core, send->lease, broker->now, &view) &&
		   view.rec->session == 0) {
		undo = event_queue_event(&broker->queue, EVENT_CONN_CLOSED, effect->to);
		undo->closed.undelivered = true;
	} else {
		return false;
	}

	out->send(out->ctx, effect->to, &denied);
	return true;
}

/* A promise that waited for the journal may be void by now (I7). */
static bool still_true(const struct broker *broker, const struct send_effect *send)
{
	struct claim_view view;
	enum send_kind msg = send->msg;
	if (msg != SEND_QUEUED && msg != SEND_OFFERED && msg != SEND_GRANTED)
		return true;
	if (!core_claim(broker->core, send->lease, broker->now, &view))
		return false;
	enum claim_state state = view.rec->state;
	if (msg == SEND_QUEUED)
		return state == CLAIM_QUEUED;
	return view.rec->fence == send->fence &&
	       (msg == SEND_OFFERED
			? state == CLAIM_OFFERED
			: state == CLAIM_HELD || state == CLAIM_LOADING || state == CLAIM_YIELDING);
}

static void carry_out(const struct effect *effect, const struct broker_out *out)
{
	switch (effect->type) {
	case EFFECT_APPEND:
		break;
	case EFFECT_SEND:
		out->send(out->ctx, effect->to, &effect->send);
		break;
	case EFFECT_TRACE:
		out->trace(out->ctx, &effect->trace);
		break;
	case EFFECT_SIGNAL:
		out->signal(out->ctx, &effect->signal);
		break;
	case EFFECT_CLOSE:
		out->close(out->ctx, effect->to);
		break;
	}
}

/* What clients wait for leaves first, in its order; what people read about it is rendered while
 * they work already. */
static void let_out(struct broker *broker, bool durable, bool was_unwritable,
		    const struct broker_out *out)
{
	if (durable && broker->deferred.count > 0) {
		for (size_t i = 0; i < broker->deferred.count; i++)
			if (still_true(broker, &broker->deferred.v[i].send))
				carry_out(&broker->deferred.v[i], out);
		effects_clear(&broker->deferred);
	}

	for (size_t i = 0; i < broker->effects.count; i++) {
		const struct effect *effect = &broker->effects.v[i];
		if (!durable && must_wait(broker, was_unwritable, effect)) {
			if (!refuse_promise(broker, effect, out))
				*effects_add(&broker->deferred, EFFECT_SEND) = *effect;
		} else if (effect->type != EFFECT_TRACE) {
			carry_out(effect, out);
		}
	}

	for (size_t i = 0; i < broker->effects.count; i++)
		if (broker->effects.v[i].type == EFFECT_TRACE)
			carry_out(&broker->effects.v[i], out);
	if (broker->effects.queue_changed)
		out->queue_changed(out->ctx);
}

void broker_turn(struct broker *broker, struct mono_ms now, struct wall_ms wall, int64_t stalled_ms,
		 const struct broker_out *out)
{
	assert(!mono_before(now, broker->now));
	broker->now = now;
	broker->wall = wall;
	broker->turns++;
	broker->effects.next_wake = broker->tick_at; /* of the step that was last */
	if (stalled_ms >= 0) {
		struct queued_event *queued = event_queue_new(&broker->queue);
		queued->in.event.type = EVENT_CLOCK_JUMP;
		queued->in.event.stalled_ms = stalled_ms;
		event_queue_push_first(&broker->queue, queued);
		broker->jumps++;
	}

	queue_tick(broker);
	step_batch(broker);
	bool was_unwritable = broker->unwritable;
	bool durable = commit_all(broker, out);
	broker->tick_at = broker->effects.next_wake;
	let_out(broker, durable, was_unwritable, out);
	effects_clear(&broker->effects);
}

struct mono_ms broker_wake(const struct broker *broker)
{
	if (broker->queue.count > 0)
		return broker->now;
	return mono_min(broker->tick_at, broker->retry_at);
}
