/* session: what WebSocket and line sessions share: sending and closing by number. The message rate
 * limit applies to WebSocket sessions only. */
#include "net/session.h"

#include "base/err.h"
#include "base/limits.h"
#include "net/http.h"
#include "net/net_impl.h"

static struct conn *find_session(const struct net *net, uint64_t number)
{
	struct conn *conn = net_find(net, number);
	return conn && (conn->kind == &conn_websocket || conn->kind == &conn_line) ? conn : NULL;
}

void net_session_send(struct net *net, uint64_t number, const char *text, size_t length)
{
	struct conn *conn = find_session(net, number);
	if (!conn || conn->session.closing)
		return;

	if (conn->out.length + length > LIMIT_SEND_BUFFER_BYTES) {
		conn_reports(conn, ERR_SLOW, "the peer does not read its messages");
		net_session_close(net, number, 1008, "too much unread output");
		return;
	}

	if (conn->kind == &conn_websocket)
		ws_conn_send(conn, text, length);
	else
		line_conn_send(conn, text, length);
}

size_t net_session_pending(const struct net *net, uint64_t number)
{
	const struct conn *conn = find_session(net, number);
	return conn ? conn->out.length : 0;
}

void net_session_close(struct net *net, uint64_t number, int code, const char *reason)
{
	struct conn *conn = find_session(net, number);
	if (!conn || conn->session.closing)
		return;
	if (conn->kind == &conn_websocket)
		ws_conn_close(conn, code, reason);
	else
		line_conn_close(conn, code, reason);
}

/* A token bucket that holds one second's worth. */
bool session_take_token(struct conn *conn)
{
	struct session_conn *session = &conn->session;
	struct mono_ms now = loop_now();

	if (session->tokens_at.v == 0) {
		session->tokens = LIMIT_MESSAGES_PER_S;
	} else {
		session->tokens +=
			(double)mono_since(now, session->tokens_at) * LIMIT_MESSAGES_PER_S / 1000.0;
		if (session->tokens > LIMIT_MESSAGES_PER_S)
			session->tokens = LIMIT_MESSAGES_PER_S;
	}

	session->tokens_at = now;
	if (session->tokens < 1)
		return false;
	session->tokens -= 1;
	return true;
}
