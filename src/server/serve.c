/* serve: the main loop of the daemon: turn, deliver, what is due, sleep; and how it stops. Decides
 * nothing about leases. Called by main. */
#include "server/serve.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "net/http_reply.h"
#include "net/listen.h"
#include "net/loop.h"
#include "server/deliver.h"
#include "server/endpoint_ops.h"
#include "server/monitor/event_feed.h"
#include "server/notify.h"
#include "server/startup.h"
#include "wire/session_encode.h"

enum {
	KEEPALIVE_MS = 15 * 1000,
	BACKLOG_LOOK_MS = 20, /* how often a reader that lags is looked at */
	DRAIN_MS = 2000,      /* for what was said last to get out */
	DRAIN_LAST_MS = 100,  /* once nobody is left who waits for something */
	CROWD = 4096,         /* claims and sessions at once */
	CROWD_GONE_MS = 1000,
	EXIT_USAGE = 64,
};

static struct mono_ms drain_lasts(const struct server *server, struct mono_ms now)
{
	bool waited_for = false;
	for (int kind = 0; kind < ENDPOINT_KIND_COUNT; kind++)
		waited_for |= server->endpoints.counts[kind] > 0;
	if (net_connection_count(server->endpoints.net) == 0)
		return now;
	return waited_for ? server->drain_until
			  : mono_min(server->drain_until, mono_after(now, DRAIN_LAST_MS));
}

/* Everybody is told; leases and places stay in the journal for the next start. */
static void begin_drain(struct server *server)
{
	if (server->state.draining)
		return;
	server->state.draining = true;
	/* Before all that waits to be stepped: a grant could not be told to anybody any more, and
	 * would stand in the journal as a lease that its client never heard of. */
	struct queued_event *queued = event_queue_new(&server->broker.queue);
	queued->in.event.type = EVENT_DRAIN;

	event_queue_push_first(&server->broker.queue, queued);
	server->drain_until = mono_after(loop_now(), DRAIN_MS);
	notify_send(NOTIFY_STOPPING, "leases and places stay in the journal");
	log_write(&server->log_ring.log, LOG_INFO,
		  "stopping; leases and places stay in the journal", NULL, 0);
	sockets_end(&server->sockets);
	net_stop_listening(server->endpoints.net);

	endpoints_drain(&server->endpoints);
}

static void on_stop(void *ctx, int signo)
{
	struct server *server = ctx;
	(void)signo;
	if (server->state.draining)
		server->stop = true; /* asked twice: at once */
	begin_drain(server);
}

static void on_hangup(void *ctx, bool ends)
{
	struct server *server = ctx;
	struct settings_change change;
	char detail[512];
	if (ends && server->state.draining)
		return;
	if (ends) {
		log_write(&server->log_ring.log, LOG_INFO, "the terminal was closed", NULL, 0);
		begin_drain(server);
		return;
	}
	notify_send(NOTIFY_RELOADING, NULL);
	sockets_look(server);
	(void)reload_settings(&server->reload, &change, detail, sizeof(detail));
	notify_send(NOTIFY_READY, NULL);
}

/* What is due beside the core's own deadlines; returns when to look again. */
static struct mono_ms run_due(struct server *server, struct mono_ms now)
{
	struct mono_ms wake = MONO_NEVER;
	unsigned streams = endpoints_stream_count(&server->endpoints);

	position_updates_step(&server->position_updates, server->broker.core, now, deliver_place,
			      server);
	wake = mono_min(wake, position_updates_wake(&server->position_updates, now));
	wake = mono_min(wake, gpu_sampler_step(&server->gpus, now));
	wake = mono_min(wake, status_streams_step(&server->status_streams));
	if (event_feeds_step(&server->monitor))
		wake = mono_min(wake, mono_after(now, BACKLOG_LOOK_MS));
	greeting_expire(&server->endpoints, now);

	wake = mono_min(wake, vram_history_step(&server->vram_history, server->broker.core, now,
						loop_suspended_ms()));
	wake = mono_min(wake, reload_when_due(&server->reload, now));
	wake = mono_min(wake, sockets_when_due(server, now));
	wake = mono_min(wake, process_tracker_step(&server->tracker, now));
	wake = mono_min(wake, live_reload_when_due(&server->live_reload, now));
	wake = mono_min(wake, greeting_wake(&server->endpoints));

	if (streams == 0) {
		server->keepalive_at = mono_after(now, KEEPALIVE_MS);
	} else {
		if (mono_due(server->keepalive_at, now)) {
			deliver_keepalive(&server->endpoints);
			server->keepalive_at = mono_after(now, KEEPALIVE_MS);
		}
		wake = mono_min(wake, server->keepalive_at);
	}

	if (server->state.draining) {
		struct mono_ms end = drain_lasts(server, now);
		server->drain_until = mono_min(server->drain_until, end);
		server->stop |= mono_due(server->drain_until, now);
		wake = mono_min(wake, server->drain_until);
	}

	return mono_min(wake, broker_wake(&server->broker));
}

/* Freed memory stays with the allocator, and so with us, until it is told: a moment after a crowd
 * has left, other programs of this machine shall have it. Returns when to look again. */
static struct mono_ms give_memory_back(struct server *server, struct mono_ms now)
{
	struct core_stats stats;

	core_stats(server->broker.core, &stats);
	unsigned there = stats.waiting + stats.held + stats.sessions;
	if (there >= server->crowd_max || server->crowd_max < CROWD)
		server->crowd_max = there;
	if (server->crowd_max < CROWD || there > server->crowd_max / 4)
		server->crowd_left = MONO_NEVER;
	else if (server->crowd_left.v == MONO_NEVER.v)
		server->crowd_left = mono_after(now, CROWD_GONE_MS);

	if (mono_due(server->crowd_left, now)) {
		server->crowd_max = there;
		server->crowd_left = MONO_NEVER;
		(void)malloc_trim(0);
	}
	return server->crowd_left;
}

/* From here on a restart need not wait again. The core wakes us at that moment. */
static void end_doubt(struct server *server)
{
	if (!server->doubt_open || core_in_doubt(server->broker.core, server->broker.now) ||
	    !server->broker.journal_ok)
		return;
	store_end_doubt(server->broker.store);
	server->doubt_open = false;
	log_write(&server->log_ring.log, LOG_INFO,
		  "who held before must have stopped by now; granting", NULL, 0);
}

static void run_loop(struct server *server)
{
	const struct broker_out out = deliver_out(server);
	struct mono_ms asked = loop_now(), now = asked;

	server->crowd_left = MONO_NEVER;
	while (!server->stop) {
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
		end_doubt(server);
		asked = run_due(server, now);
		asked = mono_min(asked, give_memory_back(server, now));
		asked = mono_min(asked, log_ring_flush(&server->log_ring, now));
		logfile_step(&server->logfile, now);
		int64_t turn_ms = mono_since(loop_now(), now);
		server->state.turn_ms_max =
			turn_ms > server->state.turn_ms_max ? turn_ms : server->state.turn_ms_max;
	}
}

static int begin_signals(struct server *server)
{
	int rc = loop_on_signal(server->loop, SIGTERM, on_stop, server);
	if (!rc)
		rc = loop_on_signal(server->loop, SIGINT, on_stop, server);
	if (rc)
		return rc;

	return hangup_begin(&server->hangup, server->loop, on_hangup, server);
}

/* Whoever started us may go on: from here on everybody who connects is served. */
static void tell_ready(const struct server *server)
{
	char line[SETTINGS_SOCKET_BYTES + ACCESS_HOST_BYTES + 64];
	snprintf(line, sizeof(line), "listens on %s and %s", server->home,
		 server->active.settings.socket_path);
	notify_send(NOTIFY_READY, line);
	notify_descriptor(server->active.options.ready_fd, line);
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
		startup_checked(&server);
		startup_end(&server);
		return 0;
	}

	if (!rc)
		rc = begin_signals(&server);
	if (rc) {
		fprintf(stderr, "baton serve: %s\n", detail[0] ? detail : err_text(rc));
		bool usage = rc == -ERR_BAD_FIELD;
		if (usage)
			fprintf(stderr, "Try: baton serve --help\n");
		startup_end(&server);
		return usage ? EXIT_USAGE : err_exit_code(rc);
	}

	reload_watch(&server.reload, server.loop);
	sockets_watch(&server);
	live_reload_begin(&server.live_reload, server.loop, server.active.paths.dev,
			  &server.log_ring.log, sessions_tell_reload, &server.endpoints);
	startup_announce(&server);
	logfile_begin(&server.logfile, loop_now());
	tell_ready(&server);

	run_loop(&server);
	log_write(&server.log_ring.log, LOG_INFO, "stopped", NULL, 0);
	startup_end(&server);
	return 0;
}
