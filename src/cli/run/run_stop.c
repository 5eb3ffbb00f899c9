/* run_stop: see run_stop.h. Whether to stop is decided elsewhere. */
#include "cli/run/run_stop.h"

#include <limits.h>

#include "cli/clock.h"
#include "cli/run/run_checkpoint.h"
#include "cli/run/run_freeze.h"
#include "cli/run/run_options.h"
#include "cli/run/run_state.h"
#include "cli/units.h"

enum {
	GRACE_MS_DEFAULT = 2000,
	KILL_MARGIN_MS = 250, /* we kill this long before the broker would */
	KILL_AGAIN_MS = 100,  /* processes forked meanwhile were not on the list */
	KILL_SOON_MS = 5,     /* .. and are most often the only ones */
	KILL_SOON_FOR_MS = 500,
	FREEZE_AGAIN_MS = 2, /* only the command's own SIGSTOP is announced */
	FROZEN_LOOK_MS = 100,
	ATTACHED_LOOK_MS = 1000, /* nobody says what it starts */
	STAYS_MS = 1000,         /* what is not gone so long after SIGKILL is named */
};

int64_t run_own_grace_ms(const struct run *run)
{
	return run->options->grace_ms >= 0 ? run->options->grace_ms : GRACE_MS_DEFAULT;
}

/* A little before the broker's own SIGKILL, which would kill us and leave to the keeper what we can
 * do cleanly. */
int64_t run_kill_time(int64_t grace_ms)
{
	int64_t margin_ms = grace_ms / 4 < KILL_MARGIN_MS ? grace_ms / 4 : KILL_MARGIN_MS;
	return clock_now_ms() + grace_ms - margin_ms;
}

void run_stop(struct run *run, int64_t grace_ms)
{
	if (run_is_freezing(run))
		run_freeze_end(run);
	else if (run_is_moving(run))
		run_checkpoint_end(run);
	else if (run->phase != RUN_RUNNING)
		return;
	run->phase = RUN_STOPPING;
	run->kill_at_ms = run_kill_time(grace_ms);
	job_ask(&run->job);
}

void run_kill(struct run *run)
{
	int64_t now_ms = clock_now_ms();
	if (run->phase != RUN_KILLING)
		run->killed_at_ms = now_ms;
	run->phase = RUN_KILLING;
	bool soon = now_ms - run->killed_at_ms < KILL_SOON_FOR_MS;
	run->kill_at_ms = now_ms + (soon ? KILL_SOON_MS : KILL_AGAIN_MS);
	job_kill(&run->job);
}

/* It holds the GPU's memory as long as it is there, so the lease stays as well. */
static void name_what_stays(struct run *run)
{
	char words[512];
	if (run->stays_noted || clock_now_ms() - run->killed_at_ms < STAYS_MS)
		return;

	run->stays_noted = true;
	job_describe(&run->job, words, sizeof(words));
	run_progress_say(&run->show, true,
			 "run: SIGKILL did not end all of %s: %s; the GPU is not given back before",
			 run->argv[0], *words ? words : "a process in its cgroup");
}

static void end_hold(struct run *run)
{
	char held[UNITS_BYTES];
	run->hold_until_ms = INT64_MAX;

	run->overdue = true;
	run_progress_say(&run->show, true, "run: %s has had the GPU for %s (--hold); stopping it",
			 run->argv[0], units_duration(held, (double)run->options->hold_ms / 1000));
	run_stop(run, run_own_grace_ms(run));
}

/* One that cannot be frozen, or moved, in time is killed like one that does not end in time. */
static bool has_deadline(const struct run *run)
{
	return run->phase == RUN_STOPPING || run->phase == RUN_KILLING ||
	       run->phase == RUN_FREEZING || run->phase == RUN_LEAVING;
}

void run_stop_due(struct run *run)
{
	bool stopping = has_deadline(run);
	if (run->phase == RUN_KILLING)
		name_what_stays(run);
	if (stopping && clock_now_ms() >= run->kill_at_ms)
		run_kill(run);
	if (run->phase == RUN_RUNNING && !run->job.child.ended &&
	    clock_now_ms() >= run->hold_until_ms)
		end_hold(run);
}

int run_stop_timeout_ms(const struct run *run)
{
	int64_t until_ms = run->phase == RUN_RUNNING ? run->hold_until_ms : INT64_MAX;
	if (has_deadline(run))
		until_ms = run->kill_at_ms;
	if (run_is_moving(run) && run_checkpoint_until_ms(run) < until_ms)
		until_ms = run_checkpoint_until_ms(run);
	if (run->phase == RUN_FROZEN || run->phase == RUN_AWAY)
		return FROZEN_LOOK_MS; /* somebody else may let it go on */
	if (until_ms == INT64_MAX)
		return run->attached.pid && run->phase == RUN_RUNNING ? ATTACHED_LOOK_MS : -1;

	int64_t left_ms = until_ms - clock_now_ms();
	if (run->phase == RUN_FREEZING && left_ms > FREEZE_AGAIN_MS)
		left_ms = FREEZE_AGAIN_MS;
	return left_ms < 0 ? 0 : left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}
