/* process: a program that takes turns on the GPU through libbaton: asks, works, gives way, is
 * revoked, needs a moment to stop, ends by signals. Written as baton.h tells programs to be. The
 * judge sits where the work begins: nobody else may be at work then. Called by main.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/api.h"
#include "town.h"

static int64_t draw(struct town *town, int64_t lo, int64_t hi)
{
	return rng_between(&town->rng, lo, hi);
}

static int64_t pid_of(const struct process *process)
{
	return (int64_t)process->life * TOWN_PROCESSES + process->index;
}

/* The kernel tells the broker, whose pidfds watch each session's process. */
static void is_gone(struct town *town, struct process *process)
{
	for (size_t id = 0; id < town->journal.sessions_size; id++) {
		const struct journal_session *row = &town->journal.sessions[id];
		if (row->live && row->rec.pid == pid_of(process))
			town_add(town, draw(town, 0, 5), ITEM_EXIT_SEEN)->number = id;
	}
	process->works = process->stopping = false;
	process->baton = NULL;
	process->claim = NULL;
	process->armed_t = process->stop_t = process->done_t = INT64_MAX;
	process->think_t = process->asked_t = INT64_MAX;
	process->start_t = town->t + draw(town, 100, 5000);
}

static void leave(struct town *town, struct process *process)
{
	town_note(town, "p%u ends", process->index);
	if (process->baton)
		baton_close(process->baton);
	is_gone(town, process);
}

static void has_stopped(struct town *town, struct process *process)
{
	process->works = process->stopping = false;
	process->stop_t = INT64_MAX;
	town_note(town, "p%u has stopped", process->index);
	if (process->then == THEN_EXIT)
		leave(town, process);
	else if (!process->claim)
		return; /* it lied: its claim is over already */
	else if (process->then == THEN_CONFIRM)
		(void)baton_lease_stopped(process->claim);
	else
		(void)baton_release(process->claim, process->then == THEN_REQUEUE);
	if (process->then == THEN_REQUEUE)
		process->asked_t = town->t;
}

static void stop_work(struct town *town, struct process *process, enum after_stop then)
{
	process->done_t = INT64_MAX;
	if (!(process->stopping && process->then == THEN_EXIT))
		process->then = then;
	if (process->stopping)
		return;
	process->stopping = true;
	process->stop_t = town->t + (process->works ? process->stop_ms : 0);
}

static void on_granted(struct baton_claim *claim, const struct baton_lease *lease, void *ctx)
{
	struct town *town = ctx;
	struct process *process = town->current;
	(void)claim;
	for (unsigned i = 0; i < TOWN_PROCESSES; i++)
		if (town->processes[i].works)
			town_fail(town, "p%u was granted fence %llu while p%u works",
				  process->index, (unsigned long long)baton_lease_fence(lease), i);
	town_note(town, "p%u works", process->index);
	process->works = true;
	process->done_t = town->t + draw(town, 50, 20000);
	town->grants++;
	if (town->healed && town->t - process->asked_t > town->wait_ms_max)
		town->wait_ms_max = town->t - process->asked_t;
	process->asked_t = INT64_MAX;
}

static void on_yield(struct baton_claim *claim, const struct baton_yield *yield, void *ctx)
{
	struct town *town = ctx;
	(void)yield;
	if (rng_chance(&town->rng, 200))
		(void)baton_yielding(claim, draw(town, 0, 5000));
	if (rng_chance(&town->rng, 700))
		stop_work(town, town->current,
			  rng_chance(&town->rng, 500) ? THEN_RELEASE : THEN_REQUEUE);
}

static void on_revoked(struct baton_claim *claim, const char *reason, void *ctx)
{
	struct town *town = ctx;
	town_note(town, "p%u is revoked: %s", town->current->index, reason);
	town->lost += strcmp(reason, baton_error_name(BATON_E_LOST)) == 0;
	stop_work(town, town->current, THEN_CONFIRM);
	if (town->lies)
		(void)baton_lease_stopped(claim);
}

static void on_ended(struct baton_claim *claim, int code, const char *reason, void *ctx)
{
	struct town *town = ctx;
	struct process *process = town->current;
	(void)claim;
	if (process->works && !town->lies)
		town_fail(town, "p%u's claim ended (%s) while it works", process->index, reason);
	if (code == BATON_E_INVALID || code == BATON_E_PROTOCOL || code == BATON_E_INTERNAL)
		town_fail(town, "p%u's claim ended: %s", process->index, baton_error_name(code));
	process->claim_over = true;
	process->stopping = process->works;
	process->stop_t = process->works ? process->stop_t : INT64_MAX;
	process->asked_t = INT64_MAX;
	process->think_t = town->t + draw(town, 0, 5000);
}

static void ask(struct town *town, struct process *process)
{
	static const char *const classes[] = {"voice", "chat", "normal", "background"};
	struct baton_claim_handlers handlers;
	struct baton_request request;
	process->think_t = INT64_MAX;
	baton_claim_handlers_init(&handlers);
	handlers.granted = on_granted;
	handlers.yield = on_yield;
	handlers.revoked = on_revoked;
	handlers.ended = on_ended;
	handlers.stops_later = true;
	baton_request_init(&request);
	request.handlers = &handlers;
	request.ctx = town;
	request.lease_class = classes[rng_below(&town->rng, 4)];
	request.timeout_ms =
		rng_chance(&town->rng, 500) ? BATON_TIMEOUT_NEVER : draw(town, 1000, 60000);
	if (rng_chance(&town->rng, 500))
		request.uninterruptible_ms = process->stop_ms;
	if (baton_acquire(process->baton, &request, &process->claim) < 0)
		process->think_t = town->t + draw(town, 100, 1000);
	else
		process->asked_t = town->t;
}

void process_start(struct town *town, struct process *process)
{
	struct baton_options options;
	char name[TOWN_NAME_BYTES];
	process->life++;
	process->dying = process->claim_over = false;
	process->deaf = rng_chance(&town->rng, 200);
	process->stop_ms = rng_chance(&town->rng, 500) ? draw(town, 1, 4000) : 0;
	process->armed_t = process->stop_t = process->done_t = process->start_t = INT64_MAX;
	process->asked_t = INT64_MAX;
	snprintf(name, sizeof(name), "p%u", process->index);
	baton_options_init(&options);
	options.name = name;
	options.socket_path = "/town";
	town->current = process;
	if (client_begin(&options, &process->baton) < 0) {
		process->baton = NULL;
		process->start_t = town->t + draw(town, 100, 1000);
		return;
	}
	process->think_t = town->t + draw(town, 0, 1000);
}

static int dispatch_all(struct process *process)
{
	int r;
	while ((r = baton_dispatch(process->baton, 0)) > 0)
		;
	if (process->claim_over) {
		baton_claim_free(process->claim);
		process->claim = NULL;
		process->claim_over = false;
	}
	return r;
}

void process_step(struct town *town, struct process *process)
{
	town->current = process;
	if (!process->baton) {
		if (process->start_t <= town->t)
			process_start(town, process);
		return;
	}
	int r = dispatch_all(process);
	if (process->done_t <= town->t)
		stop_work(town, process, THEN_RELEASE);
	if (process->stop_t <= town->t)
		has_stopped(town, process);
	if (process->baton && process->think_t <= town->t && !process->claim && r == 0)
		ask(town, process);
	if (process->baton)
		r = dispatch_all(process);
	if (process->baton && r < 0 && !process->works)
		leave(town, process);
}

int64_t process_next(const struct process *process)
{
	const int64_t times[] = {process->armed_t, process->stop_t, process->done_t,
				 process->claim ? INT64_MAX : process->think_t};
	int64_t next = process->baton ? INT64_MAX : process->start_t;
	for (size_t i = 0; process->baton && i < sizeof(times) / sizeof(*times); i++)
		next = times[i] < next ? times[i] : next;
	return next;
}

void process_signal(struct town *town, struct process *process, int signo)
{
	if (!process->baton)
		return;
	town_note(town, "p%u gets signal %d", process->index, signo);
	town->current = process;
	if (signo == SIGKILL) {
		process->dying = true;
		town->kills++;
		leave(town, process);
	} else if (!process->deaf) {
		stop_work(town, process, THEN_EXIT);
		process_step(town, process);
	}
}

void process_finish(struct process *process)
{
	process->dying = true;
	if (process->baton)
		baton_close(process->baton);
	buf_finish(&process->in);
}
