/* proxy: the listeners of servers that people use by their pages: opened, taken, closed with the
 * configuration; and what was held by an earlier broker. Each has connections of its own, so that
 * no page takes those of the broker's clients. */
#include "gateway/proxy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "gateway/adapter.h"
#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/proxied.h"
#include "gateway/proxy_impl.h"
#include "net/listen.h"
#include "net/loop.h"
#include "net/net.h"

enum {
	CONNECTIONS_MAX = 256,
	PAUSE_MS = 60 * 1000, /* of a body or a reader, as of a page that stands still */
	CLOSE_MS = 1000,      /* for the last answers of one that was removed */
};

void proxies_init(struct gateway *gateway, const char *held_dir)
{
	list_init(&gateway->proxies);
	list_init(&gateway->proxied);
	held_init(&gateway->held, held_dir, gateway->options.body_bytes_max,
		  gateway->options.body_bytes_total);
}

/* ---- one listener ---- */

static void close_proxy(struct proxy *proxy)
{
	list_remove(&proxy->link);
	net_destroy(proxy->net);
	hash_finish(&proxy->by_conn);
	free(proxy->server);
	free(proxy->address);
	free(proxy);
}

static int open_proxy(struct gateway *gateway, const struct gateway_server_config *config,
		      char *detail, size_t size)
{
	const struct net_options options = {
		.connections_max = CONNECTIONS_MAX,
		.header_time_ms = LIMIT_HEADER_TIME_MS,
		.body_time_ms = PAUSE_MS,
		.write_time_ms = PAUSE_MS,
	};
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	int rc;

	if (!proxy)
		abort();
	proxy->gateway = gateway;
	proxy->server = text_dup(config->name);
	proxy->address = text_dup(config->listen);
	proxy->pending = true;
	proxy->close_at = MONO_NEVER;
	hash_init(&proxy->by_conn);
	list_init(&proxy->link);
	list_append(&gateway->proxies, &proxy->link);

	snprintf(detail, size, "%s: %s", config->listen, err_text(ERR_NO_MEMORY));
	rc = net_create(gateway->loop, &options, &proxy_handlers, proxy, &proxy->net);
	if (rc == 0)
		rc = net_listen_tcp(proxy->net, config->listen, &proxy->port, detail, size);
	if (rc != 0)
		close_proxy(proxy);
	else
		proxy_hosts_of(config->listen, proxy->port, &proxy->hosts);
	return rc;
}

static bool is_any_port(const char *address)
{
	return !strcmp(strrchr(address, ':'), ":0");
}

/* One with a port of its own may change hands; of the others each server has its own. */
static bool serves_address(const struct proxy *proxy, const struct gateway_server_config *config)
{
	return proxy->close_at.v == MONO_NEVER.v && !strcmp(proxy->address, config->listen) &&
	       (!is_any_port(config->listen) || !strcmp(proxy->server, config->name));
}

static struct proxy *proxy_for(const struct gateway *gateway,
			       const struct gateway_server_config *config)
{
	list_each (it, next, &gateway->proxies) {
		struct proxy *proxy = container_of(it, struct proxy, link);
		if (serves_address(proxy, config))
			return proxy;
	}
	return NULL;
}

/* ---- all of them ---- */

static void close_pending(struct gateway *gateway)
{
	list_each (it, next, &gateway->proxies) {
		struct proxy *proxy = container_of(it, struct proxy, link);
		if (proxy->pending)
			close_proxy(proxy);
	}
}

int proxies_listen(struct gateway *gateway, const struct gateway_server_config *servers,
		   unsigned count, unsigned *ret_failed, char *detail, size_t detail_size)
{
	for (unsigned i = 0; i < count; i++) {
		int rc = 0;

		if (servers[i].listen[0] && !proxy_for(gateway, &servers[i]))
			rc = open_proxy(gateway, &servers[i], detail, detail_size);
		if (rc != 0) {
			close_pending(gateway);
			*ret_failed = i;
			return rc;
		}
	}
	return 0;
}

/* Who comes by it, or waits there, is told; what its server has is that one's to finish. */
static void retire_proxy(struct proxy *proxy, struct mono_ms now)
{
	struct gateway *gateway = proxy->gateway;

	net_stop_listening(proxy->net);
	proxy->close_at = mono_after(now, CLOSE_MS);
	list_each (it, next, &gateway->proxied) {
		struct proxied *p = container_of(it, struct proxied, link);
		if (p->proxy != proxy)
			continue;
		if (p->stage == PROXIED_FORWARDED && p->takes_turn)
			proxied_abandon(p, "removed");
		else
			proxied_fail(p, ERR_NOT_FOUND, "Its server was removed.", 0);
	}
}

static const struct gateway_server_config *
config_of(const struct proxy *proxy, const struct gateway_server_config *servers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (servers[i].listen[0] && serves_address(proxy, &servers[i]))
			return &servers[i];
	return NULL;
}

void proxies_take(struct gateway *gateway, const struct gateway_server_config *servers,
		  unsigned count, struct mono_ms now)
{
	list_each (it, next, &gateway->proxies) {
		struct proxy *proxy = container_of(it, struct proxy, link);
		const struct gateway_server_config *config = config_of(proxy, servers, count);

		if (proxy->close_at.v != MONO_NEVER.v)
			continue;
		if (!config) {
			retire_proxy(proxy, now);
			continue;
		}
		if (proxy->pending || strcmp(proxy->server, config->name) != 0)
			log_event(gateway->log, LOG_INFO, "pages are served",
				  log_str("server", config->name),
				  log_str("url", proxy->hosts.v[0]));
		free(proxy->server);
		proxy->server = text_dup(config->name);
		proxy->pending = false;
	}
}

/* ---- requests ---- */

struct proxied *proxied_create(struct gateway *gateway, struct model *model)
{
	struct proxied *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	p->gateway = gateway;
	p->model = model;
	p->cls = LEASE_NORMAL;
	p->since = loop_now();
	p->granted = p->due = p->look_at = MONO_NEVER;
	list_init(&p->link);
	list_append(&gateway->proxied, &p->link);
	return p;
}

struct proxied *proxied_of(const struct proxy *proxy, uint64_t conn)
{
	for (struct hash_node *node = hash_first(&proxy->by_conn, hash_u64(conn)); node;
	     node = hash_next(node)) {
		struct proxied *p = container_of(node, struct proxied, by_conn);
		if (p->conn == conn)
			return p;
	}
	return NULL;
}

struct model *proxy_model(const struct gateway *gateway, const char *name)
{
	catalog_servers(server, &gateway->catalog)
	{
		if (server->configured && !server->removed && server->adapter->turns &&
		    !strcmp(server->name, name))
			return catalog_model(server, name);
	}
	return NULL;
}

bool proxied_is_prompt(const struct proxied *p)
{
	const struct adapter *adapter = p->model->server->adapter;
	const char *const *turn = adapter->turns;
	char path[64];

	snprintf(path, sizeof(path), "%.*s", (int)strcspn(p->target, "?"), p->target);
	for (; adapter->queues_prompts && *turn; turn++)
		if (turn_rule_matches(*turn, p->method, path))
			return true;
	return false;
}

void proxied_head(const struct proxied *p, struct held_head *ret_head)
{
	*ret_head = (struct held_head){
		.server = p->model->server->name,
		.target = p->target,
		.host = p->host,
		.cls = p->cls,
		.fields = p->fields ? p->fields : "",
		.fields_size = p->fields_size,
		.id = p->id,
		.prompt = p->prompt,
	};
}

static void take_held(void *ctx, const struct held_head *head, struct held *held)
{
	struct gateway *gateway = ctx;
	struct model *model = proxy_model(gateway, head->server);
	struct proxied *p;

	if (!model || !model->server->on_gpu) {
		log_event(gateway->log, LOG_WARN, "a prompt that was kept is for no server",
			  log_str("server", head->server));
		held_drop(held);
		return;
	}
	p = proxied_create(gateway, model);
	p->held = held;
	p->from_disk = p->takes_turn = p->has_body = true;
	p->cls = head->cls;
	snprintf(p->method, sizeof(p->method), "POST");
	snprintf(p->label, sizeof(p->label), "prompt %" PRIu64, held->number);
	snprintf(p->prompt, sizeof(p->prompt), "%s", head->prompt);
	if (strspn(head->id, "0123456789abcdef-") == strlen(head->id))
		snprintf(p->id, sizeof(p->id), "%s", head->id);
	p->kept = true;
	p->target = text_dup(head->target);
	p->host = text_dup(head->host);
	p->fields = malloc(head->fields_size + 1);
	if (!p->fields)
		abort();
	memcpy(p->fields, head->fields, head->fields_size);
	p->fields_size = head->fields_size;
	if (p->prompt[0])
		proxied_want_turn(p, p->since);
	else
		proxied_try_again(p, p->since);
}

static void tell_damaged(void *ctx, const char *path)
{
	const struct gateway *gateway = ctx;

	log_event(gateway->log, LOG_ERROR,
		  "a prompt that was kept cannot be read, and is not sent; remove its file",
		  log_str("file", path));
}

void proxies_resume(struct gateway *gateway)
{
	static const struct held_finder finder = {take_held, tell_damaged};

	held_load(&gateway->held, &finder, gateway);
}

/* Its file stays, for the next broker. */
static void leave_held(struct proxied *p)
{
	if (p->held && p->held->complete)
		p->held = NULL;
}

void proxies_drain(struct gateway *gateway)
{
	list_each (it, next, &gateway->proxies)
		net_stop_listening(container_of(it, struct proxy, link)->net);
	list_each (it, next, &gateway->proxied) {
		struct proxied *p = container_of(it, struct proxied, link);
		bool kept = p->held && p->held->complete;
		p->party = 0; /* nobody grants any more */
		if (p->stage == PROXIED_TURN || p->stage == PROXIED_MODEL)
			p->stage = PROXIED_RECEIVING;
		leave_held(p);
		if (!p->takes_turn && p->begun)
			continue; /* until the broker has ended */
		proxied_fail(p, ERR_DRAINING,
			     kept ? "The broker stops. It keeps this prompt, and sends it once it "
				    "is back; do not send it again."
				  : err_text(ERR_DRAINING),
			     0);
	}
}

void proxies_finish(struct gateway *gateway)
{
	list_each (it, next, &gateway->proxied) {
		struct proxied *p = container_of(it, struct proxied, link);
		p->party = 0;
		p->stage = PROXIED_RECEIVING;
		leave_held(p);
		proxied_end(p, "stopped");
	}
	list_each (it, next, &gateway->proxies)
		close_proxy(container_of(it, struct proxy, link));
	held_finish(&gateway->held);
}

void proxies_tick(struct gateway *gateway, struct mono_ms now)
{
	list_each (it, next, &gateway->proxied)
		proxied_tick(container_of(it, struct proxied, link), now);
	list_each (it, next, &gateway->proxies) {
		struct proxy *proxy = container_of(it, struct proxy, link);
		if (mono_due(proxy->close_at, now))
			close_proxy(proxy);
	}
}

struct mono_ms proxies_next(const struct gateway *gateway)
{
	struct mono_ms when = MONO_NEVER;

	list_each (it, next, &gateway->proxied) {
		const struct proxied *p = container_of(it, struct proxied, link);
		when = mono_min(when, mono_min(p->due, p->look_at));
	}
	list_each (it, next, &gateway->proxies)
		when = mono_min(when, container_of(it, struct proxy, link)->close_at);
	return when;
}

bool proxies_use(const struct gateway *gateway, const struct model_server *server)
{
	list_each (it, next, &gateway->proxied) {
		const struct proxied *p = container_of(it, struct proxied, link);
		if (p->model->server == server)
			return true;
	}
	return false;
}

void proxies_ask_anew(struct gateway *gateway, struct mono_ms now)
{
	list_each (it, next, &gateway->proxied) {
		struct proxied *p = container_of(it, struct proxied, link);
		const struct model *model = p->model;
		bool waits = p->stage == PROXIED_MODEL || p->stage == PROXIED_TURN ||
			     p->stage == PROXIED_PUT_OFF;

		if (!waits || p->prompt[0] ||
		    (model_is_offered(model) && !model->leaves && !model->server->moved))
			continue;
		struct model *other = proxy_model(gateway, model->server->name);
		proxied_leave_queue(p);
		if (!other || !other->server->on_gpu) {
			proxied_fail(p, ERR_NOT_FOUND, "Its server was removed.", 0);
			continue;
		}
		p->model = other;
		proxied_want_model(p, now);
	}
}
