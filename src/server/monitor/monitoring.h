/* monitoring: what pages that watch ask for in a session: who is connected, what happened, how much
 * VRAM was in use. Each is answered at once and bounded by what the connection may leave unread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct monitor;
struct session_request;

enum {
	/* Of one session: past it nothing of this is answered, so that there is room for what the
	 * broker must say besides. */
	WATCH_PENDING_BYTES = 512 * 1024,
	WATCH_CLIENTS_MAX = 1000,
};

/* False: the session has not read what it was sent before, and nothing was sent. */
bool monitoring_send_clients(const struct monitor *monitor, uint64_t conn);
bool monitoring_send_events(const struct monitor *monitor, uint64_t conn,
			    const struct session_request *in);
bool monitoring_send_samples(const struct monitor *monitor, uint64_t conn);
