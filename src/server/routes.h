/* routes: what each HTTP route does once access has let the request in. */
#pragma once
#include "server/respond.h"

struct server;

/* Each answers at once, or opens an endpoint for the effect that will. */
void route_lock(struct server *server, const struct request_context *context);
void route_unlock(struct server *server, const struct request_context *context);
void route_renew(struct server *server, const struct request_context *context);
void route_status(struct server *server, const struct request_context *context);
void route_admin(struct server *server, const struct request_context *context);
void route_history(struct server *server, const struct request_context *context);
void route_events(struct server *server, const struct request_context *context);
void route_session(struct server *server, const struct request_context *context);
void route_health(struct server *server, const struct request_context *context);
void route_metrics(struct server *server, const struct request_context *context);
void route_logs(struct server *server, const struct request_context *context);
void route_logs_clear(struct server *server, const struct request_context *context);
void route_reload(struct server *server, const struct request_context *context);
void route_page(struct server *server, const struct request_context *context);
void route_pair(struct server *server, const struct request_context *context);
void route_sites(struct server *server, const struct request_context *context);
void route_site_act(struct server *server, const struct request_context *context);
void route_file(struct server *server, const struct request_context *context);

/* The callbacks of net for requests; `ctx` is the server. */
void routes_on_request(void *ctx, const struct http_request *request);
void routes_on_gone(void *ctx, uint64_t conn);
void routes_on_delivered(void *ctx, uint64_t conn);
/* Of any connection: one log line; it says whose fault it was. */
void routes_on_protocol_error(void *ctx, uint64_t conn, int err, const char *what);

extern const struct endpoint_ops status_stream_ops; /* routes_monitoring.c; of status_streams */

void routes_json(struct server *server, const struct request_context *context, int status,
		 const struct text *body);
