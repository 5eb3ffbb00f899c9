/* traces: see traces.h. Called for each trace of a turn, once all answers have left. */
#include "server/monitor/traces.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "net/session.h"
#include "server/broker.h"
#include "server/endpoints.h"
#include "server/monitor/event_ring.h"
#include "server/monitor/monitor.h"
#include "server/monitor/tally.h"
#include "server/run_state.h"
#include "wire/event_encode.h"
#include "wire/sight.h"

static void tell_subscribers(const struct monitor *monitor, const struct event_ring_row *change)
{
	cleanup_text struct text whole = {0}, narrow = {0};

	list_each (it, next, &monitor->endpoints->kinds[ENDPOINT_SESSION]) {
		const struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (!endpoint->session->events)
			continue;
		const struct sight sight = sight_of(endpoint->session->principal);
		struct text *shown = sight.narrow ? &narrow : &whole;
		if (sight.narrow)
			text_clear(shown);
		if (shown->length == 0)
			event_encode(shown, &change->trace, change->id, change->at, monitor->config,
				     &sight);
		net_session_send(monitor->endpoints->net, endpoint->conn, shown->bytes,
				 shown->length);
	}
}

void traces_note(const struct traces *traces, const struct trace_effect *trace)
{
	cleanup_text struct text line = {0};
	struct event_ring *ring = traces->event_ring;
	uint64_t id = ring->next;

	event_ring_add(ring, trace, traces->monitor->broker->wall);
	tally_trace(traces->tally, trace);
	if (trace->what == TRACE_PAUSED)
		memcpy(traces->state->paused_reason, trace->detail,
		       sizeof(traces->state->paused_reason));
	if (ring->subscribers > 0)
		tell_subscribers(traces->monitor, event_ring_at(ring, id));

	if (traces->log->level < LOG_INFO)
		return;
	event_encode_log(&line, trace, traces->monitor->config);
	log_write(traces->log, LOG_INFO, line.bytes, NULL, 0);
}
