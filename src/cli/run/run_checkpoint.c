/* run_checkpoint: see run_checkpoint.h. While it is away all of it is frozen: what would start to
 * use the GPU has no lease for it. It is put back under a lease only, for as long as that holds; in
 * any other case it ends where it is. */
#include "cli/run/run_checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "cli/clock.h"
#include "cli/run/checkpoint_thread.h"
#include "cli/run/run_lease.h"
#include "cli/run/run_options.h"
#include "cli/run/run_state.h"
#include "cli/run/run_stop.h"
#include "cli/units.h"
#include "process/cuda_facts.h"

enum {
	ROUNDS_MAX = 3,
	FREEZE_AGAIN_MS = 2,
	COMING_MS = 60 * 1000, /* at least; else so many times what leaving took */
	COMING_TIMES = 4,
	BYTES_PER_MIB = 1024 * 1024,
};

/* ---- moves ---- */

static bool start_work(struct run *run, enum checkpoint_work work, int64_t until_ms)
{
	struct away *away = &run->away;
	struct checkpoint_task task = away->last;
	task.work = away->last.work = work;
	task.words[0] = '\0';
	task.was_stopped = false;
	task.tree = (struct process_tree){0};
	if (work == CHECKPOINT_LEAVE)
		child_tree(&run->job.child, &task.tree);

	away->until_ms = until_ms;
	away->thread = checkpoint_thread_start(&task);
	return away->thread != NULL;
}

static void let_go_on(struct run *run)
{
	terminal_give(&run->job.terminal, run->job.child.pid);
	job_thaw(&run->job);
	run->job.child.stopped = 0; /* by us */
}

static void work_again(struct run *run)
{
	if (run->hold_until_ms != INT64_MAX)
		run->hold_until_ms = clock_now_ms() + run->hold_left_ms;
	run->phase = RUN_RUNNING;
	run->taken = false;
	run->away.told_room = false;
}

/* As with `term`, for what is left of the grace; who was told by the user needs no SIGTERM. */
static void stop_instead(struct run *run)
{
	int64_t kill_at_ms = run->kill_at_ms;
	if (run->away.told) {
		run_checkpoint_end(run);
		let_go_on(run);
		run->phase = RUN_STOPPING;
		return;
	}
	run->taken = true;
	run_stop(run, run_own_grace_ms(run));
	run->kill_at_ms = kill_at_ms;
}

static void say_failure(struct run *run, const char *what, const char *why)
{
	run_progress_say(&run->show, true, "run: %s cannot be moved %s: %s; stopping it",
			 run->argv[0], what, why);
}

static void lose_job(struct run *run, const char *why)
{
	bool is_wanted = run->phase == RUN_LEAVING || run->away.asked;
	int64_t kill_at_ms = is_wanted ? run->kill_at_ms : INT64_MAX;
	run->away.lost = run->taken = true;
	run_progress_say(&run->show, true,
			 "run: %s cannot be put back on the GPU: %s; stopping it, and what it did "
			 "not save is lost",
			 run->argv[0], why);
	run_stop(run, run_own_grace_ms(run));
	if (kill_at_ms < run->kill_at_ms)
		run->kill_at_ms = kill_at_ms;
}

/* ---- leaving ---- */

static void begin_round(struct run *run)
{
	struct away *away = &run->away;
	int64_t left_ms = run->kill_at_ms - clock_now_ms();

	away->freezing = false;
	away->rounds++;
	away->last.until_ms = clock_now_ms() + left_ms / 2;
	if (!start_work(run, CHECKPOINT_LEAVE, clock_now_ms() + left_ms * 3 / 4)) {
		say_failure(run, "off the GPU", "no thread can be started");
		stop_instead(run);
	}
}

void run_checkpoint(struct run *run, int64_t grace_ms)
{
	const struct baton_lease *lease = baton_claim_lease(run->claim);
	struct away *away = &run->away;

	*away = (struct away){
		.last = {.bytes = run->options->vram_bytes, .lease = baton_claim_id(run->claim)}};
	if (lease)
		(void)snprintf(away->last.gpu, sizeof(away->last.gpu), "%s",
			       baton_lease_gpu_name(lease, 0));
	run->phase = RUN_LEAVING;
	run->kill_at_ms = run_kill_time(grace_ms);
	run->hold_left_ms = run->hold_until_ms - clock_now_ms();
	begin_round(run);
}

/* Its lease holds still, and nobody wants it, or it has to end: it needs the GPU for either. */
static void put_back(struct run *run)
{
	run->away.freezing = false;
	let_go_on(run);
	if (start_work(run, CHECKPOINT_BACK, run->kill_at_ms))
		return;
	say_failure(run, "back to the GPU", "no thread can be started");
	stop_instead(run);
}

static bool is_among(const struct process *list, size_t count, const struct process *process)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].pid == process->pid && list[i].start == process->start)
			return true;
	return false;
}

/* Whether something has begun with CUDA since the driver was asked: it may be on the GPU. */
static bool has_newcomers(const struct run *run)
{
	const struct checkpoint_task *last = &run->away.last;
	struct process_tree tree;
	bool found = false;

	child_tree(&run->job.child, &tree);
	for (size_t i = 0; i < tree.count && !found; i++)
		found = !is_among(last->moved, last->moved_count, &tree.v[i]) &&
			!is_among(last->plain, last->plain_count, &tree.v[i]) &&
			cuda_facts_library(tree.v[i].pid);
	process_tree_finish(&tree);
	return found;
}

static void give_lease_back(struct run *run)
{
	struct away *away = &run->away;
	char size[UNITS_BYTES], took[UNITS_BYTES];
	away->freezing = away->asked = false;
	job_tell_keeper(&run->job);
	run_lease_name_frozen(run);
	terminal_take(&run->job.terminal);

	run->asked_ms = clock_now_ms();
	int rc = baton_release_moved(run->claim);
	if (rc < 0) {
		say_failure(run, "off the GPU", baton_strerror(rc));
		stop_instead(run);
		return;
	}
	run->phase = RUN_AWAY;
	run->taken = false; /* it gave way */
	if (away->told_room)
		return;
	run_progress_say(&run->show, false,
			 "%s is off the GPU, with %s in RAM (it took %s); it goes on when its turn "
			 "comes again",
			 run->argv[0],
			 away->last.moved_count
				 ? units_mb(size, (double)away->last.bytes / BYTES_PER_MIB)
				 : "nothing of it",
			 units_duration(took, (double)away->left_took_ms / 1000));
}

static void look_at_freezing(struct run *run)
{
	if (!job_frozen(&run->job)) {
		job_freeze(&run->job); /* it may have forked */
		return;
	}
	if (run->away.kept) {
		put_back(run);
	} else if (!has_newcomers(run)) {
		give_lease_back(run);
	} else if (run->away.rounds < ROUNDS_MAX) {
		job_thaw(&run->job);
		begin_round(run);
	} else {
		say_failure(run, "off the GPU", "it starts ever new programs that use CUDA");
		run->away.gives_up = true;
		put_back(run);
	}
}

/* It is on the GPU as before: since nobody needs it, since it has to end, or as it cannot leave. */
static void note_undone(struct run *run, const struct checkpoint_task *task)
{
	struct away *away = &run->away;
	bool at_will = task->work == CHECKPOINT_BACK || task->was_stopped;

	if (away->told || away->gives_up) {
		stop_instead(run);
	} else if (!at_will) {
		say_failure(run, "off the GPU", task->words);
		stop_instead(run);
	} else if (away->kept) {
		work_again(run);
	} else {
		run_checkpoint(run, run->kill_at_ms - clock_now_ms()); /* asked anew meanwhile */
	}
}

static void note_left(struct run *run, const struct checkpoint_task *task)
{
	struct away *away = &run->away;

	if (task->outcome == CHECKPOINT_LOST) {
		lose_job(run, task->words);
	} else if (task->outcome == CHECKPOINT_UNDONE || task->work == CHECKPOINT_BACK) {
		note_undone(run, task);
	} else if (away->kept || away->told) {
		put_back(run);
	} else {
		away->freezing = true;
		away->left_took_ms += task->took_ms;
		look_at_freezing(run);
	}
}

void run_checkpoint_kept(struct run *run)
{
	struct away *away = &run->away;
	away->asked = false;
	if (run->phase != RUN_LEAVING)
		return;
	away->kept = true;
	if (away->thread)
		checkpoint_thread_turn_back(away->thread);
}

/* ---- away ---- */

void run_checkpoint_granted(struct run *run, const struct baton_lease *lease)
{
	struct away *away = &run->away;
	int64_t needed_ms = COMING_TIMES * away->left_took_ms;

	run->phase = RUN_COMING;
	run->kill_at_ms = INT64_MAX;
	if (strcmp(away->last.gpu, baton_lease_gpu_name(lease, 0)) != 0) {
		lose_job(run, "its lease is on another GPU than it left");
		return;
	}
	if (!start_work(run, CHECKPOINT_ROOM,
			clock_now_ms() + (needed_ms > COMING_MS ? needed_ms : COMING_MS)))
		lose_job(run, "no thread can be started");
}

/* A claim that was lost without its fault is asked for anew, by a new place. */
void run_checkpoint_ended(struct run *run, int code)
{
	if (code == BATON_E_MISSED || code == BATON_OK || code == BATON_E_REVOKED) {
		run->ask_again = true;
		return;
	}
	run->taken = true;
	run_progress_say(&run->show, true,
			 "run: %s is off the GPU and gets no lease to come back: %s; stopping it",
			 run->argv[0], baton_strerror(code));
	run_stop(run, run_own_grace_ms(run));
}

/* ---- coming back ---- */

void run_checkpoint_asked(struct run *run, int64_t grace_ms)
{
	struct away *away = &run->away;
	int64_t kill_at_ms = run_kill_time(grace_ms);

	if (run->phase == RUN_LEAVING) {
		away->kept = false;
		if (kill_at_ms < run->kill_at_ms)
			run->kill_at_ms = kill_at_ms;
	}
	if (run->phase != RUN_COMING)
		return;
	away->asked = true;
	run->kill_at_ms = kill_at_ms;
	if (away->thread && away->last.work == CHECKPOINT_ROOM)
		checkpoint_thread_turn_back(away->thread);
	if (clock_now_ms() + grace_ms / 2 < away->until_ms)
		away->until_ms = clock_now_ms() + grace_ms / 2;
}

static void note_room(struct run *run, const struct checkpoint_task *task)
{
	struct away *away = &run->away;
	if (task->outcome == CHECKPOINT_DONE && !away->asked) {
		let_go_on(run);
		if (!start_work(run, CHECKPOINT_BACK, away->until_ms))
			lose_job(run, "no thread can be started");
		return;
	}
	if (!away->asked && !away->told_room) {
		away->told_room = true;
		run_progress_say(&run->show, true, "run: %s cannot come back yet: %s; waiting",
				 run->argv[0], task->words);
	}
	give_lease_back(run);
}

static void note_back(struct run *run, const struct checkpoint_task *task)
{
	char away_for[UNITS_BYTES];
	int64_t grace_ms = baton_time_left_ms(run->claim);
	if (task->outcome != CHECKPOINT_DONE) {
		lose_job(run, task->words);
		return;
	}

	bool asked = run->away.asked;
	work_again(run);
	run_progress_say(&run->show, false, "%s goes on, after %s", run->argv[0],
			 units_duration(away_for, (double)(clock_now_ms() - run->asked_ms) / 1000));
	if (asked) {
		run->taken = true;
		run_checkpoint(run, grace_ms >= 0 ? grace_ms : run_own_grace_ms(run));
	}
}

/* ---- at any time ---- */

static void give_up_thread(struct run *run)
{
	checkpoint_thread_abandon(run->away.thread);
	run->away.thread = NULL;
	if (run->phase == RUN_COMING) {
		lose_job(run, "the driver does not answer");
		return;
	}
	say_failure(run, "off the GPU", "the driver does not answer");
	stop_instead(run);
}

void run_checkpoint_look(struct run *run)
{
	struct away *away = &run->away;
	struct checkpoint_task task;
	if (!run_is_moving(run))
		return;

	if (run->phase == RUN_AWAY) {
		if (!job_frozen(&run->job))
			job_freeze(&run->job); /* somebody else let it go on */
	} else if (!away->thread) {
		if (away->freezing)
			look_at_freezing(run);
	} else if (checkpoint_thread_take(away->thread, &task)) {
		away->thread = NULL;
		away->last = task;
		if (run->phase == RUN_LEAVING)
			note_left(run, &task);
		else if (task.work == CHECKPOINT_ROOM)
			note_room(run, &task);
		else
			note_back(run, &task);
	} else if (clock_now_ms() >= away->until_ms) {
		give_up_thread(run);
	}
}

int run_checkpoint_fd(const struct run *run)
{
	return run->away.thread ? checkpoint_thread_fd(run->away.thread) : -1;
}

int64_t run_checkpoint_until_ms(const struct run *run)
{
	if (run->away.freezing)
		return clock_now_ms() + FREEZE_AGAIN_MS;
	return run->away.thread ? run->away.until_ms : INT64_MAX;
}

bool run_checkpoint_stands(const struct run *run)
{
	return run->phase == RUN_AWAY ||
	       (run->phase == RUN_COMING && run->away.last.work != CHECKPOINT_BACK);
}

void run_checkpoint_signal(struct run *run, int signo)
{
	run_checkpoint_end(run);
	run->phase = RUN_STOPPING;
	run->kill_at_ms = run_kill_time(run_own_grace_ms(run));
	child_signal(&run->job.child, signo);
	job_thaw(&run->job);
}

void run_checkpoint_told(struct run *run)
{
	struct away *away = &run->away;
	if (run->phase != RUN_LEAVING)
		return;
	away->told = true;
	if (away->thread)
		checkpoint_thread_turn_back(away->thread);
	else if (away->freezing)
		put_back(run);
}

void run_checkpoint_end(struct run *run)
{
	checkpoint_thread_abandon(run->away.thread);
	run->away.thread = NULL;
	run->away.freezing = false;
	if (run->phase == RUN_AWAY) {
		if (run->claim)
			(void)baton_cancel(run->claim);
		run->parked = true;
	}
	terminal_give(&run->job.terminal, run->job.child.pid);
}

void run_checkpoint_forget(struct run *run)
{
	checkpoint_thread_abandon(run->away.thread);
	run->away.thread = NULL;
}
