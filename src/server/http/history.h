/* history: what has ended, read from the journal. */
#pragma once

struct monitoring_routes;
struct request_context;
void route_history(struct monitoring_routes *routes, const struct request_context *context);
