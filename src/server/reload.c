/* reload: SIGHUP, a saved file, the route and the session message all end here. Called by serve.c,
 * routes and sessions. */
#include "server/reload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/loop.h"
#include "server/routes.h"
#include "server/server.h"

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
	}
}

void reload_apply(struct server *server, const struct settings *settings)
{
	struct active_config *active = &server->active;

	if (settings != &active->settings)
		active->settings = *settings;
	for (uint32_t i = 0; i < active->settings.rule_count; i++)
		active->rules[i] = (struct class_rule){active->settings.rules[i].match,
						       active->settings.rules[i].cls};
	for (uint32_t i = 0; i < active->settings.principal_count; i++) {
		const struct settings_principal *from = &active->settings.principals[i];
		active->rights[i] = (struct class_rights){from->match, from->classes,
							  from->queue_max, from->held_max};
	}

	active->wire = (struct wire_context){.config = &active->settings.core,
					     .rules = active->rules,
					     .rule_count = active->settings.rule_count,
					     .rights = active->rights,
					     .right_count = active->settings.principal_count};
	access_setup_set_origins(&server->access, &active->settings);
	content_policies_set(&server->pages.policies, &active->settings);

	server->log_ring.log.level = (enum log_level)active->settings.log_level;
	event_queue_event(&server->broker.queue, EVENT_CONFIG, (struct party){0})->config =
		&active->settings.core;
}

static int read_again(struct server *server, struct settings *next, char *detail, size_t size)
{
	const struct active_config *active = &server->active;
	settings_defaults(next);
	int rc = active->paths.config[0]
			 ? settings_load(active->paths.config, next, next, detail, size)
			 : 0;
	if (!rc)
		rc = options_apply(&active->options, next, detail, size);
	if (rc)
		return rc;

	gpu_rows_fill(&server->gpus.rows, next);
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
	struct server *server = ctx;
	struct settings next = server->active.settings;

	gpu_rows_fill(&server->gpus.rows, &next);
	gpu_names_save(&server->gpus.rows.names, server->active.paths.state_dir);
	if (reload_name_gpus(server->broker.store, &next.core, false) != 0) {
		log_event(&server->log_ring.log, LOG_WARN,
			  "a GPU was found that only a restart can lend",
			  log_int("gpus", next.core.gpu_count));
		return;
	}
	reload_apply(server, &next);
}

int reload_settings(struct server *server, struct settings_change *ret_change, char *detail,
		    size_t detail_size)
{
	struct log *log = &server->log_ring.log;
	struct settings next;
	struct key_ring ring;

	detail[0] = 0;
	server->config_watch.due = MONO_NEVER;
	int rc = read_again(server, &next, detail, detail_size);
	if (!rc)
		rc = access_setup_read_keys(&next, &ring, detail, detail_size);
	if (!rc && !settings_gpus_moved(&server->active.settings, &next)) {
		rc = reload_name_gpus(server->broker.store, &next.core, false);
		if (rc)
			snprintf(detail, detail_size, "gpus: cannot be changed while it runs (%s)",
				 err_text(rc));
		rc = rc ? -ERR_CONFIG : 0;
	}

	if (rc) {
		log_event(log, LOG_ERROR, "configuration refused, nothing changed",
			  log_str("error", detail));
		return rc;
	}

	settings_compare(&server->active.settings, &next, ret_change);
	keep_running(&server->active.settings, &next);
	gpu_sampler_configure(&server->gpus, &next);
	access_setup_take_keys(&server->access, &ring);
	explicit_bzero(&ring, sizeof(ring));
	reload_apply(server, &next);
	log_event(log, LOG_INFO, "configuration read again",
		  log_str("changed", ret_change->applied),
		  log_str("needs_restart", ret_change->restart));

	return 0;
}

static void add_words(struct text *out, const char *key, const char *words)
{
	char copy[512], *save = NULL;
	snprintf(copy, sizeof(copy), "%s", words);
	text_json_key(out, key);
	text_char(out, '[');
	for (char *word = strtok_r(copy, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
		text_json_item(out);
		text_json_string(out, word);
	}
	text_char(out, ']');
}

void route_reload(struct server *server, const struct request_context *context)
{
	cleanup_text struct text body = {0};
	struct settings_change change;
	char detail[512];
	if (reload_settings(server, &change, detail, sizeof(detail))) {
		respond_error(server->endpoints.net, context, ERR_CONFIG, detail);
		return;
	}
	text_str(&body, "{\"status\":\"ok\"");
	add_words(&body, "changed", change.applied);
	add_words(&body, "needs_restart", change.restart);
	text_char(&body, '}');
	routes_json(server, context, 200, &body);
}

static void on_changed(void *ctx)
{
	struct server *server = ctx;
	server->config_watch.due = mono_after(loop_now(), RELOAD_SETTLE_MS);
}

static void follow_path(struct server *server)
{
	if (trail_follow(&server->config_watch.trail) != 0)
		log_event(&server->log_ring.log, LOG_WARN,
			  "cannot watch the configuration file; SIGHUP reads it again",
			  log_str("error", strerror(errno)));
}

struct mono_ms reload_when_due(struct server *server, struct mono_ms now)
{
	struct settings_change change;
	char detail[512];
	struct reload_watch *watch = &server->config_watch;
	if (!mono_due(watch->due, now))
		return watch->due;
	watch->due = MONO_NEVER;
	follow_path(server);
	/* Away for a moment, as some editors do it: its coming back is seen, too. */
	if (access(watch->trail.path, F_OK) == 0)
		(void)reload_settings(server, &change, detail, sizeof(detail));
	return watch->due;
}

void reload_watch_begin(struct server *server, struct reload_watch *watch)
{
	watch->due = MONO_NEVER;
	trail_init(&watch->trail, server->loop, server->active.paths.config, on_changed, server);
	if (server->active.paths.config[0])
		follow_path(server);
}

void reload_watch_end(struct reload_watch *watch)
{
	trail_end(&watch->trail);
	watch->due = MONO_NEVER;
}
