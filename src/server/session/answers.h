/* answers: what sessions ask that concerns no lease: status, logs, subscriptions, links, a reload.
 */
#pragma once

struct endpoint;
struct event_ring;
struct log_feed;
struct monitor;
struct page_links;
struct reload;
struct session_request;
struct status_streams;

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
