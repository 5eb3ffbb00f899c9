/* event_feed: readers of /v1/gpu/events. */
#pragma once
#include <stdbool.h>

struct endpoint;
struct endpoint_ops;
struct endpoints;
struct monitor;

/* Writes new changes to all of them. True: some have more to read. */
bool event_feeds_step(const struct monitor *monitor);
/* Ends an event stream of any kind with a `denied` that says that the broker stops. Shuts the
 * endpoint. */
void event_stream_end(struct endpoints *endpoints, struct endpoint *endpoint, int err);

extern const struct endpoint_ops event_feed_ops; /* of struct monitor */
