/* http_receive: request bodies that are passed on in pieces as they arrive, to a reader that may
 * pause them. Framing is decoded by http/body.c. */
#include "net/http_receive.h"

#include <string.h>

#include "http/fault.h"
#include "net/http.h"
#include "net/net_impl.h"

/* Starts the deadline for more body, and sends 100 Continue to a client that expects it. */
static void wait_for_body(struct conn *conn)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct http_conn *http = &conn->http;

	conn_deadline(conn, DEADLINE_BODY);
	if (!http->expects_continue || http->exchange != EXCHANGE_OPEN)
		return;

	http->expects_continue = false;
	conn_write(conn, go_on, sizeof(go_on) - 1, NULL, 0);
}

static void end_body(struct conn *conn)
{
	conn->http.receiving = false;
	conn_deadline(conn, DEADLINE_NONE);
	conn->net->handlers.on_body_end(conn->net->ctx, conn->id);
}

/* Each callback may answer, pause or end the exchange. */
static bool may_read_on(const struct conn *conn)
{
	return !conn_is_dropped(conn) && conn->http.receiving && !conn->http.held;
}

size_t http_receive(struct conn *conn, char *bytes, size_t length)
{
	struct http_conn *http = &conn->http;
	enum http_body_result result = HTTP_BODY_PIECE;
	size_t at = 0;

	char nothing = 0;

	if (length > 0)
		conn_deadline(conn, DEADLINE_NONE);
	else
		bytes = &nothing;

	while (may_read_on(conn) && result == HTTP_BODY_PIECE) {
		struct http_piece piece;
		struct http_fault fault;
		size_t used = 0;
		result =
			http_body_read(&http->body, bytes + at, length - at, &used, &piece, &fault);
		at += used;
		if (result == HTTP_BODY_PIECE) {
			http->expects_continue = false; /* it did not wait */
			conn->net->handlers.on_body(conn->net->ctx, conn->id, piece.bytes,
						    piece.length);
		} else if (result == HTTP_BODY_END) {
			end_body(conn);
		} else if (result == HTTP_BODY_REFUSED) {
			http_receive_refuse(conn, &fault);
		}
	}

	if (conn_is_dropped(conn))
		return 0;
	if (may_read_on(conn))
		wait_for_body(conn);
	memmove(bytes, bytes + at, length - at);
	return length - at;
}

/* Reports on_gone to the reader of a partial body. */
void http_receive_refuse(struct conn *conn, const struct http_fault *fault)
{
	struct http_conn *http = &conn->http;
	http->receiving = false;
	if (http->exchange != EXCHANGE_OPEN) { /* an answer has begun */
		conn_reports(conn, fault->err, fault->what);
		conn_drop(conn);
		return;
	}

	net_notify(conn->net, NOTICE_GONE, conn->id, false);
	http->exchange = EXCHANGE_NONE;
	http_conn_refuse(conn, fault);
}

void http_pause_body(struct net *net, uint64_t number, bool paused)
{
	struct conn *conn = net_find(net, number);
	if (!conn || conn->kind != &conn_http || !conn->http.receiving || conn->http.held == paused)
		return;

	conn->http.held = paused;
	conn_pause(conn, paused);
	if (paused) {
		conn_deadline(conn, DEADLINE_NONE); /* the reader is to blame, not the client */
	} else if (!conn->feeding) {
		wait_for_body(conn);
		conn_process_soon(conn); /* the body may have ended with the last piece */
	}
}
