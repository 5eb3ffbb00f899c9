/* http: the server side of HTTP on a connection: one request at a time, answered in order;
 * pipelined requests wait unparsed. Streamed bodies continue in http_receive.c, responses are in
 * http_reply.c. Knows no routes. */
#include "net/http.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "http/fault.h"
#include "net/http_receive.h"
#include "net/http_reply.h"
#include "net/net_impl.h"

static int64_t announced_bytes(const struct http_request_parser *parser)
{
	if (parser->phase == HTTP_DONE)
		return parser->body_length;
	return parser->body.phase == HTTP_BODY_BY_LENGTH ? (int64_t)parser->body.left : -1;
}

/* What the head says; good until the request is answered. */
static void fill_head(struct conn *conn, const char *bytes, struct http_request *ret)
{
	const struct http_request_parser *p = &conn->http.parser;
	*ret = (struct http_request){
		.method = bytes,
		.path = bytes + p->path,
		.query = bytes + p->query,
		.host = http_request_value(p, bytes, HTTP_HOST),
		.origin = http_request_value(p, bytes, HTTP_ORIGIN),
		.authorization = http_request_value(p, bytes, HTTP_AUTHORIZATION),
		.content_type = http_request_value(p, bytes, HTTP_CONTENT_TYPE),
		.accept = http_request_value(p, bytes, HTTP_ACCEPT),
		.cookie = http_request_value(p, bytes, HTTP_COOKIE),
		.user_agent = http_request_value(p, bytes, HTTP_USER_AGENT),
		.sec_fetch_site = http_request_value(p, bytes, HTTP_SEC_FETCH_SITE),
		.last_event_id = http_request_value(p, bytes, HTTP_LAST_EVENT_ID),
		.if_none_match = http_request_value(p, bytes, HTTP_IF_NONE_MATCH),
		.accept_encoding = http_request_value(p, bytes, HTTP_ACCEPT_ENCODING),
		.range = http_request_value(p, bytes, HTTP_RANGE),
		.if_range = http_request_value(p, bytes, HTTP_IF_RANGE),
		.access_control_request_method = http_request_value(p, bytes, HTTP_REQUEST_METHOD),
		.access_control_request_headers =
			http_request_value(p, bytes, HTTP_REQUEST_HEADERS),
		.api_key = http_request_value(p, bytes, HTTP_API_KEY),
		.fields = http_request_fields(p, bytes),
		.peer = conn->peer,
		.websocket = p->websocket,
	};
}

static void fill_body(struct conn *conn, const char *bytes, struct http_request *request)
{
	const struct http_request_parser *p = &conn->http.parser;
	request->body = p->phase == HTTP_DONE ? bytes + p->body_start : "";
	request->body_length = p->body_length;
	request->streamed = p->phase != HTTP_DONE;
	request->body_bytes = announced_bytes(p);
}

/* Whether the limit exceeded when this connection was accepted is still exceeded. The limit per
 * process applies for the connection's lifetime. */
static bool is_reserved_now(const struct conn *conn)
{
	const struct net_options *options = &conn->net->options;

	return conn->peer.crowded ||
	       (conn->reserved &&
		conn->net->count > options->connections_max - options->connections_reserved_max);
}

/* Copies what the response will need and resets the parser: on_request may answer, and thereby end,
 * the request. */
static void begin_exchange(struct conn *conn, const char *bytes, const struct http_request *request)
{
	struct http_conn *http = &conn->http;
	http->keep_alive = !http->parser.close && !request->reserved;
	http->head_only = strcmp(request->method, "HEAD") == 0;
	http->is_http10 = http->parser.is_http10;
	http->websocket = request->websocket;
	if (request->websocket)
		(void)snprintf(http->ws_key, sizeof(http->ws_key), "%s",
			       http_request_value(&http->parser, bytes, HTTP_WS_KEY));

	http->receiving = request->streamed;
	http->body = http->parser.body;
	http->expects_continue = http->parser.expect_continue;
	http->continue_sent = http->held = http->writer_waits = http->sized = false;

	http->exchange = EXCHANGE_OPEN;
	http->parser = (struct http_request_parser){0};
}

static size_t dispatch_request(struct conn *conn, char *bytes, size_t length,
			       struct http_request *request)
{
	size_t total = conn->http.parser.total;
	assert(total <= length);

	conn_deadline(conn, DEADLINE_NONE);
	conn->id = net_number(conn->net, conn);
	request->conn = conn->id;
	request->reserved = is_reserved_now(conn);
	fill_body(conn, bytes, request);
	begin_exchange(conn, bytes, request);

	char behind = bytes[total];
	bytes[total] = '\0';
	conn->net->handlers.on_request(conn->net->ctx, request);
	bytes[total] = behind;
	if (conn_is_dropped(conn))
		return 0;

	length -= total;
	if (length > 0)
		memmove(bytes, bytes + total, length);
	return conn->http.receiving ? http_receive(conn, bytes, length) : length;
}

/* Whether the route wants the body in pieces; otherwise sets its size limit. A body whose announced
 * length exceeds it is left to the parser, which refuses it. */
static bool wants_pieces(struct conn *conn, const char *bytes, struct http_request *request)
{
	const struct net_handlers *handlers = &conn->net->handlers;
	struct http_body *body = &conn->http.parser.body;
	struct http_body_rule rule = {.bytes_max = LIMIT_BODY_BYTES};

	if (!handlers->on_head || (body->phase == HTTP_BODY_BY_LENGTH && body->left == 0))
		return false;

	request->reserved = is_reserved_now(conn);
	fill_body(conn, bytes, request);
	handlers->on_head(conn->net->ctx, request, &rule);

	body->bytes_max = rule.bytes_max;
	if (!rule.streamed && body->bytes_max > LIMIT_COLLECT_BYTES)
		body->bytes_max = LIMIT_COLLECT_BYTES;
	return rule.streamed && body->left <= body->bytes_max;
}

static void wait_for_more(struct conn *conn)
{
	struct http_conn *http = &conn->http;
	bool head = http->parser.phase <= HTTP_FIELDS;

	conn_deadline(conn, head ? DEADLINE_HEADER : DEADLINE_BODY);
	if (!head && http->parser.expect_continue && !http->continue_sent) {
		static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
		http->continue_sent = true;
		conn_write(conn, go_on, sizeof(go_on) - 1, NULL, 0);
	}
}

static size_t http_feed(struct conn *conn, char *bytes, size_t length)
{
	struct http_fault fault;
	struct http_request request;
	struct http_conn *http = &conn->http;

	if (http->receiving)
		return http_receive(conn, bytes, length);
	if (length == 0)
		return 0;
	if (http->exchange == EXCHANGE_FLUSH && !http->keep_alive)
		return 0; /* anything that follows is discarded */

	if (http->exchange != EXCHANGE_NONE) {
		if (length >= CONN_AHEAD_BYTES)
			conn_pause(conn, true);
		return length;
	}

	list_remove(&conn->idle);

	enum http_result result = http_request_parse(&http->parser, bytes, &length, &fault);
	if (result == HTTP_HEAD || result == HTTP_COMPLETE)
		fill_head(conn, bytes, &request);
	if (result == HTTP_HEAD && !wants_pieces(conn, bytes, &request))
		result = http_request_parse(&http->parser, bytes, &length, &fault);

	if (result == HTTP_COMPLETE || result == HTTP_HEAD)
		return dispatch_request(conn, bytes, length, &request);
	if (result == HTTP_REFUSED) {
		http_conn_refuse(conn, &fault);
		return 0;
	}
	wait_for_more(conn);
	return length;
}

void http_conn_refuse(struct conn *conn, const struct http_fault *fault)
{
	conn_reports(conn, fault->err, fault->what);
	http_write_refusal(conn, fault);
	conn_linger(conn);
}

static void http_eof(struct conn *conn)
{
	if (conn->http.exchange == EXCHANGE_FLUSH) {
		/* It may have shut down only its sending side, and the response is complete: let it
		 * read. */
		conn->half_closed = true;
		conn_stop_reading(conn);
		return;
	}
	conn_drop(conn);
}

static void http_flushed(struct conn *conn)
{
	struct http_conn *http = &conn->http;
	if (http->exchange == EXCHANGE_STREAM && http->writer_waits) {
		http->writer_waits = false;
		if (conn->net->handlers.on_writable)
			net_notify(conn->net, NOTICE_WRITABLE, conn->id, true);
	}

	if (http->exchange != EXCHANGE_FLUSH)
		return;
	net_notify(conn->net, NOTICE_DELIVERED, conn->id, true);
	http->exchange = EXCHANGE_NONE;
	conn->id = 0;
	if (http->keep_alive && !conn->half_closed) {
		conn_idles(conn);
		conn_pause(conn, false);
		conn_process_later(conn);
	} else {
		conn_linger(conn);
	}
}

static void http_expired(struct conn *conn, enum deadline_kind kind)
{
	const struct http_fault fault = {.status = 408,
					 .err = ERR_SLOW,
					 .what = kind == DEADLINE_HEADER ? "slow headers"
									 : "slow body"};

	if (conn->http.receiving)
		http_receive_refuse(conn, &fault);
	else
		http_conn_refuse(conn, &fault);
}

static void http_lost(struct conn *conn)
{
	http_forget_due_head(conn);
	if (conn->http.exchange != EXCHANGE_NONE)
		net_notify(conn->net, NOTICE_GONE, conn->id, false);
}

const struct conn_kind conn_http = {
	.feed = http_feed,
	.eof = http_eof,
	.flushed = http_flushed,
	.expired = http_expired,
	.lost = http_lost,
};
