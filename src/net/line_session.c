/* line_session: sessions on the Unix socket, one message per line. Knows nothing about what
 * messages mean. Local programs of the same user are paced by the read budget per iteration
 * (conn.h) instead of the rate limit for pages: a program that acquires and releases in a tight
 * loop is not an attack. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "net/line_session.h"
#include "net/net_impl.h"
#include "process/pidfd.h"

enum { LINES_PER_TURN = 128 };

void line_conn_begin(struct conn *conn)
{
	conn->id = net_number(conn->net, conn);
	struct net_peer peer = conn->peer;
	peer.pidfd = pidfd_of_peer(conn->fd);
	conn->net->handlers.on_session(conn->net->ctx, conn->id, &peer);
}

static void refuse_line(struct conn *conn, int code, int err, const char *what)
{
	conn_reports(conn, err, what);
	line_conn_close(conn, code, what);
}

static void take_line(struct conn *conn, char *line, size_t length)
{
	if (length > LIMIT_FRAME_BYTES)
		refuse_line(conn, 1009, ERR_TOO_LARGE, "message over the limit");
	else if (memchr(line, '\0', length) || !utf8_is_valid(line, length))
		refuse_line(conn, 1007, ERR_PROTOCOL, "message is not UTF-8 text");
	else
		conn->net->handlers.on_message(conn->net->ctx, conn->id, line, length);
}

/* Processes some lines of each session per iteration; while more are buffered, reading is paused,
 * so that no more than one read is held in memory. */
static size_t line_feed(struct conn *conn, char *bytes, size_t length)
{
	char *line = bytes, *end = bytes + length, *lf;
	for (int taken = 0;
	     taken < LINES_PER_TURN && conn->kind == &conn_line && !conn_is_dropped(conn) &&
	     (lf = memchr(line, '\n', (size_t)(end - line)));
	     taken++) {
		*lf = '\0';
		if (lf > line) /* ignore empty lines */
			take_line(conn, line, (size_t)(lf - line));
		line = lf + 1;
	}

	if (conn->kind != &conn_line || conn_is_dropped(conn))
		return 0;

	size_t left = (size_t)(end - line);
	bool more = memchr(line, '\n', left) != NULL;
	conn_pause(conn, more);
	if (more)
		conn_process_later(conn);

	if (!more && left > LIMIT_FRAME_BYTES) {
		refuse_line(conn, 1009, ERR_TOO_LARGE, "message over the limit");
		return 0;
	}

	memmove(bytes, line, left);
	return left;
}

void line_conn_send(struct conn *conn, const char *text, size_t length)
{
	conn_write(conn, text, length, "\n", 1);
}

/* Ends the session now; pending output is still delivered while the connection lingers. */
void line_conn_close(struct conn *conn, int code, const char *reason)
{
	char words[LIMIT_REASON_BYTES + 1], line[LIMIT_REASON_BYTES + 64];
	size_t at = 0;
	for (; reason && reason[at] && at < sizeof(words) - 1; at++) {
		unsigned char byte = (unsigned char)reason[at];
		words[at] = byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\' ? '?'
										       : reason[at];
	}
	words[at] = '\0';

	int length = snprintf(line, sizeof(line),
			      "{\"type\":\"close\",\"code\":%d,\"reason\":\"%s\"}\n", code, words);
	conn_write(conn, line, (size_t)length, NULL, 0);
	if (conn_is_dropped(conn))
		return;

	net_notify(conn->net, NOTICE_CLOSED, conn->id, false);
	conn_linger(conn);
}

/* Messages sent before the EOF still count: they are read first, then the EOF is seen again. */
static void line_eof(struct conn *conn)
{
	if (conn->paused)
		conn_stop_reading(conn);
	else
		conn_drop(conn);
}

static void line_flushed(struct conn *conn)
{
	(void)conn;
}

static void line_expired(struct conn *conn, enum deadline_kind kind)
{
	(void)conn, (void)kind; /* line sessions have no deadlines */
}

static void line_lost(struct conn *conn)
{
	if (conn->id) /* 0: over the limit, was never a session */
		net_notify(conn->net, NOTICE_CLOSED, conn->id, false);
}

const struct conn_kind conn_line = {
	.feed = line_feed,
	.eof = line_eof,
	.flushed = line_flushed,
	.expired = line_expired,
	.lost = line_lost,
	.hears_out = true,
};
