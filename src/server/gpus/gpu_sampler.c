/* gpu_sampler: see gpu_sampler.h. Keeps no figure of its own: rows has the newest reading of each
 * GPU, the board what people see of it. */
#include "server/gpus/gpu_sampler.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "core/view.h"
#include "gpu/source.h"
#include "net/loop.h"
#include "server/event_queue.h"
#include "server/gpus/gpu_figures.h"
#include "server/queued_event.h"

enum { WATCH_MS = 20 };

static const ino_t initial_pid_namespace = 0xEFFFFFFC; /* its inode, fixed by the kernel */

static const struct gpu_source_ops *const sources[SAMPLER_PROBES] = {&gpu_nvml, &gpu_drm};

static unsigned probe_of_source(const char *source)
{
	for (unsigned i = 0; i < SAMPLER_PROBES; i++)
		if (strcmp(sources[i]->name, source) == 0)
			return i;
	return 0;
}

/* Its place in the list, added if it is not there yet. */
static struct observed *observed_session(struct observed *observed, uint32_t *count,
					 uint64_t session)
{
	for (uint32_t i = 0; i < *count; i++)
		if (observed[i].session == session)
			return &observed[i];
	observed[*count].session = session;
	return &observed[(*count)++];
}

/* What each session uses on the GPU, for the core. A job's own cgroup tells also what its
 * processes do not. */
static struct observed *observed_of(const struct gpu_figures *figures,
				    const struct gpu_reading *reading, uint32_t *ret_count)
{
	size_t total = figures->process_count + figures->left_off + figures->cgroup_count;
	struct observed *observed = calloc(total + 1, sizeof(*observed));
	uint32_t count = 0;

	if (!observed)
		abort();
	for (size_t i = 0;
	     i < figures->process_count + figures->left_off && reading->known & GPU_PROCESSES;
	     i++) {
		const struct gpu_process_row *row = &figures->processes[i];
		if (row->session && row->bytes_known)
			observed_session(observed, &count, row->session)->vram_bytes +=
				row->vram_bytes;
	}

	for (size_t i = 0; i < figures->cgroup_count; i++) {
		const struct gpu_cgroup_row *row = &figures->cgroups[i];
		struct observed *seen = observed_session(observed, &count, row->session);
		if (seen->vram_bytes < row->vram_bytes)
			seen->vram_bytes = row->vram_bytes;
	}
	*ret_count = count;
	return observed;
}

/* Where memory cannot be read at all, what is declared counts, and only health is told. */
static bool is_told(const struct gpu_row *row)
{
	return row->device.measures || row->reading.state == GPU_LOST ||
	       row->reading.state == GPU_GONE;
}

static void queue_sample(struct gpu_sampler *sampler, uint32_t gpu)
{
	const struct gpu_row *row = &sampler->rows.v[gpu];
	const struct gpu_reading *reading = &row->reading;

	if (!sampler->queue || !is_told(row) || reading->state == GPU_IDLE)
		return;

	struct queued_event *queued = event_queue_new(sampler->queue);
	struct event *event = &queued->in.event;
	event->type = EVENT_GPU_SAMPLE;
	event->sample.gpu = gpu;
	event->sample.healthy = reading->state != GPU_LOST && reading->state != GPU_GONE;
	event->sample.measured = reading->state == GPU_OK ? row->measured : (struct mono_ms){0};
	event->sample.used_known = reading->state == GPU_ASLEEP ||
				   (reading->state == GPU_OK && reading->known & GPU_MEMORY);
	event->sample.vram_bytes_used = reading->state == GPU_OK ? reading->used_bytes : 0;

	if (reading->state == GPU_OK && reading->known & GPU_UTILISATION)
		event->sample.idle_ms = mono_since(row->measured, row->busy);

	struct observed *observed =
		observed_of(&sampler->board.v[gpu], reading, &event->sample.observed_count);
	event->sample.observed = observed;
	queued->extra = observed;
	event_queue_push(sampler->queue, queued);
}

static void log_state(struct gpu_sampler *sampler, const struct gpu_row *row)
{
	bool good = row->reading.state == GPU_OK || row->reading.state == GPU_ASLEEP ||
		    row->reading.state == GPU_IDLE;

	log_event(sampler->log, good ? LOG_INFO : LOG_WARN, "a GPU changed",
		  log_str("gpu", row->name), log_str("state", gpu_state_name(row->reading.state)),
		  log_str("why", row->reading.fault[0] ? row->reading.fault
						       : gpu_state_text(row->reading.state)));
}

static void show_row(struct gpu_sampler *sampler, uint32_t gpu, enum gpu_state before,
		     struct mono_ms now)
{
	const struct gpu_row *row = &sampler->rows.v[gpu];

	if (row->reading.state != before && before != GPU_IDLE && row->reading.state != GPU_IDLE &&
	    row->measured.v != MONO_PAST.v)
		log_state(sampler, row);
	if (!sampler->queue)
		return;
	gpu_figures_set(sampler, gpu, now);
	queue_sample(sampler, gpu);
	if (core_observes(sampler->core) && row->reading.state == GPU_OK)
		gpu_foreign_take(&sampler->foreign, sampler->queue, gpu, &sampler->board.v[gpu]);
}

static void take_list(struct gpu_sampler *sampler, const struct gpu_report *report,
		      struct mono_ms now)
{
	enum gpu_state before[LIMIT_GPUS];

	for (uint32_t i = 0; i < sampler->rows.count; i++)
		before[i] = sampler->rows.v[i].reading.state;
	uint32_t count = sampler->rows.count;
	gpu_rows_take_list(&sampler->rows, report);

	for (uint32_t i = 0; i < count; i++)
		if (sampler->rows.v[i].reading.state != before[i])
			show_row(sampler, i, before[i], now);
	if (sampler->queue) /* at the start all sources are heard first */
		gpu_rows_bind(&sampler->rows);
}

static void take_reading(struct gpu_sampler *sampler, struct gpu_report *report, struct mono_ms now)
{
	uint32_t gpu = gpu_rows_find(&sampler->rows, report->source, report->devices);

	if (gpu == LIMIT_GPUS)
		return;
	enum gpu_state before = sampler->rows.v[gpu].reading.state;
	gpu_rows_take_reading(&sampler->rows, gpu, report, now);
	show_row(sampler, gpu, before, now);
}

static bool has_rows(const struct gpu_rows *rows, const char *source)
{
	for (uint32_t i = 0; i < rows->count; i++)
		if (rows->v[i].bound && strcmp(rows->v[i].source, source) == 0)
			return true;
	return false;
}

static void log_fault(struct gpu_sampler *sampler, unsigned probe)
{
	if (sampler->faults[probe] == 0)
		return;
	if (sampler->faults[probe] == -ENOENT) { /* as on any machine without such a GPU */
		if (*sampler->why[probe])
			log_event(sampler->log, LOG_INFO, "no GPU is measured by this source",
				  log_str("source", sources[probe]->name),
				  log_str("why", sampler->why[probe]));
		return;
	}
	log_event(sampler->log, LOG_WARN,
		  has_rows(&sampler->rows, sources[probe]->name)
			  ? "GPUs cannot be measured: claims that state VRAM wait, others go on"
			  : "GPUs cannot be measured: what is declared counts",
		  log_str("source", sources[probe]->name), log_str("why", sampler->why[probe]));
}

/* All that the source would read is unknown from now on. */
static void take_fault(struct gpu_sampler *sampler, const struct gpu_report *report,
		       struct mono_ms now)
{
	unsigned probe = probe_of_source(report->source);

	bool changed = report->err != sampler->faults[probe];
	sampler->faults[probe] = report->err;
	memcpy(sampler->why[probe], report->why, sizeof(sampler->why[probe]));
	if (changed)
		log_fault(sampler, probe);

	for (uint32_t i = 0; i < sampler->rows.count; i++) {
		struct gpu_row *row = &sampler->rows.v[i];
		struct gpu_report failed = {.source = report->source, .measured = now};
		enum gpu_state before = row->reading.state;
		if (!row->bound || strcmp(row->source, report->source) != 0)
			continue;
		failed.reading.state = report->err == -ETIMEDOUT ? GPU_HUNG : GPU_FAILED;
		memcpy(failed.reading.fault, report->why, sizeof(failed.reading.fault));
		gpu_rows_take_reading(&sampler->rows, i, &failed, now);
		show_row(sampler, i, before, now);
	}
}

static void take_round(struct gpu_sampler *sampler, const struct gpu_report *report)
{
	sampler->answered[probe_of_source(report->source)] = true;
	sampler->rounds++;
	sampler->cpu_us += (uint64_t)report->cpu_us;
}

/* Takes the report. */
static void take_report(struct gpu_sampler *sampler, struct gpu_report *report, struct mono_ms now)
{
	switch (report->kind) {
	case GPU_REPORT_LIST:
		sampler->faults[probe_of_source(report->source)] = 0;
		take_list(sampler, report, now);
		break;
	case GPU_REPORT_READING:
		take_reading(sampler, report, now);
		break;
	case GPU_REPORT_FAULT:
		take_fault(sampler, report, now);
		break;
	case GPU_REPORT_ROUND:
		take_round(sampler, report);
		break;
	}
	gpu_report_free(report);
}

static bool all_answered(const struct gpu_sampler *sampler)
{
	for (unsigned i = 0; i < SAMPLER_PROBES; i++)
		if (sampler->probes[i] && !sampler->answered[i])
			return false;
	return true;
}

static void take_all(struct gpu_sampler *sampler, struct mono_ms now)
{
	uint64_t count;

	(void)!read(sampler->fd, &count, sizeof(count));
	gpu_owners_begin(&sampler->owners, sampler->core, now);
	for (unsigned i = 0; i < SAMPLER_PROBES; i++) {
		struct gpu_report *report;
		if (sampler->probes[i])
			gpu_figures_ask(&sampler->owners, sampler->probes[i]);
		while (sampler->probes[i] && (report = gpu_probe_take(sampler->probes[i])))
			take_report(sampler, report, now);
	}

	if (all_answered(sampler))
		sampler->board.awaited = false;
	if (sampler->rows.changed && sampler->on_changed) {
		sampler->rows.changed = false;
		sampler->on_changed(sampler->ctx);
	}
}

static void on_reports(void *ctx, int fd)
{
	(void)fd;
	take_all(ctx, loop_now());
}

static struct mono_ms watch_probes(struct gpu_sampler *sampler, struct mono_ms now)
{
	sampler->watched = now;
	sampler->watch_due = MONO_NEVER;

	for (unsigned i = 0; i < SAMPLER_PROBES; i++)
		if (sampler->probes[i])
			sampler->watch_due = mono_min(sampler->watch_due,
						      gpu_probe_watch(sampler->probes[i], now));
	return sampler->watch_due;
}

/* A busy loop need not ask in each of its turns: that takes a lock per probe. */
static struct mono_ms watch_now_and_then(struct gpu_sampler *sampler, struct mono_ms now)
{
	struct mono_ms next = mono_min(sampler->watch_due, mono_after(sampler->watched, WATCH_MS));

	return mono_due(next, now) ? watch_probes(sampler, now) : next;
}

/* NVML names pids of the machine; a broker in a container cannot tell whose they are. */
static bool in_initial_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == initial_pid_namespace;
}

/* The first round of all sources, as far as it came in time: lists first, for which GPU is which
 * follows from all of them. */
static void take_first(struct gpu_sampler *sampler, struct gpu_report *first, struct mono_ms now)
{
	struct gpu_report *next;

	for (struct gpu_report *report = first; report; report = report->next)
		if (report->kind == GPU_REPORT_LIST)
			gpu_rows_take_list(&sampler->rows, report);
	gpu_rows_bind(&sampler->rows);

	for (struct gpu_report *report = first; report; report = next) {
		next = report->next;
		take_report(sampler, report, now);
	}
}

static void wait_first(struct gpu_sampler *sampler)
{
	struct mono_ms now = loop_now(), end = mono_after(now, SAMPLER_START_MS);
	struct gpu_report *first = NULL, **last = &first;

	while (!all_answered(sampler) && mono_before(now, end)) {
		struct pollfd reports = {.fd = sampler->fd, .events = POLLIN};
		uint64_t count;
		(void)poll(&reports, 1, (int)mono_since(end, now));
		(void)!read(sampler->fd, &count, sizeof(count));

		for (unsigned i = 0; i < SAMPLER_PROBES; i++)
			while (sampler->probes[i] && (*last = gpu_probe_take(sampler->probes[i]))) {
				sampler->answered[i] |= (*last)->kind == GPU_REPORT_ROUND;
				last = &(*last)->next;
			}
		now = loop_now();
		(void)watch_probes(sampler, now);
	}
	take_first(sampler, first, now);
}

void gpu_sampler_find(struct gpu_sampler *sampler, const struct gpu_paths *paths,
		      const char *state_dir, struct settings *settings)
{
	gpu_owners_init(&sampler->owners);
	sampler->fd = -1;
	sampler->needed = MONO_PAST;
	sampler->board.asked = sampler->board.watched = MONO_PAST;
	sampler->sysfs = paths->sysfs;
	sampler->pids_are_ours = paths->nvml || in_initial_namespace();
	gpu_rows_configure(&sampler->rows, settings);
	if (settings->gpus_from == GPUS_FAKE)
		return;

	sampler->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (sampler->fd < 0)
		return;
	(void)gpu_names_load(&sampler->rows.names, state_dir, sampler->names_why,
			     sizeof(sampler->names_why));
	for (unsigned i = 0; i < SAMPLER_PROBES; i++)
		sampler->probes[i] = gpu_probe_start(sources[i], paths, sampler->fd);

	wait_first(sampler);
	gpu_rows_fill(&sampler->rows, settings);
}

int gpu_sampler_begin(struct gpu_sampler *sampler, struct loop *loop, const char *state_dir)
{
	struct mono_ms now = loop_now();

	if (sampler->fd < 0)
		return 0;
	if (sampler->names_why[0])
		log_event(sampler->log, LOG_WARN, "cannot read all names of GPUs",
			  log_str("error", sampler->names_why));
	gpu_names_save(&sampler->rows.names, state_dir);
	for (unsigned i = 0; i < SAMPLER_PROBES; i++)
		log_fault(sampler, i);
	gpu_owners_begin(&sampler->owners, sampler->core, now);
	for (uint32_t i = 0; i < sampler->rows.count; i++)
		if (sampler->rows.v[i].bound)
			show_row(sampler, i, GPU_IDLE, now);
	return loop_watch(loop, sampler->fd, on_reports, sampler, &sampler->watch) ? -ERR_NO_MEMORY
										   : 0;
}

void gpu_sampler_configure(struct gpu_sampler *sampler, struct settings *settings)
{
	if (sampler->fd < 0)
		return;
	gpu_rows_configure(&sampler->rows, settings);
	gpu_rows_bind(&sampler->rows);
	gpu_rows_fill(&sampler->rows, settings);
	sampler->rows.changed = false;
}

static bool is_draining(const struct core *core)
{
	struct gpu_view gpu;

	for (uint32_t i = 0; core_gpu(core, i, &gpu); i++)
		if (gpu.vram_bytes_draining > 0)
			return true;
	return false;
}

/* 0: nobody held, waited or watched of late. */
static int64_t choose_pace(struct gpu_sampler *sampler, struct mono_ms now)
{
	uint32_t waiting = core_waiting_count(sampler->core);

	if (waiting > 0 || core_held_count(sampler->core) > 0)
		sampler->needed = now;
	sampler->needed = mono_max(sampler->needed, sampler->board.watched);
	if (mono_due(mono_after(sampler->needed, SAMPLER_REST_MS), now))
		return 0;

	if (waiting == 0)
		return SAMPLER_PACE_MS;
	return is_draining(sampler->core) ? SAMPLER_FAST_MS : SAMPLER_WAIT_MS;
}

static void expect_figures(struct gpu_sampler *sampler)
{
	for (unsigned i = 0; i < SAMPLER_PROBES; i++)
		sampler->answered[i] = false;
	sampler->board.awaited = true;
}

/* Figures that nobody renews are not shown for long. Returns when the next ones are too old. */
static struct mono_ms retire_figures(struct gpu_sampler *sampler, struct mono_ms now)
{
	struct mono_ms wake = MONO_NEVER;

	for (uint32_t i = 0; i < sampler->rows.count; i++) {
		struct gpu_row *row = &sampler->rows.v[i];
		struct mono_ms old = mono_after(row->measured, GPU_BOARD_WATCH_MS);
		if (!row->bound || row->reading.state != GPU_OK)
			continue;
		if (!mono_due(old, now)) {
			wake = mono_min(wake, old);
			continue;
		}
		gpu_reading_finish(&row->reading);
		row->reading.state = GPU_IDLE;
		gpu_figures_set(sampler, i, now);
	}
	return wake;
}

struct mono_ms gpu_sampler_step(struct gpu_sampler *sampler, struct mono_ms now)
{
	if (sampler->fd < 0) {
		sampler->board.look = false;
		return MONO_NEVER;
	}

	if (!core_observes(sampler->core))
		gpu_foreign_end(&sampler->foreign, sampler->queue);
	else if (mono_due(mono_after(sampler->foreign.looked, FOREIGN_LOOK_MS), now))
		sampler->board.look = true, sampler->foreign.looked = now;

	int64_t pace_ms = choose_pace(sampler, now);
	bool look = sampler->board.look && pace_ms == 0;
	if (look || (pace_ms > 0 && sampler->pace_ms == 0))
		expect_figures(sampler);

	for (unsigned i = 0; i < SAMPLER_PROBES; i++) {
		if (sampler->probes[i] && pace_ms != sampler->pace_ms)
			gpu_probe_pace(sampler->probes[i], pace_ms);
		if (sampler->probes[i] && look)
			gpu_probe_look(sampler->probes[i]);
	}
	sampler->pace_ms = pace_ms;
	sampler->board.look = false;

	struct mono_ms wake = watch_now_and_then(sampler, now);
	if (core_observes(sampler->core))
		wake = mono_min(wake, mono_after(sampler->foreign.looked, FOREIGN_LOOK_MS));
	if (pace_ms == 0)
		return mono_min(wake, retire_figures(sampler, now));
	/* A call may begin at any time, and has to end. */
	return mono_min(wake, mono_after(now, PROBE_CALL_MS));
}

void gpu_sampler_end(struct gpu_sampler *sampler)
{
	bool left = false;

	if (sampler->fd < 0)
		return;
	loop_unwatch(sampler->watch);
	for (unsigned i = 0; i < SAMPLER_PROBES; i++)
		left |= sampler->probes[i] && !gpu_probe_stop(sampler->probes[i]);

	if (!left) /* a call that hangs may still write to it */
		(void)close(sampler->fd);
	sampler->fd = -1;
	for (uint32_t i = 0; i < LIMIT_GPUS; i++)
		free(sampler->board.v[i].processes);
	gpu_owners_finish(&sampler->owners);
	gpu_rows_finish(&sampler->rows);
}
