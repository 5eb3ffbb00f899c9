/* gpu_foreign: see gpu_foreign.h. The core sees requests that the broker forwards for somebody:
 * they hold for as long as their connection, which here is the process. */
#include "server/gpus/gpu_foreign.h"
#include "server/event_queue.h"
#include "server/queued_event.h"
#include "wire/gpu_encode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Neither net's numbers nor the gateway's come here. */
#define PARTY_BASE ((uint64_t)1 << 61)

static const char principal[] = "unmanaged";

static bool counts_as_arrival(const struct gpu_process_row *row)
{
	bool computes = strcmp(row->use, "compute") == 0 || strcmp(row->use, "mps") == 0;
	return computes && row->pid > 0 && row->command[0] && !row->session && !row->condition;
}

static bool is_of(const struct foreign *known, uint32_t gpu, const struct gpu_process_row *row)
{
	return known->pid == row->pid && known->gpu == gpu && known->since.v == row->since.v;
}

static struct foreign *find_foreign(struct gpu_foreign *foreign, uint32_t gpu,
				    const struct gpu_process_row *row)
{
	for (size_t i = 0; i < FOREIGN_MAX; i++)
		if (is_of(&foreign->v[i], gpu, row))
			return &foreign->v[i];
	return NULL;
}

static void begin_record(struct gpu_foreign *foreign, struct event_queue *queue, uint32_t gpu,
			 const struct gpu_process_row *row)
{
	struct foreign *place = NULL;
	for (size_t i = 0; i < FOREIGN_MAX && !place; i++)
		if (foreign->v[i].pid == 0)
			place = &foreign->v[i];
	if (!place)
		return;

	foreign->count++;
	*place = (struct foreign){.pid = row->pid,
				  .since = row->since,
				  .gpu = gpu,
				  .party = PARTY_BASE + ++foreign->parties};
	struct queued_event *queued = event_queue_new(queue);
	struct event *event = &queued->in.event;
	(void)snprintf(queued->who, sizeof(queued->who), "%s", principal);
	(void)snprintf(queued->name, sizeof(queued->name), "%s", row->command);
	(void)snprintf(queued->label, sizeof(queued->label), "unmanaged, process %" PRId64,
		       row->pid);
	event->type = EVENT_ACQUIRE;
	event->from = party_of(PARTY_GATEWAY, place->party);
	event->acquire = (struct ev_acquire){
		.binding = BIND_PROXIED,
		.cls = LEASE_NORMAL,
		.need = {.slots = 1, .gpu_count = 1, .gpu_mask = 1u << gpu},
		.timeout_ms = -1,
		.name = queued->name,
		.label = queued->label,
		.principal = queued->who,
	};
	event_queue_push(queue, queued);
}

static void end_record(struct gpu_foreign *foreign, struct foreign *record,
		       struct event_queue *queue)
{
	event_queue_event(queue, EVENT_CONN_CLOSED, party_of(PARTY_GATEWAY, record->party));
	*record = (struct foreign){0};
	foreign->count--;
}

void gpu_foreign_take(struct gpu_foreign *foreign, struct event_queue *queue, uint32_t gpu,
		      const struct gpu_figures *figures)
{
	if (!figures->processes_known || figures->pids_foreign)
		return;

	for (size_t i = 0; i < FOREIGN_MAX; i++)
		foreign->v[i].misses += foreign->v[i].pid && foreign->v[i].gpu == gpu;
	for (size_t i = 0; i < figures->process_count; i++) {
		const struct gpu_process_row *row = &figures->processes[i];
		struct foreign *known = find_foreign(foreign, gpu, row);
		if (!counts_as_arrival(row))
			continue;
		if (known)
			known->misses = 0;
		else
			begin_record(foreign, queue, gpu, row);
	}

	for (size_t i = 0; i < FOREIGN_MAX; i++)
		if (foreign->v[i].pid && foreign->v[i].misses >= FOREIGN_MISSES)
			end_record(foreign, &foreign->v[i], queue);
}

void gpu_foreign_end(struct gpu_foreign *foreign, struct event_queue *queue)
{
	for (size_t i = 0; i < FOREIGN_MAX && foreign->count > 0; i++)
		if (foreign->v[i].pid)
			end_record(foreign, &foreign->v[i], queue);
}
