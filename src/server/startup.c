/* startup: puts the parts together, in the order in which they can fail without harm: settings,
 * state folder, journal, core, endpoints. Called by serve.c. */
#include "server/startup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/listen.h"
#include "net/loop.h"
#include "server/deliver.h"
#include "server/endpoint_ops.h"
#include "server/monitor/event_feed.h"
#include "server/taken.h"

enum { HEADER_TIME_MS = LIMIT_HEADER_TIME_MS, BODY_TIME_MS = 10000, WRITE_TIME_MS = 10000 };

static int read_settings(struct server *server, int argc, char **argv, char *detail, size_t size)
{
	struct active_config *active = &server->active;
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
		rc = access_setup_read_keys(settings, &server->access.ring, detail, size);
	if (rc)
		return rc;

	return paths_socket(settings, detail, size);
}

/* The machine's own, unless the command line says what there is. */
static int find_gpus(struct server *server, char *detail, size_t size)
{
	struct active_config *active = &server->active;
	const struct options *options = &active->options;
	const struct gpu_paths paths = {.nvml = options->nvml,
					.sysfs = options->sysfs ? options->sysfs : "/sys",
					.procfs = options->procfs ? options->procfs : "/proc"};

	gpu_sampler_find(&server->gpus, &paths, active->paths.state_dir, &active->settings);
	return settings_find_browser_gpu(&active->settings, detail, size);
}

static int begin_gpus(struct server *server)
{
	server->gpus.queue = &server->broker.queue;
	server->gpus.core = server->broker.core;
	server->gpus.log = &server->log_ring.log;
	server->gpus.on_changed = reload_gpus;
	server->gpus.ctx = &server->reload;
	return gpu_sampler_begin(&server->gpus, server->loop, server->active.paths.state_dir);
}

/* What stands in for the install token under --compat bridge; NULL: nothing. */
static const char *bridge_token(const struct server *server)
{
	const char *token = server->active.options.bridge ? getenv("BRIDGE_TOKEN") : NULL;
	return token && token[0] ? token : NULL;
}

static int read_tokens(struct server *server, char *detail, size_t size)
{
	struct access_setup *policy = &server->access;
	const char *bridge = bridge_token(server), *dir = server->active.paths.state_dir;
	bool writable = !store_is_degraded(server->broker.store);
	int rc = credential_file(dir, "token", writable, policy->token, detail, size);

	if (!rc)
		rc = credential_file(dir, "admin-token", writable, policy->admin_token, detail,
				     size);
	if (rc || !bridge)
		return rc;
	if ((size_t)snprintf(policy->token, sizeof(policy->token), "%s", bridge) >=
	    sizeof(policy->token)) {
		snprintf(detail, size, "BRIDGE_TOKEN is longer than %zu bytes",
			 sizeof(policy->token) - 1);
		return -ERR_CONFIG;
	}

	return 0;
}

static int read_boot_id(char *ret_id, size_t size, char *detail, size_t detail_size)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, ret_id, size - 1) : -1;
	if (got <= 0) {
		snprintf(detail, detail_size, "%s: %s", path, strerror(errno));
		return -ERR_IO;
	}
	ret_id[got] = 0;
	ret_id[strcspn(ret_id, "\n")] = 0;
	return 0;
}

struct restoring {
	struct server *server;
	uint64_t rows;
};

static void restore_row(void *ctx, const struct record *record)
{
	struct restoring *r = ctx;
	struct broker *broker = &r->server->broker;
	struct event event = {
		.type = EVENT_RESTORE, .now = broker->now, .wall = broker->wall, .record = record};
	core_step(broker->core, &event, &broker->effects);
	if (record->type == RECORD_SESSION_PUT)
		process_tracker_watch(&r->server->tracker, &record->session);
	r->rows++;
}

static void log_troubles(struct server *server, const struct store_boot *boot, const char *why)
{
	struct log *log = &server->log_ring.log;
	const char *trouble = store_trouble(server->broker.store);

	if (boot->quarantined)
		log_event(log, LOG_ERROR,
			  "the journal was unreadable; it was put aside and a new one begun",
			  log_str("kept", boot->quarantine_path), log_str("why", why));

	if (boot->in_doubt_ms > 0)
		log_event(log, LOG_ERROR,
			  "it is not known who held a GPU before; nothing is granted until they "
			  "must have stopped",
			  log_str("why", boot->doubt), log_int("in_ms", boot->in_doubt_ms));

	if (trouble[0])
		log_event(log, LOG_ERROR,
			  "the journal cannot be written: nothing is granted; trying again",
			  log_str("why", trouble));

	snprintf(server->state.doubt, sizeof(server->state.doubt), "%s", boot->doubt);
	server->doubt_open = boot->in_doubt_ms > 0;
}

/* The journal's rows, then START. `why`: of a quarantine. What that decides is let out by the first
 * turn. */
static int restore_core(struct server *server, const struct store_boot *boot, const char *why)
{
	struct broker *broker = &server->broker;
	struct restoring r = {.server = server};
	struct event event = {.type = EVENT_CONFIG, .now = broker->now, .wall = broker->wall};

	event.config = &server->active.settings.core;
	random_fill(&broker->random, &event.random, sizeof(event.random));
	core_step(broker->core, &event, &broker->effects);
	if (boot->paused) {
		const struct record record = {.type = RECORD_PAUSED, .admin.paused = true};
		restore_row(&r, &record);
		memcpy(server->state.paused_reason, boot->paused_reason,
		       sizeof(server->state.paused_reason));
	}

	int rc = reload_name_gpus(broker->store, &server->active.settings.core, true);
	if (!rc)
		rc = store_replay(broker->store, restore_row, &r);
	if (rc)
		return rc;

	struct event start = {.type = EVENT_START, .now = broker->now, .wall = broker->wall};
	start.start.epoch = boot->epoch;
	start.start.fence_max = boot->fence_max;
	start.start.claim_id_max = boot->claim_id_max;
	start.start.session_id_max = boot->session_id_max;
	start.start.same_boot = boot->same_boot;
	start.start.in_doubt_ms = boot->in_doubt_ms;

	core_step(broker->core, &start, &broker->effects);
	broker_begin(broker);
	broker->tick_at = broker->effects.next_wake;
	log_event(&server->log_ring.log, LOG_INFO, "journal read",
		  log_int("epoch", (int64_t)boot->epoch), log_int("rows", (int64_t)r.rows),
		  log_str("boot", boot->same_boot ? "same" : "new"));
	log_troubles(server, boot, why);

	return 0;
}

/* What tells that a broker ran here before, beside the state folder: its socket, which a clean stop
 * removes, and the copy of its fence file, which nothing removes but the end of the boot. */
static void find_traces(const struct settings *settings, struct store_place *place, char *ret_copy,
			size_t size)
{
	struct stat st;
	place->traces = lstat(settings->socket_path, &st) == 0 && S_ISSOCK(st.st_mode);
	if ((size_t)snprintf(ret_copy, size, "%s.fence", settings->socket_path) < size)
		place->copy = ret_copy;
}

/* The longest that a lease may outlive this broker. */
static int64_t promised_ms(const struct core_config *config)
{
	return config->session_ttl_ms > config->restart_linger_ms ? config->session_ttl_ms
								  : config->restart_linger_ms;
}

static int open_store(struct server *server, const char *boot_id, struct store **ret_store,
		      struct store_boot *ret_boot, char *detail, size_t size)
{
	const struct settings *settings = &server->active.settings;
	char copy[SETTINGS_SOCKET_BYTES + 16];
	struct store_place place = {.dir = server->active.paths.state_dir,
				    .boot_id = boot_id,
				    .now = loop_wall_now(),
				    .ttl_ms = promised_ms(&settings->core),
				    .ttl_ms_max = settings->core.http_ttl_ms_max};
	if (place.ttl_ms_max < place.ttl_ms)
		place.ttl_ms_max = place.ttl_ms;
	find_traces(settings, &place, copy, sizeof(copy));
	return store_open(&place, ret_store, ret_boot, detail, size);
}

static int open_broker(struct server *server, char *detail, size_t size)
{
	char boot_id[64];
	struct store_boot boot;
	struct store *store;
	int rc = read_boot_id(boot_id, sizeof(boot_id), detail, size);

	if (!rc)
		rc = open_store(server, boot_id, &store, &boot, detail, size);
	if (rc)
		return rc;

	server->state.epoch = boot.epoch;
	server->state.started = loop_now();
	log_ring_init(&server->log_ring, (enum log_level)server->active.settings.log_level);
	event_ring_init(&server->event_ring, boot.epoch);
	broker_init(&server->broker, core_create(), store, server->state.started,
		    loop_suspended_ms());
	server->broker.wall = loop_wall_now();

	process_tracker_init(&server->tracker, server->loop, &server->broker.queue,
			     &server->log_ring.log);
	server->log_feed = (struct log_feed){&server->endpoints, &server->log_ring};
	log_ring_on_line(&server->log_ring, log_feed_line, &server->log_feed);
	rc = restore_core(server, &boot, detail);
	if (rc)
		snprintf(detail, size, "the journal cannot be replayed");
	return rc;
}

static void on_request(void *ctx, const struct http_request *request)
{
	struct server *server = ctx;
	router_on_request(&server->router, request);
}

static void on_gone(void *ctx, uint64_t conn)
{
	struct server *server = ctx;
	endpoints_gone(&server->endpoints, conn);
}

static void on_delivered(void *ctx, uint64_t conn)
{
	struct server *server = ctx;
	endpoints_delivered(&server->endpoints, conn);
}

/* One log line; it says whose fault it was. */
static void on_protocol_error(void *ctx, uint64_t conn, int err, const char *what)
{
	struct server *server = ctx;
	log_event(&server->log_ring.log, LOG_WARN, "client bug", log_int("conn", (int64_t)conn),
		  log_str("error", err_name(err)), log_str("what", what));
}

static void on_session(void *ctx, uint64_t conn, const struct net_peer *peer)
{
	struct server *server = ctx;
	greeting_open(&server->sessions.greeting, conn, peer);
}

static void on_message(void *ctx, uint64_t conn, const char *text, size_t length)
{
	struct server *server = ctx;
	sessions_on_message(&server->sessions, conn, text, length);
}

/* Only what the session said before tells an end from a loss. */
static void on_closed(void *ctx, uint64_t conn, bool clean)
{
	struct server *server = ctx;
	(void)clean;
	endpoints_gone(&server->endpoints, conn);
}

static const struct net_handlers handlers = {
	.on_request = on_request,
	.on_gone = on_gone,
	.on_delivered = on_delivered,
	.on_session = on_session,
	.on_message = on_message,
	.on_closed = on_closed,
	.on_protocol_error = on_protocol_error,
};

static int listen_tcp(struct server *server, const char *address, char *detail, size_t size)
{
	uint16_t port = 0;
	int rc = net_listen_tcp(server->endpoints.net, address, &port, detail, size);
	if (rc == -ERR_ALREADY_RUNNING)
		taken_address(address, server->active.paths.state_dir, detail, size);
	if (rc)
		return rc;
	access_setup_add_listener(&server->access, address, port);
	if (!server->home[0])
		snprintf(server->home, sizeof(server->home), "http://%s",
			 server->access.policy.hosts[0]);
	return 0;
}

static int listen_bridge(struct server *server, char *detail, size_t size)
{
	const char *port = getenv("BRIDGE_PORT");
	char address[64];
	snprintf(address, sizeof(address), "127.0.0.1:%.32s", port && port[0] ? port : "8080");
	if (!settings_take_address(address, NULL, NULL)) {
		snprintf(detail, size, "BRIDGE_PORT is not a port: '%.32s'", port);
		return -ERR_BAD_FIELD;
	}
	return listen_tcp(server, address, detail, size);
}

/* Descriptors for all connections; what the hard limit refuses, net handles by pausing accept. */
static void raise_descriptors(unsigned connections)
{
	struct rlimit limit;
	rlim_t wanted = 2 * (rlim_t)connections + 256;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Before anything is made on the disk, so that an address that is taken changes nothing. Who
 * connects meanwhile is let in by the first turn. */
static int open_addresses(struct server *server, char *detail, size_t size)
{
	const struct settings *settings = &server->active.settings;
	const struct net_options options = {
		.connections_max = settings->connections_max,
		.connections_reserved_max = LIMIT_CONNECTIONS_RESERVED,
		.connections_per_process_max = settings->connections_per_process_max
						       ? settings->connections_per_process_max
						       : settings->connections_max / 2,
		.header_time_ms = HEADER_TIME_MS,
		.body_time_ms = BODY_TIME_MS,
		.write_time_ms = WRITE_TIME_MS,
	};
	struct net *net = NULL;

	raise_descriptors(settings->connections_max);
	int rc = net_create(server->loop, &options, &handlers, server, &net);
	if (rc)
		return rc;

	endpoints_init(&server->endpoints, net);
	access_setup_init(&server->access, server->active.options.bridge);
	access_setup_take_keys(&server->access, &server->access.ring);
	for (uint32_t i = 0; i < settings->listen_count && !rc; i++)
		rc = listen_tcp(server, settings->listen[i], detail, size);
	if (!rc && server->active.options.bridge)
		rc = listen_bridge(server, detail, size);

	return rc;
}

static int open_state(struct server *server, char *detail, size_t size)
{
	const char *dir = server->active.paths.state_dir;
	int rc = paths_make_private(dir, detail, size);

	if (rc && errno == ENOSPC)
		rc = 0; /* the store waits for room, and is told of */
	if (!rc)
		rc = open_broker(server, detail, size);
	if (rc == -ERR_ALREADY_RUNNING)
		taken_state(dir, detail, size);
	if (!rc)
		rc = read_tokens(server, detail, size);
	if (rc)
		return rc;

	page_keys_load(&server->access.keys, dir);
	server->site_keeper = (struct site_keeper){.sites = &server->sites,
						   .access = &server->access,
						   .paths = &server->active.paths,
						   .log = &server->log_ring.log};
	site_keeper_begin(&server->site_keeper);
	access_setup_refresh(&server->access);
	return 0;
}

/* Only once the socket is ours: until then the copy may be that of another broker. */
static void keep_copy(struct server *server)
{
	char copy[SETTINGS_SOCKET_BYTES + 16];
	snprintf(copy, sizeof(copy), "%s.fence", server->active.settings.socket_path);
	store_keep_copy(server->broker.store, copy);
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

	server->router = (struct router){
		.net = server->endpoints.net,
		.access = &server->access,
		.state = &server->state,
		.log = &server->log_ring.log,
		.parts = {.exchanges = &server->exchanges,
			  .monitoring = &server->monitoring_routes,
			  .pages = &server->pages,
			  .sites = &server->site_routes,
			  .sessions = &server->sessions.greeting,
			  .config = &server->reload},
	};
}

static void serve_endpoints(struct server *server)
{
	struct endpoints *endpoints = &server->endpoints;
	endpoints_serve(endpoints, ENDPOINT_FEED, &event_feed_ops, &server->monitor);
	endpoints_serve(endpoints, ENDPOINT_STATUS, &status_stream_ops, &server->status_streams);
	connect_sessions(server);
	connect_routes(server);
}

int startup_begin(struct server *server, int argc, char **argv, char *detail, size_t detail_size)
{
	status_streams_init(&server->status_streams, &server->monitor);
	position_updates_init(&server->position_updates);
	endpoints_init(&server->endpoints, NULL);
	server->reload.trail.fd = -1;
	server->sockets.trail.fd = -1;
	server->live_reload.fd = -1;
	server->gpus.fd = -1;
	detail[0] = 0;

	int rc = read_settings(server, argc, argv, detail, detail_size);
	if (rc || server->active.options.help || server->active.options.check)
		return rc;

	rc = loop_create(&server->loop);
	if (!rc)
		rc = open_addresses(server, detail, detail_size);
	if (!rc)
		rc = find_gpus(server, detail, detail_size);
	if (!rc)
		rc = open_state(server, detail, detail_size);
	if (!rc)
		rc = begin_gpus(server);
	if (rc)
		return rc;

	server->monitor = (struct monitor){.endpoints = &server->endpoints,
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

	server->pages = (struct pages){.net = server->endpoints.net,
				       .paths = &server->active.paths,
				       .settings = &server->active.settings,
				       .access = &server->access,
				       .log = &server->log_ring.log,
				       .random = &server->broker.random};
	server->reload = (struct reload){.active = &server->active,
					 .access = &server->access,
					 .policies = &server->pages.policies,
					 .broker = &server->broker,
					 .gpus = &server->gpus,
					 .log = &server->log_ring.log,
					 .trail.fd = -1};
	serve_endpoints(server);
	reload_apply(&server->reload);

	rc = sockets_listen(server, detail, detail_size);
	if (rc == 0)
		keep_copy(server);
	return rc;
}

void startup_end(struct server *server)
{
	hangup_end(&server->hangup);
	sockets_end(&server->sockets);
	sockets_forget(server);
	reload_end(&server->reload);
	live_reload_end(&server->live_reload);
	status_streams_finish(&server->status_streams);
	position_updates_finish(&server->position_updates);

	gpu_sampler_end(&server->gpus);
	net_destroy(server->endpoints.net);
	endpoints_finish(&server->endpoints);
	if (server->broker.core) {
		process_tracker_finish(&server->tracker);
		core_destroy(server->broker.core);
		store_close(server->broker.store);
		broker_finish(&server->broker);
		log_ring_finish(&server->log_ring);
		event_ring_finish(&server->event_ring);
	}

	loop_destroy(server->loop);
	explicit_bzero(&server->access, sizeof(server->access));
}

void startup_checked(const struct server *server)
{
	const char *config = server->active.paths.config;
	printf("baton serve: %s%s\n", config[0] ? config : "no configuration file",
	       config[0] ? " is good" : "; the defaults are good");
}

void startup_announce(const struct server *server)
{
	const struct active_config *active = &server->active;
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&out, 1, 0) == 0)
		return; /* nobody reads: that must not keep us from serving */
	bool pretty = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
	const char *bold = pretty ? "\033[1m" : "", *plain = pretty ? "\033[0m" : "";
	fprintf(stderr, "%sbaton %s listens on", bold, BATON_VERSION);
	for (size_t i = 0; i < server->access.policy.host_count; i++)
		if (strncmp(server->access.policy.hosts[i], "localhost:", 10) != 0)
			fprintf(stderr, " http://%s", server->access.policy.hosts[i]);

	fprintf(stderr, " and %s%s\n", active->settings.socket_path, plain);
	for (uint32_t i = 0; i < active->settings.core.gpu_count; i++) {
		const struct gpu_config *gpu = &active->settings.core.gpus[i];
		fprintf(stderr, "  GPU %s: ", gpu->name);
		if (gpu->vram_known)
			fprintf(stderr, "%llu MiB",
				(unsigned long long)gpu->vram_bytes_total >> 20);
		else
			fprintf(stderr, "VRAM unknown");
		fprintf(stderr, ", %u slot%s\n", gpu->slots, gpu->slots == 1 ? "" : "s");
	}

	fprintf(stderr,
		"  state in %s\n"
		"  try: baton status, or in a browser: baton open\n"
		"  or:  curl -N -H \"Authorization: Bearer ",
		active->paths.state_dir);
	if (bridge_token(server))
		fprintf(stderr, "$BRIDGE_TOKEN");
	else
		fprintf(stderr, "$(cat %s/token)", active->paths.state_dir);

	fprintf(stderr,
		"\" -H 'Content-Type: application/json' -H 'Accept: text/event-stream' "
		"-d '{\"id\":\"me\"}' %s/v1/gpu/lock\n",
		server->home);
}
