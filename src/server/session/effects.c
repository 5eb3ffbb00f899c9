/* effects: see effects.h. The `send` of sessions, see endpoint_ops.h. */
#include "server/session/effects.h"

#include "base/err.h"
#include "base/text.h"
#include "config/paths.h"
#include "core/binding.h"
#include "net/session.h"
#include "server/active_config.h"
#include "server/broker.h"
#include "server/endpoints.h"
#include "server/message_context.h"
#include "server/monitor/position_updates.h"
#include "server/process_tracker.h"
#include "server/run_state.h"
#include "wire/session_decode.h"
#include "wire/session_encode.h"

static int close_code(int err)
{
	switch (err) {
	case ERR_UNAUTHORIZED:
		return CLOSE_TOKEN;
	case ERR_VERSION:
		return CLOSE_VERSION;
	case ERR_TOO_MANY_CONNECTIONS:
	case ERR_QUEUE_FULL:
		return CLOSE_TOO_MANY;
	case ERR_DRAINING:
	case ERR_JOURNAL:
		return CLOSE_DRAINING;
	default:
		return 1008;
	}
}

/* What the endpoint remembers of what its session is told. */
static void remember_told(struct process_tracker *tracker, struct endpoint *endpoint,
			  const struct send_effect *send)
{
	struct endpoint_session *session = endpoint->session;
	uint64_t lease = send->lease;
	if (send->msg == SEND_WELCOME) {
		session->id = lease;
		if (session->binding == BIND_NATIVE)
			process_tracker_take(tracker, lease, session->pidfd);
		session->pidfd = -1;
		if (session->rights == ACCESS_NONE) /* its secret was right */
			session->rights = session->paired ? ACCESS_QUEUE : ACCESS_TOKEN;
	} else if (send->msg == SEND_REVOKED && send->state != CLAIM_OFFERED) {
		endpoint_revoked(endpoint, lease);
	} else if (send->msg == SEND_RELEASED) {
		endpoint_released(endpoint, lease);
	}
}

const char *session_rights_name(enum access_right rights)
{
	return rights == ACCESS_ADMIN ? "admin" : rights == ACCESS_QUEUE ? "queue" : "token";
}

void session_send_effect(const struct session_effects *effects, struct endpoint *endpoint,
			 const struct send_effect *send)
{
	const struct broker *broker = effects->broker;
	const struct core_config *config = &effects->active->settings.core;
	struct net *net = effects->endpoints->net;
	struct text *body = effects->endpoints->message;
	struct message_context context;

	remember_told(effects->tracker, endpoint, send);
	message_context_fill(&context, broker, config, effects->state->epoch, send);
	context.wire.rights = session_rights_name(endpoint->session->rights);
	context.wire.dev = effects->active->paths.dev[0] != 0;
	context.wire.linger_ms = core_linger_ms(config, endpoint->session->binding);

	text_clear(body);
	session_encode(body, send, &context.wire);
	net_session_send(net, endpoint->conn, body->bytes, body->length);
	position_updates_sent(effects->position_updates, broker->core,
			      party_of(PARTY_SESSION, endpoint->conn), send,
			      message_context_position(&context), broker->now);

	if (send->msg == SEND_DENIED && endpoint->session->id == 0)
		net_session_close(net, endpoint->conn, close_code(send->err), err_name(send->err));
}
