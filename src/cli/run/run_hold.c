/* run_hold: see run_hold.h. It never starts the command without a lease, and gives the lease back
 * only when the last process of the command is gone. */
#include "cli/run/run_hold.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/clock.h"
#include "cli/http_client.h"
#include "cli/reach.h"
#include "cli/run/checkpoint_thread.h"
#include "cli/run/run_checkpoint.h"
#include "cli/run/run_containers.h"
#include "cli/run/run_freeze.h"
#include "cli/run/run_lease.h"
#include "cli/run/run_limit.h"
#include "cli/run/run_options.h"
#include "cli/run/run_refuse.h"
#include "cli/run/run_signals.h"
#include "cli/run/run_state.h"
#include "cli/run/run_stop.h"
#include "cli/units.h"
#include "process/unit_of.h"

enum { GRACE_MS_USUAL_MAX = 20 * 1000 }; /* what a broker gives unless configured otherwise */

/* ---- the loop ---- */

static int status_of(const struct child *child)
{
	if (child->status_unknown)
		return EX_SOFTWARE;
	return WIFSIGNALED(child->status) ? RUN_SIGNALLED + WTERMSIG(child->status)
					  : WEXITSTATUS(child->status);
}

/* The kernel kills one process for want of memory, and its leader may call that a success. */
static void judge_oom(struct run *run)
{
	int64_t killed = job_oom_kills(&run->job) - run->oom_before;
	if (run->oom_before < 0 || killed <= 0)
		return;

	run->end.oom_kills = killed;
	run_progress_say(&run->show, true,
			 "run: the kernel killed %lld process%s of %s because memory ran out%s",
			 (long long)killed, killed == 1 ? "" : "es", run->argv[0],
			 run->options->strict ? "" : " (--strict would make that a failure)");
}

/* It gave way, and is to have another turn. */
static bool comes_again(const struct run *run)
{
	return run->taken && run->options->requeue && !run->told_signal && !run->overdue;
}

/* For whoever asks later why it ended. Of a turn that is followed by another under the same lease
 * nothing is said, nor kept for its end. */
static void explain_end(struct run *run)
{
	char words[LIMIT_REASON_BYTES + 1];
	run->end.status = run->job.child.status;
	run->end.unknown = run->job.child.status_unknown;
	run->end.stopped = run->taken;
	run->end.held_out = run->overdue;

	if (!run->revoked && comes_again(run))
		return;
	run_end_words(&run->end, words, sizeof(words));
	if (!*words || baton_claim_explain(run->claim, words) < 0)
		return;
	if (!run->revoked) /* a goodbye alone would not say it */
		(void)baton_release(run->claim, false);
}

static void say_who_ended_it(struct run *run)
{
	if (run->end.ended_by != UNIT_NONE && run->end.ended_by != UNIT_SYSTEM)
		run_progress_say(&run->show, true,
				 "run: systemd stopped %s, in which %s was: --scope, with linger, "
				 "keeps a job over a logout",
				 run->end.unit, run->argv[0]);
}

/* Its last process is gone. Only now may the lease be given back. */
static void round_over(struct run *run)
{
	const struct child *child = &run->job.child;
	bool revoked = run->revoked;
	run_freeze_forget(run);
	run_checkpoint_forget(run);
	judge_oom(run);
	run_limit_lift(run);
	terminal_restore(&run->job.terminal, WIFSIGNALED(child->status));

	explain_end(run);
	say_who_ended_it(run);
	if (revoked)
		(void)baton_lease_stopped(run->claim);
	run->revoked = false;
	run->phase = RUN_DONE;

	if (child->status_unknown)
		run_progress_say(&run->show, true, "run: %s has ended; nobody knows its status",
				 run->argv[0]);
	if (!run->taken)
		return;

	if (!comes_again(run)) {
		if (!run->away.lost)
			run_progress_say(
				&run->show, true,
				"run: %s had to give the GPU back before it was done%s%s",
				run->argv[0], run->cause,
				run->options->requeue ? "" : " (--requeue would start it again)");
		return;
	}

	run_progress_say(&run->show, false, "%s %s%s; it will be started again", run->argv[0],
			 run->away.lost ? "is lost" : "gave way", run->away.lost ? "" : run->cause);
	run->away.lost = false;
	run->phase = RUN_WAITING;
	run->asked_ms = clock_now_ms();
	if (run->parked || revoked || baton_release(run->claim, true) < 0)
		run->ask_again = true;
}

/* It ended by itself; what it left behind has to end as well. Its pid may be reused from now on. */
static void note_end(struct run *run)
{
	size_t left = job_left(&run->job);
	run->end_noted = true;
	if (run->attached.pid)
		run_lease_name_attached(run);
	else
		(void)baton_processes(run->baton, NULL, 0, run_cgroup_path(run));
	if (job_gone(&run->job))
		return;
	if (run->phase == RUN_RUNNING && left > 0)
		run_progress_say(&run->show, false,
				 "%s has ended and left %zu process%s; stopping %s", run->argv[0],
				 left, left == 1 ? "" : "es", left == 1 ? "it" : "them");
	run_stop(run, run_own_grace_ms(run));
}

static void look_at_job(struct run *run)
{
	struct child *child = &run->job.child;
	child_reap(child);
	if (run->leaving) { /* it is no longer ours to look after */
		if (run->phase != RUN_DONE && baton_processes_recorded(run->baton))
			run_lease_let_go(run);
		return;
	}

	if (run->phase == RUN_WAITING && run->attached.pid && child->ended) {
		run_progress_say(&run->show, false, "%s has ended before its lease came",
				 run->argv[0]);
		run->phase = RUN_DONE;
	}
	if (run_is_running(run) && job_keep(&run->job)) {
		(void)baton_keeper(run->baton, run->job.keeper.pid);
		if (run->phase == RUN_FROZEN || run->phase == RUN_AWAY)
			job_tell_keeper(&run->job); /* the one before knew all that is frozen */
	}
	if (run->attached.pid && run->phase == RUN_RUNNING)
		run_lease_name_attached(run);
	if (run_is_running(run) && child->ended && !run->end_noted)
		note_end(run);
	if (child->stopped)
		run_signals_stopped(run);

	run_freeze_look(run);
	run_checkpoint_look(run);
	run_stop_due(run);
	if (run_is_running(run) && job_gone(&run->job))
		round_over(run);
}

static void run_until_done(struct run *run)
{
	struct job *job = &run->job;
	while (run->phase != RUN_DONE) {
		struct pollfd fds[] = {
			{.fd = baton_fd(run->baton), .events = POLLIN},
			{.fd = run->signal_fd, .events = POLLIN},
			{.fd = job->child.ended ? -1 : job->child.pidfd, .events = POLLIN},
			{.fd = job->cgroup.fds.events_fd, .events = POLLPRI},
			{.fd = run_checkpoint_fd(run), .events = POLLIN},
		};
		if (poll(fds, 5, run->ask_again ? 0 : run_stop_timeout_ms(run)) < 0 &&
		    errno != EINTR)
			abort();

		/* Must be read even when not needed: it stays ready until then, and this loop would
		 * never sleep. */
		(void)job_cgroup_populated(&job->cgroup);

		/* First the broker's messages: its SIGTERM comes with the reason for it. */
		(void)baton_dispatch(run->baton, 0); /* errors come as `ended` */
		run_signals_take(run);
		look_at_job(run);
		if (run->ask_again && (run->phase == RUN_WAITING || run->phase == RUN_AWAY))
			run_lease_ask_anew(run);
	}
}

/* ---- before and after ---- */

static const char *refused_words(const struct run *run)
{
	return run->attached.pid ? "is under no lease" : "was not started";
}

static int connect_broker(struct run *run)
{
	struct baton_options connect;
	const char *slash = strrchr(run->argv[0], '/');
	baton_options_init(&connect);
	connect.name = run->options->name ? run->options->name : slash ? slash + 1 : run->argv[0];
	connect.link_changed = run_lease_link;
	connect.ctx = run;

	int rc = baton_connect(&connect, &run->baton);
	if (rc == BATON_E_NAME)
		return cli_fail(run->command, EX_USAGE,
				"'%.60s' cannot be a name; give another by --name", connect.name);
	if (rc == BATON_E_PATH)
		return run_refuse_path(run->command);
	if (rc == BATON_E_FORBIDDEN || rc == BATON_E_UNAUTHORIZED)
		return run_refuse_user(run->command, run->argv[0]);

	if (rc == BATON_E_UNREACHABLE) {
		char words[HTTP_CLIENT_ERROR_BYTES];
		reach_words(words, sizeof(words));
		return cli_fail(run->command, baton_exit_code(rc), "%s %s: %s", run->argv[0],
				refused_words(run), words);
	}

	if (rc < 0)
		return cli_fail(run->command, baton_exit_code(rc), "%s %s: %s", run->argv[0],
				refused_words(run),
				rc == BATON_E_TIMEOUT
					? "the broker does not answer; it is stopped, or very busy"
					: baton_strerror(rc));
	return 0;
}

/* The command's status is ours, unless it did not end by itself. */
static int final_status(struct run *run)
{
	const struct child *child = &run->job.child;
	if (!run->started)
		return run->status;
	/* On a terminal of its own the key reached it without us. */
	if ((run->interrupted || run->job.terminal.fd >= 0) && WIFSIGNALED(child->status) &&
	    WTERMSIG(child->status) == SIGINT)
		run->die_of = SIGINT;
	if (run->overdue)
		return RUN_HELD_OUT;
	if (run->away.lost)
		return RUN_LOST;
	if (run->taken)
		return EX_TEMPFAIL;

	int status = status_of(child);
	return status == 0 && run->end.oom_kills > 0 && run->options->strict
		       ? RUN_SIGNALLED + SIGKILL
		       : status;
}

static int hold_and_run(struct run *run)
{
	run->signal_fd = run_signals_catch(run);
	if (run->signal_fd < 0)
		return cli_fail(run->command, EX_OSERR, "no signalfd: %s", strerror(errno));

	job_init(&run->job);
	run->job.dmem.wanted = run->options->limit;
	run->job.memory.wanted = run->options->strict;
	if (run->attached.pid)
		job_attach(&run->job, (pid_t)run->attached.pid, run->attached.start,
			   run->attached.pidfd);
	signal(SIGPIPE, SIG_IGN); /* a closed stderr is no reason to drop a lease */

	int rc = run_lease_ask(run);
	if (rc == 0) {
		run_until_done(run);
		rc = final_status(run);
	}

	run_progress_clear(&run->show);
	job_finish(&run->job);
	close(run->signal_fd);
	return rc;
}

/* A shell ends a script or loop at Ctrl-C only if it sees its child die of SIGINT. */
static void die_of_signal(int signo)
{
	const struct rlimit no_core = {0};
	sigset_t set;
	if (!signo)
		return;

	setrlimit(RLIMIT_CORE, &no_core); /* SIGQUIT would dump ours */
	sigemptyset(&set);
	sigaddset(&set, signo);
	signal(signo, SIG_DFL);
	raise(signo);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void note_grace(struct run *run)
{
	char grace[UNITS_BYTES];
	if (run->options->grace_ms > GRACE_MS_USUAL_MAX)
		run_progress_say(&run->show, false,
				 "--grace %s is more than the 20s that a broker gives unless its "
				 "grace_max_s says otherwise",
				 units_duration(grace, (double)run->options->grace_ms / 1000));
}

void run_begin(struct run *run, const struct command *command, const struct run_options *options,
	       char **argv)
{
	const char *parent = getenv("BATON_LEASE");
	*run = (struct run){
		.command = command,
		.options = options,
		.argv = argv,
		.notice = DESKTOP_NOTICE_NONE,
		.hold_until_ms = INT64_MAX,
		.oom_before = -1,
		.attached = {.pidfd = -1},
		.parent = parent ? strtoull(parent, NULL, 10) : 0,
	};
	run_progress_init(&run->show, options->quiet);
}

int run_hold(struct run *run)
{
	int rc = run->options->on_yield == ON_YIELD_CHECKPOINT ? run_checkpoint_refuse(run) : -1;
	if (rc < 0)
		rc = run_limit_refuse(run);
	if (rc >= 0)
		return rc;

	note_grace(run);
	if (run->options->notify)
		desktop_notice_begin(&run->notice);
	rc = connect_broker(run);
	if (rc > 0)
		return rc;

	rc = hold_and_run(run);
	baton_close(run->baton);
	run_containers_say(run, run->job_start);
	desktop_notice_end(&run->notice);
	die_of_signal(run->die_of);
	if (run->die_of) /* process 1 of a container does not */
		rc = RUN_SIGNALLED + run->die_of;
	if (checkpoint_thread_hangs()) {
		(void)fflush(NULL);
		_exit(rc);
	}
	return rc;
}
