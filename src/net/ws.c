/* ws: WebSocket sessions: the handshake's response, the message rate limit, pings that detect dead
 * browsers, and the close handshake with its deadline. Frames are decoded by ws_frame.c. Negotiates
 * no extensions. */
#include "net/ws.h"

#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "http/ws_key.h"
#include "net/net_impl.h"
#include "net/session.h"

enum { WS_KEEP_BYTES = 4096 };

static void send_frame(struct conn *conn, enum ws_opcode opcode, const void *bytes, size_t length)
{
	char head[WS_HEAD_BYTES_MAX];
	conn_write(conn, head, ws_frame_head(head, opcode, length), bytes, length);
}

void ws_conn_send(struct conn *conn, const char *text, size_t length)
{
	send_frame(conn, WS_TEXT, text, length);
}

void ws_conn_send_bytes(struct conn *conn, uint64_t number, const char *bytes, size_t length)
{
	char head[WS_HEAD_BYTES_MAX + 8];
	size_t used = ws_frame_head(head, WS_BINARY, 8 + length);

	for (int shift = 56; shift >= 0; shift -= 8)
		head[used++] = (char)(number >> shift);
	conn_write(conn, head, used, bytes, length);
}

/* From here on only the peer's close frame matters, and only for a limited time. */
void ws_conn_close(struct conn *conn, int code, const char *reason)
{
	char payload[WS_CONTROL_BYTES_MAX];
	size_t length = reason ? strlen(reason) : 0;
	if (length > sizeof(payload) - 2)
		length = sizeof(payload) - 2;

	payload[0] = (char)(code >> 8);
	payload[1] = (char)code;
	if (length)
		memcpy(payload + 2, reason, length);

	send_frame(conn, WS_CLOSE, payload, code == 1005 ? 0 : length + 2);

	conn->session.closing = true;
	conn_deadline(conn, DEADLINE_CLOSE);
}

/* The peer broke the protocol: what it sends afterwards is meaningless, so do not wait for its
 * close frame. */
static void refuse_session(struct conn *conn, int code, int err, const char *what)
{
	if (conn->session.closing)
		return;

	conn_reports(conn, err, what);
	ws_conn_close(conn, code, what);
	if (conn_is_dropped(conn))
		return;

	net_notify(conn->net, NOTICE_CLOSED, conn->id, false);
	conn_linger(conn);
}

static void take_close(struct conn *conn)
{
	struct ws_fault fault;
	int code = 0;

	if (!ws_close_code(&conn->session.ws, &code, &fault)) {
		refuse_session(conn, fault.code, ERR_PROTOCOL, fault.what);
		return;
	}

	if (!conn->session.closing)
		ws_conn_close(conn, code, NULL);
	if (conn_is_dropped(conn))
		return;

	net_notify(conn->net, NOTICE_CLOSED, conn->id, true);
	conn_linger(conn); /* the server's side ends first (RFC 6455 7.1.1) */
}

static void take_control(struct conn *conn)
{
	struct session_conn *session = &conn->session;
	if (session->ws.opcode == WS_CLOSE) {
		take_close(conn);
		return;
	}

	if (!session_take_token(conn))
		refuse_session(conn, 1008, ERR_RATE_LIMITED, "too many messages");
	else if (conn->out.length > LIMIT_SEND_BUFFER_BYTES)
		refuse_session(conn, 1008, ERR_SLOW, "the peer does not read its messages");
	else if (session->ws.opcode == WS_PING && !session->closing)
		send_frame(conn, WS_PONG, session->ws.control, session->ws.control_length);
}

static void take_message(struct conn *conn)
{
	struct session_conn *session = &conn->session;
	if (session->closing)
		return;
	if (!session_take_token(conn)) {
		refuse_session(conn, 1008, ERR_RATE_LIMITED, "too many messages");
		return;
	}

	conn->net->handlers.on_message(conn->net->ctx, conn->id, buf_data(&session->ws.message),
				       session->ws.message.length);
	buf_clear(&session->ws.message, WS_KEEP_BYTES);
}

static size_t ws_feed(struct conn *conn, char *bytes, size_t length)
{
	size_t used = 0;
	conn->session.awaiting_pong = false; /* any byte proves the peer alive */

	while (used < length && conn->kind == &conn_websocket && !conn_is_dropped(conn)) {
		struct ws_fault fault;
		size_t n = 0;
		enum ws_result result =
			ws_parse(&conn->session.ws, bytes + used, length - used, &n, &fault);
		used += n;
		if (result == WS_MESSAGE)
			take_message(conn);
		else if (result == WS_CONTROL)
			take_control(conn);
		else if (result == WS_REFUSED && conn->session.closing)
			conn_drop(conn);
		else if (result == WS_REFUSED)
			refuse_session(conn, fault.code,
				       fault.code == 1009 ? ERR_TOO_LARGE : ERR_PROTOCOL,
				       fault.what);
	}
	return 0; /* the parser keeps partial frames */
}

static void ws_flushed(struct conn *conn)
{
	(void)conn;
}

static void ws_expired(struct conn *conn, enum deadline_kind kind)
{
	if (kind == DEADLINE_CLOSE || conn->session.awaiting_pong) {
		conn_drop(conn); /* the close frame or the last ping went unanswered */
		return;
	}
	conn->session.awaiting_pong = true;
	send_frame(conn, WS_PING, NULL, 0);
	conn_deadline(conn, DEADLINE_PING);
}

static void ws_lost(struct conn *conn)
{
	net_notify(conn->net, NOTICE_CLOSED, conn->id, false);
}

const struct conn_kind conn_websocket = {
	.feed = ws_feed,
	.eof = conn_drop,
	.flushed = ws_flushed,
	.expired = ws_expired,
	.lost = ws_lost,
	.hears_out = true,
};

int http_accept_websocket(struct net *net, uint64_t number)
{
	struct conn *conn = net_find(net, number);
	char accept[29];
	if (!conn || conn->kind != &conn_http || conn->http.exchange != EXCHANGE_OPEN ||
	    !conn->http.websocket)
		return -ERR_STATE;

	struct buf *head = &net->head;
	head->length = 0;
	if (!ws_accept_key(conn->http.ws_key, accept) ||
	    buf_printf(head,
		       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		       "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		       accept) != 0)
		return -ERR_NO_MEMORY;

	conn->http.exchange = EXCHANGE_NONE;
	conn->kind = &conn_websocket; /* keeps its number */

	conn_write(conn, buf_data(head), head->length, NULL, 0);
	conn_pause(conn, false);
	conn_deadline(conn, DEADLINE_PING);
	conn_process_later(conn);
	return 0;
}
