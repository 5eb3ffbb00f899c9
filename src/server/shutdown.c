/* shutdown: see shutdown.h. Called for signals, for a terminal that was closed, and once per loop
 * turn.
 */
#include "server/shutdown.h"

#include "base/log.h"
#include "net/listen.h"
#include "server/broker.h"
#include "server/endpoint_ops.h"
#include "server/inference/inference.h"
#include "server/notify.h"
#include "server/queued_event.h"
#include "server/run_state.h"
#include "server/sockets.h"

enum {
	SHUTDOWN_MS = 2000,     /* for what was said last to get out */
	SHUTDOWN_LAST_MS = 100, /* once nobody is left who waits for something */
};

void shutdown_begin(struct shutdown *shutdown, struct mono_ms now)
{
	struct broker *broker = shutdown->broker;

	if (shutdown->state->draining)
		return;
	shutdown->state->draining = true;
	/* Before all that waits to be stepped: a grant could not be told to anybody any more, and
	 * would stand in the journal as a lease that its client never heard of. */
	struct queued_event *queued = event_queue_new(&broker->queue);
	queued->in.event.type = EVENT_DRAIN;

	event_queue_push_first(&broker->queue, queued);
	shutdown->until = mono_after(now, SHUTDOWN_MS);
	notify_send(NOTIFY_STOPPING, "leases and places stay in the journal");
	log_write(shutdown->log, LOG_INFO, "stopping; leases and places stay in the journal", NULL,
		  0);
	sockets_end(shutdown->sockets);
	net_stop_listening(shutdown->endpoints->net);
	inference_drain(shutdown->inference); /* before the tabs that answer some are closed */
	endpoints_drain(shutdown->endpoints);
}

static struct mono_ms shutdown_lasts(const struct shutdown *shutdown, struct mono_ms now)
{
	bool waited_for = false;
	for (int kind = 0; kind < ENDPOINT_KIND_COUNT; kind++)
		waited_for |= shutdown->endpoints->counts[kind] > 0;
	if (inference_is_stopping(shutdown->inference))
		return shutdown->until;
	if (net_connection_count(shutdown->endpoints->net) == 0)
		return now;
	return waited_for ? shutdown->until
			  : mono_min(shutdown->until, mono_after(now, SHUTDOWN_LAST_MS));
}

struct mono_ms shutdown_step(struct shutdown *shutdown, struct mono_ms now)
{
	if (!shutdown->state->draining)
		return MONO_NEVER;
	shutdown->until = mono_min(shutdown->until, shutdown_lasts(shutdown, now));
	shutdown->over |= mono_due(shutdown->until, now);
	return shutdown->until;
}
