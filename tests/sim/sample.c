/* sample: the GPU probe. Measures what clients in truth use, plus strangers; fails when told to. */
#include "fault.h"
#include "outside.h"
#include "world.h"

/* So much is in use, by somebody whom the probe can name or not. */
static void see(struct world *w, uint32_t gpu, const struct job *job, uint64_t bytes,
		struct event *event)
{
	struct observed *observed = w->observed[gpu];
	const struct client *client = &w->clients[job->client];
	uint32_t at = 0;
	event->sample.vram_bytes_used += bytes;
	if (client->session == 0 || client->life != job->life ||
	    (job->binding == BIND_TAB && !w->scenario.tabs_seen)) {
		w->unnamed_mask |= UINT32_C(1) << gpu;
		return;
	}
	while (at < event->sample.observed_count && observed[at].session != client->session)
		at++;
	if (at == event->sample.observed_count)
		observed[event->sample.observed_count++] =
			(struct observed){.session = client->session};
	observed[at].vram_bytes += bytes;
}

static uint64_t bytes_of(struct world *w, const struct job *job)
{
	uint64_t bytes = job->uses_need.vram_bytes;
	const struct job *host = job->lender ? NULL : job_of_lease(w, job->inside);
	if (host) /* it works with what its host has loaded */
		bytes -= bytes < host->need.vram_bytes ? bytes : host->need.vram_bytes;
	return w->scenario.uses_more ? bytes + bytes / 4 : bytes;
}

static void sample_gpu(struct world *w, uint32_t gpu)
{
	uint32_t bit = UINT32_C(1) << gpu;
	const struct gpu_config *g = &w->broker.config.gpus[gpu];
	struct envelope *envelope = broker_event(w, EVENT_GPU_SAMPLE);
	struct event *event = &envelope->event;
	const struct leftover *left;
	size_t at = 0;
	event->sample.gpu = gpu;
	/* It computes nothing in one half of the time, or nobody can tell. */
	int64_t phase_ms = broker_now(w).v % 300000;
	event->sample.idle_ms = phase_ms < 150000 ? phase_ms : 0;
	event->sample.healthy = !(w->unhealthy_mask & bit);
	event->sample.used_known = g->vram_known && !(w->unknown_mask & bit);
	event->sample.observed = w->observed[gpu];
	w->leftover_mask &= ~bit;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		const struct claim_record *rec = outside_row(w, job);
		uint64_t bytes = job->uses && (job->uses_mask & bit) ? bytes_of(w, job) : 0;
		job->measured_gpus &= ~bit;
		if (bytes == 0)
			continue;
		see(w, gpu, job, bytes, event);
		job->measured_gpus |= bit;
		if (!rec || !outside_has_room(rec))
			w->leftover_mask |= bit;
	}
	while ((left = leftover_next(w, gpu, &at))) {
		see(w, gpu, job_of(w, left->job), left->bytes, event);
		w->leftover_mask |= bit;
	}
	if (event->sample.vram_bytes_used == 0)
		w->unnamed_mask &= ~bit;
	event->sample.vram_bytes_used += w->unmanaged_bytes[gpu];
	broker_post(w, envelope);
}

void fault_sample(struct world *w)
{
	if (w->broker.state != BROKER_UP)
		return;
	leftovers_sweep(w);
	for (uint32_t gpu = 0; gpu < w->broker.config.gpu_count; gpu++)
		sample_gpu(w, gpu);
}
