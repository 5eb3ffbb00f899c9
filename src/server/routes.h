/* routes: what each HTTP route does once access has let the request in. */
#pragma once
#include "server/respond.h"

struct shell;

/* Each answers at once, or opens a door for the effect that will. */
void route_lock(struct shell *shell, const struct asked *asked);
void route_unlock(struct shell *shell, const struct asked *asked);
void route_renew(struct shell *shell, const struct asked *asked);
void route_status(struct shell *shell, const struct asked *asked);
void route_admin(struct shell *shell, const struct asked *asked);
void route_history(struct shell *shell, const struct asked *asked);
void route_events(struct shell *shell, const struct asked *asked);
void route_session(struct shell *shell, const struct asked *asked);
void route_health(struct shell *shell, const struct asked *asked);
void route_metrics(struct shell *shell, const struct asked *asked);
void route_logs(struct shell *shell, const struct asked *asked);
void route_logs_clear(struct shell *shell, const struct asked *asked);
void route_reload(struct shell *shell, const struct asked *asked);
void route_page(struct shell *shell, const struct asked *asked);
void route_pair(struct shell *shell, const struct asked *asked);
void route_sites(struct shell *shell, const struct asked *asked);
void route_site_act(struct shell *shell, const struct asked *asked);
void route_file(struct shell *shell, const struct asked *asked);

/* A site has shown its token. */
struct site;
void routes_site_used(struct shell *shell, struct site *site);

/* The callbacks of net for requests; `ctx` is the shell. */
void routes_on_request(void *ctx, const struct http_request *request);
void routes_on_gone(void *ctx, uint64_t conn);
void routes_on_delivered(void *ctx, uint64_t conn);
/* Of any connection: one log line; it says whose fault it was. */
void routes_on_protocol_error(void *ctx, uint64_t conn, int err, const char *what);

/* Names the operator in the audit: "uid=1000 pid=4242", or the principal. */
void routes_who(const struct net_peer *peer, const char *principal, char *ret_who, size_t size);
/* The answer's body is not sent, by net; a route asks only where GET does more than answer. */
bool routes_is_head(const struct asked *asked);
/* One JSON line that is ready in shell->body. */
void routes_json(struct shell *shell, const struct asked *asked, int status);
