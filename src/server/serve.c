/* serve: the main loop of the daemon: turn, deliver, what is due, sleep; and how it stops. Decides
 * nothing about leases. Called by main. */
#include "server/serve.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/err.h"
#include "config/paths.h"
#include "net/loop.h"
#include "server/announce.h"
#include "server/monitor/event_feed.h"
#include "server/notify.h"
#include "server/server.h"
#include "server/session/session_list.h"
#include "server/startup.h"

enum {
	BACKLOG_LOOK_MS = 20, /* how often a reader that lags is looked at */
	EXIT_USAGE = 64,
};

/* What is due beside the core's own deadlines; returns when to look again. */
static struct mono_ms run_due(struct server *server, struct mono_ms now)
{
	struct mono_ms wake = MONO_NEVER;

	position_updates_step(&server->position_updates, server->broker.core, now, deliver_place,
			      &server->deliver);
	wake = mono_min(wake, position_updates_wake(&server->position_updates, now));
	wake = mono_min(wake, gpu_sampler_step(&server->gpus, now));
	wake = mono_min(wake, status_streams_step(&server->status_streams));
	if (event_feeds_step(&server->monitor))
		wake = mono_min(wake, mono_after(now, BACKLOG_LOOK_MS));
	greeting_expire(&server->endpoints, now);

	wake = mono_min(wake, vram_history_step(&server->vram_history, server->broker.core, now,
						server->broker.suspended_ms));
	wake = mono_min(wake, reload_when_due(&server->reload, now));
	wake = mono_min(wake, sockets_when_due(&server->sockets, now));
	wake = mono_min(wake, inference_step(&server->inference, now));
	wake = mono_min(wake, worker_sockets_step(&server->worker_sockets, now));
	wake = mono_min(wake, process_tracker_step(&server->tracker, now));
	wake = mono_min(wake, live_reload_when_due(&server->live_reload, now));
	wake = mono_min(wake, greeting_wake(&server->endpoints));

	wake = mono_min(wake, deliver_keepalive(&server->deliver, now));
	wake = mono_min(wake, shutdown_step(&server->shutdown, now));
	wake = mono_min(wake, memory_trim_step(&server->memory_trim, server->broker.core, now));
	wake = mono_min(wake, log_ring_flush(&server->log_ring, now));
	logfile_step(&server->logfile, now);

	return mono_min(wake, broker_wake(&server->broker));
}

static void run_loop(struct server *server)
{
	const struct broker_out out = deliver_out(&server->deliver);
	struct mono_ms asked = loop_now(), now = asked;

	while (!server->shutdown.over) {
		loop_wake_at(server->loop, asked);
		loop_turn(server->loop);
		now = loop_now();
		int64_t stalled_ms = BROKER_IN_TIME;
		if (broker_jumped(&server->broker, asked, now, loop_suspended_ms())) {
			loop_drain(server->loop);
			now = loop_now();
			stalled_ms = broker_late_ms(&server->broker, asked, now);
			log_event(&server->log_ring.log, LOG_WARN,
				  "the machine slept or the broker stood still; silence counts "
				  "again once its clients had time to speak",
				  log_int("late_ms", stalled_ms));
		}
		broker_turn(&server->broker, now, loop_wall_now(), stalled_ms, &out);
		/* What was read is done before more is read, so the queue has a bound. */
		while (server->broker.queue.count > BROKER_EVENTS_MAX)
			broker_turn(&server->broker, now, loop_wall_now(), BROKER_IN_TIME, &out);
		journal_watch_step(&server->journal_watch);
		asked = run_due(server, now);
		int64_t turn_ms = mono_since(loop_now(), now);
		server->state.turn_ms_max =
			turn_ms > server->state.turn_ms_max ? turn_ms : server->state.turn_ms_max;
	}
}

/* Whoever started us may go on: from here on everybody who connects is served. */
static void tell_ready(const struct active_config *active, const char *home)
{
	char line[SETTINGS_SOCKET_BYTES + ACCESS_HOST_BYTES + 64];
	snprintf(line, sizeof(line), "listens on %s and %s", home, active->settings.socket_path);
	notify_send(NOTIFY_READY, line);
	notify_descriptor(active->options.ready_fd, line);
}

int serve_main(int argc, char **argv)
{
	static struct server server; /* large; lives as long as the process */
	char detail[4096 + 512];

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a file-size limit is one more full disk */
	(void)umask(077);
	int rc = startup_begin(&server, argc, argv, detail, sizeof(detail));
	if (rc == 0 && server.active.options.help) {
		options_help(stdout);
		startup_end(&server);
		return 0;
	}

	if (rc == 0 && server.active.options.check) {
		announce_checked(&server.active);
		startup_end(&server);
		return 0;
	}

	if (!rc)
		rc = signals_begin(&server.signals, server.loop);
	if (rc) {
		fprintf(stderr, "baton serve: %s\n", detail[0] ? detail : err_text(rc));
		bool usage = rc == -ERR_BAD_FIELD;
		if (usage)
			fprintf(stderr, "Try: baton serve --help\n");
		startup_end(&server);
		return usage ? EXIT_USAGE : err_exit_code(rc);
	}

	reload_watch(&server.reload, server.loop);
	sockets_watch(&server.sockets, server.loop);
	live_reload_begin(&server.live_reload, server.loop, server.active.paths.dev,
			  &server.log_ring.log, sessions_tell_reload, &server.endpoints);
	announce_ready(&server.active, &server.access, server.home);
	logfile_begin(&server.logfile, loop_now());
	tell_ready(&server.active, server.home);

	run_loop(&server);
	log_write(&server.log_ring.log, LOG_INFO, "stopped", NULL, 0);
	startup_end(&server);
	return 0;
}
