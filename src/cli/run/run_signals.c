/* run_signals: one signal is one signal. What the terminal sent to the command's group is not
 * passed on; what was sent to us alone is, once. None is ever turned into another. */
#include "cli/run/run_signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/clock.h"
#include "cli/run/run_checkpoint.h"
#include "cli/run/run_freeze.h"
#include "cli/run/run_lease.h"
#include "cli/run/run_sender.h"
#include "cli/run/run_state.h"
#include "cli/run/run_stop.h"

enum { ANSWER_MS = 500 };

static const int passed_on[] = {SIGTERM, SIGINT,   SIGHUP,  SIGQUIT, SIGUSR1,
				SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT};

static bool is_ignored(int signo)
{
	struct sigaction action;
	return sigaction(signo, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* Signals that our parent ignores (nohup, a background job) stay ignored for us and the command.
 * Not SIGCHLD: if the parent ignored or blocked it, we would miss the command's end. SIGTTIN and
 * SIGTTOU are meant for the command; blocked, they do not keep us from the terminal. */
int run_signals_catch(struct run *run)
{
	sigset_t set, blocked;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++)
		if (!is_ignored(passed_on[i]))
			sigaddset(&set, passed_on[i]);
	sigaddset(&set, SIGCHLD);

	blocked = set;
	sigaddset(&blocked, SIGTTIN);
	sigaddset(&blocked, SIGTTOU);
	sigprocmask(SIG_BLOCK, &blocked, &run->mask_before);
	sigdelset(&run->mask_before, SIGCHLD);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool is_ending(int signo)
{
	return signo == SIGTERM || signo == SIGINT || signo == SIGHUP || signo == SIGQUIT;
}

/* Whoever goes away with its terminal meant to leave the job running. */
static bool is_of_dead_terminal(const struct run *run, const struct signalfd_siginfo *info)
{
	return info->ssi_signo == SIGHUP &&
	       (info->ssi_code == SI_KERNEL || terminal_is_dead(&run->job.terminal));
}

/* ---- job control ---- */

/* SIGSTOP, whatever we do with the signal that led to it. Returns when we are continued. */
static void stop_ourselves(void)
{
	raise(SIGSTOP);
}

static void continue_command(struct run *run)
{
	struct child *child = &run->job.child;
	terminal_give(&run->job.terminal, child->pid);
	child_reap(child);
	if (child->stopped || !child_shares_group(child)) /* else a shell has continued all of it */
		child_signal(child, SIGCONT);
	child->stopped = 0;
}

void run_signals_stopped(struct run *run)
{
	struct child *child = &run->job.child;
	int signo = child->stopped;
	bool by_terminal = signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU;
	if (!by_terminal || run->phase != RUN_RUNNING)
		return;

	if (signo != SIGTSTP && !run->job.terminal.shared && terminal_is_ours(&run->job.terminal)) {
		continue_command(run); /* a shell put us in the foreground without a word */
		return;
	}
	if (!run->job.terminal.shared && terminal_orphaned()) {
		if (signo == SIGTSTP) /* as without us: there is nobody who would continue it */
			child_signal(child, SIGCONT);
		child->stopped = 0;
		return;
	}

	run_progress_clear(&run->show);
	terminal_take(&run->job.terminal);
	stop_ourselves();
}

/* ---- taking signals ---- */

/* A sender that cannot be seen may be anybody outside our container. While we are connected the
 * broker says what its signal is for, and says it first. */
static bool is_explained(const struct run *run, const struct signalfd_siginfo *info)
{
	return info->ssi_pid != 0 || run->revoked || baton_link_state(run->baton) != BATON_LINK_UP;
}

/* Until it has told us our next place the broker may have sent a signal for the lease that it took.
 */
static bool is_late(const struct run *run)
{
	return run->taken && !run->waited;
}

/* The broker ends leases, not waits: what it sends now was for a lease that is over already. */
static void while_waiting(struct run *run, const struct signalfd_siginfo *info)
{
	int signo = (int)info->ssi_signo;
	if (run_sender_is_broker(info) && (is_explained(run, info) || is_late(run)))
		return;
	if (signo == SIGTSTP) {
		if (info->ssi_code != SI_KERNEL || !terminal_orphaned())
			stop_ourselves();
	} else if (is_ending(signo)) {
		run_progress_clear(&run->show);
		baton_cancel(run->claim);
		run->die_of = signo;
		run->phase = RUN_DONE;
	}
}

/* Its words were sent before its signal, but perhaps after we last looked: they have the reason,
 * and how long there is. */
static void hear_broker(struct run *run)
{
	(void)baton_dispatch(run->baton, 0);
}

static void taken_by_broker(struct run *run)
{
	if (run->phase != RUN_RUNNING && !run_is_freezing(run) && !run_is_moving(run))
		return;
	if (run->phase == RUN_AWAY)
		return; /* it holds nothing: that was for the lease of before */
	run->taken = !run->job.child.ended;
	run_progress_say(&run->show, true, "run: the broker takes the lease back; stopping %s",
			 run->argv[0]);
	run_stop(run, run_own_grace_ms(run));
}

/* The terminal signals its whole foreground group: the command, if it is in ours. */
static bool has_it_already(const struct run *run, const struct signalfd_siginfo *info)
{
	const struct child *child = &run->job.child;
	return (pid_t)info->ssi_pid == child->pid ||
	       (info->ssi_code == SI_KERNEL && child_shares_group(child));
}

/* What is to end it lets it go on for its grace: it may want to save something. All else it hears
 * when it goes on. */
static void while_frozen(struct run *run, const struct signalfd_siginfo *info)
{
	int signo = (int)info->ssi_signo;
	if (signo == SIGTSTP) {
		stop_ourselves();
	} else if (is_ending(signo) && signo != SIGHUP) {
		run->told_signal = signo;
		run->interrupted |= signo == SIGINT;
		run->taken = false;
		run_progress_say(&run->show, false,
				 "%s is no longer frozen: it has its grace to end, then SIGKILL",
				 run->argv[0]);
		if (has_it_already(run, info))
			signo = SIGCONT;
		if (run_is_moving(run))
			run_checkpoint_signal(run, signo);
		else
			run_freeze_signal(run, signo);
	} else if (!has_it_already(run, info)) {
		child_signal(&run->job.child, signo);
	}
}

/* Most often the broker answers at once, and nothing needs to be said. */
static void await_record(struct run *run)
{
	int64_t left_ms, until_ms = clock_now_ms() + ANSWER_MS;

	while (!baton_processes_recorded(run->baton) &&
	       baton_link_state(run->baton) == BATON_LINK_UP &&
	       (left_ms = until_ms - clock_now_ms()) > 0)
		if (baton_dispatch(run->baton, (int)left_ms) < 0)
			return;
}

/* A program that was there before us goes on without us. A broker that does not know it, since it
 * is away or about to stop, would find us dead when it is back, and stop what it takes for our
 * rest: it has to record it first. */
static void while_attached(struct run *run, int signo)
{
	if (signo == SIGTSTP)
		stop_ourselves();
	if (!is_ending(signo))
		return;
	if (run->leaving) {
		run_lease_let_go(run);
		return;
	}

	bool frozen = run_is_freezing(run);
	run_freeze_forget(run);
	if (frozen)
		job_thaw(&run->job);
	run->phase = RUN_RUNNING;
	run->die_of = signo;
	run->leaving = true;
	run->hold_until_ms = INT64_MAX;

	(void)baton_processes(run->baton, NULL, 0, NULL);
	await_record(run);
	if (!baton_processes_recorded(run->baton))
		run_progress_say(&run->show, true,
				 "attach: %s goes on; the broker %s and has to hear of it, or "
				 "stops it when it is back (once more: leave now)",
				 run->argv[0],
				 baton_link_state(run->baton) == BATON_LINK_UP ? "does not answer"
									       : "is away");
}

static bool is_of_broker(struct run *run, const struct signalfd_siginfo *info)
{
	if (run->leaving || !run_sender_is_broker(info))
		return false;
	hear_broker(run);
	return is_explained(run, info);
}

static void while_running(struct run *run, const struct signalfd_siginfo *info)
{
	int signo = (int)info->ssi_signo;
	struct child *child = &run->job.child;
	if (is_of_broker(run, info)) {
		taken_by_broker(run);
		return;
	}
	if (run->attached.pid) {
		while_attached(run, signo);
		return;
	}
	run_sender_note_unit(info, &run->end);
	if (signo == SIGCONT) {
		if (run->phase == RUN_RUNNING || run->phase == RUN_STOPPING)
			continue_command(run);
		return;
	}
	if (is_of_dead_terminal(run, info))
		return;

	if (run->phase == RUN_FROZEN || run_checkpoint_stands(run)) {
		while_frozen(run, info);
		return;
	}

	bool had_it = has_it_already(run, info);
	if (info->ssi_code == SI_KERNEL && signo != SIGTSTP)
		terminal_give(&run->job.terminal, child->pid); /* a key, and we have the terminal */
	run->interrupted |= signo == SIGINT;
	if (is_ending(signo) && signo != SIGHUP)
		run->told_signal = signo;
	if (!had_it)
		child_signal(child, signo);
	if (is_ending(signo) && signo != SIGHUP)
		run_checkpoint_told(run);

	child_reap(child); /* it may have ended at the same moment */
	if (is_ending(signo) && child->ended)
		run_kill(run); /* its leftovers: somebody is in a hurry */
	if (signo == SIGTSTP && !had_it)
		stop_ourselves();
}

void run_signals_take(struct run *run)
{
	struct signalfd_siginfo info;
	while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			child_reap(&run->job.child);
		else if (run->phase == RUN_WAITING)
			while_waiting(run, &info);
		else if (run_is_running(run))
			while_running(run, &info);
	}
}
