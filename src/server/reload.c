/* reload: SIGHUP, a saved file, the route and the session message all end here. Called by serve.c,
 * routes and sessions. */
#include "server/reload.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "config/paths.h"
#include "core/view.h"
#include "net/loop.h"
#include "server/access/access_setup.h"
#include "server/access/key_keeper.h"
#include "server/access/key_marks.h"
#include "server/active_config.h"
#include "server/broker.h"
#include "server/endpoint_ops.h"
#include "server/gpus/gpu_sampler.h"
#include "server/pages/static_files.h"
#include "store/store.h"

static void keep_upstreams(const struct settings *running, struct settings *next)
{
	next->gateway = running->gateway;
	next->upstream_count = running->upstream_count;
	memcpy(next->upstreams, running->upstreams, sizeof(next->upstreams));
	next->upstream_model_count = running->upstream_model_count;
	memcpy(next->upstream_models, running->upstream_models, sizeof(next->upstream_models));
	next->upstream_route_count = running->upstream_route_count;
	memcpy(next->upstream_routes, running->upstream_routes, sizeof(next->upstream_routes));
}

/* What only counts after a restart stays as it runs, so that each reload says so again. */
static void keep_running(const struct settings *running, struct settings *next)
{
	memcpy(next->listen, running->listen, sizeof(next->listen));
	next->listen_count = running->listen_count;
	memcpy(next->socket_path, running->socket_path, sizeof(next->socket_path));
	next->connections_max = running->connections_max;
	next->connections_per_process_max = running->connections_per_process_max;

	if (settings_gpus_moved(running, next)) {
		memcpy(next->core.gpus, running->core.gpus, sizeof(next->core.gpus));
		next->core.gpu_count = running->core.gpu_count;
		next->gpus_from = running->gpus_from;
		next->core.browser_gpu = running->core.browser_gpu; /* a place among these */
		memcpy(next->browser_gpu, running->browser_gpu, sizeof(next->browser_gpu));
		keep_upstreams(running, next); /* they may name GPUs that are not here yet */
	}
}

/* What was not said of a key is as `principals` say. */
static struct class_rights rights_of_key(const struct wire_context *principals,
					 const struct api_key_limits *limits)
{
	const struct class_rights *any = class_rights_of(principals);
	struct class_rights rights = {.classes = UINT32_MAX};

	if (any)
		rights = *any;
	rights.glob = principals->principal;
	if (limits->classes)
		rights.classes = limits->classes;
	if (limits->queue_max)
		rights.waiting_max = limits->queue_max;
	if (limits->held_max)
		rights.held_max = limits->held_max;
	rights.requests_max = limits->requests_max;
	rights.models = limits->models[0] ? limits->models : NULL;
	return rights;
}

void reload_rights(void *ctx)
{
	struct reload *reload = ctx;
	struct active_config *active = reload->active;
	const struct settings *settings = &active->settings;
	const struct api_keys *keys = reload->keys->keys;
	struct class_rights *principals = active->rights + keys->count;

	for (uint32_t i = 0; i < settings->principal_count; i++) {
		const struct settings_principal *from = &settings->principals[i];
		principals[i] = (struct class_rights){.glob = from->match,
						      .classes = from->classes,
						      .waiting_max = from->queue_max,
						      .held_max = from->held_max};
	}

	for (uint32_t i = 0; i < keys->count; i++) {
		const struct wire_context by_settings = {.rights = principals,
							 .right_count = settings->principal_count,
							 .principal = active->key_globs[i]};
		access_principal(&(struct access_who){.key = keys->v[i].name},
				 active->key_globs[i]);
		active->rights[i] = rights_of_key(&by_settings, &keys->v[i].limits);
	}
	active->wire.right_count = keys->count + settings->principal_count;
}

void reload_apply(struct reload *reload)
{
	struct active_config *active = reload->active;
	uint8_t rules[CORE_CONFIG_BYTES_MAX];

	for (uint32_t i = 0; i < active->settings.rule_count; i++)
		active->rules[i] = (struct class_rule){active->settings.rules[i].match,
						       active->settings.rules[i].cls};
	active->wire = (struct wire_context){.config = &active->settings.core,
					     .rules = active->rules,
					     .rule_count = active->settings.rule_count,
					     .rights = active->rights};
	reload_rights(reload);
	store_put_rules(reload->broker->store, rules,
			core_config_write(&active->settings.core, rules));
	access_setup_set_origins(reload->access, &active->settings);
	content_policies_set(reload->policies, &active->settings);

	reload->log->level = (enum log_level)active->settings.log_level;
	event_queue_event(&reload->broker->queue, EVENT_CONFIG, (struct party){0})->config =
		&active->settings.core;
}

static int read_again(const struct active_config *active, const struct gpu_rows *rows,
		      struct settings *next, char *detail, size_t size)
{
	settings_defaults(next);
	int rc = active->paths.config[0]
			 ? settings_load(active->paths.config, next, next, detail, size)
			 : 0;
	if (!rc)
		rc = options_apply(&active->options, next, detail, size);
	if (rc)
		return rc;

	gpu_rows_fill(rows, next);
	rc = settings_find_browser_gpu(next, detail, size);
	if (rc)
		return rc;
	return paths_socket(next, detail, size);
}

int reload_name_gpus(struct store *store, const struct core_config *config, bool may_move)
{
	const char *names[LIMIT_GPUS];
	for (uint32_t i = 0; i < config->gpu_count; i++)
		names[i] = config->gpus[i].name;
	return store_gpus(store, names, config->gpu_count, may_move);
}

void reload_gpus(void *ctx)
{
	struct reload *reload = ctx;
	struct active_config *active = reload->active;
	struct settings next = active->settings;

	gpu_rows_fill(&reload->gpus->rows, &next);
	gpu_names_save(&reload->gpus->rows.names, active->paths.state_dir);
	if (reload_name_gpus(reload->broker->store, &next.core, false) != 0) {
		log_event(reload->log, LOG_WARN, "a GPU was found that only a restart can lend",
			  log_int("gpus", next.core.gpu_count));
		next.core.gpu_count = active->settings.core.gpu_count; /* more is known of these */
		if (reload_name_gpus(reload->broker->store, &next.core, false) != 0)
			return;
	}

	active->settings = next;
	reload_apply(reload);
}

/* A lease over plain HTTP has no connection that could be closed: an act like an operator's. */
static void revoke_lease(const struct reload *reload, uint64_t id)
{
	struct event *event =
		event_queue_event(&reload->broker->queue, EVENT_ADMIN, (struct party){0});

	event->admin.act = ADMIN_REVOKE;
	event->admin.lease = id;
	event->admin.who = "baton";
	event->admin.reason = "its key is good no longer";
}

/* Those over plain HTTP of each principal that is over. */
static void revoke_leases(const struct reload *reload,
			  bool (*is_over)(const struct reload *reload, const char *principal,
					  const void *ended),
			  const void *ended)
{
	struct claim_view view;
	uint64_t id = 0;

	while (core_holder_after(reload->broker->core, id, loop_now(), &view)) {
		id = view.rec->id;
		if (view.rec->binding == BIND_HTTP && is_over(reload, view.rec->principal, ended))
			revoke_lease(reload, id);
	}
}

static bool is_the_ended(const struct reload *reload, const char *principal, const void *ended)
{
	(void)reload;
	return strcmp(principal, ended) == 0;
}

/* Where the made keys cannot be read, a name that is not configured may be one of theirs. */
static bool is_unknown_key(const struct reload *reload, const char *principal, const void *ended)
{
	(void)ended;
	return !strncmp(principal, "key:", 4) && reload->access->policy.key_of &&
	       !key_keeper_knows(reload->keys, principal + 4);
}

/* Its secret is another one than that of the last run, whose marks these are. */
static bool is_another_key(const struct reload *reload, const char *principal, const void *marks)
{
	return !strncmp(principal, "key:", 4) &&
	       key_marks_differ(marks, &reload->access->ring, principal + 4);
}

static void keep_marks(const struct reload *reload)
{
	uint8_t salt[KEY_SALT_BYTES];
	struct key_marks marks;

	random_fill(&reload->broker->random, salt, sizeof(salt));
	key_marks_make(&reload->access->ring, salt, &marks);
	store_put_keys(reload->broker->store, &marks, sizeof(marks));
}

void reload_end_unknown(const struct reload *reload)
{
	struct key_marks marks;

	static_assert(sizeof(marks) <= 4096, "what the store keeps");
	revoke_leases(reload, is_unknown_key, NULL);
	/* An earlier broker kept none. */
	if (store_keys(reload->broker->store, &marks, sizeof(marks)) == sizeof(marks))
		revoke_leases(reload, is_another_key, &marks);
	keep_marks(reload);
}

void reload_shut_out(const struct reload *reload, const char *key)
{
	char principal[LIMIT_PRINCIPAL_BYTES + 1];

	access_principal(&(struct access_who){.key = key}, principal);
	/* Requests before the tabs that answer some. */
	reload->upstreams.shut_out(reload->upstreams.ctx, principal);
	endpoints_shut_out(reload->endpoints, principal);
	revoke_leases(reload, is_the_ended, principal);
}

/* Whoever showed a key that is not there any more, or is another one now. */
static void shut_out_keys(const struct reload *reload, const struct key_ring *next)
{
	const struct key_ring *ring = &reload->access->ring;

	for (uint32_t i = 0; i < ring->count; i++)
		if (!key_ring_has(next, ring->names[i], ring->secrets[i]))
			reload_shut_out(reload, ring->names[i]);
}

int reload_settings(struct reload *reload, struct settings_change *ret_change, char *detail,
		    size_t detail_size)
{
	struct settings *running = &reload->active->settings;
	struct settings next;
	struct key_ring ring;
	bool moved;

	detail[0] = 0;
	reload->due = MONO_NEVER;
	paths_find_config(&reload->active->paths);
	int rc = read_again(reload->active, &reload->gpus->rows, &next, detail, detail_size);
	if (!rc)
		rc = access_setup_read_keys(&next, &ring, detail, detail_size);
	if (!rc)
		rc = key_keeper_clash(reload->keys, &ring, detail, detail_size);
	moved = !rc && settings_gpus_moved(running, &next);
	if (!rc && !moved) {
		rc = reload_name_gpus(reload->broker->store, &next.core, false);
		if (rc)
			snprintf(detail, detail_size, "gpus: cannot be changed while it runs (%s)",
				 err_text(rc));
		rc = rc ? -ERR_CONFIG : 0;
	}
	if (!rc && !moved)
		rc = reload->upstreams.read(reload->upstreams.ctx, &next, detail, detail_size);

	if (rc) {
		log_event(reload->log, LOG_ERROR, "configuration refused, nothing changed",
			  log_str("error", detail));
		return rc;
	}

	settings_compare(running, &next, ret_change);
	keep_running(running, &next);
	gpu_sampler_configure(reload->gpus, &next);
	shut_out_keys(reload, &ring);
	access_setup_take_keys(reload->access, &ring);
	keep_marks(reload);
	explicit_bzero(&ring, sizeof(ring));
	*running = next;
	reload_apply(reload);
	if (!moved)
		reload->upstreams.take(reload->upstreams.ctx, running);
	log_event(reload->log, LOG_INFO, "configuration read again",
		  log_str("changed", ret_change->applied),
		  log_str("needs_restart", ret_change->restart));

	return 0;
}

static void on_changed(void *ctx)
{
	struct reload *reload = ctx;
	reload->due = mono_after(loop_now(), RELOAD_SETTLE_MS);
}

static void follow_path(struct reload *reload)
{
	if (trail_follow(&reload->trail) != 0)
		log_event(reload->log, LOG_WARN,
			  "cannot watch the configuration file; SIGHUP reads it again",
			  log_str("error", strerror(errno)));
}

struct mono_ms reload_when_due(struct reload *reload, struct mono_ms now)
{
	struct settings_change change;
	char detail[512];
	if (!mono_due(reload->due, now))
		return reload->due;
	reload->due = MONO_NEVER;
	follow_path(reload);
	/* Away for a moment, as some editors do it: its coming back is seen, too. */
	if (access(reload->trail.path, F_OK) == 0)
		(void)reload_settings(reload, &change, detail, sizeof(detail));
	return reload->due;
}

void reload_watch(struct reload *reload, struct loop *loop)
{
	const char *path = reload->active->paths.config;
	reload->due = MONO_NEVER;
	trail_init(&reload->trail, loop, path, on_changed, reload);
	if (path[0])
		follow_path(reload);
}

void reload_end(struct reload *reload)
{
	trail_end(&reload->trail);
	reload->due = MONO_NEVER;
}
