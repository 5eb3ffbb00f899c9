/* sample: the GPU probe. Measures what clients in truth use, plus strangers; fails when told to. */
#include "fault.h"
#include "outside.h"
#include "world.h"

static void sample_gpu(struct world *w, uint32_t gpu)
{
	uint32_t bit = UINT32_C(1) << gpu;
	const struct gpu_config *g = &w->broker.config.gpus[gpu];
	struct letter *letter = broker_event(w, EVENT_GPU_SAMPLE);
	struct event *event = &letter->event;
	struct observed *observed = w->observed[gpu];
	uint32_t count = 0;
	uint64_t used_bytes = w->unmanaged_bytes[gpu];
	w->leftover_mask &= ~bit;
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		want->measured_gpus &= ~bit;
		if (!want->uses || !(want->uses_mask & bit) || want->uses_need.vram_bytes == 0)
			continue;
		uint64_t bytes = want->uses_need.vram_bytes;
		const struct want *host = want->lender ? NULL : want_of_lease(w, want->inside);
		if (host) /* it works with what its host has loaded */
			bytes -= bytes < host->need.vram_bytes ? bytes : host->need.vram_bytes;
		if (bytes == 0)
			continue;
		if (w->plan.uses_more)
			bytes += bytes / 4;
		used_bytes += bytes;
		const struct claim_record *rec = outside_row(w, want);
		want->measured_gpus |= bit;
		if (!rec || !outside_has_room(rec))
			w->leftover_mask |= bit;
		const struct client *client = &w->clients[want->client];
		if (client->session == 0 || client->life != want->life ||
		    (want->binding == BIND_TAB && !w->plan.tabs_seen)) {
			w->unnamed_mask |= bit;
			continue;
		}
		uint32_t at = 0;
		while (at < count && observed[at].session != client->session)
			at++;
		if (at == count)
			observed[count++] = (struct observed){.session = client->session};
		observed[at].vram_bytes += bytes;
	}
	if (used_bytes == w->unmanaged_bytes[gpu])
		w->unnamed_mask &= ~bit;
	event->sample.gpu = gpu;
	/* It computes nothing in one half of the time, or nobody can tell. */
	int64_t phase_ms = broker_now(w).v % 300000;
	event->sample.idle_ms = phase_ms < 150000 ? phase_ms : 0;
	event->sample.healthy = !(w->unhealthy_mask & bit);
	event->sample.used_known = g->vram_known && !(w->unknown_mask & bit);
	event->sample.vram_bytes_used = used_bytes;
	event->sample.observed = observed;
	event->sample.observed_count = count;
	broker_post(w, letter);
}

void fault_sample(struct world *w)
{
	if (w->broker.state != BROKER_UP)
		return;
	for (uint32_t gpu = 0; gpu < w->broker.config.gpu_count; gpu++)
		sample_gpu(w, gpu);
}
