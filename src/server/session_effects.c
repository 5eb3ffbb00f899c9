/* session_effects: see session_effects.h. The `send` of sessions, see endpoint_ops.h. */
#include "server/session_effects.h"

#include "net/session.h"
#include "server/message_context.h"
#include "server/server.h"
#include "server/sessions.h"
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
static void remember_told(struct server *server, struct endpoint *endpoint,
			  const struct send_effect *send)
{
	struct endpoint_session *session = endpoint->session;
	uint64_t lease = send->lease;
	if (send->msg == SEND_WELCOME) {
		session->id = lease;
		if (session->binding == BIND_NATIVE)
			process_tracker_take(&server->tracker, lease, session->pidfd);
		session->pidfd = -1;
		if (session->rights == ACCESS_NONE) /* its secret was right */
			session->rights = session->paired ? ACCESS_QUEUE : ACCESS_TOKEN;
	} else if (send->msg == SEND_REVOKED && send->state != CLAIM_OFFERED) {
		endpoint_revoked(endpoint, lease);
	} else if (send->msg == SEND_RELEASED) {
		endpoint_released(endpoint, lease);
	}
}

void session_send_effect(void *ctx, struct endpoint *endpoint, const struct send_effect *send)
{
	struct server *server = ctx;
	cleanup_text struct text body = {0};
	struct message_context context;

	remember_told(server, endpoint, send);
	message_context_fill(&context, &server->broker, &server->active.settings.core,
			     server->state.epoch, send);
	context.wire.rights = sessions_rights_name(endpoint->session->rights);
	context.wire.dev = server->active.paths.dev[0] != 0;
	context.wire.linger_ms =
		core_linger_ms(&server->active.settings.core, endpoint->session->binding);

	session_encode(&body, send, &context.wire);
	net_session_send(server->endpoints.net, endpoint->conn, body.bytes, body.length);
	position_updates_sent(&server->position_updates, server->broker.core,
			      party_of(PARTY_SESSION, endpoint->conn), send,
			      message_context_position(&context), server->broker.now);

	if (send->msg == SEND_DENIED && endpoint->session->id == 0)
		net_session_close(server->endpoints.net, endpoint->conn, close_code(send->err),
				  err_name(send->err));
}
