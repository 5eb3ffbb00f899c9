/* http_reply: responses: complete ones, files, streams, refusals. The head is formatted in one
 * buffer of the net, the body goes from the caller's memory to the kernel, and only what the kernel
 * does not accept is copied. */
#include "net/http_reply.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/limits.h"
#include "http/fault.h"
#include "http/status.h"
#include "http/syntax.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/net_impl.h"

enum { CHUNK_JOIN_BYTES = 16 * 1024 }; /* copying this much costs less than a second write */

static int add_number(struct buf *out, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	return buf_append(out, digits + at, sizeof(digits) - at);
}

/* Formatted once a second; doing so for each response would be a tenth of its cost. */
static const char *date_line(struct net *net)
{
	time_t now_s = (time_t)(loop_wall_now().v / 1000);
	struct tm parts;

	if (now_s != net->date_s && gmtime_r(&now_s, &parts) &&
	    strftime(net->date, sizeof(net->date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts))
		net->date_s = now_s;
	return net->date;
}

/* Replaces control bytes with spaces: the value may hold what a client sent, and must not end its
 * line. */
static int add_header(struct buf *out, const char *name, const char *value)
{
	size_t name_length = strlen(name), length = strlen(value);
	char *tail;
	if (buf_reserve(out, name_length + length + 4, &tail))
		return -ERR_NO_MEMORY;

	memcpy(tail, name, name_length);
	tail += name_length;
	*tail++ = ':';
	*tail++ = ' ';
	memcpy(tail, value, length);
	for (size_t i = 0; http_has_control(tail, length) && i < length; i++)
		if ((unsigned char)tail[i] < 0x20 || tail[i] == 0x7f)
			tail[i] = ' ';

	tail[length] = '\r';
	tail[length + 1] = '\n';
	buf_extend(out, name_length + length + 4);
	return 0;
}

static int add_status(struct buf *out, int status)
{
	if (status == 200)
		return buf_append(out, "HTTP/1.1 200 OK\r\n", 17);
	return buf_append(out, "HTTP/1.1 ", 9) || add_number(out, (uint64_t)status) ||
	       buf_append(out, " ", 1) || buf_append_text(out, http_status_text(status)) ||
	       buf_append(out, "\r\n", 2);
}

/* From the status line to the last header but one; the caller completes the head. 0 or
 * -ERR_NO_MEMORY. */
static int begin_head(struct conn *conn, int status, const struct http_header *headers,
		      size_t header_count)
{
	struct buf *out = &conn->net->head;
	out->length = 0;
	if (conn->http.receiving)
		conn->http.keep_alive = false; /* the rest of the body is discarded */

	int rc = add_status(out, status) || buf_append_text(out, date_line(conn->net));
	for (size_t i = 0; i < header_count && !rc; i++)
		rc = add_header(out, headers[i].name, headers[i].value);

	if (!rc && !conn->http.keep_alive)
		rc = buf_append_text(out, "Connection: close\r\n");
	return rc ? -ERR_NO_MEMORY : 0;
}

static struct conn *find_exchange(const struct net *net, uint64_t number, enum exchange exchange)
{
	struct conn *conn = net_find(net, number);
	return conn && conn->kind == &conn_http && conn->http.exchange == exchange ? conn : NULL;
}

/* The head of a stream goes out in one write with its first bytes, which are mostly there at once;
 * without them, at the end of the iteration. Uses net.head up. */
static void hold_head(struct conn *conn)
{
	struct buf *head = &conn->net->head;

	if (buf_append(&conn->http.due_head, buf_data(head), head->length) != 0) {
		conn_drop(conn);
		return;
	}
	list_append(&conn->net->due_heads, &conn->http.due);
	net_defer_flush(conn->net);
}

void http_forget_due_head(struct conn *conn)
{
	list_remove(&conn->http.due);
	buf_finish(&conn->http.due_head);
}

/* Behind the head where that is still due; with no bytes, the head alone. */
static void write_stream(struct conn *conn, const char *bytes, size_t length)
{
	struct buf head = conn->http.due_head;

	if (head.length == 0) {
		if (length > 0)
			conn_write(conn, bytes, length, NULL, 0);
		return;
	}
	conn->http.due_head = (struct buf){0};
	list_remove(&conn->http.due);
	conn_write(conn, buf_data(&head), head.length, bytes, length);
	buf_finish(&head);
}

void http_send_due_heads(struct net *net)
{
	while (!list_empty(&net->due_heads))
		write_stream(container_of(net->due_heads.next, struct conn, http.due), NULL, 0);
}

static void finish_when_flushed(struct conn *conn)
{
	conn->http.exchange = EXCHANGE_FLUSH;
	if (conn->http.receiving) {
		conn->http.receiving = false;
		conn_deadline(conn, DEADLINE_NONE);
		conn_pause(conn, false);
	}
	if (!conn_is_dropped(conn) && !conn_has_output(conn))
		conn->kind->flushed(conn);
}

/* RFC 9110 6.4.1: whatever followed would be read as the next response. */
static bool is_bodyless(int status)
{
	return status == 204 || status == 304;
}

/* The complete head of a response of known length. 0 or -ERR_NO_MEMORY. */
static int write_head(struct conn *conn, int status, const struct http_header *headers,
		      size_t header_count, uint64_t body_length)
{
	struct buf *head = &conn->net->head;
	int rc = begin_head(conn, status, headers, header_count);
	if (!rc && !is_bodyless(status))
		rc = buf_append(head, "Content-Length: ", 16) || add_number(head, body_length) ||
		     buf_append(head, "\r\n", 2);
	return rc || buf_append(head, "\r\n", 2) ? -ERR_NO_MEMORY : 0;
}

void http_reply(struct net *net, uint64_t number, int status, const struct http_header *headers,
		size_t header_count, const char *body, size_t body_length)
{
	struct conn *conn = find_exchange(net, number, EXCHANGE_OPEN);
	if (!conn)
		return;
	struct buf *head = &net->head;

	if (write_head(conn, status, headers, header_count, body_length)) {
		conn_drop(conn);
		return;
	}

	if (is_bodyless(status) || conn->http.head_only)
		body_length = 0;

	conn_write(conn, buf_data(head), head->length, body, body_length);
	finish_when_flushed(conn);
}

void http_reply_file(struct net *net, uint64_t number, int status,
		     const struct http_header *headers, size_t header_count, int file,
		     uint64_t offset, uint64_t length)
{
	struct conn *conn = find_exchange(net, number, EXCHANGE_OPEN);
	if (!conn || write_head(conn, status, headers, header_count, length)) {
		(void)close(file);
		if (conn)
			conn_drop(conn);
		return;
	}

	conn_write(conn, buf_data(&net->head), net->head.length, NULL, 0);
	conn_write_file(conn, file, offset, conn->http.head_only ? 0 : length);
	finish_when_flushed(conn);
}

void http_stream_begin_sized(struct net *net, uint64_t number, int status,
			     const struct http_header *headers, size_t header_count,
			     uint64_t length)
{
	struct conn *conn = find_exchange(net, number, EXCHANGE_OPEN);
	if (!conn)
		return;

	if (write_head(conn, status, headers, header_count, length)) {
		conn_drop(conn);
		return;
	}
	conn->http.head_only |= is_bodyless(status);
	conn->http.sized = true;
	conn->http.stream_left = conn->http.head_only ? 0 : length;
	conn->http.exchange = EXCHANGE_STREAM;
	hold_head(conn);
}

void http_stream_begin(struct net *net, uint64_t number, int status,
		       const struct http_header *headers, size_t header_count)
{
	struct conn *conn = find_exchange(net, number, EXCHANGE_OPEN);
	if (!conn)
		return;

	struct buf *head = &net->head;
	conn->http.keep_alive &= !conn->http.is_http10; /* HTTP/1.0: closing marks the end */
	conn->http.head_only |= is_bodyless(status);
	int rc = begin_head(conn, status, headers, header_count);
	if (!rc && !conn->http.is_http10 && !is_bodyless(status))
		rc = buf_append_text(head, "Transfer-Encoding: chunked\r\n");

	if (rc || buf_append(head, "\r\n", 2)) {
		conn_drop(conn);
		return;
	}

	conn->http.exchange = EXCHANGE_STREAM;
	hold_head(conn);
}

static void write_chunk(struct conn *conn, const char *bytes, size_t length)
{
	struct buf *framed = &conn->net->head;
	bool joined = length <= CHUNK_JOIN_BYTES;

	if (conn->http.is_http10 || conn->http.sized) {
		write_stream(conn, bytes, length);
		return;
	}

	framed->length = 0;
	if (buf_printf(framed, "%zx\r\n", length) ||
	    (joined && (buf_append(framed, bytes, length) || buf_append(framed, "\r\n", 2)))) {
		conn_drop(conn);
		return;
	}

	write_stream(conn, buf_data(framed), framed->length);
	if (joined)
		return;
	conn_write(conn, bytes, length, NULL, 0);
	conn_write(conn, "\r\n", 2, NULL, 0);
}

bool http_stream_write(struct net *net, uint64_t number, const char *bytes, size_t length)
{
	struct conn *conn = find_exchange(net, number, EXCHANGE_STREAM);
	if (!conn)
		return false;
	if (length == 0 || conn->http.head_only)
		return true;
	if (conn->out.length > LIMIT_SEND_BUFFER_BYTES) {
		conn_reports(conn, ERR_SLOW, "the peer does not read its stream");
		conn_drop(conn);
		return false;
	}

	if (conn->http.sized && length > conn->http.stream_left)
		length = (size_t)conn->http.stream_left;
	if (conn->http.sized)
		conn->http.stream_left -= length;
	if (length > 0)
		write_chunk(conn, bytes, length);
	if (conn_is_dropped(conn))
		return false;
	conn->http.writer_waits = conn->out.length > CONN_STREAM_BYTES;
	return !conn->http.writer_waits;
}

size_t http_stream_pending(const struct net *net, uint64_t number)
{
	const struct conn *conn = find_exchange(net, number, EXCHANGE_STREAM);
	return conn ? conn->out.length : 0;
}

void http_stream_end(struct net *net, uint64_t number)
{
	struct conn *conn = find_exchange(net, number, EXCHANGE_STREAM);
	if (!conn)
		return;
	if (conn->http.sized && conn->http.stream_left > 0) {
		http_stream_abort(net, number);
		return;
	}
	if (!conn->http.is_http10 && !conn->http.head_only && !conn->http.sized)
		write_stream(conn, "0\r\n\r\n", 5);
	else
		write_stream(conn, NULL, 0);
	finish_when_flushed(conn);
}

void http_stream_abort(struct net *net, uint64_t number)
{
	struct conn *conn = find_exchange(net, number, EXCHANGE_STREAM);
	if (!conn)
		return;
	write_stream(conn, NULL, 0);
	conn->http.exchange = EXCHANGE_NONE;
	/* Where the end of the connection ends the body, only a reset says that there is more. */
	if (conn->http.is_http10)
		(void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
				 sizeof(struct linger));
	conn_drop(conn);
}

bool http_format_refusal(struct buf *out, const struct http_fault *fault)
{
	char body[512];
	int length = snprintf(body, sizeof(body),
			      "{\"status\":\"error\",\"msg\":\"%s\",\"error\":{\"code\":\"%s\","
			      "\"message\":\"%s\"}}",
			      err_text(fault->err), err_name(fault->err), err_text(fault->err));
	if (length < 0 || (size_t)length >= sizeof(body))
		return false;

	const char *extra = fault->status == 405 ? "Allow: GET, HEAD, POST, OPTIONS\r\n"
			    : fault->status == 426
				    ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
			    : fault->status == 503 ? "Retry-After: 1\r\n"
						   : "";
	return !add_status(out, fault->status) &&
	       !buf_printf(out,
			   "%sContent-Type: application/json\r\nContent-Length: %d\r\n"
			   "Connection: close\r\n\r\n%s",
			   extra, length, body);
}

void http_write_refusal(struct conn *conn, const struct http_fault *fault)
{
	struct buf *head = &conn->net->head;
	head->length = 0;
	if (http_format_refusal(head, fault))
		conn_write(conn, buf_data(head), head->length, NULL, 0);
}
