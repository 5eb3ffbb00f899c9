/* proxy_receive: a request for the pages of a server, from its head on: whether it may, whether it
 * takes a turn, and its body: passed on, stopped until the turn is there, or put on the disk. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/log.h"
#include "gateway/adapter.h"
#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/proxied.h"
#include "gateway/proxy_impl.h"
#include "net/http.h"
#include "net/http_receive.h"
#include "net/loop.h"
#include "net/tunnel.h"
#include "net/upstream.h"

static bool field_goes_on(const struct http_hop_names *hops, const struct http_field *field)
{
	static const char *const kept_back[] = {"connection", "keep-alive", "proxy-connection",
						"te",         "trailer",    "transfer-encoding",
						"upgrade",    "host",       "content-length",
						"expect",     NULL};

	return !http_field_is_any(field, kept_back) && !http_is_hop(hops, field);
}

static void keep_fields(struct proxied *p, const struct http_request *request)
{
	const struct http_hop_names hops = http_hop_names(request->fields);
	struct http_field_iterator all = request->fields;
	struct http_field field;
	struct buf kept = {0};

	while (http_field_next(&all, &field)) {
		if (!field_goes_on(&hops, &field))
			continue;
		if (buf_append(&kept, field.name, field.name_length) || buf_append(&kept, "", 1) ||
		    buf_append(&kept, field.value, field.value_length) || buf_append(&kept, "", 1))
			abort();
	}
	p->fields_size = kept.length;
	p->fields = kept.bytes;
}

/* An Origin and a User-Agent: as near as one comes to a browser, whose tabs share its sockets. */
static uint64_t browser_of(const struct http_request *request)
{
	const char *agent = request->user_agent ? request->user_agent : "";

	return request->origin ? hash_bytes(1, agent, strlen(agent)) | 1 : 0;
}

static char *join_target(const struct http_request *request)
{
	size_t size = strlen(request->path) + 1 + strlen(request->query) + 1;
	char *target = malloc(size);

	if (!target)
		abort();
	snprintf(target, size, "%s%s%s", request->path, request->query[0] ? "?" : "",
		 request->query);
	return target;
}

static enum lease_class class_of(const struct model_server *server, const char *method,
				 const char *path)
{
	const char *const *turn = server->adapter->turns;

	for (unsigned i = 0; i < server->rule_count; i++)
		if (turn_rule_matches(server->rules[i].match, method, path))
			return server->rules[i].cls;
	for (; *turn; turn++)
		if (turn_rule_matches(*turn, method, path))
			return LEASE_NORMAL;
	return LEASE_CLASS_COUNT;
}

/* What people see of it in the queue. */
static void name_work(struct proxied *p, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (p->held)
		snprintf(p->label, sizeof(p->label), "prompt %llu",
			 (unsigned long long)p->held->number);
	else
		snprintf(p->label, sizeof(p->label), "%.31s", slash && slash[1] ? slash + 1 : path);
}

static bool is_start(const struct http_request *request, const struct model_server *server)
{
	return server->cmd && server->on_gpu && !strcmp(request->method, "POST") &&
	       !strcmp(request->path, PROXY_START_PATH);
}

static struct proxied *open_proxied(struct proxy *proxy, const struct http_request *request,
				    struct model *model)
{
	struct proxied *p = proxied_create(proxy->gateway, model);
	const char *method = request->websocket ? "WEBSOCKET" : request->method;
	enum lease_class cls = class_of(model->server, method, request->path);

	p->proxy = proxy;
	p->conn = request->conn;
	snprintf(p->method, sizeof(p->method), "%s", request->method);
	p->target = join_target(request);
	p->host = strdup(request->host);
	if (!p->host)
		abort();
	keep_fields(p, request);
	p->body_bytes = request->body_bytes;
	p->has_body = request->streamed;
	p->websocket = request->websocket;
	p->starts = is_start(request, model->server);
	p->wants_html = (p->starts || !strcmp(request->method, "GET")) && request->accept &&
			strstr(request->accept, "text/html");
	p->takes_turn = !p->starts && cls != LEASE_CLASS_COUNT && model->server->on_gpu;
	p->cls = p->takes_turn ? cls : LEASE_NORMAL;
	p->from_disk = p->takes_turn && model->server->adapter->queues_prompts && p->has_body;
	p->browser = browser_of(request);
	hash_add(&proxy->by_conn, &p->by_conn, hash_u64(p->conn));
	return p;
}

/* An unlock needs a socket: a browser has six for all its tabs. */
static bool is_one_too_many(const struct proxied *asked)
{
	unsigned count = 0;

	if (!asked->browser)
		return false;
	list_each (it, next, &asked->gateway->proxied) {
		const struct proxied *p = container_of(it, struct proxied, link);
		count += p->conn && p->takes_turn && !p->websocket && p->proxy == asked->proxy &&
			 p->browser == asked->browser;
	}
	return count > LIMIT_WAITING_PER_BROWSER;
}

static void fail_held(struct proxied *p, int rc)
{
	char words[200];

	if (rc == -ERR_TOO_LARGE)
		snprintf(words, sizeof(words), "The prompt is larger than the limit.");
	else if (rc == -ERR_QUEUE_FULL)
		snprintf(words, sizeof(words),
			 "The prompts that wait for their turn fill the room there is for them; "
			 "try again later.");
	else
		snprintf(words, sizeof(words), "The prompt cannot be kept on the disk: %s.",
			 strerror(errno));
	proxied_fail(p, -rc, words, 0);
}

/* A version 4 UUID, as ComfyUI draws them. Without one it cannot be asked for. */
static void draw_id(struct proxied *p)
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), GRND_NONBLOCK) != sizeof(b))
		return;
	snprintf(p->id, sizeof(p->id),
		 "%02x%02x%02x%02x-%02x%02x-4%x%02x-%x%x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6] & 15, b[7], 8 | (b[8] & 3), b[8] >> 4, b[9], b[10],
		 b[11], b[12], b[13], b[14], b[15]);
}

static void begin_turn(struct proxied *p, const char *path)
{
	struct held_head head;
	int rc;

	if (is_one_too_many(p)) {
		proxied_fail(p, ERR_TOO_MANY_WAITING, err_text(ERR_TOO_MANY_WAITING), 0);
		return;
	}
	if (p->from_disk) {
		if (proxied_is_prompt(p))
			draw_id(p);
		proxied_head(p, &head);
		rc = held_begin(&p->gateway->held, &head, &p->held);
		if (rc != 0) {
			fail_held(p, rc);
			return;
		}
		name_work(p, path);
		return; /* once it is complete */
	}

	name_work(p, path);
	if (p->has_body) {
		p->body_paused = true;
		http_pause_body(p->proxy->net, p->conn, true);
	}
	proxied_want_model(p, loop_now());
}

static int judge_request(const struct proxy *proxy, const struct http_request *request)
{
	char mode[32] = "", dest[32] = "";
	struct proxy_facts facts = {
		.method = request->method,
		.path = request->path,
		.host = request->host,
		.origin = request->origin,
		.fetch_site = request->sec_fetch_site,
	};

	if (http_field_text(request->fields, "sec-fetch-mode", mode, sizeof(mode)))
		facts.fetch_mode = mode;
	if (http_field_text(request->fields, "sec-fetch-dest", dest, sizeof(dest)))
		facts.fetch_dest = dest;
	return -proxy_gate(&proxy->hosts, &facts);
}

static void on_request(void *ctx, const struct http_request *request)
{
	struct proxy *proxy = ctx;
	struct model *model = proxy_model(proxy->gateway, proxy->server);
	struct proxied *p;
	int err = judge_request(proxy, request);

	if (!err && request->path[0] != '/') /* OPTIONS *: nobody's */
		err = ERR_NOT_FOUND;
	if (!err && proxy->gateway->draining)
		err = ERR_DRAINING;
	if (!err && (!model || proxy->close_at.v != MONO_NEVER.v))
		err = ERR_NOT_FOUND;
	if (err) {
		proxy_refuse(proxy, request, err, err_text(err));
		return;
	}

	p = open_proxied(proxy, request, model);
	if (p->takes_turn)
		begin_turn(p, request->path);
	else if (p->starts)
		proxied_want_model(p, loop_now());
	else if (p->websocket)
		proxied_open_socket(p);
	else
		proxied_forward(p);
}

static void on_head(void *ctx, const struct http_request *request, struct http_body_rule *rule)
{
	(void)ctx, (void)request;
	*rule = (struct http_body_rule){.streamed = true, .bytes_max = UINT64_MAX};
}

static void on_body(void *ctx, uint64_t conn, const char *bytes, size_t length)
{
	struct proxied *p = proxied_of(ctx, conn);
	int rc;

	if (!p)
		return;
	if (p->held && p->stage == PROXIED_RECEIVING) {
		rc = held_write(p->held, bytes, length);
		if (rc != 0)
			fail_held(p, rc);
		return;
	}
	if (upstream_write(p->gateway->pages_upstream, p->request, bytes, length))
		return;
	if (p->tunnelled) {
		tunnel_pause(p->proxy->net, conn, true);
	} else if (p->request) {
		p->body_paused = true;
		http_pause_body(p->proxy->net, conn, true);
	}
}

static void on_body_end(void *ctx, uint64_t conn)
{
	struct proxied *p = proxied_of(ctx, conn);
	int rc;

	if (!p)
		return;
	if (!p->held || p->stage != PROXIED_RECEIVING) {
		upstream_write_end(p->gateway->pages_upstream, p->request);
		return;
	}
	rc = held_end(p->held);
	if (rc != 0)
		fail_held(p, rc);
	else
		proxied_want_model(p, loop_now());
}

static void on_writable(void *ctx, uint64_t conn)
{
	struct proxied *p = proxied_of(ctx, conn);

	if (p)
		upstream_pause(p->gateway->pages_upstream, p->request, false);
}

static void on_gone(void *ctx, uint64_t conn)
{
	struct proxied *p = proxied_of(ctx, conn);

	if (p)
		proxied_abandon(p, "left");
}

static void on_delivered(void *ctx, uint64_t conn)
{
	(void)ctx, (void)conn;
}

static void on_session(void *ctx, uint64_t conn, const struct net_peer *peer)
{
	(void)ctx, (void)conn, (void)peer;
}

static void on_message(void *ctx, uint64_t conn, const char *text, size_t length)
{
	(void)ctx, (void)conn, (void)text, (void)length;
}

static void on_closed(void *ctx, uint64_t conn, bool clean)
{
	(void)ctx, (void)conn, (void)clean;
}

static void on_protocol_error(void *ctx, uint64_t conn, int err, const char *what)
{
	const struct proxy *proxy = ctx;

	log_event(proxy->gateway->log, LOG_WARN, "client bug", log_str("server", proxy->server),
		  log_int("conn", (int64_t)conn), log_str("error", err_name(err)),
		  log_str("what", what));
}

const struct net_handlers proxy_handlers = {
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
