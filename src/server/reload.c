/* reload: SIGHUP, a saved file, the route and the session message all end here. Called by serve.c,
 * routes and sessions. */
#include "server/reload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/loop.h"
#include "server/routes.h"
#include "server/shell.h"

/* What only counts after a restart stays as it runs, so that each reload says so again. */
static void keep_running(const struct settings *running, struct settings *next)
{
	memcpy(next->listen, running->listen, sizeof next->listen);
	next->listen_count = running->listen_count;
	memcpy(next->socket_path, running->socket_path, sizeof next->socket_path);
	next->connections_max = running->connections_max;
	next->connections_per_process_max = running->connections_per_process_max;
	if (settings_gpus_moved(running, next)) {
		memcpy(next->core.gpus, running->core.gpus, sizeof next->core.gpus);
		next->core.gpu_count = running->core.gpu_count;
	}
}

void reload_apply(struct shell *shell, const struct settings *settings)
{
	struct live *live = &shell->live;
	if (settings != &live->settings)
		live->settings = *settings;
	for (uint32_t i = 0; i < live->settings.rule_count; i++)
		live->rules[i] = (struct class_rule){live->settings.rules[i].match,
						     live->settings.rules[i].cls};
	for (uint32_t i = 0; i < live->settings.principal_count; i++) {
		const struct settings_principal *from = &live->settings.principals[i];
		live->rights[i] = (struct class_rights){from->match, from->classes, from->queue_max,
							from->held_max};
	}
	live->wire = (struct wire_context){.config = &live->settings.core,
					   .rules = live->rules,
					   .rule_count = live->settings.rule_count,
					   .rights = live->rights,
					   .right_count = live->settings.principal_count};
	policy_set_origins(&shell->policy, &live->settings);
	files_set_origins(&shell->files, &live->settings);
	shell->observers.log.level = (enum log_level)live->settings.log_level;
	batch_event(&shell->broker.batch, EVENT_CONFIG, (struct party){0})->config =
		&live->settings.core;
}

static int read_again(struct shell *shell, struct settings *next, char *detail, size_t size)
{
	const struct live *live = &shell->live;
	settings_defaults(next);
	int rc = live->paths.config[0] ? settings_load(live->paths.config, next, next, detail, size)
				       : 0;
	rc = rc ? rc : options_apply(&live->options, next, detail, size);
	return rc ? rc : paths_socket(next, detail, size);
}

int reload_name_gpus(struct store *store, const struct core_config *config, bool may_move)
{
	const char *names[LIMIT_GPUS];
	for (uint32_t i = 0; i < config->gpu_count; i++)
		names[i] = config->gpus[i].name;
	return store_gpus(store, names, config->gpu_count, may_move);
}

int reload_settings(struct shell *shell, struct settings_change *ret_change, char *detail,
		    size_t detail_size)
{
	struct log *log = &shell->observers.log;
	struct settings next;
	struct key_ring ring;
	detail[0] = 0;
	shell->config_watch.due = MONO_NEVER;
	int rc = read_again(shell, &next, detail, detail_size);
	rc = rc ? rc : policy_read_keys(&next, &ring, detail, detail_size);
	if (!rc && !settings_gpus_moved(&shell->live.settings, &next)) {
		rc = reload_name_gpus(shell->broker.store, &next.core, false);
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
	settings_compare(&shell->live.settings, &next, ret_change);
	keep_running(&shell->live.settings, &next);
	policy_take_keys(&shell->policy, &ring);
	explicit_bzero(&ring, sizeof ring);
	reload_apply(shell, &next);
	log_event(log, LOG_INFO, "configuration read again",
		  log_str("changed", ret_change->applied),
		  log_str("needs_restart", ret_change->restart));
	return 0;
}

static void add_words(struct text *out, const char *key, const char *words)
{
	char copy[512], *save = NULL;
	snprintf(copy, sizeof copy, "%s", words);
	text_json_key(out, key);
	text_char(out, '[');
	for (char *word = strtok_r(copy, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
		text_json_item(out);
		text_json_string(out, word);
	}
	text_char(out, ']');
}

void route_reload(struct shell *shell, const struct asked *asked)
{
	struct settings_change change;
	char detail[512];
	if (reload_settings(shell, &change, detail, sizeof detail)) {
		respond_error(shell->doors.net, asked, &shell->body, ERR_CONFIG, detail);
		return;
	}
	text_clear(&shell->body);
	text_str(&shell->body, "{\"status\":\"ok\"");
	add_words(&shell->body, "changed", change.applied);
	add_words(&shell->body, "needs_restart", change.restart);
	text_char(&shell->body, '}');
	routes_json(shell, asked, 200);
}

static void on_changed(void *ctx)
{
	struct shell *shell = ctx;
	shell->config_watch.due = mono_after(loop_now(), RELOAD_SETTLE_MS);
}

static void follow(struct shell *shell)
{
	if (trail_follow(&shell->config_watch.trail) != 0)
		log_event(&shell->observers.log, LOG_WARN,
			  "cannot watch the configuration file; SIGHUP reads it again",
			  log_str("error", strerror(errno)));
}

struct mono_ms reload_when_due(struct shell *shell, struct mono_ms now)
{
	struct settings_change change;
	char detail[512];
	struct reload_watch *watch = &shell->config_watch;
	if (!mono_due(watch->due, now))
		return watch->due;
	watch->due = MONO_NEVER;
	follow(shell);
	/* Away for a moment, as some editors do it: its coming back is seen, too. */
	if (access(watch->trail.path, F_OK) == 0)
		(void)reload_settings(shell, &change, detail, sizeof detail);
	return watch->due;
}

void reload_watch_begin(struct shell *shell, struct reload_watch *watch)
{
	watch->due = MONO_NEVER;
	trail_init(&watch->trail, shell->loop, shell->live.paths.config, on_changed, shell);
	if (shell->live.paths.config[0])
		follow(shell);
}

void reload_watch_end(struct reload_watch *watch)
{
	trail_end(&watch->trail);
	watch->due = MONO_NEVER;
}
