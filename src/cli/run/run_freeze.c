/* run_freeze: see run_freeze.h. Frozen by the job's cgroup, and by SIGSTOP what is not in it. While
 * it is frozen the terminal is ours, so that its keys are heard. */
#include "cli/run/run_freeze.h"

#include "cli/clock.h"
#include "cli/run/run_lease.h"
#include "cli/run/run_state.h"
#include "cli/run/run_stop.h"
#include "cli/units.h"

static void go_on(struct run *run)
{
	if (run->hold_until_ms != INT64_MAX)
		run->hold_until_ms = clock_now_ms() + run->hold_left_ms;
	run->phase = RUN_RUNNING;
	run->taken = false;
	terminal_give(&run->job.terminal, run->job.child.pid);
	job_thaw(&run->job);
	run->job.child.stopped = 0; /* by us */
}

void run_freeze(struct run *run, int64_t grace_ms)
{
	run->phase = RUN_FREEZING;
	run->kill_at_ms = run_kill_time(grace_ms);
	run->hold_left_ms = run->hold_until_ms - clock_now_ms();
	job_freeze(&run->job);
	run_freeze_look(run);
}

void run_freeze_kept(struct run *run)
{
	if (run->phase == RUN_FREEZING)
		go_on(run);
}

void run_freeze_forget(struct run *run)
{
	struct baton_claim *turn = run->turn;
	run->turn = NULL;
	baton_claim_free(turn);
}

void run_freeze_end(struct run *run)
{
	run_freeze_forget(run);
	run->parked = true;
	terminal_give(&run->job.terminal, run->job.child.pid);
}

void run_freeze_signal(struct run *run, int signo)
{
	run_freeze_end(run);
	run->phase = RUN_STOPPING;
	run->kill_at_ms = run_kill_time(run_own_grace_ms(run));
	child_signal(&run->job.child, signo);
	job_thaw(&run->job);
}

/* ---- the claim for the turn ---- */

static void on_queued(struct baton_claim *claim, const struct baton_place *place, void *ctx)
{
	struct run *run = ctx;
	(void)claim;
	if (run->phase == RUN_FROZEN)
		run_progress_place(&run->show, place);
}

/* Also where the grant and the end that follows it come at once: then only the end is told. */
static void take_turn(struct run *run)
{
	char frozen[UNITS_BYTES];
	if (run->phase != RUN_FROZEN)
		return;

	go_on(run);
	run_progress_say(&run->show, false, "%s goes on, after %s", run->argv[0],
			 units_duration(frozen, (double)(clock_now_ms() - run->asked_ms) / 1000));
}

static void on_granted(struct baton_claim *claim, const struct baton_lease *lease, void *ctx)
{
	(void)claim, (void)lease;
	take_turn(ctx);
}

/* Anything but the end that follows the grant: there is no way back to the turn. Offers that were
 * missed while we were stopped are asked for again. */
static void on_ended(struct baton_claim *claim, int code, const char *reason, void *ctx)
{
	struct run *run = ctx;
	(void)reason;
	if (claim != run->turn)
		return;

	run_freeze_forget(run);
	if (code == BATON_OK)
		take_turn(run);
	if (run->phase != RUN_FROZEN)
		return;
	if (code == BATON_E_MISSED) {
		run->kill_at_ms = run_kill_time(run_own_grace_ms(run));
		run->phase = RUN_FREEZING; /* it is frozen: the turn is asked for at once */
		return;
	}

	run->taken = true;
	run_progress_say(&run->show, true, "run: %s was frozen and gets no turn: %s; stopping it",
			 run->argv[0], baton_strerror(code));
	run_stop(run, run_own_grace_ms(run));
}

static void give_turn_back(struct run *run)
{
	struct baton_claim_handlers handlers;
	struct baton_request request;
	baton_claim_handlers_init(&handlers);
	handlers.queued = on_queued;
	handlers.granted = on_granted;
	handlers.ended = on_ended;

	run_lease_fill(run->options, &request);
	request.resumes_lease = baton_claim_id(run->claim);
	request.no_wait = false;
	request.handlers = &handlers;
	request.ctx = run;

	run->asked_ms = clock_now_ms();
	int rc = baton_acquire(run->baton, &request, &run->turn);
	if (rc == 0) {
		run->phase = RUN_FROZEN;
		run->taken = false; /* it gave way */
		return;
	}
	run->taken = true;
	run_progress_say(&run->show, true, "run: cannot freeze %s: %s; stopping it", run->argv[0],
			 baton_strerror(rc));
	run_stop(run, run_own_grace_ms(run));
}

void run_freeze_look(struct run *run)
{
	if (!run_is_freezing(run))
		return;
	if (!job_frozen(&run->job)) {
		job_freeze(&run->job); /* it may have forked, or somebody lets it go on */
		return;
	}
	if (run->phase == RUN_FROZEN)
		return;

	job_tell_keeper(&run->job);
	run_lease_name_frozen(run);
	terminal_take(&run->job.terminal);
	give_turn_back(run);
	if (run->phase == RUN_FROZEN)
		run_progress_say(&run->show, false,
				 "%s is frozen and keeps its memory; it goes on when its turn "
				 "comes again",
				 run->argv[0]);
}
