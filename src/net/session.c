/* session: what WebSocket and line sessions share: sending and closing by number. The message rate
 * limit applies to WebSocket sessions only. */
#include "net/session.h"

#include "base/err.h"
#include "base/limits.h"
#include "net/line_session.h"
#include "net/loop.h"
#include "net/net_impl.h"
#include "net/ws.h"

static struct conn *find_session(const struct net *net, uint64_t number)
{
	struct conn *conn = net_find(net, number);
	return conn && (conn->kind == &conn_websocket || conn->kind == &conn_line) ? conn : NULL;
}

/* The session, if it may be sent so much; one that does not read is closed. */
static struct conn *find_reader(struct net *net, uint64_t number, size_t length)
{
	struct conn *conn = find_session(net, number);

	if (!conn || conn->session.closing)
		return NULL;
	if (conn->out.length + length <= LIMIT_SEND_BUFFER_BYTES)
		return conn;
	conn_reports(conn, ERR_SLOW, "the peer does not read its messages");
	net_session_close(net, number, 1008, "too much unread output");
	return NULL;
}

void net_session_send(struct net *net, uint64_t number, const char *text, size_t length)
{
	struct conn *conn = find_reader(net, number, length);

	if (!conn)
		return;
	if (conn->kind == &conn_websocket)
		ws_conn_send(conn, text, length);
	else
		line_conn_send(conn, text, length);
}

void net_session_send_bytes(struct net *net, uint64_t number, uint64_t head, const char *bytes,
			    size_t length)
{
	struct conn *conn = find_reader(net, number, length);

	if (conn && conn->kind == &conn_websocket)
		ws_conn_send_bytes(conn, head, bytes, length);
}

static unsigned rate_of(const struct session_conn *session)
{
	return session->rate ? session->rate : LIMIT_MESSAGES_PER_S;
}

/* What it has used of the old rate it has used of the new one. */
void net_session_rate(struct net *net, uint64_t number, unsigned messages_per_s)
{
	struct conn *conn = find_session(net, number);
	if (!conn)
		return;

	struct session_conn *session = &conn->session;
	if (session->tokens_at.v != 0)
		session->tokens += (double)messages_per_s - rate_of(session);
	session->rate = messages_per_s;
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
	unsigned rate = rate_of(session);

	if (session->tokens_at.v == 0) {
		session->tokens = rate;
	} else {
		session->tokens += (double)mono_since(now, session->tokens_at) * rate / 1000.0;
		if (session->tokens > rate)
			session->tokens = rate;
	}

	session->tokens_at = now;
	if (session->tokens < 1)
		return false;
	session->tokens -= 1;
	return true;
}
