/* monitoring_routes: what people and monitors read: status, changes, health, metrics, log lines,
 * what has ended. */
#pragma once

struct log_ring;
struct monitor;
struct request_context;
struct status_streams;

/* All is borrowed. */
struct monitoring_routes {
	const struct monitor *monitor;
	struct status_streams *status_streams;
	struct log_ring *log_ring;
};

void route_status(struct monitoring_routes *routes, const struct request_context *context);
void route_events(struct monitoring_routes *routes, const struct request_context *context);
void route_health(struct monitoring_routes *routes, const struct request_context *context);
void route_metrics(struct monitoring_routes *routes, const struct request_context *context);
void route_logs(struct monitoring_routes *routes, const struct request_context *context);
void route_logs_clear(struct monitoring_routes *routes, const struct request_context *context);
