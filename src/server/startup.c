/* startup: puts the parts together, in the order in which they can fail without harm: settings,
 * state folder, journal, core, endpoints. Called by serve.c. */
#include "server/startup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "config/paths.h"
#include "core/core.h"
#include "gpu/source.h"
#include "net/loop.h"
#include "server/addresses.h"
#include "server/endpoint_ops.h"
#include "server/monitor/event_feed.h"
#include "server/restore.h"
#include "server/server.h"
#include "server/taken.h"
#include "store/store.h"

static int read_settings(struct active_config *active, struct access_setup *access, int argc,
			 char **argv, char *detail, size_t size)
{
	struct settings *settings = &active->settings;
	int rc = options_parse(argc, argv, &active->options, detail, size);
	if (rc || active->options.help)
		return rc;
	settings_defaults(settings);
	rc = paths_find(&active->options, &active->paths, detail, size);
	if (!rc && active->paths.config[0])
		rc = settings_load(active->paths.config, settings, settings, detail, size);
	if (!rc)
		rc = options_apply(&active->options, settings, detail, size);
	if (!rc)
		rc = access_setup_read_keys(settings, &access->ring, detail, size);
	if (rc)
		return rc;

	return paths_socket(settings, detail, size);
}

/* The machine's own, unless the command line says what there is. */
static int find_gpus(struct gpu_sampler *gpus, struct active_config *active, char *detail,
		     size_t size)
{
	const struct options *options = &active->options;
	const struct gpu_paths paths = {.nvml = options->nvml,
					.sysfs = options->sysfs ? options->sysfs : "/sys",
					.procfs = options->procfs ? options->procfs : "/proc"};

	gpu_sampler_find(gpus, &paths, active->paths.state_dir, &active->settings);
	return settings_find_browser_gpu(&active->settings, detail, size);
}

/* Only once the socket is ours: until then the copy may be that of another broker. */
static void keep_copy(struct store *store, const char *socket_path)
{
	char copy[SETTINGS_SOCKET_BYTES + 16];
	snprintf(copy, sizeof(copy), "%s.fence", socket_path);
	store_keep_copy(store, copy);
}

/* ---- what each part borrows ---- */

static void connect_monitor(struct server *server)
{
	struct endpoints *endpoints = &server->endpoints;

	server->monitor = (struct monitor){.endpoints = endpoints,
					   .broker = &server->broker,
					   .config = &server->active.settings.core,
					   .state = &server->state,
					   .event_ring = &server->event_ring,
					   .vram_history = &server->vram_history,
					   .gpus = &server->gpus.board,
					   .tally = &server->tally};
	server->traces = (struct traces){.monitor = &server->monitor,
					 .event_ring = &server->event_ring,
					 .tally = &server->tally,
					 .state = &server->state,
					 .log = &server->log_ring.log};
	server->log_feed = (struct log_feed){endpoints, &server->log_ring};
	status_streams_init(&server->status_streams, &server->monitor);
	position_updates_init(&server->position_updates);

	endpoints_serve(endpoints, ENDPOINT_FEED, &event_feed_ops, &server->monitor);
	endpoints_serve(endpoints, ENDPOINT_STATUS, &status_stream_ops, &server->status_streams);
}

static void connect_sessions(struct server *server)
{
	struct endpoints *endpoints = &server->endpoints;
	struct sessions *sessions = &server->sessions;

	server->page_links = (struct page_links){.keys = &server->access.keys,
						 .random = &server->broker.random,
						 .home = server->home};
	*sessions = (struct sessions){.endpoints = endpoints,
				      .queue = &server->broker.queue,
				      .wire = &server->active.wire,
				      .state = &server->state,
				      .tracker = &server->tracker};
	sessions->greeting = (struct greeting){.endpoints = endpoints,
					       .broker = &server->broker,
					       .access = &server->access,
					       .sites = &server->site_keeper,
					       .state = &server->state,
					       .log = &server->log_ring.log};
	sessions->requests = (struct session_requests){.endpoints = endpoints,
						       .queue = &server->broker.queue,
						       .answers = &sessions->answers};
	sessions->answers = (struct session_answers){.monitor = &server->monitor,
						     .status_streams = &server->status_streams,
						     .event_ring = &server->event_ring,
						     .log_feed = &server->log_feed,
						     .links = &server->page_links,
						     .reload = &server->reload};
	sessions->effects = (struct session_effects){.endpoints = endpoints,
						     .broker = &server->broker,
						     .active = &server->active,
						     .state = &server->state,
						     .tracker = &server->tracker,
						     .position_updates = &server->position_updates};
	sessions_begin(sessions);
}

static void connect_routes(struct server *server)
{
	server->exchanges = (struct exchanges){.endpoints = &server->endpoints,
					       .broker = &server->broker,
					       .wire = &server->active.wire,
					       .state = &server->state,
					       .access = &server->access,
					       .position_updates = &server->position_updates};
	exchanges_begin(&server->exchanges);

	server->monitoring_routes = (struct monitoring_routes){
		&server->monitor, &server->status_streams, &server->log_ring};
	server->site_routes = (struct site_routes){.endpoints = &server->endpoints,
						   .broker = &server->broker,
						   .keeper = &server->site_keeper,
						   .state = &server->state,
						   .log = &server->log_ring.log};
	server->key_routes = (struct key_routes){.keeper = &server->key_keeper,
						 .reload = &server->reload,
						 .log = &server->log_ring.log};

	server->worker_sockets = (struct worker_sockets){.endpoints = &server->endpoints,
							 .access = &server->access,
							 .inference = &server->inference,
							 .state = &server->state};
	worker_sockets_begin(&server->worker_sockets);

	server->pages = (struct pages){.paths = &server->active.paths,
				       .settings = &server->active.settings,
				       .access = &server->access,
				       .log = &server->log_ring.log,
				       .random = &server->broker.random};
	server->router = (struct router){
		.access = &server->access,
		.state = &server->state,
		.log = &server->log_ring.log,
		.parts = {.exchanges = &server->exchanges,
			  .monitoring = &server->monitoring_routes,
			  .pages = &server->pages,
			  .sites = &server->site_routes,
			  .keys = &server->key_routes,
			  .sessions = &server->sessions.greeting,
			  .config = &server->reload,
			  .inference = &server->inference,
			  .workers = &server->worker_sockets},
	};
}

/* What answers no client: the broker's way out, its configuration, its sockets, its end. */
static void connect_broker(struct server *server)
{
	struct log *log = &server->log_ring.log;

	server->site_keeper = (struct site_keeper){.sites = &server->sites,
						   .access = &server->access,
						   .paths = &server->active.paths,
						   .log = log};
	server->key_keeper = (struct key_keeper){.keys = &server->api_keys,
						 .access = &server->access,
						 .paths = &server->active.paths,
						 .log = log,
						 .changed = reload_rights,
						 .ctx = &server->reload};
	server->journal_watch = (struct journal_watch){.broker = &server->broker,
						       .access = &server->access,
						       .paths = &server->active.paths,
						       .state = &server->state,
						       .log = log};
	server->deliver = (struct deliver){.endpoints = &server->endpoints,
					   .inference = &server->inference,
					   .tracker = &server->tracker,
					   .position_updates = &server->position_updates,
					   .traces = &server->traces,
					   .journal = &server->journal_watch};
	server->edge = (struct edge){.router = &server->router,
				     .sessions = &server->sessions,
				     .endpoints = &server->endpoints,
				     .inference = &server->inference,
				     .log = log};

	server->reload = (struct reload){.active = &server->active,
					 .access = &server->access,
					 .keys = &server->key_keeper,
					 .policies = &server->pages.policies,
					 .endpoints = &server->endpoints,
					 .broker = &server->broker,
					 .gpus = &server->gpus,
					 .upstreams = {inference_read, inference_take,
						       inference_shut_out, &server->inference},
					 .log = log,
					 .trail.fd = -1};
	server->sockets = (struct sockets){.endpoints = &server->endpoints,
					   .active = &server->active,
					   .state = &server->state,
					   .home = server->home,
					   .log = log,
					   .trail.fd = -1};
	server->signals = (struct signals){.shutdown = &server->shutdown,
					   .sockets = &server->sockets,
					   .reload = &server->reload,
					   .log = log};
	server->shutdown = (struct shutdown){.endpoints = &server->endpoints,
					     .inference = &server->inference,
					     .broker = &server->broker,
					     .state = &server->state,
					     .sockets = &server->sockets,
					     .log = log};
}

/* ---- in the order in which they can fail without harm ---- */

static int open_state(struct server *server, char *detail, size_t size)
{
	const struct restore restore = {.broker = &server->broker,
					.active = &server->active,
					.tracker = &server->tracker,
					.journal = &server->journal_watch,
					.state = &server->state,
					.log = &server->log_ring.log};
	const char *dir = server->active.paths.state_dir;
	struct access_setup *access = &server->access;
	char why[SETTINGS_PATH_BYTES + 128];
	int rc = paths_make_private(dir, detail, size);

	if (rc && errno == ENOSPC)
		rc = 0; /* the store waits for room, and is told of */
	log_ring_init(&server->log_ring, (enum log_level)server->active.settings.log_level);
	log_ring_on_line(&server->log_ring, log_feed_line, &server->log_feed);
	if (!rc)
		rc = restore_run(&restore, server->loop, detail, size);
	if (rc == -ERR_ALREADY_RUNNING)
		taken_state(dir, detail, size);
	if (!rc)
		rc = access_setup_read_tokens(access, dir, !store_is_degraded(server->broker.store),
					      detail, size);
	if (rc)
		return rc;

	event_ring_init(&server->event_ring, server->state.epoch);
	if (page_keys_load(&access->keys, dir, why, sizeof(why)))
		log_event(&server->log_ring.log, LOG_WARN, "cannot read all keys of pages",
			  log_str("error", why));
	site_keeper_begin(&server->site_keeper);
	rc = key_keeper_begin(&server->key_keeper, detail, size);
	if (rc)
		return rc;
	access_setup_refresh(access);

	server->gpus.queue = &server->broker.queue;
	server->gpus.core = server->broker.core;
	server->gpus.log = &server->log_ring.log;
	server->gpus.on_changed = reload_gpus;
	server->gpus.ctx = &server->reload;
	return gpu_sampler_begin(&server->gpus, server->loop, dir);
}

int startup_begin(struct server *server, int argc, char **argv, char *detail, size_t detail_size)
{
	struct active_config *active = &server->active;
	struct addresses addresses = {
		.active = active, .access = &server->access, .home = server->home};

	endpoints_init(&server->endpoints, NULL);
	connect_monitor(server);
	connect_sessions(server);
	connect_routes(server);
	connect_broker(server);
	server->live_reload.fd = -1;
	server->gpus.fd = -1;
	server->memory_trim.left = MONO_NEVER;
	detail[0] = 0;

	int rc = read_settings(active, &server->access, argc, argv, detail, detail_size);
	if (rc || active->options.help || active->options.check)
		return rc;

	rc = loop_create(&server->loop);
	addresses.loop = server->loop;
	if (!rc)
		rc = addresses_open(&addresses, &edge_handlers, &server->edge,
				    &server->endpoints.net, detail, detail_size);
	server->pages.net = server->router.net = server->endpoints.net;
	if (!rc)
		rc = find_gpus(&server->gpus, active, detail, detail_size);
	if (!rc)
		rc = open_state(server, detail, detail_size);
	if (!rc)
		rc = inference_open(&server->inference, server->loop, server->endpoints.net,
				    &server->broker.queue, &server->log_ring.log, &active->wire,
				    &active->settings, active->paths.state_dir, detail,
				    detail_size);
	if (rc)
		return rc;

	inference_resume(&server->inference, server->broker.core, &server->gpus.board);
	reload_apply(&server->reload);
	reload_end_unknown(&server->reload);
	rc = sockets_listen(&server->sockets, detail, detail_size);
	if (rc == 0)
		keep_copy(server->broker.store, active->settings.socket_path);
	return rc;
}

void startup_end(struct server *server)
{
	signals_end(&server->signals);
	sockets_end(&server->sockets);
	sockets_forget(&server->sockets);
	reload_end(&server->reload);
	live_reload_end(&server->live_reload);
	status_streams_finish(&server->status_streams);
	position_updates_finish(&server->position_updates);

	gpu_sampler_end(&server->gpus);
	inference_close(&server->inference);
	net_destroy(server->endpoints.net);
	endpoints_finish(&server->endpoints);
	if (server->broker.core) {
		process_tracker_finish(&server->tracker);
		core_destroy(server->broker.core);
		store_close(server->broker.store);
		broker_finish(&server->broker);
	}
	log_ring_finish(&server->log_ring);
	event_ring_finish(&server->event_ring);

	loop_destroy(server->loop);
	explicit_bzero(&server->access, sizeof(server->access));
}
