/* site_routes: a page of another origin asks to queue; the operator sees who asks, allows, refuses
 * and revokes. */
#pragma once

struct broker;
struct endpoints;
struct log;
struct request_context;
struct run_state;
struct site_keeper;

/* All is borrowed. */
struct site_routes {
	struct endpoints *endpoints; /* the sessions of a site end with it */
	struct broker *broker;       /* its random bits and its wall time */
	const struct site_keeper *keeper;
	const struct run_state *state;
	struct log *log;
};

void route_pair(struct site_routes *routes, const struct request_context *context);
void route_sites(struct site_routes *routes, const struct request_context *context);
void route_site_act(struct site_routes *routes, const struct request_context *context);
