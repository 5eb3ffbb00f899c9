/* edge: see edge.h. */
#include "server/edge.h"

#include "base/err.h"
#include "base/log.h"
#include "server/endpoint_ops.h"
#include "server/http/router.h"
#include "server/inference/inference.h"
#include "server/session/sessions.h"

static void on_request(void *ctx, const struct http_request *request)
{
	const struct edge *edge = ctx;
	router_on_request(edge->router, request);
}

static void on_head(void *ctx, const struct http_request *request, struct http_body_rule *rule)
{
	(void)ctx;
	router_on_head(request, rule);
}

static void on_body(void *ctx, uint64_t conn, const char *bytes, size_t length)
{
	const struct edge *edge = ctx;
	inference_body(edge->inference, conn, bytes, length);
}

static void on_body_end(void *ctx, uint64_t conn)
{
	const struct edge *edge = ctx;
	inference_body_end(edge->inference, conn);
}

static void on_writable(void *ctx, uint64_t conn)
{
	const struct edge *edge = ctx;
	inference_writable(edge->inference, conn);
}

static void on_gone(void *ctx, uint64_t conn)
{
	const struct edge *edge = ctx;
	if (!inference_gone(edge->inference, conn))
		endpoints_gone(edge->endpoints, conn);
}

static void on_delivered(void *ctx, uint64_t conn)
{
	const struct edge *edge = ctx;
	endpoints_delivered(edge->endpoints, conn);
}

static void on_session(void *ctx, uint64_t conn, const struct net_peer *peer)
{
	const struct edge *edge = ctx;
	greeting_open(&edge->sessions->greeting, conn, peer);
}

static void on_message(void *ctx, uint64_t conn, const char *text, size_t length)
{
	const struct edge *edge = ctx;
	sessions_on_message(edge->sessions, conn, text, length);
}

/* Only what the session said before tells an end from a loss. */
static void on_closed(void *ctx, uint64_t conn, bool clean)
{
	const struct edge *edge = ctx;
	(void)clean;
	endpoints_gone(edge->endpoints, conn);
}

/* One log line; it says whose fault it was. */
static void on_protocol_error(void *ctx, uint64_t conn, int err, const char *what)
{
	const struct edge *edge = ctx;
	log_event(edge->log, LOG_WARN, "client bug", log_int("conn", (int64_t)conn),
		  log_str("error", err_name(err)), log_str("what", what));
}

const struct net_handlers edge_handlers = {
	.on_request = on_request,
	.on_gone = on_gone,
	.on_delivered = on_delivered,
	.on_session = on_session,
	.on_message = on_message,
	.on_closed = on_closed,
	.on_protocol_error = on_protocol_error,
	.on_head = on_head,
	.on_body = on_body,
	.on_body_end = on_body_end,
	.on_writable = on_writable,
};
