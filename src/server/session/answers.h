/* answers: what sessions ask that concerns no lease: status, logs, subscriptions, links, a reload.
 */
#pragma once
#include "server/access/page_links.h"
#include "server/monitor/event_ring.h"
#include "server/monitor/log_feed.h"
#include "server/monitor/monitor.h"
#include "server/monitor/status_stream.h"
#include "wire/session_decode.h"

struct reload;

/* All is borrowed. */
struct session_answers {
	const struct monitor *monitor;
	struct status_streams *status_streams;
	struct event_ring *event_ring; /* counts its subscribers, as the ring of the feed does */
	struct log_feed *log_feed;
	struct page_links *links;
	struct reload *reload;
};

/* Of any kind but REQUEST_EVENT, REQUEST_ADMIN and REQUEST_HELLO. Whether it may ask was judged. */
void session_answer(const struct session_answers *answers, struct endpoint *endpoint,
		    const struct session_request *in);
/* The session is gone: it subscribes to nothing. */
void session_unsubscribe(const struct session_answers *answers, struct endpoint *endpoint);
