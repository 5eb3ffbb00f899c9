/* conn: one socket: reads within a budget, writes at once and buffers what the kernel did not
 * accept, notices a disconnect in the same iteration, and closes in one place. Protocols plug in as
 * a conn_kind. Uses libevent events but no bufferevents, so that a response costs one write and no
 * change to the poll set (docs/decisions/0002). */
#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"
#include "net/deadline.h"
#include "net/listen.h"
#include "net/loop.h"
#include "net/net_impl.h"

enum { CONN_READ_BYTES_MIN = 2048, CONN_KEEP_BYTES = 4096 };

static void on_readable(evutil_socket_t fd, short events, void *ctx);

/* While paused, only a disconnect is watched for: the kernel can tell it from unread bytes.
 * libevent reports a reset as EV_READ and EV_WRITE rather than EV_CLOSED; with neither watched,
 * every poll would return at once. So without a pending write, EV_READ is watched edge-triggered
 * and nothing is read; next to a pending write, edge triggering is not allowed. */
static void watch_input(struct conn *conn, bool beside_write)
{
	short events = !conn->paused  ? EV_READ
		       : beside_write ? EV_CLOSED
				      : EV_CLOSED | EV_READ | EV_ET;

	(void)event_del(&conn->read_event);
	(void)event_assign(&conn->read_event, loop_base(conn->net->loop), conn->fd,
			   (short)(events | EV_PERSIST), on_readable, conn);
	(void)event_add(&conn->read_event, NULL);
	if (conn->deaf && !conn->paused)
		event_active(&conn->read_event, EV_READ, 0); /* nothing more may come */
}

static void watch_output(struct conn *conn, bool watched)
{
	bool changes = conn->paused && event_pending(&conn->read_event, EV_READ | EV_CLOSED, NULL);
	if (!watched)
		(void)event_del(&conn->write_event);
	if (changes)
		watch_input(conn, watched);
	if (watched)
		(void)event_add(&conn->write_event, NULL);
}

/* The peer takes nothing any more. A session's last messages, sent before it closed, still count:
 * it is dropped once they are read. */
static void output_failed(struct conn *conn)
{
	if (!conn->kind->hears_out) {
		conn_drop(conn);
		return;
	}

	conn->deaf = true;
	buf_clear(&conn->out, 0);
	deadline_stop(&conn->write_deadline);
	watch_output(conn, false);
	if (!conn->paused)
		event_active(&conn->read_event, EV_READ, 0);
}

static void read_input(struct conn *conn)
{
	struct net *net = conn->net;
	bool kept = conn->in.length > 0;
	char *at = net->scratch;
	size_t room = CONN_READ_BYTES;

	if (kept) {
		/* Grows with the bytes received, so that many slow senders stay small. */
		room = conn->in.length < CONN_READ_BYTES_MIN ? CONN_READ_BYTES_MIN
		       : conn->in.length < CONN_READ_BYTES   ? conn->in.length
							     : CONN_READ_BYTES;
		if (buf_reserve(&conn->in, room, &at) != 0) {
			conn_drop(conn);
			return;
		}
	}

	ssize_t n = recv(conn->fd, at, room, 0);
	if (n < 0) {
		if (errno != EINTR && (errno != EAGAIN || conn->deaf))
			conn_drop(conn);
		return;
	}
	if (n == 0) {
		conn->kind->eof(conn);
		return;
	}
	if (kept) {
		buf_extend(&conn->in, (size_t)n);
		conn_process(conn);
		return;
	}

	conn->feeding = true;
	size_t left = conn->kind->feed(conn, at, (size_t)n);
	conn->feeding = false;
	if (left && !conn_is_dropped(conn) && buf_append(&conn->in, at, left) != 0)
		conn_drop(conn);
	if (conn->again)
		conn_process_later(conn);
}

static bool is_reset(int fd)
{
	int err = 0;
	socklen_t length = sizeof(err);
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) != 0 || err != 0;
}

static void on_readable(evutil_socket_t fd, short events, void *ctx)
{
	struct conn *conn = ctx;
	loop_touch(conn->net->loop);

	if (events & EV_READ && !conn->paused)
		read_input(conn);
	else if (events & EV_CLOSED)
		conn->kind->eof(conn);
	else if (is_reset(fd))
		output_failed(conn);
}

void conn_process(struct conn *conn)
{
	conn->feeding = true;
	size_t left = conn->kind->feed(conn, buf_data(&conn->in), conn->in.length);
	conn->feeding = false;

	assert(left <= conn->in.length);
	conn->in.length = left;
	if (left == 0)
		buf_clear(&conn->in, CONN_KEEP_BYTES);
	if (conn->again)
		conn_process_later(conn);
}

void conn_process_later(struct conn *conn)
{
	if (conn->feeding) {
		conn->again = true;
		return;
	}

	conn->again = false;
	if (conn->in.length > 0)
		conn_process_soon(conn);
}

void conn_process_soon(struct conn *conn)
{
	if (conn_is_dropped(conn) || !list_empty(&conn->queue))
		return;

	list_append(&conn->net->ready, &conn->queue);
	net_defer_flush(conn->net);
}

void conn_pause(struct conn *conn, bool paused)
{
	if (conn->paused == paused || conn_is_dropped(conn))
		return;
	conn->paused = paused;
	watch_input(conn, event_pending(&conn->write_event, EV_WRITE, NULL));
}

void conn_stop_reading(struct conn *conn)
{
	(void)event_del(&conn->read_event);
}

static void end_file(struct conn *conn)
{
	if (conn->file >= 0)
		(void)close(conn->file);
	conn->file = -1;
	conn->file_left = 0;
}

static ssize_t send_buffer(struct conn *conn)
{
	ssize_t n = send(conn->fd, buf_data(&conn->out), conn->out.length, MSG_NOSIGNAL);
	if (n <= 0)
		return n;

	buf_consume(&conn->out, (size_t)n);
	if (conn->out.length == 0)
		buf_clear(&conn->out, CONN_KEEP_BYTES);
	return n;
}

/* The caller must ignore SIGPIPE: sendfile has no MSG_NOSIGNAL. */
static ssize_t send_file(struct conn *conn)
{
	size_t piece =
		conn->file_left < CONN_FILE_BYTES ? (size_t)conn->file_left : CONN_FILE_BYTES;
	ssize_t n = sendfile(conn->fd, conn->file, &conn->file_at, piece);

	if (n == 0) { /* it shrank: the promised length cannot be met */
		conn_reports(conn, ERR_IO, "a file shrank while it was sent");
		errno = EIO;
		return -1;
	}
	if (n < 0)
		return n;

	conn->file_left -= (uint64_t)n;
	if (conn->file_left == 0)
		end_file(conn);
	return n;
}

static void on_writable(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd, (void)events;
	struct conn *conn = ctx;
	loop_touch(conn->net->loop);

	ssize_t n = conn->out.length ? send_buffer(conn) : send_file(conn);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			output_failed(conn);
		return;
	}

	conn->written += (uint64_t)n;
	if (conn_has_output(conn))
		return;
	watch_output(conn, false);
	deadline_stop(&conn->write_deadline);
	conn->kind->flushed(conn);
}

static void wait_writable(struct conn *conn)
{
	conn->written_mark = conn->written;
	deadline_arm(conn->net, &conn->write_deadline, DEADLINE_WRITE);
	watch_output(conn, true);
}

void conn_write(struct conn *conn, const void *head, size_t head_length, const void *body,
		size_t body_length)
{
	if (conn_is_dropped(conn) || conn->deaf)
		return;
	size_t taken = 0;
	bool waiting = conn->out.length > 0;

	if (!waiting) {
		struct iovec pieces[2] = {{(void *)head, head_length}, {(void *)body, body_length}};
		struct msghdr message = {.msg_iov = pieces, .msg_iovlen = body_length ? 2 : 1};
		ssize_t n = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			output_failed(conn);
			return;
		}
		taken = n < 0 ? 0 : (size_t)n;
		conn->written += taken;
	}

	if (taken == head_length + body_length)
		return;
	size_t head_taken = taken < head_length ? taken : head_length;
	size_t body_taken = taken - head_taken;
	if (buf_append(&conn->out, (const char *)head + head_taken, head_length - head_taken) ||
	    buf_append(&conn->out, (const char *)body + body_taken, body_length - body_taken)) {
		conn_drop(conn); /* half a response is worse than none */
		return;
	}
	if (!waiting)
		wait_writable(conn);
}

void conn_write_file(struct conn *conn, int file, uint64_t offset, uint64_t length)
{
	bool waiting = conn_has_output(conn);
	if (conn_is_dropped(conn) || length == 0) {
		(void)close(file);
		return;
	}

	assert(conn->file < 0);
	conn->file = file;
	conn->file_at = (off_t)offset;
	conn->file_left = length;
	if (!waiting)
		wait_writable(conn);
}

/* A peer that takes a byte now and then counts as one that takes none (CASES.md C30). */
static void write_expired(struct conn *conn)
{
	bool moved = conn->written - conn->written_mark >= CONN_WRITE_BYTES_MIN;
	conn->file_lapses = moved ? 0 : conn->file_lapses + 1;

	/* A file transfer holds no memory, so a slow reader is tolerated. */
	if (moved || (conn->kind->is_patient && conn->id) ||
	    (conn->file >= 0 && conn->file_lapses < CONN_FILE_LAPSES_MAX)) {
		conn->written_mark = conn->written;
		deadline_arm(conn->net, &conn->write_deadline, DEADLINE_WRITE);
		return;
	}

	conn_reports(conn, ERR_SLOW, "the peer does not read");
	conn_drop(conn);
}

void conn_expired(struct conn *conn, enum deadline_kind kind)
{
	if (kind == DEADLINE_WRITE)
		write_expired(conn);
	else
		conn->kind->expired(conn, kind);
}

void conn_deadline(struct conn *conn, enum deadline_kind kind)
{
	if (conn->read_deadline.kind == kind || conn_is_dropped(conn))
		return; /* already running: keeps its start */
	if (kind == DEADLINE_NONE)
		deadline_stop(&conn->read_deadline);
	else
		deadline_arm(conn->net, &conn->read_deadline, kind);
}

void conn_reports(struct conn *conn, int err, const char *what)
{
	if (conn->net->handlers.on_protocol_error)
		conn->net->handlers.on_protocol_error(conn->net->ctx, conn->id, err, what);
}

struct conn *conn_create(struct net *net, int fd, const struct conn_kind *kind,
			 const struct net_peer *peer)
{
	struct conn *conn = net->free_count ? calloc(1, sizeof(*conn)) : NULL;
	if (!conn)
		return NULL;

	conn->net = net;
	conn->fd = fd;
	conn->file = -1;
	conn->kind = kind;
	conn->peer = *peer;

	conn->slot = net->free_slots[--net->free_count];
	net->slots[conn->slot] = conn;

	list_init(&conn->idle);
	list_init(&conn->queue);
	list_init(&conn->http.due);
	list_init(&conn->read_deadline.node);
	list_init(&conn->write_deadline.node);

	struct event_base *base = loop_base(net->loop);
	(void)event_assign(&conn->read_event, base, fd, EV_READ | EV_PERSIST, on_readable, conn);
	(void)event_assign(&conn->write_event, base, fd, EV_WRITE | EV_PERSIST, on_writable, conn);
	net->count++;
	if (event_add(&conn->read_event, NULL) != 0) {
		conn->fd = -1; /* still the caller's */
		net->count--;
		net->slots[conn->slot] = NULL;
		net->free_slots[net->free_count++] = conn->slot;
		free(conn);
		return NULL;
	}
	return conn;
}

void conn_idles(struct conn *conn)
{
	conn->idle_since = loop_now();
	list_append(&conn->net->idle, &conn->idle);
}

void conn_drop(struct conn *conn)
{
	struct net *net = conn->net;
	if (conn_is_dropped(conn))
		return;
	conn->kind->lost(conn);

	(void)event_del(&conn->read_event);
	(void)event_del(&conn->write_event);
	deadline_stop(&conn->read_deadline);
	deadline_stop(&conn->write_deadline);
	list_remove(&conn->idle);
	list_remove(&conn->queue);

	(void)close(conn->fd);
	conn->fd = -1;
	end_file(conn);
	conn->again = false;

	crowd_leave(&net->crowd, conn->process);
	conn->process = NULL;
	net->crowd.sessions -= conn->counted_session;
	if (conn->refused)
		net->refused_count--;
	else
		net->count--;

	net->slots[conn->slot] = NULL;
	list_append(&net->dropped, &conn->queue);
	net_defer_flush(net);
	net_accept_resume(net);
}

void conn_free(struct conn *conn)
{
	struct net *net = conn->net;
	list_remove(&conn->queue);
	net->free_slots[net->free_count++] = conn->slot;

	ws_parser_finish(&conn->session.ws);
	buf_finish(&conn->in);
	buf_finish(&conn->out);
	free(conn);
}

static size_t lingering_feed(struct conn *conn, char *bytes, size_t length)
{
	(void)conn, (void)bytes, (void)length;
	return 0; /* discarded */
}

static void lingering_flushed(struct conn *conn)
{
	if (conn->half_closed)
		conn_drop(conn);
	else
		(void)shutdown(conn->fd, SHUT_WR);
}

static void lingering_eof(struct conn *conn)
{
	if (!conn_has_output(conn)) {
		conn_drop(conn);
		return;
	}
	conn->half_closed = true; /* it may still read */
	conn_stop_reading(conn);
}

static void lingering_expired(struct conn *conn, enum deadline_kind kind)
{
	(void)kind;
	conn_drop(conn);
}

static void lingering_lost(struct conn *conn)
{
	(void)conn;
}

static const struct conn_kind conn_lingering = {
	.feed = lingering_feed,
	.eof = lingering_eof,
	.flushed = lingering_flushed,
	.expired = lingering_expired,
	.lost = lingering_lost,
};

void conn_linger(struct conn *conn)
{
	if (conn_is_dropped(conn))
		return;

	conn->kind = &conn_lingering;
	conn->id = 0;
	list_remove(&conn->idle);
	list_remove(&conn->queue);
	conn->again = false;

	if (conn->half_closed && !conn_has_output(conn)) {
		conn_drop(conn);
		return;
	}

	conn_pause(conn, false);
	conn_deadline(conn, DEADLINE_CLOSE);
	if (!conn_has_output(conn))
		lingering_flushed(conn);
}
