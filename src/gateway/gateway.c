/* gateway: creation, ticks, lists of models, and the parts joined: what happens to a model is told
 * to the requests that wait for it. */
#include "gateway/gateway.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "gateway/adapter.h"
#include "gateway/bridge_worker.h"
#include "gateway/gateway_impl.h"
#include "gateway/lease_port.h"
#include "gateway/model.h"
#include "gateway/proxy.h"
#include "gateway/proxy_impl.h"
#include "gateway/relay.h"
#include "gateway/relay_impl.h"
#include "gateway/wait_words.h"
#include "net/loop.h"
#include "net/upstream.h"
#include "wire/sight.h"

enum { REQUESTS_MAX = 1024, PAGES_MAX = 1024 };

void gateway_defaults(struct gateway_options *ret_options)
{
	*ret_options = (struct gateway_options){
		.settle_ms_max = 90 * 1000,
		.body_bytes_max = (uint64_t)64 << 20,
		.body_bytes_total = (uint64_t)256 << 20,
	};
}

const char *relay_client(const struct relay *relay)
{
	return relay->name[0] ? relay->name : relay->principal;
}

const char *relay_public_name(const struct relay *relay)
{
	return relay->name[0] ? relay->name : sight_public_name(relay->principal);
}

/* At the end of the iteration: what follows from a change may end requests, and whoever told of it
 * may be walking over them. */
static void flush_changes(void *ctx)
{
	struct gateway *gateway = ctx;

	gateway->flush_deferred = false;
	if (gateway->destroyed) {
		free(gateway);
		return;
	}
	if (gateway->workers_changed) {
		gateway->workers_changed = false;
		relay_worker_changed(gateway);
	}

	catalog_servers(server, &gateway->catalog)
	{
		server_models(model, server)
		{
			if (!model->changed)
				continue;
			model->changed = false;
			if (server->adapter->turns)
				proxied_model_changed(gateway, model);
			else
				relay_model_changed(gateway, model);
			residence_told(&gateway->residences, model);
		}
	}
	gateway_forget_removed(gateway);
}

void gateway_look_later(struct gateway *gateway)
{
	if (gateway->flush_deferred)
		return;
	gateway->flush_deferred = true;
	loop_defer(gateway->loop, flush_changes, gateway);
}

static void on_model(void *ctx, struct model *model)
{
	model->changed = true;
	gateway_look_later(ctx);
}

static void on_worker(void *ctx)
{
	struct gateway *gateway = ctx;

	gateway->workers_changed = true;
	gateway_look_later(gateway);
}

static void on_worker_leave(void *ctx, const struct model_server *server)
{
	relay_worker_left(ctx, server);
}

/* Lists have come: those who asked for what was not known are answered. */
static void on_lists(void *ctx)
{
	struct gateway *gateway = ctx;
	struct mono_ms now = loop_now();

	if (catalog_pending(&gateway->catalog))
		return;
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		if (relay->stage == RELAY_RESOLVING)
			relay_resolve(gateway, relay, now);
	}
}

static bool is_wanted(void *ctx, const struct model *model)
{
	const struct gateway *gateway = ctx;

	list_each (it, next, &gateway->relays) {
		const struct relay *relay = container_of(it, struct relay, link);
		if (relay->model == model)
			return true;
	}
	return false;
}

int gateway_create(struct loop *loop, struct net *net, const struct lease_port *port,
		   const struct process_port *processes, struct log *log,
		   const struct gateway_options *options, struct gateway **ret_gateway)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));
	int rc;

	if (!gateway)
		return -ERR_NO_MEMORY;

	gateway->loop = loop;
	gateway->net = net;
	gateway->port = port;
	gateway->log = log;
	gateway->options = *options;
	gateway->party_next = LEASE_PARTY_FIRST;
	hash_init(&gateway->by_conn);
	list_init(&gateway->relays);
	proxies_init(gateway, options->held_dir);
	rc = upstream_create(loop, REQUESTS_MAX, &gateway->upstream);
	if (rc == 0)
		rc = upstream_create(loop, PAGES_MAX, &gateway->pages_upstream);
	if (rc != 0) {
		upstream_destroy(gateway->upstream);
		held_finish(&gateway->held);
		free(gateway);
		return rc;
	}

	catalog_init(&gateway->catalog, gateway->upstream, on_lists, gateway);
	gateway->catalog.residences = &gateway->residences;
	gateway->residences = (struct residences){
		.catalog = &gateway->catalog,
		.port = port,
		.processes = processes,
		.log = log,
		.switches = &gateway->switches,
		.process_next = 1,
		.party_next = LEASE_PARTY_FIRST + 1,
		.finish_ms = options->finish_ms,
		.load_ms_max = options->load_ms_max,
		.unload_ms_max = options->unload_ms_max,
		.started = loop_now(),
		.on_change = on_model,
		.is_wanted = is_wanted,
		.ctx = gateway,
	};
	list_init(&gateway->residences.kept);
	gateway->workers = (struct workers){
		.net = net,
		.log = log,
		.catalog = &gateway->catalog,
		.stop_ms_max = options->settle_ms_max,
		.on_change = on_worker,
		.on_leave = on_worker_leave,
		.ctx = gateway,
	};
	workers_init(&gateway->workers);
	gateway->stored_requests = (struct stored_requests){.net = net,
							    .upstream = gateway->upstream,
							    .log = log,
							    .catalog = &gateway->catalog};
	stored_requests_init(&gateway->stored_requests);
	for (unsigned i = 0; i < options->server_count; i++)
		catalog_add(&gateway->catalog, &options->servers[i]);
	catalog_refresh(&gateway->catalog, loop_now()); /* who asks for the list first gets it */
	*ret_gateway = gateway;
	return 0;
}

void gateway_drain(struct gateway *gateway)
{
	gateway->draining = true;
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		relay->party = relay->turn = 0;
		if (relay->stage == RELAY_SETTLING)
			relay_stop_settling(gateway, relay);
		else
			relay_fail(gateway, relay, ERR_DRAINING, err_text(ERR_DRAINING), 0);
	}
	stored_requests_end(&gateway->stored_requests, NULL, ERR_DRAINING, err_text(ERR_DRAINING));
	proxies_drain(gateway);
}

bool gateway_is_stopping(const struct gateway *gateway)
{
	list_each (it, next, &gateway->relays)
		if (container_of(it, struct relay, link)->stopping)
			return true;
	return false;
}

void gateway_destroy(struct gateway *gateway)
{
	if (!gateway)
		return;

	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		relay->party = relay->turn = 0; /* nobody grants any more */
		relay_abandon(gateway, relay, "stopped");
	}
	stored_requests_finish(&gateway->stored_requests);
	proxies_finish(gateway);
	workers_finish(&gateway->workers);
	residences_finish(&gateway->residences);
	catalog_finish(&gateway->catalog);
	upstream_destroy(gateway->upstream);
	upstream_destroy(gateway->pages_upstream);
	hash_finish(&gateway->by_conn);
	gateway->destroyed = true;
	if (!gateway->flush_deferred)
		free(gateway);
}

int gateway_worker_open(struct gateway *gateway, uint64_t conn, const char *principal,
			const struct worker_message *hello)
{
	return worker_open(&gateway->workers, conn, principal, hello);
}

int gateway_worker_open_bridge(struct gateway *gateway, uint64_t conn, const char *principal,
			       bool embeds, const char *model, uint32_t gpus)
{
	return worker_open_bridge(&gateway->workers, conn, principal, embeds, model, gpus);
}

void gateway_worker_said(struct gateway *gateway, uint64_t conn, const char *text, size_t length)
{
	worker_say(&gateway->workers, conn, text, length);
}

void gateway_worker_gone(struct gateway *gateway, uint64_t conn)
{
	worker_gone(&gateway->workers, conn);
}

void gateway_lease_news(struct gateway *gateway, uint64_t party, const struct send_effect *send)
{
	struct relay *relay;
	struct proxied *proxied;

	if (residence_news(&gateway->residences, party, send, loop_now()))
		return;
	relay = relay_of_party(gateway, party);
	if (relay)
		relay_news(gateway, relay, send);
	proxied = relay ? NULL : proxied_of_party(gateway, party);
	if (proxied)
		proxied_news(proxied, send);
}

void gateway_resume_held(struct gateway *gateway)
{
	proxies_resume(gateway);
}

void gateway_resume(struct gateway *gateway, const struct lease_kept *kept)
{
	catalog_servers(it, &gateway->catalog)
	{
		if (it->configured && it->on_gpu && !strcmp(it->name, kept->name) &&
		    residence_resume(&gateway->residences, it, kept, loop_now()))
			return;
	}
	log_event(gateway->log, LOG_WARN,
		  "a model's server is not in the configuration any more; its memory is kept for a "
		  "while, and nobody unloads it",
		  log_str("model", kept->label), log_str("server", kept->name),
		  log_int("lease", (int64_t)kept->lease));
}

void gateway_process_ended(struct gateway *gateway, uint64_t process, int status)
{
	residence_process_ended(&gateway->residences, process, status, loop_now());
	gateway_look_later(gateway);
}

static void patience_is_over(struct gateway *gateway, struct relay *relay)
{
	cleanup_text struct text words = {0};
	int err = wait_words_over(gateway->port, wait_words_claim(relay), relay->principal, &words);

	text_str(&words, relay->streams ? "Try again."
					: "Try again, or ask for a stream, which may wait longer.");
	relay_fail(gateway, relay, err, words.bytes, 0);
}

static void wait_is_over(struct gateway *gateway, struct relay *relay)
{
	if (relay->stage == RELAY_SETTLING)
		relay_stop_settling(gateway, relay);
	else if (relay->answered)
		relay_fail(gateway, relay, ERR_UPSTREAM_SLOW, err_text(ERR_UPSTREAM_SLOW), 0);
	else
		patience_is_over(gateway, relay);
}

static void look_again(struct gateway *gateway, struct relay *relay, struct mono_ms now)
{
	relay->look_at = MONO_NEVER;
	if (relay->stage == RELAY_SETTLING)
		relay_look(relay);
	else if (relay->stage == RELAY_TURN)
		relay_join_late(gateway, relay, now);
}

static void tick_relay(struct gateway *gateway, struct relay *relay, struct mono_ms now)
{
	if (mono_due(relay->due, now))
		wait_is_over(gateway, relay);
	else if (mono_due(relay->look_at, now))
		look_again(gateway, relay, now);
	else if (mono_due(relay->alive_at, now))
		relay_keep_alive(gateway, relay, now);
}

void gateway_tick(struct gateway *gateway, struct mono_ms now)
{
	residence_tick(&gateway->residences, now);
	workers_tick(&gateway->workers, now);
	list_each (it, next, &gateway->relays)
		tick_relay(gateway, container_of(it, struct relay, link), now);
	proxies_tick(gateway, now);
}

struct mono_ms gateway_next(const struct gateway *gateway)
{
	struct mono_ms next =
		mono_min(residence_next(&gateway->residences), workers_next(&gateway->workers));

	next = mono_min(next, proxies_next(gateway));

	list_each (it, following, &gateway->relays) {
		const struct relay *relay = container_of(it, struct relay, link);
		next = mono_min(next,
				mono_min(relay->due, mono_min(relay->look_at, relay->alive_at)));
	}
	return next;
}
