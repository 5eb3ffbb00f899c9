/* proxy_socket: a WebSocket of a server's pages: the handshake is made anew with the client's own
 * key, and once the server has taken it both connections are bytes. They are no work: a page keeps
 * its socket for as long as it is open. */
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "gateway/gateway_impl.h"
#include "gateway/handshake.h"
#include "gateway/model.h"
#include "gateway/proxied.h"
#include "gateway/proxy_impl.h"
#include "net/http_reply.h"
#include "net/loop.h"
#include "net/tunnel.h"
#include "net/upstream.h"

enum { CONNECT_MS = 5000, ANSWER_MS = 30 * 1000 };

/* The request as it goes to the server. */
static void write_handshake(const struct proxied *p, struct text *out)
{
	const char *at = p->fields, *end = at + p->fields_size;

	text_format(out,
		    "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"
		    "Upgrade: websocket\r\n",
		    p->target, p->host);
	while (at < end) {
		const char *value = at + strlen(at) + 1;
		text_format(out, "%s: %s\r\n", at, value);
		at = value + strlen(value) + 1;
	}
	text_str(out, "\r\n");
}

/* What the server says instead is passed on as its status alone: pages see no more of it. */
static void not_taken(struct proxied *p, int status)
{
	struct proxy *proxy = p->proxy;
	uint64_t conn = p->conn;

	p->status = status;
	proxied_forget_client(p);
	http_reply(proxy->net, conn, status, NULL, 0, "", 0);
	proxied_end(p, "refused");
}

static void begin_tunnel(struct proxied *p, int status, size_t head_length)
{
	const char *head = buf_data(&p->head);

	p->status = status;
	p->due = MONO_NEVER;
	if (http_accept_tunnel(p->proxy->net, p->conn, head, head_length) != 0) {
		proxied_end(p, "left");
		return;
	}
	p->tunnelled = true;
	if (p->head.length > head_length)
		tunnel_write(p->proxy->net, p->conn, head + head_length,
			     p->head.length - head_length);
	buf_finish(&p->head);
}

static void take_head(struct proxied *p, const char *bytes, size_t length)
{
	size_t head_length = 0;
	int status = -1;

	if (buf_append(&p->head, bytes, length) == 0)
		status = handshake_read(buf_data(&p->head), p->head.length, &head_length);
	if (status < 0)
		proxied_fail(p, ERR_UPSTREAM_BROKEN,
			     "The server's answer is too long, or malformed.", 0);
	else if (status == 101)
		begin_tunnel(p, status, head_length);
	else if (status > 0)
		not_taken(p, status < 200 ? 502 : status);
}

static void on_bytes(void *ctx, uint64_t request, const char *bytes, size_t length)
{
	struct proxied *p = ctx;

	if (!p->tunnelled)
		take_head(p, bytes, length);
	else if (p->conn && !tunnel_write(p->proxy->net, p->conn, bytes, length))
		upstream_pause(p->gateway->pages_upstream, request, true);
}

static void on_writable(void *ctx, uint64_t request)
{
	struct proxied *p = ctx;
	(void)request;

	if (p->conn)
		tunnel_pause(p->proxy->net, p->conn, false);
}

static void on_end(void *ctx, uint64_t request, const struct upstream_end *end)
{
	struct proxied *p = ctx;
	const struct model_server *server = p->model->server;
	cleanup_text struct text words = {0};
	(void)request;

	p->request = 0;
	if (p->tunnelled) {
		struct proxy *proxy = p->proxy;
		uint64_t conn = p->conn;
		proxied_forget_client(p);
		tunnel_end(proxy->net, conn);
		proxied_end(p, "ok");
		return;
	}
	text_format(&words, "Nothing answers at %s.", server->url);
	proxied_fail(p, end->err ? end->err : ERR_UPSTREAM_BROKEN, words.bytes, 0);
	if (end->nobody)
		residence_server_gone(server, loop_now());
}

static const struct upstream_handlers handlers = {NULL, on_bytes, on_writable, on_end};

void proxied_open_socket(struct proxied *p)
{
	cleanup_text struct text handshake = {0};
	const struct upstream_request request = {
		.url = p->model->server->url, .raw = true, .connect_time_ms = CONNECT_MS};
	int rc;

	p->stage = PROXIED_FORWARDED;
	p->due = mono_after(loop_now(), ANSWER_MS);
	rc = upstream_start(p->gateway->pages_upstream, &request, &handlers, p, &p->request);
	if (rc != 0) {
		proxied_fail(p, -rc, err_text(rc), 0);
		return;
	}
	write_handshake(p, &handshake);
	upstream_write(p->gateway->pages_upstream, p->request, handshake.bytes, handshake.length);
}
