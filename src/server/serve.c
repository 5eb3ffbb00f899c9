/* serve: the main loop of the daemon: turn, deliver, what is due, sleep; and how it stops. Decides
 * nothing about leases. Called by main. */
#include "server/serve.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "net/loop.h"
#include "server/boot.h"
#include "server/deliver.h"
#include "server/notify.h"
#include "server/respond.h"
#include "server/sessions.h"

enum {
	KEEPALIVE_MS = 15 * 1000,
	BACKLOG_LOOK_MS = 20, /* how often a reader that lags is looked at */
	DRAIN_MS = 2000,      /* for what was said last to get out */
	DRAIN_LAST_MS = 100,  /* once nobody is left who waits for something */
	CROWD = 4096,         /* claims and sessions at once */
	CROWD_GONE_MS = 1000,
	EXIT_USAGE = 64,
};

static struct mono_ms drain_lasts(const struct shell *shell, struct mono_ms now)
{
	bool waited_for = false;
	for (int kind = 0; kind < DOOR_KIND_COUNT; kind++)
		waited_for |= shell->doors.counts[kind] > 0;
	if (net_connection_count(shell->doors.net) == 0)
		return now;
	return waited_for ? shell->drain_until
			  : mono_min(shell->drain_until, mono_after(now, DRAIN_LAST_MS));
}

static void tell_request(struct shell *shell, struct door *door)
{
	struct answer answer;
	text_clear(&shell->body);
	answer_error(&shell->body, ERR_DRAINING, NULL, &answer);
	respond_text(shell->doors.net, door->conn, door->origin, &answer, &shell->body);
	door_shut(&shell->doors, door);
}

static void end_stream(struct shell *shell, struct door *door)
{
	text_clear(&shell->body);
	message_render_denied(&shell->body, 0, ERR_DRAINING, NULL);
	text_clear(&shell->line);
	answer_sse(&shell->line, 0, "denied", shell->body.bytes);
	http_stream_write(shell->doors.net, door->conn, shell->line.bytes, shell->line.length);
	http_stream_end(shell->doors.net, door->conn);
	door_shut(&shell->doors, door);
}

/* Everybody is told; leases and places stay in the journal for the next start. */
static void drain(struct shell *shell)
{
	if (shell->draining)
		return;
	shell->draining = true;
	/* Before all that waits to be stepped: a grant could not be told to anybody any more, and
	 * would stand in the journal as a lease that its client never heard of. */
	struct ticket *ticket = batch_new(&shell->broker.batch);
	ticket->in.event.type = EVENT_DRAIN;
	batch_push_first(&shell->broker.batch, ticket);
	shell->drain_until = mono_after(loop_now(), DRAIN_MS);
	notify_send(NOTIFY_STOPPING, "leases and places stay in the journal");
	log_write(&shell->observers.log, LOG_INFO,
		  "stopping; leases and places stay in the journal", NULL, 0);
	sockets_end(&shell->sockets);
	net_stop_listening(shell->doors.net);
	list_each(it, next, &shell->doors.kinds[DOOR_REQUEST])
		tell_request(shell, container_of(it, struct door, link));
	list_each(it, next, &shell->doors.kinds[DOOR_STREAM])
	{
		struct door *door = container_of(it, struct door, link);
		if (door->begun)
			end_stream(shell, door);
		else
			tell_request(shell, door);
	}
	list_each(it, next, &shell->doors.kinds[DOOR_FEED])
		end_stream(shell, container_of(it, struct door, link));
	sessions_drain(shell);
}

static void on_stop(void *ctx, int signo)
{
	struct shell *shell = ctx;
	(void)signo;
	if (shell->draining)
		shell->stop = true; /* asked twice: at once */
	drain(shell);
}

static void on_hangup(void *ctx, bool ends)
{
	struct shell *shell = ctx;
	struct settings_change change;
	char detail[512];
	if (ends && shell->draining)
		return;
	if (ends) {
		log_write(&shell->observers.log, LOG_INFO, "the terminal was closed", NULL, 0);
		drain(shell);
		return;
	}
	notify_send(NOTIFY_RELOADING, NULL);
	sockets_look(shell);
	(void)reload_settings(shell, &change, detail, sizeof detail);
	notify_send(NOTIFY_READY, NULL);
}

/* What is due beside the core's own deadlines; returns when to look again. */
static struct mono_ms run_due(struct shell *shell, struct mono_ms now)
{
	struct mono_ms wake = MONO_NEVER;
	unsigned streams = shell->doors.counts[DOOR_STREAM] + shell->doors.counts[DOOR_FEED];
	places_step(&shell->places, shell->broker.core, now, deliver_place, shell);
	wake = mono_min(wake, places_wake(&shell->places, now));
	wake = mono_min(wake, listings_step(shell));
	if (deliver_feeds(shell))
		wake = mono_min(wake, mono_after(now, BACKLOG_LOOK_MS));
	sessions_expire(shell, now);
	wake = mono_min(
		wake, samples_step(&shell->samples, shell->broker.core, now, loop_suspended_ms()));
	wake = mono_min(wake, reload_when_due(shell, now));
	wake = mono_min(wake, sockets_when_due(shell, now));
	wake = mono_min(wake, processes_step(&shell->processes, now));
	wake = mono_min(wake, dev_when_due(shell, now));
	wake = mono_min(wake, sessions_wake(shell));
	if (streams == 0) {
		shell->keepalive_at = mono_after(now, KEEPALIVE_MS);
	} else {
		if (mono_due(shell->keepalive_at, now)) {
			deliver_keepalive(shell);
			shell->keepalive_at = mono_after(now, KEEPALIVE_MS);
		}
		wake = mono_min(wake, shell->keepalive_at);
	}
	if (shell->draining) {
		struct mono_ms end = drain_lasts(shell, now);
		shell->drain_until = mono_min(shell->drain_until, end);
		shell->stop |= mono_due(shell->drain_until, now);
		wake = mono_min(wake, shell->drain_until);
	}
	return mono_min(wake, turn_wake(&shell->broker));
}

/* Freed memory stays with the allocator, and so with us, until it is told: a moment after a crowd
 * has left, other programs of this machine shall have it. Returns when to look again. */
static struct mono_ms give_memory_back(struct shell *shell, struct mono_ms now)
{
	struct core_stats stats;
	core_stats(shell->broker.core, &stats);
	unsigned there = stats.waiting + stats.held + stats.sessions;
	if (there >= shell->crowd_max || shell->crowd_max < CROWD)
		shell->crowd_max = there;
	if (shell->crowd_max < CROWD || there > shell->crowd_max / 4)
		shell->crowd_left = MONO_NEVER;
	else if (shell->crowd_left.v == MONO_NEVER.v)
		shell->crowd_left = mono_after(now, CROWD_GONE_MS);
	if (mono_due(shell->crowd_left, now)) {
		shell->crowd_max = there;
		shell->crowd_left = MONO_NEVER;
		(void)malloc_trim(0);
	}
	return shell->crowd_left;
}

/* From here on a restart need not wait again. The core wakes us at that moment. */
static void end_doubt(struct shell *shell)
{
	if (!shell->doubt_open || core_in_doubt(shell->broker.core, shell->broker.now) ||
	    !shell->broker.journal_ok)
		return;
	store_end_doubt(shell->broker.store);
	shell->doubt_open = false;
	log_write(&shell->observers.log, LOG_INFO,
		  "who held before must have stopped by now; granting", NULL, 0);
}

static void run(struct shell *shell)
{
	const struct turn_out out = deliver_out(shell);
	struct mono_ms asked = loop_now(), now = asked;
	shell->crowd_left = MONO_NEVER;
	while (!shell->stop) {
		loop_wake_at(shell->loop, asked);
		loop_turn(shell->loop);
		now = loop_now();
		int64_t stalled_ms = TURN_IN_TIME;
		if (turn_jumped(&shell->broker, asked, now, loop_suspended_ms())) {
			loop_drain(shell->loop);
			now = loop_now();
			stalled_ms = turn_late_ms(&shell->broker, asked, now);
			log_event(&shell->observers.log, LOG_WARN,
				  "the machine slept or the broker stood still; silence counts "
				  "again once its clients had time to speak",
				  log_int("late_ms", stalled_ms));
		}
		turn_run(&shell->broker, now, loop_wall_now(), stalled_ms, &out);
		/* What was read is done before more is read, so the batch has a bound. */
		while (shell->broker.batch.count > TURN_EVENTS_MAX)
			turn_run(&shell->broker, now, loop_wall_now(), TURN_IN_TIME, &out);
		end_doubt(shell);
		asked = run_due(shell, now);
		asked = mono_min(asked, give_memory_back(shell, now));
		asked = mono_min(asked, observe_flush(&shell->observers, now));
		logfile_step(&shell->logfile, now);
		int64_t turn_ms = mono_since(loop_now(), now);
		shell->turn_ms_max = turn_ms > shell->turn_ms_max ? turn_ms : shell->turn_ms_max;
	}
}

static int begin_signals(struct shell *shell)
{
	int rc = loop_on_signal(shell->loop, SIGTERM, on_stop, shell);
	rc = rc ? rc : loop_on_signal(shell->loop, SIGINT, on_stop, shell);
	return rc ? rc : hangup_begin(&shell->hangup, shell->loop, on_hangup, shell);
}

/* Whoever started us may go on: from here on everybody who connects is served. */
static void tell_ready(const struct shell *shell)
{
	char line[SETTINGS_SOCKET_BYTES + POLICY_HOST_BYTES + 64];
	snprintf(line, sizeof line, "listens on %s and %s", shell->home,
		 shell->live.settings.socket_path);
	notify_send(NOTIFY_READY, line);
	notify_descriptor(shell->live.options.ready_fd, line);
}

int serve_main(int argc, char **argv)
{
	static struct shell shell; /* large; lives as long as the process */
	char detail[4096 + 512];
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a file-size limit is one more full disk */
	(void)umask(077);
	int rc = boot_begin(&shell, argc, argv, detail, sizeof detail);
	if (rc == 0 && shell.live.options.help) {
		options_help(stdout);
		boot_end(&shell);
		return 0;
	}
	if (rc == 0 && shell.live.options.check) {
		boot_checked(&shell);
		boot_end(&shell);
		return 0;
	}
	rc = rc ? rc : begin_signals(&shell);
	if (rc) {
		fprintf(stderr, "baton serve: %s\n", detail[0] ? detail : err_text(rc));
		bool usage = rc == -ERR_BAD_FIELD;
		if (usage)
			fprintf(stderr, "Try: baton serve --help\n");
		boot_end(&shell);
		return usage ? EXIT_USAGE : err_exit_code(rc);
	}
	reload_watch_begin(&shell, &shell.config_watch);
	sockets_watch(&shell);
	dev_begin(&shell);
	boot_announce(&shell);
	logfile_begin(&shell.logfile, loop_now());
	tell_ready(&shell);
	run(&shell);
	log_write(&shell.observers.log, LOG_INFO, "stopped", NULL, 0);
	boot_end(&shell);
	return 0;
}
