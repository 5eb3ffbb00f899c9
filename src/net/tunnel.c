/* tunnel: see tunnel.h. A peer that does not read is waited for as long as it likes: it holds a
 * connection and 64 KiB. */
#include "net/tunnel.h"

#include "base/err.h"
#include "base/limits.h"
#include "net/net_impl.h"

static struct conn *find_tunnel(const struct net *net, uint64_t number)
{
	struct conn *conn = net_find(net, number);

	return conn && conn->kind == &conn_tunnel ? conn : NULL;
}

static size_t tunnel_feed(struct conn *conn, char *bytes, size_t length)
{
	if (length > 0)
		conn->net->handlers.on_body(conn->net->ctx, conn->id, bytes, length);
	return 0;
}

/* While it is paused there may be bytes before the end: they are read first. */
static void tunnel_eof(struct conn *conn)
{
	conn_stop_reading(conn);
	if (!conn->paused)
		conn->net->handlers.on_body_end(conn->net->ctx, conn->id);
}

static bool is_ending(const struct conn *conn)
{
	return conn->http.exchange == EXCHANGE_FLUSH;
}

static void tunnel_flushed(struct conn *conn)
{
	if (is_ending(conn)) {
		conn_linger(conn);
		return;
	}
	if (!conn->http.writer_waits)
		return;
	conn->http.writer_waits = false;
	net_notify(conn->net, NOTICE_WRITABLE, conn->id, true);
}

static void tunnel_expired(struct conn *conn, enum deadline_kind kind)
{
	(void)conn, (void)kind;
}

static void tunnel_lost(struct conn *conn)
{
	if (!is_ending(conn))
		net_notify(conn->net, NOTICE_GONE, conn->id, false);
}

const struct conn_kind conn_tunnel = {
	.feed = tunnel_feed,
	.eof = tunnel_eof,
	.flushed = tunnel_flushed,
	.expired = tunnel_expired,
	.lost = tunnel_lost,
	.is_patient = true,
};

int http_accept_tunnel(struct net *net, uint64_t number, const char *head, size_t length)
{
	struct conn *conn = net_find(net, number);

	if (!conn || conn->kind != &conn_http || conn->http.exchange != EXCHANGE_OPEN ||
	    conn->http.receiving)
		return -ERR_STATE;

	conn->http.exchange = EXCHANGE_NONE;
	conn->http.writer_waits = false;
	conn->kind = &conn_tunnel;
	conn_deadline(conn, DEADLINE_NONE);
	conn_write(conn, head, length, NULL, 0);
	conn_pause(conn, false);
	conn_process_later(conn); /* what came behind the request */
	return 0;
}

bool tunnel_write(struct net *net, uint64_t number, const char *bytes, size_t length)
{
	struct conn *conn = find_tunnel(net, number);

	if (!conn)
		return false;
	if (conn->out.length > LIMIT_SEND_BUFFER_BYTES) {
		conn_reports(conn, ERR_SLOW, "the peer does not read");
		conn_drop(conn);
		return false;
	}

	conn_write(conn, bytes, length, NULL, 0);
	if (conn_is_dropped(conn))
		return false;
	conn->http.writer_waits = conn->out.length > CONN_STREAM_BYTES;
	return !conn->http.writer_waits;
}

void tunnel_pause(struct net *net, uint64_t number, bool paused)
{
	struct conn *conn = find_tunnel(net, number);

	if (conn)
		conn_pause(conn, paused);
}

void tunnel_end(struct net *net, uint64_t number)
{
	struct conn *conn = find_tunnel(net, number);

	if (!conn)
		return;
	conn->id = 0;
	conn->http.exchange = EXCHANGE_FLUSH;
	conn_stop_reading(conn);
	if (!conn_has_output(conn))
		conn_linger(conn);
}
