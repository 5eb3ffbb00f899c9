/* run: waits for a lease, runs a command under it, and makes sure that nothing of the command
 * outlives the lease. It never starts the command without a lease, and gives the lease back only
 * when the last process of the command is gone. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "baton/baton.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/reach.h"
#include "cli/run/job.h"
#include "cli/run/run_env.h"
#include "cli/run/run_inside.h"
#include "cli/run/run_options.h"
#include "cli/run/run_progress.h"
#include "cli/run/run_refuse.h"
#include "cli/run/run_sender.h"
#include "cli/units.h"
#include "process/spawn.h"

enum {
	GRACE_MS_DEFAULT = 2000,
	GRACE_MS_USUAL_MAX = 20 * 1000, /* what a broker gives unless configured otherwise */
	KILL_MARGIN_MS = 250,           /* we kill this long before the broker would */
	KILL_AGAIN_MS = 100,            /* processes forked meanwhile were not on the list */
	NOT_EXECUTABLE = 126,
	NOT_FOUND = 127,
	SIGNALLED = 128,
};

enum run_phase {
	RUN_WAITING,
	RUN_RUNNING,
	RUN_STOPPING, /* it was asked to end, SIGKILL at kill_at_ms */
	RUN_KILLING,
	RUN_DONE,
};

struct run {
	const struct command *command;
	const struct run_options *options;
	struct run_progress show;
	struct job job;
	struct baton *baton;
	struct baton_claim *claim;
	enum run_phase phase;
	char **argv;
	sigset_t mask_before;
	int signal_fd, status; /* status: unless the command says */
	bool started;
	bool taken;     /* asked to yield, or revoked, before the command ended by itself */
	bool revoked;   /* libbaton waits for baton_lease_stopped */
	bool ask_again; /* with a new claim: the old one has ended */
	bool end_noted;
	int64_t kill_at_ms, asked_ms;
	uint64_t parent;  /* the lease that we were started under, from our environment */
	int told_signal;  /* SIGTERM, SIGINT or SIGQUIT sent to us while it ran; 0: none */
	bool interrupted; /* by SIGINT */
	int die_of;       /* 0: exit with `status` */
};

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- stopping ---- */

static bool is_running(const struct run *run)
{
	return run->phase == RUN_RUNNING || run->phase == RUN_STOPPING || run->phase == RUN_KILLING;
}

/* A little before the broker's own SIGKILL, which would kill us and leave to the keeper what we can
 * do cleanly. */
static int64_t kill_time(int64_t grace_ms)
{
	int64_t margin_ms = grace_ms / 4 < KILL_MARGIN_MS ? grace_ms / 4 : KILL_MARGIN_MS;
	return now_ms() + grace_ms - margin_ms;
}

/* Sends SIGTERM to all of it now, SIGKILL after the grace. */
static void stop_command(struct run *run, int64_t grace_ms)
{
	if (run->phase != RUN_RUNNING)
		return;
	run->phase = RUN_STOPPING;
	run->kill_at_ms = kill_time(grace_ms);
	job_ask(&run->job, SIGTERM);
}

static void kill_command(struct run *run)
{
	run->phase = RUN_KILLING;
	run->kill_at_ms = now_ms() + KILL_AGAIN_MS;
	job_kill(&run->job);
}

static int64_t own_grace_ms(const struct run *run)
{
	return run->options->grace_ms >= 0 ? run->options->grace_ms : GRACE_MS_DEFAULT;
}

/* ---- callbacks of libbaton ---- */

static void on_queued(struct baton_claim *claim, const struct baton_place *place, void *ctx)
{
	struct run *run = ctx;
	(void)claim;
	if (run->phase == RUN_WAITING)
		run_progress_place(&run->show, place);
}

static void say_started(struct run *run, const struct baton_lease *lease)
{
	char waited[UNITS_BYTES];
	run_progress_say(&run->show, false,
			 "holding %s, lease %" PRIu64
			 ", after %s; %s is process %ld (baton status)",
			 getenv("BATON_GPU"), baton_lease_id(lease),
			 units_duration(waited, (double)(now_ms() - run->asked_ms) / 1000),
			 run->argv[0], (long)run->job.child.pid);
}

static const char *cgroup_path(const struct run *run)
{
	return *run->job.cgroup.path ? run->job.cgroup.path : NULL;
}

/* The broker learns of the keeper and the cgroup before there is a process that needs them. */
static int start_command(struct run *run)
{
	int error = job_prepare(&run->job);
	if (error)
		return error;
	(void)baton_keeper(run->baton, run->job.keeper.pid);
	(void)baton_processes(run->baton, NULL, 0, cgroup_path(run));
	error = job_start(&run->job, run->argv, &run->mask_before);
	if (error == 0)
		(void)baton_processes(run->baton, &run->job.child.pid, 1, cgroup_path(run));
	return error;
}

static void on_granted(struct baton_claim *claim, const struct baton_lease *lease, void *ctx)
{
	struct run *run = ctx;
	(void)claim;
	run_progress_clear(&run->show);
	run_env_set(lease, &run->show);
	run->taken = run->revoked = run->end_noted = false;

	int error = start_command(run);
	if (error == 0) {
		run->started = true;
		run->phase = RUN_RUNNING;
		say_started(run, lease);
		return;
	}

	run->started = false;
	run_progress_say(&run->show, true, "run: %s: %s", run->argv[0], strerror(error));
	run->status = error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
	run->phase = RUN_DONE;
}

static void on_yield(struct baton_claim *claim, const struct baton_yield *yield, void *ctx)
{
	struct run *run = ctx;
	char left[UNITS_BYTES];
	(void)claim;
	if (run->phase != RUN_RUNNING)
		return; /* it is being stopped already */

	int64_t grace_ms = yield->grace_ms >= 0 ? yield->grace_ms : own_grace_ms(run);
	run->taken = !run->job.child.ended;
	if (yield->grace_ms >= 0)
		run_progress_say(&run->show, false, "asked to give the GPU back within %s: %s%s%s",
				 units_duration(left, (double)yield->grace_ms / 1000),
				 yield->reason, *yield->for_whom ? " for " : "", yield->for_whom);
	else /* learned from a resume */
		run_progress_say(&run->show, false, "was asked to give the GPU back");

	if (!run->options->on_yield) {
		stop_command(run, grace_ms);
		return;
	}

	run->phase = RUN_STOPPING;
	run->kill_at_ms = kill_time(grace_ms);
	child_signal(&run->job.child, run->options->on_yield);
}

/* A command that got its own choice of signal may continue; one that got SIGTERM is already
 * exiting. */
static void on_kept(struct baton_claim *claim, void *ctx)
{
	struct run *run = ctx;
	(void)claim;
	if (run->phase == RUN_STOPPING && run->options->on_yield && !run->revoked)
		run->phase = RUN_RUNNING, run->taken = false;
}

/* How long it may take to stop: the declared grace, but no longer than others are kept out. */
static int64_t revoked_grace_ms(const struct run *run, int64_t left_ms)
{
	if (run->options->grace_ms < 0 && left_ms >= 0)
		return left_ms;
	int64_t grace_ms = own_grace_ms(run);
	return left_ms >= 0 && left_ms < grace_ms ? left_ms : grace_ms;
}

static void on_revoked(struct baton_claim *claim, const char *reason, void *ctx)
{
	struct run *run = ctx;
	int64_t grace_ms = revoked_grace_ms(run, baton_time_left_ms(claim));
	run->revoked = true;

	if (run->phase == RUN_RUNNING) {
		run->taken = !run->job.child.ended;
		run_progress_say(&run->show, true, "run: the lease is over (%s); stopping %s",
				 reason, run->argv[0]);
		stop_command(run, grace_ms);
	} else if (run->phase == RUN_STOPPING) {
		if (run->options->on_yield)
			job_ask(&run->job, SIGTERM);
		if (kill_time(grace_ms) < run->kill_at_ms)
			run->kill_at_ms = kill_time(grace_ms);
	}
}

/* Names the current holder. The refusal does not, and it is worth a request to know. */
static void name_holder(char *ret_words, size_t size)
{
	json_t *status;
	char error[512];
	if (http_client_try("GET", "/v1/gpu/status?limit=0", NULL, &status, error, sizeof(error)) <
	    0)
		return;

	const char *owner = field_text(status, "owner", NULL);
	if (owner)
		snprintf(ret_words, size, " Held by %s.", owner);
	json_decref(status);
}

/* If the broker names the wrong number or name, the general sentence adds nothing. */
static bool detail_says_all(int code)
{
	return code == BATON_E_NO_GPU || code == BATON_E_NEVER_FITS || code == BATON_E_INVALID;
}

static void say_no_lease(struct run *run, int code)
{
	const char *words = baton_strerror(code), *detail = baton_detail(run->baton);
	char holder[160] = "";
	bool more = *detail && strcmp(detail, words) != 0;

	if (more && detail_says_all(code))
		words = "";
	if (code == BATON_E_BUSY)
		name_holder(holder, sizeof(holder));
	run_progress_say(&run->show, true, "run: no lease for %s: %s%s%s%s", run->argv[0], words,
			 more && *words ? " " : "", more ? detail : "", holder);
}

static void on_ended(struct baton_claim *claim, int code, const char *reason, void *ctx)
{
	struct run *run = ctx;
	(void)claim, (void)reason;
	if (run->phase != RUN_WAITING)
		return;

	/* A release {requeue} that came too late: there was nothing left to come back to. */
	if (run->started && (code == BATON_OK || code == BATON_E_REVOKED)) {
		run->ask_again = true;
		return;
	}

	say_no_lease(run, code);
	run->status = baton_exit_code(code);
	run->phase = RUN_DONE;
}

static void on_link(struct baton *baton, enum baton_link link, void *ctx)
{
	struct run *run = ctx;
	(void)baton;
	if (link == BATON_LINK_DOWN)
		run_progress_say(&run->show, false, "the broker is away; trying to reach it again");
	else if (link == BATON_LINK_UP)
		run_progress_say(&run->show, false, "the broker is back; nothing was lost");
}

/* ---- signals ---- */

static const int passed_on[] = {SIGTERM, SIGINT,   SIGHUP,  SIGQUIT, SIGUSR1,
				SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT};

static bool is_ignored(int signo)
{
	struct sigaction action;
	return sigaction(signo, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* Signals that our parent ignores (nohup, a background job) stay ignored for us and the command.
 * Not SIGCHLD: if the parent ignored or blocked it, we would miss the command's end.
 */
static int catch_signals(struct run *run)
{
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++)
		if (!is_ignored(passed_on[i]))
			sigaddset(&set, passed_on[i]);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &run->mask_before);
	sigdelset(&run->mask_before, SIGCHLD);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Stops us as the signal would have if it had not been caught. */
static void stop_ourselves(void)
{
	raise(SIGSTOP);
}

static bool is_ending(int signo)
{
	return signo == SIGTERM || signo == SIGINT || signo == SIGHUP || signo == SIGQUIT;
}

static void while_waiting(struct run *run, int signo)
{
	if (signo == SIGTSTP) {
		stop_ourselves();
	} else if (is_ending(signo)) {
		run_progress_clear(&run->show);
		baton_cancel(run->claim);
		run->die_of = signo;
		run->phase = RUN_DONE;
	}
}

static void taken_by_broker(struct run *run)
{
	if (run->phase != RUN_RUNNING)
		return;
	run->taken = !run->job.child.ended;
	run_progress_say(&run->show, true, "run: the broker takes the lease back; stopping %s",
			 run->argv[0]);
	stop_command(run, own_grace_ms(run));
}

static void while_running(struct run *run, const struct signalfd_siginfo *info)
{
	int signo = (int)info->ssi_signo;
	struct child *child = &run->job.child;
	if (run_sender_is_broker(info)) {
		taken_by_broker(run);
		return;
	}

	/* The terminal signals the whole group, so the command already has it. */
	bool shared = info->ssi_code == SI_KERNEL && !child->own_group;
	run->interrupted |= signo == SIGINT;
	if (is_ending(signo) && signo != SIGHUP)
		run->told_signal = signo;
	if (!shared && (pid_t)info->ssi_pid != child->pid)
		child_signal(child, signo);

	child_reap(child); /* it may have ended at the same moment */
	if (is_ending(signo) && child->ended)
		kill_command(run); /* its leftovers: somebody is in a hurry */
	if (signo == SIGTSTP)
		stop_ourselves();
}

static void take_signals(struct run *run)
{
	struct signalfd_siginfo info;
	while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			child_reap(&run->job.child);
		else if (run->phase == RUN_WAITING)
			while_waiting(run, (int)info.ssi_signo);
		else if (is_running(run))
			while_running(run, &info);
	}
}

/* ---- asking ---- */

static void fill_request(const struct run_options *options, struct baton_request *request)
{
	baton_request_init(request);
	request->lease_class = options->lease_class;
	request->vram_bytes = options->vram_bytes;
	request->slots = options->slots;
	request->gpus = options->gpus;
	request->gpu = options->gpu;
	request->timeout_ms = options->wait_ms;
	request->no_wait = options->no_wait;
	request->evictable = options->evictable;
	request->label = options->label;
	request->uninterruptible_ms = options->grace_ms > 0 ? options->grace_ms : 0;
}

static int ask_for_lease(struct run *run)
{
	struct baton_claim_handlers handlers;
	struct baton_request request;

	baton_claim_handlers_init(&handlers);
	handlers.queued = on_queued;
	handlers.granted = on_granted;
	handlers.yield = on_yield;
	handlers.kept = on_kept;
	handlers.revoked = on_revoked;
	handlers.ended = on_ended;
	handlers.stops_later = true;

	fill_request(run->options, &request);
	/* Inside another `baton run` that holds: waiting for ourselves would never end. */
	request.parent_lease = run->parent;
	request.handlers = &handlers;
	request.ctx = run;

	run->asked_ms = now_ms();
	int rc = baton_acquire(run->baton, &request, &run->claim);
	if (rc < 0) {
		say_no_lease(run, rc);
		return baton_exit_code(rc);
	}
	return 0;
}

static void ask_for_new_lease(struct run *run)
{
	run->ask_again = false;
	baton_claim_free(run->claim);
	int rc = ask_for_lease(run);
	if (rc == 0)
		return;
	run->status = rc;
	run->started = false;
	run->phase = RUN_DONE;
}

/* ---- the loop ---- */

static int status_of(const struct child *child)
{
	if (child->status_unknown)
		return EX_SOFTWARE;
	return WIFSIGNALED(child->status) ? SIGNALLED + WTERMSIG(child->status)
					  : WEXITSTATUS(child->status);
}

/* Its last process is gone. Only now may the lease be given back. */
static void round_over(struct run *run)
{
	const struct child *child = &run->job.child;
	if (WIFSIGNALED(child->status))
		child_restore_tty(child);

	bool revoked = run->revoked;
	if (revoked)
		(void)baton_lease_stopped(run->claim);
	run->revoked = false;
	run->phase = RUN_DONE;

	if (child->status_unknown)
		run_progress_say(&run->show, true, "run: %s has ended; nobody knows its status",
				 run->argv[0]);
	if (!run->taken)
		return;

	if (!run->options->requeue || run->told_signal) {
		run_progress_say(&run->show, true,
				 "run: %s had to give the GPU back before it was done%s",
				 run->argv[0],
				 run->options->requeue ? "" : " (--requeue would start it again)");
		return;
	}

	run_progress_say(&run->show, false, "%s gave way; it will be started again", run->argv[0]);
	run->phase = RUN_WAITING;
	run->asked_ms = now_ms();
	if (revoked || baton_release(run->claim, true) < 0)
		run->ask_again = true;
}

/* It ended by itself; what it left behind has to end as well. Its pid may be reused from now on. */
static void note_end(struct run *run)
{
	size_t left = job_left(&run->job);
	run->end_noted = true;
	(void)baton_processes(run->baton, NULL, 0, cgroup_path(run));
	if (run->phase != RUN_RUNNING || job_gone(&run->job))
		return;

	if (left > 0)
		run_progress_say(&run->show, false,
				 "%s has ended and left %zu process%s; stopping %s", run->argv[0],
				 left, left == 1 ? "" : "es", left == 1 ? "it" : "them");
	stop_command(run, own_grace_ms(run));
}

static void look_at_job(struct run *run)
{
	child_reap(&run->job.child);
	if (is_running(run) && job_keep(&run->job))
		(void)baton_keeper(run->baton, run->job.keeper.pid);
	if (is_running(run) && run->job.child.ended && !run->end_noted)
		note_end(run);
	if (is_running(run) && job_gone(&run->job))
		round_over(run);

	bool stopping = run->phase == RUN_STOPPING || run->phase == RUN_KILLING;
	if (stopping && now_ms() >= run->kill_at_ms) {
		kill_command(run);
		if (job_gone(&run->job))
			round_over(run);
	}
}

static int poll_timeout_ms(const struct run *run)
{
	if (run->ask_again)
		return 0;
	if (run->phase != RUN_STOPPING && run->phase != RUN_KILLING)
		return -1;
	int64_t left = run->kill_at_ms - now_ms();
	return left < 0 ? 0 : (int)left;
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
		};
		if (poll(fds, 4, poll_timeout_ms(run)) < 0 && errno != EINTR)
			abort();

		/* Must be read even when not needed: it stays ready until then, and this loop would
		 * never sleep. */
		(void)job_cgroup_populated(&job->cgroup);

		/* First the broker's messages: its SIGTERM comes with the reason for it. */
		(void)baton_dispatch(run->baton, 0); /* errors come as `ended` */
		take_signals(run);
		look_at_job(run);
		if (run->ask_again && run->phase == RUN_WAITING)
			ask_for_new_lease(run);
	}
}

/* ---- before and after ---- */

static int connect_broker(struct run *run)
{
	struct baton_options connect;
	const char *slash = strrchr(run->argv[0], '/');
	baton_options_init(&connect);
	connect.name = run->options->name ? run->options->name : slash ? slash + 1 : run->argv[0];
	connect.link_changed = on_link;
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
		return cli_fail(run->command, baton_exit_code(rc), "%s was not started: %s",
				run->argv[0], words);
	}

	if (rc < 0)
		return cli_fail(run->command, baton_exit_code(rc), "%s was not started: %s",
				run->argv[0],
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
	if (run->interrupted && WIFSIGNALED(child->status) && WTERMSIG(child->status) == SIGINT)
		run->die_of = SIGINT;
	return run->taken ? EX_TEMPFAIL : status_of(child);
}

static int hold_and_run(struct run *run)
{
	run->signal_fd = catch_signals(run);
	if (run->signal_fd < 0)
		return cli_fail(run->command, EX_OSERR, "no signalfd: %s", strerror(errno));

	job_init(&run->job);
	signal(SIGPIPE, SIG_IGN); /* a closed stderr is no reason to drop a lease */

	int rc = ask_for_lease(run);
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

/* Refuses at once what would only fail after hours in the queue. */
static int check_command(const struct run *run)
{
	int error = spawn_lookup(run->argv[0]);
	if (error == 0)
		return -1;
	return cli_fail(run->command, error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE, "%s: %s",
			run->argv[0],
			error == ENOENT ? "there is no such command" : strerror(error));
}

/* Inside a lease that covers its needs the command replaces us. Returns -1 if that is not the case.
 */
static int run_under_outer(struct run *run)
{
	const struct run_options *options = run->options;
	const struct inside_need need = {.gpu = options->gpu,
					 .gpus = options->gpus,
					 .slots = options->slots,
					 .vram_bytes = options->vram_bytes};
	uint64_t lease;
	if (!run_inside(&need, &lease))
		return -1;

	run_progress_say(&run->show, false, "inside lease %" PRIu64 ", which has room for %s",
			 lease, run->argv[0]);
	execvp(run->argv[0], run->argv);
	return cli_fail(run->command, errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE, "%s: %s",
			run->argv[0], strerror(errno));
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

static int run_run(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct run_options options = {
		.slots = 1, .gpus = 1, .wait_ms = BATON_TIMEOUT_NEVER, .grace_ms = -1};

	signal(SIGCHLD, SIG_DFL);
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	struct run run = {.command = command, .options = &options, .argv = argv + 1};
	const char *parent = getenv("BATON_LEASE");
	run.parent = parent ? strtoull(parent, NULL, 10) : 0;
	run_progress_init(&run.show, options.quiet);
	run_env_init();

	rc = check_command(&run);
	if (rc < 0)
		rc = run_under_outer(&run);
	if (rc >= 0)
		return rc;

	note_grace(&run);
	rc = connect_broker(&run);
	if (rc > 0)
		return rc;

	rc = hold_and_run(&run);
	baton_close(run.baton);
	die_of_signal(run.die_of);
	return rc;
}

const struct command command_run = {
	.name = "run",
	.summary = "Run a command while holding a lease.",
	.usage = "[OPTION]... [--] COMMAND [ARGUMENT]...",
	.details =
		"When others need the GPU the command gets SIGTERM (or --on-yield), the grace, "
		"then\n"
		"SIGKILL; so does whatever it leaves running when it ends. Nobody else is let in "
		"before\n"
		"the last of it is gone. With --requeue it is started again later.\n"
		"It finds BATON_LEASE, BATON_FENCE, BATON_GPU, BATON_GPU_INDEX, BATON_GPU_COUNT "
		"and\n"
		"CUDA_VISIBLE_DEVICES (and those of ROCm and Level Zero) in its environment.\n"
		"A job stopped by Ctrl-Z answers no heartbeat and loses its lease after 20 s,\n"
		"once somebody waits for it.\n"
		"Exit status: that of the command, 128 + N when signal N ended it; 75 no lease "
		"now, or\n"
		"the lease was taken before it was done; 69 no broker, 72 never fits, 126 or\n"
		"127 when the command cannot be run.",
	.options = run_option_specs,
	.option_count = RUN_OPTION_COUNT,
	.arguments = ARGUMENTS_COMMAND,
	.run = run_run,
};
