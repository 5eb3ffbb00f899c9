/* sessions: see sessions.h. Decides nothing: what is decided by what a session may do is in
 * greeting.c and requests.c. */
#include "server/session/sessions.h"

#include "base/err.h"
#include "net/loop.h"
#include "net/session.h"
#include "server/endpoint_ops.h"
#include "server/event_queue.h"
#include "server/process_tracker.h"
#include "server/queued_event.h"
#include "server/run_state.h"
#include "server/session/refusal.h"
#include "wire/http_decode.h"

/* Decodes one message; 0 or a negative enum err. */
static int decode_message(const struct sessions *sessions, const struct endpoint *endpoint,
			  const char *greeted_as, const char *text, size_t length,
			  struct session_request *ret_request)
{
	struct wire_context wire = *sessions->wire;
	wire.principal = endpoint->session->principal;
	return session_decode(text, length, &wire, greeted_as, ret_request);
}

static void on_first_message(void *ctx, struct endpoint *endpoint, const char *text, size_t length)
{
	struct sessions *sessions = ctx;
	struct queued_event *queued = event_queue_new(sessions->queue);
	int rc = decode_message(sessions, endpoint, NULL, text, length, &queued->in);
	if (rc == 0) {
		greeting_hello(&sessions->greeting, endpoint, queued);
		return;
	}

	session_turn_away(sessions->endpoints, endpoint->conn, -rc, queued->in.parsed.detail,
			  rc == -ERR_VERSION ? CLOSE_VERSION : CLOSE_TOKEN);
	event_queue_drop(sessions->queue, queued);
}

static void on_session_message(void *ctx, struct endpoint *endpoint, const char *text,
			       size_t length)
{
	struct sessions *sessions = ctx;
	struct queued_event *queued = event_queue_new(sessions->queue);
	endpoint->session->seen = loop_now();
	int rc = decode_message(sessions, endpoint, endpoint->session->name, text, length,
				&queued->in);
	if (rc == 0) {
		session_said(&sessions->requests, endpoint, queued);
		return;
	}

	const char *detail = queued->in.parsed.detail;
	if (rc == -ERR_VERSION)
		session_turn_away(sessions->endpoints, endpoint->conn, ERR_VERSION, detail,
				  CLOSE_VERSION);
	else
		session_deny(sessions->endpoints->net, endpoint->conn, queued->in.ref, -rc, detail);
	event_queue_drop(sessions->queue, queued);
}

void sessions_on_message(struct sessions *sessions, uint64_t conn, const char *text, size_t length)
{
	if (!sessions->state->draining)
		endpoints_message(sessions->endpoints, conn, text, length);
}

static void on_stranger_gone(void *ctx, struct endpoint *endpoint)
{
	const struct sessions *sessions = ctx;
	session_unsubscribe(&sessions->answers, endpoint);
}

static void on_session_gone(void *ctx, struct endpoint *endpoint)
{
	struct sessions *sessions = ctx;
	const struct endpoint_session *session = endpoint->session;
	if (!sessions->state->draining) {
		bool gone = session->id && process_tracker_gone(sessions->tracker, session->id);
		struct event *event = event_queue_event(sessions->queue, EVENT_CONN_CLOSED,
							party_of(PARTY_SESSION, endpoint->conn));
		event->closed.peer_gone = gone;
	}
	session_unsubscribe(&sessions->answers, endpoint);
}

static void send_effect(void *ctx, struct endpoint *endpoint, const struct send_effect *send)
{
	const struct sessions *sessions = ctx;
	session_send_effect(&sessions->effects, endpoint, send);
}

static void close_draining(void *ctx, struct endpoint *endpoint)
{
	const struct sessions *sessions = ctx;
	net_session_close(sessions->endpoints->net, endpoint->conn, CLOSE_DRAINING,
			  err_name(ERR_DRAINING));
}

/* What it holds ends as when its connection breaks: by its secret alone it does not come back. */
static void shut_out(void *ctx, struct endpoint *endpoint)
{
	const struct sessions *sessions = ctx;
	net_session_close(sessions->endpoints->net, endpoint->conn, CLOSE_TOKEN,
			  err_name(ERR_UNAUTHORIZED));
}

void sessions_begin(struct sessions *sessions)
{
	static const struct endpoint_ops greeting_ops = {
		.send = send_effect,
		.message = on_first_message,
		.gone = on_stranger_gone,
		.drain = close_draining,
		.shut_out = shut_out,
	};
	static const struct endpoint_ops session_ops = {
		.send = send_effect,
		.message = on_session_message,
		.gone = on_session_gone,
		.drain = close_draining,
		.shut_out = shut_out,
	};
	static const struct endpoint_ops leaving_ops = {.gone = on_stranger_gone};

	endpoints_serve(sessions->endpoints, ENDPOINT_GREETING, &greeting_ops, sessions);
	endpoints_serve(sessions->endpoints, ENDPOINT_SESSION, &session_ops, sessions);
	endpoints_serve(sessions->endpoints, ENDPOINT_LEAVING, &leaving_ops, sessions);
}
