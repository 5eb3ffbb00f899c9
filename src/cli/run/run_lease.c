/* run_lease: what the broker says about the lease of `baton run`, and what becomes of the job then.
 * It is never started without a lease. */
#include "cli/run/run_lease.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/clock.h"
#include "cli/field.h"
#include "cli/http_client.h"
#include "cli/run/run_checkpoint.h"
#include "cli/run/run_entry.h"
#include "cli/run/run_env.h"
#include "cli/run/run_freeze.h"
#include "cli/run/run_limit.h"
#include "cli/run/run_options.h"
#include "cli/run/run_signals.h"
#include "cli/run/run_state.h"
#include "cli/run/run_stop.h"
#include "cli/units.h"
#include "process/proc.h"

enum { CHECKPOINT_GRACE_MS = 20 * 1000 };

static void on_queued(struct baton_claim *claim, const struct baton_place *place, void *ctx)
{
	struct run *run = ctx;
	(void)claim;
	if (run->phase == RUN_AWAY)
		run_progress_place(&run->show, place);
	if (run->taken && !run->waited)
		run_signals_take(run); /* sent before this, perhaps for the lease that was taken */
	if (run->phase != RUN_WAITING)
		return;
	run->waited |= place->position >= 0;
	run_progress_place(&run->show, place);
}

/* Who did not have to wait knows that it is its turn. */
static void notify_turn(struct run *run)
{
	char title[128], text[256], waited[UNITS_BYTES];
	if (!run->waited)
		return;

	run->waited = false;
	snprintf(title, sizeof(title), "Your turn on %.80s", getenv("BATON_GPU"));
	snprintf(text, sizeof(text), "%.120s starts now, after %s", run->argv[0],
		 units_duration(waited, (double)(clock_now_ms() - run->asked_ms) / 1000));
	desktop_notice_send(&run->notice, title, text);
}

static void say_started(struct run *run, const struct baton_lease *lease)
{
	char waited[UNITS_BYTES];
	run_progress_say(&run->show, false,
			 "holding %s, lease %" PRIu64
			 ", after %s; %s is process %ld (baton status)",
			 run->attached.pid ? baton_lease_gpu_name(lease, 0) : getenv("BATON_GPU"),
			 baton_lease_id(lease),
			 units_duration(waited, (double)(clock_now_ms() - run->asked_ms) / 1000),
			 run->argv[0], (long)run->job.child.pid);
}

const char *run_cgroup_path(const struct run *run)
{
	return *run->job.cgroup.path ? run->job.cgroup.path : NULL;
}

void run_lease_name_attached(struct run *run)
{
	struct attached *attached = &run->attached;
	pid_t pids[LIMIT_PROCESSES - 1];
	size_t count = job_pids(&run->job, pids, LIMIT_PROCESSES - 1);
	size_t size = count * sizeof(*pids);

	if (count == attached->named_count && memcmp(pids, attached->named, size) == 0)
		return;
	memcpy(attached->named, pids, size);
	attached->named_count = count;
	(void)baton_processes(run->baton, pids, count, NULL);
}

void run_lease_name_frozen(struct run *run)
{
	pid_t pids[LIMIT_PROCESSES - 1];
	if (run->attached.pid)
		return;
	size_t count = job_pids(&run->job, pids, LIMIT_PROCESSES - 1);
	(void)baton_processes(run->baton, pids, count, run_cgroup_path(run));
}

/* The broker learns of the keeper and the cgroup before there is a process that needs them. */
static int start_command(struct run *run)
{
	if (run->attached.pid) {
		run_lease_name_attached(run);
		return 0;
	}

	int error = job_prepare(&run->job);
	if (error)
		return error;
	(void)baton_keeper(run->baton, run->job.keeper.pid);
	(void)baton_processes(run->baton, NULL, 0, run_cgroup_path(run));

	run_signals_take(run); /* typed while that was made */
	if (run->phase != RUN_WAITING)
		return ECANCELED;
	run_limit_set(run, baton_claim_lease(run->claim));
	run->oom_before = job_oom_kills(&run->job);
	run->end = (struct run_end){0};
	char **words = run_entry_wrap(run->argv);
	error = job_start(&run->job, words ? words : run->argv, &run->mask_before);
	free(words);
	if (error == 0) {
		(void)baton_processes(run->baton, &run->job.child.pid, 1, run_cgroup_path(run));
		run_limit_check(run);
	}
	return error;
}

static void note_start(struct run *run)
{
	if (run->options->strict && run->oom_before < 0)
		run_progress_say(&run->show, true,
				 "run: --strict learns of no process killed for want of memory: %s",
				 run->job.memory.why);
	if (run->options->hold_ms >= 0)
		run->hold_until_ms = clock_now_ms() + run->options->hold_ms;
}

static void explain_failure(struct run *run, int error)
{
	char words[LIMIT_REASON_BYTES + 1];
	snprintf(words, sizeof(words), "not started: %s", strerror(error));
	if (baton_claim_explain(run->claim, words) == 0)
		(void)baton_release(run->claim, false);
}

static void on_granted(struct baton_claim *claim, const struct baton_lease *lease, void *ctx)
{
	struct run *run = ctx;
	(void)claim;
	run_signals_take(run); /* what was typed before there is a command is meant for us */
	if (run->phase == RUN_AWAY)
		run_checkpoint_granted(run, lease);
	if (run->phase != RUN_WAITING)
		return;

	run_progress_clear(&run->show);
	if (!run->attached.pid)
		run_env_set(lease, &run->show);
	run->parked = false;
	run->cause[0] = '\0';
	run->taken = run->revoked = run->end_noted = run->stays_noted = false;

	int error = start_command(run);
	if (error == ECANCELED && run->phase == RUN_DONE)
		return;
	if (error == 0) {
		note_start(run);
		run->started = true;
		run->phase = RUN_RUNNING;
		if (!run->job_start)
			run->job_start = proc_start(run->job.child.pid);
		say_started(run, lease);
		notify_turn(run);
		return;
	}

	run->started = false;
	explain_failure(run, error);
	run_progress_say(&run->show, true, "run: %s: %s", run->argv[0], strerror(error));
	run->status = error == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
	run->phase = RUN_DONE;
}

/* Said again when the job has ended, which may be long after it was asked. */
static void note_cause(struct run *run, const char *reason, const char *for_whom)
{
	const char *said = baton_detail(run->baton);
	if (*reason)
		snprintf(run->cause, sizeof(run->cause), " (%s%s%s%s%s)", reason,
			 *for_whom ? " for " : "", for_whom, *said ? ": " : "", said);
}

static void on_yield(struct baton_claim *claim, const struct baton_yield *yield, void *ctx)
{
	struct run *run = ctx;
	char left[UNITS_BYTES];
	(void)claim;
	bool frozen = run->phase == RUN_FROZEN;
	if (run_is_moving(run))
		run_checkpoint_asked(run, yield->grace_ms >= 0 ? yield->grace_ms
							       : run_own_grace_ms(run));
	if ((run->phase != RUN_RUNNING && !frozen) || run->leaving)
		return; /* it is being stopped already, or is no longer ours to stop */

	int64_t grace_ms = yield->grace_ms >= 0 ? yield->grace_ms : run_own_grace_ms(run);
	run->taken = !run->job.child.ended;
	note_cause(run, yield->reason, yield->for_whom);
	const char *said = baton_detail(run->baton);
	if (yield->grace_ms >= 0)
		run_progress_say(
			&run->show, false, "asked to give the GPU back within %s: %s%s%s%s%s",
			units_duration(left, (double)yield->grace_ms / 1000), yield->reason,
			*yield->for_whom ? " for " : "", yield->for_whom, *said ? ": " : "", said);
	else /* learned from a resume */
		run_progress_say(&run->show, false, "was asked to give the GPU back");

	/* Of what is frozen it is the memory that is wanted. */
	int how = frozen ? ON_YIELD_TERM : run->options->on_yield;
	if (how == ON_YIELD_FREEZE) {
		run_freeze(run, grace_ms);
		return;
	}
	if (how == ON_YIELD_CHECKPOINT) {
		run_checkpoint(run, grace_ms);
		return;
	}
	if (how == ON_YIELD_IGNORE)
		return; /* the broker takes the lease at the end of the grace */
	if (how <= 0) {
		run_stop(run, grace_ms);
		return;
	}

	run->phase = RUN_STOPPING;
	run->kill_at_ms = run_kill_time(grace_ms);
	child_signal(&run->job.child, how);
}

/* A command that got its own choice of signal may continue; one that got SIGTERM is already
 * exiting. */
static void on_kept(struct baton_claim *claim, void *ctx)
{
	struct run *run = ctx;
	(void)claim;
	run_freeze_kept(run);
	run_checkpoint_kept(run);
	if (run->phase == RUN_STOPPING && run->options->on_yield > 0 && !run->revoked)
		run->phase = RUN_RUNNING, run->taken = false;
	if (run->phase == RUN_RUNNING)
		run->cause[0] = '\0';
}

static void on_noticed(struct baton_claim *claim, const char *code, const char *text, void *ctx)
{
	struct run *run = ctx;
	(void)claim;
	run_progress_say(&run->show, strcmp(code, "gpu_lost") == 0, "run: %s", text);
}

/* How long it may take to stop: the declared grace, but no longer than others are kept out. */
static int64_t revoked_grace_ms(const struct run *run, int64_t left_ms)
{
	if (run->options->grace_ms < 0 && left_ms >= 0)
		return left_ms;
	int64_t grace_ms = run_own_grace_ms(run);
	return left_ms >= 0 && left_ms < grace_ms ? left_ms : grace_ms;
}

static void on_revoked(struct baton_claim *claim, const char *reason, void *ctx)
{
	struct run *run = ctx;
	int64_t grace_ms = revoked_grace_ms(run, baton_time_left_ms(claim));
	const char *said = baton_detail(run->baton);
	if (run->leaving)
		return;
	run->revoked = true;
	/* What was ignored is taken for the same reason, which was told with a name. */
	if (!*run->cause || strncmp(run->cause + strlen(" ("), reason, strlen(reason)) != 0)
		note_cause(run, reason, "");

	if (run->phase == RUN_RUNNING || run_is_freezing(run) || run_is_moving(run)) {
		run->taken = !run->job.child.ended;
		run_progress_say(&run->show, true, "run: the lease is over (%s%s%s); stopping %s%s",
				 reason, *said ? ": " : "", said, run->argv[0],
				 run_is_freezing(run) ? ", which was frozen" : "");
		run_stop(run, grace_ms);
	} else if (run->phase == RUN_STOPPING) {
		if (run->options->on_yield > 0)
			job_ask(&run->job);
		if (run_kill_time(grace_ms) < run->kill_at_ms)
			run->kill_at_ms = run_kill_time(grace_ms);
	}
}

/* Names the current holder. The refusal does not, and it is worth a request to know. */
static void name_holder(char *ret_words, size_t size)
{
	json_t *status = http_client_status();
	if (!status)
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
	if (run->phase == RUN_AWAY)
		run_checkpoint_ended(run, code);
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

void run_lease_let_go(struct run *run)
{
	run_progress_say(&run->show, false, "%s goes on, under no lease", run->argv[0]);
	run->phase = RUN_DONE;
}

void run_lease_link(struct baton *baton, enum baton_link link, void *ctx)
{
	struct run *run = ctx;
	(void)baton;
	if (link == BATON_LINK_DOWN)
		run_progress_say(&run->show, false, "the broker is away; trying to reach it again");
	else if (link == BATON_LINK_UP)
		run_progress_say(&run->show, false, "the broker is back; nothing was lost");
}

/* ---- asking ---- */

/* Moving gigabytes takes seconds: without a word of the user's, as many as a broker gives. */
static int64_t wanted_grace_ms(const struct run_options *options)
{
	if (options->grace_ms < 0 && options->on_yield == ON_YIELD_CHECKPOINT)
		return CHECKPOINT_GRACE_MS;
	return options->grace_ms > 0 ? options->grace_ms : 0;
}

void run_lease_fill(const struct run_options *options, struct baton_request *request)
{
	baton_request_init(request);
	request->lease_class = options->lease_class;
	request->vram_bytes = options->vram_bytes;
	request->slots = options->slots;
	request->gpus = options->gpus;
	request->gpu = options->gpu;
	request->timeout_ms = options->wait_ms;
	request->no_wait = options->no_wait;
	request->no_preempt = options->on_yield == ON_YIELD_IGNORE;
	request->evictable = options->evictable;
	request->label = options->label;
	request->uninterruptible_ms = wanted_grace_ms(options);
}

int run_lease_ask(struct run *run)
{
	struct baton_claim_handlers handlers;
	struct baton_request request;

	baton_claim_handlers_init(&handlers);
	handlers.queued = on_queued;
	handlers.granted = on_granted;
	handlers.yield = on_yield;
	handlers.kept = on_kept;
	handlers.noticed = on_noticed;
	handlers.revoked = on_revoked;
	handlers.ended = on_ended;
	handlers.stops_later = true;

	run_lease_fill(run->options, &request);
	/* Inside another `baton run` that holds: waiting for ourselves would never end. */
	request.parent_lease = run->parent;
	request.handlers = &handlers;
	request.ctx = run;

	run->asked_ms = clock_now_ms();
	int rc = baton_acquire(run->baton, &request, &run->claim);
	if (rc < 0) {
		say_no_lease(run, rc);
		return baton_exit_code(rc);
	}
	return 0;
}

void run_lease_ask_anew(struct run *run)
{
	run->ask_again = false;
	baton_claim_free(run->claim);
	run->claim = NULL;
	int rc = run_lease_ask(run);
	if (rc == 0)
		return;
	if (run->phase == RUN_AWAY) {
		run->taken = true;
		run_stop(run, run_own_grace_ms(run));
		return;
	}
	run->status = rc;
	run->started = false;
	run->phase = RUN_DONE;
}
