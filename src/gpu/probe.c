/* probe: threads, and the queue of their reports. One mutex guards all that the threads and the
 * owner share; no call of a source is made under it. */
#include "gpu/probe.h"
#include "gpu/source.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	HUNG_MAX = 3, /* threads left behind at once; then nothing is read until one returns */
	RETRY_MS = 1000,
	RETRY_MS_MAX = 60 * 1000,
	STOP_MS = 300,
};

/* One thread and what it has open. An abandoned one owns both until it returns. */
struct worker {
	struct gpu_probe *probe;
	void *source; /* NULL: closed */
	struct gpu_device devices[PROBE_DEVICES_MAX];
	size_t device_count, known_count; /* known: also while it is closed */
	struct mono_ms list_at, open_at;
	int64_t retry_ms;
	struct mono_ms call_due;   /* guarded: by when its call must return; NEVER: it is in none */
	struct gpu_device calling; /* guarded: the device; zeroed: the source itself */
	bool abandoned;            /* guarded */
	bool told_closed;          /* that nothing can be read was said, and holds */
};

struct gpu_probe {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	const struct gpu_source_ops *ops;
	struct gpu_paths paths;
	pthread_t thread;      /* of worker */
	struct worker *worker; /* NULL: the source hangs, or it was stopped */
	int64_t interval_ms;
	bool look, stopping; /* look: once, even at rest */
	char cgroups[PROBE_CGROUPS_MAX][LIMIT_CGROUP_BYTES + 1];
	size_t cgroup_count;
	int fd;
	struct gpu_report *first, **last;
	struct worker *hung[HUNG_MAX]; /* abandoned, and not returned yet */
};

static struct mono_ms now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (struct mono_ms){t.tv_sec * 1000 + t.tv_nsec / 1000000};
}

static int64_t thread_cpu_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static struct gpu_report *new_report(const struct gpu_probe *probe, enum gpu_report_kind kind,
				     const struct gpu_device *devices, size_t count)
{
	struct gpu_report *report = calloc(1, sizeof(*report));
	struct gpu_device *copy = calloc(count + 1, sizeof(*copy));

	if (!report || !copy)
		abort();
	if (count > 0)
		memcpy(copy, devices, count * sizeof(*copy));

	report->kind = kind;
	report->source = probe->ops->name;
	report->devices = copy;
	report->device_count = count;
	report->measured = now_ms();
	return report;
}

void gpu_report_free(struct gpu_report *report)
{
	gpu_reading_finish(&report->reading);
	free(report->devices);
	free(report);
}

/* Under the mutex. Takes the report. */
static void push_report(struct gpu_probe *probe, struct gpu_report *report)
{
	const uint64_t one = 1;

	*probe->last = report;
	probe->last = &report->next;
	(void)!write(probe->fd, &one, sizeof(one));
}

static void post_report(struct worker *worker, struct gpu_report *report)
{
	struct gpu_probe *probe = worker->probe;

	pthread_mutex_lock(&probe->mutex);
	bool wanted = !worker->abandoned && !probe->stopping;
	if (wanted)
		push_report(probe, report);
	pthread_mutex_unlock(&probe->mutex);

	if (!wanted)
		gpu_report_free(report);
}

struct gpu_report *gpu_probe_take(struct gpu_probe *probe)
{
	pthread_mutex_lock(&probe->mutex);
	struct gpu_report *report = probe->first;
	if (report) {
		probe->first = report->next;
		if (!probe->first)
			probe->last = &probe->first;
		report->next = NULL;
	}
	pthread_mutex_unlock(&probe->mutex);
	return report;
}

static void begin_call(struct worker *worker, const struct gpu_device *device, int64_t limit_ms)
{
	static const struct gpu_device none;

	pthread_mutex_lock(&worker->probe->mutex);
	worker->calling = device ? *device : none;
	worker->call_due = mono_after(now_ms(), limit_ms);
	pthread_mutex_unlock(&worker->probe->mutex);
}

/* False: it came back too late, and somebody else does its work now. */
static bool end_call(struct worker *worker)
{
	pthread_mutex_lock(&worker->probe->mutex);
	worker->call_due = MONO_NEVER;
	bool in_time = !worker->abandoned;
	pthread_mutex_unlock(&worker->probe->mutex);
	return in_time;
}

static void close_source(struct worker *worker)
{
	if (worker->source)
		worker->probe->ops->close(worker->source);
	worker->source = NULL;
	worker->device_count = 0;
}

static void post_fault(struct worker *worker, int err, const char *why)
{
	struct gpu_report *report = new_report(worker->probe, GPU_REPORT_FAULT, NULL, 0);

	report->err = err;
	(void)snprintf(report->why, sizeof(report->why), "%s", why);
	post_report(worker, report);

	worker->retry_ms = worker->retry_ms ? 2 * worker->retry_ms : RETRY_MS;
	if (worker->retry_ms > RETRY_MS_MAX)
		worker->retry_ms = RETRY_MS_MAX;
	worker->open_at = mono_after(now_ms(), worker->retry_ms);
}

/* False: it is not open. */
static bool ensure_open(struct worker *worker)
{
	const struct gpu_probe *probe = worker->probe;
	char why[GPU_FAULT_BYTES + 1] = "";

	if (worker->source)
		return true;
	if (!mono_due(worker->open_at, now_ms()))
		return false;

	begin_call(worker, NULL, PROBE_OPEN_MS);
	int rc = probe->ops->open(&probe->paths, &worker->source, why);
	if (!end_call(worker))
		return false;
	if (rc) {
		worker->source = NULL;
		post_fault(worker, rc, why);
		return false;
	}

	worker->list_at = MONO_PAST;
	return true;
}

static bool ensure_list(struct worker *worker)
{
	struct gpu_probe *probe = worker->probe;

	if (!mono_due(worker->list_at, now_ms()))
		return true;

	begin_call(worker, NULL, PROBE_OPEN_MS);
	int count = probe->ops->list(worker->source, worker->devices, worker->known_count,
				     PROBE_DEVICES_MAX);
	if (!end_call(worker))
		return false;
	if (count < 0) {
		/* Something was added or taken away, or the driver with it: from anew. */
		close_source(worker);
		worker->open_at = MONO_PAST;
		return false;
	}

	worker->retry_ms = 0;
	worker->device_count = worker->known_count = (size_t)count;
	worker->list_at = mono_after(now_ms(), PROBE_LIST_MS);
	post_report(worker,
		    new_report(probe, GPU_REPORT_LIST, worker->devices, worker->device_count));
	return true;
}

/* Another thread hangs in a call about it. */
static bool is_hung(struct worker *worker, const struct gpu_device *device)
{
	struct gpu_probe *probe = worker->probe;
	bool hung = false;

	pthread_mutex_lock(&probe->mutex);
	for (int i = 0; i < HUNG_MAX; i++)
		hung |= probe->hung[i] && gpu_device_is(&probe->hung[i]->calling, device);
	pthread_mutex_unlock(&probe->mutex);
	return hung;
}

/* They may be others in the middle of it. */
static size_t copy_cgroups(struct gpu_probe *probe, struct gpu_cgroup *ret_cgroups)
{
	pthread_mutex_lock(&probe->mutex);
	size_t count = probe->cgroup_count;
	for (size_t i = 0; i < count; i++)
		memcpy(ret_cgroups[i].path, probe->cgroups[i], sizeof(probe->cgroups[i]));
	pthread_mutex_unlock(&probe->mutex);
	return count;
}

static bool read_cgroups(struct worker *worker, const struct gpu_device *device,
			 struct gpu_reading *ret)
{
	const struct gpu_source_ops *ops = worker->probe->ops;
	struct gpu_cgroup asked[PROBE_CGROUPS_MAX];
	size_t count = ops->cgroup ? copy_cgroups(worker->probe, asked) : 0, told = 0;
	if (count == 0)
		return true;

	begin_call(worker, device, PROBE_CALL_MS);
	for (size_t i = 0; i < count; i++)
		if (ops->cgroup(worker->source, device, &asked[i]))
			asked[told++] = asked[i];
	bool in_time = end_call(worker);

	ret->cgroups = calloc(told + 1, sizeof(*ret->cgroups));
	if (!ret->cgroups)
		abort();
	memcpy(ret->cgroups, asked, told * sizeof(*asked));
	ret->cgroup_count = told;
	return in_time;
}

/* False: it was abandoned meanwhile. */
static bool read_device(struct worker *worker, const struct gpu_device *device)
{
	const struct gpu_source_ops *ops = worker->probe->ops;
	struct gpu_report *report = new_report(worker->probe, GPU_REPORT_READING, device, 1);

	begin_call(worker, device, PROBE_CALL_MS);
	ops->read(worker->source, device, &report->reading);
	bool in_time = end_call(worker);

	if (in_time && report->reading.state == GPU_OK) {
		begin_call(worker, device, PROBE_CALL_MS);
		ops->processes(worker->source, device, &report->reading);
		in_time = end_call(worker) && read_cgroups(worker, device, &report->reading);
	}

	/* It may have left, and others have moved. */
	if (report->reading.state == GPU_GONE || report->reading.state == GPU_LOST)
		worker->list_at = mono_min(worker->list_at, mono_after(now_ms(), RETRY_MS));
	post_report(worker, report);
	return in_time;
}

static void post_round(struct worker *worker, int64_t cpu_us)
{
	struct gpu_report *report = new_report(worker->probe, GPU_REPORT_ROUND, NULL, 0);

	report->cpu_us = cpu_us;
	post_report(worker, report);
}

static void read_all(struct worker *worker, bool look)
{
	const struct gpu_source_ops *ops = worker->probe->ops;
	int64_t before_us = thread_cpu_us();

	if (!ensure_open(worker) || !ensure_list(worker)) {
		/* Somebody may wait for the end of this round; of those that follow, nobody. */
		if (look || !worker->told_closed)
			post_round(worker, thread_cpu_us() - before_us);
		worker->told_closed = true;
		return;
	}
	worker->told_closed = false;

	if (ops->begin) {
		begin_call(worker, NULL, PROBE_CALL_MS);
		ops->begin(worker->source);
		if (!end_call(worker))
			return;
	}

	for (size_t i = 0; i < worker->device_count; i++)
		if (!is_hung(worker, &worker->devices[i]) &&
		    !read_device(worker, &worker->devices[i]))
			return;

	post_round(worker, thread_cpu_us() - before_us);
}

/* What sleeps is named, and not woken. True: that is all that there is. */
static bool look_asleep(struct worker *worker)
{
	const struct gpu_probe *probe = worker->probe;
	struct gpu_device devices[PROBE_DEVICES_MAX];
	int count =
		probe->ops->peek ? probe->ops->peek(&probe->paths, devices, PROBE_DEVICES_MAX) : 0;

	if (count <= 0)
		return false;
	post_report(worker, new_report(probe, GPU_REPORT_LIST, devices, (size_t)count));
	for (int i = 0; i < count; i++) {
		struct gpu_report *report = new_report(probe, GPU_REPORT_READING, &devices[i], 1);
		report->reading.state = GPU_ASLEEP;
		post_report(worker, report);
	}
	post_report(worker, new_report(probe, GPU_REPORT_ROUND, NULL, 0));
	return true;
}

/* Waits for the next round. False: the thread shall end. */
static bool wait_round(struct worker *worker, struct mono_ms *at, bool *ret_look, bool *ret_read)
{
	struct gpu_probe *probe = worker->probe;
	bool resting = false;

	pthread_mutex_lock(&probe->mutex);
	while (!probe->stopping && !worker->abandoned && !probe->look) {
		struct mono_ms due = mono_after(*at, probe->interval_ms);
		struct timespec until = {due.v / 1000, due.v % 1000 * 1000000};
		resting = probe->interval_ms == 0;
		if (resting && worker->source)
			break;
		if (!resting && mono_due(due, now_ms()))
			break;
		if (resting)
			pthread_cond_wait(&probe->changed, &probe->mutex);
		else
			pthread_cond_timedwait(&probe->changed, &probe->mutex, &until);
	}

	*ret_look = probe->look;
	*ret_read = probe->interval_ms > 0;
	probe->look = false;
	bool on = !probe->stopping && !worker->abandoned;
	pthread_mutex_unlock(&probe->mutex);
	*at = now_ms();
	return on;
}

/* Forgets a thread that had been left behind: its call has returned. */
static void leave_probe(struct worker *worker)
{
	struct gpu_probe *probe = worker->probe;

	pthread_mutex_lock(&probe->mutex);
	for (int i = 0; i < HUNG_MAX; i++)
		if (probe->hung[i] == worker)
			probe->hung[i] = NULL;
	if (probe->worker == worker)
		probe->worker = NULL;
	pthread_cond_broadcast(&probe->changed);
	pthread_mutex_unlock(&probe->mutex);
}

static void *run_worker(void *ctx)
{
	struct worker *worker = ctx;
	struct mono_ms at = MONO_PAST;
	bool look, reads;

	while (wait_round(worker, &at, &look, &reads)) {
		if (reads || (look && !look_asleep(worker)))
			read_all(worker, look);
		else
			close_source(worker);
	}

	close_source(worker);
	leave_probe(worker);
	free(worker);
	return NULL;
}

/* Under the mutex. Signals are the loop's. `after` hangs: its devices are gone on with. */
static void start_worker(struct gpu_probe *probe, const struct worker *after)
{
	sigset_t all, before;
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		abort();
	worker->probe = probe;
	worker->open_at = worker->list_at = MONO_PAST;
	worker->call_due = MONO_NEVER;
	if (after && probe->ops->clone) {
		worker->source = probe->ops->clone(after->source);
		memcpy(worker->devices, after->devices, sizeof(worker->devices));
		worker->device_count = after->device_count;
		worker->known_count = after->known_count;
		worker->list_at = after->list_at;
	}

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&probe->thread, NULL, run_worker, worker) == 0) {
		probe->worker = worker;
	} else { /* tried again by the next watch */
		close_source(worker);
		free(worker);
	}

	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct gpu_probe *gpu_probe_start(const struct gpu_source_ops *ops, const struct gpu_paths *paths,
				  int fd)
{
	pthread_condattr_t attributes;
	struct gpu_probe *probe = calloc(1, sizeof(*probe));

	if (!probe)
		abort();
	probe->ops = ops;
	probe->paths = *paths;
	probe->fd = fd;
	probe->look = true;
	probe->last = &probe->first;

	(void)pthread_mutex_init(&probe->mutex, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&probe->changed, &attributes);
	(void)pthread_condattr_destroy(&attributes);

	pthread_mutex_lock(&probe->mutex);
	start_worker(probe, NULL);
	pthread_mutex_unlock(&probe->mutex);
	return probe;
}

void gpu_probe_pace(struct gpu_probe *probe, int64_t interval_ms)
{
	pthread_mutex_lock(&probe->mutex);
	if (probe->interval_ms != interval_ms) {
		probe->look |=
			probe->interval_ms == 0 && interval_ms > 0; /* figures are waited for */
		probe->interval_ms = interval_ms;
		pthread_cond_broadcast(&probe->changed);
	}
	pthread_mutex_unlock(&probe->mutex);
}

void gpu_probe_cgroups(struct gpu_probe *probe, const char *const *paths, size_t count)
{
	pthread_mutex_lock(&probe->mutex);
	probe->cgroup_count = count < PROBE_CGROUPS_MAX ? count : PROBE_CGROUPS_MAX;
	for (size_t i = 0; i < probe->cgroup_count; i++)
		(void)snprintf(probe->cgroups[i], sizeof(probe->cgroups[i]), "%s", paths[i]);
	pthread_mutex_unlock(&probe->mutex);
}

void gpu_probe_look(struct gpu_probe *probe)
{
	pthread_mutex_lock(&probe->mutex);
	probe->look = true;
	pthread_cond_broadcast(&probe->changed);
	pthread_mutex_unlock(&probe->mutex);
}

static void report_hang(struct gpu_probe *probe, const struct worker *worker)
{
	static const char why[] = "the driver does not answer";
	bool one = worker->calling.uuid[0] || worker->calling.pci[0];
	struct gpu_report *report = new_report(probe, one ? GPU_REPORT_READING : GPU_REPORT_FAULT,
					       &worker->calling, one ? 1 : 0);

	report->reading.state = GPU_HUNG;
	report->err = -ETIMEDOUT;
	memcpy(report->why, why, sizeof(why));
	push_report(probe, report);
	push_report(probe, new_report(probe, GPU_REPORT_ROUND, NULL, 0));
}

/* Under the mutex. Where the source itself hangs, or too much does, nothing goes on. */
static void abandon_worker(struct gpu_probe *probe)
{
	struct worker *worker = probe->worker;
	bool one = worker->calling.uuid[0] || worker->calling.pci[0];
	int place = 0, left = 0;

	for (int i = 0; i < HUNG_MAX; i++) {
		left += probe->hung[i] == NULL;
		place = probe->hung[i] ? place : i;
	}
	if (left == 0)
		return;

	report_hang(probe, worker);
	worker->abandoned = true;
	(void)pthread_detach(probe->thread); /* nobody waits for it */
	probe->hung[place] = worker;
	probe->worker = NULL;
	if (one && left > 1)
		start_worker(probe, worker);
}

struct mono_ms gpu_probe_watch(struct gpu_probe *probe, struct mono_ms now)
{
	bool hung = false;

	pthread_mutex_lock(&probe->mutex);
	if (probe->worker && mono_due(probe->worker->call_due, now))
		abandon_worker(probe);

	for (int i = 0; i < HUNG_MAX; i++)
		hung |= probe->hung[i] != NULL;
	if (!probe->worker && !hung)
		start_worker(probe, NULL);

	struct mono_ms due = probe->worker ? probe->worker->call_due : mono_after(now, RETRY_MS);
	pthread_mutex_unlock(&probe->mutex);
	return due;
}

bool gpu_probe_stop(struct gpu_probe *probe)
{
	struct mono_ms end = mono_after(now_ms(), STOP_MS);
	const struct timespec until = {end.v / 1000, end.v % 1000 * 1000000};
	struct gpu_report *report;
	bool hung = false;

	pthread_mutex_lock(&probe->mutex);
	bool works = probe->worker != NULL;
	probe->stopping = true;
	pthread_cond_broadcast(&probe->changed);
	while (probe->worker && !mono_due(end, now_ms()))
		if (pthread_cond_timedwait(&probe->changed, &probe->mutex, &until) == ETIMEDOUT)
			break;

	for (int i = 0; i < HUNG_MAX; i++)
		hung |= probe->hung[i] != NULL;
	hung |= probe->worker != NULL;
	works &= probe->worker == NULL;
	pthread_mutex_unlock(&probe->mutex);

	/* To its very end: what libraries keep for a thread goes with it. */
	if (works)
		(void)pthread_join(probe->thread, NULL);

	while ((report = gpu_probe_take(probe)))
		gpu_report_free(report);
	if (hung)
		return false;

	(void)pthread_cond_destroy(&probe->changed);
	(void)pthread_mutex_destroy(&probe->mutex);
	free(probe);
	return true;
}
