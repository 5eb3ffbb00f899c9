/* relay_settle: a request that is over for its client and not for its server, which still computes
 * for one who left, or makes a response in the background. Its turn is kept until the server says
 * that it is idle, or that the response is made (REPORTS: up to 83 s in the prompt phase); a tab
 * says by itself when it is done. */
#include "base/err.h"
#include "gateway/adapter.h"
#include "gateway/adapter_read.h"
#include "gateway/call.h"
#include "gateway/catalog.h"
#include "gateway/model.h"
#include "gateway/relay.h"
#include "gateway/relay_impl.h"
#include "net/loop.h"

enum { LOOK_MS_FIRST = 50, LOOK_MS_MAX = 2000, CALL_TIME_MS = 2000 };

static const struct adapter_call find_response = {"GET", "/v1/responses/%s", NULL};
static const struct adapter_call stop_response = {"POST", "/v1/responses/%s/cancel", NULL};

bool relay_must_settle(const struct relay *relay)
{
	const struct model_server *server = relay->model ? relay->model->server : NULL;

	if (relay->stage != RELAY_FORWARDED || (!relay->party && !relay->turn))
		return false;
	return relay->pending ||
	       (!relay->outranked && (server->adapter->busy.method || server->takes_turns));
}

void relay_settle(struct relay *relay, int64_t most_ms)
{
	const struct model_server *server = relay->model->server;
	struct mono_ms now = loop_now();

	relay->stage = RELAY_SETTLING;
	relay->alive_at = MONO_NEVER;
	relay->pace_ms = LOOK_MS_FIRST;
	relay->due = mono_after(now, relay->pending ? server->silence_ms : most_ms);
	relay->look_at = server->takes_turns ? MONO_NEVER : now; /* it says so */
}

/* It, or what stands before it, does not want to be asked now. */
static bool says_nothing(int status)
{
	return status >= 500 || status == 401 || status == 403 || status == 408 || status == 429;
}

enum work { WORK_OVER, WORK_GOES_ON, WORK_UNKNOWN };

/* A response with pictures may be too long to be read, and yet say first how it stands. */
static enum work read_response(struct relay *relay, const struct call_answer *answer)
{
	int pending = answer->err ? adapter_read_pending_part(answer->body, answer->length)
				  : adapter_read_pending(answer->body, answer->length);

	if (says_nothing(answer->status))
		return WORK_UNKNOWN;
	if (answer->status != 200)
		return WORK_OVER;
	if (pending < 0) {
		relay_note_too_long(relay);
		return WORK_UNKNOWN;
	}
	return pending == 1 ? WORK_GOES_ON : WORK_OVER;
}

static enum work read_slots(struct relay *relay, const struct call_answer *answer)
{
	const struct adapter *adapter = relay->model->server->adapter;

	if (answer->err) {
		relay_note_too_long(relay);
		return WORK_UNKNOWN;
	}
	return adapter->read_busy(answer->body, answer->length, NULL) == 1 ? WORK_GOES_ON
									   : WORK_OVER;
}

/* One that works may be slow to say so: it answers between two steps. */
static enum work read_work(struct relay *relay, const struct call_answer *answer)
{
	if (answer->err == ERR_UPSTREAM_SLOW || answer->err == ERR_NO_MEMORY)
		return WORK_UNKNOWN;
	if (answer->err && answer->err != ERR_TOO_LARGE)
		return WORK_OVER;
	return relay->pending ? read_response(relay, answer) : read_slots(relay, answer);
}

/* What says nothing leaves the limit where it is. */
static bool may_work(struct relay *relay, const struct call_answer *answer)
{
	enum work work = read_work(relay, answer);

	if (work == WORK_GOES_ON && relay->pending && !relay->outranked)
		relay->due = mono_after(loop_now(), relay->model->server->silence_ms);
	return work != WORK_OVER;
}

static void look_later(struct relay *relay)
{
	relay->look_at = mono_after(loop_now(), relay->pace_ms);
	relay->pace_ms = ms_shorter(2 * relay->pace_ms, LOOK_MS_MAX);
}

static void on_looked(void *ctx, const struct call_answer *answer)
{
	struct relay *relay = ctx;

	relay->busy_call = NULL;
	if (may_work(relay, answer))
		look_later(relay);
	else
		relay_end(relay->model->server->catalog->ctx, relay, "left");
}

void relay_look(struct relay *relay)
{
	const struct model_server *server = relay->model->server;
	const struct adapter_call *what = relay->pending ? &find_response : &server->adapter->busy;
	const char *of = relay->pending ? relay->watch.position.response_id : relay->model->name;

	if (catalog_call(server, what, of, CALL_TIME_MS, on_looked, relay, &relay->busy_call) != 0)
		look_later(relay); /* as many are on their way as may be */
}

/* So that its server has heard it before the turn is taken. */
void relay_hurry(struct relay *relay, int64_t grace_ms)
{
	int64_t most_ms = relay->model->server->silence_ms;

	if (!relay->pending)
		return;
	if (grace_ms > 0)
		most_ms = grace_ms > 2 * CALL_TIME_MS ? grace_ms - CALL_TIME_MS : grace_ms / 2;
	relay->due = mono_after(loop_now(), most_ms);
}

static void on_stopped(void *ctx, const struct call_answer *answer)
{
	struct relay *relay = ctx;
	(void)answer;

	relay->busy_call = NULL;
	relay_end(relay->model->server->catalog->ctx, relay, "stopped");
}

void relay_stop_settling(struct gateway *gateway, struct relay *relay)
{
	const struct model_server *server = relay->model->server;

	if (relay->stopping)
		return; /* it is told already */
	if (!relay->pending) {
		relay_end(gateway, relay, "left");
		return;
	}

	call_cancel(relay->busy_call);
	relay->busy_call = NULL;
	relay->pending = false;
	relay->stopping = true;
	relay->due = relay->look_at = MONO_NEVER;
	if (catalog_call(server, &stop_response, relay->watch.position.response_id, CALL_TIME_MS,
			 on_stopped, relay, &relay->busy_call) != 0)
		relay_end(gateway, relay, "stopped");
}
